"""pow: the exponential of ``y log |x|``, with the logarithm to more bits than the result has; special cases as in C99.

Single precision is computed in double. Double precision carries the logarithm in two numbers, after the method of
fdlibm's ``e_pow.c`` and SLEEF's ``pow``: a relative error of 2**-66, as y log |x| reaches 2**10.
"""

from __future__ import annotations

import math
from typing import TypeAlias

from lucid.codegen.loops import Bin, Convert, Fma, Sel, Un, Value
from lucid.codegen.mathlib.exponential import EXP
from lucid.codegen.mathlib.maths import Maths
from lucid.ir.types import float32, float64

#: (atanh(s) / s - 1) / s**2 as a polynomial in s**2, on 0 <= s <= 0.1716, to 2**-37; (e**r - 1 - r) / r**2 to 2**-34.
ATANH_SHORT = (0.3333333282195209, 0.20000167742702368, 0.14268645867233207, 0.11791224408355967)
EXP_SHORT = (0.5000000067638446, 0.16666665871474148, 0.041666295107804896, 0.008333496547692254,
             0.0013944647540693445, 0.00019790596056047527)  # fmt: skip
#: (atanh(s) / s - 1 - s**2/3) / s**4 as a polynomial in s**2, to 2**-66; and 1/3 in two parts.
ATANH_LONG = (0.1999999999999999, 0.1428571428572256, 0.11111111108767886, 0.09090909435189648, 0.07692278433813313,
              0.06668158758873967, 0.058374085023299806, 0.05994511134939531)  # fmt: skip
_THIRD_HIGH, _THIRD_LOW = 0.3333333333333333, 1.850371707708594e-17

#: A number as the sum of two, the second far below the last bit of the first.
Pair: TypeAlias = tuple[Value, Value]


def power(m: Maths, x: Value, y: Value) -> Value:
    a = m.absolute(x)
    size = _single(m, a, y) if m.t.dtype == float32 else _double(m, a, y)
    whole = m.op("eq", Un("floor", y), y)
    half = m.op("mul", y, 0.5)
    odd = Bin("and", whole, m.op("ne", Un("floor", half), half))
    result = m.with_sign_of(size, Sel(odd, x, m.lit(0.0)))
    negative = Bin("and", m.op("lt", x, 0.0), m.op("lt", m.lit(-math.inf), x))
    result = Sel(Bin("and", negative, Un("not", whole)), m.lit(math.nan), result)
    return Sel(Bin("or", m.op("eq", y, 0.0), m.op("eq", x, 1.0)), m.lit(1.0), result)


def _single(m: Maths, a: Value, y: Value) -> Value:
    d = m.in_type(float64)
    a, y = Convert(a, float64), Convert(y, float64)
    exponent, t = d.split(a)
    s = d.op("div", t, d.op("add", t, 2.0))
    z = d.op("mul", s, s)
    twice = d.op("add", s, s)
    log = d.mad(exponent, math.log(2), d.mad(d.op("mul", twice, z), d.polynomial(ATANH_SHORT, z), twice))
    product = d.op("mul", d.clamp(y, -1e40, 1e40), _at_ends(d, a, log))
    # Far outside single precision's range, and well inside double's.
    product = d.clamp(product, -150.0, 150.0)
    n, shifted = d.nearest(product, 1 / math.log(2))
    r = d.mad(n, -math.log(2), product)
    value = d.mad(d.mad(d.polynomial(EXP_SHORT, r), r, 1.0), r, 1.0)
    return Convert(d.op("mul", value, d.power_of_two(shifted)), float32)


def _at_ends(d: Maths, a: Value, log: Value) -> Value:
    """log's value at ``a >= 0``: ``log`` for positive numbers, -inf at 0; infinity and NaN as they are."""
    return Sel(d.op("eq", a, 0.0), d.lit(-math.inf), Sel(d.op("lt", a, math.inf), log, a))


def _double(m: Maths, a: Value, y: Value) -> Value:
    high, low = _long_log(m, a)
    y = m.clamp(y, -1e300, 1e300)
    product = m.op("mul", y, _at_ends(m, a, high))
    below = m.mad(y, low, Fma(y, high, m.negative(product)))
    inside = m.op("lt", m.absolute(product), 800.0)
    below = Sel(inside, below, m.lit(0.0))
    product = m.clamp(product, -800.0, 800.0)
    n, _ = m.nearest(product, 1 / math.log(2))
    exact = m.mad(n, -m.format.ln2_high, product)
    below = m.mad(n, -m.format.ln2_low, below)
    r = m.op("add", exact, below)
    lost = m.op("add", m.op("sub", exact, r), below)
    bend = m.mad(m.op("mul", m.polynomial(EXP[m.t.dtype], r), r), r, lost)
    return m.scaled(m.op("add", m.op("add", bend, r), 1.0), n)


def _long_log(m: Maths, a: Value) -> Pair:
    """log(a) for positive finite ``a``."""
    exponent, t = m.split(a)
    # s = t / (2 + t), the divisor in two parts too
    below = m.op("add", t, 2.0)
    divisor_low = m.op("sub", t, m.op("sub", below, 2.0))
    inverse = m.op("div", m.lit(1.0), below)
    s = m.op("mul", t, inverse)
    left = m.mad(m.negative(s), divisor_low, m.mad(m.negative(s), below, t))
    ratio = s, m.op("mul", left, inverse)
    square = _product(m, ratio, ratio)
    tail = m.op("mul", m.polynomial(ATANH_LONG, square[0]), square[0])
    high = m.op("add", tail, _THIRD_HIGH)
    low = m.op("add", m.op("add", m.op("sub", m.lit(_THIRD_HIGH), high), tail), _THIRD_LOW)
    bend = _product(m, ratio, _product(m, square, (high, low)))
    half = _sum(m, ratio, bend)
    log2 = m.op("mul", exponent, m.format.ln2_high), m.op("mul", exponent, m.format.ln2_low)
    twice = m.op("add", half[0], half[0]), m.op("add", half[1], half[1])
    total = _sum(m, log2, twice)
    rounded = m.op("add", *total)
    return rounded, m.op("add", m.op("sub", total[0], rounded), total[1])


def _sum(m: Maths, a: Pair, b: Pair) -> Pair:
    """For ``|a| >= |b|``, or ``a`` zero."""
    high = m.op("add", a[0], b[0])
    low = m.op("add", m.op("add", m.op("sub", a[0], high), b[0]), m.op("add", a[1], b[1]))
    return high, low


def _product(m: Maths, a: Pair, b: Pair) -> Pair:
    high = m.op("mul", a[0], b[0])
    low = m.mad(a[0], b[1], m.mad(a[1], b[0], Fma(a[0], b[0], m.negative(high))))
    return high, low
