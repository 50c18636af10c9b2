"""Heuristics of sums of products whose vectors run along the rows of images: register tiles that read a pixel once.

Depthwise convolutions of images that lie as planes, and gradients to weights: nothing is broadcast that neighbouring
registers could share, but the rows of a tile meet the same rows of the image under different taps.
"""

from __future__ import annotations

from math import ceil, prod

from lucid.codegen.access import Access, Placed, coefficient
from lucid.codegen.lower_contraction import ProductOfTwo, operands
from lucid.codegen.schedule import Contraction
from lucid.codegen.target import Target
from lucid.ir.expr import Axis, Binary, Reduce

#: Vectors of a row held at once: more rows share more of what is read, longer rows walk memory in runs.
ROW_VECTORS = 2

#: Vectors of a tile: enough to hide the latency of multiply-adds. Of vectors that take every second element, which are
#: shuffled from two, fewer are made before they are used.
TILE_VECTORS, SHUFFLED_VECTORS = 16, 4

#: Pixels of a row in a tile whose vectors are channels: more rows' streams would be open for longer.
PIXELS = 4

#: Multiply-adds of a tile written out with all of its taps: constant masks, and no loop over columns.
WRITTEN_OUT = 128

#: Rows of a matrix that are multiplied by a vector side by side: what comes from memory sets the pace, and rows whose
#: distance is a multiple of a page share eight lines of the first-level cache.
MATRIX_ROWS = 6

#: Rows of a reduction taken together, and taps of a column.
MOST_ROWS = 8


def rows_schedule(placed: Placed, found: ProductOfTwo, vector: Axis, lanes: int, target: Target) -> Contraction | None:
    """Tiles of some rows by some vectors of an image, each of whose rows is read once for all taps; None if the image
    does not slide under taps.
    """
    reduce = found.reduce
    image = {a: coefficient(found.vector.offset, a) or 0 for a in (*placed.axes, *reduce.axes)}
    taps = {a: coefficient(found.broadcast.offset, a) or 0 for a in (*placed.axes, *reduce.axes)}
    pair = _sliding(placed, reduce, vector, image, taps)
    if pair is None or any(taps[a] and not image[a] for a in placed.axes if a.extent > 1):
        return None
    rows, tap = pair
    others = sorted((a for a in reduce.axes if a is not tap), key=lambda a: -abs(image[a]))
    shuffled, registers = image[vector] > 1, _free_registers(target)
    vectors = 1 if shuffled or registers < 16 else min(ROW_VECTORS, ceil(vector.extent / lanes))
    most = (SHUFFLED_VECTORS if shuffled else TILE_VECTORS) // vectors
    room = max(1, min(most, (registers - tap.extent - vectors) // vectors))
    height = ceil(rows.extent / ceil(rows.extent / room))
    weights = tap.extent * prod(a.extent for a in others)
    whole = weights * vectors * height <= WRITTEN_OUT and weights + height < registers
    whole = whole and (shuffled or vectors * lanes >= vector.extent)
    return Contraction(
        vector=vector.name,
        lanes=lanes,
        vectors=vectors,
        tile=((rows.name, height),),
        outer=_by_stride(placed),
        reduce=(*(a.name for a in others), tap.name),
        unroll=tap.extent,
        jam=tuple((a.name, a.extent) for a in others) if whole else (),
    )


def _free_registers(target: Target) -> int:
    """Vector registers that values may fill: where masks are vectors as well, a row's two ends take some."""
    return target.vector_registers - (2 if target.vector_registers >= 32 else 5)


def pixels_schedule(
    placed: Placed, found: ProductOfTwo, vector: Axis, lanes: int, target: Target
) -> Contraction | None:
    """Tiles of two rows of a few pixels, channels in vectors, with all taps held in registers; None if there are too
    many taps, or no two rows.
    """
    reduce = found.reduce
    image = {a: coefficient(found.broadcast.offset, a) or 0 for a in (*placed.axes, *reduce.axes)}
    taps = {a: coefficient(found.vector.offset, a) or 0 for a in (*placed.axes, *reduce.axes)}
    free = sorted((a for a in placed.axes if image[a] and not taps[a]), key=lambda a: abs(image[a]))
    held = prod(a.extent for a in reduce.axes)
    if len(free) < 2 or not all(image[a] and taps[a] for a in reduce.axes):
        return None
    columns, rows = free[:2]
    if min(columns.extent, rows.extent) < 2 or 2 * PIXELS + held + 2 > _free_registers(target):
        return None
    *outside, last = sorted(reduce.axes, key=lambda a: -abs(image[a]))
    order = [a for a in _by_stride(placed) if a != vector.name]
    inside = [a.name for a in placed.axes if a is vector or (taps[a] and image[a])]
    return Contraction(
        vector=vector.name,
        lanes=lanes,
        vectors=1,
        tile=((columns.name, ceil(columns.extent / ceil(columns.extent / PIXELS))), (rows.name, 2)),
        outer=(*(a for a in order if a not in inside), *(a for a in _by_stride(placed) if a in inside)),
        reduce=(*(a.name for a in outside), last.name),
        unroll=last.extent,
        jam=tuple((a.name, a.extent) for a in outside),
    )


def _sliding(
    placed: Placed, reduce: Reduce, vector: Axis, image: dict[Axis, int], taps: dict[Axis, int]
) -> tuple[Axis, Axis] | None:
    """The output axis whose neighbours meet the same vectors of the image under different taps, and those taps."""
    best = None
    for rows in placed.axes:
        if rows is vector or not image[rows] or taps[rows]:
            continue
        for tap in reduce.axes:
            step = abs(image[tap])
            meet = step and (abs(image[rows]) % step == 0 or step % abs(image[rows]) == 0)
            if meet and taps[tap] and tap.extent <= MOST_ROWS and step > abs(image[vector]) * vector.extent // 2:
                best = rows, tap
    return best


def across_schedule(placed: Placed, reduce: Reduce, instead: int, lanes: int, target: Target) -> Contraction | None:
    """Vectors along the reduction's innermost axis, if both operands are contiguous there: as many results side by side
    as there are registers, taps first; rows of the images taken together, so that taps share what they read.

    Args:
        instead: positions of the axis that vectors would run along otherwise, which must be fewer.
    """
    assert isinstance(reduce.body, Binary)
    pair = [x for x in (reduce.body.a, reduce.body.b) if isinstance(x, Access)]
    moves = {a: [abs(coefficient(x.offset, a) or 0) for x in pair] for a in (*placed.axes, *reduce.axes)}
    vector = min((a for a in reduce.axes if all(moves[a])), key=lambda a: max(moves[a]), default=None)
    if vector is None or vector.extent <= instead or min(moves[vector]) != 1 or operands(reduce, vector) is None:
        return None
    while lanes // 2 >= vector.extent:
        lanes //= 2
    registers = _free_registers(target)
    room = registers - 2
    by_vector = any(not any(moves[a][k] for a in placed.axes if a.extent > 1) for k in (0, 1))
    if by_vector:
        room = min(room, MATRIX_ROWS)
    tile: list[tuple[str, int]] = []
    values = [1, 1]  # of each operand that a tile reads at once
    alone = [a for a in placed.axes if moves[a].count(0) == 1]
    for axis in sorted(alone, key=lambda a: max(moves[a])):
        size = ceil(axis.extent / ceil(axis.extent / max(1, room)))
        if size > 1:
            tile.append((axis.name, size))
            room //= size
            values = [n * size if moved else n for n, moved in zip(values, moves[axis], strict=True)]
    held = prod(n for _, n in tile)
    order = sorted((a for a in reduce.axes if a is not vector), key=lambda a: -max(moves[a]))
    jam: tuple[tuple[str, int], ...] = ()
    if order:
        most = max(1, min(MOST_ROWS, (registers - held - 1) // min(values), WRITTEN_OUT // held, order[-1].extent))
        rows = next((n for n in range(most, most // 2, -1) if order[-1].extent % n == 0), most)
        jam = ((order[-1].name, rows),) if rows > 1 else ()
    return Contraction(
        vector=vector.name,
        lanes=lanes,
        vectors=2 if by_vector and vector.extent >= 2 * lanes else 1,
        tile=tuple(tile),
        outer=_by_stride(placed),
        reduce=(*(a.name for a in order), vector.name),
        jam=jam,
    )


def _by_stride(placed: Placed) -> tuple[str, ...]:
    """The axes of the result in the order of memory."""
    store = placed.stores[0].offset
    return tuple(a.name for a in sorted(placed.axes, key=lambda a: -abs(coefficient(store, a) or 0)))
