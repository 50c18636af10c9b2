"""The inverse of the normal distribution, written once for arrays and for index expressions.

M. J. Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37 (1988):
PPND7 for float32, PPND16 for float64. Its logarithm is fdlibm's (Sun Microsystems 1993), spelled out, because a
library's ``log`` differs from machine to machine.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from lucid.ir.expr import Bitcast, cast, select, unary
from lucid.ir.graph import Array
from lucid.ir.types import DType, float32, float64, int32, int64

#: Either a NumPy array of at least one dimension or an ``Expr``: the two share Python's arithmetic.
Lanes: TypeAlias = Any


class Arithmetic(NamedTuple):
    """What arrays and expressions do not spell alike."""

    select: Callable[[Lanes, Lanes, Lanes], Lanes]
    cast: Callable[[Lanes, DType], Lanes]
    bitcast: Callable[[Lanes, DType], Lanes]
    sqrt: Callable[[Lanes], Lanes]


def _cast_array(x: Array, dtype: DType) -> Array:
    return x.astype(dtype)


def _view_array(x: Array, dtype: DType) -> Array:
    return x.view(dtype)


ON_ARRAYS = Arithmetic(np.where, _cast_array, _view_array, np.sqrt)
ON_EXPRESSIONS = Arithmetic(select, cast, Bitcast, lambda x: unary("sqrt", x))


class _Format(NamedTuple):
    """The layout of a float dtype, and fdlibm's logarithm for it."""

    bits: DType
    mantissa: int
    bias: int
    root_half: int  # bits of about sqrt(1/2): significands are brought into sqrt(1/2) .. sqrt(2)
    odd: tuple[float, ...]  # highest power first
    even: tuple[float, ...]
    ln2_high: float
    ln2_low: float


_FORMATS = {
    float32: _Format(
        int32, 23, 127, 0x3F3504F3,
        (0.28498786688, 0.66666662693), (0.24279078841, 0.40000972152),
        6.9313812256e-01, 9.0580006145e-06,
    ),
    float64: _Format(
        int64, 52, 1023, 0x3FE6A09E << 32,
        (1.479819860511658591e-01, 1.818357216161805012e-01, 2.857142874366239149e-01, 6.666666666666735130e-01),
        (1.531383769920937332e-01, 2.222219843214978396e-01, 3.999999999940941908e-01),
        6.93147180369123816490e-01, 1.90821492927058770002e-10,
    ),
}  # fmt: skip


def horner(x: Lanes, coefficients: Sequence[float]) -> Lanes:
    """A polynomial, highest power first; each step is one product and one sum, rounded separately."""
    value = x * coefficients[0] + coefficients[1]
    for c in coefficients[2:]:
        value = value * x + c
    return value


def log(on: Arithmetic, x: Lanes, dtype: DType) -> Lanes:
    """Natural logarithm of positive normal numbers, to within 1 ulp."""
    form = _FORMATS[dtype]
    one = form.bias << form.mantissa
    bits = on.bitcast(x, form.bits) + (one - form.root_half)
    exponent = on.cast((bits >> form.mantissa) - form.bias, dtype)
    f = on.bitcast((bits & ((1 << form.mantissa) - 1)) + form.root_half, dtype) - 1.0
    s = f / (f + 2.0)
    z = s * s
    w = z * z
    r = z * horner(w, form.odd) + w * horner(w, form.even)
    half_square = f * f * 0.5
    return s * (half_square + r) + exponent * form.ln2_low - half_square + f + exponent * form.ln2_high


class _Rationals(NamedTuple):
    """AS 241's rational functions, highest power first: around the centre, in the tail, and far out in it."""

    centre: tuple[tuple[float, ...], tuple[float, ...]]
    tail: tuple[tuple[float, ...], tuple[float, ...]]
    far: tuple[tuple[float, ...], tuple[float, ...]] | None


_RATIONALS = {
    float32: _Rationals(
        (
            (5.9109374720e01, 1.5929113202e02, 5.0434271938e01, 3.3871327179),
            (6.7187563600e01, 7.8757757664e01, 1.7895169469e01, 1.0),
        ),
        ((1.7023821103e-1, 1.3067284816, 2.7568153900, 1.4234372777), (1.2021132975e-1, 7.3700164250e-1, 1.0)),
        None,  # begins below 2**-36, and 2**-33 is the smallest probability that 32 bits make
    ),
    float64: _Rationals(
        (
            (2.5090809287301226727e3, 3.3430575583588128105e4, 6.7265770927008700853e4, 4.5921953931549871457e4,
             1.3731693765509461125e4, 1.9715909503065514427e3, 1.3314166789178437745e2, 3.3871328727963666080),
            (5.2264952788528545610e3, 2.8729085735721942674e4, 3.9307895800092710610e4, 2.1213794301586595867e4,
             5.3941960214247511077e3, 6.8718700749205790830e2, 4.2313330701600911252e1, 1.0),
        ),
        (
            (7.74545014278341407640e-4, 2.27238449892691845833e-2, 2.41780725177450611770e-1, 1.27045825245236838258,
             3.64784832476320460504, 5.76949722146069140550, 4.63033784615654529590, 1.42343711074968357734),
            (1.05075007164441684324e-9, 5.47593808499534494600e-4, 1.51986665636164571966e-2, 1.48103976427480074590e-1,
             6.89767334985100004550e-1, 1.67638483018380384940, 2.05319162663775882187, 1.0),
        ),
        (
            (2.01033439929228813265e-7, 2.71155556874348757815e-5, 1.24266094738807843860e-3, 2.65321895265761230930e-2,
             2.96560571828504891230e-1, 1.78482653991729133580, 5.46378491116411436990, 6.65790464350110377720),
            (2.04426310338993978564e-15, 1.42151175831644588870e-7, 1.84631831751005468180e-5,
             7.86869131145613259100e-4, 1.48753612908506148525e-2, 1.36929880922735805310e-1,
             5.99832206555887937690e-1, 1.0),
        ),
    ),
}  # fmt: skip


def inverse_normal(on: Arithmetic, tail: Lanes, centre: Lanes, dtype: DType) -> Lanes:
    """The positive z above which a normal variable lies with probability ``tail``.

    ``centre`` is ``1/2 - tail``, given apart so that both keep their precision. Relative error about 1e-16 in float64
    (Wichura) and 4 ulp in float32, where the tail is at least 2**-33.
    """
    rationals = _RATIONALS[dtype]

    def ratio(x: Lanes, functions: tuple[tuple[float, ...], tuple[float, ...]]) -> Lanes:
        return horner(x, functions[0]) / horner(x, functions[1])

    r = on.sqrt(-log(on, tail, dtype))
    outer = ratio(r - 1.6, rationals.tail)
    if rationals.far is not None:
        outer = on.select(r > 5.0, ratio(r - 5.0, rationals.far), outer)
    inner = centre * ratio(-(centre * centre) + 0.180625, rationals.centre)
    return on.select(centre <= 0.425, inner, outer)
