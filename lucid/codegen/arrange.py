"""Layouts for the values of a list of kernels: contractions say what they want, and get it.

A value made inside is stored as its producer likes, with the widest halo any reader needs. A value that lies as it must
(inputs, outputs) is copied into what a contraction wants, once for all that want the same. What vectors run along is
packed into panels as wide as a register tile, so that a tile reads memory in one run. Knows nothing of loops.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import replace
from math import ceil
from typing import NamedTuple

from lucid.codegen.access import halo_needed
from lucid.codegen.layout import Layout
from lucid.codegen.panels import (
    Cut,
    Piece,
    cut_into,
    extended,
    first_panel,
    is_filter,
    of_panels,
    operand_order,
    pieces_of,
)
from lucid.codegen.phases import together
from lucid.codegen.spec import KernelSpec, Store, affine_axes
from lucid.codegen.strategy import (
    Wanted,
    along_rows,
    contraction_loads,
    default_order,
    is_scattered,
    is_windowed,
    order_ending_in,
    tile_width,
    wanted,
)
from lucid.codegen.target import Target
from lucid.codegen.winograd import Slide, beyond, pays, slide_of
from lucid.codegen.winograd_gradient import gradient_pays
from lucid.ir.expr import Axis, Expr, Load, Operand, Reduce, axes, index, loads, rewrite, walk
from lucid.ir.graph import OPS, Node
from lucid.ir.index import affine


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


def _order_of_parts(spec: KernelSpec, orders: Mapping[Node, tuple[int, ...]]) -> tuple[int, ...] | None:
    """How the parts lie of which the kernel makes a total: the total should, too. None if it does something else."""
    (store, *others) = spec.stores
    parts = store.value.body if isinstance(store.value, Reduce) else None
    if others or not isinstance(parts, Load) or parts.fill is not None or not isinstance(parts.source, Node):
        return None
    order = orders.get(parts.source)
    if order is None or not all(isinstance(i, Axis) and i in parts.index for i in store.index):
        return None
    return tuple(sorted(range(len(store.index)), key=lambda d: order.index(parts.index.index(store.index[d]))))


class _Arranger:
    def __init__(
        self, fixed: Mapping[Node, Layout], outputs: Collection[Node], parameters: Collection[Node], target: Target
    ):
        self.layouts = dict(fixed)
        self.fixed = frozenset(fixed)
        self.outputs = outputs
        self.parameters = parameters
        self.target = target
        self.halos: dict[Node, tuple[tuple[int, ...], tuple[int, ...]]] = {}
        self.copies: dict[Hashable, Node] = {}
        self.result: list[KernelSpec] = []

    def run(self, specs: list[KernelSpec]) -> Arranged:
        fixed = {n: layout.innermost for n, layout in self.layouts.items()}
        specs = self._phases_together(specs, fixed)
        wishes = [self._wanted(s, fixed) for s in specs]
        slides = [self._slide(s, w) for s, w in zip(specs, wishes, strict=True)]
        self._home_layouts(specs, wishes, slides)
        inside = self._results_inside(specs, wishes)
        last = {s.stores[0].node: k for k, s in enumerate(specs)}
        contractions = set()
        for k, (spec, wish, slide) in enumerate(zip(specs, wishes, slides, strict=True)):
            node = spec.stores[0].node
            spec = _redirect(spec, inside)
            if wish is not None:
                spec = self._satisfy(spec, wish, slide)
                contractions.add(id(spec))
            self.result.append(spec)
            if node in inside and last[node] == k:
                self.result.append(copy_spec(inside[node], node))
        return Arranged(self.result, self.layouts, frozenset(contractions))

    def _phases_together(self, specs: list[KernelSpec], fixed: Mapping[Node, int | None]) -> list[KernelSpec]:
        """The kernels, with phases of one result as one kernel where they are best run along rows as these lie."""
        phases: dict[Node, list[KernelSpec]] = {}
        for spec in specs:
            phases.setdefault(spec.stores[0].node, []).append(spec)
        result: list[KernelSpec] = []
        for group in phases.values():
            result += together(group) if along_rows(group, fixed) else group
        return result

    def _wanted(self, spec: KernelSpec, fixed: Mapping[Node, int | None]) -> Wanted | None:
        def slides(wish: Wanted) -> bool:
            return self._slide(spec, wish) is not None

        read = {load.source for store in spec.stores for load in loads(store.value)}
        if not all(source.type.size for source in read if isinstance(source, Node)):
            return None  # nothing is multiplied, and values without elements lie nowhere
        return wanted(spec, fixed, self.parameters, self.target, slides)

    def _slide(self, spec: KernelSpec, wish: Wanted | None) -> Slide | None:
        """The window a kernel slides over an image, if Winograd's algorithm is to run it."""
        if wish is None or wish.direct or not self.target.winograd:
            return None
        reduce, vector, other = _operands(spec, wish)
        slide = slide_of(other, vector, spec.axes, reduce)
        if slide is None or len(vector.index) != 4 or any(wish.vector in walk(i) for i in other.index):
            return None
        if other.fill is not None and halo_needed(other) is not None and _halo(other) is None and _reaches(other):
            return None
        if slide.gradient:
            plain = vector.fill is None and {slide.rows, slide.columns} <= {_pixel(i) for i in vector.index}
            return slide if plain and gradient_pays(spec, slide, wish.vector, self.target) else None
        width = tile_width(wish.vector.extent, reduce.dtype, self.target, slides=True)
        if vector.fill is not None or first_panel(vector.index[wish.load_dim], wish.vector, width) is None:
            return None
        hoisted = vector.source in self.parameters
        return slide if pays(spec, slide, wish.vector.extent, width, hoisted, self.target) else None

    def _home_layouts(self, specs: list[KernelSpec], wishes: list[Wanted | None], slides: list[Slide | None]) -> None:
        """Where each intermediate value lies: its producer's order, and the widest halo any of its readers needs."""
        orders: dict[Node, tuple[int, ...]] = {}
        for spec, wish, slide in zip(specs, wishes, slides, strict=True):
            if wish is None:
                continue
            node = spec.stores[0].node
            if wish.direct:
                orders.setdefault(node, tuple(range(len(node.shape))))
                continue
            orders.setdefault(node, order_ending_in(len(node.shape), wish.store_dim))
            _, vector, image = _operands(spec, wish)
            for load in (vector, image):
                halo = _halo(load)
                if slide is not None and (load is image or slide.gradient):
                    halo = _whole_tiles(load, slide, halo)
                if halo is not None:
                    source = load.source
                    assert isinstance(source, Node)
                    low, high = self.halos.get(source, halo)
                    self.halos[source] = tuple(map(max, low, halo[0])), tuple(map(max, high, halo[1]))
        for spec in specs:
            node = spec.stores[0].node
            if node not in orders and (order := _order_of_parts(spec, orders)) is not None:
                orders[node] = order
        for node in {store.node for s in specs for store in s.stores}.difference(self.outputs):
            self.layouts[node] = self._home(node, orders.get(node, default_order(len(node.shape))))

    def _home(self, node: Node, order: tuple[int, ...]) -> Layout:
        home = Layout.ordered(node.shape, order)
        return home.with_halo(*self.halos[node]) if node in self.halos else home

    def _results_inside(self, specs: list[KernelSpec], wishes: list[Wanted | None]) -> dict[Node, Node]:
        """Outputs a contraction cannot store as they must go out: it stores an inner copy, which later kernels read."""
        inside: dict[Node, Node] = {}
        for spec, wish in zip(specs, wishes, strict=True):
            node = spec.stores[0].node
            if wish is None or wish.direct or node in inside or node not in self.outputs:
                continue
            if self.layouts[node].innermost != wish.store_dim:
                made = inside[node] = alias(node)
                home = Layout.ordered(node.shape, order_ending_in(len(node.shape), wish.store_dim))
                if node in self.halos:
                    self.halos[made] = self.halos[node]
                    home = home.with_halo(*self.halos[node])
                self.layouts[made] = home
        return inside

    def _satisfy(self, spec: KernelSpec, wish: Wanted, slide: Slide | None) -> KernelSpec:
        """The same kernel with its operands copied into the layouts it wants."""
        if wish.direct:
            return spec
        _, vector, other = _operands(spec, wish)
        moved_other = self._moved_other(other, slide)
        near = self._near(moved_other)
        moved, cut, weights = vector, None, None
        if slide is not None and not slide.gradient:
            moved, weights = self._for_winograd(vector, wish, slide, near)
            slide = None if weights is None else slide
        if weights is None:
            moved, cut = self._in_vectors(spec, vector, wish, slide is not None, near)
        swap = {vector: moved, other: moved_other}
        store = spec.stores[0]
        value = rewrite(store.value, lambda e: swap.get(e) if isinstance(e, Load) else None)
        spec = KernelSpec(spec.axes, (Store(store.node, store.index, value),), spec.nodes)
        lane = wish.vector
        if cut is not None:
            number, lane = cut
            split = tuple(b for a in spec.axes for b in (cut if a is wish.vector else (a,)))
            spec = spec.map(split, {wish.vector: number * lane.extent + lane})
        return spec if slide is None else replace(spec, window=slide.window(lane, weights))

    def _in_vectors(
        self, spec: KernelSpec, vector: Load, wish: Wanted, slides: bool, near: Mapping[Axis, int]
    ) -> tuple[Load, Cut | None]:
        """What vectors are read from, and the cut of the vector axis that goes with it.

        Args:
            slides: the operand is read in tiles of pixels.
        """
        node = vector.source
        assert isinstance(node, Node)
        home = self.layouts[node]
        if home.innermost == wish.load_dim and not slides and not is_scattered(spec, vector, home, self.target):
            return (self._moved(vector, home) if node in self.halos else vector), None
        pieces = pieces_of(vector, wish.load_dim, near)
        # What is read outside of its source, without a halo around that, is read where it can be guarded.
        inside = node not in self.halos and vector.fill is None
        if inside and vector.index[wish.load_dim] is wish.vector and not slides:
            cut = cut_into(wish.vector, tile_width(wish.vector.extent, node.dtype, self.target, slides=False))
            if cut is not None or len(pieces) > len(node.shape) - 1:
                number, lane = cut or (index(0), wish.vector)
                return of_panels(self._panels(vector, wish.load_dim, pieces, lane.extent), pieces, number, lane), cut
        order = operand_order(vector, wish.load_dim, near)
        return self._moved(vector, Layout(home.shape, order, home.low, home.high)), None

    def _for_winograd(
        self, vector: Load, wish: Wanted, slide: Slide, near: Mapping[Axis, int]
    ) -> tuple[Load, Node | None]:
        """The weights themselves, and as Winograd's algorithm reads them; None if they are not read as its window says.

        What is not finite is computed from the weights themselves. Parameters stay as they lie. What is updated in this
        run is read from the panels: a convolution that needed the weights would make their update wait for it.
        """
        node = vector.source
        assert isinstance(node, Node)
        width = tile_width(wish.vector.extent, node.dtype, self.target, slides=True)
        pieces = pieces_of(vector, wish.load_dim, near)
        first = first_panel(vector.index[wish.load_dim], wish.vector, width)
        if first is None or not is_filter(slide, first, ceil(wish.vector.extent / width), pieces):
            return vector, None
        panels = self._panels(vector, wish.load_dim, pieces, width)
        transformed = self._transformed(panels, slide.flip)
        if node in self.parameters:
            return vector, transformed
        position = vector.index[wish.load_dim]
        return of_panels(panels, pieces, position // width, position % width), transformed

    def _transformed(self, weights: Node, flip: bool) -> Node:
        """Weights in panels, transformed for Winograd's algorithm."""
        found = self.copies.get((weights, flip))
        if found is None:
            op = OPS["winograd_weights"]
            found = self.copies[weights, flip] = Node(
                op.call((weights.type,), {"flip": flip}), (weights,), weights.where
            )
            self.layouts[found] = Layout.plain(found.shape)
            out = axes("i", found.shape)
            value = op.compute(out, Operand(weights, weights.type), flip=flip)
            self.result.append(affine_axes(KernelSpec(out, (Store(found, out, value),), (found,))))
        return found

    def _moved_other(self, load: Load, slide: Slide | None) -> Load:
        """The broadcast operand: images are NHWC from the graph's edge on, unless they are read without a window; what
        Winograd's window slides over has its channels side by side, whichever dimension they are.
        """
        node = load.source
        assert isinstance(node, Node)
        want = self.layouts[node]
        if slide is not None:
            channels = next(d for d, i in enumerate(load.index) if slide.channel in affine(i).terms)
            if want.innermost != channels:
                want = Layout(want.shape, order_ending_in(len(want.shape), channels), want.low, want.high)
        elif is_windowed(load) and len(node.shape) == 4 and node.shape[1] > 1 and node in self.fixed:
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

    def _panels(self, load: Load, dim: int, pieces: list[Piece], width: int) -> Node:
        """A copy whose dimension ``dim`` is cut into panels: the panel first, its inside last, zeros after the end."""
        node = load.source
        assert isinstance(node, Node)
        cuts = [[p for p in pieces if p.dim == d] for d in range(len(node.shape))]
        parts: list[tuple[int, int]] = []  # (dimension, extent), as they lie in the source
        for d, cut in enumerate(cuts):
            cut.sort(key=lambda p: -p.factor)
            sizes = [ceil(node.shape[dim] / width), width] if d == dim else [p.extent for p in cut]
            parts += [(d, n) for n in sizes]
        shape = tuple([n for _, n in parts])
        first = next(k for k, (d, _) in enumerate(parts) if d == dim)
        place = {id(p): [k for k, (d, _) in enumerate(parts) if d == p.dim][cuts[p.dim].index(p)] for p in pieces}
        perm = (first, *(place[id(p)] for p in pieces), first + 1)
        packed = self.copies.get((node, shape, perm))
        if packed is None:
            whole = extended(node, dim, -node.shape[dim] % width)
            view = Node(OPS["reshape"].call((whole.type,), {"shape": shape}), (whole,), node.where)
            packed = Node(OPS["transpose"].call((view.type,), {"perm": perm}), (view,), node.where)
            self.copies[node, shape, perm] = packed
            self.layouts[packed] = Layout.plain(packed.shape)
            out = axes("i", packed.shape)
            source: list[Expr] = [index(0)] * len(node.shape)
            source[dim] = out[0] * width + out[-1]
            for at, piece in zip(out[1:-1], pieces, strict=True):
                source[piece.dim] = source[piece.dim] + at * piece.factor
            value = Load(node, node.type, source, None if whole is node else 0.0)
            self.result.append(affine_axes(KernelSpec(out, (Store(packed, out, value),), (view, packed))))
        return packed

    def _near(self, other: Load) -> dict[Axis, int]:
        """The axes along an operand's innermost dimension, and how far a step takes."""
        innermost = self.layouts[other.source].innermost  # type: ignore[index]  # sources are nodes
        terms = {} if innermost is None else affine(other.index[innermost]).terms
        return {a: abs(f) for a, f in terms.items() if isinstance(a, Axis)}


def _operands(spec: KernelSpec, wish: Wanted) -> tuple[Reduce, Load, Load]:
    """The reduction, the operand read as vectors, and the other. Sources may have been redirected since the wish was
    made, positions not.
    """
    found = contraction_loads(spec)
    assert found is not None
    reduce, a, b = found
    return (reduce, a, b) if a.index == wish.load.index else (reduce, b, a)


def _pixel(position: Expr) -> Axis | None:
    """The axis that steps through a dimension one by one."""
    return next((a for a, f in affine(position).terms.items() if isinstance(a, Axis) and f == 1), None)


def _reaches(load: Load) -> bool:
    """Whether a padded load leaves its value anywhere."""
    halo = halo_needed(load)
    return halo is None or any((*halo[0], *halo[1]))


def _whole_tiles(
    load: Load, slide: Slide, halo: tuple[tuple[int, ...], tuple[int, ...]] | None
) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The halo that lets the last tile of an image be read whole: more where tiles do not divide its outputs."""
    zeros = (0,) * len(load.index)
    low, high = halo or (zeros, zeros)
    more = {a: beyond(a, d) for a, d in zip((slide.rows, slide.columns), slide.dilation, strict=True)}
    high = tuple(
        h + max((more.get(a, 0) for a in walk(i) if isinstance(a, Axis)), default=0)
        for h, i in zip(high, load.index, strict=True)
    )
    return (low, high) if any((*low, *high)) else None


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
