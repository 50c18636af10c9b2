"""Dropout as layers: in training, elements or whole channels are left out at random; in evaluation, nothing happens.

Draws follow ``lucid.manual_seed``, and are fresh at every call. ``inplace`` is accepted, and changes nothing.
"""

from __future__ import annotations

from lucid.nn import functional as F
from lucid.nn.arguments import number
from lucid.nn.module import Module
from lucid.tensor import Tensor


class _Dropout(Module):
    def __init__(self, p: float = 0.5, inplace: bool = False):
        super().__init__()
        self.p = number(type(self).__name__, "p", p, 0, 1)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout(_Dropout):
    """In training, elements are set to 0 with probability ``p`` and the others scaled by ``1 / (1 - p)``.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Dropout(0.5).eval()(lucid.ones(3))
    Tensor([1.0, 1.0, 1.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout(input, self.p, self.training)


class Dropout1d(_Dropout):
    """In training, channels of ``(N, C, L)`` or ``(C, L)`` are set to 0 with probability ``p``.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.
        ShapeError: when called, with an input of another rank.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Dropout1d(1.0)(lucid.ones(2, 3)).sum()
    Tensor(0.0)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout1d(input, self.p, self.training)


class Dropout2d(_Dropout):
    """In training, channels of ``(N, C, H, W)`` or ``(C, H, W)`` are set to 0 with probability ``p``.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.
        ShapeError: when called, with an input of another rank.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Dropout2d(1.0)(lucid.ones(2, 3, 3)).sum()
    Tensor(0.0)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout2d(input, self.p, self.training)


class Dropout3d(_Dropout):
    """In training, channels of ``(N, C, D, H, W)`` or ``(C, D, H, W)`` are set to 0 with probability ``p``.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.
        ShapeError: when called, with an input of another rank.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Dropout3d(1.0)(lucid.ones(2, 1, 1, 1)).sum()
    Tensor(0.0)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.dropout3d(input, self.p, self.training)


class AlphaDropout(_Dropout):
    """In training, elements are set to SELU's lowest value with probability ``p``, mean and variance kept.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AlphaDropout().eval()(lucid.ones(2))
    Tensor([1.0, 1.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.alpha_dropout(input, self.p, self.training)


class FeatureAlphaDropout(_Dropout):
    """As ``AlphaDropout``, of whole channels of ``(N, C, ...)``.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.
        ShapeError: when called, with an input of another rank.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.FeatureAlphaDropout().eval()(lucid.ones(1, 2))
    Tensor([[1.0, 1.0]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.feature_alpha_dropout(input, self.p, self.training)


class DropPath(_Dropout):
    """In training, whole samples of ``(N, ...)`` are set to 0 with probability ``p`` and the others scaled by
    ``1 / (1 - p)``: stochastic depth of residual blocks, Huang et al., arXiv:1603.09382.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.
        ShapeError: when called, with a tensor without dimensions.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.DropPath(1.0)(lucid.ones(2, 3)).sum()
    Tensor(0.0)
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.drop_path(input, self.p, self.training)
