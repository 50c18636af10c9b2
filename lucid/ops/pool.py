"""Two-dimensional max pooling: the maxima, their places, and the two maps that follow the places back and forth.

``max_pool2d_index`` names the pixel each window chose by its number in the window, which takes a byte. Along those
places ``max_pool2d_input_grad`` carries cotangents to the image, and ``max_pool2d_take`` reads the image; both are
linear and each is the other's adjoint, so every order of derivative exists. Geometry as in ``conv.py``; padding reads
as -inf.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, Reduce, const, reduce_axes, select, total, unary
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import DType, TensorType, float32, float64, int32, int64, uint8
from lucid.ops.common import quiet, require_float, require_rank
from lucid.ops.conv import Padding, Pair, output_size, padded
from lucid.ops.sampling import smooth

_LOWEST = float("-inf")


def taps(x: Array, kernel: Pair, stride: Pair, dilation: Pair, out: Pair) -> Iterator[tuple[int, int, Array]]:
    """For each kernel position, in window order, the pixels of ``x`` that all windows see there: a view of ``out``."""
    for ki in range(kernel[0]):
        for kj in range(kernel[1]):
            i, j = ki * dilation[0], kj * dilation[1]
            yield ki, kj, x[:, :, i : i + stride[0] * out[0] : stride[0], j : j + stride[1] * out[1] : stride[1]]


def index_dtype(kernel: Pair) -> DType:
    """What counts the pixels of a window: ``2 * kernel[0] * kernel[1]`` fits, so that one maximum can look for a NaN
    and for the largest number at once.
    """
    return uint8 if 2 * kernel[0] * kernel[1] < 256 else int32


class _MaxPool(Op):
    """What the four maps of max pooling share: one geometry, one choice of samples."""

    def pooled(
        self, x: TensorType, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair
    ) -> tuple[int, ...]:
        """The shape of the maxima of an image."""
        require_rank(self.name, "input", x, 4, "(N, C, H, W)")
        size = output_size(self.name, x.shape[2:], kernel_size, stride, padding, dilation)  # type: ignore[arg-type]
        return (*x.shape[:2], *size)

    def geometries(self) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
        """Image shape and attributes of every sample."""
        zero = ((0, 0), (0, 0))
        halves = {"kernel_size": (2, 2), "stride": (2, 2), "padding": zero, "dilation": (1, 1)}
        yield (1, 1, 4, 4), halves
        yield (2, 3, 7, 6), {**halves, "kernel_size": (3, 3), "padding": ((1, 1), (1, 1))}
        yield (1, 17, 6, 19), {**halves, "kernel_size": (3, 2), "stride": (1, 1)}
        yield (1, 2, 9, 8), {**halves, "stride": (1, 2), "dilation": (3, 2), "padding": ((1, 0), (0, 1))}
        yield (1, 2, 5, 5), {**halves, "kernel_size": (1, 1), "stride": (3, 2)}
        yield (2, 1, 3, 3), {**halves, "padding": ((0, 1), (0, 1))}
        yield (1, 1, 2, 2), {**halves, "kernel_size": (1, 1), "stride": (1, 1), "padding": ((1, 1), (0, 2))}
        yield (1, 1, 13, 12), {**halves, "kernel_size": (12, 11), "stride": (1, 1)}
        yield (0, 2, 4, 4), halves

    def indices(self, x: Array, attrs: dict[str, Any]) -> Array:
        return max_pool2d_index.evaluate(x, **attrs)

    def bad_geometries(self) -> Iterator[tuple[dict[str, Any], type[ArgumentError | ShapeError], tuple[str, ...]]]:
        """Attributes that no image of 4 by 4 pixels can be pooled with."""
        good = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
        yield {**good, "kernel_size": (5, 2)}, ShapeError, (self.name, "spans 5", "only 4")
        yield {**good, "kernel_size": (0, 2)}, ArgumentError, (self.name, "kernel_size=(0, 2)")
        yield {**good, "stride": (0, 1)}, ArgumentError, (self.name, "stride=(0, 1)")
        yield {**good, "padding": ((0, -1), (0, 0))}, ArgumentError, (self.name, "padding", "negative")


class MaxPool2d(_MaxPool):
    """The largest pixel of each window of NCHW images; NaN if the window holds one, -inf if it holds only padding."""

    name = "max_pool2d"

    def infer(self, x: TensorType, *, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> TensorType:
        require_float(self.name, input=x)
        return x.with_shape(self.pooled(x, kernel_size, stride, padding, dilation))

    def evaluate(self, x: Array, *, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Array:
        size = output_size(self.name, x.shape[2:], kernel_size, stride, padding, dilation)
        y = np.full((*x.shape[:2], *size), _LOWEST, x.dtype)
        for _, _, pixels in taps(padded(x, padding, _LOWEST), kernel_size, stride, dilation, size):
            np.maximum(y, pixels, out=y)
        return y

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x = node.inputs[0]
        index = max_pool2d_index(x, **node.attrs)
        return (max_pool2d_input_grad(g, index, input_size=x.shape[2:], **node.attrs),)

    def compute(
        self,
        out: tuple[Axis, ...],
        x: Operand,
        *,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
    ) -> Expr:
        n, c, i, j = out
        ki, kj = reduce_axes(("ki", kernel_size[0]), ("kj", kernel_size[1]))
        pixel = x.padded(
            _LOWEST,
            n,
            c,
            i * stride[0] + ki * dilation[0] - padding[0][0],
            j * stride[1] + kj * dilation[1] - padding[1][0],
        )
        return Reduce("max", (ki, kj), pixel)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, attrs in self.geometries():
            yield Sample.of(smooth(rng, shape), **attrs)
            yield Sample.of(smooth(rng, shape, float64), **attrs)
            special = rng.choice([1.0, 2.0, np.nan, np.inf, _LOWEST], shape, p=[0.3, 0.3, 0.1, 0.1, 0.2])
            yield Sample.of(special.astype(np.float32), **attrs)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((1, 2, 4, 4), float32)
        good = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
        for attrs, error, words in self.bad_geometries():
            yield BadSample((x,), attrs, error, words)
        yield BadSample((x.with_dtype(int32),), good, DTypeError, (self.name, "int32"))
        yield BadSample((x.with_shape((2, 4, 4)),), good, ShapeError, (self.name, "(2, 4, 4)", "4 dimensions"))


class MaxPool2dIndex(_MaxPool):
    """Which pixel of each window is its maximum: pixels are numbered in window order, and the number after the last
    stands for a window that holds only padding.

    Equal pixels: the first. NaN beats every number, and the last NaN the others, as in PyTorch.
    """

    name = "max_pool2d_index"
    differentiable = False

    def infer(self, x: TensorType, *, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> TensorType:
        require_float(self.name, input=x)
        return TensorType(self.pooled(x, kernel_size, stride, padding, dilation), index_dtype(kernel_size))

    def evaluate(self, x: Array, *, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Array:
        h, w = x.shape[2:]
        size = output_size(self.name, (h, w), kernel_size, stride, padding, dilation)
        rows = np.arange(size[0])[:, None] * stride[0] - padding[0][0]
        columns = np.arange(size[1]) * stride[1] - padding[1][0]
        xp = padded(x, padding, _LOWEST)
        largest = max_pool2d.evaluate(x, kernel_size=kernel_size, stride=stride, padding=padding, dilation=dilation)
        # The number of the first pixel that is the maximum is how many pass while none has been it.
        looking = np.ones(largest.shape, np.bool_)
        index = np.zeros(largest.shape, index_dtype(kernel_size))
        for ki, kj, pixels in taps(xp, kernel_size, stride, dilation, size):
            misses = pixels != largest
            if xp is not x:
                i, j = rows + ki * dilation[0], columns + kj * dilation[1]
                misses |= (i < 0) | (i >= h) | (j < 0) | (j >= w)
            looking &= misses
            index += looking
        if np.isnan(largest).any():
            for ki, kj, pixels in taps(xp, kernel_size, stride, dilation, size):
                np.copyto(index, ki * kernel_size[1] + kj, where=np.isnan(pixels), casting="unsafe")
        return index

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)

    def compute(
        self,
        out: tuple[Axis, ...],
        x: Operand,
        *,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
    ) -> Expr:
        n, c, i, j = out
        h, w = x.shape[2:]

        def at(ki: Axis, kj: Axis) -> tuple[Expr, Expr]:
            return (
                i * stride[0] + ki * dilation[0] - padding[0][0],
                j * stride[1] + kj * dilation[1] - padding[1][0],
            )

        mi, mj = reduce_axes(("mi", kernel_size[0]), ("mj", kernel_size[1]))
        largest = Reduce("max", (mi, mj), x.padded(_LOWEST, n, c, *at(mi, mj)))
        ki, kj = reduce_axes(("ki", kernel_size[0]), ("kj", kernel_size[1]))
        row, column = at(ki, kj)
        dtype = index_dtype(kernel_size)
        pixel, number = x.padded(_LOWEST, n, c, row, column), ki * kernel_size[1] + kj
        count = kernel_size[0] * kernel_size[1]
        found = select(pixel.eq(largest), (count - number).cast(dtype), 0)
        if any(map(any, padding)):
            inside = (row >= 0) & (row < h) & (column >= 0) & (column < w)
            found = select(inside, found, 0)
        # One maximum decides all: NaNs count most, the later the more; then the maximum, the earlier the more.
        found = select(unary("isnan", pixel), (number + (count + 1)).cast(dtype), found)
        winner = Reduce("max", (ki, kj), found)
        return select(winner > const(count, dtype), winner - (count + 1), const(count, dtype) - winner)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield from max_pool2d.samples(rng)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((1, 2, 4, 4), float32)
        for attrs, error, words in self.bad_geometries():
            yield BadSample((x,), attrs, error, words)


class MaxPool2dInputGrad(_MaxPool):
    """Cotangents of the maxima carried to the pixels that ``index`` names; pixels chosen twice get the sum."""

    name = "max_pool2d_input_grad"

    def infer(
        self,
        g: TensorType,
        index: TensorType,
        *,
        input_size: Pair,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
    ) -> TensorType:
        require_rank(self.name, "grad_output", g, 4, "(N, C, H, W)")
        require_float(self.name, grad_output=g)
        x = g.with_shape((*g.shape[:2], *input_size))
        check_index(self.name, index, self.pooled(x, kernel_size, stride, padding, dilation), kernel_size)
        if g.shape != index.shape:
            raise ShapeError(f"grad_output has shape {g.shape}, but index has {index.shape}", op=self.name)
        return x

    @quiet
    def evaluate(
        self,
        g: Array,
        index: Array,
        *,
        input_size: Pair,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
    ) -> Array:
        (n, c, oh, ow), (h, w) = g.shape, input_size
        (top, bottom), (left, right) = padding
        height, width = h + top + bottom, w + left + right
        below, beside = np.arange(kernel_size[0]) * dilation[0], np.arange(kernel_size[1]) * dilation[1]
        # One more entry for windows without a choice, which add to the first pixel of the padding they consist of.
        from_corner = np.append(np.add.outer(below * width, beside).ravel(), 0)
        corner = np.add.outer(np.arange(oh) * stride[0] * width, np.arange(ow) * stride[1])
        image = np.arange(n * c).reshape(n, c, 1, 1) * (height * width)
        dx = np.zeros((n, c, height, width), g.dtype)
        np.add.at(dx.reshape(-1), (from_corner[index] + (image + corner)).ravel(), g.ravel())
        return np.ascontiguousarray(dx[:, :, top : top + h, left : left + w])

    def vjp(self, node: Node, g: Node) -> tuple[Node, None]:
        attrs = {k: v for k, v in node.attrs.items() if k != "input_size"}
        return max_pool2d_take(g, node.inputs[1], **attrs), None

    def compute(
        self,
        out: tuple[Axis, ...],
        g: Operand,
        index: Operand,
        *,
        input_size: Pair,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
    ) -> Expr:
        n, c, i, j = out
        ki, kj = reduce_axes(("ki", kernel_size[0]), ("kj", kernel_size[1]))
        y = i + padding[0][0] - ki * dilation[0]
        x = j + padding[1][0] - kj * dilation[1]
        window = (n, c, y // stride[0], x // stride[1])
        chosen = index.padded(0, *window).eq((ki * kernel_size[1] + kj).cast(index.dtype))
        value = select(chosen, g.padded(0, *window), 0)
        # Only windows on the stride's lattice hold this pixel at this tap.
        if stride[1] > 1:
            value = select((x % stride[1]).eq(0), value, 0)
        if stride[0] > 1:
            value = select((y % stride[0]).eq(0), value, 0)
        return total(value, over=(ki, kj))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, attrs in self.geometries():
            index = self.indices(smooth(rng, shape), attrs)
            yield Sample.of(smooth(rng, index.shape), index, input_size=shape[2:], **attrs)

    def bad_samples(self) -> Iterable[BadSample]:
        g, index = TensorType((1, 2, 2, 2), float32), TensorType((1, 2, 2, 2), uint8)
        for attrs, error, words in self.bad_geometries():
            yield BadSample((g, index), {**attrs, "input_size": (4, 4)}, error, words)
        good = {
            "input_size": (4, 4), "kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)),
            "dilation": (1, 1),
        }  # fmt: skip
        yield BadSample((g, index.with_dtype(float32)), good, DTypeError, (self.name, "index", "float32"))
        yield BadSample((g, index.with_shape((1, 2, 2, 3))), good, ShapeError, (self.name, "(1, 2, 2, 3)"))
        yield BadSample((g.with_shape((1, 1, 2, 2)), index), good, ShapeError, (self.name, "(1, 1, 2, 2)"))


class MaxPool2dTake(_MaxPool):
    """The pixels that ``index`` names, one per window; 0 where it names none. The adjoint of the input gradient."""

    name = "max_pool2d_take"

    def infer(
        self,
        x: TensorType,
        index: TensorType,
        *,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
    ) -> TensorType:
        require_float(self.name, input=x)
        shape = self.pooled(x, kernel_size, stride, padding, dilation)
        check_index(self.name, index, shape, kernel_size)
        return x.with_shape(shape)

    def evaluate(
        self, x: Array, index: Array, *, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair
    ) -> Array:
        chosen = np.zeros(index.shape, x.dtype)
        size = index.shape[2], index.shape[3]
        for ki, kj, pixels in taps(padded(x, padding, 0.0), kernel_size, stride, dilation, size):
            np.copyto(chosen, pixels, where=index == ki * kernel_size[1] + kj)
        return chosen

    def vjp(self, node: Node, g: Node) -> tuple[Node, None]:
        x, index = node.inputs
        return max_pool2d_input_grad(g, index, input_size=x.shape[2:], **node.attrs), None

    def compute(
        self,
        out: tuple[Axis, ...],
        x: Operand,
        index: Operand,
        *,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
    ) -> Expr:
        n, c, i, j = out
        number = index.load(out).cast(int64)
        row = i * stride[0] + number // kernel_size[1] * dilation[0] - padding[0][0]
        column = j * stride[1] + number % kernel_size[1] * dilation[1] - padding[1][0]
        nowhere = number.eq(kernel_size[0] * kernel_size[1])
        return x.padded(0, n, c, select(nowhere, -1, row), column)  # row -1 reads the fill

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, attrs in self.geometries():
            yield Sample.of(smooth(rng, shape), self.indices(smooth(rng, shape), attrs), **attrs)

    def bad_samples(self) -> Iterable[BadSample]:
        x, index = TensorType((1, 2, 4, 4), float32), TensorType((1, 2, 2, 2), uint8)
        for attrs, error, words in self.bad_geometries():
            yield BadSample((x, index), attrs, error, words)
        good = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
        yield BadSample((x, index.with_shape((1, 2, 2, 3))), good, ShapeError, (self.name, "(1, 2, 2, 3)"))


def check_index(op: str, index: TensorType, shape: tuple[int, ...], kernel: Pair) -> None:
    wanted = index_dtype(kernel)
    if index.dtype != wanted:
        raise DTypeError(f"index has dtype {index.dtype.name}, but it must be {wanted.name}", op=op)
    if index.shape != shape:
        raise ShapeError(f"index has shape {index.shape}, but pooling gives {shape}", op=op)


max_pool2d = MaxPool2d()
max_pool2d_index = MaxPool2dIndex()
max_pool2d_input_grad = MaxPool2dInputGrad()
max_pool2d_take = MaxPool2dTake()
