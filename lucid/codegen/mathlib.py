"""exp, log, tanh, erf, expm1 and log1p of ``f32`` as arithmetic on loop values. Knows nothing of LLVM or memory.

Each function reduces its argument to a short interval, evaluates a polynomial, and puts the result back together, in
any number of lanes, with NaN, infinities, zeros and denormals as IEEE 754 has them. They are compositions of
exactly defined operations, so every machine with a fused multiply-add computes the same bits.

The polynomials are minimax in relative error: least squares on Chebyshev nodes whose weights are multiplied by the
residual until it levels out (Lawson's iteration), then rounded to single; the tests fit them again. Argument reduction
is Cody and Waite's (Software Manual for the Elementary Functions, 1980), with ln 2 in two parts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lucid.codegen.loops import Bin, Convert, Fma, Lit, Reinterpret, Sel, Un, Value, VType
from lucid.ir.types import Scalar, float32, int32

#: (e**r - 1 - r) / r**2 on |r| <= ln(2)/2.
EXP = (0.4999999403953552, 0.1666651964187622, 0.04166839271783829, 0.008368780836462975, 0.0013814467238262296)
#: (log(1 + t) - t) / t**2 on sqrt(1/2) - 1 <= t <= sqrt(2) - 1.
LOG = (-0.49999988079071045, 0.33333325386047363, -0.25001582503318787, 0.20001976191997528, -0.16609075665473938,
       0.14181773364543915, -0.13242985308170319, 0.12904728949069977, -0.07622131705284119)  # fmt: skip
#: (tanh(s) / s - 1) / s**2 as a polynomial in s**2, on 0 <= s <= 0.625.
TANH = (-0.3333328068256378, 0.13331441581249237, -0.05373971164226532, 0.020639074966311455, -0.005704973824322224)
#: erf(s) / s - 1 as a polynomial in s**2, on 0 <= s <= 1.
ERF = (0.12837916612625122, -0.3761262595653534, 0.1128358542919159, -0.026853812858462334, 0.005188327748328447,
       -0.0008010194287635386, 7.853862189222127e-05)  # fmt: skip
#: -log(1 - erf(s)) on 1 <= s <= 4.
ERFC = (0.00034150920691899955, 1.127089262008667, 0.6381447315216064, 0.10310682654380798, -0.021838098764419556,
        0.002947666682302952, -0.00018638001347426325)  # fmt: skip

#: ln 2 in two parts: the first has nine bits, so that a small integer times it is exact.
_LN2_HIGH = 0.693359375
_LN2_LOW = math.log(2) - _LN2_HIGH
#: Adding it to a number below 2**22 rounds that to an integer, and leaves the integer in the low bits.
_ROUNDER = 1.5 * 2**23
_ROUNDER_BITS = 0x4B400000
_SQRT_HALF_BITS = 0x3F3504F3
_SMALLEST_NORMAL = 2.0**-126


def expand(v: Un, *, fma: bool) -> Value | None:
    """``v`` as arithmetic, or None if it has no expansion: then it is an instruction or a library call.

    Args:
        fma: whether multiply-adds may be fused; without, they round twice and lose a little accuracy.
    """
    if v.x.type.dtype != float32 or v.op not in _FUNCTIONS:
        return None
    return _FUNCTIONS[v.op](_Maths(v.x.type, fma), v.x)


@dataclass(frozen=True)
class _Maths:
    """Arithmetic in one type of value."""

    t: VType
    fused: bool

    def lit(self, value: Scalar) -> Value:
        return Lit(value, self.t)

    def op(self, name: str, a: Value, b: Value | float) -> Value:
        return Bin(name, a, b if isinstance(b, Value) else self.lit(float(b)))

    def mad(self, a: Value, b: Value | float, c: Value | float) -> Value:
        """``a*b + c``."""
        b = b if isinstance(b, Value) else self.lit(float(b))
        c = c if isinstance(c, Value) else self.lit(float(c))
        return Fma(a, b, c) if self.fused else Bin("add", Bin("mul", a, b), c)

    def polynomial(self, coefficients: Sequence[float], x: Value) -> Value:
        """Horner's rule, constant term first."""
        result = self.lit(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            result = self.mad(result, x, c)
        return result

    # --- bits ---

    def bits(self, x: Value) -> Value:
        return Reinterpret(x, int32)

    def int_op(self, name: str, a: Value, b: Value | int) -> Value:
        return Bin(name, a, b if isinstance(b, Value) else Lit(b, a.type))

    def power_of_two(self, n: Value) -> Value:
        """2**n for integers -126 <= n <= 127."""
        return Reinterpret(self.int_op("shl", self.int_op("add", n, 127), 23), float32)

    def with_sign_of(self, magnitude: Value, x: Value) -> Value:
        """``magnitude``, which is not negative, with the sign bit of ``x``."""
        sign = self.int_op("and", self.bits(x), -(2**31))
        return Reinterpret(self.int_op("or", self.bits(magnitude), sign), float32)


def _reduce(m: _Maths, x: Value) -> tuple[Value, Value]:
    """Integer n and r with ``x = n ln 2 + r`` and ``|r| <= ln(2)/2``, for ``|x|`` up to 2**14."""
    shifted = m.mad(x, 1 / math.log(2), _ROUNDER)
    n = m.op("sub", shifted, _ROUNDER)
    r = m.mad(n, -_LN2_LOW, m.mad(n, -_LN2_HIGH, x))
    return m.int_op("sub", m.bits(shifted), _ROUNDER_BITS), r


def _exp(m: _Maths, x: Value) -> Value:
    # Beyond the clamps the result is 0 or infinity; NaN passes a clamp.
    n, r = _reduce(m, m.op("max", m.op("min", x, 89.0), -104.0))
    result = m.mad(m.mad(m.polynomial(EXP, r), r, 1.0), r, 1.0)
    # 2**n may be out of range where the result is not: two factors, of which only the last can round.
    half = m.int_op("shr", n, 1)
    return m.op("mul", m.op("mul", result, m.power_of_two(half)), m.power_of_two(m.int_op("sub", n, half)))


def _expm1(m: _Maths, x: Value) -> Value:
    n, r = _reduce(m, m.op("max", m.op("min", x, 89.0), -18.0))
    part = m.mad(m.op("mul", m.polynomial(EXP, r), r), r, r)
    # 2**n may overflow where the result does not: compute half of it.
    scale = m.power_of_two(m.int_op("sub", n, 1))
    half = m.mad(scale, part, m.op("sub", scale, 0.5))
    # Near 0 the result is x to all bits, with its sign, and halving would lose a denormal's last bit.
    near = m.op("lt", Un("abs", x), 2.0**-25)
    return Sel(near, x, m.op("add", half, half))


def _log(m: _Maths, x: Value) -> Value:
    return _log_special(m, x, _log_finite(m, x, None))


def _log_finite(m: _Maths, x: Value, low: Value | None) -> Value:
    """log(x + low) for positive finite ``x``, with ``low`` far below the last bit of ``x``."""
    denormal = m.op("lt", x, _SMALLEST_NORMAL)
    normal = Sel(denormal, m.op("mul", x, 2.0**24), x)
    # Take the exponent such that the mantissa lies in sqrt(1/2) .. sqrt(2).
    shifted = m.int_op("sub", m.bits(normal), _SQRT_HALF_BITS)
    exponent = m.op("add", Convert(m.int_op("shr", shifted, 23), float32), Sel(denormal, m.lit(-24.0), m.lit(0.0)))
    mantissa = m.int_op("add", m.int_op("and", shifted, 0x7FFFFF), _SQRT_HALF_BITS)
    t = m.op("sub", Reinterpret(mantissa, float32), 1.0)
    small = m.op("mul", exponent, _LN2_LOW)
    if low is not None:
        small = m.op("add", small, m.op("div", low, x))
    rest = m.mad(m.op("mul", m.polynomial(LOG, t), t), t, small)
    return m.mad(exponent, _LN2_HIGH, m.op("add", rest, t))


def _log_special(m: _Maths, x: Value, finite: Value) -> Value:
    """log's value at ``x``: ``finite`` inside the domain; -inf at 0, NaN below, inf and NaN as they are."""
    inside = m.op("lt", x, math.inf)
    result = Sel(inside, finite, x)
    result = Sel(m.op("lt", x, 0.0), m.lit(math.nan), result)
    return Sel(m.op("eq", x, 0.0), m.lit(-math.inf), result)


def _log1p(m: _Maths, x: Value) -> Value:
    # log(u) with u = 1 + x rounded, corrected by what the rounding lost.
    u = m.op("add", x, 1.0)
    below = m.op("sub", x, m.op("sub", u, 1.0))
    above = m.op("sub", m.lit(1.0), m.op("sub", u, x))
    lost = Sel(m.op("lt", x, 1.0), below, above)
    result = _log_special(m, u, _log_finite(m, u, lost))
    return Sel(m.op("lt", Un("abs", x), 2.0**-25), x, result)


def _tanh(m: _Maths, x: Value) -> Value:
    a = Un("abs", x)
    square = m.op("mul", a, a)
    near = m.mad(m.op("mul", m.polynomial(TANH, square), square), a, a)
    far = m.op("sub", m.lit(1.0), m.op("div", m.lit(2.0), m.op("add", _exp(m, m.op("add", a, a)), 1.0)))
    return m.with_sign_of(Sel(m.op("lt", a, 0.625), near, far), x)


def _erf(m: _Maths, x: Value) -> Value:
    a = Un("abs", x)
    near = m.mad(m.polynomial(ERF, m.op("mul", a, a)), a, a)
    far = m.op("sub", m.lit(1.0), _exp(m, Un("neg", m.polynomial(ERFC, m.op("min", a, 4.0)))))
    return m.with_sign_of(Sel(m.op("lt", a, 1.0), near, far), x)


_FUNCTIONS: dict[str, Callable[[_Maths, Value], Value]] = {
    "exp": _exp, "log": _log, "tanh": _tanh, "erf": _erf, "expm1": _expm1, "log1p": _log1p,
}  # fmt: skip
