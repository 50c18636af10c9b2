"""Two-dimensional average pooling and its adjoint; both are linear, and each differentiates into the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, binary, const, reduce_axes, select, total
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import TensorType, float32, float64, int32
from lucid.ops.common import quiet, require_float, require_rank
from lucid.ops.conv import Padding, Pair, output_size, padded
from lucid.ops.pool import taps
from lucid.ops.sampling import smooth

_UNIT: Pair = (1, 1)


def _sizes(op: str, size: Pair, kernel: Pair, stride: Pair, padding: Padding) -> Pair:
    return output_size(op, size, kernel, stride, padding, _UNIT)


def divisors(input_size: Pair, out: Pair, kernel: Pair, stride: Pair, padding: Padding, every: bool) -> Array:
    """How many pixels each window's sum is divided by: all, or (``every`` False) those of the image, at least 1."""
    if every:
        return np.full(out, kernel[0] * kernel[1])
    counts = []
    for n, o, k, s, (low, _) in zip(input_size, out, kernel, stride, padding, strict=True):
        first = np.arange(o) * s - low
        counts.append(np.maximum(np.minimum(first + k, n) - np.maximum(first, 0), 0))
    product: Array = np.multiply.outer(counts[0], counts[1])
    return np.maximum(product, 1)


def _divisor(
    window: tuple[Expr, Expr], input_size: Pair, kernel: Pair, stride: Pair, padding: Padding, every: bool
) -> Expr | int:
    """``divisors`` at one window, as an expression."""
    if every:
        return kernel[0] * kernel[1]
    counts: list[Expr] = []
    for i, n, k, s, (low, _) in zip(window, input_size, kernel, stride, padding, strict=True):
        first = i * s - low
        counts.append(binary("max", binary("min", first + k, n) - binary("max", first, 0), 0))
    return binary("max", counts[0] * counts[1], 1)


class _AvgPool(Op):
    """What the two share: the geometries of their samples."""

    def geometries(self) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
        """Image shape and attributes of every sample."""
        zero = ((0, 0), (0, 0))
        halves = {"kernel_size": (2, 2), "stride": (2, 2), "padding": zero, "count_include_pad": True}
        around = {**halves, "kernel_size": (3, 3), "padding": ((1, 1), (1, 1))}
        yield (1, 1, 4, 4), halves
        yield (2, 3, 7, 6), around
        yield (2, 3, 7, 6), {**around, "count_include_pad": False}
        yield (1, 17, 6, 19), {**halves, "kernel_size": (3, 2), "stride": (1, 1)}
        yield (1, 2, 5, 4), {**halves, "stride": (1, 3), "padding": ((0, 1), (1, 0)), "count_include_pad": False}
        yield (1, 2, 5, 5), {**halves, "kernel_size": (1, 1), "stride": (3, 2)}
        yield (1, 1, 2, 2), {**halves, "padding": ((2, 2), (0, 2)), "count_include_pad": False}
        yield (1, 2, 6, 6), {**halves, "kernel_size": (6, 6)}
        yield (0, 2, 4, 4), halves

    def bad_geometries(self) -> Iterator[tuple[dict[str, Any], type[ArgumentError | ShapeError], tuple[str, ...]]]:
        """Attributes that no image of 4 by 4 pixels can be pooled with."""
        good = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "count_include_pad": True}
        yield {**good, "kernel_size": (5, 2)}, ShapeError, (self.name, "spans 5", "only 4")
        yield {**good, "kernel_size": (2, 0)}, ArgumentError, (self.name, "kernel_size=(2, 0)")
        yield {**good, "stride": (2, -1)}, ArgumentError, (self.name, "stride=(2, -1)")
        yield {**good, "padding": ((0, 0), (-1, 0))}, ArgumentError, (self.name, "padding", "negative")


class AvgPool2d(_AvgPool):
    """The mean of each window of NCHW images; padding reads as 0 and counts only if ``count_include_pad``."""

    name = "avg_pool2d"

    def infer(
        self, x: TensorType, *, kernel_size: Pair, stride: Pair, padding: Padding, count_include_pad: bool
    ) -> TensorType:
        require_rank(self.name, "input", x, 4, "(N, C, H, W)")
        require_float(self.name, input=x)
        size = _sizes(self.name, x.shape[2:], kernel_size, stride, padding)  # type: ignore[arg-type]
        return x.with_shape((*x.shape[:2], *size))

    @quiet
    def evaluate(
        self, x: Array, *, kernel_size: Pair, stride: Pair, padding: Padding, count_include_pad: bool
    ) -> Array:
        h, w = x.shape[2:]
        size = _sizes(self.name, (h, w), kernel_size, stride, padding)
        y = np.zeros((*x.shape[:2], *size), x.dtype)
        for _, _, pixels in taps(padded(x, padding, 0.0), kernel_size, stride, _UNIT, size):
            y += pixels
        y /= divisors((h, w), size, kernel_size, stride, padding, count_include_pad).astype(x.dtype)
        return y

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (avg_pool2d_input_grad(g, input_size=node.inputs[0].shape[2:], **node.attrs),)

    def compute(
        self,
        out: tuple[Axis, ...],
        x: Operand,
        *,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        count_include_pad: bool,
    ) -> Expr:
        n, c, i, j = out
        h, w = x.shape[2:]
        ki, kj = reduce_axes(("ki", kernel_size[0]), ("kj", kernel_size[1]))
        pixel = x.padded(0, n, c, i * stride[0] + ki - padding[0][0], j * stride[1] + kj - padding[1][0])
        count = _divisor((i, j), (h, w), kernel_size, stride, padding, count_include_pad)
        return total(pixel, over=(ki, kj)) / _as_dtype(count, x)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, attrs in self.geometries():
            yield Sample.of(smooth(rng, shape), **attrs)
        yield Sample.of(smooth(rng, (1, 2, 4, 5), float64), **attrs)
        yield Sample.of(rng.choice([1.0, np.nan, np.inf], (1, 2, 4, 5)).astype(np.float32), **attrs)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((1, 2, 4, 4), float32)
        for attrs, error, words in self.bad_geometries():
            yield BadSample((x,), attrs, error, words)
        good = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "count_include_pad": True}
        yield BadSample((x.with_dtype(int32),), good, DTypeError, (self.name, "int32"))
        yield BadSample((x.with_shape((2, 4, 4)),), good, ShapeError, (self.name, "(2, 4, 4)", "4 dimensions"))


class AvgPool2dInputGrad(_AvgPool):
    """The adjoint of ``avg_pool2d``: each window's cotangent, divided by its count, given to all its pixels."""

    name = "avg_pool2d_input_grad"

    def infer(
        self,
        g: TensorType,
        *,
        input_size: Pair,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        count_include_pad: bool,
    ) -> TensorType:
        require_rank(self.name, "grad_output", g, 4, "(N, C, H, W)")
        require_float(self.name, grad_output=g)
        size = _sizes(self.name, input_size, kernel_size, stride, padding)
        if g.shape[2:] != size:
            raise ShapeError(f"grad_output has shape {g.shape}, but pooling gives images of {size}", op=self.name)
        return g.with_shape((*g.shape[:2], *input_size))

    @quiet
    def evaluate(
        self,
        g: Array,
        *,
        input_size: Pair,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        count_include_pad: bool,
    ) -> Array:
        h, w = input_size
        (top, bottom), (left, right) = padding
        size = g.shape[2], g.shape[3]
        share = g / divisors(input_size, size, kernel_size, stride, padding, count_include_pad).astype(g.dtype)
        dx = np.zeros((*g.shape[:2], h + top + bottom, w + left + right), g.dtype)
        for _, _, pixels in taps(dx, kernel_size, stride, _UNIT, size):
            pixels += share
        return np.ascontiguousarray(dx[:, :, top : top + h, left : left + w])

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (avg_pool2d(g, **{k: v for k, v in node.attrs.items() if k != "input_size"}),)

    def compute(
        self,
        out: tuple[Axis, ...],
        g: Operand,
        *,
        input_size: Pair,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        count_include_pad: bool,
    ) -> Expr:
        n, c, i, j = out
        ki, kj = reduce_axes(("ki", kernel_size[0]), ("kj", kernel_size[1]))
        y, x = i + padding[0][0] - ki, j + padding[1][0] - kj
        window = (y // stride[0], x // stride[1])
        count = _divisor(window, input_size, kernel_size, stride, padding, count_include_pad)
        share = g.padded(0, n, c, *window) / _as_dtype(count, g)
        # Only windows on the stride's lattice hold this pixel at this tap.
        if stride[1] > 1:
            share = select((x % stride[1]).eq(0), share, 0)
        if stride[0] > 1:
            share = select((y % stride[0]).eq(0), share, 0)
        return total(share, over=(ki, kj))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, attrs in self.geometries():
            size = _sizes(self.name, (shape[2], shape[3]), attrs["kernel_size"], attrs["stride"], attrs["padding"])
            yield Sample.of(smooth(rng, (*shape[:2], *size)), input_size=shape[2:], **attrs)

    def bad_samples(self) -> Iterable[BadSample]:
        g = TensorType((1, 2, 2, 2), float32)
        for attrs, error, words in self.bad_geometries():
            yield BadSample((g,), {**attrs, "input_size": (4, 4)}, error, words)
        good = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "count_include_pad": True}
        yield BadSample((g,), {**good, "input_size": (8, 8)}, ShapeError, (self.name, "(1, 2, 2, 2)", "(4, 4)"))


def _as_dtype(count: Expr | int, like: Operand) -> Expr:
    return count.cast(like.dtype) if isinstance(count, Expr) else const(count, like.dtype)


avg_pool2d = AvgPool2d()
avg_pool2d_input_grad = AvgPool2dInputGrad()
