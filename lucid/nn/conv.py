"""Convolution layers."""

from __future__ import annotations

from typing import Any, Literal

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail
from lucid.functions.creation import empty
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, positive
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.tensor import Tensor


class _Convolution(Module):
    """Channels in groups, a weight and a bias."""

    weight: Parameter
    bias: Parameter | None

    def _set_channels(self, in_channels: int, out_channels: int, groups: int) -> None:
        op = type(self).__name__
        self.in_channels = positive(op, "in_channels", in_channels)
        self.out_channels = positive(op, "out_channels", out_channels)
        self.groups = positive(op, "groups", groups)
        for argument in ("in_channels", "out_channels"):
            channels = getattr(self, argument)
            if channels % self.groups:
                fail(ArgumentError(f"groups={self.groups} must divide {argument}={channels}", op=op))

    def _set_parameters(self, weight: tuple[int, ...], bias: bool) -> None:
        self.weight = Parameter(empty(weight))
        wanted = flag(type(self).__name__, "bias", bias)
        self.register_parameter("bias", Parameter(empty(self.out_channels)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weight and bias again."""
        fan_in, _ = init.calculate_fans(self.weight)
        init.fan_in_uniform_(self.weight, fan_in)
        if self.bias is not None:
            init.fan_in_uniform_(self.bias, fan_in)


class Conv2d(_Convolution):
    """Two-dimensional convolution (cross-correlation, as everywhere in deep learning) of images ``(N, C, H, W)``,
    or of one image ``(C, H, W)``.

    The output is ``(N, out_channels, OH, OW)`` with ``OH = (H + padding - dilation * (kernel - 1) - 1) // stride + 1``,
    where ``padding`` counts both sides, and likewise ``OW``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: an int or (height, width).
        stride: an int or (height, width).
        padding: pixels around the image: an int, (height, width), ((top, bottom), (left, right)), 'valid' (none), or
            'same': ``dilation * (kernel - 1)`` in all, the smaller half on the low side, which gives
            ``ceil(size / stride)`` pixels.
        dilation: steps between the pixels that a kernel meets, an int or (height, width).
        groups: channels are split into so many groups that do not see each other; ``groups=in_channels`` is depthwise.
        bias: whether to add one number per output channel.
        padding_mode: what these pixels hold: 'zeros', or as ``F.pad`` 'reflect', 'replicate' or 'circular'.

    Attributes:
        weight: ``(out_channels, in_channels // groups, kH, kW)``, float32.
        bias: ``(out_channels,)``, or None.

    Both start uniform within ``1 / sqrt(fan_in)`` of 0, with ``fan_in = in_channels // groups * kH * kW``
    (``nn.init.fan_in_uniform_`` names the source).

    Raises:
        ArgumentError: a size below 1, negative padding, an unknown padding word, ``groups`` that does not divide.
        ArgumentTypeError: something else than ints where ints belong.
        ShapeError, DTypeError: when called, with an input of the wrong rank, channels, size or dtype.

    >>> import lucid
    >>> from lucid import nn
    >>> conv = nn.Conv2d(3, 16, kernel_size=3, stride=2, padding="same")
    >>> conv(lucid.zeros(8, 3, 33, 33)).shape
    (8, 16, 17, 17)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: Literal["same", "valid"] | int | tuple[Any, ...] = 0,
        dilation: int | tuple[int, ...] = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: Literal["zeros", "reflect", "replicate", "circular"] = "zeros",
    ):
        super().__init__()
        op = "Conv2d"
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            known = "'zeros', 'reflect', 'replicate' or 'circular'"
            fail(ArgumentError(f"padding_mode={padding_mode!r} must be {known}", op=op))
        self.padding_mode = padding_mode
        self._set_channels(in_channels, out_channels, groups)
        self.kernel_size = F.pair(op, "kernel_size", kernel_size)
        self.stride = F.pair(op, "stride", stride)
        self.dilation = F.pair(op, "dilation", dilation)
        self._edges = edges = F.paddings(op, padding, self.kernel_size, self.dilation)
        #: 'same' or 'valid' as given; otherwise (height, width), or ((top, bottom), (left, right)) where they differ.
        self.padding: Any = padding
        if not isinstance(padding, str):
            symmetric = all(low == high for low, high in edges)
            self.padding = (edges[0][0], edges[1][0]) if symmetric else edges
        self._set_parameters((self.out_channels, self.in_channels // self.groups, *self.kernel_size), bias)

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            (top, bottom), (left, right) = self._edges
            input, padding = F.pad(input, (left, right, top, bottom), self.padding_mode), 0
        return F.conv2d(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding not in ((0, 0), "valid"):
            parts.append(f"padding={self.padding!r}")
        if self.dilation != (1, 1):
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode!r}")
        return ", ".join(parts)


class ConvTranspose2d(_Convolution):
    """The transpose of a convolution: every pixel spreads its value by the weights, which makes images larger.

    The result has ``(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`` pixels.

    Args:
        in_channels: channels of the input, ``(N, C, H, W)`` or ``(C, H, W)``.
        out_channels: channels of the output.
        kernel_size: an int or (height, width).
        stride: an int or (height, width).
        padding: how many pixels the result lacks at each side, an int or (height, width).
        output_padding: how many more it has at the bottom and at the right, less than ``stride`` or ``dilation``.
        groups: channels are split into so many groups that do not see each other.
        bias: whether to add one number per output channel.
        dilation: steps between the pixels that a kernel meets, an int or (height, width).

    Attributes:
        weight: ``(in_channels, out_channels // groups, kH, kW)``, float32.
        bias: ``(out_channels,)``, or None.

    Raises:
        ArgumentError: a size below 1, negative padding, ``groups`` that does not divide.
        ArgumentTypeError: something else than ints where ints belong.
        ShapeError, DTypeError: when called, with an input of the wrong rank, channels, size or dtype.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ConvTranspose2d(4, 2, kernel_size=4, stride=2, padding=1)(lucid.zeros(1, 4, 8, 8)).shape
    (1, 2, 16, 16)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, ...],
        stride: int | tuple[int, ...] = 1,
        padding: int | tuple[int, ...] = 0,
        output_padding: int | tuple[int, ...] = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: int | tuple[int, ...] = 1,
    ):
        super().__init__()
        op = "ConvTranspose2d"
        self._set_channels(in_channels, out_channels, groups)
        self.kernel_size = F.pair(op, "kernel_size", kernel_size)
        self.stride = F.pair(op, "stride", stride)
        self.padding = F.pair(op, "padding", padding, 0)
        self.output_padding = F.pair(op, "output_padding", output_padding, 0)
        self.dilation = F.pair(op, "dilation", dilation)
        self._set_parameters((self.in_channels, self.out_channels // self.groups, *self.kernel_size), bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.conv_transpose2d(
            input, self.weight, self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        for name, usual in (("padding", (0, 0)), ("output_padding", (0, 0)), ("dilation", (1, 1)), ("groups", 1)):
            if getattr(self, name) != usual:
                parts.append(f"{name}={getattr(self, name)}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)
