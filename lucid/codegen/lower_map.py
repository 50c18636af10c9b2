"""Lowering to the map/reduce nest: loops over the output in memory order, reductions placed as far out as they can go.

The nest is vectorised along the output's innermost axis, or, where the reduced operand is the contiguous one, along the
reduction. With one lane and nothing reordered it is the naive nest: the oracle for every schedule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
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
    add,
    integer,
)
from lucid.codegen.order import Kept, by_rows, by_tiles, interned, keeping, kept, normal_form
from lucid.codegen.schedule import MapReduce
from lucid.codegen.strides import LONGEST_STEP, first_lanes, read_every, write_alternating
from lucid.codegen.windows import written_out
from lucid.errors import IRError, ScheduleError
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
from lucid.ir.index import Affine, affine
from lucid.ir.types import bool_, int64, is_float


def lower_naive(placed: Placed, name: str, *, fma: bool = True, note: str = "") -> Kernel:
    """Scalar loops in the order written."""
    return Nest(placed, lanes=1, unroll=1, fma=fma).build(name, note)


def lower_map(placed: Placed, name: str, schedule: MapReduce, *, fma: bool = True, note: str = "") -> Kernel:
    """Loops in memory order, collapsed where strides allow, vectorised; sums of products fused if ``fma``.

    Raises:
        ScheduleError: a size that is no power of two, or below 1; rows of what is not one reduction.
    """
    if schedule.lanes < 1 or schedule.lanes & (schedule.lanes - 1) or schedule.unroll < 1 or schedule.vectors < 1:
        raise ScheduleError(f"{schedule}: lanes must be a power of two, unroll and vectors at least 1")
    placed, serial = normal_form(placed), None
    if schedule.window:
        placed = written_out(placed, schedule.window)
    if schedule.rows:
        placed, serial = by_rows(placed, schedule.rows)
    if schedule.tile:
        placed = by_tiles(placed, *schedule.tile)
    held = None
    if schedule.keep:
        held = kept(placed)
        if held is None:
            raise ScheduleError(f"{schedule}: no reduction computes what the result needs at every position")
        placed = keeping(placed, held)
    nest = Nest(
        placed,
        schedule.lanes,
        schedule.unroll,
        fma,
        schedule.vectors,
        serial,
        held,
        schedule.stream,
        schedule.beside,
    )
    return nest.build(name, note)


@dataclass
class Frame:
    """What an expression means here: positions of the axes, the vector axis if one is active, the lanes that count."""

    position: dict[Axis, Value]
    vector: Axis | None = None
    lanes: int = 1
    mask: Value | None = None
    #: Reductions computed already, here or further out.
    reduced: dict[Reduce, Value] = field(default_factory=dict)
    memo: dict[int, Value] = field(default_factory=dict)

    @property
    def count(self) -> int:
        """How many lanes count: the first ones."""
        if self.mask is None:
            return self.lanes
        assert isinstance(self.mask, Bin)
        assert isinstance(self.mask.b, Lit)
        return int(self.mask.b.value)

    def inner(self, axis: Axis, at: Value) -> Frame:
        return Frame({**self.position, axis: at}, self.vector, self.lanes, self.mask, dict(self.reduced))

    def vectorised(self, axis: Axis, base: Value, lanes: int, mask: Value | None) -> Frame:
        return Frame({**self.position, axis: base}, axis, lanes, mask, dict(self.reduced))


@dataclass
class Accumulation:
    """A reduction under way: the registers that hold its parts, and which of the frames side by side it is for."""

    expr: Reduce
    registers: list[Var]
    frame: int


class Nest:
    """Builds one kernel; the contraction nest extends it with register tiles."""

    def __init__(
        self,
        placed: Placed,
        lanes: int,
        unroll: int,
        fma: bool,
        vectors: int = 1,
        serial: Axis | None = None,
        held: Kept | None = None,
        stream: bool = False,
        beside: int = 1,
    ):
        self.placed = placed = interned(placed)
        self.fma = fma
        self.lanes = lanes
        self.unroll = unroll
        self.vectors = vectors
        #: An output axis whose turns depend on each other: threads share the loops inside it.
        self.serial = serial
        #: A reduction whose values are written to the result as it runs.
        self.held = held
        self.stream = stream
        self.beside = beside
        self.names: dict[str, int] = {}
        self.free: dict[int, frozenset[Axis]] = {}
        self.keep: list[Expr] = []  # expressions looked up by id stay alive
        self.shared = _shared(placed)
        self.forms: dict[int, Affine] = {}  # of offsets, by identity
        self.walks: dict[tuple[tuple[int, int], ...], Value] = {}  # by the identities of positions, which they hold
        self.ranges: dict[str, tuple[int, int]] = {}  # of loop variables

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
        self._hoist_reductions([frame], body, axes)
        if not axes:
            self.stores(frame, body)
            return
        axis, rest = axes[0], axes[1:]
        if not rest and self._vectorise(axis):
            self._vector_loop(axis, frame, body, outermost)
            return
        if not rest and self.beside > 1:
            self._row_loop(axis, frame, body, outermost)
            return
        var = Var(self.fresh(axis.name), INDEX)
        inside: list[Stmt] = []
        self._loops(rest, frame.inner(axis, var), inside, outermost and axis is self.serial)
        kind: LoopKind = "parallel" if outermost and axis is not self.serial else "serial"
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
        self.ranges[var.name] = 0, full - step
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

    def _hoist_reductions(self, frames: Sequence[Frame], body: list[Stmt], later: Sequence[Axis]) -> None:
        """Compute here every reduction that depends on no axis still to be looped over."""
        self._reduce_ready([s.value for s in self.placed.stores], frames, body, frozenset(later))

    def _reduce_ready(
        self, roots: Iterable[Expr], frames: Sequence[Frame], body: list[Stmt], waiting: Collection[Axis] = frozenset()
    ) -> None:
        """Compute the reductions inside ``roots`` that need none of ``waiting``: those over the same axes together.

        The frames are neighbours along the vector axis, and alike but for that.
        """
        frame = frames[0]
        known = frozenset(frame.position)
        ready: dict[Reduce, None] = {}  # what a reduction needs comes before it
        for root in roots:
            for e in walk(root):
                if isinstance(e, Reduce) and e not in frame.reduced and e not in ready:
                    free = self._free(e)
                    if not any(a in waiting for a in free) and free <= known:
                        ready[e] = None
        while ready:
            first, *others = ready
            group = [first]
            for e in others:
                needs_another = any(part is not e and part in ready for part in walk(e))
                if e.axes == first.axes and not needs_another and self._widens(e, frame) == self._widens(first, frame):
                    group.append(e)
            self._reduce(group, frames, body)
            for e in group:
                del ready[e]

    def _free(self, expr: Expr) -> frozenset[Axis]:
        found = self.free.get(id(expr))
        if found is None:
            self.keep.append(expr)
            found = self.free[id(expr)] = free_axes(expr)
        return found

    def _vectorise(self, axis: Axis) -> bool:
        """Along this output axis, unless reductions that depend on it gather less along their own."""
        if self.lanes == 1 or axis.extent < 2 or any(coefficient(s.offset, axis) is None for s in self.placed.stores):
            return False
        gathers = 0
        for store in self.placed.stores:
            for expr in walk(store.value):
                if not isinstance(expr, Reduce) or axis not in self._free(expr):
                    continue
                last = next((a for a in reversed(expr.axes) if a.extent > 1), None)
                if last is None or not self._contiguous(expr, last):
                    continue
                for access in accesses(expr.body):
                    step = coefficient(access.offset, last)
                    if step != 0:  # what a reduction does not walk is read once
                        gathers += (coefficient(access.offset, axis) not in (0, 1)) - (step != 1)
        return gathers <= 0

    def _vector_loop(self, axis: Axis, frame: Frame, body: list[Stmt], outermost: bool) -> None:
        lanes = self.lanes
        while lanes // 2 >= axis.extent:
            lanes //= 2
        reduces = any(
            isinstance(e, Reduce) and axis in self._free(e) for s in self.placed.stores for e in walk(s.value)
        )
        width = lanes * min(self.vectors if reduces or self.stream else 1, -(-axis.extent // lanes))

        def strip(at: Value, count: int, inside: list[Stmt]) -> None:
            frames = self.side_by_side(axis, frame, at, count, lanes)
            self._hoist_reductions(frames, inside, ())
            for each in frames:
                self.stores(each, inside)

        parallel = outermost and axis.extent >= 2 * width
        self.steps(axis, width, strip, body, "parallel" if parallel else "serial", whole=parallel and width > lanes)

    def _row_loop(self, axis: Axis, frame: Frame, body: list[Stmt], outermost: bool) -> None:
        """Some positions at once, whose reductions run side by side and share what they read."""

        def rows(at: Value, count: int, inside: list[Stmt]) -> None:
            frames = [frame.inner(axis, add(at, integer(k))) for k in range(count)]
            self._hoist_reductions(frames, inside, ())
            for each in frames:
                self.stores(each, inside)

        parallel = outermost and axis.extent >= 2 * self.beside
        self.steps(axis, self.beside, rows, body, "parallel" if parallel else "serial", whole=parallel)

    def side_by_side(self, axis: Axis, frame: Frame, at: Value, count: int, lanes: int) -> list[Frame]:
        """One frame for each vector of ``count`` positions along ``axis``; the last may be masked."""
        frames = []
        for start in range(0, count, lanes):
            left = count - start
            mask = first_lanes(left, lanes) if left < lanes else None
            frames.append(frame.vectorised(axis, add(at, integer(start)), lanes, mask))
        return frames

    def stores(self, frame: Frame, body: list[Stmt]) -> None:
        """All results at one position: every value before any is written, as one may go over what another reads."""
        values = [self._value(store.value, frame, body) for store in self.placed.stores]
        if len(values) > 1:
            values = [v if isinstance(v, Var | Lit) else self.named("y", v, body) for v in values]
        pairs = {k: beside for k in range(len(values)) if (beside := self._beside(k, frame)) is not None}
        for k, (store, value) in enumerate(zip(self.placed.stores, values, strict=True)):
            if k in pairs:
                beside = pairs[k]
                at = self.scalar_offset(store.offset, frame, body)
                pair = wide(value, frame.lanes), wide(values[beside], frame.lanes)
                body.extend(write_alternating(*pair, store.buffer, at, frame.count))
            elif k not in pairs.values():
                self._write(store, value, frame, body)

    def _beside(self, k: int, frame: Frame) -> int | None:
        """The store whose results lie between those of store ``k``, at every second place."""
        store = self.placed.stores[k]
        if frame.vector is None or coefficient(store.offset, frame.vector) != 2:
            return None
        form = affine(store.offset)
        for other, candidate in enumerate(self.placed.stores):
            theirs = affine(candidate.offset)
            next_to = theirs.terms == form.terms and theirs.constant == form.constant + 1
            if next_to and candidate.buffer == store.buffer:
                return other
        return None

    def named(self, stem: str, value: Value, body: list[Stmt]) -> Var:
        """A variable that holds the value from here on."""
        var = Var(self.fresh(stem), value.type)
        body.append(Let(var, value))
        return var

    def store(self, store: PlacedStore, frame: Frame, body: list[Stmt]) -> None:
        """The only result, at one position."""
        self._write(store, self._value(store.value, frame, body), frame, body)

    def _write(self, store: PlacedStore, value: Value, frame: Frame, body: list[Stmt]) -> None:
        if frame.vector is None:
            body.append(Write(store.buffer, self.scalar_offset(store.offset, frame, body), value))
            return
        value = wide(value, frame.lanes)
        if coefficient(store.offset, frame.vector) == 1:
            stream = self.stream and frame.mask is None
            body.append(Write(store.buffer, self.scalar_offset(store.offset, frame, body), value, frame.mask, stream))
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
                found = self.named("t", found, body)
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
            if expr not in frame.reduced:
                self._reduce([expr], [frame], body)
            return frame.reduced[expr]
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
            offset = self.scalar_offset(access.offset, frame, body)
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
        elif step is not None and 2 <= step <= LONGEST_STEP and wide_guard is None:
            at = self.scalar_offset(access.offset, frame, body)
            read = read_every(step, access.buffer, at, lanes, frame.count)
        else:
            read = Gather(access.buffer, wide(self._value(access.offset, frame, body), lanes), mask)
        if wide_guard is None or access.fill == 0:
            return read
        return Sel(wide_guard, read, Lit(access.fill, VType(access.dtype, lanes)))

    def scalar_offset(self, offset: Expr, frame: Frame, body: list[Stmt]) -> Value:
        """Offset of lane 0: the vector axis stands for its base.

        Where positions differ by constants, so do offsets: the walking part of them is one value.
        """
        form = self.forms.get(id(offset))
        if form is None:
            self.keep.append(offset)
            form = self.forms[id(offset)] = affine(offset)
        constant = form.constant
        walking = []
        for atom, factor in form.terms.items():
            if not isinstance(atom, Axis):
                return self._value(offset, frame if frame.vector is None else Frame(frame.position), body)
            at = frame.position[atom]
            while isinstance(at, Bin) and at.op == "add" and isinstance(at.b, Lit):
                constant += factor * int(at.b.value)
                at = at.a
            if isinstance(at, Lit):
                constant += factor * int(at.value)
            else:
                walking.append((at, factor))
        if not walking:
            return integer(constant)
        base = self._walk(walking)
        return Bin("add", base, integer(constant)) if constant else base

    def _walk(self, terms: list[tuple[Value, int]]) -> Value:
        """The sum of multiples of positions, the same object whenever it is the same sum."""
        key = tuple([(id(at), factor) for at, factor in terms])
        found = self.walks.get(key)
        if found is None:
            parts = [at if factor == 1 else Bin("mul", at, integer(factor)) for at, factor in terms]
            total = parts[0]
            for part in parts[1:]:
                total = Bin("add", total, part)
            found = self.walks[key] = total
        return found

    # --- reductions ---

    def _reduce(self, group: Sequence[Reduce], frames: Sequence[Frame], body: list[Stmt]) -> None:
        """Emit the loops of reductions over the same axes; each result is a register, remembered in its frame."""
        axes = [a for a in group[0].axes if a.extent > 1]
        single = {a: integer(0) for a in group[0].axes if a.extent == 1}
        inner = [Frame({**f.position, **single}, f.vector, f.lanes, f.mask, dict(f.reduced)) for f in frames]
        # Nested reductions that do not depend on our axes come first.
        self._reduce_ready([e.body for e in group], inner, body, frozenset(axes))
        if not axes:
            for outer, frame in zip(frames, inner, strict=True):
                outer.reduced.update((e, self._value(e.body, frame, body)) for e in group)
            return
        widen = self._widens(group[0], inner[0])
        lanes = inner[0].lanes if inner[0].vector is not None else 1
        if widen:
            lanes = self.lanes
            while lanes // 2 >= axes[-1].extent:
                lanes //= 2
        per_step = lanes if widen else 1
        copies = max(1, min(self.unroll // len(frames), axes[-1].extent // per_step))
        sums = [
            Accumulation(e, [Var(self.fresh(e.kind), VType(e.dtype, lanes)) for _ in range(copies)], k)
            for k in range(len(frames))
            for e in group
        ]
        for s in sums:
            start = Lit(identity(s.expr.kind, s.expr.dtype).value, VType(s.expr.dtype, lanes))
            body.extend(Reg(a, start) for a in s.registers)
        self._reduce_loops(sums, axes, inner, body, lanes if widen else 0)
        for s in sums:
            frames[s.frame].reduced[s.expr] = self._total(s, widen and lanes > 1, body)

    def _widens(self, expr: Reduce, frame: Frame) -> bool:
        """Whether a reduction runs along its own innermost axis with whole vectors."""
        last = next((a for a in reversed(expr.axes) if a.extent > 1), None)
        return frame.vector is None and self.lanes > 1 and last is not None and self._contiguous(expr, last)

    def _total(self, of: Accumulation, across: bool, body: list[Stmt]) -> Value:
        """One register from several, pairwise, in a fixed order; and, if asked for, one number from its lanes."""
        kind, registers = of.expr.kind, of.registers
        while len(registers) > 1:
            half = (len(registers) + 1) // 2
            for a, b in zip(registers, registers[half:], strict=False):
                body.append(Set(a, _combine(kind, a, b)))
            registers = registers[:half]
        return self.named(f"{kind}_all", Across(kind, registers[0]), body) if across else registers[0]

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
        self, sums: Sequence[Accumulation], axes: list[Axis], frames: Sequence[Frame], body: list[Stmt], widen: int
    ) -> None:
        axis, rest = axes[0], axes[1:]
        if rest:
            var = Var(self.fresh(axis.name), INDEX)
            inside: list[Stmt] = []
            inner = [f.inner(axis, var) for f in frames]
            self._reduce_ready([s.expr.body for s in sums], inner, inside, frozenset(rest))
            self._reduce_loops(sums, rest, inner, inside, widen)
            body.append(For(var, integer(0), integer(axis.extent), 1, tuple(inside)))
            return
        step = widen or 1
        copies = len(sums[0].registers)
        main = axis.extent // (step * copies) * step * copies
        full = axis.extent // step * step
        self._reduce_steps(sums, copies, axis, frames, body, widen, 0, main)
        self._reduce_steps(sums, 1, axis, frames, body, widen, main, full)
        if full < axis.extent:
            mask = first_lanes(axis.extent - full, step)
            last = [f.vectorised(axis, integer(full), step, mask) for f in frames]
            for s in sums:
                self._accumulate(s.expr, last[s.frame], body, s.registers[0])

    def _reduce_steps(
        self,
        sums: Sequence[Accumulation],
        copies: int,
        axis: Axis,
        frames: Sequence[Frame],
        body: list[Stmt],
        widen: int,
        lo: int,
        hi: int,
    ) -> None:
        if lo >= hi:
            return
        step = widen or 1
        var = Var(self.fresh(axis.name), INDEX)
        inside: list[Stmt] = []
        for k in range(copies):
            at = add(var, integer(k * step))
            inner = [f.vectorised(axis, at, step, None) if widen else f.inner(axis, at) for f in frames]
            for s in sums:
                self._accumulate(s.expr, inner[s.frame], inside, s.registers[k])
        body.append(For(var, integer(lo), integer(hi), step * copies, tuple(inside)))

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
        if self.held is not None and expr == self.held.reduce:
            value = self.named("kept", value, body)
            (store,) = self.placed.stores
            self._write(PlacedStore(store.buffer, self.held.offset, product), value, frame, body)
        if own_mask:
            assert frame.mask is not None
            value = Sel(frame.mask, value, Lit(identity(expr.kind, expr.dtype).value, value.type))
        body.append(Set(accumulator, _combine(expr.kind, accumulator, value)))


def _shared(placed: Placed) -> set[Expr]:
    """Values used more than once, which get a name: an expression is a graph, and its text would be a tree.

    Positions stay whole, for the emitter to take apart.
    """
    uses = Counter(store.value for store in placed.stores)
    done: set[int] = set()
    for store in placed.stores:
        for expr in walk(store.value):
            if id(expr) not in done:
                done.add(id(expr))
                uses.update(expr.children())
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
