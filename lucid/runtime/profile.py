"""Where a compiled call spends its time: its steps one after the other, each timed, on copies of the arguments.

In their order, each step finds in the caches what it finds there in a real call.
"""

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
    """Run the steps of a compiled graph in order, ``repeats`` times; the arguments are copied and left as they are."""
    copies = [a.copy() for a in arrays]
    results = executable(copies)  # held: the steps below write there again
    program = executable.program
    slots = executable.addresses()

    def pointer(value: Hashable) -> int:
        place = program.place(value)
        base = slots[place.region]
        address: int = base[place.at] if isinstance(base, list) else base + place.at
        return address

    bound = [_bound(executable, step.kernel, [pointer(v) for v in step.arguments]) for step in program.steps]
    best = [float("inf")] * len(bound)
    for _ in range(repeats):
        for k, functions in enumerate(bound):
            start = perf_counter()
            for function in functions:
                function()
            best[k] = min(best[k], perf_counter() - start)
    del results
    sizes = [sum(b.size * b.dtype.itemsize for b in kernel.buffers) for kernel in program.kernels]
    timed = zip(program.steps, best, strict=True)
    return [StepTime(step, seconds, _flops(step), sizes[step.kernel]) for step, seconds in timed]


def _bound(executable: Executable, number: int, arguments: list[int]) -> list[Callable[[], None]]:
    """What runs a kernel of an executable on one thread, on the memory at these addresses."""
    program, module = executable.program, executable.module
    kernel = program.kernels[number]
    turns = shared_turns(kernel, program.work[number])

    def plain(symbol: str) -> Callable[[], None]:
        function = ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * len(arguments))(module.address(symbol))
        return lambda: function(*arguments)

    if not turns:
        return [plain(kernel.name)]
    task = ctypes.CFUNCTYPE(None, ctypes.c_void_p, *[ctypes.c_int64] * 3)(module.address(f"{kernel.name}.task"))
    table = np.array(arguments, np.uintp)
    where = table.ctypes.data

    def shared(keep: object = table) -> None:
        task(where, 0, turns, 0)

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
