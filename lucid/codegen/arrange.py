"""Layouts for the values of a list of kernels: contractions say what they want, and get it.

A value made inside is stored as its producer likes, with the widest halo any reader needs. A value that lies as it must
(inputs, outputs) is copied into what a contraction wants, once for all that want the same. What vectors run along is
packed into panels as wide as a register tile, so that a tile reads memory in one run. Knows nothing of loops.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from typing import NamedTuple

from lucid.codegen.access import halo_needed
from lucid.codegen.layout import Layout
from lucid.codegen.spec import KernelSpec, Store
from lucid.codegen.strategy import (
    Wanted,
    contraction_loads,
    default_order,
    is_windowed,
    order_ending_in,
    panel_width,
    wanted,
)
from lucid.codegen.target import Target
from lucid.ir.expr import Axis, Expr, Load, axes, rewrite, walk
from lucid.ir.graph import OPS, Node


class Arranged(NamedTuple):
    """Kernels, copies among them; where every value lies; the ids of those that the contraction nest should run."""

    specs: list[KernelSpec]
    layouts: dict[Node, Layout]
    contractions: frozenset[int]


def arrange(
    specs: list[KernelSpec],
    fixed: Mapping[Node, Layout],
    outputs: Collection[Node],
    parameters: Collection[Node],
    target: Target,
) -> Arranged:
    """Choose layouts and add the copies they need.

    Args:
        fixed: layouts of inputs and outputs, which cannot change.
        parameters: inputs whose copies are made rarely.
    """
    return _Arranger(fixed, outputs, parameters, target).run(specs)


def alias(node: Node) -> Node:
    """A node of the same value, to lie elsewhere."""
    return Node(OPS["identity"].call((node.type,), {}), (node,), node.where)


def copy_spec(source: Node, target: Node) -> KernelSpec:
    """The kernel that copies one to the other."""
    out = axes("i", source.shape)
    return KernelSpec(out, (Store(target, out, Load(source, source.type, out)),), (target,))


class _Arranger:
    def __init__(
        self, fixed: Mapping[Node, Layout], outputs: Collection[Node], parameters: Collection[Node], target: Target
    ):
        self.layouts = dict(fixed)
        self.inputs = frozenset(fixed) - frozenset(outputs)
        self.outputs = outputs
        self.parameters = parameters
        self.target = target
        self.halos: dict[Node, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self.copies: dict[Hashable, Node] = {}
        self.result: list[KernelSpec] = []

    def run(self, specs: list[KernelSpec]) -> Arranged:
        fixed = {n: layout.innermost for n, layout in self.layouts.items()}
        wishes = [wanted(s, fixed, self.parameters, self.target) for s in specs]
        self._home_layouts(specs, wishes)
        inside = self._results_inside(specs, wishes)
        last = {s.stores[0].node: k for k, s in enumerate(specs)}
        contractions = set()
        for k, (spec, wish) in enumerate(zip(specs, wishes, strict=True)):
            node = spec.stores[0].node
            spec = _redirect(spec, inside)
            if wish is not None:
                spec = self._satisfy(spec, wish)
                contractions.add(id(spec))
            self.result.append(spec)
            if node in inside and last[node] == k:
                self.result.append(copy_spec(inside[node], node))
        return Arranged(self.result, self.layouts, frozenset(contractions))

    def _home_layouts(self, specs: list[KernelSpec], wishes: list[Wanted | None]) -> None:
        """Where each intermediate value lies: its producer's order, and the widest halo any of its readers needs."""
        orders: dict[Node, tuple[int, ...]] = {}
        for spec, wish in zip(specs, wishes, strict=True):
            if wish is None:
                continue
            node = spec.stores[0].node
            orders.setdefault(node, order_ending_in(len(node.shape), wish.store_dim))
            for load in contraction_loads(spec)[1:]:  # type: ignore[index]  # a wish means there is one
                halo = _halo(load)
                if halo is not None:
                    source = load.source
                    assert isinstance(source, Node)
                    low, high = self.halos.get(source, halo)
                    self.halos[source] = tuple(map(max, low, halo[0])), tuple(map(max, high, halo[1]))
        for node in {s.stores[0].node for s in specs}.difference(self.outputs):
            self.layouts[node] = self._home(node, orders.get(node, default_order(len(node.shape))))

    def _home(self, node: Node, order: tuple[int, ...]) -> Layout:
        home = Layout.ordered(node.shape, order)
        return home.with_halo(*self.halos[node]) if node in self.halos else home

    def _results_inside(self, specs: list[KernelSpec], wishes: list[Wanted | None]) -> dict[Node, Node]:
        """Outputs a contraction cannot store as they must go out: it stores an inner copy, which later kernels read."""
        inside: dict[Node, Node] = {}
        for spec, wish in zip(specs, wishes, strict=True):
            node = spec.stores[0].node
            if wish is None or node in inside or node not in self.outputs:
                continue
            if self.layouts[node].innermost != wish.store_dim:
                made = inside[node] = alias(node)
                home = Layout.ordered(node.shape, order_ending_in(len(node.shape), wish.store_dim))
                self.layouts[made] = home.with_halo(*self.halos[node]) if node in self.halos else home
        return inside

    def _satisfy(self, spec: KernelSpec, wish: Wanted) -> KernelSpec:
        """The same kernel with its operands copied into the layouts it wants."""
        found = contraction_loads(spec)
        assert found is not None
        # The vector operand last: its order follows how the other one lies. Sources may have been redirected since the
        # wish was made, positions not.
        vector, other = found[1:] if found[1].index == wish.load.index else (found[2], found[1])
        moved_other = self._moved_other(other)
        node = vector.source
        assert isinstance(node, Node)
        home = self.layouts[node]
        change: dict[Axis, Expr] = {}
        moved = vector
        if home.innermost != wish.load_dim:
            order = self._operand_order(wish, vector, moved_other)
            width = panel_width(wish.vector.extent, self.target.lanes(node.dtype))
            if node not in self.halos and vector.index[wish.load_dim] is wish.vector and width < wish.vector.extent:
                outer = Axis(f"{wish.vector.name}o", wish.vector.extent // width)
                inner = Axis(f"{wish.vector.name}i", width)
                change[wish.vector] = outer * width + inner
                moved = self._panels(vector, wish.load_dim, order, outer, inner)
            else:
                moved = self._moved(vector, Layout(home.shape, order, home.low, home.high))
        elif node in self.halos:
            moved = self._moved(vector, home)
        swap = {vector: moved, other: moved_other}
        store = spec.stores[0]
        value = rewrite(store.value, lambda e: swap.get(e) if isinstance(e, Load) else None)
        spec = KernelSpec(spec.axes, (Store(store.node, store.index, value),), spec.nodes)
        if not change:
            return spec
        split = [b for a in spec.axes for b in ((outer, inner) if a is wish.vector else (a,))]
        return spec.map(split, change)

    def _moved_other(self, load: Load) -> Load:
        """The broadcast operand: images are NHWC from the graph's edge on, unless they are read without a window."""
        node = load.source
        assert isinstance(node, Node)
        want = self.layouts[node]
        if is_windowed(load) and len(node.shape) == 4 and node.shape[1] > 1 and node in self.inputs:
            want = Layout(want.shape, default_order(4), want.low, want.high)
        return self._moved(load, want)

    def _moved(self, load: Load, want: Layout) -> Load:
        """The load from a copy in the wanted layout, with its halo; the load itself if its source lies like that."""
        node = load.source
        assert isinstance(node, Node)
        if node in self.halos:
            want = want.with_halo(*self.halos[node])
        if want.same_memory(self.layouts[node]):
            return load
        copy = self.copies.get((node, want))
        if copy is None:
            copy = self.copies[node, want] = alias(node)
            self.layouts[copy] = want
            self.result.append(copy_spec(node, copy))
        return Load(copy, load.type, load.index, load.fill)

    def _panels(self, load: Load, dim: int, order: tuple[int, ...], outer: Axis, inner: Axis) -> Load:
        """The load from a copy whose dimension ``dim`` is cut into panels: the panel first, its inside last."""
        node = load.source
        assert isinstance(node, Node)
        shape = (*node.shape[:dim], outer.extent, inner.extent, *node.shape[dim + 1 :])
        after = [d + (d > dim) for d in order[:-1]]
        perm = (dim, *after, dim + 1)
        packed = self.copies.get((node, shape, perm))
        if packed is None:
            split = Node(OPS["reshape"].call((node.type,), {"shape": shape}), (node,), node.where)
            packed = Node(OPS["transpose"].call((split.type,), {"perm": perm}), (split,), node.where)
            self.copies[node, shape, perm] = packed
            self.layouts[packed] = Layout.plain(packed.shape)
            out = axes("i", packed.shape)
            source: list[Expr] = [out[0] * inner.extent + out[-1]] * len(node.shape)
            for at, d in zip(out[1:-1], order[:-1], strict=True):
                source[d] = at
            value = Load(node, node.type, source)
            self.result.append(KernelSpec(out, (Store(packed, out, value),), (split, packed)))
        return Load(packed, packed.type, [outer, *(load.index[d] for d in order[:-1]), inner])

    def _operand_order(self, wish: Wanted, load: Load, other: Load) -> tuple[int, ...]:
        """The vector dimension last; before it what the other operand walks contiguously, so both step together."""
        innermost = self.layouts[other.source].innermost  # type: ignore[index]  # sources are nodes
        near = set() if innermost is None else {a for a in walk(other.index[innermost]) if isinstance(a, Axis)}
        rest = [d for d in default_order(len(load.index)) if d != wish.load_dim]
        rest.sort(key=lambda d: any(a in near for a in walk(load.index[d])))
        return (*rest, wish.load_dim)


def _halo(load: Load) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    if load.fill != 0:
        return None
    halo = halo_needed(load)
    if halo is None or not any((*halo[0], *halo[1])):
        return None
    # A ring much wider than the image itself is guarded instead.
    if any(a + b > 2 * n + 8 for a, b, n in zip(*halo, load.type.shape, strict=True)):
        return None
    return halo


def _redirect(spec: KernelSpec, inside: dict[Node, Node]) -> KernelSpec:
    """The same kernel reading and storing some values where they lie inside."""
    if not any(x in inside for x in (*spec.sources, spec.stores[0].node)):
        return spec

    def visit(expr: Expr) -> Expr | None:
        if isinstance(expr, Load) and expr.source in inside:
            return Load(inside[expr.source], expr.type, expr.index, expr.fill)
        return None

    stores = tuple(Store(inside.get(s.node, s.node), s.index, rewrite(s.value, visit)) for s in spec.stores)
    return KernelSpec(spec.axes, stores, spec.nodes)
