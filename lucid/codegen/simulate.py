"""A generated program run step by step in the loop interpreter: slow, checked at every access, and free of LLVM.

Between the graph interpreter above and machine code below, it tells whose mistake a wrong number is. Values lie where
the memory plan puts them, and fresh ones hold NaN: one read before it is written, or after its memory has passed on to
another, shows.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lucid.codegen.interpret import interpret
from lucid.codegen.program import Place, Program, Step
from lucid.ir.graph import Array, Node
from lucid.ir.types import is_float

#: In place of an image's number: all of them.
WHOLE = -1


def simulate(program: Program, arrays: Sequence[Array], runs: int = 1) -> list[Array]:
    """Outputs of a program on one array per graph input; inputs that are updated in place are updated.

    Args:
        runs: how often to run it on the memory that the run before left behind; the last outputs are returned.
    """
    flat = [np.ascontiguousarray(a).reshape(-1) for a in arrays]
    results = [np.zeros(program.layouts[n].size, n.dtype) for n in program.results]
    memory = {"arena": np.full(program.arena.size, 0xFF, np.uint8), "static": np.zeros(program.static.size, np.uint8)}

    def at(place: Place, node: Node, image: int, size: int) -> Array:
        first, bytes = image * place.stride, size * node.dtype.itemsize
        if place.region in ("input", "output"):
            data = (flat if place.region == "input" else results)[place.at].view(np.uint8)
        else:
            data, first = memory[place.region], first + place.at
        return data[first : first + bytes].view(node.dtype)

    def operand(step: Step, node: Node, image: int) -> Array:
        """A value, or one image of it where the step takes it by image."""
        layout = program.layouts[node]
        size = layout.strides[0] if node in step.by_image else layout.size
        return at(program.place(step, node), node, image, size)

    def run(step: Step, image: int = 0) -> None:
        kernel = program.kernels[step.kernel]
        scratch = [np.full(b.size, np.nan, b.dtype) for b in kernel.buffers if b.role == "scratch"]
        operands = [operand(step, x, image) for x in step.arguments if isinstance(x, Node)]
        interpret(kernel, [*operands, *scratch])

    for step in program.prologue:
        run(step)
    # Some phases of a value may be written in the prologue, others later.
    hoisted = {(s.node, WHOLE) for step in program.prologue for s in step.spec.stores}
    for _ in range(runs):
        born = set(hoisted)
        for steps, chain in program.runs():
            for image in range(1 if chain is None else chain.images):
                memory["scratch"] = np.full(0 if chain is None else program.chains[chain].size, 0xFF, np.uint8)
                for step in steps:
                    for node in (s.node for s in step.spec.stores):
                        part = image if node in step.by_image else WHOLE
                        if born.isdisjoint({(node, part), (node, WHOLE)}):
                            born.add((node, part))
                            _spoil(program, step, node, operand(step, node, image))
                    run(step, image)
    return [
        at(program.places[x][0], x, 0, x.type.size).reshape(x.shape) if x.type.size else np.zeros(x.shape, x.dtype)
        for x in program.results
    ]


def _spoil(program: Program, step: Step, node: Node, data: Array) -> None:
    """NaN everywhere but in the halo, unless the step computes with what is there."""
    buffer = program.kernels[step.kernel].buffers[list(step.arguments).index(node)]
    if buffer.role == "inout" or not is_float(node.dtype):
        return
    layout = program.layouts[node]
    extents = (1, *layout.extents[1:]) if node in step.by_image else layout.extents
    image = data.reshape([extents[d] for d in layout.order])
    image[tuple(slice(layout.low[d], layout.low[d] + layout.shape[d]) for d in layout.order)] = np.nan
