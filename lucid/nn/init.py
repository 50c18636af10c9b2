"""Initial values: each function gives a leaf tensor new ones, in place, and returns it.

With ``fan_in`` inputs and ``fan_out`` outputs per unit. Xavier: Glorot & Bengio, "Understanding the difficulty of
training deep feedforward neural networks", AISTATS 2010. Kaiming: He et al., "Delving deep into rectifiers",
arXiv:1502.01852. Draws follow ``lucid.manual_seed``.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from lucid import random
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from lucid.functions.arguments import fail, number_of
from lucid.tensor import Tensor

__all__ = [
    "calculate_fans", "calculate_gain", "constant_", "fan_in_uniform_", "kaiming_normal_", "kaiming_uniform_",
    "normal_", "ones_", "uniform_", "xavier_normal_", "xavier_uniform_", "zeros_",
]  # fmt: skip

FanMode = Literal["fan_in", "fan_out"]


def _tensor(op: str, tensor: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        fail(ArgumentTypeError(f"tensor must be a Tensor, not {type(tensor).__name__}", op=op))
    return tensor


def _checked(op: str, given: Any) -> Tensor:
    tensor = _tensor(op, given)
    if tensor.dtype.kind != "f":
        fail(DTypeError(f"tensor has dtype {tensor.dtype.name}, but random values need a floating one", op=op))
    return tensor


def calculate_fans(tensor: Tensor) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight ``(out, in, *kernel)``.

    Raises:
        ShapeError: fewer than two axes.
    """
    if tensor.ndim < 2:
        message = f"tensor has shape {tensor.shape}, but fan-in and fan-out need (out, in, ...)"
        fail(ShapeError(message, op="init"))
    taps = math.prod(tensor.shape[2:])
    return tensor.shape[1] * taps, tensor.shape[0] * taps


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much a nonlinearity shrinks its input's standard deviation; ``param`` is a leaky ReLU's slope.

    Raises:
        ArgumentError: an unknown nonlinearity.
    """
    gains = {
        "linear": 1.0,
        "identity": 1.0,
        "sigmoid": 1.0,
        "tanh": 5.0 / 3.0,
        "relu": math.sqrt(2.0),
        "leaky_relu": math.sqrt(2.0 / (1.0 + (0.01 if param is None else param) ** 2)),
    }
    if nonlinearity not in gains:
        fail(ArgumentError(f"nonlinearity={nonlinearity!r} must be one of {', '.join(gains)}", op="init"))
    return gains[nonlinearity]


def uniform_(tensor: Tensor, a: float = 0.0, b: float = 1.0) -> Tensor:
    """Uniform draws from [a, b).

    Raises:
        ArgumentError: ``a`` is above ``b``.

    >>> import lucid
    >>> values = uniform_(lucid.empty(1000), -0.5, 0.5)
    >>> bool((values >= -0.5).all()), bool((values < 0.5).all())
    (True, True)
    """
    a, b = number_of("uniform_", "a", a), number_of("uniform_", "b", b)
    if a > b:
        fail(ArgumentError(f"a={a} must not be above b={b}", op="uniform_"))
    _checked("uniform_", tensor)
    return tensor.copy_(random.uniform(a, b, tensor.shape, dtype=tensor.dtype))


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal draws.

    Raises:
        ArgumentError: a negative ``std``.
    """
    mean, std = number_of("normal_", "mean", mean), number_of("normal_", "std", std, 0)
    _checked("normal_", tensor)
    return tensor.copy_(random.normal(mean, std, tensor.shape, dtype=tensor.dtype))


def constant_(tensor: Tensor, value: float) -> Tensor:
    """``value`` everywhere."""
    return _tensor("constant_", tensor).fill_(number_of("constant_", "value", value))


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere."""
    return _tensor("zeros_", tensor).fill_(0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere."""
    return _tensor("ones_", tensor).fill_(1)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform within ``gain * sqrt(6 / (fan_in + fan_out))`` of 0."""
    bound = gain * math.sqrt(6.0 / max(sum(calculate_fans(tensor)), 1))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``."""
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / max(sum(calculate_fans(tensor)), 1)))


def _kaiming_std(tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        fail(ArgumentError(f"mode={mode!r} must be 'fan_in' or 'fan_out'", op="init"))
    fan = calculate_fans(tensor)[mode == "fan_out"]
    return calculate_gain(nonlinearity, a) / math.sqrt(max(fan, 1))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Uniform within ``gain * sqrt(3 / fan)`` of 0; ``a`` is the slope of a leaky ReLU."""
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal with standard deviation ``gain / sqrt(fan)``."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity))


def fan_in_uniform_(tensor: Tensor, fan_in: int) -> Tensor:
    """Uniform within ``1 / sqrt(fan_in)`` of 0: what ``Conv2d`` and ``Linear`` start from, weights and biases alike.

    It is PyTorch's default, and the fan-in scaling of LeCun, Bottou, Orr & Müller, "Efficient BackProp", 1998.
    """
    bound = 1.0 / math.sqrt(fan_in)
    return uniform_(tensor, -bound, bound)
