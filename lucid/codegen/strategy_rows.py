"""Heuristics of reductions before layouts are known: which are cut so that threads can share them, and which run row by
row inside the kernel that needs their results.

Nothing here depends on how many threads there are: that would change results.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod

from lucid.codegen.fuse import LARGEST_EXPRESSION, is_contraction
from lucid.codegen.rows import Reading
from lucid.codegen.spec import EXPENSIVE, KernelSpec, cost
from lucid.codegen.strategy import default_order
from lucid.codegen.winograd_gradient import gradient_parts
from lucid.ir.expr import Axis, Binary, Expr, Reduce, Unary, free_axes, loads, walk
from lucid.ir.graph import Node

#: Blocks of a long reduction: enough for any machine's threads to share, few enough to combine in no time.
MOST_BLOCKS = 64

#: Elements of the smallest block of a reduction: some microseconds of work.
SMALLEST_BLOCK = 16_000

#: Elements of an image that are read for each result of its part of a sum over a batch, and of the smallest image.
IMAGE_SHARE, SMALLEST_SUMMED = 8, 2_000

#: A reduction with more results than this is shared among threads by its results.
MOST_RESULTS = 512

#: Elements of the longest row that stays near the core while it is read several times.
LONGEST_ROW = 16_000

#: Rows that are enough for threads to share.
FEWEST_ROWS = 32

#: Elements of the smallest value that is computed again rather than stored: it would not stay in the cache.
SMALLEST_REPEATED = 1_000_000

#: Cycles per element, by ``cost``, that computing a value again may take: a division takes as long as reading a result.
MOST_REPEATED = 20

#: What takes longer than that, in vectors too.
NEVER_REPEATED = EXPENSIVE - {"div", "sqrt"}


def blocks_of(reduce: Reduce) -> int:
    """Into how many parts a reduction is cut, to be combined afterwards; 1 leaves it whole."""
    free = free_axes(reduce)
    results = prod(a.extent for a in free)
    length = prod(a.extent for a in reduce.axes)
    images = _images(reduce, results)
    if is_contraction(reduce):
        return max(gradient_parts(reduce, results, length), images)
    if results > MOST_RESULTS and (not _over_rows(reduce) or _beside_rows(reduce, free) >= FEWEST_ROWS):
        return 1
    if results >= FEWEST_ROWS and length <= LONGEST_ROW and all(_outermost(x.index, free) for x in loads(reduce.body)):
        return 1
    # The parts are stored: few beside what is read.
    return max(1, images, min(MOST_BLOCKS, results * length // SMALLEST_BLOCK, length // 64))


def _images(reduce: Reduce, results: int) -> int:
    """How many images a sum over a batch and their pixels has, if a part for each is little beside what is read of one.

    Such a kernel runs an image at a time, after those that make the image.
    """
    batch, summed = reduce.axes[0], {*reduce.axes}
    read = [x for x in dict.fromkeys(loads(reduce.body)) if any(summed & free_axes(i) for i in x.index)]
    if batch.extent < 2 or not read or any(len(x.index) < 3 or x.index[0] != batch for x in read):
        return 1
    sizes = [x.type.size // batch.extent for x in read]
    # Sums of one image are cut alike whatever else they read of it, so that one kernel makes them.
    one = sum(sizes) if is_contraction(reduce) else max(sizes)
    return batch.extent if one >= max(IMAGE_SHARE * results, SMALLEST_SUMMED) else 1


def _over_rows(reduce: Reduce) -> bool:
    """Whether whole rows are added up: nothing is read along its last dimension."""
    over = set(reduce.axes)
    return not any(a in over for x in loads(reduce.body) if x.index for a in walk(x.index[-1]) if isinstance(a, Axis))


def _beside_rows(reduce: Reduce, free: Collection[Axis]) -> int:
    """How many sums of whole rows there are."""
    along = {a for x in loads(reduce.body) if x.index for a in walk(x.index[-1])}
    return prod(a.extent for a in free if a not in along)


def joins_rows(producer: KernelSpec, readers: Sequence[tuple[KernelSpec, Sequence[Reading]]], count: int) -> list[bool]:
    """Which of the ``readers``, out of ``count``, should compute what ``producer`` stores wherever they read it."""
    reduces = any(isinstance(e, Reduce) for e in walk(producer.stores[0].value))
    could = _reduces_rows if reduces else _repeats
    chosen = [could(producer, *reader) for reader in readers]
    if all(chosen) and len(chosen) == count and (reduces or _moves_less(producer, [r for r, _ in readers])):
        return chosen
    # Reductions of the same rows: side by side, they will be one kernel.
    return [
        c and reduces and set(r.axes) == set(readings[0]) and _reduced(r) == _reduced(producer)
        for c, (r, readings) in zip(chosen, readers, strict=True)
    ]


def _reduced(spec: KernelSpec) -> set[Node]:
    """What a kernel reads that is larger than its result."""
    return {x for x in spec.sources if x.type.size > spec.stores[0].node.type.size}


def _moves_less(producer: KernelSpec, readers: Sequence[KernelSpec]) -> bool:
    """Whether memory is spared if all readers compute a value: what they read more is less than storing it takes."""
    made_of = {x for x in producer.sources if 8 * x.type.size > producer.stores[0].node.type.size}
    more = sum(len(made_of - set(r.sources)) - 1 for r in readers)
    return more <= len(made_of)


def _fits(producer: KernelSpec, reader: KernelSpec) -> bool:
    parts = [e for s in (*producer.stores, *reader.stores) for e in walk(s.value)]
    return len(parts) <= LARGEST_EXPRESSION and not any(is_contraction(e) for e in parts)


def _reduces_rows(producer: KernelSpec, reader: KernelSpec, readings: Sequence[Reading]) -> bool:
    """Whether a kernel reads anyway, row by row, what another reduces."""
    (result,) = producer.stores
    longest = max(prod(a.extent for a in e.axes) for e in walk(result.value) if isinstance(e, Reduce))
    return (
        _reduced(producer) <= set(reader.sources) and _fits(producer, reader) and _in_rows(reader, readings[0], longest)
    )


def _repeats(producer: KernelSpec, reader: KernelSpec, readings: Sequence[Reading]) -> bool:
    """Whether a kernel could compute elementwise work where it reads it in about the time of reading."""
    (result,) = producer.stores
    if result.node.type.size < SMALLEST_REPEATED or cost(result.value) * len(readings) > MOST_REPEATED:
        return False
    if any(isinstance(e, Unary | Binary) and e.op in NEVER_REPEATED for e in walk(result.value)):
        return False
    rows = [a for a in readings[0] if all(a in reading for reading in readings)]
    longest = prod(a.extent for a in readings[0]) // prod(a.extent for a in rows)
    return _fits(producer, reader) and (len(readings) == 1 or _in_rows(reader, rows, longest))


def _in_rows(spec: KernelSpec, rows: Sequence[Axis], longest: int) -> bool:
    """Whether a kernel can read its rows more than once: they are its outermost loops however it lies, enough for
    threads to share, and each short enough to stay in the cache meanwhile.
    """
    if longest > LONGEST_ROW or prod(a.extent for a in rows) < FEWEST_ROWS:
        return False
    return all(_outermost(store.index, rows) for store in spec.stores)


def _outermost(index: Sequence[Expr], rows: Collection[Axis]) -> bool:
    """Whether these axes are the outermost of what lies there, in every order it may lie in."""
    rank = len(index)
    for order in (tuple(range(rank)), default_order(rank)):
        axes = list(dict.fromkeys(a for d in order for a in walk(index[d]) if isinstance(a, Axis) and a.extent > 1))
        inside = [a for a in axes if a in rows]
        if set(axes[: len(inside)]) != set(inside):
            return False
    return True
