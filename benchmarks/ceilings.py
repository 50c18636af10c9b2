"""What the machine can do, measured by kernels of Lucid's own: multiply-adds in registers, and memory read or copied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from lucid.codegen.emit import emit_kernel
from lucid.codegen.loops import INDEX, Bin, Buffer, Fma, For, Kernel, Read, Reg, Set, Stmt, Var, VType, Write, add, integer
from lucid.codegen.module import Call, emit_entry, emit_module
from lucid.codegen.target import Target
from lucid.ir.types import float32
from lucid.runtime.jit import call, compile_module


class Ceiling(NamedTuple):
    """``amount`` is operations, or bytes moved, of one call of ``work``."""

    work: Callable[[], object]
    amount: float


def _work(kernel: Kernel, memories: Sequence[Sequence[np.ndarray]]) -> Callable[[], object]:
    """``kernel`` on each tuple of arrays, at the same time in as many threads."""
    target = Target.host()
    entry = emit_entry("run", [Call(kernel.name, list(range(len(kernel.buffers))))])
    module = compile_module(emit_module([emit_kernel(kernel, target, symbol=kernel.name), entry], target), target)
    address = module.address("run")
    tables = [np.array([a.ctypes.data for a in arrays], np.uintp) for arrays in memories]
    addresses = [table.ctypes.data for table in tables]
    pool = ThreadPoolExecutor(len(tables))
    alive = (module, memories, tables)

    def work() -> object:
        others = [pool.submit(call, address, table) for table in addresses[1:]]
        call(address, addresses[0])
        for other in others:
            other.result()
        return alive

    return work


def multiply_adds(threads: int) -> Ceiling:
    """Independent fused multiply-adds in registers, a few milliseconds of them."""
    target = Target.host()
    lanes, count, turns = target.lanes(float32), 24 if target.vector_registers >= 32 else 12, 500_000
    vector = VType(float32, lanes)
    buffer = Buffer("x", float32, lanes * (count + 1), "inout")
    sums = [Var(f"a{k}", vector) for k in range(count)]
    factor = Var("factor", vector)
    body: tuple[Stmt, ...] = (
        Reg(factor, Read(buffer, integer(0), lanes)),
        *(Reg(a, factor) for a in sums),
        For(Var("i", INDEX), integer(0), integer(turns), 1, tuple(Set(a, Fma(a, factor, factor)) for a in sums)),
        *(Write(buffer, integer(lanes * (k + 1)), a) for k, a in enumerate(sums)),
    )
    memories = [[np.zeros(buffer.size, np.float32)] for _ in range(threads)]
    return Ceiling(_work(Kernel("multiply_adds", (buffer,), body), memories), 2.0 * lanes * count * turns * threads)


def memory(read: int, written: int, threads: int) -> Ceiling:
    """``read`` bytes read and summed, or read and written elsewhere if anything is ``written``; memory is touched before."""
    target = Target.host()
    lanes, unroll = target.lanes(float32), 4
    vector = VType(float32, lanes)
    step = lanes * unroll
    size = read // 4 // threads // step * step
    source = Buffer("x", float32, size, "in")
    result_size = size if written else step
    result = Buffer("y", float32, result_size, "inout")
    i = Var("i", INDEX)
    places = [add(i, integer(lanes * k)) for k in range(unroll)]
    if written:
        copies = tuple(Write(result, p, Read(source, p, lanes)) for p in places)
        body: tuple[Stmt, ...] = (For(i, integer(0), integer(size), step, copies),)
    else:
        sums = [Var(f"a{k}", vector) for k in range(unroll)]
        adds = tuple(Set(a, Bin("add", a, Read(source, p, lanes))) for a, p in zip(sums, places, strict=True))
        body = (
            *(Reg(a, Read(result, integer(lanes * k), lanes)) for k, a in enumerate(sums)),
            For(i, integer(0), integer(size), step, adds),
            *(Write(result, integer(lanes * k), a) for k, a in enumerate(sums)),
        )
    memories = [[np.ones(size, np.float32), np.ones(result_size, np.float32)] for _ in range(threads)]
    moved = 4.0 * threads * size * (2 if written else 1)
    return Ceiling(_work(Kernel("memory", (source, result), body), memories), moved)
