"""Heuristics of the map/reduce nest: lanes, accumulators, and in which order a reduction walks memory.

A core reads memory at full speed when it walks it in runs of some hundred bytes and has several sums under way.
"""

from __future__ import annotations

from dataclasses import replace
from math import ceil, prod

from lucid.codegen.access import Access, Placed, accesses, coefficient
from lucid.codegen.order import kept
from lucid.codegen.schedule import MapReduce, Naive, Schedule
from lucid.codegen.spec import EXPENSIVE, cost
from lucid.codegen.strides import LONGEST_STEP
from lucid.codegen.target import Target
from lucid.codegen.windows import is_window
from lucid.ir.expr import Axis, Expr, Reduce, free_axes, walk
from lucid.ir.index import affine
from lucid.ir.memory import ALIGNED_OUTPUT
from lucid.ir.types import is_float

#: Vectors side by side in a reduction over an outer axis: a run of 512 bytes, and accumulators for eight sums.
STRIP = 8

#: Rows that a core reads side by side when they are longer than a strip: as many streams as it can foresee.
ROWS = 8


#: Vectors that are streamed to memory at a time: whole runs of cache lines.
STREAMED = 4

#: Rows whose reductions run side by side if they share operands, where there are registers for all.
BESIDE = 8

#: Rows of a tile, in the order of what they are worth.
TILE_ROWS = (4, 8, 5, 6, 7, 3, 2)

#: Positions of the largest reduction that is written out.
LARGEST_WINDOW = 25

#: Operations of all reductions written out in a kernel: more would not fit into the instruction cache.
LARGEST_CODE = 600


def map_schedule(placed: Placed, lanes: int, target: Target) -> Schedule:
    """Vectors and accumulators of a kernel in normal form."""
    found = _map_schedule(placed, lanes, target)
    if isinstance(found, MapReduce) and _streams(placed, found, target):
        return replace(found, stream=True, vectors=max(found.vectors, STREAMED), tile=_tile(placed, lanes, target))
    return found


def _tile(placed: Placed, lanes: int, target: Target) -> tuple[int, int] | None:
    """A few rows of one strip, if what all rows read again fills the first-level cache: then it comes from farther
    once for several rows. Whole blocks of columns would come apart in memory.
    """
    axes = [a for a in placed.axes if a.extent > 1]
    if len(axes) < 2 or any(isinstance(e, Reduce) for s in placed.stores for e in walk(s.value)):
        return None
    down, along = axes[-2:]
    again = {x for s in placed.stores for x in accesses(s.value) if coefficient(x.offset, down) == 0}
    size = sum(along.extent * x.dtype.itemsize for x in again if coefficient(x.offset, along))
    rows = next((n for n in TILE_ROWS if down.extent % n == 0), 0)
    if not rows or along.extent % (STREAMED * lanes) or size < target.l1 // 2:
        return None
    return rows, STREAMED * lanes


def _streams(placed: Placed, schedule: MapReduce, target: Target) -> bool:
    """Whether results are too large to find in a cache, written once, and in whole cache lines."""
    last = next((a for a in reversed(placed.axes) if a.extent > 1), None)
    if last is None or schedule.lanes == 1 or last.extent < schedule.lanes or schedule.rows or schedule.keep:
        return False
    size = prod(a.extent for a in placed.axes)
    for store in placed.stores:
        form, itemsize = affine(store.offset), store.buffer.dtype.itemsize
        line = target.vector_bytes // itemsize
        if (
            store.buffer.role != "out"
            or size * itemsize < max(target.l3 // 2, ALIGNED_OUTPUT)
            or line != schedule.lanes
        ):
            return False
        if form.constant % line or form.terms.get(last) != 1:
            return False
        if any(f % line for a, f in form.terms.items() if a is not last):
            return False
    return True


def _map_schedule(placed: Placed, lanes: int, target: Target) -> Schedule:
    if lanes == 1 and not placed.axes:
        return Naive()
    last = next((a for a in reversed(placed.axes) if a.extent > 1), None)
    bodies = [e.body for s in placed.stores for e in walk(s.value) if isinstance(e, Reduce) and last in free_axes(e)]
    if lanes == 1 or last is None or not bodies:
        held = kept(placed)
        return MapReduce(lanes, 4, keep=held is not None and _costly(held.value))
    if window := _window(placed, last):
        return MapReduce(lanes, 4, window=window)
    if _shares(placed, last):
        many = target.vector_registers >= 32
        return MapReduce(lanes, 2 if many else 4, beside=BESIDE if many else BESIDE // 2)
    strip = 2 if any(cost(body) > 8 for body in bodies) else STRIP
    rows = _rows(placed, last, strip * lanes)
    return MapReduce(lanes, 4, vectors=min(strip // 4 if rows else strip, ceil(last.extent / lanes)) or 1, rows=rows)


def map_lanes(placed: Placed, target: Target) -> int:
    """Lanes of the widest element a kernel computes with, so that no value needs two registers."""
    widest = 1
    for store in placed.stores:
        widest = max(widest, store.buffer.dtype.itemsize)
        for expr in walk(store.value):
            # Positions are 64-bit but mostly scalar; only values count.
            if isinstance(expr, Access):
                widest = max(widest, expr.dtype.itemsize)
    return max(1, target.vector_bytes // max(widest, 4))


def _rows(placed: Placed, last: Axis, width: int) -> int:
    """How many rows reductions read side by side: of rows wider than a strip, or of what lies further apart than
    neighbouring results; 0 if they have to hold their results.
    """
    over: set[tuple[Axis, ...]] = set()
    for store in placed.stores:
        value = store.value
        if not isinstance(value, Reduce):
            return 0
        over.add(value.axes)
        first, *others = value.axes
        for x in accesses(value.body):
            far, near, *inside = (abs(coefficient(x.offset, a) or 0) for a in (first, last, *others))
            wide = not others and near <= 1 and last.extent > width
            apart = bool(others) and far > near > max(inside) and last.extent >= ROWS
            if not (wide or apart):
                return 0
    if len(over) > 1:
        return 0
    ((axis, *_),) = over
    return next((n for n in range(ROWS, 3, -1) if axis.extent % n == 0), 0)


def _shares(placed: Placed, last: Axis) -> bool:
    """Whether reductions run along memory for each result by itself, and read the same for neighbouring results."""
    shared = False
    for store in placed.stores:
        for e in walk(store.value):
            if not isinstance(e, Reduce) or last not in free_axes(e):
                continue
            along = e.axes[-1]
            steps = [(coefficient(x.offset, along), coefficient(x.offset, last)) for x in accesses(e.body)]
            if len(e.axes) > 1 or any(s != 1 for s, _ in steps) or all(step in (0, 1) for _, step in steps):
                return False
            shared = shared or any(step == 0 for _, step in steps)
    return shared


def _window(placed: Placed, last: Axis) -> int:
    """Positions of the largest reduction that depends on the innermost axis, if all of these are windows read in
    vectors along it; 0 if not.
    """
    largest = size = 0
    products = len(placed.stores) > 1
    for store in placed.stores:
        for e in walk(store.value):
            if isinstance(e, Reduce) and last in free_axes(e):
                window = is_window(e, LARGEST_WINDOW, products=products)
                if not window or not all(_in_vectors(x, last) for x in accesses(e.body)):
                    return 0
                positions = prod(a.extent for a in e.axes)
                largest = max(largest, positions)
                size += positions * (1 + cost(e.body))
    return largest if size <= LARGEST_CODE else 0


def _in_vectors(access: Access, last: Axis) -> bool:
    """Whether neighbours along an axis are read without gathers."""
    step = coefficient(access.offset, last)
    guarded = access.guard is not None and last in free_axes(access.guard)
    return step is not None and 0 <= step <= (1 if guarded else LONGEST_STEP)


def _costly(value: Expr) -> bool:
    """Whether computing a value takes longer than reading it from the first-level cache."""
    within = {id(part) for e in walk(value) if isinstance(e, Reduce) for part in walk(e)}
    return any(getattr(e, "op", None) in EXPENSIVE and is_float(e.dtype) for e in walk(value) if id(e) not in within)
