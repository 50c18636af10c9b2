"""Convolutions of every shape at random, forward and both gradients, on whole numbers and so exactly.

Sums of small whole numbers have one result in whatever order they are added, Winograd's transforms included. Some
cases hold NaN and infinities, and some normal random numbers, which are compared within the published bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np

from lucid import ops
from lucid.ir.graph import Array, Graph, Node, Op, input_node, topological
from lucid.ir.interpreter import evaluate
from lucid.ir.types import DType, float32, float64, type_of
from lucid.ops import conv2d, conv2d_input_grad, conv2d_weight_grad
from lucid.ops.conv import output_size
from lucid.runtime.orders import Orders, arranged
from tests.codegen.test_contractions import assert_within_bound
from tests.generated.draws import Draw, chance, choice
from tests.generated.pieces import Piece, spread

#: Multiply-adds of one case in the quick lane.
FEW = 300_000
LAST = (0, 2, 3, 1)
#: Around the widths of vectors and of register tiles.
_CHANNELS = (1, 2, 3, 4, 5, 7, 8, 9, 13, 15, 16, 17, 24, 31, 32, 33, 40, 47, 48, 49, 63, 64, 65, 70)


@dataclass(frozen=True)
class Convolution:
    """One geometry: what it is computed on, and how that lies in memory."""

    batch: int
    groups: int
    channels: int  # of a group
    outputs: int  # of a group
    size: tuple[int, int]
    kernel: tuple[int, int]
    stride: tuple[int, int]
    dilation: tuple[int, int]
    padding: tuple[tuple[int, int], tuple[int, int]]
    #: Of forward, the image's gradient and the weights'.
    directions: tuple[int, ...]
    #: "whole", "special" or "normal" numbers.
    numbers: str
    dtype: DType
    #: Beside the sums: a "bias" and relu, a "residual" added, the image's "relu" or "flip" before; or nothing.
    around: str
    #: Of image, weights and cotangent, and of the result and the image's gradient: which lie with the channels last.
    last: tuple[bool, bool, bool, bool, bool]
    #: Whether the image is every second column of a larger array.
    apart: bool
    seed: int

    @property
    def attrs(self) -> dict[str, Any]:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    @property
    def pixels(self) -> tuple[int, int]:
        return output_size("conv2d", self.size, self.kernel, self.stride, self.padding, self.dilation)

    @property
    def work(self) -> int:
        """Multiply-adds of one direction."""
        return self.batch * self.groups * self.channels * self.outputs * prod(self.kernel) * prod(self.pixels)


def convolution(draw: Draw, most: int = FEW) -> Convolution:
    """A geometry with at least one output pixel and at most so many multiply-adds."""
    kind = draw.number(0, 9)
    numbers = choice(draw, ("whole", "whole", "whole", "whole", "whole", "whole", "special", "normal"))
    channels, outputs, groups = choice(draw, _CHANNELS), choice(draw, _CHANNELS), 1
    stride = dilation = (1, 1)
    if kind == 8:  # 3 x 3 windows that slide: Winograd's, in groups, dilated, of any number of channels
        kernel, groups, most = (3, 3), choice(draw, (1, 1, 1, 2, 3, 4)), 4 * most
        channels, outputs = (choice(draw, (16, 32, draw.number(8, 70 // groups))) for _ in range(2))
        dilation = choice(draw, ((1, 1), (1, 1), (2, 2), (3, 3), (1, 2)))
        padding = choice(draw, (((1, 1), (1, 1)), ((0, 0), (0, 0)), ((2, 1), (0, 2)), ((2, 2), (2, 2))))
        pixels = [draw.number(4 * d, 4 * d + 6) for d in dilation]
        size = tuple(max(1, n + 2 * d - sum(p)) for n, d, p in zip(pixels, dilation, padding, strict=True))
        batch = 1 if chance(draw, 2) else draw.number(1, 4)
    else:
        if kind in (5, 6):  # depthwise
            groups, channels, outputs = channels, 1, choice(draw, (1, 1, 1, 2, 3))
        elif kind == 7:
            groups = choice(draw, (2, 2, 3, 4, 5, 8))
            channels, outputs = (max(1, n // groups) for n in (channels, outputs))
        kernel = choice(draw, ((1, 1), (3, 3), (3, 3), (0, 0)))
        if kernel == (0, 0):
            kernel = draw.number(1, 7), draw.number(1, 7)
        if chance(draw, 2):
            stride = draw.number(1, 3), draw.number(1, 3)
        if chance(draw, 3):
            dilation = draw.number(1, 3), draw.number(1, 3)
        same = tuple((k // 2 * d, k // 2 * d) for k, d in zip(kernel, dilation, strict=True))
        padding = choice(draw, (((0, 0), (0, 0)), same, same, None))
        if padding is None:
            padding = tuple((draw.number(0, 4), draw.number(0, 4)) for _ in range(2))
        least = [max(1, d * (k - 1) + 1 - sum(p)) for d, k, p in zip(dilation, kernel, padding, strict=True)]
        size = tuple(n + draw.number(0, max(0, choice(draw, (7, 15, 30)) - n)) for n in least)
        batch = draw.number(1, 4)
    directions = choice(draw, ((0,), (1,), (2,), (0,), (1,), (2,), (0,), (1,), (2,), (0, 1, 2)))
    last = choice(draw, ((False,) * 5, (True, False, True, True, True), (True, False, True, True, True), None))
    if last is None:
        last = tuple(draw.number(0, 1) == 1 for _ in range(5))
    dtype = choice(draw, (float32,) * 7 + (float64,))
    around = choice(draw, ("", "", "", "bias", "residual", "relu", "flip")) if numbers != "normal" else ""
    found = Convolution(
        batch, groups, channels, outputs, size, kernel, stride, dilation, padding, directions, numbers, dtype, around,
        last, chance(draw, 12), draw.number(0, 9999),
    )  # fmt: skip
    return _within(found, most)


def _within(case: Convolution, most: int) -> Convolution:
    """The same with fewer images, pixels or channels, so that it takes no more multiply-adds."""
    while case.work > most:
        least = [
            max(1, d * (k - 1) + 1 - sum(p)) for d, k, p in zip(case.dilation, case.kernel, case.padding, strict=True)
        ]
        spare = [n - m for n, m in zip(case.size, least, strict=True)]
        pixels = case.pixels
        if case.batch > 1:
            case = replace(case, batch=case.batch - 1)
        elif prod(pixels) > 36 and max(spare) > 0:
            d = spare.index(max(spare))
            size = list(case.size)
            size[d] -= max(1, spare[d] // 3)
            case = replace(case, size=tuple(size))
        elif case.groups > 1:
            case = replace(case, groups=case.groups - 1)
        elif case.channels >= case.outputs:
            case = replace(case, channels=case.channels - max(1, case.channels // 4))
        else:
            case = replace(case, outputs=case.outputs - max(1, case.outputs // 4))
    return case


def piece(case: Convolution) -> Piece:
    """The directions of a case on arrays of their own."""
    rng = np.random.default_rng(case.seed)
    n, c, o = case.batch, case.groups * case.channels, case.groups * case.outputs
    shapes = (n, c, *case.size), (o, case.channels, *case.kernel), (n, o, *case.pixels)
    if case.numbers == "normal":
        x, w, g = (rng.standard_normal(s).astype(case.dtype) for s in shapes)
    else:
        x, w, g = (rng.integers(-3, 4, s).astype(case.dtype) for s in shapes)
    if case.numbers == "special":
        for _ in range(3):
            x.reshape(-1)[rng.integers(x.size)] = rng.choice([np.nan, np.inf, -np.inf, -0.0])
    taps, attrs = prod(case.kernel), case.attrs
    image, weights, cotangent = inputs = [input_node(type_of(a)) for a in (x, w, g)]
    arrays = [arranged(a, LAST) if last else a for a, last in zip((x, w, g), case.last, strict=False)]
    if case.apart and not case.last[0]:
        arrays[0] = spread(x)
    pixels = (
        ops.relu(image) if case.around == "relu" else ops.flip(image, axes=(3,)) if case.around == "flip" else image
    )
    every: list[tuple[Op, tuple[Node, Array], tuple[Node, Array], dict[str, Any], int]] = [
        (conv2d, (pixels, x), (weights, w), attrs, case.channels * taps),
        (conv2d_input_grad, (cotangent, g), (weights, w), {"input_size": case.size, **attrs}, case.outputs * taps),
        (conv2d_weight_grad, (pixels, x), (cotangent, g), {"kernel_size": case.kernel, **attrs}, n * prod(case.pixels)),
    ]
    asked = [every[k] for k in case.directions]
    outputs = [op(a, b, **kw) for op, (a, _), (b, _), kw, _ in asked]
    if case.around in ("bias", "residual"):
        for k, y in enumerate(outputs):
            shape = y.shape if case.around == "residual" else (y.shape[1], 1, 1)
            arrays.append(rng.integers(-9, 9, shape).astype(case.dtype))
            inputs.append(input_node(type_of(arrays[-1])))
            outputs[k] = y + inputs[-1] if case.around == "residual" else ops.relu(y + inputs[-1])
    reached = set(topological(outputs))
    used = [k for k, x in enumerate(inputs) if x in reached]
    given, held = [inputs[k] for k in used], [arrays[k] for k in used]
    orders = Orders(
        {at: LAST for at, k in enumerate(used) if k < 3 and case.last[k]},
        {at: LAST for at, d in enumerate(case.directions) if (*case.last[3:], False)[d]},
    )

    def check(results: Sequence[Array]) -> None:
        if case.numbers == "normal":
            for (op, (_, a), (_, b), kw, length), got in zip(asked, results, strict=True):
                assert_within_bound(op, a, b, kw, length, got)
            return
        for got, want in zip(results, evaluate(Graph(given, outputs), held), strict=True):
            np.testing.assert_array_equal(got, want)

    return Piece(given, held, outputs, check, orders)
