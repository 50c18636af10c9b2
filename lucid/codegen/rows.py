"""Values that the kernels which read them compute for themselves: what a layer norm and its gradient are made of.

The mean of a row is a small value that a second kernel subtracts from every element of that row. Run one after the
other, the two read everything from memory twice; as one, the second reads what the first left in the cache. So a
reduction of rows moves, as an expression, into all the kernels that read its result, and so does elementwise work whose
result is larger than what it is made of is to read again. Knows expressions; no layouts, no loops.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import TypeAlias

from lucid.codegen.spec import KernelSpec, Store
from lucid.ir.expr import Axis, Expr, Load, Reduce, loads, rewrite, substitute, walk
from lucid.ir.graph import Node

#: Where a kernel reads a value: for each axis of the kernel that stores it, one of its own.
Reading: TypeAlias = tuple[Axis, ...]

#: Which kernels should compute what another stores: the other, those that could and where they read it, and how many
#: kernels read it in all.
Joins: TypeAlias = Callable[[KernelSpec, Sequence[tuple[KernelSpec, Sequence[Reading]]], int], list[bool]]


def join_rows(specs: Sequence[KernelSpec], outputs: Collection[Node], joins: Joins) -> list[KernelSpec]:
    """The same kernels, fewer: a value that every reader could compute for itself is stored no more.

    Args:
        specs: in an order that could be run.
        joins: the strategy's word on the readers of one value.
    """
    kernels = _Kernels(specs)
    # Elementwise work first: what it is made of is then read by more kernels, and their rows are known.
    for reduces in (False, True):
        for producer in kernels.each():
            current = kernels.storing(producer)
            node = current.stores[0].node
            if node not in outputs and kernels.writers[node] == 1 and _plain(current) and _reduces(current) is reduces:
                _join_where_it_pays(current, kernels, joins)
    return list(kernels.each())


class _Kernels:
    """Kernels in their order, and who reads a value: looking through all of them for that takes as long as they do."""

    def __init__(self, specs: Sequence[KernelSpec]):
        self.writers = Counter(s.node for spec in specs for s in spec.stores)
        self._at: list[KernelSpec | None] = list(specs)
        self._place: dict[Node, int] = {}
        self._reading: dict[Node, dict[int, None]] = {}
        for k, spec in enumerate(specs):
            self._place.setdefault(spec.stores[0].node, k)
            self._note(k, spec)

    def _note(self, k: int, spec: KernelSpec) -> None:
        for source in spec.sources:
            self._reading.setdefault(source, {})[k] = None

    def each(self) -> list[KernelSpec]:
        return [spec for spec in self._at if spec is not None]

    def storing(self, known: KernelSpec) -> KernelSpec:
        """The first kernel as it is now whose first result is that of one known earlier."""
        found = self._at[self._place[known.stores[0].node]]
        assert found is not None
        return found

    def readers(self, node: Node) -> dict[int, KernelSpec]:
        """Those that read a value, by their places, in order."""
        found = {k: self._at[k] for k in sorted(self._reading.get(node, ()))}
        return {k: spec for k, spec in found.items() if spec is not None and node in spec.sources}

    def replace(self, k: int, spec: KernelSpec) -> None:
        self._at[k] = spec
        self._note(k, spec)

    def remove(self, spec: KernelSpec) -> None:
        self._at[self._place[spec.stores[0].node]] = None


def _join_where_it_pays(producer: KernelSpec, kernels: _Kernels, joins: Joins) -> None:
    """Have the kernels that are to compute it compute what the producer does; without it, if these are all."""
    node = producer.stores[0].node
    readers = kernels.readers(node)
    readings = {k: _readings(producer, r) for k, r in readers.items()}
    possible = {k: (readers[k], found) for k, found in readings.items() if found}
    chosen = dict(zip(possible, joins(producer, list(possible.values()), len(readings)), strict=True))
    for k, chooses in chosen.items():
        if chooses:
            kernels.replace(k, _joined(producer, readers[k]))
    if readings and all(chosen.get(k) for k in readings):
        kernels.remove(producer)


def _reduces(spec: KernelSpec) -> bool:
    return any(isinstance(e, Reduce) for e in walk(spec.stores[0].value))


def _plain(spec: KernelSpec) -> bool:
    """One result, stored position by position."""
    return len(spec.stores) == 1 and [i for i in spec.stores[0].index if isinstance(i, Axis)] == list(spec.axes)


def _reading(producer: KernelSpec, load: Load) -> Reading | None:
    if load.fill is not None:
        return None
    at = [i for i, own in zip(load.index, producer.stores[0].index, strict=True) if isinstance(own, Axis)]
    axes = tuple(i for i in at if isinstance(i, Axis))
    return axes if len(set(axes)) == len(at) else None


def _readings(producer: KernelSpec, reader: KernelSpec) -> list[Reading]:
    """The different axes along which ``reader`` reads what ``producer`` stores; none if they are no plain axes
    somewhere, or if a reduction is read along another.
    """
    reduces = _reduces(producer)
    found: dict[Reading, None] = {}
    for store in reader.stores:
        for load in loads(store.value):
            if load.source is producer.stores[0].node:
                reading = _reading(producer, load)
                if reading is None or (reduces and not set(reading) <= set(reader.axes)):
                    return []
                found.setdefault(reading)
    return [] if reduces and len(found) > 1 else list(found)


def _joined(producer: KernelSpec, reader: KernelSpec) -> KernelSpec:
    (made,) = producer.stores

    # Reduction axes stay the same objects, so that what arrives on two ways is one reduction.
    def visit(expr: Expr) -> Expr | None:
        if not (isinstance(expr, Load) and expr.source is made.node):
            return None
        change: dict[Axis, Expr] = dict(zip(producer.axes, _reading(producer, expr) or (), strict=True))
        return substitute(made.value, change)

    stores = tuple(Store(s.node, s.index, rewrite(s.value, visit)) for s in reader.stores)
    return KernelSpec(reader.axes, stores, (*producer.nodes, *(n for n in reader.nodes if n not in producer.nodes)))
