"""Small convolutional nets drawn at random, forward and backward, against float64: layouts, Winograd, depthwise, phases
and fusion meet here as they do in real nets.
"""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import DType, TensorType, float32, float64
from lucid.runtime.executable import build

LEVELS = [t for t in ("avx512", "avx2") if Target.host().supports(Target.of(t))] or ["baseline"]
#: A layer: kernel size, stride, output channels, groups (0 is depthwise), what follows, whether its input is added.
Layer = tuple[int, int, int, int, str, bool]


@st.composite
def nets(draw: st.DrawFn) -> tuple[tuple[int, int, int], list[Layer]]:
    """The image's batch, channels and size; and layers."""
    layer = st.tuples(
        st.sampled_from([1, 3, 3, 3, 5]),
        st.sampled_from([1, 1, 1, 2]),
        st.sampled_from([8, 16, 32, 48, 64]),
        st.sampled_from([1, 1, 1, 0, 2]),
        st.sampled_from(["relu", "relu", "none", "pool", "scale"]),
        st.booleans(),
    )
    image = draw(st.tuples(st.integers(1, 4), st.sampled_from([3, 8, 16, 32, 64]), st.integers(8, 16)))
    return image, draw(st.lists(layer, min_size=2, max_size=3))


def net(image: tuple[int, int, int], layers: list[Layer], dtype: DType) -> Graph:
    """The result and the gradients to the image and all weights; the cotangent is the last input."""
    batch, channels, size = image
    inputs = [input_node(TensorType((batch, channels, size, size), dtype))]
    x = inputs[0]
    for kernel, stride, wanted, groups, after, residual in layers:
        came, channels = x, x.shape[1]
        outputs, parts = (channels, channels) if groups == 0 else (wanted, groups if channels % groups == 0 else 1)
        weights = input_node(TensorType((outputs, channels // parts, kernel, kernel), dtype))
        inputs.append(weights)
        sides = ((kernel // 2, kernel // 2),) * 2
        x = ops.conv2d(x, weights, stride=(stride, stride), padding=sides, dilation=(1, 1), groups=parts)
        if after == "scale":
            inputs.append(input_node(TensorType((1, outputs, 1, 1), dtype)))
            x = x * inputs[-1]
        if residual and x.shape == came.shape:
            x = x + came
        if after in ("relu", "scale"):
            x = ops.relu(x)
        elif after == "pool" and x.shape[2] >= 4:
            x = ops.max_pool2d(x, kernel_size=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))
    g = input_node(x.type)
    found = [d for d in gradients([x], inputs, [g]) if d is not None]
    return Graph([*inputs, g], [x, *found])


@settings(max_examples=8, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(nets(), st.sampled_from(LEVELS))
def test_results_and_gradients(case: tuple[tuple[int, int, int], list[Layer]], level: str) -> None:
    graph, exact = net(*case, float32), net(*case, float64)
    rng = np.random.default_rng(7)
    arrays = [rng.standard_normal(node.shape).astype(np.float32) for node in graph.inputs]
    run = build(graph, parameters=graph.inputs[1:-1], target=Target.of(level))
    wide = evaluate(exact, [a.astype(np.float64) for a in arrays])
    for k, (got, want) in enumerate(zip(run(arrays), wide, strict=True)):
        assert np.abs(got - want).max() <= 3e-5 * np.abs(want).max(), f"result {k}"
