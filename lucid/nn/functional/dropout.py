"""Dropout: Srivastava et al., JMLR 15 (2014)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.functions.arguments import number_of
from lucid.functions.elementwise import where
from lucid.promotion import as_tensor, floating
from lucid.random import next_key

if TYPE_CHECKING:
    from lucid.tensor import Tensor


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Elements set to 0 with probability ``p``, the others scaled by ``1 / (1 - p)``; the identity if not training.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> dropout(lucid.ones(3), 1.0), dropout(lucid.ones(3), 0.5, training=False)
    (Tensor([0.0, 0.0, 0.0]), Tensor([1.0, 1.0, 1.0]))
    """
    x = as_tensor(input, "dropout", "input")
    p = number_of("dropout", "p", p, 0, 1, ": it is a probability")
    if not training or p == 0:
        return x
    x = floating(x)
    draw = apply(ops.random_uniform, next_key(), shape=x.shape, dtype=x.dtype)
    scaled = x * (1.0 / (1.0 - p)) if p < 1 else x
    return where(draw >= p, scaled, 0.0)
