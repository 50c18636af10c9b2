"""``python -m tests.conformance``: Lucid's functions and layers on all of PyTorch's samples, as docs/conformance.md.

Values and gradients, eager and compiled, float64 and float32, and what becomes of PyTorch's wrong uses. Every op and
layer in every dtype is a task of its own, in several processes.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.conformance import modules, ops
from tests.conformance.report import PAGE, page, summary
from tests.conformance.walk import BOUNDS, Row, on_one_thread, walk

#: Those with the most samples, or the longest to compile, are begun first.
LONGEST = (
    "CTCLoss",
    "max_pool",
    "max_unpool",
    "gaussian_nll",
    "conv",
    "Transformer",
    "LSTM",
    "GRU",
    "RNN",
    "linalg",
    "cdist",
)


Subject = tuple[str, str, str]


def results(subjects: list[Subject], processes: int) -> Iterator[tuple[Subject, Row]]:
    """What became of each, as it gets done."""
    if processes == 1:
        yield from ((s, walk(*s)) for s in subjects)
        return
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn"), on_one_thread) as pool:
        tasks = {pool.submit(walk, *s): s for s in subjects}
        for done in as_completed(tasks):
            yield tasks[done], done.result()


def restored(path: Path) -> dict[Subject, Row]:
    """The rows that an earlier run wrote down."""
    lines = path.read_text().splitlines() if path.exists() else []
    found = [json.loads(line) for line in lines]
    counts = ("passed", "refused", "apart")
    return {
        (kind, name, dtype): Row(**{k: Counter(v) if k in counts else v for k, v in row.items()})
        for kind, name, dtype, row in found
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="names that contain this; the page is not written then")
    parser.add_argument("--resume", type=Path, help="a file of what is done: an interrupted run goes on from it")
    parser.add_argument("--written", action="store_true", help="walk nothing; write the page from --resume alone")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 1, help="how many work at once")
    options = parser.parse_args()
    names = [("op", n) for n in ops.NAMES] + [("layer", n) for n in modules.NAMES]
    rows = {(kind, name): Row(name) for kind, name in names if options.only in name}
    done = {} if options.resume is None else restored(options.resume)
    for (kind, name, _), row in done.items():
        if (kind, name) in rows:
            rows[kind, name] += row
    subjects = [(*key, dtype) for key in rows for dtype in BOUNDS if (*key, dtype) not in done]
    left = {f"{name}, {dtype}" for _, name, dtype in subjects} if options.written else set()
    subjects = [] if options.written else subjects
    subjects.sort(key=lambda s: not any(part in s[1] for part in LONGEST))
    begun = time.monotonic()
    for (kind, name, dtype), row in results(subjects, min(options.processes, max(len(subjects), 1))):
        rows[kind, name] += row
        if options.resume is not None:
            with options.resume.open("a") as file:
                file.write(json.dumps([kind, name, dtype, vars(row)]) + "\n")
        counts = ", ".join(f"{lane} {n}" for lane, n in row.passed.items())
        refused = row.refused.total()
        print(f"{kind} {name}, {dtype}: {counts}; failed {len(row.failed)}, refused {refused}", end="")
        print(f", error inputs {row.typed} / {len(row.untyped)} / {len(row.accepted)}", flush=True)
        for text in [*row.failed[:5], *row.untyped]:
            print(f"    {text}", flush=True)
    found = [[row for (kind, _), row in rows.items() if kind == wanted] for wanted in ("op", "layer")]
    for what, count in summary(*found):
        print(f"{what}: {count}")
    print(f"took {(time.monotonic() - begun) / 60:.0f} minutes in {options.processes} processes")
    if not options.only:
        PAGE.write_text(page(*found, ops.MEANINGS, left))
    return 1 if any(r.failed or r.untyped for r in rows.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
