"""Convolution layers of lines, images and volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Literal

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail
from lucid.functions.creation import empty
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, positive
from lucid.nn.functional.arguments import paddings, per_axis
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.nn.place import Place, placed
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack

_PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class _Convolution(Module):
    """Channels in groups, a weight and a bias."""

    #: Dimensions of an image.
    rank: ClassVar[int]
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

    def _set_parameters(self, weight: tuple[int, ...], bias: bool, place: Place) -> None:
        op = type(self).__name__
        made = placed(op, place)
        self.weight = Parameter(empty(weight, **made))
        wanted = flag(op, "bias", bias)
        self.register_parameter("bias", Parameter(empty(self.out_channels, **made)) if wanted else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the initial weight and bias again."""
        fan_in, _ = init.calculate_fans(self.weight)
        init.fan_in_uniform_(self.weight, fan_in)
        if self.bias is not None:
            init.fan_in_uniform_(self.bias, fan_in)


class _Conv(_Convolution):
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
        padding_mode: _PaddingMode = "zeros",
        **place: Unpack[Place],
    ):
        super().__init__()
        op = type(self).__name__
        if padding_mode not in ("zeros", "reflect", "replicate", "circular"):
            known = "'zeros', 'reflect', 'replicate' or 'circular'"
            fail(ArgumentError(f"padding_mode={padding_mode!r} must be {known}", op=op))
        self.padding_mode = padding_mode
        self._set_channels(in_channels, out_channels, groups)
        self.kernel_size = per_axis(op, "kernel_size", kernel_size, self.rank)
        self.stride = per_axis(op, "stride", stride, self.rank)
        self.dilation = per_axis(op, "dilation", dilation, self.rank)
        self._edges = edges = paddings(op, padding, self.kernel_size, self.dilation)
        #: 'same' or 'valid' as given; otherwise one for each dimension, or a pair for each where the sides differ.
        self.padding: Any = padding
        if not isinstance(padding, str):
            symmetric = all(low == high for low, high in edges)
            self.padding = tuple([low for low, _ in edges]) if symmetric else edges
        self._set_parameters((self.out_channels, self.in_channels // self.groups, *self.kernel_size), bias, place)

    def forward(self, input: Tensor) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            sides = [n for ends in reversed(self._edges) for n in ends]
            input, padding = F.pad(input, sides, self.padding_mode), 0
        conv = (F.conv1d, F.conv2d, F.conv3d)[self.rank - 1]
        return conv(input, self.weight, self.bias, self.stride, padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        if self.padding not in ((0,) * self.rank, "valid"):
            parts.append(f"padding={self.padding!r}")
        if self.dilation != (1,) * self.rank:
            parts.append(f"dilation={self.dilation}")
        if self.groups != 1:
            parts.append(f"groups={self.groups}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode!r}")
        return ", ".join(parts)


class Conv1d(_Conv):
    """One-dimensional convolution (cross-correlation, as everywhere in deep learning) of lines ``(N, C, L)``,
    or of one line ``(C, L)``.

    The output is ``(N, out_channels, OL)`` with ``OL = (L + padding - dilation * (kernel - 1) - 1) // stride + 1``,
    where ``padding`` counts both sides.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: an int.
        stride: an int.
        padding: elements around the line: an int, ((before, after),), 'valid' (none), or
            'same': ``dilation * (kernel - 1)`` in all, the smaller half on the low side, which gives
            ``ceil(size / stride)`` elements.
        dilation: steps between the elements that a kernel meets, an int.
        groups: channels are split into so many groups that do not see each other; ``groups=in_channels`` is depthwise.
        bias: whether to add one number per output channel.
        padding_mode: what these elements hold: 'zeros', or as ``F.pad`` 'reflect', 'replicate' or 'circular'.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(out_channels, in_channels // groups, kL)``.
        bias: ``(out_channels,)``, or None.

    Both start uniform within ``1 / sqrt(fan_in)`` of 0, with ``fan_in = in_channels // groups * kL``
    (``nn.init.fan_in_uniform_`` names the source).

    Raises:
        ArgumentError: a size below 1, negative padding, an unknown padding word, ``groups`` that does not divide.
        ArgumentTypeError: something else than ints where ints belong.
        ShapeError, DTypeError: when called, with an input of the wrong rank, channels, size or dtype.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> conv = nn.Conv1d(3, 16, kernel_size=3, stride=2, padding="same")
    >>> conv(lucid.zeros(8, 3, 33)).shape
    (8, 16, 17)
    """

    rank = 1


class Conv2d(_Conv):
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
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(out_channels, in_channels // groups, kH, kW)``.
        bias: ``(out_channels,)``, or None.

    Both start uniform within ``1 / sqrt(fan_in)`` of 0, with ``fan_in = in_channels // groups * kH * kW``
    (``nn.init.fan_in_uniform_`` names the source).

    Raises:
        ArgumentError: a size below 1, negative padding, an unknown padding word, ``groups`` that does not divide.
        ArgumentTypeError: something else than ints where ints belong.
        ShapeError, DTypeError: when called, with an input of the wrong rank, channels, size or dtype.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> conv = nn.Conv2d(3, 16, kernel_size=3, stride=2, padding="same")
    >>> conv(lucid.zeros(8, 3, 33, 33)).shape
    (8, 16, 17, 17)
    """

    rank = 2


class Conv3d(_Conv):
    """Three-dimensional convolution (cross-correlation, as everywhere in deep learning) of volumes ``(N, C, D, H, W)``,
    or of one volume ``(C, D, H, W)``.

    The output is ``(N, out_channels, OD, OH, OW)`` with
    ``OD = (D + padding - dilation * (kernel - 1) - 1) // stride + 1``,
    where ``padding`` counts both sides, and likewise ``OH`` and ``OW``.

    Args:
        in_channels: channels of the input.
        out_channels: channels of the output.
        kernel_size: an int or (depth, height, width).
        stride: an int or (depth, height, width).
        padding: voxels around the volume: an int, (depth, height, width), a pair (before, after) for each, 'valid'
            (none), or 'same': ``dilation * (kernel - 1)`` in all, the smaller half on the low side, which gives
            ``ceil(size / stride)`` voxels.
        dilation: steps between the voxels that a kernel meets, an int or (depth, height, width).
        groups: channels are split into so many groups that do not see each other; ``groups=in_channels`` is depthwise.
        bias: whether to add one number per output channel.
        padding_mode: what these voxels hold: 'zeros', or as ``F.pad`` 'reflect', 'replicate' or 'circular'.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(out_channels, in_channels // groups, kD, kH, kW)``.
        bias: ``(out_channels,)``, or None.

    Both start uniform within ``1 / sqrt(fan_in)`` of 0, with ``fan_in = in_channels // groups * kD * kH * kW``
    (``nn.init.fan_in_uniform_`` names the source).

    Raises:
        ArgumentError: a size below 1, negative padding, an unknown padding word, ``groups`` that does not divide.
        ArgumentTypeError: something else than ints where ints belong.
        ShapeError, DTypeError: when called, with an input of the wrong rank, channels, size or dtype.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> conv = nn.Conv3d(3, 16, kernel_size=3, stride=2, padding="same")
    >>> conv(lucid.zeros(2, 3, 9, 9, 9)).shape
    (2, 16, 5, 5, 5)
    """

    rank = 3


class _ConvTranspose(_Convolution):
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
        padding_mode: Literal["zeros"] = "zeros",
        **place: Unpack[Place],
    ):
        super().__init__()
        op = type(self).__name__
        if padding_mode != "zeros":
            fail(ArgumentError(f"padding_mode={padding_mode!r} must be 'zeros' in a transposed convolution", op=op))
        self._set_channels(in_channels, out_channels, groups)
        self.kernel_size = per_axis(op, "kernel_size", kernel_size, self.rank)
        self.stride = per_axis(op, "stride", stride, self.rank)
        self.padding = per_axis(op, "padding", padding, self.rank, 0)
        self.output_padding = per_axis(op, "output_padding", output_padding, self.rank, 0)
        self.dilation = per_axis(op, "dilation", dilation, self.rank)
        self._set_parameters((self.in_channels, self.out_channels // self.groups, *self.kernel_size), bias, place)

    def forward(self, input: Tensor, output_size: Any = None) -> Tensor:
        more = self.output_padding if output_size is None else self._lacking(input, output_size)
        conv = (F.conv_transpose1d, F.conv_transpose2d, F.conv_transpose3d)[self.rank - 1]
        return conv(input, self.weight, self.bias, self.stride, self.padding, more, self.groups, self.dilation)

    def _lacking(self, input: Tensor, output_size: Any) -> tuple[int, ...]:
        """What ``output_size`` has more than the smallest result."""
        op = type(self).__name__
        size = per_axis(op, "output_size", tuple(output_size)[-self.rank :], self.rank)
        parts = zip(input.shape[-self.rank :], self.kernel_size, self.stride, self.padding, self.dilation, strict=True)
        least = [(n - 1) * s - 2 * p + d * (k - 1) + 1 for n, k, s, p, d in parts]
        more = tuple([a - b for a, b in zip(size, least, strict=True)])
        if any(not 0 <= m < s for m, s in zip(more, self.stride, strict=True)):
            most = tuple([n + s - 1 for n, s in zip(least, self.stride, strict=True)])
            fail(ArgumentError(f"output_size={size} must lie in {tuple(least)} .. {most} for this input", op=op))
        return more

    def extra_repr(self) -> str:
        parts = [f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"]
        none, one = (0,) * self.rank, (1,) * self.rank
        for name, usual in (("padding", none), ("output_padding", none), ("dilation", one), ("groups", 1)):
            if getattr(self, name) != usual:
                parts.append(f"{name}={getattr(self, name)}")
        if self.bias is None:
            parts.append("bias=False")
        return ", ".join(parts)


class ConvTranspose1d(_ConvTranspose):
    """The transpose of a convolution: every element spreads its value by the weights, which makes lines larger.

    The result has ``(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`` elements.

    Args:
        in_channels: channels of the input, ``(N, C, L)`` or ``(C, L)``.
        out_channels: channels of the output.
        kernel_size: an int.
        stride: an int.
        padding: how many elements the result lacks at each side, an int.
        output_padding: how many more it has at the far sides, less than ``stride`` or ``dilation``; a call's
            ``output_size`` stands for it.
        groups: channels are split into so many groups that do not see each other.
        bias: whether to add one number per output channel.
        dilation: steps between the elements that a kernel meets, an int.
        padding_mode: 'zeros'.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(in_channels, out_channels // groups, kL)``.
        bias: ``(out_channels,)``, or None.

    Raises:
        ArgumentError: a size below 1, negative padding, ``groups`` that does not divide.
        ArgumentTypeError: something else than ints where ints belong.
        ShapeError, DTypeError: when called, with an input of the wrong rank, channels, size or dtype.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ConvTranspose1d(4, 2, kernel_size=4, stride=2, padding=1)(lucid.zeros(1, 4, 8)).shape
    (1, 2, 16)
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """The transpose of a convolution: every pixel spreads its value by the weights, which makes images larger.

    The result has ``(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`` pixels.

    Args:
        in_channels: channels of the input, ``(N, C, H, W)`` or ``(C, H, W)``.
        out_channels: channels of the output.
        kernel_size: an int or (height, width).
        stride: an int or (height, width).
        padding: how many pixels the result lacks at each side, an int or (height, width).
        output_padding: how many more it has at the far sides, less than ``stride`` or ``dilation``; a call's
            ``output_size`` stands for it.
        groups: channels are split into so many groups that do not see each other.
        bias: whether to add one number per output channel.
        dilation: steps between the pixels that a kernel meets, an int or (height, width).
        padding_mode: 'zeros'.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(in_channels, out_channels // groups, kH, kW)``.
        bias: ``(out_channels,)``, or None.

    Raises:
        ArgumentError: a size below 1, negative padding, ``groups`` that does not divide.
        ArgumentTypeError: something else than ints where ints belong.
        ShapeError, DTypeError: when called, with an input of the wrong rank, channels, size or dtype.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ConvTranspose2d(4, 2, kernel_size=4, stride=2, padding=1)(lucid.zeros(1, 4, 8, 8)).shape
    (1, 2, 16, 16)
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """The transpose of a convolution: every voxel spreads its value by the weights, which makes volumes larger.

    The result has ``(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`` voxels.

    Args:
        in_channels: channels of the input, ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
        out_channels: channels of the output.
        kernel_size: an int or (depth, height, width).
        stride: an int or (depth, height, width).
        padding: how many voxels the result lacks at each side, an int or (depth, height, width).
        output_padding: how many more it has at the far sides, less than ``stride`` or ``dilation``; a call's
            ``output_size`` stands for it.
        groups: channels are split into so many groups that do not see each other.
        bias: whether to add one number per output channel.
        dilation: steps between the voxels that a kernel meets, an int or (depth, height, width).
        padding_mode: 'zeros'.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(in_channels, out_channels // groups, kD, kH, kW)``.
        bias: ``(out_channels,)``, or None.

    Raises:
        ArgumentError: a size below 1, negative padding, ``groups`` that does not divide.
        ArgumentTypeError: something else than ints where ints belong.
        ShapeError, DTypeError: when called, with an input of the wrong rank, channels, size or dtype.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ConvTranspose3d(4, 2, kernel_size=4, stride=2, padding=1)(lucid.zeros(1, 4, 3, 3, 3)).shape
    (1, 2, 6, 6, 6)
    """

    rank = 3
