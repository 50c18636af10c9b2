"""When two kernels are one: a key that forgets which values a kernel works on and keeps everything else."""

from __future__ import annotations

from collections.abc import Hashable

from lucid.codegen.access import Placed
from lucid.ir.expr import Axis, Expr, walk


def structure(placed: Placed) -> Hashable:
    """Equal for kernels that lowering cannot tell apart."""
    number: dict[int, int] = {}
    rows: list[tuple[Hashable, ...]] = []

    def short(field: Hashable) -> Hashable:
        """A field with expressions that were met replaced by their numbers."""
        if isinstance(field, Expr):
            return met(field)
        if isinstance(field, tuple):
            return tuple([short(x) for x in field])
        return field

    def met(expr: Expr) -> int:
        found = number.get(id(expr))
        if found is None:
            found = number[id(expr)] = len(number)
            own = (expr.name, expr.extent) if isinstance(expr, Axis) else [short(f) for f in expr.fields()]
            rows.append((type(expr).__name__, *own))
        return found

    stores = []
    axes = tuple([met(axis) for axis in placed.axes])
    for store in placed.stores:
        for root in (store.offset, store.value):
            for expr in walk(root):  # children first: ``met`` never goes deep
                met(expr)
        stores.append((store.buffer, met(store.offset), met(store.value)))
    return placed.buffers, axes, tuple(stores), tuple(rows)
