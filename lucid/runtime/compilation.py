"""From a graph to object code: passes, lowering, LLVM text, LLVM. Not imported if all comes from the cache.

LLVM works in a thread of its own beside the lowering, on several kernels at a time. Which kernels share an object
depends on their texts alone, so that equal graphs give equal objects.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from time import perf_counter

from lucid.codegen.emit import Function, emit_kernel
from lucid.codegen.loops import Kernel
from lucid.codegen.module import (
    Argument,
    Call,
    Moving,
    Passage,
    emit_chain,
    emit_entry,
    emit_module,
    emit_parallel,
    emit_task,
    parallel_turns,
    split_parallel,
)
from lucid.codegen.program import Override, Program, Step, generate
from lucid.codegen.strategy import SMALLEST_SHARED_WORK
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node
from lucid.ir.passes.pipeline import Pipeline
from lucid.runtime.binary import ARENA, FIRST, PARALLEL, SCRATCH, STATIC, THREADS, Binary
from lucid.runtime.jit import Object, compile_object
from lucid.runtime.orders import Orders
from lucid.runtime.pacing import compiling
from lucid.runtime.progress import Progress
from lucid.runtime.tune import Tuner

#: Characters of LLVM text that are compiled together: enough to make an object worth its overhead, few enough that
#: LLVM starts early.
_PART = 60_000
#: Calls of kernels from which on the code that only calls is compiled apart, without optimisation: that takes a tenth
#: of the time.
_MANY_CALLS = 64


def lower(
    graph: Graph,
    target: Target,
    passes: Pipeline | None,
    parameters: Collection[Node],
    in_place: Mapping[int, int],
    orders: Orders,
    override: Override | None,
    tune: bool,
    ready: Callable[[Kernel, int], None] | None = None,
) -> Program:
    """The program of a graph; the arguments are those of ``build`` and of ``generate``."""
    graph = graph if passes is None else passes(graph)
    tuner = Tuner(target) if tune else None
    return generate(
        graph,
        target,
        parameters=parameters,
        in_place=in_place,
        input_orders=orders.inputs,
        output_orders=orders.outputs,
        override=override,
        ready=ready,
        tune=tuner,
    )


def compile_graph(
    graph: Graph,
    target: Target,
    passes: Pipeline | None,
    parameters: Collection[Node],
    in_place: Mapping[int, int],
    orders: Orders,
    override: Override | None,
    tune: bool,
    name: str,
) -> tuple[Program, Binary, dict[str, float]]:
    """The program of a graph, its machine code, and the seconds that each part took.

    LLVM's seconds are those that everything else had to wait for it. A progress line calls the graph ``name``.
    """
    started = perf_counter()
    progress = Progress(name)
    with compiling(), ThreadPoolExecutor(1, "lucid-llvm") as llvm:
        parts = _Parts(target, llvm)

        def ready(kernel: Kernel, work: int) -> None:
            parts.add(kernel_functions(kernel, work, target))
            progress(f"{parts.kernels} kernels lowered")

        try:
            program = lower(graph, target, passes, parameters, in_place, orders, override, tune, ready)
            parts.finish(calling_functions(program), apart=len(program.steps) >= _MANY_CALLS)
            lowered = perf_counter()
            objects: list[Object] = []
            for part in parts.objects:
                progress(f"{len(objects)} of {len(parts.objects)} objects made")
                objects.append(part.result())
        finally:
            llvm.shutdown(cancel_futures=True)
            progress.close()
    finished = perf_counter()
    seconds = {"lower": lowered - started - parts.seconds, "emit": parts.seconds, "llvm": finished - lowered}
    parallel = bool(program.chains) or any(map(shared_turns, program.kernels, program.work))
    return program, Binary.of(program, objects, parallel), seconds


class _Parts:
    """LLVM texts of some kernels each, compiled in a thread while others are written."""

    def __init__(self, target: Target, llvm: ThreadPoolExecutor):
        self.target = target
        self.llvm = llvm
        self.objects: list[Future[Object]] = []
        self.kernels = 0
        #: Spent writing texts.
        self.seconds = 0.0
        self._functions: list[Function] = []
        self._size = 0

    def add(self, functions: Iterable[Function]) -> None:
        """The functions of one kernel, which stay together."""
        started = perf_counter()
        for function in functions:
            self._functions.append(function)
            self._size += len(function.text)
        self.kernels += 1
        if self._size > _PART:
            self._flush()
        self.seconds += perf_counter() - started

    def finish(self, calling: Iterable[Function], apart: bool) -> None:
        """Add what calls the kernels, in an object of its own if ``apart``, and send off everything."""
        started = perf_counter()
        if apart:
            self._flush()
        self._functions += calling
        self._flush(optimise=not apart)
        self.seconds += perf_counter() - started

    def _flush(self, optimise: bool = True) -> None:
        if self._functions:
            text = emit_module(self._functions, self.target)
            self.objects.append(self.llvm.submit(compile_object, text, self.target, optimise))
            self._functions, self._size = [], 0


def module_text(program: Program) -> str:
    """The program's kernels and its two entries, ``run`` and ``prologue``, as one LLVM module."""
    functions: list[Function] = []
    for kernel, work in zip(program.kernels, program.work, strict=True):
        functions += kernel_functions(kernel, work, program.target)
    return emit_module([*functions, *calling_functions(program)], program.target)


def shared_turns(kernel: Kernel, work: int) -> int:
    """Turns of a kernel's parallel loop, or 0 if it has none or too little work to share."""
    return parallel_turns(kernel) if work >= SMALLEST_SHARED_WORK else 0


def kernel_functions(kernel: Kernel, work: int, target: Target) -> Iterator[Function]:
    """A kernel, whole or in the parts that threads share."""
    if shared_turns(kernel, work):
        yield from emit_parallel(kernel, target, symbol=kernel.name)
    else:
        yield emit_kernel(kernel, target, symbol=kernel.name)


def calling_functions(program: Program) -> Iterator[Function]:
    """``prologue`` and ``run``, which call the kernels of the program's steps, and the tasks that threads share."""
    inputs = len(program.graph.inputs)

    def moving(step: Step, value: Hashable) -> Moving:
        place = program.place(step, value)
        if place.region == "input":
            return Moving(FIRST + place.at, 0, place.stride)
        if place.region == "output":
            return Moving(FIRST + inputs + place.at, 0, place.stride)
        region = {"arena": ARENA, "static": STATIC, "scratch": SCRATCH}[place.region]
        return Moving(region, place.at, place.stride)

    turns = [shared_turns(k, w) for k, w in zip(program.kernels, program.work, strict=True)]
    rests = [bool(n) and split_parallel(k)[1] is not None for k, n in zip(program.kernels, turns, strict=True)]
    for kernel, shared in zip(program.kernels, turns, strict=True):
        if shared:
            yield emit_task(kernel, symbol=kernel.name)

    def call(step: Step) -> Call:
        slots: list[Argument] = [(x.slot, x.at) for x in (moving(step, v) for v in step.arguments)]
        return Call(program.kernels[step.kernel].name, slots, turns[step.kernel], rests[step.kernel])

    calls: list[Call | Passage] = []
    for steps, chain in program.runs():
        if chain is None:
            calls += map(call, steps)
        else:
            passage = Passage(f"chain{chain.first}", chain.images)
            members = [(program.kernels[s.kernel].name, [moving(s, v) for v in s.arguments]) for s in steps]
            yield emit_chain(passage.symbol, members, SCRATCH, program.chains[chain].size)
            calls.append(passage)
    yield emit_entry("prologue", map(call, program.prologue), (THREADS, PARALLEL))
    yield emit_entry("run", calls, (THREADS, PARALLEL))
