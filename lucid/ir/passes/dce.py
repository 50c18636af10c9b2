"""Dead code. A graph holds only what its outputs reach, so a node dies when the outputs that need it are given up."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from lucid.errors import IRError
from lucid.ir.graph import Graph


@dataclass(frozen=True)
class DeadCode:
    """Keeps the named outputs, in their order, and every node they need. The inputs stay: they are the signature."""

    keep: tuple[str, ...]
    name: str = "dce"

    def __call__(self, graph: Graph) -> Graph:
        missing = [name for name in self.keep if name not in graph.output_names]
        if missing:
            raise IRError(f"dce keeps {missing[0]!r}, but the outputs are {', '.join(graph.output_names)}")
        return select_outputs(graph, self.keep)


def select_outputs(graph: Graph, names: Collection[str]) -> Graph:
    """The graph with only the outputs of the given names."""
    kept = [(o, name) for o, name in zip(graph.outputs, graph.output_names, strict=True) if name in names]
    return Graph(graph.inputs, [o for o, _ in kept], graph.input_names, [name for _, name in kept])
