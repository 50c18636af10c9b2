"""Initial values: each function gives a leaf tensor new ones, in place, and returns it.

With ``fan_in`` inputs and ``fan_out`` outputs per unit. Xavier: Glorot & Bengio, "Understanding the difficulty of
training deep feedforward neural networks", AISTATS 2010. Kaiming: He et al., "Delving deep into rectifiers",
arXiv:1502.01852. Draws follow ``lucid.manual_seed``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Literal, TypeVar

import numpy as np

from lucid import linalg, random
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.ir.types import is_float
from lucid.tensor import Tensor

__all__ = [
    "calculate_fans", "calculate_gain", "constant_", "dirac_", "eye_", "fan_in_uniform_", "kaiming_normal_",
    "kaiming_uniform_", "normal_", "ones_", "orthogonal_", "skip_init", "trunc_normal_", "uniform_", "xavier_normal_",
    "xavier_uniform_", "zeros_",
]  # fmt: skip

FanMode = Literal["fan_in", "fan_out"]
M = TypeVar("M")

_drawing = ContextVar("drawing", default=True)


def skip_init(make: Callable[..., M], *args: Any, **options: Any) -> M:
    """``make(*args, **options)``, a module whose random initial values are not drawn: for one that is to be loaded.

    Its weights hold whatever the memory held.

    >>> import lucid
    >>> lucid.nn.utils.skip_init(lucid.nn.Linear, 4096, 4096).weight.shape
    (4096, 4096)
    """
    token = _drawing.set(False)
    try:
        return make(*args, **options)
    finally:
        _drawing.reset(token)


def _tensor(op: str, tensor: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        fail(ArgumentTypeError(f"tensor must be a Tensor, not {type(tensor).__name__}", op=op))
    return tensor


def _checked(op: str, given: Any) -> Tensor:
    tensor = _tensor(op, given)
    if not is_float(tensor.dtype):
        fail(DTypeError(f"tensor has dtype {tensor.dtype.name}, but random values need a floating one", op=op))
    return tensor


def calculate_fans(tensor: Tensor) -> tuple[int, int]:
    """``(fan_in, fan_out)`` of a weight ``(out, in, *kernel)``.

    Raises:
        ShapeError: fewer than two axes.
        ArgumentTypeError: ``tensor`` is no tensor.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.init.calculate_fans(lucid.ones(8, 4, 3, 3))
    (36, 72)
    """
    return _fans("calculate_fans", tensor)


def _fans(op: str, tensor: Any) -> tuple[int, int]:
    shape = _tensor(op, tensor).shape
    if len(shape) < 2:
        fail(ShapeError(f"tensor has shape {shape}, but fan-in and fan-out need (out, in, ...)", op=op))
    taps = math.prod(shape[2:])
    return shape[1] * taps, shape[0] * taps


#: What layers copied from PyTorch call it.
_calculate_fan_in_and_fan_out = calculate_fans


def calculate_gain(nonlinearity: str, param: float | None = None) -> float:
    """By how much a nonlinearity shrinks its input's standard deviation; ``param`` is a leaky ReLU's slope.

    Raises:
        ArgumentError: an unknown nonlinearity.
        ArgumentTypeError: ``param`` is no number.

    >>> from lucid import nn
    >>> nn.init.calculate_gain("tanh")
    1.6666666666666667
    """
    return _gain("calculate_gain", nonlinearity, param)


def _gain(op: str, nonlinearity: str, param: Any) -> float:
    slope = 0.01 if param is None else number_of(op, "param" if op == "calculate_gain" else "a", param)
    gains = {
        **dict.fromkeys(("linear", "identity", "conv1d", "conv2d", "conv3d"), 1.0),
        **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), 1.0),
        "sigmoid": 1.0,
        "tanh": 5.0 / 3.0,
        "relu": math.sqrt(2.0),
        "selu": 0.75,
        "leaky_relu": math.sqrt(2.0 / (1.0 + slope**2)),
    }
    if nonlinearity not in gains:
        fail(ArgumentError(f"nonlinearity={nonlinearity!r} must be one of {', '.join(gains)}", op=op))
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
    return tensor.copy_(random.uniform(a, b, tensor.shape, dtype=tensor.dtype)) if _drawing.get() else tensor


def normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0) -> Tensor:
    """Normal draws.

    Raises:
        ArgumentError: a negative ``std``.
        ArgumentTypeError: ``tensor`` is no tensor, or ``mean`` or ``std`` no number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.init.normal_(lucid.ones(2), mean=5.0, std=0.0)
    Tensor([5.0, 5.0])
    """
    mean, std = number_of("normal_", "mean", mean), number_of("normal_", "std", std, 0)
    _checked("normal_", tensor)
    return tensor.copy_(random.normal(mean, std, tensor.shape, dtype=tensor.dtype)) if _drawing.get() else tensor


def trunc_normal_(tensor: Tensor, mean: float = 0.0, std: float = 1.0, a: float = -2.0, b: float = 2.0) -> Tensor:
    """Normal draws, those outside of a .. b drawn again.

    Raises:
        ArgumentError: a negative ``std``, ``a`` above ``b``, or bounds that nearly no draw falls between.

    >>> import lucid
    >>> values = trunc_normal_(lucid.empty(1000), std=2.0, a=-1.0, b=1.0)
    >>> bool((values.abs() <= 1).all())
    True
    """
    op = "trunc_normal_"
    mean, std = number_of(op, "mean", mean), number_of(op, "std", std, 0)
    a, b = number_of(op, "a", a), number_of(op, "b", b)
    _checked(op, tensor)
    inside = (math.erf((b - mean) / (std or 1) / 2**0.5) - math.erf((a - mean) / (std or 1) / 2**0.5)) / 2
    if a > b or (std and inside < 0.01) or (not std and not a <= mean <= b):
        fail(ArgumentError(f"a={a}, b={b} must hold one draw in a hundred of mean={mean}, std={std}", op=op))
    if not _drawing.get():
        return tensor
    values = random.normal(mean, std, tensor.shape, dtype=tensor.dtype).numpy().copy()
    while (outside := (values < a) | (values > b)).any():
        values[outside] = random.normal(mean, std, (int(outside.sum()),), dtype=tensor.dtype).numpy()
    return tensor.copy_(values)


def eye_(tensor: Tensor) -> Tensor:
    """The identity matrix.

    Raises:
        ShapeError: a tensor that is no matrix.

    >>> import lucid
    >>> eye_(lucid.empty(2, 3)).tolist()
    [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]
    """
    if _tensor("eye_", tensor).ndim != 2:
        fail(ShapeError(f"tensor has shape {tensor.shape}, but it must be a matrix", op="eye_"))
    return tensor.copy_(np.eye(*tensor.shape, dtype=tensor.dtype))


def dirac_(tensor: Tensor, groups: int = 1) -> Tensor:
    """The weight of a convolution that keeps its input, as far as there are channels.

    Raises:
        ShapeError: not 3 to 5 dimensions, or outputs that ``groups`` does not divide.
        ArgumentTypeError, ArgumentError: ``groups`` is no int, or below 1.

    >>> import lucid
    >>> dirac_(lucid.empty(2, 1, 3)).tolist()
    [[[0.0, 1.0, 0.0]], [[0.0, 0.0, 0.0]]]
    """
    shape = _tensor("dirac_", tensor).shape
    if int_of("dirac_", "groups", groups) < 1:
        fail(ArgumentError(f"groups={groups} must be at least 1", op="dirac_"))
    if not 3 <= len(shape) <= 5 or shape[0] % groups:
        rule = f"must have 3 to 5 dimensions, and groups={groups} divide the first"
        fail(ShapeError(f"tensor has shape {shape}, but it {rule}", op="dirac_"))
    values = np.zeros(shape, tensor.dtype)
    for k in range(groups):
        for c in range(min(shape[0] // groups, shape[1])):
            centre = (k * (shape[0] // groups) + c, c, *[n // 2 for n in shape[2:]])
            values[centre] = 1
    return tensor.copy_(values)


def orthogonal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Rows, or columns if they are fewer, at right angles, of length ``gain``: Saxe et al., arXiv:1312.6120.

    Raises:
        ShapeError: fewer than 2 dimensions.

    >>> import lucid
    >>> w = orthogonal_(lucid.empty(3, 5))
    >>> bool(lucid.isclose(w @ w.T, lucid.eye(3), atol=1e-5).all())
    True
    """
    op = "orthogonal_"
    if _checked(op, tensor).ndim < 2:
        fail(ShapeError(f"tensor has shape {tensor.shape}, but it must have at least 2 dimensions", op=op))
    if not _drawing.get() or not tensor.size:
        return tensor
    rows = tensor.shape[0]
    draws = random.normal(0.0, 1.0, (rows, tensor.size // rows), dtype=tensor.dtype)
    wide = draws.shape[0] < draws.shape[1]
    q, r = linalg.qr(draws.T if wide else draws)
    q = q * r.diagonal().sign()
    return tensor.copy_((q.T if wide else q).reshape(tensor.shape) * number_of(op, "gain", gain))


def constant_(tensor: Tensor, value: float) -> Tensor:
    """``value`` everywhere.

    Raises:
        ArgumentTypeError: ``tensor`` is no tensor, or ``value`` no number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.init.constant_(lucid.ones(2), 0.5)
    Tensor([0.5, 0.5])
    """
    return _tensor("constant_", tensor).fill_(number_of("constant_", "value", value))


def zeros_(tensor: Tensor) -> Tensor:
    """0 everywhere.

    Raises:
        ArgumentTypeError: ``tensor`` is no tensor.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.init.zeros_(lucid.ones(2))
    Tensor([0.0, 0.0])
    """
    return _tensor("zeros_", tensor).fill_(0)


def ones_(tensor: Tensor) -> Tensor:
    """1 everywhere.

    Raises:
        ArgumentTypeError: ``tensor`` is no tensor.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.init.ones_(lucid.zeros(2))
    Tensor([1.0, 1.0])
    """
    return _tensor("ones_", tensor).fill_(1)


def xavier_uniform_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Uniform within ``gain * sqrt(6 / (fan_in + fan_out))`` of 0.

    Raises:
        ShapeError: fewer than two axes.
        ArgumentTypeError, ArgumentError: ``tensor`` is no tensor; ``gain`` is no number, or negative.

    >>> import lucid
    >>> from lucid import nn
    >>> weight = nn.init.xavier_uniform_(lucid.ones(3, 3))
    >>> bool((weight.abs() <= 1).all())
    True
    """
    op = "xavier_uniform_"
    bound = number_of(op, "gain", gain, 0) * math.sqrt(6.0 / max(sum(_fans(op, tensor)), 1))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor: Tensor, gain: float = 1.0) -> Tensor:
    """Normal with standard deviation ``gain * sqrt(2 / (fan_in + fan_out))``.

    Raises:
        ShapeError: fewer than two axes.
        ArgumentTypeError, ArgumentError: ``tensor`` is no tensor; ``gain`` is no number, or negative.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.init.xavier_normal_(lucid.ones(3, 3)).shape
    (3, 3)
    """
    op = "xavier_normal_"
    std = number_of(op, "gain", gain, 0) * math.sqrt(2.0 / max(sum(_fans(op, tensor)), 1))
    return normal_(tensor, 0.0, std)


def _kaiming_std(op: str, tensor: Tensor, a: float, mode: str, nonlinearity: str) -> float:
    if mode not in ("fan_in", "fan_out"):
        fail(ArgumentError(f"mode={mode!r} must be 'fan_in' or 'fan_out'", op=op))
    fan = _fans(op, tensor)[mode == "fan_out"]
    return _gain(op, nonlinearity, a) / math.sqrt(max(fan, 1))


def kaiming_uniform_(
    tensor: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Uniform within ``gain * sqrt(3 / fan)`` of 0; ``a`` is the slope of a leaky ReLU.

    Raises:
        ShapeError: fewer than two axes.
        ArgumentTypeError: ``tensor`` is no tensor, or ``a`` no number.
        ArgumentError: an unknown ``mode`` or ``nonlinearity``.

    >>> import lucid
    >>> from lucid import nn
    >>> weight = nn.init.kaiming_uniform_(lucid.ones(8, 6), nonlinearity="relu")
    >>> bool((weight.abs() <= 1).all())
    True
    """
    bound = math.sqrt(3.0) * _kaiming_std("kaiming_uniform_", tensor, a, mode, nonlinearity)
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(
    tensor: Tensor, a: float = 0.0, mode: FanMode = "fan_in", nonlinearity: str = "leaky_relu"
) -> Tensor:
    """Normal with standard deviation ``gain / sqrt(fan)``.

    Raises:
        ShapeError: fewer than two axes.
        ArgumentTypeError: ``tensor`` is no tensor, or ``a`` no number.
        ArgumentError: an unknown ``mode`` or ``nonlinearity``.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.init.kaiming_normal_(lucid.ones(8, 6), mode="fan_out").shape
    (8, 6)
    """
    return normal_(tensor, 0.0, _kaiming_std("kaiming_normal_", tensor, a, mode, nonlinearity))


def fan_in_uniform_(tensor: Tensor, fan_in: int) -> Tensor:
    """Uniform within ``1 / sqrt(fan_in)`` of 0: what ``Conv2d`` and ``Linear`` start from, weights and biases alike.

    It is PyTorch's default, and the fan-in scaling of LeCun, Bottou, Orr & Müller, "Efficient BackProp", 1998.

    Raises:
        ArgumentTypeError, ArgumentError: ``tensor`` is no tensor; ``fan_in`` is no int, or below 1.

    >>> import lucid
    >>> from lucid import nn
    >>> bias = nn.init.fan_in_uniform_(lucid.ones(5), 4)
    >>> bool((bias.abs() <= 0.5).all())
    True
    """
    inputs = int_of("fan_in_uniform_", "fan_in", fan_in)
    if inputs < 1:
        fail(ArgumentError(f"fan_in={inputs} must be at least 1", op="fan_in_uniform_"))
    bound = 1.0 / math.sqrt(inputs)
    return uniform_(tensor, -bound, bound)
