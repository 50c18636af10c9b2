"""Heuristics of reductions before layouts are known: which are cut so that threads can share them, and which run row by
row inside the kernel that needs their results.

Nothing here depends on how many threads there are: that would change results.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import prod

from lucid.codegen.fuse import LARGEST_EXPRESSION, is_contraction
from lucid.codegen.spec import KernelSpec
from lucid.codegen.strategy import contraction_loads, default_order
from lucid.codegen.winograd_gradient import gradient_parts
from lucid.ir.expr import Axis, Expr, Reduce, free_axes, loads, walk

#: Blocks of a long reduction: enough for any machine's threads to share, few enough to combine in no time.
MOST_BLOCKS = 64

#: Elements of the smallest block of a reduction: some microseconds of work.
SMALLEST_BLOCK = 16_000

#: A reduction with more results than this is shared among threads by its results.
MOST_RESULTS = 512

#: Elements of the longest row that stays near the core while it is read several times.
LONGEST_ROW = 16_000

#: Rows that are enough for threads to share.
FEWEST_ROWS = 32


def blocks_of(reduce: Reduce) -> int:
    """Into how many parts a reduction is cut, to be combined afterwards; 1 leaves it whole."""
    free = free_axes(reduce)
    results = prod(a.extent for a in free)
    length = prod(a.extent for a in reduce.axes)
    if is_contraction(reduce):
        return gradient_parts(reduce, results, length)
    if results > MOST_RESULTS and not _over_rows(reduce):
        return 1
    if results >= FEWEST_ROWS and length <= LONGEST_ROW and all(_outermost(x.index, free) for x in loads(reduce.body)):
        return 1
    # The parts are stored: few beside what is read.
    return max(1, min(MOST_BLOCKS, results * length // SMALLEST_BLOCK, length // 64))


def _over_rows(reduce: Reduce) -> bool:
    """Whether whole rows are added up: nothing is read along its last dimension."""
    over = set(reduce.axes)
    return not any(a in over for x in loads(reduce.body) if x.index for a in walk(x.index[-1]) if isinstance(a, Axis))


def joins_rows(producer: KernelSpec, reader: KernelSpec, rows: Sequence[Axis]) -> bool:
    """Whether ``reader`` should compute for each of its rows what ``producer`` stores: it reads those rows anyway.

    The rows must be its outermost loops however it lies, enough for threads to share, and each short enough to stay in
    the cache between the two passes.
    """
    if contraction_loads(reader) is not None or contraction_loads(producer) is not None:
        return False
    (result,) = producer.stores
    longest = max(prod(a.extent for a in e.axes) for e in walk(result.value) if isinstance(e, Reduce))
    if longest > LONGEST_ROW or prod(a.extent for a in rows) < FEWEST_ROWS:
        return False
    if not {x for x in producer.sources if x.type.size > result.node.type.size} <= set(reader.sources):
        return False
    size = sum(1 for s in (result, *reader.stores) for _ in walk(s.value))
    return size <= LARGEST_EXPRESSION and all(_outermost(store.index, rows) for store in reader.stores)


def _outermost(index: Sequence[Expr], rows: Collection[Axis]) -> bool:
    """Whether these axes are the outermost of what lies there, in every order it may lie in."""
    rank = len(index)
    for order in (tuple(range(rank)), default_order(rank)):
        axes = list(dict.fromkeys(a for d in order for a in walk(index[d]) if isinstance(a, Axis) and a.extent > 1))
        inside = [a for a in axes if a in rows]
        if set(axes[: len(inside)]) != set(inside):
            return False
    return True
