"""The heuristics, all of them: shapes and a target in, layouts wanted and schedules out. Speed is decided here,
meaning never.

The rules come from measurement: a register tile of about 28 accumulators reaches the FMA peak; the vector axis wants
to be the contiguous one; reductions over many pixels are blocked so that what a tile reads stays in the second-level
cache.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, prod

from lucid.codegen.access import Access, Placed, coefficient
from lucid.codegen.fuse import factors
from lucid.codegen.lower_contraction import contraction_of, operands
from lucid.codegen.lower_transpose import tiled_axes
from lucid.codegen.schedule import Contraction, MapReduce, Naive, Schedule, Transpose
from lucid.codegen.spec import KernelSpec
from lucid.codegen.target import Target
from lucid.ir.expr import Axis, Expr, Load, Reduce, Select, walk
from lucid.ir.graph import Node
from lucid.ir.index import affine
from lucid.ir.types import DType

#: Elements touched (or vector multiply-adds) below which threads do not share a kernel: some microseconds of work.
SMALLEST_SHARED_WORK = 16_000

#: Multiply-adds per step of the innermost loop; more only grows the code.
LARGEST_STEP = 128


def longest_pass(dtype: DType, target: Target) -> int:
    """Positions of a reduction whose vectors, and what is broadcast against them, fill half of the second cache."""
    return target.l2 // (8 * target.lanes(dtype) * dtype.itemsize)


def accepts_epilogue(expr: Expr, target: Target) -> bool:
    """A long reduction runs in blocks, and then has no epilogue."""
    reduce = next((e for e in walk(expr) if isinstance(e, Reduce)), None)
    return reduce is None or prod(a.extent for a in reduce.axes) <= longest_pass(reduce.dtype, target)


def default_order(rank: int) -> tuple[int, ...]:
    """Images lie NHWC inside; everything else in C order."""
    return (0, 2, 3, 1) if rank == 4 else tuple(range(rank))


def order_ending_in(rank: int, dim: int) -> tuple[int, ...]:
    """The default order with one dimension made contiguous."""
    return (*(d for d in default_order(rank) if d != dim), dim)


@dataclass(frozen=True)
class Wanted:
    """What a contraction asks of memory: the vector axis, and the contiguous dimension of its result and operand."""

    vector: Axis
    store_dim: int
    load: Load
    load_dim: int


def contraction_loads(spec: KernelSpec) -> tuple[Reduce, Load, Load] | None:
    """The one contraction of a kernel, if it is one the contraction nest can run."""
    if len(spec.stores) != 1:
        return None
    found = [e for e in walk(spec.stores[0].value) if isinstance(e, Reduce)]
    if len(found) != 1 or found[0].dtype.kind != "f":
        return None
    pair = factors(found[0])
    body = found[0].body
    if pair is None or any(isinstance(x, Select) for x in body.children()):
        return None
    return found[0], *pair


def _dim_of(index: tuple[Expr, ...], axis: Axis) -> int | None:
    """The one dimension that moves by one element as ``axis`` steps; None if there is none or several."""
    dims = [d for d, i in enumerate(index) if axis in {a for a in walk(i) if isinstance(a, Axis)}]
    if len(dims) != 1 or affine(index[dims[0]]).terms.get(axis) != 1:
        return None
    return dims[0]


def _innermost_in(index: Expr, axis: Axis) -> bool:
    """No other axis moves this index by less than the whole extent of ``axis``: merged dimensions need C order."""
    return all(atom is axis or abs(f) >= axis.extent for atom, f in affine(index).terms.items())


def wanted(spec: KernelSpec, fixed: dict[Node, int | None], target: Target) -> Wanted | None:
    """The vector axis of a contraction and the layouts it wants.

    ``fixed`` maps values whose layout cannot change to their contiguous dimension.
    """
    found = contraction_loads(spec)
    if found is None:
        return None
    store = spec.stores[0]
    lanes = target.lanes(store.node.dtype)
    best: tuple[float, Wanted] | None = None
    for axis in spec.axes:
        at = _dim_of(store.index, axis)
        if at is None or axis.extent < 2 or not _innermost_in(store.index[at], axis):
            continue
        carriers = [(load, _dim_of(load.index, axis)) for load in found[1:] if _mentions(load, axis)]
        if not carriers or any(d is None for _, d in carriers):
            continue
        load, dim = carriers[-1]
        assert dim is not None
        if len(carriers) == 2 and not _plain_window(carriers, found[0]):
            continue
        used = axis.extent / (ceil(axis.extent / lanes) * lanes)
        # Moving the operand or the result costs a pass over memory.
        moved = [fixed.get(n, d) != d for n, d in ((load.source, dim), (store.node, at)) if isinstance(n, Node)]
        image = 0.1 if len(store.index) == 4 and at == 1 else 0.0
        # Of an image only the channels lie side by side; its pixels and its batch belong in the tile.
        pixels = 0.5 if dim != 1 and len(load.index) == 4 and _output_axes(load, spec) > 1 else 0.0
        score = used - 0.15 * sum(moved) + image - pixels
        if best is None or score > best[0]:
            best = score, Wanted(axis, at, load, dim)
    return best[1] if best else None


def _output_axes(load: Load, spec: KernelSpec) -> int:
    return sum(1 for a in spec.axes if a.extent > 1 and _mentions(load, a))


def _mentions(load: Load, axis: Axis) -> bool:
    return any(x is axis for i in load.index for x in walk(i))


def _plain_window(carriers: list[tuple[Load, int | None]], reduce: Reduce) -> bool:
    """Both factors run along the vector axis (depthwise): their other indices must not divide it."""
    return all(d is not None for _, d in carriers)


def schedule_for(placed: Placed, wish: Wanted | None, target: Target) -> Schedule:
    """The schedule of a kernel in normal form."""
    dtype = placed.stores[0].buffer.dtype
    lanes = _lanes(placed, target)
    if wish is not None:
        found = contraction_schedule(placed, target.lanes(dtype), target)
        if found is not None:
            return found
    transpose = transpose_schedule(placed, lanes)
    if transpose is not None:
        return transpose
    if lanes == 1:
        return Naive() if not placed.axes else MapReduce(1, 4)
    return MapReduce(lanes, 4)


def transpose_schedule(placed: Placed, lanes: int) -> Transpose | None:
    """Tiles for a map that reads across the direction it stores in; None if it does not."""
    if lanes == 1 or len(placed.axes) < 2:
        return None
    tiled = tiled_axes(placed)
    if tiled is None:
        return None
    load, store = tiled
    while lanes // 2 >= max(load.extent, store.extent, 2):
        lanes //= 2
    rest = [a.name for a in placed.axes if a.extent > 1 and a not in tiled]
    return Transpose(lanes, load.name, store.name, (*rest, load.name, store.name))


def _lanes(placed: Placed, target: Target) -> int:
    """Lanes of the widest element a kernel computes with, so that no value needs two registers."""
    widest = 1
    for store in placed.stores:
        widest = max(widest, store.buffer.dtype.itemsize)
        for expr in walk(store.value):
            # Positions are 64-bit but mostly scalar; only values count.
            if isinstance(expr, Access):
                widest = max(widest, expr.dtype.itemsize)
    return max(1, target.vector_bytes // max(widest, 4))


def work_of(placed: Placed, schedule: Schedule) -> int:
    """Rough cost of a kernel: elements it touches, or multiply-adds of whole vectors."""
    touched = sum(b.size for b in placed.buffers)
    reduce = contraction_of(placed) if isinstance(schedule, Contraction) else None
    if reduce is None or not isinstance(schedule, Contraction):
        return touched
    return prod(a.extent for a in (*placed.axes, *reduce.axes)) // schedule.lanes


def contraction_schedule(placed: Placed, lanes: int, target: Target) -> Contraction | None:
    """Tile, order and unrolling of a contraction, vectors along the direction it stores in; None if no operand is
    contiguous there.
    """
    reduce = contraction_of(placed)
    vector = next((a for a in placed.axes if coefficient(placed.stores[0].offset, a) == 1), None)
    if reduce is None or vector is None:
        return None
    found = operands(reduce, vector)
    if found is None:
        return None
    steps = {a: coefficient(found.broadcast.offset, a) for a in (*placed.axes, *reduce.axes)}
    along = {a: coefficient(found.vector.offset, a) for a in (*placed.axes, *reduce.axes)}
    if any(s is None for s in (*steps.values(), *along.values())):
        return None
    while lanes // 2 >= vector.extent:
        lanes //= 2
    count = ceil(vector.extent / lanes)
    vectors = 1 if count == 1 else 3 if count % 3 == 0 and count % 2 else 2
    # With 16 registers LLVM wants one more to spare: 6x2 reaches the peak, 4x3 spills.
    spare = 1 if target.vector_registers >= 32 else 2
    room = max(1, (target.vector_registers - spare - vectors) // vectors)
    if vectors == 1:
        room = min(room, 14)  # one broadcast a multiply-add is bound by the load ports anyway: keep the code small
    tile = _tile(placed, vector, steps, along, room)
    size = prod(n for _, n in tile)
    offset = placed.stores[0].offset
    strides = {a: abs(coefficient(offset, a) or 0) for a in placed.axes}
    tiled = {a for a, _ in tile}
    rest = [a for a in placed.axes if a is not vector and a not in tiled]
    rest.sort(key=lambda a: -strides[a])
    inner = sorted(tiled, key=lambda a: -strides[a])
    outer_rest = rest
    inner_rest: list[Axis] = []
    if found.vector.buffer.size * found.vector.dtype.itemsize > target.l2 // 2:
        # The vector operand does not stay in cache: walk it once, and everything else under it.
        outer_rest = [a for a in rest if along[a]]
        inner_rest = [a for a in rest if not along[a]]
    order = [*outer_rest, vector, *inner_rest, *inner]
    reduction = sorted(reduce.axes, key=lambda a: (-abs(along[a] or 0), -abs(steps[a] or 0)))
    unroll = _unroll(reduction[-1], tile, steps, size * vectors)
    block = _block(placed, reduce, reduction, unroll, target)
    return Contraction(
        vector=vector.name,
        lanes=lanes,
        vectors=vectors,
        tile=tuple((a.name, n) for a, n in tile),
        outer=tuple(a.name for a in order),
        reduce=tuple(a.name for a in reduction),
        unroll=unroll,
        block=block,
    )


def _tile(
    placed: Placed, vector: Axis, steps: dict[Axis, int | None], along: dict[Axis, int | None], room: int
) -> list[tuple[Axis, int]]:
    """One or two output axes that only the broadcast operand follows, nearest in memory first."""
    free = [a for a in placed.axes if a is not vector and steps[a] and not along[a] and a.extent > 1]
    free.sort(key=lambda a: abs(steps[a] or 0))
    tile: list[tuple[Axis, int]] = []
    for axis in free[:3]:
        if room < 2 or len(tile) == 2:
            break
        size = ceil(axis.extent / ceil(axis.extent / room))
        tile.append((axis, size))
        if size < axis.extent:
            break
        room //= size
    return tile


def _block(
    placed: Placed, reduce: Reduce, reduction: list[Axis], unroll: int, target: Target
) -> tuple[tuple[str, int], ...]:
    """Blocks of a reduction too long for its operands to stay in the cache: as few as let them."""
    longest = longest_pass(reduce.dtype, target)
    inside = prod(a.extent for a in reduction)
    if placed.stores[0].value is not reduce or inside <= longest:
        return ()
    block: list[tuple[str, int]] = []
    for axis in reduction:
        inside //= axis.extent
        room = max(1, longest // inside)
        if room < axis.extent:
            size = ceil(axis.extent / ceil(axis.extent / room))
            if axis is reduction[-1]:
                size = ceil(size / unroll) * unroll
            block.append((axis.name, size))
        if room > 1:
            break
    return tuple(block)


def _unroll(axis: Axis, tile: list[tuple[Axis, int]], steps: dict[Axis, int | None], work: int) -> int:
    """Steps of the innermost reduction at once, such that no element is broadcast twice: LLVM would keep it live."""
    best = 1
    for factor in (2, 4):
        if axis.extent >= factor and factor * work <= LARGEST_STEP and _distinct(axis, tile, steps, factor):
            best = factor
    return best


def _distinct(axis: Axis, tile: list[tuple[Axis, int]], steps: dict[Axis, int | None], factor: int) -> bool:
    seen: set[int] = set()
    offsets = [0]
    for a, n in tile:
        offsets = [o + k * (steps[a] or 0) for o in offsets for k in range(n)]
    for u in range(factor):
        for o in offsets:
            at = o + u * (steps[axis] or 0)
            if at in seen:
                return False
            seen.add(at)
    return True
