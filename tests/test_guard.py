"""Compiled code stays inside of its memory, and the guard that says so works."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.autodiff import gradients
from lucid.ir.graph import Graph, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32
from lucid.ops import conv2d, exp, max_pool2d, relu, softmax
from lucid.runtime.executable import build
from tests.guard import guard, guarded


def test_an_access_out_of_bounds_ends_the_process() -> None:
    code = (
        "import numpy as np, ctypes\n"
        "from tests.guard import guarded\n"
        "x = guarded((5,), np.float32, 0, place={!r})\n"
        "assert x.sum() == 0\n"
        "print('inside', flush=True)\n"
        "ctypes.c_byte.from_address(x.ctypes.data + ({})).value\n"
        "print('outside', flush=True)\n"
    )
    for place, offset, inside in (("end", 16, True), ("end", 20, False), ("begin", 0, True), ("begin", -1, False)):
        command = [sys.executable, "-c", code.format(place, offset)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout == ("inside\noutside\n" if inside else "inside\n")
        assert (done.returncode == 0) == inside


def test_what_is_not_written_shows() -> None:
    x = guarded((3, 5), np.float64, 0xFF)
    assert np.isnan(x).all()
    assert guarded((0, 4), np.float32, 0).shape == (0, 4)


@pytest.mark.parametrize("channels", [1, 3, 17])
@pytest.mark.parametrize("size", [5, 8, 19])
@pytest.mark.parametrize("images", [1, 2, 3])
def test_convolutions_and_their_gradients(channels: int, size: int, images: int) -> None:
    x, w = (input_node(TensorType(s, float32)) for s in ((images, channels, size, size), (18, channels, 3, 3)))
    y = relu(conv2d(x, w, stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1))
    z = max_pool2d(y, kernel_size=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))
    g = input_node(z.type)
    graph = Graph([x, w, g], [z, softmax(exp(z), axis=3), *(d for d in gradients([z], [x, w], [g]) if d is not None)])
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(n.shape).astype(np.float32) for n in graph.inputs]
    with guard():
        run = build(graph)
        for _ in range(2):
            for a, b in zip(run(arrays), evaluate(graph, arrays), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)


def test_a_network_and_its_training_step() -> None:
    with guard():
        lucid.manual_seed(0)
        model = lucid.models.CifarResNet(8, num_classes=3, in_channels=1)
        optimizer = lucid.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        def step(x: lucid.Tensor, y: lucid.Tensor) -> lucid.Tensor:
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        x, y = lucid.randn(6, 1, 13, 11), lucid.tensor([0, 1, 2, 0, 1, 2])
        compiled = lucid.compile(step)
        losses = [compiled(x, y).item() for _ in range(8)]
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
