"""Reading and assigning by every kind of key, against NumPy and PyTorch: values, gradients, eager and compiled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid.errors import IndexRangeError, LucidError, ShapeError, TraceError

X = np.random.default_rng(5).standard_normal((3, 4, 5)).astype(np.float32)
MASK = X > 0.3
ROWS = np.array([[0, 2], [1, 1]])
KEYS: dict[str, Any] = {
    "int": 1,
    "negative": (-1, slice(None), 2),
    "slices": (slice(None, None, 2), slice(3, 0, -2)),
    "none": (None, 1, None, slice(1, 3)),
    "ellipsis": (..., 0),
    "nothing": (slice(2, 2),),
    "everything": ...,
    "list": ([2, 0, 2],),
    "matrix of positions": (slice(None), ROWS),
    "two lists": ([0, 2], [1, 3]),
    "two that broadcast": (np.array([[0], [2]]), np.array([1, -1, 0])),
    "three": ([0, 1], [1, 2], [-1, -5]),
    "apart": ([0, 2], slice(None), [1, 3]),
    "second and third": (slice(1, None), [0, 2], [1, -1]),
    "with a slice behind": ([0, 2], [1, 3], slice(None, None, -1)),
    "with none between": ([0, 1], None, [1, 2]),
    "mask": MASK,
    "mask of rows": np.array([True, False, True]),
    "mask of a later axis": (slice(None), np.array([True, False, False, True])),
    "mask of two axes": MASK[..., 0],
    "mask and positions": (np.array([True, False, True]), [1, 3]),
    "mask of nothing": np.zeros(3, bool),
}
STATIC = [name for name in KEYS if "mask" not in name]


def ours(key: Any) -> Any:
    if isinstance(key, tuple):
        return tuple(map(ours, key))
    return lucid.tensor(key) if isinstance(key, np.ndarray) else key


@pytest.mark.parametrize("name", KEYS)
def test_reading(name: str) -> None:
    x = lucid.tensor(X, requires_grad=True)
    y, wanted = x[ours(KEYS[name])], X[KEYS[name]]
    assert y.shape == wanted.shape
    np.testing.assert_array_equal(y.numpy(), wanted)
    weights = np.random.default_rng(0).standard_normal(wanted.shape).astype(np.float32)
    y.backward(weights)
    gradient = np.zeros_like(X)
    np.add.at(gradient, KEYS[name], weights)
    np.testing.assert_allclose(x.grad.numpy(), gradient, rtol=1e-6)


@pytest.mark.parametrize("name", STATIC)
def test_reading_compiled(name: str) -> None:
    key = ours(KEYS[name])
    x, again = lucid.tensor(X, requires_grad=True), lucid.tensor(X, requires_grad=True)
    y, z = x[key], lucid.compile(lambda x: x[key])(again)
    np.testing.assert_array_equal(y.numpy(), z.numpy())
    (y * y).sum().backward()
    (z * z).sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), again.grad.numpy(), rtol=1e-6)


def values_for(shape: tuple[int, ...]) -> list[np.ndarray]:
    """A number, and values of every shape that broadcasts by one dimension."""
    rng = np.random.default_rng(1)
    shapes = [(), shape, shape[1:], (1, *shape), *[(*shape[:k], 1, *shape[k + 1 :]) for k in range(len(shape))]]
    return [rng.standard_normal(s).astype(np.float32) for s in dict.fromkeys(shapes)]


def assignment(key: Any) -> Any:
    def run(x: lucid.Tensor, value: lucid.Tensor) -> lucid.Tensor:
        y = x * 1
        y[key] = value
        return y

    return run


@pytest.mark.parametrize("name", KEYS)
def test_assigning(name: str) -> None:
    key = KEYS[name]
    for value in values_for(X[key].shape):
        if name == "mask" and value.ndim > 1:
            continue  # NumPy refuses
        wanted = X.copy()
        wanted[key] = value
        x = lucid.tensor(X)
        x[ours(key)] = lucid.tensor(value)
        np.testing.assert_array_equal(x.numpy(), wanted)
        if name in STATIC or name in ("mask", "mask of rows", "mask of two axes"):
            compiled = lucid.compile(assignment(ours(key)))
            np.testing.assert_array_equal(compiled(lucid.tensor(X), lucid.tensor(value)).numpy(), wanted)


@pytest.mark.parametrize("name", KEYS)
def test_gradients_of_assigning(name: str) -> None:
    torch = pytest.importorskip("torch")
    if any(isinstance(k, slice) and (k.step or 1) < 0 for k in np.atleast_1d(np.array(KEYS[name], object)).flat):
        return  # PyTorch has no negative steps
    value = np.random.default_rng(2).standard_normal(X[KEYS[name]].shape)
    weights = np.random.default_rng(3).standard_normal(X.shape)

    def gradients(make: Any, key: Any) -> list[np.ndarray]:
        a, b = make(X.astype(np.float64), requires_grad=True), make(value, requires_grad=True)
        y = a * 2
        y[key] = b * b
        (y * y * make(weights)).sum().backward()
        return [np.zeros(t.shape) if t.grad is None else np.asarray(t.grad) for t in (a, b)]

    def theirs(key: Any) -> Any:
        if isinstance(key, tuple):
            return tuple(map(theirs, key))
        return torch.tensor(key) if isinstance(key, np.ndarray) else key

    found, wanted = gradients(lucid.tensor, ours(KEYS[name])), gradients(torch.tensor, theirs(KEYS[name]))
    distinct = len(np.unique(np.arange(X.size).reshape(X.shape)[KEYS[name]])) == value.size
    for a, b in zip(found, wanted, strict=True):
        if distinct:  # of several values for one place, PyTorch gives all a gradient
            np.testing.assert_allclose(a, b, rtol=1e-9)


def test_the_last_of_several_values_counts() -> None:
    x = lucid.zeros(4)
    x[[1, 3, 1]] = lucid.tensor([1.0, 2.0, 3.0])
    assert x.tolist() == [0, 3, 0, 2]
    assert lucid.index_copy(lucid.zeros(2, 2), 0, lucid.tensor([1, 1]), lucid.eye(2)).tolist() == [[0, 0], [0, 1]]


def test_assigning_keeps_the_dtype_and_older_values() -> None:
    x = lucid.tensor([1, 2, 3])
    before = x + 0
    x[0] = 7
    x[1:] = lucid.tensor([8, 9], dtype=lucid.int32)
    assert (x.tolist(), x.dtype) == ([7, 8, 9], lucid.int64)
    assert before.tolist() == [1, 2, 3]


def test_positions_out_of_range() -> None:
    x = lucid.tensor(X)
    for key in (([0, 3], [0, 0]), ([0, 1], [0, -5]), (slice(None), [4])):
        with pytest.raises(IndexRangeError, match="out of range"):
            x[key]
    at = lucid.tensor([0, 9])
    found = lucid.compile(lambda x: x[at, at])(x).numpy()
    assert np.isnan(found[1]).all()
    np.testing.assert_array_equal(found[0], X[0, 0])


def test_masks_that_do_not_fit() -> None:
    x = lucid.tensor(X)
    for key in (lucid.tensor([True, False]), lucid.tensor(MASK[:2])):
        with pytest.raises(ShapeError, match="mask"):
            x[key]
        with pytest.raises(ShapeError, match="mask"):
            x[key] = 1.0
    with pytest.raises(ShapeError, match="2 values"):
        x[lucid.tensor([True, False, False])] = lucid.zeros(2, 4, 5)
    with pytest.raises(LucidError, match="broadcast"):
        x[0] = lucid.zeros(3)


def test_sizes_that_depend_on_values_are_not_compiled() -> None:
    x, mask = lucid.tensor(X), lucid.tensor(MASK)
    for use in (
        lambda x, m: x[m],
        lucid.masked_select,
        lambda x, m: lucid.nonzero(m),
        lambda x, m: lucid.where(m),
        lambda x, m: lucid.repeat_interleave(x, lucid.sum(m, (1, 2)), 0),
    ):
        with pytest.raises(TraceError, match="not known while a function is compiled"):
            lucid.compile(use)(x, mask)
