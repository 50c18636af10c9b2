"""Values and gradients at the points where careless code goes wrong: zeros, ties, NaN, the ends of integer ranges."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from lucid import ops
from lucid.autodiff import differentiate
from lucid.errors import IndexRangeError
from lucid.ir.graph import OPS, Array, Graph, Op, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import float32, type_of
from lucid.ops.special import erf_array

NAN, INF = float("nan"), float("inf")


def gradients(op: Op, *arrays: Array, **attrs: Any) -> list[Array]:
    """Gradients of the sum of ``op``'s result in each operand."""
    inputs = [input_node(type_of(x)) for x in arrays]
    result = op(*inputs, **attrs)
    ones = np.ones(result.shape, result.dtype)
    return evaluate(differentiate(Graph(inputs, [result]), inputs), [*arrays, ones])


def f32(*values: float) -> Array:
    return np.array(values, np.float32)


@pytest.mark.parametrize("n", [1, 3, 16, 100])
def test_relu_keeps_nan_and_the_sign_of_zero(n: int) -> None:
    x = np.resize(f32(-0.0, NAN, 0.0, -1.0, 2.0, -INF, INF), n)
    y = ops.relu.evaluate(x)
    expected = np.where(x < 0, np.float32(0), x)
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(np.signbit(y), np.signbit(expected))


def test_relu_gradient_is_zero_at_zero_and_passes_nan() -> None:
    (g,) = gradients(ops.relu, f32(-1, -0.0, 0.0, 1, NAN))
    assert g.tolist() == [0, 0, 0, 1, 1]


def test_ties_share_the_gradient() -> None:
    a, b = gradients(ops.maximum, f32(1, 2, 3), f32(1, 3, 2))
    assert (a.tolist(), b.tolist()) == ([0.5, 0, 1], [0.5, 1, 0])
    (g,) = gradients(ops.max, f32(1, 5, 5, 5, 5), axes=(0,), keepdims=False)
    assert g.tolist() == [0, 0.25, 0.25, 0.25, 0.25]


@pytest.mark.parametrize(
    ("base", "exponent", "in_base", "in_exponent"),
    [
        (0.0, 0.0, 0.0, 0.0),
        (0.0, 2.0, 0.0, 0.0),
        (0.0, 1.0, 1.0, 0.0),
        (2.0, 0.0, 0.0, math.log(2)),
        (3.0, 2.0, 6.0, 9 * math.log(3)),
        (-2.0, 2.0, -4.0, NAN),
    ],
)
def test_power_gradients(base: float, exponent: float, in_base: float, in_exponent: float) -> None:
    a, b = gradients(ops.pow, f32(base), f32(exponent))
    np.testing.assert_allclose([a[0], b[0]], [in_base, in_exponent], rtol=1e-6)


def test_second_derivative_of_a_square_at_zero() -> None:
    """No NaN from log(0) leaks through a ``where``."""
    x, two = input_node(type_of(f32(0))), OPS["constant"](value=2.0, shape=(), dtype=float32)
    first = differentiate(Graph([x], [x**two]), [x])
    second = differentiate(first, [x])
    assert evaluate(second, [f32(0), f32(1), f32(1)])[0].tolist() == [2]


@pytest.mark.parametrize(
    ("row", "expected"),
    [([2, 3, 5], [15, 10, 6]), ([0, 3, 5], [15, 0, 0]), ([0, 0, 5], [0, 0, 0]), ([7], [1])],
)
def test_gradient_of_a_product_with_zeros(row: list[float], expected: list[float]) -> None:
    (g,) = gradients(ops.prod, f32(*row), axes=(0,), keepdims=False)
    assert g.tolist() == expected


def test_second_derivative_of_a_product_with_a_zero() -> None:
    x = input_node(type_of(f32(0, 3, 5)))
    first = differentiate(Graph([x], [ops.prod(x, axes=(0,), keepdims=False)]), [x])
    second = differentiate(first, [x])
    # The Hessian of a*b*c at (0, 3, 5), times (1, 1, 1).
    values = evaluate(second, [f32(0, 3, 5), np.array(1, np.float32), f32(1, 1, 1)])
    assert values[0].tolist() == [8, 5, 3]


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.int64, np.uint8])
def test_integer_division_is_total(dtype: type) -> None:
    ends = np.iinfo(dtype)
    a = np.array([7, 7, 0, ends.min, ends.max], dtype)
    b = np.array([0, 2, 0, ends.max if ends.min == 0 else -1, 0], dtype)
    assert ops.floordiv.evaluate(a, b).tolist() == [0, 3, 0, 0 if ends.min == 0 else ends.min, 0]
    assert ops.mod.evaluate(a, b).tolist() == [0, 1, 0, 0, 0]


def test_division_rounds_down() -> None:
    a, b = np.array([7, -7, 7, -7], np.int32), np.array([2, 2, -2, -2], np.int32)
    assert ops.floordiv.evaluate(a, b).tolist() == [3, -4, -4, 3]
    assert ops.mod.evaluate(a, b).tolist() == [1, 1, -1, -1]
    assert ops.mod.evaluate(f32(-1), f32(3)).tolist() == [2]


def test_negative_integer_powers_are_truncated() -> None:
    a, b = np.array([1, -1, -1, 2, 0], np.int64), np.array([-3, -3, -2, -1, -1], np.int64)
    assert ops.pow.evaluate(a, b).tolist() == [1, -1, 1, 0, 0]


@pytest.mark.parametrize("op", [ops.take, ops.scatter_add], ids=str)
def test_an_index_out_of_range_is_named(op: Op) -> None:
    attrs = {"axis": 0, "size": 3} if op is ops.scatter_add else {"axis": 0}
    x = np.ones((3, 2), np.float32)
    with pytest.raises(IndexRangeError, match=r"index -4 is out of range for axis 0 of size 3"):
        op.evaluate(x, np.array([0, -4, 2]), **attrs)


def test_the_largest_unsigned_index_is_not_the_last_element() -> None:
    with pytest.raises(IndexRangeError, match=r"index 18446744073709551615 is out of range"):
        ops.take.evaluate(f32(1, 2), np.array([2**64 - 1], np.uint64), axis=0)


@pytest.mark.parametrize("op", [ops.sum, ops.prod], ids=str)
def test_reducing_over_no_axes_keeps_the_sign_of_zero(op: Op) -> None:
    y = op.evaluate(f32(-0.0, 0.0), axes=(), keepdims=False)
    assert np.signbit(y).tolist() == [True, False]


def test_the_first_power_is_the_base() -> None:
    bits = np.random.default_rng(0).integers(0, 2**32, 100_000, dtype=np.uint32)
    x = bits.view(np.float32)
    np.testing.assert_array_equal(ops.pow.evaluate(x, np.array(1, np.float32)), x)
    rows = x.reshape(100, -1)
    np.testing.assert_array_equal(ops.pow.evaluate(rows, f32(1)), rows)


def test_positions_of_nan_and_ties() -> None:
    x = np.array([[1, NAN, 5, NAN], [4, 2, 4, 2]], np.float32)
    assert ops.argmax.evaluate(x, axis=1, keepdims=False).tolist() == [1, 0]
    assert ops.argmin.evaluate(x, axis=1, keepdims=False).tolist() == [1, 1]


def test_round_takes_halves_to_even() -> None:
    assert ops.round.evaluate(f32(-1.5, -0.5, 0.5, 1.5, 2.5)).tolist() == [-2, 0, 0, 2, 2]


def test_erf_is_accurate() -> None:
    x = np.concatenate([np.linspace(-7, 7, 20001), 10.0 ** np.linspace(-300, 0, 200), [0.46875, INF, -INF, NAN]])
    expected = np.array([math.erf(v) for v in x])
    np.testing.assert_allclose(erf_array(x), expected, rtol=1e-15)
    assert np.signbit(erf_array(np.array([-0.0, 0.0]))).tolist() == [True, False]


def test_extreme_inputs_of_the_smooth_step() -> None:
    y = ops.sigmoid.evaluate(f32(-INF, -1000, 0, 1000, INF, NAN))
    np.testing.assert_array_equal(y, f32(0, 0, 0.5, 1, 1, NAN))


def test_softmax_does_not_overflow() -> None:
    y = ops.log_softmax.evaluate(np.array([[1e4, 0.0], [-1e4, 0.0]], np.float32), axis=1)
    assert y.tolist() == [[0, -1e4], [-1e4, 0]]
