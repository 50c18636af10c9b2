"""Measure Lucid beside whatever of torch, onnxruntime, openvino and jax is installed, in one run.

Rows are printed as they come; the results are merged into benchmarks/results.json, and benchmarks/RESULTS.md is
written from that.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from benchmarks.contest import Contest
from benchmarks.libraries import LIBRARIES, OURS
from benchmarks.report import render
from benchmarks.results import Record, Row, Start, machine
from benchmarks.starts import starts
from benchmarks.workloads import STARTS, Workload, selected

_HERE = Path(__file__).parent


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a few workloads of each kind, half a second each")
    add("--only", metavar="WORDS", default="", help="workloads whose names contain one of these, or full names")
    add("--threads", default="1,2", help="numbers of threads, each measured by itself (default: 1,2)")
    add("--libraries", default="", help=f"of {', '.join(LIBRARIES)} (default: what is installed)")
    add("--seconds", type=float, help="of calls, for each contender and workload (default: 1)")
    add("--check", action="store_true", help="only compare results")
    add("--starts", choices=("no", "also", "only"), default="also", help="times to first results, and memory")
    add("--results", type=Path, default=_HERE / "results.json", help="the record to merge into")
    add("--report", type=Path, default=_HERE / "RESULTS.md", help="the report to write")
    return parser.parse_args()


def main() -> int:
    options = _options()
    words = _listed(options.only)
    try:
        workloads = [] if options.starts == "only" else selected(words, options.quick)
        threads = [int(count) for count in _listed(options.threads)]
        libraries = _libraries(_listed(options.libraries))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    seconds = 0.0 if options.check else options.seconds or (0.5 if options.quick else 1.0)
    record = Record.load(options.results, machine())
    print("; ".join(dict.fromkeys(record.machine.values())), flush=True)
    bad = 0
    for count in threads:
        with closing(Contest(libraries, count, _progress)) as contest:
            for workload in workloads:
                row = contest.measure(workload, seconds)
                bad += _show(row, workload)
                if seconds:
                    record.add(row)
                    record.save(options.results)
    if options.check:
        return 1 if bad else 0
    if options.starts != "no":
        chosen = [name for name in STARTS if not words or any(word in name for word in words)]
        for name in chosen[:2] if options.quick else chosen:
            for start in starts(Workload(name), libraries, threads[-1], _progress):
                _show_start(start)
                record.add_start(start)
                record.save(options.results)
    options.report.write_text(render(record), encoding="utf-8")
    return 1 if bad else 0


def _listed(text: str) -> list[str]:
    return [word for word in text.split(",") if word]


def _libraries(asked: Sequence[str]) -> list[str]:
    for name in asked:
        if name not in LIBRARIES:
            raise ValueError(f"there is no library {name!r}; there are {', '.join(LIBRARIES)}")
    wanted = {*OURS, *asked} if asked else set(LIBRARIES)
    missing = [name for name in LIBRARIES if name in wanted and not LIBRARIES[name].installed]
    if missing:
        print(f"not installed, and not measured: {', '.join(missing)}")
    return [name for name in LIBRARIES if name in wanted and name not in missing]


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _show(row: Row, workload: Workload) -> int:
    """Print a row; the number of Lucid's own failures."""
    _progress("")
    print(f"\n{row.workload}, {row.threads} thread{'s' * (row.threads > 1)}")
    print("\n".join(_lines(row, workload)), flush=True)
    return sum(result.library in OURS and bool(result.failure) for result in row.results)


def _show_start(start: Start) -> None:
    _progress("")
    times = f"cold {start.cold:6.2f} s, warm {start.warm:6.2f} s, {start.memory / 1e6:6.0f} MB"
    print(f"{start.workload:24} {start.name:28} {start.failure or times}", flush=True)


def _lines(row: Row, workload: Workload) -> list[str]:
    lines = []
    ours = row.ours() or row.ours("eager")
    for result in sorted(row.results, key=lambda r: (bool(r.failure), r.median)):
        if result.failure:
            lines.append(f"  {result.name:28} {result.failure}")
            continue
        work = result.amount or workload.flops
        rate = f"{work / result.median / 1e9:8.1f} G/s" if work and result.median else ""
        ratio = f"{result.median / ours.median:6.2f}" if ours and ours.median else ""
        apart = "" if result.difference is None else f"differs {result.difference:.0e}"
        time = (
            f"{result.median * 1e6:12.1f} us +-{result.spread:4.0%}" if result.turns else f"first {result.first:6.2f} s"
        )
        lines.append(f"  {result.name:28} {time} {ratio:>6} {rate:14} {apart}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
