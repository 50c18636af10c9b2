"""A kernel before it has loops: which nodes it stores, at which positions, with which values.

``KernelSpec`` is what fusion produces and lowering consumes. ``affine_axes`` removes divisions from index expressions
by splitting the axes they divide, so that grouped convolutions and reshapes become plain strides.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from functools import cached_property

from lucid.ir.expr import (
    Axis,
    Binary,
    Const,
    Expr,
    Load,
    Reduce,
    Select,
    Unary,
    index,
    loads,
    rewrite,
    show,
    substitute,
    walk,
)
from lucid.ir.graph import Node
from lucid.ir.index import affine, simplify_expr

#: Scalar operations that cost more than a few cycles: never computed twice to save a store.
EXPENSIVE = frozenset({"exp", "log", "log1p", "expm1", "sin", "cos", "tan", "tanh", "erf", "pow", "sqrt", "div", "mod"})


@dataclass(frozen=True)
class Store:
    """``node[index] = value`` for every position of the kernel's axes."""

    node: Node
    index: tuple[Expr, ...]
    value: Expr


@dataclass(frozen=True)
class Window:
    """A kernel that slides a 3 x 3 filter over an image one pixel at a time, and where its weights lie transformed; or
    the gradient to such a filter, which sums over the pixels.

    The transformed weights are ``(panels, 4, 4, channels, width)``. The groups of a grouped convolution are parts of
    the panels or of the channels.

    Args:
        images: axes that count images.
        rows, columns: axes of an image: of the output, or, in a gradient, of the reduction.
        row_tap, column_tap: axes of the filter, of extent 3: of the reduction, or, in a gradient, of the output.
        channel: the axis of the image's channels, among those of the filter.
        vector: the output axis the other operand holds side by side.
        dilation: pixels from one tap to the next, along columns and rows.
        group: the axis that chooses among the image's channels, if it is of extent 2 or more.
        flip: the image is read against the direction of the taps, as the gradient to the input does.
        weights: the value that holds the transformed weights; None if this is a gradient.
    """

    images: tuple[Axis, ...]
    rows: Axis
    columns: Axis
    row_tap: Axis
    column_tap: Axis
    channel: Axis
    vector: Axis
    dilation: tuple[int, int] = (1, 1)
    group: Axis | None = None
    flip: bool = False
    weights: Node | None = None

    @property
    def groups(self) -> int:
        """Into how many parts the image's channels are cut."""
        return 1 if self.group is None else self.group.extent


@dataclass(frozen=True)
class KernelSpec:
    """Axes to iterate over and what to store at each position."""

    axes: tuple[Axis, ...]
    stores: tuple[Store, ...]
    #: The graph nodes this kernel computes, producers first: for dumps and profiles.
    nodes: tuple[Node, ...] = ()
    #: Set where Winograd's algorithm may run: its schedule may read one more value.
    window: Window | None = None

    @cached_property
    def sources(self) -> list[Node]:
        """Values read from memory, in the order met; one without elements is never read."""
        found: dict[Hashable, None] = {}
        for store in self.stores:
            for load in loads(store.value):
                found.setdefault(load.source)
        if self.window is not None and self.window.weights is not None:
            found.setdefault(self.window.weights)
        return [s for s in found if isinstance(s, Node) and s.type.size]

    @property
    def name(self) -> str:
        """The ops it computes, joined: ``conv2d_add_relu``; without any, it writes a halo."""
        names = [n.op.name for n in self.nodes]
        return "_".join(names[:4]) + (f"_and_{len(names) - 4}_more" if len(names) > 4 else "") or "halo"

    def map(self, axes: Iterable[Axis], change: dict[Axis, Expr]) -> KernelSpec:
        """The same kernel over other axes."""
        stores = tuple(
            Store(
                s.node,
                tuple(simplify_expr(substitute(i, change)) for i in s.index),
                simplify_expr(substitute(s.value, change)),
            )
            for s in self.stores
        )
        return KernelSpec(tuple(axes), stores, self.nodes)

    def __str__(self) -> str:
        numbers = {n: f"%{k}" for k, n in enumerate(self.sources)}

        def name(source: Hashable) -> str:
            return numbers[source] if isinstance(source, Node) else str(source)

        over = ", ".join(f"{a.name}<{a.extent}" for a in self.axes)
        lines = [f"{self.name}: over {over or 'nothing'}"]
        for store in self.stores:
            at = ", ".join(map(show, store.index))
            lines.append(f"  out[{at}] = {show(store.value, name)}")
        return "\n".join(lines)


def cost(root: Expr) -> int:
    """Rough cycles per element: one for arithmetic, ten for a division or a transcendental function."""
    total = 0
    for expr in walk(root):
        if isinstance(expr, Unary | Binary | Select):
            if expr.dtype.kind == "i" and not any(isinstance(x, Load) for x in expr.children()):
                continue  # index arithmetic mostly disappears
            total += 10 if isinstance(expr, Unary | Binary) and expr.op in EXPENSIVE else 1
    return total


def affine_axes(spec: KernelSpec) -> KernelSpec:
    """Drop axes of one position, and split the rest until no index divides one by a divisor of its extent."""
    stores = tuple(Store(s.node, s.index, rewrite(s.value, _without_unit_axes)) for s in spec.stores)
    unit: dict[Axis, Expr] = {a: index(0) for a in spec.axes if a.extent == 1}
    spec = KernelSpec(spec.axes, stores, spec.nodes).map([a for a in spec.axes if a not in unit], unit)
    for _ in range(32):
        found = _divided_axis(spec)
        if found is None:
            return spec
        axis, factor = found
        outer = Axis(f"{axis.name}o", axis.extent // factor)
        inner = Axis(f"{axis.name}i", factor)
        change: dict[Axis, Expr] = {axis: outer * factor + inner}
        if axis in spec.axes:
            at = spec.axes.index(axis)
            spec = spec.map((*spec.axes[:at], outer, inner, *spec.axes[at + 1 :]), change)
        else:
            split = {axis: (outer, inner)}
            stores = tuple(Store(s.node, s.index, _split_reduction(s.value, split)) for s in spec.stores)
            spec = KernelSpec(spec.axes, stores, spec.nodes).map(spec.axes, change)
    return spec


def _without_unit_axes(expr: Expr) -> Expr | None:
    """A reduction without its axes of one position; one stays if there are no others."""
    if not isinstance(expr, Reduce):
        return None
    unit = [a for a in expr.axes if a.extent == 1]
    drop = unit if len(unit) < len(expr.axes) else unit[1:]
    if not drop:
        return None
    body = substitute(expr.body, dict.fromkeys(drop, index(0)))
    return Reduce(expr.kind, [a for a in expr.axes if a not in drop], body)


def _split_reduction(root: Expr, split: dict[Axis, tuple[Axis, Axis]]) -> Expr:
    def visit(expr: Expr) -> Expr | None:
        if isinstance(expr, Reduce) and any(a in split for a in expr.axes):
            axes = [b for a in expr.axes for b in split.get(a, (a,))]
            return Reduce(expr.kind, axes, expr.body)
        return None

    return rewrite(root, visit)


def _divided_axis(spec: KernelSpec) -> tuple[Axis, int] | None:
    """An axis that some index divides (or takes the remainder of) by a proper divisor of its extent."""
    reduced = {a for s in spec.stores for e in walk(s.value) if isinstance(e, Reduce) for a in e.axes}
    mine = set(spec.axes) | reduced
    for store in spec.stores:
        for root in (*store.index, store.value):
            for expr in walk(root):
                if not (isinstance(expr, Binary) and expr.op in ("floordiv", "mod") and isinstance(expr.b, Const)):
                    continue
                divisor = expr.b.value
                if expr.dtype.kind != "i" or not isinstance(divisor, int) or divisor < 2:
                    continue
                for atom, factor in affine(expr.a).terms.items():
                    if not (isinstance(atom, Axis) and atom in mine) or divisor % factor:
                        continue
                    part = divisor // factor
                    if factor > 0 and 1 < part < atom.extent and atom.extent % part == 0:
                        return atom, part
    return None
