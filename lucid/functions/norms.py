"""Sizes of vectors, and distances."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import axes_of, axis_of, dtype_of, fail, is_several, number_of
from lucid.functions.comparison import where
from lucid.functions.elementwise import sqrt
from lucid.functions.movement import moveaxis, squeeze, unsqueeze
from lucid.functions.reductions import amax, amin, no_dims, sum
from lucid.ir.types import is_float
from lucid.promotion import as_tensor, binary, cast, rounded_once, scalar, together

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["dist", "norm", "renorm"]


@rounded_once
def vector_norm(x: Any, ord: float = 2, dim: Any = None, keepdim: bool = False, *, dtype: object = None) -> Tensor:
    """``sum(abs(x)**ord)**(1 / ord)`` along ``dim`` (None: of all elements).

    Args:
        ord: any number: 2 is the Euclidean norm, ``inf`` and ``-inf`` are the largest and the smallest size, and 0
            counts the elements that are not 0.
        dtype: the dtype to compute in.

    Raises:
        DTypeError: ``x`` is not floating.
        ShapeError: an infinite or negative ``ord`` of no elements.

    >>> import lucid
    >>> lucid.linalg.vector_norm(lucid.tensor([3.0, 4.0]))
    Tensor(5.0)
    """
    t = as_tensor(x, "vector_norm")
    if dtype is not None:
        t = cast(t, dtype_of("vector_norm", dtype))
    if not is_float(t.dtype):
        fail(DTypeError(f"x has dtype {t.dtype.name}, but it must be floating", op="vector_norm"))
    power = float(number_of("vector_norm", "ord", ord))
    axes = axes_of("vector_norm", no_dims(dim), t.ndim, "dim")
    empty = 0 in [t.shape[k] for k in axes]
    if empty and (power < 0 or power == math.inf):
        fail(ShapeError(f"there are no elements along dim={dim} of shape {t.shape} for ord={ord}", op="vector_norm"))
    if power == 0:
        return sum(cast(binary("ne", t, 0), t.dtype), axes, keepdim)
    size = apply(ops.abs, t)
    if math.isinf(power):
        return (amax if power > 0 else amin)(size, axes, keepdim) if axes else size
    if power == 1:
        return sum(size, axes, keepdim)
    # Where everything is 0 the derivative is 0: the roots and powers there are those of 1.
    if power == 2:
        total = sum(t * t, axes, keepdim)
    else:
        zero = binary("eq", size, 0)
        one, none = scalar(1.0, t.dtype), scalar(0.0 if power > 0 else math.inf, t.dtype)
        total = sum(where(zero, none, where(zero, one, size) ** power), axes, keepdim)
    flat = binary("eq", total, 0)
    safe = where(flat, scalar(1.0, t.dtype), total)
    root = sqrt(safe) if power == 2 else safe ** (1 / power)
    return where(flat, scalar(0.0 if power > 0 else math.inf, t.dtype), root)


@rounded_once
def matrix_norm(
    A: Any, ord: Any = "fro", dim: Any = (-2, -1), keepdim: bool = False, *, dtype: object = None
) -> Tensor:
    """Norms of the matrices in two dimensions.

    Args:
        ord: 'fro', the root of the sum of squares; 1 and -1, the largest and smallest sum of sizes in a column; inf and
            -inf, in a row; 2 and -2, the largest and smallest singular value; 'nuc', the sum of the singular values.

    Raises:
        ArgumentError: another ``ord``, or not two dimensions.
        DTypeError: ``A`` is not floating.

    >>> import lucid
    >>> lucid.linalg.matrix_norm(lucid.tensor([[3.0, 0.0], [0.0, 4.0]]))
    Tensor(5.0)
    """
    x = as_tensor(A, "matrix_norm")
    if dtype is not None:
        x = cast(x, dtype_of("matrix_norm", dtype))
    if not is_float(x.dtype):
        fail(DTypeError(f"A has dtype {x.dtype.name}, but it must be floating", op="matrix_norm"))
    if not is_several(dim) or len(dim) != 2:
        fail(ArgumentError(f"dim={dim} must be two dimensions", op="matrix_norm"))
    rows, columns = (axis_of("matrix_norm", d, x.ndim, "dim") for d in dim)
    if rows == columns:
        fail(ArgumentError(f"dim={dim} names one dimension twice", op="matrix_norm"))
    if ord == "fro":
        return vector_norm(x, 2, (rows, columns), keepdim)
    if ord != "nuc" and (isinstance(ord, str) or abs(float(ord)) not in (1.0, 2.0, math.inf)):
        rule = "must be 'fro', 'nuc', 1, -1, 2, -2, inf or -inf"
        fail(ArgumentError(f"ord={ord!r} {rule}", op="matrix_norm"))
    if ord == "nuc" or abs(ord) == 2:
        from lucid.functions.spectra import svdvals

        sizes = svdvals(moveaxis(x, (rows, columns), (-2, -1)))
        result = sum(sizes, -1) if ord == "nuc" else (amax if ord > 0 else amin)(sizes, -1)
        return _kept(result, (rows, columns)) if keepdim else result
    inner, outer = (columns, rows) if math.isinf(ord) else (rows, columns)
    totals = sum(apply(ops.abs, x), inner, True)
    result = (amax if ord > 0 else amin)(totals, outer, True)
    return result if keepdim else squeeze(result, axis=(rows, columns))


def _kept(x: Tensor, axes: tuple[int, ...]) -> Tensor:
    """With the dimensions that were reduced, as ones."""
    for axis in sorted(axes):
        x = unsqueeze(x, axis)
    return x


def norm_of(A: Any, ord: Any = None, dim: Any = None, keepdim: bool = False, *, dtype: object = None) -> Tensor:
    """``matrix_norm`` if ``ord`` is given and ``dim`` names two dimensions, or there are two; else ``vector_norm``.

    Raises:
        DTypeError: ``A`` is not floating.
        ArgumentError: an unknown ``ord``, or dimensions that are not there.

    >>> import lucid
    >>> lucid.linalg.norm(lucid.tensor([3.0, 4.0]))
    Tensor(5.0)
    """
    x = as_tensor(A, "norm")
    two = is_several(dim) and len(dim) == 2
    if ord is None or not (two or (dim is None and x.ndim == 2)):
        if ord is not None and dim is None and x.ndim != 1:
            fail(ArgumentError(f"ord={ord!r} without dim needs 1 or 2 dimensions, not {x.ndim}", op="norm"))
        return vector_norm(x, 2 if ord is None else ord, dim, keepdim, dtype=dtype)
    return matrix_norm(x, ord, dim if two else (-2, -1), keepdim, dtype=dtype)


@rounded_once
def norm(input: Any, p: Any = "fro", dim: Any = None, keepdim: bool = False, dtype: object = None) -> Tensor:
    """The norm of all elements, or of those along ``dim``, as of a vector; ``p`` is its ``ord``.

    Args:
        p: a number, or 'fro', which is 2; or 'nuc', the sum of the singular values of matrices in two dimensions.

    Raises:
        ArgumentError: another name (norms of matrices are ``lucid.linalg.matrix_norm``).

    >>> import lucid
    >>> lucid.norm(lucid.tensor([[3.0], [4.0]]))
    Tensor(5.0)
    """
    if p == "nuc":
        return matrix_norm(input, p, (-2, -1) if dim is None else dim, keepdim, dtype=dtype)
    if isinstance(p, str) and p != "fro":
        fail(
            ArgumentError(
                f"p={p!r} must be a number, 'fro' or 'nuc'", op="norm", hint="lucid.linalg.matrix_norm has it"
            )
        )
    return vector_norm(input, 2 if p == "fro" or p is None else p, dim, keepdim, dtype=dtype)


@rounded_once
def dist(input: Any, other: Any, p: float = 2) -> Tensor:
    """The norm of ``input - other``.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.dist(lucid.tensor([1.0, 1.0]), lucid.tensor([4.0, 5.0]))
    Tensor(5.0)
    """
    a, b = together(input, other, "dist")
    return vector_norm(a - b, p)


@rounded_once
def renorm(input: Any, p: float, dim: int, maxnorm: float) -> Tensor:
    """``input`` with every slice along ``dim`` whose norm exceeds ``maxnorm`` scaled down to it.

    Raises:
        ShapeError: fewer than two dimensions.
        ArgumentError: ``p`` not above 0, a negative ``maxnorm``, or a dimension that is not there.

    >>> import lucid
    >>> lucid.renorm(lucid.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0).norm(2, 1).round(decimals=3)
    Tensor([1.0, 0.5])
    """
    x = as_tensor(input, "renorm")
    if x.ndim < 2:
        fail(ShapeError(f"input has shape {x.shape}, but it must have at least 2 dimensions", op="renorm"))
    if number_of("renorm", "p", p) <= 0:
        fail(ArgumentError(f"p={p} must be above 0", op="renorm"))
    (axis,) = axes_of("renorm", dim, x.ndim, "dim")
    rest = tuple([k for k in range(x.ndim) if k != axis])
    size = vector_norm(x, p, rest, True)
    over = binary("gt", size, maxnorm)
    scale = number_of("renorm", "maxnorm", maxnorm, 0) / (size + 1e-7)
    return x * where(over, scale, scalar(1.0, x.dtype))
