"""Halos that are zeroed in every run: exactly the ring, before anything is read, in memory that others use too."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lucid import ops
from lucid.codegen.access import place
from lucid.codegen.interpret import interpret
from lucid.codegen.layout import Layout
from lucid.codegen.lower_map import lower_naive
from lucid.codegen.program import generate
from lucid.codegen.rings import ring_kernels
from lucid.codegen.simulate import simulate
from lucid.codegen.strategy import zeroed_each_run
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 3, 1), (3, 1, 0, 2)])
@pytest.mark.parametrize(
    ("low", "high"),
    [
        ((0, 0, 1, 1), (0, 0, 1, 1)),
        ((0, 0, 1, 2), (0, 0, 0, 2)),
        ((0, 0, 0, 3), (0, 0, 2, 0)),
        ((1, 0, 2, 0), (0, 4, 1, 0)),
    ],
)
def test_every_element_of_the_ring_and_no_other(
    order: tuple[int, ...], low: tuple[int, ...], high: tuple[int, ...]
) -> None:
    node = value(2, 3, 5, 4)
    layout = Layout.ordered(node.shape, order).with_halo(low, high)
    memory = np.full(layout.size, 7, np.float32)
    for spec in ring_kernels(node, layout):
        interpret(lower_naive(place(spec, {node: layout}), "ring"), [memory])
    image = memory.reshape([layout.extents[d] for d in order]).transpose(np.argsort(order))
    inner = tuple(slice(a, a + n) for a, n in zip(low, node.shape, strict=True))
    assert (image[inner] == 7).all()
    assert (image == 7).sum() == node.type.size
    assert (image == 0).sum() == layout.size - node.type.size


def net(channels: int, size: int) -> Graph:
    """Two depthwise convolutions of different padding between pointwise ones."""
    x, first, last = value(1, 4, size, size), value(channels, 4, 1, 1), value(4, channels, 1, 1)
    taps = [value(channels, 1, 3, 3), value(channels, 1, 5, 5)]
    plain = {"stride": (1, 1), "dilation": (1, 1)}
    y = ops.relu(ops.conv2d(x, first, padding=((0, 0), (0, 0)), groups=1, **plain))
    for w in taps:
        side = (w.shape[2] // 2, w.shape[2] // 2)
        y = ops.relu(ops.conv2d(y, w, padding=(side, side), groups=channels, **plain))
    return Graph([x, first, last, *taps], [ops.conv2d(y, last, padding=((0, 0), (0, 0)), groups=1, **plain)])


def test_large_values_share_memory_in_spite_of_their_halos() -> None:
    small_caches = replace(Target.of("avx512"), l2=2**12)
    graph = net(4, 64)
    program = generate(graph, small_caches, parameters=graph.inputs[1:])
    kept = generate(graph, replace(small_caches, l2=2**30), parameters=graph.inputs[1:])
    written = [step for step in program.steps if not step.spec.nodes]
    values = {store.node for step in written for store in step.spec.stores}
    assert len(values) >= 2
    assert len(written) == 2 * len(values)  # rows and columns
    assert all(step.spec.name == "halo" for step in written)
    assert not any(step.spec.nodes == () for step in kept.steps)
    assert program.arena.size + program.static.size < kept.arena.size + kept.static.size
    arrays = [np.random.default_rng(1).standard_normal(n.shape, np.float32) for n in graph.inputs]
    (exact,) = evaluate(graph, arrays)
    for runs in (1, 2):  # memory holds NaN at first, and then what the run before left
        (got,) = simulate(program, arrays, runs)
        np.testing.assert_allclose(got, exact, rtol=1e-4, atol=1e-4)


def test_thick_rings_and_small_values_keep_memory_of_their_own() -> None:
    target = Target.of("avx512")
    large = Layout.plain((1, 512, 64, 64))
    assert zeroed_each_run(large.with_halo((0, 0, 1, 1), (0, 0, 1, 1)), float32, target)
    assert not zeroed_each_run(large, float32, target)
    assert not zeroed_each_run(large.with_halo((0, 0, 9, 9), (0, 0, 9, 9)), float32, target)
    assert not zeroed_each_run(Layout.plain((1, 8, 64, 64)).with_halo((0, 0, 1, 1), (0, 0, 1, 1)), float32, target)
