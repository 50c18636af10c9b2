"""Strided gradients as dense ones: a kernel that tests a stride's lattice becomes one kernel per residue.

The gradient of a convolution with stride s to its input meets, at each pixel, only the taps that fall on the stride's
lattice. Written down directly that is a test in the innermost loop. Splitting the pixels by their residue modulo s
decides the test: each phase is a dense contraction over its own taps, written at stride s. Where nothing is multiplied,
as in pooling, phases over equally many pixels are one kernel with a result for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

from lucid.codegen.fuse import is_contraction
from lucid.codegen.spec import KernelSpec, Store
from lucid.ir.expr import Axis, Binary, Const, Expr, Reduce, Select, identity, rewrite, walk
from lucid.ir.index import affine

#: More phases than this are left as one kernel with a test.
MOST_PHASES = 16


def split_phases(spec: KernelSpec) -> list[KernelSpec]:
    """The kernels, one per residue class, that together store what ``spec`` stores; ``[spec]`` if it tests no
    lattice.
    """
    done: list[KernelSpec] = []
    waiting = [spec]
    while waiting:
        head = waiting.pop(0)
        parts = _split_once(head)
        if parts is None:
            done.append(head)
        else:
            waiting = parts + waiting
        if len(done) + len(waiting) > MOST_PHASES:
            return [spec]
    return _side_by_side(done)


def _side_by_side(phases: list[KernelSpec]) -> list[KernelSpec]:
    """Phases over as many positions as one kernel, which reads what they share once and writes pixels in their order;
    contractions stay alone, each to have its own register tile, until their layouts are known.
    """
    alone = [p for p in phases if any(is_contraction(e) for s in p.stores for e in walk(s.value))]
    return [*alone, *together([p for p in phases if p not in alone])]


def together(phases: Sequence[KernelSpec]) -> list[KernelSpec]:
    """Those over as many positions as one kernel with several results."""
    groups: dict[tuple[int, ...], KernelSpec] = {}
    for phase in phases:
        key = tuple(a.extent for a in phase.axes)
        if key in groups:
            first = groups[key]
            phase = phase.map(first.axes, dict(zip(phase.axes, first.axes, strict=True)))
            phase = KernelSpec(first.axes, (*first.stores, *phase.stores), first.nodes)
        groups[key] = phase
    return list(groups.values())


def _split_once(spec: KernelSpec) -> list[KernelSpec] | None:
    for store in spec.stores:
        for reduce in walk(store.value):
            if isinstance(reduce, Reduce) and reduce.kind == "sum":
                found = _lattice(spec, reduce)
                if found is not None:
                    return _residues(spec, reduce, *found)
    return None


def _lattice(spec: KernelSpec, reduce: Reduce) -> tuple[Axis, Axis, int, int, int] | None:
    """Output axis, tap axis, stride, taps' factor and constant of a test ``(axis + factor*tap + constant) % stride ==
    0``.
    """
    for part in walk(reduce.body):
        if not (isinstance(part, Select) and isinstance(part.b, Const) and part.b.value == 0):
            continue
        test = part.condition
        if not (isinstance(test, Binary) and test.op == "eq" and isinstance(test.b, Const) and test.b.value == 0):
            continue
        position = test.a
        if not (isinstance(position, Binary) and position.op == "mod" and isinstance(position.b, Const)):
            continue
        form = affine(position.a)
        pixels = [a for a, f in form.terms.items() if a in spec.axes and f == 1]
        taps = [(a, f) for a, f in form.terms.items() if a in reduce.axes]
        if len(form.terms) == 2 and len(pixels) == 1 and len(taps) == 1:
            pixel, (tap, factor) = pixels[0], taps[0]
            assert isinstance(pixel, Axis)
            assert isinstance(tap, Axis)
            return pixel, tap, int(position.b.value), factor, form.constant
    return None


def _residues(
    spec: KernelSpec, reduce: Reduce, pixel: Axis, tap: Axis, stride: int, factor: int, constant: int
) -> list[KernelSpec]:
    parts = []
    step = stride // gcd(stride, abs(factor))
    for r in range(min(stride, pixel.extent)):
        q = Axis(pixel.name, (pixel.extent - r + stride - 1) // stride)
        first = next((k for k in range(step) if (r + factor * k + constant) % stride == 0), tap.extent)
        count = max(0, (tap.extent - first + step - 1) // step)
        t = Axis(tap.name, count)
        change: dict[Axis, Expr] = {pixel: q * stride + r, tap: t * step + first}
        axes = tuple(q if a is pixel else a for a in spec.axes)
        stores = tuple(Store(s.node, s.index, _retap(s.value, reduce, tap, t)) for s in spec.stores)
        parts.append(KernelSpec(axes, stores, spec.nodes).map(axes, change))
    return parts


def _retap(root: Expr, reduce: Reduce, tap: Axis, t: Axis) -> Expr:
    """The reduction over ``t`` in place of ``tap``; nothing, if no tap falls on the lattice."""

    def visit(expr: Expr) -> Expr | None:
        if isinstance(expr, Reduce) and tap in expr.axes and expr.kind == reduce.kind:
            if t.extent == 0:
                return identity(expr.kind, expr.dtype)
            return Reduce(expr.kind, [t if a is tap else a for a in expr.axes], expr.body)
        return None

    return rewrite(root, visit)
