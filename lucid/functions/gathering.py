"""Elements by index tensors of their own rank: gather and the scatters, and their forms that index whole slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import Recorded, apply
from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import axis_of, fail, named
from lucid.functions.arranging import broadcast_shapes
from lucid.functions.comparison import where
from lucid.functions.creation import empty
from lucid.functions.movement import broadcast_to, concat, reshape, stretch
from lucid.ir.expr import identity
from lucid.ir.types import bool_, int64, is_float
from lucid.promotion import as_tensor, binary, cast, python_number, scalar

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "gather", "index_add", "index_copy", "index_fill", "index_reduce", "scatter", "scatter_add", "scatter_reduce",
    "take_along_dim",
]  # fmt: skip

_KINDS = {"sum": "sum", "add": "sum", "prod": "prod", "multiply": "prod", "amax": "max", "amin": "min", "mean": "sum"}


def gather(input: Any, dim: int, index: Any, *, sparse_grad: bool = False) -> Tensor:
    """For each element of ``index``, the element of ``input`` that it names along ``dim``, at the same other places.

    Args:
        index: int64 of ``input``'s rank, in no other dimension than ``dim`` larger than ``input``.
        sparse_grad: of no effect.

    Raises:
        ShapeError, DTypeError: ``index`` does not fit.
        IndexRangeError: an index outside the dimension. Compiled code, which cannot raise, gives NaN there.

    >>> import lucid
    >>> lucid.gather(lucid.tensor([[1, 2], [3, 4]]), 1, lucid.tensor([[0], [1]]))
    Tensor([[1],
            [4]])
    """
    if as_tensor(index).size == 0:
        return empty(as_tensor(index).shape, dtype=as_tensor(input).dtype)
    x, at, axis = _along("gather", input, dim, index)
    x = _trimmed(x, at.shape, axis)
    with named("gather"):
        return reshape(apply(ops.take_along, x, at, axis=axis), as_tensor(index).shape)


def take_along_dim(input: Any, indices: Any, dim: int | None = None) -> Tensor:
    """As ``gather``, but the other dimensions broadcast; None takes both flat.

    Raises:
        IndexRangeError: a position outside the dimension.
        DTypeError: ``indices`` are not integers.
        ShapeError: not as many dimensions, or shapes that do not broadcast.

    >>> import lucid
    >>> lucid.take_along_dim(lucid.tensor([[3, 1, 2]]), lucid.tensor([[1, 2, 0]]), 1)
    Tensor([[1, 2, 3]])
    """
    op = "take_along_dim"
    x, at = as_tensor(input, op), as_tensor(indices, op, "indices")
    if dim is None:
        with named(op):
            return gather(reshape(x, -1), 0, reshape(at, -1))
    if x.ndim != at.ndim:
        fail(ShapeError(f"indices have {at.ndim} dimensions, input has {x.ndim}", op=op))
    axis = axis_of(op, dim, x.ndim, "dim")
    with named(op):
        shape = broadcast_shapes(_without(x.shape, axis), _without(at.shape, axis))

    def spread(t: Tensor) -> Tensor:
        return broadcast_to(t, (*shape[:axis], t.shape[axis], *shape[axis:]))

    with named(op):
        return gather(spread(x), axis, spread(at))


def _without(shape: tuple[int, ...], axis: int) -> tuple[int, ...]:
    return shape[:axis] + shape[axis + 1 :]


def _along(op: str, input: Any, dim: Any, index: Any) -> tuple[Tensor, Tensor, int]:
    """The operands with at least one dimension, and the axis counted from the front."""
    x, at = as_tensor(input, op), as_tensor(index, op, "index")
    axis = axis_of(op, dim, max(x.ndim, 1), "dim")
    if at.size == 0 and is_float(at.dtype):
        at = cast(at, int64)  # an empty list has no dtype of its own
    if at.dtype.kind not in "iu":
        fail(
            DTypeError(
                f"index has dtype {at.dtype.name}, but places are integers",
                op=op,
                hint="convert it with index.astype(lucid.int64)",
            )
        )
    if max(x.ndim, 1) != max(at.ndim, 1):
        fail(ShapeError(f"index has shape {at.shape}, but it must have {x.ndim} dimensions as input", op=op))
    return (reshape(x, 1) if x.ndim == 0 else x), (reshape(at, 1) if at.ndim == 0 else at), axis


def _trimmed(x: Tensor, shape: tuple[int, ...], axis: int | None) -> Tensor:
    """``x`` cut to ``shape`` in every dimension but ``axis``."""
    for k, n in enumerate(shape):
        if k != axis and n < x.shape[k]:
            x = stretch(x, k, 0, n)
    return x


def scatter_reduce(input: Any, dim: int, index: Any, src: Any, reduce: str, *, include_self: bool = True) -> Tensor:
    """``input`` combined, at the places along ``dim`` that ``index`` names, with the elements of ``src`` there.

    Args:
        index: int64 of ``input``'s rank, nowhere larger than ``src``, nor, but along ``dim``, than ``input``.
        reduce: 'sum', 'prod', 'mean', 'amax' or 'amin'.
        include_self: whether ``input``'s own element takes part where some element of ``src`` arrives.

    Raises:
        ShapeError, DTypeError, ArgumentError: arguments that do not fit.
        IndexRangeError: an index outside the dimension.

    >>> import lucid
    >>> lucid.scatter_reduce(lucid.tensor([1, 1, 1]), 0, lucid.tensor([0, 0]), lucid.tensor([3, 4]), "sum")
    Tensor([8, 1, 1])
    """
    op = "scatter_reduce"
    x, at, axis = _along(op, input, dim, index)
    if reduce not in _KINDS:
        fail(ArgumentError(f"reduce={reduce!r} must be 'sum', 'prod', 'mean', 'amax' or 'amin'", op=op))
    kind = _KINDS[reduce]
    source = _source(op, x, at, src)
    base = whole = _trimmed(x, at.shape, axis)
    arrivals = None
    if reduce == "mean" or not include_self:
        ones = apply(ops.constant, value=1, shape=at.shape, dtype=int64)
        none = apply(ops.constant, value=0, shape=base.shape, dtype=int64)
        arrivals = apply(ops.scatter_along, none, at, ones, axis=axis, kind="sum")
        if not include_self:
            neutral = identity(kind, x.dtype).value
            base = where(binary("gt", arrivals, 0), scalar(neutral, x.dtype), base)
    result = apply(ops.scatter_along, base, at, source, axis=axis, kind=kind)
    if reduce == "mean" and arrivals is not None:
        count = cast(arrivals + int(include_self), x.dtype)
        count = where(binary("eq", count, 0), scalar(1, x.dtype), count)
        result = binary("div" if is_float(x.dtype) else "floordiv", result, count)
    return reshape(_put_back(x, whole, result, axis), as_tensor(input).shape)


def _source(op: str, x: Tensor, at: Tensor, src: Any) -> Tensor:
    """What is scattered, of ``at``'s shape and ``x``'s dtype; a number goes everywhere."""
    number = python_number(src)
    if number is not None:
        return broadcast_to(scalar(number, x.dtype, op), at.shape)
    source = as_tensor(src, op, "src")
    if source.dtype != x.dtype:
        fail(DTypeError(f"src has dtype {source.dtype.name}, but input has {x.dtype.name}", op=op))
    if source.ndim == 0:
        source = reshape(source, 1)
    if source.ndim != at.ndim or any(n > m for n, m in zip(at.shape, source.shape, strict=True)):
        fail(ShapeError(f"src has shape {source.shape}, which index of shape {at.shape} exceeds", op=op))
    return _trimmed(source, at.shape, None)


def _put_back(x: Tensor, part: Tensor, changed: Tensor, axis: int) -> Tensor:
    """``x`` with its leading ``part`` replaced by ``changed``."""
    for k in range(x.ndim):
        have, want = changed.shape[k], x.shape[k]
        if have < want:
            # What lies beyond in this dimension, of what is not yet complete in those that follow.
            rest = stretch(x, k, have, want)
            for j in range(k + 1, x.ndim):
                rest = stretch(rest, j, 0, changed.shape[j]) if changed.shape[j] < rest.shape[j] else rest
            changed = concat([changed, rest], k)
    return changed


def scatter_add(input: Any, dim: int, index: Any, src: Any) -> Tensor:
    """``scatter_reduce`` by sums.

    Raises:
        IndexRangeError: a position outside the dimension.
        ShapeError: ``index`` exceeds ``src``, or has not as many dimensions.

    >>> import lucid
    >>> lucid.scatter_add(lucid.zeros(3), 0, lucid.tensor([2, 2]), lucid.tensor([1.0, 5.0]))
    Tensor([0.0, 0.0, 6.0])
    """
    with named("scatter_add"):
        return scatter_reduce(input, dim, index, src, "sum")


def scatter(
    input: Any, dim: int, index: Any, src: Any = None, *, reduce: str | None = None, value: Any = None
) -> Tensor:
    """``input`` with elements of ``src`` at the places along ``dim`` that ``index`` names; of several, the last counts.

    Args:
        src: a tensor at least as large as ``index``, or a number for all; ``value`` is another name of the number.
        reduce: 'add' or 'multiply' combines with what is there instead.

    Raises:
        ShapeError, DTypeError, ArgumentError: arguments that do not fit.
        IndexRangeError: an index outside the dimension.

    >>> import lucid
    >>> lucid.scatter(lucid.zeros(3), 0, lucid.tensor([2, 0]), lucid.tensor([5.0, 7.0]))
    Tensor([7.0, 0.0, 5.0])
    """
    src = value if src is None else src
    if reduce is not None:
        if reduce not in ("add", "multiply"):
            fail(ArgumentError(f"reduce={reduce!r} must be 'add' or 'multiply'", op="scatter"))
        with named("scatter"):
            return scatter_reduce(input, dim, index, src, reduce)
    x, at, axis = _along("scatter", input, dim, index)
    source = _source("scatter", x, at, src)
    whole = _trimmed(x, at.shape, axis)
    return reshape(_put_back(x, whole, _overwritten(whole, at, source, axis), axis), as_tensor(input).shape)


def _overwritten(x: Tensor, at: Tensor, source: Tensor, axis: int) -> Tensor:
    """``x`` with ``source`` where ``at`` points: the last to arrive is found first, and then taken."""
    if at.shape[axis] == 0 or x.size == 0:
        return x
    order = apply(ops.iota, axis=axis, shape=at.shape, dtype=int64)
    nobody = apply(ops.constant, value=-1, shape=x.shape, dtype=int64)
    last = apply(ops.scatter_along, nobody, at, order, axis=axis, kind="max")
    found = apply(ops.take_along, source, binary("maximum", last, 0), axis=axis)
    return where(binary("ge", last, 0), found, x)


# --- whole slices ---


def _slices(op: str, input: Any, dim: Any, index: Any) -> tuple[Tensor, Tensor, int]:
    """The operands with at least one dimension: ``index`` is a vector of places along the axis."""
    x, at = as_tensor(input, op), as_tensor(index, op, "index")
    axis = axis_of(op, dim, max(x.ndim, 1), "dim")
    if at.ndim > 1:
        fail(ShapeError(f"index has shape {at.shape}, but it must have 1 dimension", op=op))
    return (reshape(x, 1) if x.ndim == 0 else x), reshape(at, -1), axis


def _spread(x: Tensor, at: Tensor, axis: int) -> Tensor:
    """A vector of places, as an index for each element of the slices."""
    column = [1] * x.ndim
    column[axis] = at.shape[0]
    return broadcast_to(reshape(at, column), (*x.shape[:axis], at.shape[0], *x.shape[axis + 1 :]))


def _slice_source(op: str, x: Tensor, at: Tensor, axis: int, source: Any) -> Tensor:
    value = as_tensor(source, op, "source")
    shape = (*x.shape[:axis], at.shape[0], *x.shape[axis + 1 :])
    if value.ndim == 0:
        value = reshape(value, 1)
    if value.shape != shape:
        fail(ShapeError(f"source has shape {value.shape}, but for this index it must be {shape}", op=op))
    if value.dtype != x.dtype:
        fail(DTypeError(f"source has dtype {value.dtype.name}, but input has {x.dtype.name}", op=op))
    return value


def index_add(input: Any, dim: int, index: Any, source: Any, *, alpha: Any = 1) -> Tensor:
    """``input`` with ``alpha`` times the slices of ``source`` added at the places along ``dim`` in ``index``.

    Raises:
        IndexRangeError: a place outside the dimension.
        ShapeError: ``source`` does not fit ``index`` and ``input``.

    >>> import lucid
    >>> lucid.index_add(lucid.zeros(3), 0, lucid.tensor([2, 2]), lucid.tensor([1.0, 5.0]), alpha=10)
    Tensor([0.0, 0.0, 60.0])
    """
    x, at, axis = _slices("index_add", input, dim, index)
    value = _slice_source("index_add", x, at, axis, source)
    if alpha != 1:
        value = value * alpha
    added = apply(ops.scatter_along, x, _spread(x, at, axis), value, axis=axis, kind="sum")
    return reshape(added, as_tensor(input).shape)


def index_reduce(input: Any, dim: int, index: Any, source: Any, reduce: str, *, include_self: bool = True) -> Tensor:
    """``scatter_reduce`` of whole slices: ``index`` is a vector of places along ``dim``.

    Raises:
        IndexRangeError: a place outside the dimension.
        ShapeError: ``source`` does not fit ``index`` and ``input``.
        ArgumentError: another ``reduce`` than 'prod', 'mean', 'amax', 'amin'.

    >>> import lucid
    >>> lucid.index_reduce(lucid.ones(3), 0, lucid.tensor([2, 2]), lucid.tensor([4.0, 5.0]), "prod")
    Tensor([1.0, 1.0, 20.0])
    """
    x, at, axis = _slices("index_reduce", input, dim, index)
    value = _slice_source("index_reduce", x, at, axis, source)
    reduced = scatter_reduce(x, axis, _spread(x, at, axis), value, reduce, include_self=include_self)
    return reshape(reduced, as_tensor(input).shape)


def index_copy(input: Any, dim: int, index: Any, source: Any) -> Tensor:
    """``input`` with the slices of ``source`` at the places along ``dim`` in ``index``; of several, the last counts.

    Raises:
        IndexRangeError: a place outside the dimension.
        ShapeError: ``source`` does not fit ``index`` and ``input``.

    >>> import lucid
    >>> lucid.index_copy(lucid.zeros(3), 0, lucid.tensor([2, 0]), lucid.tensor([4.0, 5.0]))
    Tensor([5.0, 0.0, 4.0])
    """
    x, at, axis = _slices("index_copy", input, dim, index)
    value = _slice_source("index_copy", x, at, axis, source)
    return reshape(put_slices(x, at, value, axis), as_tensor(input).shape)


def put_slices(x: Tensor, at: Tensor, source: Tensor, axis: int) -> Tensor:
    """``x`` with whole slices replaced: ``at`` is a vector; who arrives last is found once for all of a slice."""
    if at.shape[0] == 0 or x.size == 0:
        return x
    order = apply(ops.iota, axis=0, shape=at.shape, dtype=int64)
    nobody = apply(ops.constant, value=-1, shape=(x.shape[axis],), dtype=int64)
    last = apply(ops.scatter_along, nobody, at, order, axis=0, kind="max")
    found = apply(ops.take, source, binary("maximum", last, 0), axis=axis)
    column = [1] * x.ndim
    column[axis] = x.shape[axis]
    return where(reshape(binary("ge", last, 0), column), found, x)


def index_fill(input: Any, dim: int, index: Any, value: Any) -> Tensor:
    """``input`` with ``value``, a number or a 0-d tensor, in all slices at the places along ``dim`` in ``index``.

    Raises:
        IndexRangeError: a place outside the dimension.
        ShapeError: ``value`` has dimensions.

    >>> import lucid
    >>> lucid.index_fill(lucid.zeros(3), 0, lucid.tensor([2, 0]), 7)
    Tensor([7.0, 0.0, 7.0])
    """
    x, at, axis = _slices("index_fill", input, dim, index)
    if at.shape[0] == 0 or x.size == 0:
        return as_tensor(input)
    number = python_number(value)
    if number is None and not (isinstance(value, Recorded) and value.ndim == 0):
        fail(ShapeError("value must be a number or a tensor without dimensions", op="index_fill"))
    fill = cast(as_tensor(value), x.dtype) if number is None else scalar(number, x.dtype, "index_fill")
    nothing = apply(ops.constant, value=False, shape=(x.shape[axis],), dtype=bool_)
    hits = apply(ops.constant, value=True, shape=at.shape, dtype=bool_)
    column = [1] * x.ndim
    column[axis] = x.shape[axis]
    chosen = reshape(apply(ops.scatter_along, nothing, at, hits, axis=0, kind="max"), column)
    return reshape(where(chosen, fill, x), as_tensor(input).shape)
