"""From a graph to object code: passes, lowering, LLVM text, LLVM. Not imported if all comes from the cache."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from time import perf_counter

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
from lucid.ir.graph import Graph, Node
from lucid.ir.passes.pipeline import Pipeline
from lucid.runtime.binary import ARENA, FIRST, PARALLEL, STATIC, THREADS, Binary
from lucid.runtime.jit import compile_object


def lower(
    graph: Graph,
    target: Target,
    passes: Pipeline | None,
    parameters: Collection[Node],
    in_place: Mapping[int, int],
    override: Override | None,
    seconds: dict[str, float],
) -> Program:
    """The program of a graph; the arguments are those of ``build``. Adds to ``seconds`` what each part took."""
    started = perf_counter()
    optimised = graph if passes is None else passes(graph)
    lowering = perf_counter()
    program = generate(optimised, target, parameters=parameters, in_place=in_place, override=override)
    seconds.update(passes=lowering - started, lower=perf_counter() - lowering)
    return program


def compile_program(program: Program, seconds: dict[str, float]) -> Binary:
    """The machine code of a program. Adds to ``seconds`` what each part took."""
    started = perf_counter()
    text = module_text(program)
    emitted = perf_counter()
    binary = Binary.of(program, compile_object(text, program.target))
    seconds.update(emit=emitted - started, llvm=perf_counter() - emitted)
    return binary


def worth_sharing(program: Program, number: int) -> int:
    """Turns of a kernel's parallel loop, or 0 if it has none or too little work to share."""
    work = max(s.work for s in (*program.prologue, *program.steps) if s.kernel == number)
    return parallel_turns(program.kernels[number]) if work >= SMALLEST_SHARED_WORK else 0


def module_text(program: Program) -> str:
    """The program's kernels and its two entries, ``run`` and ``prologue``, as LLVM text."""
    target = program.target
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
            return FIRST + place.at
        if place.region == "output":
            return FIRST + count + place.at
        return (ARENA if place.region == "arena" else STATIC), place.at

    def calls(steps: Sequence[Step]) -> list[Call]:
        result = []
        for step in steps:
            kernel, turns = program.kernels[step.kernel], shared[step.kernel]
            rest = bool(turns) and split_parallel(kernel)[1] is not None
            result.append(Call(kernel.name, [slot(v) for v in step.arguments], turns, rest))
        return result

    functions.append(emit_entry("prologue", calls(program.prologue), (THREADS, PARALLEL)))
    functions.append(emit_entry("run", calls(program.steps), (THREADS, PARALLEL)))
    return emit_module(functions, target)
