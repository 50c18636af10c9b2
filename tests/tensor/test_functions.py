"""The public functions against NumPy, in values, shapes and dtypes, eager type against inferred type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lucid
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError, LucidError, ShapeError
from lucid.ir.types import type_of

RNG = np.random.default_rng(3)
X = RNG.standard_normal((2, 3, 4)).astype(np.float32)
P = np.abs(X) + 0.5
M = RNG.standard_normal((4, 3)).astype(np.float32)
V = RNG.standard_normal(4).astype(np.float32)
t = lucid.tensor

Case = tuple[Callable[[], lucid.Tensor], Callable[[], Any]]


def softmax(x: Any, axis: int) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


CASES: dict[str, Case] = {
    "exp": (lambda: lucid.exp(t(X)), lambda: np.exp(X)),
    "expm1": (lambda: t(X).expm1(), lambda: np.expm1(X)),
    "log": (lambda: t(P).log(), lambda: np.log(P)),
    "log1p": (lambda: t(P).log1p(), lambda: np.log1p(P)),
    "sqrt": (lambda: t(P).sqrt(), lambda: np.sqrt(P)),
    "rsqrt": (lambda: t(P).rsqrt(), lambda: 1 / np.sqrt(P)),
    "square": (lambda: t(X).square(), lambda: np.square(X)),
    "sin": (lambda: t(X).sin(), lambda: np.sin(X)),
    "cos": (lambda: t(X).cos(), lambda: np.cos(X)),
    "tanh": (lambda: t(X).tanh(), lambda: np.tanh(X)),
    "sigmoid": (lambda: t(X).sigmoid(), lambda: 1 / (1 + np.exp(-X))),
    "relu": (lambda: t(X).relu(), lambda: np.maximum(X, 0)),
    "relu of ints": (lambda: t([-1, 2]).relu(), lambda: np.array([0, 2])),
    "abs": (lambda: abs(t(X)), lambda: np.abs(X)),
    "neg": (lambda: -t(X), lambda: -X),
    "sign": (lambda: t(X).sign(), lambda: np.sign(X)),
    "floor": (lambda: t(X).floor(), lambda: np.floor(X)),
    "ceil": (lambda: t(X).ceil(), lambda: np.ceil(X)),
    "round": (lambda: t(X * 4).round(), lambda: np.round(X * 4)),
    "floor of ints": (lambda: t([1, 2]).floor(), lambda: np.array([1, 2])),
    "isnan": (lambda: t([1.0, float("nan")]).isnan(), lambda: np.array([False, True])),
    "isinf": (lambda: t([1.0, float("-inf")]).isinf(), lambda: np.array([False, True])),
    "isfinite": (lambda: t([1.0, float("nan"), float("inf")]).isfinite(), lambda: np.array([True, False, False])),
    "isfinite of ints": (lambda: t([1]).isfinite(), lambda: np.array([True])),
    "logical": (lambda: lucid.logical_and([1, 0], [2, 2]) | lucid.logical_not([1, 1]), lambda: np.array([True, False])),
    "invert": (lambda: ~(t(X) > 0), lambda: ~(X > 0)),
    "invert ints": (lambda: ~t([1, -5]), lambda: ~np.array([1, -5])),
    "bits": (lambda: (t([6, 5]) & 3) ^ t([1, 1]) | 8, lambda: (np.array([6, 5]) & 3) ^ 1 | 8),
    "shift": (lambda: t([1, 2]) << 3 >> 1, lambda: np.array([1, 2]) << 3 >> 1),
    "add": (lambda: t(X) + t(V), lambda: X + V),
    "rsub": (lambda: 1 - t(X), lambda: 1 - X),
    "div": (lambda: t(X) / t(P), lambda: X / P),
    "rdiv": (lambda: 2 / t(P), lambda: 2 / P),
    "floordiv": (lambda: t(X) // 0.5, lambda: X // np.float32(0.5)),
    "mod": (lambda: t(X) % 0.5, lambda: X % np.float32(0.5)),
    "pow": (lambda: t(P) ** 1.5, lambda: P ** np.float32(1.5)),
    "pow 2": (lambda: t(X) ** 2, lambda: X**2),
    "rpow": (lambda: 2 ** t(X), lambda: np.float32(2) ** X),
    "ge": (lambda: t(X) >= 0, lambda: X >= 0),
    "gt reflected": (lambda: t(X) < 0, lambda: X < 0),
    "ne": (lambda: t([1, 2]) != 1, lambda: np.array([False, True])),
    "maximum": (lambda: t(X).maximum(0.1), lambda: np.maximum(X, np.float32(0.1))),
    "minimum": (lambda: lucid.minimum(t(X), t(V)), lambda: np.minimum(X, V)),
    "clip": (lambda: t(X).clip(-0.5, 0.5), lambda: np.clip(X, np.float32(-0.5), np.float32(0.5))),
    "clamp low": (lambda: t(X).clamp(min=0), lambda: np.maximum(X, 0)),
    "clip ints": (lambda: t([1, 5, 9]).clip(2, 6), lambda: np.array([2, 5, 6])),
    "clip ints by floats": (lambda: t([1, 5]).clip(1.5), lambda: np.array([1.5, 5], np.float32)),
    "clip by tensors": (lambda: t(X).clip(max=t(V)), lambda: np.minimum(X, V)),
    "where": (lambda: lucid.where(t(X) > 0, t(X), 0.0), lambda: np.where(X > 0, X, np.float32(0))),
    "astype": (lambda: t(X).astype("int32"), lambda: X.astype(np.int32)),
    "casts": (lambda: t(X).double().float().long().int().bool(), lambda: X.astype(np.int64).astype(bool)),
    "sum": (lambda: t(X).sum(), X.sum),
    "sum axes": (lambda: t(X).sum((0, -1)), lambda: X.sum((0, 2))),
    "sum dim": (lambda: t(X).sum(dim=1, keepdim=True), lambda: X.sum(1, keepdims=True)),
    "mean": (lambda: t(X).mean(-1), lambda: X.mean(-1)),
    "prod": (lambda: t(X).prod(2), lambda: X.prod(2)),
    "max": (lambda: t(X).max(axis=1), lambda: X.max(1)),
    "min": (lambda: t(X).min(), X.min),
    "argmax": (lambda: t(X).argmax(dim=2), lambda: X.argmax(2)),
    "argmin": (lambda: t(X).argmin(), X.argmin),
    "var": (lambda: t(X).var(axis=(0, 1)), lambda: X.var((0, 1))),
    "var unbiased": (lambda: t(X).var(1, correction=1), lambda: X.var(1, ddof=1)),
    "std": (lambda: t(X).std(axis=0, keepdims=True), lambda: X.std(0, keepdims=True)),
    "all": (lambda: lucid.all(t(X) > -9), lambda: np.array(True)),
    "any": (lambda: (t(X) > 1).any(1), lambda: (X > 1).any(1)),
    "all of none": (lambda: lucid.zeros(0, 2).all(0), lambda: np.ones(2, bool)),
    "any of none": (lambda: lucid.zeros(0, 2).any(0), lambda: np.zeros(2, bool)),
    "softmax": (lambda: t(X).softmax(-1), lambda: softmax(X, -1)),
    "log_softmax": (lambda: t(X).log_softmax(dim=1), lambda: np.log(softmax(X, 1))),
    "logsumexp": (lambda: t(X * 100).logsumexp(1), lambda: np.log(np.exp(X.astype(float) * 100).sum(1)).astype("f4")),
    "logsumexp of -inf": (lambda: t([float("-inf")] * 2).logsumexp(), lambda: np.float32("-inf")),
    "matmul": (lambda: t(X) @ t(M), lambda: X @ M),
    "matmul vector": (lambda: t(X) @ t(V), lambda: X @ V),
    "vector matmul": (lambda: t(V) @ t(M), lambda: V @ M),
    "dot": (lambda: t(V).dot(t(V)), lambda: V @ V),
    "outer": (lambda: lucid.outer(t(V), t(V)), lambda: np.outer(V, V)),
    "reshape": (lambda: t(X).reshape(4, -1), lambda: X.reshape(4, -1)),
    "view": (lambda: t(X).view((24,)), lambda: X.reshape(24)),
    "reshape of none": (lambda: lucid.zeros(0, 3).reshape(-1, 3), lambda: np.zeros((0, 3), np.float32)),
    "flatten": (lambda: t(X).flatten(1), lambda: X.reshape(2, 12)),
    "flatten 0-d": (lambda: t(1.0).flatten(), lambda: np.ones(1, np.float32)),
    "squeeze": (lambda: t(X[:1, :, :1]).squeeze(), lambda: X[0, :, 0]),
    "squeeze axis": (lambda: t(X[:1]).squeeze(0), lambda: X[0]),
    "unsqueeze": (lambda: t(X).unsqueeze(-1), lambda: X[..., None]),
    "permute": (lambda: t(X).permute(2, 0, 1), lambda: X.transpose(2, 0, 1)),
    "transpose two": (lambda: t(X).transpose(0, 2), lambda: X.swapaxes(0, 2)),
    "transpose all": (lambda: t(X).transpose(), lambda: X.T),
    "T": (lambda: t(X).T, lambda: X.T),
    "mT": (lambda: t(X).mT, lambda: X.swapaxes(1, 2)),
    "moveaxis": (lambda: t(X).moveaxis(0, -1), lambda: np.moveaxis(X, 0, -1)),
    "expand": (lambda: t(V).expand(2, -1), lambda: np.broadcast_to(V, (2, 4))),
    "broadcast_to": (lambda: t(V).broadcast_to((3, 4)), lambda: np.broadcast_to(V, (3, 4))),
    "flip": (lambda: t(X).flip((0, 2)), lambda: np.flip(X, (0, 2))),
    "tile": (lambda: t(V).tile(2, 3), lambda: np.tile(V, (2, 3))),
    "cat": (lambda: lucid.cat([t(X), t(X[:1])]), lambda: np.concatenate([X, X[:1]])),
    "cat promotes": (lambda: lucid.cat([t([1]), t([1.5])]), lambda: np.array([1.0, 1.5], np.float32)),
    "stack": (lambda: lucid.stack([t(V), t(V)], dim=1), lambda: np.stack([V, V], 1)),
    "pad": (lambda: t(V).pad((1, 2), 5), lambda: np.pad(V, (1, 2), constant_values=5)),
    "pad pairs": (lambda: t(M).pad(((1, 0), (0, 2))), lambda: np.pad(M, ((1, 0), (0, 2)))),
    "pad all": (lambda: t(M).pad(1), lambda: np.pad(M, 1)),
    "split": (lambda: t(X).split(3, dim=2)[1], lambda: X[:, :, 3:]),
    "split sizes": (lambda: t(X).split([1, 3], 2)[1], lambda: X[:, :, 1:]),
    "chunk": (lambda: t(X).chunk(3, -1)[1], lambda: X[:, :, 2:]),
    "take": (lambda: t(X).take([2, -1, 0], 1), lambda: X[:, [2, -1, 0]]),
    "take nothing": (lambda: t(X).take([], 1), lambda: X[:, :0]),
    "one_hot": (lambda: lucid.one_hot([0, 2], 3), lambda: np.eye(3, dtype=np.int64)[[0, 2]]),
    "index_select": (lambda: lucid.index_select(t(X), 1, t([0])), lambda: X[:, [0]]),
}


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_numpy(name: str) -> None:
    ours, theirs = (f() for f in CASES[name])
    wanted = np.asarray(theirs)
    assert ours.shape == wanted.shape
    assert ours.dtype == wanted.dtype
    assert type_of(ours._data) is ours.type  # eager types are inferred types
    np.testing.assert_allclose(ours.numpy(), wanted, rtol=2e-5, atol=1e-6)


INDICES: list[Any] = [
    0, -1, np.int64(1), slice(None), slice(1, None), slice(None, None, -1), slice(3, 0, -2), slice(5, 9),
    slice(-2, None), None, ..., (0, 1), (0, ..., -1), (..., None, 0), (slice(None), 1),
    (1, slice(None, None, 2), slice(None, None, -3)),
    (None, 0, None, slice(1, 1)), [1, 0, 0], np.array([[0, 1], [1, 1]]), (slice(None), [2, -3]), (1, ..., [0, 0]),
    (slice(None, None, -1), None, [0, 2]), (..., [3]), (), (0, 2, 3), (slice(None), slice(None), np.array(1)),
]  # fmt: skip


@pytest.mark.parametrize("key", INDICES, ids=repr)
def test_indexing_agrees_with_numpy(key: Any) -> None:
    ours = t(X)[key]
    # NumPy moves the axis of positions to the front when an int stands apart from it; Lucid leaves it in place.
    if isinstance(key, tuple) and any(isinstance(k, list) for k in key):
        wanted = np.take(X[tuple(slice(None) if isinstance(k, list) else k for k in key)], *_positions(key))
    else:
        wanted = X[key]
    assert ours.shape == wanted.shape
    np.testing.assert_array_equal(ours.numpy(), wanted)


def _positions(key: tuple[Any, ...]) -> tuple[Any, int]:
    """The list in an index, and the axis of the result where it belongs."""
    at = next(k for k, item in enumerate(key) if isinstance(item, list))
    if ... in [k for k in key if not isinstance(k, list)]:
        return key[at], -1
    return key[at], sum(not isinstance(k, int) for k in key[:at])


def test_indexing_by_a_tensor() -> None:
    i = lucid.tensor([1, 0])
    np.testing.assert_array_equal(t(X)[i].numpy(), X[[1, 0]])
    np.testing.assert_array_equal(t(X)[lucid.tensor(1)].numpy(), X[1])
    assert t(X)[[]].shape == (0, 3, 4)


BAD: dict[str, tuple[Callable[[], Any], type[LucidError], tuple[str, ...]]] = {
    "broadcast": (lambda: t(X) + t([1.0, 2.0, 3.0]), ShapeError, ("add", "(2, 3, 4)", "(3,)")),
    "axis": (lambda: t(X).sum(3), ArgumentError, ("sum", "axis=3", "3 dimensions")),
    "dim": (lambda: t(X).argmax(dim=-4), ArgumentError, ("argmax", "dim=-4")),
    "axis type": (lambda: t(X).sum(1.0), ArgumentTypeError, ("sum", "axis=1.0")),
    "axis twice": (lambda: t(X).sum((0, -3)), ArgumentError, ("sum", "twice")),
    "axis and dim": (lambda: t(X).sum(0, dim=1), ArgumentError, ("axis=0", "dim=1")),
    "softmax axis": (lambda: t(X).softmax(), ArgumentError, ("softmax", "axis")),
    "max of none": (lambda: lucid.zeros(0).max(), LucidError, ("max",)),
    "argmax of none": (lambda: lucid.zeros(0).argmax(), LucidError, ("argmax",)),
    "logsumexp of none": (lambda: lucid.zeros(0).logsumexp(), ShapeError, ("logsumexp",)),
    "reshape": (lambda: t(X).reshape(5, 5), ShapeError, ("reshape", "24", "(5, 5)")),
    "reshape -1": (lambda: t(X).reshape(-1, 7), ShapeError, ("reshape", "-1")),
    "reshape two -1": (lambda: t(X).reshape(-1, -1), ShapeError, ("reshape", "-1")),
    "reshape -1 of none": (lambda: lucid.zeros(0).reshape(-1, 0), ShapeError, ("reshape",)),
    "reshape float": (lambda: t(X).reshape(2.0, 12), ArgumentTypeError, ("shape=2.0",)),
    "permute": (lambda: t(X).permute(0, 1), ArgumentError, ("perm",)),
    "transpose": (lambda: t(X).transpose(0, 5), ArgumentError, ("5",)),
    "squeeze": (lambda: t(X).squeeze(axis=1), ShapeError, ("squeeze", "size 3")),
    "unsqueeze": (lambda: t(X).unsqueeze(5), ArgumentError, ("unsqueeze", "axis=5")),
    "flatten": (lambda: t(X).flatten(2, 1), ArgumentError, ("flatten",)),
    "expand": (lambda: t(X).expand(2, 3, 5), ShapeError, ("expand", "(2, 3, 5)")),
    "expand -1": (lambda: t(X).expand(-1, 2, 3, 4), ArgumentError, ("expand", "-1")),
    "cat none": (lambda: lucid.cat([]), ArgumentError, ("concat", "empty")),
    "cat tensor": (lambda: lucid.cat(t(X)), ArgumentTypeError, ("concat", "Tensor")),
    "cat ranks": (lambda: lucid.cat([t(X), t(V)]), ShapeError, ("tensors[1]", "(4,)")),
    "cat sizes": (lambda: lucid.cat([t(X), t(X[:, :2])]), ShapeError, ("tensors[1]", "(2, 2, 4)")),
    "stack": (lambda: lucid.stack([t(X), t(V)]), ShapeError, ("stack", "tensors[1]")),
    "pad": (lambda: t(X).pad(((1, 1), (1, 1))), ArgumentError, ("pad", "pad_width")),
    "pad negative": (lambda: t(V).pad(-1), ArgumentError, ("pad", "negative")),
    "pad value": (lambda: t(V).pad(1, "x"), ArgumentTypeError, ("pad", "value")),
    "split": (lambda: t(X).split([1, 1], 2), ArgumentError, ("split", "add up to 4")),
    "split zero": (lambda: t(X).split(0), ArgumentError, ("split", "sizes=0")),
    "chunk": (lambda: t(X).chunk(0), ArgumentError, ("chunk", "chunks=0")),
    "tile": (lambda: t(X).tile(-1), ArgumentError, ("tile", "-1")),
    "matmul": (lambda: t(X) @ t(X), ShapeError, ("matmul", "(2, 3, 4)")),
    "matmul vector": (lambda: t(X) @ t(V[:3]), ShapeError, ("matmul", "(3,)")),
    "matmul scalar": (lambda: t(X) @ t(1.0), ShapeError, ("matmul", "at least 1")),
    "outer": (lambda: lucid.outer(t(X), t(V)), ShapeError, ("outer", "(2, 3, 4)")),
    "where": (lambda: lucid.where(t(X), 1, 2), DTypeError, ("where", "float32", "bool")),
    "clip": (lambda: t(X).clip("a"), ArgumentTypeError, ("clip", "min")),
    "neg bool": (lambda: -(t(X) > 0), DTypeError, ("neg", "bool")),
    "sub bool": (lambda: (t(X) > 0) - (t(X) > 0), DTypeError, ("sub", "bool")),
    "and floats": (lambda: t(X) & t(X), DTypeError, ("bitwise_and", "float32")),
    "take range": (lambda: t(X).take([3], 1), IndexRangeError, ("take", "3", "axis 1")),
    "take floats": (lambda: t(X).take([0.5], 1), DTypeError, ("take", "float32")),
    "index range": (lambda: t(X)[2], IndexRangeError, ("index 2", "axis 0", "size 2")),
    "index list range": (lambda: t(X)[[0, 5]], IndexRangeError, ("5",)),
    "index many": (lambda: t(X)[0, 0, 0, 0], IndexRangeError, ("4 indices",)),
    "index True": (lambda: t(X)[True], ArgumentTypeError, ("mask",)),
    "index float": (lambda: t(X)[1.5], ArgumentTypeError, ("float", "1.5")),
    "index floats": (lambda: t(X)[[1.5]], DTypeError, ("integers",)),
    "index str": (lambda: t(X)["a"], ArgumentTypeError, ("str",)),
    "index two lists": (lambda: t(X)[[0, 1], [1, 2, 0]], ShapeError, ("(2,)", "(3,)")),
    "index two dots": (lambda: t(X)[..., ...], ArgumentError, ("Ellipsis",)),
    "index step 0": (lambda: t(X)[::0], ArgumentError, ("step",)),
    "index bound": (lambda: t(X)[0.5:], ArgumentTypeError, ("0.5",)),
}


@pytest.mark.parametrize("name", BAD)
def test_misuse_is_named(name: str) -> None:
    use, error, words = BAD[name]
    with pytest.raises(error) as caught:
        use()
    message = str(caught.value)
    for word in (*words, "test_functions.py:"):
        assert word in message
