"""Where Winograd's algorithm would not be as exact as promised."""

from __future__ import annotations

import numpy as np

from lucid import ops
from lucid.codegen.program import generate
from lucid.codegen.schedule import Winograd, WinogradGradient
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def test_the_gradient_to_a_tap_that_meets_padding_only_is_zero() -> None:
    """Rounding of its neighbours' sums was left in it: what should be zero exactly was 2e-6."""
    x, g = value(1, 5, 1, 23), value(1, 48, 4, 21)
    attrs = {"kernel_size": (3, 3), "stride": (1, 1), "padding": ((4, 1), (0, 0)), "dilation": (1, 1), "groups": 1}
    graph = Graph([x, g], [ops.conv2d_weight_grad(x, g, **attrs)])
    rng = np.random.default_rng(0)
    (got,) = build(graph)([rng.standard_normal(n.shape).astype(np.float32) for n in (x, g)])
    assert (got[:, :, 0] == 0).all()
    assert np.abs(got[:, :, 1:]).min(axis=(0, 1)).max() > 0


def test_ordinary_padding_keeps_winograds_gradient() -> None:
    x, g = value(2, 32, 12, 12), value(2, 32, 12, 12)
    same = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    graph = Graph([x, g], [ops.conv2d_weight_grad(x, g, kernel_size=(3, 3), **same)])
    assert any(isinstance(s.schedule, WinogradGradient) for s in generate(graph, Target.of("avx512")).steps)


def test_sums_of_few_channels_are_direct() -> None:
    """At the corners of an input gradient a window has one tap: of few channels, few products."""
    w, g = value(7, 64, 3, 3), value(1, 7, 32, 32)
    attrs = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
    graph = Graph([w, g], [ops.conv2d_input_grad(g, w, input_size=(34, 34), **attrs)])
    for level in ("baseline", "avx2", "avx512"):
        program = generate(graph, Target.of(level), parameters=[w])
        assert not any(isinstance(s.schedule, Winograd) for s in program.steps)
