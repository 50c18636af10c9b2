"""Processes that make batches ahead of time.

Every worker has a pipe of its own: numbers of samples go there, batches come back, in the order asked for. Batches are
dealt out in turn, so their order does not depend on how fast the workers are. Tensors travel as arrays.
"""

from __future__ import annotations

import multiprocessing
import queue
import random
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from lucid.eager import leaf
from lucid.errors import DataError
from lucid.functions.arguments import fail
from lucid.ir.graph import Array
from lucid.random import manual_seed
from lucid.tensor import Tensor

#: Seconds that a worker has to end by itself.
PATIENCE = 1.0

Fetch = Callable[[Any], Any]


@dataclass(frozen=True)
class WorkerInfo:
    """What a worker process knows of itself.

    Attributes:
        id: its number, from 0.
        num_workers: how many there are.
        seed: what its random numbers began with.
        dataset: its copy of the data set.

    >>> from lucid.data import WorkerInfo
    >>> WorkerInfo(id=0, num_workers=2, seed=7, dataset=range(3)).num_workers
    2
    """

    id: int
    num_workers: int
    seed: int
    dataset: Any


_info: WorkerInfo | None = None


def get_worker_info() -> WorkerInfo | None:
    """In a worker process of a ``DataLoader``, what it is; elsewhere None.

    >>> from lucid.data import get_worker_info
    >>> get_worker_info() is None
    True
    """
    return _info


class _RemoteError(Exception):
    """The traceback of a worker, as the cause of the error that the loader raises."""

    def __init__(self, text: str):
        super().__init__(text)
        self.text = text

    def __str__(self) -> str:
        return f"\n{self.text}"


def _packed(value: Any) -> Any:
    """Tensors as arrays; the rest as it is."""
    if isinstance(value, Tensor):
        return _Packed(np.asarray(value.detach()))
    if isinstance(value, dict):
        return {k: _packed(v) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_packed, value))
    if isinstance(value, tuple | list):
        return type(value)(map(_packed, value))
    return value


@dataclass(frozen=True)
class _Seed:
    """What a worker's random numbers are to begin with from here on."""

    value: int


@dataclass(frozen=True)
class _Packed:
    array: Array


def _unpacked(value: Any) -> Any:
    if isinstance(value, _Packed):
        return leaf(value.array)
    if isinstance(value, dict):
        return {k: _unpacked(v) for k, v in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*map(_unpacked, value))
    if isinstance(value, tuple | list):
        return type(value)(map(_unpacked, value))
    return value


def _seed(seed: int) -> None:
    manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed & 0xFFFFFFFF)  # what users' transforms draw from


def _work(
    pipe: Connection,
    inherited: Sequence[Connection],
    fetch: Fetch,
    number: int,
    count: int,
    seed: int,
    dataset: Any,
    begin: Callable[[int], None] | None,
) -> None:
    """A worker's life: batches for numbers of samples, until the pipe ends."""
    global _info
    for other in inherited:  # the loader's ends: a pipe ends when nobody holds its other end
        other.close()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupt is the loader's to handle
    _info = WorkerInfo(number, count, seed, dataset)
    _seed(seed)
    tasks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def listen() -> None:  # so that the loader never waits to hand out work
        try:
            while True:
                tasks.put(pipe.recv())
        except (EOFError, OSError):
            tasks.put(None)

    threading.Thread(target=listen, daemon=True).start()
    failed: BaseException | None = None
    try:
        if begin is not None:
            begin(number)
    except Exception as error:
        failed = error
    while (task := tasks.get()) is not None:
        try:
            if failed is not None:
                raise failed
            if isinstance(task, _Seed):
                _seed(task.value)
                continue
            answer: Any = (True, _packed(fetch(task)))
        except Exception as error:
            answer = (False, error, traceback.format_exc())
        try:
            pipe.send(answer)
        except (BrokenPipeError, ConnectionResetError):
            return
        except Exception as error:  # it cannot be pickled
            problem = DataError(f"{type(error).__name__}: {error}", op="DataLoader")
            pipe.send((False, problem, traceback.format_exc()))


class Workers:
    """Processes that fetch batches.

    Args:
        fetch: makes a batch of numbers of samples; runs in the workers.
        seeds: one for each worker.
        dataset: what ``get_worker_info`` shows.
        begin: called with its number in each worker first.
        ahead: how many batches a worker makes before they are asked for.
        context: how processes are started: a name of ``multiprocessing``'s, or its context.
    """

    def __init__(
        self,
        fetch: Fetch,
        seeds: Sequence[int],
        dataset: Any,
        begin: Callable[[int], None] | None,
        ahead: int,
        context: Any,
    ):
        made: Any = multiprocessing.get_context(context) if isinstance(context, str | None) else context
        forked = made.get_start_method() == "fork"
        self._ahead = ahead
        self._pipes: list[Connection] = []
        self._processes: list[Any] = []
        for number, seed in enumerate(seeds):
            ours, theirs = made.Pipe()
            inherited = [*self._pipes, ours] if forked else []
            arguments = (theirs, inherited, fetch, number, len(seeds), seed, dataset, begin)
            process = made.Process(target=_work, args=arguments, daemon=True, name=f"lucid-data-{number}")
            self._pipes.append(ours)
            self._processes.append(process)
            process.start()
            theirs.close()

    def reseed(self, seeds: Sequence[int]) -> None:
        """Let every worker's random numbers begin anew."""
        for pipe, seed in zip(self._pipes, seeds, strict=True):
            pipe.send(_Seed(seed))

    def batches(self, chosen: Iterator[Any], timeout: float, kept: bool) -> Iterator[Any]:
        """A batch for each of ``chosen``, in this order. If the workers are ``kept``, a loop that is left early takes
        what is still on its way, so that the next one does not get it.
        """
        waiting: deque[int] = deque()
        number = 0
        try:
            while True:
                while len(waiting) < self._ahead * len(self._pipes):
                    try:
                        task = next(chosen)
                    except StopIteration:
                        break
                    self._pipes[number].send(task)
                    waiting.append(number)
                    number = (number + 1) % len(self._pipes)
                if not waiting:
                    return
                yield self._receive(waiting.popleft(), timeout)
        except GeneratorExit:
            for left in waiting if kept else ():
                self._pipes[left].recv()
            raise

    def _receive(self, number: int, timeout: float) -> Any:
        pipe = self._pipes[number]
        try:
            if timeout and not pipe.poll(timeout):
                fail(DataError(f"worker {number} gave no batch in timeout={timeout:g} seconds", op="DataLoader"))
            good, value, *text = pipe.recv()
        except (EOFError, ConnectionResetError):
            process = self._processes[number]
            process.join(PATIENCE)
            fail(DataError(f"worker {number} ended unexpectedly, with exit code {process.exitcode}", op="DataLoader"))
        if not good:
            raise value from _RemoteError(text[0])
        return _unpacked(value)

    def close(self) -> None:
        """End the processes."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(PATIENCE if process.is_alive() else 0)
            if process.is_alive():
                process.terminate()
                process.join(PATIENCE)
        self._pipes, self._processes = [], []

    def __del__(self) -> None:
        self.close()
