"""A compiled graph that can be called: memory made once, addresses in one table, one native call per run.

``build`` turns a graph into an ``Executable``. Outputs are fresh arrays at every call, except those built
``in_place``, which are written over an input. Work that depends on parameters alone runs in a prologue, when the
caller says they changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any
from weakref import ref

import numpy as np

from lucid.codegen.target import Target
from lucid.errors import IRError
from lucid.ir.graph import Array, Graph, Node
from lucid.ir.passes.pipeline import Pipeline
from lucid.ir.types import is_float
from lucid.runtime.binary import ARENA, FIRST, PARALLEL, SCRATCH, STATIC, THREADS, Binary
from lucid.runtime.buffers import SMALLEST, address, empty, release
from lucid.runtime.fingerprint import graph_key
from lucid.runtime.jit import CompiledModule, assembly, function
from lucid.runtime.orders import C_ORDER, Orders, arranged, empty_in, lies
from lucid.runtime.threads import POOL

if TYPE_CHECKING:  # the code generator is imported when there is something to compile
    from lucid.codegen.program import Override, Program


def build(
    graph: Graph,
    *,
    passes: Pipeline | None = None,
    parameters: Collection[Node] = (),
    in_place: Mapping[int, int] | None = None,
    orders: Orders = C_ORDER,
    target: Target | None = None,
    override: Override | None = None,
    tune: bool = False,
    name: str = "a graph",
) -> Executable:
    """Compile a graph for this machine, or load what an earlier process compiled from an equal one.

    Args:
        passes: run on the graph first.
        parameters: inputs that change seldom; see ``Executable.__call__``'s ``refresh``.
        in_place: output index to index of the input it overwrites.
        orders: inputs and outputs that do not lie in C order.
        target: the CPU to compile for; the host by default.
        override: replaces the strategy's schedule of a kernel, ``override(spec, schedule) -> schedule``.
        tune: measure schedules near the strategy's, and take the fastest.
    """
    started = perf_counter()
    target = target or Target.host()
    in_place = dict(in_place or {})
    key = graph_key(graph, target, passes, parameters, in_place, orders, tune) if override is None else None
    arguments = (graph, target, passes, parameters, in_place, orders, override, tune)
    binary = None if key is None else Binary.load(key)
    if binary is not None:

        def recipe() -> Program:
            from lucid.runtime.compilation import lower

            return lower(*arguments)

        executable = Executable(graph, binary, recipe, in_place, orders)
        executable.seconds = {"load": perf_counter() - started}
        return executable
    from lucid.runtime.compilation import compile_graph

    program, binary, seconds = compile_graph(*arguments, name)
    executable = Executable(graph, binary, lambda: program, in_place, orders)
    executable.seconds = seconds
    if key is not None:
        binary.store(key)
    return executable


#: Bytes of memory from which what waits unused elsewhere is given back first: building a model leaves as much behind.
_LARGE = 16 * 1024 * 1024


def _aligned_bytes(size: int) -> Array:
    """Zeroed memory that starts on a cache line."""
    raw = np.zeros(size + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + size]


def _nothing() -> None:
    """A weak reference to no array."""


class Executable:
    """Machine code for one graph, with the memory it runs in. Safe to call from several threads, one at a time each."""

    def __init__(
        self,
        graph: Graph,
        binary: Binary,
        recipe: Callable[[], Program],
        in_place: Mapping[int, int],
        orders: Orders = C_ORDER,
    ):
        """
        Args:
            graph: what it computes, before or after passes.
            binary: the code.
            recipe: gives the program the code was made from, to be looked at.
            in_place: updates asked for; ``binary`` knows which of them the code itself writes in place.
            orders: in which order arrays lie, where it is not C order.
        """
        self.binary = binary
        self._recipe = recipe
        #: Seconds that each part of the compilation took, or ``"load"`` alone.
        self.seconds: dict[str, float] = {}
        self.in_place = in_place
        self._names = graph.input_names
        self._types = [n.type for n in graph.inputs]
        self._outputs = [n.type for n in graph.outputs]
        self._orders = orders
        self._code = CompiledModule(binary.objects, ("run", "prologue"))
        self._run = function(self._code.address("run"))
        self._prologue = function(self._code.address("prologue")) if binary.has_prologue else None
        if binary.arena + binary.static >= _LARGE:
            release()
        self._arena = _aligned_bytes(binary.arena)
        self._static = _aligned_bytes(binary.static)
        self._table = np.zeros(FIRST + len(self._types) + len(self._outputs), np.uintp)
        self._table[ARENA] = self._arena.ctypes.data
        self._table[STATIC] = self._static.ctypes.data
        self._threads_memory = _aligned_bytes(0)
        self._table[PARALLEL] = POOL.function()
        self._address = self._table.ctypes.data
        #: Arrays of the last call whose addresses are in the table, as weak references: nothing is kept alive.
        self._last: list[Callable[[], Array | None]] = [_nothing] * len(self._types)
        #: Updates that cannot be written straight over their input are computed here and copied.
        self._scratch = {
            k: empty(self._outputs[k].shape, self._outputs[k].dtype) for k in in_place if k not in binary.in_place
        }
        #: What gives each output's array, and its slot in the table; None and an input for one written over that.
        self._makers = [
            (None, binary.in_place[k]) if k in binary.in_place else (self._maker(k), FIRST + len(self._types) + k)
            for k in range(len(self._outputs))
        ]
        self._parallel, self._scratch_size = binary.parallel, binary.scratch
        self._lock = threading.Lock()
        self._fresh = False
        #: What the caller knows the last call's arrays by; None if that call is of no use to the next.
        self.mark: int | None = None

    def _maker(self, output: int) -> Callable[[], Array]:
        type, order = self._outputs[output], self._orders.outputs.get(output)
        if output in self._scratch:
            return partial(self._scratch.__getitem__, output)
        if order is not None:
            return partial(empty_in, type.shape, type.dtype, order)
        small = type.size * type.dtype.itemsize < SMALLEST
        return partial(np.empty if small else empty, type.shape, type.dtype)

    @cached_property
    def program(self) -> Program:
        """What the code was made from; made again, when first asked for, if the code was loaded."""
        return self._recipe()

    @cached_property
    def module(self) -> CompiledModule:
        """The code again, with every function's address known: for those who time kernels."""
        return CompiledModule(self.binary.objects)

    @property
    def memory(self) -> int:
        """Bytes held between calls."""
        return self.binary.arena + self.binary.static + self._threads_memory.size

    def addresses(self) -> dict[str, Any]:
        """Where the regions of memory were at the last call: two base addresses, and one address per input and
        output.
        """
        table = [int(a) for a in self._table]
        outputs = FIRST + len(self._types)
        return {
            "arena": table[ARENA],
            "static": table[STATIC],
            "scratch": table[SCRATCH],
            "input": table[FIRST:outputs],
            "output": table[outputs:],
        }

    def __call__(self, arrays: Sequence[Array], *, refresh: bool = True, mark: int | None = None) -> list[Array]:
        """Run on one array per graph input; returns one array per output.

        Args:
            arrays: types as the graph's inputs. Those that do not lie as the code expects are copied.
            refresh: False promises that no parameter changed since the last call: the prologue is skipped.
            mark: what the caller will know these arrays by; see ``again``.
        """
        if len(arrays) != len(self._types):
            raise IRError(f"the graph has {len(self._types)} inputs, but {len(arrays)} arrays were given")
        with self._lock:
            self.mark = None
            # contiguous copies live until the call returns
            held = [
                self._place(k, a) for k, (a, last) in enumerate(zip(arrays, self._last, strict=True)) if last() is not a
            ]
            results: list[Array] = []
            for make, slot in self._makers:
                if make is None:
                    results.append(arrays[slot])
                    continue
                result = make()
                self._table[slot] = address(result)
                results.append(result)
            self._compute(refresh)
            del held
            for k in self._scratch:
                target = arrays[self.in_place[k]]
                np.copyto(target, results[k])
                results[k] = target
            # A copy that was made for this call is gone: the next call has to look at its array again.
            self.mark = None if _nothing in self._last else mark
        return results

    def again(self, moved: Sequence[tuple[int, Array]], mark: int) -> Array | None:
        """As a call with the last call's arrays, but for those given with their places; the only output.

        None if the last call's arrays were not those that ``mark`` stands for. No parameter has changed since.
        """
        make, slot = self._makers[0]
        if make is None:
            raise IRError("an output that is written over an input needs all the arrays")
        held = []  # as in a call; a comprehension would cost more than all else here
        with self._lock:
            if self.mark != mark:
                return None
            for k, array in moved:
                if self._last[k]() is not array:
                    held.append(self._place(k, array))
            result = make()
            self._table[slot] = address(result)
            self._compute(False)
        return result

    def _compute(self, refresh: bool) -> None:
        """Run on what the table of addresses says."""
        pool = 0
        if self._parallel:
            self._table[THREADS] = pool = POOL.take()
        if self._scratch_size and self._threads_memory.size < self._scratch_size * POOL.size:
            self._threads_memory = _aligned_bytes(self._scratch_size * POOL.size)
            self._table[SCRATCH] = self._threads_memory.ctypes.data
        try:
            if self._prologue is not None and (refresh or not self._fresh):
                self._prologue(self._address)
                self._fresh = True
            self._run(self._address)
        finally:
            if pool:
                POOL.give()

    def _place(self, k: int, array: Array) -> Array:
        """Put the address of an input into the table; the array that lies there, a copy if it lies otherwise."""
        type, order = self._types[k], self._orders.inputs.get(k)
        if array.shape != type.shape or array.dtype != type.dtype:
            name = self._names[k]
            raise IRError(f"input {name} is {array.dtype.name}{list(array.shape)}, but {type} was compiled")
        if array.flags.c_contiguous if order is None else lies(array, order):
            self._last[k] = ref(array)
        elif k in self.in_place.values():
            raise IRError(f"input {self._names[k]} is updated and must be contiguous")
        else:
            array = np.ascontiguousarray(array) if order is None else arranged(array, order)
            self._last[k] = _nothing
        self._table[FIRST + k] = address(array)
        return array

    def forget(self) -> None:
        """Take nothing from the last call: the next one packs its parameters again."""
        with self._lock:
            self.mark, self._fresh = None, False

    def samples(self) -> list[Array]:
        """An array for every input: the last call's where they still live, else normal random floats, and zeros."""
        rng = np.random.default_rng(0)
        arrays = []
        for type, last in zip(self._types, self._last, strict=True):
            array = last()
            if array is None:
                array = np.zeros(type.shape, type.dtype)
                if is_float(type.dtype):
                    array += rng.standard_normal(type.shape).astype(type.dtype)
            arrays.append(array)
        return arrays

    def text(self, stage: str) -> str:
        """The program (``"program"``), its ``"loops"``, ``"llvm"`` or ``"asm"``, as text."""
        if stage == "program":
            return str(self.program)
        if stage == "loops":
            return "\n".join(str(k) for k in self.program.kernels)
        if stage in ("llvm", "asm"):
            from lucid.runtime.compilation import module_text

            text = module_text(self.program)
            return text if stage == "llvm" else assembly(text, self.program.target)
        raise IRError(f"there is no stage {stage!r}")
