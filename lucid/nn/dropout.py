"""Dropout: Srivastava et al., JMLR 15 (2014)."""

from __future__ import annotations

from lucid.nn import functional as F
from lucid.nn.arguments import number
from lucid.nn.module import Module
from lucid.tensor import Tensor


class Dropout(Module):
    """In training, elements are set to 0 with probability ``p`` and the others scaled by ``1 / (1 - p)``.

    In evaluation it is the identity. Draws follow ``lucid.manual_seed``, and are fresh at every call.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Dropout(0.5).eval()(lucid.ones(3))
    Tensor([1.0, 1.0, 1.0])
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        self.p = number("Dropout", "p", p, 0, 1)

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"
