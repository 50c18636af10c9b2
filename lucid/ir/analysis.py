"""What a graph's nodes do not know themselves: users, levels, dominators, liveness, interference.

networkx does the graph theory; it is imported where it is used, so that importing Lucid does not pay for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lucid.ir.graph import Graph, Node

if TYPE_CHECKING:
    import networkx as nx


class Live(NamedTuple):
    """When a value exists: from the position in ``graph.nodes`` that makes it to the last one that reads it."""

    start: int
    end: int

    def overlaps(self, other: Live) -> bool:
        """True if both exist at some position: a node's result and its operands do."""
        return self.start <= other.end and other.start <= self.end


def users(graph: Graph) -> dict[Node, tuple[Node, ...]]:
    """The nodes that read each node, once each, in topological order."""
    found: dict[Node, list[Node]] = {n: [] for n in graph.nodes}
    for node in graph.nodes:
        for x in dict.fromkeys(node.inputs):
            found[x].append(node)
    return {n: tuple(readers) for n, readers in found.items()}


def to_networkx(graph: Graph) -> nx.MultiDiGraph[Node]:
    """The graph as networkx has it: an edge from each operand to its reader, with the operand's ``position``.

    Node attributes: ``op`` (its name), ``type`` (as text), ``label``.
    """
    import networkx as nx

    result: nx.MultiDiGraph[Node] = nx.MultiDiGraph()
    for node in graph.nodes:
        result.add_node(node, op=node.op.name, type=str(node.type), label=f"{node.op.name}: {node.type}")
        for position, x in enumerate(node.inputs):
            result.add_edge(x, node, position=position)
    return result


def levels(graph: Graph) -> list[tuple[Node, ...]]:
    """Nodes by depth: a level depends only on the levels before it, so its nodes could run side by side."""
    import networkx as nx

    return [tuple(level) for level in nx.topological_generations(to_networkx(graph))]


def immediate_dominators(graph: Graph, *, post: bool = False) -> dict[Node, Node | None]:
    """For each node, the nearest other node that every path from the sources to it passes; None if there is none.

    With ``post``, the nearest that every path from it to the outputs passes.
    """
    import networkx as nx

    flow = nx.DiGraph(to_networkx(graph))
    ends = graph.outputs if post else tuple(n for n in graph.nodes if not n.inputs)
    if post:
        flow = flow.reverse(copy=True)
    root = object()  # before all sources
    flow.add_edges_from((root, n) for n in ends)
    found = nx.immediate_dominators(flow, root)
    return {n: found[n] if found.get(n, root) is not root else None for n in graph.nodes}


def liveness(graph: Graph) -> dict[Node, Live]:
    """When each value exists, if nodes run in the order of ``graph.nodes``. Inputs exist from -1, outputs to the end.

    A value that nothing reads exists only where it is made.
    """
    last = {node: k for k, node in enumerate(graph.nodes)}
    start = dict(last)
    for k, node in enumerate(graph.nodes):
        for x in node.inputs:
            last[x] = k
    for node in graph.inputs:
        start[node] = -1
    for node in graph.outputs:
        last[node] = len(graph.nodes)
    return {n: Live(start[n], last[n]) for n in graph.nodes}


def interference(graph: Graph) -> nx.Graph[Node]:
    """An edge between any two values that exist at the same time and so cannot share memory."""
    import networkx as nx

    live = liveness(graph)
    result: nx.Graph[Node] = nx.Graph()
    result.add_nodes_from(graph.nodes)
    present: list[Node] = []
    for node in sorted(graph.nodes, key=lambda n: live[n].start):
        present = [x for x in present if live[x].end >= live[node].start]
        result.add_edges_from((x, node) for x in present)
        present.append(node)
    return result
