"""The record of what was measured: a JSON file that runs are merged into, one row a workload and number of threads."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.libraries import LIBRARIES, OURS


@dataclass(frozen=True)
class Result:
    """One contender on one workload: times, or why there are none."""

    library: str
    variant: str
    median: float = 0.0
    best: float = 0.0
    spread: float = 0.0
    turns: int = 0
    #: Seconds to the first result, compilation included, with whatever caches were there.
    first: float = 0.0
    #: From the reference; None where there is nothing to compare with.
    difference: float | None = None
    #: Operations or bytes of one call, for a ceiling.
    amount: float = 0.0
    failure: str = ""

    @property
    def name(self) -> str:
        return f"{self.library} {self.variant}".strip()


@dataclass
class Row:
    """A workload on a number of threads: contenders that took turns, and the run they did it in."""

    workload: str
    threads: int
    when: str
    load: float
    reference: str
    results: list[Result] = field(default_factory=list)

    def find(self, library: str, variant: str) -> Result | None:
        for result in self.results:
            if (result.library, result.variant) == (library, variant) and not result.failure:
                return result
        return None

    def ours(self, variant: str = "compiled") -> Result | None:
        """Lucid's result, the faster one if it was given its arrays in two orders."""
        found = [r for v in (variant, f"{variant}, channels last") if (r := self.find("lucid", v)) is not None]
        return min(found, key=lambda r: r.median, default=None)

    def ceiling(self) -> Result | None:
        return next((r for r in self.results if r.library == "machine" and not r.failure), None)

    def peers(self, tuned: bool = False) -> list[Result]:
        """Measured competitors, the fastest first; those with a tuned allocator only if asked for."""
        others = [r for r in self.results if r.library not in OURS and not r.failure and r.turns]
        return sorted((r for r in others if tuned or r.library != "torch-tuned"), key=lambda r: r.median)


@dataclass(frozen=True)
class Start:
    """A contender in fresh processes: first with empty caches, then with those the first left."""

    workload: str
    threads: int
    library: str
    variant: str
    imported: float = 0.0
    cold: float = 0.0
    warm: float = 0.0
    #: A later call.
    call: float = 0.0
    #: Bytes, over the import and a few calls.
    memory: int = 0
    failure: str = ""

    @property
    def name(self) -> str:
        return f"{self.library} {self.variant}".strip()


def machine() -> dict[str, str]:
    """What must be equal for rows to stand in one table."""
    model = platform.machine()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    except OSError:
        pass  # not Linux: the architecture is all that is known
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = {name: library.versions for name, library in LIBRARIES.items() if library.installed and name not in OURS}
    return {"cpu": model, "cores": str(cores), "python": platform.python_version(), **versions}


@dataclass
class Record:
    """Everything known about one machine."""

    machine: dict[str, str]
    rows: dict[tuple[str, int], Row] = field(default_factory=dict)
    starts: dict[tuple[str, int, str], Start] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path, machine: dict[str, str]) -> Record:
        """What ``path`` holds, if it was measured on ``machine``; an empty record otherwise."""
        if not path.exists():
            return cls(machine)
        data = json.loads(path.read_text(encoding="utf-8"))
        if not same_machine(data["machine"], machine):
            return cls(machine)
        record = cls({**data["machine"], **machine})
        for row in data["rows"]:
            record.add(Row(**{**row, "results": [Result(**result) for result in row["results"]]}))
        for start in data["starts"]:
            record.add_start(Start(**start))
        return record

    def add(self, row: Row) -> None:
        """Put a row in place of the one measured before."""
        self.rows[row.workload, row.threads] = row

    def add_start(self, start: Start) -> None:
        self.starts[start.workload, start.threads, start.name] = start

    def save(self, path: Path) -> None:
        """One entry a line."""
        parts = [f'"machine": {json.dumps(self.machine)}']
        for name, table in (("rows", self.rows), ("starts", self.starts)):
            lines = [json.dumps(_rounded(asdict(entry))) for _, entry in sorted(table.items())]
            parts.append(f'"{name}": [\n' + ",\n".join(lines) + "\n]")
        temporary = path.with_suffix(".tmp")
        temporary.write_text("{\n" + ",\n".join(parts) + "\n}\n", encoding="utf-8")
        temporary.replace(path)

    def measured(self, kind: str) -> Iterator[Row]:
        return (row for row in self.rows.values() if row.workload.startswith(f"{kind}:"))


def same_machine(before: dict[str, str], now: dict[str, str]) -> bool:
    """Equal wherever both say something: a library that one run left out is no contradiction."""
    return all(before[key] == now[key] for key in before.keys() & now.keys())


def _rounded(data: Any) -> Any:
    """Numbers with as many digits as mean something."""
    if isinstance(data, float):
        return float(f"{data:.4g}")
    if isinstance(data, dict):
        return {key: _rounded(value) for key, value in data.items()}
    return [_rounded(value) for value in data] if isinstance(data, list) else data
