"""A generated program run step by step in the loop interpreter: slow, checked at every access, and free of LLVM.

Between the graph interpreter above and machine code below, it tells whose mistake a wrong number is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lucid.codegen.interpret import interpret
from lucid.codegen.program import Program
from lucid.ir.graph import Array, Node


def simulate(program: Program, arrays: Sequence[Array]) -> list[Array]:
    """Outputs of a program on one array per graph input; inputs that are updated in place are updated."""
    memory: dict[Node, Array] = {}
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    for node, array in zip(program.graph.inputs, flat, strict=True):
        memory[node] = array

    def at(node: Node) -> Array:
        place = program.places[node][0]
        if place.region == "input":
            return flat[place.at]
        if node not in memory:
            # Anything but a halo may hold garbage before it is written; NaN shows where it is read.
            layout = program.layouts[node]
            memory[node] = np.zeros(layout.size, node.dtype)
            if not layout.halo and node.dtype.kind == "f":
                memory[node].fill(np.nan)
        return memory[node]

    for step in (*program.prologue, *program.steps):
        nodes = [x for x in step.arguments if isinstance(x, Node)]
        interpret(program.kernels[step.kernel], [at(x) for x in nodes])
    results = []
    for k, node in enumerate(program.graph.outputs):
        source = program.in_place.get(k)
        data = flat[source] if source is not None else at(program.results[k])
        results.append(data.reshape(node.shape))
    return results
