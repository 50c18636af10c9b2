"""Lowering to the contraction nest: a tile of the output held in registers, multiplied up along the reduction axes.

One nest serves convolution, both its gradients, matmul, grouped and depthwise convolution: they differ in the strides
their operands have along the axes. Each step reads a few vectors of one operand, broadcasts elements of the other
(or reads vectors of it too, when it also runs along the vector axis), and does one fused multiply-add per register.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil

from lucid.codegen.access import Access, Placed, coefficient
from lucid.codegen.loops import (
    INDEX,
    Bin,
    For,
    Kernel,
    Lit,
    LoopKind,
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
from lucid.codegen.lower_map import Frame, Nest
from lucid.codegen.schedule import Contraction
from lucid.errors import ScheduleError
from lucid.ir.expr import Axis, Binary, Reduce, walk


@dataclass(frozen=True)
class ProductOfTwo:
    """A contraction as seen in memory: the reduction, the operand read as vectors, and the one broadcast against it."""

    reduce: Reduce
    vector: Access
    broadcast: Access


def contraction_of(placed: Placed) -> Reduce | None:
    """The one sum of a product of two unguarded accesses in a kernel's only store, if that is what it is."""
    if len(placed.stores) != 1:
        return None
    found = [e for e in walk(placed.stores[0].value) if isinstance(e, Reduce)]
    if len(found) != 1 or found[0].kind != "sum" or found[0].dtype.kind != "f":
        return None
    body = found[0].body
    if not (isinstance(body, Binary) and body.op == "mul"):
        return None
    if not all(isinstance(x, Access) and x.guard is None for x in (body.a, body.b)):
        return None
    return found[0]


def operands(reduce: Reduce, vector: Axis) -> ProductOfTwo | None:
    """Which operand is read as vectors along ``vector``; None if neither has stride one there."""
    body = reduce.body
    assert isinstance(body, Binary)
    a, b = body.a, body.b
    assert isinstance(a, Access)
    assert isinstance(b, Access)
    for x, other in ((b, a), (a, b)):
        if coefficient(x.offset, vector) == 1 and coefficient(other.offset, vector) == 0:
            return ProductOfTwo(reduce, x, other)
    if coefficient(a.offset, vector) == 1 and coefficient(b.offset, vector) == 1:
        return ProductOfTwo(reduce, b, a)
    return None


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
        if schedule.vector not in outer or any(a not in outer or a == schedule.vector for a, _ in schedule.tile):
            raise ScheduleError(f"{schedule}: the vector axis and the tiled axes must be distinct output axes")
        self.axis = {**outer, **inner}
        self.vector = outer[schedule.vector]
        found = operands(reduce, self.vector)
        if found is None or coefficient(placed.stores[0].offset, self.vector) != 1:
            raise ScheduleError(f"axis {schedule.vector} is not contiguous in the result and in one operand")
        if schedule.block and placed.stores[0].value is not reduce:
            raise ScheduleError("a contraction blocked over its reduction cannot have an epilogue")
        if any(a not in inner or n < 1 for a, n in schedule.block) or len(dict(schedule.block)) < len(schedule.block):
            raise ScheduleError(f"{schedule} must block reduction axes by one or more positions: {sorted(inner)}")
        if any(n % schedule.unroll for a, n in schedule.block if a == schedule.reduce[-1]):
            raise ScheduleError(f"{schedule}: blocks of the innermost reduction axis must be made of whole steps")
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
        inside: list[Stmt] = []
        self._outer([self.axis[a] for a in self.schedule.outer], Frame({}), {}, inside)
        for axis, var in reversed(self.begins.items()):
            inside = [For(var, integer(0), integer(axis.extent), self.block[axis], tuple(inside))]
        body.extend(inside)
        return Kernel(name, self.placed.buffers, tuple(body), note)

    def _parallel_axis(self) -> Axis | None:
        """The axis whose turns threads share: the one with the most turns, an outer one if it can be halved."""
        best: tuple[int, Axis] | None = None
        for name in self.schedule.outer:
            axis = self.axis[name]
            turns = ceil(axis.extent / self._step_of(axis))
            if turns > 1 and (best is None or best[0] % 2) and (best is None or turns > best[0]):
                best = turns, axis
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
        first = frame.position[self.vector]
        vectors = self.side_by_side(self.vector, frame, first, counts[self.vector], self.schedule.lanes)
        frames = [[_shifted(v, place) for v in vectors] for place in places]
        type = VType(self.operands.reduce.dtype, self.schedule.lanes)
        accumulators = [[Var(self.fresh("acc"), type) for _ in vectors] for _ in places]
        store = self.placed.stores[0]
        for row, tile in zip(accumulators, frames, strict=True):
            for acc, at in zip(row, tile, strict=True):
                start: Value = Lit(0.0, type)
                for var in self.begins.values():  # the first block starts from zero, the others go on
                    so_far = Read(store.buffer, self.scalar_offset(store.offset, at, body), type.lanes, at.mask)
                    begun = Bin("lt", integer(0), var)
                    start = Sel(Splat(begun, type.lanes), so_far, start)
                body.append(Reg(acc, start))
        self._multiply(self.schedule.reduce, frames, accumulators, {}, body)
        for row, tile in zip(accumulators, frames, strict=True):
            for acc, at in zip(row, tile, strict=True):
                at.reduced[self.operands.reduce] = acc
                self.store(store, at, body)

    def _multiply(
        self,
        names: tuple[str, ...],
        frames: list[list[Frame]],
        accumulators: list[list[Var]],
        position: dict[Axis, Value],
        body: list[Stmt],
    ) -> None:
        """The reduction loops around the multiply-adds."""
        if not names:
            self._step(frames, accumulators, position, body)
            return
        axis = self.axis[names[0]]
        unroll = self.schedule.unroll if len(names) == 1 else 1
        if self.block.get(axis) == 1:
            self._multiply(names[1:], frames, accumulators, {**position, axis: self.begins[axis]}, body)
            return
        full = axis.extent // unroll * unroll
        for lo, hi, step in ((0, full, unroll), (full, axis.extent, 1)):
            if lo == hi:
                continue
            var = Var(self.fresh(axis.name), INDEX)
            inside: list[Stmt] = []
            for u in range(step):
                self._multiply(names[1:], frames, accumulators, {**position, axis: add(var, integer(u))}, inside)
            first, last = self._block_of(axis, lo, hi)
            body.append(For(var, first, last, step, tuple(inside)))

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
        position: dict[Axis, Value],
        body: list[Stmt],
    ) -> None:
        vector, broadcast = self.operands.vector, self.operands.broadcast
        rows: list[Value] = []
        for tile, row in zip(frames, accumulators, strict=True):
            if not rows or not self.rows_shared:
                rows = [self._read(vector, f, position, body, scalar=False) for f in tile]
            xs = [self._read(broadcast, f, position, body, self.scalar) for f in (tile[:1] if self.scalar else tile)]
            for k, acc in enumerate(row):
                body.append(Set(acc, self.multiply_add(xs[0 if self.scalar else k], rows[k], acc)))

    def _read(self, access: Access, frame: Frame, position: dict[Axis, Value], body: list[Stmt], scalar: bool) -> Value:
        here = Frame({**frame.position, **position}, frame.vector, frame.lanes, frame.mask)
        offset = self.scalar_offset(access.offset, here, body)
        if scalar:
            return Splat(Read(access.buffer, offset), frame.lanes)
        return Read(access.buffer, offset, frame.lanes, frame.mask)


def _shifted(frame: Frame, by: dict[Axis, int]) -> Frame:
    position = {**frame.position, **{a: add(frame.position[a], integer(n)) for a, n in by.items()}}
    return Frame(position, frame.vector, frame.lanes, frame.mask)
