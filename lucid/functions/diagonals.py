"""Triangles and diagonals of matrices, and matrices made of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lucid import ops
from lucid.eager import apply, leaf
from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import axis_of, dtype_of, fail, int_of
from lucid.functions.comparison import where
from lucid.functions.movement import concat, reshape
from lucid.ir.types import int64
from lucid.promotion import as_tensor, binary, scalar

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "block_diag", "diag", "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "trace", "tril", "tril_indices",
    "triu", "triu_indices",
]  # fmt: skip


def tril(input: Any, diagonal: int = 0) -> Tensor:
    """Matrices with zeros above a diagonal: the main one, or the one ``diagonal`` places above it.

    Raises:
        ShapeError: fewer than two dimensions.

    >>> import lucid
    >>> lucid.tril(lucid.ones(2, 2))
    Tensor([[1.0, 0.0],
            [1.0, 1.0]])
    """
    return _triangle("tril", input, diagonal)


def triu(input: Any, diagonal: int = 0) -> Tensor:
    """Matrices with zeros below a diagonal: the main one, or the one ``diagonal`` places above it.

    Raises:
        ShapeError: fewer than two dimensions.

    >>> import lucid
    >>> lucid.triu(lucid.tensor([[1, 2], [3, 4]]))
    Tensor([[1, 2],
            [0, 4]])
    """
    return _triangle("triu", input, diagonal)


def _triangle(op: str, input: Any, diagonal: Any) -> Tensor:
    x = as_tensor(input, op)
    offset = int_of(op, "diagonal", diagonal)
    if x.ndim < 2:
        fail(ShapeError(f"input has shape {x.shape}, but it must have at least 2 dimensions", op=op))
    row = apply(ops.iota, axis=0, shape=x.shape[-2:], dtype=int64)
    column = apply(ops.iota, axis=1, shape=x.shape[-2:], dtype=int64)
    kept = binary("le" if op == "tril" else "ge", column - row, offset)
    return where(kept, x, scalar(False if x.dtype.kind == "b" else 0, x.dtype))


def tril_indices(row: int, col: int, offset: int = 0, *, dtype: object = np.int64) -> Tensor:
    """The rows and columns of the lower triangle of a ``row x col`` matrix, as a tensor of shape ``(2, n)``.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.

    >>> import lucid
    >>> lucid.tril_indices(2, 2)
    Tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _indices("tril_indices", np.tril_indices, row, col, offset, dtype)


def triu_indices(row: int, col: int, offset: int = 0, *, dtype: object = np.int64) -> Tensor:
    """The rows and columns of the upper triangle of a ``row x col`` matrix, as a tensor of shape ``(2, n)``.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.

    >>> import lucid
    >>> lucid.triu_indices(2, 2)
    Tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _indices("triu_indices", np.triu_indices, row, col, offset, dtype)


def _indices(op: str, make: Any, row: Any, col: Any, offset: Any, dtype: object) -> Tensor:
    sizes = int_of(op, "row", row), int_of(op, "col", col)
    if min(sizes) < 0:
        fail(ArgumentError(f"row={row} and col={col} must not be negative", op=op))
    return leaf(np.stack(make(sizes[0], int_of(op, "offset", offset), sizes[1])).astype(dtype_of(op, dtype)))


def _matrix_axes(op: str, ndim: int, dim1: Any, dim2: Any) -> tuple[int, int]:
    first, second = axis_of(op, dim1, ndim, "dim1"), axis_of(op, dim2, ndim, "dim2")
    if first == second:
        fail(ArgumentError(f"dim1={dim1} and dim2={dim2} name one dimension", op=op))
    return first, second


def diagonal(input: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """The diagonals of the matrices in dimensions ``dim1`` and ``dim2``, as a new last dimension.

    Args:
        offset: how many places above the main diagonal.

    Raises:
        ArgumentError: the two dimensions are one, or not there.

    >>> import lucid
    >>> lucid.diagonal(lucid.tensor([[1, 2], [3, 4]]))
    Tensor([1, 4])
    """
    x = as_tensor(input, "diagonal")
    first, second = _matrix_axes("diagonal", x.ndim, dim1, dim2)
    shift = int_of("diagonal", "offset", offset)
    rest = [k for k in range(x.ndim) if k not in (first, second)]
    x = apply(ops.transpose, x, perm=(*rest, first, second))
    lead, (rows, columns) = x.shape[:-2], x.shape[-2:]
    up, left = max(-shift, 0), max(shift, 0)
    n = max(min(rows - up, columns - left), 0)
    start = (*[0] * len(lead), min(up, rows), min(left, columns))
    square = apply(ops.slice, x, start=start, stop=(*lead, start[-2] + n, start[-1] + n), step=(1,) * x.ndim)
    flat = reshape(square, (*lead, n * n))
    none, ones = (0,) * len(lead), (1,) * len(lead)
    return apply(ops.slice, flat, start=(*none, 0), stop=(*lead, n * n), step=(*ones, n + 1))


def diag_embed(input: Any, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """Matrices, in dimensions ``dim1`` and ``dim2`` of the result, whose diagonals are the last dimension's rows.

    Raises:
        ArgumentError: the two dimensions are one, or not there.
        ShapeError: no dimensions.

    >>> import lucid
    >>> lucid.diag_embed(lucid.tensor([1, 2]))
    Tensor([[1, 0],
            [0, 2]])
    """
    x = as_tensor(input, "diag_embed")
    if x.ndim == 0:
        fail(ShapeError("input has shape (), but it must have at least 1 dimension", op="diag_embed"))
    first, second = _matrix_axes("diag_embed", x.ndim + 1, dim1, dim2)
    shift = int_of("diag_embed", "offset", offset)
    *lead, n = x.shape
    none = (0,) * len(lead)
    zero = False if x.dtype.kind == "b" else 0
    flat = apply(ops.pad, x, low=(*none, 0), high=(*none, 0), interior=(*none, n), value=zero)
    square = reshape(flat, (*lead, n, n))
    size = abs(shift)
    low, high = (size, 0) if shift < 0 else (0, size)
    low_high = {"low": (*none, low, high), "high": (*none, high, low)}
    matrix = apply(ops.pad, square, interior=(*none, 0, 0), value=zero, **low_high)
    order = [k for k in range(x.ndim + 1) if k not in (first, second)]
    perm = [0] * (x.ndim + 1)
    for source, target in enumerate([*order, first, second]):
        perm[target] = source
    return apply(ops.transpose, matrix, perm=tuple(perm))


def diag(input: Any, diagonal: int = 0) -> Tensor:
    """The diagonal of a matrix, or the matrix with a vector on its diagonal.

    Raises:
        ShapeError: neither one nor two dimensions.

    >>> import lucid
    >>> lucid.diag(lucid.tensor([1, 2]))
    Tensor([[1, 0],
            [0, 2]])
    """
    x = as_tensor(input, "diag")
    if x.ndim not in (1, 2):
        fail(ShapeError(f"input has shape {x.shape}, but it must have 1 or 2 dimensions", op="diag"))
    return diag_embed(x, diagonal) if x.ndim == 1 else _diagonal(x, diagonal)


_diagonal = diagonal


def diagflat(input: Any, offset: int = 0) -> Tensor:
    """The matrix with all elements of ``input`` on its diagonal.

    >>> import lucid
    >>> lucid.diagflat(lucid.tensor([1, 2]), 1).tolist()
    [[0, 1, 0], [0, 0, 2], [0, 0, 0]]
    """
    return diag_embed(reshape(as_tensor(input, "diagflat"), -1), offset)


def diagonal_scatter(input: Any, src: Any, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Tensor:
    """``input`` with ``src`` on the diagonals of the matrices in dimensions ``dim1`` and ``dim2``.

    Raises:
        ArgumentError: the two dimensions are one, or not there.
        ShapeError: ``src`` has not the shape of the diagonals.

    >>> import lucid
    >>> lucid.diagonal_scatter(lucid.zeros(2, 2), lucid.tensor([1.0, 2.0]))
    Tensor([[1.0, 0.0],
            [0.0, 2.0]])
    """
    x, source = as_tensor(input, "diagonal_scatter"), as_tensor(src, "diagonal_scatter", "src")
    places = reshape(apply(ops.iota, axis=0, shape=(x.size,), dtype=int64), x.shape)
    at = diagonal(places, offset, dim1, dim2)
    if source.shape != at.shape:
        fail(ShapeError(f"src has shape {source.shape}, but the diagonal has {at.shape}", op="diagonal_scatter"))
    from lucid.functions.gathering import index_copy

    return reshape(index_copy(reshape(x, -1), 0, reshape(at, -1), reshape(source, -1)), x.shape)


def trace(input: Any) -> Tensor:
    """The sum of the diagonal of a matrix.

    Raises:
        ShapeError: not a matrix.

    >>> import lucid
    >>> lucid.trace(lucid.tensor([[1, 2], [3, 4]]))
    Tensor(5)
    """
    x = as_tensor(input, "trace")
    if x.ndim != 2:
        fail(ShapeError(f"input has shape {x.shape}, but it must have 2 dimensions", op="trace"))
    return diagonal(x).sum()


def block_diag(*tensors: Any) -> Tensor:
    """A matrix with the given matrices (vectors count as rows, numbers as one element) along its diagonal.

    Raises:
        ShapeError: more than two dimensions.

    >>> import lucid
    >>> lucid.block_diag(lucid.tensor([[1, 2]]), lucid.tensor(3)).tolist()
    [[1, 2, 0], [0, 0, 3]]
    """
    parts = [as_tensor(t, "block_diag", f"tensors[{k}]") for k, t in enumerate(tensors)]
    if not parts:
        return leaf(np.zeros((1, 0), np.float32))
    for k, part in enumerate(parts):
        if part.ndim > 2:
            fail(
                ShapeError(
                    f"tensors[{k}] has shape {part.shape}, but it must have at most 2 dimensions", op="block_diag"
                )
            )
    blocks = [reshape(t, (1,) * (2 - t.ndim) + t.shape) for t in parts]
    width, rows, left = sum(b.shape[1] for b in blocks), [], 0
    for b in blocks:
        zero = False if b.dtype.kind == "b" else 0
        right = width - left - b.shape[1]
        rows.append(apply(ops.pad, b, low=(0, left), high=(0, right), interior=(0, 0), value=zero))
        left += b.shape[1]
    return concat(rows, 0)
