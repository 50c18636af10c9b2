"""``x[...]``: ints, slices of either sign, None, Ellipsis, integer positions and masks; take and one_hot.

Positions of a mask are found by looking at its values: a compiled function cannot do that.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lucid import ops
from lucid.eager import Recorded, apply, leaf, mode
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError, LucidError, ShapeError
from lucid.functions.arguments import axis_of, dtype_of, fail, int_of
from lucid.functions.comparison import where
from lucid.functions.movement import reshape
from lucid.ir.types import bool_, int64, is_float, is_integer
from lucid.ops.common import broadcast_shape
from lucid.ops.indexing import wrapped_array
from lucid.promotion import as_tensor, binary, cast, scalar

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["argwhere", "index_select", "nonzero", "one_hot", "take"]


def take(x: Any, indices: Any, axis: int | None = None, *, dim: Any = None) -> Tensor:
    """Elements of ``x`` at integer positions along ``axis`` (None: of the flat tensor); negative ones count backwards.

    Raises:
        IndexRangeError: a position outside the axis.

    >>> import lucid
    >>> lucid.take(lucid.tensor([[1, 2], [3, 4]]), lucid.tensor([0, -1]))
    Tensor([1, 4])
    """
    t = as_tensor(x, "take")
    axis = axis if dim is None else dim
    if axis is None:
        t, axis = reshape(t, -1), 0
    return apply(ops.take, t, _positions(as_tensor(indices, "take")), axis=axis_of("take", axis, t.ndim))


def one_hot(x: Any, classes: int = -1, dtype: object = np.int64, *, num_classes: int | None = None) -> Tensor:
    """A new last axis of ``classes`` places: 1 at the element's value, 0 elsewhere; a value out of range marks none.

    ``num_classes`` is PyTorch's name of ``classes``; -1 is one more than the largest value there is.

    >>> import lucid
    >>> lucid.one_hot(lucid.tensor([1, 0]))
    Tensor([[0, 1],
            [1, 0]])
    """
    x = as_tensor(x, "one_hot")
    count = int_of("one_hot", "classes", classes if num_classes is None else num_classes)
    if count == -1:
        count = int(x._value("one_hot() without a number of classes").max(initial=-1)) + 1
    return apply(ops.one_hot, x, classes=count, dtype=dtype_of("one_hot", dtype))


def _positions(indices: Tensor) -> Tensor:
    if indices.size == 0 and not is_integer(indices.dtype):
        return as_tensor(np.zeros(indices.shape, np.int64))  # an empty list has no dtype of its own
    return indices


def getitem(x: Tensor, key: Any) -> Tensor:
    """``x[key]``."""
    view, axes, positions = basic(x, key)
    if not positions:
        return view
    if len(positions) == 1:
        return apply(ops.take, view, positions[0], axis=axes[0])
    # All indexed axes become one, in front; positions on it are computed from those on each.
    rest = [k for k in range(view.ndim) if k not in axes]
    front = apply(ops.transpose, view, perm=(*axes, *rest))
    sizes = front.shape[: len(axes)]
    flat = reshape(front, (math.prod(sizes), *front.shape[len(axes) :]))
    at = _joined(positions, sizes)
    chosen = apply(ops.take, flat, at, axis=0)
    if axes != list(range(axes[0], axes[0] + len(axes))):
        return chosen  # as in NumPy: with dimensions between those that are indexed, the new ones come first
    order = [*range(at.ndim, at.ndim + axes[0]), *range(at.ndim), *range(at.ndim + axes[0], chosen.ndim)]
    return apply(ops.transpose, chosen, perm=tuple(order))


def _joined(positions: list[Tensor], sizes: tuple[int, ...]) -> Tensor:
    """Positions on several axes as positions on the axis that these make together; out of range stays out of range."""
    wide = [cast(p, int64) for p in positions]
    try:
        shape = broadcast_shape("getitem", *[p.type for p in wide])
    except LucidError as error:
        fail(error)
    total = math.prod(sizes)
    at: Tensor = apply(ops.constant, value=0, shape=shape, dtype=int64)
    outside: Tensor = apply(ops.constant, value=False, shape=shape, dtype=bool_)
    for k, (p, n) in enumerate(zip(wide, sizes, strict=True)):
        if p._data is not None and mode.trace is None:
            try:
                wrapped_array("getitem", p._data, n, k)
            except LucidError as error:
                fail(error)
        p = where(binary("lt", p, 0), p + n, p)
        outside = outside | binary("lt", p, 0) | binary("ge", p, n)
        at = at * n + p
    return where(outside, scalar(total, int64), at)


def basic(x: Tensor, key: Any) -> tuple[Tensor, list[int], list[Tensor]]:
    """What ints, slices and Nones of ``key`` leave of ``x``; the axes of that which positions choose from; these."""
    start, stop, step, shape, flipped, axes, positions = region(x, key)
    y = x
    if start != (0,) * x.ndim or stop != x.shape or step != (1,) * x.ndim:
        y = apply(ops.slice, y, start=start, stop=stop, step=step)
    if flipped:
        y = apply(ops.flip, y, axes=flipped)
    return reshape(y, shape), axes, positions


class Region(NamedTuple):
    """What a key of ints, slices and Nones chooses, and the positions that others name on axes of the result."""

    start: tuple[int, ...]
    stop: tuple[int, ...]
    step: tuple[int, ...]
    #: Of the result, before positions are taken.
    shape: tuple[int, ...]
    #: Axes of ``x`` that are walked backwards.
    flipped: tuple[int, ...]
    axes: list[int]
    positions: list[Tensor]


def region(x: Tensor, key: Any) -> Region:
    """The parts of ``key``, canonical."""
    return _walk(x, _expand(x, key if isinstance(key, tuple) else (key,)))


def _walk(x: Tensor, items: list[Any]) -> Region:
    start: list[int] = []
    stop: list[int] = []
    step: list[int] = []
    flipped: list[int] = []
    shape: list[int] = []
    axes: list[int] = []
    positions: list[Tensor] = []
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
            positions.append(_positions(as_tensor(item)))
            axes.append(len(shape))
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
    return Region(tuple(start), tuple(stop), tuple(step), tuple(shape), tuple(flipped), axes, positions)


def _slice_bounds(item: slice, n: int) -> tuple[int, int, int]:
    parts = [None if p is None else int_of("getitem", "slice bound", p) for p in (item.start, item.stop, item.step)]
    if parts[2] == 0:
        fail(ArgumentError("a slice's step must not be 0", op="getitem"))
    return slice(*parts).indices(n)


def _expand(x: Tensor, key: tuple[Any, ...]) -> list[Any]:
    """Ints, slices, None and integer tensors, one entry per axis of ``x`` besides the Nones."""
    items = [part for item in key for part in _canonical(item)]
    used = sum(item is not None and item is not Ellipsis for item in items)
    if used > x.ndim:
        fail(IndexRangeError(f"{used} indices were given for shape {x.shape}, which has {x.ndim} axes", op="getitem"))
    rest = [slice(None)] * (x.ndim - used)
    ellipses = [k for k, item in enumerate(items) if item is Ellipsis]
    if len(ellipses) > 1:
        fail(ArgumentError("an index can hold only one Ellipsis (...)", op="getitem"))
    at = ellipses[0] if ellipses else len(items)
    result = items[:at] + rest + items[at + 1 :]
    axis = 0
    for k, item in enumerate(result):
        if isinstance(item, _Mask):
            item.check(x, axis)
            result[k] = item.positions
        axis += item is not None
    return result


class _Mask:
    """One axis of a mask: the positions along it of the elements that are true."""

    def __init__(self, mask: Tensor, k: int, positions: Tensor):
        self._mask, self._k, self.positions = mask, k, positions

    def check(self, x: Tensor, axis: int) -> None:
        """Refuse a mask of another size than the axis."""
        if self._mask.shape[self._k] != x.shape[axis]:
            fail(
                ShapeError(
                    f"the mask has shape {self._mask.shape}, but axis {axis} of shape {x.shape} has size "
                    f"{x.shape[axis]}",
                    op="getitem",
                )
            )


def _canonical(item: Any) -> list[Any]:
    """An entry of a key as entries for single axes: a mask is one for each of its dimensions."""
    if item is None or item is Ellipsis or isinstance(item, slice):
        return [item]
    if isinstance(item, bool | np.bool_):
        fail(
            ArgumentTypeError(
                f"cannot index a tensor with {item!r}",
                op="getitem",
                hint="x[None] adds a dimension; a mask is a tensor of bools",
            )
        )
    if isinstance(item, int | np.integer):
        return [int(item)]
    if not isinstance(item, Recorded | np.ndarray | list | tuple):
        fail(ArgumentTypeError(f"cannot index a tensor with {type(item).__name__} {item!r}", op="getitem"))
    indices = as_tensor(item, "getitem")
    if indices.dtype.kind == "b":
        places = nonzero(indices, as_tuple=True)
        return [_Mask(indices, k, p) for k, p in enumerate(places)]
    if is_float(indices.dtype) and indices.size:
        fail(
            DTypeError(
                f"positions have dtype {indices.dtype.name}, but they must be integers",
                op="getitem",
                hint="convert them with .astype(lucid.int64)",
            )
        )
    return [indices]


def nonzero(input: Any, *, as_tuple: bool = False) -> Any:
    """The positions of the elements that are not 0: one row each, or one vector per dimension.

    Raises:
        TraceError: in a compiled function: the size of the result depends on values.

    >>> import lucid
    >>> lucid.nonzero(lucid.tensor([0, 5, 6]))
    Tensor([[1],
            [2]])
    """
    x = as_tensor(input, "nonzero")
    values = x._value("nonzero()")
    places = np.nonzero(np.atleast_1d(values)) if x.ndim or as_tuple else ()
    if as_tuple:
        return tuple([leaf(p.astype(np.int64, copy=False)) for p in places])
    count = np.count_nonzero(values)
    rows = np.stack(places, 1) if places else np.zeros((count, 0))
    return leaf(np.ascontiguousarray(rows, np.int64))


def argwhere(input: Any) -> Tensor:
    """The positions of the elements that are not 0, one row each.

    Raises:
        TraceError: in a compiled function: the size of the result depends on values.

    >>> import lucid
    >>> lucid.argwhere(lucid.tensor([[0, 5], [6, 0]]))
    Tensor([[0, 1],
            [1, 0]])
    """
    return nonzero(input)  # type: ignore[no-any-return]  # a tensor, without as_tuple


def index_select(input: Any, dim: int, index: Any) -> Tensor:
    """The slices of ``input`` at the positions along ``dim`` in the vector ``index``.

    Raises:
        IndexRangeError: a position outside the dimension.
        ShapeError: ``index`` has more than one dimension.

    >>> import lucid
    >>> lucid.index_select(lucid.tensor([[1, 2], [3, 4]]), 1, lucid.tensor([1, 1]))
    Tensor([[2, 2],
            [4, 4]])
    """
    x, at = as_tensor(input, "index_select"), as_tensor(index, "index_select", "index")
    if at.ndim > 1:
        fail(ShapeError(f"index has shape {at.shape}, but it must have at most 1 dimension", op="index_select"))
    if x.ndim == 0:
        axis_of("index_select", dim, 1, "dim")
        return reshape(take(reshape(x, 1), reshape(at, -1), 0), ())
    return take(x, reshape(at, -1), axis_of("index_select", dim, x.ndim, "dim"))
