"""Zeros around values: which halos are written once, when memory is made, and which by kernels, in every run.

A halo that nobody writes keeps its memory from all values that lie otherwise. Where it is thin and the value large,
writing it again costs less than the caches lose to memory of its own. Knows specs and layouts, no loops.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from lucid.codegen.layout import Layout
from lucid.codegen.spec import KernelSpec, Store
from lucid.codegen.strategy import zeroed_each_run
from lucid.codegen.target import Target
from lucid.ir.expr import Axis, Const, Expr, index
from lucid.ir.graph import Node
from lucid.ir.types import is_float


def ring_kernels(node: Node, layout: Layout) -> list[KernelSpec]:
    """Kernels that store zeros all around a value: dimension by dimension, one for both of its ends where they are
    alike.
    """
    zero = Const(0.0 if is_float(node.dtype) else 0, node.dtype)
    specs: list[KernelSpec] = []
    inside: set[int] = set()  # dimensions whose halo is stored already
    for d in layout.order:
        ends: dict[int, list[int]] = {}  # how far, and where that begins
        for extent, begin in ((layout.low[d], -layout.low[d]), (layout.high[d], layout.shape[d])):
            if extent:
                ends.setdefault(extent, []).append(begin)
        for extent, begins in ends.items():
            axes = [Axis(f"i{k}", extent if k == d else n) for k, n in enumerate(layout.extents)]
            first = [0 if k == d else -low for k, low in enumerate(layout.low)]
            for k in inside:
                axes[k], first[k] = Axis(f"i{k}", layout.shape[k]), 0
            stores = []
            for begin in begins:
                place: list[Expr] = [a + index(begin if k == d else first[k]) for k, a in enumerate(axes)]
                stores.append(Store(node, tuple(place), zero))
            specs.append(KernelSpec(tuple(axes), tuple(stores)))
        if ends:
            inside.add(d)
    return specs


def with_rings(
    specs: Sequence[KernelSpec],
    layouts: Mapping[Node, Layout],
    passing: Collection[Node],
    shared: Collection[Node],
    target: Target,
) -> tuple[list[list[KernelSpec]], set[Node]]:
    """Each kernel after those that write the halo of what it stores, and the values whose halo is written.

    Args:
        passing: values that come and go during a run, in memory that held no such value before.
        shared: those of them whose memory keeps no zeros.
    """
    result: list[list[KernelSpec]] = []
    ringed: set[Node] = set()
    for spec in specs:
        result.append([])
        for node in (s.node for s in spec.stores):
            layout = layouts[node]
            if node not in passing or node in ringed or not layout.halo:
                continue
            if node in shared or zeroed_each_run(layout, node.dtype, target):
                ringed.add(node)
                result[-1] += ring_kernels(node, layout)
        result[-1].append(spec)
    return result, ringed
