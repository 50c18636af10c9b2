"""Two-dimensional convolution and its two adjoints, each of which differentiates into the other two.

All three describe the same bilinear map, so one geometry serves them: output pixel ``(i, j)`` meets input pixel
``(i*stride - low + tap*dilation, ...)``. Layout NCHW for images, OIHW for weights; ``padding`` is ``((top, bottom),
(left, right))``. The mathematics is cross-correlation, as everywhere in deep learning
(Dumoulin & Visin, "A guide to convolution arithmetic for deep learning", arXiv:1603.07285).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, reduce_axes, select, total
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import TensorType, float32, float64, int32
from lucid.ops.common import quiet, require_float, require_rank, require_same_dtype

Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = tuple[Pair, Pair]


def output_size(op: str, size: Pair, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Pair:
    """Height and width of a convolution's output; of lines and volumes, too, as many sizes as are given.

    Raises:
        ShapeError: the dilated kernel does not fit into the padded image.
        ArgumentError: a stride, dilation or kernel size below 1, or a negative padding.
    """
    for argument, values in (("stride", stride), ("dilation", dilation), ("kernel_size", kernel)):
        if min(values) < 1:
            raise ArgumentError(f"{argument}={values} must be at least 1 in every direction", op=op)
    if min(min(p) for p in padding) < 0:
        raise ArgumentError(f"padding={padding} must not be negative", op=op)
    out = []
    axes = "DHW"[-len(size) :] if len(size) > 1 else "L"
    for axis, n, k, s, (lo, hi), d in zip(axes, size, kernel, stride, padding, dilation, strict=True):
        span = d * (k - 1) + 1
        if n + lo + hi < span:
            raise ShapeError(
                f"the kernel spans {span} pixels along {axis} (kernel_size {k}, dilation {d}), "
                f"but the padded input has only {n + lo + hi}",
                op=op,
                hint="use a larger input, more padding, or a smaller kernel or dilation",
            )
        out.append((n + lo + hi - span) // s + 1)
    return tuple(out)


def check_groups(op: str, in_channels: int, out_channels: int, weight_in: int, groups: int) -> None:
    if groups < 1:
        raise ArgumentError(f"groups={groups} must be at least 1", op=op)
    if out_channels % groups or in_channels % groups:
        raise ShapeError(
            f"groups={groups} must divide both {in_channels} input and {out_channels} output channels", op=op
        )
    if weight_in * groups != in_channels:
        raise ShapeError(
            f"input has {in_channels} channels, but the weight expects {weight_in * groups} "
            f"({weight_in} per group, groups={groups})",
            op=op,
        )


def padded(x: Array, padding: Padding, value: float = 0.0) -> Array:
    """The images with ``value`` around them; themselves without padding. ``numpy.pad`` takes ten times as long."""
    if not any(map(any, padding)):
        return x
    (top, bottom), (left, right) = padding
    n, c, h, w = x.shape
    result = np.full((n, c, top + h + bottom, left + w + right), value, x.dtype)
    result[:, :, top : top + h, left : left + w] = x
    return result


def windows(x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair, out: Pair) -> Array:
    """A view ``(N, C, OH, OW, KH, KW)`` of the padded image: every pixel each output position meets."""
    xp = padded(x, padding)
    n, c, h, w = xp.strides
    shape = (*x.shape[:2], *out, *kernel)
    return as_strided(
        xp, shape, (n, c, h * stride[0], w * stride[1], h * dilation[0], w * dilation[1]), writeable=False
    )


class _Convolution(Op):
    """What the three convolutions share: samples, and geometry errors."""

    def geometries(self) -> Iterator[tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]]:
        """Image shape, weight shape and attributes of every sample."""
        zero = ((0, 0), (0, 0))
        unit = {"stride": (1, 1), "padding": zero, "dilation": (1, 1), "groups": 1}
        yield (1, 1, 3, 3), (1, 1, 2, 2), unit
        yield (2, 3, 7, 6), (4, 3, 3, 3), {**unit, "padding": ((1, 1), (1, 1))}
        yield (2, 2, 8, 9), (3, 2, 3, 2), {**unit, "stride": (2, 3), "padding": ((1, 0), (0, 2))}
        yield (1, 2, 9, 8), (2, 2, 2, 3), {**unit, "dilation": (3, 2), "padding": ((2, 1), (1, 2))}
        yield (1, 4, 6, 5), (6, 2, 3, 3), {**unit, "groups": 2, "stride": (2, 1), "padding": ((1, 1), (2, 2))}
        yield (2, 3, 5, 6), (6, 1, 3, 3), {**unit, "groups": 3, "padding": ((1, 1), (1, 1))}
        yield (1, 2, 8, 8), (3, 2, 1, 1), {**unit, "stride": (3, 3)}
        yield (1, 2, 7, 7), (2, 2, 3, 3), {**unit, "stride": (2, 2), "dilation": (2, 3), "padding": ((3, 3), (3, 3))}
        yield (0, 2, 5, 5), (3, 2, 3, 3), unit
        yield (1, 17, 5, 18), (19, 17, 3, 3), {**unit, "padding": ((1, 1), (1, 1))}


def _sizes(x: tuple[int, ...], w: tuple[int, ...], op: str, attrs: dict[str, Any]) -> Pair:
    return output_size(op, x[2:], w[2:], attrs["stride"], attrs["padding"], attrs["dilation"])  # type: ignore[arg-type]


class Conv2d(_Convolution):
    """Cross-correlation of NCHW images with OIHW weights."""

    name = "conv2d"

    def infer(
        self, x: TensorType, w: TensorType, *, stride: Pair, padding: Padding, dilation: Pair, groups: int
    ) -> TensorType:
        require_rank(self.name, "input", x, 4, "(N, C, H, W)")
        require_rank(self.name, "weight", w, 4, "(out_channels, in_channels / groups, kH, kW)")
        require_same_dtype(self.name, input=x, weight=w)
        require_float(self.name, input=x)
        check_groups(self.name, x.shape[1], w.shape[0], w.shape[1], groups)
        size = output_size(self.name, x.shape[2:], w.shape[2:], stride, padding, dilation)  # type: ignore[arg-type]
        return TensorType((x.shape[0], w.shape[0], *size), x.dtype)

    @quiet
    def evaluate(self, x: Array, w: Array, *, stride: Pair, padding: Padding, dilation: Pair, groups: int) -> Array:
        o, ci, kh, kw = w.shape
        n = x.shape[0]
        oh, ow = output_size(self.name, x.shape[2:], (kh, kw), stride, padding, dilation)
        # im2col: (N, C, OH, OW, KH, KW) -> (G, N*OH*OW, ci*KH*KW), one matrix product a group
        columns = windows(x, (kh, kw), stride, padding, dilation, (oh, ow))
        columns = columns.reshape(n, groups, ci, oh, ow, kh, kw).transpose(1, 0, 3, 4, 2, 5, 6)
        columns = columns.reshape(groups, n * oh * ow, ci * kh * kw)
        y = columns @ w.reshape(groups, o // groups, ci * kh * kw).transpose(0, 2, 1)
        y = y.reshape(groups, n, oh, ow, o // groups).transpose(1, 0, 4, 2, 3)
        return np.ascontiguousarray(y.reshape(n, o, oh, ow))

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        x, w = node.inputs
        attrs = node.attrs
        return (
            conv2d_input_grad(g, w, input_size=x.shape[2:], **attrs),
            conv2d_weight_grad(x, g, kernel_size=w.shape[2:], **attrs),
        )

    def compute(
        self,
        out: tuple[Axis, ...],
        x: Operand,
        w: Operand,
        *,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
    ) -> Expr:
        n, o, i, j = out
        ci, ki, kj = reduce_axes(("ci", w.shape[1]), ("ki", w.shape[2]), ("kj", w.shape[3]))
        channel = (o // (w.shape[0] // groups)) * w.shape[1] + ci if groups > 1 else ci
        pixel = x.padded(
            0,
            n,
            channel,
            i * stride[0] + ki * dilation[0] - padding[0][0],
            j * stride[1] + kj * dilation[1] - padding[1][0],
        )
        return total(pixel * w[o, ci, ki, kj], over=(ci, ki, kj))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for x, w, attrs in self.geometries():
            yield Sample.of(rng.standard_normal(x, np.float32), rng.standard_normal(w, np.float32), **attrs)

    def bad_samples(self) -> Iterable[BadSample]:
        unit = {"stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1}
        x, w = TensorType((1, 3, 8, 8), float32), TensorType((4, 3, 3, 3), float32)
        yield BadSample((x.with_shape((3, 8, 8)), w), unit, ShapeError, ("input", "(3, 8, 8)", "4 dimensions"))
        yield BadSample((x.with_shape((1, 2, 8, 8)), w), unit, ShapeError, ("2 channels", "expects 3"))
        yield BadSample((x.with_dtype(float64), w), unit, DTypeError, ("float64", "float32"))
        yield BadSample((x.with_dtype(int32), w.with_dtype(int32)), unit, DTypeError, ("input", "int32"))
        yield BadSample((x, w), {**unit, "stride": (0, 1)}, ArgumentError, ("stride", "(0, 1)"))
        yield BadSample((x, w), {**unit, "dilation": (1, -1)}, ArgumentError, ("dilation", "(1, -1)"))
        yield BadSample((x, w), {**unit, "dilation": (4, 4)}, ShapeError, ("spans 9", "only 8"))
        yield BadSample((x, w), {**unit, "padding": ((-1, 0), (0, 0))}, ArgumentError, ("padding", "negative"))
        yield BadSample((x, w), {**unit, "groups": 2}, ShapeError, ("groups=2", "divide"))


class Conv2dInputGrad(_Convolution):
    """The adjoint of ``conv2d`` in its input: cotangents of the output carried back to the image."""

    name = "conv2d_input_grad"

    def infer(
        self,
        g: TensorType,
        w: TensorType,
        *,
        input_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
    ) -> TensorType:
        require_rank(self.name, "grad_output", g, 4, "(N, C, H, W)")
        require_rank(self.name, "weight", w, 4, "(out_channels, in_channels / groups, kH, kW)")
        require_same_dtype(self.name, grad_output=g, weight=w)
        require_float(self.name, grad_output=g)
        check_groups(self.name, w.shape[1] * groups, w.shape[0], w.shape[1], groups)
        size = output_size(self.name, input_size, w.shape[2:], stride, padding, dilation)  # type: ignore[arg-type]
        if g.shape[1:] != (w.shape[0], *size):
            raise ShapeError(
                f"grad_output has shape {g.shape}, but the convolution gives {(w.shape[0], *size)}", op=self.name
            )
        return TensorType((g.shape[0], w.shape[1] * groups, *input_size), g.dtype)

    @quiet
    def evaluate(
        self, g: Array, w: Array, *, input_size: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int
    ) -> Array:
        o, ci, kh, kw = w.shape
        n, _, oh, ow = g.shape
        (top, bottom), (left, right) = padding
        columns = (
            g.reshape(n, groups, o // groups, oh * ow).transpose(1, 0, 3, 2).reshape(groups, n * oh * ow, o // groups)
        )
        columns = columns @ w.reshape(groups, o // groups, ci * kh * kw)
        columns = columns.reshape(groups, n, oh, ow, ci, kh, kw).transpose(5, 6, 1, 0, 4, 2, 3)
        columns = columns.reshape(kh, kw, n, groups * ci, oh, ow)
        dx = np.zeros((n, groups * ci, input_size[0] + top + bottom, input_size[1] + left + right), g.dtype)
        for ki in range(kh):
            for kj in range(kw):
                i, j = ki * dilation[0], kj * dilation[1]
                dx[:, :, i : i + stride[0] * oh : stride[0], j : j + stride[1] * ow : stride[1]] += columns[ki, kj]
        return np.ascontiguousarray(dx[:, :, top : top + input_size[0], left : left + input_size[1]])

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        dy, w = node.inputs
        attrs = {k: v for k, v in node.attrs.items() if k != "input_size"}
        return conv2d(g, w, **attrs), conv2d_weight_grad(g, dy, kernel_size=w.shape[2:], **attrs)

    def compute(
        self,
        out: tuple[Axis, ...],
        g: Operand,
        w: Operand,
        *,
        input_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
    ) -> Expr:
        n, c, i, j = out
        co, ki, kj = reduce_axes(("co", w.shape[0] // groups), ("ki", w.shape[2]), ("kj", w.shape[3]))
        o = (c // w.shape[1]) * (w.shape[0] // groups) + co if groups > 1 else co
        ci = c % w.shape[1] if groups > 1 else c
        y = i + padding[0][0] - ki * dilation[0]
        x = j + padding[1][0] - kj * dilation[1]
        pixel = g.padded(0, n, o, y // stride[0], x // stride[1])
        # Only input pixels on the stride's lattice were met by this tap.
        if stride[1] > 1:
            pixel = select((x % stride[1]).eq(0), pixel, 0.0)
        if stride[0] > 1:
            pixel = select((y % stride[0]).eq(0), pixel, 0.0)
        return total(pixel * w[o, ci, ki, kj], over=(co, ki, kj))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for x, w, attrs in self.geometries():
            g = (x[0], w[0], *_sizes(x, w, self.name, attrs))
            yield Sample.of(
                rng.standard_normal(g, np.float32), rng.standard_normal(w, np.float32), input_size=x[2:], **attrs
            )

    def bad_samples(self) -> Iterable[BadSample]:
        attrs = {
            "input_size": (8, 8), "stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1,
        }  # fmt: skip
        g, w = TensorType((1, 4, 6, 6), float32), TensorType((4, 3, 3, 3), float32)
        yield BadSample((g.with_shape((1, 4, 5, 6)), w), attrs, ShapeError, ("(1, 4, 5, 6)", "(4, 6, 6)"))
        yield BadSample((g.with_shape((4, 6, 6)), w), attrs, ShapeError, ("grad_output", "4 dimensions"))
        yield BadSample((g, w.with_dtype(float64)), attrs, DTypeError, ("weight is float64",))


class Conv2dWeightGrad(_Convolution):
    """The adjoint of ``conv2d`` in its weight: images against cotangents of the output."""

    name = "conv2d_weight_grad"

    def infer(
        self,
        x: TensorType,
        g: TensorType,
        *,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
    ) -> TensorType:
        require_rank(self.name, "input", x, 4, "(N, C, H, W)")
        require_rank(self.name, "grad_output", g, 4, "(N, C, H, W)")
        require_same_dtype(self.name, input=x, grad_output=g)
        require_float(self.name, input=x)
        check_groups(self.name, x.shape[1], g.shape[1], x.shape[1] // max(groups, 1), groups)
        size = output_size(self.name, x.shape[2:], kernel_size, stride, padding, dilation)  # type: ignore[arg-type]
        if (g.shape[0], *g.shape[2:]) != (x.shape[0], *size):
            want = (x.shape[0], g.shape[1], *size)
            raise ShapeError(f"grad_output has shape {g.shape}, but the convolution gives {want}", op=self.name)
        return TensorType((g.shape[1], x.shape[1] // groups, *kernel_size), x.dtype)

    @quiet
    def evaluate(
        self, x: Array, g: Array, *, kernel_size: Pair, stride: Pair, padding: Padding, dilation: Pair, groups: int
    ) -> Array:
        kh, kw = kernel_size
        n, o, oh, ow = g.shape
        ci = x.shape[1] // groups
        columns = windows(x, kernel_size, stride, padding, dilation, (oh, ow))
        columns = columns.reshape(n, groups, ci, oh, ow, kh, kw).transpose(1, 0, 3, 4, 2, 5, 6)
        columns = columns.reshape(groups, n * oh * ow, ci * kh * kw)
        dy = (
            g.reshape(n, groups, o // groups, oh, ow).transpose(1, 2, 0, 3, 4).reshape(groups, o // groups, n * oh * ow)
        )
        grad: Array = dy @ columns
        return grad.reshape(o, ci, kh, kw)

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        x, dy = node.inputs
        attrs = {k: v for k, v in node.attrs.items() if k != "kernel_size"}
        return conv2d_input_grad(dy, g, input_size=x.shape[2:], **attrs), conv2d(x, g, **attrs)

    def compute(
        self,
        out: tuple[Axis, ...],
        x: Operand,
        g: Operand,
        *,
        kernel_size: Pair,
        stride: Pair,
        padding: Padding,
        dilation: Pair,
        groups: int,
    ) -> Expr:
        o, ci, ki, kj = out
        n, i, j = reduce_axes(("n", x.shape[0]), ("i", g.shape[2]), ("j", g.shape[3]))
        channel = (o // (g.shape[1] // groups)) * (x.shape[1] // groups) + ci if groups > 1 else ci
        pixel = x.padded(
            0,
            n,
            channel,
            i * stride[0] + ki * dilation[0] - padding[0][0],
            j * stride[1] + kj * dilation[1] - padding[1][0],
        )
        return total(pixel * g[n, o, i, j], over=(n, i, j))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for x, w, attrs in self.geometries():
            g = (x[0], w[0], *_sizes(x, w, self.name, attrs))
            yield Sample.of(
                rng.standard_normal(x, np.float32), rng.standard_normal(g, np.float32), kernel_size=w[2:], **attrs
            )

    def bad_samples(self) -> Iterable[BadSample]:
        attrs = {
            "kernel_size": (3, 3), "stride": (1, 1), "padding": ((0, 0), (0, 0)), "dilation": (1, 1), "groups": 1,
        }  # fmt: skip
        x, g = TensorType((1, 3, 8, 8), float32), TensorType((1, 4, 6, 6), float32)
        yield BadSample((x, g.with_shape((2, 4, 6, 6))), attrs, ShapeError, ("(2, 4, 6, 6)", "(1, 4, 6, 6)"))
        yield BadSample((x.with_shape((3, 8, 8)), g), attrs, ShapeError, ("input", "4 dimensions"))
        yield BadSample((x, g), {**attrs, "groups": 0}, ArgumentError, ("groups=0",))


conv2d = Conv2d()
conv2d_input_grad = Conv2dInputGrad()
conv2d_weight_grad = Conv2dWeightGrad()
