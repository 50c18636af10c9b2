"""Distances and angles between vectors, and vectors of length 1."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.errors import ShapeError
from lucid.functions.arguments import fail, number_of
from lucid.functions.arithmetic import clamp_min
from lucid.functions.elementwise import sqrt
from lucid.functions.indexing import take
from lucid.functions.movement import broadcast_to
from lucid.functions.norms import vector_norm
from lucid.promotion import as_tensor, floating, rounded_once

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["cosine_similarity", "normalize", "pairwise_distance", "pdist"]


@rounded_once
def normalize(input: Any, p: float = 2.0, dim: int = 1, eps: float = 1e-12) -> Tensor:
    """``x`` divided by its ``p``-norm along a dimension, or by ``eps`` where that is larger.

    Raises:
        ArgumentError, ArgumentTypeError: no such dimension, or ``p`` or ``eps`` that are no numbers.

    >>> import lucid
    >>> normalize(lucid.tensor([[3.0, 4.0]]))
    Tensor([[0.6, 0.8]])
    """
    x = floating(as_tensor(input, "normalize", "input"))
    return x / clamp_min(vector_norm(x, p, dim, keepdim=True), float(number_of("normalize", "eps", eps)))


@rounded_once
def pairwise_distance(x1: Any, x2: Any, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False) -> Tensor:
    """The ``p``-norm of ``x1 - x2 + eps`` along the last dimension: ``(N, D)`` or ``(D,)`` each, broadcast.

    Raises:
        ShapeError: the shapes do not broadcast.
        ArgumentTypeError: ``p`` or ``eps`` that are no numbers.

    >>> import lucid
    >>> pairwise_distance(lucid.tensor([[3.0, 0.0]]), lucid.tensor([[0.0, 4.0]]), eps=0)
    Tensor([5.0])
    """
    op = "pairwise_distance"
    a, b = floating(as_tensor(x1, op, "x1")), floating(as_tensor(x2, op, "x2"))
    return vector_norm(a - b + float(number_of(op, "eps", eps)), p, -1, keepdim=keepdim)


@rounded_once
def cosine_similarity(x1: Any, x2: Any, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along a dimension; lengths below ``eps`` count as ``eps``.

    Raises:
        ShapeError: the shapes do not broadcast.
        ArgumentError, ArgumentTypeError: no such dimension, or ``eps`` is not a number.

    >>> import lucid
    >>> cosine_similarity(lucid.tensor([[1.0, 0.0]]), lucid.tensor([[1.0, 0.0]]))
    Tensor([1.0])
    """
    op = "cosine_similarity"
    a, b = floating(as_tensor(x1, op, "x1")), floating(as_tensor(x2, op, "x2"))
    least = float(number_of(op, "eps", eps))
    products = a * b
    squares = [(broadcast_to(x, products.shape) ** 2).sum(dim) for x in (a, b)]
    lengths = [sqrt(clamp_min(s, least * least)) for s in squares]
    return products.sum(dim) / (lengths[0] * lengths[1])


@rounded_once
def pdist(input: Any, p: float = 2.0) -> Tensor:
    """The ``p``-norm of ``input[i] - input[j]`` for all ``i < j``: ``(N, D)`` to ``(N * (N - 1) / 2,)``.

    Raises:
        ShapeError: not two dimensions.
        ArgumentError, ArgumentTypeError: ``p`` is negative, or no number.

    >>> import lucid
    >>> pdist(lucid.tensor([[0.0, 0.0], [3.0, 4.0], [3.0, 0.0]]))
    Tensor([5.0, 3.0, 4.0])
    """
    op = "pdist"
    x = floating(as_tensor(input, op, "input"))
    if x.ndim != 2:
        fail(ShapeError(f"input has shape {x.shape}, but it must be (N, D)", op=op))
    first, second = np.triu_indices(x.shape[0], 1)
    return vector_norm(take(x, first, 0) - take(x, second, 0), number_of(op, "p", p, 0), -1)
