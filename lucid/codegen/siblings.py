"""Kernels that become one: what reads the same values at the same positions, or what another just stored there.

An optimizer's momentum and parameter, mean and variance of a batch, three sums over one gradient: separate nodes
of the graph, one pass over memory. Fusion decides what is never stored; this decides what is stored together. Works on
kernels whose layouts are chosen, before they are ordered. Knows no op and no loop.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from lucid.codegen.fuse import LARGEST_EXPRESSION
from lucid.codegen.layout import Layout
from lucid.codegen.spec import KernelSpec, Store
from lucid.ir.expr import Axis, Expr, Load, Reduce, free_axes, loads, rewrite, substitute, walk
from lucid.ir.graph import Node
from lucid.ir.index import affine, simplify

#: A kernel has at most so many results and values it reads: more would not fit into registers.
MOST_BUFFERS = 12


def merge_siblings(
    specs: Sequence[KernelSpec], layouts: Mapping[Node, Layout], outputs: Collection[Node], apart: Collection[int]
) -> list[KernelSpec]:
    """The kernels, fewer of them; not in an order that could be run.

    Args:
        specs: in an order that could be run.
        layouts: where every value lies.
        outputs: what leaves the graph.
        apart: ids of kernels that stay as they are.
    """
    merging = _Merging(layouts)
    writers = Counter(s.node for spec in specs for s in spec.stores)
    for spec in specs:
        alone = id(spec) in apart or any(writers[s.node] > 1 for s in spec.stores)
        merging.add(spec, None if alone else _shape(spec, layouts))
    merged = [group.spec for group in merging.groups]
    needed = {source for spec in merged for source in spec.sources}.union(outputs)
    return [_only(spec, needed) if len(spec.stores) > 1 else spec for spec in merged]


def _only(spec: KernelSpec, needed: Collection[Node]) -> KernelSpec:
    """The kernel without results that were stored only for what is now part of it."""
    return KernelSpec(spec.axes, tuple(s for s in spec.stores if s.node in needed), spec.nodes)


@dataclass(frozen=True)
class _Shape:
    """What kernels must have in common: extents from the outermost to the innermost in memory, and lanes."""

    extents: tuple[int, ...]
    #: Bytes of an element, or of the 32-bit number it is computed with: what fills a lane.
    width: int
    #: The kernel's axes in that order.
    axes: tuple[Axis, ...]

    @property
    def key(self) -> tuple[tuple[int, ...], int]:
        return self.extents, self.width


def _shape(spec: KernelSpec, layouts: Mapping[Node, Layout]) -> _Shape | None:
    found = [_shape_of(spec, store, layouts) for store in spec.stores]
    return found[0] if all(shape == found[0] for shape in found) else None


def _shape_of(spec: KernelSpec, store: Store, layouts: Mapping[Node, Layout]) -> _Shape | None:
    steps = affine(simplify(layouts[store.node].offset(store.index))).terms
    if any(a not in steps for a in spec.axes) or not all(isinstance(atom, Axis) for atom in steps):
        return None
    ordered = tuple(sorted(spec.axes, key=lambda a: -abs(steps[a])))
    if ordered and (abs(steps[ordered[-1]]) != 1 or _transposes(spec, store, ordered[-1], layouts)):
        return None
    return _Shape(tuple(a.extent for a in ordered), max(4, store.node.dtype.itemsize), ordered)


def _transposes(spec: KernelSpec, store: Store, inner: Axis, layouts: Mapping[Node, Layout]) -> bool:
    """Something large is read across the order in which it lies: its tiles leave no room for other streams."""
    for load in loads(store.value):
        if isinstance(load.source, Node) and load.type.size > inner.extent > 1:
            steps = affine(simplify(layouts[load.source].offset(load.index))).terms
            along = any(abs(steps.get(a, 0)) == 1 for a in spec.axes if a.extent > 1)
            if abs(steps.get(inner, 0)) > 1 and along:
                return True
    return False


@dataclass
class _Group:
    spec: KernelSpec
    shape: _Shape | None
    #: The groups it needs, directly or not, as bits.
    needs: int


class _Merging:
    def __init__(self, layouts: Mapping[Node, Layout]):
        self.layouts = layouts
        self.groups: list[_Group] = []
        self.writer: dict[Node, list[int]] = {}
        self.readers: dict[Node, list[int]] = {}

    def add(self, spec: KernelSpec, shape: _Shape | None) -> None:
        """Put a kernel into the group it fits, or into one of its own."""
        direct = {k for source in spec.sources for k in self.writer.get(source, ())}
        at, merged = len(self.groups), None
        for k in self._candidates(spec, shape):
            merged = self._joined(k, spec, shape, direct)
            if merged is not None:
                self.groups[k].spec, at = merged, k
                break
        else:
            self.groups.append(_Group(spec, shape, 0))
        group = self.groups[at]
        for k in direct - {at}:
            group.needs |= self.groups[k].needs | 1 << k
        if merged is not None:  # nothing needs a group that was not there yet
            for other in self.groups:
                if other.needs >> at & 1:
                    other.needs |= group.needs
        for store in spec.stores:
            self.writer.setdefault(store.node, []).append(at)
        for source in spec.sources:
            found = self.readers.setdefault(source, [])
            if at not in found:
                found.append(at)

    def _candidates(self, spec: KernelSpec, shape: _Shape | None) -> list[int]:
        """Groups of the same shape, those that stored what the kernel reads first, then those that read the same."""
        if shape is None:
            return []
        found: dict[int, None] = {}
        for index in (self.writer, self.readers):
            for source in sorted(spec.sources, key=lambda x: -x.type.size):
                found.update(dict.fromkeys(index.get(source, ())))
        return [k for k in found if (other := self.groups[k].shape) is not None and other.key == shape.key]

    def _joined(self, k: int, spec: KernelSpec, shape: _Shape | None, direct: set[int]) -> KernelSpec | None:
        """The group's kernel with another's result in it; None if that cannot be, or saves nothing."""
        group = self.groups[k]
        assert group.shape is not None
        assert shape is not None
        if any(self.groups[d].needs >> k & 1 for d in direct - {k}):
            return None  # something in between needs the group first
        change: dict[Axis, Expr] = dict(zip(shape.axes, group.shape.axes, strict=True))
        own = [e for s in spec.stores for e in walk(s.value) if isinstance(e, Reduce)]
        theirs = [e for s in group.spec.stores for e in walk(s.value) if isinstance(e, Reduce)]
        change.update(_same_axes(own, theirs))
        new = [
            Store(s.node, tuple(substitute(i, change) for i in s.index), substitute(s.value, change))
            for s in spec.stores
        ]
        values = {s.node: s for s in group.spec.stores}
        theirs_read = {x for s in group.spec.stores for x in loads(s.value)}
        read = {x: None for s in new for x in loads(s.value)}
        shared = any(x in theirs_read and x.type.size > 1 for x in read)
        if own and theirs and not shared:
            return None  # two passes over different things
        inside = {x for s in new for e in walk(s.value) if isinstance(e, Reduce) for x in loads(e.body)}
        stored = [x for x in read if x.source in values]
        if any(x in inside or not self._just_stored(x, values) for x in stored):
            return None
        if not (shared or stored):
            return None

        def visit(expr: Expr) -> Expr | None:
            if isinstance(expr, Load) and expr.source in values:
                assert isinstance(expr.source, Node)
                return values[expr.source].value
            return None

        merged = KernelSpec(
            group.spec.axes,
            (*group.spec.stores, *(Store(s.node, s.index, rewrite(s.value, visit)) for s in new)),
            (*group.spec.nodes, *(n for n in spec.nodes if n not in group.spec.nodes)),
        )
        if len(merged.stores) + len(merged.sources) > MOST_BUFFERS:
            return None
        if sum(1 for s in merged.stores for _ in walk(s.value)) > LARGEST_EXPRESSION:
            return None
        return merged

    def _just_stored(self, load: Load, values: Mapping[Node, Store]) -> bool:
        """The load reads, at each position, what the group's kernel stores at that position."""
        assert isinstance(load.source, Node)
        layout = self.layouts[load.source]
        mine, theirs = (affine(simplify(layout.offset(i))) for i in (load.index, values[load.source].index))
        return mine == theirs


def _same_axes(own: Sequence[Reduce], theirs: Sequence[Reduce]) -> dict[Axis, Expr]:
    """Axes of reductions renamed to those of others over as many positions, so that they can share loops.

    A reduction inside another that depends on the outer one's position keeps axes of its own.
    """
    known: dict[tuple[int, ...], tuple[Axis, ...]] = {}
    for e in theirs:
        known.setdefault(tuple(a.extent for a in e.axes), e.axes)
    change: dict[Axis, Axis] = {}
    for e in reversed(own):  # outer ones first
        target = known.get(tuple(a.extent for a in e.axes))
        if target is None or any(a in change for a in e.axes):
            continue
        if not any(change.get(a) in target for a in free_axes(e)):
            change.update(zip(e.axes, target, strict=True))
    return dict(change)
