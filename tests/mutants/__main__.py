"""``python -m tests.mutants``: seed every bug of the catalogue, run the tests that should notice, report.

The report is docs/mutants.md, into which runs are merged. The library and its tests are copied into a temporary folder
for each worker, and only the copies are changed. First the tests must pass on the copy as it is. Exits with 1 if a bug
survives, or does not fit the source any more.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from queue import SimpleQueue
from threading import Lock

from tests.mutants.catalogue import AREAS, MUTANTS
from tests.mutants.mutant import ROOT, Mutant, StaleMutantError

REPORT = ROOT / "docs" / "mutants.md"
COPIED = ("lucid", "tests", "examples", "benchmarks", "docs", "README.md", "Makefile", "pyproject.toml")

#: Seconds of processor time after which a test run counts as hanging.
PATIENCE = 300

NOT_RUN = "not run yet"


@dataclass(frozen=True)
class Outcome:
    """What became of a mutant: ``killed`` by a test or a crash, ``survived``, or ``broken``, which says nothing."""

    result: str
    #: The test that failed first, or what else happened.
    witness: str


def copy_of_the_project(folder: Path) -> Path:
    """A copy that can be changed; bytecode is checked by content, for a mutant may be as long and as old as what it
    replaces.
    """
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)
    compiled = ["-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "lucid"]
    subprocess.run([sys.executable, *compiled], cwd=folder, check=True)
    return folder


def run_tests(folder: Path, tests: Sequence[str]) -> Outcome:
    """Run tests of a copy until one fails."""
    plugins = ["-p", "tests.mutants.no_shrinking", "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", "-x", "-q", *plugins, "--tb=no", "-rf"]
    environment = {**os.environ, "PYTHONPATH": str(folder), "LUCID_CACHE_DIR": "off"}
    done = subprocess.run(
        [*command, *(f"tests/{name}" for name in tests)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (PATIENCE, PATIENCE)),
        check=False,
    )
    if done.returncode == 0 and " passed" in done.stdout:
        return Outcome("survived", "")
    if done.returncode < 0:
        return Outcome("killed", f"signal {-done.returncode}")
    found = re.search(r"^FAILED tests/(\S+?)(?:\[.*)?(?: - .*)?$", done.stdout, re.MULTILINE)
    if done.returncode == 1 and found is not None:
        return Outcome("killed", found[1])
    return Outcome("broken", " ".join(done.stdout.split()[-40:]))


def outcome_of(mutant: Mutant, folder: Path) -> Outcome:
    """Seed one bug into a copy, run its tests, and put the copy right again."""
    path = folder / mutant.path
    try:
        changed = mutant.source(folder)
    except StaleMutantError as error:
        return Outcome("broken", str(error))
    before = path.read_bytes()
    path.write_text(changed, encoding="utf-8")
    try:
        return run_tests(folder, mutant.tests)
    finally:
        path.write_bytes(before)


def cell(found: Outcome) -> str:
    """An outcome as the report shows it."""
    return f"`{found.witness}`" if found.result == "killed" else f"**{found.result}** {found.witness}".strip()


def recorded() -> dict[str, str]:
    """What the report holds now, by the names of the bugs."""
    text = REPORT.read_text(encoding="utf-8") if REPORT.exists() else ""
    rows = re.findall(r"^\| (.+?) \| `(.+?)` \| (.+) \|$", text, re.MULTILINE)
    known = {(m.name, m.file) for m in MUTANTS}
    return {name: found for name, file, found in rows if (name, file) in known and found != NOT_RUN}


def report(cells: dict[str, str]) -> str:
    """docs/mutants.md."""
    noticed = sum(found.startswith("`") for found in cells.values())
    lines = [
        "# Seeded bugs",
        "",
        "Written by `python -m tests.mutants`. Each line is a bug seeded into a copy of the library, by itself: the",
        "file it is in, and the first test that fails. A test that passes with a bug in place would be worth nothing.",
        "`tests/test_mutants.py` sees to it that every bug still fits the source.",
        "",
        f"{len(MUTANTS)} bugs, {noticed} noticed.",
    ]
    for area, mutants in AREAS.items():
        lines += ["", f"## {area}", "", "| bug | in | noticed by |", "|---|---|---|"]
        lines += [f"| {m.name} | `{m.file}` | {cells.get(m.name, NOT_RUN)} |" for m in mutants]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="mutants whose name or file holds this")
    parser.add_argument(
        "--missing", action="store_true", help="mutants that the report lacks, or says were not noticed"
    )
    parser.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="copies that run at once")
    parser.add_argument("--no-baseline", action="store_true", help="do not run the tests on the unchanged copy first")
    options = parser.parse_args()
    if find_spec("torch") is None:
        parser.error("some of the tests compare with PyTorch, which is not installed: pip install torch")
    cells = recorded()
    chosen = [m for m in MUTANTS if options.only in m.name or options.only in m.file]
    if options.missing:
        chosen = [m for m in chosen if not cells.get(m.name, "").startswith("`")]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        lock = Lock()
        copies: SimpleQueue[Path] = SimpleQueue()
        for k in range(options.workers):
            copies.put(copy_of_the_project(Path(folder) / str(k)))

        @contextmanager
        def copy() -> Iterator[Path]:
            taken = copies.get()
            try:
                yield taken
            finally:
                copies.put(taken)

        def passes(name: str) -> bool:
            with copy() as place:
                found = run_tests(place, [name])
            right = found.result == "survived"
            if not right:
                print(f"without any bug, {name} fails: {found.witness}", flush=True)
            return right

        def attempt(mutant: Mutant) -> Outcome:
            with copy() as place:
                found = outcome_of(mutant, place)
            print(f"{found.result:8} {mutant.name} ({mutant.file}) {found.witness}", flush=True)
            with lock:
                cells[mutant.name] = cell(found)
                REPORT.write_text(report(cells), encoding="utf-8")
            return found

        with ThreadPoolExecutor(options.workers) as pool:
            if not options.no_baseline:
                files = sorted({name for m in chosen for name in m.tests})
                right = list(pool.map(passes, files))
                if not all(right):
                    return 1
            counts = Counter(found.result for found in pool.map(attempt, chosen))
    print(", ".join(f"{n} {result}" for result, n in sorted(counts.items())))
    return 0 if set(counts) <= {"killed"} else 1


if __name__ == "__main__":
    sys.exit(main())
