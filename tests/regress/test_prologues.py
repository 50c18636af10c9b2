"""Values written in parts, some of them in the prologue, or of all images before others are of one."""

from __future__ import annotations

from dataclasses import replace
from unittest.mock import patch

import numpy as np

from lucid import ops
from lucid.codegen import strategy_chains
from lucid.codegen.program import generate
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32


def test_a_value_of_which_a_part_is_written_in_the_prologue() -> None:
    """Pixels that no window covers hang on the parameter alone; the simulator wiped them out before the others came."""
    x, g = (input_node(TensorType((1, 3, n, n), float32)) for n in (3, 2))
    window = {"kernel_size": (1, 1), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
    index = ops.max_pool2d_index(x, **window)
    grad = ops.max_pool2d_input_grad(g, index, input_size=(3, 3), **window)
    graph = Graph([x, g], [ops.sum(ops.mul(grad, ops.sign(x)), axes=(1,), keepdims=False)])
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-3, 4, n.shape).astype(np.float32) for n in (x, g)]
    program = generate(graph, Target.of("avx2"), parameters=[x])
    written = [{s.node for step in steps for s in step.spec.stores} for steps in (program.prologue, program.steps)]
    assert written[0] & written[1], "no value is written in both"
    for got, want in zip(simulate(program, arrays, runs=2), evaluate(graph, arrays), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_value_of_which_a_part_is_written_before_a_chain_begins() -> None:
    """Some phases of a gradient ran for the whole batch, others by image: the simulator wiped out the first ones."""
    w, g = (input_node(TensorType(shape, float32)) for shape in ((3, 1, 3, 3), (3, 3, 6, 4)))
    attrs = {"stride": (3, 2), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 3}
    graph = Graph([w, g], [ops.conv2d_input_grad(g, w, input_size=(17, 8), **attrs)])
    arrays = [np.ones(n.shape, np.float32) for n in (w, g)]
    target = replace(Target.of("avx512"), l1=1024, l2=4096, l3=16384)
    with patch.object(strategy_chains, "SMALLEST_IMAGE", 16), patch.object(strategy_chains, "MANY_IMAGES", 3):
        program = generate(graph, target)
    (chain,) = program.chains
    within = {s.node for step in program.steps[chain.first : chain.last] for s in step.spec.stores}
    assert within & {s.node for step in program.steps[: chain.first] for s in step.spec.stores}
    np.testing.assert_array_equal(simulate(program, arrays)[0], evaluate(graph, arrays)[0])
