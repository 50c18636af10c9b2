"""A whole graph as a sequence of kernels over one memory plan: everything the runtime needs, and nothing of the
machine.

Order of work: fuse, choose layouts (adding copies where a value is wanted in two), lower each kernel under its
schedule, share kernels of equal structure, plan memory. What depends on parameters alone goes into a prologue.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from lucid.codegen.access import halo_needed, place
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
from lucid.codegen.spec import KernelSpec, Store, affine_axes
from lucid.codegen.strategy import (
    Wanted,
    accepts_epilogue,
    contraction_loads,
    default_order,
    order_ending_in,
    schedule_for,
    wanted,
    work_of,
)
from lucid.codegen.target import Target
from lucid.errors import ScheduleError
from lucid.ir.expr import Axis, Expr, Load, axes, loads, rewrite, walk
from lucid.ir.graph import OPS, Graph, Node

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
        self.inputs = frozenset(graph.inputs)
        self.wishes: dict[int, Wanted] = {}
        self.halos: dict[Node, tuple[tuple[int, ...], tuple[int, ...]]] = {}

    def run(self) -> Program:
        fused = fuse(self.graph, lambda expr: accepts_epilogue(expr, self.target))
        specs = [part for s in fused for part in map(affine_axes, split_phases(s))]
        specs = [s for s in specs if s.stores[0].node.type.size]
        specs, outputs = self._separate_outputs(specs)
        specs = self._choose_layouts(specs)
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
    def _alias(node: Node) -> Node:
        """A node of the same value, to lie elsewhere."""
        return Node(OPS["identity"].call((node.type,), {}), (node,), node.where)

    @staticmethod
    def _copy_spec(source: Node, target: Node) -> KernelSpec:
        out = axes("i", source.shape)
        return KernelSpec(out, (Store(target, out, Load(source, source.type, out)),), (target,))

    def _copy(self, node: Node, specs: list[KernelSpec]) -> Node:
        alias = self._alias(node)
        if node.type.size:
            specs.append(self._copy_spec(node, alias))
        return alias

    # --- layouts ---

    def _choose_layouts(self, specs: list[KernelSpec]) -> list[KernelSpec]:
        """Contractions say what they want; a value produced inside takes it, any other is copied into it."""
        fixed = {n: layout.innermost for n, layout in self.layouts.items()}
        wishes = [wanted(s, fixed, self.target) for s in specs]
        self._home_layouts(specs, wishes)
        inside = self._results_inside(specs, wishes)
        last = {s.stores[0].node: k for k, s in enumerate(specs)}
        copies: dict[tuple[Node, Layout], Node] = {}
        result: list[KernelSpec] = []
        for k, (spec, wish) in enumerate(zip(specs, wishes, strict=True)):
            node = spec.stores[0].node
            spec = _redirect(spec, inside)
            if wish is not None:
                spec = self._satisfy(spec, wish, copies, result)
                self.wishes[id(spec)] = wish
            result.append(spec)
            if node in inside and last[node] == k:
                result.append(self._copy_spec(inside[node], node))
        return result

    def _home_layouts(self, specs: list[KernelSpec], wishes: list[Wanted | None]) -> None:
        """Where each intermediate value lies: its producer's order, and the widest halo any of its readers needs."""
        orders: dict[Node, tuple[int, ...]] = {}
        for spec, wish in zip(specs, wishes, strict=True):
            if wish is None:
                continue
            node = spec.stores[0].node
            orders.setdefault(node, order_ending_in(len(node.shape), wish.store_dim))
            for load in contraction_loads(spec)[1:]:  # type: ignore[index]  # a wish means there is one
                halo = self._halo(load)
                if halo is not None:
                    source = load.source
                    assert isinstance(source, Node)
                    low, high = self.halos.get(source, halo)
                    self.halos[source] = tuple(map(max, low, halo[0])), tuple(map(max, high, halo[1]))
        for node in {s.stores[0].node for s in specs} - self.outputs:
            home = Layout.ordered(node.shape, orders.get(node, default_order(len(node.shape))))
            self.layouts[node] = home.with_halo(*self.halos[node]) if node in self.halos else home

    def _results_inside(self, specs: list[KernelSpec], wishes: list[Wanted | None]) -> dict[Node, Node]:
        """Outputs a contraction cannot store as they must go out: it stores an inner copy, which later kernels read."""
        inside: dict[Node, Node] = {}
        for spec, wish in zip(specs, wishes, strict=True):
            node = spec.stores[0].node
            if wish is None or node in inside or node not in self.outputs:
                continue
            if self.layouts[node].innermost != wish.store_dim:
                made = inside[node] = self._alias(node)
                home = Layout.ordered(node.shape, order_ending_in(len(node.shape), wish.store_dim))
                self.layouts[made] = home.with_halo(*self.halos[node]) if node in self.halos else home
        return inside

    @staticmethod
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

    def _satisfy(
        self, spec: KernelSpec, wish: Wanted, copies: dict[tuple[Node, Layout], Node], before: list[KernelSpec]
    ) -> KernelSpec:
        """Copy operands into the layouts a contraction wants."""
        found = contraction_loads(spec)
        assert found is not None
        replace: dict[Load, Load] = {}
        # The vector operand last: its order follows how the other one lies. Sources may have been redirected since the
        # wish was made, positions not.
        vector, other = found[1:] if found[1].index == wish.load.index else (found[2], found[1])
        for load in (other, vector):
            node = load.source
            assert isinstance(node, Node)
            home = want = self.layouts[node]
            if load is vector and home.innermost != wish.load_dim:
                order = self._operand_order(wish, vector, replace.get(other, other))
                want = Layout(home.shape, order, home.low, home.high)
            elif load is other and len(node.shape) == 4 and node.shape[1] > 1 and node in self.inputs:
                want = Layout(home.shape, default_order(4), home.low, home.high)  # NHWC from the graph's edge on
            if node in self.halos:
                want = want.with_halo(*self.halos[node])
            if want == home:
                continue
            alias = copies.get((node, want))
            if alias is None:
                alias = copies[node, want] = self._alias(node)
                self.layouts[alias] = want
                before.append(self._copy_spec(node, alias))
            replace[load] = Load(alias, load.type, load.index, load.fill)
        store = spec.stores[0]
        value = rewrite(store.value, lambda e: replace.get(e) if isinstance(e, Load) else None)
        return KernelSpec(spec.axes, (Store(store.node, store.index, value),), spec.nodes)

    def _operand_order(self, wish: Wanted, load: Load, other: Load) -> tuple[int, ...]:
        """The vector dimension last; before it what the other operand walks contiguously, so both step together."""
        innermost = self.layouts[other.source].innermost  # type: ignore[index]  # sources are nodes
        near = set() if innermost is None else {a for a in walk(other.index[innermost]) if isinstance(a, Axis)}
        rest = [d for d in default_order(len(load.index)) if d != wish.load_dim]
        rest.sort(key=lambda d: any(a in near for a in walk(load.index[d])))
        return (*rest, wish.load_dim)

    # --- kernels ---

    def _lower(
        self, specs: list[KernelSpec], updates: dict[int, int], outputs: list[Node]
    ) -> tuple[list[Step], list[Kernel]]:
        over = {outputs[k]: self.graph.inputs[i] for k, i in updates.items()}
        fma = self.target.has_fma
        kernels: list[Kernel] = []
        shared: dict[tuple[object, ...], int] = {}
        steps: list[Step] = []
        for spec in specs:
            written = place(spec, self.layouts, over)
            placed = normal_form(written)
            wish = self.wishes.get(id(spec))
            schedule = schedule_for(placed, wish, self.target)
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
            key = (kernel.buffers, kernel.body)
            number = shared.setdefault(key, len(kernels))
            if number == len(kernels):
                kernels.append(Kernel(f"k{number}", kernel.buffers, kernel.body, note))
            stored = [s.node for s in spec.stores]
            merged = {over.get(x) for x in stored}
            arguments = (*(x for x in spec.sources if x not in stored and x not in merged), *stored)
            steps.append(Step(spec, schedule, number, arguments, work_of(placed, schedule)))
        return steps, kernels

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


def _same_positions(spec: KernelSpec, source: Node) -> bool:
    """The kernel reads ``source`` only at the position it stores: it may be overwritten as it goes."""
    store = spec.stores[0]
    return all(x.index == store.index for x in loads(store.value) if x.source is source)
