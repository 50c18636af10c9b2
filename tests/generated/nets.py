"""Conv nets at random: layers of every kind after one another, their gradients, and updates in place.

Inputs are small whole numbers and every op keeps them whole, or halves them, so that sums are exact in any order and
one element read from the wrong place shows.
"""

from __future__ import annotations

import numpy as np

from lucid import ops
from lucid.autodiff import gradients
from lucid.ir.graph import Array, Graph, Node, input_node
from lucid.ir.types import TensorType, float32
from tests.generated.draws import Draw, chance, choice


class Net:
    """A graph in the making: its inputs, and the images and vectors computed so far."""

    def __init__(self, draw: Draw, most: int = 9):
        self.draw = draw
        self.inputs: list[Node] = []
        self.products = 0
        n, c = draw.number(1, 3), choice(draw, (1, 2, 3, 5, 8, 17, 16))
        self.images = [self.input(n, c, draw.number(3, 9), draw.number(3, 9))]
        for _ in range(draw.number(1, most)):
            self.step()

    def input(self, *shape: int) -> Node:
        self.inputs.append(input_node(TensorType(shape, float32)))
        return self.inputs[-1]

    def step(self) -> None:
        x = choice(self.draw, self.images)
        moves = [self.bias, self.relu, self.residual, self.pool, self.shift, self.flip, self.scale, self.concat]
        if self.products < 3:
            moves += [self.conv, self.conv, self.conv]
        y = choice(self.draw, moves)(x)
        if y is not None:
            self.images.append(y)

    def conv(self, x: Node) -> Node | None:
        _, c, h, w = x.shape
        if chance(self.draw, 3) and min(h, w) >= 3:  # 3 x 3 taps that slide
            kernel, stride, padding = (3, 3), (1, 1), ((1, 1), (1, 1))
        else:
            kernel = self.draw.number(1, 3), self.draw.number(1, 3)
            stride = self.draw.number(1, 2), self.draw.number(1, 2)
            padding = (self.draw.number(0, 2), self.draw.number(0, 2)), (1, 1)
        if h + sum(padding[0]) < kernel[0] or w + sum(padding[1]) < kernel[1]:
            return None
        groups = choice(self.draw, (1, 1, c))
        out = groups * choice(self.draw, (1, 2, 4, 16, 18)) if groups == 1 else c
        self.products += 1
        attrs = {"stride": stride, "padding": padding, "dilation": (1, 1), "groups": groups}
        return ops.conv2d(x, self.input(out, c // groups, *kernel), **attrs)

    def bias(self, x: Node) -> Node:
        return x + ops.reshape(self.input(x.shape[1]), shape=(1, x.shape[1], 1, 1))

    def relu(self, x: Node) -> Node:
        return ops.relu(x)

    def residual(self, x: Node) -> Node:
        return x + choice(self.draw, [y for y in self.images if y.type is x.type])

    def scale(self, x: Node) -> Node:
        return x * 0.5 - 1.0

    def pool(self, x: Node) -> Node | None:
        if min(x.shape[2:]) < 2:
            return None
        sides = choice(self.draw, (((0, 0), (0, 0)), ((1, 0), (0, 1))))
        attrs = {"kernel_size": (2, 2), "stride": choice(self.draw, ((2, 2), (1, 2))), "padding": sides}
        if chance(self.draw, 2):
            return ops.max_pool2d(x, dilation=(1, 1), **attrs)
        return ops.avg_pool2d(x, count_include_pad=True, **attrs)

    def shift(self, x: Node) -> Node:
        n, c, h, w = x.shape
        padded = ops.pad(x, low=(0, 0, 1, 0), high=(0, 0, 0, 2), interior=(0, 0, 0, 0), value=3.0)
        return ops.slice(padded, start=(0, 0, 0, 1), stop=(n, c, h, w + 1), step=(1, 1, 1, 1))

    def flip(self, x: Node) -> Node:
        return ops.flip(x, axes=(3,)) if chance(self.draw, 2) else ops.transpose(x, perm=(0, 1, 3, 2))

    def concat(self, x: Node) -> Node:
        return ops.concat(x, choice(self.draw, [y for y in self.images if y.type is x.type]), axis=1)

    def outputs(self) -> list[Node]:
        chosen = [choice(self.draw, self.images) for _ in range(self.draw.number(1, 2))]
        last = self.images[-1]
        n, c, h, w = last.shape
        flat = ops.reshape(last, shape=(n, c * h * w))
        head = ops.matmul(flat, ops.transpose(self.input(3, c * h * w), perm=(1, 0)))
        return [*chosen, head, ops.sum(last, axes=(0, 2, 3), keepdims=False)]


def net(draw: Draw) -> Graph:
    """A net's results."""
    made = Net(draw)
    outputs = made.outputs()
    return Graph(made.inputs, outputs)


def training(draw: Draw) -> Graph:
    """A net with the gradients of one of its outputs to everything it was given."""
    made = Net(draw)
    outputs = made.outputs()
    seed = made.input(*outputs[-2].shape)
    found = gradients([outputs[-2]], made.inputs[:-1], [seed])
    return Graph(made.inputs, [outputs[-2], *(g for g in found if g is not None)])


def trained(draw: Draw) -> tuple[Graph, dict[int, int]]:
    """A training graph whose last outputs are written over some of its inputs; some also depend on the new values."""
    graph = training(draw)
    outputs = list(graph.outputs)
    in_place: dict[int, int] = {}
    for k, x in enumerate(graph.inputs):
        if not chance(draw, 2):
            continue
        like = [y for y in (*outputs[1:], *graph.inputs) if y.type is x.type]
        new = x * 0.5 + choice(draw, like)
        in_place[len(outputs)] = k
        outputs.append(new)
        if chance(draw, 2):
            outputs.append(new + x if chance(draw, 2) else ops.relu(new))
    return Graph(graph.inputs, outputs), in_place


def whole(graph: Graph) -> list[Array]:
    """Small whole numbers for every input."""
    rng = np.random.default_rng(len(graph.nodes))
    return [rng.integers(-1, 2, x.shape).astype(np.float32) * (2 if len(x.shape) == 4 else 1) for x in graph.inputs]
