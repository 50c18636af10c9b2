"""Lowering to the contraction nest: a tile of the output held in registers, multiplied up along the reduction axes.

One nest serves convolution, both its gradients, matmul, grouped and depthwise convolution: they differ in the strides
their operands have along the axes. Each step reads a few vectors of one operand, broadcasts elements of the other
(or reads vectors of it too, when it also runs along the vector axis), and does one fused multiply-add per register.
The vector axis may be one of the reduction's: then the lanes of a register are added up at the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil

from lucid.codegen.access import Access, Placed, coefficient
from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
    For,
    Kernel,
    Lit,
    LoopKind,
    Prefetch,
    Read,
    Reg,
    Sel,
    Set,
    Splat,
    Stmt,
    Value,
    Var,
    VType,
    add,
    integer,
)
from lucid.codegen.lower_map import Frame, Nest, wide
from lucid.codegen.masks import conditions, least, not_negative, readable
from lucid.codegen.schedule import Contraction
from lucid.codegen.strides import first_lanes, read_every
from lucid.errors import ScheduleError
from lucid.ir.expr import Axis, Binary, Reduce, walk
from lucid.ir.types import is_float


@dataclass(frozen=True)
class ProductOfTwo:
    """A contraction as seen in memory: the reduction, the operand read as vectors, and the one broadcast against it."""

    reduce: Reduce
    vector: Access
    broadcast: Access


def contraction_of(placed: Placed) -> Reduce | None:
    """The one sum of a product of two accesses in a kernel's only store, if that is what it is."""
    if len(placed.stores) != 1:
        return None
    found = [e for e in walk(placed.stores[0].value) if isinstance(e, Reduce)]
    if len(found) != 1 or found[0].kind != "sum" or not is_float(found[0].dtype):
        return None
    body = found[0].body
    if not (isinstance(body, Binary) and body.op == "mul"):
        return None
    return found[0] if isinstance(body.a, Access) and isinstance(body.b, Access) else None


def operands(reduce: Reduce, vector: Axis) -> ProductOfTwo | None:
    """Which operand is read as vectors along ``vector``; None if neither can be, or the other is guarded and cannot."""
    body = reduce.body
    assert isinstance(body, Binary)
    a, b = body.a, body.b
    assert isinstance(a, Access)
    assert isinstance(b, Access)
    if not (readable(a, vector) and readable(b, vector)):
        return None
    steps = coefficient(a.offset, vector), coefficient(b.offset, vector)
    if not any(steps):
        return None
    return (
        ProductOfTwo(reduce, b, a)
        if steps[1] and (not steps[0] or steps[0] >= steps[1])
        else ProductOfTwo(reduce, a, b)
    )


def lower_contraction(placed: Placed, name: str, schedule: Contraction, *, fma: bool = True, note: str = "") -> Kernel:
    """The tiled nest, of fused multiply-adds if ``fma``.

    Raises:
        ScheduleError: the schedule names an axis the kernel does not have, or vectorises one that is not contiguous.
    """
    return _Tiled(placed, schedule, fma).kernel(name, note)


class _Tiled(Nest):
    def __init__(self, placed: Placed, schedule: Contraction, fma: bool):
        super().__init__(placed, lanes=schedule.lanes, unroll=1, fma=fma)
        self.schedule = schedule
        reduce = contraction_of(placed)
        if reduce is None:
            raise ScheduleError(f"{schedule} needs a kernel that is one sum of products")
        outer = {a.name: a for a in placed.axes}
        inner = {a.name: a for a in reduce.axes}
        if len(outer) + len(inner) != len(placed.axes) + len(reduce.axes) or outer.keys() & inner.keys():
            raise ScheduleError("axes of a scheduled contraction need distinct names")
        if sorted(schedule.outer) != sorted(outer) or sorted(schedule.reduce) != sorted(inner):
            raise ScheduleError(
                f"{schedule} does not name the axes of its kernel: outer {sorted(outer)}, reduce {sorted(inner)}"
            )
        self.axis = {**outer, **inner}
        if schedule.vector not in self.axis or any(a not in outer or a == schedule.vector for a, _ in schedule.tile):
            raise ScheduleError(f"{schedule}: the vector axis and the tiled axes, of the output, must be distinct")
        self.vector = self.axis[schedule.vector]
        #: The lanes of a register are positions of the reduction, added up at the end.
        self.across = schedule.vector in inner
        found = operands(reduce, self.vector)
        if found is None or not (self.across or coefficient(placed.stores[0].offset, self.vector) == 1):
            raise ScheduleError(f"axis {schedule.vector} is not contiguous in the result and in one operand")
        if any(a not in inner or a == schedule.vector or n < 1 for a, n in schedule.jam):
            raise ScheduleError(f"{schedule} must take positions of reduction axes together: {sorted(inner)}")
        if schedule.vector in dict(schedule.block):
            raise ScheduleError(f"{schedule}: the axis that fills the lanes runs in no blocks")
        if schedule.block and placed.stores[0].value is not reduce:
            raise ScheduleError("a contraction blocked over its reduction cannot have an epilogue")
        if any(a not in inner or n < 1 for a, n in schedule.block) or len(dict(schedule.block)) < len(schedule.block):
            raise ScheduleError(f"{schedule} must block reduction axes by one or more positions: {sorted(inner)}")
        self.together = {inner[name]: size for name, size in schedule.jam} | {
            inner[schedule.reduce[-1]]: schedule.unroll
        }
        if any(n % self.together.get(inner[a], 1) for a, n in schedule.block):
            raise ScheduleError(f"{schedule}: blocks of a reduction axis must be made of whole steps")
        self.operands = found
        self.tile = {outer[name]: size for name, size in schedule.tile}
        #: The vector operand is the same for every position of the tile; the other one for every vector.
        self.rows_shared = not any(coefficient(found.vector.offset, a) for a in self.tile)
        self.scalar = coefficient(found.broadcast.offset, self.vector) == 0
        self.parallel = self._parallel_axis()
        #: Blocked reduction axes: how many positions at once, and the variable that says where a block begins.
        self.block = {inner[name]: size for name, size in schedule.block}
        self.begins: dict[Axis, Var] = {}

    def kernel(self, name: str, note: str) -> Kernel:
        body: list[Stmt] = []
        for axis in self.block:
            self.begins[axis] = Var(self.fresh(axis.name), INDEX)
            self.ranges[self.begins[axis].name] = 0, axis.extent - 1
        inside: list[Stmt] = []
        self._outer([self.axis[a] for a in self.schedule.outer], Frame({}), {}, inside)
        for axis, var in reversed(self.begins.items()):
            inside = [For(var, integer(0), integer(axis.extent), self.block[axis], tuple(inside))]
        body.extend(inside)
        return Kernel(name, self.placed.buffers, tuple(body), note)

    def _parallel_axis(self) -> Axis | None:
        """The axis whose turns threads share: the one with the most turns, an outer one if it can be halved.

        Loops inside of one whose last tile is not full come twice, and cannot be shared.
        """
        best: tuple[int, Axis] | None = None
        for name in self.schedule.outer:
            axis = self.axis[name]
            turns = ceil(axis.extent / self._step_of(axis))
            if turns > 1 and (best is None or best[0] % 2) and (best is None or turns > best[0]):
                best = turns, axis
            if turns > 1 and axis.extent % self._step_of(axis):
                break
        return best[1] if best else None

    def _step_of(self, axis: Axis) -> int:
        """Positions of an output axis that one tile covers."""
        if axis is self.vector:
            return self.schedule.vectors * self.schedule.lanes
        return self.tile.get(axis, 1)

    def _outer(self, axes: list[Axis], frame: Frame, counts: dict[Axis, int], body: list[Stmt]) -> None:
        """Loops over output axes; ``counts`` holds how many positions of a tiled (or vector) axis this tile covers."""
        if not axes:
            self._one_tile(frame, counts, body)
            return
        axis, rest = axes[0], axes[1:]

        def tile(at: Value, count: int, inside: list[Stmt]) -> None:
            self._outer(rest, frame.inner(axis, at), {**counts, axis: count}, inside)

        within = self.parallel is not None and (axis is self.parallel or self.parallel in rest)
        kind: LoopKind = "parallel" if axis is self.parallel else "serial"
        self.steps(axis, self._step_of(axis), tile, body, kind, whole=within)

    def _one_tile(self, frame: Frame, counts: dict[Axis, int], body: list[Stmt]) -> None:
        tiled = list(self.tile)
        places = [dict(zip(tiled, at, strict=True)) for at in product(*(range(counts[a]) for a in tiled))]
        if self.across:
            vectors = [frame]
        else:
            first = frame.position[self.vector]
            vectors = self.side_by_side(self.vector, frame, first, counts[self.vector], self.schedule.lanes)
        frames = [[_shifted(v, place) for v in vectors] for place in places]
        type = VType(self.operands.reduce.dtype, self.schedule.lanes)
        accumulators = [[Var(self.fresh("acc"), type) for _ in vectors] for _ in places]
        store = self.placed.stores[0]
        for row, tile in zip(accumulators, frames, strict=True):
            for acc, at in zip(row, tile, strict=True):
                body.append(Reg(acc, Lit(0.0, type) if self.across else self._so_far(at, type, body)))
        if self.schedule.ahead:
            for at in (at for tile in frames for at in tile):
                body.append(Prefetch(store.buffer, self.scalar_offset(store.offset, at, body)))
        self._multiply(self.schedule.reduce, frames, accumulators, [{}], body)
        for row, tile in zip(accumulators, frames, strict=True):
            for acc, at in zip(row, tile, strict=True):
                total: Value = Across("sum", acc) if self.across else acc
                if self.across and self.begins:
                    total = Bin("add", self._so_far(at, total.type, body), total)
                at.reduced[self.operands.reduce] = total
                self.store(store, at, body)

    def _so_far(self, frame: Frame, type: VType, body: list[Stmt]) -> Value:
        """What the blocks before this one came to: the first starts from zero, the others go on."""
        store = self.placed.stores[0]
        start: Value = Lit(0.0, type)
        for var in self.begins.values():
            so_far = Read(store.buffer, self.scalar_offset(store.offset, frame, body), type.lanes, frame.mask)
            begun = Bin("lt", integer(0), var)
            start = Sel(wide(begun, type.lanes), so_far, start)
        return start

    def _multiply(
        self,
        names: tuple[str, ...],
        frames: list[list[Frame]],
        accumulators: list[list[Var]],
        positions: list[dict[Axis, Value]],
        body: list[Stmt],
    ) -> None:
        """The reduction loops around the multiply-adds, at all positions taken together."""
        if not names:
            self._step(frames, accumulators, positions, body)
            return
        axis, rest = self.axis[names[0]], names[1:]
        if axis is self.vector:

            def vector(at: Value, count: int, inside: list[Stmt]) -> None:
                for start in range(0, count, self.lanes):
                    left, here = count - start, add(at, integer(start))
                    mask = first_lanes(left, self.lanes) if left < self.lanes else None
                    there = [[f.vectorised(axis, here, self.lanes, mask) for f in tile] for tile in frames]
                    self._multiply(rest, there, accumulators, [{**p, axis: here} for p in positions], inside)

            # A single turn and what remains would be one block of code, which has no registers for both.
            step = self.schedule.vectors * self.lanes
            self.steps(axis, step, vector, body, whole=axis.extent < 2 * step)
            return
        if self.block.get(axis) == 1:
            self._multiply(rest, frames, accumulators, [{**p, axis: self.begins[axis]} for p in positions], body)
            return
        together = self.together.get(axis, 1)
        full = axis.extent // together * together
        for lo, hi, step in ((0, full, together), (full, axis.extent, 1)):
            if lo == hi:
                continue
            var = Var(self.fresh(axis.name), INDEX)
            self.ranges[var.name] = lo, hi - step
            at: Value = integer(lo) if hi == lo + step and axis not in self.block else var
            inside: list[Stmt] = []
            each = [{**p, axis: add(at, integer(u))} for p in positions for u in range(step)]
            self._multiply(rest, frames, accumulators, each, inside)
            first, last = self._block_of(axis, lo, hi)
            body.extend(inside if at is not var else [For(var, first, last, step, tuple(inside))])

    def _block_of(self, axis: Axis, lo: int, hi: int) -> tuple[Value, Value]:
        """The part of ``lo..hi`` in this block of a reduction axis. Blocks are made of whole steps, so it begins on
        one.
        """
        if axis not in self.block:
            return integer(lo), integer(hi)
        begin, end = self.begins[axis], add(self.begins[axis], integer(self.block[axis]))
        return (begin if lo == 0 else integer(lo)), Bin("min", end, integer(hi))

    def _step(
        self,
        frames: list[list[Frame]],
        accumulators: list[list[Var]],
        positions: list[dict[Axis, Value]],
        body: list[Stmt],
    ) -> None:
        """Multiply-adds at all positions; what several of them read is read once, and done with before the next."""
        vector, broadcast = self.operands.vector, self.operands.broadcast
        products: list[tuple[Value, Value, Var]] = []
        for position in positions:
            rows: list[Value] = []
            for tile, row in zip(frames, accumulators, strict=True):
                if not rows or not self.rows_shared:
                    rows = [self._read(vector, f, position, body, scalar=False) for f in tile]
                xs = [
                    self._read(broadcast, f, position, body, self.scalar) for f in (tile[:1] if self.scalar else tile)
                ]
                products += [(xs[0 if self.scalar else k], rows[k], acc) for k, acc in enumerate(row)]
        if not (self.scalar and self.rows_shared):
            products = _by_operand(products)
        body.extend(Set(acc, self.multiply_add(x, w, acc)) for x, w, acc in products)

    def _read(self, access: Access, frame: Frame, position: dict[Axis, Value], body: list[Stmt], scalar: bool) -> Value:
        here = Frame({**frame.position, **position}, frame.vector, frame.lanes, frame.mask)
        if scalar:
            return Splat(Read(access.buffer, self.scalar_offset(access.offset, here, body)), self.lanes)
        return self._read_vector(access, here, body)

    def _read_vector(self, access: Access, frame: Frame, body: list[Stmt]) -> Value:
        """Neighbours along the vector axis, zero where they lie outside of what is padded."""
        step = coefficient(access.offset, self.vector)
        assert step is not None
        tests = conditions(access.guard) or []
        offset = self.scalar_offset(access.offset, frame, body)

        def inside(first: int, count: int) -> Value | None:
            mask = None
            for test in tests:
                pace = test.form.terms.get(self.vector, 0) // step
                lowest = least(test.form, frame.position, self.ranges)
                if lowest is None or lowest + min(pace * first, pace * (first + count - 1)) < 0:
                    base = add(self.scalar_offset(test.position, frame, body), integer(pace * first))
                    holds = not_negative(base, pace, frame.lanes)
                    mask = holds if mask is None else Bin("and", mask, holds)
            return mask

        if step == 1:
            mask = inside(0, frame.count)
            if frame.mask is not None:
                mask = frame.mask if mask is None else Bin("and", frame.mask, mask)
            return Read(access.buffer, offset, frame.lanes, mask)
        # Taps next to each other read the same memory, if both begin on a multiple of the step.
        first = int(offset.b.value) % step if isinstance(offset, Bin) and isinstance(offset.b, Lit) else 0
        first = first if any(t.form.terms.get(self.vector, 0) > 0 for t in tests) else 0
        return read_every(step, access.buffer, offset, frame.lanes, frame.count, first=first, inside=inside)


def _shifted(frame: Frame, by: dict[Axis, int]) -> Frame:
    position = {**frame.position, **{a: add(frame.position[a], integer(n)) for a, n in by.items()}}
    return Frame(position, frame.vector, frame.lanes, frame.mask)


def _by_operand(products: list[tuple[Value, Value, Var]]) -> list[tuple[Value, Value, Var]]:
    """The products that share an operand together: of the two, that which has more values, to hold few at a time."""
    side = max((0, 1), key=lambda k: len({p[k] for p in products}))
    groups: dict[Value | Var, list[tuple[Value, Value, Var]]] = {}
    for factors in products:
        groups.setdefault(factors[side], []).append(factors)
    return [p for group in groups.values() for p in group]
