"""Schedules chosen by measurement: each kernel's own and a few others are built, timed in turn, and the best is kept.

A winner is remembered in the on-disk cache under the kernel's structure, so that a graph which has the kernel too, in
this process or a later one, need not measure again. Asked for by ``lucid.compile(..., tune=True)``.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Hashable, Sequence
from time import perf_counter

import numpy as np

from lucid.codegen.emit import emit_kernel
from lucid.codegen.loops import Kernel
from lucid.codegen.module import emit_module
from lucid.codegen.schedule import Schedule
from lucid.codegen.target import Target
from lucid.errors import ScheduleError
from lucid.ir.types import is_float
from lucid.runtime.disk_cache import disk_cache
from lucid.runtime.fingerprint import text_key
from lucid.runtime.jit import compile_module

#: How much faster another schedule must be to be preferred: less would be noise.
_GAIN = 0.97

#: Seconds that the runs of one schedule take together, about.
_PATIENCE = 0.03


class Tuner:
    """Chooses among schedules of a kernel by running them on one thread, on memory of its own."""

    def __init__(self, target: Target):
        self.target = target
        #: Kernels measured, and those whose winner was remembered.
        self.measured = self.remembered = 0

    def __call__(
        self, structure: Hashable, schedule: Schedule, others: Sequence[Schedule], lower: Callable[[Schedule], Kernel]
    ) -> Schedule:
        """The fastest of ``schedule`` and ``others``, of which those that do not fit the kernel are passed over."""
        choices = {str(index): s for index, s in enumerate((schedule, *others))}
        key = text_key(f"tuned {structure!r} {[repr(s) for s in choices.values()]}", self.target)
        data = None if key is None else disk_cache().load(key)
        if data is not None and (found := choices.get(data.decode(errors="replace"))) is not None:
            self.remembered += 1
            return found
        runs: dict[str, Callable[[], None]] = {}
        for name, candidate in choices.items():
            try:
                runs[name] = self._build(lower(candidate))
            except ScheduleError:
                continue
        best = _fastest(runs)
        self.measured += 1
        if key is not None:
            disk_cache().store(key, best.encode())
        return choices[best]

    def _build(self, kernel: Kernel) -> Callable[[], None]:
        text = emit_module([emit_kernel(kernel, self.target, symbol="kernel")], self.target)
        module = compile_module(text, self.target)
        arrays = []
        for buffer in kernel.buffers:
            array = np.zeros(buffer.size + 64, buffer.dtype)
            if is_float(buffer.dtype):
                array += array.dtype.type(0.01)
            arrays.append(array)
        starts = [a.ctypes.data + -a.ctypes.data % 64 for a in arrays]
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(starts))(module.address("kernel"))

        def run(keep: object = (module, arrays)) -> None:
            function(*starts)

        return run


def _fastest(runs: dict[str, Callable[[], None]]) -> str:
    """The name of what ran fastest, in turns so that a slow moment hits all alike; the first unless another gains."""
    times = dict.fromkeys(runs, float("inf"))
    spent, turns = 0.0, 0
    while turns < 3 or (spent < _PATIENCE * len(runs) and turns < 50):
        for name, run in runs.items():
            started = perf_counter()
            run()
            seconds = perf_counter() - started
            spent += seconds
            if turns:  # the first touches memory
                times[name] = min(times[name], seconds)
        turns += 1
    first = next(iter(runs))
    best = min(times, key=lambda name: times[name])
    return best if times[best] < _GAIN * times[first] else first
