"""Activation functions as layers.

``inplace`` is accepted where PyTorch has it, and changes nothing: a value is never overwritten while it may be needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import either, fail, int_of
from lucid.functions.creation import full
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import number, positive
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.nn.place import Place, placed
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack


class ReLU(Module):
    """``max(x, 0)``, element by element.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReLU()(lucid.tensor([-1.0, 2.0]))
    Tensor([0.0, 2.0])
    """

    def __init__(self, inplace: bool = False):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return F.relu(input)


class ReLU6(Module):
    """``min(max(x, 0), 6)``, element by element: MobileNet's activation (Sandler et al. 2018).

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReLU6()(lucid.tensor([-1.0, 2.0, 8.0]))
    Tensor([0.0, 2.0, 6.0])
    """

    def __init__(self, inplace: bool = False):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return F.relu6(input)


class Hardtanh(Module):
    """``x`` between ``min_val`` and ``max_val``.

    Raises:
        ArgumentError, ArgumentTypeError: bounds that are no numbers, or, when called, not increasing.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Hardtanh()(lucid.tensor([-2.0, 0.5]))
    Tensor([-1.0, 0.5])
    """

    def __init__(self, min_val: float = -1.0, max_val: float = 1.0, inplace: bool = False):
        super().__init__()
        self.min_val = number("Hardtanh", "min_val", min_val, float("-inf"))
        self.max_val = number("Hardtanh", "max_val", max_val, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.hardtanh(input, self.min_val, self.max_val)

    def extra_repr(self) -> str:
        return f"min_val={self.min_val}, max_val={self.max_val}"


class LeakyReLU(Module):
    """``x`` where positive, else ``negative_slope * x``.

    Raises:
        ArgumentTypeError: ``negative_slope`` is not a number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.LeakyReLU(0.5)(lucid.tensor([-4.0, 2.0]))
    Tensor([-2.0, 2.0])
    """

    def __init__(self, negative_slope: float = 0.01, inplace: bool = False):
        super().__init__()
        self.negative_slope = number("LeakyReLU", "negative_slope", negative_slope, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.leaky_relu(input, self.negative_slope)

    def extra_repr(self) -> str:
        return f"negative_slope={self.negative_slope}"


class RReLU(Module):
    """``x`` where positive, else ``x`` times a slope: drawn from ``lower .. upper`` in training, else their mean.

    Raises:
        ArgumentError, ArgumentTypeError: bounds that are no numbers, or, when called, not increasing.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.RReLU(0.25, 0.75).eval()(lucid.tensor([-4.0, 2.0]))
    Tensor([-2.0, 2.0])
    """

    def __init__(self, lower: float = 1 / 8, upper: float = 1 / 3, inplace: bool = False):
        super().__init__()
        self.lower = number("RReLU", "lower", lower, float("-inf"))
        self.upper = number("RReLU", "upper", upper, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.rrelu(input, self.lower, self.upper, self.training)

    def extra_repr(self) -> str:
        return f"lower={self.lower}, upper={self.upper}"


class ELU(Module):
    """``x`` where positive, else ``alpha * (exp(x) - 1)``: Clevert et al., arXiv:1511.07289.

    Raises:
        ArgumentTypeError: ``alpha`` is not a number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ELU()(lucid.tensor([float("-inf"), 2.0]))
    Tensor([-1.0, 2.0])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__()
        self.alpha = number("ELU", "alpha", alpha, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.elu(input, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class CELU(Module):
    """``x`` where positive, else ``alpha * (exp(x / alpha) - 1)``: Barron, arXiv:1704.07483.

    Raises:
        ArgumentTypeError: ``alpha`` is not a number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.CELU(0.5)(lucid.tensor([float("-inf"), 2.0]))
    Tensor([-0.5, 2.0])
    """

    def __init__(self, alpha: float = 1.0, inplace: bool = False):
        super().__init__()
        self.alpha = number("CELU", "alpha", alpha, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.celu(input, self.alpha)

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}"


class SELU(Module):
    """``ELU`` scaled so that layers keep mean 0 and variance 1: Klambauer et al., arXiv:1706.02515.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.SELU()(lucid.tensor([0.0, 1.0]))
    Tensor([0.0, 1.050701])
    """

    def __init__(self, inplace: bool = False):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return F.selu(input)


class SiLU(Module):
    """``x * sigmoid(x)``.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.SiLU()(lucid.tensor([0.0, 100.0]))
    Tensor([0.0, 100.0])
    """

    def __init__(self, inplace: bool = False):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return F.silu(input)


class Mish(Module):
    """``x * tanh(softplus(x))``: Misra, arXiv:1908.08681.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Mish()(lucid.tensor([0.0, 30.0]))
    Tensor([0.0, 30.0])
    """

    def __init__(self, inplace: bool = False):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return F.mish(input)


class Softplus(Module):
    """``log(1 + exp(beta * x)) / beta``; ``x`` itself where ``beta * x`` is above ``threshold``.

    Raises:
        ArgumentTypeError: an argument is not a number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Softplus()(lucid.tensor([0.0, 1000.0]))
    Tensor([0.6931472, 1000.0])
    """

    def __init__(self, beta: float = 1.0, threshold: float = 20.0):
        super().__init__()
        self.beta = number("Softplus", "beta", beta, float("-inf"))
        self.threshold = number("Softplus", "threshold", threshold, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.softplus(input, self.beta, self.threshold)

    def extra_repr(self) -> str:
        return f"beta={self.beta}, threshold={self.threshold}"


class LogSigmoid(Module):
    """``log(sigmoid(x))``, without overflow.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.LogSigmoid()(lucid.tensor([0.0, -1000.0]))
    Tensor([-0.6931472, -1000.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.logsigmoid(input)


class Sigmoid(Module):
    """``1 / (1 + exp(-x))``, element by element.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Sigmoid()(lucid.tensor([0.0, -1e4]))
    Tensor([0.5, 0.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.sigmoid(input)


class Tanh(Module):
    """The hyperbolic tangent, element by element.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Tanh()(lucid.tensor([0.0, -1e4]))
    Tensor([0.0, -1.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanh(input)


class Hardsigmoid(Module):
    """``x / 6 + 1/2`` between 0 and 1.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Hardsigmoid()(lucid.tensor([-4.0, 0.0, 4.0]))
    Tensor([0.0, 0.5, 1.0])
    """

    def __init__(self, inplace: bool = False):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return F.hardsigmoid(input)


class Hardswish(Module):
    """``x * hardsigmoid(x)``: MobileNetV3's activation (Howard et al., arXiv:1905.02244).

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Hardswish()(lucid.tensor([0.0, 4.0]))
    Tensor([0.0, 4.0])
    """

    def __init__(self, inplace: bool = False):
        super().__init__()

    def forward(self, input: Tensor) -> Tensor:
        return F.hardswish(input)


class Hardshrink(Module):
    """``x`` outside of ``-lambd .. lambd``, 0 inside.

    Raises:
        ArgumentTypeError: ``lambd`` is not a number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Hardshrink()(lucid.tensor([-1.0, 0.3]))
    Tensor([-1.0, 0.0])
    """

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = number("Hardshrink", "lambd", lambd, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.hardshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"


class Softshrink(Module):
    """``x`` moved towards 0 by ``lambd``, and 0 where it would pass it.

    Raises:
        ArgumentError, ArgumentTypeError: ``lambd`` is negative or not a number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Softshrink()(lucid.tensor([-1.0, 0.25]))
    Tensor([-0.5, 0.0])
    """

    def __init__(self, lambd: float = 0.5):
        super().__init__()
        self.lambd = number("Softshrink", "lambd", lambd, 0)

    def forward(self, input: Tensor) -> Tensor:
        return F.softshrink(input, self.lambd)

    def extra_repr(self) -> str:
        return f"lambd={self.lambd}"


class Softsign(Module):
    """``x / (1 + |x|)``.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Softsign()(lucid.tensor([-1.0, 3.0]))
    Tensor([-0.5, 0.75])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softsign(input)


class Tanhshrink(Module):
    """``x - tanh(x)``.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Tanhshrink()(lucid.tensor([0.0, 40.0]))
    Tensor([0.0, 39.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.tanhshrink(input)


class Threshold(Module):
    """``x`` where it is above ``threshold``, else ``value``.

    Raises:
        ArgumentTypeError: an argument is not a number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Threshold(1.0, -3.0)(lucid.tensor([0.5, 2.0]))
    Tensor([-3.0, 2.0])
    """

    def __init__(self, threshold: float, value: float, inplace: bool = False):
        super().__init__()
        self.threshold = number("Threshold", "threshold", threshold, float("-inf"))
        self.value = number("Threshold", "value", value, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.threshold(input, self.threshold, self.value)

    def extra_repr(self) -> str:
        return f"threshold={self.threshold}, value={self.value}"


class GELU(Module):
    """``x`` times the normal distribution's probability of being below ``x``: Hendrycks & Gimpel, arXiv:1606.08415.

    Args:
        approximate: 'none', or 'tanh' for the formula by a hyperbolic tangent.

    Raises:
        ArgumentError: another ``approximate``.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.GELU()(lucid.tensor([0.0, 20.0]))
    Tensor([0.0, 20.0])
    """

    def __init__(self, approximate: str = "none"):
        super().__init__()
        if approximate not in ("none", "tanh"):
            fail(ArgumentError(f"approximate={approximate!r} must be 'none' or 'tanh'", op="GELU"))
        self.approximate = approximate

    def forward(self, input: Tensor) -> Tensor:
        return F.gelu(input, self.approximate)

    def extra_repr(self) -> str:
        return f"approximate={self.approximate!r}"


class PReLU(Module):
    """``x`` where positive, else ``weight * x`` with slopes that are learned: He et al., arXiv:1502.01852.

    Args:
        num_parameters: one slope for all, or as many as the input ``(N, C, ...)`` has channels.
        init: of the slopes.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: ``num_parameters`` below 1, or ``init`` is not a number.
        ShapeError: when called, with other channels.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.PReLU()(lucid.tensor([-4.0, 2.0])).detach()
    Tensor([-1.0, 2.0])
    """

    def __init__(self, num_parameters: int = 1, init: float = 0.25, **place: Unpack[Place]):
        super().__init__()
        self.num_parameters = positive("PReLU", "num_parameters", num_parameters)
        self.init = number("PReLU", "init", init, float("-inf"))
        self.weight = Parameter(full((num_parameters,), self.init, **placed("PReLU", place)))

    def reset_parameters(self) -> None:
        """Forget what was learned."""
        init.constant_(self.weight, self.init)

    def forward(self, input: Tensor) -> Tensor:
        return F.prelu(input, self.weight)

    def extra_repr(self) -> str:
        return f"num_parameters={self.num_parameters}"


class GLU(Module):
    """The first half of a dimension times the sigmoid of the second: Dauphin et al., arXiv:1612.08083.

    Raises:
        ArgumentTypeError: ``dim`` is not an int.
        ShapeError: when called, with a dimension that is odd.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.GLU()(lucid.tensor([3.0, 5.0, 0.0, 0.0]))
    Tensor([1.5, 2.5])
    """

    def __init__(self, dim: int = -1):
        super().__init__()
        self.dim = int_of("GLU", "dim", dim)

    def forward(self, input: Tensor) -> Tensor:
        return F.glu(input, self.dim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}"


class _AlongAxis(Module):
    def __init__(self, axis: int | None = None, *, dim: int | None = None):
        super().__init__()
        op = type(self).__name__
        given = either(op, axis, dim)
        if given is None:
            fail(ArgumentError("axis must be given", op=op, hint="axis=-1 is the last one, usually the classes"))
        self.axis = int_of(op, "axis", given)

    def extra_repr(self) -> str:
        return f"axis={self.axis}"


class Softmax(_AlongAxis):
    """``exp(x) / sum(exp(x))`` along ``axis`` (PyTorch's ``dim`` is accepted too).

    Raises:
        ArgumentError: no axis; when called, an axis that the input lacks.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Softmax(axis=-1)(lucid.zeros(1, 4))
    Tensor([[0.25, 0.25, 0.25, 0.25]])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmax(input, self.axis)


class Softmin(_AlongAxis):
    """``softmax(-x)`` along ``axis``.

    Raises:
        ArgumentError: no axis; when called, an axis that the input lacks.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Softmin(axis=-1)(lucid.tensor([0.0, 1000.0]))
    Tensor([1.0, 0.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.softmin(input, self.axis)


class Softmax2d(Module):
    """Softmax over the channels of images ``(N, C, H, W)`` or ``(C, H, W)``, pixel by pixel.

    Raises:
        ShapeError: when called, with an input of another rank.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Softmax2d()(lucid.zeros(2, 1, 1)).tolist()
    [[[0.5]], [[0.5]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.ndim not in (3, 4):
            fail(ShapeError(f"input has shape {input.shape}, but it must be (N, C, H, W) or (C, H, W)", op="Softmax2d"))
        return F.softmax(input, -3)


class LogSoftmax(_AlongAxis):
    """``log(softmax(x))`` along ``axis``, exact where the softmax underflows.

    Raises:
        ArgumentError: no axis; when called, an axis that the input lacks.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.LogSoftmax(axis=0)(lucid.tensor([0.0, 1000.0]))
    Tensor([-1000.0, 0.0])
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.log_softmax(input, self.axis)
