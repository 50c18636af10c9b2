"""Measure Lucid beside whatever of torch, onnxruntime, openvino and jax is installed, in one run.

Tables are printed as they come; the results are merged into benchmarks/results.json, and benchmarks/RESULTS.md is written
from that.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.contest import Contest
from benchmarks.libraries import LIBRARIES, OURS
from benchmarks.report import render, summary
from benchmarks.results import Record, Row, machine
from benchmarks.starts import starts
from benchmarks.workloads import STARTS, Workload, selected

_HERE = Path(__file__).parent


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few workloads of each kind, half a second each")
    parser.add_argument(
        "--only", metavar="PATTERN", default="", help="workloads whose name contains one of these words, or full names"
    )
    parser.add_argument("--threads", default="1,2", help="numbers of threads, each measured by itself (default: 1,2)")
    parser.add_argument("--libraries", default="", help="of " + ", ".join(LIBRARIES) + " (default: what is installed)")
    parser.add_argument("--seconds", type=float, help="of calls a contender and workload (default: 1)")
    parser.add_argument("--check", action="store_true", help="compare outputs, and measure nothing")
    parser.add_argument("--starts", choices=("no", "also", "only"), default="also", help="fresh processes: compile times and memory")
    parser.add_argument("--results", type=Path, default=_HERE / "results.json", help="the record to merge into")
    parser.add_argument("--report", type=Path, default=_HERE / "RESULTS.md", help="the report to write")
    return parser.parse_args()


def main() -> int:
    options = _options()
    words = [word for word in options.only.split(",") if word]
    try:
        workloads = selected(words, options.quick) if options.starts != "only" else []
        threads = [int(count) for count in options.threads.split(",")]
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    libraries = _libraries(options.libraries)
    seconds = 0.0 if options.check else options.seconds or (0.5 if options.quick else 1.0)
    record = Record.load(options.results, machine())
    print("; ".join(record.machine.values()), flush=True)
    bad = 0
    for count in threads:
        contest = Contest(libraries, count, _progress)
        try:
            for workload in workloads:
                row = contest.measure(workload, seconds)
                bad += _show(row, workload)
                if seconds:
                    record.add(row)
                    record.save(options.results)
        finally:
            contest.close()
    if options.starts != "no" and not options.check:
        chosen = [w for w in STARTS if not words or any(word in w for word in words)]
        for name in chosen[:2] if options.quick else chosen:
            for start in starts(Workload(name), [n for n in libraries if n not in ("machine", "numpy", "torch-tuned")], threads[-1], _progress):
                print(f"{start.workload} {start.name}: cold {start.cold:.2f} s, warm {start.warm:.2f} s, {start.memory / 1e6:.0f} MB {start.failure}")
                record.add_start(start)
                record.save(options.results)
    if not options.check:
        options.report.write_text(render(record), encoding="utf-8")
    return 1 if bad else 0


def _libraries(text: str) -> list[str]:
    asked = [name for name in text.split(",") if name]
    for name in asked:
        if name not in LIBRARIES:
            raise SystemExit(f"there is no library {name!r}; there are {', '.join(LIBRARIES)}")
    wanted = [*(name for name in OURS if name not in asked), *asked] if asked else list(LIBRARIES)
    missing = [name for name in wanted if not LIBRARIES[name].installed]
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
        time = f"{result.median * 1e6:12.1f} us +-{result.spread:4.0%}" if result.turns else f"first {result.first:6.2f} s"
        lines.append(f"  {result.name:28} {time} {ratio:>6} {rate:14} {apart}")
    return lines


if __name__ == "__main__":
    sys.exit(main())
