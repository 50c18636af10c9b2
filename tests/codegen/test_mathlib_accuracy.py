"""The elementary functions in machine code: errors, special values, the same bits in any number of lanes."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.accuracy import functions, tables
from benchmarks.accuracy.functions import FUNCTIONS, WIDER
from lucid.codegen.mathlib import BOUNDS, UNFUSED
from lucid.codegen.target import Target
from lucid.ir.types import DType, float32, float64
from tests.codegen.nests import same

LEVELS = [level for level in ("baseline", "avx2", "avx512") if Target.host().supports(Target.of(level))]
FUSED = [level for level in LEVELS if Target.of(level).has_fma]
DTYPES = [float32, float64]
COUNT = 1 << 15


def bound(op: str, dtype: DType, target: Target) -> float:
    return BOUNDS[op][DTYPES.index(dtype)] + (0 if target.has_fma else UNFUSED)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", FUNCTIONS)
def test_error_and_special_values(op: str, dtype: DType, level: str) -> None:
    if dtype not in WIDER:
        pytest.skip("NumPy has no wider type here")
    target = Target.of(level)
    operands = functions.points(op, dtype, COUNT, seed=7)
    got = functions.computed(op, operands, target)
    errors = functions.errors(got, functions.exact(op, operands))
    worst = errors.argmax()
    assert errors[worst] <= bound(op, dtype, target), f"{op}{[x[worst] for x in operands]!r} gave {got[worst]!r}"
    assert same(functions.computed(op, operands, target, lanes=1), got)


@pytest.mark.skipif(len(FUSED) < 2, reason="needs AVX-512")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", FUNCTIONS)
def test_the_vector_width_does_not_change_the_result(op: str, dtype: DType) -> None:
    operands = functions.points(op, dtype, COUNT)
    assert same(*(functions.computed(op, operands, Target.of(level)) for level in FUSED))


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("op", ["sin", "cos", "tan"])
def test_huge_angles_beside_small_ones(op: str, dtype: DType, level: str) -> None:
    if dtype not in WIDER:
        pytest.skip("NumPy has no wider type here")
    rng = np.random.default_rng(3)
    high = np.log10(np.finfo(dtype).max)
    x = np.where(rng.random(4096) < 0.1, 10.0 ** rng.uniform(0, high, 4096), rng.uniform(-9, 9, 4096)).astype(dtype)
    halves = (np.arange(1, 2049) * (np.pi / 2)).astype(dtype)  # where the result nearly vanishes
    edge = dtype.type(2.0 ** (16 if dtype == float32 else 28))
    around = np.array([np.nextafter(edge, 0), edge, np.nextafter(edge, np.inf)], dtype)
    x = np.concatenate([x, halves, -halves * 16, around, -around])
    errors = functions.errors(functions.computed(op, [x], Target.of(level)), functions.exact(op, [x]))
    assert errors.max() <= BOUNDS[op][DTYPES.index(dtype)], f"{op}({x[errors.argmax()]!r})"


INF, NAN = np.inf, np.nan
#: (x, y, x**y) of C99, F.9.4.4.
POWERS = [
    (0.0, -3.0, INF), (-0.0, -3.0, -INF), (0.0, -2.0, INF), (-0.0, -2.0, INF), (0.0, -2.5, INF), (-0.0, -2.5, INF),
    (0.0, -INF, INF), (-0.0, -INF, INF), (0.0, 3.0, 0.0), (-0.0, 3.0, -0.0), (0.0, 2.5, 0.0), (-0.0, 2.5, 0.0),
    (-0.0, 2.0, 0.0), (-0.0, INF, 0.0), (-1.0, INF, 1.0), (-1.0, -INF, 1.0), (1.0, NAN, 1.0), (1.0, INF, 1.0),
    (1.0, 7.5, 1.0), (NAN, 0.0, 1.0), (NAN, -0.0, 1.0), (INF, 0.0, 1.0), (-2.0, -0.0, 1.0), (-2.0, 0.5, NAN),
    (-2.0, -1.5, NAN), (0.5, -INF, INF), (-0.5, -INF, INF), (2.0, -INF, 0.0), (-2.0, -INF, 0.0), (0.5, INF, 0.0),
    (-0.5, INF, 0.0), (2.0, INF, INF), (-2.0, INF, INF), (-INF, -3.0, -0.0), (-INF, -2.0, 0.0), (-INF, -2.5, 0.0),
    (-INF, 3.0, -INF), (-INF, 2.0, INF), (-INF, 2.5, INF), (INF, -1.0, 0.0), (INF, 1.0, INF), (NAN, 1.0, NAN),
    (2.0, NAN, NAN), (NAN, NAN, NAN), (-8.0, 3.0, -512.0), (-8.0, 2.0, 64.0), (-1.0, 1e30, 1.0),
    (-1.0, 2.0**24 + 2, 1.0), (2.0, 1e30, INF), (2.0, -1e30, 0.0), (-2.0, -1023.0, -(2.0**-1023)), (-3.0, 2001.0, -INF),
]  # fmt: skip


@pytest.mark.parametrize("lanes", [1, 8])
@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_special_cases_of_powers(dtype: DType, level: str, lanes: int) -> None:
    with np.errstate(over="ignore", under="ignore"):
        x, y, wanted = (np.array(column, dtype) for column in zip(*POWERS, strict=True))
    got = functions.computed("pow", [x, y], Target.of(level), lanes)
    for k, case in enumerate(POWERS):
        assert same(got[k : k + 1], wanted[k : k + 1]), f"{case} gave {got[k]!r}"


def test_the_documented_table_keeps_the_declared_bounds() -> None:
    rows = tables.read(tables.DOCUMENT.read_text(), "functions")
    assert [row[0] for row in rows] == list(FUNCTIONS) == [op for op in FUNCTIONS if op in BOUNDS]
    for op, *cells in rows:
        for place, (fused, declared, plain) in enumerate((cells[:3], cells[3:])):
            assert float(declared) == BOUNDS[op][place], op
            assert float(fused) <= BOUNDS[op][place], op
            assert float(plain) <= BOUNDS[op][place] + UNFUSED, op
