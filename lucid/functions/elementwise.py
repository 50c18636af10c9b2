"""Functions of each element on its own. Arguments are tensors, numbers or arrays; they broadcast as in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lucid import ops
from lucid.eager import Recorded, apply
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError
from lucid.functions.arguments import dtype_of, fail
from lucid.ir.types import bool_, float32, int64
from lucid.promotion import as_tensor, binary, floating, python_number, scalar, together, weak_dtype
from lucid.promotion import cast as promote

if TYPE_CHECKING:
    from lucid.tensor import Tensor


def exp(x: Any) -> Tensor:
    """``e**x``. Integers are computed as float32, here and in every function below that needs fractions."""
    return apply(ops.exp, floating(as_tensor(x, "exp")))


def expm1(x: Any) -> Tensor:
    """``e**x - 1``, exact for small x."""
    return apply(ops.expm1, floating(as_tensor(x, "expm1")))


def log(x: Any) -> Tensor:
    """Natural logarithm; -inf at 0, NaN below."""
    return apply(ops.log, floating(as_tensor(x, "log")))


def log1p(x: Any) -> Tensor:
    """``log(1 + x)``, exact for small x."""
    return apply(ops.log1p, floating(as_tensor(x, "log1p")))


def sqrt(x: Any) -> Tensor:
    """Square root; NaN below 0."""
    return apply(ops.sqrt, floating(as_tensor(x, "sqrt")))


def rsqrt(x: Any) -> Tensor:
    """``1 / sqrt(x)``."""
    return binary("div", 1.0, sqrt(x))


def square(x: Any) -> Tensor:
    """``x * x``."""
    x = as_tensor(x, "square")
    return binary("mul", x, x)


def sin(x: Any) -> Tensor:
    return apply(ops.sin, floating(as_tensor(x, "sin")))


def cos(x: Any) -> Tensor:
    return apply(ops.cos, floating(as_tensor(x, "cos")))


def tanh(x: Any) -> Tensor:
    return apply(ops.tanh, floating(as_tensor(x, "tanh")))


def erf(x: Any) -> Tensor:
    """The error function."""
    return apply(ops.erf, floating(as_tensor(x, "erf")))


def sigmoid(x: Any) -> Tensor:
    """``1 / (1 + exp(-x))``, without overflow on either side."""
    return apply(ops.sigmoid, floating(as_tensor(x, "sigmoid")))


def relu(x: Any) -> Tensor:
    """``max(x, 0)``; NaN stays NaN."""
    x = as_tensor(x, "relu")
    if x.dtype.kind == "f":
        return apply(ops.relu, x)
    return maximum(x, 0)


def abs(x: Any) -> Tensor:
    """``|x|``; the gradient at 0 is 0."""
    return apply(ops.abs, as_tensor(x, "abs"))


def neg(x: Any) -> Tensor:
    return apply(ops.neg, as_tensor(x, "neg"))


def sign(x: Any) -> Tensor:
    """-1, 0 or 1."""
    return apply(ops.sign, as_tensor(x, "sign"))


def _rounded(op: Any, x: Any) -> Tensor:
    x = as_tensor(x, op.name)
    return apply(op, x) if x.dtype.kind == "f" else x  # integers are whole already


def floor(x: Any) -> Tensor:
    """The largest whole number not above x; the gradient is 0."""
    return _rounded(ops.floor, x)


def ceil(x: Any) -> Tensor:
    """The smallest whole number not below x; the gradient is 0."""
    return _rounded(ops.ceil, x)


def round(x: Any) -> Tensor:
    """The nearest whole number, halves to even; the gradient is 0."""
    return _rounded(ops.round, x)


def isnan(x: Any) -> Tensor:
    """True where x is NaN."""
    x = as_tensor(x, "isnan")
    return apply(ops.isnan, x) if x.dtype.kind == "f" else binary("ne", x, x)


def isinf(x: Any) -> Tensor:
    """True where x is infinite."""
    x = as_tensor(x, "isinf")
    return binary("eq", abs(x), float("inf")) if x.dtype.kind == "f" else binary("ne", x, x)


def isfinite(x: Any) -> Tensor:
    """True where x is neither infinite nor NaN."""
    x = as_tensor(x, "isfinite")
    return binary("lt", abs(x), float("inf")) if x.dtype.kind == "f" else binary("eq", x, x)


def logical_not(x: Any) -> Tensor:
    """The other truth value; a number counts as true unless it is 0."""
    return apply(ops.logical_not, _truth(x, "logical_not"))


def logical_and(a: Any, b: Any) -> Tensor:
    return apply(ops.bitwise_and, _truth(a, "logical_and"), _truth(b, "logical_and"))


def logical_or(a: Any, b: Any) -> Tensor:
    return apply(ops.bitwise_or, _truth(a, "logical_or"), _truth(b, "logical_or"))


def _truth(x: Any, op: str) -> Tensor:
    return promote(as_tensor(x, op), bool_)


def add(a: Any, b: Any) -> Tensor:
    return binary("add", a, b)


def sub(a: Any, b: Any) -> Tensor:
    return binary("sub", a, b)


def mul(a: Any, b: Any) -> Tensor:
    return binary("mul", a, b)


def div(a: Any, b: Any) -> Tensor:
    """``a / b``; integers are divided as float32."""
    return binary("div", a, b)


def pow(a: Any, b: Any) -> Tensor:
    """``a`` to the power ``b``."""
    number = python_number(b)
    if number == 2 and isinstance(a, Recorded):
        return binary("mul", a, a)  # the same value, without a logarithm in its second derivative
    return binary("pow", a, b)


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of two; NaN if either is NaN; on a tie each gets half the gradient."""
    return binary("maximum", a, b)


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of two; NaN if either is NaN; on a tie each gets half the gradient."""
    return binary("minimum", a, b)


def where(condition: Any, a: Any, b: Any) -> Tensor:
    """``a`` where ``condition`` holds, else ``b``.

    Raises:
        DTypeError: ``condition`` is not bool.

    >>> import lucid
    >>> lucid.where(lucid.tensor([True, False]), 1.0, lucid.tensor([5.0, 6.0]))
    Tensor([1.0, 6.0])
    """
    condition = as_tensor(condition, "where")
    if condition.dtype != bool_:
        fail(
            DTypeError(
                f"condition has dtype {condition.dtype.name}, but it must be bool",
                op="where",
                hint="compare first: lucid.where(x > 0, a, b)",
            )
        )
    if not isinstance(a, Recorded) and not isinstance(b, Recorded):
        first, second = python_number(a), python_number(b)
        if first is not None and second is not None:
            float_, int_ = (
                isinstance(first + second, float),
                not isinstance(first, bool) or not isinstance(second, bool),
            )
            dtype = float32 if float_ else int64 if int_ else bool_
            a, b = scalar(first, dtype, "where"), scalar(second, dtype, "where")
    a, b = together(a, b, "where")
    return apply(ops.where, condition, a, b)


def clip(x: Any, min: Any = None, max: Any = None) -> Tensor:
    """``x`` limited to ``min .. max``, which are numbers or None; tensors as bounds go through maximum and minimum.

    Gradients pass where ``min <= x <= max``.
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
    if dtype.kind == "f":
        low, high = None if low is None else float(low), None if high is None else float(high)
    for argument, number in (("min", low), ("max", high)):
        if number is not None and dtype.kind in "iu" and not np.iinfo(dtype).min <= number <= np.iinfo(dtype).max:
            fail(ArgumentError(f"{argument}={number} is not a value of dtype {dtype.name}", op="clip"))
    return apply(ops.clip, promote(x, dtype), lo=low, hi=high)


def cast(x: Any, dtype: object) -> Tensor:
    """``x`` as another dtype; floats become integers by truncation. ``x`` itself if it has that dtype already."""
    x = as_tensor(x, "astype")
    return promote(x, dtype_of("astype", dtype))
