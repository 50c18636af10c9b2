"""The fully connected layer, its form with two inputs, and the shapes around them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lucid.functions.arguments import int_of, ints_of
from lucid.functions.creation import empty
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, positive
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.nn.place import Place, placed
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack


class Linear(Module):
    """``input @ weight.T + bias``: from ``(..., in_features)`` to ``(..., out_features)``.

    Args:
        in_features: size of each input.
        out_features: size of each output.
        bias: whether to add one number per output.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(out_features, in_features)``.
        bias: ``(out_features,)``, or None.

    Both start uniform within ``1 / sqrt(in_features)`` of 0 (``nn.init.fan_in_uniform_`` names the source).

    Raises:
        ArgumentError, ArgumentTypeError: a size that is not an int of at least 1.
        ShapeError: when called, with an input whose last size is not ``in_features``.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Linear(4, 2)(lucid.zeros(3, 4)).shape
    (3, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(self, in_features: int, out_features: int, bias: bool = True, **place: Unpack[Place]):
        super().__init__()
        self.in_features = positive("Linear", "in_features", in_features)
        self.out_features = positive("Linear", "out_features", out_features)
        made = placed("Linear", place)
        self.weight = Parameter(empty(self.out_features, self.in_features, **made))
        wanted = flag("Linear", "bias", bias)
        self.register_parameter("bias", Parameter(empty(self.out_features, **made)) if wanted else None)
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


class Bilinear(Module):
    """``input1 @ weight[k] @ input2 + bias[k]``: ``(..., in1_features)`` and ``(..., in2_features)`` to
    ``(..., out_features)``.

    Args:
        in1_features: size of each first input.
        in2_features: size of each second input.
        out_features: size of each output.
        bias: whether to add one number per output.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(out_features, in1_features, in2_features)``.
        bias: ``(out_features,)``, or None.

    Both start uniform within ``1 / sqrt(in1_features)`` of 0.

    Raises:
        ArgumentError, ArgumentTypeError: a size that is not an int of at least 1.
        ShapeError: when called, with inputs that do not fit.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Bilinear(4, 3, 2)(lucid.zeros(5, 4), lucid.zeros(5, 3)).shape
    (5, 2)
    """

    weight: Parameter
    bias: Parameter | None

    def __init__(
        self, in1_features: int, in2_features: int, out_features: int, bias: bool = True, **place: Unpack[Place]
    ):
        super().__init__()
        op = "Bilinear"
        self.in1_features = positive(op, "in1_features", in1_features)
        self.in2_features = positive(op, "in2_features", in2_features)
        self.out_features = positive(op, "out_features", out_features)
        made = placed(op, place)
        self.weight = Parameter(empty(self.out_features, self.in1_features, self.in2_features, **made))
        wanted = flag(op, "bias", bias)
        self.register_parameter("bias", Parameter(empty(self.out_features, **made)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weight and bias again."""
        init.fan_in_uniform_(self.weight, self.in1_features)
        if self.bias is not None:
            init.fan_in_uniform_(self.bias, self.in1_features)

    def forward(self, input1: Tensor, input2: Tensor) -> Tensor:
        return F.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self) -> str:
        sizes = f"in1_features={self.in1_features}, in2_features={self.in2_features}"
        return f"{sizes}, out_features={self.out_features}, bias={self.bias is not None}"


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


class Unflatten(Module):
    """Axis ``dim`` as several, of the sizes ``unflattened_size``; one of them may be -1.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Unflatten(1, (3, 4))(lucid.zeros(2, 12)).shape
    (2, 3, 4)
    """

    def __init__(self, dim: int, unflattened_size: Sequence[int]):
        super().__init__()
        self.dim = int_of("Unflatten", "dim", dim)
        self.unflattened_size = ints_of("Unflatten", "unflattened_size", unflattened_size)

    def forward(self, input: Tensor) -> Tensor:
        return input.unflatten(self.dim, self.unflattened_size)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


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
