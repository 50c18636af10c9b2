"""Cutting a traced function in two: what runs in the forward call, and what runs when its gradient is asked for.

The joint graph of outputs and gradients is optimised as one; then everything the outputs need is the forward, the rest
the backward, and the values that pass between them are kept. Constants, and movements of what is kept anyway, are made
again instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from lucid import ops
from lucid.autodiff import gradients
from lucid.ir.expr import Load, Operand, axes
from lucid.ir.graph import Call, Graph, Node, input_node, topological
from lucid.ir.passes.pipeline import DEFAULT
from lucid.ir.types import DType, TensorType


@dataclass(frozen=True)
class Partition:
    """A forward and a backward graph.

    ``forward``'s outputs are the function's, then the kept values that are not among them. ``backward``'s inputs are
    the values it reads and, last, the cotangent of the differentiable outputs, packed; its outputs are gradients.
    """

    forward: Graph
    backward: Graph
    #: Forward outputs that are kept for the backward only.
    kept: tuple[int, ...]
    #: What the backward reads: (True, input index) or (False, output index) of the forward.
    reads: tuple[tuple[bool, int], ...]
    #: The forward input that each gradient belongs to.
    wrt: tuple[int, ...]


def packed_type(types: Sequence[TensorType]) -> TensorType:
    """The type of several floating values in one; of a single value, its own."""
    if len(types) == 1:
        return types[0]
    dtype: DType = np.result_type(*[t.dtype for t in types])
    return TensorType((sum(t.size for t in types),), dtype)


def pack(values: Sequence[Node]) -> Node:
    """Several floating values end to end in one; a single value as it is."""
    if len(values) == 1:
        return values[0]
    dtype = packed_type([v.type for v in values]).dtype
    parts = []
    for v in values:
        flat = ops.reshape(v, shape=(v.type.size,))
        parts.append(flat if v.dtype == dtype else ops.cast(flat, dtype=dtype))
    return ops.concat(*parts, axis=0)


def unpack_calls(types: Sequence[TensorType]) -> list[list[Call]]:
    """For each of the packed values, the calls that take it out, to be applied one after the other."""
    whole = packed_type(types)
    if len(types) == 1:
        return [[]]
    chains, begin = [], 0
    for t in types:
        chain = [ops.slice.call((whole,), {"start": (begin,), "stop": (begin + t.size,), "step": (1,)})]
        begin += t.size
        if t.dtype != whole.dtype:
            chain.append(ops.cast.call((chain[-1].type,), {"dtype": t.dtype}))
        chain.append(ops.reshape.call((chain[-1].type,), {"shape": t.shape}))
        chains.append(chain)
    return chains


def unpack(value: Node, types: Sequence[TensorType]) -> list[Node]:
    """The values that ``pack`` put together."""
    result = []
    for chain in unpack_calls(types):
        node = value
        for call in chain:
            node = Node(call, (node,), value.where)
        result.append(node)
    return result


def partition(graph: Graph, outputs: Sequence[int], wrt: Sequence[int]) -> Partition | None:
    """Cut ``graph`` for gradients of some outputs with respect to some inputs; None if no gradient flows."""
    roots = [graph.outputs[k] for k in outputs]
    cotangent = input_node(packed_type([r.type for r in roots]))
    seeds = unpack(cotangent, [r.type for r in roots])
    found = gradients(roots, [graph.inputs[k] for k in wrt], seeds)
    connected = set(topological(roots, stop=lambda n: not n.op.differentiable))
    reached = []
    for k, g in zip(wrt, found, strict=True):
        if g is None and graph.inputs[k] in connected:  # only through functions that are flat everywhere
            g = ops.constant(value=0.0, shape=graph.inputs[k].shape, dtype=graph.inputs[k].dtype)
        if g is not None:
            reached.append((k, g))
    if not reached:
        return None
    joint = Graph((*graph.inputs, cotangent), (*graph.outputs, *(g for _, g in reached)))
    joint = DEFAULT(joint)
    results, grads = joint.outputs[: len(graph.outputs)], joint.outputs[len(graph.outputs) :]
    kept = _kept(graph, results, grads)
    index = {node: k for k, node in reversed(list(enumerate(results)))}
    extra = [n for n in kept if n not in index and n not in graph.inputs]
    index.update({n: len(results) + k for k, n in enumerate(extra)})
    forward = Graph(
        graph.inputs,
        (*results, *extra),
        graph.input_names,
        (*graph.output_names, *(f"kept{k}" for k in range(len(extra)))),
    )
    names = [
        graph.input_names[graph.inputs.index(n)] if n in graph.inputs else forward.output_names[index[n]] for n in kept
    ]
    backward = _rebuilt(kept, cotangent, grads, names, [f"grad_{graph.input_names[k]}" for k, _ in reached])
    return Partition(
        forward,
        backward,
        tuple(range(len(results), len(results) + len(extra))),
        tuple([(True, graph.inputs.index(n)) if n in graph.inputs else (False, index[n]) for n in kept]),
        tuple([k for k, _ in reached]),
    )


def _kept(graph: Graph, results: Sequence[Node], grads: Sequence[Node]) -> list[Node]:
    """The values of the forward that the backward reads, each once."""
    forward = {*graph.inputs, *topological(results)}
    found: dict[Node, None] = {}
    for node in topological(grads):
        if node not in forward:
            found.update(dict.fromkeys(x for x in node.inputs if x in forward))
    found.update(dict.fromkeys(g for g in grads if g in forward))
    order = {node: k for k, node in enumerate(topological(results))}
    for node in sorted(found, key=lambda n: -order.get(n, -1)):
        if node in graph.inputs:
            continue
        if not node.inputs or (_is_movement(node.call) and _cheaper(node, graph, found)):
            del found[node]
            found.update(dict.fromkeys(node.inputs))
    return list(found)


def _cheaper(node: Node, graph: Graph, found: dict[Node, None]) -> bool:
    """Whether to keep what ``node`` moves instead of ``node``."""
    (source,) = node.inputs
    return source in graph.inputs or source in found or source.type.size <= node.type.size


@lru_cache(maxsize=4096)
def _is_movement(call: Call) -> bool:
    if len(call.types) != 1:
        return False
    operands = [Operand(k, t) for k, t in enumerate(call.types)]
    return isinstance(call.op.compute(axes("o", call.type.shape), *operands, **call.attrs), Load)


def _rebuilt(
    kept: Sequence[Node], cotangent: Node, grads: Sequence[Node], names: Sequence[str], output_names: Sequence[str]
) -> Graph:
    """The backward as a graph of its own."""
    memo = {n: input_node(n.type, n.where) for n in kept}
    inputs = list(memo.values())
    memo[cotangent] = cotangent
    for node in topological(grads, stop=memo.__contains__):
        if node not in memo:
            memo[node] = node.with_inputs(tuple([memo[x] for x in node.inputs]))
    return Graph([*inputs, cotangent], [memo[g] for g in grads], [*names, "cotangent"], output_names)
