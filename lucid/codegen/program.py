"""A whole graph as a sequence of kernels over one memory plan: everything the runtime needs, and nothing of the
machine.

Order of work: fuse, choose layouts (adding copies where a value is wanted in two), lower each kernel under its
schedule, share kernels of equal structure, plan memory. What depends on parameters alone goes into a prologue.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from itertools import chain as joined
from typing import NamedTuple, TypeAlias

from lucid.codegen.access import Placed, place
from lucid.codegen.arrange import alias, arrange, copy_spec
from lucid.codegen.chains import Chain, Link, brought_together, chains_of, inside, layouts_of_one, link_of, one_image
from lucid.codegen.fuse import fuse
from lucid.codegen.layout import Layout
from lucid.codegen.loops import Kernel
from lucid.codegen.lower_contraction import lower_contraction
from lucid.codegen.lower_map import lower_map, lower_naive
from lucid.codegen.lower_transpose import lower_transpose
from lucid.codegen.lower_winograd import lower_winograd
from lucid.codegen.lower_winograd_gradient import lower_winograd_gradient
from lucid.codegen.order import normal_form
from lucid.codegen.partials import split_reductions
from lucid.codegen.phases import split_phases
from lucid.codegen.plan import Lifetime, MemoryPlan, plan_memory, plan_scratch, plan_static
from lucid.codegen.rings import with_rings
from lucid.codegen.rows import join_rows
from lucid.codegen.schedule import Contraction, MapReduce, Naive, Schedule, Transpose, Winograd, WinogradGradient
from lucid.codegen.sequence import reuse, root, sequence
from lucid.codegen.siblings import merge_siblings
from lucid.codegen.spec import KernelSpec, affine_axes
from lucid.codegen.strategy import SMALLEST_SHARED_WORK, accepts_epilogue, schedule_for, work_of
from lucid.codegen.strategy_chains import chain_pays, suits_chain
from lucid.codegen.strategy_rows import blocks_of, joins_rows
from lucid.codegen.strategy_tune import alternatives
from lucid.codegen.structure import structure
from lucid.codegen.target import Target
from lucid.codegen.winograd import winograd_schedule
from lucid.codegen.winograd_gradient import gradient_schedule
from lucid.errors import ScheduleError
from lucid.ir.graph import Graph, Node

#: Chooses a schedule, given the kernel and the strategy's choice.
Override: TypeAlias = Callable[[KernelSpec, Schedule], Schedule]

#: Chooses a schedule by trying: given the kernel's structure, the strategy's choice, others, and what lowers them.
Tune: TypeAlias = Callable[[Hashable, Schedule, Sequence[Schedule], Callable[[Schedule], Kernel]], Schedule]


@dataclass(frozen=True)
class Place:
    """Where a value lives: a region (input, output, arena, static or thread) and an index or byte offset in it.

    In a chain of kernels, ``stride`` is the distance in bytes from one image to the next.
    """

    region: str
    at: int
    stride: int = 0


@dataclass
class Step:
    """One kernel call: the spec it came from, its schedule, the shared kernel and where its arguments live."""

    spec: KernelSpec
    schedule: Schedule
    kernel: int
    arguments: tuple[Hashable, ...]  # values (places, of scratch memory), in the order of the kernel's buffers
    #: Those that the kernel takes an image at a time, if it runs in a chain.
    by_image: frozenset[Node] = frozenset()


@dataclass
class Program:
    """Kernels, the steps that call them, and the memory they run in."""

    graph: Graph
    target: Target
    kernels: list[Kernel]
    #: Rough cost of each kernel: elements touched, or multiply-adds of vectors; 0 if it runs in a chain, on one thread.
    work: list[int]
    prologue: list[Step]
    steps: list[Step]
    layouts: dict[Node, Layout]
    places: dict[Hashable, list[Place]]
    arena: MemoryPlan
    static: MemoryPlan
    #: Steps that run by image, and the memory that each thread needs for them.
    chains: dict[Chain, MemoryPlan]
    #: The node each output is stored as: the graph's own, or a copy of it.
    results: tuple[Node, ...]
    #: Output index to input index, for the outputs that are written straight over an input.
    in_place: dict[int, int] = field(default_factory=dict)

    def place(self, step: Step, argument: Hashable) -> Place:
        """Where an argument of a step lies."""
        if isinstance(argument, Place):
            return argument
        place = self.places[argument][0]
        if place.region == "scratch" or not isinstance(argument, Node) or argument not in step.by_image:
            return place
        layout = self.layouts[argument]
        return replace(place, stride=layout.strides[0] * argument.dtype.itemsize)

    def runs(self) -> Iterator[tuple[list[Step], Chain | None]]:
        """The steps in their order, one by one or those of a chain together."""
        at = 0
        for chain in self.chains:
            yield from (([step], None) for step in self.steps[at : chain.first])
            yield self.steps[chain.first : chain.last], chain
            at = chain.last
        yield from (([step], None) for step in self.steps[at:])

    @property
    def scratch(self) -> int:
        """Bytes of scratch memory that each thread needs."""
        kernels = (plan_scratch(kernel).size for kernel in self.kernels)
        return max([*kernels, *(memory.size for memory in self.chains.values())], default=0)

    def __str__(self) -> str:
        lines = [f"program: arena {self.arena.size} bytes, static {self.static.size} bytes"]
        if self.prologue:
            lines += ["prologue:", *(line for step in self.prologue for line in self._show(step))]
        if self.steps:
            lines.append("steps:")
        for steps, chain in self.runs():
            shown = [line for step in steps for line in self._show(step)]
            if chain is not None:
                memory = f"{self.chains[chain].size} bytes of a thread's memory"
                shown = [f"  for each of {chain.images} images, in {memory}:", *(f"  {line}" for line in shown)]
            lines += shown
        return "\n".join(lines) + "\n"

    def _show(self, step: Step) -> list[str]:
        results = ", ".join(f"{s.node.type}{self.layouts[s.node]}" for s in step.spec.stores)
        head = f"  k{step.kernel} {step.spec.name} -> {results}: {step.schedule}"
        return [head, *(f"    {line}" for line in str(step.spec).splitlines()[1:])]


def generate(
    graph: Graph,
    target: Target,
    *,
    parameters: Collection[Node] = (),
    in_place: Mapping[int, int] | None = None,
    input_orders: Mapping[int, Sequence[int]] | None = None,
    output_orders: Mapping[int, Sequence[int]] | None = None,
    override: Override | None = None,
    ready: Callable[[Kernel, int], None] | None = None,
    tune: Tune | None = None,
) -> Program:
    """Lower a graph.

    Args:
        parameters: inputs that seldom change; work that depends on them alone goes into the prologue.
        in_place: output index to input index: that output is written over that input.
        input_orders, output_orders: dimensions from the outermost in, by index, where that is not C order.
        override: replaces the strategy's schedules.
        ready: called with each kernel and its cost as soon as it is lowered.
        tune: chooses among the strategy's schedule and others near it, for kernels that take some time.
    """
    orders = input_orders or {}, output_orders or {}
    return _Generator(graph, target, frozenset(parameters), dict(in_place or {}), orders, override, ready, tune).run()


class _Traits(NamedTuple):
    """What decides how a kernel is lowered beside its expressions and layouts."""

    contraction: bool
    #: A result lies in a user's memory, which begins anywhere.
    update: bool
    #: It runs in a chain.
    by_image: bool


class _Generator:
    def __init__(
        self,
        graph: Graph,
        target: Target,
        parameters: frozenset[Node],
        in_place: dict[int, int],
        orders: tuple[Mapping[int, Sequence[int]], Mapping[int, Sequence[int]]],
        override: Override | None,
        ready: Callable[[Kernel, int], None] | None,
        tune: Tune | None,
    ):
        self.graph = graph
        self.target = target
        self.parameters = parameters - {graph.inputs[i] for i in in_place.values()}
        self.in_place = in_place
        self.override = override
        self.ready = ready
        self.tune = tune
        self.work: list[int] = []
        inputs, self.output_orders = orders
        self.layouts = {n: _edge(n, inputs.get(k)) for k, n in enumerate(graph.inputs)}
        self.contractions: frozenset[int] = frozenset()

    def run(self) -> Program:
        fused = fuse(self.graph, lambda expr: accepts_epilogue(expr, self.target))
        specs = [affine_axes(phase) for s in fused for phase in split_phases(s)]
        specs = split_reductions(join_rows(specs, self.graph.outputs, joins_rows), blocks_of)
        specs = [s for s in specs if s.stores[0].node.type.size]
        specs, outputs = self._separate_outputs(specs)
        arranged = arrange(specs, self.layouts, self.outputs, self.parameters, self.target)
        specs, self.layouts, self.contractions = arranged
        early, specs = self._split_prologue(specs)
        specs = merge_siblings(specs, self.layouts, self.outputs, self.contractions)
        updates = {outputs[k]: self.graph.inputs[i] for k, i in self.in_place.items() if outputs[k].type.size}
        specs, needs, over = sequence(specs, self.outputs, updates)
        specs = self._brought_together(specs, needs, over)
        in_place = {k: i for k, i in self.in_place.items() if outputs[k] in over}
        passing = {s.node for spec in specs for s in spec.stores} - self.outputs
        reused = reuse(specs, passing, self._alike)
        over.update(reused)
        chains = self._chains(specs, over)
        local = inside(specs, chains, over, self.outputs)
        groups, ringed = with_rings(specs, self.layouts, passing - reused.keys(), local.keys(), self.target)
        begins = [0, *accumulate(map(len, groups))]
        specs = [*joined(*groups)]
        chains = [replace(c, first=begins[c.first], last=begins[c.last]) for c in chains]
        members = [k for c in chains for k in range(c.first, c.last)]
        links = {id(specs[k]): link for k in members if (link := link_of(specs[k], self.layouts))}
        self.updated = frozenset(updates)
        steps, kernels = self._lower([*early, *specs], over, links)
        prologue, steps = steps[: len(early)], steps[len(early) :]
        return self._plan(prologue, steps, kernels, outputs, in_place, reused, ringed, chains, local)

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
        for k, node in enumerate(outputs):
            self.layouts[node] = _edge(node, self.output_orders.get(k))
        return specs, outputs

    @staticmethod
    def _copy(node: Node, specs: list[KernelSpec]) -> Node:
        copy = alias(node)
        if node.type.size:
            specs.append(copy_spec(node, copy))
        return copy

    def _suits_chain(self, spec: KernelSpec, link: Link) -> bool:
        return suits_chain(spec, link, self.layouts, self.target)

    def _chain_pays(self, specs: Sequence[KernelSpec], local: Collection[Node]) -> bool:
        return chain_pays(specs, local, self.layouts, self.target)

    def _brought_together(
        self, specs: list[KernelSpec], needs: Sequence[frozenset[int]], over: Mapping[Node, Node]
    ) -> list[KernelSpec]:
        """The kernels, with those of a chain next to each other."""

        def small(spec: KernelSpec) -> bool:
            return sum(self._bytes(s.node) for s in spec.stores) <= self.target.l2

        return brought_together(
            specs, needs, self.layouts, over, self._suits_chain, self._chain_pays, self.outputs, small
        )

    def _chains(self, specs: list[KernelSpec], over: Mapping[Node, Node]) -> list[Chain]:
        """The kernels that run by image."""
        return chains_of(specs, self.layouts, over, self._suits_chain, self._chain_pays, self.outputs)

    # --- kernels ---

    def _lower(
        self, specs: list[KernelSpec], over: Mapping[Node, Node], links: Mapping[int, Link]
    ) -> tuple[list[Step], list[Kernel]]:
        """The calls of kernels, and the kernels: an equal one only once. ``links``: the specs that run by image."""
        kernels: list[Kernel] = []
        numbers: dict[tuple[object, ...], int] = {}
        lowered: dict[Hashable, tuple[int, Schedule]] = {}
        steps: list[Step] = []
        for spec in specs:
            link = links.get(id(spec))
            single = spec if link is None else one_image(spec, link)
            written = place(single, self.layouts if link is None else layouts_of_one(link, self.layouts), over)
            traits = _Traits(id(spec) in self.contractions, self._is_update(spec), link is not None)
            key = spec if self.override is not None else (structure(written), spec.window is not None, traits)
            if key not in lowered:
                kernel, schedule, work = self._lower_one(single, written, traits)
                number = numbers.setdefault((kernel.buffers, kernel.body, traits.by_image), len(kernels))
                if number == len(kernels):
                    kernels.append(Kernel(f"k{number}", kernel.buffers, kernel.body, kernel.note))
                    self.work.append(work)
                    if self.ready is not None:
                        self.ready(kernels[-1], work)
                lowered[key] = number, schedule
            number, schedule = lowered[key]
            stored = list(dict.fromkeys(s.node for s in spec.stores))
            merged = {over.get(x) for x in stored}
            scratch = [Place("scratch", at) for at in plan_scratch(kernels[number]).offsets.values()]
            arguments = (*(x for x in single.sources if x not in stored and x not in merged), *stored, *scratch)
            steps.append(Step(spec, schedule, number, arguments, frozenset() if link is None else link.by_image))
        return steps, kernels

    def _lower_one(self, spec: KernelSpec, written: Placed, traits: _Traits) -> tuple[Kernel, Schedule, int]:
        """A kernel of its own for one spec, the schedule it runs under, and its cost."""
        placed = normal_form(written)
        schedule: Schedule
        if spec.window is not None:
            choose = gradient_schedule if spec.window.weights is None else winograd_schedule
            schedule = choose(spec, spec.window, self.target)
        else:
            schedule = schedule_for(placed, self.target, contraction=traits.contraction)
        if isinstance(schedule, MapReduce) and (traits.update or traits.by_image):
            schedule = replace(schedule, stream=False)
        if self.override is not None:
            schedule = self.override(spec, schedule)
        elif self.tune is not None and work_of(placed, schedule) >= SMALLEST_SHARED_WORK:
            kind = structure(written), spec.window is not None, traits.contraction
            others = alternatives(placed, schedule, self.target)
            schedule = self.tune(kind, schedule, others, lambda s: self._nest(spec, written, placed, s))
        work = 0 if traits.by_image else work_of(placed, schedule)
        return self._nest(spec, written, placed, schedule), schedule, work

    def _is_update(self, spec: KernelSpec) -> bool:
        """Whether a result lies in a user's memory, which begins anywhere."""
        return any(s.node in self.updated for s in spec.stores)

    def _nest(self, spec: KernelSpec, written: Placed, placed: Placed, schedule: Schedule) -> Kernel:
        """The loops of a kernel, as written and in normal form, under a schedule."""
        fma = self.target.has_fma
        note = f"{spec.name}; {schedule}"
        if isinstance(schedule, Contraction):
            return lower_contraction(placed, "kernel", schedule, fma=fma, note=note)
        if isinstance(schedule, MapReduce):
            return lower_map(placed, "kernel", schedule, fma=fma, note=note)
        if isinstance(schedule, Transpose):
            return lower_transpose(placed, "kernel", schedule, fma=fma, note=note)
        if isinstance(schedule, Winograd) and spec.window is not None:
            return lower_winograd(written, spec.window, "kernel", schedule, fma=fma, note=note)
        if isinstance(schedule, WinogradGradient) and spec.window is not None:
            return lower_winograd_gradient(written, spec.window, "kernel", schedule, fma=fma, note=note)
        if isinstance(schedule, Naive):
            return lower_naive(written, "kernel", fma=fma, note=note)
        raise ScheduleError(f"{schedule!r} is not a schedule")

    def _split_prologue(self, specs: list[KernelSpec]) -> tuple[list[KernelSpec], list[KernelSpec]]:
        """Kernels that need parameters only, and write no output, run when a parameter changes."""
        known = set(self.parameters)
        prologue: list[KernelSpec] = []
        rest: list[KernelSpec] = []
        for spec in specs:
            results = {s.node for s in spec.stores}
            reads = spec.sources
            if self.parameters and reads and all(x in known for x in reads) and not results & self.outputs:
                known |= results
                prologue.append(spec)
            else:
                rest.append(spec)
        return prologue, rest

    def _alike(self, a: Node, b: Node) -> bool:
        """The two lie alike in memory, so that one may be written over the other."""
        return self.layouts[a].same_memory(self.layouts[b]) and a.dtype == b.dtype

    # --- memory ---

    def _plan(
        self,
        prologue: list[Step],
        steps: list[Step],
        kernels: list[Kernel],
        outputs: list[Node],
        in_place: dict[int, int],
        reused: Mapping[Node, Node],
        ringed: Collection[Node],
        chains: Sequence[Chain],
        local: Mapping[Node, object],
    ) -> Program:
        places: dict[Hashable, list[Place]] = {}
        for k, node in enumerate(self.graph.inputs):
            places.setdefault(node, []).append(Place("input", k))
        for k, node in enumerate(outputs):
            where = Place("input", in_place[k]) if k in in_place else Place("output", k)
            places.setdefault(node, []).append(where)
        kept = [(s.node, self._bytes(s.node)) for step in prologue for s in step.spec.stores]
        hoisted = {node for node, _ in kept}
        first: dict[Node, int] = {}
        last: dict[Node, int] = {}
        when = list(range(len(steps)))  # a chain's kernels run again and again: for other values, all at once
        for c in chains:
            when[c.first : c.last] = [c.first] * (c.last - c.first)
        for k, step in enumerate(steps):
            for x in step.arguments:
                if isinstance(x, Node) and x not in places and x not in hoisted:
                    at = k if x in local else when[k]
                    x = root(reused, x)
                    first.setdefault(x, at)
                    last[x] = at
        lives = {x: Lifetime(x, self._bytes(x), first[x], last[x]) for x in first}
        memory: dict[Chain, MemoryPlan] = {}
        for c in chains:
            mine = {x: lives.pop(x) for x in list(lives) if x in local and c.first <= first[x] < c.last}
            slots = plan_memory([replace(life, size=self._bytes(x) // c.images) for x, life in mine.items()])
            places.update((value, [Place("scratch", offset)]) for value, offset in slots.offsets.items())
            scratch = max(plan_scratch(kernels[step.kernel]).size for step in steps[c.first : c.last])
            memory[c] = MemoryPlan(slots.offsets, slots.size + scratch)
            for step in steps[c.first : c.last]:
                moved = (replace(x, at=x.at + slots.size) if isinstance(x, Place) else x for x in step.arguments)
                step.arguments = tuple(moved)
        shared = {x for x in lives if x in ringed or not self.layouts[x].halo}
        arena = plan_memory([life for x, life in lives.items() if x in shared])
        rings = [((self.layouts[x], x.dtype), life) for x, life in lives.items() if x not in shared]
        fixed = plan_static(kept, rings)
        for region, plan in (("arena", arena), ("static", fixed)):
            places.update((value, [Place(region, offset)]) for value, offset in plan.offsets.items())
        places.update((x, places[root(reused, x)]) for x in reused)
        return Program(
            self.graph,
            self.target,
            kernels,
            self.work,
            prologue,
            steps,
            self.layouts,
            places,
            arena,
            fixed,
            memory,
            tuple(outputs),
            in_place,
        )

    def _bytes(self, node: Node) -> int:
        return self.layouts[node].size * node.dtype.itemsize


def _edge(node: Node, order: Sequence[int] | None) -> Layout:
    """How an input or output lies: in C order unless told otherwise, and without a halo."""
    return Layout.plain(node.shape) if order is None else Layout.ordered(node.shape, order)
