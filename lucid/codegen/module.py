"""A program's LLVM module: kernels side by side, and the entry that calls them with addresses from a table.

A kernel whose loop several threads may share is split here into what they share and what stands beside it. Knows the
shape of kernels, not their content.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from lucid.codegen.emit import Function, define, emit_kernel, global_name
from lucid.codegen.loops import For, Kernel, Let, Lit, Reg, Set, Stmt
from lucid.codegen.plan import plan_scratch
from lucid.codegen.ssa import Builder
from lucid.codegen.target import Target
from lucid.errors import CodegenError

#: A slot of the address table (an array of pointers), or one at a distance in bytes.
Argument = int | tuple[int, int]


class Call(NamedTuple):
    """One kernel call of an entry: its arguments, and, if threads share it, its turns and whether it has a rest."""

    symbol: str
    arguments: Sequence[Argument]
    turns: int = 0
    rest: bool = False


class Passage(NamedTuple):
    """A chain of kernels: the function that ``emit_chain`` makes, and how many images threads share."""

    symbol: str
    images: int


class Moving(NamedTuple):
    """An argument of a chain's kernel: a slot of the address table, a distance, and that from image to image."""

    slot: int
    at: int
    stride: int


def emit_entry(symbol: str, calls: Iterable[Call | Passage], pool: tuple[int, int] = (0, 0)) -> Function:
    """``void @symbol(ptr %table)``: calls kernels in order, with addresses from the table.

    ``pool`` names the slots of the thread pool and of the function that shares a task's turns among its threads. The
    kernels may be in another module.
    """
    b = Builder()
    calls = list(calls)
    most = max((len(call.arguments) for call in calls if isinstance(call, Call) and call.turns), default=0)
    declarations: set[str] = set()

    def function(symbol: str, parameters: str) -> str:
        declarations.add(f"declare void {global_name(symbol)}({parameters})")
        return global_name(symbol)

    def at(argument: Argument) -> str:
        slot, distance = argument if isinstance(argument, tuple) else (argument, 0)
        cell = b.pure(f"getelementptr ptr, ptr %table, i64 {slot}")
        pointer = b.pure(f"load ptr, ptr {cell}, align 8", cell)
        return b.pure(f"getelementptr i8, ptr {pointer}, i64 {distance}") if distance else pointer

    def share(task: str, arguments: str, turns: int) -> None:
        b.effect(f"call void {at(pool[1])}(ptr {at(pool[0])}, ptr {task}, ptr {arguments}, i64 {turns})")

    for call in calls:
        if isinstance(call, Passage):
            share(function(call.symbol, "ptr, i64, i64, i64"), "%table", call.images)
            continue
        pointers = [at(argument) for argument in call.arguments]
        passed = ", ".join(f"ptr {p}" for p in pointers)
        types = ", ".join(["ptr"] * len(pointers))
        if not call.turns:
            b.effect(f"call void {function(call.symbol, types)}({passed})")
            continue
        shared = b.pure(f"alloca [{most} x ptr], align 8")
        for k, pointer in enumerate(pointers):
            b.effect(f"store ptr {pointer}, ptr {b.pure(f'getelementptr ptr, ptr {shared}, i64 {k}', shared)}, align 8")
        share(function(f"{call.symbol}.task", "ptr, i64, i64, i64"), shared, call.turns)
        if call.rest:
            b.effect(f"call void {function(f'{call.symbol}.rest', types)}({passed})")
    return Function(symbol, define(symbol, "ptr noalias readonly %table", b), frozenset(declarations))


def emit_parallel(kernel: Kernel, target: Target, *, symbol: str) -> list[Function]:
    """A kernel whose parallel loop several threads may share.

    ``@symbol.range`` runs some turns of the loop, and ``@symbol.rest`` is what stands beside it, if anything does.
    """
    shared, rest, _ = split_parallel(kernel)
    functions = [emit_kernel(shared, target, symbol=f"{symbol}.range", ranged=True)]
    if rest is not None:
        functions.append(emit_kernel(rest, target, symbol=f"{symbol}.rest"))
    return functions


def emit_task(kernel: Kernel, *, symbol: str) -> Function:
    """``@symbol.task``: runs ``@symbol.range``, which may be in another module, on pointers in an array.

    It is told the number of the thread, which has scratch memory of its own.
    """
    lines = [f"  %mine = mul i64 %who, {plan_scratch(kernel).size}"]
    for k, buffer in enumerate(kernel.buffers):
        lines.append(f"  %a{k} = getelementptr ptr, ptr %arguments, i64 {k}")
        if buffer.role == "scratch":
            lines.append(f"  %s{k} = load ptr, ptr %a{k}, align 8")
            lines.append(f"  %p{k} = getelementptr i8, ptr %s{k}, i64 %mine")
        else:
            lines.append(f"  %p{k} = load ptr, ptr %a{k}, align 8")
    passed = ", ".join(f"ptr %p{k}" for k in range(len(kernel.buffers)))
    name = global_name(f"{symbol}.range")
    lines.append(f"  call void {name}({passed}, i64 %first, i64 %last)")
    body = "\n".join(lines)
    head = f"define void {global_name(f'{symbol}.task')}(ptr %arguments, i64 %first, i64 %last, i64 %who) #0"
    types = ", ".join([*["ptr"] * len(kernel.buffers), "i64", "i64"])
    return Function(
        f"{symbol}.task", f"{head} {{\n{body}\n  ret void\n}}", frozenset((f"declare void {name}({types})",))
    )


def emit_chain(symbol: str, calls: Sequence[tuple[str, Sequence[Moving]]], mine: int, size: int) -> Function:
    """``void @symbol(ptr %table, i64 %first, i64 %last, i64 %who)``: kernels one after the other, image by image.

    Slot ``mine`` of the table holds the threads' memory, ``size`` bytes for each. The kernels may be in another module.
    """
    begin = [f"  %mine = mul i64 %who, {size}"]
    for slot in dict.fromkeys(x.slot for _, arguments in calls for x in arguments):
        begin.append(f"  %c{slot} = getelementptr ptr, ptr %table, i64 {slot}")
        begin.append(f"  %t{slot} = load ptr, ptr %c{slot}, align 8")
        begin.append(f"  %b{slot} = getelementptr i8, ptr %t{slot}, i64 {'%mine' if slot == mine else 0}")
    each: list[str] = []
    pointers: dict[Moving, str] = {}
    declarations: set[str] = set()
    for called, arguments in calls:
        for x in arguments:
            if x not in pointers:
                k = len(pointers)
                pointers[x] = f"%p{k}"
                each.append(f"  %m{k} = mul i64 %image, {x.stride}")
                each.append(f"  %o{k} = add i64 %m{k}, {x.at}")
                each.append(f"  %p{k} = getelementptr i8, ptr %b{x.slot}, i64 %o{k}")
        passed = ", ".join(f"ptr {pointers[x]}" for x in arguments)
        declarations.add(f"declare void {global_name(called)}({', '.join(['ptr'] * len(arguments))})")
        each.append(f"  call void {global_name(called)}({passed})")
    lines = [
        f"define void {global_name(symbol)}(ptr %table, i64 %first, i64 %last, i64 %who) #0 {{",
        "entry:",
        *begin,
        "  br label %loop",
        "loop:",
        "  %image = phi i64 [ %first, %entry ], [ %next, %loop ]",
        *each,
        "  %next = add i64 %image, 1",
        "  %more = icmp slt i64 %next, %last",
        "  br i1 %more, label %loop, label %done",
        "done:",
        "  ret void",
        "}",
    ]
    return Function(symbol, "\n".join(lines), frozenset(declarations))


def parallel_turns(kernel: Kernel) -> int:
    """Turns of the loop that threads may share; 0 if there is none."""
    try:
        return split_parallel(kernel)[2]
    except CodegenError:
        return 0


def split_parallel(kernel: Kernel) -> tuple[Kernel, Kernel | None, int]:
    """The statement that holds the parallel loop, the others, and the loop's turns.

    The loop may stand inside serial loops that hold nothing else: each thread then runs those, and its share inside.

    Raises:
        CodegenError: there is no such loop, or what stands beside it is not independent of it.
    """
    for k, stmt in enumerate(kernel.body):
        loop: Stmt = stmt
        while isinstance(loop, For) and loop.kind == "serial" and len(loop.body) == 1:
            loop = loop.body[0]
        if isinstance(loop, For) and loop.kind == "parallel" and isinstance(loop.lo, Lit) and isinstance(loop.hi, Lit):
            others = kernel.body[:k] + kernel.body[k + 1 :]
            if any(isinstance(s, Let | Reg | Set) for s in others):
                break
            turns = len(range(int(loop.lo.value), int(loop.hi.value), loop.step))
            rest = Kernel(kernel.name, kernel.buffers, others) if others else None
            return Kernel(kernel.name, kernel.buffers, (stmt,)), rest, turns
    raise CodegenError(f"kernel {kernel.name} has no parallel loop that stands apart")


def emit_module(functions: Sequence[Function], target: Target) -> str:
    """One LLVM module that holds all the functions, ready to be compiled for ``target``."""
    symbols = [f.symbol for f in functions]
    if len(set(symbols)) != len(symbols):
        raise CodegenError("two functions of one module have the same symbol")
    defined = {f"declare void {global_name(symbol)}" for symbol in symbols}
    wanted = set[str]().union(*(f.declarations for f in functions))
    declarations = sorted(d for d in wanted if d.partition("(")[0] not in defined)
    bits = target.vector_bytes * 8
    attributes = {
        "target-cpu": target.cpu,
        "target-features": target.feature_string,
        "prefer-vector-width": str(bits),
        "min-legal-vector-width": str(bits),
        "no-trapping-math": "true",
    }
    quoted = " ".join(f'"{name}"="{value}"' for name, value in attributes.items() if value)
    tail = [
        f"attributes #0 = {{ nounwind {quoted} }}",
        "!0 = distinct !{!0, !1}",
        '!1 = !{!"llvm.loop.unroll.disable"}',
        '!2 = !{!"branch_weights", i32 1, i32 1000000}',
        "!3 = !{i32 1}",
    ]
    head = f'target triple = "{target.triple}"'
    return "\n\n".join([head, *(f.text for f in functions), *declarations, "\n".join(tail)]) + "\n"
