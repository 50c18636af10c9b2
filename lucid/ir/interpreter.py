"""Runs a graph node by node with each op's own NumPy meaning: the oracle every compiled result is compared with."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IRError, ShapeError
from lucid.ir.graph import Array, Graph, Node
from lucid.ir.types import TensorType

Observer = Callable[[Node, Array], None]


def evaluate(graph: Graph, arrays: Sequence[Array], observer: Observer | None = None) -> list[Array]:
    """The graph's outputs for the given inputs; a result may share memory with an input.

    Args:
        graph: what to run.
        arrays: one array per graph input, of exactly its shape and dtype.
        observer: called with each node and its value, inputs included, in execution order.

    Raises:
        ArgumentError, ArgumentTypeError, ShapeError, DTypeError: the arrays do not fit the inputs.

    >>> import numpy as np
    >>> from lucid.ir.text import parse_graph
    >>> evaluate(parse_graph("graph(%x: f32[2]) -> (y) { return %x }"), [np.array([1, 2], np.float32)])
    [array([1., 2.], dtype=float32)]
    """
    check_arrays(graph, arrays)
    values: dict[Node, Array] = dict(zip(graph.inputs, arrays, strict=True))
    if observer is not None:
        for node, array in values.items():
            observer(node, array)
    uses = _use_counts(graph)
    with np.errstate(all="ignore"):  # NaN and inf are values here, not warnings
        for node in graph.nodes[len(graph.inputs) :]:
            values[node] = value = _run(node, [values[x] for x in node.inputs])
            if observer is not None:
                observer(node, value)
            for x in node.inputs:
                uses[x] -= 1
                if uses[x] == 0:
                    del values[x]
    return [values[o] for o in graph.outputs]


def _use_counts(graph: Graph) -> dict[Node, int]:
    """How many times each value is read; an output is read once more, at the end."""
    uses = dict.fromkeys(graph.nodes, 0)
    for node in graph.nodes:
        for x in node.inputs:
            uses[x] += 1
    for output in graph.outputs:
        uses[output] += 1
    return uses


def _run(node: Node, inputs: list[Array]) -> Array:
    value = np.asarray(node.op.evaluate(*inputs, **node.attrs))
    if value.shape != node.shape or value.dtype != node.dtype:
        raise IRError(f"{node.op.name} inferred {node.type}, but evaluated to {value.dtype.name}{list(value.shape)}")
    return value


def check_arrays(graph: Graph, arrays: Sequence[Array]) -> None:
    """Raise Lucid's own error unless ``arrays`` fit the graph's inputs one by one."""
    if len(arrays) != len(graph.inputs):
        wanted = ", ".join(graph.input_names)
        raise ArgumentError(f"the graph has {len(graph.inputs)} inputs ({wanted}), but {len(arrays)} arrays were given")
    for name, node, array in zip(graph.input_names, graph.inputs, arrays, strict=True):
        _check_array(name, node.type, array)


def _check_array(name: str, wanted: TensorType, array: Array) -> None:
    if not isinstance(array, np.ndarray):
        raise ArgumentTypeError(
            f"input {name} must be an array, but it is of type {type(array).__name__}", hint="use numpy.asarray"
        )
    if array.dtype != wanted.dtype:
        raise DTypeError(
            f"input {name} has dtype {array.dtype.name}, but the graph was made for {wanted.dtype.name}",
            hint=f"convert it with .astype(numpy.{wanted.dtype.name})",
        )
    if array.shape != wanted.shape:
        raise ShapeError(f"input {name} has shape {array.shape}, but the graph was made for {wanted.shape}")
