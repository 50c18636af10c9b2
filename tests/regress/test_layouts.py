"""Images that lie otherwise than their readers want."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from lucid import ops
from lucid.codegen import strategy
from lucid.codegen.program import generate
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build
from lucid.runtime.orders import Orders

SAME = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def weight_gradient(image: Node, g: Node) -> Node:
    return ops.conv2d_weight_grad(image, g, kernel_size=(3, 3), **SAME)


def same_as_interpreted(graph: Graph) -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-3, 4, x.shape).astype(np.float32) for x in graph.inputs]
    for got, want in zip(build(graph)(arrays), evaluate(graph, arrays), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_weight_gradient_of_an_image_that_is_a_result_too() -> None:
    """Results lie in C order, and Winograd's gradient needs the image's channels side by side: a ScheduleError."""
    x, g = value(2, 32, 12, 12), value(2, 32, 12, 12)
    image = ops.relu(x)
    same_as_interpreted(Graph([x, g], [image, weight_gradient(image, g)]))


@pytest.mark.parametrize("perm", [(0, 3, 1, 2), (1, 0, 2, 3), (0, 2, 1, 3)])
@pytest.mark.parametrize("use", [weight_gradient, lambda image, w: ops.conv2d(image, w, **SAME)])
def test_images_given_in_another_order(use: Callable[[Node, Node], Node], perm: tuple[int, ...]) -> None:
    """The copy that Winograd reads had dimension 1 innermost, which in an NHWC array is its height: a ScheduleError."""
    shape = (2, 32, 12, 12)
    given = [shape[perm.index(d)] for d in range(4)]
    x = value(*given)
    other = value(*(shape if use is weight_gradient else (32, 32, 3, 3)))
    same_as_interpreted(Graph([x, other], [use(ops.transpose(x, perm=perm), other)]))


def test_what_is_packed_from_a_result_keeps_its_padding(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result's inner copy had a halo that nobody knew of: panels packed from it were read outside of the image."""
    for name, least in (("PAGE", 64), ("PAGES_KNOWN", 4), ("COPY_PAYS", 1)):
        monkeypatch.setattr(strategy, name, least)  # small images are packed like large ones
    x, w, g, v = value(1, 1, 3, 3), value(16, 1, 1, 1), value(1, 16, 3, 5), value(16, 16, 1, 1)
    wide = {**SAME, "padding": ((0, 0), (1, 1))}
    image = ops.conv2d(x, w, **{**wide, "stride": (1, 2)})
    gradients = [
        ops.conv2d_weight_grad(image, g, kernel_size=(1, 1), **wide),
        ops.conv2d_input_grad(g, v, input_size=(3, 3), **wide),
    ]
    graph = Graph([x, w, g, v], [image, ops.conv2d(image, v, **wide), *gradients])
    arrays = [np.ones(n.shape, np.float32) for n in graph.inputs]
    program = generate(graph, Target.of("baseline"))
    for got, want in zip(simulate(program, arrays), evaluate(graph, arrays), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_strided_gradient_to_an_image_of_one_pixel_that_counts() -> None:
    """Phases of one element have no axes to be put side by side along: an IndexError."""
    g, w = value(1, 1, 1, 1), value(1, 1, 1, 1)
    attrs = {**SAME, "stride": (1, 2), "padding": ((0, 0), (0, 0))}
    same_as_interpreted(Graph([g, w], [ops.conv2d_input_grad(g, w, input_size=(1, 2), **attrs)]))


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
def test_a_gradient_far_smaller_than_the_window_is_guarded_in_panels_too(level: str) -> None:
    """A ring of zeros would be much wider than the gradient itself: it has none, and what lay beside it was added."""
    w, g = value(4, 1, 3, 3), value(4, 4, 1, 1)
    attrs = {**SAME, "padding": ((0, 0), (0, 0)), "dilation": (1, 3), "groups": 2}
    graph = Graph([w, g], [ops.conv2d_input_grad(g, w, input_size=(3, 7), **attrs)])
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-3, 4, x.shape).astype(np.float32) for x in graph.inputs]
    (want,) = evaluate(graph, arrays)
    if not Target.host().supports(Target.of(level)):
        pytest.skip(f"this machine has no {level}")
    last = (0, 2, 3, 1)
    target = Target.of(level)
    for narrow in (target, replace(target, vector_bytes=4, winograd=False)):
        run = build(graph, target=narrow, orders=Orders({1: last}, {0: last}))
        for _ in range(3):
            np.testing.assert_array_equal(run(arrays)[0], want)
