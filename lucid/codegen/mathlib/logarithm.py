"""log and log1p: an exponent, and the logarithm of a significand in sqrt(1/2) .. sqrt(2)."""

from __future__ import annotations

import math

from lucid.codegen.loops import Sel, Value
from lucid.codegen.mathlib.maths import Maths
from lucid.ir.types import float32

#: (log(1 + t) - t) / t**2 on sqrt(1/2) - 1 <= t <= sqrt(2) - 1, for single precision.
LOG = (-0.49999988079071045, 0.33333325386047363, -0.25001582503318787, 0.20001976191997528, -0.16609075665473938,
       0.14181773364543915, -0.13242985308170319, 0.12904728949069977, -0.07622131705284119)  # fmt: skip
#: (atanh(s) / s - 1) / s**2 as a polynomial in s**2, on 0 <= s <= 0.1716: log(1 + t) = 2 atanh(t / (2 + t)).
ATANH = (0.3333333333333367, 0.19999999999707185, 0.14285714371230832, 0.11111099282494331, 0.09091782390793997,
         0.07657019088741862, 0.07398040224599232)  # fmt: skip


def log(m: Maths, x: Value) -> Value:
    return _special(m, x, _finite(m, x, None))


def log1p(m: Maths, x: Value) -> Value:
    # log(u) with u = 1 + x rounded, corrected by what the rounding lost.
    u = m.op("add", x, 1.0)
    below = m.op("sub", x, m.op("sub", u, 1.0))
    above = m.op("sub", m.lit(1.0), m.op("sub", u, x))
    lost = Sel(m.op("lt", x, 1.0), below, above)
    result = _special(m, u, _finite(m, u, lost))
    return Sel(m.op("lt", m.absolute(x), m.format.tiny), x, result)


def _finite(m: Maths, x: Value, low: Value | None) -> Value:
    """log(x + low) for positive finite ``x``, with ``low`` far below the last bit of ``x``."""
    exponent, t = m.split(x)
    small = m.op("mul", exponent, m.format.ln2_low)
    if low is not None:
        small = m.op("add", small, m.op("div", low, x))
    return m.mad(exponent, m.format.ln2_high, m.op("add", _rest(m, t, small), t))


def _rest(m: Maths, t: Value, small: Value) -> Value:
    """``log(1 + t) - t + small``."""
    if m.t.dtype == float32:
        return m.mad(m.op("mul", m.polynomial(LOG, t), t), t, small)
    # fdlibm's way (Sun Microsystems, 1993): 2s = t - s*t, so that the leading terms need no rounding.
    s = m.op("div", t, m.op("add", t, 2.0))
    z = m.op("mul", s, s)
    series = m.op("mul", m.op("add", z, z), m.polynomial(ATANH, z))
    half_square = m.op("mul", m.op("mul", t, 0.5), t)
    return m.op("sub", m.mad(s, m.op("add", half_square, series), small), half_square)


def _special(m: Maths, x: Value, finite: Value) -> Value:
    """log's value at ``x``: ``finite`` inside the domain; -inf at 0, NaN below, inf and NaN as they are."""
    inside = m.op("lt", x, math.inf)
    result = Sel(inside, finite, x)
    result = Sel(m.op("lt", x, 0.0), m.lit(math.nan), result)
    return Sel(m.op("eq", x, 0.0), m.lit(-math.inf), result)
