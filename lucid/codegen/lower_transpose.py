"""Lowering of maps that read along one axis and write along another: square tiles transposed in registers.

Gathering such a kernel's operands element by element costs a load for each; here a tile of whole vectors is read along
the axis an operand is contiguous in, transposed by shuffles, and stored along the result's. Rows of a few positions
that lie end to end (the channels of a picture) are not stored one by one: whole vectors of them are put together. What
is computed on the way is the map nest's business, and which axes are tiled in which order the schedule's.
"""

from __future__ import annotations

from collections.abc import Sequence

from lucid.codegen.access import Access, Placed, accesses, coefficient
from lucid.codegen.loops import (
    Bin,
    Kernel,
    Lit,
    Read,
    Shuffle,
    Stmt,
    Value,
    VType,
    Write,
    integer,
)
from lucid.codegen.lower_map import Frame, Nest, wide
from lucid.codegen.schedule import Transpose
from lucid.codegen.strides import first_lanes, up_to
from lucid.errors import ScheduleError
from lucid.ir.expr import Axis, Reduce, walk
from lucid.ir.types import bool_


def tiled_axes(placed: Placed) -> tuple[Axis, Axis] | None:
    """The axis that some operand is contiguous along, and the one every result is; None if they do not differ."""
    store = next((a for a in placed.axes if a.extent > 1 and _contiguous_results(placed, a)), None)
    if store is None or any(isinstance(e, Reduce) for s in placed.stores for e in walk(s.value)):
        return None
    read = [x for s in placed.stores for x in accesses(s.value)]
    counts = {a: sum(_crosses(x, a, store) for x in read) for a in placed.axes if a is not store and a.extent > 1}
    load = max(counts, key=lambda a: counts[a], default=None)
    return (load, store) if load is not None and counts[load] else None


def _contiguous_results(placed: Placed, axis: Axis) -> bool:
    return all(coefficient(s.offset, axis) == 1 for s in placed.stores)


def _crosses(access: Access, load: Axis, store: Axis) -> bool:
    """Contiguous along ``load``, at a fixed stride along ``store``, and never outside."""
    step = coefficient(access.offset, store)
    plain = access.guard is None and access.dtype != bool_
    return plain and coefficient(access.offset, load) == 1 and step is not None and step != 0


def lower_transpose(placed: Placed, name: str, schedule: Transpose, *, fma: bool = True, note: str = "") -> Kernel:
    """The nest of a kernel in normal form.

    Raises:
        ScheduleError: the schedule does not name the kernel's axes, or an axis that is not contiguous.
    """
    return _Transposing(placed, schedule, fma).build(name, note)


#: Positions of a row up to which whole vectors of rows are put together: each takes as many shuffles, less one.
_SHORT = 4


class _Transposing(Nest):
    def __init__(self, placed: Placed, schedule: Transpose, fma: bool):
        super().__init__(placed, lanes=schedule.lanes, unroll=1, fma=fma)
        self.schedule = schedule
        named = {a.name: a for a in placed.axes if a.extent > 1}
        if sorted(schedule.outer) != sorted(a.name for a in placed.axes if a.extent > 1):
            raise ScheduleError(f"{schedule} does not name the axes of its kernel: {sorted(named)}")
        tiled = (named.get(schedule.load), named.get(schedule.store))
        if tiled[0] is None or tiled[1] is None or tiled[0] is tiled[1]:
            raise ScheduleError(f"{schedule} must tile two different axes of its kernel: {sorted(named)}")
        if schedule.lanes < 2 or schedule.lanes & (schedule.lanes - 1):
            raise ScheduleError(f"{schedule}: lanes must be a power of two")
        self.load, self.along = tiled[0], tiled[1]
        if not _contiguous_results(placed, self.along):
            raise ScheduleError(f"axis {schedule.store} is not contiguous in the result")
        self.order = [named[a] for a in schedule.outer]
        found = {x: None for s in placed.stores for x in accesses(s.value) if _crosses(x, self.load, self.along)}
        self.crossing = list(found)
        self.columns: dict[Access, list[Value]] = {}
        self.column = 0
        #: Whether results are short rows, one right behind the other along the axis that operands are read along.
        self.short = self.along.extent <= min(_SHORT, schedule.lanes) and all(
            coefficient(s.offset, self.load) == self.along.extent and s.buffer.dtype != bool_ for s in placed.stores
        )

    def _loops(self, axes: list[Axis], frame: Frame, body: list[Stmt], outermost: bool = False) -> None:
        self._tiles(self.order, frame, {}, body, outermost)

    def _tiles(
        self, axes: Sequence[Axis], frame: Frame, counts: dict[Axis, int], body: list[Stmt], outermost: bool
    ) -> None:
        """Loops over all axes; the tiled ones step by a tile, and ``counts`` says how much of it there is."""
        if not axes:
            self._tile(frame, counts, body)
            return
        axis, rest = axes[0], axes[1:]

        def tile(at: Value, count: int, inside: list[Stmt]) -> None:
            self._tiles(rest, frame.inner(axis, at), {**counts, axis: count}, inside, outermost=False)

        step = self.schedule.lanes if axis in (self.load, self.along) else 1
        self.steps(axis, step, tile, body, "parallel" if outermost else "serial", whole=outermost)

    def _tile(self, frame: Frame, counts: dict[Axis, int], body: list[Stmt]) -> None:
        lanes, rows, columns = self.schedule.lanes, counts[self.along], counts[self.load]
        if self.short:
            self._short_rows(frame, columns, body)
            return
        mask = None if columns == lanes else first_lanes(columns, lanes)
        for access in self.crossing:
            tile: list[Value] = []
            for k in range(lanes):
                if k < rows:
                    at = Frame({**frame.position, self.along: _plus(frame.position[self.along], k)})
                    offset = self.scalar_offset(access.offset, at, body)
                    tile.append(self.named("r", Read(access.buffer, offset, lanes, mask), body))
                else:
                    tile.append(Lit(0 if access.dtype.kind in "iu" else 0.0, VType(access.dtype, lanes)))
            self.columns[access] = self._transposed(tile, body)
        mask = None if rows == lanes else first_lanes(rows, lanes)
        for k in range(columns):
            self.column = k
            position = {**frame.position, self.load: _plus(frame.position[self.load], k)}
            at = Frame(position, self.along, lanes, mask)
            self.stores(at, body)
        self.columns = {}

    def _short_rows(self, frame: Frame, count: int, body: list[Stmt]) -> None:
        """A vector of rows: a vector for each of their positions, and these interleaved."""
        lanes, rows = self.schedule.lanes, self.along.extent
        mask = up_to(count, lanes)
        values: list[list[Value]] = []  # all before any is written, as one may go over what another reads
        for k in range(rows):
            position = {**frame.position, self.along: _plus(frame.position[self.along], k)}
            at = Frame(position, self.load, lanes, mask)
            made = [wide(self._value(s.value, at, body), lanes) for s in self.placed.stores]
            values.append([self.named("y", v, body) for v in made])
        for store, parts in zip(self.placed.stores, zip(*values, strict=True), strict=True):
            offset = self.scalar_offset(store.offset, Frame(frame.position), body)
            for begin in range(0, count * rows, lanes):
                mixed = self._interleaved(parts, begin, body)
                body.append(Write(store.buffer, _plus(offset, begin), mixed, up_to(count * rows - begin, lanes)))

    def _interleaved(self, parts: Sequence[Value], begin: int, body: list[Stmt]) -> Value:
        """A vector of the rows that ``parts`` are the positions of, from element ``begin`` on."""
        lanes, rows = self.schedule.lanes, len(parts)
        places = [divmod(begin + lane, rows) for lane in range(lanes)]
        mixed = parts[0]
        for k in range(1, rows):  # the first shuffle moves what is at 0, too; later ones leave what has its place
            kept = [row if k == 1 and at == 0 else lane for lane, (row, at) in enumerate(places)]
            picks = [lanes + row if at == k else here for here, (row, at) in zip(kept, places, strict=True)]
            mixed = self.named("s", Shuffle(mixed, parts[k], picks), body)
        return mixed

    def _access(self, access: Access, frame: Frame, body: list[Stmt]) -> Value:
        if frame.vector is not None and access in self.columns:
            return self.columns[access][self.column]
        return super()._access(access, frame, body)

    def _transposed(self, rows: list[Value], body: list[Stmt]) -> list[Value]:
        """The columns of the square ``rows``: log2(n) rounds in which row k interleaves with row k + n/2."""
        lanes = len(rows)
        both = [lane for k in range(lanes) for lane in (k, lanes + k)]
        for _ in range(lanes.bit_length() - 1):
            pairs = [(rows[k], rows[k + lanes // 2]) for k in range(lanes // 2)]
            halves = (both[:lanes], both[lanes:])
            rows = [self.named("s", Shuffle(x, y, half), body) for x, y in pairs for half in halves]
        return rows


def _plus(at: Value, k: int) -> Value:
    return at if k == 0 else Bin("add", at, integer(k))
