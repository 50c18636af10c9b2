"""What each operation of the loop IR means, in NumPy: the other half of ``instructions``, for the interpreter.

Functions are chosen by operand type and take scalars or arrays of it. Floats round at every operation; integers wrap;
division by zero and shifts past the width give NumPy's results, float to integer saturates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from lucid.codegen.loops import INDEX, VType
from lucid.errors import IRError
from lucid.ir.types import SHORT_NAMES, bool_, float32, float64, is_float

Array = np.ndarray[Any, Any]
Function = Callable[..., Any]


def _as_index(function: Function) -> Function:
    """An operation on scalar ``i64``, which are Python ints: computed in 64 bits."""
    return lambda *operands: int(function(*(np.int64(x) for x in operands)))


# --- one operand ------------------------------------------------------------------------------------------------------


def _sign(x: Any) -> Any:
    return np.sign(x) + x.dtype.type(0)  # both zeros give 0.0


_UNARY: dict[str, Function] = {
    "neg": np.negative, "abs": np.abs, "sign": _sign, "not": np.invert, "sqrt": np.sqrt, "exp": np.exp, "log": np.log,
    "log1p": np.log1p, "expm1": np.expm1, "sin": np.sin, "cos": np.cos, "tan": np.tan, "tanh": np.tanh,
}  # fmt: skip
_ROUNDING: dict[str, Function] = {"floor": np.floor, "ceil": np.ceil, "round": np.rint}
_erf = np.frompyfunc(math.erf, 1, 1)


def unary(op: str, t: VType) -> Function:
    if op == "isnan":
        return np.isnan if is_float(t.dtype) else (lambda x: np.zeros_like(x, np.bool_))
    if op in _ROUNDING:
        return _ROUNDING[op] if is_float(t.dtype) else lambda x: x
    if op == "erf":
        return lambda x: np.asarray(_erf(x), t.dtype)[()]
    if op == "not" and t == VType(bool_):
        return lambda x: not x
    if op not in _UNARY:
        raise IRError(f"{op} is not defined on {SHORT_NAMES[t.dtype]}")
    return _as_index(_UNARY[op]) if t == INDEX else _UNARY[op]


# --- two operands -----------------------------------------------------------------------------------------------------


def _isnan(x: Any) -> Any:
    return np.isnan(x) if is_float(x.dtype) else False


def _max(x: Any, y: Any) -> Any:
    return np.where((x < y) | _isnan(y), y, x)[()]


def _min(x: Any, y: Any) -> Any:
    return np.where((y < x) | _isnan(y), y, x)[()]


def _power(x: Any, y: Any) -> Any:
    """Integer power; a negative exponent gives the truncated reciprocal."""
    magnitude = np.power(x, np.where(y < 0, y & 1, y).astype(x.dtype))
    return np.where((y < 0) & (x != 1) & (x != -1), 0, magnitude).astype(x.dtype)[()]


def _float_power(x: Any, y: Any) -> Any:
    """NumPy computes a power of a half as a square root, which is NaN at -inf, unless the exponent is an array."""
    pair = np.power(np.stack([x, x]), np.stack([y, y]))
    return pair[0]


def _ldexp(x: Any, n: Any) -> Any:
    exponent = np.where(_isnan(n), 0, np.clip(n, -5000, 5000)).astype(np.int32)
    return np.where(_isnan(n), n, np.ldexp(x, exponent)).astype(x.dtype)[()]


_BINARY: dict[str, Function] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "floordiv": np.floor_divide, "mod": np.remainder,
    "max": _max, "min": _min, "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
_FLOAT: dict[str, Function] = {**_BINARY, "div": np.divide, "pow": _float_power, "ldexp": _ldexp}
_INT: dict[str, Function] = {
    **_BINARY, "pow": _power, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "shl": np.left_shift, "shr": np.right_shift,
}  # fmt: skip
_BOOL: dict[str, Function] = {
    "add": np.logical_or, "mul": np.logical_and, "max": np.logical_or, "min": np.logical_and, "and": np.logical_and,
    "or": np.logical_or, "xor": np.logical_xor, "lt": np.less, "le": np.less_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip


def binary(op: str, t: VType) -> Function:
    table = _FLOAT if is_float(t.dtype) else _BOOL if t.dtype == bool_ else _INT
    if op not in table:
        raise IRError(f"{op} is not defined on {SHORT_NAMES[t.dtype]}")
    if t == INDEX:
        return table[op] if op in ("lt", "le", "eq", "ne") else _as_index(table[op])
    return table[op]


def select(t: VType) -> Function:
    if t.lanes == 1:
        return lambda condition, a, b: a if condition else b
    return np.where


def fma(t: VType) -> Function:
    if not is_float(t.dtype):
        raise IRError(f"fma is not defined on {SHORT_NAMES[t.dtype]}")
    return _fma32 if t.dtype == float32 else _fma64


def _fma32(a: Any, b: Any, c: Any) -> Any:
    """Product and sum in double, where the product is exact; rounding the sum to single must then not round twice."""
    product = np.asarray(np.multiply(a, b, dtype=np.float64))
    total = np.asarray(product + c)
    bits = total.view(np.int64)
    # Rounding twice differs only if the first lands halfway between two singles: then the low bits are 0.
    if np.count_nonzero(bits & 0x0FFFFFFF) < bits.size:
        total = _rounded_to_odd(product, np.asarray(c, np.float64), total)
    return total.astype(np.float32)[()]


def _rounded_to_odd(x: Array, y: Array, total: Array) -> Array:
    """``x + y``, where inexact with a last bit of 1: rounding that again, to fewer bits, is rounding once.

    Boldo and Melquiond, "Emulation of FMA and correctly rounded sums" (IEEE Transactions on Computers 57, 2008).
    """
    back = total - x
    lost = (x - (total - back)) + (y - back)
    bits = total.view(np.int64)
    inexact = np.isfinite(total) & (lost != 0) & (bits & 1 == 0)
    toward = np.where((lost > 0) == (total > 0), 1, -1)
    odd: Array = np.where(inexact, bits + toward, bits).view(np.float64)
    return odd


def _fma64(a: Any, b: Any, c: Any) -> Any:
    return np.asarray(_fma_exactly(a, b, c), float64)[()]


def _exactly(a: float, b: float, c: float) -> float:
    plain = a * b + c
    if a == 0 or b == 0 or not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return plain
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact == 0:
        return plain  # the sign of zero is the plain sum's
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


_fma_exactly = np.frompyfunc(lambda a, b, c: _exactly(float(a), float(b), float(c)), 3, 1)


# --- types and lanes --------------------------------------------------------------------------------------------------


def convert(source: VType, target: VType) -> Function:
    s, d = source.dtype, target.dtype
    if d == bool_:
        return lambda x: x != 0
    if is_float(s) and not is_float(d):
        bounds = np.iinfo(d)
        low, high = float(bounds.min), float(bounds.max)  # high may round up to the power of two it stands for

        def saturate(x: Any) -> Any:
            x = np.asarray(x, np.float64)
            inside = (x > low) & (x < high)
            result = np.where(inside, x, 0).astype(d)
            return np.where(x >= high, d.type(bounds.max), np.where(x <= low, d.type(bounds.min), result)).astype(d)[()]

        return (lambda x: int(saturate(x))) if target == INDEX else saturate
    if target == INDEX:
        return int if s.kind != "u" else lambda x: int(np.asarray(x).astype(np.int64))
    return lambda x: np.asarray(x, s).astype(d)[()]


def reinterpret(source: VType, target: VType) -> Function:
    if source.dtype.itemsize != target.dtype.itemsize or bool_ in (source.dtype, target.dtype):
        raise IRError(f"reinterpretation of {source} as {target}")
    if target == INDEX:
        return lambda x: int(np.asarray(x).view(np.int64))
    return lambda x: np.asarray(x, source.dtype).view(target.dtype)[()]


_ACROSS = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}


def across(kind: str, t: VType) -> Function:
    """Lane k combined with lane k + n/2, until one is left."""
    combine = binary(_ACROSS[kind], VType(t.dtype, 2))

    def halve(x: Any) -> Any:
        while len(x) > 1:
            half = len(x) // 2
            x = combine(x[:half], x[half:])
        return int(x[0]) if t.dtype == INDEX.dtype else x[0]

    return halve


def shuffle(picks: Sequence[int]) -> Function:
    """The chosen lanes of two vectors, one after the other."""
    chosen = np.array(picks)
    return lambda a, b: np.concatenate((a, b))[chosen]
