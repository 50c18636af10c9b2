"""Vectors of every n-th element, and results that alternate in memory: shuffled, and never out of bounds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.asm import function
from lucid.codegen.program import generate
from lucid.codegen.simulate import simulate
from lucid.codegen.strides import LONGEST_STEP
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import DType, TensorType, bool_, float32, float64, int64, uint8
from lucid.runtime.executable import build
from tests.ir.graphs import assert_bitwise

AVX512 = Target.of("avx512")
QUICK = settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def sliced(n: int, start: int, step: int, dtype: DType = float32) -> Graph:
    x = input_node(TensorType((3, n), dtype))
    return Graph([x], [ops.slice(x, start=(0, start), stop=(3, n), step=(1, step))])


@QUICK
@given(
    st.integers(1, 150), st.integers(0, 3), st.integers(2, 6), st.sampled_from([float32, float64, int64, uint8, bool_])
)
def test_every_nth_element(n: int, start: int, step: int, dtype: DType) -> None:
    graph = sliced(n, min(start, n), step, dtype)
    array = np.random.default_rng(0).integers(0, 2 if dtype == bool_ else 100, (3, n)).astype(dtype)
    want = evaluate(graph, [array])
    assert_bitwise(build(graph)([array]), want)
    simulated = simulate(generate(graph, AVX512), [array])  # checks every access against the buffer's bounds
    assert_bitwise([y.reshape(w.shape) for y, w in zip(simulated, want, strict=True)], want)


@QUICK
@given(st.data())
def test_pooling_of_images_as_they_come(data: st.DataObject) -> None:
    """Rows are contiguous: windows step along the vectors, and so do the gradients' results."""
    step = data.draw(st.sampled_from([(1, 2), (2, 2), (2, 3), (3, 1)]))
    kernel = data.draw(st.sampled_from([(1, 2), (2, 2), (3, 3), (2, 4)]))
    size = data.draw(st.integers(4, 6)), data.draw(st.sampled_from([4, 17, 32, 33, 40, 67]))
    pad = data.draw(st.sampled_from([0, 1])) if min(kernel) > 1 else 0
    attrs: dict[str, Any] = {"kernel_size": kernel, "stride": step, "padding": ((pad, pad), (0, pad))}
    x = input_node(TensorType((1, 2, *size), float32))
    if data.draw(st.booleans()):
        y = ops.max_pool2d(x, dilation=(1, 1), **attrs)
    else:
        y = ops.avg_pool2d(x, count_include_pad=True, **attrs)
    g = input_node(y.type)
    graph = Graph([x, g], [y, *gradients([y], [x], [g])])
    rng = np.random.default_rng(0)
    arrays = [12.0 * rng.integers(-2, 3, n.shape).astype(np.float32) for n in graph.inputs]
    want = evaluate(graph, arrays)
    for got in (build(graph)(arrays), simulate(generate(graph, AVX512), arrays)):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a.reshape(b.shape), b, rtol=1e-6)


@pytest.mark.skipif(not Target.host().supports(AVX512), reason="needs AVX-512")
@pytest.mark.parametrize("step", range(2, LONGEST_STEP + 2))
def test_short_steps_are_shuffled_in_machine_code(step: int) -> None:
    executable = build(sliced(1000, 1, step))
    assert ("vgather" in executable.text("asm")) == (step > LONGEST_STEP)


@pytest.mark.skipif(not Target.host().supports(AVX512), reason="needs AVX-512")
def test_the_gradient_of_pooling_writes_whole_vectors() -> None:
    attrs = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "count_include_pad": True}
    x = input_node(TensorType((1, 2, 64, 64), float32))
    y = ops.avg_pool2d(x, **attrs)
    g = input_node(y.type)
    executable = build(Graph([g], gradients([y], [x], [g])))
    body = function(executable.text("asm"), "k0.range") or function(executable.text("asm"), "k0")
    assert "vscatter" not in body
    assert "vperm" in body or "vunpck" in body
