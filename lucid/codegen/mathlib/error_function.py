"""erf: an odd polynomial up to 1, and ``1 - exp(-p(x))`` beyond."""

from __future__ import annotations

from typing import NamedTuple

from lucid.codegen.loops import Sel, Value
from lucid.codegen.mathlib.exponential import exp
from lucid.codegen.mathlib.maths import Maths
from lucid.ir.types import float32, float64

#: erf(s) / s - 1 as a polynomial in s**2, on 0 <= s <= 1.
ERF = {
    float32: (0.12837916612625122, -0.3761262595653534, 0.1128358542919159, -0.026853812858462334,
              0.005188327748328447, -0.0008010194287635386, 7.853862189222127e-05),
    float64: (0.12837916709551256, -0.3761263890318352, 0.11283791670944185, -0.026866170643111455,
              0.00522397760611838, -0.000854832592931022, 0.00012055293576778536, -1.4924712299763121e-05,
              1.6447131544668998e-06, -1.6206313562508297e-07, 1.3710979582276724e-08, -7.779467025867251e-10),
}  # fmt: skip


class Tail(NamedTuple):
    """``-log(1 - erf(origin + u))`` as a polynomial in u, for 1 <= origin + u <= last; from there on erf is 1."""

    origin: float
    last: float
    coefficients: tuple[float, ...]


ERFC = {
    float32: Tail(0.0, 4.0, (0.00034150920691899955, 1.127089262008667, 0.6381447315216064, 0.10310682654380798,
                             -0.021838098764419556, 0.002947666682302952, -0.00018638001347426325)),
    float64: Tail(1.0, 5.9375, (
        1.8496055099332482, 2.6389675142347775, 0.8431072563593346, 0.04156109802659539, -0.0100338251942471,
        0.0019779013053474754, -0.00023731677673549242, -2.629543829484981e-05, 2.7197345352133745e-05,
        -9.66922890967423e-06, 2.129869233174509e-06, -2.033476639750749e-07, -5.876823139298718e-08,
        3.3672876936644235e-08, -8.59210044700708e-09, 1.3317506600869124e-09, -1.2062146184126533e-10,
        4.9245787321595754e-12,
    )),
}  # fmt: skip


def erf(m: Maths, x: Value) -> Value:
    tail = ERFC[m.t.dtype]
    a = m.absolute(x)
    near = m.mad(m.polynomial(ERF[m.t.dtype], m.op("mul", a, a)), a, a)
    u = m.op("min", a, tail.last)
    if tail.origin:
        u = m.op("sub", u, tail.origin)
    far = m.op("sub", m.lit(1.0), exp(m, m.negative(m.polynomial(tail.coefficients, u))))
    return m.with_sign_of(Sel(m.op("lt", a, 1.0), near, far), x)
