"""Sliding blocks of images as columns, and columns added up to images."""

from __future__ import annotations

from typing import Any

from lucid.nn import functional as F
from lucid.nn.functional.arguments import pair
from lucid.nn.module import Module
from lucid.tensor import Tensor


class _Blocks(Module):
    def __init__(self, kernel_size: Any, dilation: Any, padding: Any, stride: Any):
        super().__init__()
        op = type(self).__name__
        self.kernel_size = pair(op, "kernel_size", kernel_size)
        self.dilation = pair(op, "dilation", dilation)
        self.padding = pair(op, "padding", padding, 0)
        self.stride = pair(op, "stride", stride)

    def extra_repr(self) -> str:
        names = ("kernel_size", "dilation", "padding", "stride")
        return ", ".join([f"{name}={getattr(self, name)}" for name in names])


class Unfold(_Blocks):
    """The blocks that a window slides over in images ``(N, C, H, W)`` or ``(C, H, W)``, each a column of
    ``(N, C * kH * kW, blocks)``.

    Args:
        kernel_size, dilation, stride: an int or (height, width).
        padding: zeros around the image, an int or (height, width).

    Raises:
        ArgumentError, ArgumentTypeError: not ints, sizes below 1, or negative padding.
        ShapeError: when called, with another rank, or an image smaller than a block.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Unfold(2)(lucid.arange(6.0).reshape(1, 2, 3)).tolist()
    [[0.0, 1.0], [1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]
    """

    def __init__(self, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__(kernel_size, dilation, padding, stride)

    def forward(self, input: Tensor) -> Tensor:
        return F.unfold(input, self.kernel_size, self.dilation, self.padding, self.stride)


class Fold(_Blocks):
    """Columns ``(N, C * kH * kW, blocks)`` added up to images ``(N, C, H, W)``, each where ``Unfold`` takes it from.

    Args:
        output_size: height and width of the result, an int or a pair.
        kernel_size, dilation, stride: an int or (height, width).
        padding: what of the blocks lies outside of the image on each side, an int or (height, width).

    Raises:
        ArgumentError, ArgumentTypeError: not ints, sizes below 1, or negative padding.
        ShapeError: when called, with other columns than such blocks give.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Fold((2, 3), 2)(lucid.ones(4, 2)).tolist()
    [[[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]]
    """

    def __init__(self, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1):
        super().__init__(kernel_size, dilation, padding, stride)
        self.output_size = pair("Fold", "output_size", output_size)

    def forward(self, input: Tensor) -> Tensor:
        return F.fold(input, self.output_size, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}, {super().extra_repr()}"
