"""Lowering to the map/reduce nest: loops over the output in memory order, reductions placed as far out as they can go.

The nest is vectorised along the output's innermost axis, or, where the reduced operand is the contiguous one, along the
reduction. With one lane and nothing reordered it is the naive nest: the oracle for every schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from lucid.codegen.access import Access, Placed, PlacedStore, accesses, coefficient
from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
    Convert,
    Fma,
    For,
    Gather,
    If,
    Iota,
    Kernel,
    Let,
    Lit,
    LoopKind,
    Read,
    Reg,
    Reinterpret,
    Scatter,
    Sel,
    Set,
    Splat,
    Stmt,
    Un,
    Value,
    Var,
    VType,
    Write,
    integer,
)
from lucid.codegen.order import collapse, in_memory_order
from lucid.errors import IRError
from lucid.ir.expr import (
    Axis,
    Binary,
    Bitcast,
    Cast,
    Const,
    Expr,
    Reduce,
    Select,
    Unary,
    free_axes,
    identity,
    walk,
)
from lucid.ir.types import bool_, int64, is_float


def lower_naive(placed: Placed, name: str, *, fma: bool = True, note: str = "") -> Kernel:
    """Scalar loops in the order written."""
    return Nest(placed, lanes=1, unroll=1, fma=fma).build(name, note)


def lower_map(placed: Placed, name: str, *, lanes: int, unroll: int, fma: bool = True, note: str = "") -> Kernel:
    """Loops in memory order, collapsed where strides allow, vectorised; sums of products fused if ``fma``."""
    placed = collapse(in_memory_order(placed))
    return Nest(placed, lanes=lanes, unroll=unroll, fma=fma).build(name, note)


@dataclass
class Frame:
    """What an expression means here: positions of the axes, the vector axis if one is active, the lanes that count."""

    position: dict[Axis, Value]
    vector: Axis | None = None
    lanes: int = 1
    mask: Value | None = None
    memo: dict[int, Value] = field(default_factory=dict)

    def inner(self, axis: Axis, at: Value) -> Frame:
        return Frame({**self.position, axis: at}, self.vector, self.lanes, self.mask)

    def vectorised(self, axis: Axis, base: Value, lanes: int, mask: Value | None) -> Frame:
        return Frame({**self.position, axis: base}, axis, lanes, mask)


class Nest:
    """Builds one kernel; the contraction nest extends it with register tiles."""

    def __init__(self, placed: Placed, lanes: int, unroll: int, fma: bool):
        self.placed = placed
        self.fma = fma
        self.lanes = lanes
        self.unroll = unroll
        self.names: dict[str, int] = {}
        self.reduced: dict[Reduce, Value] = {}
        self.free: dict[int, frozenset[Axis]] = {}
        self.keep: list[Expr] = []  # expressions looked up by id stay alive
        self.shared = _shared(placed)

    def build(self, name: str, note: str) -> Kernel:
        body: list[Stmt] = []
        axes = [a for a in self.placed.axes if a.extent > 1]
        position: dict[Axis, Value] = {a: integer(0) for a in self.placed.axes if a.extent == 1}
        if all(a.extent > 0 for a in self.placed.axes):
            self._loops(axes, Frame(position), body, outermost=True)
        return Kernel(name, self.placed.buffers, tuple(body), note)

    def fresh(self, stem: str) -> str:
        count = self.names.get(stem, 0)
        self.names[stem] = count + 1
        return stem if count == 0 else f"{stem}_{count}"

    def _loops(self, axes: list[Axis], frame: Frame, body: list[Stmt], outermost: bool = False) -> None:
        self._hoist_reductions(frame, body, axes)
        if not axes:
            for store in self.placed.stores:
                self.store(store, frame, body)
            return
        axis, rest = axes[0], axes[1:]
        if not rest and self._vectorise(axis):
            self._vector_loop(axis, frame, body, outermost)
            return
        var = Var(self.fresh(axis.name), INDEX)
        inside: list[Stmt] = []
        saved = dict(self.reduced)
        self._loops(rest, frame.inner(axis, var), inside)
        self.reduced = saved
        kind: LoopKind = "parallel" if outermost else "serial"
        body.append(For(var, integer(0), integer(axis.extent), 1, tuple(inside), kind))

    def steps(
        self,
        axis: Axis,
        step: int,
        inside: Callable[[Value, int, list[Stmt]], None],
        body: list[Stmt],
        kind: LoopKind = "serial",
        *,
        whole: bool = False,
    ) -> None:
        """``inside(position, count, statements)`` for every ``step`` positions of an axis; the last may be fewer.

        Args:
            whole: make one loop of it, whose last turn is what remains: threads share a single loop.
        """
        full = axis.extent // step * step
        left = axis.extent - full
        if full == 0:
            inside(integer(0), left, body)
            return
        var = Var(self.fresh(axis.name), INDEX)
        each: list[Stmt] = []
        inside(var, step, each)
        if left == 0 or not whole:
            body.append(For(var, integer(0), integer(full), step, tuple(each), kind))
        if left and not whole:
            inside(integer(full), left, body)
        elif left:
            last: list[Stmt] = []
            inside(integer(full), left, last)
            turn = (If(Bin("lt", var, integer(full)), tuple(each)), If(Bin("le", integer(full), var), tuple(last)))
            body.append(For(var, integer(0), integer(full + step), step, turn, kind))

    def _hoist_reductions(self, frame: Frame, body: list[Stmt], later: Sequence[Axis]) -> None:
        """Compute here every reduction that depends on no axis still to be looped over."""
        waiting = frozenset(later)
        for store in self.placed.stores:
            for expr in walk(store.value):
                if isinstance(expr, Reduce) and expr not in self.reduced and not self._free(expr) & waiting:
                    bound = self._free(expr) <= frozenset(frame.position)
                    if bound:
                        self.reduced[expr] = self._reduce(expr, frame, body)

    def _free(self, expr: Expr) -> frozenset[Axis]:
        found = self.free.get(id(expr))
        if found is None:
            self.keep.append(expr)
            found = self.free[id(expr)] = free_axes(expr)
        return found

    def _vectorise(self, axis: Axis) -> bool:
        """Along this output axis, unless reductions that depend on it would rather run along their own."""
        if self.lanes == 1 or axis.extent < 2:
            return False
        along, across = 0, 0
        for store in self.placed.stores:
            if coefficient(store.offset, axis) is None:
                return False
            for expr in walk(store.value):
                if isinstance(expr, Reduce) and axis in self._free(expr):
                    for access in accesses(expr.body):
                        along += coefficient(access.offset, axis) == 1
                        across += coefficient(access.offset, expr.axes[-1]) == 1 and expr.axes[-1].extent > 1
        return along >= across

    def _vector_loop(self, axis: Axis, frame: Frame, body: list[Stmt], outermost: bool) -> None:
        lanes = self.lanes
        while lanes // 2 >= axis.extent:
            lanes //= 2
        full = axis.extent // lanes * lanes
        saved = dict(self.reduced)
        if full:
            var = Var(self.fresh(axis.name), INDEX)
            inside: list[Stmt] = []
            inner = frame.vectorised(axis, var, lanes, None)
            self._vector_body(inner, inside)
            kind: LoopKind = "parallel" if outermost and full < axis.extent * 2 and full // lanes > 1 else "serial"
            body.append(For(var, integer(0), integer(full), lanes, tuple(inside), kind))
            self.reduced = dict(saved)
        if full < axis.extent:
            mask = Bin("lt", Iota(lanes), Lit(axis.extent - full, VType(INDEX.dtype, lanes)))
            self._vector_body(frame.vectorised(axis, integer(full), lanes, mask), body)
            self.reduced = saved

    def _vector_body(self, frame: Frame, body: list[Stmt]) -> None:
        self._hoist_reductions(frame, body, ())
        for store in self.placed.stores:
            self.store(store, frame, body)

    def store(self, store: PlacedStore, frame: Frame, body: list[Stmt]) -> None:
        value = self._value(store.value, frame, body)
        if frame.vector is None:
            body.append(Write(store.buffer, self._value(store.offset, frame, body), value))
            return
        value = wide(value, frame.lanes)
        if coefficient(store.offset, frame.vector) == 1:
            body.append(Write(store.buffer, self.scalar_offset(store.offset, frame, body), value, frame.mask))
        else:
            offsets = wide(self._value(store.offset, frame, body), frame.lanes)
            body.append(Scatter(store.buffer, offsets, value, frame.mask))

    # --- values ---

    def _value(self, expr: Expr, frame: Frame, body: list[Stmt]) -> Value:
        found = frame.memo.get(id(expr))
        if found is None:
            self.keep.append(expr)
            found = self._translate(expr, frame, body)
            if expr in self.shared and not isinstance(found, Var | Lit):
                var = Var(self.fresh("t"), found.type)
                body.append(Let(var, found))
                found = var
            frame.memo[id(expr)] = found
        return found

    def _translate(self, expr: Expr, frame: Frame, body: list[Stmt]) -> Value:
        if isinstance(expr, Axis):
            at = frame.position[expr]
            if expr is frame.vector and frame.lanes > 1:
                return Bin("add", Splat(at, frame.lanes), Iota(frame.lanes))
            return at
        if isinstance(expr, Const):
            return Lit(expr.value, VType(expr.dtype))
        if isinstance(expr, Access):
            return self._access(expr, frame, body)
        if isinstance(expr, Reduce):
            if expr not in self.reduced:
                return self._reduce(expr, frame, body)
            return self.reduced[expr]
        parts = [self._value(x, frame, body) for x in expr.children()]
        lanes = max(p.type.lanes for p in parts)
        parts = [wide(p, lanes) for p in parts]
        if isinstance(expr, Unary):
            return Un(expr.op, parts[0])
        if isinstance(expr, Binary):
            return Bin(expr.op, *parts)
        if isinstance(expr, Select):
            return Sel(*parts)
        if isinstance(expr, Cast):
            return Convert(parts[0], expr.dtype)
        if isinstance(expr, Bitcast):
            return Reinterpret(parts[0], expr.dtype)
        raise IRError(f"cannot lower {type(expr).__name__}")

    def _access(self, access: Access, frame: Frame, body: list[Stmt]) -> Value:
        guard = None if access.guard is None else self._value(access.guard, frame, body)
        vector = frame.vector
        step = 0 if vector is None else coefficient(access.offset, vector)
        varies = vector is not None and (step != 0 or (guard is not None and guard.type.lanes > 1))
        if not varies:
            offset = self._value(access.offset, frame, body)
            if guard is None:
                return Read(access.buffer, offset)
            inside = Read(access.buffer, Sel(guard, offset, integer(0)))
            return Sel(guard, inside, Lit(access.fill, VType(access.dtype)))
        lanes = frame.lanes
        wide_guard = None if guard is None else wide(guard, lanes)
        mask = frame.mask
        if wide_guard is not None:
            mask = wide_guard if mask is None else Bin("and", mask, wide_guard)
        read: Value
        if step == 1:
            read = Read(access.buffer, self.scalar_offset(access.offset, frame, body), lanes, mask)
        else:
            read = Gather(access.buffer, wide(self._value(access.offset, frame, body), lanes), mask)
        if wide_guard is None or access.fill == 0:
            return read
        return Sel(wide_guard, read, Lit(access.fill, VType(access.dtype, lanes)))

    def scalar_offset(self, offset: Expr, frame: Frame, body: list[Stmt]) -> Value:
        """Offset of lane 0: the vector axis stands for its base."""
        plain = Frame(frame.position)
        return self._value(offset, plain, body)

    # --- reductions ---

    def _reduce(self, expr: Reduce, frame: Frame, body: list[Stmt]) -> Value:
        """Emit the loops of a reduction; the result is a register."""
        axes = [a for a in expr.axes if a.extent > 1]
        frame = Frame(
            {**frame.position, **{a: integer(0) for a in expr.axes if a.extent == 1}},
            frame.vector,
            frame.lanes,
            frame.mask,
        )
        inside_axes = frozenset(axes)
        for part in walk(expr.body):  # nested reductions that do not depend on ours come first
            if isinstance(part, Reduce) and part not in self.reduced and not self._free(part) & inside_axes:
                self.reduced[part] = self._reduce(part, frame, body)
        if not axes:
            return self._value(expr.body, frame, body)
        widen = frame.vector is None and self.lanes > 1 and self._contiguous(expr, axes[-1])
        lanes = frame.lanes if frame.vector is not None else 1
        if widen:
            lanes = self.lanes
            while lanes // 2 >= axes[-1].extent:
                lanes //= 2
        type = VType(expr.dtype, lanes)
        start = Lit(identity(expr.kind, expr.dtype).value, type)
        per_step = lanes if widen else 1
        copies = max(1, min(self.unroll, axes[-1].extent // per_step))
        accumulators = [Var(self.fresh(expr.kind), type) for _ in range(copies)]
        body.extend(Reg(a, start) for a in accumulators)
        self._reduce_loops(expr, axes, frame, body, accumulators, lanes if widen else 0)
        total: Value = accumulators[0]
        while len(accumulators) > 1:  # pairwise, in a fixed order
            half = (len(accumulators) + 1) // 2
            for k in range(len(accumulators) - half):
                a, b = accumulators[k], accumulators[k + half]
                body.append(Set(a, _combine(expr.kind, a, b)))
            accumulators = accumulators[:half]
        if widen and lanes > 1:
            across = {"max": "max", "min": "min"}.get(expr.kind, expr.kind)
            total = Var(self.fresh(f"{expr.kind}_all"), VType(expr.dtype))
            body.append(Let(total, Across(across, accumulators[0])))
        return total

    def multiply_add(self, a: Value, b: Value, c: Value) -> Value:
        """``a*b + c``; fused only where that is an instruction: without one it is a library call for every lane."""
        return Fma(a, b, c) if self.fma else Bin("add", c, Bin("mul", a, b))

    def _contiguous(self, expr: Reduce, axis: Axis) -> bool:
        """Worth vectorising along ``axis``: some load walks it with stride one and none needs a gather more."""
        if expr.dtype == bool_:
            return False
        steps = [coefficient(x.offset, axis) for x in accesses(expr.body)]
        unit = sum(1 for s in steps if s == 1)
        return axis.extent > 1 and (unit > 0 or not steps) and sum(1 for s in steps if s not in (0, 1)) <= unit

    def _reduce_loops(
        self,
        expr: Reduce,
        axes: list[Axis],
        frame: Frame,
        body: list[Stmt],
        accumulators: list[Var],
        widen: int,
    ) -> None:
        axis, rest = axes[0], axes[1:]
        if rest:
            var = Var(self.fresh(axis.name), INDEX)
            inside: list[Stmt] = []
            saved = dict(self.reduced)
            inner = frame.inner(axis, var)
            waiting = frozenset(rest)
            for part in walk(expr.body):
                if isinstance(part, Reduce) and part not in self.reduced and not self._free(part) & waiting:
                    self.reduced[part] = self._reduce(part, inner, inside)
            self._reduce_loops(expr, rest, inner, inside, accumulators, widen)
            self.reduced = saved
            body.append(For(var, integer(0), integer(axis.extent), 1, tuple(inside)))
            return
        step = widen or 1
        copies = len(accumulators)
        main = axis.extent // (step * copies) * step * copies
        self._reduce_steps(expr, axis, frame, body, accumulators, widen, 0, main)
        full = axis.extent // step * step
        self._reduce_steps(expr, axis, frame, body, accumulators[:1], widen, main, full)
        if full < axis.extent:
            mask = Bin("lt", Iota(step), Lit(axis.extent - full, VType(INDEX.dtype, step)))
            self._accumulate(expr, frame.vectorised(axis, integer(full), step, mask), body, accumulators[0])

    def _reduce_steps(
        self,
        expr: Reduce,
        axis: Axis,
        frame: Frame,
        body: list[Stmt],
        accumulators: list[Var],
        widen: int,
        lo: int,
        hi: int,
    ) -> None:
        if lo >= hi:
            return
        step = widen or 1
        var = Var(self.fresh(axis.name), INDEX)
        inside: list[Stmt] = []
        saved = dict(self.reduced)
        for k, accumulator in enumerate(accumulators):
            at = var if k == 0 else Bin("add", var, integer(k * step))
            inner = frame.vectorised(axis, at, step, None) if widen else frame.inner(axis, at)
            self._accumulate(expr, inner, inside, accumulator)
            self.reduced = dict(saved)
        body.append(For(var, integer(lo), integer(hi), step * len(accumulators), tuple(inside)))

    def _accumulate(self, expr: Reduce, frame: Frame, body: list[Stmt], accumulator: Var) -> None:
        lanes = accumulator.type.lanes
        product = expr.body
        masked = frame.mask is not None and frame.vector is not None and frame.lanes == lanes
        own_mask = masked and frame.vector in expr.axes
        if expr.kind == "sum" and isinstance(product, Binary) and product.op == "mul" and is_float(expr.dtype):
            a = wide(self._value(product.a, frame, body), lanes)
            b = wide(self._value(product.b, frame, body), lanes)
            if own_mask:
                assert frame.mask is not None
                # Lanes past the end read as zero; a product with infinity would still be NaN.
                zero = Lit(0.0, a.type)
                a, b = Sel(frame.mask, a, zero), Sel(frame.mask, b, zero)
            body.append(Set(accumulator, self.multiply_add(a, b, accumulator)))
            return
        value = wide(self._value(product, frame, body), lanes)
        if own_mask:
            assert frame.mask is not None
            value = Sel(frame.mask, value, Lit(identity(expr.kind, expr.dtype).value, value.type))
        body.append(Set(accumulator, _combine(expr.kind, accumulator, value)))


def _shared(placed: Placed) -> set[Expr]:
    """Values used more than once, which get a name: an expression is a graph, and its text would be a tree.

    Positions stay whole, for the emitter to take apart.
    """
    uses: dict[Expr, int] = {}
    for store in placed.stores:
        for expr in walk(store.value):
            for child in expr.children():
                uses[child] = uses.get(child, 0) + 1
    return {e for e, n in uses.items() if n > 1 and e.dtype != int64 and e.children()}


def _combine(kind: str, a: Value, b: Value) -> Value:
    if a.type.dtype == bool_:
        return Bin({"max": "or", "min": "and", "sum": "or", "prod": "and"}[kind], a, b)
    return Bin({"sum": "add", "prod": "mul"}.get(kind, kind), a, b)


def wide(value: Value, lanes: int) -> Value:
    """The same value in every lane, if it is a scalar and lanes are asked for."""
    if value.type.lanes == lanes:
        return value
    if isinstance(value, Lit):
        return Lit(value.value, VType(value.type.dtype, lanes))
    return Splat(value, lanes)
