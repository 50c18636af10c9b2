"""The error function and its complement on arrays, which NumPy lacks. Knows nothing of ops.

W. J. Cody, "Rational Chebyshev approximations for the error function", Math. Comp. 23 (1969): one rational function
around 0, one for the complement beyond, and one for the complement far out. ``erf`` uses the second up to
``|x| = 6``, past which it is 1 to the last bit of a double.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lucid.ir.graph import Array

# Highest power first. Around 0, |x| <= 0.46875: erf(x) = x * P(x*x) / Q(x*x).
CENTRE_P = (1.85777706184603153e-1, 3.16112374387056560, 1.13864154151050156e2, 3.77485237685302021e2,
            3.20937758913846947e3)  # fmt: skip
CENTRE_Q = (1.0, 2.36012909523441209e1, 2.44024637934444173e2, 1.28261652607737228e3, 2.84423683343917062e3)
# Beyond: erf(x) = 1 - exp(-x*x) * P(x) / Q(x).
TAIL_P = (2.15311535474403846e-8, 5.64188496988670089e-1, 8.88314979438837594, 6.61191906371416295e1,
          2.98635138197400131e2, 8.81952221241769090e2, 1.71204761263407058e3, 2.05107837782607147e3,
          1.23033935479799725e3)  # fmt: skip
TAIL_Q = (1.0, 1.57449261107098347e1, 1.17693950891312499e2, 5.37181101862009858e2, 1.62138957456669019e3,
          3.29079923573345963e3, 4.36261909014324716e3, 3.43936767414372164e3, 1.23033935480374942e3)  # fmt: skip
# Far out, x > 4, with z = 1 / (x*x): erfc(x) = exp(-x*x) / x * (1 / sqrt(pi) - z * P(z) / Q(z)).
FAR_P = (1.63153871373020978e-2, 3.05326634961232344e-1, 3.60344899949804439e-1, 1.25781726111229246e-1,
         1.60837851487422766e-2, 6.58749161529837803e-4)  # fmt: skip
FAR_Q = (1.0, 2.56852019228982242, 1.87295284992346047, 5.27905102951428412e-1, 6.05183413124413191e-2,
         2.33520497626869185e-3)  # fmt: skip

#: Elements handled at a time: their intermediate values stay in the cache.
_BLOCK = 4096


def polynomial(x: Array, coefficients: tuple[float, ...]) -> Array:
    """Horner's rule, highest power first."""
    value = np.full_like(x, coefficients[0])
    for c in coefficients[1:]:
        value *= x
        value += c
    return value


def erf_array(x: Array) -> Array:
    """erf of each element, computed in float64 (relative error below 1e-15) and rounded to ``x``'s dtype."""
    return _in_blocks(_erf, x)


def erfc_array(x: Array) -> Array:
    """``1 - erf(x)``, computed as ``erf_array``; exact where that difference would be 0."""
    return _in_blocks(_erfc, x)


def _in_blocks(function: Callable[[Array], Array], x: Array) -> Array:
    flat = np.ascontiguousarray(x).reshape(-1)
    result = np.empty_like(flat)
    for first in range(0, flat.size, _BLOCK):
        result[first : first + _BLOCK] = function(flat[first : first + _BLOCK].astype(np.float64))
    shaped: Array = result.reshape(x.shape)
    return shaped


def _erf(x: Array) -> Array:
    size = np.minimum(np.abs(x), 6.0)
    square = size * size
    tail = 1.0 - np.exp(-square) * polynomial(size, TAIL_P) / polynomial(size, TAIL_Q)
    centre = size * polynomial(square, CENTRE_P) / polynomial(square, CENTRE_Q)
    value: Array = np.copysign(np.where(size <= 0.46875, centre, tail), x)
    return value


def _erfc(x: Array) -> Array:
    size = np.abs(x)
    # exp(-x*x) of a rounded square would be wrong by x*x roundings: the square is taken in two exact parts.
    coarse = np.trunc(size * 16) / 16
    decay = np.exp(-coarse * coarse) * np.exp(-(size - coarse) * (size + coarse))
    out = np.maximum(size, 4.0)
    z = 1 / (out * out)
    far = (1 / np.sqrt(np.pi) - z * polynomial(z, FAR_P) / polynomial(z, FAR_Q)) / out
    near = np.minimum(size, 4.0)
    tail = np.where(size > 4, far, polynomial(near, TAIL_P) / polynomial(near, TAIL_Q)) * decay
    tail = np.where(size > 27, 0.0, tail)  # infinity too, whose parts are NaN
    value: Array = np.where(size <= 0.46875, 1 - _erf(x), np.where(x < 0, 2 - tail, tail))
    return value
