"""Pooling layers: lines, images and volumes made smaller window by window."""

from __future__ import annotations

from typing import Any, ClassVar

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail, int_of, is_several, number_of
from lucid.nn import functional as F
from lucid.nn.arguments import flag, positive
from lucid.nn.functional.arguments import per_axis
from lucid.nn.module import Module
from lucid.tensor import Tensor


class _Pool(Module):
    """Window, step and edges, checked once."""

    #: Dimensions of an image.
    rank: ClassVar[int]

    def __init__(self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool):
        super().__init__()
        op = type(self).__name__
        self.kernel_size = per_axis(op, "kernel_size", kernel_size, self.rank)
        self.stride = self.kernel_size if stride is None else per_axis(op, "stride", stride, self.rank)
        self.padding = per_axis(op, "padding", padding, self.rank, 0)
        self.ceil_mode = flag(op, "ceil_mode", ceil_mode)

    def extra_repr(self) -> str:
        parts = [f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"]
        return ", ".join([*parts, "ceil_mode=True"] if self.ceil_mode else parts)


class _MaxPool(_Pool):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        dilation: Any = 1,
        return_indices: bool = False,
        ceil_mode: bool = False,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode)
        op = type(self).__name__
        self.dilation = per_axis(op, "dilation", dilation, self.rank)
        self.return_indices = flag(op, "return_indices", return_indices)

    def forward(self, input: Tensor) -> Any:
        pool = (F.max_pool1d, F.max_pool2d, F.max_pool3d)[self.rank - 1]
        return pool(
            input, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode, self.return_indices
        )

    def extra_repr(self) -> str:
        return super().extra_repr() + f", dilation={self.dilation}"


class MaxPool1d(_MaxPool):
    """The largest element of each window of lines ``(N, C, L)`` or ``(C, L)``; padding counts as -inf.

    Args:
        kernel_size: the window, an int.
        stride: steps between windows; ``kernel_size`` unless given.
        padding: elements around the line, an int, at most half a window.
        dilation: steps between the elements of a window.
        return_indices: whether to return also the number of each maximum among the elements of its channel, int64, for
            ``MaxUnpool1d``.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError: when called, with an input of another rank or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MaxPool1d(2)(lucid.arange(4.0).reshape(1, 4)).tolist()
    [[1.0, 3.0]]
    """

    rank = 1


class MaxPool2d(_MaxPool):
    """The largest pixel of each window of images ``(N, C, H, W)`` or ``(C, H, W)``; padding counts as -inf.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: pixels around the image, an int or (height, width), at most half a window.
        dilation: steps between the pixels of a window.
        return_indices: whether to return also the number of each maximum among the pixels of its channel, int64, for
            ``MaxUnpool2d``.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError: when called, with an input of another rank or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MaxPool2d(2)(lucid.arange(16.0).reshape(1, 4, 4)).tolist()
    [[[5.0, 7.0], [13.0, 15.0]]]
    """

    rank = 2


class MaxPool3d(_MaxPool):
    """The largest voxel of each window of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)``; padding counts as -inf.

    Args:
        kernel_size: the window, an int or (depth, height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: voxels around the volume, an int or (depth, height, width), at most half a window.
        dilation: steps between the voxels of a window.
        return_indices: whether to return also the number of each maximum among the voxels of its channel, int64, for
            ``MaxUnpool3d``.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError: when called, with an input of another rank or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MaxPool3d(2)(lucid.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[[[7.0]]]]
    """

    rank = 3


class _AvgPool(_Pool):
    divisor_override: int | None

    def __init__(
        self, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, count_include_pad: bool, divisor: Any
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode)
        op = type(self).__name__
        self.count_include_pad = flag(op, "count_include_pad", count_include_pad)
        self.divisor_override = None if divisor is None else int_of(op, "divisor_override", divisor)
        if divisor == 0:
            fail(ArgumentError("divisor_override=0 must not be 0", op=op))


class AvgPool1d(_AvgPool):
    """The mean of each window of lines ``(N, C, L)`` or ``(C, L)``.

    Args:
        kernel_size: the window, an int.
        stride: steps between windows; ``kernel_size`` unless given.
        padding: zeros around the line, at most half a window.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.
        count_include_pad: whether these zeros count in the mean.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError: when called, with an input of another rank or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AvgPool1d(2)(lucid.arange(4.0).reshape(1, 4)).tolist()
    [[0.5, 2.5]]
    """

    rank = 1

    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad, None)

    def forward(self, input: Tensor) -> Tensor:
        return F.avg_pool1d(input, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class _WideAvgPool(_AvgPool):
    def __init__(
        self,
        kernel_size: Any,
        stride: Any = None,
        padding: Any = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ):
        super().__init__(kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override)

    def forward(self, input: Tensor) -> Tensor:
        pool = F.avg_pool2d if self.rank == 2 else F.avg_pool3d
        return pool(
            input,
            self.kernel_size,
            self.stride,
            self.padding,
            self.ceil_mode,
            self.count_include_pad,
            self.divisor_override,
        )


class AvgPool2d(_WideAvgPool):
    """The mean of each window of images ``(N, C, H, W)`` or ``(C, H, W)``.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: zeros around the image, an int or (height, width), at most half a window.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.
        count_include_pad: whether these zeros count in the mean.
        divisor_override: what to divide the sum by instead of their number.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError: when called, with an input of another rank or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AvgPool2d(2)(lucid.arange(16.0).reshape(1, 4, 4)).tolist()
    [[[2.5, 4.5], [10.5, 12.5]]]
    """

    rank = 2


class AvgPool3d(_WideAvgPool):
    """The mean of each window of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Args:
        kernel_size: the window, an int or (depth, height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: zeros around the volume, an int or (depth, height, width), at most half a window.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.
        count_include_pad: whether these zeros count in the mean.
        divisor_override: what to divide the sum by instead of their number.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError: when called, with an input of another rank or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AvgPool3d(2)(lucid.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[[[3.5]]]]
    """

    rank = 3


class _LPPool(Module):
    rank: ClassVar[int]

    def __init__(self, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False):
        super().__init__()
        op = type(self).__name__
        self.norm_type = number_of(op, "norm_type", norm_type)
        if not norm_type:
            fail(ArgumentError(f"norm_type={norm_type!r} must not be 0", op=op))
        self.kernel_size = per_axis(op, "kernel_size", kernel_size, self.rank)
        self.stride = self.kernel_size if stride is None else per_axis(op, "stride", stride, self.rank)
        self.ceil_mode = flag(op, "ceil_mode", ceil_mode)

    def forward(self, input: Tensor) -> Tensor:
        pool = (F.lp_pool1d, F.lp_pool2d, F.lp_pool3d)[self.rank - 1]
        return pool(input, self.norm_type, self.kernel_size, self.stride, self.ceil_mode)

    def extra_repr(self) -> str:
        return f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}"


class LPPool1d(_LPPool):
    """The norm ``(sum x ** p) ** (1 / p)`` of each window of lines ``(N, C, L)`` or ``(C, L)``.

    Args:
        norm_type: p.
        kernel_size: the window, an int.
        stride: steps between windows; ``kernel_size`` unless given.
        ceil_mode: whether a last window may reach beyond the line; its mean then counts for all of it.

    Raises:
        ArgumentError, ArgumentTypeError: ``norm_type`` 0, a size below 1, or not numbers.
        ShapeError: when called, with an input of another rank or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.LPPool1d(1, 2)(lucid.arange(4.0).reshape(1, 4)).tolist()
    [[1.0, 5.0]]
    """

    rank = 1


class LPPool2d(_LPPool):
    """The norm ``(sum x ** p) ** (1 / p)`` of each window of images ``(N, C, H, W)`` or ``(C, H, W)``.

    Args:
        norm_type: p.
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        ceil_mode: whether a last window may reach beyond the image; its mean then counts for all of it.

    Raises:
        ArgumentError, ArgumentTypeError: ``norm_type`` 0, a size below 1, or not numbers.
        ShapeError: when called, with an input of another rank or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.LPPool2d(1, 2)(lucid.arange(16.0).reshape(1, 4, 4)).tolist()
    [[[10.0, 18.0], [42.0, 50.0]]]
    """

    rank = 2


class LPPool3d(_LPPool):
    """The norm ``(sum x ** p) ** (1 / p)`` of each window of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Args:
        norm_type: p.
        kernel_size: the window, an int or (depth, height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        ceil_mode: whether a last window may reach beyond the volume; its mean then counts for all of it.

    Raises:
        ArgumentError, ArgumentTypeError: ``norm_type`` 0, a size below 1, or not numbers.
        ShapeError: when called, with an input of another rank or smaller than the window.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.LPPool3d(1, 2)(lucid.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[[[28.0]]]]
    """

    rank = 3


class _MaxUnpool(Module):
    rank: ClassVar[int]

    def __init__(self, kernel_size: Any, stride: Any = None, padding: Any = 0):
        super().__init__()
        op = type(self).__name__
        self.kernel_size = per_axis(op, "kernel_size", kernel_size, self.rank)
        self.stride = self.kernel_size if stride is None else per_axis(op, "stride", stride, self.rank)
        self.padding = per_axis(op, "padding", padding, self.rank, 0)

    def forward(self, input: Tensor, indices: Tensor, output_size: Any = None) -> Tensor:
        unpool = (F.max_unpool1d, F.max_unpool2d, F.max_unpool3d)[self.rank - 1]
        return unpool(input, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """Maxima put back where ``MaxPool1d(..., return_indices=True)`` found them, and zeros around.

    Args:
        kernel_size, stride, padding: of the pooling.

    Called with the maxima, their indices and, where several sizes give as many windows, ``output_size``.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError, DTypeError: when called, with indices of another shape than the maxima, or not int64.

    >>> import lucid
    >>> from lucid import nn
    >>> y, indices = nn.MaxPool1d(2, return_indices=True)(lucid.arange(4.0).reshape(1, 4))
    >>> nn.MaxUnpool1d(2)(y, indices).shape
    (1, 4)
    """

    rank = 1


class MaxUnpool2d(_MaxUnpool):
    """Maxima put back where ``MaxPool2d(..., return_indices=True)`` found them, and zeros around.

    Args:
        kernel_size, stride, padding: of the pooling.

    Called with the maxima, their indices and, where several sizes give as many windows, ``output_size``.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError, DTypeError: when called, with indices of another shape than the maxima, or not int64.

    >>> import lucid
    >>> from lucid import nn
    >>> y, indices = nn.MaxPool2d(2, return_indices=True)(lucid.arange(16.0).reshape(1, 4, 4))
    >>> nn.MaxUnpool2d(2)(y, indices).shape
    (1, 4, 4)
    """

    rank = 2


class MaxUnpool3d(_MaxUnpool):
    """Maxima put back where ``MaxPool3d(..., return_indices=True)`` found them, and zeros around.

    Args:
        kernel_size, stride, padding: of the pooling.

    Called with the maxima, their indices and, where several sizes give as many windows, ``output_size``.

    Raises:
        ArgumentError, ArgumentTypeError: a size below 1, negative padding, or not ints.
        ShapeError, DTypeError: when called, with indices of another shape than the maxima, or not int64.

    >>> import lucid
    >>> from lucid import nn
    >>> y, indices = nn.MaxPool3d(2, return_indices=True)(lucid.arange(8.0).reshape(1, 2, 2, 2))
    >>> nn.MaxUnpool3d(2)(y, indices).shape
    (1, 2, 2, 2)
    """

    rank = 3


class _Adaptive(Module):
    rank: ClassVar[int]

    def __init__(self, output_size: Any):
        super().__init__()
        op = type(self).__name__
        given = tuple(output_size) if is_several(output_size) else (output_size,) * self.rank
        if len(given) != self.rank:
            several = "a pair (height, width)" if self.rank == 2 else f"{self.rank} of them"
            fail(ArgumentError(f"output_size={output_size!r} must be an int or {several}", op=op))
        self.output_size = tuple([None if n is None else positive(op, "output_size", n) for n in given])

    def extra_repr(self) -> str:
        return f"output_size={self.output_size}"


class _AdaptiveAvg(_Adaptive):
    def forward(self, input: Tensor) -> Tensor:
        pool = (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d, F.adaptive_avg_pool3d)[self.rank - 1]
        return pool(input, self.output_size)


class _AdaptiveMax(_Adaptive):
    def __init__(self, output_size: Any, return_indices: bool = False):
        super().__init__(output_size)
        self.return_indices = flag(type(self).__name__, "return_indices", return_indices)

    def forward(self, input: Tensor) -> Any:
        pool = (F.adaptive_max_pool1d, F.adaptive_max_pool2d, F.adaptive_max_pool3d)[self.rank - 1]
        return pool(input, self.output_size, self.return_indices)


class AdaptiveAvgPool1d(_AdaptiveAvg):
    """The means of windows of lines ``(N, C, L)`` or ``(C, L)`` that together cover them.

    Args:
        output_size: how many windows there are, an int; None keeps a size.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints.
        ShapeError: when called, with an input of another rank, or without elements.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AdaptiveAvgPool1d(2)(lucid.arange(4.0).reshape(1, 4)).tolist()
    [[0.5, 2.5]]
    """

    rank = 1


class AdaptiveAvgPool2d(_AdaptiveAvg):
    """The means of windows of images ``(N, C, H, W)`` or ``(C, H, W)`` that together cover them.

    Args:
        output_size: how many windows there are, an int or (height, width); None keeps a size.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints.
        ShapeError: when called, with an input of another rank, or without pixels.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AdaptiveAvgPool2d(1)(lucid.arange(16.0).reshape(1, 4, 4)).tolist()
    [[[7.5]]]
    """

    rank = 2


class AdaptiveAvgPool3d(_AdaptiveAvg):
    """The means of windows of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)`` that together cover them.

    Args:
        output_size: how many windows there are, an int or (depth, height, width); None keeps a size.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints.
        ShapeError: when called, with an input of another rank, or without voxels.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AdaptiveAvgPool3d(1)(lucid.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[[[3.5]]]]
    """

    rank = 3


class AdaptiveMaxPool1d(_AdaptiveMax):
    """The largest elements of windows of lines ``(N, C, L)`` or ``(C, L)`` that together cover them.

    Args:
        output_size: how many windows there are, an int; None keeps a size.
        return_indices: whether to return also the number of each among the elements of its channel, int64.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints.
        ShapeError: when called, with an input of another rank, or without elements.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AdaptiveMaxPool1d(2)(lucid.arange(4.0).reshape(1, 4)).tolist()
    [[1.0, 3.0]]
    """

    rank = 1


class AdaptiveMaxPool2d(_AdaptiveMax):
    """The largest pixels of windows of images ``(N, C, H, W)`` or ``(C, H, W)`` that together cover them.

    Args:
        output_size: how many windows there are, an int or (height, width); None keeps a size.
        return_indices: whether to return also the number of each among the pixels of its channel, int64.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints.
        ShapeError: when called, with an input of another rank, or without pixels.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AdaptiveMaxPool2d(1)(lucid.arange(16.0).reshape(1, 4, 4)).tolist()
    [[[15.0]]]
    """

    rank = 2


class AdaptiveMaxPool3d(_AdaptiveMax):
    """The largest voxels of windows of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)`` that together cover them.

    Args:
        output_size: how many windows there are, an int or (depth, height, width); None keeps a size.
        return_indices: whether to return also the number of each among the voxels of its channel, int64.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints.
        ShapeError: when called, with an input of another rank, or without voxels.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.AdaptiveMaxPool3d(1)(lucid.arange(8.0).reshape(1, 2, 2, 2)).tolist()
    [[[[7.0]]]]
    """

    rank = 3
