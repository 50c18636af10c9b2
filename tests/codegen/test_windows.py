"""Pooling and its gradients: windows without loops, one pass over memory each, right to the last border."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.asm import asm_stats, function, inner_loops
from lucid.codegen.program import generate
from lucid.codegen.schedule import Contraction, MapReduce
from lucid.codegen.target import Target
from lucid.ir.graph import Array, Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32, uint8
from lucid.runtime.executable import build
from tests.ir.graphs import assert_bitwise

AVX512 = Target.of("avx512")
HALVES = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
POINTWISE = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def trained(shape: tuple[int, int, int, int], attrs: dict[str, Any]) -> Graph:
    """Pooling between two convolutions, so that its images lie as they do in a network, and the gradient below it."""
    n, c, h, w = shape
    x, below, above = value(n, 3, h, w), value(c, 3, 1, 1), value(4, c, 1, 1)
    y = ops.max_pool2d(ops.relu(ops.conv2d(x, below, **POINTWISE)), **attrs)
    z = ops.conv2d(y, above, **POINTWISE)
    g = value(*z.shape)
    return Graph([x, below, above, g], [z, *gradients([z], [below, above], [g])])


def whole_numbers(graph: Graph) -> list[Array]:
    """Few enough values that many pixels tie."""
    rng = np.random.default_rng(0)
    return [rng.integers(-1, 2, x.shape).astype(np.float32) for x in graph.inputs]


def test_maxima_and_their_places_are_one_kernel_and_so_is_the_gradient() -> None:
    program = generate(trained((2, 32, 8, 8), HALVES), AVX512)
    pools = [step for step in program.steps if not isinstance(step.schedule, Contraction) and "pool" in step.spec.name]
    forward, backward = (step for step in pools if len(step.spec.stores) > 1)
    assert [s.node.dtype for s in forward.spec.stores] == [float32, uint8]
    assert len(backward.spec.stores) == 4
    assert len({s.node for s in backward.spec.stores}) == 1
    assert forward.schedule == MapReduce(16, 4, window=4)
    assert backward.schedule == MapReduce(16, 4, window=1)


def test_strided_convolutions_keep_a_kernel_for_each_phase() -> None:
    x, w = value(1, 8, 8, 8), value(16, 8, 3, 3)
    y = ops.conv2d(x, w, stride=(2, 2), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1)
    g = value(*y.shape)
    steps = generate(Graph([w, g], gradients([y], [x], [g])), AVX512).steps
    assert sum(isinstance(step.schedule, Contraction) for step in steps) == 4


@settings(max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_window_and_its_gradients(data: st.DataObject) -> None:
    def two(low: int, high: int) -> tuple[int, int]:
        return data.draw(st.integers(low, high)), data.draw(st.integers(low, high))

    kernel = two(1, 4)
    pads = tuple((data.draw(st.integers(0, k // 2)), data.draw(st.integers(0, k // 2))) for k in kernel)
    attrs = {"kernel_size": kernel, "stride": two(1, 3), "padding": pads, "dilation": two(1, 2)}
    shape = (1, data.draw(st.sampled_from([1, 5, 17, 32])), *two(7, 10))
    graph = trained(shape, attrs)
    arrays = whole_numbers(graph)
    want = evaluate(graph, arrays)
    assert_bitwise(build(graph)(arrays), want)


@pytest.mark.parametrize("special", [np.nan, np.inf, -np.inf])
def test_special_pixels_are_chosen_as_in_the_interpreter(special: float) -> None:
    x = value(2, 16, 6, 7)
    graph = Graph([x], [ops.max_pool2d(x, **HALVES), ops.max_pool2d_index(x, **HALVES)])
    rng = np.random.default_rng(1)
    array = np.where(rng.random(x.shape) < 0.4, special, rng.integers(-1, 2, x.shape)).astype(np.float32)
    assert_bitwise(build(graph)([array]), evaluate(graph, [array]))


@pytest.mark.skipif(not Target.host().supports(AVX512), reason="needs AVX-512")
def test_pooling_in_machine_code_has_no_loop_over_its_window() -> None:
    executable = build(trained((8, 32, 16, 16), HALVES))
    text = executable.text("asm")
    steps = [s for s in executable.program.steps if "pool" in s.spec.name and len(s.spec.stores) > 1]
    assert len(steps) == 2
    for step in steps:
        body = function(text, f"k{step.kernel}.range") or function(text, f"k{step.kernel}")
        assert "vpgather" not in body
        assert "vpinsr" not in body
        (loop,) = inner_loops(body)
        stats = asm_stats(loop)
        assert stats.calls == stats.vector_spills == 0
