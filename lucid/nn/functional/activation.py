"""Activations, element by element or along one dimension, composed of elementwise operations that fuse.

Results follow PyTorch where a derivative is one-sided: that of the branch that the value itself takes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import axis_of, fail, number_of
from lucid.functions.arithmetic import clamp_min, clip
from lucid.functions.comparison import maximum, minimum, where
from lucid.functions.elementwise import erf, exp, expm1, log, log1p, relu, sigmoid
from lucid.functions.indexing import one_hot
from lucid.functions.reductions import log_softmax, softmax
from lucid.functions.trigonometry import tanh
from lucid.ir.types import limits_of
from lucid.promotion import as_tensor, floating, rounded_once
from lucid.random import next_key

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "celu", "elu", "gelu", "glu", "gumbel_softmax", "hardshrink", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "log_softmax", "logsigmoid", "mish", "prelu", "relu", "relu6", "rrelu", "selu", "sigmoid", "silu", "softmax",
    "softmin", "softplus", "softshrink", "softsign", "tanh", "tanhshrink", "threshold",
]  # fmt: skip

#: Klambauer et al., arXiv:1706.02515: with these a layer keeps mean 0 and variance 1.
_SELU_SCALE, _SELU_ALPHA = 1.0507009873554804934193349852946, 1.6732632423543772848170429916717


def _input(op: str, input: Any) -> Tensor:
    return floating(as_tensor(input, op, "input"))


def relu6(input: Any) -> Tensor:
    """``x`` between 0 and 6: MobileNet's activation (Sandler et al. 2018).

    >>> import lucid
    >>> relu6(lucid.tensor([-1.0, 2.0, 8.0]))
    Tensor([0.0, 2.0, 6.0])
    """
    return clip(as_tensor(input, "relu6", "input"), 0, 6)


def hardtanh(input: Any, min_val: float = -1.0, max_val: float = 1.0) -> Tensor:
    """``x`` between ``min_val`` and ``max_val``.

    Raises:
        ArgumentError, ArgumentTypeError: bounds that are no numbers, or not increasing.

    >>> import lucid
    >>> hardtanh(lucid.tensor([-2.0, 0.5, 2.0]))
    Tensor([-1.0, 0.5, 1.0])
    """
    low, high = number_of("hardtanh", "min_val", min_val), number_of("hardtanh", "max_val", max_val)
    if low > high:
        fail(ArgumentError(f"min_val={min_val!r} must not be larger than max_val={max_val!r}", op="hardtanh"))
    return clip(as_tensor(input, "hardtanh", "input"), low, high)


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """``x`` where positive, else ``negative_slope * x``.

    Raises:
        ArgumentTypeError: ``negative_slope`` is not a number.

    >>> import lucid
    >>> leaky_relu(lucid.tensor([-4.0, 2.0]), 0.5)
    Tensor([-2.0, 2.0])
    """
    x = _input("leaky_relu", input)
    return where(x > 0, x, x * float(number_of("leaky_relu", "negative_slope", negative_slope)))


def prelu(input: Any, weight: Any) -> Tensor:
    """``x`` where positive, else ``weight * x``: He et al., arXiv:1502.01852.

    Args:
        input: ``(N, C, ...)``, or any shape with one weight.
        weight: learned slopes, ``(C,)``, or one for all.

    Raises:
        ShapeError: ``weight`` holds neither one value nor one for each channel.

    >>> import lucid
    >>> prelu(lucid.tensor([[-4.0, -4.0]]), lucid.tensor([0.5, 0.25]))
    Tensor([[-2.0, -1.0]])
    """
    x, slope = _input("prelu", input), as_tensor(weight, "prelu", "weight")
    if slope.size != 1:
        channels = x.shape[1] if x.ndim > 1 else None
        if slope.shape != (channels,):
            one_each = f"or {channels}, one for each channel of input {x.shape}" if channels is not None else "alone"
            fail(ShapeError(f"weight has shape {slope.shape}, but it must hold one slope, {one_each}", op="prelu"))
        slope = slope.reshape((1, -1, *(1,) * (x.ndim - 2)))
    elif slope.ndim:
        slope = slope.reshape(())
    return where(x > 0, x, x * slope)


def rrelu(input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False) -> Tensor:
    """``x`` where positive, else ``x`` times a slope: drawn for each element from ``lower .. upper`` in training, their
    mean otherwise (Xu et al., arXiv:1505.00853).

    Raises:
        ArgumentError, ArgumentTypeError: bounds that are no numbers, or not increasing.

    >>> import lucid
    >>> rrelu(lucid.tensor([-4.0, 2.0]), 0.25, 0.75)
    Tensor([-2.0, 2.0])
    """
    x = _input("rrelu", input)
    low, high = float(number_of("rrelu", "lower", lower)), float(number_of("rrelu", "upper", upper))
    if low > high:
        fail(ArgumentError(f"lower={lower!r} must not be larger than upper={upper!r}", op="rrelu"))
    if not training:
        return leaky_relu(x, (low + high) / 2)
    slope = apply(ops.random_uniform, next_key(), shape=x.shape, dtype=x.dtype) * (high - low) + low
    return where(x > 0, x, x * slope)


@rounded_once
def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``.

    Raises:
        ArgumentTypeError: ``alpha`` is not a number.

    >>> import lucid
    >>> elu(lucid.tensor([float("-inf"), 0.0, 2.0]))
    Tensor([-1.0, 0.0, 2.0])
    """
    x = _input("elu", input)
    return where(x > 0, x, expm1(minimum(x, 0.0)) * float(number_of("elu", "alpha", alpha)))


@rounded_once
def celu(input: Any, alpha: float = 1.0) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x / alpha) - 1)``: Barron, arXiv:1704.07483.

    Raises:
        ArgumentError, ArgumentTypeError: ``alpha`` is 0 or not a number.

    >>> import lucid
    >>> celu(lucid.tensor([float("-inf"), 0.0, 2.0]), 0.5)
    Tensor([-0.5, 0.0, 2.0])
    """
    x, a = _input("celu", input), float(number_of("celu", "alpha", alpha))
    if a == 0:
        fail(ArgumentError("alpha=0 must not be 0: x is divided by it", op="celu"))
    return where(x > 0, x, expm1(minimum(x, 0.0) / a) * a)


@rounded_once
def selu(input: Any) -> Tensor:
    """``elu`` scaled so that layers keep mean 0 and variance 1 (Klambauer et al., arXiv:1706.02515).

    >>> import lucid
    >>> selu(lucid.tensor([0.0, 1.0]))
    Tensor([0.0, 1.050701])
    """
    return elu(_input("selu", input), _SELU_ALPHA) * _SELU_SCALE


@rounded_once
def silu(input: Any) -> Tensor:
    """``x * sigmoid(x)``.

    >>> import lucid
    >>> silu(lucid.tensor([0.0]))
    Tensor([0.0])
    """
    x = _input("silu", input)
    return x * sigmoid(x)


@rounded_once
def mish(input: Any) -> Tensor:
    """``x * tanh(softplus(x))``: Misra, arXiv:1908.08681.

    >>> import lucid
    >>> mish(lucid.tensor([0.0, 30.0]))
    Tensor([0.0, 30.0])
    """
    x = _input("mish", input)
    return x * tanh(softplus(x))


@rounded_once
def gelu(input: Any, approximate: str = "none") -> Tensor:
    """``x`` times the normal distribution's probability of being below ``x``: Hendrycks & Gimpel, arXiv:1606.08415.

    Args:
        approximate: 'none', or 'tanh' for the formula by a hyperbolic tangent.

    Raises:
        ArgumentError: another ``approximate``.

    >>> import lucid
    >>> gelu(lucid.tensor([0.0, 20.0]))
    Tensor([0.0, 20.0])
    """
    x = _input("gelu", input)
    if approximate == "none":
        return x * (erf(x * 0.7071067811865476) + 1.0) * 0.5
    if approximate != "tanh":
        fail(ArgumentError(f"approximate={approximate!r} must be 'none' or 'tanh'", op="gelu"))
    return x * (tanh((x + x * x * x * 0.044715) * 0.7978845608028654) + 1.0) * 0.5


@rounded_once
def softplus(input: Any, beta: float = 1.0, threshold: float = 20.0) -> Tensor:
    """``log(1 + exp(beta * x)) / beta``, without overflow; ``x`` itself where ``beta * x`` is above ``threshold``.

    Raises:
        ArgumentError, ArgumentTypeError: ``beta`` is 0, or one of them is not a number.

    >>> import lucid
    >>> softplus(lucid.tensor([0.0, 1000.0]))
    Tensor([0.6931472, 1000.0])
    """
    x, b = _input("softplus", input), float(number_of("softplus", "beta", beta))
    limit = float(number_of("softplus", "threshold", threshold))
    if b == 0:
        fail(ArgumentError("beta=0 must not be 0: the result is divided by it", op="softplus"))
    scaled = x if b == 1 else x * b
    soft = maximum(scaled, 0.0) + log1p(exp(-scaled.abs()))
    return where(scaled > limit, x, soft if b == 1 else soft / b)


@rounded_once
def logsigmoid(input: Any) -> Tensor:
    """``log(sigmoid(x))``, without overflow.

    >>> import lucid
    >>> logsigmoid(lucid.tensor([0.0, -1000.0]))
    Tensor([-0.6931472, -1000.0])
    """
    x = _input("logsigmoid", input)
    return minimum(x, 0.0) - log1p(exp(-x.abs()))


@rounded_once
def hardsigmoid(input: Any) -> Tensor:
    """``x / 6 + 1/2`` between 0 and 1.

    >>> import lucid
    >>> hardsigmoid(lucid.tensor([-4.0, 0.0, 4.0]))
    Tensor([0.0, 0.5, 1.0])
    """
    return relu6(_input("hardsigmoid", input) + 3.0) / 6.0


@rounded_once
def hardswish(input: Any) -> Tensor:
    """``x * hardsigmoid(x)``: MobileNetV3's activation (Howard et al., arXiv:1905.02244).

    >>> import lucid
    >>> hardswish(lucid.tensor([-4.0, 0.0, 4.0]))
    Tensor([-0.0, 0.0, 4.0])
    """
    x = _input("hardswish", input)
    return x * relu6(x + 3.0) / 6.0


def hardshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """``x`` outside of ``-lambd .. lambd``, 0 inside.

    Raises:
        ArgumentTypeError: ``lambd`` is not a number.

    >>> import lucid
    >>> hardshrink(lucid.tensor([-1.0, 0.3, 2.0]))
    Tensor([-1.0, 0.0, 2.0])
    """
    x, size = _input("hardshrink", input), float(number_of("hardshrink", "lambd", lambd))
    return where((x >= -size) & (x <= size), 0.0, x)


def softshrink(input: Any, lambd: float = 0.5) -> Tensor:
    """``x`` moved towards 0 by ``lambd``, and 0 where it would pass it.

    Raises:
        ArgumentError, ArgumentTypeError: ``lambd`` is negative or not a number.

    >>> import lucid
    >>> softshrink(lucid.tensor([-1.0, 0.25, 2.0]))
    Tensor([-0.5, 0.0, 1.5])
    """
    x, size = _input("softshrink", input), float(number_of("softshrink", "lambd", lambd, 0))
    return where(x > size, x - size, where(x < -size, x + size, x * 0.0))


@rounded_once
def softsign(input: Any) -> Tensor:
    """``x / (1 + |x|)``.

    >>> import lucid
    >>> softsign(lucid.tensor([-1.0, 0.0, 3.0]))
    Tensor([-0.5, 0.0, 0.75])
    """
    x = _input("softsign", input)
    return x / (x.abs() + 1.0)


@rounded_once
def tanhshrink(input: Any) -> Tensor:
    """``x - tanh(x)``.

    >>> import lucid
    >>> tanhshrink(lucid.tensor([0.0, 40.0]))
    Tensor([0.0, 39.0])
    """
    x = _input("tanhshrink", input)
    return x - tanh(x)


def threshold(input: Any, threshold: float, value: float) -> Tensor:
    """``x`` where it is above ``threshold``, else ``value``.

    Raises:
        ArgumentTypeError: one of them is not a number.

    >>> import lucid
    >>> import lucid.nn.functional as F
    >>> F.threshold(lucid.tensor([0.5, 2.0]), 1.0, -3.0)
    Tensor([-3.0, 2.0])
    """
    x, limit = as_tensor(input, "threshold", "input"), number_of("threshold", "threshold", threshold)
    return where(x <= limit, number_of("threshold", "value", value), x)


@rounded_once
def glu(input: Any, dim: int = -1) -> Tensor:
    """The first half of a dimension times the sigmoid of the second: Dauphin et al., arXiv:1612.08083.

    Raises:
        ShapeError: the dimension is odd, or there is none.
        ArgumentError: no such dimension.

    >>> import lucid
    >>> glu(lucid.tensor([3.0, 5.0, 0.0, 0.0]))
    Tensor([1.5, 2.5])
    """
    x = _input("glu", input)
    if x.ndim == 0:
        fail(ShapeError("input has shape (), but it needs a dimension to halve", op="glu"))
    axis = axis_of("glu", dim, x.ndim, "dim")
    if x.shape[axis] % 2:
        fail(ShapeError(f"input has shape {x.shape}, but dimension {dim} must be even, to be halved", op="glu"))
    first, second = x.chunk(2, axis) if x.shape[axis] else (x, x)
    return first * sigmoid(second)


@rounded_once
def softmin(input: Any, dim: int = -1, *, dtype: object = None) -> Tensor:
    """``softmax(-x)`` along a dimension.

    Raises:
        ArgumentError: no such dimension.

    >>> import lucid
    >>> softmin(lucid.zeros(4), 0)
    Tensor([0.25, 0.25, 0.25, 0.25])
    """
    return softmax(-_input("softmin", input), dim, dtype=dtype)


@rounded_once
def gumbel_softmax(logits: Any, tau: float = 1.0, hard: bool = False, dim: int = -1) -> Tensor:
    """A random choice along ``dim``, softened: ``softmax((logits + g) / tau)`` with Gumbel noise ``g``.

    Jang et al., arXiv:1611.01144. Draws follow ``lucid.manual_seed``.

    Args:
        logits: logarithms of weights, of any shape.
        tau: the temperature, above 0.
        hard: give a one-hot choice, with the gradient of the soft one.

    Raises:
        ArgumentError, ArgumentTypeError: ``tau`` that is not above 0, or no such dimension.

    >>> import lucid
    >>> gumbel_softmax(lucid.zeros(2, 3), hard=True).sum(1)
    Tensor([1.0, 1.0])
    """
    op = "gumbel_softmax"
    x = floating(as_tensor(logits, op, "logits"))
    heat = float(number_of(op, "tau", tau, 0))
    if heat == 0:
        fail(ArgumentError(f"tau={tau!r} must be above 0", op=op))
    drawn = apply(ops.random_uniform, next_key(), shape=x.shape, dtype=x.dtype)
    # 1 - u lies in (0, 1]; its logarithm is kept from 0, whose own would be infinite.
    waits = clamp_min(-log1p(-drawn), float(limits_of(x.dtype).tiny))
    soft = softmax((x - log(waits)) / heat, dim)
    if not hard:
        return soft
    axis = axis_of(op, dim, x.ndim, "dim")
    choice = one_hot(soft.argmax(axis), x.shape[axis], x.dtype).moveaxis(-1, axis)
    return choice - soft.detach() + soft
