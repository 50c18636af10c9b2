"""A run of machine code as a node of an eager graph, so that gradients flow through compiled functions.

``compiled_call`` is an op whose attribute is the program it runs. It stands outside the registry: it is a way to run
operations, not one of them. A program with several outputs gives them packed end to end, because a node has one value.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lucid.autodiff import gradients
from lucid.compiled_graph import CompiledGraph
from lucid.eager import DEAD, LIVE, Record
from lucid.ir.graph import Array, Call, Graph, Node, Op, input_call, input_node
from lucid.ir.location import here
from lucid.ir.types import TensorType, is_float
from lucid.partition import Partition, pack, packed_type, unpack, unpack_calls


class Program:
    """A graph of floating outputs that can be run and differentiated as one operation."""

    def __init__(self, graph: Graph, name: str):
        self.graph = graph
        self.name = name
        self.type = packed_type([o.type for o in graph.outputs])
        self.compiled = CompiledGraph(graph, name)
        self.calls: dict[Any, Call] = {}
        self._derivative: tuple[Program, list[int]] | None = None

    def evaluate(self, arrays: Sequence[Array]) -> Array:
        """The packed outputs."""
        results = self.compiled(arrays)
        if len(results) == 1:
            return results[0]
        return np.concatenate([r.ravel() for r in results], dtype=self.type.dtype)

    def vjp(self, node: Node, g: Node) -> list[Node | None]:
        """Gradients of all floating inputs, by a program that computes this one again."""
        if self._derivative is None:
            self._derivative = self._derive()
        program, wrt = self._derivative
        return spread(compiled_call(*node.inputs, g, program=program), program.graph, wrt, len(node.inputs))

    def inline(self, inputs: Sequence[Node]) -> Node:
        """The packed outputs as nodes on other inputs, without machine code."""
        return pack(replayed(self.graph, inputs))

    def _derive(self) -> tuple[Program, list[int]]:
        cotangent = input_node(self.type)
        inputs = [k for k, x in enumerate(self.graph.inputs) if is_float(x.dtype)]
        found = gradients(
            self.graph.outputs,
            [self.graph.inputs[k] for k in inputs],
            unpack(cotangent, [o.type for o in self.graph.outputs]),
        )
        wrt = [k for k, g in zip(inputs, found, strict=True) if g is not None]
        names = [*self.graph.input_names, "cotangent"]
        names = names if len(set(names)) == len(names) else [f"in{k}" for k in range(len(names))]
        graph = Graph([*self.graph.inputs, cotangent], [g for g in found if g is not None], names)
        return Program(graph, f"{self.name}.derivative"), wrt


def replayed(graph: Graph, inputs: Sequence[Node]) -> list[Node]:
    """The outputs of ``graph`` computed from ``inputs``."""
    memo = dict(zip(graph.inputs, inputs, strict=True))
    for node in graph.nodes:
        if node not in memo:
            memo[node] = node.with_inputs(tuple([memo[x] for x in node.inputs]))
    return [memo[o] for o in graph.outputs]


def spread(packed: Node, graph: Graph, wrt: Sequence[int], count: int) -> list[Node | None]:
    """Packed gradients, each at the place of the input it belongs to."""
    result: list[Node | None] = [None] * count
    for k, g in zip(wrt, unpack(packed, [o.type for o in graph.outputs]), strict=True):
        result[k] = g
    return result


class CompiledCall(Op):
    """Runs ``program`` on its inputs."""

    name = "compiled_call"

    def __init__(self) -> None:
        # Not in the registry: the parser and the generated tests walk operations of the language. Nor are calls kept
        # here, where they would keep machine code alive: each program keeps its own.
        self._calls: dict[Any, Call] = {}

    def call(self, types: tuple[TensorType, ...], attrs: dict[str, Any]) -> Call:
        calls: dict[Any, Call] = attrs["program"].calls
        found = calls.get(types)
        if found is None:
            found = calls[types] = Call(self, types, attrs, self.infer(*types, **attrs))
        return found

    def infer(self, *types: TensorType, program: Any) -> TensorType:
        result: TensorType = program.type
        return result

    def evaluate(self, *arrays: Array, program: Any) -> Array:
        result: Array = program.evaluate(arrays)
        return result

    def vjp(self, node: Node, g: Node) -> Sequence[Node | None]:
        result: list[Node | None] = node.attrs["program"].vjp(node, g)
        return result


compiled_call = CompiledCall()


class ForwardProgram:
    """The forward half of a partitioned function, as the eager graph sees it after it has run.

    The record's inputs are the function's inputs followed by the kept values; its value is the packed differentiable
    outputs, which nobody asks for: the outputs themselves are at hand.
    """

    def __init__(self, cut: Partition, outputs: Sequence[int], name: str):
        self.cut = cut
        self.outputs = tuple(outputs)
        self.calls: dict[Any, Call] = {}
        self.type = packed_type([cut.forward.outputs[k].type for k in outputs])
        self.backward = Program(cut.backward, f"{name}.backward")
        inputs = [x.type for x in cut.forward.inputs]
        self._kept = [k for given, k in cut.reads if not given]
        self._kept_floats = [k for k in self._kept if is_float(cut.forward.outputs[k].dtype)]
        kept_types = [cut.forward.outputs[k].type for k in self._kept]
        self._call = compiled_call.call((*inputs, *kept_types), {"program": self})
        self._output_calls = unpack_calls([cut.forward.outputs[k].type for k in outputs])
        self._kept_call: Call | None = None
        if self._kept_floats:
            floats = [cut.forward.outputs[k] for k in self._kept_floats]
            again = Program(Graph(cut.forward.inputs, floats, cut.forward.input_names), f"{name}.kept")
            self._kept_call = compiled_call.call(tuple(inputs), {"program": again})
            self._kept_calls = unpack_calls([n.type for n in floats])

    def vjp(self, node: Node, g: Node) -> list[Node | None]:
        """Gradients of the function's inputs, by the backward half."""
        place = {k: len(self.cut.forward.inputs) + i for i, k in enumerate(self._kept)}
        read = [node.inputs[k if given else place[k]] for given, k in self.cut.reads]
        packed = compiled_call(*read, g, program=self.backward)
        return spread(packed, self.cut.backward, self.cut.wrt, len(node.inputs))

    def inline(self, inputs: Sequence[Node]) -> Node:
        """The packed differentiable outputs as nodes on other inputs; kept values are computed again."""
        results = replayed(self.cut.forward, inputs[: len(self.cut.forward.inputs)])
        return pack([results[k] for k in self.outputs])

    def connect(self, inputs: Sequence[Record], arrays: Sequence[Array], results: Sequence[Array]) -> list[Record]:
        """Records of the differentiable outputs, after the forward has run on ``arrays`` and gave ``results``."""
        where = here()
        depth = max([r.depth for r in inputs], default=0) + 1
        # A gradient of the kept values is computed from the inputs again, so it may read any of them.
        read = range(len(inputs)) if self._kept_call is not None else [k for given, k in self.cut.reads if given]
        for k in read:
            inputs[k].value = arrays[k]
        kept: dict[int, Record] = {}
        if self._kept_call is not None:
            # Kept values are functions of the inputs, and say so: a second derivative goes through them.
            packed = Record(self._kept_call, tuple(inputs), where, LIVE, depth)
            for k, chain in zip(self._kept_floats, self._kept_calls, strict=True):
                kept[k] = _chained(packed, chain)
        for k in self._kept:
            if k not in kept:
                kept[k] = Record(input_call(self.cut.forward.outputs[k].type), (), where, DEAD, 0)
            kept[k].value = results[k]
        main = Record(self._call, (*inputs, *(kept[k] for k in self._kept)), where, LIVE, depth + 3)
        return [_chained(main, chain) for chain in self._output_calls]


def _chained(record: Record, calls: Sequence[Call]) -> Record:
    for call in calls:
        record = Record(call, (record,), record.where, LIVE, record.depth + 1)
    return record
