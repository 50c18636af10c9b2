"""A pipeline of passes: runs them in order, verifies after each, and tells observers what each one did."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, TypeAlias

from lucid.errors import IRError
from lucid.ir.graph import Graph
from lucid.ir.passes.cse import CommonSubexpressions
from lucid.ir.passes.fold import Fold
from lucid.ir.passes.simplify import Simplify
from lucid.ir.verify import verify


class Pass(Protocol):
    """A pure function on graphs with a name: the result has the same inputs, and equal outputs of the same types."""

    @property
    def name(self) -> str: ...

    def __call__(self, graph: Graph) -> Graph: ...


#: Called with the pass's name, the graph before, the graph after, and the seconds the pass took.
Observer: TypeAlias = Callable[[str, Graph, Graph, float], None]


@dataclass(frozen=True)
class Pipeline:
    """Passes in order; itself a pass.

    >>> import lucid.ops
    >>> from lucid.ir.text import parse_graph
    >>> graph = parse_graph("graph(%x: f32[2]) -> (y) { %0 = neg(%x) : f32[2] %1 = neg(%0) : f32[2] return %1 }")
    >>> print(DEFAULT(graph))
    graph(%x: f32[2]) -> (y) {
      return %x
    }
    """

    passes: tuple[Pass, ...]
    name: str = "pipeline"

    def __call__(self, graph: Graph, observer: Observer | None = None) -> Graph:
        """The graph after all passes.

        Raises:
            IRError: the graph is not valid, or a pass broke it; the message names the pass.
        """
        verify(graph)
        for step in self.passes:
            started = perf_counter()
            after = step(graph)
            seconds = perf_counter() - started
            if after is not graph:
                _verify_step(step.name, graph, after)
            if observer is not None:
                observer(step.name, graph, after, seconds)
            graph = after
        return graph


def _verify_step(name: str, before: Graph, after: Graph) -> None:
    try:
        verify(after)
    except IRError as error:
        raise IRError(f"after pass {name!r}: {error.message}") from error
    types = [o.type for o in before.outputs], [o.type for o in after.outputs]
    if before.inputs != after.inputs or before.output_names != after.output_names or types[0] != types[1]:
        raise IRError(f"after pass {name!r}: the graph's inputs or outputs are not what they were")


#: What ``lucid.compile`` runs on every graph. Folding shows rules new constants, and what is computed once new equals.
DEFAULT = Pipeline((Simplify(), Fold(), CommonSubexpressions(), Simplify(), CommonSubexpressions()), "default")
