"""Gradient plans: the backward of a recorded graph as a flat list of steps, found again by the graph's structure.

A plan is made once per structure: which calls, wired how, which leaves want a gradient, where hooks sit. It comes from
``lucid.autodiff`` like every gradient, with equal steps merged and unneeded ones left out. Values enter by position, so
one plan serves every iteration of a training loop. Knows records, not tensors.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lucid.autodiff import gradients
from lucid.eager import DEAD, Record
from lucid.ir.graph import Array, Call, Node, Op, input_node, topological
from lucid.ir.location import Location
from lucid.runtime.single import runner

#: Steps of all the plans that are remembered; the plan used longest ago is forgotten first.
_MAX_STEPS = 200_000
_plans: OrderedDict[tuple[Any, ...], GradientPlan] = OrderedDict()
_steps = 0


class Step(NamedTuple):
    """One operation: read slots, write a slot, forget slots whose last reader this is."""

    op: Op
    evaluate: Callable[..., Array]
    attrs: dict[str, Any]
    inputs: tuple[int, ...]
    output: int
    release: tuple[int, ...]
    #: Position of the forward record this step differentiates.
    origin: int


class Hook(NamedTuple):
    """Pass the gradient in a slot through the hooks of the record at ``position``."""

    position: int
    input: int
    output: int


class GradientPlan:
    """What to run, and where each value comes from and goes to."""

    def __init__(self) -> None:
        self.slots = 0
        #: (slot, position): forward values read.
        self.loads: list[tuple[int, int]] = []
        #: Slots of the roots' cotangents.
        self.cotangents: list[int] = []
        self.program: list[Step | Hook] = []
        #: One slot per wanted position; None where no gradient arrives.
        self.results: list[int | None] = []
        #: Positions of the operations that gradients flow through: their graph is used up by a backward.
        self.through: list[int] = []


def is_boundary(record: Record) -> bool:
    """True where a backward walk ends: at leaves, and at values that need no gradient."""
    return record.state == DEAD or record.owner is not None or not record.inputs


def linearise(roots: Sequence[Record]) -> tuple[list[Record], dict[Record, int], list[Any]]:
    """Records behind ``roots`` through which gradients can flow, inputs before users; their positions; their structure.

    Boundary records stand in the order too, but nothing behind them. The structure names calls and types, not values.
    """
    order: list[Record] = []
    position: dict[Record, int] = {}
    structure: list[Any] = []
    stack = list(roots)
    while stack:
        record = stack[-1]
        if record in position:
            stack.pop()
        elif is_boundary(record):
            stack.pop()
            position[record] = len(order)
            order.append(record)
            structure.append(record.call.type)
            structure.append(record.state == DEAD)
        else:
            waiting = [x for x in record.inputs if x not in position]
            if waiting:
                stack.extend(waiting)
                continue
            stack.pop()
            position[record] = len(order)
            order.append(record)
            structure.append(record.call)
            structure.extend([position[x] for x in record.inputs])
    return order, position, structure


def plan_for(
    order: list[Record],
    position: dict[Record, int],
    structure: list[Any],
    roots: tuple[int, ...],
    wanted: tuple[int, ...],
    hooked: tuple[int, ...],
) -> GradientPlan:
    """The plan for gradients of ``roots`` at the ``wanted`` positions, stopping by at the ``hooked`` ones."""
    key = (*structure, roots, wanted, hooked)
    plan = _plans.get(key)
    if plan is None:
        plan = _build(order, position, roots, wanted, hooked)
        _remember(key, plan)
    else:
        _plans.move_to_end(key)
    return plan


def _remember(key: tuple[Any, ...], plan: GradientPlan) -> None:
    global _steps
    _plans[key] = plan
    _steps += len(plan.program)
    while _steps > _MAX_STEPS:
        _steps -= len(_plans.popitem(last=False)[1].program)


def _build(
    order: list[Record],
    position: dict[Record, int],
    roots: tuple[int, ...],
    wanted: tuple[int, ...],
    hooked: tuple[int, ...],
) -> GradientPlan:
    made: list[Node] = []  # what each record is
    used: list[Node] = []  # what its users read: a fresh input where a hook sits between the two
    for k, record in enumerate(order):
        where = Location("", k)  # the position stands in for a place in the user's code, which differs from run to run
        if is_boundary(record):
            node = input_node(record.call.type, where)
        else:
            node = Node(record.call, tuple([used[position[x]] for x in record.inputs]), where)
        made.append(node)
        used.append(input_node(record.call.type, where) if k in hooked else node)
    seeds = [input_node(order[k].call.type) for k in roots]
    passed = {k: input_node(order[k].call.type) for k in hooked}
    targets = [used[k] for k in (*wanted, *hooked)]
    found = gradients(
        [*(used[k] for k in roots), *(made[k] for k in hooked)], targets, [*seeds, *(passed[k] for k in hooked)]
    )
    arriving = dict(zip(hooked, found[len(wanted) :], strict=True))

    plan = GradientPlan()
    plan.through = _through(order, position, wanted)
    builder = _Builder(plan, {node: k for nodes in (made, used) for k, node in enumerate(nodes)})
    plan.cotangents = [builder.new_slot(seed) for seed in seeds]
    for k in sorted(hooked, reverse=True):  # a later hook's result is part of what reaches an earlier one
        gradient = arriving[k]
        if gradient is not None:
            slot = builder.emit(gradient)
            plan.program.append(Hook(k, slot, builder.new_slot(passed[k])))
    for k, gradient in zip(wanted, found, strict=False):
        if k in passed:
            gradient = passed[k] if arriving[k] is not None else None
        plan.results.append(None if gradient is None else builder.emit(gradient))
    builder.release_slots()
    return plan


def _through(order: list[Record], position: dict[Record, int], wanted: tuple[int, ...]) -> list[int]:
    active = set(wanted)
    through = []
    for k, record in enumerate(order):
        if not is_boundary(record) and any(position[x] in active for x in record.inputs):
            active.add(k)
            through.append(k)
    return through


class _Builder:
    """Flattens gradient nodes into steps; equal calls on equal slots become one step."""

    def __init__(self, plan: GradientPlan, forward: dict[Node, int]):
        self.plan = plan
        self.forward = forward
        self.slot_of: dict[Node, int] = {}
        self.loaded: dict[int, int] = {}
        self.known: dict[tuple[Call, tuple[int, ...]], int] = {}

    def new_slot(self, node: Node) -> int:
        slot = self.slot_of[node] = self.plan.slots
        self.plan.slots += 1
        return slot

    def emit(self, root: Node) -> int:
        """Steps for ``root`` and what it needs; the slot it ends in."""
        for node in topological([root], stop=lambda n: n in self.slot_of or n in self.forward):
            if node in self.slot_of:
                continue
            if node in self.forward:
                k = self.forward[node]
                if k in self.loaded:
                    self.slot_of[node] = self.loaded[k]
                else:
                    slot = self.loaded[k] = self.new_slot(node)
                    self.plan.loads.append((slot, k))
                continue
            inputs = tuple([self.slot_of[x] for x in node.inputs])
            known = self.known.get((node.call, inputs))
            if known is not None:
                self.slot_of[node] = known
                continue
            slot = self.known[node.call, inputs] = self.new_slot(node)
            origin = node.where.line if isinstance(node.where, Location) else 0
            call = node.call
            run = call.run = call.run or runner(call)
            self.plan.program.append(Step(call.op, run, dict(call.attrs), inputs, slot, (), origin))
        return self.slot_of[root]

    def release_slots(self) -> None:
        """Mark each slot's last reader, so that memory is given back as the plan runs."""
        kept = {slot for slot in self.plan.results if slot is not None}
        for k in range(len(self.plan.program) - 1, -1, -1):
            step = self.plan.program[k]
            if isinstance(step, Hook):
                kept.add(step.input)
                continue
            last = tuple(sorted(set(step.inputs) - kept))
            kept.update(last)
            self.plan.program[k] = step._replace(release=last)
