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

#: (tanh(s) / s - 1) / s**2 as a polynomial in s**2, on 0 <= s <= 0.625, for single precision.
TANH = (-0.3333328068256378, 0.13331441581249237, -0.05373971164226532, 0.020639074966311455,
        -0.005704973824322224)  # fmt: skip


def reduced(m: Maths, x: Value) -> tuple[Value, Value]:
    """An integer n as a number, and r, with ``x = n ln 2 + r``, for any x whose exp is a number."""
    n, _ = m.nearest(x, 1 / math.log(2))
    r = m.mad(n, -m.format.ln2_low, m.mad(n, -m.format.ln2_high, x))
    return n, r


def exp(m: Maths, x: Value) -> Value:
    # Beyond the clamps the result is 0 or infinity; NaN passes a clamp.
    n, r = reduced(m, m.clamp(x, *m.format.exp_range))
    return m.scaled(m.mad(m.mad(m.polynomial(EXP[m.t.dtype], r), r, 1.0), r, 1.0), n)


def expm1(m: Maths, x: Value) -> Value:
    half = half_expm1(m, x)
    # Near 0 the result is x to all bits, with its sign, and halving would lose a denormal's last bit.
    near = m.op("lt", m.absolute(x), m.format.tiny)
    return Sel(near, x, m.op("add", half, half))


def half_expm1(m: Maths, x: Value) -> Value:
    """``expm1(x) / 2``, which does not overflow where 2**n would."""
    n, r = reduced(m, m.clamp(x, m.format.expm1_least, m.format.exp_range[1]))
    part = m.mad(m.op("mul", m.polynomial(EXP[m.t.dtype], r), r), r, r)
    scale = m.power_of_two(m.op("add", n, m.format.rounder - 1.0))
    return m.mad(scale, part, m.op("sub", scale, 0.5))


def tanh(m: Maths, x: Value) -> Value:
    a = m.absolute(x)
    return m.with_sign_of(_tanh_single(m, a) if m.t.dtype == float32 else _tanh_double(m, a), x)


def _tanh_single(m: Maths, a: Value) -> Value:
    square = m.op("mul", a, a)
    near = m.mad(m.op("mul", m.polynomial(TANH, square), square), a, a)
    far = m.op("sub", m.lit(1.0), m.op("div", m.lit(2.0), m.op("add", exp(m, m.op("add", a, a)), 1.0)))
    return Sel(m.op("lt", a, 0.625), near, far)


def _tanh_double(m: Maths, a: Value) -> Value:
    # h / (1 + h) with h = expm1(2a) / 2; it is 1 to all bits long before 44.
    h = half_expm1(m, m.op("min", m.op("add", a, a), 44.0))
    below = m.op("add", h, 1.0)
    if m.fused:  # one step of refinement takes in what the sum and the quotient rounded away
        inverse = m.op("div", m.lit(1.0), below)
        ratio = m.op("mul", h, inverse)
        lost = m.op("sub", m.op("min", h, 1.0), m.op("sub", below, m.op("max", h, 1.0)))
        minus = m.negative(ratio)
        ratio = m.mad(m.mad(minus, lost, m.mad(minus, below, h)), inverse, ratio)
    else:
        ratio = m.op("div", h, below)
    return Sel(m.op("lt", a, m.format.tiny), a, ratio)
