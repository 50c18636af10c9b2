"""The functions as arithmetic on loop values: the same bits as interpreted, what becomes of them in machine code, and
where the coefficients come from. Their errors are in ``test_mathlib_accuracy.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.accuracy import functions
from benchmarks.accuracy.functions import FUNCTIONS
from lucid.codegen import mathlib
from lucid.codegen.asm import asm_stats, function, inner_loops
from lucid.codegen.emit import emit_kernel
from lucid.codegen.interpret import interpret
from lucid.codegen.loops import INDEX as INDEX_TYPE
from lucid.codegen.loops import Bin, Buffer, For, If, Kernel, Lit, Read, Un, Value, Var, VType, Write, integer
from lucid.codegen.mathlib import error_function, exponential, logarithm
from lucid.codegen.module import emit_module
from lucid.codegen.target import Target
from lucid.ir.types import DType, float32, float64, int32
from lucid.runtime.jit import assembly
from tests.codegen.nests import compile_kernel, run_compiled, same

DTYPES = [float32, float64]
EXPANDED = [op for op in FUNCTIONS if op != "sigmoid"]
TRIGONOMETRIC = ["sin", "cos", "tan"]
needs_fma = pytest.mark.skipif(
    not Target.host().has_fma, reason="without a fused multiply-add the emitter rounds twice"
)


def arithmetic(op: str, dtype: DType, lanes: int, count: int) -> Kernel:
    """A loop over what ``op`` expands to."""
    kernel = functions.kernel_of(op, dtype, lanes, count)
    (loop,) = kernel.body
    assert isinstance(loop, For)
    (write,) = loop.body
    assert isinstance(write, Write)
    assert isinstance(write.value, Un | Bin)
    value = mathlib.expand(write.value, fma=True)
    assert value is not None
    body = (Write(write.buffer, write.offset, value),)
    return Kernel("f", kernel.buffers, (For(loop.var, loop.lo, loop.hi, loop.step, body),))


def assembly_of(op: str, dtype: DType, lanes: int, target: Target) -> str:
    kernel = functions.kernel_of(op, dtype, lanes, 1024)
    return function(assembly(emit_module([emit_kernel(kernel, target, symbol="f")], target), target), "f")


@needs_fma
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", EXPANDED)
def test_the_expansion_interpreted_gives_the_same_bits(op: str, dtype: DType) -> None:
    count = 256
    operands = [x[:count] for x in functions.points(op, dtype, 4096)]
    if op in TRIGONOMETRIC:  # beyond, the library is asked
        operands = [np.where(np.abs(x) > 60000, dtype.type(1), x) for x in operands]
    interpreted = np.empty_like(operands[0])
    interpret(arithmetic(op, dtype, 8, count), [*operands, interpreted])
    assert same(interpreted, functions.computed(op, operands, Target.host()))


@pytest.mark.parametrize("op", ["sin", "cos", "tan", "pow"])
def test_what_needs_an_exact_remainder_is_the_librarys_without_fma(op: str) -> None:
    assert asm_stats(assembly_of(op, float32, 4, Target.of("baseline"))).calls == 4


def test_only_floats_have_expansions() -> None:
    whole = Read(Buffer("x", int32, 1, "in"), integer(0))
    assert mathlib.expand(Bin("pow", whole, whole), fma=True) is None
    assert mathlib.expand(Bin("add", whole, whole), fma=True) is None


# --- machine code -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("level", ["avx2", "avx512"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", [op for op in FUNCTIONS if op not in TRIGONOMETRIC])
def test_loops_call_nothing_and_keep_their_values_in_registers(op: str, dtype: DType, level: str) -> None:
    target = Target.of(level)
    (loop,) = inner_loops(assembly_of(op, dtype, target.lanes(dtype), target))
    stats = asm_stats(loop)
    assert stats.calls == 0
    assert stats.vector_spills <= (op == "pow")  # of single precision: two vectors of doubles in AVX2's 16 registers
    assert stats.fma >= 5


@pytest.mark.parametrize("level", ["avx2", "avx512"])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", TRIGONOMETRIC)
def test_the_library_is_asked_behind_one_branch(op: str, dtype: DType, level: str) -> None:
    target = Target.of(level)
    lanes = target.lanes(dtype)
    text = assembly_of(op, dtype, lanes, target)
    assert asm_stats(text).calls == lanes
    usual, beyond = inner_loops(text)  # LLVM moves what is rare out of the loop and jumps back
    assert (asm_stats(usual).calls, asm_stats(usual).vector_spills) == (0, 0)
    assert asm_stats(usual).fma >= 9
    assert asm_stats(beyond).calls == lanes


@pytest.mark.parametrize("lanes", [1, 8])
def test_rare_branches_inside_conditions_and_loops(lanes: int) -> None:
    """One sine used twice, once more under a condition, and one that does not change in the loop."""
    count = 64
    x, y, i = Buffer("x", float32, count, "in"), Buffer("y", float32, 2 * count, "inout"), Var("i", INDEX_TYPE)
    sine: Value = Un("sin", Read(x, i, lanes))
    fixed = Un("cos", Read(x, integer(0), lanes))
    later = Bin("lt", i, integer(32))
    inner = If(later, (Write(y, Bin("add", i, integer(count)), Bin("add", Un("sin", sine), sine)),))
    whole = Write(y, i, Bin("add", Bin("mul", sine, sine), Bin("mul", fixed, Lit(2.0, VType(float32, lanes)))))
    kernel = Kernel("f", (x, y), (For(i, integer(0), integer(count), lanes, (inner, whole)),))
    values = np.linspace(-9, 9, count).astype(np.float32)
    values[[3, 40, 41]] = 1e10, -3e20, np.inf
    values[0] = 1e6
    result = np.zeros(2 * count, np.float32)
    run_compiled(compile_kernel(kernel, Target.host()), [values, result])
    with np.errstate(invalid="ignore"):
        wide = np.sin(values.astype(np.float64))
    first = np.cos(values[np.arange(count) % lanes].astype(np.float64))
    np.testing.assert_allclose(result[:count], wide**2 + 2 * first, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(result[count : count + 32], (np.sin(wide) + wide)[:32], rtol=1e-5, atol=1e-6)
    assert not result[count + 32 :].any()


# --- provenance of the coefficients -----------------------------------------------------------------------------------


#: Those of single precision; a fit in double cannot tell the last bits of the others: measured errors vouch for them.
TABLES = {
    "EXP": exponential.EXP[float32],
    "LOG": logarithm.LOG,
    "TANH": exponential.TANH,
    "ERF": error_function.ERF[float32],
    "ERFC": error_function.ERFC[float32].coefficients,
}


def _erf(x: np.ndarray) -> np.ndarray:
    return np.array([math.erf(v) for v in x])


def fit(f: Callable[[np.ndarray], np.ndarray], lo: float, hi: float, degree: int, weight: Callable) -> np.ndarray:
    """Minimax coefficients by Lawson's iteration: least squares, weights multiplied by the residual."""
    x = (np.cos(np.linspace(0, np.pi, 600)) * (hi - lo) + hi + lo) / 2
    powers, wanted, importance = np.vander(x, degree + 1, increasing=True), f(x), weight(x)
    share = np.full(len(x), 1 / len(x))
    for _ in range(200):
        scale = np.sqrt(share) * importance
        coefficients = np.linalg.lstsq(powers * scale[:, None], wanted * scale, rcond=None)[0]
        share = share * (np.abs(powers @ coefficients - wanted) * importance + 1e-300)
        share /= share.sum()
    return coefficients


def _near(x: np.ndarray, small: float, series: np.ndarray, function: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    """A series where the function itself would cancel."""
    return np.where(np.abs(x) < small, series, function(np.where(np.abs(x) < small, 1.0, x)))


def _q_exp(r: np.ndarray) -> np.ndarray:
    series = 1 / 2 + r / 6 + r**2 / 24 + r**3 / 120 + r**4 / 720
    return _near(r, 1e-2, series, lambda r: (np.expm1(r) - r) / r**2)


def _q_log(t: np.ndarray) -> np.ndarray:
    series = sum((-1) ** (k + 1) * t ** (k - 2) / k for k in range(2, 10))
    return _near(t, 1e-2, series, lambda t: (np.log1p(t) - t) / t**2)


def _q_tanh(u: np.ndarray) -> np.ndarray:
    series = -1 / 3 + 2 * u / 15 - 17 * u**2 / 315 + 62 * u**3 / 2835
    return _near(u, 1e-3, series, lambda u: (np.tanh(np.sqrt(u)) / np.sqrt(u) - 1) / u)


def _q_erf(u: np.ndarray) -> np.ndarray:
    return _near(u, 1e-9, 2 / math.sqrt(math.pi) * (1 - u / 3) - 1, lambda u: _erf(np.sqrt(u)) / np.sqrt(u) - 1)


def _erfc(s: np.ndarray) -> np.ndarray:
    return np.array([math.erfc(v) for v in s])


FITS = {
    "EXP": (_q_exp, -math.log(2) / 2, math.log(2) / 2, lambda r: r**2 / np.exp(r)),
    "LOG": (_q_log, math.sqrt(0.5) - 1, math.sqrt(2) - 1, lambda t: t**2 / np.abs(t * (1 + t * _q_log(t)) + 1e-300)),
    "TANH": (_q_tanh, 0, 0.625**2, lambda u: u / (1 + u * _q_tanh(u))),
    "ERF": (_q_erf, 0, 1, lambda u: 1 / (1 + _q_erf(u))),
    "ERFC": (lambda s: -np.log(_erfc(s)), 1, 4, lambda s: _erfc(s) / (1 - _erfc(s))),
}


@pytest.mark.parametrize("name", sorted(FITS))
def test_the_coefficients_are_the_best_of_their_degree(name: str) -> None:
    function, lo, hi, weight = FITS[name]
    table = np.array(TABLES[name])
    assert (table.astype(np.float32) == table).all()
    best = fit(function, lo, hi, len(table) - 1, weight)
    x = np.linspace(lo, hi, 5001)

    def worst(coefficients: np.ndarray) -> float:
        return float((np.abs(np.polynomial.Polynomial(coefficients)(x) - function(x)) * weight(x)).max())

    # rounding the coefficients to single may cost a tenth of a unit in the last place
    assert worst(table) <= worst(best) + 0.1 * 2**-24
    assert worst(best) < 0.1 * 2**-24
