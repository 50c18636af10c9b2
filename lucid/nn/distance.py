"""Distances and angles between vectors, as layers."""

from __future__ import annotations

from lucid.functions.arguments import int_of
from lucid.nn import functional as F
from lucid.nn.arguments import flag, number
from lucid.nn.module import Module
from lucid.tensor import Tensor


class PairwiseDistance(Module):
    """The ``p``-norm of ``x1 - x2 + eps`` along the last dimension: ``(N, D)`` or ``(D,)`` each, broadcast.

    Raises:
        ArgumentTypeError: ``p`` or ``eps`` are no numbers, or ``keepdim`` is not a bool.
        ShapeError: when called, with shapes that do not broadcast.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.PairwiseDistance(eps=0)(lucid.tensor([[3.0, 0.0]]), lucid.tensor([[0.0, 4.0]]))
    Tensor([5.0])
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__()
        self.p = number("PairwiseDistance", "p", p, float("-inf"))
        self.eps = number("PairwiseDistance", "eps", eps)
        self.keepdim = flag("PairwiseDistance", "keepdim", keepdim)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)


class CosineSimilarity(Module):
    """The cosine of the angle between vectors along ``dim``; lengths below ``eps`` count as ``eps``.

    Raises:
        ArgumentTypeError: ``dim`` is not an int, or ``eps`` is not a number.
        ShapeError, ArgumentError: when called, with shapes that do not broadcast, or without such a dimension.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.CosineSimilarity()(lucid.tensor([[1.0, 0.0]]), lucid.tensor([[2.0, 0.0]]))
    Tensor([1.0])
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__()
        self.dim = int_of("CosineSimilarity", "dim", dim)
        self.eps = number("CosineSimilarity", "eps", eps)

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return F.cosine_similarity(x1, x2, self.dim, self.eps)
