"""Loop nests as LLVM text. Knows the loop IR and the target; the graph, schedules and the JIT are none of its business.

Registers become SSA values with a phi at each loop that sets them; loops are tested at the bottom and, where their
bounds are literals, unguarded. Offsets are taken apart into multiples of loop variables: a pointer walks along with
each loop, and what is constant goes into the instruction's displacement. What ``ssa.Builder`` does to every instruction
(once, and outside the loops it does not depend on) is all the optimisation there is; no LLVM pass runs after it.

A kernel becomes ``void @symbol(ptr, ptr, ...)``, one pointer per buffer, aligned to its element. With ``ranged`` it
takes two more ``i64``, the first and the past-the-last turn of its parallel loop to run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lucid.codegen import arithmetic, halves, instructions, mathlib
from lucid.codegen.instructions import element, literal, ll, suffix
from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
    Buffer,
    Convert,
    Fma,
    For,
    Gather,
    If,
    Iota,
    Kernel,
    Let,
    Lit,
    Prefetch,
    Read,
    Reg,
    Reinterpret,
    Scatter,
    Sel,
    Set,
    Shuffle,
    Splat,
    Stmt,
    Un,
    Value,
    Var,
    VType,
    Write,
)
from lucid.codegen.ssa import Builder
from lucid.codegen.target import Target
from lucid.errors import CodegenError
from lucid.ir.types import bool_, is_half, uint8


@dataclass(frozen=True)
class Function:
    """LLVM text of one function, and the declarations it needs."""

    symbol: str
    text: str
    declarations: frozenset[str] = frozenset()


def emit_kernel(kernel: Kernel, target: Target, *, symbol: str, ranged: bool = False) -> Function:
    """``kernel`` as the function ``symbol``.

    Raises:
        CodegenError: an operation its type does not have, or ``ranged`` without a single outermost parallel loop.
    """
    return _Emitter(kernel, target, ranged).function(symbol)


def define(symbol: str, parameters: str, b: Builder) -> str:
    body = "\n".join(b.scopes[0].lines)
    return f"define void {global_name(symbol)}({parameters}) #0 {{\nentry:\n{body}\n  ret void\n}}"


def global_name(symbol: str) -> str:
    return f"@{symbol}" if re.fullmatch(r"[A-Za-z_.][\w.]*", symbol) else f'@"{symbol}"'


class _Affine(NamedTuple):
    """A position: the sum of multiples of SSA values, and a constant."""

    terms: tuple[tuple[str, int], ...]
    constant: int


class _Loop(NamedTuple):
    """An open loop: what its counter starts from, how it steps, and whether another loop is inside."""

    counter: str
    first: _Affine
    step: int
    innermost: bool


class _Emitter:
    def __init__(self, kernel: Kernel, target: Target, ranged: bool):
        self.kernel = kernel
        self.target = target
        self.b = Builder()
        self.pointers = {buf.name: f"%{buf.name}" if buf.name.isidentifier() else f"%b{k}"
                         for k, buf in enumerate(kernel.buffers)}  # fmt: skip
        self.bound: dict[str, str] = {}  # name of a Var -> SSA name or literal
        self.lets: dict[str, Value] = {}
        self.forms: dict[str, _Affine] = {}  # i64 names whose position is known
        self.registers: dict[str, VType] = {}
        self.loops: dict[int, _Loop] = {}  # by scope
        self.contents: dict[int, tuple[frozenset[str], bool]] = {}  # of statements, by identity
        self.memo: dict[int, tuple[Value, str]] = {}  # of one statement; keeps its values alive
        self.lasting: dict[int, tuple[Value, _Affine]] = {}  # positions that depend on nothing mutable
        self.streams = False
        self.ranged = self._parallel_loop() if ranged else None

    def _parallel_loop(self) -> For:
        body: list[Stmt] = [s for s in self.kernel.body if not isinstance(s, Let)]
        while len(body) == 1 and isinstance(body[0], For):
            if body[0].kind == "parallel":
                return body[0]
            body = list(body[0].body)
        raise CodegenError(f"kernel {self.kernel.name} has no single outermost parallel loop to split")

    def function(self, symbol: str) -> Function:
        for stmt in self.kernel.body:
            self.statement(stmt)
        if self.streams and self.target.triple.startswith("x86_64"):
            self.b.effect("call void @llvm.x86.sse.sfence()")  # streams are not ordered with what says they are done
        parameters = [
            f"ptr noalias {'readonly ' if buf.role == 'in' else ''}{self.pointers[buf.name]}"
            for buf in self.kernel.buffers
        ]
        if self.ranged is not None:
            parameters += ["i64 %range.first", "i64 %range.last"]
        text = define(symbol, ", ".join(parameters), self.b)
        return Function(symbol, text, frozenset(self.b.declarations))

    # --- statements ---------------------------------------------------------------------------------------------------

    def statement(self, stmt: Stmt) -> None:
        self.memo.clear()
        if isinstance(stmt, Set):
            self.bound[stmt.var.name] = self.value(stmt.value)
        elif isinstance(stmt, Let | Reg):
            self.declare(stmt)
        elif isinstance(stmt, Write):
            self.write(stmt)
        elif isinstance(stmt, Scatter):
            self.scatter(stmt)
        elif isinstance(stmt, Prefetch):
            pointer = self.pointer(stmt.buffer, self.affine(stmt.offset), self.b.current)
            self.b.effect(f"call void @llvm.prefetch.p0(ptr {pointer}, i32 0, i32 3, i32 1)")
        elif isinstance(stmt, For):
            self.loop(stmt)
        else:
            condition = self.value(stmt.condition)
            before = self.open_branch()
            for inner in stmt.body:
                self.statement(inner)
            self.close_branch(condition, before)

    def declare(self, stmt: Let | Reg) -> None:
        var = stmt.var
        if isinstance(stmt, Reg):
            self.bound[var.name] = self.value(stmt.init)
            self.registers[var.name] = var.type
            return
        self.bound[var.name] = self.value(stmt.value)
        self.lets[var.name] = stmt.value
        if var.type == INDEX:
            self.forms[var.name] = self.affine(stmt.value)

    def open_branch(self) -> dict[str, str]:
        """Start code that may not run; returns what the registers hold if it does not."""
        self.b.open("branch")
        return {name: self.bound[name] for name in self.registers}

    def close_branch(self, condition: str, before: dict[str, str]) -> None:
        changed = [name for name, value in before.items() if self.bound[name] != value]
        rows = [(ll(self.registers[n]), self.bound[n], before[n]) for n in changed]
        self.bound.update(zip(changed, self.b.close_branch(condition, rows), strict=True))
        self._forget_registers(before)

    def _forget_registers(self, outer: dict[str, str]) -> None:
        """Registers declared in a scope that closed are gone."""
        for name in [n for n in self.registers if n not in outer]:
            del self.registers[name]

    def loop(self, stmt: For) -> None:
        lo, hi = self.affine(stmt.lo), self.affine(stmt.hi)
        if stmt is self.ranged:
            lo = _combine(lo, _Affine((("%range.first", stmt.step),), 0), 1)
            hi = self._clip(hi, _combine(self.affine(stmt.lo), _Affine((("%range.last", stmt.step),), 0), 1))
        span = _combine(hi, lo, -1)
        if span.terms:  # the number of turns is not known here: perhaps none
            first, last = self.materialise(lo), self.materialise(hi)
            runs = self.b.free(f"icmp slt i64 {first}, {last}", first, last)
            before = self.open_branch()
            self.turns(stmt, lo, hi)
            self.close_branch(runs, before)
        elif span.constant > stmt.step:
            self.turns(stmt, lo, hi)
        elif span.constant > 0:  # exactly one turn
            self.bound[stmt.var.name] = self.materialise(lo)
            self.forms[stmt.var.name] = lo
            for inner in stmt.body:
                self.statement(inner)

    def _clip(self, hi: _Affine, last: _Affine) -> _Affine:
        """The smaller of a loop's end and a range's end, which may lie past it when the step does not divide."""
        a, z = self.materialise(hi), self.materialise(last)
        return _atom(self.b.free(f"call i64 @llvm.smin.i64(i64 {a}, i64 {z})", a, z))

    def turns(self, stmt: For, lo: _Affine, hi: _Affine) -> None:
        """A loop of which at least one turn happens."""
        b = self.b
        first, last = self.materialise(lo), self.materialise(hi)
        assigned, innermost = self._contents(stmt)
        carried = {n: t for n, t in self.registers.items() if n in assigned}
        outer = {name: self.bound[name] for name in self.registers}
        depth = b.open("loop")
        counter = b.phi(depth, "i64", first, _hint(stmt.var.name))
        phis = {n: b.phi(depth, ll(t), self.bound[n], _hint(n)) for n, t in carried.items()}
        self.bound[stmt.var.name] = counter.name
        self.bound.update((n, phi.name) for n, phi in phis.items())
        self.forms[stmt.var.name] = _atom(counter.name)
        self.loops[depth] = _Loop(counter.name, lo, stmt.step, innermost)
        for inner in stmt.body:
            self.statement(inner)
        b.close_loop(counter, stmt.step, last, {phi.name: self.bound[n] for n, phi in phis.items()})
        del self.loops[depth]
        for name in carried:
            b.survive(self.bound[name])
        self._forget_registers(outer)

    def _contents(self, stmt: For | If) -> tuple[frozenset[str], bool]:
        """The registers that are set somewhere inside, and whether no loop is."""
        found = self.contents.get(id(stmt))
        if found is None:
            inside = [self._contents(s) for s in stmt.body if isinstance(s, For | If)]
            own = [s.var.name for s in stmt.body if isinstance(s, Set)]
            loops = any(isinstance(s, For) for s in stmt.body) or not all(innermost for _, innermost in inside)
            found = self.contents[id(stmt)] = frozenset(own).union(*(names for names, _ in inside)), not loops
        return found

    def write(self, stmt: Write) -> None:
        value = self.stored(stmt.value)
        t = self.memory_type(stmt.buffer, stmt.value.type.lanes)
        mask = self.mask(stmt.mask)
        pointer = self.pointer(stmt.buffer, self.affine(stmt.offset), self.b.current)
        align = t.dtype.itemsize
        if stmt.stream:
            self.streams = True
            self.b.effect(f"store {ll(t)} {value}, ptr {pointer}, align {align * t.lanes}, !nontemporal !3")
            return
        if mask is None:
            self.b.effect(f"store {ll(t)} {value}, ptr {pointer}, align {align}")
            return
        lane = None if stmt.mask is None or t.lanes == 1 else self.only_lane(stmt.mask)
        if lane is not None:
            pointer = self.pointer(stmt.buffer, self.affine(Bin("add", stmt.offset, Lit(lane, INDEX))), self.b.current)
            one = self.b.pure(f"extractelement {ll(t)} {value}, i64 {lane}", value)
            self.b.effect(f"store {element(t.dtype)} {one}, ptr {pointer}, align {align}")
            return
        value, mask = self.as_vector(t, value), self.as_vector(VType(bool_, t.lanes), mask)
        kind = f"v{t.lanes}{suffix(VType(t.dtype))}"
        given = f"{_vector(t)} {value}, ptr {pointer}, i32 {align}, <{t.lanes} x i1> {mask}"
        self.b.effect(f"call void @llvm.masked.store.{kind}.p0({given})")

    def scatter(self, stmt: Scatter) -> None:
        value = self.stored(stmt.value)
        t = self.memory_type(stmt.buffer, stmt.value.type.lanes)
        places = self.places(stmt.buffer, stmt.offsets, t)
        mask = self.mask(stmt.mask) or literal(True, VType(bool_, t.lanes))
        given = f"{ll(t)} {value}, <{t.lanes} x ptr> {places}, i32 {t.dtype.itemsize}, <{t.lanes} x i1> {mask}"
        self.b.effect(f"call void @llvm.masked.scatter.{suffix(t)}.v{t.lanes}p0({given})")

    # --- memory -------------------------------------------------------------------------------------------------------

    def memory_type(self, buffer: Buffer, lanes: int) -> VType:
        """A bool is a byte in memory."""
        return VType(uint8 if buffer.dtype == bool_ else buffer.dtype, lanes)

    def stored(self, value: Value) -> str:
        name = self.value(value)
        if value.type.dtype != bool_:
            return name
        return instructions.convert(self.b, value.type, VType(uint8, value.type.lanes), name)

    def mask(self, mask: Value | None) -> str | None:
        return None if mask is None else self.value(mask)

    def only_lane(self, mask: Value) -> int | None:
        """The one lane that a constant mask leaves; None if there are others, or the mask is known at run time only.

        LLVM makes a scalar store of such a masked one, as wide as the lane before it was truncated: beyond the end.
        """
        known = self.constant(mask)
        if known is None or np.count_nonzero(known) != 1:
            return None
        return int(np.argmax(known))

    def constant(self, v: Value) -> np.ndarray[Any, Any] | None:
        """The lanes of a value made of literals and comparisons of them; None if it is something else."""
        if isinstance(v, Lit):
            return np.full(v.type.lanes, v.value, v.type.dtype)
        if isinstance(v, Iota):
            return np.arange(v.type.lanes)
        if isinstance(v, Var):
            if v.name in self.lets:
                return self.constant(self.lets[v.name])
            name = self.bound[v.name]
            return np.array([int(name)]) if v.type == INDEX and name.lstrip("-").isdigit() else None
        parts = [self.constant(c) for c in v.children()] if isinstance(v, Bin | Splat) else [None]
        known = [p for p in parts if p is not None]
        if len(known) < len(parts):
            return None
        if isinstance(v, Bin):
            return np.atleast_1d(arithmetic.binary(v.op, VType(v.a.type.dtype, 2))(*known))
        return np.repeat(known[0], v.type.lanes)

    def as_vector(self, t: VType, value: str) -> str:
        """A masked scalar access is a masked access of a vector of one lane."""
        if t.lanes > 1:
            return value
        return self.b.pure(f"insertelement {_vector(t)} poison, {ll(t)} {value}, i64 0", value)

    def pointer(self, buffer: Buffer, at: _Affine, depth: int) -> str:
        """The address of a position, ready in the scope at ``depth``.

        The walking part is shared by all accesses that differ by a constant. It carries no ``inbounds``: partial sums
        may lie outside the buffer.
        """
        base = self.base(buffer, at)
        if at.constant == 0:
            return base
        kind = element(self.memory_type(buffer, 1).dtype)
        return self.b.at(depth, f"getelementptr {kind}, ptr {base}, i64 {at.constant}")

    def base(self, buffer: Buffer, at: _Affine) -> str:
        """The address of a position without its constant: built from the outermost variable inwards."""
        b = self.b
        pointer = self.pointers[buffer.name]
        key = (pointer, at.terms)
        found = b.recall(key)
        if found is not None:
            return found
        kind = element(self.memory_type(buffer, 1).dtype)
        for name, factor in sorted(at.terms, key=self._from_outside):
            loop = self.loops.get(b.depth(name))
            walks = loop is not None and loop.counter == name and not (loop.innermost and factor == 1)
            if loop is not None and walks:
                first = self.materialise(_scaled(loop.first, factor))
                start = int(first) if first.lstrip("-").isdigit() else first
                pointer = b.advance(b.depth(name), pointer, kind, start, factor * loop.step)
            else:
                index = self.materialise(_Affine(((name, factor),), 0))
                pointer = b.free(f"getelementptr {kind}, ptr {pointer}, i64 {index}", pointer, index)
        b.remember(key, pointer, b.depth(pointer))
        return pointer

    def _from_outside(self, term: tuple[str, int]) -> tuple[int, bool, str]:
        """Order of terms: by loop, a loop's own counter before what is computed inside it."""
        depth = self.b.depth(term[0])
        loop = self.loops.get(depth)
        return depth, loop is None or loop.counter != term[0], term[0]

    def read(self, v: Read) -> str:
        t = self.memory_type(v.buffer, v.type.lanes)
        at = self.affine(v.offset)
        constant = v.buffer.role == "in"
        mask = self.mask(v.mask)
        operands = [self.base(v.buffer, at)] + ([mask] if mask is not None else [])
        depth = max(self.b.depth(*operands), self.b.floor) if constant else self.b.current
        pointer = self.pointer(v.buffer, at, depth)
        align = t.dtype.itemsize
        if mask is None:
            text = f"load {ll(t)}, ptr {pointer}, align {align}"
        else:
            mask = self.as_vector(VType(bool_, t.lanes), mask)
            operands.append(mask)
            kind = f"v{t.lanes}{suffix(VType(t.dtype))}"
            given = f"ptr {pointer}, i32 {align}, <{t.lanes} x i1> {mask}, {_vector(t)} zeroinitializer"
            text = f"call {_vector(t)} @llvm.masked.load.{kind}.p0({given})"
        name = self.b.pure(text, pointer, *operands) if constant else self.b.here(text)
        if mask is not None and t.lanes == 1:
            name = self.b.pure(f"extractelement {_vector(t)} {name}, i64 0", name)
        return self.loaded(v, t, name)

    def gather(self, v: Gather) -> str:
        t = self.memory_type(v.buffer, v.type.lanes)
        places = self.places(v.buffer, v.offsets, t)
        mask = self.mask(v.mask) or literal(True, VType(bool_, t.lanes))
        given = f"<{t.lanes} x ptr> {places}, i32 {t.dtype.itemsize}, <{t.lanes} x i1> {mask}, {ll(t)} zeroinitializer"
        text = f"call {ll(t)} @llvm.masked.gather.{suffix(t)}.v{t.lanes}p0({given})"
        constant = v.buffer.role == "in"
        return self.loaded(v, t, self.b.pure(text, places, mask) if constant else self.b.here(text))

    def places(self, buffer: Buffer, offsets: Value, t: VType) -> str:
        index, pointer = self.value(offsets), self.pointers[buffer.name]
        text = f"getelementptr {element(t.dtype)}, ptr {pointer}, <{t.lanes} x i64> {index}"
        return self.b.free(text, index)

    def loaded(self, v: Read | Gather, t: VType, name: str) -> str:
        return instructions.convert(self.b, t, v.type, name) if v.type.dtype == bool_ else name

    # --- positions ----------------------------------------------------------------------------------------------------

    def affine(self, v: Value) -> _Affine:
        """A position as multiples of SSA values; what is not a sum or a multiple becomes one of those values."""
        if isinstance(v, Lit):
            return _Affine((), int(v.value))
        if isinstance(v, Var):
            return self.forms.get(v.name) or _atom(self.bound[v.name])
        if not isinstance(v, Bin) or v.op not in ("add", "sub", "mul"):
            return _atom(self.value(v))
        known = self.lasting.get(id(v))
        if known is not None:
            return known[1]
        x, y = self.affine(v.a), self.affine(v.b)
        if v.op != "mul":
            form = _combine(x, y, 1 if v.op == "add" else -1)
        elif x.terms and y.terms:
            return _atom(self.value(v))
        else:
            form = _scaled(x, y.constant) if x.terms else _scaled(y, x.constant)
        if self.lasts(v.a) and self.lasts(v.b):
            self.lasting[id(v)] = v, form
        return form

    def lasts(self, v: Value) -> bool:
        """Whether a position means the same in every statement: it is made of names that are bound once."""
        return isinstance(v, Lit) or (v.name in self.forms if isinstance(v, Var) else id(v) in self.lasting)

    def materialise(self, at: _Affine) -> str:
        """A position as an operand."""
        total = ""
        for name, factor in sorted(at.terms, key=self._from_outside):
            part = name if factor == 1 else self.b.free(f"mul i64 {name}, {factor}", name)
            total = self.b.free(f"add i64 {total}, {part}", total, part) if total else part
        if not total:
            return str(at.constant)
        return self.b.free(f"add i64 {total}, {at.constant}", total) if at.constant else total

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self, root: Value) -> str:
        """The SSA name or literal of a value; shared parts are looked at once."""
        memo = self.memo
        stack = [root]
        while stack:
            v = stack[-1]
            if id(v) in memo:
                stack.pop()
                continue
            operands = _operands(v)
            waiting = [c for c in operands if id(c) not in memo]
            if waiting:
                stack += waiting
                continue
            stack.pop()
            memo[id(v)] = (v, self.one(v, [memo[id(c)][1] for c in operands]))
        return memo[id(root)][1]

    def one(self, v: Value, operands: Sequence[str]) -> str:
        b = self.b
        if isinstance(v, Var):
            return self.bound[v.name]
        if isinstance(v, Lit):
            return literal(v.value, v.type)
        if isinstance(v, Fma):
            return instructions.fma(b, v.type, *operands)
        if isinstance(v, Splat):
            return instructions.splat(b, v.type, *operands)
        if isinstance(v, Read):
            return self.read(v)
        if isinstance(v, Un | Bin):
            return self.operation(v, operands)
        if isinstance(v, Sel):
            return instructions.select(b, v.type, *operands)
        if isinstance(v, Convert):
            return self.convert(v, *operands)
        if isinstance(v, Reinterpret):
            return instructions.reinterpret(b, v.x.type, v.type, *operands)
        if isinstance(v, Iota):
            return instructions.iota(v.type)
        if isinstance(v, Gather):
            return self.gather(v)
        if isinstance(v, Shuffle):
            return instructions.shuffle(b, v.a.type, v.picks, *operands)
        if isinstance(v, Across):
            return instructions.across(b, v.x.type, v.kind, *operands)
        raise CodegenError(f"not a value of the loop IR: {type(v).__name__}")

    def convert(self, v: Convert, x: str) -> str:
        if v.x.type.dtype == v.type.dtype:
            return x
        if is_half(v.x.type.dtype):
            return halves.widen(self.b, v.x.type, x, instruction=self.target.has_float16)
        if is_half(v.type.dtype):
            return halves.narrow(self.b, v.type, x, instruction=self.target.has_float16)
        return instructions.convert(self.b, v.x.type, v.type, x)

    def operation(self, v: Un | Bin, operands: Sequence[str]) -> str:
        """An instruction or several, arithmetic of ``mathlib``, or a library call."""
        expanded = mathlib.expand(v, fma=self.target.has_fma, scales=self.target.scales)
        if expanded is None:
            if v.op == "ldexp":
                x, n = operands
                return instructions.ldexp(self.b, v.type, x, n, instruction=self.target.scales)
            if isinstance(v, Bin):
                return instructions.binary(self.b, v.a.type, v.op, *operands)
            return instructions.unary(self.b, v.x.type, v.op, *operands)
        usual = self.value(expanded)
        beyond = mathlib.beyond(v)
        if beyond is None:
            return usual
        return instructions.unless(self.b, v.type, self.value(beyond), usual, v.op, *operands)


def _operands(v: Value) -> tuple[Value, ...]:
    """Children to compute first; a read's offset is taken apart by itself."""
    return () if isinstance(v, Read | Gather) else v.children()


def _atom(name: str) -> _Affine:
    return _Affine((), int(name)) if name.lstrip("-").isdigit() else _Affine(((name, 1),), 0)


def _combine(x: _Affine, y: _Affine, sign: int) -> _Affine:
    if not y.terms:
        return _Affine(x.terms, x.constant + sign * y.constant)
    terms = dict(x.terms)
    for name, factor in y.terms:
        terms[name] = terms.get(name, 0) + sign * factor
    return _Affine(tuple(sorted((n, f) for n, f in terms.items() if f)), x.constant + sign * y.constant)


def _scaled(x: _Affine, factor: int) -> _Affine:
    if factor == 0:
        return _Affine((), 0)
    return _Affine(tuple((n, f * factor) for n, f in x.terms), x.constant * factor)


def _hint(name: str) -> str:
    return name if name.isidentifier() and name.isascii() else "v"


def _vector(t: VType) -> str:
    """LLVM's vector type, also of one lane."""
    return f"<{t.lanes} x {element(t.dtype)}>"
