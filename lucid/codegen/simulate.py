"""A generated program run step by step in the loop interpreter: slow, checked at every access, and free of LLVM.

Between the graph interpreter above and machine code below, it tells whose mistake a wrong number is. Values lie where
the memory plan puts them, and fresh ones hold NaN: one read before it is written, or after its memory has passed on to
another, shows.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from lucid.codegen.interpret import interpret
from lucid.codegen.program import Program, Step
from lucid.ir.graph import Array, Node


def simulate(program: Program, arrays: Sequence[Array], runs: int = 1) -> list[Array]:
    """Outputs of a program on one array per graph input; inputs that are updated in place are updated.

    Args:
        runs: how often to run it on the memory that the run before left behind; the last outputs are returned.
    """
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    results = [np.zeros(program.layouts[n].size, n.dtype) for n in program.results]
    memory = {"arena": np.full(program.arena.size, 0xFF, np.uint8), "static": np.zeros(program.static.size, np.uint8)}

    def at(value: Hashable) -> Array:
        place = program.place(value)
        if place.region == "input":
            return flat[place.at]
        if place.region == "output":
            return results[place.at]
        assert isinstance(value, Node)
        size = program.layouts[value].size * value.dtype.itemsize
        return memory[place.region][place.at : place.at + size].view(value.dtype)

    for step in program.prologue:
        _run(program, step, [at(x) for x in step.arguments if isinstance(x, Node)])
    for _ in range(runs):
        born: set[Hashable] = set()
        for step in program.steps:
            for store in step.spec.stores:
                if store.node not in born:
                    born.add(store.node)
                    _spoil(program, step, store.node, at(store.node))
            _run(program, step, [at(x) for x in step.arguments if isinstance(x, Node)])
    return [at(x).reshape(x.shape) if x.type.size else np.zeros(x.shape, x.dtype) for x in program.results]


def _run(program: Program, step: Step, arguments: list[Array]) -> None:
    kernel = program.kernels[step.kernel]
    scratch = [np.full(b.size, np.nan, b.dtype) for b in kernel.buffers if b.role == "scratch"]
    interpret(kernel, [*arguments, *scratch])


def _spoil(program: Program, step: Step, node: Node, data: Array) -> None:
    """NaN everywhere but in the halo, unless the step computes with what is there."""
    buffer = program.kernels[step.kernel].buffers[list(step.arguments).index(node)]
    if buffer.role == "inout" or node.dtype.kind != "f":
        return
    layout = program.layouts[node]
    image = data.reshape([layout.extents[d] for d in layout.order])
    image[tuple(slice(layout.low[d], layout.low[d] + layout.shape[d]) for d in layout.order)] = np.nan
