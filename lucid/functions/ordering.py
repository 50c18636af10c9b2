"""Sorted order and what is read off it. NaN counts as larger than every number, as in NumPy and PyTorch.

``unique`` gives a result whose size depends on values: it cannot be part of a compiled function. Orderings can; there
they cost the square of the number of elements along the dimension (``lucid.ops.along``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lucid import ops
from lucid.eager import apply, leaf
from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import axis_of, fail, int_of, number_of
from lucid.functions.comparison import isnan, logical_not, where
from lucid.functions.movement import reshape, squeeze, stretch
from lucid.functions.reductions import any, sum
from lucid.ir.types import int32, int64, is_float, is_integer
from lucid.promotion import as_tensor, binary, cast, python_number, scalar, together

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "argsort", "bincount", "bucketize", "histc", "isin", "kthvalue", "median", "mode", "msort", "nanmedian",
    "nanquantile", "quantile", "searchsorted", "sort", "topk", "unique", "unique_consecutive",
]  # fmt: skip


class Ordered(NamedTuple):
    """Elements in some order, and where each was."""

    values: Tensor
    indices: Tensor


def _order(op: str, input: Any, dim: Any, descending: bool) -> tuple[Tensor, Tensor, int]:
    """The operand with at least one dimension, the positions of its elements in order, and the axis."""
    x = as_tensor(input, op)
    axis = axis_of(op, dim, builtin_max(x.ndim, 1), "dim")
    x = reshape(x, 1) if x.ndim == 0 else x
    rank = apply(ops.rank, apply(ops.stop_gradient, x), axis=axis, descending=bool(descending))
    place = apply(ops.iota, axis=axis, shape=x.shape, dtype=int64)
    nothing = apply(ops.constant, value=0, shape=x.shape, dtype=int64)
    return x, apply(ops.scatter_along, nothing, rank, place, axis=axis, kind="sum"), axis


def builtin_max(a: int, b: int) -> int:
    return a if a > b else b


def argsort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = True) -> Tensor:
    """The positions of the elements along ``dim`` in sorted order, as int64. Equal elements keep their order.

    Raises:
        ArgumentError: ``dim`` is not there.

    >>> import lucid
    >>> lucid.argsort(lucid.tensor([3, 1, 2]))
    Tensor([1, 2, 0])
    """
    return reshape(_order("argsort", input, dim, descending)[1], as_tensor(input).shape)


def sort(input: Any, dim: int = -1, descending: bool = False, *, stable: bool = True) -> Ordered:
    """The elements along ``dim`` in sorted order, and their positions. Equal elements keep their order.

    Returns:
        ``values`` and ``indices`` of ``input``'s shape.

    >>> import lucid
    >>> lucid.sort(lucid.tensor([3.0, 1.0, 2.0])).indices
    Tensor([1, 2, 0])
    """
    x, order, axis = _order("sort", input, dim, descending)
    shape = as_tensor(input).shape
    return Ordered(reshape(apply(ops.take_along, x, order, axis=axis), shape), reshape(order, shape))


def msort(input: Any) -> Tensor:
    """The elements along the first dimension in ascending order.

    >>> import lucid
    >>> lucid.msort(lucid.tensor([[3, 1], [2, 4]]))
    Tensor([[2, 1],
            [3, 4]])
    """
    return sort(input, 0)[0]


def topk(input: Any, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Ordered:
    """The ``k`` largest (or smallest) elements along ``dim``, largest (or smallest) first, and their positions.

    Raises:
        ArgumentError: there are fewer than ``k`` elements, or ``k`` is negative.

    >>> import lucid
    >>> lucid.topk(lucid.tensor([3.0, 1.0, 2.0]), 2).values
    Tensor([3.0, 2.0])
    """
    x, order, axis = _order("topk", input, dim, largest)
    count = int_of("topk", "k", k)
    if not 0 <= count <= x.shape[axis]:
        fail(ArgumentError(f"k={count} must lie in 0 .. {x.shape[axis]}, the size of dim {axis}", op="topk"))
    chosen = stretch(order, axis, 0, count)
    values = apply(ops.take_along, x, chosen, axis=axis)
    if as_tensor(input).ndim:
        return Ordered(values, chosen)
    shape = (count,) if count == 0 else ()
    return Ordered(reshape(values, shape), reshape(chosen, shape))


def kthvalue(input: Any, k: int, dim: int = -1, keepdim: bool = False) -> Ordered:
    """The ``k``-th smallest element along ``dim``, counted from 1, and its position.

    Raises:
        ArgumentError: ``k`` is not the number of an element.

    >>> import lucid
    >>> lucid.kthvalue(lucid.tensor([30, 10, 20]), 2)
    Ordered(values=Tensor(20), indices=Tensor(2))
    """
    x, order, axis = _order("kthvalue", input, dim, False)
    number = int_of("kthvalue", "k", k)
    if not 1 <= number <= x.shape[axis]:
        fail(ArgumentError(f"k={number} must lie in 1 .. {x.shape[axis]}, the size of dim {axis}", op="kthvalue"))
    return _chosen(x, stretch(order, axis, number - 1, number), axis, keepdim, as_tensor(input).ndim)


def _chosen(x: Tensor, position: Tensor, axis: int, keepdim: bool, ndim: int) -> Ordered:
    """The one element along ``axis`` at ``position``, which has size 1 there."""
    both = apply(ops.take_along, x, position, axis=axis), position
    if ndim == 0:
        return Ordered(*[reshape(t, ()) for t in both])
    return Ordered(*both) if keepdim else Ordered(*[squeeze(t, axis=axis) for t in both])


def median(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """The middle element in sorted order, the lower of two; NaN if there is one.

    With ``dim``, that of each row along it, and its position; without, that of all elements (NaN of none).

    >>> import lucid
    >>> lucid.median(lucid.tensor([4.0, 1.0, 3.0, 2.0]))
    Tensor(2.0)
    """
    return _median("median", input, dim, keepdim)


def nanmedian(input: Any, dim: int | None = None, keepdim: bool = False) -> Any:
    """As ``median`` of the elements that are not NaN; NaN if there are none.

    Raises:
        ArgumentError: ``dim`` is not there.

    >>> import lucid
    >>> lucid.nanmedian(lucid.tensor([3.0, float("nan"), 1.0]))
    Tensor(1.0)
    """
    return _median("nanmedian", input, dim, keepdim)


def _median(op: str, input: Any, dim: Any, keepdim: bool) -> Any:
    x = as_tensor(input, op)
    if dim is None:
        flat = reshape(x, -1)
        if x.size == 0:
            return _full_of_nan(op, x)
        return _median(op, flat, 0, False)[0]
    rows, order, axis = _order(op, x, dim, False)
    n = rows.shape[axis]
    if n == 0:
        fail(ShapeError(f"there are no elements along dim={dim} of shape {x.shape}", op=op))
    if not is_float(x.dtype):
        return _chosen(rows, stretch(order, axis, (n - 1) // 2, (n + 1) // 2), axis, keepdim, x.ndim)
    missing = sum(cast(isnan(rows), int64), axis=axis, keepdims=True)  # NaN comes last
    if op == "median":
        at = where(missing > 0, n - missing, (n - 1) // 2)
    else:
        at = binary("maximum", n - missing - 1, 0) // 2
    return _chosen(rows, apply(ops.take_along, order, at, axis=axis), axis, keepdim, x.ndim)


def _full_of_nan(op: str, x: Tensor) -> Tensor:
    if not is_float(x.dtype):
        fail(ShapeError(f"there are no elements in shape {x.shape}", op=op))
    return apply(ops.constant, value=float("nan"), shape=(), dtype=x.dtype)


def mode(input: Any, dim: int = -1, keepdim: bool = False) -> Ordered:
    """The most frequent element along ``dim``, of ties the smallest, and its last position.

    Raises:
        ShapeError: there are no elements along ``dim``.
        ArgumentError: ``dim`` is not there.

    >>> import lucid
    >>> lucid.mode(lucid.tensor([1, 2, 2, 3]))
    Ordered(values=Tensor(2), indices=Tensor(2))
    """
    rows, order, axis = _order("mode", input, dim, False)
    n = rows.shape[axis]
    if n == 0:
        fail(ShapeError(f"there are no elements along dim={dim} of shape {rows.shape}", op="mode"))
    ordered = apply(ops.take_along, apply(ops.stop_gradient, rows), order, axis=axis)
    end = axis + 1
    column = reshape(ordered, (*rows.shape[:end], 1, *rows.shape[end:]))
    row = reshape(ordered, (*rows.shape[:axis], 1, *rows.shape[axis:]))
    counts = sum(cast(binary("eq", column, row), int64), axis=end)
    best = apply(ops.argmax, counts, axis=axis, keepdims=True)  # the first of the most frequent in sorted order
    last = best + binary("maximum", apply(ops.take_along, counts, best, axis=axis) - 1, 0)
    return _chosen(rows, apply(ops.take_along, order, last, axis=axis), axis, keepdim, as_tensor(input).ndim)


_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """The values below which shares ``q`` of the elements along ``dim`` (None: of all) lie; NaN if there is a NaN.

    Args:
        q: a number from 0 to 1, or a tensor of such of at most one dimension, which becomes the result's first.
        interpolation: what lies between two elements: 'linear', 'lower', 'higher', 'midpoint' or 'nearest'.

    Raises:
        DTypeError: ``input`` is not floating, or ``q`` has another dtype.
        ShapeError: there are no elements, or ``q`` has more than one dimension.
        ArgumentError: another interpolation, or a number ``q`` out of range.

    >>> import lucid
    >>> lucid.quantile(lucid.tensor([1.0, 2.0, 3.0, 4.0]), 0.5)
    Tensor(2.5)
    """
    return _quantile("quantile", input, q, dim, keepdim, interpolation)


def nanquantile(
    input: Any, q: Any, dim: int | None = None, keepdim: bool = False, *, interpolation: str = "linear"
) -> Tensor:
    """As ``quantile`` of the elements that are not NaN; NaN if there are none.

    Raises:
        DTypeError: ``input`` is not floating.
        ArgumentError: ``q`` outside 0 .. 1, an unknown ``interpolation``, or a dimension that is not there.

    >>> import lucid
    >>> lucid.nanquantile(lucid.tensor([1.0, float("nan"), 3.0]), 0.5)
    Tensor(2.0)
    """
    return _quantile("nanquantile", input, q, dim, keepdim, interpolation)


def _quantile(op: str, input: Any, q: Any, dim: Any, keepdim: bool, interpolation: str) -> Tensor:
    x = as_tensor(input, op)
    if not is_float(x.dtype):
        fail(DTypeError(f"input has dtype {x.dtype.name}, but it must be floating", op=op))
    if interpolation not in _INTERPOLATIONS:
        names = ", ".join(map(repr, _INTERPOLATIONS))
        fail(ArgumentError(f"interpolation={interpolation!r} must be one of {names}", op=op))
    number = python_number(q)
    shares = as_tensor(q, op, "q") if number is None else scalar(number_of(op, "q", number, 0, 1), x.dtype)
    if shares.ndim > 1:
        fail(ShapeError(f"q has shape {shares.shape}, but it must have at most 1 dimension", op=op))
    if shares.dtype != x.dtype:
        fail(DTypeError(f"q has dtype {shares.dtype.name}, but input has {x.dtype.name}", op=op))
    axis = 0 if dim is None else axis_of(op, dim, builtin_max(x.ndim, 1), "dim")
    rows = reshape(x, -1) if dim is None or x.ndim == 0 else x
    if rows.shape[axis] == 0:
        fail(ShapeError(f"there are no elements along dim={dim} of shape {x.shape}", op=op))
    rows = apply(ops.transpose, rows, perm=(*[k for k in range(rows.ndim) if k != axis], axis))
    ordered = sort(rows, -1)[0]
    n = rows.shape[-1]
    missing = sum(cast(isnan(rows), int64), axis=-1, keepdims=True)
    last = cast(n - 1 - missing if op == "nanquantile" else missing * 0 + n - 1, x.dtype)
    place = binary("maximum", last, 0) * reshape(shares, -1)
    low = apply(ops.floor, place)
    if interpolation == "nearest":
        low = place = apply(ops.round, place)
    elif interpolation == "lower":
        place = low
    elif interpolation == "higher":
        low = place = apply(ops.ceil, place)
    high = apply(ops.ceil, place)
    first, second = (apply(ops.take_along, ordered, cast(p, int64), axis=rows.ndim - 1) for p in (low, high))
    weight = scalar(0.5, x.dtype) if interpolation == "midpoint" else place - low
    found = first + (second - first) * weight if interpolation in ("linear", "midpoint") else first
    absent = missing > 0 if op == "quantile" else binary("eq", missing, n)
    found = where(absent, scalar(float("nan"), x.dtype), found)
    found = apply(ops.transpose, found, perm=(found.ndim - 1, *range(found.ndim - 1)))
    if keepdim:
        kept = (1,) * x.ndim if dim is None else tuple([1 if k == axis else m for k, m in enumerate(x.shape)])
        found = reshape(found, (found.shape[0], *kept))
    return found if shares.ndim else reshape(found, found.shape[1:])


# --- counting ---


def searchsorted(
    sorted_sequence: Any, input: Any, *, out_int32: bool = False, right: bool = False, side: str | None = None,
    sorter: Any = None,
) -> Tensor:  # fmt: skip
    """How many elements of ``sorted_sequence`` come before each of ``input``: where it would be put in.

    Args:
        sorted_sequence: ascending along the last dimension; its other dimensions are ``input``'s, unless it has one.
        right: count equal elements too. ``side`` is another name: 'left' or 'right'.
        sorter: the positions that put ``sorted_sequence`` in order.
        out_int32: give int32 instead of int64.

    Raises:
        ShapeError: the leading dimensions differ.
        ArgumentError: another side, or one that contradicts ``right``.

    >>> import lucid
    >>> lucid.searchsorted(lucid.tensor([1, 3, 5]), lucid.tensor([3, 6]))
    Tensor([1, 3])
    """
    op = "searchsorted"
    if side not in (None, "left", "right") or (side == "left" and right):
        fail(ArgumentError(f"side={side!r} must be 'left' or 'right', in agreement with right={right}", op=op))
    places = as_tensor(sorted_sequence, op, "sorted_sequence")
    number = python_number(input)
    values = as_tensor(input, op) if number is None else scalar(number, places.dtype, op)
    if places.ndim == 0 or (places.ndim > 1 and places.shape[:-1] != values.shape[:-1]):
        fail(ShapeError(f"sorted_sequence has shape {places.shape}, but input has {values.shape}", op=op))
    if sorter is not None:
        places = apply(ops.take_along, places, as_tensor(sorter, op, "sorter"), axis=places.ndim - 1)
    rows, sought = together(places, values, op)
    n = rows.shape[-1]
    low = apply(ops.constant, value=0, shape=sought.shape, dtype=int64)
    high = apply(ops.constant, value=n, shape=sought.shape, dtype=int64)
    for _ in range(n.bit_length()):
        middle = (low + high) >> 1
        at = binary("minimum", middle, n - 1)
        element = apply(ops.take, rows, at, axis=0) if rows.ndim == 1 else apply(
            ops.take_along, rows, at, axis=rows.ndim - 1
        )  # fmt: skip
        before = logical_not(binary("gt" if right or side == "right" else "ge", element, sought))  # NaN is after all
        more = low < high
        low, high = where(more & before, middle + 1, low), where(before, high, middle)
    return cast(low, int32) if out_int32 else low


def bucketize(input: Any, boundaries: Any, *, out_int32: bool = False, right: bool = False) -> Tensor:
    """For each element, how many ``boundaries`` (ascending, one dimension) come before it.

    Raises:
        ShapeError: ``boundaries`` are no vector.

    >>> import lucid
    >>> lucid.bucketize(lucid.tensor([1, 3, 9]), lucid.tensor([2, 4]))
    Tensor([0, 1, 2])
    """
    return searchsorted(boundaries, input, out_int32=out_int32, right=right)


def bincount(input: Any, weights: Any = None, minlength: int = 0) -> Tensor:
    """How often each number from 0 on occurs; with ``weights``, the sums of what belongs to each.

    Raises:
        TraceError: in a compiled function: the size of the result depends on values.
        DTypeError, ShapeError, ArgumentError: ``input`` is not a vector of integers that are not negative.

    >>> import lucid
    >>> lucid.bincount(lucid.tensor([0, 2, 2]))
    Tensor([1, 0, 2])
    """
    x = as_tensor(input, "bincount")
    least = int_of("bincount", "minlength", minlength)
    if not is_integer(x.dtype):
        fail(DTypeError(f"input has dtype {x.dtype.name}, but it must be an integer", op="bincount"))
    if x.ndim != 1 or least < 0:
        fail(ShapeError(f"input has shape {x.shape}, but it must have 1 dimension; minlength={least}", op="bincount"))
    values = x._value("bincount()")
    if x.size and values.min() < 0:
        fail(ArgumentError(f"input holds {values.min()}, but no number may be negative", op="bincount"))
    size = builtin_max(int(values.max(initial=-1)) + 1, least)
    if size == 0:
        return apply(ops.constant, value=0, shape=(0,), dtype=int64)
    if weights is None:
        counted: Tensor = apply(ops.constant, value=1, shape=x.shape, dtype=int64)
    else:
        counted = as_tensor(weights, "bincount", "weights")
        counted = counted if is_float(counted.dtype) else cast(counted, np.dtype(np.float64))
        if counted.shape != x.shape:
            fail(ShapeError(f"weights have shape {counted.shape}, but input has {x.shape}", op="bincount"))
    return apply(ops.scatter_add, counted, x, axis=0, size=size)


def histc(input: Any, bins: int = 100, min: float = 0, max: float = 0) -> Tensor:
    """How many elements lie in each of ``bins`` equal parts of ``min .. max`` (if equal, of the elements' range).

    Raises:
        ArgumentError: no bins, or ``max`` below ``min``.
        DTypeError: ``input`` is not floating.

    >>> import lucid
    >>> lucid.histc(lucid.tensor([1.0, 2.0, 1.5]), 2, 1, 2)
    Tensor([1.0, 2.0])
    """
    x = as_tensor(input, "histc")
    count = int_of("histc", "bins", bins)
    low, high = number_of("histc", "min", min), number_of("histc", "max", max)
    if count < 1 or high < low:
        fail(ArgumentError(f"bins={count} must be at least 1, and min={min} not above max={max}", op="histc"))
    if not is_float(x.dtype):
        fail(DTypeError(f"input has dtype {x.dtype.name}, but it must be floating", op="histc"))
    flat = apply(ops.stop_gradient, reshape(x, -1))
    if x.size == 0:
        return apply(ops.constant, value=0.0, shape=(count,), dtype=x.dtype)
    first, end = scalar(low, x.dtype), scalar(high, x.dtype)
    if low == high:
        first, end = _ends(flat)
    same = binary("eq", first, end)
    first, end = where(same, first - 1.0, first), where(same, end + 1.0, end)
    inside = (flat >= first) & (flat <= end)
    place = apply(ops.floor, (flat - first) / (end - first) * float(count))
    index = where(inside, cast(binary("minimum", where(inside, place, scalar(0.0, x.dtype)), count - 1), int64), count)
    counts = apply(ops.scatter_add, cast(inside, x.dtype), index, axis=0, size=count + 1)
    return stretch(counts, 0, 0, count)


def _ends(x: Tensor) -> tuple[Tensor, Tensor]:
    return apply(ops.min, x, axes=(0,), keepdims=False), apply(ops.max, x, axes=(0,), keepdims=False)


def isin(elements: Any, test_elements: Any, *, assume_unique: bool = False, invert: bool = False) -> Tensor:
    """True where an element of ``elements`` is one of ``test_elements``; with ``invert``, where it is none.

    >>> import lucid
    >>> lucid.isin(lucid.tensor([1, 2, 3]), lucid.tensor([2, 5]))
    Tensor([False, True, False])
    """
    if python_number(elements) is not None:
        elements = as_tensor(elements)
    a, b = together(elements, test_elements, "isin")
    found = any(binary("eq", reshape(a, (*a.shape, 1)), reshape(b, -1)), axis=-1)
    return logical_not(found) if invert else found


# --- results whose size depends on values ---


def unique(
    input: Any, sorted: bool = True, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The distinct elements (or slices along ``dim``), ascending; with their inverse positions and counts if asked for.

    Raises:
        TraceError: in a compiled function: the size of the result depends on values.

    >>> import lucid
    >>> lucid.unique(lucid.tensor([3, 1, 3]))
    Tensor([1, 3])
    """
    x = as_tensor(input, "unique")
    axis = None if dim is None else axis_of("unique", dim, x.ndim, "dim")
    found, inverse, counts = np.unique(
        x._value("unique()"), return_inverse=True, return_counts=True, axis=axis, equal_nan=False
    )
    shape = x.shape if axis is None else (x.shape[axis],)
    return _several(found, inverse.reshape(shape) if return_inverse else None, counts if return_counts else None)


def unique_consecutive(
    input: Any, return_inverse: bool = False, return_counts: bool = False, dim: int | None = None
) -> Any:
    """The elements (or slices along ``dim``) that differ from the one before, in their order.

    Raises:
        TraceError: in a compiled function: the size of the result depends on values.

    >>> import lucid
    >>> lucid.unique_consecutive(lucid.tensor([1, 1, 2, 1]))
    Tensor([1, 2, 1])
    """
    x = as_tensor(input, "unique_consecutive")
    values = x._value("unique_consecutive()")
    axis = 0 if dim is None else axis_of("unique_consecutive", dim, x.ndim, "dim")
    rows = values.reshape(-1) if dim is None else np.moveaxis(values, axis, 0)
    new = np.ones(rows.shape[0], bool)
    new[1:] = (rows[1:] != rows[:-1]).any(tuple(range(1, rows.ndim)))
    groups = np.cumsum(new) - 1
    shape = x.shape if dim is None else (x.shape[axis],)
    counts = np.bincount(groups, minlength=0).astype(np.int64)
    found = rows[new] if dim is None else np.moveaxis(rows[new], 0, axis)
    return _several(found, groups.reshape(shape) if return_inverse else None, counts if return_counts else None)


def _several(*arrays: Any) -> Any:
    tensors = tuple([leaf(np.ascontiguousarray(a) if a.ndim else a) for a in arrays if a is not None])
    return tensors[0] if len(tensors) == 1 else tensors
