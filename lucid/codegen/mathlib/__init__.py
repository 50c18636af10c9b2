"""exp, log, tanh, erf, sin, pow, ... as arithmetic on loop values. Knows nothing of LLVM or memory.

Each function reduces its argument to a short interval, evaluates a polynomial, and puts the result back together, in
any number of lanes, with NaN, infinities, zeros and denormals as IEEE 754 and C99 have them. They are compositions of
exactly defined operations, so every machine with a fused multiply-add computes the same bits.

The polynomials are minimax in relative error: least squares on Chebyshev nodes whose weights are multiplied by the
residual until it levels out (Lawson's iteration), then rounded; the tests fit those of single precision again.
``docs/accuracy.md`` has the measured errors.
"""

from __future__ import annotations

from collections.abc import Callable

from lucid.codegen.loops import Bin, Un, Value
from lucid.codegen.mathlib import error_function, exponential, logarithm, power, trigonometric
from lucid.codegen.mathlib.maths import Maths
from lucid.ir.types import is_float

_UNARY: dict[str, Callable[[Maths, Value], Value]] = {
    "exp": exponential.exp, "expm1": exponential.expm1, "tanh": exponential.tanh, "log": logarithm.log,
    "log1p": logarithm.log1p, "erf": error_function.erf,
}  # fmt: skip
#: These need an exact remainder: without a fused multiply-add they stay library calls.
_FUSED: dict[str, Callable[[Maths, Value], Value]] = {
    "sin": trigonometric.sin, "cos": trigonometric.cos, "tan": trigonometric.tan,
}  # fmt: skip

#: Largest error in units in the last place, in single and in double precision; sigmoid is what its op makes of exp.
#: ``UNFUSED`` more where multiply-adds round twice. The tests hold the code to it.
BOUNDS = {
    "exp": (0.95, 0.95), "expm1": (1.6, 1.9), "log": (0.9, 0.9), "log1p": (0.9, 0.9), "tanh": (1.4, 1.95),
    "sigmoid": (2.6, 2.6), "erf": (1.15, 1.15), "sin": (0.9, 0.9), "cos": (0.9, 0.9), "tan": (2.5, 2.5),
    "pow": (0.52, 1.05),
}  # fmt: skip
UNFUSED = 0.6


def expand(v: Un | Bin, *, fma: bool, scales: bool = False) -> Value | None:
    """``v`` as arithmetic, or None if it has no expansion: then it is an instruction or a library call.

    Args:
        fma: whether multiply-adds may be fused; without, they round twice and lose a little accuracy.
        scales: whether ``ldexp`` of vectors is an instruction. The result is the same bits without.
    """
    if v.op not in BOUNDS or not is_float(v.type.dtype):
        return None
    m = Maths(v.type, fma, scales and v.type.lanes > 1)
    if isinstance(v, Bin):
        return power.power(m, v.a, v.b) if v.op == "pow" and fma else None
    function = _UNARY.get(v.op) or (_FUSED.get(v.op) if fma else None)
    return None if function is None else function(m, v.x)


def beyond(v: Un | Bin) -> Value | None:
    """Where the expansion of ``v`` does not hold and the library must be asked; None if it always holds."""
    if isinstance(v, Un) and v.op in _FUSED:
        return trigonometric.beyond(Maths(v.type, True), v.x)
    return None
