"""Functions that move elements and compute nothing: other shapes, other orders, tensors joined and taken apart."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError, ShapeError
from lucid.functions.arguments import axes_of, axis_of, either, fail, int_of, ints_of, is_several, unpacked
from lucid.ir.types import is_float
from lucid.promotion import as_tensor, cast, common_dtype, python_number, weak_dtype

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "adjoint", "broadcast_to", "cat", "chunk", "concat", "expand", "expand_as", "expand_dims", "flatten", "flip",
    "matrix_transpose", "moveaxis", "movedim", "pad", "permute", "permute_dims", "ravel", "reshape", "reshape_as",
    "split", "squeeze", "stack", "swapaxes", "swapdims", "t", "tile", "transpose", "unflatten", "unsqueeze",
]  # fmt: skip


def reshape(x: Any, *shape: Any) -> Tensor:
    """The same elements in C order under another shape; one size may be -1 and is worked out.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.
        ShapeError: not as many elements.

    >>> import lucid
    >>> lucid.arange(6).reshape(2, -1).shape
    (2, 3)
    """
    x = as_tensor(x, "reshape")
    sizes = ints_of("reshape", "shape", unpacked(shape))
    if min(sizes, default=0) < -1:
        fail(ArgumentError(f"shape={sizes} must not be negative, but for one -1 that is worked out", op="reshape"))
    if -1 in sizes:
        known = -math.prod(sizes)
        if sizes.count(-1) > 1 or known <= 0 or x.size % known:
            fail(
                ShapeError(
                    f"{x.size} elements of shape {x.shape} cannot be given shape={sizes}",
                    op="reshape",
                    hint="only one size may be -1, and the others must divide the number of elements",
                )
            )
        sizes = tuple([x.size // known if n == -1 else n for n in sizes])
    return x if sizes == x.shape else apply(ops.reshape, x, shape=sizes)


def flatten(x: Any, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Axes ``start_dim`` to ``end_dim`` merged into one.

    Raises:
        ArgumentError: an axis that is not there.

    >>> import lucid
    >>> lucid.flatten(lucid.ones(2, 3, 4), 1).shape
    (2, 12)
    """
    x = as_tensor(x, "flatten")
    if x.ndim == 0:
        return reshape(x, 1)
    first, last = axis_of("flatten", start_dim, x.ndim, "start_dim"), axis_of("flatten", end_dim, x.ndim, "end_dim")
    if first > last:
        fail(ArgumentError(f"start_dim={start_dim} comes after end_dim={end_dim}", op="flatten"))
    merged = math.prod(x.shape[first : last + 1])
    return reshape(x, (*x.shape[:first], merged, *x.shape[last + 1 :]))


def squeeze(x: Any, dim: Any = None, *, axis: Any = None) -> Tensor:
    """Dimensions of size 1 removed: all, or those of ``dim`` that have size 1, or ``axis``, which must have it.

    Raises:
        ArgumentError: a dimension that is not there.
        ShapeError: ``axis`` has another size than 1.

    >>> import lucid
    >>> lucid.squeeze(lucid.ones(1, 3, 1)).shape, lucid.squeeze(lucid.ones(1, 3, 1), 0).shape
    ((3,), (3, 1))
    """
    x = as_tensor(x, "squeeze")
    if axis is None and dim is None:
        return reshape(x, tuple([n for n in x.shape if n != 1]))
    axes = axes_of("squeeze", either("squeeze", axis, dim), x.ndim, "dim" if axis is None else "axis")
    if axis is None:
        axes = tuple([k for k in axes if x.shape[k] == 1])
    for k in axes:
        if x.shape[k] != 1:
            fail(ShapeError(f"axis {k} of shape {x.shape} has size {x.shape[k]}, not 1", op="squeeze"))
    return reshape(x, tuple([n for k, n in enumerate(x.shape) if k not in axes]))


def unsqueeze(x: Any, axis: Any = None, *, dim: Any = None) -> Tensor:
    """A new axis of size 1 at position ``axis``.

    Raises:
        ArgumentError: a position that cannot be.

    >>> import lucid
    >>> lucid.unsqueeze(lucid.tensor([1, 2]), 1)
    Tensor([[1],
            [2]])
    """
    x = as_tensor(x, "unsqueeze")
    axis = axis_of("unsqueeze", either("unsqueeze", axis, dim), x.ndim + 1)
    return reshape(x, (*x.shape[:axis], 1, *x.shape[axis:]))


def expand_dims(x: Any, axis: int = 0) -> Tensor:
    """The array API's name of ``unsqueeze``.

    Raises:
        ArgumentError: a position that cannot be.

    >>> import lucid
    >>> lucid.expand_dims(lucid.tensor([1, 2]))
    Tensor([[1, 2]])
    """
    return unsqueeze(x, axis)


def matrix_transpose(x: Any) -> Tensor:
    """Matrices with their last two dimensions exchanged: the array API's name of ``x.mT``.

    Raises:
        ShapeError: fewer than two dimensions.

    >>> import lucid
    >>> lucid.matrix_transpose(lucid.tensor([[1, 2], [3, 4]]))
    Tensor([[1, 3],
            [2, 4]])
    """
    return matrices_transposed("matrix_transpose", x)


def matrices_transposed(op: str, x: Any) -> Tensor:
    """The last two dimensions exchanged."""
    t = as_tensor(x, op)
    if t.ndim < 2:
        fail(ShapeError(f"x has shape {t.shape}, but it must have at least 2 dimensions", op=op))
    return swapaxes(t, -1, -2)


def permute(x: Any, *order: Any) -> Tensor:
    """Axes in another order: axis ``k`` of the result is axis ``order[k]`` of ``x``; all axes must be named.

    Raises:
        ArgumentError: an axis is missing, named twice or not there.

    >>> import lucid
    >>> lucid.permute(lucid.ones(2, 3, 4), 2, 0, 1).shape
    (4, 2, 3)
    """
    return _permuted("permute", "order", x, unpacked(order))


def _permuted(op: str, argument: str, x: Any, order: tuple[Any, ...]) -> Tensor:
    x = as_tensor(x, op)
    perm = tuple([axis_of(op, k, x.ndim, argument) for k in order])
    if sorted(perm) != list(range(x.ndim)):
        fail(ArgumentError(f"{argument}={order} must name each of the {x.ndim} axes of shape {x.shape} once", op=op))
    return apply(ops.transpose, x, perm=perm)


def transpose(x: Any, *axes: Any) -> Tensor:
    """``transpose(0, 1)`` swaps two axes; with no axes it reverses all of them; with all axes it is ``permute``.

    Raises:
        ArgumentError: an axis that is not there.

    >>> import lucid
    >>> lucid.transpose(lucid.ones(2, 3, 4), 0, 1).shape, lucid.transpose(lucid.ones(2, 3, 4)).shape
    ((3, 2, 4), (4, 3, 2))
    """
    x = as_tensor(x, "transpose")
    together = unpacked(axes)
    if not together:
        together = tuple(reversed(range(x.ndim)))
    elif len(together) == 2 and (x.ndim != 2 or together is axes):
        return _swapped("transpose", x, (("axes[0]", together[0]), ("axes[1]", together[1])))
    return _permuted("transpose", "axes", x, together)


def permute_dims(x: Any, axes: Any) -> Tensor:
    """The array API's name of ``permute``.

    Raises:
        ArgumentError: an axis is missing, named twice or not there.

    >>> import lucid
    >>> lucid.permute_dims(lucid.ones(2, 3, 4), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return _permuted("permute_dims", "axes", x, tuple(axes))


def swapaxes(x: Any, axis0: int, axis1: int) -> Tensor:
    """Two axes exchanged.

    Raises:
        ArgumentError: an axis that is not there.

    >>> import lucid
    >>> lucid.swapaxes(lucid.ones(2, 3, 4), 0, 2).shape
    (4, 3, 2)
    """
    return _swapped("swapaxes", as_tensor(x, "swapaxes"), (("axis0", axis0), ("axis1", axis1)))


def _swapped(op: str, x: Tensor, axes: tuple[tuple[str, Any], tuple[str, Any]]) -> Tensor:
    a, b = [axis_of(op, axis, max(x.ndim, 1), argument) for argument, axis in axes]
    if x.ndim == 0:
        return x
    perm = list(range(x.ndim))
    perm[a], perm[b] = b, a
    return apply(ops.transpose, x, perm=tuple(perm))


swapdims = swapaxes


def moveaxis(x: Any, source: Any, destination: Any) -> Tensor:
    """Axes ``source`` moved to positions ``destination``, the others keeping their order. ``movedim`` is the same.

    Raises:
        ArgumentError: an axis that is not there, or named twice; not as many sources as destinations.

    >>> import lucid
    >>> lucid.moveaxis(lucid.ones(2, 3, 4), 0, -1).shape
    (3, 4, 2)
    """
    x = as_tensor(x, "moveaxis")
    given = [
        [axis_of("moveaxis", k, x.ndim, name) for k in ints_of("moveaxis", name, value)]
        for name, value in (("source", source), ("destination", destination))
    ]
    if len(given[0]) != len(given[1]) or any(len(set(axes)) < len(axes) for axes in given):
        fail(ArgumentError(f"source={source} and destination={destination} must be equally many axes", op="moveaxis"))
    rest = iter([k for k in range(x.ndim) if k not in given[0]])
    places = dict(zip(given[1], given[0], strict=True))
    return apply(ops.transpose, x, perm=tuple([places[k] if k in places else next(rest) for k in range(x.ndim)]))


movedim = moveaxis


def ravel(input: Any) -> Tensor:
    """All elements in C order, as a vector.

    >>> import lucid
    >>> lucid.ravel(lucid.tensor([[1, 2], [3, 4]]))
    Tensor([1, 2, 3, 4])
    """
    return reshape(input, -1)


def unflatten(input: Any, dim: int, sizes: Any) -> Tensor:
    """Dimension ``dim`` split into ``sizes``, one of which may be -1.

    Raises:
        ArgumentError: a dimension that is not there.
        ShapeError: ``sizes`` do not multiply to the dimension's.

    >>> import lucid
    >>> lucid.unflatten(lucid.ones(6, 2), 0, (2, -1)).shape
    (2, 3, 2)
    """
    x = as_tensor(input, "unflatten")
    axis = axis_of("unflatten", dim, x.ndim, "dim")
    parts = ints_of("unflatten", "sizes", sizes)
    n, known = x.shape[axis], math.prod([p for p in parts if p != -1])
    if -1 in parts and known:
        parts = tuple([n // known if p == -1 else p for p in parts])
    if math.prod(parts) != n or min(parts, default=0) < 0:
        fail(ShapeError(f"dim {axis} of size {n} cannot be split into sizes={sizes}", op="unflatten"))
    return reshape(x, (*x.shape[:axis], *parts, *x.shape[axis + 1 :]))


def t(input: Any) -> Tensor:
    """A matrix with its two dimensions exchanged; a vector as it is.

    Raises:
        ShapeError: more than two dimensions.

    >>> import lucid
    >>> lucid.t(lucid.tensor([[1, 2], [3, 4]]))
    Tensor([[1, 3],
            [2, 4]])
    """
    x = as_tensor(input, "t")
    if x.ndim > 2:
        fail(ShapeError(f"input has shape {x.shape}, but it must have at most 2 dimensions", op="t"))
    return transpose(x, 0, 1) if x.ndim == 2 else x


def adjoint(input: Any) -> Tensor:
    """Matrices with their last two dimensions exchanged.

    Raises:
        ShapeError: fewer than two dimensions.

    >>> import lucid
    >>> lucid.adjoint(lucid.tensor([[1, 2], [3, 4]]))
    Tensor([[1, 3],
            [2, 4]])
    """
    return matrices_transposed("adjoint", input)


def expand_as(input: Any, other: Any) -> Tensor:
    """``input`` repeated to ``other``'s shape.

    Raises:
        ShapeError: the shape does not broadcast to the other.

    >>> import lucid
    >>> lucid.expand_as(lucid.tensor([[1], [2]]), lucid.ones(2, 2))
    Tensor([[1, 1],
            [2, 2]])
    """
    return broadcast("expand_as", input, (as_tensor(other, "expand_as", "other").shape,))


def reshape_as(input: Any, other: Any) -> Tensor:
    """``input`` in ``other``'s shape.

    Raises:
        ShapeError: not as many elements.

    >>> import lucid
    >>> lucid.reshape_as(lucid.arange(4), lucid.ones(2, 2))
    Tensor([[0, 1],
            [2, 3]])
    """
    return reshape(input, as_tensor(other, "reshape_as", "other").shape)


def broadcast_to(x: Any, *shape: Any) -> Tensor:
    """``x`` repeated along new leading axes and along axes of size 1, as NumPy broadcasts.

    Raises:
        ShapeError: the shape does not broadcast to the one asked for.

    >>> import lucid
    >>> lucid.broadcast_to(lucid.tensor([1, 2]), (2, 2))
    Tensor([[1, 2],
            [1, 2]])
    """
    return broadcast("broadcast_to", x, shape)


def expand(x: Any, *shape: Any) -> Tensor:
    """As ``broadcast_to``; -1 keeps the size an axis has.

    Raises:
        ShapeError: the shape does not broadcast to the one asked for.

    >>> import lucid
    >>> lucid.expand(lucid.tensor([[1], [2]]), -1, 3)
    Tensor([[1, 1, 1],
            [2, 2, 2]])
    """
    return broadcast("expand", x, shape)


def broadcast(op: str, x: Any, shape: tuple[Any, ...]) -> Tensor:
    """``x`` of ``shape``; ``op`` is what errors name."""
    tensor = as_tensor(x, op)
    sizes = ints_of(op, "shape", unpacked(shape))
    offset = len(sizes) - tensor.ndim
    result = []
    for k, n in enumerate(sizes):
        if n == -1 and k >= offset >= 0:
            n = tensor.shape[k - offset]
        if n < 0:
            fail(ArgumentError(f"shape={sizes} must not be negative", op=op))
        result.append(n)
    if tuple(result) == tensor.shape:
        return tensor
    try:
        return apply(ops.broadcast_to, tensor, shape=tuple(result))
    except LucidError as error:
        error.op = op
        raise


def flip(x: Any, axis: Any = None, *, dim: Any = None, dims: Any = None) -> Tensor:
    """The order of elements reversed along ``axis``; None means every axis.

    Raises:
        ArgumentError: an axis that is not there, or named twice.

    >>> import lucid
    >>> lucid.flip(lucid.tensor([[1, 2], [3, 4]]), 1)
    Tensor([[2, 1],
            [4, 3]])
    """
    x = as_tensor(x, "flip")
    axis = either("flip", either("flip", axis, dim), dims, ("axis", "dims"))
    return apply(ops.flip, x, axes=axes_of("flip", axis, x.ndim))


def tile(x: Any, *repeats: Any) -> Tensor:
    """``x`` repeated ``repeats[k]`` times along axis ``k``, as ``numpy.tile`` and PyTorch's ``repeat``.

    Raises:
        ArgumentTypeError, ArgumentError: ``repeats`` that are no ints, or negative.

    >>> import lucid
    >>> lucid.tile(lucid.tensor([1, 2]), 2, 2)
    Tensor([[1, 2, 1, 2],
            [1, 2, 1, 2]])
    """
    x = as_tensor(x, "tile")
    counts = ints_of("tile", "repeats", unpacked(repeats))
    if min(counts, default=0) < 0:
        fail(ArgumentError(f"repeats={counts} must not be negative", op="tile"))
    ndim = max(len(counts), x.ndim)
    counts = (1,) * (ndim - len(counts)) + counts
    shape = (1,) * (ndim - x.ndim) + x.shape
    apart = reshape(x, tuple([n for size in shape for n in (1, size)]))
    wide = broadcast_to(apart, tuple([n for pair in zip(counts, shape, strict=True) for n in pair]))
    return reshape(wide, tuple([a * b for a, b in zip(counts, shape, strict=True)]))


def _tensors(op: str, tensors: Any) -> list[Tensor]:
    """Several tensors of one dtype."""
    if not is_several(tensors):
        fail(ArgumentTypeError(f"tensors must be a list or tuple, not {type(tensors).__name__}", op=op))
    if not tensors:
        fail(ArgumentError("tensors is empty: there must be at least one", op=op))
    result = [as_tensor(t, op, f"tensors[{k}]") for k, t in enumerate(tensors)]
    common = result[0].dtype
    for t in result[1:]:
        common = common_dtype(common, t.dtype)
    return [cast(t, common) for t in result]


def concat(tensors: Sequence[Any], axis: int = 0, *, dim: Any = None) -> Tensor:
    """Tensors end to end along ``axis``; their other sizes are equal. ``cat`` is the same function.

    Raises:
        ShapeError: the other sizes are not equal.
        ArgumentTypeError, ArgumentError: no list or tuple, an empty one, or an axis that is not there.

    >>> import lucid
    >>> lucid.concat([lucid.tensor([[1, 2]]), lucid.tensor([[3, 4]])])
    Tensor([[1, 2],
            [3, 4]])
    """
    parts = _tensors("concat", tensors)
    if any(part.ndim != 1 for part in parts):  # PyTorch's tensor of nothing, to which others are joined
        parts = [part for part in parts if part.shape != (0,)]
    axis = axis_of("concat", axis if dim is None else dim, parts[0].ndim)
    for k, part in enumerate(parts):
        if part.ndim != parts[0].ndim:
            message = f"tensors[{k}] has shape {part.shape}, tensors[0] has {parts[0].shape}: the ranks must be equal"
            fail(ShapeError(message, op="concat", hint="lucid.stack joins along a new axis"))
    return apply(ops.concat, *parts, axis=axis)


cat = concat


def stack(tensors: Sequence[Any], axis: int = 0, *, dim: Any = None) -> Tensor:
    """Tensors of one shape joined along a new axis.

    Raises:
        ShapeError: the shapes are not equal.
        ArgumentTypeError, ArgumentError: no list or tuple, an empty one, or a position that cannot be.

    >>> import lucid
    >>> lucid.stack([lucid.tensor([1, 2]), lucid.tensor([3, 4])], 1)
    Tensor([[1, 3],
            [2, 4]])
    """
    parts = _tensors("stack", tensors)
    axis = axis_of("stack", axis if dim is None else dim, parts[0].ndim + 1)
    for k, part in enumerate(parts):
        if part.shape != parts[0].shape:
            message = f"tensors[{k}] has shape {part.shape}, tensors[0] has {parts[0].shape}: shapes must be equal"
            fail(ShapeError(message, op="stack"))
    return apply(ops.concat, *[unsqueeze(part, axis) for part in parts], axis=axis)


def pad(x: Any, pad_width: Any, value: float = 0) -> Tensor:
    """Elements of ``value`` around ``x``.

    Args:
        pad_width: an int for every side, or one ``(low, high)`` pair per axis, or one pair for all axes.
        value: what the new elements hold.

    Raises:
        ArgumentTypeError, ArgumentError: ``value`` is no number; ``pad_width`` is none of these, or negative.

    >>> import lucid
    >>> lucid.ones(2).pad(((1, 0),))
    Tensor([0.0, 1.0, 1.0])
    """
    x = as_tensor(x, "pad")
    number = python_number(value)
    if number is None:
        fail(ArgumentTypeError(f"value has type {type(value).__name__}, but it must be a number", op="pad"))
    if not is_several(pad_width):
        pairs = [(int_of("pad", "pad_width", pad_width),) * 2] * x.ndim
    elif all(is_several(p) and len(p) == 2 for p in pad_width):
        pairs = [ints_of("pad", "pad_width", p) for p in pad_width]  # type: ignore[misc]  # pairs, checked above
    elif len(pad_width) == 2 and not any(map(is_several, pad_width)):
        pairs = [ints_of("pad", "pad_width", pad_width)] * x.ndim  # type: ignore[list-item]  # a pair
    else:
        pairs = []
    if len(pairs) == 1:
        pairs = pairs * x.ndim
    if min(map(min, pairs), default=0) < 0:
        fail(ArgumentError(f"pad_width={pad_width!r} must not be negative", op="pad", hint="x[1:-1] cuts edges off"))
    if len(pairs) != x.ndim:
        fail(
            ArgumentError(
                f"pad_width={pad_width!r} must be an int or one (low, high) pair per axis of shape {x.shape}", op="pad"
            )
        )
    dtype = weak_dtype(x.dtype, number)
    low, high = tuple([p[0] for p in pairs]), tuple([p[1] for p in pairs])
    if is_float(dtype):
        number = float(number)
    return apply(ops.pad, cast(x, dtype), low=low, high=high, interior=(0,) * x.ndim, value=number)


def split(x: Any, sizes: Any, axis: int = 0, *, dim: Any = None) -> tuple[Tensor, ...]:
    """Pieces along ``axis``: of ``sizes`` elements each (the last may be smaller), or of the sizes in a list.

    Raises:
        ArgumentError: sizes below 1, or a list that does not add up to the axis.

    >>> import lucid
    >>> lucid.split(lucid.arange(5), 2)
    (Tensor([0, 1]), Tensor([2, 3]), Tensor([4]))
    """
    x = as_tensor(x, "split")
    axis = axis_of("split", axis if dim is None else dim, x.ndim)
    length = x.shape[axis]
    if is_several(sizes):
        pieces = ints_of("split", "sizes", sizes)
        if min(pieces, default=0) < 0 or sum(pieces) != length:
            fail(ArgumentError(f"sizes={pieces} must add up to {length}, the size of axis {axis}", op="split"))
    else:
        each = int_of("split", "sizes", sizes)
        if each < 1:
            fail(ArgumentError(f"sizes={each} must be at least 1", op="split"))
        pieces = tuple([min(each, length - k) for k in range(0, length, each)]) or (0,)
    result, begin = [], 0
    for n in pieces:
        result.append(stretch(x, axis, begin, begin + n))
        begin += n
    return tuple(result)


def chunk(x: Any, chunks: int, axis: int = 0, *, dim: Any = None) -> tuple[Tensor, ...]:
    """At most ``chunks`` pieces of equal size along ``axis``; the last may be smaller.

    Raises:
        ArgumentError: ``chunks`` below 1, or an axis that is not there.

    >>> import lucid
    >>> lucid.chunk(lucid.arange(5), 2)
    (Tensor([0, 1, 2]), Tensor([3, 4]))
    """
    x = as_tensor(x, "chunk")
    axis = axis_of("chunk", axis if dim is None else dim, x.ndim)
    if int_of("chunk", "chunks", chunks) < 1:
        fail(ArgumentError(f"chunks={chunks} must be at least 1", op="chunk"))
    return split(x, max(-(-x.shape[axis] // chunks), 1), axis)


def stretch(x: Tensor, axis: int, begin: int, end: int) -> Tensor:
    start = tuple([begin if k == axis else 0 for k in range(x.ndim)])
    stop = tuple([end if k == axis else n for k, n in enumerate(x.shape)])
    return apply(ops.slice, x, start=start, stop=stop, step=(1,) * x.ndim)
