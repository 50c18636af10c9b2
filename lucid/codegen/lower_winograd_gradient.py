"""Lowering of the gradient to 3 x 3 weights to Winograd's F(3x3, 2x2).

A turn of the one loop makes the gradient between some input and some output channels. It holds 16 sums of products for
each pair of them, walks all tiles a block at a time, transforming image and gradient into scratch memory of its own
thread, and transforms the sums back at the end. Where a sum is not finite, the turn's results are computed anew as the
sums of products they stand for, so that what is NaN or infinite is what the direct nest would give.
"""

from __future__ import annotations

from math import prod

from lucid.codegen.access import Placed
from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
    Buffer,
    For,
    If,
    Kernel,
    Lit,
    Read,
    Reg,
    Set,
    Splat,
    Stmt,
    Un,
    Value,
    Var,
    Write,
    add,
    integer,
    scale,
)
from lucid.codegen.lower_map import Frame
from lucid.codegen.lower_winograd import TiledWindow
from lucid.codegen.schedule import WinogradGradient
from lucid.codegen.spec import Window
from lucid.codegen.winograd import INPUTS, OUTPUTS
from lucid.errors import ScheduleError
from lucid.ir.expr import Axis

_TAPS = 3


def lower_winograd_gradient(
    placed: Placed, window: Window, name: str, schedule: WinogradGradient, *, fma: bool = True, note: str = ""
) -> Kernel:
    """The nest of a kernel as written (not in normal form).

    Raises:
        ScheduleError: the kernel is no such gradient, or its channels are no multiples of those held at once.
    """
    return _Gradient(placed, window, schedule, fma).kernel(name, note)


class _Gradient(TiledWindow):
    def __init__(self, placed: Placed, window: Window, schedule: WinogradGradient, fma: bool):
        super().__init__(placed, window, schedule, fma)
        self.schedule = schedule
        channels, outputs = window.channel.extent, window.vector.extent
        held, wide, lanes = schedule.channels, schedule.outputs, schedule.lanes
        if channels % max(held, 1) or outputs % max(wide, 1) or wide % (lanes * schedule.vectors) or held < 1:
            raise ScheduleError(f"{schedule} does not divide {channels} x {outputs} channels")
        if schedule.tile < 1 or schedule.block < 1:
            raise ScheduleError(f"{schedule}: tile and block must be at least 1")
        if not all(self.steps_of(self.operand)):
            raise ScheduleError(f"{schedule} needs a kernel that sums over pixels")
        self.filter = (window.row_tap, window.column_tap, window.channel)
        self.parts = [a for a in placed.axes if a not in (*self.filter, window.vector)]
        self.block = min(schedule.block, self.tiles)
        #: Channels of a transformed image tile in memory: whole vectors.
        self.depth = -(-held // lanes) * lanes
        # A line more between the 16 products: they are written at once, and must not all go to one set of the cache.
        self.image_far = self.block * self.depth + lanes
        self.gradient_far = self.block * wide + lanes
        self.inputs = Buffer("v", self.dtype, INPUTS**2 * self.image_far, "scratch")
        self.gradients = Buffer("u", self.dtype, INPUTS**2 * self.gradient_far, "scratch")
        self.sums = Buffer("m", self.dtype, INPUTS**2 * held * wide, "scratch")

    def kernel(self, name: str, note: str) -> Kernel:
        window, schedule = self.window, self.schedule
        across, along = window.channel.extent // schedule.channels, window.vector.extent // schedule.outputs
        turn = Var(self.fresh("turn"), INDEX)
        body: list[Stmt] = []
        fixed: dict[Axis, Value] = {}
        rest: Value = turn
        for axis, count, step in (
            (window.vector, along, schedule.outputs),
            (window.channel, across, schedule.channels),
        ):
            fixed[axis] = self.let(axis.name, scale(Bin("mod", rest, integer(count)), step), body)
            rest = self.let("rest", Bin("floordiv", rest, integer(count)), body)
        for axis in reversed(self.parts):
            fixed[axis] = self.let(axis.name, Bin("mod", rest, integer(axis.extent)), body)
            rest = Bin("floordiv", rest, integer(axis.extent))
        self._clear(body)
        self.steps(Axis("tile", self.tiles), self.block, lambda t, n, out: self._one_block(fixed, t, n, out), body)
        self._results(fixed, body)
        turns = across * along * prod(a.extent for a in self.parts)
        loop = For(turn, integer(0), integer(turns), 1, tuple(body), "parallel")
        return Kernel(name, (*self.placed.buffers, self.inputs, self.gradients, self.sums), (loop,), note)

    def _clear(self, body: list[Stmt]) -> None:
        at = Var(self.fresh("at"), INDEX)
        zero = Write(self.sums, at, Lit(0.0, self.type))
        body.append(For(at, integer(0), integer(self.sums.size), self.lanes, (zero,)))

    # --- a block of tiles ---

    def _one_block(self, fixed: dict[Axis, Value], first: Value, count: int, body: list[Stmt]) -> None:
        k = Var(self.fresh("k"), INDEX)
        each: list[Stmt] = []
        tile = self.locate(add(first, k), each)
        held = self.schedule.channels
        self.transform_image(tile, fixed, held, scale(k, self.depth), self.inputs, self.image_far, each)
        position = {**fixed, **tile.images, self.window.rows: tile.row, self.window.columns: tile.column}
        self._transform_gradient(position, k, each)
        body.append(For(k, integer(0), integer(count), 1, tuple(each)))
        self._multiply(count, body)

    def _transform_gradient(self, position: dict[Axis, Value], k: Value, body: list[Stmt]) -> None:
        """``G g G^T`` of a tile, but for halves: they are left to the sums."""
        lanes, wide = self.lanes, self.schedule.outputs
        across, along = self.steps_of(self.operand)
        corner = self.let("corner", self.scalar_offset(self.operand.offset, Frame(position), body), body)

        def vector(at: Value, _: int, inside: list[Stmt]) -> None:
            start = add(corner, at)
            taken = [
                [
                    self.let("g", Read(self.operand.buffer, add(start, integer(u * across + v * along)), lanes), inside)
                    for v in range(OUTPUTS)
                ]
                for u in range(OUTPUTS)
            ]
            columns = [self._gradients([taken[u][v] for u in range(OUTPUTS)], inside) for v in range(OUTPUTS)]
            place = add(scale(k, wide), at)
            for u in range(INPUTS):
                row = self._gradients([columns[v][u] for v in range(OUTPUTS)], inside)
                for v in range(INPUTS):
                    far = (u * INPUTS + v) * self.gradient_far
                    inside.append(Write(self.gradients, add(place, integer(far)), row[v]))

        self.steps(Axis("o", wide), lanes, vector, body)

    def _gradients(self, g: list[Value], body: list[Stmt]) -> list[Value]:
        first, second = g
        return [first, *(self.let("h", Bin(op, first, second), body) for op in ("add", "sub")), second]

    def _multiply(self, count: int, body: list[Stmt]) -> None:
        """Add the 16 products of the block's tiles to the sums."""
        schedule, lanes = self.schedule, self.lanes
        held, wide, width = schedule.channels, schedule.outputs, lanes * schedule.vectors
        which = Var(self.fresh("which"), INDEX)
        panel = Var(self.fresh("panel"), INDEX)
        inside: list[Stmt] = []

        def tile(at: Value, size: int, out: list[Stmt]) -> None:
            place = add(add(scale(which, held * wide), scale(at, wide)), panel)
            accumulators = [
                [
                    (Var(self.fresh("acc"), self.type), add(place, integer(j * wide + v * lanes)))
                    for v in range(schedule.vectors)
                ]
                for j in range(size)
            ]
            out.extend(Reg(acc, Read(self.sums, where, lanes)) for row in accumulators for acc, where in row)
            image = add(scale(which, self.image_far), at)
            gradient = add(scale(which, self.gradient_far), panel)

            def step(k: Value, several: int, loop: list[Stmt]) -> None:
                for u in range(several):
                    here = add(k, integer(u))
                    row = [
                        Read(self.gradients, add(add(gradient, scale(here, wide)), integer(v * lanes)), lanes)
                        for v in range(schedule.vectors)
                    ]
                    for j, accs in enumerate(accumulators):
                        x = Splat(Read(self.inputs, add(add(image, scale(here, self.depth)), integer(j))), lanes)
                        loop.extend(Set(a, self.multiply_add(x, g, a)) for (a, _), g in zip(accs, row, strict=True))

            self.steps(Axis("k", count), min(schedule.unroll, count), step, out)
            out.extend(Write(self.sums, where, acc) for row in accumulators for acc, where in row)

        self.steps(Axis("c", held), min(schedule.tile, held), tile, inside)
        panels = For(panel, integer(0), integer(wide), width, tuple(inside))
        body.append(For(which, integer(0), integer(INPUTS**2), 1, (panels,)))

    # --- results ---

    def _results(self, fixed: dict[Axis, Value], body: list[Stmt]) -> None:
        """``A^T m A`` of all sums, or the sums they stand for."""
        check = Var(self.fresh("check"), self.type)
        at = Var(self.fresh("at"), INDEX)
        tests: list[Stmt] = []
        tests.append(Set(check, self.multiply_add(Read(self.sums, at, self.lanes), Lit(0.0, self.type), check)))
        body += [
            Reg(check, Lit(0.0, self.type)),
            For(at, integer(0), integer(self.sums.size), self.lanes, tuple(tests)),
        ]
        wrong = self.let("wrong", Un("isnan", Across("sum", check)), body)
        for condition, results in ((wrong, self._directly), (Un("not", wrong), self._transform_back)):
            c, o = Var(self.fresh("c"), INDEX), Var(self.fresh("o"), INDEX)
            position = {
                **fixed,
                self.window.channel: add(fixed[self.window.channel], c),
                self.window.vector: add(fixed[self.window.vector], o),
            }
            inside: list[Stmt] = []
            results(position, c, o, inside)
            loop: Stmt = For(o, integer(0), integer(self.schedule.outputs), self.lanes, tuple(inside))
            loop = For(c, integer(0), integer(self.schedule.channels), 1, (loop,))
            body.append(If(condition, (loop,)))

    def _transform_back(self, position: dict[Axis, Value], c: Value, o: Value, body: list[Stmt]) -> None:
        held, wide = self.schedule.channels, self.schedule.outputs
        place = add(scale(c, wide), o)
        parts = [
            self.let("m", Read(self.sums, add(place, integer(n * held * wide)), self.lanes), body)
            for n in range(INPUTS**2)
        ]
        columns = [self._sums(parts[n::INPUTS], body) for n in range(INPUTS)]
        for p in range(_TAPS):
            for q, value in enumerate(self._sums([columns[n][p] for n in range(INPUTS)], body)):
                self.store_at(self._frame(position, integer(p), integer(q)), value, body)

    def _sums(self, m: list[Value], body: list[Stmt]) -> list[Value]:
        half = Lit(0.5, self.type)
        plus, minus = (self.let("half", Bin("mul", Bin(op, m[1], m[2]), half), body) for op in ("add", "sub"))
        ends = (Bin("add", m[0], plus), Bin("sub", plus, m[3]))
        first, last = (self.let("a", end, body) for end in ends)
        return [first, minus, last]

    def _frame(self, position: dict[Axis, Value], p: Value, q: Value) -> Frame:
        window = self.window
        taps = {window.row_tap: p, window.column_tap: q}
        return Frame({**position, **taps}).vectorised(window.vector, position[window.vector], self.lanes, None)

    def _directly(self, position: dict[Axis, Value], c: Value, o: Value, body: list[Stmt]) -> None:
        window = self.window
        p, q = Var(self.fresh("p"), INDEX), Var(self.fresh("q"), INDEX)
        frame = self._frame(position, p, q)
        acc = Var(self.fresh("acc"), self.type)
        inside: list[Stmt] = [Reg(acc, Lit(0.0, self.type))]
        over = (*window.images, window.rows, window.columns)
        names = [Var(self.fresh(a.name), INDEX) for a in over]
        at = Frame({**frame.position, **dict(zip(over, names, strict=True))})
        innermost: list[Stmt] = []
        x = Splat(Read(self.image.buffer, self.scalar_offset(self.image.offset, at, innermost)), self.lanes)
        g = Read(self.operand.buffer, self.scalar_offset(self.operand.offset, at, innermost), self.lanes)
        innermost.append(Set(acc, self.multiply_add(x, g, acc)))
        loop: tuple[Stmt, ...] = tuple(innermost)
        for name, axis in reversed(list(zip(names, over, strict=True))):
            loop = (For(name, integer(0), integer(axis.extent), 1, loop),)
        inside += loop
        self.store_at(frame, acc, inside)
        columns = For(q, integer(0), integer(_TAPS), 1, tuple(inside))
        body.append(For(p, integer(0), integer(_TAPS), 1, (columns,)))
