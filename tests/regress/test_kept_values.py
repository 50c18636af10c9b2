"""Values that a softmax keeps in its result's memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from lucid import ops
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build


def test_a_softmax_over_an_outer_axis_a_scalar_at_a_time() -> None:
    """Exponentials were kept in places where earlier turns of the outer loop had left results."""
    x = input_node(TensorType((3, 2), float32))
    graph = Graph([x], [ops.softmax(x, axis=0)])
    array = np.arange(6, dtype=np.float32).reshape(3, 2)
    scalar = replace(Target.of("baseline"), vector_bytes=4)
    np.testing.assert_allclose(build(graph, target=scalar)([array])[0], evaluate(graph, [array])[0], rtol=1e-6)
