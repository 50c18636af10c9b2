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
from lucid.codegen.predict import Work, work_of_step
from lucid.codegen.program import Program, Step
from lucid.ir.graph import Array
from lucid.runtime.ceilings import peaks
from lucid.runtime.compilation import shared_turns
from lucid.runtime.executable import Executable


@dataclass(frozen=True)
class StepTime:
    """One step's best time and the one predicted, in seconds, its work, and how much of what the machine can do it
    does: of its multiply-adds or of its memory's speed, whichever binds. Winograd's algorithm can do more than all.
    """

    step: Step
    seconds: float
    predicted: float
    work: Work
    part_of_peak: float

    @property
    def flops(self) -> int:
        return self.work.flops

    @property
    def bytes(self) -> int:
        return self.work.bytes

    def rate(self, seconds: float) -> str:
        """Operations or bytes a second, if the step took so long."""
        amount, unit = (self.flops, "GFLOP/s") if self.flops else (self.bytes, "GB/s")
        return f"{amount / seconds / 1e9:.1f} {unit}"

    def __str__(self) -> str:
        return (
            f"{self.seconds * 1e6:9.1f} us {self.rate(self.seconds):>15}  {self.step.spec.name}: {self.step.schedule}"
        )


def report(times: Sequence[StepTime]) -> list[str]:
    """A table of steps, the slowest first."""
    total = sum(t.seconds for t in times)
    lines = [f"{'us':>10}{'share':>7}{'measured':>15}{'predicted':>15}{'of peak':>9}  kernel"]
    for t in sorted(times, key=lambda t: -t.seconds):
        rates = f"{t.rate(t.seconds):>15}{t.rate(t.predicted):>15}{t.part_of_peak:>9.0%}"
        share = t.seconds / total
        how = f"{t.step.schedule}, by image" if t.step.by_image else str(t.step.schedule)
        lines.append(f"{t.seconds * 1e6:10.1f}{share:7.1%}{rates}  {t.step.spec.name}: {how}")
    return lines


def profile(executable: Executable, arrays: Sequence[Array], repeats: int = 5) -> list[StepTime]:
    """Run the steps of a compiled graph in order, ``repeats`` times; the arguments are copied and left as they are."""
    copies = [a.copy() for a in arrays]
    results = executable(copies)  # held: the steps below write there again
    program = executable.program
    slots = executable.addresses()

    def bound(step: Step, image: int = 0) -> list[Callable[[], None]]:
        def pointer(value: Hashable) -> int:
            place = program.place(step, value)
            base = slots[place.region]
            address: int = base[place.at] if isinstance(base, list) else base + place.at
            return address + image * place.stride

        return _bound(executable, step.kernel, [pointer(v) for v in step.arguments])

    # Each run's steps, and what runs each of them, image by image.
    runs = [
        (steps, [[bound(step, k) for step in steps] for k in range(1 if chain is None else chain.images)])
        for steps, chain in program.runs()
    ]
    best: list[float] = []
    for _ in range(repeats):
        times: list[float] = []
        for steps, images in runs:
            spent = [0.0] * len(steps)
            for image in images:
                for k, functions in enumerate(image):
                    start = perf_counter()
                    for function in functions:
                        function()
                    spent[k] += perf_counter() - start
            times += spent
        best = [min(pair) for pair in zip(best, times, strict=True)] if best else times
    del results
    executable.forget()  # the arguments may have been samples, made up
    return [_judged(program, step, seconds) for step, seconds in zip(program.steps, best, strict=True)]


def _judged(program: Program, step: Step, seconds: float) -> StepTime:
    work, limits = work_of_step(program, step), peaks()
    operation = 2 * program.target.lanes(step.spec.stores[0].node.dtype) / limits.flops
    moving = work.bytes / limits.bandwidth(work.bytes)
    predicted = max(work.cycles * operation, moving, 1e-9)
    return StepTime(step, seconds, predicted, work, max(work.flops / limits.flops, moving) / seconds)


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
