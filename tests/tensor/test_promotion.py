"""The table of ``docs/promotion.md``."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import lucid
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, GradientError, ShapeError

DTYPES = [
    lucid.bool_, lucid.uint8, lucid.int8, lucid.int16, lucid.int32, lucid.int64, lucid.uint32, lucid.uint64,
    lucid.float32, lucid.float64,
]  # fmt: skip


@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES, DTYPES)))
def test_two_tensors(a: np.dtype, b: np.dtype) -> None:
    x, y = lucid.ones(2, dtype=a), lucid.ones(2, dtype=b)
    floats = [d for d in (a, b) if d.kind == "f"]
    common = floats[0] if len(floats) == 1 else np.promote_types(a, b)
    assert lucid.promote_types(a, b) == common
    assert (x + y).dtype == common
    assert (x == y).dtype == lucid.bool_
    assert (x / y).dtype == (common if common.kind == "f" else lucid.float32)


@pytest.mark.parametrize(("a", "b"), list(itertools.product(DTYPES, DTYPES)))
def test_a_tensor_without_dimensions_is_weak_among_its_kind(a: np.dtype, b: np.dtype) -> None:
    rank = {"b": 0, "u": 1, "i": 1, "f": 2}
    wide = a if rank[a.kind] >= rank[b.kind] else b
    x, y = lucid.ones(2, dtype=a), lucid.ones((), dtype=b)
    assert (x + y).dtype == (y + x).dtype == lucid.result_type(x, y) == wide


def test_promotion_is_pytorch_s() -> None:
    torch = pytest.importorskip("torch")
    known = [d for d in DTYPES if d not in (lucid.uint32, lucid.uint64)]  # it has no rules for these
    for a, b in itertools.product(known, known):
        for shapes in (((2,), (2,)), ((2,), ()), ((), ())):
            x, y = (torch.ones(s, dtype=getattr(torch, d.name)) for s, d in zip(shapes, (a, b), strict=True))
            p, q = (lucid.ones(s, dtype=d) for s, d in zip(shapes, (a, b), strict=True))
            assert str(torch.result_type(x, y)) == f"torch.{lucid.result_type(p, q).name}"
            assert torch.can_cast(x.dtype, y.dtype) == lucid.can_cast(a, b)


@pytest.mark.parametrize("dtype", DTYPES)
def test_python_numbers_are_weak(dtype: np.dtype) -> None:
    x = lucid.ones(2, dtype=dtype)
    with_int = lucid.int64 if dtype == lucid.bool_ else dtype
    with_float = dtype if dtype.kind == "f" else lucid.float32
    for y in (x + 1, 1 + x, x * np.int8(1)):
        assert y.dtype == with_int
    for y in (x * 0.5, 0.5 * x, x * np.float64(0.5)):
        assert y.dtype == with_float
        assert y.tolist() == [0.5, 0.5]
    assert (x + True).dtype == dtype


def test_float_bool_and_zero_constants_stay_apart() -> None:
    x = lucid.ones(1)
    assert np.signbit((x * 0.0).numpy()) == np.signbit(np.float32(0.0))
    assert np.signbit((x * -0.0).numpy())
    assert not np.signbit((x * 0.0).numpy())
    assert (lucid.ones(1, dtype=lucid.int64) + True).tolist() == [2]
    assert (x + float("nan")).isnan().all()


def test_arrays_on_either_side_are_tensors() -> None:
    x = lucid.tensor([1.0, 2.0])
    a = np.array([3.0, 4.0], np.float32)
    for y in (x + a, a + x, a * x - x, a @ x, a < x, x + [3.0, 4.0], (1.0, 2.0) - x):  # noqa: RUF005
        assert isinstance(y, lucid.Tensor)
        assert y.dtype in (lucid.float32, lucid.bool_)
    np.testing.assert_array_equal((a - x).numpy(), [2, 2])


def test_numpy_functions_of_tensors() -> None:
    x = lucid.tensor([1.0, 4.0], requires_grad=True)
    y = np.sqrt(x) + np.maximum(np.float32(0.5), x)
    assert isinstance(y, lucid.Tensor)
    assert y.requires_grad
    a = np.ones((2, 2), np.float32)
    np.testing.assert_array_equal((a @ x).numpy(), [5, 5])
    np.testing.assert_array_equal((a >= x).numpy(), [[True, False]] * 2)
    np.testing.assert_array_equal(np.float64(2.0) * x.detach(), [2, 8])
    for use in (lambda: np.hypot(x, x), lambda: np.add.reduce(x), lambda: np.add(a, x, out=a)):
        with pytest.raises(ArgumentTypeError, match="numpy") as caught:
            use()
        assert "test_promotion.py" in str(caught.value)
    with pytest.raises(ArgumentTypeError, match="out="):
        a += x


def test_numbers_that_do_not_fit() -> None:
    with pytest.raises(ArgumentError, match="300"):
        lucid.ones(2, dtype=lucid.uint8) + 300
    with pytest.raises(ArgumentError, match="-1"):
        lucid.ones(2, dtype=lucid.uint8) * -1


def test_reductions() -> None:
    small = lucid.full((300,), 100, dtype=lucid.int8)
    assert small.sum().item() == 30000
    assert small.sum().dtype == lucid.int64
    assert lucid.full((300,), 200, dtype=lucid.uint8).sum().dtype == lucid.uint64
    assert (lucid.ones(3) > 0).sum().item() == 3
    assert small.mean().dtype == lucid.float32
    assert small.mean().item() == 100
    assert small.var().dtype == lucid.float32
    assert small.exp().dtype == lucid.float32
    assert small.max().dtype == lucid.int8
    assert small.sum(dtype=lucid.float64).dtype == lucid.float64


def test_where_of_two_numbers() -> None:
    c = lucid.tensor([True, False])
    assert lucid.where(c, 1, 2).dtype == lucid.int64
    assert lucid.where(c, 1, 2.5).dtype == lucid.float32
    assert lucid.where(c, True, False).dtype == lucid.bool_
    assert lucid.where(c, lucid.ones(2, dtype=lucid.float64), 0).dtype == lucid.float64


def test_operators_in_place_change_the_tensor() -> None:
    x = lucid.tensor([7.0, 8.0])
    y = x
    y += 1
    y -= lucid.tensor([0.5, 1.0])
    y *= 2
    y /= 5
    assert x.tolist() == pytest.approx([3.0, 3.2])
    y //= 2
    y **= 3
    y %= 0.75
    assert y is x
    assert x.tolist() == [0.25, 0.25]
    bits = lucid.tensor([6, 12])
    alias = bits
    bits &= 7
    bits |= 8
    bits ^= 1
    bits <<= 2
    bits >>= 1
    assert alias.tolist() == [30, 26]


def test_operators_in_place_and_gradients() -> None:
    w = lucid.tensor([1.0, 2.0], requires_grad=True)
    y = w * 3
    identity = y
    y += w
    y.sum().backward()
    assert identity is y
    assert w.grad is not None
    assert w.grad.tolist() == [4.0, 4.0]
    with pytest.raises(GradientError, match="no_grad"):
        w -= w.grad
    with lucid.no_grad():
        for p in [w]:
            p -= 0.5 * p.grad  # a step of gradient descent
    assert w.tolist() == [-1.0, 0.0]
    assert w.requires_grad

    def block(x: lucid.Tensor) -> lucid.Tensor:
        out = x * 2
        out += x
        return out * out

    x = lucid.tensor([1.0, 2.0], requires_grad=True)
    block(x).sum().backward()
    eager = x.grad
    x.grad = None
    lucid.compile(block)(x).sum().backward()
    assert eager is not None
    assert x.grad is not None
    assert eager.tolist() == x.grad.tolist() == [18.0, 36.0]


def test_operators_in_place_that_do_not_fit() -> None:
    x = lucid.tensor([1, 2])
    with pytest.raises(DTypeError, match="float32"):
        x += 0.5
    with pytest.raises(DTypeError, match="float32"):
        x /= 2
    with pytest.raises(ShapeError, match=r"\(2, 2\)"):
        x += lucid.ones(2, 2, dtype=lucid.int64)
    assert x.tolist() == [1, 2]


def test_comparison_with_strangers() -> None:
    x = lucid.tensor([1.0])
    assert (x == None) is False  # noqa: E711
    assert (x != "a") is True
    assert x in [x]
    assert len({x, x, lucid.tensor([1.0])}) == 2
