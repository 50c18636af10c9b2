"""Sums, products, quotients, remainders and powers of operands that broadcast, and limits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lucid import ops
from lucid.eager import Recorded, apply
from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail, number_of
from lucid.functions.comparison import isnan, maximum, minimum, signbit, where
from lucid.ir.types import float64, is_float, limits_of
from lucid.promotion import as_tensor, binary, floating, python_number, rounded_once, scalar, together, weak_dtype
from lucid.promotion import cast as promote

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "add", "addcdiv", "addcmul", "clamp", "clamp_max", "clamp_min", "clip", "copysign", "div", "divide", "float_power",
    "floor_divide", "fmod", "frac", "heaviside", "ldexp", "lerp", "logaddexp", "logaddexp2", "mul", "multiply",
    "nan_to_num", "pow", "reciprocal", "remainder", "rsub", "square", "sub", "subtract", "true_divide", "trunc",
    "xlog1py", "xlogy",
]  # fmt: skip


def add(a: Any, b: Any, *, alpha: Any = 1) -> Tensor:
    """``a + alpha * b``.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.add(lucid.tensor([1, 2]), lucid.tensor([10, 20]), alpha=2)
    Tensor([21, 42])
    """
    return binary("add", a, _scaled(b, alpha))


def sub(a: Any, b: Any, *, alpha: Any = 1) -> Tensor:
    """``a - alpha * b``. ``subtract`` is the same function.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.sub(lucid.tensor([5, 7]), 2)
    Tensor([3, 5])
    """
    return binary("sub", a, _scaled(b, alpha))


def rsub(input: Any, other: Any, *, alpha: Any = 1) -> Tensor:
    """``other - alpha * input``.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.rsub(lucid.tensor([5, 7]), 2)
    Tensor([-3, -5])
    """
    return binary("sub", other, _scaled(input, alpha))


def _scaled(x: Any, alpha: Any) -> Any:
    return x if alpha.__class__ is int and alpha == 1 else x * alpha


def mul(a: Any, b: Any) -> Tensor:
    """``a * b``. ``multiply`` is the same function.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.mul(lucid.tensor([[1], [2]]), lucid.tensor([3, 4]))
    Tensor([[3, 4],
            [6, 8]])
    """
    return binary("mul", a, b)


def div(a: Any, b: Any, *, rounding_mode: str | None = None) -> Tensor:
    """``a / b``; integers are divided as float32. ``divide`` and ``true_divide`` are the same function.

    Args:
        rounding_mode: 'floor' rounds the quotient down, as ``//``; 'trunc' towards 0; both keep integers integers.

    Raises:
        ArgumentError: another rounding mode.

    >>> import lucid
    >>> lucid.div(lucid.tensor([-7, 7]), 2, rounding_mode="trunc")
    Tensor([-3, 3])
    """
    if rounding_mode is None:
        return binary("div", a, b)
    if rounding_mode == "floor":
        return floor_divide(a, b)
    if rounding_mode != "trunc":
        fail(ArgumentError(f"rounding_mode={rounding_mode!r} must be None, 'floor' or 'trunc'", op="div"))
    a, b = together(a, b, "div")
    if is_float(a.dtype):
        return trunc(binary("div", a, b))
    quotient = floor_divide(a, b)
    if a.dtype.kind == "u":
        return quotient
    upward = binary("ne", binary("mul", quotient, b), a) & binary("lt", quotient, 0) & binary("ne", b, 0)
    return quotient + promote(upward, quotient.dtype)


subtract, multiply, divide, true_divide = sub, mul, div, div


def floor_divide(input: Any, other: Any) -> Tensor:
    """``input // other``: the quotient rounded down; an integer divided by 0 gives 0. No gradient flows through it.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.floor_divide(lucid.tensor([7, -7]), 2)
    Tensor([3, -4])
    """
    return binary("floordiv", input, other)


def remainder(input: Any, other: Any) -> Tensor:
    """``input % other``: what is left of ``input`` after ``input // other``; it has ``other``'s sign.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.remainder(lucid.tensor([7, -7]), 4)
    Tensor([3, 1])
    """
    return binary("mod", input, other)


def fmod(input: Any, other: Any) -> Tensor:
    """What is left of ``input`` after a division rounded towards 0; it has ``input``'s sign.

    >>> import lucid
    >>> lucid.fmod(lucid.tensor([-5.0, 5.0]), 3)
    Tensor([-2.0, 2.0])
    """
    a, b = together(input, other, "fmod")
    if a.dtype.kind == "u":
        return binary("mod", a, b)
    negative = signbit(a)
    left = binary("mod", where(negative, -a, a), apply(ops.abs, b))
    return where(negative, -left, left)


def reciprocal(input: Any) -> Tensor:
    """``1 / input``.

    >>> import lucid
    >>> lucid.reciprocal(lucid.tensor([2.0, 4.0]))
    Tensor([0.5, 0.25])
    """
    return binary("div", 1.0, floating(as_tensor(input, "reciprocal")))


def square(x: Any) -> Tensor:
    """``x * x``.

    >>> import lucid
    >>> lucid.square(lucid.tensor([-3.0, 2.0]))
    Tensor([9.0, 4.0])
    """
    x = as_tensor(x, "square")
    return binary("mul", x, x)


def pow(a: Any, b: Any) -> Tensor:
    """``a`` to the power ``b``.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.pow(lucid.tensor([1.0, 2.0, 3.0]), 2)
    Tensor([1.0, 4.0, 9.0])
    """
    number = python_number(b)
    if number == 2 and isinstance(a, Recorded):
        return binary("mul", a, a)  # the same value, without a logarithm in its second derivative
    return binary("pow", a, b)


def float_power(input: Any, exponent: Any) -> Tensor:
    """``input`` to the power ``exponent``, computed in float64.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.float_power(lucid.tensor([2, 3]), -1).dtype
    dtype('float64')
    """

    def wide(x: Any) -> Any:
        return x if python_number(x) is not None else promote(as_tensor(x, "float_power"), float64)

    a, b = wide(input), wide(exponent)
    return pow(as_tensor(np.float64(a)) if not isinstance(a, Recorded) else a, b)


def ldexp(input: Any, other: Any) -> Tensor:
    """``input * 2**other``.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.ldexp(lucid.tensor([1.0, 3.0]), lucid.tensor([4, -1]))
    Tensor([16.0, 1.5])
    """
    exponent = floating(as_tensor(other, "ldexp"))
    return binary("mul", input, binary("pow", 2.0, exponent))


def trunc(x: Any) -> Tensor:
    """The whole part: x rounded towards 0; the gradient is 0.

    >>> import lucid
    >>> lucid.trunc(lucid.tensor([1.7, -1.7]))
    Tensor([1.0, -1.0])
    """
    t = as_tensor(x, "trunc")
    return where(binary("lt", t, 0), apply(ops.ceil, t), apply(ops.floor, t)) if is_float(t.dtype) else t


def frac(x: Any) -> Tensor:
    """``x - trunc(x)``, with x's sign.

    >>> import lucid
    >>> lucid.frac(lucid.tensor([1.5, -1.5]))
    Tensor([0.5, -0.5])
    """
    x = floating(as_tensor(x, "frac"))
    return binary("sub", x, trunc(x))


def copysign(input: Any, other: Any) -> Tensor:
    """The size of ``input`` with the sign of ``other``.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.copysign(lucid.tensor([1.0, 2.0]), lucid.tensor([-0.0, 5.0]))
    Tensor([-1.0, 2.0])
    """
    a, b = together(input, other, "copysign")
    a, b = floating(a), floating(b)
    return where(binary("eq", signbit(a), signbit(b)), a, -a)


def heaviside(input: Any, values: Any) -> Tensor:
    """0 where ``input`` is negative or NaN, ``values`` where it is 0, 1 where it is positive.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.heaviside(lucid.tensor([-2.0, 0.0, 3.0]), 0.5)
    Tensor([0.0, 0.5, 1.0])
    """
    a, b = together(input, values, "heaviside")
    return where(binary("eq", a, 0), b, promote(binary("gt", a, 0), a.dtype))


@rounded_once
def lerp(input: Any, end: Any, weight: Any) -> Tensor:
    """``input + weight * (end - input)``: from ``input`` at weight 0 to ``end`` at weight 1, both exact.

    Raises:
        ShapeError: the shapes do not broadcast.
        ArgumentTypeError: ``weight`` is neither a number nor a tensor.

    >>> import lucid
    >>> lucid.lerp(lucid.tensor([0.0, 10.0]), lucid.tensor([1.0, 20.0]), 0.5)
    Tensor([0.5, 15.0])
    """
    a, b = together(input, end, "lerp")
    if not isinstance(weight, Recorded):
        share = number_of("lerp", "weight", weight)
        return a + (b - a) * share if abs(share) < 0.5 else b - (b - a) * (1 - share)
    change = b - a
    near = binary("lt", apply(ops.abs, weight), 0.5)
    return where(near, binary("add", a, change * weight), binary("sub", b, change * (1 - weight)))


@rounded_once
def addcmul(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """``input + value * tensor1 * tensor2``.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.addcmul(lucid.ones(2), lucid.tensor([1.0, 2.0]), lucid.tensor([3.0, 4.0]), value=10)
    Tensor([31.0, 81.0])
    """
    return binary("add", input, _scaled(binary("mul", tensor1, tensor2), value))


@rounded_once
def addcdiv(input: Any, tensor1: Any, tensor2: Any, *, value: Any = 1) -> Tensor:
    """``input + value * tensor1 / tensor2``.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.addcdiv(lucid.ones(2), lucid.tensor([1.0, 2.0]), lucid.tensor([2.0, 4.0]), value=10)
    Tensor([6.0, 6.0])
    """
    return binary("add", input, _scaled(binary("div", tensor1, tensor2), value))


@rounded_once
def logaddexp(input: Any, other: Any) -> Tensor:
    """``log(exp(input) + exp(other))``, without overflow.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.logaddexp(lucid.tensor(1000.0), lucid.tensor(0.0))
    Tensor(1000.0)
    """
    a, b = together(input, other, "logaddexp")
    a, b = floating(a), floating(b)
    first = binary("ge", a, b)
    larger, smaller = where(first, a, b), where(first, b, a)
    shift = apply(ops.stop_gradient, larger)
    shift = where(binary("lt", apply(ops.abs, shift), float("inf")), shift, scalar(0.0, shift.dtype))
    return shift + apply(ops.log1p, apply(ops.expm1, larger - shift) + apply(ops.exp, smaller - shift))


@rounded_once
def logaddexp2(input: Any, other: Any) -> Tensor:
    """``log2(2**input + 2**other)``, without overflow.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.logaddexp2(lucid.tensor(3.0), lucid.tensor(3.0))
    Tensor(4.0)
    """
    log2 = float(np.log(2.0))
    a, b = together(input, other, "logaddexp2")
    return logaddexp(a * log2, b * log2) / log2


def xlogy(input: Any, other: Any) -> Tensor:
    """``input * log(other)``; 0 where ``input`` is 0, unless ``other`` is NaN.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.xlogy(lucid.tensor([0.0, 2.0]), lucid.tensor([0.0, 1.0]))
    Tensor([0.0, 0.0])
    """
    return _times_log("xlogy", input, other, 0.0)


def xlog1py(input: Any, other: Any) -> Tensor:
    """``input * log(1 + other)``; 0 where ``input`` is 0, unless ``other`` is NaN.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.xlog1py(lucid.tensor([0.0, 2.0]), lucid.tensor([-1.0, 0.0]))
    Tensor([0.0, 0.0])
    """
    return _times_log("xlog1py", input, other, -1.0)


def _times_log(op: str, input: Any, other: Any, pole: float) -> Tensor:
    a, b = together(input, other, op)
    a, b = floating(a), floating(b)
    # A harmless number where the product is 0: no 0 * inf, here or in derivatives.
    none = binary("eq", a, 0) & (binary("le", b, pole) | binary("eq", b, float("inf")))
    safe = where(none, scalar(1.0, b.dtype), b)
    return a * apply(ops.log if op == "xlogy" else ops.log1p, safe)


def nan_to_num(input: Any, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Tensor:
    """NaN and infinities replaced: by ``nan``, and by the dtype's largest and least numbers unless given.

    >>> import lucid
    >>> lucid.nan_to_num(lucid.tensor([float("nan"), float("inf"), 2.0]), nan=1.0, posinf=9.0)
    Tensor([1.0, 9.0, 2.0])
    """
    x = as_tensor(input, "nan_to_num")
    if not is_float(x.dtype):
        return x
    ends = limits_of(x.dtype)
    high = float(ends.max) if posinf is None else float(posinf)
    low = float(ends.min) if neginf is None else float(neginf)
    x = where(isnan(x), scalar(0.0 if nan is None else float(nan), x.dtype), x)
    x = where(binary("eq", x, float("inf")), scalar(high, x.dtype), x)
    return where(binary("eq", x, float("-inf")), scalar(low, x.dtype), x)


# --- limits ---


def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:
    """``x`` limited to ``min .. max``, which are numbers or None; tensors as bounds go through maximum and minimum.

    Gradients pass where ``min <= x <= max``. ``clamp`` is the same function.

    Raises:
        ArgumentTypeError: a bound is neither a number nor a tensor.
        ArgumentError: a bound is not a value of an integer ``x``'s dtype.

    >>> import lucid
    >>> lucid.clip(lucid.tensor([-3, 0, 9]), -1, 5)
    Tensor([-1, 0, 5])
    """
    x = as_tensor(x, "clip")
    low, high = python_number(min), python_number(max)
    for argument, given, number in (("min", min, low), ("max", max, high)):
        if number is None and given is not None and not isinstance(given, Recorded):
            fail(ArgumentTypeError(f"{argument} has type {type(given).__name__}, but it must be a number", op="clip"))
    if isinstance(min, Recorded) or isinstance(max, Recorded):
        y = x if min is None else maximum(x, min)
        return y if max is None else minimum(y, max)
    dtype = x.dtype
    for number in (low, high):
        if number is not None:
            dtype = weak_dtype(dtype, number)
    if is_float(dtype):
        low, high = None if low is None else float(low), None if high is None else float(high)
    for argument, number in (("min", low), ("max", high)):
        if number is not None and dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
            fail(ArgumentError(f"{argument}={number} is not a value of dtype {dtype.name}", op="clip"))
    return apply(ops.clip, promote(x, dtype), lo=low, hi=high)


clamp = clip


def clamp_min(input: Any, min: Any) -> Tensor:
    """``input``, but not below ``min``.

    Raises:
        ArgumentTypeError: ``min`` is neither a number nor a tensor.

    >>> import lucid
    >>> lucid.clamp_min(lucid.tensor([-3, 0, 9]), -1)
    Tensor([-1, 0, 9])
    """
    return clip(input, min)


def clamp_max(input: Any, max: Any) -> Tensor:
    """``input``, but not above ``max``.

    Raises:
        ArgumentTypeError: ``max`` is neither a number nor a tensor.

    >>> import lucid
    >>> lucid.clamp_max(lucid.tensor([-3, 0, 9]), 5)
    Tensor([-3, 0, 5])
    """
    return clip(input, None, max)
