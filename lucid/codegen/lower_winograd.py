"""Lowering of a sliding 3 x 3 window to Winograd's F(2x2, 3x3): image tiles transformed, multiplied, transformed back.

A turn of the one loop takes a block of tiles and some panels of output channels. It writes the transformed tiles into
scratch memory of its own thread, multiplies them with the transformed weights 16 times, and turns the products into
outputs, epilogue included; all of it stays in the second-level cache. Where a product is not finite (the input was not,
or its sums overflowed) the block's outputs are computed anew as the sums of products they stand for, so that what is
NaN or infinite is what the direct nest would give.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, prod

from lucid.codegen.access import Access, Placed, coefficient
from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
    Buffer,
    For,
    If,
    Kernel,
    Let,
    Lit,
    Prefetch,
    Read,
    Reg,
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
    scale,
)
from lucid.codegen.lower_contraction import contraction_of, operands
from lucid.codegen.lower_map import Frame, Nest
from lucid.codegen.schedule import Winograd, WinogradGradient
from lucid.codegen.spec import Window
from lucid.codegen.strides import first_lanes
from lucid.codegen.winograd import INPUTS, OUTPUTS
from lucid.errors import ScheduleError
from lucid.ir.expr import Axis


def lower_winograd(
    placed: Placed, window: Window, name: str, schedule: Winograd, *, fma: bool = True, note: str = ""
) -> Kernel:
    """The nest of a kernel as written (not in normal form), whose first extra buffer holds the transformed weights.

    Raises:
        ScheduleError: the kernel does not slide the window, or the register tile does not fit its block.
    """
    return _Winograd(placed, window, schedule, fma).kernel(name, note)


@dataclass(frozen=True)
class Tile:
    """Where an image tile lies: positions of the image axes, and of its first output."""

    images: dict[Axis, Value]
    row: Value
    column: Value


class TiledWindow(Nest):
    """What a convolution and the gradient to its weights share: tiles of an image, and their transform."""

    def __init__(self, placed: Placed, window: Window, schedule: Winograd | WinogradGradient, fma: bool):
        super().__init__(placed, lanes=schedule.lanes, unroll=1, fma=fma)
        reduce = contraction_of(placed)
        found = None if reduce is None else operands(reduce, window.vector)
        if reduce is None or found is None:
            raise ScheduleError(f"{schedule} needs a kernel that slides a window")
        self.reduce, self.operand, self.image, self.window = reduce, found.vector, found.broadcast, window
        self.dtype = reduce.dtype
        self.type = VType(self.dtype, schedule.lanes)
        if coefficient(self.image.offset, window.channel) != 1:
            raise ScheduleError(f"{schedule} needs an image whose channels lie side by side")
        self.rows = ceil(window.rows.extent / OUTPUTS)
        self.columns = ceil(window.columns.extent / OUTPUTS)
        self.tiles = prod(a.extent for a in window.images) * self.rows * self.columns

    def let(self, stem: str, value: Value, body: list[Stmt]) -> Value:
        if isinstance(value, Lit):
            return value
        var = Var(self.fresh(stem), value.type)
        body.append(Let(var, value))
        return var

    def locate(self, number: Value, body: list[Stmt]) -> Tile:
        """Where the tile with this number lies: tiles count along columns, then rows, then images."""
        column = self.let("tc", Bin("mod", number, integer(self.columns)), body)
        rest = self.let("tr", Bin("floordiv", number, integer(self.columns)), body)
        images: dict[Axis, Value] = {}
        row = self.let("tr", Bin("mod", rest, integer(self.rows)), body) if self.window.images else rest
        rest = Bin("floordiv", rest, integer(self.rows))
        for axis in reversed(self.window.images):
            images[axis] = self.let("image", Bin("mod", rest, integer(axis.extent)), body)
            rest = Bin("floordiv", rest, integer(axis.extent))
        return Tile(images, scale(row, OUTPUTS), scale(column, OUTPUTS))

    def transform_image(
        self,
        tile: Tile,
        fixed: dict[Axis, Value],
        channels: int,
        place: Value,
        into: Buffer,
        far: int,
        body: list[Stmt],
    ) -> None:
        """``B^T d B`` of a tile: its 16 parts from ``place`` on, ``far`` apart, channels side by side.

        Args:
            fixed: positions of the other axes; the first channel's among them.
            channels: how many.
        """
        window, lanes = self.window, self.lanes
        tap = integer(2 if window.flip else 0)  # where the first row and column of a tile are read
        across, along = (self.step_of(self.image, axis) for axis in (window.rows, window.columns))

        def vector(at: Value, count: int, inside: list[Stmt]) -> None:
            mask = None if count == lanes else first_lanes(count, lanes)
            position = {
                **fixed,
                **tile.images,
                window.rows: tile.row,
                window.columns: tile.column,
                window.row_tap: tap,
                window.column_tap: tap,
                window.channel: add(fixed.get(window.channel, integer(0)), at),
            }
            corner = self.let("corner", self.scalar_offset(self.image.offset, Frame(position), inside), inside)
            taken = [
                [
                    self.let(
                        "x", Read(self.image.buffer, add(corner, integer(u * across + v * along)), lanes, mask), inside
                    )
                    for v in range(INPUTS)
                ]
                for u in range(INPUTS)
            ]
            columns = [self._inputs([taken[u][v] for u in range(INPUTS)], inside) for v in range(INPUTS)]
            start = add(place, at)
            for u in range(INPUTS):
                row = self._inputs([columns[v][u] for v in range(INPUTS)], inside)
                for v in range(INPUTS):
                    inside.append(Write(into, add(start, integer((u * INPUTS + v) * far)), row[v]))

        self.steps(Axis("c", channels), lanes, vector, body)

    def step_of(self, access: Access, axis: Axis) -> int:
        """Elements that one step along ``axis`` moves an operand."""
        step = coefficient(access.offset, axis)
        assert step is not None
        return step

    def _inputs(self, x: list[Value], body: list[Stmt]) -> list[Value]:
        parts = (Bin("sub", x[0], x[2]), Bin("add", x[1], x[2]), Bin("sub", x[2], x[1]), Bin("sub", x[1], x[3]))
        return [self.let("b", part, body) for part in parts]

    def check(self, value: Value, into: Var, body: list[Stmt]) -> None:
        """``into``, which is zero, becomes NaN if a value is not finite."""
        body.append(Set(into, self.multiply_add(value, Lit(0.0, self.type), into)))

    def store_at(self, frame: Frame, value: Value, body: list[Stmt]) -> None:
        frame.reduced[self.reduce] = value
        self.store(self.placed.stores[0], frame, body)


class _Winograd(TiledWindow):
    def __init__(self, placed: Placed, window: Window, schedule: Winograd, fma: bool):
        super().__init__(placed, window, schedule, fma)
        if placed.extra is None:
            raise ScheduleError(f"{schedule} needs the transformed weights of its kernel")
        self.schedule, self.transformed = schedule, placed.extra
        inside = {*window.images, window.rows, window.columns, window.vector}
        self.panels = [a for a in placed.axes if a not in inside]
        if prod(a.extent for a in self.panels) % schedule.groups:
            raise ScheduleError(f"{schedule} does not divide the panels of its kernel")
        if not 1 <= schedule.tile <= schedule.block or schedule.lanes * schedule.vectors != window.vector.extent:
            raise ScheduleError(f"{schedule} does not tile {window.vector.extent} channels")
        #: Channels of a transformed tile in memory: whole vectors, and no stride of a power of two.
        self.depth = ceil(window.channel.extent / schedule.lanes) * schedule.lanes
        if self.depth * self.dtype.itemsize % 1024 == 0:
            self.depth += schedule.lanes
        self.block = min(schedule.block, self.tiles)
        width = window.vector.extent
        self.inputs = Buffer("v", self.dtype, INPUTS**2 * self.block * self.depth, "scratch")
        self.products = Buffer("m", self.dtype, INPUTS**2 * self.block * width, "scratch")

    def kernel(self, name: str, note: str) -> Kernel:
        blocks = ceil(self.tiles / self.block)
        panels = prod(a.extent for a in self.panels)
        groups = self.schedule.groups
        turn = Var(self.fresh("turn"), INDEX)
        body: list[Stmt] = []
        group = self.let("group", Bin("mod", turn, integer(groups)), body)
        first = self.let("first", scale(Bin("floordiv", turn, integer(groups)), self.block), body)
        each = panels // groups

        def run(count: int, inside: list[Stmt]) -> None:
            self._each_tile(first, count, inside, self._transform)
            panel = Var(self.fresh("panel"), INDEX)
            within: list[Stmt] = []
            self._one_panel(panel, first, count, within)
            low = scale(group, each)
            inside.append(For(panel, low, add(low, integer(each)), 1, tuple(within)))

        full = self.tiles // self.block * self.block
        whole: list[Stmt] = []
        run(self.block, whole)
        if full == self.tiles:
            body += whole
        else:
            last: list[Stmt] = []
            run(self.tiles - full, last)
            body += [
                If(Bin("lt", first, integer(full)), tuple(whole)),
                If(Bin("le", integer(full), first), tuple(last)),
            ]
        loop = For(turn, integer(0), integer(blocks * groups), 1, tuple(body), "parallel")
        return Kernel(name, (*self.placed.buffers, self.inputs, self.products), (loop,), note)

    def _transform(self, k: Value, tile: Tile, body: list[Stmt]) -> None:
        far = self.block * self.depth
        self.transform_image(tile, {}, self.window.channel.extent, scale(k, self.depth), self.inputs, far, body)

    def _outputs(self, m: list[Value], body: list[Stmt]) -> list[Value]:
        parts = (Bin("add", Bin("add", m[0], m[1]), m[2]), Bin("sub", Bin("sub", m[1], m[2]), m[3]))
        return [self.let("a", part, body) for part in parts]

    # --- one panel of output channels ---

    def _one_panel(self, panel: Value, first: Value, count: int, body: list[Stmt]) -> None:
        check = Var(self.fresh("check"), self.type)
        body.append(Reg(check, Lit(0.0, self.type)))
        self._multiply(panel, count, check, body)
        wrong = self.let("wrong", Un("isnan", Across("sum", check)), body)
        direct: list[Stmt] = []
        self._each_tile(first, count, direct, lambda k, tile, inside: self._directly(panel, tile, inside))
        back: list[Stmt] = []
        self._each_tile(first, count, back, lambda k, tile, inside: self._transform_back(panel, k, tile, inside))
        body += [If(wrong, tuple(direct)), If(Un("not", wrong), tuple(back))]

    def _multiply(self, panel: Value, count: int, check: Var, body: list[Stmt]) -> None:
        """The 16 products; ``check`` becomes NaN if any of them is not finite."""
        channels, width = self.window.channel.extent, self.window.vector.extent
        lanes, vectors, depth = self.schedule.lanes, self.schedule.vectors, self.depth
        which = Var(self.fresh("which"), INDEX)
        inside: list[Stmt] = []
        weights = scale(add(scale(panel, INPUTS**2), which), channels * width)

        def tile(at: Value, size: int, out: list[Stmt]) -> None:
            accumulators = [[Var(self.fresh("acc"), self.type) for _ in range(vectors)] for _ in range(size)]
            out.extend(Reg(acc, Lit(0.0, self.type)) for row in accumulators for acc in row)
            image = scale(add(scale(which, self.block), at), depth)

            def step(channel: Value, several: int, loop: list[Stmt]) -> None:
                for u in range(several):
                    here = add(channel, integer(u))
                    if self.schedule.ahead:
                        line = add(weights, scale(add(here, integer(channels)), width))
                        loop.extend(Prefetch(self.transformed, add(line, integer(v * lanes))) for v in range(vectors))
                    row = [
                        Read(self.transformed, add(add(weights, scale(here, width)), integer(v * lanes)), lanes)
                        for v in range(vectors)
                    ]
                    for j, accs in enumerate(accumulators):
                        x = Splat(Read(self.inputs, add(add(image, here), integer(j * depth))), lanes)
                        loop.extend(Set(a, self.multiply_add(x, w, a)) for a, w in zip(accs, row, strict=True))

            self.steps(self.window.channel, min(self.schedule.unroll, channels), step, out)
            place = scale(add(scale(which, self.block), at), width)
            for j, accs in enumerate(accumulators):
                for v, acc in enumerate(accs):
                    self.check(acc, check, out)
                    out.append(Write(self.products, add(place, integer(j * width + v * lanes)), acc))

        self.steps(Axis("t", count), min(self.schedule.tile, count), tile, inside)
        body.append(For(which, integer(0), integer(INPUTS**2), 1, tuple(inside)))

    def _each_tile(
        self, first: Value, count: int, body: list[Stmt], inside: Callable[[Value, Tile, list[Stmt]], None]
    ) -> None:
        k = Var(self.fresh("k"), INDEX)
        each: list[Stmt] = []
        inside(k, self.locate(add(first, k), each), each)
        body.append(For(k, integer(0), integer(count), 1, tuple(each)))

    def _transform_back(self, panel: Value, k: Value, tile: Tile, body: list[Stmt]) -> None:
        """``A^T m A``, and the epilogue, for the four outputs of a tile."""
        width, lanes = self.window.vector.extent, self.schedule.lanes
        for v in range(self.schedule.vectors):
            place = add(scale(k, width), integer(v * lanes))
            parts = [
                self.let("m", Read(self.products, add(place, integer(n * self.block * width)), lanes), body)
                for n in range(INPUTS**2)
            ]
            columns = [self._outputs(parts[c::INPUTS], body) for c in range(INPUTS)]
            for p in range(OUTPUTS):
                row = self._outputs([columns[c][p] for c in range(INPUTS)], body)
                for q in range(OUTPUTS):
                    self._store(panel, tile, p, q, v, row[q], body)

    def _directly(self, panel: Value, tile: Tile, body: list[Stmt]) -> None:
        """The sums of products themselves."""
        window, lanes = self.window, self.schedule.lanes
        taps = (window.row_tap, window.column_tap, window.channel)
        for p in range(OUTPUTS):
            for q in range(OUTPUTS):
                for v in range(self.schedule.vectors):
                    frame = self._frame(panel, tile, p, q, v)
                    acc = Var(self.fresh("acc"), self.type)
                    inside: list[Stmt] = [Reg(acc, Lit(0.0, self.type))]
                    names = [Var(self.fresh(a.name), INDEX) for a in taps]
                    at = Frame({**frame.position, **dict(zip(taps, names, strict=True))})
                    x = Splat(Read(self.image.buffer, self.scalar_offset(self.image.offset, at, inside)), lanes)
                    w = Read(self.operand.buffer, self.scalar_offset(self.operand.offset, at, inside), lanes)
                    loop: Stmt = Set(acc, self.multiply_add(x, w, acc))
                    for name, axis in reversed(list(zip(names, taps, strict=True))):
                        loop = For(name, integer(0), integer(axis.extent), 1, (loop,))
                    inside.append(loop)
                    self.store_at(frame, acc, inside)
                    self._where_inside(tile, p, q, inside, body)

    # --- results ---

    def _frame(self, panel: Value, tile: Tile, p: int, q: int, v: int) -> Frame:
        window, lanes = self.window, self.schedule.lanes
        position = {**tile.images, window.rows: add(tile.row, integer(p)), window.columns: add(tile.column, integer(q))}
        rest = panel
        for axis in reversed(self.panels):
            position[axis] = rest if axis is self.panels[0] else Bin("mod", rest, integer(axis.extent))
            rest = Bin("floordiv", rest, integer(axis.extent))
        return Frame(position).vectorised(window.vector, integer(v * lanes), lanes, None)

    def _store(self, panel: Value, tile: Tile, p: int, q: int, v: int, value: Value, body: list[Stmt]) -> None:
        inside: list[Stmt] = []
        self.store_at(self._frame(panel, tile, p, q, v), value, inside)
        self._where_inside(tile, p, q, inside, body)

    def _where_inside(self, tile: Tile, p: int, q: int, inside: list[Stmt], body: list[Stmt]) -> None:
        """Where the number of outputs is odd, the last tile has some that are not there."""
        condition: Value | None = None
        for at, axis, far in ((tile.row, self.window.rows, p), (tile.column, self.window.columns, q)):
            if far and axis.extent % OUTPUTS:
                test = Bin("lt", add(at, integer(far)), integer(axis.extent))
                condition = test if condition is None else Bin("and", condition, test)
        if condition is None:
            body += inside
        else:
            body.append(If(condition, tuple(inside)))
