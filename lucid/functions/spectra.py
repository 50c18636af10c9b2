"""Singular values and eigenvalues, by rotations of pairs of columns (one-sided Jacobi: Hestenes 1958).

The rotations are computed without gradients, and make a matrix diagonal up to rounding. Derivatives come from two steps
of refinement that start there (Ogita & Aishima 2018): each squares the distance, so that derivatives up to the third
are those of the exact factors. Compositions like all functions: they work on stacks of matrices, compiled too. A
compiled function holds all rotations, so they are meant for small matrices there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lucid import ops
from lucid.eager import Recorded, apply
from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, number_of
from lucid.functions.comparison import maximum, where
from lucid.functions.creation import eye
from lucid.functions.diagonals import diagonal, tril, triu
from lucid.functions.elementwise import sqrt
from lucid.functions.factorisations import inv, qr, square_matrix
from lucid.functions.linalg import matmul
from lucid.functions.movement import broadcast_to, concat, pad, reshape, stretch, swapaxes
from lucid.functions.norms import matrix_norm
from lucid.functions.ordering import argsort
from lucid.functions.reductions import amax, sum
from lucid.promotion import as_tensor, binary, cast, scalar

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__: list[str] = []


class SVD(NamedTuple):
    """``A == U * S @ Vh``: orthonormal columns, sizes from the largest down, orthonormal rows."""

    U: Tensor
    S: Tensor
    Vh: Tensor


class Eigen(NamedTuple):
    """Eigenvalues from the least up, and their eigenvectors as columns."""

    eigenvalues: Tensor
    eigenvectors: Tensor


def svd(A: Any, full_matrices: bool = True) -> SVD:
    """The singular value decomposition ``A == U[..., :k] * S @ Vh[..., :k, :]``.

    Args:
        A: ``(..., m, n)``, floating.
        full_matrices: whether ``U`` is ``(..., m, m)`` and ``Vh`` ``(..., n, n)``; otherwise they have
            ``k = min(m, n)`` columns and rows. The additional ones have no gradient.

    The signs of matching columns and rows are not determined; nor are vectors of equal singular values, whose
    derivatives towards each other count as 0.

    Raises:
        ShapeError, DTypeError: no matrix, or not floating.

    >>> import lucid
    >>> lucid.linalg.svd(lucid.tensor([[3.0, 0.0], [0.0, -2.0]])).S
    Tensor([3.0, 2.0])
    """
    x = _matrix("svd", A)
    m, n = x.shape[-2:]
    if m < n:
        V, S, Uh = svd(swapaxes(x, -1, -2), full_matrices)
        return SVD(swapaxes(Uh, -1, -2), S, swapaxes(V, -1, -2))
    left, right = _singular_vectors(apply(ops.stop_gradient, x))
    size, columns, rotation = _refined_singular(matmul(matmul(swapaxes(left, -1, -2), x), right))
    U = matmul(left, columns)
    if full_matrices:
        U = concat([U, stretch(left, x.ndim - 1, n, m)], -1)
    return SVD(U, size, swapaxes(matmul(right, rotation), -1, -2))


def svdvals(A: Any) -> Tensor:
    """The singular values of matrices, from the largest down.

    Raises:
        ShapeError, DTypeError: no matrix, or not floating.

    >>> import lucid
    >>> lucid.linalg.svdvals(lucid.tensor([[0.0, 2.0], [0.0, 0.0], [1.0, 0.0]]))
    Tensor([2.0, 1.0])
    """
    return svd(_matrix("svdvals", A), False).S


def eigh(A: Any, UPLO: str = "L") -> Eigen:
    """Eigenvalues and eigenvectors of symmetric matrices, given by one triangle; both get half the gradient.

    The signs of eigenvectors are not determined; nor are those of equal eigenvalues, whose derivatives towards each
    other count as 0.

    Args:
        A: ``(..., n, n)``, floating.
        UPLO: which triangle is read: 'L', the lower one, or 'U', the upper one.

    Raises:
        ShapeError, DTypeError: not square, or not floating.
        ArgumentError: another ``UPLO``.

    >>> import lucid
    >>> lucid.linalg.eigh(lucid.tensor([[0.0, 0.0], [0.0, -2.0]])).eigenvalues
    Tensor([-2.0, 0.0])
    """
    x = square_matrix("eigh", A)
    if UPLO not in ("L", "U"):
        fail(ArgumentError(f"UPLO={UPLO!r} must be 'L' or 'U'", op="eigh"))
    n = x.shape[-1]
    given = tril(x) if UPLO == "L" else triu(x)
    given = given + swapaxes(given - where(_diagonal(x), given, scalar(0.0, x.dtype)), -1, -2)
    both = (x + swapaxes(x, -1, -2)) * 0.5
    x = both + apply(ops.stop_gradient, given - both)  # the values of one triangle, and gradients to both
    constant = apply(ops.stop_gradient, x)
    if n == 0:
        return Eigen(sum(x, -1), x)
    # With its largest row sum added to the diagonal the matrix is positive: its singular vectors are eigenvectors.
    bound = amax(sum(apply(ops.abs, constant), -1, True), -2, True)
    _, vectors = _rotated(constant + bound * eye(n, dtype=x.dtype))
    vectors = _ordered(vectors, sum(vectors * matmul(constant, vectors), -2), False)
    seen = _without_rounding(matmul(matmul(swapaxes(vectors, -1, -2), x), vectors))
    rotation = _near_identity(seen)
    values = sum(rotation * matmul(seen, rotation), -2) / sum(rotation * rotation, -2)
    return Eigen(values, matmul(vectors, rotation))


def eigvalsh(A: Any, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, from the least up; ``UPLO`` is that of ``eigh``.

    Raises:
        ShapeError, DTypeError: not square, or not floating.
        ArgumentError: ``UPLO`` is not 'L' or 'U'.

    >>> import lucid
    >>> lucid.linalg.eigvalsh(lucid.tensor([[2.0, 0.0], [0.0, -1.0]]))
    Tensor([-1.0, 2.0])
    """
    return eigh(square_matrix("eigvalsh", A), UPLO).eigenvalues


def _matrix(op: str, A: Any) -> Tensor:
    x = as_tensor(A, op)
    if x.ndim < 2:
        fail(ShapeError(f"A has shape {x.shape}, but it must have at least 2 dimensions", op=op))
    if x.dtype.kind != "f":
        fail(DTypeError(f"A has dtype {x.dtype.name}, but it must be floating", op=op))
    return x


def matrix_rank(A: Any, *, atol: Any = None, rtol: Any = None, hermitian: bool = False) -> Tensor:
    """How many singular values of matrices exceed ``max(atol, rtol * the largest)``.

    Args:
        atol, rtol: numbers, or tensors with one for each matrix. ``atol`` is 0 unless given; ``rtol`` the dtype's
            machine epsilon times the larger size of a matrix, or 0 where ``atol`` is given and positive.
        hermitian: of no effect: symmetric matrices are treated as others are.

    Raises:
        ShapeError, DTypeError: no matrix, or not floating.
        ArgumentError, ArgumentTypeError: a tolerance that is negative or not a number.

    >>> import lucid
    >>> lucid.linalg.matrix_rank(lucid.ones(3, 3))
    Tensor(1)
    """
    op = "matrix_rank"
    x = _matrix(op, A)
    least = _tolerance(op, "atol", 0.0 if atol is None else atol, x)
    share = scalar(float(np.finfo(x.dtype).eps) * max(x.shape[-2:]), x.dtype)
    if rtol is not None:
        share = _tolerance(op, "rtol", rtol, x)
    elif atol is not None:
        share = where(binary("gt", least, 0), scalar(0.0, x.dtype), share)
    size = svdvals(x)
    if not size.shape[-1]:
        return sum(binary("gt", size, 0), -1)
    limit = maximum(binary("mul", size[..., 0], share), least)
    return sum(binary("gt", size, reshape(limit, (*limit.shape, 1))), -1)


def _tolerance(op: str, argument: str, value: Any, x: Tensor) -> Tensor:
    if isinstance(value, Recorded):
        return cast(value, x.dtype)  # type: ignore[arg-type]  # Tensor is the only subclass users meet
    return scalar(float(number_of(op, argument, value, 0)), x.dtype)


def cond(A: Any, p: Any = None) -> Tensor:
    """The condition numbers of matrices: ``matrix_norm(A, p) * matrix_norm(inv(A), p)``.

    Args:
        A: ``(..., m, n)`` for ``p`` None, 2 or -2, which are quotients of singular values; else square.
        p: as ``ord`` of ``matrix_norm``.

    Raises:
        ShapeError, DTypeError: no matrix, or not floating.
        ArgumentError: another ``p``; a singular matrix, if the inverse is needed.

    >>> import lucid
    >>> lucid.linalg.cond(lucid.tensor([[4.0, 0.0], [0.0, 2.0]]))
    Tensor(2.0)
    """
    x = _matrix("cond", A)
    if p is None or p in (2, -2):
        size = svdvals(x)
        if not size.shape[-1]:
            return sum(size, -1)
        largest, least = size[..., 0], size[..., -1]
        return least / largest if p == -2 else largest / least
    return matrix_norm(square_matrix("cond", x), p) * matrix_norm(inv(x), p)


# --- the rotations ---


def _singular_vectors(x: Tensor) -> tuple[Tensor, Tensor]:
    """All left and right singular vectors of ``(..., m, n)``, ``m >= n``, by falling singular values."""
    m, n = x.shape[-2:]
    if n == 0:
        return broadcast_to(eye(m, dtype=x.dtype), (*x.shape[:-2], m, m)), swapaxes(x, -1, -2)[..., :n, :n]
    product, right = _rotated(x)
    size = sum(product * product, -2)
    product, right = _ordered(product, size, True), _ordered(right, size, True)
    left, triangle = qr(product, "complete")
    turned = binary("lt", diagonal(triangle, 0, -2, -1), 0)
    turned = concat([turned, broadcast_to(scalar(False, turned.dtype), (*turned.shape[:-1], m - n))], -1)
    return where(reshape(turned, (*turned.shape[:-1], 1, m)), -left, left), right


def _ordered(columns: Tensor, keys: Tensor, descending: bool) -> Tensor:
    """Columns in the order of their keys."""
    order = argsort(keys, -1, descending)
    wide = broadcast_to(reshape(order, (*order.shape[:-1], 1, order.shape[-1])), columns.shape)
    return apply(ops.take_along, columns, wide, axis=columns.ndim - 1)


def _sweeps(n: int) -> int:
    """After how many sweeps ``n`` columns are orthogonal up to rounding, as measured, Vandermonde matrices included."""
    return 0 if n < 2 else n.bit_length() + 5 if n <= 12 else 2 * n.bit_length() + 5


def _rotated(x: Tensor) -> tuple[Tensor, Tensor]:
    """``x @ V`` with orthogonal columns, and the orthogonal ``V``.

    In every round half of the columns meet the other half; in ``n - 1`` rounds, a sweep, each has met each.
    """
    m, n = x.shape[-2:]
    scale = amax(amax(apply(ops.abs, x), -1, True), -2, True)
    scale = where(binary("gt", scale, 0), scale, scalar(1.0, x.dtype))
    unit = broadcast_to(eye(n, dtype=x.dtype), (*x.shape[:-2], n, n))
    both = concat([x / scale, unit], -2)
    if n % 2:  # a column of zeros, which nothing turns towards
        both = pad(both, [(0, 0)] * (both.ndim - 1) + [(0, 1)])
    last, half = both.ndim - 1, both.shape[-1] // 2
    for _ in range(_sweeps(n) * (2 * half - 1)):
        first, second = _turned(stretch(both, last, 0, half), stretch(both, last, half, 2 * half), m)
        parts = [
            stretch(first, last, 0, 1), stretch(second, last, 0, 1), stretch(first, last, 1, max(half - 1, 1)),
            stretch(second, last, 1, half), stretch(first, last, max(half - 1, 1), half),
        ]  # fmt: skip
        both = concat(parts, -1)
    both = stretch(both, last, 0, n)
    return stretch(both, last - 1, 0, m) * scale, stretch(both, last - 1, m, m + n)


def _turned(a: Tensor, b: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """Pairs of columns turned so that their first ``m`` elements are orthogonal."""
    u, v = stretch(a, a.ndim - 2, 0, m), stretch(b, b.ndim - 2, 0, m)
    product = sum(u * v, -2, True)
    crossed = binary("ne", product, 0)
    one = scalar(1.0, a.dtype)
    ratio = (sum(v * v, -2, True) - sum(u * u, -2, True)) / (where(crossed, product, one) * 2.0)
    side = where(binary("ge", ratio, 0), one, -one)
    tangent = where(crossed, side / (apply(ops.abs, ratio) + sqrt(ratio * ratio + 1.0)), scalar(0.0, a.dtype))
    cosine = 1.0 / sqrt(tangent * tangent + 1.0)
    sine = cosine * tangent
    return cosine * a - sine * b, sine * a + cosine * b


# --- derivatives ---


def _without_rounding(x: Tensor) -> Tensor:
    """A matrix whose value is diagonal up to rounding, without that rounding."""
    return x - where(_diagonal(x), scalar(0.0, x.dtype), apply(ops.stop_gradient, x))


def _diagonal(x: Tensor) -> Tensor:
    """True on the diagonal of matrices like these."""
    return binary("eq", eye(*x.shape[-2:], dtype=x.dtype), 1)


def _near_identity(x: Tensor) -> Tensor:
    """The eigenvectors of symmetric matrices whose value is diagonal: the identity, with its derivatives."""
    n = x.shape[-1]
    unit = eye(n, dtype=x.dtype)
    vectors = broadcast_to(unit, x.shape)
    for _ in range(2):
        turned = swapaxes(vectors, -1, -2)
        missing = unit - matmul(turned, vectors)
        seen = matmul(turned, matmul(x, vectors))
        values = diagonal(seen, 0, -2, -1) / (1.0 - diagonal(missing, 0, -2, -1))
        row, column = reshape(values, (*values.shape[:-1], 1, n)), reshape(values, (*values.shape, 1))
        equal = binary("eq", row, column)
        gap = where(equal, scalar(1.0, x.dtype), row - column)
        vectors = vectors + matmul(vectors, where(equal, missing * 0.5, (seen + missing * row) / gap))
    return vectors


def _refined_singular(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Singular values of ``(..., m, n)`` matrices, ``m >= n``, whose value is diagonal, and both kinds of vectors."""
    x = _without_rounding(x)
    m, n = x.shape[-2:]
    rotation = _near_identity(matmul(swapaxes(x, -1, -2), x))
    product = matmul(x, rotation)
    along = diagonal(product, 0, -2, -1)
    flat = binary("eq", along, 0)
    one = scalar(1.0, x.dtype)
    scale = where(flat, one, apply(ops.abs, apply(ops.stop_gradient, along)))  # no square of it underflows
    columns = product / reshape(scale, (*scale.shape[:-1], 1, n))
    length = sqrt(where(flat, one, sum(columns * columns, -2)))
    wide = reshape(flat, (*flat.shape[:-1], 1, n))
    columns = where(wide, eye(m, n, dtype=x.dtype), columns / reshape(length, wide.shape))
    return where(flat, along, scale * length), columns, rotation
