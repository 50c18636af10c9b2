"""The heuristics, all of them: shapes and a target in, layouts wanted and schedules out. Speed is decided here,
meaning never.

The rules come from measurement: a register tile of about 24 accumulators reaches the FMA peak; the vector axis wants
to be the contiguous one; reductions over many pixels are blocked so that what a tile reads stays in the second-level
cache.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, prod

from lucid.codegen.access import Placed, accesses, coefficient
from lucid.codegen.fuse import factors
from lucid.codegen.layout import Layout
from lucid.codegen.lower_contraction import ProductOfTwo, contraction_of, operands
from lucid.codegen.lower_transpose import tiled_axes
from lucid.codegen.schedule import Contraction, Schedule, Transpose, Winograd, WinogradGradient
from lucid.codegen.spec import KernelSpec, Store
from lucid.codegen.strategy_map import LARGEST_CODE, LARGEST_WINDOW, map_lanes, map_schedule
from lucid.codegen.strategy_windows import across_schedule, pixels_schedule, rows_schedule
from lucid.codegen.strides import LONGEST_STEP
from lucid.codegen.target import Target
from lucid.ir.expr import Axis, Expr, Load, Reduce, Select, walk
from lucid.ir.graph import Node
from lucid.ir.index import affine
from lucid.ir.types import DType, is_float

#: Elements touched (or vector multiply-adds) below which threads do not share a kernel: some microseconds of work.
SMALLEST_SHARED_WORK = 16_000

#: How much slower vectors along the window of a convolution are: every tap reads them anew, off alignment.
WINDOW_COST = 1.25

#: How much slower vectors of every second element are, for each element between.
SHUFFLE_COST = 0.5

#: How many times larger a value is than a halo that is worth writing in every run.
THIN_RING = 8

#: What Winograd's algorithm takes of the time of the direct nest.
WINOGRAD_COST = 0.6

#: What copying an element into another layout costs, in multiply-adds of whole vectors: memory is that much slower.
COPY_COST = 2.0

#: Bytes of a page of memory; so far apart, positions share neither a page nor a set of the first-level cache.
PAGE = 4096

#: Pages that the processor remembers the places of.
PAGES_KNOWN = 64

#: How many times as much work as a copy that makes it faster there should be.
COPY_PAYS = 16

#: Pixels of a row that a depthwise tile covers. It reads as much as it multiplies: channels run innermost, so that a
#: few pixels are read side by side to their ends; more of them would be more streams than a core can foresee.
DEPTHWISE_ROW = 7

#: Sums that a tile holds at least, if it can, and at most for that reason: a core has so many multiply-adds under way.
FEWEST_SUMS, MOST_SUMS = 4, 8

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
    #: The operands are read where they lie, their padding masked off.
    direct: bool = False


def contraction_loads(spec: KernelSpec) -> tuple[Reduce, Load, Load] | None:
    """The one contraction of a kernel, if it is one the contraction nest can run."""
    if len(spec.stores) != 1:
        return None
    found = [e for e in walk(spec.stores[0].value) if isinstance(e, Reduce)]
    if len(found) != 1 or not is_float(found[0].dtype):
        return None
    pair = factors(found[0])
    body = found[0].body
    if pair is None or any(isinstance(x, Select) for x in body.children()):
        return None
    return found[0], *pair


def _dim_of(index: tuple[Expr, ...], axis: Axis, longest: int = 1) -> int | None:
    """The one dimension that moves by one element (or by up to ``longest``) as ``axis`` steps; None if there is none or
    several.
    """
    dims = [d for d, i in enumerate(index) if axis in {a for a in walk(i) if isinstance(a, Axis)}]
    if len(dims) != 1 or not 1 <= affine(index[dims[0]]).terms.get(axis, 0) <= longest:
        return None
    return dims[0]


def _innermost_in(index: Expr, axis: Axis) -> bool:
    """No other axis moves this index by less than the whole extent of ``axis``: merged dimensions need C order."""
    return all(atom is axis or abs(f) >= axis.extent for atom, f in affine(index).terms.items())


def wanted(
    spec: KernelSpec,
    fixed: Mapping[Node, int | None],
    parameters: Collection[Node],
    target: Target,
    slides: Callable[[Wanted], bool],
) -> Wanted | None:
    """The vector axis of a contraction and the layouts it wants: what costs the fewest multiply-adds and copies.

    Args:
        fixed: values whose layout cannot change, and their contiguous dimension.
        parameters: values whose copies are made rarely.
        slides: whether Winograd's algorithm would run the kernel laid out like that.
    """
    found = contraction_loads(spec)
    if found is None:
        return None
    store = spec.stores[0]
    lanes = target.lanes(store.node.dtype)
    work = prod(a.extent for a in (*spec.axes, *found[0].axes))
    best: tuple[float, Wanted] | None = _where_they_lie(spec, fixed, parameters, target)
    for axis in spec.axes:
        at = _dim_of(store.index, axis)
        if at is None or axis.extent < 2 or not _innermost_in(store.index[at], axis):
            continue
        carriers = [(load, _dim_of(load.index, axis)) for load in found[1:] if _mentions(load, axis)]
        if not carriers or any(d is None for _, d in carriers):
            continue
        if len(carriers) == 2 and all(d == 0 and len(x.index) > 3 for x, d in carriers):
            continue  # images of both operands side by side: they lie apart
        load, dim = carriers[-1]
        assert dim is not None
        extent = _merged_extent(axis, store, [x for x, _ in carriers])
        cost = work * ceil(extent / lanes) / extent * (WINDOW_COST if is_windowed(load) else 1.0)
        wish = Wanted(axis, at, load, dim)
        if slides(wish):
            cost *= WINOGRAD_COST
        for node, d in ((load.source, dim), (store.node, at)):
            assert isinstance(node, Node)
            home = fixed.get(node, default_order(len(node.shape))[-1])
            if home != d and node not in parameters:
                cost += COPY_COST * node.type.size
        if best is None or cost < best[0]:
            best = cost, wish
    return best[1] if best else None


def _where_they_lie(
    spec: KernelSpec, fixed: Mapping[Node, int | None], parameters: Collection[Node], target: Target
) -> tuple[float, Wanted] | None:
    """What it costs to read images along their rows, as they are given: along an axis of the result that lies so too,
    or along one of the reduction. So are matrices that are multiplied by a vector.
    """
    found = contraction_loads(spec)
    assert found is not None
    reduce, *pair = found
    store = spec.stores[0]
    lanes = target.lanes(store.node.dtype)
    work = prod(a.extent for a in (*spec.axes, *reduce.axes))
    best: tuple[float, Wanted] | None = None
    for axis in (*spec.axes, *reduce.axes):
        inside = axis in reduce.axes
        carriers = [(load, _dim_of(load.index, axis, LONGEST_STEP)) for load in pair if _mentions(load, axis)]
        at = len(store.index) - 1 if inside else _dim_of(store.index, axis)
        if at is None or axis.extent < 2 or len(carriers) != 1 + inside:
            continue
        if not inside and fixed.get(store.node) != at:
            continue
        if any(d is None or not isinstance(x.source, Node) or _contiguous(x.source, fixed) != d for x, d in carriers):
            continue
        load, dim = max(carriers, key=lambda c: is_windowed(c[0]))
        matrix = inside and _is_matrix_by_vector(spec, pair, parameters, target)
        if not matrix and (not is_windowed(load) or _broadcasts(spec, pair, load)):
            continue
        assert dim is not None
        step = affine(load.index[dim]).terms[axis]
        cost = work * ceil(axis.extent / lanes) / axis.extent * (1 + SHUFFLE_COST * (step - 1))
        if best is None or cost < best[0]:
            best = cost, Wanted(axis, at, load, dim, direct=True)
    return best


def _is_matrix_by_vector(spec: KernelSpec, pair: Sequence[Load], parameters: Collection[Node], target: Target) -> bool:
    """Whether every element of one operand is used once, and it cannot be packed beforehand into whole panels."""
    free = [a for a in spec.axes if a.extent > 1]
    matrix = next((x for x in pair if all(_mentions(x, a) for a in free)), None)
    if matrix is None or any(_mentions(x, a) for x in pair if x is not matrix for a in free):
        return False
    whole = [a.extent % tile_width(a.extent, matrix.dtype, target, slides=False) == 0 for a in free]
    return matrix.source not in parameters or not any(whole)


def _contiguous(node: Node, fixed: Mapping[Node, int | None]) -> int | None:
    """The dimension along which a value runs on in memory: made inside, it lies in the default order."""
    return fixed.get(node, (*default_order(len(node.shape)), None)[-2])


def along_rows(phases: Sequence[KernelSpec], fixed: Mapping[Node, int | None]) -> bool:
    """Whether the phases of a result are best computed side by side, and written in turns along its rows: windows of an
    image and a result that both lie so, over equally many positions.
    """
    if len(phases) < 2 or len({tuple(a.extent for a in p.axes) for p in phases}) > 1:
        return False
    positions = 0
    for phase in phases:
        if not phase.axes:
            return False
        found = contraction_loads(phase)
        store = phase.stores[0]
        axis, at = phase.axes[-1], len(store.index) - 1
        if found is None or fixed.get(store.node) != at or _dim_of(store.index, axis, 2) != at:
            return False  # vectors of two phases can be written in turns, not of more
        image = next((x for x in found[1:] if _mentions(x, axis)), None)
        if image is None or _broadcasts(phase, found[1:], image) or not isinstance(image.source, Node):
            return False
        if fixed.get(image.source) != _dim_of(image.index, axis):
            return False
        taps = prod(a.extent for a in found[0].axes)
        positions += taps
        if taps > LARGEST_WINDOW:
            return False
    return 2 * positions <= LARGEST_CODE // 2


def _broadcasts(spec: KernelSpec, pair: Sequence[Load], image: Load) -> bool:
    """Whether the other operand has axes of the result that the image lacks: a vector of it meets several weights."""
    other = next(load for load in pair if load is not image)
    return any(_mentions(other, a) and not _mentions(image, a) for a in spec.axes if a.extent > 1)


def is_scattered(spec: KernelSpec, vector: Load, layout: Layout, target: Target) -> bool:
    """Whether every step of the reduction finds the operand read as vectors on another page, and it is read so often
    that packing it pays.
    """
    found = contraction_loads(spec)
    assert found is not None
    extents = {a: a.extent for a in found[0].axes if a.extent > 1}
    steps = dict.fromkeys(extents, 0)
    for position, stride in zip(vector.index, layout.strides, strict=True):
        for axis, factor in affine(position).terms.items():
            if isinstance(axis, Axis) and axis in steps:
                steps[axis] += abs(factor) * stride
    again = prod(a.extent for a in spec.axes if not _mentions(vector, a))
    apart = min(steps.values(), default=0) * vector.dtype.itemsize
    return (
        apart >= PAGE
        and prod(extents.values()) >= PAGES_KNOWN
        and again >= COPY_PAYS * COPY_COST * target.lanes(vector.dtype)
    )


def is_windowed(load: Load) -> bool:
    """Whether some dimension is read at a position made of several axes."""
    return any(sum(isinstance(a, Axis) for a in walk(i)) > 1 for i in load.index)


def _merged_extent(axis: Axis, store: Store, carriers: list[Load]) -> int:
    """Positions that run on in memory along ``axis``: its own, and those of the axes whose dimensions come right before
    it wherever it is used.
    """
    if any(x.fill is not None for x in carriers):
        return axis.extent
    extent, last = axis.extent, axis
    while True:
        before = set()
        for index, shape in ((store.index, store.node.shape), *((x.index, x.type.shape) for x in carriers)):
            d = next((d for d, i in enumerate(index) if i is last and shape[d] == last.extent), 0)
            before.add(index[d - 1] if d else None)
        if len(before) != 1 or not isinstance(previous := before.pop(), Axis):
            return extent
        extent *= previous.extent
        last = previous


def _mentions(load: Load, axis: Axis) -> bool:
    return any(x is axis for i in load.index for x in walk(i))


def schedule_for(placed: Placed, target: Target, *, contraction: bool = False) -> Schedule:
    """The schedule of a kernel in normal form; ``contraction`` if its operands lie as that nest wants them."""
    dtype = placed.stores[0].buffer.dtype
    lanes = map_lanes(placed, target)
    if contraction and target.lanes(dtype) > 1:
        found = contraction_schedule(placed, target.lanes(dtype), target)
        if found is not None:
            return found
    transpose = transpose_schedule(placed, lanes)
    if transpose is not None:
        return transpose
    return map_schedule(placed, lanes, target)


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


def zeroed_each_run(layout: Layout, dtype: DType, target: Target) -> bool:
    """Whether the halo of a value is better written anew in every run than kept in memory of its own: if it is thin,
    and the value large enough to push others out of the caches.
    """
    thin = layout.halo and (layout.size - prod(layout.shape)) * THIN_RING <= layout.size
    return thin and layout.size * dtype.itemsize >= target.l2 // 2


def work_of(placed: Placed, schedule: Schedule) -> int:
    """Rough cost of a kernel: elements it touches, or multiply-adds of whole vectors."""
    touched = sum(b.size for b in placed.buffers)
    if not any(accesses(s.value) for s in placed.stores):
        touched = len(placed.stores) * prod(a.extent for a in placed.axes)
    reduce = contraction_of(placed) if isinstance(schedule, Contraction | Winograd | WinogradGradient) else None
    if reduce is None or not isinstance(schedule, Contraction | Winograd | WinogradGradient):
        return touched
    return prod(a.extent for a in (*placed.axes, *reduce.axes)) // schedule.lanes


def _vectors(extent: int, lanes: int, target: Target, *, slides: bool = False) -> int:
    """Vectors of a register tile.

    With registers for six rows, four are best: fewer loads than of two vectors and fourteen rows, the other operand is
    walked half as often, and six rows whose distance is a multiple of 4096 bytes still fit into the first-level cache,
    where all of them fall on the same eight lines.
    """
    count = ceil(extent / lanes)
    if count % 4 == 0 and target.vector_registers >= 32 and not slides:
        return 4
    return 1 if count == 1 else 3 if count % 3 == 0 and (count % 2 or not slides) else 2


def tile_width(extent: int, dtype: DType, target: Target, *, slides: bool) -> int:
    """How much of the vector axis a register tile covers: how wide panels are.

    Args:
        slides: whether Winograd's algorithm runs the kernel.
    """
    lanes = target.lanes(dtype)
    while lanes // 2 >= extent:
        lanes //= 2
    return lanes * _vectors(extent, lanes, target, slides=slides)


def contraction_schedule(placed: Placed, lanes: int, target: Target) -> Contraction | None:
    """Tile, order and unrolling of a contraction, vectors along the direction it stores in; None if no operand is
    contiguous there.
    """
    reduce = contraction_of(placed)
    if reduce is None:
        return None
    vector = next((a for a in placed.axes if coefficient(placed.stores[0].offset, a) == 1), None)
    found = None if vector is None else operands(reduce, vector)
    across = across_schedule(placed, reduce, 0 if found is None or vector is None else vector.extent, lanes, target)
    if across is not None or vector is None or found is None:
        return across
    steps = {a: coefficient(found.broadcast.offset, a) for a in (*placed.axes, *reduce.axes)}
    along = {a: coefficient(found.vector.offset, a) for a in (*placed.axes, *reduce.axes)}
    if any(s is None for s in (*steps.values(), *along.values())):
        return None
    while lanes // 2 >= vector.extent:
        lanes //= 2
    rows = rows_schedule(placed, found, vector, lanes, target)
    if rows is not None:
        return rows
    vectors = _vectors(vector.extent, lanes, target)
    # With 16 registers LLVM wants one more to spare: 6x2 reaches the peak, 4x3 spills.
    spare = 1 if target.vector_registers >= 32 else 2
    room = max(1, (target.vector_registers - spare - vectors) // vectors)
    if vectors == 1:
        room = min(room, 14)  # one broadcast a multiply-add is bound by the load ports anyway: keep the code small
    depthwise = bool(steps[vector])
    if depthwise and (pixels := pixels_schedule(placed, found, vector, lanes, target)) is not None:
        return pixels
    if depthwise and max((a.extent for a in placed.axes if steps[a] and not along[a]), default=0) > DEPTHWISE_ROW:
        room = min(room, DEPTHWISE_ROW)
    tile = _tile(placed, vector, steps, along, room)
    if not depthwise:
        tile += _beside(placed, vector, tile, along, vectors)
    size = prod(n for _, n in tile)
    result = placed.stores[0]
    offset = result.offset
    strides = {a: abs(coefficient(offset, a) or 0) for a in placed.axes}
    tiled = {a for a, _ in tile}
    rest = [a for a in placed.axes if a is not vector and a not in tiled]
    rest.sort(key=lambda a: -strides[a])
    inner = sorted(tiled, key=lambda a: -strides[a])
    panels = [*(a for a in rest if along[a]), vector]
    rest = [a for a in rest if not along[a]]
    before = _panels_after(found, rest, prod(a.extent for a in panels) // (lanes * vectors), target)
    order = [*rest, *inner, *panels] if depthwise else [*rest[:before], *panels, *rest[before:], *inner]
    reduction = sorted(reduce.axes, key=lambda a: (-abs(along[a] or 0), -abs(steps[a] or 0)))
    unroll = _unroll(reduction[-1], tile, steps, size * vectors)
    if depthwise:  # pixels that neighbouring taps share are read once, if there is room to hold them
        held = reduction[-1].extent <= 3 and 2 * size * vectors <= target.vector_registers
        unroll = reduction[-1].extent if held else 1
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
        ahead=not block and result.buffer.size * result.buffer.dtype.itemsize >= target.l2 // 4,
    )


def _panels_after(found: ProductOfTwo, rest: list[Axis], panels: int, target: Target) -> int:
    """How many of the loops over the broadcast operand alone go outside those over panels of the vector operand: what
    moves the fewest bytes into the second-level cache.

    A panel at a time, everything else is walked once for each; inside other loops all panels are, once for each turn.
    """
    vector, broadcast = (x.buffer.size * x.dtype.itemsize for x in (found.vector, found.broadcast))
    moved = []
    turns = 1
    for axis in (None, *rest):
        turns *= 1 if axis is None else axis.extent
        again = broadcast // turns > target.l2 // 2
        moved.append((turns if vector > target.l2 // 2 else 1) * vector + (panels if again else 1) * broadcast)
    return moved.index(min(moved)) if vector > target.l2 // 2 else len(rest)


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


def _beside(
    placed: Placed, vector: Axis, tile: list[tuple[Axis, int]], along: dict[Axis, int | None], vectors: int
) -> list[tuple[Axis, int]]:
    """An output axis that both operands follow, such as parts of a long sum, for a tile of few registers: a sum in one
    register waits for every multiply-add.
    """
    held = vectors * prod(n for _, n in tile)
    taken = {vector, *(a for a, _ in tile)}
    free = next((a for a in placed.axes if a not in taken and along[a] and a.extent > 1), None)
    if held >= FEWEST_SUMS or free is None:
        return []
    most = min(MOST_SUMS // held, free.extent)
    return [(free, n) for n in range(most, 1, -1) if free.extent % n == 0][:1]


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
