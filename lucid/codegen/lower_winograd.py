"""Lowering of a sliding 3 x 3 window to Winograd's F(2x2, 3x3): image tiles transformed, multiplied, transformed back.

A turn of the one loop takes a block of tiles and some panels of output channels. It writes the transformed tiles into
scratch memory of its own thread, multiplies them with the transformed weights 16 times, and turns the products into
outputs, epilogue included; all of it stays in the second-level cache. Where an output is not finite (the input was not,
or a sum overflowed on the way) its tile is computed anew as the sums of products it stands for, so that what is NaN or
infinite is what the direct nest would give: every product is part of some output, and what is not finite stays so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
from lucid.codegen.lower_contraction import contraction_of
from lucid.codegen.lower_map import Frame, Nest
from lucid.codegen.schedule import Winograd, WinogradGradient
from lucid.codegen.spec import Window
from lucid.codegen.strides import first_lanes
from lucid.codegen.winograd import INPUTS, OUTPUTS, beyond, tiles_along
from lucid.errors import ScheduleError
from lucid.ir.expr import Axis, Binary, Reduce


def lower_winograd(
    placed: Placed, window: Window, name: str, schedule: Winograd, *, fma: bool = True, note: str = ""
) -> Kernel:
    """The nest of a kernel as written (not in normal form), whose first extra buffer holds the transformed weights.

    Raises:
        ScheduleError: the kernel does not slide the window, or the register tile does not fit its block.
    """
    return _Winograd(placed, window, schedule, fma).kernel(name, note)


def _image_and_other(reduce: Reduce, window: Window) -> tuple[Access, Access] | None:
    """The two operands: weights have no pixels, a gradient has no taps."""
    body = reduce.body
    assert isinstance(body, Binary)
    axis = window.row_tap if window.weights is None else window.rows
    found = [x for x in (body.a, body.b) if isinstance(x, Access) and coefficient(x.offset, axis)]
    if len(found) != 1:
        return None
    other = body.b if found[0] is body.a else body.a
    assert isinstance(other, Access)
    return found[0], other


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
        found = None if reduce is None else _image_and_other(reduce, window)
        if reduce is None or found is None:
            raise ScheduleError(f"{schedule} needs a kernel that slides a window")
        self.reduce, self.window = reduce, window
        self.image, self.operand = found
        self.dtype = reduce.dtype
        self.type = VType(self.dtype, schedule.lanes)
        if coefficient(self.image.offset, window.channel) != 1:
            raise ScheduleError(f"{schedule} needs an image whose channels lie side by side")
        self.rows, self.columns = (
            tiles_along(a, d) for a, d in zip((window.rows, window.columns), window.dilation, strict=True)
        )
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
        down, right = self.window.dilation
        return Tile(images, self._first_output(row, down), self._first_output(column, right))

    def _first_output(self, tile: Value, dilation: int) -> Value:
        """Of a tile along a row or a column: as many tiles as the dilation interleave."""
        if dilation == 1:
            return scale(tile, OUTPUTS)
        whole = scale(Bin("floordiv", tile, integer(dilation)), OUTPUTS * dilation)
        return add(whole, Bin("mod", tile, integer(dilation)))

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
        across, along = self.steps_of(self.image)

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

    def steps_of(self, access: Access) -> tuple[int, int]:
        """Elements from one pixel of a tile to the next, along columns and rows."""
        window = self.window
        down, right = (coefficient(access.offset, axis) for axis in (window.rows, window.columns))
        assert down is not None
        assert right is not None
        return down * window.dilation[0], right * window.dilation[1]

    def _inputs(self, x: list[Value], body: list[Stmt]) -> list[Value]:
        parts = (Bin("sub", x[0], x[2]), Bin("add", x[1], x[2]), Bin("sub", x[2], x[1]), Bin("sub", x[1], x[3]))
        return [self.let("b", part, body) for part in parts]

    def store_at(self, frame: Frame, value: Value, body: list[Stmt]) -> None:
        frame.reduced[self.reduce] = value
        self.store(self.placed.stores[0], frame, body)


class _Winograd(TiledWindow):
    def __init__(self, placed: Placed, window: Window, schedule: Winograd, fma: bool):
        super().__init__(placed, window, schedule, fma)
        if placed.extra is None:
            raise ScheduleError(f"{schedule} needs the transformed weights of its kernel")
        self.schedule, self.transformed = schedule, placed.extra
        self.group: Value = integer(0)
        assert window.weights is not None
        *_, self.channels, self.width = window.weights.shape
        if not 1 <= schedule.tile <= schedule.block or schedule.lanes * schedule.vectors != self.width:
            raise ScheduleError(f"{schedule} does not tile {window.vector.extent} channels")
        #: Panels of one group.
        self.count = ceil(window.vector.extent / self.width)
        if schedule.parts < 1 or self.count % schedule.parts:
            raise ScheduleError(f"{schedule} does not divide the panels of its kernel")
        #: Channels of a transformed tile in memory: whole vectors, and no stride of a power of two.
        self.depth = ceil(window.channel.extent / schedule.lanes) * schedule.lanes
        if self.depth * self.dtype.itemsize % 1024 == 0:
            self.depth += schedule.lanes
        self.block = min(schedule.block, self.tiles)
        self.inputs = Buffer("v", self.dtype, INPUTS**2 * self.block * self.depth, "scratch")
        self.products = Buffer("m", self.dtype, INPUTS**2 * self.block * self.width, "scratch")

    def kernel(self, name: str, note: str) -> Kernel:
        blocks = ceil(self.tiles / self.block)
        parts, groups = self.schedule.parts, self.window.groups
        turn = Var(self.fresh("turn"), INDEX)
        body: list[Stmt] = []
        part = self.let("part", Bin("mod", turn, integer(parts)), body) if parts > 1 else integer(0)
        rest = Bin("floordiv", turn, integer(parts)) if parts > 1 else turn
        if groups > 1:
            self.group = self.let("group", Bin("mod", rest, integer(groups)), body)
            rest = Bin("floordiv", rest, integer(groups))
        first = self.let("first", scale(rest, self.block), body)
        each = self.count // parts

        def run(count: int, inside: list[Stmt]) -> None:
            self._each_tile(first, count, inside, self._transform)
            panel = Var(self.fresh("panel"), INDEX)
            within: list[Stmt] = []
            self._one_panel(panel, first, count, within)
            low = scale(part, each)
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
        loop = For(turn, integer(0), integer(blocks * groups * parts), 1, tuple(body), "parallel")
        return Kernel(name, (*self.placed.buffers, self.inputs, self.products), (loop,), note)

    def _of_group(self) -> dict[Axis, Value]:
        return {} if self.window.group is None else {self.window.group: self.group}

    def _transform(self, k: Value, tile: Tile, body: list[Stmt]) -> None:
        far = self.block * self.depth
        place, channels = scale(k, self.depth), self.window.channel.extent
        self.transform_image(tile, self._of_group(), channels, place, self.inputs, far, body)

    def _outputs(self, m: list[Value], body: list[Stmt]) -> list[Value]:
        parts = (Bin("add", Bin("add", m[0], m[1]), m[2]), Bin("sub", Bin("sub", m[1], m[2]), m[3]))
        return [self.let("a", part, body) for part in parts]

    # --- one panel of output channels ---

    def _one_panel(self, panel: Value, first: Value, count: int, body: list[Stmt]) -> None:
        self._multiply(panel, count, body)
        narrow = self.window.vector.extent % self.width
        if not narrow or self.count > 1:
            whole: list[Stmt] = []
            self._results(panel, first, count, self.width, whole)
        if not narrow:
            body += whole
            return
        last: list[Stmt] = []
        self._results(panel, first, count, narrow, last)
        if self.count == 1:
            body += last
            return
        body += [
            If(Bin("lt", panel, integer(self.count - 1)), tuple(whole)),
            If(Bin("le", integer(self.count - 1), panel), tuple(last)),
        ]

    def _multiply(self, panel: Value, count: int, body: list[Stmt]) -> None:
        """The 16 products of a block's tiles."""
        channels, width = self.window.channel.extent, self.width
        lanes, vectors, depth = self.schedule.lanes, self.schedule.vectors, self.depth
        which = Var(self.fresh("which"), INDEX)
        inside: list[Stmt] = []
        among = self.channels > channels  # the groups are parts of the weights' channels, or of their panels
        number = panel if among else add(scale(self.group, self.count), panel)
        weights = scale(add(scale(number, INPUTS**2), which), self.channels * width)
        if among:
            weights = add(weights, scale(self.group, channels * width))

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

    def _results(self, panel: Value, first: Value, count: int, channels: int, body: list[Stmt]) -> None:
        """The outputs of a block's tiles: ``A^T m A`` and the epilogue, or the sums of products themselves."""
        k = Var(self.fresh("k"), INDEX)
        each: list[Stmt] = []
        tile = self.locate(add(first, k), each)
        for v in range(ceil(channels / self.lanes)):
            outputs = self._transform_back(k, v, each)
            check = self.let("check", Bin("mul", outputs[0][0], Lit(0.0, self.type)), each)
            for value in (outputs[0][1], *outputs[1]):
                check = self.let("check", self.multiply_add(value, Lit(0.0, self.type), check), each)
            wrong = self.let("wrong", Across("max", Un("isnan", check)), each)
            direct: list[Stmt] = []
            back: list[Stmt] = []
            for p in range(OUTPUTS):
                for q in range(OUTPUTS):
                    frame = self._frame(panel, tile, p, q, v, channels)
                    self._directly(frame, tile, p, q, direct)
                    inside: list[Stmt] = []
                    self.store_at(frame, outputs[p][q], inside)
                    self._where_inside(tile, p, q, inside, back)
            each += [If(wrong, tuple(direct)), If(Un("not", wrong), tuple(back))]
        body.append(For(k, integer(0), integer(count), 1, tuple(each)))

    def _transform_back(self, k: Value, v: int, body: list[Stmt]) -> list[list[Value]]:
        """``A^T m A``: the outputs of a tile, rows of columns, if every product is finite."""
        place = add(scale(k, self.width), integer(v * self.lanes))
        parts = [
            self.let("m", Read(self.products, add(place, integer(n * self.block * self.width)), self.lanes), body)
            for n in range(INPUTS**2)
        ]
        columns = [self._outputs(parts[c::INPUTS], body) for c in range(INPUTS)]
        return [self._outputs([columns[c][p] for c in range(INPUTS)], body) for p in range(OUTPUTS)]

    def _directly(self, frame: Frame, tile: Tile, p: int, q: int, body: list[Stmt]) -> None:
        """The sums of products themselves."""
        window, lanes = self.window, self.schedule.lanes
        taps = (window.row_tap, window.column_tap, window.channel)
        acc = Var(self.fresh("acc"), self.type)
        inside: list[Stmt] = [Reg(acc, Lit(0.0, self.type))]
        names = [Var(self.fresh(a.name), INDEX) for a in taps]
        position = {**frame.position, **dict(zip(taps, names, strict=True))}
        x = Splat(Read(self.image.buffer, self.scalar_offset(self.image.offset, Frame(position), inside)), lanes)
        innermost: list[Stmt] = []
        at = Frame(position, frame.vector, frame.lanes, frame.mask)
        w = self._value(self.operand, at, innermost)
        innermost.append(Set(acc, self.multiply_add(x, w, acc)))
        loop: tuple[Stmt, ...] = tuple(innermost)
        for name, axis in reversed(list(zip(names, taps, strict=True))):
            loop = (For(name, integer(0), integer(axis.extent), 1, loop),)
        inside += loop
        self.store_at(replace(frame, reduced={}, memo={}), acc, inside)
        self._where_inside(tile, p, q, inside, body)

    # --- results ---

    def _frame(self, panel: Value, tile: Tile, p: int, q: int, v: int, channels: int) -> Frame:
        window, lanes = self.window, self.schedule.lanes
        down, right = window.dilation
        position = {
            **self._of_group(),
            **tile.images,
            window.rows: add(tile.row, integer(p * down)),
            window.columns: add(tile.column, integer(q * right)),
        }
        start = add(scale(panel, self.width), integer(v * lanes))
        left = channels - v * lanes
        return Frame(position).vectorised(
            window.vector, start, lanes, first_lanes(left, lanes) if left < lanes else None
        )

    def _where_inside(self, tile: Tile, p: int, q: int, inside: list[Stmt], body: list[Stmt]) -> None:
        """The last tiles of an image may have outputs that are not there."""
        window = self.window
        down, right = window.dilation
        condition: Value | None = None
        for at, axis, step, far in ((tile.row, window.rows, down, p), (tile.column, window.columns, right, q)):
            if beyond(axis, step) > (OUTPUTS - 1 - far) * step:
                test = Bin("lt", add(at, integer(far * step)), integer(axis.extent))
                condition = test if condition is None else Bin("and", condition, test)
        if condition is None:
            body += inside
        else:
            body.append(If(condition, tuple(inside)))
