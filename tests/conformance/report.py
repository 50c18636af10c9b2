"""The tables of docs/conformance.md."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import torch

from tests.conformance.walk import Row

PAGE = Path(__file__).parent.parent.parent / "docs" / "conformance.md"

OP_LANES = ("float64", "float32", "float64 compiled", "float32 compiled")
MODULE_LANES = tuple(f"{dtype} {mode}" for dtype in ("float64", "float32") for mode in ("training", "evaluation"))

INTRODUCTION = """\
# Conformance with PyTorch's sample inputs

Written by `python -m tests.conformance`, PyTorch {version}. Every sample that PyTorch's own tests have for an op or a
layer that Lucid has, too, is compared in values and in gradients to every argument, eagerly and compiled, in float64
and float32 (relative errors up to 1e-7 and 2e-4), layers in training and in evaluation, with their state afterwards.
*Refused* are samples that raise one of Lucid's errors, and *apart* those that are not compared; the reasons are below.
*Error inputs* are PyTorch's own wrong uses: those that raise one of Lucid's errors, another one, or none.
"""


def total(rows: list[Row], lane: str) -> int:
    return sum(r.passed[lane] for r in rows)


def summary(ops: list[Row], layers: list[Row]) -> list[tuple[str, str]]:
    """What there is of each kind: the first table, and the last lines that the command prints."""
    rows = [*ops, *layers]
    lines = [("ops", f"{len(ops):,}")]
    lines += [(f"samples of ops passed, {lane}", f"{total(ops, lane):,}") for lane in OP_LANES]
    lines.append(("layers", f"{len(layers):,}"))
    for lane in MODULE_LANES:
        lines.append((f"samples of layers passed, {lane}", f"{total(layers, lane):,}"))
        lines.append((f"samples of layers passed, {lane}, compiled", f"{total(layers, f'{lane} compiled'):,}"))
    lines.append(("samples failed", f"{sum(len(r.failed) for r in rows):,}"))
    lines.append(("samples refused", f"{sum(r.refused.total() for r in rows):,}"))
    lines.append(("error inputs: an error of Lucid's own", f"{sum(r.typed for r in rows):,}"))
    lines.append(("error inputs: another error", f"{sum(len(r.untyped) for r in rows):,}"))
    lines.append(("error inputs: no error", f"{sum(len(r.accepted) for r in rows):,}"))
    return lines


def table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    return [*lines, *(f"| {' | '.join(row)} |" for row in rows), ""]


def reasons(rows: list[Row], title: str, kind: str) -> list[str]:
    """Samples that were not compared: of what, how many, and why."""
    found = [(f"`{r.name}`", str(n), reason) for r in rows for reason, n in sorted(getattr(r, kind).items())]
    return ["", f"## {title}", "", *table(("", "samples", "reason"), found)] if found else []


def page(ops: list[Row], layers: list[Row], meanings: dict[tuple[str, str], str], left: set[str]) -> str:
    """The whole page; ``meanings`` says why a wrong use of PyTorch's is none here, ``left`` what was not walked."""
    rows = [*ops, *layers]
    lines = [INTRODUCTION.format(version=torch.__version__.split("+")[0]), *table(("", ""), summary(ops, layers))]
    failed = [f"- `{r.name}`: {text}" for r in rows for text in r.failed]
    failed += [f"- `{r.name}`: {text}" for r in rows for text in r.untyped]
    if failed:
        lines += ["## Failed", "", *failed, ""]
    if left:
        names = ", ".join(f"`{n}`" for n in sorted(left))
        lines += ["## Not walked", "", f"The run was interrupted; these are missing from the counts: {names}.", ""]
    lines += reasons(rows, "Refused", "refused")
    lines += reasons(rows, "Apart", "apart")
    accepted = [
        (f"`{r.name}`", str(n), text, meanings.get((r.name, text), meanings.get(("", text), "")))
        for r in rows
        for text, n in Counter(r.accepted).items()
    ]
    if accepted:
        lines += ["## Error inputs that have a meaning here", ""]
        lines += table(("", "inputs", "PyTorch's message", "what Lucid does"), accepted)
    lines += ["## By op", ""]
    lines += table(
        ("op", *OP_LANES, "refused", "error inputs"),
        [
            (f"`{r.name}`", *(cell(r.passed[lane]) for lane in OP_LANES), cell(r.refused.total()), errors(r))
            for r in ops
        ],
    )
    lines += ["## By layer", "", "Eager and, after a stroke, compiled.", ""]
    lines += table(
        ("layer", *MODULE_LANES, "refused", "error inputs"),
        [
            (
                f"`{r.name}`",
                *(f"{r.passed[lane]} / {r.passed[f'{lane} compiled']}" for lane in MODULE_LANES),
                cell(r.refused.total()),
                errors(r),
            )
            for r in layers
        ],
    )
    return "\n".join(lines).rstrip() + "\n"


def cell(count: int) -> str:
    return str(count) if count else ""


def errors(row: Row) -> str:
    counts = (row.typed, len(row.untyped), len(row.accepted))
    return " / ".join(map(str, counts)) if any(counts) else ""
