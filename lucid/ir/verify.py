"""What every graph promises, checked: inputs are inputs, nothing is foreign, every type is what its op infers."""

from __future__ import annotations

from lucid.errors import IRError, LucidError
from lucid.ir.graph import Call, Graph, Node, input_op
from lucid.ir.text import node_names, print_node


def verify(graph: Graph) -> None:
    """Raise unless the graph is well formed. A cycle cannot be built: a node is made after its inputs.

    Raises:
        IRError: names the node that breaks a rule, with its printed line.
    """
    _verify_names("input", graph.input_names)
    _verify_names("output", graph.output_names)
    inputs = frozenset(graph.inputs)
    if len(inputs) != len(graph.inputs):
        twice = next(n for k, n in enumerate(graph.inputs) if n in graph.inputs[:k])
        raise _broken(graph, twice, "the same node is an input twice")
    inferred: set[Call] = set()
    for node in graph.nodes:
        if (node.op is input_op) != (node in inputs):
            if node in inputs:
                raise _broken(graph, node, "an input of the graph is the result of an op")
            raise _broken(graph, node, "an input node is not among the inputs of the graph")
        if node in inputs:
            continue
        types = tuple(x.type for x in node.inputs)
        if types != node.call.types:
            raise _broken(graph, node, f"the op was called on {node.call.types}, but its inputs are {types}")
        if node.call in inferred:
            continue
        try:
            wanted = node.op.infer(*types, **node.attrs)
        except LucidError as error:
            raise _broken(graph, node, f"inference refuses it: {error}") from None
        if wanted is not node.type:
            raise _broken(graph, node, f"its type is {node.type}, but its op infers {wanted}")
        inferred.add(node.call)


def _verify_names(kind: str, names: tuple[str, ...]) -> None:
    if len(set(names)) != len(names):
        twice = next(name for k, name in enumerate(names) if name in names[:k])
        raise IRError(f"two {kind}s of the graph are named {twice!r}")


def _broken(graph: Graph, node: Node, message: str) -> IRError:
    return IRError(f"{message}\n  {print_node(node, node_names(graph))}")
