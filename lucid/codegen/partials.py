"""Long reductions in two steps: kernels that reduce blocks, and one that combines their results in a fixed order.

A sum over everything has one result, and so nothing that threads could share. Its blocks are results: one kernel
reduces each of them (in parallel, like any other axis), a second combines the few that there are. How many blocks there
are is a property of the shape alone; threads never change a result. Knows neither layouts nor loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import NamedTuple

from lucid.codegen.fuse import is_contraction
from lucid.codegen.spec import KernelSpec, Store
from lucid.ir.expr import Axis, Expr, Load, Reduce, free_axes, index, rewrite, substitute, walk
from lucid.ir.graph import Node, input_node
from lucid.ir.index import simplify_expr
from lucid.ir.types import TensorType

#: Blocks whose sum is written out.
FEW = 8


def split_reductions(specs: Iterable[KernelSpec], blocks_of: Callable[[Reduce], int]) -> list[KernelSpec]:
    """The same kernels with long reductions cut; one that several kernels need is run once.

    Args:
        blocks_of: into about how many blocks a reduction should be cut; 1 leaves it whole.
    """
    known: dict[Expr, Node] = {}
    result: list[KernelSpec] = []
    for spec in specs:
        while group := _next_group(spec, blocks_of):
            parts, spec = _split(spec, group, blocks_of(group[0]), known)
            result += parts
        result.append(spec)
    return result


def _reductions(spec: KernelSpec) -> Iterable[Reduce]:
    return dict.fromkeys(e for s in spec.stores for e in walk(s.value) if isinstance(e, Reduce))


def _next_group(spec: KernelSpec, blocks_of: Callable[[Reduce], int]) -> list[Reduce]:
    """A reduction to be cut with none such inside it, and all others that run over the same axes."""
    outer = frozenset(spec.axes)
    found = [e for e in _reductions(spec) if free_axes(e) <= outer and blocks_of(e) > 1 and len(_cuts(e, 2)) > 0]
    if not found:
        return []
    first, *others = found
    inner = set(found)
    return [first] + [
        e
        for e in others
        if e.axes == first.axes
        and free_axes(e) == free_axes(first)
        and not any(part is not e and part in inner for part in walk(e))
    ]


class _Cut(NamedTuple):
    """A reduction axis in ``whole`` blocks of ``size`` positions, and one more of what remains."""

    axis: Axis
    whole: int
    size: int

    @property
    def left(self) -> int:
        return self.axis.extent - self.whole * self.size

    @property
    def blocks(self) -> int:
        return self.whole + (self.left > 0)


def _cuts(reduce: Reduce, blocks: int) -> list[_Cut]:
    """Axes from the outermost on, whole while there are fewer positions than blocks wanted; the last may be cut."""
    cuts: list[_Cut] = []
    for axis in reduce.axes:
        if blocks < 2:
            break
        if axis.extent < 2:
            continue
        if axis.extent <= blocks:
            cuts.append(_Cut(axis, axis.extent, 1))
            blocks //= axis.extent
            continue
        # The number near the one wanted that leaves the least over.
        count = min(range(blocks, max(1, blocks // 2), -1), key=lambda n: axis.extent % n, default=blocks)
        cuts.append(_Cut(axis, count, axis.extent // count))
        break
    return cuts


@cache
def _numbered(k: int, extent: int) -> Axis:
    return Axis(f"a{k}", extent)


def _canonical(e: Reduce, free: Sequence[Axis]) -> Expr:
    """The same for reductions that compute the same, each over axes of its own."""
    return substitute(e, {a: _numbered(k, a.extent) for k, a in enumerate((*free, *e.axes))})


def _split(
    spec: KernelSpec, group: Sequence[Reduce], blocks: int, known: dict[Expr, Node]
) -> tuple[list[KernelSpec], KernelSpec]:
    cuts = _cuts(group[0], blocks)
    free = [a for a in spec.axes if a in free_axes(group[0])]
    shape = (*(c.blocks for c in cuts), *(a.extent for a in free))
    where = spec.nodes[-1].where if spec.nodes else None
    parts = [known.get(_canonical(e, free)) or input_node(TensorType(shape, e.dtype), where) for e in group]
    fresh = [(e, part) for e, part in zip(group, parts, strict=True) if _canonical(e, free) not in known]
    known.update((_canonical(e, free), part) for e, part in fresh)
    kernels = [_part(spec, fresh, cuts, free, tail=False)] if fresh else []
    if fresh and cuts[-1].left:
        kernels.append(_part(spec, fresh, cuts, free, tail=True))
    whole = set(free) == set(spec.axes)
    reductions = list(_reductions(spec))
    results: dict[Expr, Expr] = {}
    totals: list[Store] = []
    for e, part in zip(group, parts, strict=True):
        combined = _combined(e, part, cuts, free)
        nested = any(outer is not e and any(x is e for x in walk(outer)) for outer in reductions)
        # Many parts of a sum of products are whole kernels' work, and may lie in another order than its total.
        if whole and not nested and not (is_contraction(e) and isinstance(combined, Reduce)):
            results[e] = combined
            continue
        # Or read by more than one result, or inside another reduction: combined once, by a kernel of its own.
        total = input_node(TensorType(tuple(a.extent for a in free), e.dtype), part.where)
        totals.append(Store(total, tuple(free), combined))
        results[e] = Load(total, total.type, tuple(free))
    kernels += [KernelSpec(tuple(free), (store,), spec.nodes) for store in totals]
    stores = tuple(Store(s.node, s.index, rewrite(s.value, results.get)) for s in spec.stores)
    return kernels, KernelSpec(spec.axes, stores, spec.nodes)


def _combined(e: Reduce, part: Node, cuts: Sequence[_Cut], free: Sequence[Axis]) -> Expr:
    """The reduction of a part's blocks; of a few, written out, so that they are read like the operands of any map."""
    if len(cuts) == 1 and cuts[0].blocks <= FEW and e.kind == "sum":
        parts: list[Expr] = [Load(part, part.type, (index(k), *free)) for k in range(cuts[0].blocks)]
        return sum(parts[1:], parts[0])
    over = [Axis(f"{c.axis.name}b", c.blocks) for c in cuts]
    return Reduce(e.kind, over, Load(part, part.type, (*over, *free)))


def _part(
    spec: KernelSpec, group: Sequence[tuple[Reduce, Node]], cuts: Sequence[_Cut], free: list[Axis], tail: bool
) -> KernelSpec:
    """The kernel that reduces all blocks of equal size, or (``tail``) the shorter ones at the end of the last cut."""
    change: dict[Axis, Expr] = {}
    over: dict[Axis, Axis | None] = {}
    axes: list[Axis] = []
    at: list[Expr] = []
    for cut in cuts:
        last = tail and cut is cuts[-1]
        size = cut.left if last else cut.size
        block: Expr = index(cut.whole)
        if not last:
            block = Axis(f"{cut.axis.name}o", cut.whole)
            axes.append(block)
        at.append(block)
        inner = over[cut.axis] = Axis(f"{cut.axis.name}i", size) if size > 1 else None
        change[cut.axis] = block * cut.size + (index(0) if inner is None else inner)
    stores = []
    for e, part in group:
        body = simplify_expr(substitute(e.body, change))
        left = [x for a in e.axes if (x := over.get(a, a)) is not None]
        stores.append(Store(part, (*at, *free), Reduce(e.kind, left, body) if left else body))
    return KernelSpec((*axes, *free), tuple(stores), spec.nodes)
