"""Index arithmetic: what it simplifies to, and that no position ever gets another value."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid.ir.expr import (
    Axis,
    Const,
    Expr,
    Load,
    Operand,
    Reduce,
    axes,
    binary,
    cast,
    const,
    index,
    select,
    substitute,
    walk,
)
from lucid.ir.graph import Op, Sample
from lucid.ir.index import Affine, affine, bounds, simplify, simplify_expr
from lucid.ir.types import TensorType, bool_, float32, int8, int32, int64, uint8, uint32, uint64
from tests.ops.cases import all_samples
from tests.ops.reference import evaluate

AXES = i, j, k = Axis("i", 4), Axis("j", 8), Axis("k", 3)
flat = i * 24 + j * 3 + k
WIDE = Load("wide", TensorType((4,), int64), (i,))
NARROW = Load("narrow", TensorType((8,), int32), (j,)).cast(int64)
SOURCES = {
    "wide": np.array([2**63 - 1, -(2**63), -1, 5]),
    "narrow": np.array([2**31 - 1, -(2**31), 0, 1, -1, 7, 8, 9], np.int32),
}

IN_PRINT: list[tuple[Expr, str]] = [
    # sums and products
    (i + j - i, "j"),
    ((i + 1) * 8 - 8, "(i * 8)"),
    (-(i - j), "((i * -1) + j)"),
    (i * 0 + 3, "3"),
    (2 * i + 3 * i, "(i * 5)"),
    (i * j - i * j, "0"),
    # division
    ((i * 8 + j) // 8, "i"),
    ((i * 8 + j + 3) // 8, "(i + ((j + 3) // 8))"),
    ((i * 8 + k + 3) // 8, "i"),
    ((i * 8 + k - 3) // 8, "(i - 1)"),
    ((i * 2 + 1) // 4, "(i // 2)"),
    ((i * 2 + 3) // 4, "((i + 1) // 2)"),
    ((flat // 4) // 2, "((i * 3) + (((j * 3) + k) // 8))"),
    ((j // 2) // 2, "(j // 4)"),
    ((j // 2 + 1) // 2, "((j + 2) // 4)"),
    (flat // 24, "i"),
    (flat % 24 // 3, "j"),
    (flat % 3, "k"),
    ((i * 9 + j) // 8, "(i + ((i + j) // 8))"),
    ((j // 2 + i * 2) // 3, "(((i * 4) + j) // 6)"),
    # remainders
    ((i * 8 + j) % 8, "j"),
    ((i * 9 + j) % 8, "((i + j) % 8)"),
    (j % 8, "j"),
    (j % 9, "j"),
    ((j % 8) % 4, "(j % 4)"),
    ((j % 4) % 8, "(j % 4)"),
    ((i * 4 + k) % 8, "(((i % 2) * 4) + k)"),
    ((k - 3) % 3, "k"),
    # putting together again
    ((flat // 8) * 8 + flat % 8, "(((i * 24) + (j * 3)) + k)"),
    ((j // 2) * 2 + j % 2, "j"),
    (((i * 4 + j) // 3) * 3 + (i * 4 + j) % 3, "((i * 4) + j)"),
    ((j // 2) * 6 + j % 2 * 3 + k, "((j * 3) + k)"),
    ((flat // 12) * 12 + ((flat // 4) % 3) * 4 + flat % 4, "(((i * 24) + (j * 3)) + k)"),
    # what the ranges decide
    (binary("min", j, 7), "j"),
    (binary("max", j, i + 9), "(i + 9)"),
    (binary("min", j, i), "min(j, i)"),
    (i < 4, "True"),
    (i < 0, "False"),
    (i <= 3, "True"),
    (i * 2 < i, "False"),
    (i * 2 < j, "((i * 2) < j)"),
    (i < i + 1, "True"),
    ((i * 2).eq(j * 2 + 1), "False"),
    ((i * 2).ne(j * 4 + 3), "True"),
    (i.eq(i), "True"),
    (i.ne(j), "(i != j)"),
    ((i < 4) & (j < 5), "(j < 5)"),
    ((i < 0) | (j < 5), "(j < 5)"),
    ((i < 0) & (j < 5), "False"),
    (select(i < 4, j, k), "j"),
    (select(i < 2, j * 2 - j, j), "j"),
    # values from memory: an int32 is far from the ends of int64, an int64 may be at them
    ((NARROW * 8 + j) // 8, "cast<i64>(narrow[j])"),
    ((WIDE * 8 + j) // 8, "(((wide[i] * 8) + j) // 8)"),
    (WIDE // 8 * 8 + WIDE % 8, "wide[i]"),
    (WIDE + 1 - WIDE, "1"),
    (WIDE < WIDE + 1, "(wide[i] < (wide[i] + 1))"),
    (WIDE.eq(WIDE), "True"),
    (binary("min", binary("max", WIDE, 0), 7) // 8, "0"),
    # inside other expressions
    (cast(flat // 24, float32), "cast<f32>(i)"),
    (Load("x", TensorType((4, 8), float32), (flat // 24, flat % 24 // 3)), "x[i, j]"),
    (Load("x", TensorType((4, 8), float32), (i, j), 0.5), "x[i, j]"),
    (Load("x", TensorType((4, 8), float32), (i, j + 8), 0.5), "0.5"),
    (Load("x", TensorType((4, 8), float32), (i, j + 1), 0.5), "pad(x[i, (j + 1)], 0.5)"),
    (Reduce("sum", (k,), Load("x", TensorType((4,), float32), ((i * 3 + k) // 3,))), "sum[k<3](x[i])"),
]


@pytest.mark.parametrize(("expr", "text"), IN_PRINT, ids=[t for _, t in IN_PRINT])
def test_in_print(expr: Expr, text: str) -> None:
    assert repr(simplify(expr)) == text


# --- properties -------------------------------------------------------------------------------------------------------


def compound(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
    divisor = st.sampled_from([1, 2, 3, 4, 5, 6, 8, 12, 24]).map(index)
    factor = st.integers(-4, 24).map(index)
    condition = st.builds(binary, st.sampled_from(["lt", "le", "eq", "ne"]), inner, inner)
    logic = st.builds(binary, st.sampled_from(["and", "or"]), condition, condition)
    return st.one_of(
        st.builds(binary, st.sampled_from(["add", "sub", "min", "max"]), inner, inner),
        st.builds(binary, st.just("mul"), inner, factor),
        st.builds(binary, st.sampled_from(["floordiv", "mod"]), inner, divisor),
        st.builds(binary, st.sampled_from(["floordiv", "mod"]), inner, divisor),
        st.builds(binary, st.just("mul"), inner, inner),
        st.builds(lambda x: -x, inner),
        st.builds(select, st.one_of(condition, logic), inner, inner),
        st.builds(lambda x: cast(cast(x, int8), int64), inner),
        st.builds(lambda x: cast(cast(x, uint8), int64), inner),
    )


positions = st.one_of(st.sampled_from(AXES), st.integers(-30, 30).map(index))
arithmetic = st.recursive(positions, compound, max_leaves=12)
with_loads = st.recursive(st.one_of(positions, st.sampled_from([WIDE, NARROW])), compound, max_leaves=8)


def check(expr: Expr) -> None:
    simple = simplify(expr)
    assert simple.dtype == expr.dtype
    before, after = evaluate(expr, AXES, SOURCES), evaluate(simple, AXES, SOURCES)
    np.testing.assert_array_equal(after, before)
    known = bounds(expr)
    if known is not None:
        assert known[0] <= before.min()
        assert before.max() <= known[1]
    np.testing.assert_array_equal(evaluate(affine(expr).expr(), AXES, SOURCES), before)
    assert simplify(simple) == simple
    assert simplify_expr(expr) == simple


@settings(max_examples=1000, deadline=None)
@given(arithmetic)
def test_every_position_keeps_its_value(expr: Expr) -> None:
    check(expr)
    if not any(isinstance(e, Load) for e in walk(expr)):
        assert bounds(expr) is not None


sizes = st.sampled_from([2, 3, 4, 6, 8, 12, 24])
linear = st.builds(
    lambda factors, constant: sum((a * f for a, f in zip(AXES, factors, strict=True)), index(constant)),
    st.tuples(*[st.sampled_from([0, 1, 2, 3, 4, 6, 8, 12, 24, -2])] * len(AXES)),
    st.integers(-30, 30),
)


@settings(max_examples=500, deadline=None)
@given(linear, sizes, st.sampled_from(["floordiv", "mod"]), st.integers(-9, 9), sizes)
def test_forms_that_share_factors_with_what_divides_them(form: Expr, n: int, then: str, more: int, m: int) -> None:
    """Where reshapes and strides meet: what carries over, and what is left."""
    check(form // n)
    check(form % n)
    check(binary(then, form // n + more, index(m)))


@settings(max_examples=500, deadline=None)
@given(with_loads)
def test_values_from_memory_may_wrap_around(expr: Expr) -> None:
    check(expr)


@settings(max_examples=300, deadline=None)
@given(st.lists(arithmetic, min_size=2, max_size=2), st.sampled_from([None, 0.0, 7.0]))
def test_padded_loads_read_the_same(position: list[Expr], fill: float | None) -> None:
    source = TensorType((5, 9), float32)
    load = Load("x", source, position, fill if fill is not None else -1.0)
    x = np.arange(45, dtype=np.float32).reshape(5, 9)
    # The reference refuses a load that reads outside without a fill, so a fill dropped wrongly fails here.
    sources = {**SOURCES, "x": x}
    np.testing.assert_array_equal(evaluate(simplify(load), AXES, sources), evaluate(load, AXES, sources))


@settings(max_examples=300, deadline=None)
@given(st.permutations([2, 3, 4]), st.permutations([2, 3, 4]))
def test_a_reshape_undone_leaves_plain_positions(sizes: list[int], other: list[int]) -> None:
    """Flattening and splitting with the same sizes gives the axes back; with others it still agrees."""
    out = axes("i", sizes)
    position: Expr = index(0)
    for a, n in zip(out, sizes, strict=True):
        position = position * n + a
    split = [position // (other[1] * other[2]), position // other[2] % other[1], position % other[2]]
    back: Expr = index(0)
    for s, n in zip(split, other, strict=True):
        back = back * n + s
    assert affine(back) == affine(position)
    again = [simplify(back // (sizes[1] * sizes[2])), simplify(back // sizes[2] % sizes[1]), simplify(back % sizes[2])]
    assert again == list(out)
    for s in split:
        np.testing.assert_array_equal(evaluate(simplify(s), out, {}), evaluate(s, out, {}))


@pytest.mark.parametrize(("op", "sample"), all_samples())
def test_every_op_computes_the_same_when_simplified(op: Op, sample: Sample) -> None:
    types = [TensorType(x.shape, x.dtype) for x in sample.inputs]
    out = axes("i", op.infer(*types, **sample.attrs).shape)
    expr = op.compute(out, *[Operand(k, t) for k, t in enumerate(types)], **sample.attrs)
    sources = dict(enumerate(sample.inputs))
    np.testing.assert_array_equal(evaluate(simplify(expr), out, sources), evaluate(expr, out, sources))


# --- the rest ---------------------------------------------------------------------------------------------------------


def test_affine_forms() -> None:
    form = affine((i * 8 + j) // 4 * 3 - 5)
    assert form == affine(i * 6 + (j // 4) * 3 - 5)
    assert form.terms == {i: 6, j // 4: 3}
    assert form.constant == -5
    assert form != Affine({i: 6}, -5)
    assert repr(form) == "Affine((((i * 6) + ((j // 4) * 3)) - 5))"
    assert affine(index(7)) == Affine({}, 7)


def test_terms_of_equal_forms_may_come_in_any_order() -> None:
    assert affine(i + j) == affine(j + i)


def test_bounds() -> None:
    assert bounds(i * 2 - j) == (-7, 6)
    assert bounds(i - i) == (0, 0)
    assert bounds((j - 4) // 3) == (-2, 1)
    assert bounds((j - 4) % 3) == (0, 2)
    assert bounds(i * j) == (0, 21)
    assert bounds((i - 2) * (j - 4)) == (-6, 8)
    assert bounds(WIDE) is None
    assert bounds(WIDE % 7) == (0, 6)
    assert bounds(binary("max", WIDE, 0)) is None
    assert bounds(NARROW) == (-(2**31), 2**31 - 1)
    assert bounds(select(i < 2, j, k - 1)) == (-1, 7)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        (bool_, (0, 1)),
        (int8, (-128, 127)),
        (uint32, (0, 2**32 - 1)),
        (uint64, None),
        (float32, None),
    ],
)
def test_bounds_of_casts_from_memory(dtype: np.dtype, expected: tuple[int, int] | None) -> None:
    assert bounds(cast(Load("x", TensorType((4,), dtype), (i,)), int64)) == expected


def test_bounds_of_casts_of_positions() -> None:
    assert bounds(cast(cast(j, int32), int64)) == (0, 7)
    assert bounds(cast(cast(j * 100, int8), int64)) == (-128, 127)


def test_an_axis_of_no_extent_decides_nothing_wrongly() -> None:
    empty = Axis("e", 0)
    expr = select(empty < 1, (empty * 8 + j) // 8, index(0))
    assert evaluate(simplify(expr), (empty, j), {}).shape == (0, 8)


def test_huge_factors_wrap_as_machines_do() -> None:
    expr = (WIDE * 2**62) * 4 + WIDE * (2**63 - 1) * 2
    np.testing.assert_array_equal(evaluate(simplify(expr), AXES, SOURCES), evaluate(expr, AXES, SOURCES))
    assert simplify(WIDE * 2**62 * 4) == index(0)


def test_what_does_not_change_is_the_same_object() -> None:
    expr = Load("x", TensorType((4, 8), float32), (i, j)) * 2.0 + 1.0
    assert simplify(expr) is expr


def test_deep_expressions() -> None:
    """Chains of thousands of operations, as fusion may build, do not recurse."""
    value: Expr = Load("x", TensorType((4,), float32), ((i * 8 + j) // 8,))
    position: Expr = i
    for _ in range(3000):
        value = value + 1.0
        position = position + 1
    assert simplify(value).dtype == float32
    assert simplify(position) == i + 3000


def test_axes_of_a_reduction_have_ranges_too() -> None:
    r = Axis("r", 4)
    expr = Reduce("sum", (r,), Load("x", TensorType((4,), float32), (r + 0,), 0.0))
    simple = simplify(substitute(expr, {}))
    assert isinstance(simple, Reduce)
    assert isinstance(simple.body, Load)
    assert simple.body.fill is None


def test_constants_of_other_dtypes_are_left_alone() -> None:
    assert simplify(const(1.5, float32)) == Const(1.5, float32)
