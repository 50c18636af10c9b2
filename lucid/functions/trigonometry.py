"""Functions of angles, and the hyperbolic ones. Integers are computed as float32; operands broadcast."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.functions.comparison import where
from lucid.promotion import as_tensor, binary, floating, scalar, together

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "acos", "acosh", "arccos", "arccosh", "arcsin", "arcsinh", "arctan", "arctan2", "arctanh", "asin", "asinh", "atan",
    "atan2", "atanh", "cos", "cosh", "deg2rad", "hypot", "rad2deg", "sin", "sinc", "sinh", "tan", "tanh",
]  # fmt: skip


def sin(x: Any) -> Tensor:
    """The sine of x in radians.

    >>> import lucid
    >>> import math
    >>> lucid.sin(lucid.tensor([0.0, math.pi / 2]))
    Tensor([0.0, 1.0])
    """
    return apply(ops.sin, floating(as_tensor(x, "sin")))


def cos(x: Any) -> Tensor:
    """The cosine of x in radians.

    >>> import lucid
    >>> import math
    >>> lucid.cos(lucid.tensor([0.0, math.pi]))
    Tensor([1.0, -1.0])
    """
    return apply(ops.cos, floating(as_tensor(x, "cos")))


def tan(x: Any) -> Tensor:
    """The tangent of x in radians.

    >>> import lucid
    >>> lucid.tan(lucid.tensor([0.0, 1.0])).round(decimals=4)
    Tensor([0.0, 1.5574])
    """
    x = floating(as_tensor(x, "tan"))
    return sin(x) / cos(x)


def asin(x: Any) -> Tensor:
    """The angle whose sine is x, from -pi/2 to pi/2; NaN where ``|x| > 1``. ``arcsin`` is the same function.

    >>> import lucid
    >>> lucid.asin(lucid.tensor([0.0, 2.0]))
    Tensor([0.0, nan])
    """
    return apply(ops.asin, floating(as_tensor(x, "asin")))


def acos(x: Any) -> Tensor:
    """The angle whose cosine is x, from 0 to pi; NaN where ``|x| > 1``. ``arccos`` is the same function.

    >>> import lucid
    >>> lucid.acos(lucid.tensor([1.0, 2.0]))
    Tensor([0.0, nan])
    """
    return apply(ops.acos, floating(as_tensor(x, "acos")))


def atan(x: Any) -> Tensor:
    """The angle whose tangent is x, from -pi/2 to pi/2. ``arctan`` is the same function.

    >>> import lucid
    >>> lucid.atan(lucid.tensor([0.0, float("inf")]))
    Tensor([0.0, 1.5707964])
    """
    return apply(ops.atan, floating(as_tensor(x, "atan")))


def atan2(input: Any, other: Any) -> Tensor:
    """The angle of the point at ``other`` along and ``input`` up, from -pi to pi. ``arctan2`` is the same function.

    >>> import lucid
    >>> lucid.atan2(lucid.tensor([0.0, 1.0]), lucid.tensor([2.0, 0.0]))
    Tensor([0.0, 1.5707964])
    """
    a, b = together(input, other, "atan2")
    return apply(ops.atan2, floating(a), floating(b))


def sinh(x: Any) -> Tensor:
    """The hyperbolic sine.

    >>> import lucid
    >>> lucid.sinh(lucid.tensor([0.0, 1.0])).round(decimals=4)
    Tensor([0.0, 1.1752])
    """
    return apply(ops.sinh, floating(as_tensor(x, "sinh")))


def cosh(x: Any) -> Tensor:
    """The hyperbolic cosine.

    >>> import lucid
    >>> lucid.cosh(lucid.tensor([0.0, 1.0])).round(decimals=4)
    Tensor([1.0, 1.5431])
    """
    return apply(ops.cosh, floating(as_tensor(x, "cosh")))


def tanh(x: Any) -> Tensor:
    """The hyperbolic tangent.

    >>> import lucid
    >>> lucid.tanh(lucid.tensor([0.0, 100.0]))
    Tensor([0.0, 1.0])
    """
    return apply(ops.tanh, floating(as_tensor(x, "tanh")))


def asinh(x: Any) -> Tensor:
    """The number whose hyperbolic sine is x. ``arcsinh`` is the same function.

    >>> import lucid
    >>> lucid.asinh(lucid.tensor([0.0, 1.0])).round(decimals=4)
    Tensor([0.0, 0.8814])
    """
    return apply(ops.asinh, floating(as_tensor(x, "asinh")))


def acosh(x: Any) -> Tensor:
    """The number not below 0 whose hyperbolic cosine is x; NaN below 1. ``arccosh`` is the same function.

    >>> import lucid
    >>> lucid.acosh(lucid.tensor([1.0, 0.5]))
    Tensor([0.0, nan])
    """
    return apply(ops.acosh, floating(as_tensor(x, "acosh")))


def atanh(x: Any) -> Tensor:
    """The number whose hyperbolic tangent is x; NaN where ``|x| > 1``. ``arctanh`` is the same function.

    >>> import lucid
    >>> lucid.atanh(lucid.tensor([0.0, 1.0]))
    Tensor([0.0, inf])
    """
    return apply(ops.atanh, floating(as_tensor(x, "atanh")))


arcsin, arccos, arctan, arctan2 = asin, acos, atan, atan2
arcsinh, arccosh, arctanh = asinh, acosh, atanh


def hypot(input: Any, other: Any) -> Tensor:
    """``sqrt(input**2 + other**2)``, which overflows only where the result does.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.hypot(lucid.tensor([3.0, 3e30]), lucid.tensor([4.0, 4e30]))
    Tensor([5.0, 5e+30])
    """
    a, b = together(input, other, "hypot")
    a, b = floating(a), floating(b)
    larger = apply(ops.stop_gradient, binary("maximum", abs(a), abs(b)))
    plain = (larger == 0) | ~(larger < float("inf"))
    scale = where(plain, scalar(1.0, larger.dtype), larger)
    p, q = a / scale, b / scale
    length = scale * apply(ops.sqrt, p * p + q * q)
    infinite = (abs(a) == float("inf")) | (abs(b) == float("inf"))  # even where the other is NaN
    return where(infinite, scalar(float("inf"), length.dtype), length)


def sinc(x: Any) -> Tensor:
    """``sin(pi * x) / (pi * x)``; 1 at 0.

    >>> import lucid
    >>> lucid.sinc(lucid.tensor([0.0, 0.5])).round(decimals=4)
    Tensor([1.0, 0.6366])
    """
    x = floating(as_tensor(x, "sinc"))
    angle = x * math.pi
    origin = x == 0
    one = scalar(1.0, x.dtype)
    angle = where(origin, one, angle)
    return where(origin, one, sin(angle) / angle)


def deg2rad(x: Any) -> Tensor:
    """Degrees as radians.

    >>> import lucid
    >>> lucid.deg2rad(lucid.tensor([0.0, 180.0])).round(decimals=4)
    Tensor([0.0, 3.1416])
    """
    return floating(as_tensor(x, "deg2rad")) * (math.pi / 180)


def rad2deg(x: Any) -> Tensor:
    """Radians as degrees.

    >>> import lucid
    >>> import math
    >>> lucid.rad2deg(lucid.tensor([0.0, math.pi]))
    Tensor([0.0, 180.0])
    """
    return floating(as_tensor(x, "rad2deg")) * (180 / math.pi)
