"""``python -m tests.conformance``: Lucid's functions on all of PyTorch's own sample inputs, as docs/conformance.md.

Every op of ``op_db`` that Lucid has, in float64 and float32, values and gradients, eagerly; the first samples compiled;
and what becomes of PyTorch's ``error_inputs``. Takes some minutes.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ["LUCID_ALL_SAMPLES"] = "1"

import torch

import lucid
from lucid.errors import LucidError
from tests.nn import test_torch_samples as layers
from tests.tensor import test_torch_samples as functions

REPORT = Path(__file__).parent.parent / "docs" / "conformance.md"

#: Relative error that counts as equal, of values; of gradients ten times as much.
BOUNDS = {torch.float64: 1e-7, torch.float32: 2e-4}


@dataclass
class Row:
    """What became of one op."""

    name: str
    passed: dict[str, int] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    refused: int = 0
    errors: dict[str, int] = field(default_factory=lambda: {"typed": 0, "other": 0, "none": 0})


def subjects() -> Iterator[tuple[str, Callable[..., Any], Callable[[str, Any], bool]]]:
    """PyTorch's name of an op, Lucid's function, and which samples it refuses."""
    for name in functions.NAMES:
        yield name, functions.function_of(name), lambda n, s: functions.REFUSED.get(n, lambda _: False)(s)
    for name in layers.NAMES:
        yield (
            f"nn.functional.{name}",
            layers.function_of(name),
            lambda n, s: layers.refused(n.rpartition(".")[2], s),
        )


def samples(name: str, dtype: Any) -> Iterator[tuple[Callable[..., Any], Any]]:
    for op in (op for op in functions.op_db if op.name == name):
        kind = dtype if dtype in op.supported_dtypes("cpu") else torch.int64
        if kind != dtype and dtype == torch.float32:
            continue
        grad = op.supports_autograd and kind.is_floating_point
        for sample in op.sample_inputs("cpu", kind, requires_grad=grad):
            if name.startswith("nn."):
                sample.kwargs = {k: v for k, v in sample.kwargs.items() if k not in layers.DROPPED}
            yield op.op, sample


def walk(name: str, run: Callable[..., Any], refused: Callable[[str, Any], bool], compiled: int) -> Row:
    """All samples of an op."""
    row = Row(name)
    fast = lucid.compile(run)
    for dtype, bound in BOUNDS.items():
        for k, (theirs, sample) in enumerate(samples(name, dtype)):
            if refused(name, sample):
                row.refused += dtype == torch.float64
                continue
            lanes = {str(dtype).removeprefix("torch."): run}
            if dtype == torch.float64 and k < compiled and name not in functions.DYNAMIC | functions.DYNAMIC_ARGUMENTS:
                lanes["compiled"] = fast
            for lane, function in lanes.items():
                try:
                    functions.check(name, function, theirs, sample, bound)
                    row.passed[lane] = row.passed.get(lane, 0) + 1
                except Exception as error:  # whatever it is, it is a finding
                    text = " ".join(str(error).split())[:160]
                    row.failed.append(f"{lane}, sample {k}: {type(error).__name__}: {text}")
    for op in (op for op in functions.op_db if op.name == name and op.error_inputs_func is not None):
        for wrong in op.error_inputs("cpu"):
            sample = wrong.sample_input
            deepest = max((t.ndim for t in functions.leaves([sample.input, sample.args], torch.Tensor)), default=0)
            if "out" not in sample.kwargs and deepest <= 32:  # arguments that Lucid, or NumPy, does not have
                row.errors[outcome(run, sample)] += 1
    return row


def outcome(run: Callable[..., Any], sample: Any) -> str:
    """What a wrong use comes to: a typed error, another one, or none."""
    try:
        first, args, kwargs = (functions.ours(x) for x in (sample.input, sample.args, sample.kwargs))
        run(first, *args, **kwargs)
    except LucidError:
        return "typed"
    except Exception:
        return "other"
    return "none"


def report(rows: list[Row], compiled: int) -> str:
    lanes = ("float64", "float32", "compiled")
    totals = {lane: sum(r.passed.get(lane, 0) for r in rows) for lane in lanes}
    errors = {kind: sum(r.errors[kind] for r in rows) for kind in ("typed", "other", "none")}
    failed = [(r.name, text) for r in rows for text in r.failed]
    lines = [
        "# Conformance with PyTorch's sample inputs",
        "",
        f"Written by `python -m tests.conformance`, PyTorch {torch.__version__.split('+')[0]}. Every sample is",
        "compared in values and, where PyTorch has them, gradients: eagerly in float64 and float32 (relative errors",
        f"up to 1e-7 and 2e-4), and the first {compiled} samples compiled. *Refused* are samples that Lucid turns down",
        "with an error of its own, and whose reason is written beside the tests. *Error inputs* are PyTorch's own",
        "wrong uses: those that raise one of Lucid's errors, another one, or none, because Lucid gives them a meaning.",
        "",
        "| | |",
        "|---|---|",
        f"| ops | {len(rows)} |",
        *(f"| samples passed, {lane} | {totals[lane]:,} |" for lane in lanes),
        f"| samples refused | {sum(r.refused for r in rows):,} |",
        f"| samples failed | {len(failed)} |",
        f"| error inputs: typed error / another / none | {errors['typed']} / {errors['other']} / {errors['none']} |",
        "",
    ]
    if failed:
        lines += ["## Failed", "", *(f"- `{name}`: {text}" for name, text in failed), ""]
    lines += [
        "## By op",
        "",
        "| op | float64 | float32 | compiled | refused | error inputs |",
        "|---|---|---|---|---|---|",
    ]
    for r in rows:
        cells = [str(r.passed.get(lane, 0) or "") for lane in lanes]
        wrong = " / ".join(str(n) for n in r.errors.values()) if any(r.errors.values()) else ""
        lines.append(f"| `{r.name}` | {' | '.join(cells)} | {r.refused or ''} | {wrong} |")
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="ops whose names contain this; nothing is written then")
    parser.add_argument("--compiled", type=int, default=4, help="samples of each op that are compiled too")
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    rows = []
    for name, run, refused in subjects():
        if options.only in name:
            row = walk(name, run, refused, options.compiled)
            rows.append(row)
            counts = ", ".join(f"{lane} {n}" for lane, n in row.passed.items())
            print(f"{name}: {counts}; refused {row.refused}, failed {len(row.failed)}, errors {row.errors}", flush=True)
            for text in row.failed[:3]:
                print(f"    {text}", flush=True)
    if not options.only:
        REPORT.write_text(report(rows, options.compiled))
    return 1 if any(r.failed for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
