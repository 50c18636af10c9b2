"""Random conv-net graphs, compiled, against the graph interpreter: fusion, layouts, halos and memory together.

Inputs are small whole numbers and every op keeps them whole, so that sums are exact in any order and one element read
from the wrong place shows.
"""

from __future__ import annotations

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.program import generate
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.ir.graph import Array, Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build
from tests.ir.graphs import assert_bitwise, random_graphs, tricky_inputs

QUICK = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


class Net:
    """A graph in the making: its inputs, and the images and vectors computed so far."""

    def __init__(self, draw: st.DrawFn):
        self.draw = draw
        self.inputs: list[Node] = []
        self.products = 0
        n, c = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 3, 5, 8, 17]))
        self.images = [self.input(n, c, draw(st.integers(3, 9)), draw(st.integers(3, 9)))]
        for _ in range(draw(st.integers(1, 9))):
            self.step()

    def input(self, *shape: int) -> Node:
        self.inputs.append(input_node(TensorType(shape, float32)))
        return self.inputs[-1]

    def step(self) -> None:
        x = self.draw(st.sampled_from(self.images))
        moves = [self.bias, self.relu, self.residual, self.pool, self.shift, self.flip, self.scale, self.concat]
        if self.products < 3:
            moves += [self.conv, self.conv, self.conv]
        y = self.draw(st.sampled_from(moves))(x)
        if y is not None:
            self.images.append(y)

    def conv(self, x: Node) -> Node | None:
        _, c, h, w = x.shape
        kernel = self.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        stride = self.draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        padding = self.draw(st.tuples(st.tuples(st.integers(0, 2), st.integers(0, 2)), st.just((1, 1))))
        if h + sum(padding[0]) < kernel[0] or w + sum(padding[1]) < kernel[1]:
            return None
        groups = self.draw(st.sampled_from([1, 1, c]))
        out = groups * self.draw(st.sampled_from([1, 2, 4, 16, 18])) if groups == 1 else c
        self.products += 1
        attrs = {"stride": stride, "padding": padding, "dilation": (1, 1), "groups": groups}
        return ops.conv2d(x, self.input(out, c // groups, *kernel), **attrs)

    def bias(self, x: Node) -> Node:
        return x + ops.reshape(self.input(x.shape[1]), shape=(1, x.shape[1], 1, 1))

    def relu(self, x: Node) -> Node:
        return ops.relu(x)

    def residual(self, x: Node) -> Node:
        return x + self.draw(st.sampled_from([y for y in self.images if y.type is x.type]))

    def scale(self, x: Node) -> Node:
        return x * 0.5 - 1.0

    def pool(self, x: Node) -> Node | None:
        if min(x.shape[2:]) < 2:
            return None
        sides = self.draw(st.sampled_from([((0, 0), (0, 0)), ((1, 0), (0, 1))]))
        attrs = {"kernel_size": (2, 2), "stride": self.draw(st.sampled_from([(2, 2), (1, 2)])), "padding": sides}
        if self.draw(st.booleans()):
            return ops.max_pool2d(x, dilation=(1, 1), **attrs)
        return ops.avg_pool2d(x, count_include_pad=True, **attrs)

    def shift(self, x: Node) -> Node:
        n, c, h, w = x.shape
        padded = ops.pad(x, low=(0, 0, 1, 0), high=(0, 0, 0, 2), interior=(0, 0, 0, 0), value=3.0)
        return ops.slice(padded, start=(0, 0, 0, 1), stop=(n, c, h, w + 1), step=(1, 1, 1, 1))

    def flip(self, x: Node) -> Node:
        return ops.flip(x, axes=(3,)) if self.draw(st.booleans()) else ops.transpose(x, perm=(0, 1, 3, 2))

    def concat(self, x: Node) -> Node:
        return ops.concat(x, self.draw(st.sampled_from([y for y in self.images if y.type is x.type])), axis=1)

    def outputs(self) -> list[Node]:
        chosen = self.draw(st.lists(st.sampled_from(self.images), min_size=1, max_size=2))
        last = self.images[-1]
        n, c, h, w = last.shape
        flat = ops.reshape(last, shape=(n, c * h * w))
        head = ops.matmul(flat, ops.transpose(self.input(3, c * h * w), perm=(1, 0)))
        return [*chosen, head, ops.sum(last, axes=(0, 2, 3), keepdims=False)]


@st.composite
def nets(draw: st.DrawFn) -> Graph:
    net = Net(draw)
    outputs = net.outputs()
    return Graph(net.inputs, outputs)


@st.composite
def training(draw: st.DrawFn) -> Graph:
    """A net with the gradients of one of its outputs to everything it was given."""
    net = Net(draw)
    outputs = net.outputs()
    seed = net.input(*outputs[-2].shape)
    found = gradients([outputs[-2]], net.inputs[:-1], [seed])
    return Graph(net.inputs, [outputs[-2], *(g for g in found if g is not None)])


@st.composite
def trained(draw: st.DrawFn) -> tuple[Graph, dict[int, int]]:
    """A training graph whose last outputs are written over some of its inputs; some also depend on the new values."""
    graph = draw(training())
    outputs = list(graph.outputs)
    in_place: dict[int, int] = {}
    for k, x in enumerate(graph.inputs):
        if not draw(st.booleans()):
            continue
        like = [y for y in (*outputs[1:], *graph.inputs) if y.type is x.type]
        new = x * 0.5 + draw(st.sampled_from(like))
        in_place[len(outputs)] = k
        outputs.append(new)
        if draw(st.booleans()):
            outputs.append(new + x if draw(st.booleans()) else ops.relu(new))
    return Graph(graph.inputs, outputs), in_place


def whole(graph: Graph) -> list[Array]:
    rng = np.random.default_rng(len(graph.nodes))
    return [rng.integers(-1, 2, x.shape).astype(np.float32) * (2 if len(x.shape) == 4 else 1) for x in graph.inputs]


@QUICK
@given(nets())
def test_random_nets(graph: Graph) -> None:
    arrays = whole(graph)
    np.testing.assert_equal(build(graph)(arrays), evaluate(graph, arrays))


@QUICK
@given(training())
def test_random_training_graphs(graph: Graph) -> None:
    arrays = whole(graph)
    for got, want in zip(build(graph)(arrays), evaluate(graph, arrays), strict=True):
        # A product of three layers may pass 2**24, where whole numbers begin to be rounded.
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-3)


@settings(parent=QUICK, max_examples=15)
@given(nets())
def test_random_nets_in_the_loop_interpreter(graph: Graph) -> None:
    """Every access inside its buffer, and nothing read before it was written or after its memory has passed on."""
    arrays = whole(graph)
    np.testing.assert_equal(simulate(generate(graph, Target.of("avx2")), arrays, runs=2), evaluate(graph, arrays))


@settings(parent=QUICK, max_examples=40)
@given(trained())
def test_random_updates_in_place(case: tuple[Graph, dict[int, int]]) -> None:
    """Inputs overwritten by a program that other kernels read: as if all updates were made after everything else."""
    graph, in_place = case
    arrays = whole(graph)
    want = evaluate(graph, arrays)
    got = build(graph, in_place=in_place)([a.copy() for a in arrays])
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-3)


@settings(parent=QUICK, max_examples=10)
@given(trained())
def test_random_updates_in_the_loop_interpreter(case: tuple[Graph, dict[int, int]]) -> None:
    graph, in_place = case
    arrays = whole(graph)
    want = evaluate(graph, arrays)
    got = simulate(generate(graph, Target.of("avx2"), in_place=in_place), [a.copy() for a in arrays])
    for k, (x, y) in enumerate(zip(got, want, strict=True)):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-3, err_msg=f"output {k}")


@settings(parent=QUICK, max_examples=120)
@given(random_graphs(), st.integers(0, 99))
def test_random_small_graphs_of_every_kind(graph: Graph, seed: int) -> None:
    """Size 0 and 1, broadcasting, integers and bools, NaN and infinities."""
    arrays = tricky_inputs(graph, seed)
    for got, want, node in zip(build(graph)(arrays), evaluate(graph, arrays), graph.outputs, strict=True):
        if node.dtype == float32:
            np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-5)
        else:
            assert_bitwise([got], [want])
