"""The fully connected layer, and the shapes around it."""

from __future__ import annotations

from typing import Any

from lucid.functions.arguments import int_of
from lucid.functions.creation import empty
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, positive
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.tensor import Tensor


class Linear(Module):
    """``input @ weight.T + bias``: from ``(..., in_features)`` to ``(..., out_features)``.

    Args:
        in_features: size of each input.
        out_features: size of each output.
        bias: whether to add one number per output.

    Attributes:
        weight: ``(out_features, in_features)``, float32.
        bias: ``(out_features,)``, or None.

    Both start uniform within ``1 / sqrt(in_features)`` of 0 (``nn.init.fan_in_uniform_`` names the source).

    Raises:
        ArgumentError, ArgumentTypeError: a size that is not an int of at least 1.
        ShapeError: when called, with an input whose last size is not ``in_features``.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Linear(4, 2)(lucid.zeros(3, 4)).shape
    (3, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        self.in_features = positive("Linear", "in_features", in_features)
        self.out_features = positive("Linear", "out_features", out_features)
        self.weight = Parameter(empty(self.out_features, self.in_features))
        self.register_parameter("bias", Parameter(empty(self.out_features)) if flag("Linear", "bias", bias) else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weight and bias again."""
        init.fan_in_uniform_(self.weight, self.in_features)
        if self.bias is not None:
            init.fan_in_uniform_(self.bias, self.in_features)

    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={self.bias is not None}"


class Flatten(Module):
    """Axes ``start_dim`` to ``end_dim`` as one; by default all but the batch.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Flatten()(lucid.zeros(2, 3, 4, 4)).shape
    (2, 48)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim = int_of("Flatten", "start_dim", start_dim)
        self.end_dim = int_of("Flatten", "end_dim", end_dim)

    def forward(self, input: Tensor) -> Tensor:
        return input.flatten(self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Identity(Module):
    """Its input. Takes any arguments, so that it can stand in for any layer.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Identity(64)(lucid.ones(1))
    Tensor([1.0])
    """

    def __init__(self, *args: Any, **kwargs: Any):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return input
