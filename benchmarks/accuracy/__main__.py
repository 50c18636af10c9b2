"""``python -m benchmarks.accuracy``: measure, and write the tables of ``docs/accuracy.md``."""

from __future__ import annotations

import numpy as np

from benchmarks.accuracy import contractions, functions, tables
from lucid.codegen.mathlib import BOUNDS
from lucid.codegen.target import Target

POINTS, SEEDS = 1 << 20, range(1, 5)
SHAPES = 30


def function_table() -> tuple[list[str], list[list[str]]]:
    """Per function and dtype: the largest error measured, what the code promises, and the error without FMA."""
    heads, rows = ["function"], [[op] for op in functions.FUNCTIONS]
    for place, dtype in enumerate(functions.WIDER):
        heads += [f"{dtype}", "bound", "without FMA"]
        for row in rows:
            op = row[0]
            fused, plain = (
                max(functions.largest_error(op, dtype, Target.of(level), POINTS, seed) for seed in SEEDS)
                for level in ("avx2", "baseline")
            )
            row += [f"{fused:.2f}", f"{BOUNDS[op][place]}", f"{plain:.2f}"]
            print(dtype, *row)
    return heads, rows


def contraction_table() -> tuple[list[str], list[list[str]]]:
    """Per path: the largest errors as parts of the bound, over random shapes."""
    heads = ["path", "ordinary numbers", "uneven numbers", "of the largest bound"]
    rng = np.random.default_rng(0)
    rows = []
    for name, (draw_case, winograd) in contractions.PATHS.items():
        ordinary, uneven, of_largest, count = 0.0, 0.0, 0.0, 0
        while count < SHAPES:
            case = draw_case(lambda low, high: int(rng.integers(low, high, endpoint=True)))
            run, is_winograd = contractions.compiled(case, Target.host())
            if is_winograd != winograd:
                continue
            count += 1
            for kind in contractions.ORDINARY:
                ordinary = max(ordinary, contractions.parts_of_bound(case, run, kind, count)[0])
            for kind in contractions.UNEVEN:
                own, largest = contractions.parts_of_bound(case, run, kind, count)
                uneven, of_largest = max(uneven, own), max(of_largest, largest)
        rows.append([name, *(f"{v:.2g}" for v in (ordinary, uneven, of_largest))])
        print(*rows[-1], sep="  ")
    return heads, rows


def main() -> None:
    written = {"contractions": contraction_table, "functions": function_table}
    for name, table in written.items():
        rows = table()
        tables.DOCUMENT.write_text(tables.written(tables.DOCUMENT.read_text(), name, *rows))


if __name__ == "__main__":
    main()
