"""``python -m benchmarks.accuracy``: measure, and write the tables of ``docs/accuracy.md``."""

from __future__ import annotations

from benchmarks.accuracy import functions, tables
from lucid.codegen.mathlib import BOUNDS
from lucid.codegen.target import Target

POINTS, SEEDS = 1 << 20, range(1, 5)


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


def main() -> None:
    text = tables.DOCUMENT.read_text()
    tables.DOCUMENT.write_text(tables.written(text, "functions", *function_table()))


if __name__ == "__main__":
    main()
