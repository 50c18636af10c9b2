"""exp, expm1 and tanh.

``x = n ln 2 + r`` with ``|r| <= ln(2)/2`` (Cody and Waite, Software Manual for the Elementary Functions, 1980).
"""

from __future__ import annotations

import math

from lucid.codegen.loops import Sel, Value
from lucid.codegen.mathlib.maths import Maths
from lucid.ir.types import float32, float64

#: (e**r - 1 - r) / r**2 on |r| <= ln(2)/2.
EXP = {
    float32: (0.4999999403953552, 0.1666651964187622, 0.04166839271783829, 0.008368780836462975, 0.0013814467238262296),
    float64: (0.5, 0.16666666666666682, 0.041666666666666095, 0.00833333333331705, 0.0013888888889115542,
              0.00019841269896347415, 2.480158692666822e-05, 2.755723489882111e-06, 2.7557581911939666e-07,
              2.5112023781073642e-08, 2.0826583009573505e-09),
}  # fmt: skip


def reduced(m: Maths, x: Value) -> tuple[Value, Value, Value]:
    """The number n, r with ``x = n ln 2 + r``, and n in the low bits of a number; for any x whose exp is a number."""
    n, shifted = m.nearest(x, 1 / math.log(2))
    r = m.mad(n, -m.format.ln2_low, m.mad(n, -m.format.ln2_high, x))
    return n, r, shifted


def exp(m: Maths, x: Value) -> Value:
    # Beyond the clamps the result is 0 or infinity; NaN passes a clamp.
    n, r, _ = reduced(m, m.clamp(x, *m.format.exp_range))
    return m.scaled(m.mad(m.mad(m.polynomial(EXP[m.t.dtype], r), r, 1.0), r, 1.0), n)


def expm1(m: Maths, x: Value) -> Value:
    n, r, _ = reduced(m, m.clamp(x, m.format.expm1_least, m.format.exp_range[1]))
    part = m.mad(m.op("mul", m.polynomial(EXP[m.t.dtype], r), r), r, r)
    # 2**n may overflow where the result does not: compute half of it.
    scale = m.power_of_two(m.op("add", n, m.format.rounder - 1.0))
    half = m.mad(scale, part, m.op("sub", scale, 0.5))
    # Near 0 the result is x to all bits, with its sign, and halving would lose a denormal's last bit.
    near = m.op("lt", m.absolute(x), m.format.tiny)
    return Sel(near, x, m.op("add", half, half))


def tanh(m: Maths, x: Value) -> Value:
    # (e**2a - 1) / (e**2a + 1); it is 1 to all bits long before the clamp.
    twice = m.op("min", m.op("add", m.absolute(x), m.absolute(x)), 44.0)
    e = expm1(m, twice)
    return m.with_sign_of(m.op("div", e, m.op("add", e, 2.0)), x)
