"""Layers that make images larger or smaller without weights."""

from __future__ import annotations

from typing import Any

from lucid.nn import functional as F
from lucid.nn.arguments import positive
from lucid.nn.module import Module
from lucid.tensor import Tensor


class Upsample(Module):
    """Images ``(N, C, ...)`` of another size; arguments as ``F.interpolate``.

    Raises:
        ShapeError, ArgumentError, ArgumentTypeError: when called, as ``F.interpolate``.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Upsample(scale_factor=2)(lucid.tensor([[[1.0, 3.0]]])).tolist()
    [[[1.0, 1.0, 3.0, 3.0]]]
    """

    def __init__(
        self, size: Any = None, scale_factor: Any = None, mode: str = "nearest", align_corners: bool | None = None
    ):
        super().__init__()
        self.size = size
        self.scale_factor = scale_factor
        self.mode = mode
        self.align_corners = align_corners

    def forward(self, input: Tensor) -> Tensor:
        return F.interpolate(input, self.size, self.scale_factor, self.mode, self.align_corners)

    def extra_repr(self) -> str:
        size = f"size={self.size}" if self.size is not None else f"scale_factor={self.scale_factor}"
        return f"{size}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """``Upsample`` of ``(N, C, H, W)`` by repeating the nearest pixel.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.UpsamplingNearest2d(scale_factor=2)(lucid.ones(1, 1, 2, 3)).shape
    (1, 1, 4, 6)
    """

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor)


class UpsamplingBilinear2d(Upsample):
    """``Upsample`` of ``(N, C, H, W)`` by bilinear interpolation between corners that stay where they are.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.UpsamplingBilinear2d(size=(1, 3))(lucid.tensor([[[[1.0, 3.0]]]])).tolist()
    [[[[1.0, 2.0, 3.0]]]]
    """

    def __init__(self, size: Any = None, scale_factor: Any = None):
        super().__init__(size, scale_factor, "bilinear", align_corners=True)


class PixelShuffle(Module):
    """``(..., C * r * r, H, W)`` to ``(..., C, H * r, W * r)``: Shi et al., arXiv:1609.05158.

    Raises:
        ArgumentError, ArgumentTypeError: ``upscale_factor`` below 1, or not an int.
        ShapeError: when called, with channels that ``r * r`` does not divide.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.PixelShuffle(2)(lucid.arange(4.0).reshape(4, 1, 1)).tolist()
    [[[0.0, 1.0], [2.0, 3.0]]]
    """

    def __init__(self, upscale_factor: int):
        super().__init__()
        self.upscale_factor = positive("PixelShuffle", "upscale_factor", upscale_factor)

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_shuffle(input, self.upscale_factor)

    def extra_repr(self) -> str:
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """``(..., C, H * r, W * r)`` to ``(..., C * r * r, H, W)``: what ``PixelShuffle`` undoes.

    Raises:
        ArgumentError, ArgumentTypeError: ``downscale_factor`` below 1, or not an int.
        ShapeError: when called, with sizes that ``r`` does not divide.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.PixelUnshuffle(2)(lucid.arange(4.0).reshape(1, 2, 2)).flatten()
    Tensor([0.0, 1.0, 2.0, 3.0])
    """

    def __init__(self, downscale_factor: int):
        super().__init__()
        self.downscale_factor = positive("PixelUnshuffle", "downscale_factor", downscale_factor)

    def forward(self, input: Tensor) -> Tensor:
        return F.pixel_unshuffle(input, self.downscale_factor)

    def extra_repr(self) -> str:
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels of ``(N, C, ...)`` dealt out from ``groups`` piles: Zhang et al., arXiv:1707.01083.

    Raises:
        ArgumentError, ArgumentTypeError: ``groups`` below 1; when called, groups that do not divide the channels.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ChannelShuffle(2)(lucid.arange(4.0).reshape(1, 4, 1)).flatten()
    Tensor([0.0, 2.0, 1.0, 3.0])
    """

    def __init__(self, groups: int):
        super().__init__()
        self.groups = positive("ChannelShuffle", "groups", groups)

    def forward(self, input: Tensor) -> Tensor:
        return F.channel_shuffle(input, self.groups)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
