"""A whole graph as a sequence of kernels over one memory plan: everything the runtime needs, and nothing of the
machine.

Order of work: fuse, choose layouts (adding copies where a value is wanted in two), lower each kernel under its
schedule, share kernels of equal structure, plan memory. What depends on parameters alone goes into a prologue.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lucid.codegen.access import Placed, place
from lucid.codegen.arrange import alias, arrange, copy_spec
from lucid.codegen.fuse import fuse
from lucid.codegen.layout import Layout
from lucid.codegen.loops import Kernel
from lucid.codegen.lower_contraction import lower_contraction
from lucid.codegen.lower_map import lower_map, lower_naive
from lucid.codegen.lower_transpose import lower_transpose
from lucid.codegen.order import normal_form
from lucid.codegen.phases import split_phases
from lucid.codegen.plan import Lifetime, MemoryPlan, plan_memory, plan_static
from lucid.codegen.schedule import Contraction, MapReduce, Naive, Schedule, Transpose
from lucid.codegen.spec import KernelSpec, affine_axes
from lucid.codegen.strategy import accepts_epilogue, schedule_for, work_of
from lucid.codegen.structure import structure
from lucid.codegen.target import Target
from lucid.errors import ScheduleError
from lucid.ir.expr import loads
from lucid.ir.graph import Graph, Node

#: Chooses a schedule, given the kernel and the strategy's choice.
Override: TypeAlias = Callable[[KernelSpec, Schedule], Schedule]


@dataclass(frozen=True)
class Place:
    """Where a value lives: a region (input, output, arena or static) and an index or byte offset in it."""

    region: str
    at: int


@dataclass
class Step:
    """One kernel call: the spec it came from, its schedule, the shared kernel and where its arguments live."""

    spec: KernelSpec
    schedule: Schedule
    kernel: int
    arguments: tuple[Hashable, ...]  # values, in the order of the kernel's buffers
    #: Rough cost: elements touched, or multiply-adds of vectors.
    work: int = 0


@dataclass
class Program:
    """Kernels, the steps that call them, and the memory they run in."""

    graph: Graph
    target: Target
    kernels: list[Kernel]
    prologue: list[Step]
    steps: list[Step]
    layouts: dict[Node, Layout]
    places: dict[Hashable, list[Place]]
    arena: MemoryPlan
    static: MemoryPlan
    #: The node each output is stored as: the graph's own, or a copy of it.
    results: tuple[Node, ...]
    #: Output index to input index, for the outputs that are written straight over an input.
    in_place: dict[int, int] = field(default_factory=dict)

    def __str__(self) -> str:
        lines = [f"program: arena {self.arena.size} bytes, static {self.static.size} bytes"]
        for title, steps in (("prologue", self.prologue), ("steps", self.steps)):
            if steps:
                lines.append(f"{title}:")
            for step in steps:
                node = step.spec.stores[0].node
                lines.append(f"  k{step.kernel} {step.spec.name} -> {node.type}{self.layouts[node]}: {step.schedule}")
                lines += [f"    {line}" for line in str(step.spec).splitlines()[1:]]
        return "\n".join(lines) + "\n"


def generate(
    graph: Graph,
    target: Target,
    *,
    parameters: Collection[Node] = (),
    in_place: Mapping[int, int] | None = None,
    override: Override | None = None,
) -> Program:
    """Lower a graph.

    Args:
        parameters: inputs that seldom change; work that depends on them alone goes into the prologue.
        in_place: output index to input index: that output is written over that input.
        override: replaces the strategy's schedules.
    """
    return _Generator(graph, target, frozenset(parameters), dict(in_place or {}), override).run()


class _Generator:
    def __init__(
        self,
        graph: Graph,
        target: Target,
        parameters: frozenset[Node],
        in_place: dict[int, int],
        override: Override | None,
    ):
        self.graph = graph
        self.target = target
        self.parameters = parameters - {graph.inputs[i] for i in in_place.values()}
        self.in_place = in_place
        self.override = override
        self.layouts: dict[Node, Layout] = {n: Layout.plain(n.shape) for n in graph.inputs}
        self.contractions: frozenset[int] = frozenset()

    def run(self) -> Program:
        fused = fuse(self.graph, lambda expr: accepts_epilogue(expr, self.target))
        specs = [part for s in fused for part in map(affine_axes, split_phases(s))]
        specs = [s for s in specs if s.stores[0].node.type.size]
        specs, outputs = self._separate_outputs(specs)
        arranged = arrange(specs, self.layouts, self.outputs, self.parameters, self.target)
        specs, self.layouts, self.contractions = arranged
        specs, updates = self._order_updates(specs, outputs)
        steps, kernels = self._lower(specs, updates, outputs)
        prologue, steps = self._split_prologue(steps)
        return self._plan(prologue, steps, kernels, outputs, updates)

    def _separate_outputs(self, specs: list[KernelSpec]) -> tuple[list[KernelSpec], list[Node]]:
        """Every output gets a node of its own: an input, or a value asked for twice, is copied."""
        taken: set[Node] = set(self.graph.inputs)
        outputs: list[Node] = []
        for node in self.graph.outputs:
            if node in taken:
                node = self._copy(node, specs)
            taken.add(node)
            outputs.append(node)
        self.outputs = frozenset(outputs)
        for node in outputs:
            self.layouts[node] = Layout.plain(node.shape)
        return specs, outputs

    @staticmethod
    def _copy(node: Node, specs: list[KernelSpec]) -> Node:
        copy = alias(node)
        if node.type.size:
            specs.append(copy_spec(node, copy))
        return copy

    # --- kernels ---

    def _lower(
        self, specs: list[KernelSpec], updates: dict[int, int], outputs: list[Node]
    ) -> tuple[list[Step], list[Kernel]]:
        over = {outputs[k]: self.graph.inputs[i] for k, i in updates.items()}
        kernels: list[Kernel] = []
        numbers: dict[tuple[object, ...], int] = {}
        lowered: dict[Hashable, tuple[int, Schedule, int]] = {}
        steps: list[Step] = []
        for spec in specs:
            written = place(spec, self.layouts, over)
            key = spec if self.override is not None else (structure(written), id(spec) in self.contractions)
            if key not in lowered:
                kernel, schedule, work = self._lower_one(spec, written)
                number = numbers.setdefault((kernel.buffers, kernel.body), len(kernels))
                if number == len(kernels):
                    kernels.append(Kernel(f"k{number}", kernel.buffers, kernel.body, kernel.note))
                lowered[key] = number, schedule, work
            number, schedule, work = lowered[key]
            stored = [s.node for s in spec.stores]
            merged = {over.get(x) for x in stored}
            arguments = (*(x for x in spec.sources if x not in stored and x not in merged), *stored)
            steps.append(Step(spec, schedule, number, arguments, work))
        return steps, kernels

    def _lower_one(self, spec: KernelSpec, written: Placed) -> tuple[Kernel, Schedule, int]:
        """A kernel of its own for one spec, the schedule it runs under, and its cost."""
        fma = self.target.has_fma
        placed = normal_form(written)
        schedule = schedule_for(placed, self.target, contraction=id(spec) in self.contractions)
        if self.override is not None:
            schedule = self.override(spec, schedule)
        note = f"{spec.name}; {schedule}"
        if isinstance(schedule, Contraction):
            kernel = lower_contraction(placed, "kernel", schedule, fma=fma, note=note)
        elif isinstance(schedule, MapReduce):
            kernel = lower_map(placed, "kernel", lanes=schedule.lanes, unroll=schedule.unroll, fma=fma, note=note)
        elif isinstance(schedule, Transpose):
            kernel = lower_transpose(placed, "kernel", schedule, fma=fma, note=note)
        elif isinstance(schedule, Naive):
            kernel = lower_naive(written, "kernel", fma=fma, note=note)
        else:
            raise ScheduleError(f"{schedule!r} is not a schedule")
        return kernel, schedule, work_of(placed, schedule)

    def _split_prologue(self, steps: list[Step]) -> tuple[list[Step], list[Step]]:
        """Steps that need parameters only, and write no output, run when a parameter changes."""
        known = set(self.parameters)
        prologue: list[Step] = []
        rest: list[Step] = []
        for step in steps:
            result = step.spec.stores[0].node
            reads = step.spec.sources
            if self.parameters and reads and all(x in known for x in reads) and result not in self.outputs:
                known.add(result)
                prologue.append(step)
            else:
                rest.append(step)
        return prologue, rest

    # --- memory ---

    def _plan(
        self,
        prologue: list[Step],
        steps: list[Step],
        kernels: list[Kernel],
        outputs: list[Node],
        updates: dict[int, int],
    ) -> Program:
        places: dict[Hashable, list[Place]] = {}
        for k, node in enumerate(self.graph.inputs):
            places.setdefault(node, []).append(Place("input", k))
        for k, node in enumerate(outputs):
            where = Place("input", updates[k]) if k in updates else Place("output", k)
            places.setdefault(node, []).append(where)
        static: list[tuple[Hashable, int]] = []
        hoisted = {s.spec.stores[0].node for s in prologue}
        born: dict[Node, int] = {}
        died: dict[Node, int] = {}
        for k, step in enumerate(steps):
            for x in step.arguments:
                assert isinstance(x, Node)
                if x not in places and x not in hoisted:
                    born.setdefault(x, k)
                    died[x] = k
        for step in prologue:
            node = step.spec.stores[0].node
            static.append((node, self._bytes(node)))
        lifetimes = []
        for node, first in born.items():
            if self.layouts[node].halo:
                static.append((node, self._bytes(node)))
            else:
                lifetimes.append(Lifetime(node, self._bytes(node), first, died[node]))
        arena = plan_memory(lifetimes)
        fixed = plan_static(static)
        for value, offset in arena.offsets.items():
            places[value] = [Place("arena", offset)]
        for value, offset in fixed.offsets.items():
            places[value] = [Place("static", offset)]
        return Program(
            self.graph,
            self.target,
            kernels,
            prologue,
            steps,
            self.layouts,
            places,
            arena,
            fixed,
            tuple(outputs),
            updates,
        )

    def _bytes(self, node: Node) -> int:
        return self.layouts[node].size * node.dtype.itemsize

    def _order_updates(self, specs: list[KernelSpec], outputs: list[Node]) -> tuple[list[KernelSpec], dict[int, int]]:
        """Kernels that write over an input go last, where nothing else reads it any more.

        Returns the order and the updates that are safe in place; the caller copies the others.
        """
        over = {outputs[k] for k in self.in_place}
        late = [s for s in specs if s.stores[0].node in over]
        early = [s for s in specs if s.stores[0].node not in over]
        if {x for s in early for x in s.sources} & over:
            early, late = specs, []
        final = early + late
        safe: dict[int, int] = {}
        for k, i in self.in_place.items():
            node, source = outputs[k], self.graph.inputs[i]
            at = next((n for n, s in enumerate(final) if s.stores[0].node is node), None)
            if at is None:
                continue  # nothing to store: the value has no elements
            if not any(source in s.sources for s in final[at + 1 :]) and _same_positions(final[at], source):
                safe[k] = i
        return final, safe


def _same_positions(spec: KernelSpec, source: Node) -> bool:
    """The kernel reads ``source`` only at the position it stores: it may be overwritten as it goes."""
    store = spec.stores[0]
    return all(x.index == store.index for x in loads(store.value) if x.source is source)
