"""Functions of each element on its own. Arguments are tensors, numbers or arrays; they broadcast as in NumPy.

Exponentials, rounding, signs and dtypes are here; the rest are imported from the modules of their subjects, so that
this one offers them all.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.functions import arithmetic, comparison, trigonometry
from lucid.functions.arguments import dtype_of, int_of, number_of
from lucid.functions.arithmetic import *  # noqa: F403  # what __all__ names
from lucid.functions.comparison import *  # noqa: F403  # what __all__ names
from lucid.functions.comparison import maximum
from lucid.functions.trigonometry import *  # noqa: F403  # what __all__ names
from lucid.ir.types import is_float
from lucid.promotion import as_tensor, binary, floating, rounded_once
from lucid.promotion import cast as promote

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "abs",
    "absolute",
    "ceil",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "fix",
    "floor",
    "log",
    "log1p",
    "log2",
    "log10",
    "logit",
    "neg",
    "negative",
    "positive",
    "relu",
    "round",
    "rsqrt",
    "sgn",
    "sigmoid",
    "sign",
    "sqrt",
]  # fmt: skip
__all__ += arithmetic.__all__
__all__ += comparison.__all__
__all__ += trigonometry.__all__


def exp(x: Any) -> Tensor:
    """``e**x``. Integers are computed as float32, here and in every function below that needs fractions.

    >>> import lucid
    >>> lucid.exp(lucid.tensor([0.0, 1.0])).round(decimals=4)
    Tensor([1.0, 2.7183])
    """
    return apply(ops.exp, floating(as_tensor(x, "exp")))


def expm1(x: Any) -> Tensor:
    """``e**x - 1``, exact for small x.

    >>> import lucid
    >>> lucid.expm1(lucid.tensor([0.0, 1e-10]))
    Tensor([0.0, 1e-10])
    """
    return apply(ops.expm1, floating(as_tensor(x, "expm1")))


def log(x: Any) -> Tensor:
    """Natural logarithm; -inf at 0, NaN below.

    >>> import lucid
    >>> lucid.log(lucid.tensor([1.0, 0.0]))
    Tensor([0.0, -inf])
    """
    return apply(ops.log, floating(as_tensor(x, "log")))


def log1p(x: Any) -> Tensor:
    """``log(1 + x)``, exact for small x.

    >>> import lucid
    >>> lucid.log1p(lucid.tensor([0.0, 1e-10]))
    Tensor([0.0, 1e-10])
    """
    return apply(ops.log1p, floating(as_tensor(x, "log1p")))


def sqrt(x: Any) -> Tensor:
    """Square root; NaN below 0.

    >>> import lucid
    >>> lucid.sqrt(lucid.tensor([4.0, 9.0]))
    Tensor([2.0, 3.0])
    """
    return apply(ops.sqrt, floating(as_tensor(x, "sqrt")))


def rsqrt(x: Any) -> Tensor:
    """``1 / sqrt(x)``.

    >>> import lucid
    >>> lucid.rsqrt(lucid.tensor([4.0, 16.0]))
    Tensor([0.5, 0.25])
    """
    return binary("div", 1.0, sqrt(x))


def exp2(x: Any) -> Tensor:
    """``2**x``.

    >>> import lucid
    >>> lucid.exp2(lucid.tensor([3.0, -1.0]))
    Tensor([8.0, 0.5])
    """
    return binary("pow", 2.0, floating(as_tensor(x, "exp2")))


def log2(x: Any) -> Tensor:
    """The logarithm to base 2.

    >>> import lucid
    >>> lucid.log2(lucid.tensor([1.0, 8.0]))
    Tensor([0.0, 3.0])
    """
    return log(x) / math.log(2)


def log10(x: Any) -> Tensor:
    """The logarithm to base 10.

    >>> import lucid
    >>> lucid.log10(lucid.tensor([1.0, 1000.0]))
    Tensor([0.0, 3.0])
    """
    return log(x) / math.log(10)


def erf(x: Any) -> Tensor:
    """The error function.

    >>> import lucid
    >>> lucid.erf(lucid.tensor([0.0, 10.0]))
    Tensor([0.0, 1.0])
    """
    return apply(ops.erf, floating(as_tensor(x, "erf")))


def erfc(x: Any) -> Tensor:
    """``1 - erf(x)``, exact for large x.

    >>> import lucid
    >>> lucid.erfc(lucid.tensor([0.0, -10.0]))
    Tensor([1.0, 2.0])
    """
    return apply(ops.erfc, floating(as_tensor(x, "erfc")))


@rounded_once
def logit(input: Any, eps: float | None = None) -> Tensor:
    """``log(x / (1 - x))``, the inverse of ``sigmoid``; with ``eps``, x is first limited to ``eps .. 1 - eps``.

    Raises:
        ArgumentTypeError: ``eps`` is not a number.

    >>> import lucid
    >>> lucid.logit(lucid.tensor([0.5, 1.0]))
    Tensor([0.0, inf])
    """
    x = floating(as_tensor(input, "logit"))
    if eps is not None:
        eps = number_of("logit", "eps", eps)
        x = arithmetic.clip(x, eps, 1 - eps)
    return log(x / (1.0 - x))


def sigmoid(x: Any) -> Tensor:
    """``1 / (1 + exp(-x))``, without overflow on either side.

    >>> import lucid
    >>> lucid.sigmoid(lucid.tensor([0.0, 1000.0, -1000.0]))
    Tensor([0.5, 1.0, 0.0])
    """
    return apply(ops.sigmoid, floating(as_tensor(x, "sigmoid")))


def relu(x: Any) -> Tensor:
    """``max(x, 0)``; NaN stays NaN.

    >>> import lucid
    >>> lucid.relu(lucid.tensor([-1.0, 2.0]))
    Tensor([0.0, 2.0])
    """
    x = as_tensor(x, "relu")
    if is_float(x.dtype):
        return apply(ops.relu, x)
    return maximum(x, 0)


def abs(x: Any) -> Tensor:
    """``|x|``; the gradient at 0 is 0.

    >>> import lucid
    >>> lucid.abs(lucid.tensor([-3, 2]))
    Tensor([3, 2])
    """
    return apply(ops.abs, as_tensor(x, "abs"))


def neg(x: Any) -> Tensor:
    """``-x``.

    Raises:
        DTypeError: bools.

    >>> import lucid
    >>> lucid.neg(lucid.tensor([-3, 2]))
    Tensor([3, -2])
    """
    return apply(ops.neg, as_tensor(x, "neg"))


def positive(x: Any) -> Tensor:
    """``x`` itself.

    >>> import lucid
    >>> lucid.positive(lucid.tensor([-3, 2]))
    Tensor([-3, 2])
    """
    return as_tensor(x, "positive")


def sign(x: Any) -> Tensor:
    """-1, 0 or 1; NaN stays NaN.

    >>> import lucid
    >>> lucid.sign(lucid.tensor([-3.0, 0.0, 2.0]))
    Tensor([-1.0, 0.0, 1.0])
    """
    return apply(ops.sign, as_tensor(x, "sign"))


def _rounded(op: Any, x: Any) -> Tensor:
    x = as_tensor(x, op.name)
    return apply(op, x) if is_float(x.dtype) else x  # integers are whole already


def floor(x: Any) -> Tensor:
    """The largest whole number not above x; the gradient is 0.

    >>> import lucid
    >>> lucid.floor(lucid.tensor([1.7, -1.2]))
    Tensor([1.0, -2.0])
    """
    return _rounded(ops.floor, x)


def ceil(x: Any) -> Tensor:
    """The smallest whole number not below x; the gradient is 0.

    >>> import lucid
    >>> lucid.ceil(lucid.tensor([1.2, -1.7]))
    Tensor([2.0, -1.0])
    """
    return _rounded(ops.ceil, x)


def round(x: Any, *, decimals: int = 0) -> Tensor:
    """The nearest number with so many decimals, halves to even; the gradient is 0.

    Raises:
        ArgumentTypeError: ``decimals`` is not an int.

    >>> import lucid
    >>> lucid.round(lucid.tensor([0.5, 1.5, 2.6]))
    Tensor([0.0, 2.0, 3.0])
    """
    places = int_of("round", "decimals", decimals)
    if places == 0:
        return _rounded(ops.round, x)
    x = as_tensor(x, "round")
    if places > 0:
        return _rounded(ops.round, x * 10.0**places) / 10.0**places
    return _rounded(ops.round, x / 10.0**-places) * 10.0**-places


absolute, negative, sgn, fix = abs, neg, sign, arithmetic.trunc


def cast(x: Any, dtype: object) -> Tensor:
    """``x`` as another dtype; floats become integers by truncation. ``x`` itself if it has that dtype already."""
    x = as_tensor(x, "astype")
    return promote(x, dtype_of("astype", dtype))
