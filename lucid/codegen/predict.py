"""How long a kernel should take: what its schedule makes the core do, and the memory it has to touch.

A model, not a promise: where a measurement is much slower, something is in the way that the model does not know of.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, prod
from typing import NamedTuple

from lucid.codegen.access import place
from lucid.codegen.chains import layouts_of_one, link_of, one_image
from lucid.codegen.layout import Layout
from lucid.codegen.lower_contraction import contraction_of
from lucid.codegen.order import normal_form
from lucid.codegen.program import Program, Step
from lucid.codegen.schedule import Contraction, Winograd, WinogradGradient
from lucid.codegen.spec import KernelSpec
from lucid.codegen.winograd import winograd_cycles
from lucid.codegen.winograd_gradient import gradient_cycles
from lucid.ir.expr import Reduce, walk
from lucid.ir.graph import Node

#: Operations around the multiply-adds of a register tile: accumulators cleared and stored, addresses, loops.
_TILE_COST = 3


class Work(NamedTuple):
    """What a kernel has to do: floating-point operations of its sums as they are written, vector operations as they are
    scheduled (0 if memory is all that counts), and bytes of its arguments.
    """

    flops: int
    cycles: float
    bytes: int


def work_of_step(program: Program, step: Step) -> Work:
    """The work of one step of a program."""
    link = link_of(step.spec, program.layouts) if step.by_image else None
    if link is None:
        return _work(program, step, step.spec, program.layouts)
    one = _work(program, step, one_image(step.spec, link), layouts_of_one(link, program.layouts))
    images = link.axis.extent
    return Work(one.flops * images, one.cycles * images, one.bytes * images)


def _work(program: Program, step: Step, spec: KernelSpec, layouts: Mapping[Node, Layout]) -> Work:
    """The work of one call of a step's kernel."""
    kernel = program.kernels[step.kernel]
    touched = sum(b.size * b.dtype.itemsize for b in kernel.buffers if b.role != "scratch")
    schedule = step.schedule
    if not spec.sources:  # it may write a part: a halo
        touched = prod(a.extent for a in spec.axes) * sum(s.node.dtype.itemsize for s in spec.stores)
    if isinstance(schedule, Winograd) and spec.window is not None:
        outputs = spec.window.vector.extent
        cycles = winograd_cycles(spec, spec.window, outputs, schedule.block, program.target)
        return Work(_flops(spec), cycles, touched)
    if isinstance(schedule, WinogradGradient) and spec.window is not None:
        return Work(_flops(spec), gradient_cycles(spec, spec.window, schedule, program.target), touched)
    if not isinstance(schedule, Contraction):
        return Work(0, 0.0, touched)
    placed = normal_form(place(spec, layouts))
    reduce = contraction_of(placed)
    assert reduce is not None
    steps = {schedule.vector: schedule.lanes * schedule.vectors, **dict(schedule.tile)}
    tiles = prod(ceil(a.extent / steps.get(a.name, 1)) for a in placed.axes)
    held = schedule.vectors * prod(n for _, n in schedule.tile)
    length = prod(ceil(a.extent / schedule.lanes) if a.name == schedule.vector else a.extent for a in reduce.axes)
    return Work(_flops(spec), float(tiles * held * (length + _TILE_COST)), touched)


def _flops(spec: KernelSpec) -> int:
    """Two operations for every product of a contraction."""
    positions = prod(a.extent for a in spec.axes)
    sums = [e for s in spec.stores for e in walk(s.value) if isinstance(e, Reduce)]
    return sum(2 * positions * prod(a.extent for a in e.axes) for e in sums)
