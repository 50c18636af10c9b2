"""Kernels that reduce rows, joined with the kernels that read the rows again: what a layer norm is made of.

The mean of a row is a small value that a second kernel subtracts from every element of that row. Run one after the
other, the two read everything from memory twice; as one, the second reads what the first left in the cache. The
reduction moves, as an expression, into all the kernels that read its result. Knows expressions; no layouts, no loops.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from lucid.codegen.spec import KernelSpec, Store
from lucid.ir.expr import Axis, Expr, Load, Reduce, loads, rewrite, substitute, walk
from lucid.ir.graph import Node


def join_rows(
    specs: Sequence[KernelSpec], outputs: Collection[Node], joins: Callable[[KernelSpec, KernelSpec, list[Axis]], bool]
) -> list[KernelSpec]:
    """The same kernels, fewer: a value that every reader could compute for itself, row by row, is stored no more.

    Args:
        specs: in an order that could be run.
        joins: whether a kernel should compute what another stores: the other, the kernel, and the rows' axes in it.
    """
    result = list(specs)
    for spec in specs:
        readers = [r for r in result if _node(spec) in r.sources]
        if not _reduces_rows(spec) or _node(spec) in outputs or not readers:
            continue
        if sum(s.node is _node(spec) for r in result for s in r.stores) > 1:
            continue  # written in parts
        current = next(r for r in result if r.stores[0].node is _node(spec))
        rows = [_rows(current, reader) for reader in readers]
        if all(r is not None and joins(current, reader, r) for reader, r in zip(readers, rows, strict=True)):
            joined = {id(r): _joined(current, r, axes or []) for r, axes in zip(readers, rows, strict=True)}
            result = [joined.get(id(r), r) for r in result if r is not current]
    return result


def _node(spec: KernelSpec) -> Node:
    return spec.stores[0].node


def _reduces_rows(spec: KernelSpec) -> bool:
    """One result, stored position by position, with a reduction in it."""
    if len(spec.stores) != 1 or [i for i in spec.stores[0].index if isinstance(i, Axis)] != list(spec.axes):
        return False
    return any(isinstance(e, Reduce) for e in walk(spec.stores[0].value))


def _rows(producer: KernelSpec, reader: KernelSpec) -> list[Axis] | None:
    """The axes of ``reader`` at which it reads what ``producer`` stores, in its order; None if they are no plain axes
    or not the same everywhere.
    """
    node = _node(producer)
    found = {x.index for s in reader.stores for x in loads(s.value) if x.source is node and x.fill is None}
    padded = any(x.fill is not None for s in reader.stores for x in loads(s.value) if x.source is node)
    if padded or len(found) != 1:
        return None
    (index,) = found
    rows = [i for i, own in zip(index, producer.stores[0].index, strict=True) if isinstance(own, Axis)]
    axes = [i for i in rows if isinstance(i, Axis) and i in reader.axes]
    return axes if len(axes) == len(rows) == len(set(axes)) else None


def _joined(producer: KernelSpec, reader: KernelSpec, rows: list[Axis]) -> KernelSpec:
    # Reduction axes stay the same objects, so that what arrives on two ways is one reduction.
    change: dict[Axis, Expr] = dict(zip(producer.axes, rows, strict=True))
    value = substitute(producer.stores[0].value, change)

    def visit(expr: Expr) -> Expr | None:
        return value if isinstance(expr, Load) and expr.source is _node(producer) else None

    stores = tuple(Store(s.node, s.index, rewrite(s.value, visit)) for s in reader.stores)
    return KernelSpec(reader.axes, stores, (*producer.nodes, *(n for n in reader.nodes if n not in producer.nodes)))
