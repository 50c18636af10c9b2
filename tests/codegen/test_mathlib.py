"""Accuracy of the polynomial functions, measured in units in the last place against NumPy in double."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from lucid.codegen import mathlib
from lucid.codegen.interpret import interpret
from lucid.codegen.loops import INDEX as INDEX_TYPE
from lucid.codegen.loops import Buffer, For, Kernel, Read, Un, Var, Write, integer
from lucid.codegen.target import Target
from lucid.ir.types import float32, float64
from tests.codegen.nests import compile_kernel, run_compiled, same

LEVELS = [level for level in ("baseline", "avx2", "avx512") if Target.host().supports(Target.of(level))]
COUNT = 1 << 15
_erf = np.frompyfunc(math.erf, 1, 1)
EXACT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "exp": np.exp,
    "log": np.log,
    "tanh": np.tanh,
    "erf": lambda x: _erf(x).astype(np.float64),
    "expm1": np.expm1,
    "log1p": np.log1p,
}
#: Largest error allowed, in units in the last place of the result; and where most of the function happens.
BOUNDS = {"exp": 1.5, "log": 1.5, "tanh": 2.0, "erf": 2.0, "expm1": 2.0, "log1p": 1.5}
RANGES = {
    "exp": (-104, 89),
    "log": (0, 4),
    "tanh": (-10, 10),
    "erf": (-4.5, 4.5),
    "expm1": (-20, 89),
    "log1p": (-1, 40),
}
SPECIAL = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 1e-40, -1e-40, 1e-20, 88.72283, 88.72285, -87.34, -103.9,
           -104.1, 3.4e38, -3.4e38, 1.1754944e-38]  # fmt: skip


def kernel_of(op: str, lanes: int, *, expanded: bool = False, dtype: np.dtype = float32, count: int = COUNT) -> Kernel:
    x, y, i = Buffer("x", dtype, count, "in"), Buffer("y", dtype, count, "out"), Var("i", INDEX_TYPE)
    value = Un(op, Read(x, i, lanes))
    whole = mathlib.expand(value, fma=True) if expanded else value
    assert whole is not None
    return Kernel("f", (x, y), (For(i, integer(0), integer(count), lanes, (Write(y, i, whole),)),))


def points(op: str) -> np.ndarray:
    """Arguments of every magnitude and sign, dense where the function is interesting."""
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2**32, COUNT // 4, np.uint32).view(np.float32)
    dense = rng.uniform(*RANGES[op], COUNT // 2).astype(np.float32)
    spread = (rng.choice([-1, 1], COUNT // 4) * 10.0 ** rng.uniform(-8, 1.9, COUNT // 4)).astype(np.float32)
    x = np.concatenate([bits, dense, spread])
    x[: len(SPECIAL)] = SPECIAL
    return x


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("op", sorted(EXACT))
def test_accuracy_and_special_values(op: str, level: str) -> None:
    target = Target.of(level)
    x = points(op)
    y = np.empty_like(x)
    run_compiled(compile_kernel(kernel_of(op, target.lanes(float32)), target), [x, y])
    with np.errstate(all="ignore"):
        exact = EXACT[op](x.astype(np.float64))
        rounded = exact.astype(np.float32)
    np.testing.assert_array_equal(np.isnan(y), np.isnan(rounded))
    np.testing.assert_array_equal(np.isinf(y), np.isinf(rounded))
    np.testing.assert_array_equal(np.signbit(y[~np.isnan(y)]), np.signbit(rounded[~np.isnan(y)]))
    finite = np.isfinite(rounded)
    error = np.abs(y[finite] - exact[finite]) / np.spacing(np.abs(rounded[finite])).astype(np.float64)
    assert error.max() <= BOUNDS[op], f"at {x[finite][error.argmax()]!r}"


@pytest.mark.parametrize("op", sorted(EXACT))
def test_lanes_do_not_change_the_result(op: str) -> None:
    x = points(op)
    results = []
    for lanes in (1, 16):
        y = np.empty_like(x)
        run_compiled(compile_kernel(kernel_of(op, lanes), Target.host()), [x, y])
        results.append(y)
    assert same(*results)


@pytest.mark.skipif(not Target.host().has_fma, reason="without a fused multiply-add the emitter rounds twice")
@pytest.mark.parametrize("op", sorted(EXACT))
def test_the_expansion_interpreted_gives_the_same_bits(op: str) -> None:
    count = 2048
    x = points(op)[-count:]
    x[: len(SPECIAL)] = SPECIAL
    interpreted, compiled = np.empty_like(x), np.empty_like(x)
    interpret(kernel_of(op, 16, expanded=True, count=count), [x, interpreted])
    run_compiled(compile_kernel(kernel_of(op, 16, count=count), Target.host()), [x, compiled])
    assert same(interpreted, compiled)


@pytest.mark.parametrize("op", ["exp", "log", "log1p", "expm1", "sin", "cos", "tan", "tanh", "erf"])
def test_double_precision_comes_from_the_library(op: str) -> None:
    assert mathlib.expand(Un(op, Read(Buffer("x", float64, 1, "in"), integer(0))), fma=True) is None
    x = np.concatenate([np.linspace(-3, 3, 62), [np.nan, np.inf]])
    x = np.abs(x) if op.startswith("log") else x
    y = np.empty_like(x)
    run_compiled(compile_kernel(kernel_of(op, 4, dtype=float64, count=len(x)), Target.host()), [x, y])
    with np.errstate(all="ignore"):
        exact = EXACT[op](x) if op in EXACT else getattr(np, op)(x)
    np.testing.assert_allclose(y, exact, rtol=1e-15, atol=1e-16)


@pytest.mark.parametrize("op", ["sin", "cos", "tan"])
def test_single_precision_trigonometry_comes_from_the_library(op: str) -> None:
    x = np.concatenate([np.linspace(-100, 100, 60), [1e30, np.nan, -0.0, 0.0]]).astype(np.float32)
    y = np.empty_like(x)
    run_compiled(compile_kernel(kernel_of(op, 16, count=64), Target.host()), [x, y])
    np.testing.assert_allclose(y, getattr(np, op)(x.astype(np.float64)), rtol=2e-7)
    assert np.signbit(y[-2]) == (op != "cos")


# --- provenance of the coefficients -----------------------------------------------------------------------------------


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
    return _near(u, 1e-9, 2 / math.sqrt(math.pi) * (1 - u / 3) - 1, lambda u: EXACT["erf"](np.sqrt(u)) / np.sqrt(u) - 1)


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
    table = np.array(getattr(mathlib, name))
    assert (table.astype(np.float32) == table).all()
    best = fit(function, lo, hi, len(table) - 1, weight)
    x = np.linspace(lo, hi, 5001)

    def worst(coefficients: np.ndarray) -> float:
        return float((np.abs(np.polynomial.Polynomial(coefficients)(x) - function(x)) * weight(x)).max())

    # rounding the coefficients to single may cost a tenth of a unit in the last place
    assert worst(table) <= worst(best) + 0.1 * 2**-24
    assert worst(best) < 0.1 * 2**-24
