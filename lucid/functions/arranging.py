"""Tensors rolled, turned, taken apart and put together, in the many forms NumPy and PyTorch have for it."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid import ops
from lucid.eager import Recorded, apply, leaf
from lucid.errors import ArgumentError, IndexRangeError, ShapeError
from lucid.functions.arguments import axis_of, fail, int_of, ints_of, is_several, unpacked
from lucid.functions.indexing import take
from lucid.functions.movement import broadcast_to, concat, flip, reshape, stack, stretch, swapaxes
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "broadcast_shapes", "broadcast_tensors", "cartesian_prod",
    "column_stack", "combinations", "dsplit", "dstack", "fliplr", "flipud", "hsplit", "hstack", "meshgrid", "narrow",
    "repeat_interleave", "roll", "rot90", "row_stack", "select", "select_scatter", "slice_scatter", "tensor_split",
    "unbind", "unfold", "vsplit", "vstack",
]  # fmt: skip


def roll(input: Any, shifts: Any, dims: Any = None) -> Tensor:
    """Elements moved ``shifts`` places along ``dims``, those that leave at one end coming in at the other.

    Args:
        shifts, dims: an int each, or equally many of both; without ``dims`` the flat tensor is rolled.

    Raises:
        ArgumentTypeError, ArgumentError: no ints; not equally many ``shifts`` and ``dims``; a dimension that is
            not there.

    >>> import lucid
    >>> lucid.roll(lucid.tensor([1, 2, 3]), 1)
    Tensor([3, 1, 2])
    """
    x = as_tensor(input, "roll")
    by = ints_of("roll", "shifts", shifts)
    if dims is None or (is_several(dims) and not dims):
        if len(by) != 1:
            fail(ArgumentError(f"shifts={shifts} must be one int if no dims are given", op="roll"))
        return reshape(_rolled(reshape(x, -1), by[0], 0), x.shape)
    along = ints_of("roll", "dims", dims)
    if len(by) != len(along):
        fail(ArgumentError(f"shifts={shifts} and dims={dims} must be equally many", op="roll"))
    for n, dim in zip(by, along, strict=True):
        x = _rolled(x, n, axis_of("roll", dim, x.ndim, "dims"))
    return x


def _rolled(x: Tensor, by: int, axis: int) -> Tensor:
    n = x.shape[axis]
    cut = -by % n if n else 0
    return concat([stretch(x, axis, cut, n), stretch(x, axis, 0, cut)], axis) if cut else x


def rot90(input: Any, k: int = 1, dims: Sequence[int] = (0, 1)) -> Tensor:
    """Turned ``k`` times by 90 degrees from the first of ``dims`` towards the second.

    Raises:
        ArgumentError: ``dims`` are not two different dimensions.

    >>> import lucid
    >>> lucid.rot90(lucid.tensor([[1, 2], [3, 4]]))
    Tensor([[2, 4],
            [1, 3]])
    """
    x = as_tensor(input, "rot90")
    if not is_several(dims) or len(dims) != 2:
        fail(ArgumentError(f"dims={dims} must be two dimensions", op="rot90"))
    a, b = (axis_of("rot90", d, x.ndim, "dims") for d in dims)
    if a == b:
        fail(ArgumentError(f"dims={dims} names one dimension twice", op="rot90"))
    turns = int_of("rot90", "k", k) % 4
    if turns == 0:
        return x
    if turns == 2:
        return flip(x, (a, b))
    return swapaxes(flip(x, b), a, b) if turns == 1 else flip(swapaxes(x, a, b), b)


def fliplr(input: Any) -> Tensor:
    """The order of columns reversed.

    Raises:
        ShapeError: fewer than two dimensions.

    >>> import lucid
    >>> lucid.fliplr(lucid.tensor([[1, 2], [3, 4]]))
    Tensor([[2, 1],
            [4, 3]])
    """
    return flip(_at_least(2, "fliplr", input), 1)


def flipud(input: Any) -> Tensor:
    """The order of rows reversed.

    Raises:
        ShapeError: no dimensions.

    >>> import lucid
    >>> lucid.flipud(lucid.tensor([[1, 2], [3, 4]]))
    Tensor([[3, 4],
            [1, 2]])
    """
    return flip(_at_least(1, "flipud", input), 0)


def _at_least(ndim: int, op: str, input: Any) -> Tensor:
    x = as_tensor(input, op)
    if x.ndim < ndim:
        fail(ShapeError(f"input has shape {x.shape}, but it must have at least {ndim} dimensions", op=op))
    return x


def repeat_interleave(input: Any, repeats: Any, dim: int | None = None, *, output_size: int | None = None) -> Tensor:
    """Every element repeated ``repeats`` times on the spot, along ``dim`` (None: flat).

    Args:
        repeats: an int, or a tensor with a count for each element along ``dim``.
        output_size: how many there will be, which spares looking at the counts first.

    Raises:
        TraceError: in a compiled function, counts in a tensor without ``output_size``: the size depends on values.
        ArgumentTypeError, ArgumentError: ``repeats`` are no ints, or negative.
        ShapeError: not as many counts as elements.

    >>> import lucid
    >>> lucid.repeat_interleave(lucid.tensor([1, 2]), 2)
    Tensor([1, 1, 2, 2])
    """
    op = "repeat_interleave"
    x = as_tensor(input, op)
    x = reshape(x, -1) if dim is None or x.ndim == 0 else x
    axis = 0 if dim is None else axis_of(op, dim, x.ndim, "dim")
    if not isinstance(repeats, Recorded | np.ndarray | list | tuple):
        count = int_of(op, "repeats", repeats)
        if count < 0:
            fail(ArgumentError(f"repeats={count} must not be negative", op=op))
        apart = reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
        wide = broadcast_to(apart, (*x.shape[: axis + 1], count, *x.shape[axis + 1 :]))
        return reshape(wide, (*x.shape[:axis], x.shape[axis] * count, *x.shape[axis + 1 :]))
    counts = as_tensor(repeats, op, "repeats")
    n = x.shape[axis]
    if counts.ndim > 1 or (counts.size not in (1, n)):
        fail(ShapeError(f"repeats has shape {counts.shape}, but dim {axis} of input has size {n}", op=op))
    counts = broadcast_to(reshape(counts, -1), (n,))
    if output_size is None:
        values = counts._value("repeat_interleave()")
        if n and values.min() < 0:
            fail(ArgumentError(f"repeats holds {values.min()}, but no count may be negative", op=op))
        return take(x, leaf(np.repeat(np.arange(n), values)), axis)
    from lucid.functions.ordering import searchsorted
    from lucid.functions.scans import cumsum

    places = apply(ops.iota, axis=0, shape=(int_of(op, "output_size", output_size),), dtype=np.dtype(np.int64))
    return take(x, searchsorted(cumsum(counts, 0), places, right=True), axis)


# --- apart ---


def unbind(input: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """The slices along ``dim``, which is removed.

    Raises:
        ArgumentError: ``dim`` is not there.

    >>> import lucid
    >>> lucid.unbind(lucid.tensor([[1, 2], [3, 4]]))
    (Tensor([1, 2]), Tensor([3, 4]))
    """
    x = as_tensor(input, "unbind")
    axis = axis_of("unbind", dim, x.ndim, "dim")
    return tuple([_selected(x, axis, k) for k in range(x.shape[axis])])


def _selected(x: Tensor, axis: int, k: int) -> Tensor:
    return reshape(stretch(x, axis, k, k + 1), x.shape[:axis] + x.shape[axis + 1 :])


def select(input: Any, dim: int, index: int) -> Tensor:
    """The slice at ``index`` along ``dim``, which is removed.

    Raises:
        IndexRangeError: ``index`` is outside the dimension.
        ArgumentError: ``dim`` is not there.

    >>> import lucid
    >>> lucid.select(lucid.tensor([[1, 2], [3, 4]]), 1, 0)
    Tensor([1, 3])
    """
    x = as_tensor(input, "select")
    axis = axis_of("select", dim, x.ndim, "dim")
    n, k = x.shape[axis], int_of("select", "index", index)
    if not -n <= k < n:
        fail(IndexRangeError(f"index={k} is out of range for dim {axis} of size {n}", op="select"))
    return _selected(x, axis, k % n)


def narrow(input: Any, dim: int, start: int, length: int) -> Tensor:
    """``length`` elements along ``dim``, from ``start`` on.

    Raises:
        ArgumentError: they are not all there.

    >>> import lucid
    >>> lucid.narrow(lucid.tensor([1, 2, 3, 4]), 0, 1, 2)
    Tensor([2, 3])
    """
    x = as_tensor(input, "narrow")
    axis = axis_of("narrow", dim, x.ndim, "dim")
    n, first, count = x.shape[axis], int_of("narrow", "start", start), int_of("narrow", "length", length)
    first = first + n if first < 0 else first
    if not (0 <= first <= first + count <= n and count >= 0):
        fail(ArgumentError(f"start={start}, length={count} exceed dim {axis} of size {n}", op="narrow"))
    return stretch(x, axis, first, first + count)


def tensor_split(input: Any, indices_or_sections: Any, dim: int = 0) -> tuple[Tensor, ...]:
    """Pieces along ``dim``: so many of nearly equal size, the longer ones first, or cut at the given places.

    Raises:
        ShapeError: no dimensions.
        ArgumentTypeError, ArgumentError: no ints; fewer than one piece; a dimension that is not there.

    >>> import lucid
    >>> [part.tolist() for part in lucid.tensor_split(lucid.arange(5), 2)]
    [[0, 1, 2], [3, 4]]
    """
    x = _at_least(1, "tensor_split", input)
    axis = axis_of("tensor_split", dim, x.ndim, "dim")
    n = x.shape[axis]
    if isinstance(indices_or_sections, Recorded):
        indices_or_sections = indices_or_sections.tolist()  # type: ignore[attr-defined]  # Tensor is the only subclass
    if is_several(indices_or_sections):
        cuts = [min(max(c + n if c < 0 else c, 0), n) for c in ints_of("tensor_split", "indices", indices_or_sections)]
    else:
        parts = int_of("tensor_split", "sections", indices_or_sections)
        if parts < 1:
            fail(ArgumentError(f"sections={parts} must be at least 1", op="tensor_split"))
        size, longer = divmod(n, parts)
        cuts = list(itertools.accumulate([size + (k < longer) for k in range(parts)]))[:-1]
    ends = zip([0, *cuts], [*cuts, n], strict=True)
    return tuple([stretch(x, axis, a, max(a, b)) for a, b in ends])


def hsplit(input: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces along the second dimension (of vectors, the first): equal ones, or cut at the given places.

    Raises:
        ShapeError: no dimensions.
        ArgumentError: the pieces would not be equal.

    >>> import lucid
    >>> lucid.hsplit(lucid.tensor([[1, 2, 3]]), [1])
    (Tensor([[1]]), Tensor([[2, 3]]))
    """
    x = _at_least(1, "hsplit", input)
    return _equal_split("hsplit", x, indices_or_sections, 0 if x.ndim == 1 else 1)


def vsplit(input: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces along the first dimension: equal ones, or cut at the given places.

    Raises:
        ShapeError: fewer than two dimensions.
        ArgumentError: the pieces would not be equal.

    >>> import lucid
    >>> lucid.vsplit(lucid.tensor([[1, 2], [3, 4]]), 2)
    (Tensor([[1, 2]]), Tensor([[3, 4]]))
    """
    return _equal_split("vsplit", _at_least(2, "vsplit", input), indices_or_sections, 0)


def dsplit(input: Any, indices_or_sections: Any) -> tuple[Tensor, ...]:
    """Pieces along the third dimension: equal ones, or cut at the given places.

    Raises:
        ShapeError: fewer than three dimensions.
        ArgumentError: the pieces would not be equal.

    >>> import lucid
    >>> [piece.shape for piece in lucid.dsplit(lucid.ones(2, 3, 4), 2)]
    [(2, 3, 2), (2, 3, 2)]
    """
    return _equal_split("dsplit", _at_least(3, "dsplit", input), indices_or_sections, 2)


def _equal_split(op: str, x: Tensor, given: Any, axis: int) -> tuple[Tensor, ...]:
    if not is_several(given) and not isinstance(given, Recorded):
        parts = int_of(op, "sections", given)
        if parts < 1 or x.shape[axis] % parts:
            fail(ArgumentError(f"sections={parts} must divide {x.shape[axis]}, the size of dim {axis}", op=op))
    return tensor_split(x, given, axis)


def unfold(input: Any, dimension: int, size: int, step: int) -> Tensor:
    """Windows of ``size`` elements along ``dimension``, ``step`` apart, as a new last dimension.

    Raises:
        ArgumentError: the window is larger than the dimension, or ``step`` is not positive.

    >>> import lucid
    >>> lucid.unfold(lucid.arange(5), 0, 2, 2)
    Tensor([[0, 1],
            [2, 3]])
    """
    x = as_tensor(input, "unfold")
    axis = axis_of("unfold", dimension, max(x.ndim, 1), "dimension")
    x = reshape(x, 1) if x.ndim == 0 else x
    n, width, hop = x.shape[axis], int_of("unfold", "size", size), int_of("unfold", "step", step)
    if not 0 <= width <= n or hop < 1:
        fail(ArgumentError(f"size={width} must lie in 0 .. {n}, and step={hop} must be positive", op="unfold"))
    count = (n - width) // hop + 1
    steps = tuple([hop if k == axis else 1 for k in range(x.ndim)])

    def element(k: int) -> Tensor:
        start = tuple([k if j == axis else 0 for j in range(x.ndim)])
        stop = tuple([k + (count - 1) * hop + 1 if j == axis else m for j, m in enumerate(x.shape)])
        return apply(ops.slice, x, start=start, stop=stop, step=steps)

    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    windows = stack([element(k) for k in range(width)], -1) if width else reshape(stretch(x, axis, 0, 0), (*shape, 0))
    return reshape(windows, (width,)) if as_tensor(input).ndim == 0 else windows


# --- together ---


def _listed(op: str, tensors: Any) -> list[Tensor]:
    return [as_tensor(t, op, f"tensors[{k}]") for k, t in enumerate(unpacked(tensors))]


def _wider(x: Tensor, ndim: int) -> Tensor:
    """At least ``ndim`` dimensions: vectors become rows, and matrices get a last dimension of one."""
    if x.ndim >= ndim:
        return x
    shape = {0: (1,) * ndim, 1: (1, *x.shape, 1)[:ndim], 2: (*x.shape, 1)}[x.ndim]
    return reshape(x, shape if ndim > 1 else (1,))


def _each(ndim: int, op: str, tensors: Any) -> Any:
    wide = tuple([_wider(x, ndim) for x in _listed(op, tensors)])
    return wide[0] if len(tensors) == 1 and not is_several(tensors[0]) else wide


def atleast_1d(*tensors: Any) -> Any:
    """Tensors with at least one dimension; of several, a tuple.

    >>> import lucid
    >>> lucid.atleast_1d(lucid.tensor(3))
    Tensor([3])
    """
    return _each(1, "atleast_1d", tensors)


def atleast_2d(*tensors: Any) -> Any:
    """Tensors with at least two dimensions, vectors as rows; of several, a tuple.

    >>> import lucid
    >>> lucid.atleast_2d(lucid.tensor([3, 4]))
    Tensor([[3, 4]])
    """
    return _each(2, "atleast_2d", tensors)


def atleast_3d(*tensors: Any) -> Any:
    """Tensors with at least three dimensions, matrices with a last one of size 1; of several, a tuple.

    >>> import lucid
    >>> lucid.atleast_3d(lucid.tensor([[3, 4]])).shape
    (1, 2, 1)
    """
    return _each(3, "atleast_3d", tensors)


def hstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors joined along the second dimension, vectors along the first.

    Raises:
        ShapeError: the other sizes are not equal.
        ArgumentError: there are no tensors.

    >>> import lucid
    >>> lucid.hstack([lucid.tensor([[1], [2]]), lucid.tensor([[3], [4]])])
    Tensor([[1, 3],
            [2, 4]])
    """
    parts = [_wider(x, 1) for x in _listed("hstack", (tensors,))]
    return concat(parts, 0 if parts and parts[0].ndim == 1 else 1)


def vstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors joined along the first dimension, vectors counting as rows. ``row_stack`` is the same function.

    Raises:
        ShapeError: the other sizes are not equal.
        ArgumentError: there are no tensors.

    >>> import lucid
    >>> lucid.vstack([lucid.tensor([1, 2]), lucid.tensor([3, 4])])
    Tensor([[1, 2],
            [3, 4]])
    """
    return concat([_wider(x, 2) for x in _listed("vstack", (tensors,))], 0)


row_stack = vstack


def dstack(tensors: Sequence[Any]) -> Tensor:
    """Tensors joined along the third dimension.

    Raises:
        ShapeError: the other sizes are not equal.
        ArgumentError: there are no tensors.

    >>> import lucid
    >>> lucid.dstack([lucid.tensor([1, 2]), lucid.tensor([3, 4])])
    Tensor([
        [[1, 3],
         [2, 4]]
    ])
    """
    return concat([_wider(x, 3) for x in _listed("dstack", (tensors,))], 2)


def column_stack(tensors: Sequence[Any]) -> Tensor:
    """Tensors joined along the second dimension, vectors counting as columns.

    Raises:
        ShapeError: the other sizes are not equal.
        ArgumentError: there are no tensors.

    >>> import lucid
    >>> lucid.column_stack([lucid.tensor([1, 2]), lucid.tensor([3, 4])])
    Tensor([[1, 3],
            [2, 4]])
    """
    parts = [reshape(x, (x.size, 1)) if x.ndim < 2 else x for x in _listed("column_stack", (tensors,))]
    return concat(parts, 1)


def broadcast_shapes(*shapes: Any) -> tuple[int, ...]:
    """The shape that tensors of these shapes broadcast to.

    Raises:
        ShapeError: they do not.

    >>> import lucid
    >>> lucid.broadcast_shapes((3, 1), (4,))
    (3, 4)
    """
    sizes = [ints_of("broadcast_shapes", "shape", s) for s in shapes]
    try:
        return np.broadcast_shapes(*sizes)
    except ValueError:
        fail(
            ShapeError(
                f"shapes {' and '.join(map(str, sizes))} cannot be broadcast together",
                op="broadcast_shapes",
                hint="aligned from the right, each pair of sizes must be equal or contain a 1",
            )
        )


def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """The tensors, repeated to the shape that all of them broadcast to.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.broadcast_tensors(lucid.tensor([[1], [2]]), lucid.tensor([3, 4]))[0]
    Tensor([[1, 1],
            [2, 2]])
    """
    parts = _listed("broadcast_tensors", tensors)
    shape = broadcast_shapes(*[x.shape for x in parts])
    return tuple([broadcast_to(x, shape) for x in parts])


def meshgrid(*tensors: Any, indexing: str = "ij") -> tuple[Tensor, ...]:
    """Coordinates of a grid: for each vector, its elements repeated along the dimensions of all others.

    Args:
        indexing: 'ij', or 'xy', which exchanges the first two dimensions of the results.

    Raises:
        ShapeError, ArgumentError: not vectors; another ``indexing``.

    >>> import lucid
    >>> rows, columns = lucid.meshgrid(lucid.arange(2), lucid.arange(3))
    >>> rows.tolist(), columns.tolist()
    ([[0, 0, 0], [1, 1, 1]], [[0, 1, 2], [0, 1, 2]])
    """
    parts = _listed("meshgrid", tensors)
    if indexing not in ("ij", "xy"):
        fail(ArgumentError(f"indexing={indexing!r} must be 'ij' or 'xy'", op="meshgrid"))
    for k, x in enumerate(parts):
        if x.ndim > 1:
            fail(ShapeError(f"tensors[{k}] has shape {x.shape}, but it must have at most 1 dimension", op="meshgrid"))
    shape = tuple([x.size for x in parts])
    ones = [1] * len(parts)
    grids = []
    for k, x in enumerate(parts):
        grid = broadcast_to(reshape(x, (*ones[:k], x.size, *ones[k + 1 :])), shape)
        grids.append(swapaxes(grid, 0, 1) if indexing == "xy" and len(parts) > 1 else grid)
    return tuple(grids)


def cartesian_prod(*tensors: Any) -> Tensor:
    """All choices of one element from each vector, as rows; of one vector, the vector.

    Raises:
        ShapeError: not vectors.

    >>> import lucid
    >>> lucid.cartesian_prod(lucid.tensor([1, 2]), lucid.tensor([3, 4])).tolist()
    [[1, 3], [1, 4], [2, 3], [2, 4]]
    """
    parts = _listed("cartesian_prod", tensors)
    if len(parts) == 1:
        return parts[0]
    return stack([reshape(grid, -1) for grid in meshgrid(*parts)], 1)


def combinations(input: Any, r: int = 2, with_replacement: bool = False) -> Tensor:
    """All choices of ``r`` elements of a vector, in their order, as rows.

    Raises:
        ShapeError: not a vector.
        ArgumentError: ``r`` is negative.

    >>> import lucid
    >>> lucid.combinations(lucid.tensor([1, 2, 3])).tolist()
    [[1, 2], [1, 3], [2, 3]]
    """
    x = as_tensor(input, "combinations")
    if x.ndim != 1:
        fail(ShapeError(f"input has shape {x.shape}, but it must have 1 dimension", op="combinations"))
    count = int_of("combinations", "r", r)
    if count < 0:
        fail(ArgumentError(f"r={count} must not be negative", op="combinations"))
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    chosen = list(choose(range(x.size), count))
    if count == 0:
        return reshape(stretch(x, 0, 0, 0), (0,))
    return take(x, leaf(np.array(chosen, np.int64).reshape(-1, count)), 0)


# --- with a part replaced ---


def select_scatter(input: Any, src: Any, dim: int, index: int) -> Tensor:
    """``input`` with ``src`` as its slice at ``index`` along ``dim``.

    Raises:
        IndexRangeError: ``index`` is outside the dimension.
        ShapeError: ``src`` has not the shape of the slice.

    >>> import lucid
    >>> lucid.select_scatter(lucid.zeros(2, 2), lucid.tensor([1.0, 2.0]), 0, 1)
    Tensor([[0.0, 0.0],
            [1.0, 2.0]])
    """
    from lucid.functions.assigning import assigned

    x = as_tensor(input, "select_scatter")
    select(x, dim, index)  # refuses what is not there
    return assigned(x, (*[slice(None)] * axis_of("select_scatter", dim, x.ndim, "dim"), index), src)


def slice_scatter(
    input: Any, src: Any, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1
) -> Tensor:
    """``input`` with ``src`` as its elements ``start:end:step`` along ``dim``.

    Raises:
        ShapeError: ``src`` has not the shape of those elements.

    >>> import lucid
    >>> lucid.slice_scatter(lucid.zeros(4), lucid.tensor([1.0, 2.0]), 0, 0, 4, 2)
    Tensor([1.0, 0.0, 2.0, 0.0])
    """
    from lucid.functions.assigning import assigned

    x = as_tensor(input, "slice_scatter")
    axis = axis_of("slice_scatter", dim, x.ndim, "dim")
    return assigned(x, (*[slice(None)] * axis, slice(start, end, step)), src)
