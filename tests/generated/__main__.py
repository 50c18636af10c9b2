"""The deep lane: ``python -m tests.generated`` (``make test-deep``). Blocks of cases by number, in several processes.

Block numbers begin behind those of the quick lane; ``--first`` resumes, or looks at other ones. What fails is printed
when it is found, with the decisions that make it again; a block that ends its process is named as well.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from time import perf_counter

from tests.generated import lanes
from tests.generated.test_lanes import BLOCKS, PARTS

#: Blocks that one process runs.
SHARE = 50


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.generated", description=__doc__)
    parser.add_argument("--convolutions", type=int, default=100_000, help="how many (%(default)s)")
    parser.add_argument("--graphs", type=int, default=10_000, help="how many (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first block's number behind the quick lane's (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at a time (%(default)s)")
    parser.add_argument("--work", nargs=3, metavar=("KIND", "FROM", "TO"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return _work(given.work[0], int(given.work[1]), int(given.work[2]))
    failures = 0
    for kind in lanes.KINDS:
        first, count = PARTS * BLOCKS[kind] + given.first, -(-getattr(given, kind) // lanes.BATCH)
        failures += _deep(kind, first, first + count, given.jobs)
    return 1 if failures else 0


def _deep(kind: str, first: int, last: int, jobs: int) -> int:
    """Run blocks ``first`` to ``last``, and say so; how many failed."""
    started = perf_counter()
    shares = [(k, min(k + SHARE, last)) for k in range(first, last, SHARE)]
    failed = done = 0
    with ThreadPoolExecutor(jobs) as pool:
        for (begin, end), (bad, text) in zip(shares, pool.map(lambda s: _process(kind, *s), shares), strict=True):
            failed, done = failed + bad, done + end - begin
            if text:
                print(text, flush=True)
            if end == last or (begin - first) // SHARE % 10 == 9:
                seconds = perf_counter() - started
                print(
                    f"{kind}: {done * lanes.BATCH:,} in blocks {first} to {end - 1}, {failed} blocks failed, "
                    f"{seconds:.0f} s; --first {end - PARTS * BLOCKS[kind]} goes on",
                    flush=True,
                )
    return failed


def _process(kind: str, begin: int, end: int) -> tuple[int, str]:
    """Run some blocks in a process of their own: how many failed, and what it said. A process that dies is replaced."""
    failed, said = 0, []
    while begin < end:
        command = [sys.executable, "-m", "tests.generated", "--work", kind, str(begin), str(end)]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        lines = result.stdout.splitlines()
        ran = [int(line.removeprefix("block ")) for line in lines if line.startswith("block ") and line[6:].isdigit()]
        failed += sum(line == "failed" for line in lines)
        said += [line for line in lines if line != "failed" and not (line.startswith("block ") and line[6:].isdigit())]
        if result.returncode == 0:
            break
        died = ran[-1] if ran else begin
        failed += 1
        said.append(f"block {died} of {kind} ended its process ({result.returncode})\n{result.stderr[-2000:]}")
        begin = died + 1
    return failed, "\n".join(said)


def _work(kind: str, begin: int, end: int) -> int:
    for number in range(begin, end):
        print(f"block {number}", flush=True)
        try:
            lanes.block(kind, number)
        except AssertionError as error:
            print(f"{error}\nfailed", flush=True)
    return 0


if __name__ == "__main__":
    os.environ["LUCID_CACHE_DIR"] = "off"
    sys.exit(main())
