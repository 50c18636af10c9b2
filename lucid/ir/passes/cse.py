"""Common subexpressions: of two nodes that apply the same call to the same values, one stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lucid.ir.graph import Graph, Node, attrs_key, rebuild


@dataclass(frozen=True)
class CommonSubexpressions:
    """Keeps the first of equal nodes, with its location. Opaque nodes are never merged."""

    name: str = "cse"

    def __call__(self, graph: Graph) -> Graph:
        first: dict[tuple[Any, ...], Node] = {}

        def visit(node: Node) -> Node:
            if node.op.opaque:
                return node
            # The order attributes were given in says nothing.
            return first.setdefault((node.op, node.type, *sorted(attrs_key(node.attrs)), node.inputs), node)

        return rebuild(graph, visit)
