"""The order in which a map/reduce nest visits its positions: axes by stride, neighbours merged where they run on.

Reordering changes the order of sums, never which elements meet. Nothing here builds loops.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from lucid.codegen.access import Access, Placed, PlacedStore, accesses, coefficient, from_affine
from lucid.codegen.spec import cost
from lucid.errors import ScheduleError
from lucid.ir.expr import Axis, Expr, Reduce, binary, free_axes, identity, rewrite, select, substitute, walk
from lucid.ir.index import Affine, affine


def _stride(offset: Expr, axis: Axis) -> int:
    step = coefficient(offset, axis)
    return abs(step) if step is not None else 0


def in_memory_order(placed: Placed) -> Placed:
    """Output axes by the stride of the first store, reduction axes by the largest stride of their loads; unit axes
    drop.
    """
    first = placed.stores[0].offset
    order = sorted(placed.axes, key=lambda a: -_stride(first, a))
    offsets: dict[frozenset[Axis], list[Expr]] = {}  # reductions over the same axes run in one order
    for store in placed.stores:
        for e in walk(store.value):
            if isinstance(e, Reduce) and len(e.axes) > 1:
                offsets.setdefault(frozenset(e.axes), []).extend(x.offset for x in accesses(e.body))

    def visit(expr: Expr) -> Expr | None:
        if isinstance(expr, Reduce) and len(expr.axes) > 1:
            walked = offsets[frozenset(expr.axes)]
            by_stride = sorted(expr.axes, key=lambda a: -max((_stride(o, a) for o in walked), default=0))
            return Reduce(expr.kind, by_stride, expr.body)
        return None

    stores = tuple(PlacedStore(s.buffer, s.offset, rewrite(s.value, visit)) for s in placed.stores)
    return Placed(placed.buffers, tuple(order), stores)


def interned(placed: Placed) -> Placed:
    """The same kernel with equal expressions as one object, over all its stores."""
    table: dict[Expr, Expr] = {}

    def visit(expr: Expr) -> Expr:
        return table.setdefault(expr, expr)

    stores = tuple(PlacedStore(s.buffer, rewrite(s.offset, visit), rewrite(s.value, visit)) for s in placed.stores)
    return Placed(placed.buffers, placed.axes, stores)


def normal_form(placed: Placed) -> Placed:
    """Axes in memory order, merged where every access walks them as one: the axes that schedules name."""
    return collapse(in_memory_order(placed))


def collapse(placed: Placed) -> Placed:
    """Merge neighbouring axes that every access walks as one."""
    while True:
        merged = _collapse_once(placed)
        if merged is None:
            return placed
        placed = merged


def _collapse_once(placed: Placed) -> Placed | None:
    groups: list[tuple[Sequence[Axis], Reduce | None]] = [(placed.axes, None)]
    for store in placed.stores:
        groups += [(e.axes, e) for e in walk(store.value) if isinstance(e, Reduce)]
    free = _only_in_offsets(placed)
    offsets = [s.offset for s in placed.stores] + [x.offset for s in placed.stores for x in accesses(s.value)]
    for axes, _ in groups:
        for a, b in pairwise(axes):
            if a in free and b in free and all(_continues(o, a, b) for o in offsets):
                return _merge(placed, a, b)
    return None


def _continues(offset: Expr, a: Axis, b: Axis) -> bool:
    terms = affine(offset).terms
    return terms.get(a, 0) == terms.get(b, 0) * b.extent


def _only_in_offsets(placed: Placed) -> set[Axis]:
    """Axes that appear nowhere but as plain terms of offsets."""
    used: set[Axis] = set(placed.axes)
    pinned: set[Axis] = set()

    def scan(root: Expr) -> None:
        # Everything outside offsets pins; inside an offset only non-affine atoms do.
        stack = [root]
        done: set[int] = set()
        while stack:
            expr = stack.pop()
            if id(expr) in done:
                continue
            done.add(id(expr))
            if isinstance(expr, Axis):
                pinned.add(expr)
            elif isinstance(expr, Access):
                pin_offset(expr.offset)
                if expr.guard is not None:
                    stack.append(expr.guard)
            else:
                if isinstance(expr, Reduce):
                    used.update(expr.axes)
                stack.extend(expr.children())

    def pin_offset(offset: Expr) -> None:
        for atom in affine(offset).terms:
            if not isinstance(atom, Axis):
                scan(atom)

    for store in placed.stores:
        pin_offset(store.offset)
        scan(store.value)
    return used - pinned


def _merge(placed: Placed, a: Axis, b: Axis) -> Placed:
    both = Axis(f"{a.name}{b.name}", a.extent * b.extent)

    def offset(old: Expr) -> Expr:
        form = affine(old)
        if a not in form.terms and b not in form.terms:
            return old
        terms = {(both if atom is b else atom): factor for atom, factor in form.terms.items() if atom is not a}
        return from_affine(Affine(terms, form.constant))

    def visit(expr: Expr) -> Expr | None:
        if isinstance(expr, Access):
            return Access(expr.buffer, offset(expr.offset), expr.guard, expr.fill)
        if isinstance(expr, Reduce) and a in expr.axes:
            return Reduce(expr.kind, [both if x is b else x for x in expr.axes if x is not a], expr.body)
        return None

    stores = tuple(PlacedStore(s.buffer, offset(s.offset), rewrite(s.value, visit)) for s in placed.stores)
    axes = tuple(both if x is b else x for x in placed.axes if x is not a)
    return Placed(placed.buffers, axes, stores)


def by_rows(placed: Placed, rows: int) -> tuple[Placed, Axis]:
    """The same reductions with a new outer axis of blocks, each adding ``rows`` positions to the results in memory.

    Returns the kernel and the axis, whose turns depend on each other.

    Raises:
        ScheduleError: a result is no reduction, they run over different axes, or ``rows`` does not divide the first.
    """
    reductions = [s.value for s in placed.stores if isinstance(s.value, Reduce)]
    if len(reductions) < len(placed.stores) or len({e.axes for e in reductions}) > 1:
        raise ScheduleError("only a kernel of reductions over the same axes can run by rows")
    outer, *others = reductions[0].axes
    if rows < 1 or outer.extent % rows:
        raise ScheduleError(f"{rows} rows do not divide the {outer.extent} positions of axis {outer.name}")
    block, inner = Axis(f"{outer.name}b", outer.extent // rows), Axis(f"{outer.name}r", rows)
    change: dict[Axis, Expr] = {outer: block * rows + inner}
    stores = []
    for store, reduce in zip(placed.stores, reductions, strict=True):
        part = Reduce(reduce.kind, (inner, *others), substitute(reduce.body, change))
        begun = select(block.eq(0), identity(reduce.kind, reduce.dtype), Access(store.buffer, store.offset))
        value = binary({"sum": "add", "prod": "mul"}.get(reduce.kind, reduce.kind), begun, part)
        stores.append(PlacedStore(store.buffer, store.offset, value))
    axes = (*placed.axes[:-1], block, *placed.axes[-1:])
    return Placed(placed.buffers, axes, tuple(stores)), block


def by_tiles(placed: Placed, rows: int, columns: int) -> Placed:
    """The same kernel, tile by tile of so many rows and columns: the two innermost axes.

    Raises:
        ScheduleError: there are no two axes, or the tiles do not divide them.
    """
    *_, down, along = [None, None, *(a for a in placed.axes if a.extent > 1)]
    if down is None or along is None or rows < 1 or columns < 1 or down.extent % rows or along.extent % columns:
        raise ScheduleError(f"tiles of {rows} x {columns} do not divide the two innermost axes")
    outer = Axis(f"{down.name}o", down.extent // rows), Axis(f"{along.name}o", along.extent // columns)
    inner = Axis(f"{down.name}i", rows), Axis(f"{along.name}i", columns)
    where: dict[Axis, Expr] = {down: outer[0] * rows + inner[0], along: outer[1] * columns + inner[1]}
    stores = tuple(
        PlacedStore(s.buffer, substitute(s.offset, where), substitute(s.value, where)) for s in placed.stores
    )
    others = tuple(a for a in placed.axes if a not in where)
    return Placed(placed.buffers, (*others, *outer, *inner), stores)


class Kept(NamedTuple):
    """A value that a reduction computes at every position of the result, which needs it too."""

    reduce: Reduce
    value: Expr
    #: Where the reduction's position lies in the result.
    offset: Expr


def kept(placed: Placed) -> Kept | None:
    """What the only result could hold while its reductions run, as the exponentials of a softmax do: of several such
    values the one that costs the most; None if there is none.

    The reduction must pass every position of the result, each once, and be done before any is written: its positions
    are those of the innermost loops.
    """
    store = placed.stores[0]
    if len(placed.stores) > 1 or store.buffer.role != "out":
        return None
    parts = dict.fromkeys(walk(store.value))
    found = []
    for reduce in (e for e in parts if isinstance(e, Reduce) and e.dtype == store.buffer.dtype):
        free = free_axes(reduce)
        missing = [a for a in placed.axes if a not in free and a.extent > 1]
        over = [a for a in reduce.axes if a.extent > 1]
        inner = [a for a in placed.axes if a.extent > 1][-len(missing) :]
        if not over or missing != inner or [a.extent for a in missing] != [a.extent for a in over]:
            continue
        value = substitute(reduce.body, dict(zip(over, missing, strict=True)))
        if value in parts and not isinstance(value, Access):
            found.append(Kept(reduce, value, substitute(store.offset, dict(zip(missing, over, strict=True)))))
    return max(found, key=lambda k: cost(k.value), default=None)


def keeping(placed: Placed, what: Kept) -> Placed:
    """The same kernel with its last pass reading what the result holds already."""
    (store,) = placed.stores

    def visit(expr: Expr) -> Expr | None:
        return Access(store.buffer, store.offset) if expr == what.value else None

    return Placed(placed.buffers, placed.axes, (PlacedStore(store.buffer, store.offset, rewrite(store.value, visit)),))
