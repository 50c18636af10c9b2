"""A workload in all libraries at once: set up, compared, and measured turn by turn."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import inf
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from benchmarks.results import Result, Row
from benchmarks.statistics import difference, rounds, summarise
from benchmarks.worker import LibraryError, Worker, WorkerDied
from benchmarks.workloads import Workload

#: Seconds of calls in one turn.
_TURN = 0.02

#: Whose results the others are compared with: the first of these that is there.
_REFERENCES = ("torch eager", "numpy", "jax jit", "jax eager", "onnxruntime", "openvino")

#: Who gets all its turns however slow it is.
_MATTER = ("lucid compiled", "machine multiply-adds", "machine memory")


@dataclass
class _Entry:
    """A contender that is ready."""

    worker: Worker
    variant: str
    seconds: list[float]


class Contest:
    """Workers of several libraries for one number of threads, kept over many workloads."""

    def __init__(self, libraries: Sequence[str], threads: int, say: Callable[[str], None]):
        self.threads = threads
        self._libraries = libraries
        self._say = say
        self._workers: dict[str, Worker] = {}

    def measure(self, workload: Workload, seconds: float) -> Row:
        """Times of every contender whose results agree with the reference's, about ``seconds`` of calls each; with 0
        seconds, only whether they do.
        """
        results: dict[str, Result] = {}
        entries: dict[str, _Entry] = {}
        with TemporaryDirectory(prefix="lucid-benchmark-") as folder:
            for library in self._libraries:
                self._set_up(workload, library, Path(folder), results, entries)
            reference = self._compare(workload, Path(folder), results)
        entries = {name: entry for name, entry in entries.items() if not results[name].failure}
        load = os.getloadavg()[0]
        if seconds:
            self._take_turns(entries, seconds, results)
        when = time.strftime("%Y-%m-%d %H:%M")
        return Row(workload.name, self.threads, when, load, reference, list(results.values()))

    def _worker(self, library: str) -> Worker:
        if library not in self._workers:
            worker = Worker(library, self.threads)
            try:
                worker.start()
            except LibraryError:
                worker.close()
                raise
            self._workers[library] = worker
        return self._workers[library]

    def _set_up(
        self, workload: Workload, library: str, folder: Path, results: dict[str, Result], entries: dict[str, _Entry]
    ) -> None:
        offered = [""]
        try:
            worker = self._worker(library)
            offered = worker.variants(workload)
            for variant in offered:
                result = Result(library, variant)
                self._say(f"{workload.name} on {self.threads}: {result.name}")
                try:
                    first, amount = worker.set_up(variant, folder / f"{result.name}.npz")
                except LibraryError as error:
                    results[result.name] = replace(result, failure=str(error))
                    continue
                results[result.name] = replace(result, first=first, amount=amount)
                entries[result.name] = _Entry(worker, variant, [])
                worker.rest()
        except LibraryError as error:
            results[library] = Result(library, "", failure=str(error))
        except WorkerDied as error:
            self._bury(library, str(error), [Result(library, variant) for variant in offered], results, entries)

    def _bury(
        self, library: str, why: str, lost: Sequence[Result], results: dict[str, Result], entries: dict[str, _Entry]
    ) -> None:
        """A process died, and with it all that was ready there."""
        if library in self._workers:
            self._workers.pop(library).close()
        for result in lost:
            entries.pop(result.name, None)
            if not (result.name in results and results[result.name].failure):
                results[result.name] = replace(result, failure=f"the process died: {why}")

    def _compare(self, workload: Workload, folder: Path, results: dict[str, Result]) -> str:
        """Fill in differences, and failures where they are too large; returns the reference's name."""
        ready = {n: r for n, r in results.items() if not r.failure and r.library != "machine"}
        reference = next((name for name in _REFERENCES if name in ready), "")
        if not reference:
            return ""
        wanted = _arrays(folder / f"{reference}.npz")
        for name, result in ready.items():
            if name == reference:
                continue
            apart = difference(_arrays(folder / f"{name}.npz"), wanted)
            wrong = "" if apart <= workload.tolerance else f"results differ from {reference}'s by {apart:.1e}"
            results[name] = replace(result, difference=min(apart, 1e30), failure=wrong)
        return reference

    def _take_turns(self, entries: dict[str, _Entry], seconds: float, results: dict[str, Result]) -> None:
        def turn(name: str) -> float | None:
            entry = entries[name]
            try:
                taken = entry.worker.turn(entry.variant, _TURN)
                entry.worker.rest()
                return taken
            except (LibraryError, WorkerDied) as error:
                library = results[name].library
                if isinstance(error, WorkerDied):
                    same = [results[other] for other in entries if results[other].library == library]
                    self._bury(library, str(error), same, results, entries)
                else:
                    entries.pop(name)
                    results[name] = replace(results[name], failure=str(error))
                return None

        first = {name: taken for name in list(entries) if name in entries and (taken := turn(name)) is not None}
        useful = 5 * min((s for name, s in first.items() if results[name].library != "machine"), default=0.0)
        left = {
            name: rounds(seconds, _TURN, inf if results[name].name in _MATTER else useful, first[name])
            for name in entries
        }
        while entries and any(left[name] for name in entries):
            for name in list(entries):
                if name in entries and left[name]:
                    left[name] -= 1
                    taken = turn(name)
                    if taken is not None:
                        entries[name].seconds.append(taken)
        for name, entry in entries.items():
            s = summarise(entry.seconds)
            results[name] = replace(results[name], median=s.median, best=s.best, spread=s.spread, turns=s.turns)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()


def _arrays(path: Path) -> list[np.ndarray]:
    with np.load(path) as stored:
        return [stored[name] for name in stored.files]
