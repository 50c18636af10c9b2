"""Pooling layers: images ``(N, C, H, W)`` made smaller window by window."""

from __future__ import annotations

from typing import Any

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail, is_several
from lucid.nn import functional as F
from lucid.nn.arguments import flag, positive
from lucid.nn.module import Module
from lucid.tensor import Tensor


class _Pool2d(Module):
    """Window, step and edges, checked once."""

    def __init__(self, kernel_size: Any, stride: Any, padding: Any):
        super().__init__()
        op = type(self).__name__
        self.kernel_size = F.pair(op, "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else F.pair(op, "stride", stride)
        self.padding = F.pair(op, "padding", padding, 0)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxPool2d(_Pool2d):
    """The largest pixel of each window; padding counts as -inf.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: pixels around the image, an int or (height, width).
        dilation: steps between the pixels of a window.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError: when called, with an input that is not ``(N, C, H, W)`` or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MaxPool2d(2)(lucid.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1):
        super().__init__(kernel_size, stride, padding)
        self.dilation = F.pair("MaxPool2d", "dilation", dilation)

    def forward(self, input: Tensor) -> Tensor:
        return F.max_pool2d(input, self.kernel_size, self.stride, self.padding, self.dilation)

    def extra_repr(self) -> str:
        return super().extra_repr() + f", dilation={self.dilation}"


class AvgPool2d(_Pool2d):
    """The mean of each window.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: zeros around the image, an int or (height, width).
        count_include_pad: whether these zeros count in the mean.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError: when called, with an input that is not ``(N, C, H, W)`` or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AvgPool2d(2)(lucid.arange(16.0).reshape(1, 1, 4, 4)).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True):
        super().__init__(kernel_size, stride, padding)
        self.count_include_pad = flag("AvgPool2d", "count_include_pad", count_include_pad)

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool2d(input, self.kernel_size, self.stride, self.padding, self.count_include_pad)


class _Adaptive(Module):
    def __init__(self, output_size: Any):
        super().__init__()
        op = type(self).__name__
        given = tuple(output_size) if is_several(output_size) else (output_size, output_size)
        if len(given) != 2:
            fail(ArgumentError(f"output_size={output_size!r} must be an int or a pair (height, width)", op=op))
        self.output_size = tuple([None if n is None else positive(op, "output_size", n) for n in given])

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class AdaptiveAvgPool2d(_Adaptive):
    """The means of windows of ``(N, C, H, W)`` or ``(C, H, W)`` images that together cover them.

    Args:
        output_size: how many windows there are, an int or (height, width); None keeps a size.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints.
        ShapeError: when called, with an input of another rank, or without pixels.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AdaptiveAvgPool2d((1, None))(lucid.arange(6.0).reshape(1, 2, 3)).tolist()
    [[[1.5, 2.5, 3.5]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_avg_pool2d(input, self.output_size)


class AdaptiveMaxPool2d(_Adaptive):
    """The largest pixels of windows of ``(N, C, H, W)`` or ``(C, H, W)`` images that together cover them.

    Args:
        output_size: how many windows there are, an int or (height, width); None keeps a size.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints.
        ShapeError: when called, with an input of another rank, or without pixels.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AdaptiveMaxPool2d(1)(lucid.arange(6.0).reshape(1, 2, 3)).tolist()
    [[[5.0]]]
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.adaptive_max_pool2d(input, self.output_size)
