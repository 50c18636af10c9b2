"""Errors of the elementary functions in units in the last place, against NumPy in a wider type."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence

import numpy as np

from lucid.codegen.emit import emit_kernel
from lucid.codegen.loops import INDEX, Bin, Buffer, For, Kernel, Lit, Read, Un, Value, Var, Write, integer
from lucid.codegen.module import emit_module
from lucid.codegen.target import Target
from lucid.ir.types import DType, float32, float64
from lucid.runtime.jit import compile_module

#: A type with more bits, where there is one.
WIDER: dict[DType, type[np.floating]] = {float32: np.float64}
if np.finfo(np.longdouble).nmant > np.finfo(np.float64).nmant + 8:
    WIDER[float64] = np.longdouble

#: Where most of a function happens, in single and in double precision.
_RANGES = {
    "exp": ((-104, 89), (-746, 710)),
    "expm1": ((-20, 89), (-40, 710)),
    "log": ((0, 4), (0, 4)),
    "log1p": ((-1, 40), (-1, 40)),
    "tanh": ((-10, 10), (-20, 20)),
    "sigmoid": ((-87, 20), (-708, 40)),
    "erf": ((-4.5, 4.5), (-6, 6)),
    "sin": ((-100, 100), (-100, 100)),
    "cos": ((-100, 100), (-100, 100)),
    "tan": ((-100, 100), (-100, 100)),
}
FUNCTIONS = (*_RANGES, "pow")


def special_values(dtype: DType) -> np.ndarray:
    """Both zeros, infinities, NaN, denormals, the ends of the range, small and large whole numbers and halves."""
    info = np.finfo(dtype)
    tiny, small = info.smallest_subnormal, info.tiny
    above = [
        0.0,
        tiny,
        7 * tiny,
        small * 0.7,
        small,
        1e-20,
        0.1,
        0.5,
        1 - info.epsneg,
        1,
        1 + info.eps,
        1.5,
        2,
        3,
        4,
        100,
    ]
    large = [101, 2.0 ** (info.nmant + 1) - 1, 2.0**info.nmant - 0.5, 2.0 ** (info.nmant + 2), 1e30, info.max, np.inf]
    return np.array([*above, *large, *(-v for v in [*above, *large]), np.nan], dtype)


def points(op: str, dtype: DType, count: int, seed: int = 1) -> list[np.ndarray]:
    """Operands of ``op``: special values, bits at random, and numbers where the function is interesting."""
    rng = np.random.default_rng(seed)
    if op == "pow":
        x, y = (v.ravel() for v in np.meshgrid(special_values(dtype), special_values(dtype)))
        more = count - len(x)
        near = np.exp(rng.standard_normal(more) * 10.0 ** rng.uniform(-6, 0.8, more))
        # exponents such that the result is a number, of any size
        reach = rng.uniform(-1, 1, more) * np.log(np.finfo(dtype).max)
        exponents = np.where(rng.random(more) < 0.1, np.rint(rng.uniform(-9, 9, more)), reach / np.log(near))
        sign = np.where(rng.random(more) < 0.1, -1, 1)
        return [np.concatenate([x, (sign * near).astype(dtype)]), np.concatenate([y, exponents.astype(dtype)])]
    low, high = _RANGES[op][dtype == float64]
    bits = rng.integers(0, 2 ** (8 * dtype.itemsize), count // 4, f"u{dtype.itemsize}").view(dtype)
    dense = rng.uniform(low, high, count // 2).astype(dtype)
    spread = (rng.choice([-1, 1], count // 4) * 10.0 ** rng.uniform(-8, 1.9, count // 4)).astype(dtype)
    x = np.concatenate([special_values(dtype), bits, dense, spread])[:count]
    return [x[x > low] if op == "sigmoid" else x]  # beyond, exp(-x) overflows: eager and compiled give 0


def _erf(x: np.ndarray) -> np.ndarray:
    """A series of positive terms: ``2/sqrt(pi) exp(-x*x) sum 2**n x**(2n+1) / (2n+1)!!``."""
    a = np.minimum(np.abs(x), x.dtype.type(7))
    term, total = a.copy(), a.copy()
    for n in range(1, 220):
        term *= 2 * a * a / (2 * n + 1)
        total += term
    root = np.sqrt(np.arctan(x.dtype.type(1)) * 4)
    return np.copysign(np.minimum(2 / root * np.exp(-a * a) * total, 1), x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


_OWN: dict[str, Callable[..., np.ndarray]] = {"erf": _erf, "sigmoid": _sigmoid, "pow": np.power}


def exact(op: str, operands: Sequence[np.ndarray]) -> np.ndarray:
    """The function in the wider type of ``WIDER``."""
    wide = WIDER[operands[0].dtype]
    with np.errstate(all="ignore"):
        result: np.ndarray = _OWN.get(op, getattr(np, op, None))(*(x.astype(wide) for x in operands))
    return result


def errors(got: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Units in the last place of the rounded ``wanted``; infinite where NaN, an infinity or a sign is wrong."""
    with np.errstate(all="ignore"):
        rounded = wanted.astype(got.dtype)
        finite = np.isfinite(rounded) & np.isfinite(got)
        away = np.abs(got - wanted) / np.spacing(np.abs(rounded)).astype(wanted.dtype)
    same = (np.isnan(got) & np.isnan(rounded)) | (got == rounded)
    away = np.where(finite, away, np.where(same, 0, np.inf)).astype(np.float64)
    wrong_sign = (np.signbit(got) != np.signbit(rounded)) & ~np.isnan(rounded)
    away[wrong_sign] = np.inf
    return away


def value_of(op: str, *operands: Value) -> Value:
    """The function in the loop IR."""
    if op == "sigmoid":
        one = Lit(1.0, operands[0].type)
        return Bin("div", one, Bin("add", one, Un("exp", Un("neg", operands[0]))))
    return Bin(op, *operands) if op == "pow" else Un(op, *operands)


def kernel_of(op: str, dtype: DType, lanes: int, count: int) -> Kernel:
    """A loop that applies ``op`` to arrays of ``count`` elements, ``lanes`` at a time."""
    buffers = [Buffer(f"x{k}", dtype, count, "in") for k in range(2 if op == "pow" else 1)]
    out, i = Buffer("y", dtype, count, "out"), Var("i", INDEX)
    value = value_of(op, *(Read(b, i, lanes) for b in buffers))
    return Kernel("f", (*buffers, out), (For(i, integer(0), integer(count), lanes, (Write(out, i, value),)),))


def computed(op: str, operands: Sequence[np.ndarray], target: Target, lanes: int | None = None) -> np.ndarray:
    """What machine code for ``target`` makes of the operands, in full vectors unless ``lanes`` says otherwise."""
    dtype, count = operands[0].dtype, len(operands[0])
    lanes = target.lanes(dtype) if lanes is None else lanes
    padded = [np.concatenate([x, np.ones(-count % lanes, dtype)]) for x in operands]
    out = np.empty_like(padded[0])
    kernel = kernel_of(op, dtype, lanes, len(out))
    module = compile_module(emit_module([emit_kernel(kernel, target, symbol="kernel")], target), target)
    arrays = [*padded, out]
    function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arrays))(module.address("kernel"))
    function(*(a.ctypes.data for a in arrays))
    return out[:count]


def largest_error(op: str, dtype: DType, target: Target, count: int, seed: int = 1) -> float:
    """Over ``count`` points."""
    operands = points(op, dtype, count, seed)
    return float(errors(computed(op, operands, target), exact(op, operands)).max())
