"""Hoisting: which work depends only on some of the inputs (parameters), so that it need not be done at every call."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lucid.errors import IRError
from lucid.ir.graph import Graph, Node, input_node


@dataclass(frozen=True)
class Hoisted:
    """A graph cut in two: ``prologue`` computes, from the given inputs alone, what ``main`` takes as further inputs.

    ``main``'s inputs are the original ones followed by the prologue's outputs.
    """

    prologue: Graph
    main: Graph


def depends_only_on(graph: Graph, given: Iterable[Node]) -> frozenset[Node]:
    """The nodes whose value is a function of the given inputs: not the inputs themselves, and no mere constants."""
    known = frozenset(given)
    strangers = [n for n in known if n not in graph.inputs]
    if strangers:
        raise IRError(f"hoist was given {strangers[0]}, which is not an input of the graph")
    reached = set(known)  # depends on something given, and on nothing else
    constant: set[Node] = set()
    for node in graph.nodes[len(graph.inputs) :]:
        if node.op.opaque:
            continue
        if all(x in constant for x in node.inputs):
            constant.add(node)
        elif all(x in reached or x in constant for x in node.inputs):
            reached.add(node)
    return frozenset(reached - known)


def hoist(graph: Graph, given: Iterable[Node], worth: Callable[[Node], bool] = lambda node: True) -> Hoisted:
    """Cut ``graph`` where values that depend only on ``given`` inputs meet the rest.

    Args:
        graph: what to cut.
        given: inputs of the graph, in any order: the parameters.
        worth: asked about each value at the cut; False leaves its computation in ``main``.

    Raises:
        IRError: a given node is not an input of the graph.
    """
    given = frozenset(given)
    movable = depends_only_on(graph, given)
    needed = {x for node in graph.nodes if node not in movable for x in node.inputs} | set(graph.outputs)
    cut = [n for n in graph.nodes if n in movable and n in needed and worth(n)]
    names = [f"hoisted_{k}" for k in range(len(cut))]
    kept = [(n, name) for n, name in zip(graph.inputs, graph.input_names, strict=True) if n in given]
    prologue = Graph([n for n, _ in kept], cut, [name for _, name in kept], names)
    fresh = [input_node(n.type, n.where) for n in cut]
    final: dict[Node, Node] = {n: n for n in graph.inputs} | dict(zip(cut, fresh, strict=True))
    for node in graph.nodes:
        if node not in final:
            final[node] = node.with_inputs(tuple(final[x] for x in node.inputs))
    main = Graph(
        (*graph.inputs, *fresh),
        [final[o] for o in graph.outputs],
        (*graph.input_names, *names),
        graph.output_names,
    )
    return Hoisted(prologue, main)
