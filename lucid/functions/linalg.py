"""Matrix products."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ShapeError
from lucid.functions.arguments import fail
from lucid.functions.movement import reshape
from lucid.promotion import together

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["dot", "matmul", "outer"]


def matmul(a: Any, b: Any) -> Tensor:
    """The matrix product: ``(..., m, k) @ (..., k, n)``, leading axes broadcasting.

    A vector on the left counts as a row, on the right as a column, and the axis added for it is removed again.

    Raises:
        ShapeError: an operand has no dimensions, or the inner sizes differ.

    >>> import lucid
    >>> lucid.tensor([[1.0, 2.0], [3.0, 4.0]]) @ lucid.tensor([1.0, 1.0])
    Tensor([3.0, 7.0])
    """
    a, b = together(a, b, "matmul")
    if a.ndim >= 2 and b.ndim >= 2:
        return apply(ops.matmul, a, b)
    for name, t in (("a", a), ("b", b)):
        if t.ndim == 0:
            fail(
                ShapeError(
                    f"{name} has shape (), but it must have at least 1 dimension",
                    op="matmul",
                    hint="use * to multiply by a number",
                )
            )
    if a.shape[-1] != b.shape[-2 if b.ndim > 1 else 0]:
        fail(
            ShapeError(
                f"shapes {a.shape} and {b.shape} do not fit: the last size of a must equal "
                f"the {'second-last' if b.ndim > 1 else 'only'} size of b",
                op="matmul",
            )
        )
    left = reshape(a, (1, *a.shape)) if a.ndim == 1 else a
    right = reshape(b, (*b.shape, 1)) if b.ndim == 1 else b
    product = apply(ops.matmul, left, right)
    shape = product.shape[:-2]
    shape += () if a.ndim == 1 else product.shape[-2:-1]
    shape += () if b.ndim == 1 else product.shape[-1:]
    return reshape(product, shape)


def dot(a: Any, b: Any) -> Tensor:
    """The product of two vectors, or the matrix product.

    Raises:
        ShapeError: the sizes do not fit.

    >>> import lucid
    >>> lucid.dot(lucid.tensor([1, 2]), lucid.tensor([3, 4]))
    Tensor(11)
    """
    return matmul(a, b)


def outer(a: Any, b: Any) -> Tensor:
    """Every element of vector ``a`` times every element of vector ``b``.

    Raises:
        ShapeError: not vectors.

    >>> import lucid
    >>> lucid.outer(lucid.tensor([1, 2]), lucid.tensor([3, 4]))
    Tensor([[3, 4],
            [6, 8]])
    """
    a, b = together(a, b, "outer")
    for name, t in (("a", a), ("b", b)):
        if t.ndim != 1:
            fail(ShapeError(f"{name} has shape {t.shape}, but it must have 1 dimension", op="outer"))
    return apply(ops.mul, reshape(a, (-1, 1)), b)
