"""A compiled graph that can be called: memory made once, addresses in one table, one native call per run.

``build`` turns a graph into an ``Executable``. Outputs are fresh arrays at every call, except those built
``in_place``, which are written over an input. Work that depends on parameters alone runs in a prologue, when the
caller says they changed.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Hashable, Mapping, Sequence
from time import perf_counter
from typing import Any
from weakref import ref

import numpy as np

from lucid.codegen.emit import emit_kernel
from lucid.codegen.module import (
    Argument,
    Call,
    emit_entry,
    emit_module,
    emit_parallel,
    parallel_turns,
    split_parallel,
)
from lucid.codegen.program import Override, Program, Step, generate
from lucid.codegen.strategy import SMALLEST_SHARED_WORK
from lucid.codegen.target import Target
from lucid.errors import IRError
from lucid.ir.graph import Array, Graph, Node
from lucid.runtime.jit import CompiledModule, call, compile_module
from lucid.runtime.threads import POOL

#: Slots of the address table before the inputs: the arena, the static memory, the thread pool and how to use it.
_ARENA, _STATIC, _POOL, _PARALLEL, _FIRST = 0, 1, 2, 3, 4


def build(
    graph: Graph,
    *,
    parameters: Collection[Node] = (),
    in_place: Mapping[int, int] | None = None,
    target: Target | None = None,
    override: Override | None = None,
) -> Executable:
    """Compile a graph for this machine.

    Args:
        parameters: inputs that change seldom; see ``Executable.__call__``'s ``refresh``.
        in_place: output index to index of the input it overwrites.
        target: the CPU to compile for; the host by default.
        override: replaces the strategy's schedule of a kernel, ``override(spec, schedule) -> schedule``.
    """
    started = perf_counter()
    target = target or Target.host()
    program = generate(graph, target, parameters=parameters, in_place=in_place, override=override)
    lowered = perf_counter()
    text = _module_text(program, target)
    emitted = perf_counter()
    module = compile_module(text, target)
    finished = perf_counter()
    seconds = {"lower": lowered - started, "emit": emitted - lowered, "llvm": finished - emitted}
    return Executable(program, module, seconds, dict(in_place or {}))


def worth_sharing(program: Program, number: int) -> int:
    """Turns of a kernel's parallel loop, or 0 if it has none or too little work to share."""
    work = max(s.work for s in (*program.prologue, *program.steps) if s.kernel == number)
    return parallel_turns(program.kernels[number]) if work >= SMALLEST_SHARED_WORK else 0


def _module_text(program: Program, target: Target) -> str:
    shared = [worth_sharing(program, k) for k in range(len(program.kernels))]
    functions = []
    for kernel, turns in zip(program.kernels, shared, strict=True):
        if turns:
            functions += emit_parallel(kernel, target, symbol=kernel.name)
        else:
            functions.append(emit_kernel(kernel, target, symbol=kernel.name))
    count = len(program.graph.inputs)

    def slot(value: Hashable) -> Argument:
        place = program.places[value][0]
        if place.region == "input":
            return _FIRST + place.at
        if place.region == "output":
            return _FIRST + count + place.at
        return (_ARENA if place.region == "arena" else _STATIC), place.at

    def calls(steps: Sequence[Step]) -> list[Call]:
        result = []
        for step in steps:
            kernel, turns = program.kernels[step.kernel], shared[step.kernel]
            rest = bool(turns) and split_parallel(kernel)[1] is not None
            result.append(Call(kernel.name, [slot(v) for v in step.arguments], turns, rest))
        return result

    functions.append(emit_entry("prologue", calls(program.prologue), (_POOL, _PARALLEL)))
    functions.append(emit_entry("run", calls(program.steps), (_POOL, _PARALLEL)))
    return emit_module(functions, target)


def _aligned_bytes(size: int) -> Array:
    """Zeroed memory that starts on a cache line."""
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


class Executable:
    """Machine code for one graph, with the memory it runs in. Safe to call from several threads, one at a time each."""

    def __init__(
        self, program: Program, module: CompiledModule, seconds: dict[str, float], in_place: Mapping[int, int]
    ):
        self.program = program
        self.module = module
        #: Seconds spent lowering, emitting text, and in LLVM.
        self.seconds = seconds
        self.in_place = in_place
        self._types = [n.type for n in program.graph.inputs]
        self._outputs = [n.type for n in program.graph.outputs]
        self._run = module.address("run")
        self._prologue = module.address("prologue") if program.prologue else None
        self._arena = _aligned_bytes(program.arena.size)
        self._static = _aligned_bytes(program.static.size)
        self._table = np.zeros(_FIRST + len(self._types) + len(self._outputs), np.uintp)
        self._table[_ARENA] = self._arena.ctypes.data
        self._table[_STATIC] = self._static.ctypes.data
        self._table[_PARALLEL] = POOL.function()
        self._address = self._table.ctypes.data
        #: Arrays of the last call whose addresses are in the table, as weak references: nothing is kept alive.
        self._last: list[ref[Array] | None] = [None] * len(self._types)
        #: Updates that cannot be written straight over their input are computed here and copied.
        self._scratch = {
            k: np.empty(self._outputs[k].shape, self._outputs[k].dtype) for k in in_place if k not in program.in_place
        }
        self._lock = threading.Lock()
        self._fresh = False

    @property
    def memory(self) -> int:
        """Bytes held between calls."""
        return self.program.arena.size + self.program.static.size

    def addresses(self) -> dict[str, Any]:
        """Where the regions of memory were at the last call: two base addresses, and one address per input and
        output.
        """
        table = [int(a) for a in self._table]
        outputs = _FIRST + len(self._types)
        return {
            "arena": table[_ARENA],
            "static": table[_STATIC],
            "input": table[_FIRST:outputs],
            "output": table[outputs:],
        }

    def __call__(self, arrays: Sequence[Array], *, refresh: bool = True) -> list[Array]:
        """Run on one array per graph input; returns one array per output.

        Args:
            arrays: C-contiguous or not; types as the graph's inputs.
            refresh: False promises that no parameter changed since the last call: the prologue is skipped.
        """
        if len(arrays) != len(self._types):
            raise IRError(f"the graph has {len(self._types)} inputs, but {len(arrays)} arrays were given")
        with self._lock:
            table = self._table
            held = []  # contiguous copies live until the call returns
            for k, array in enumerate(arrays):
                last = self._last[k]
                if last is not None and last() is array:
                    continue
                type = self._types[k]
                if array.shape != type.shape or array.dtype != type.dtype:
                    name = self.program.graph.input_names[k]
                    raise IRError(f"input {name} is {array.dtype.name}{list(array.shape)}, but {type} was compiled")
                if array.flags.c_contiguous:
                    self._last[k] = ref(array)
                elif k in self.in_place.values():
                    raise IRError(f"input {self.program.graph.input_names[k]} is updated and must be contiguous")
                else:
                    array = np.ascontiguousarray(array)
                    self._last[k] = None
                held.append(array)
                table[_FIRST + k] = array.ctypes.data
            results: list[Array] = []
            first = _FIRST + len(self._types)
            updated = self.program.in_place
            for k, type in enumerate(self._outputs):
                if k in updated:
                    results.append(arrays[updated[k]])
                    continue
                result = self._scratch[k] if k in self._scratch else np.empty(type.shape, type.dtype)
                table[first + k] = result.ctypes.data
                results.append(result)
            table[_POOL] = pool = POOL.take()
            try:
                if self._prologue is not None and (refresh or not self._fresh):
                    call(self._prologue, self._address)
                    self._fresh = True
                call(self._run, self._address)
            finally:
                if pool:
                    POOL.give()
            for k, i in self.in_place.items():
                if k not in updated:
                    np.copyto(arrays[i], results[k])
                    results[k] = arrays[i]
        return results

    def text(self, stage: str) -> str:
        """The program (``"program"``), its ``"loops"``, ``"llvm"`` or ``"asm"``, as text."""
        if stage == "program":
            return str(self.program)
        if stage == "loops":
            return "\n".join(str(k) for k in self.program.kernels)
        if stage == "llvm":
            return self.module.llvm_text
        if stage == "asm":
            return self.module.assembly
        raise IRError(f"there is no stage {stage!r}")
