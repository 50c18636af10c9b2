"""Small graphs with their arrays and what must come out, and the ways in which many of them are compiled as one."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from unittest import mock

import numpy as np

import lucid
from lucid.codegen import arrange, strategy, strategy_chains, strategy_rows, winograd, winograd_gradient
from lucid.codegen.program import generate
from lucid.codegen.schedule import Naive, Schedule, Transpose
from lucid.codegen.simulate import simulate
from lucid.codegen.spec import KernelSpec
from lucid.codegen.target import Target
from lucid.eager import apply, leaf
from lucid.ir.graph import Array, Graph, Node
from lucid.ir.passes.pipeline import DEFAULT
from lucid.runtime import compilation, fingerprint
from lucid.runtime.executable import Executable, build
from lucid.runtime.orders import C_ORDER, Orders
from lucid.runtime.threads import get_num_threads, set_num_threads
from tests.generated.draws import Draw, chance, choice
from tests.guard import guard
from tests.ir.graphs import assert_bitwise


@dataclass
class Piece:
    """Inputs, an array for each, outputs, and what says whether results are right: an ``AssertionError`` if not."""

    inputs: list[Node]
    arrays: list[Array]
    outputs: list[Node]
    check: Callable[[Sequence[Array]], None]
    orders: Orders = C_ORDER
    #: Output to the input it is written over.
    in_place: dict[int, int] = field(default_factory=dict)


def targets() -> list[Target]:
    """What this machine can run: its own, and vectors of 64, 32, 16 and 4 bytes: of one float."""
    host = Target.host()
    named = [Target.of(level) for level in ("avx512", "avx2", "baseline")]
    found = [host, *(replace(t, threads=2) for t in named if host.supports(t))]
    return [*found, replace(found[-1], vector_bytes=4, winograd=False)] if found[-1].vector_bytes == 16 else found


@dataclass(frozen=True)
class Way:
    """How a batch of pieces is compiled and run."""

    target: Target
    #: Under the strategy's schedules, or the naive ones: a scalar at a time.
    scheduled: bool = True
    #: Transposes too: they are most of the code of small convolutions, and the same ones again and again.
    transposes: bool = True
    #: Winograd's algorithm runs whatever it can, also where that does not pay.
    slides: bool = False
    #: All values but the results may be fused away.
    fused: bool = True
    passes: bool = False
    #: Kernels of any size are cut up for threads.
    shared: bool = False
    #: Every other input is a parameter, whose packing runs in a prologue.
    hoisted: bool = False
    #: Caches are tiny and thresholds low, so that what is done for large values is done for these.
    large: bool = False
    #: Where the page that cannot be touched lies: "end", "begin" or nowhere.
    guarded: str = ""
    #: Compiled, stored on disk and loaded.
    cached: bool = False
    #: In the loop interpreter, without machine code.
    interpreted: bool = False
    #: Eagerly on tensors, and by ``lucid.compile``, which traces the same calls.
    traced: bool = False

    def __str__(self) -> str:
        names = ("passes", "slides", "large", "shared", "hoisted", "cached", "interpreted", "traced")
        said = [name for name in names if getattr(self, name)]
        said += ["naive"] * (not self.scheduled) + ["unfused"] * (not self.fused)
        said += ["naive transposes"] * (self.scheduled and not self.transposes)
        said += ["no Winograd"] * (not self.target.winograd) + [f"guarded at its {self.guarded}"] * bool(self.guarded)
        return ", ".join([f"vectors of {self.target.vector_bytes} bytes", *said])

    def run(self, pieces: Sequence[Piece]) -> None:
        """Compile the pieces as one program and check every one's results, on two threads and on one.

        Raises:
            AssertionError: a result is wrong.
        """
        joined = join(pieces)
        arrays = [a for p in pieces for a in p.arrays]
        graph, count = joined.graph, len(joined.graph.outputs)
        if not self.fused:
            inner = [n for n in graph.nodes[len(graph.inputs) :] if n not in graph.outputs]
            graph = Graph(graph.inputs, [*graph.outputs, *inner])
        override = _naive if not self.scheduled else None if self.transposes else _naive_transposes
        parameters = graph.inputs[::2] if self.hoisted else ()
        arguments: dict[str, Any] = {"parameters": parameters, "in_place": joined.in_place, "override": override}
        if self.interpreted:
            graph = DEFAULT(graph) if self.passes else graph
            with self._surroundings():
                program = generate(graph, self.target, **arguments)
            results = simulate(program, [a.copy() for a in arrays], runs=1 if joined.in_place else 2)
            check(pieces, results[:count])
            return
        if self.traced:
            with self._surroundings():
                for results in _traced(graph, arrays):
                    check(pieces, results[:count])
            return
        arguments |= {"passes": DEFAULT if self.passes else None, "orders": joined.orders, "target": self.target}
        with self._surroundings():
            executable = build(graph, **arguments)
            results = self._results(executable, joined, arrays)[:count]
            if self.cached:
                loaded = build(graph, **arguments)
                assert "load" in loaded.seconds, "the second executable was not loaded"
                assert_bitwise(self._results(loaded, joined, arrays)[:count], results)
        check(pieces, results)

    def _results(self, executable: Executable, joined: Joined, arrays: Sequence[Array]) -> list[Array]:
        """Results on two threads, after making sure that they are the same on one and when asked for again."""
        written = set(joined.in_place.values())
        fresh = [[a.copy() if k in written else a for k, a in enumerate(arrays)] for _ in range(2)]
        before = get_num_threads()
        try:
            set_num_threads(2)
            results = executable(fresh[0])
            set_num_threads(1)
            assert_bitwise(executable(fresh[1], refresh=False), results)
        finally:
            set_num_threads(before)
        return results

    @contextmanager
    def _surroundings(self) -> Iterator[None]:
        with ExitStack() as stack:
            if self.slides:
                stack.enter_context(mock.patch.object(arrange, "pays", _slides_hoisted))
                stack.enter_context(mock.patch.object(winograd, "winograd_cycles", return_value=0.0))
                stack.enter_context(mock.patch.object(winograd_gradient, "_DIRECT", float("inf")))
            for module, name, value in _THRESHOLDS if self.large else ():
                stack.enter_context(mock.patch.object(module, name, value))
            if self.guarded:
                stack.enter_context(guard(self.guarded))
            if self.shared:
                stack.enter_context(mock.patch.object(compilation, "SMALLEST_SHARED_WORK", 1))
            if self.cached:
                folder = stack.enter_context(tempfile.TemporaryDirectory())
                stack.enter_context(mock.patch.dict(os.environ, {"LUCID_CACHE_DIR": folder}))
                # Whoever edits the source meanwhile must not make this fail.
                stack.enter_context(mock.patch.object(fingerprint, "_generator", return_value=b"the same generator"))
            yield


def _traced(graph: Graph, arrays: Sequence[Array]) -> Iterator[list[Array]]:
    """Results of the graph's operations as calls on tensors: computed at once, and compiled."""

    def function(*tensors: Any) -> tuple[Any, ...]:
        values = dict(zip(graph.inputs, tensors, strict=True))
        for node in graph.nodes[len(graph.inputs) :]:
            values[node] = apply(node.op, *(values[x] for x in node.inputs), **node.attrs)
        return tuple(values[o] for o in graph.outputs)

    tensors = [leaf(a) for a in arrays]
    for run in (function, lucid.compile(function)):
        yield [t.numpy() for t in run(*tensors)]


def way(draw: Draw, small: bool) -> Way:
    """One of the ways; scheduled for the host on its own, most often. Only small pieces are interpreted."""
    target = choice(draw, _TARGETS)
    if chance(draw, 4):
        target = replace(target, winograd=False)
    slides = chance(draw, 2) and target.winograd
    naive, unfused = chance(draw, 8), chance(draw, 6)
    transposes = chance(draw, 4)
    cached = chance(draw, 8) and transposes and not naive  # schedules of one's own are not kept
    shared, slides, large = (x and not cached for x in (chance(draw, 4), slides, chance(draw, 3)))
    if large:
        target = replace(target, l1=1024, l2=4096, l3=16384)
    guarded = choice(draw, ("", "", "", "end", "begin"))
    passes, hoisted = chance(draw, 2), chance(draw, 3)
    slow = naive or not transposes or target.vector_bytes < 32  # a scalar at a time
    interpreted = chance(draw, 4) and small and not slow
    traced = chance(draw, 10) and not interpreted
    return Way(
        target=target,
        scheduled=not naive,
        transposes=transposes,
        slides=slides,
        fused=not unfused,
        passes=passes,
        shared=shared,
        hoisted=hoisted,
        large=large,
        guarded=guarded,
        cached=cached,
        interpreted=interpreted,
        traced=traced,
    )


_TARGETS = [targets()[0], *targets()]
_THRESHOLDS: list[tuple[Any, str, int]] = [
    (strategy, "PAGE", 64),
    (strategy, "PAGES_KNOWN", 4),
    (strategy, "COPY_PAYS", 1),
    (strategy_chains, "SMALLEST_IMAGE", 1),
    (strategy_chains, "MANY_IMAGES", 1),
    (strategy_rows, "SMALLEST_BLOCK", 64),
    (strategy_rows, "SMALLEST_REPEATED", 64),
    (strategy_rows, "MOST_RESULTS", 8),
    (strategy_rows, "FEWEST_ROWS", 2),
    (strategy_rows, "IMAGE_SHARE", 1),
    (strategy_rows, "SMALLEST_SUMMED", 16),
    (winograd_gradient, "_SMALLEST_PART", 1000),
]


@dataclass
class Joined:
    """Pieces as one graph."""

    graph: Graph
    orders: Orders
    in_place: dict[int, int]


def join(pieces: Sequence[Piece]) -> Joined:
    inputs: list[Node] = []
    outputs: list[Node] = []
    orders = Orders({}, {})
    in_place: dict[int, int] = {}
    for p in pieces:
        i, o = len(inputs), len(outputs)
        orders = Orders(
            {**orders.inputs, **{i + k: v for k, v in p.orders.inputs.items()}},
            {**orders.outputs, **{o + k: v for k, v in p.orders.outputs.items()}},
        )
        in_place |= {o + a: i + b for a, b in p.in_place.items()}
        inputs += p.inputs
        outputs += p.outputs
    return Joined(Graph(inputs, outputs), orders, in_place)


def check(pieces: Sequence[Piece], results: Sequence[Array]) -> None:
    at = 0
    for p in pieces:
        p.check(results[at : at + len(p.outputs)])
        at += len(p.outputs)


def spread(array: Array) -> Array:
    """The same values as every second column of a larger array, whose others are NaN or the largest number."""
    if not array.ndim:
        return array
    wide = np.empty((*array.shape[:-1], 2 * array.shape[-1]), array.dtype)
    wide.view(np.uint8)[...] = 0xFF
    wide[..., ::2] = array
    return wide[..., ::2]


def _naive(spec: Any, schedule: Schedule) -> Schedule:
    return Naive()


def _slides_hoisted(
    spec: KernelSpec, slide: winograd.Slide, outputs: int, width: int, hoisted: bool, target: Target
) -> bool:
    """``winograd.pays`` for weights that are transformed rarely."""
    return winograd.pays(spec, slide, outputs, width, True, target)


def _naive_transposes(spec: Any, schedule: Schedule) -> Schedule:
    return Naive() if isinstance(schedule, Transpose) else schedule
