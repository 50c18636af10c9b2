"""Errors of convolutions, their gradients and matrix products, as parts of the published bound.

The bound on each element of a sum of K products is ``(4 + 2 sqrt(K)) * 1.5 * eps * sum |a||b|``. Shapes come from a
``Draw``, so that a property test and a measurement draw the same ones.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from lucid.codegen.schedule import Winograd, WinogradGradient
from lucid.codegen.target import Target
from lucid.ir.graph import Array, Graph, Op, input_node
from lucid.ir.types import TensorType, float32
from lucid.ops import conv2d, conv2d_input_grad, conv2d_weight_grad, matmul
from lucid.runtime.executable import Executable, build

#: An integer between two, both included.
Draw = Callable[[int, int], int]
Shape = tuple[int, ...]


class Case(NamedTuple):
    """An op on two operands; each element of its result is a sum of ``length`` products."""

    op: Op
    shapes: tuple[Shape, Shape]
    attrs: dict[str, Any]
    length: int


class Geometry(NamedTuple):
    """A convolution: its image, weights and attributes."""

    image: Shape
    weights: Shape
    attrs: dict[str, Any]

    @property
    def result(self) -> Shape:
        types = [TensorType(s, float32) for s in (self.image, self.weights)]
        shape: Shape = conv2d.infer(*types, **self.attrs).shape
        return shape

    def forward(self) -> Case:
        return Case(conv2d, (self.image, self.weights), self.attrs, int(np.prod(self.weights[1:])))

    def to_input(self) -> Case:
        attrs = {**self.attrs, "input_size": self.image[2:]}
        taps = self.weights[2] * self.weights[3]
        length = self.weights[0] // self.attrs["groups"] * taps
        return Case(conv2d_input_grad, (self.result, self.weights), attrs, length)

    def to_weights(self) -> Case:
        attrs = {**self.attrs, "kernel_size": self.weights[2:]}
        n, _, height, width = self.result
        return Case(conv2d_weight_grad, (self.image, self.result), attrs, n * height * width)


def any_geometry(draw: Draw, *, grouped: bool = False, depthwise: bool = False) -> Geometry:
    channels, outputs = draw(1, 40), draw(1, 70)
    groups = draw(2, 4) if grouped else 1
    if depthwise:
        groups, channels, outputs = draw(2, 70), 1, draw(1, 2)
    kernel, stride, dilation = ((draw(1, 5), draw(1, 5)), (draw(1, 3), draw(1, 3)), (draw(1, 2), draw(1, 2)))
    padding = ((draw(0, 2), draw(0, 2)), (draw(0, 2), draw(0, 2)))
    least = [d * (k - 1) + 1 - sum(p) for d, k, p in zip(dilation, kernel, padding, strict=True)]
    size = [max(1, span) + draw(0, 9) for span in least]
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return Geometry((draw(1, 3), channels * groups, *size), (outputs * groups, channels, *kernel), attrs)


def sliding_geometry(draw: Draw) -> Geometry:
    """A 3 x 3 window of stride 1 over enough channels for Winograd's algorithm to pay."""
    channels, outputs, padding = 16 * draw(3, 5), 16 * draw(3, 5), draw(0, 2)
    size = (draw(9, 16), draw(9, 16))
    attrs = {"stride": (1, 1), "padding": ((padding, padding),) * 2, "dilation": (1, 1), "groups": 1}
    return Geometry((draw(1, 4), channels, *size), (outputs, channels, 3, 3), attrs)


def product(draw: Draw, *batch: int) -> Case:
    m, n, k = draw(1, 60), draw(1, 100), draw(1, 600)
    return Case(matmul, ((*batch, m, k), (*batch, k, n)), {}, k)


#: What is measured, by name: (cases, whether Winograd's algorithm is what is wanted).
PATHS: dict[str, tuple[Callable[[Draw], Case], bool]] = {
    "convolution": (lambda d: any_geometry(d).forward(), False),
    "gradient to the input": (lambda d: any_geometry(d).to_input(), False),
    "gradient to the weights": (lambda d: any_geometry(d).to_weights(), False),
    "grouped convolution": (lambda d: any_geometry(d, grouped=True).forward(), False),
    "grouped, gradient to the input": (lambda d: any_geometry(d, grouped=True).to_input(), False),
    "grouped, gradient to the weights": (lambda d: any_geometry(d, grouped=True).to_weights(), False),
    "depthwise convolution": (lambda d: any_geometry(d, depthwise=True).forward(), False),
    "depthwise, gradient to the input": (lambda d: any_geometry(d, depthwise=True).to_input(), False),
    "depthwise, gradient to the weights": (lambda d: any_geometry(d, depthwise=True).to_weights(), False),
    "matrix product": (product, False),
    "batched matrix product": (lambda d: product(d, d(2, 5)), False),
    "Winograd's convolution": (lambda d: sliding_geometry(d).forward(), True),
    "Winograd's gradient to the input": (lambda d: sliding_geometry(d).to_input(), True),
    "Winograd's gradient to the weights": (lambda d: sliding_geometry(d).to_weights(), True),
}
#: Kinds of numbers: of both signs, of one sign, half of them zero.
ORDINARY = ("normal", "positive", "rectified")
#: Nine of ten zero, and of very different sizes: the bound of one element says little about its neighbours'.
UNEVEN = ("sparse", "wide")


def compiled(case: Case, target: Target) -> tuple[Executable, bool]:
    """The op alone, its second operand a parameter; and whether Winograd's algorithm runs it."""
    nodes = [input_node(TensorType(shape, float32)) for shape in case.shapes]
    run = build(Graph(nodes, [case.op(*nodes, **case.attrs)]), parameters=nodes[1:], target=target)
    return run, any(isinstance(step.schedule, Winograd | WinogradGradient) for step in run.program.steps)


def numbers(rng: np.random.Generator, shape: Shape, kind: str) -> Array:
    values = rng.standard_normal(shape, np.float32)
    if kind == "positive":
        return np.abs(values) + 1
    if kind == "rectified":
        return np.maximum(values, 0)
    if kind == "sparse":
        return np.where(rng.random(shape) < 0.1, values, np.float32(0))
    if kind == "wide":
        return values * (10.0 ** rng.uniform(-4, 4, shape)).astype(np.float32)
    return values


def parts_of_bound(case: Case, run: Executable, kind: str, seed: int = 0) -> tuple[float, float]:
    """The largest error of an element over what the bound allows that element, and over what it allows any.

    The first is infinite if an element is off that must be exact.
    """
    rng = np.random.default_rng(seed)
    operands = [numbers(rng, shape, kind) for shape in case.shapes]
    (got,) = run(operands)
    wide = [x.astype(np.float64) for x in operands]
    error = np.abs(got - case.op.evaluate(*wide, **case.attrs))
    size = case.op.evaluate(*(np.abs(x) for x in wide), **case.attrs)
    allowed = (4 + 2 * np.sqrt(case.length)) * 1.5 * float(np.finfo(np.float32).eps) * size
    with np.errstate(all="ignore"):
        parts = np.where(error == 0, 0, error / allowed)
    return float(parts.max(initial=0)), float(error.max(initial=0) / max(allowed.max(initial=0), 1e-300))
