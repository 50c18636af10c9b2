"""Where a compiled call spends its time: every step run and timed by itself, on copies of the arguments."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from time import perf_counter

import numpy as np

from lucid.codegen.module import split_parallel
from lucid.codegen.program import Step
from lucid.ir.expr import Reduce, walk
from lucid.ir.graph import Array
from lucid.runtime.compilation import shared_turns
from lucid.runtime.executable import Executable


@dataclass(frozen=True)
class StepTime:
    """One step's best time in seconds, its floating-point operations, and the bytes of its arguments."""

    step: Step
    seconds: float
    flops: int
    bytes: int

    def __str__(self) -> str:
        amount, unit = (self.flops, "GFLOP/s") if self.flops else (self.bytes, "GB/s")
        rate = f"{amount / self.seconds / 1e9:7.1f} {unit:7}"
        return f"{self.seconds * 1e6:9.1f} us {rate}  {self.step.spec.name}: {self.step.schedule}"


def profile(executable: Executable, arrays: Sequence[Array], repeats: int = 5) -> list[StepTime]:
    """Run each step of a compiled graph ``repeats`` times; the arguments are copied and left as they are."""
    copies = [a.copy() for a in arrays]
    results = executable(copies)  # held: the steps below write there again
    program = executable.program
    slots = executable.addresses()

    def pointer(value: Hashable) -> int:
        place = program.place(value)
        base = slots[place.region]
        address: int = base[place.at] if isinstance(base, list) else base + place.at
        return address

    kernels = [_functions(executable, k) for k in range(len(program.kernels))]
    times = []
    for step in program.steps:
        arguments = [pointer(v) for v in step.arguments]
        best = float("inf")
        for _ in range(repeats):
            start = perf_counter()
            for function in kernels[step.kernel]:
                function(arguments)
            best = min(best, perf_counter() - start)
        moved = sum(b.size * b.dtype.itemsize for b in program.kernels[step.kernel].buffers)
        times.append(StepTime(step, best, _flops(step), moved))
    del results
    return times


def _functions(executable: Executable, number: int) -> list[Callable[[list[int]], None]]:
    """What runs a kernel of an executable on one thread, given the addresses of its arguments."""
    program, module = executable.program, executable.module
    kernel = program.kernels[number]
    count = len(kernel.buffers)
    turns = shared_turns(kernel, program.work[number])

    def plain(symbol: str) -> Callable[[list[int]], None]:
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * count)(module.address(symbol))
        return lambda arguments: function(*arguments)

    if not turns:
        return [plain(kernel.name)]
    address = module.address(f"{kernel.name}.task")
    task = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(address)

    def shared(arguments: list[int]) -> None:
        table = np.array(arguments, np.uintp)
        task(table.ctypes.data, 0, turns, 0)

    return [shared] if split_parallel(kernel)[1] is None else [shared, plain(f"{kernel.name}.rest")]


def _flops(step: Step) -> int:
    """Two operations for every product of a contraction."""
    total = 0
    positions = 1
    for axis in step.spec.axes:
        positions *= axis.extent
    for store in step.spec.stores:
        for expr in walk(store.value):
            if isinstance(expr, Reduce) and hasattr(step.schedule, "tile"):
                inner = 1
                for axis in expr.axes:
                    inner *= axis.extent
                total += 2 * positions * inner
    return total
