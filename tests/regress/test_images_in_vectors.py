"""Gradients to few weights, of which every image has a part: images are not what vectors run along."""

from __future__ import annotations

import numpy as np
import pytest

from lucid import ops
from lucid.ir.graph import Graph, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build


@pytest.mark.parametrize(("channels", "outputs", "size", "groups"), [(8, 4, 16, 1), (1, 4, 24, 1), (4, 4, 16, 4)])
def test_few_channels_of_many_images(channels: int, outputs: int, size: int, groups: int) -> None:
    """Winograd's gradient took 16 images for 16 channels of one: wrong numbers."""
    x, g = (input_node(TensorType((16, c, size, size), float32)) for c in (channels, outputs))
    same = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": groups}
    graph = Graph([x, g], [ops.conv2d_weight_grad(x, g, kernel_size=(3, 3), **same)])
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-2, 3, n.shape).astype(np.float32) for n in (x, g)]
    np.testing.assert_array_equal(build(graph)(arrays)[0], evaluate(graph, arrays)[0])
