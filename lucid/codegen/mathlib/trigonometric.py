"""sin, cos and tan of arguments that are not huge: what is left of multiples of pi/2, and two polynomials.

The multiple is subtracted in three parts with fused multiply-adds, the first of which is exact, and what the last ones
round away is kept. That holds up to ``LIMIT``; beyond, the emitter asks the library, lane by lane.
"""

from __future__ import annotations

import math

from lucid.codegen.loops import Bin, Lit, Sel, Value
from lucid.codegen.mathlib.maths import Maths
from lucid.ir.types import float32, float64

#: (sin(r) / r - 1) / r**2 as a polynomial in r**2, on |r| <= pi/4.
SIN = {
    float32: (-0.1666666716337204, 0.008333329111337662, -0.00019839333253912628, 2.718299811022007e-06),
    float64: (-0.16666666666666632, 0.008333333333322411, -0.00019841269829806146, 2.755731369142394e-06,
              -2.5050758047013528e-08, 1.5896792093133977e-10),
}  # fmt: skip
#: (cos(r) - 1 + r**2/2) / r**4 as a polynomial in r**2, on |r| <= pi/4.
COS = {
    float32: (0.04166664555668831, -0.0013887366512790322, 2.4438375476165675e-05),
    float64: (0.0416666666666666, -0.0013888888888874123, 2.4801587289481964e-05, -2.7557314352273896e-07,
              2.087572326577897e-09, -1.1359647441283794e-11),
}  # fmt: skip
#: pi/2 in three parts, each the nearest number to what the others leave.
HALF_PI = {
    float32: (1.5707963705062866, -4.371138828673793e-08, -1.7151245100058819e-15),
    float64: (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33),
}
#: The largest argument that three parts serve.
LIMIT = {float32: 2.0**16, float64: 2.0**28}


def beyond(m: Maths, x: Value) -> Value:
    """Where the argument is too large."""
    return m.op("lt", m.lit(LIMIT[m.t.dtype]), m.absolute(x))


def sin(m: Maths, x: Value) -> Value:
    quadrant, sine, cosine = _both(m, m.absolute(x))
    value = Sel(_even(m, quadrant), sine, cosine)
    return _flipped(m, value, m.int_op("xor", _sign_of_half_turn(m, quadrant), m.bits(x)))


def cos(m: Maths, x: Value) -> Value:
    quadrant, sine, cosine = _both(m, m.absolute(x))
    value = Sel(_even(m, quadrant), cosine, sine)
    return _flipped(m, value, _sign_of_half_turn(m, m.int_op("add", quadrant, 1)))


def tan(m: Maths, x: Value) -> Value:
    quadrant, sine, cosine = _both(m, m.absolute(x))
    even = _even(m, quadrant)
    value = m.op("div", Sel(even, sine, m.negative(cosine)), Sel(even, cosine, sine))
    return _flipped(m, value, m.bits(x))


def _both(m: Maths, a: Value) -> tuple[Value, Value, Value]:
    """For ``a >= 0``: an integer whose last two bits are the quadrant, and sine and cosine of what is left."""
    first, second, third = HALF_PI[m.t.dtype]
    n, shifted = m.nearest(a, 2 / math.pi)
    exact = m.mad(n, -first, a)
    product = m.op("mul", n, second)
    middle = m.op("sub", exact, product)
    # Exact: both are multiples of the product's last bit.
    low = m.op("sub", m.op("sub", exact, middle), product)
    low = m.op("sub", low, m.mad(n, third, m.mad(n, second, m.negative(product))))
    r = m.op("add", middle, low)
    low = m.op("add", m.op("sub", middle, r), low)
    z = m.op("mul", r, r)
    sine = m.op("add", m.mad(m.op("mul", r, z), m.polynomial(SIN[m.t.dtype], z), low), r)
    # 1 - z/2 is rounded once; what that lost goes with the small terms.
    top = m.mad(z, -0.5, 1.0)
    lost = m.mad(z, -0.5, m.op("sub", m.lit(1.0), top))
    rest = m.mad(m.op("mul", z, z), m.polynomial(COS[m.t.dtype], z), m.mad(m.negative(r), low, lost))
    cosine = m.op("add", top, rest)
    return m.bits(shifted), sine, cosine


def _even(m: Maths, quadrant: Value) -> Value:
    last = m.int_op("and", quadrant, 1)
    return Bin("eq", last, Lit(0, last.type))


def _sign_of_half_turn(m: Maths, quadrant: Value) -> Value:
    """The sign bit where the quadrant is the third or fourth."""
    return m.int_op("shl", quadrant, m.t.dtype.itemsize * 8 - 2)


def _flipped(m: Maths, value: Value, sign: Value) -> Value:
    """``value`` with its sign flipped where the highest bit of ``sign`` is set."""
    return m.from_bits(m.int_op("xor", m.bits(value), m.int_op("and", sign, m.format.sign)))
