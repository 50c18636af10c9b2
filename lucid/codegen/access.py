"""From loads of nodes to accesses of memory: layouts turn positions into offsets, and padding into guards or halos.

After this step an expression no longer knows tensors: each ``Access`` names a buffer, an offset, and, where a padded
read may leave both the tensor and its halo, the condition under which it is inside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lucid.codegen.layout import Layout
from lucid.codegen.loops import Buffer, Role
from lucid.codegen.spec import KernelSpec
from lucid.ir.expr import Axis, Const, Expr, Load, Reduce, const, identity, index, rewrite, walk
from lucid.ir.graph import Node
from lucid.ir.index import Affine, affine, bounds, simplify
from lucid.ir.types import Scalar


class Access(Expr):
    """Element ``offset`` of a buffer where ``guard`` holds (always, if None), else ``fill``."""

    __slots__ = ("buffer", "fill", "guard", "offset")

    def __init__(self, buffer: Buffer, offset: Expr, guard: Expr | None = None, fill: Scalar = 0):
        self.buffer = buffer
        self.offset = offset
        self.guard = guard
        self.fill = fill
        self.dtype = buffer.dtype
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.buffer.name, self.offset, self.guard, repr(self.fill))

    def children(self) -> tuple[Expr, ...]:
        return (self.offset,) if self.guard is None else (self.offset, self.guard)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Access(self.buffer, children[0], children[1] if len(children) > 1 else None, self.fill)

    def describe(self, children: Sequence[str]) -> str:
        inside = f"{self.buffer.name}[{children[0]}]"
        return inside if len(children) == 1 else f"({inside} if {children[1]} else {self.fill!r})"


@dataclass(frozen=True)
class PlacedStore:
    """Where a result goes and what it is."""

    buffer: Buffer
    offset: Expr
    value: Expr


@dataclass(frozen=True)
class Placed:
    """A kernel over memory: buffers in the order of the kernel's arguments, axes, stores."""

    buffers: tuple[Buffer, ...]
    axes: tuple[Axis, ...]
    stores: tuple[PlacedStore, ...]
    #: Where the transformed weights lie, if the kernel slides a window.
    extra: Buffer | None = None


def place(spec: KernelSpec, layouts: Mapping[Node, Layout], over: Mapping[Node, Node] | None = None) -> Placed:
    """Replace every load by an access, given where the values lie.

    ``over`` maps a stored node to the source whose memory it overwrites, element by element.
    """
    over = over or {}
    stored = list(dict.fromkeys(s.node for s in spec.stores))
    merged = {over[n]: n for n in stored if n in over}
    sources = [x for x in spec.sources if x not in stored]
    buffers: dict[Node, Buffer] = {}
    for k, node in enumerate(x for x in sources if x not in merged):
        buffers[node] = Buffer(f"x{k}", node.dtype, layouts[node].size, "in")
    for k, node in enumerate(stored):
        role: Role = "inout" if over.get(node) in sources else "out"
        buffers[node] = Buffer(f"y{k}", node.dtype, layouts[node].size, role)
    arguments = tuple(buffers.values())
    for source, node in merged.items():
        buffers[source] = buffers[node]

    def visit(expr: Expr) -> Expr | None:
        if isinstance(expr, Load):
            node = expr.source
            assert isinstance(node, Node)
            if node.type.size == 0:  # nothing is inside: only padding can be asked for
                return const(expr.fill or 0, expr.dtype)
            return _access(expr, buffers[node], layouts[node])
        if isinstance(expr, Reduce) and any(a.extent == 0 for a in expr.axes):
            return identity(expr.kind, expr.dtype)
        return None

    stores = tuple(
        PlacedStore(buffers[s.node], simplify(layouts[s.node].offset(s.index)), rewrite(s.value, visit))
        for s in spec.stores
    )
    weights = None if spec.window is None else spec.window.weights
    extra = None if weights is None else buffers[weights]
    return Placed(arguments, spec.axes, stores, extra)


def _access(load: Load, buffer: Buffer, layout: Layout) -> Expr:
    offset = simplify(layout.offset(load.index))
    if load.fill is None:
        return Access(buffer, offset)
    guard: Expr | None = None
    halo = load.fill == 0
    for d, position in enumerate(load.index):
        size = layout.shape[d]
        first, last = (-layout.low[d], size - 1 + layout.high[d]) if halo else (0, size - 1)
        lo, hi = bounds(position) or (None, None)
        tests = []
        if lo is None or lo < first:
            tests.append(index(0) <= position)
        if hi is None or hi > last:
            tests.append(position < index(size))
        for test in tests:
            guard = test if guard is None else guard & test
    if isinstance(guard, Const):
        return Access(buffer, offset) if guard.value else Const(load.fill, load.dtype)
    return Access(buffer, offset, guard, load.fill)


def halo_needed(load: Load) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """How far a zero-filled load reaches before and after each dimension; None if that cannot be known."""
    low, high = [], []
    for d, position in enumerate(load.index):
        reach = bounds(position)
        if reach is None:
            return None
        low.append(max(0, -reach[0]))
        high.append(max(0, reach[1] - load.type.shape[d] + 1))
    return tuple(low), tuple(high)


def accesses(root: Expr) -> list[Access]:
    """Every distinct access of an expression, in the order met."""
    found: dict[Access, None] = {}
    for expr in walk(root):
        if isinstance(expr, Access):
            found.setdefault(expr)
    return list(found)


def coefficient(offset: Expr, axis: Axis) -> int | None:
    """Elements that one step along ``axis`` moves; None if that is not constant."""
    form = affine(offset)
    if any(atom is not axis and _mentions(atom, axis) for atom in form.terms):
        return None
    return form.terms.get(axis, 0)


def _mentions(atom: Expr, axis: Axis) -> bool:
    return not isinstance(atom, Axis) and any(x is axis for x in walk(atom))


def from_affine(form: Affine) -> Expr:
    """The expression of an affine form, terms in a fixed order."""
    total: Expr = index(form.constant)
    for atom, factor in form.terms.items():
        total = total + atom * factor
    return total
