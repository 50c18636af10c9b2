"""``x[...]``: ints, slices of either sign, None, Ellipsis, and integer positions along one axis; take and one_hot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from lucid import ops
from lucid.eager import Recorded, apply
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError
from lucid.functions.arguments import axis_of, dtype_of, fail, int_of
from lucid.functions.movement import reshape
from lucid.ir.types import is_integer
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["index_select", "one_hot", "take"]


def take(x: Any, indices: Any, axis: int = 0, *, dim: Any = None) -> Tensor:
    """Elements of ``x`` at integer positions along ``axis``; negative positions count from the end.

    Raises:
        IndexRangeError: a position outside the axis.
    """
    x = as_tensor(x, "take")
    axis = axis_of("take", axis if dim is None else dim, x.ndim)
    return apply(ops.take, x, _positions(as_tensor(indices, "take")), axis=axis)


def one_hot(x: Any, classes: int, dtype: object = np.int64) -> Tensor:
    """A new last axis of ``classes`` places: 1 at the element's value, 0 elsewhere; a value out of range marks none."""
    x = as_tensor(x, "one_hot")
    return apply(ops.one_hot, x, classes=int_of("one_hot", "classes", classes), dtype=dtype_of("one_hot", dtype))


def _positions(indices: Tensor) -> Tensor:
    if indices.size == 0 and not is_integer(indices.dtype):
        return as_tensor(np.zeros(indices.shape, np.int64))  # an empty list has no dtype of its own
    return indices


def getitem(x: Tensor, key: Any) -> Tensor:
    """``x[key]``."""
    items = _expand(x, key if isinstance(key, tuple) else (key,))
    start: list[int] = []
    stop: list[int] = []
    step: list[int] = []
    flipped: list[int] = []
    shape: list[int] = []  # of the result, before positions are taken
    positions: Tensor | None = None
    position_axis = 0
    for item in items:
        if item is None:
            shape.append(1)
            continue
        axis = len(start)
        n = x.shape[axis]
        if isinstance(item, slice):
            a, b, s = _slice_bounds(item, n)
            length = len(range(a, b, s))
            if length == 0:
                a, b, s = 0, 0, 1
            elif s < 0:  # the same elements walked forwards, then turned around
                a, b, s = a + (length - 1) * s, a + 1, -s
                flipped.append(axis)
            shape.append(length)
        elif isinstance(item, Recorded):
            if positions is not None:
                _refuse_several()
            positions, position_axis = _positions(as_tensor(item)), len(shape)
            a, b, s = 0, n, 1
            shape.append(n)
        else:
            if not -n <= item < n:
                fail(IndexRangeError(f"index {item} is out of range for axis {axis} of size {n}", op="getitem"))
            a = item % n
            b, s = a + 1, 1
        start.append(a)
        stop.append(b)
        step.append(s)
    y = x
    if tuple(start) != (0,) * x.ndim or tuple(stop) != x.shape or tuple(step) != (1,) * x.ndim:
        y = apply(ops.slice, y, start=tuple(start), stop=tuple(stop), step=tuple(step))
    if flipped:
        y = apply(ops.flip, y, axes=tuple(flipped))
    y = reshape(y, tuple(shape))
    return y if positions is None else apply(ops.take, y, positions, axis=position_axis)


def _slice_bounds(item: slice, n: int) -> tuple[int, int, int]:
    parts = [None if p is None else int_of("getitem", "slice bound", p) for p in (item.start, item.stop, item.step)]
    if parts[2] == 0:
        fail(ArgumentError("a slice's step must not be 0", op="getitem"))
    return slice(*parts).indices(n)


def _expand(x: Tensor, key: tuple[Any, ...]) -> list[Any]:
    """Ints, slices, None and at most one tensor, one entry per axis of ``x`` besides the Nones."""
    items = [_canonical(item) for item in key]
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > x.ndim:
        fail(IndexRangeError(f"{used} indices were given for shape {x.shape}, which has {x.ndim} axes", op="getitem"))
    rest = [slice(None)] * (x.ndim - used)
    ellipses = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(ellipses) > 1:
        fail(ArgumentError("an index can hold only one Ellipsis (...)", op="getitem"))
    at = ellipses[0] if ellipses else len(items)
    return items[:at] + rest + items[at + 1 :]


def _canonical(item: Any) -> Any:
    if item is None or item is Ellipsis or isinstance(item, slice):
        return item
    if isinstance(item, bool | np.bool_):
        _refuse_mask()
    if isinstance(item, int | np.integer):
        return int(item)
    if not isinstance(item, Recorded | np.ndarray | list):
        fail(ArgumentTypeError(f"cannot index a tensor with {type(item).__name__} {item!r}", op="getitem"))
    indices = as_tensor(item, "getitem")
    if indices.dtype.kind == "b":
        _refuse_mask()
    if indices.dtype.kind == "f" and indices.size:
        fail(
            DTypeError(
                f"positions have dtype {indices.dtype.name}, but they must be integers",
                op="getitem",
                hint="convert them with .astype(lucid.int64)",
            )
        )
    return indices


def _refuse_mask() -> NoReturn:
    fail(
        ArgumentTypeError(
            "a tensor cannot be indexed with a bool mask: the result's shape would depend on values",
            op="getitem",
            hint="use lucid.where(mask, x, other), or multiply by the mask",
        )
    )


def _refuse_several() -> NoReturn:
    fail(
        ArgumentError(
            "only one axis can be indexed by positions at a time",
            op="getitem",
            hint="index twice, x[i][:, j]; for one element per row use (x * lucid.one_hot(i, n, x.dtype)).sum(-1)",
        )
    )


def index_select(x: Any, axis: int, indices: Any) -> Tensor:
    """PyTorch's order of arguments for ``take``."""
    return take(x, indices, axis)
