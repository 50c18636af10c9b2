"""What the machine can do, by kernels of Lucid's own: multiply-adds in registers, and memory read or copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from time import perf_counter
from typing import NamedTuple

import numpy as np

from lucid.codegen.loops import (
    INDEX,
    Bin,
    Buffer,
    Fma,
    For,
    Kernel,
    Read,
    Reg,
    Set,
    Stmt,
    Var,
    VType,
    Write,
    add,
    integer,
    scale,
)
from lucid.codegen.module import Call, emit_entry, emit_module, emit_parallel, emit_task
from lucid.codegen.target import Target
from lucid.ir.graph import Array
from lucid.ir.types import float32
from lucid.runtime.jit import call, compile_module
from lucid.runtime.threads import POOL

#: Turns of the loop that threads share.
_PIECES = 32


#: Bytes of the arrays whose speed is measured: near the core, beyond its own caches, and beyond all caches.
_SIZES = (256 * 1024, 8 * 2**20, 128 * 2**20)


class Ceiling(NamedTuple):
    """``amount`` is operations, or bytes moved, of one call of ``work``."""

    work: Callable[[], object]
    amount: float


class Peaks(NamedTuple):
    """What one thread can do: operations a second, and bytes a second that are read and written, by working set."""

    flops: float
    #: Bytes of a working set, and bytes a second up to that size; the last holds beyond it.
    bandwidths: tuple[tuple[int, float], ...]

    def bandwidth(self, size: int) -> float:
        """Bytes a second of a kernel that touches ``size`` bytes."""
        return next((speed for limit, speed in self.bandwidths if size <= limit), self.bandwidths[-1][1])


@lru_cache(maxsize=1)
def peaks() -> Peaks:
    """This machine's, measured when first asked for: a quarter of a second."""
    flops = _rate(multiply_adds(alone=True))
    return Peaks(flops, tuple((4 * size, _rate(memory(size, size, alone=True))) for size in _SIZES))


def _rate(ceiling: Ceiling) -> float:
    """The best of several runs, a second."""
    best = float("inf")
    for _ in range(7):
        start = perf_counter()
        ceiling.work()
        best = min(best, perf_counter() - start)
    return ceiling.amount / best


def multiply_adds(*, alone: bool = False) -> Ceiling:
    """Independent fused multiply-adds in registers, a few milliseconds of them, on all threads of the pool.

    Args:
        alone: on the calling thread only.
    """
    target = Target.host()
    lanes, count, turns = target.lanes(float32), 24 if target.vector_registers >= 32 else 12, 20_000
    vector = VType(float32, lanes)
    start = Buffer("x", float32, lanes, "in")
    result = Buffer("y", float32, _PIECES * lanes * count, "out")
    piece, turn = Var("p", INDEX), Var("i", INDEX)
    sums = [Var(f"a{k}", vector) for k in range(count)]
    factor = Var("factor", vector)
    place = scale(piece, lanes * count)
    body: tuple[Stmt, ...] = (
        Reg(factor, Read(start, integer(0), lanes)),
        *(Reg(a, factor) for a in sums),
        For(turn, integer(0), integer(turns), 1, tuple(Set(a, Fma(a, factor, factor)) for a in sums)),
        *(Write(result, add(place, integer(lanes * k)), a) for k, a in enumerate(sums)),
    )
    arrays = [np.zeros(start.size, np.float32), np.zeros(result.size, np.float32)]
    work = _shared("multiply_adds", [start, result], piece, body, arrays, alone)
    return Ceiling(work, 2.0 * _PIECES * lanes * count * turns)


def memory(read: int, written: int, *, alone: bool = False) -> Ceiling:
    """``read`` bytes read and summed, or read and written elsewhere if anything is ``written``, in memory touched
    before, on all threads of the pool.

    Args:
        alone: on the calling thread only.
    """
    target = Target.host()
    lanes, unroll = target.lanes(float32), 4
    vector = VType(float32, lanes)
    step = lanes * unroll
    share = read // 4 // _PIECES // step * step
    source = Buffer("x", float32, _PIECES * share, "in")
    result = Buffer("y", float32, _PIECES * (share if written else step), "out")
    piece, i = Var("p", INDEX), Var("i", INDEX)
    first = scale(piece, share)
    places = [add(add(first, i), integer(lanes * k)) for k in range(unroll)]
    if written:
        copies = tuple(Write(result, p, Read(source, p, lanes)) for p in places)
        body: tuple[Stmt, ...] = (For(i, integer(0), integer(share), step, copies),)
    else:
        sums = [Var(f"a{k}", vector) for k in range(unroll)]
        adds = tuple(Set(a, Bin("add", a, Read(source, p, lanes))) for a, p in zip(sums, places, strict=True))
        total = scale(piece, step)
        body = (
            *(Reg(a, Read(source, add(first, integer(lanes * k)), lanes)) for k, a in enumerate(sums)),
            For(i, integer(0), integer(share), step, adds),
            *(Write(result, add(total, integer(lanes * k)), a) for k, a in enumerate(sums)),
        )
    arrays = [np.ones(source.size, np.float32), np.ones(result.size, np.float32)]
    moved = 4.0 * source.size * (2 if written else 1)
    return Ceiling(_shared("memory", [source, result], piece, body, arrays, alone), moved)


def _shared(
    name: str, buffers: Sequence[Buffer], piece: Var, body: tuple[Stmt, ...], arrays: Sequence[Array], alone: bool
) -> Callable[[], object]:
    """``body`` for every piece, on ``arrays``, by the threads of Lucid's pool or ``alone``."""
    target = Target.host()
    kernel = Kernel(name, tuple(buffers), (For(piece, integer(0), integer(_PIECES), 1, body, "parallel"),))
    slots = range(2, 2 + len(arrays))
    entry = emit_entry("run", [Call(name, list(slots), _PIECES)], (0, 1))
    functions = [*emit_parallel(kernel, target, symbol=name), emit_task(kernel, symbol=name), entry]
    module = compile_module(emit_module(functions, target), target)
    table = np.array([0, POOL.function(), *(a.ctypes.data for a in arrays)], np.uintp)
    run, alive = module.address("run"), (module, arrays)

    def work() -> object:
        table[0] = pool = 0 if alone else POOL.take()
        try:
            call(run, table.ctypes.data)
        finally:
            if pool:
                POOL.give()
        return alive

    return work
