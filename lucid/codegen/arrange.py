"""Layouts for the values of a list of kernels: contractions say what they want, and get it.

A value made inside is stored as its producer likes, with the widest halo any reader needs. A value that lies as it must
(inputs, outputs) is copied into what a contraction wants, once for all that want the same. What vectors run along is
packed into panels as wide as a register tile, so that a tile reads memory in one run. Knows nothing of loops.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping
from dataclasses import replace
from typing import NamedTuple

from lucid.codegen.access import halo_needed
from lucid.codegen.layout import Layout
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
from lucid.codegen.winograd import Slide, pays, slide_of
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
        if slide is None or vector.index[wish.load_dim] is not wish.vector or len(vector.index) != 4:
            return None
        if other.fill is not None and halo_needed(other) is not None and _halo(other) is None and _reaches(other):
            return None
        if slide.gradient:
            plain = vector.fill is None and {slide.rows, slide.columns} <= {_pixel(i) for i in vector.index}
            return slide if plain and gradient_pays(spec, slide, wish.vector, self.target) else None
        width = tile_width(wish.vector.extent, reduce.dtype, self.target, slides=True)
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
                self.layouts[made] = home.with_halo(*self.halos[node]) if node in self.halos else home
        return inside

    def _satisfy(self, spec: KernelSpec, wish: Wanted, slide: Slide | None) -> KernelSpec:
        """The same kernel with its operands copied into the layouts it wants."""
        if wish.direct:
            return spec
        _, vector, other = _operands(spec, wish)
        moved_other = self._moved_other(other)
        node = vector.source
        assert isinstance(node, Node)
        home = self.layouts[node]
        split = spec.axes
        change: dict[Axis, Expr] = {}
        panel: Expr = index(0)
        lane = wish.vector
        moved = vector
        if home.innermost != wish.load_dim or slide is not None or is_scattered(spec, vector, home, self.target):
            near = self._near(moved_other)
            pieces = _pieces(vector, wish.load_dim, near)
            width = tile_width(wish.vector.extent, node.dtype, self.target, slides=slide is not None)
            count = wish.vector.extent // width
            packed = node not in self.halos and vector.index[wish.load_dim] is wish.vector
            packed = packed and (slide is None or not slide.gradient)
            whole = wish.vector.extent == count * width and (count > 1 or slide is not None)
            if packed and (whole or len(pieces) > len(node.shape) - 1):
                if whole and count > 1:
                    panel, lane = Axis(f"{wish.vector.name}o", count), Axis(f"{wish.vector.name}i", width)
                    change[wish.vector] = panel * width + lane
                    split = tuple(b for a in split for b in ((panel, lane) if a is wish.vector else (a,)))
                moved = self._panels(vector, wish.load_dim, pieces, panel, lane)
            else:
                slide = slide if slide is not None and slide.gradient else None
                order = _operand_order(vector, wish.load_dim, near)
                moved = self._moved(vector, Layout(home.shape, order, home.low, home.high))
        elif node in self.halos:
            moved = self._moved(vector, home)
        swap = {vector: moved, other: moved_other}
        store = spec.stores[0]
        value = rewrite(store.value, lambda e: swap.get(e) if isinstance(e, Load) else None)
        spec = KernelSpec(spec.axes, (Store(store.node, store.index, value),), spec.nodes)
        if change:
            spec = spec.map(split, change)
        if slide is None:
            return spec
        if slide.gradient:
            return replace(spec, window=slide.window(lane))
        return self._transformed(spec, slide, moved, lane)

    def _transformed(self, spec: KernelSpec, slide: Slide, weights: Load, lane: Axis) -> KernelSpec:
        """The same kernel with its weights transformed beside them, for Winograd's algorithm to read."""
        node = weights.source
        assert isinstance(node, Node)
        taps = (slide.row_tap, slide.column_tap, slide.channel)
        if tuple(weights.index[1:4]) != taps:
            return spec
        op = OPS["winograd_weights"]
        transformed = self.copies.get((node, slide.flip))
        if transformed is None:
            made = Node(op.call((node.type,), {"flip": slide.flip}), (node,), node.where)
            transformed = self.copies[node, slide.flip] = made
            self.layouts[made] = Layout.plain(made.shape)
            out = axes("i", made.shape)
            value = op.compute(out, Operand(node, node.type), flip=slide.flip)
            self.result.append(affine_axes(KernelSpec(out, (Store(made, out, value),), (made,))))
        return replace(spec, window=slide.window(lane, transformed))

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

    def _panels(self, load: Load, dim: int, pieces: list[_Piece], panel: Expr, lane: Axis) -> Load:
        """The load from a copy whose dimension ``dim`` is cut into panels: the panel first, its inside last."""
        node = load.source
        assert isinstance(node, Node)
        cuts = [[p for p in pieces if p.dim == d] for d in range(len(node.shape))]
        parts: list[tuple[int, int]] = []  # (dimension, extent), as they lie in the source
        for d, cut in enumerate(cuts):
            cut.sort(key=lambda p: -p.factor)
            sizes = [node.shape[dim] // lane.extent, lane.extent] if d == dim else [p.extent for p in cut]
            parts += [(d, n) for n in sizes]
        shape = tuple([n for _, n in parts])
        first = next(k for k, (d, _) in enumerate(parts) if d == dim)
        place = {id(p): [k for k, (d, _) in enumerate(parts) if d == p.dim][cuts[p.dim].index(p)] for p in pieces}
        perm = (first, *(place[id(p)] for p in pieces), first + 1)
        packed = self.copies.get((node, shape, perm))
        if packed is None:
            view = Node(OPS["reshape"].call((node.type,), {"shape": shape}), (node,), node.where)
            packed = Node(OPS["transpose"].call((view.type,), {"perm": perm}), (view,), node.where)
            self.copies[node, shape, perm] = packed
            self.layouts[packed] = Layout.plain(packed.shape)
            out = axes("i", packed.shape)
            source: list[Expr] = [index(0)] * len(node.shape)
            source[dim] = out[0] * lane.extent + out[-1]
            for at, piece in zip(out[1:-1], pieces, strict=True):
                source[piece.dim] = source[piece.dim] + at * piece.factor
            value = Load(node, node.type, source)
            self.result.append(affine_axes(KernelSpec(out, (Store(packed, out, value),), (view, packed))))
        return Load(packed, packed.type, [panel, *(p.position for p in pieces), lane])

    def _near(self, other: Load) -> dict[Axis, int]:
        """The axes along an operand's innermost dimension, and how far a step takes."""
        innermost = self.layouts[other.source].innermost  # type: ignore[index]  # sources are nodes
        terms = {} if innermost is None else affine(other.index[innermost]).terms
        return {a: abs(f) for a, f in terms.items() if isinstance(a, Axis)}


class _Piece(NamedTuple):
    """A dimension of an operand, or what one axis steps through of it: ``factor`` elements a step."""

    dim: int
    position: Expr
    extent: int
    factor: int


def _pieces(load: Load, dim: int, near: Mapping[Axis, int]) -> list[_Piece]:
    """The dimensions but ``dim``, those that several axes share taken apart; last those that the other operand walks
    contiguously, in its order, so that both step together.
    """
    found: list[_Piece] = []
    for d in default_order(len(load.index)):
        if d == dim:
            continue
        position, extent = load.index[d], load.type.shape[d]
        digits = _digits(position, extent)
        if digits is None or not any(a in near for a, _ in digits) or all(a in near for a, _ in digits):
            found.append(_Piece(d, position, extent, 1))
        else:
            found += [_Piece(d, axis, axis.extent, factor) for axis, factor in digits]
    return sorted(found, key=lambda p: _nearness(p.position, near))


def _nearness(position: Expr, near: Mapping[Axis, int]) -> tuple[bool, int]:
    """Larger for what the other operand takes smaller steps along."""
    steps = [near[a] for a in walk(position) if isinstance(a, Axis) and a in near]
    return bool(steps), -min(steps, default=0)


def _digits(position: Expr, extent: int) -> list[tuple[Axis, int]] | None:
    """The axes of a position that together count from 0 to ``extent``, as digits of a number do, and their factors."""
    form = affine(position)
    digits = sorted(form.terms.items(), key=lambda term: -term[1])
    rest = extent
    for axis, factor in digits:
        if not isinstance(axis, Axis) or axis.extent * factor != rest:
            return None
        rest = factor
    return [(a, f) for a, f in digits if isinstance(a, Axis)] if rest == 1 and form.constant == 0 else None


def _operand_order(load: Load, dim: int, near: Mapping[Axis, int]) -> tuple[int, ...]:
    """``dim`` last, and before it what the other operand walks contiguously."""
    rest = [d for d in default_order(len(load.index)) if d != dim]
    rest.sort(key=lambda d: _nearness(load.index[d], near))
    return (*rest, dim)


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
    """The halo that lets the last tile of an image be read whole: one more where its outputs are odd in number."""
    zeros = (0,) * len(load.index)
    low, high = halo or (zeros, zeros)
    odd = [
        any(a in (slide.rows, slide.columns) and isinstance(a, Axis) and a.extent % 2 for a in walk(i))
        for i in load.index
    ]
    high = tuple(h + o for h, o in zip(high, odd, strict=True))
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
