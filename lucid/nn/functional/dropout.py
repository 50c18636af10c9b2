"""Dropout: Srivastava et al., JMLR 15 (2014); of whole channels: Tompson et al., arXiv:1411.4280; that keeps mean and
variance: Klambauer et al., arXiv:1706.02515.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ShapeError
from lucid.functions.arguments import fail, number_of
from lucid.functions.comparison import where
from lucid.promotion import as_tensor, floating
from lucid.random import next_key

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["alpha_dropout", "drop_path", "dropout", "dropout1d", "dropout2d", "dropout3d", "feature_alpha_dropout"]

#: What SELU comes to far below 0.
_LOWEST = -1.7580993408473766


def _arguments(op: str, input: Any, p: float) -> tuple[Tensor, float]:
    return as_tensor(input, op, "input"), float(number_of(op, "p", p, 0, 1, ": it is a probability"))


def _kept(x: Tensor, p: float, shape: tuple[int, ...]) -> Tensor:
    """Where a draw of this shape keeps what it meets."""
    return apply(ops.random_uniform, next_key(), shape=shape, dtype=x.dtype) >= p


def _dropped(x: Tensor, p: float, shape: tuple[int, ...]) -> Tensor:
    return where(_kept(x, p, shape), x * (1.0 / (1.0 - p)) if p < 1 else x, 0.0)


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Elements set to 0 with probability ``p``, the others scaled by ``1 / (1 - p)``; the identity if not training.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> dropout(lucid.ones(3), 1.0), dropout(lucid.ones(3), 0.5, training=False)
    (Tensor([0.0, 0.0, 0.0]), Tensor([1.0, 1.0, 1.0]))
    """
    x, p = _arguments("dropout", input, p)
    if not training or p == 0:
        return x
    x = floating(x)
    return _dropped(x, p, x.shape)


def drop_path(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Whole samples of ``(N, ...)`` set to 0 with probability ``p``, the others scaled by ``1 / (1 - p)``; the identity
    if not training. What a residual block adds is so left out: stochastic depth, Huang et al., arXiv:1603.09382.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.
        ShapeError: a tensor without dimensions.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.drop_path(lucid.ones(3, 2), 1.0).sum()
    Tensor(0.0)
    """
    x, p = _arguments("drop_path", input, p)
    if x.ndim == 0:
        fail(ShapeError("input has shape (), but it must be (N, ...)", op="drop_path"))
    if not training or p == 0:
        return x
    x = floating(x)
    return _dropped(x, p, (x.shape[0],) + (1,) * (x.ndim - 1))


def _channels(op: str, input: Any, p: float, training: bool, rank: int) -> Tensor:
    """Whole channels of ``(N, C, ...)`` or ``(C, ...)`` set to 0."""
    x, p = _arguments(op, input, p)
    if x.ndim not in (rank + 1, rank + 2):
        names = ", ".join(("L", "HW", "DHW")[rank - 1])
        fail(ShapeError(f"input has shape {x.shape}, but it must be (N, C, {names}) or (C, {names})", op=op))
    if not training or p == 0:
        return x
    x = floating(x)
    return _dropped(x, p, (*x.shape[: x.ndim - rank], *(1,) * rank))


def dropout1d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Channels of ``(N, C, L)`` or ``(C, L)`` set to 0 with probability ``p``, the others scaled by ``1 / (1 - p)``.

    Raises:
        ShapeError: another rank.
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> dropout1d(lucid.ones(2, 3), 1.0).sum()
    Tensor(0.0)
    """
    return _channels("dropout1d", input, p, training, 1)


def dropout2d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Channels of ``(N, C, H, W)`` or ``(C, H, W)`` set to 0 with probability ``p``, the others scaled.

    Raises:
        ShapeError: another rank.
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> dropout2d(lucid.ones(2, 3, 3), 0.5, training=False).sum()
    Tensor(18.0)
    """
    return _channels("dropout2d", input, p, training, 2)


def dropout3d(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)`` set to 0 with probability ``p``, the others scaled.

    Raises:
        ShapeError: another rank.
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> dropout3d(lucid.ones(2, 1, 1, 1), 1.0).sum()
    Tensor(0.0)
    """
    return _channels("dropout3d", input, p, training, 3)


def _alpha(op: str, input: Any, p: float, training: bool, whole: bool) -> Tensor:
    x, p = _arguments(op, input, p)
    if whole and x.ndim < 2:
        fail(ShapeError(f"input has shape {x.shape}, but it needs a batch and a channel axis", op=op))
    if not training or p == 0:
        return x
    x = floating(x)
    if p == 1:
        return x * 0.0
    scale = 1.0 / math.sqrt((_LOWEST**2 * p + 1) * (1 - p))
    shape = (*x.shape[:2], *(1,) * (x.ndim - 2)) if whole else x.shape
    return where(_kept(x, p, shape), x, _LOWEST) * scale - scale * _LOWEST * p


def alpha_dropout(input: Any, p: float = 0.5, training: bool = False) -> Tensor:
    """Elements set to SELU's lowest value with probability ``p``, and all moved so that mean 0 and variance 1 stay.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> alpha_dropout(lucid.ones(3))
    Tensor([1.0, 1.0, 1.0])
    """
    return _alpha("alpha_dropout", input, p, training, False)


def feature_alpha_dropout(input: Any, p: float = 0.5, training: bool = False) -> Tensor:
    """As ``alpha_dropout``, of whole channels of ``(N, C, ...)``.

    Raises:
        ShapeError: fewer than 2 dimensions.
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> feature_alpha_dropout(lucid.ones(1, 3))
    Tensor([[1.0, 1.0, 1.0]])
    """
    return _alpha("feature_alpha_dropout", input, p, training, True)
