"""One process a library, so that neither threads nor allocators disturb each other: both ends of it.

``Worker`` is the coordinator's end: every method is a call in the process, which may fail (``LibraryError``), hang or
die (``WorkerDied``). Idle workers sleep in a read of their socket.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from importlib import import_module
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.contender import Contender, Variants
from benchmarks.libraries import LIBRARIES
from benchmarks.workloads import Workload


class LibraryError(Exception):
    """The library raised this."""


class WorkerDied(Exception):
    """Crashed, or stopped because it took too long."""


class Worker:
    """A process with one library, on as many cores as it may use threads."""

    def __init__(self, library: str, threads: int, environment: Mapping[str, str] | None = None):
        mine, theirs = socket.socketpair()
        variables = {"OMP_NUM_THREADS": str(threads), "OPENBLAS_NUM_THREADS": str(threads)}
        variables |= {**LIBRARIES[library].environment, **(environment or {})}
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", library, str(threads), str(theirs.fileno())],
                env={**os.environ, **variables},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        self._connection = Connection(mine.detach())

    def _call(self, limit: float, method: str, *arguments: Any) -> Any:
        try:
            self._connection.send((method, arguments))
            if not self._connection.poll(limit):
                self.close()
                raise WorkerDied(f"took more than {limit:.0f} s")
            good, value = self._connection.recv()
        except (EOFError, OSError):
            code = self._process.wait()
            raise WorkerDied(signal.Signals(-code).name if code < 0 else f"exit status {code}") from None
        if not good:
            raise LibraryError(value)
        return value

    def start(self) -> float:
        """Import the library; seconds it took."""
        return float(self._call(120, "start"))

    def variants(self, workload: Workload) -> list[str]:
        """What the library offers; forgets the workload before."""
        return list(self._call(120, "variants", workload.name))

    def set_up(self, variant: str, results: Path) -> tuple[float, float]:
        """Build a variant, and write the results of its first calls to ``results``; seconds from the finished model to
        the first result, and the contender's ``amount``.
        """
        seconds, amount = self._call(400, "set_up", variant, str(results))
        return seconds, amount

    def turn(self, variant: str, length: float) -> float:
        """Seconds of a call, over about ``length`` seconds of calls, after some that are not timed."""
        return float(self._call(300, "turn", variant, length))

    def memory(self) -> int:
        """Most bytes of memory the process had so far."""
        return int(self._call(60, "memory"))

    def rest(self, limit: float = 0.5) -> None:
        """Wait until none of its threads runs: after a call, those of some libraries spin for tens of milliseconds, and
        would take a core from whoever comes next.
        """
        tasks = Path(f"/proc/{self._process.pid}/task")
        until = time.perf_counter() + limit
        while time.perf_counter() < until:
            time.sleep(0.002 if tasks.exists() else limit)
            if not any(_runs(task) for task in tasks.glob("*/stat")):
                return

    def close(self) -> None:
        self._connection.close()
        self._process.kill()
        self._process.wait()


def _runs(stat: Path) -> bool:
    """Whether a thread is on a core, or waits for one."""
    try:
        return stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[0] == "R"
    except OSError:  # it ended
        return False


class _Server:
    """The process's end."""

    def __init__(self, library: str, threads: int):
        self._module, self._threads = LIBRARIES[library].module, threads
        self._library: Any = None
        self._workload: Workload | None = None
        self._variants: Variants = {}
        self._ready: dict[str, Contender] = {}
        self._seconds: dict[str, float] = {}

    def start(self) -> float:
        started = time.perf_counter()
        self._library = import_module(f"benchmarks.libraries.{self._module}")
        return time.perf_counter() - started

    def variants(self, name: str) -> list[str]:
        self._ready.clear()
        self._workload = Workload(name)
        self._variants = self._library.variants(self._workload, self._threads)
        return list(self._variants)

    def set_up(self, variant: str, results: str) -> tuple[float, float]:
        assert self._workload is not None
        contender = self._variants[variant]()
        started = time.perf_counter()
        given = contender.call()
        seconds = contender.built + time.perf_counter() - started
        steps = [contender.read(given)]
        steps += [contender.read(contender.call()) for _ in range(self._workload.compared_calls - 1)]
        np.savez(results, *(np.stack(parts) if len(parts) > 1 else parts[0] for parts in zip(*steps, strict=True)))
        self._ready[variant] = contender
        self._seconds[variant] = self._time(contender, 1)
        return seconds, contender.amount

    def turn(self, variant: str, length: float) -> float:
        contender = self._ready[variant]
        last = self._seconds[variant]
        if last < length:  # its data and its code come back into the caches, and its threads wake up
            self._time(contender, max(1, int(length / 5 / last)))
        self._seconds[variant] = self._time(contender, max(1, int(length / last)))
        return self._seconds[variant]

    def _time(self, contender: Contender, calls: int) -> float:
        call = contender.call
        started = time.perf_counter()
        for _ in range(calls):
            call()
        return (time.perf_counter() - started) / calls

    def memory(self) -> int:
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise OSError("this system does not say what a process's peak memory is")


def _serve(library: str, threads: int, descriptor: int) -> None:
    """Answer calls until the coordinator goes away."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:threads])
    server, connection = _Server(library, threads), Connection(descriptor)
    while True:
        try:
            method, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = True, getattr(server, method)(*arguments)
        except Exception as error:
            lines = str(error).strip().splitlines()
            answer = False, f"{type(error).__name__}: {lines[0] if lines else ''}"
        connection.send(answer)


if __name__ == "__main__":
    _serve(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
