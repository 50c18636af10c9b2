"""Timing that survives a shared machine: contenders take turns, and only medians and ratios of one run are compared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from time import perf_counter

import numpy as np

from lucid.codegen.emit import emit_kernel
from lucid.codegen.loops import INDEX, Buffer, Fma, For, Kernel, Read, Reg, Set, Var, VType, Write, integer
from lucid.codegen.module import Call, emit_entry, emit_module
from lucid.codegen.target import Target
from lucid.ir.types import float32
from lucid.runtime.jit import call, compile_module


@dataclass(frozen=True)
class Timing:
    """Seconds of one contender over the rounds of a run."""

    name: str
    seconds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.seconds)

    @property
    def best(self) -> float:
        return min(self.seconds)


def interleaved(contenders: dict[str, Callable[[], object]], rounds: int = 15, at_least: float = 0.02) -> list[Timing]:
    """Run every contender in turn, ``rounds`` times; a turn repeats a short call until ``at_least`` seconds have
    gone.
    """
    repeats = {}
    for name, work in contenders.items():
        work()
        start = perf_counter()
        work()
        repeats[name] = max(1, int(at_least / max(perf_counter() - start, 1e-7)))
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, work in contenders.items():
            start = perf_counter()
            for _ in range(repeats[name]):
                work()
            seconds[name].append((perf_counter() - start) / repeats[name])
    return [Timing(name, tuple(values)) for name, values in seconds.items()]


def peak_work(target: Target | None = None) -> tuple[Callable[[], None], float]:
    """A loop of independent multiply-adds in registers, and its operations: the ceiling, measured like the others."""
    target = target or Target.host()
    lanes, count, turns = target.lanes(float32), 24 if target.vector_registers >= 32 else 12, 20_000
    vector = VType(float32, lanes)
    buffer = Buffer("x", float32, lanes * (count + 1), "inout")
    accumulators = [Var(f"a{k}", vector) for k in range(count)]
    factor = Var("factor", vector)
    steps = tuple(Set(a, Fma(a, factor, factor)) for a in accumulators)
    body = (
        Reg(factor, Read(buffer, integer(0), lanes)),
        *(Reg(a, factor) for a in accumulators),
        For(Var("i", INDEX), integer(0), integer(turns), 1, steps),
        *(Write(buffer, integer(lanes * (k + 1)), a) for k, a in enumerate(accumulators)),
    )
    text = emit_module(
        [emit_kernel(Kernel("peak", (buffer,), body), target, symbol="peak"), emit_entry("run", [Call("peak", [0])])],
        target,
    )
    module = compile_module(text, target)
    address = module.address("run")
    memory = np.zeros(buffer.size, np.float32)
    table = np.array([memory.ctypes.data], np.uintp)

    def work() -> None:
        call(address, table.ctypes.data)
        assert module.symbols
        assert memory.size

    return work, 2.0 * lanes * count * turns
