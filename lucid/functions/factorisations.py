"""Systems of equations and factors of matrices, by elimination and reflection, one column at a time.

Compositions like all functions: they work on stacks of matrices, compiled too, and their gradients are exact to any
order. A compiled function holds the steps for each column, so they are meant for small matrices there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from lucid import ops
from lucid.eager import apply, mode
from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, named
from lucid.functions.comparison import where
from lucid.functions.creation import eye
from lucid.functions.elementwise import log, sign, sqrt
from lucid.functions.linalg import matmul
from lucid.functions.movement import broadcast_to, concat, reshape, stack, stretch, swapaxes
from lucid.functions.reductions import prod, sum
from lucid.ir.types import int64, is_float
from lucid.promotion import as_tensor, binary, scalar, together

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["cholesky", "det", "inverse", "logdet", "qr", "slogdet"]


def square_matrix(op: str, input: Any) -> Tensor:
    """A stack of square, floating matrices."""
    x = as_tensor(input, op)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        fail(ShapeError(f"input has shape {x.shape}, but its last two sizes must be equal", op=op))
    if not is_float(x.dtype):
        fail(DTypeError(f"input has dtype {x.dtype.name}, but it must be floating", op=op))
    return x


def _rows(x: Tensor) -> Tensor:
    """The number of its row, for each element of a matrix of ``x``'s."""
    return apply(ops.iota, axis=0, shape=(x.shape[-2], 1), dtype=int64)


def _pivoted(x: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Matrices with the row of the largest element of column ``k``, from row ``k`` on, moved there; and if it moved."""
    below = stretch(stretch(x, x.ndim - 1, k, k + 1), x.ndim - 2, k, x.shape[-2])
    size = apply(ops.abs, apply(ops.stop_gradient, below))
    best = apply(ops.argmax, size, axis=x.ndim - 2, keepdims=True) + k  # (..., 1, 1)
    wide = broadcast_to(best, (*x.shape[:-2], 1, x.shape[-1]))
    top, found = stretch(x, x.ndim - 2, k, k + 1), apply(ops.take_along, x, wide, axis=x.ndim - 2)
    row = _rows(x)
    return where(binary("eq", row, k), found, where(binary("eq", row, best), top, x)), binary("ne", best, k)


def _eliminated(op: str, x: Tensor, n: int, above: bool) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """The first ``n`` columns cleared below (and above) their diagonal, the pivots, and which rows were exchanged."""
    pivots, swaps = [], []
    for k in range(n):
        x, moved = _pivoted(x, k)
        top = stretch(x, x.ndim - 2, k, k + 1)
        pivot = stretch(top, x.ndim - 1, k, k + 1)  # (..., 1, 1)
        pivots.append(pivot)
        swaps.append(moved)
        safe = pivot if above else where(binary("eq", pivot, 0), scalar(1.0, x.dtype), pivot)
        column = stretch(x, x.ndim - 1, k, k + 1)
        row = _rows(x)
        cleared = binary("ne", row, k) if above else binary("gt", row, k)
        factor = where(cleared, column / safe, scalar(0.0, x.dtype))
        x = x - factor * top
    return x, pivots, swaps


def solve(A: Any, B: Any, *, left: bool = True) -> Tensor:
    """The ``X`` with ``A @ X == B`` (or ``X @ A == B``), by Gauss-Jordan elimination with row exchanges.

    Args:
        A: ``(..., n, n)``, floating.
        B: ``(..., n, k)``, or vectors ``(..., n)``.

    Raises:
        ShapeError, DTypeError: the operands do not fit.
        ArgumentError: a matrix is singular. Compiled code, which cannot raise, gives infinities and NaN there.

    >>> import lucid
    >>> lucid.linalg.solve(lucid.tensor([[2.0, 0.0], [0.0, 4.0]]), lucid.tensor([1.0, 1.0]))
    Tensor([0.5, 0.25])
    """
    a, b = together(square_matrix("solve", A), B, "solve")
    n = a.shape[-1]
    vector = b.ndim == 1 or (b.ndim == a.ndim - 1 and b.shape == a.shape[:-1])
    if vector:
        b = reshape(b, (*b.shape, 1))
    if not left:
        return swapaxes(solve(swapaxes(a, -1, -2), swapaxes(b, -1, -2)), -1, -2)
    if b.ndim < 2 or b.shape[-2] != n:
        fail(ShapeError(f"A has shape {a.shape}, which does not fit B of shape {b.shape}", op="solve"))
    from lucid.functions.arranging import broadcast_shapes

    with named("solve"):
        lead = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    both = concat([broadcast_to(a, (*lead, n, n)), broadcast_to(b, (*lead, *b.shape[-2:]))], -1)
    both, pivots, _ = _eliminated("solve", both, n, True)
    if mode.trace is None and not all(p._value("solve").all() for p in pivots):
        fail(ArgumentError("the matrix is singular: it has no inverse", op="solve"))
    right = stretch(both, both.ndim - 1, n, both.shape[-1])
    result = right / concat(pivots, -2) if n else right
    return reshape(result, result.shape[:-1]) if vector else result


def inv(A: Any) -> Tensor:
    """The inverse of square matrices. ``inverse`` is the same function.

    Raises:
        ShapeError, DTypeError: not square, or not floating.
        ArgumentError: a matrix is singular. Compiled code, which cannot raise, gives infinities and NaN there.

    >>> import lucid
    >>> lucid.linalg.inv(lucid.tensor([[2.0, 0.0], [0.0, 4.0]]))
    Tensor([[0.5, 0.0],
            [0.0, 0.25]])
    """
    x = square_matrix("inv", A)
    with named("inv"):
        return solve(x, broadcast_to(eye(x.shape[-1], dtype=x.dtype), x.shape))


inverse = inv


def _pivots(op: str, A: Any) -> tuple[Tensor, Tensor]:
    """The pivots of elimination, ``(..., n)``, and the sign of the row exchanges."""
    x = square_matrix(op, A)
    if x.shape[-1] == 0:
        ones = broadcast_to(scalar(1.0, x.dtype), x.shape[:-2])
        return reshape(x, x.shape[:-1]), ones
    _, pivots, swaps = _eliminated(op, x, x.shape[-1], False)
    moved = [where(reshape(s, x.shape[:-2]), scalar(-1.0, x.dtype), scalar(1.0, x.dtype)) for s in swaps]
    parity = prod(stack(moved, -1), -1)
    return reshape(concat(pivots, -1), x.shape[:-1]), parity


def det(A: Any) -> Tensor:
    """The determinants of square matrices, by elimination with row exchanges.

    Raises:
        ShapeError, DTypeError: not square, or not floating.

    >>> import lucid
    >>> lucid.linalg.det(lucid.tensor([[2.0, 1.0], [0.0, 3.0]]))
    Tensor(6.0)
    """
    pivots, parity = _pivots("det", A)
    return prod(pivots, -1) * parity


class SignLogDet(NamedTuple):
    """The sign of a determinant and the logarithm of its size."""

    sign: Tensor
    logabsdet: Tensor


def slogdet(A: Any) -> SignLogDet:
    """The sign of the determinants of square matrices, and the logarithm of their size.

    Raises:
        ShapeError, DTypeError: not square, or not floating.

    >>> import lucid
    >>> lucid.linalg.slogdet(lucid.tensor([[0.0, 1.0], [1.0, 0.0]]))
    SignLogDet(sign=Tensor(-1.0), logabsdet=Tensor(0.0))
    """
    pivots, parity = _pivots("slogdet", A)
    return SignLogDet(prod(sign(pivots), -1) * parity, sum(log(apply(ops.abs, pivots)), -1))


def logdet(A: Any) -> Tensor:
    """The logarithm of determinants: NaN where one is negative.

    Raises:
        ShapeError, DTypeError: not square, or not floating.

    >>> import lucid
    >>> lucid.logdet(lucid.eye(2))
    Tensor(0.0)
    """
    parity, size = slogdet(A)
    return where(binary("lt", parity, 0), scalar(float("nan"), size.dtype), size)


def cholesky(A: Any, *, upper: bool = False) -> Tensor:
    """The lower triangular ``L`` with ``L @ L.mT == A`` for symmetric, positive definite ``A``; or its transpose.

    Raises:
        ShapeError, DTypeError: not square, or not floating.
        ArgumentError: a matrix is not positive definite. Compiled code, which cannot raise, gives NaN there.

    >>> import lucid
    >>> lucid.linalg.cholesky(lucid.tensor([[4.0, 2.0], [2.0, 2.0]]))
    Tensor([[2.0, 0.0],
            [1.0, 1.0]])
    """
    x = square_matrix("cholesky", A)
    n, last = x.shape[-1], x.ndim - 1
    if n == 0:
        return x
    x = (x + swapaxes(x, -1, -2)) * 0.5
    columns = []
    for k in range(n):
        column = stretch(x, last, k, k + 1)
        pivot = stretch(column, last - 1, k, k + 1)
        if mode.trace is None and not (pivot._value("cholesky") > 0).all():
            fail(ArgumentError("the matrix is not positive definite", op="cholesky"))
        column = where(binary("ge", _rows(x), k), column / sqrt(pivot), scalar(0.0, x.dtype))
        columns.append(column)
        x = x - column * swapaxes(column, -1, -2)
    lower = concat(columns, -1)
    return swapaxes(lower, -1, -2) if upper else lower


class Factors(NamedTuple):
    """Matrices with orthonormal columns, and upper triangular ones."""

    Q: Tensor
    R: Tensor


def qr(A: Any, mode: str = "reduced") -> Factors:
    """``A == Q @ R`` with orthonormal columns in ``Q`` and an upper triangular ``R``, by Householder's reflections.

    Args:
        A: ``(..., m, n)``, floating.
        mode: 'reduced' gives ``min(m, n)`` columns of ``Q``, 'complete' all ``m``, 'r' none of them.

    Raises:
        ShapeError, DTypeError: no matrix, or not floating.
        ArgumentError: another mode.

    >>> import lucid
    >>> a = lucid.tensor([[3.0, 1.0], [4.0, 2.0]])
    >>> q, r = lucid.linalg.qr(a)
    >>> lucid.allclose(q @ r, a, atol=1e-6)
    True
    """
    x = as_tensor(A, "qr")
    if x.ndim < 2:
        fail(ShapeError(f"A has shape {x.shape}, but it must have at least 2 dimensions", op="qr"))
    if not is_float(x.dtype):
        fail(DTypeError(f"A has dtype {x.dtype.name}, but it must be floating", op="qr"))
    if mode not in ("reduced", "complete", "r"):
        fail(ArgumentError(f"mode={mode!r} must be 'reduced', 'complete' or 'r'", op="qr"))
    m, n = x.shape[-2:]
    last = x.ndim - 1
    one, none = scalar(1.0, x.dtype), scalar(0.0, x.dtype)
    q = broadcast_to(eye(m, dtype=x.dtype), (*x.shape[:-2], m, m))
    for k in range(min(m - 1, n)):
        column = where(binary("ge", _rows(x), k), stretch(x, last, k, k + 1), none)
        head = stretch(column, last - 1, k, k + 1)
        rest = sum(where(binary("gt", _rows(x), k), column * column, none), -2, True)
        straight = binary("eq", rest, 0)  # nothing to clear: no reflection
        length = sqrt(where(straight, one, rest + head * head))
        target = where(binary("ge", head, 0), -length, length)
        v = column - where(binary("eq", _rows(x), k), target, none)
        scale = where(straight, none, 2.0 / where(straight, one, sum(v * v, -2, True)))
        x = x - v * scale * matmul(swapaxes(v, -1, -2), x)
        q = q - matmul(q, v) * scale * swapaxes(v, -1, -2)
    from lucid.functions.diagonals import triu

    count = m if mode == "complete" else min(m, n)
    r = triu(stretch(x, last - 1, 0, count))
    return Factors(stretch(q, last, 0, 0 if mode == "r" else count), r)
