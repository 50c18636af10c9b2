"""Pooling: the largest, or the mean, of windows of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentError
from lucid.functions.arguments import fail
from lucid.nn.functional.arguments import Pair, paddings, pair
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor


def _pool_padding(op: str, padding: Any, kernel: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Padding of a pooling: at most half a window, so that every window holds a real pixel."""
    sides = paddings(op, padding, kernel, dilation)
    for ends, k, d in zip(sides, kernel, dilation, strict=True):
        most = (d * (k - 1) + 1) // 2
        if k > 0 and max(ends) > most:
            fail(
                ArgumentError(
                    f"padding={padding!r} must be at most half of the window, {most} for kernel_size={kernel}", op=op
                )
            )
    return sides


def max_pool2d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """The largest pixel of each window of ``(N, C, H, W)`` images; padding counts as -inf.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv2d``, at most half a window on each side.
        dilation: steps between the pixels of a window.

    Raises:
        ShapeError: ``input`` has not 4 dimensions, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> max_pool2d(lucid.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    kernel = pair("max_pool2d", "kernel_size", kernel_size)
    spread = pair("max_pool2d", "dilation", dilation)
    return apply(
        ops.max_pool2d,
        as_tensor(input, "max_pool2d", "input"),
        kernel_size=kernel,
        stride=kernel if stride is None else pair("max_pool2d", "stride", stride),
        padding=_pool_padding("max_pool2d", padding, kernel, spread),
        dilation=spread,
    )


def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window of ``(N, C, H, W)`` images; padding counts as 0.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv2d``, at most half a window on each side.
        count_include_pad: whether to divide by the window's size, or only by the number of real pixels in it.

    Raises:
        ShapeError: ``input`` has not 4 dimensions, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> avg_pool2d(lucid.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    kernel = pair("avg_pool2d", "kernel_size", kernel_size)
    return apply(
        ops.avg_pool2d,
        as_tensor(input, "avg_pool2d", "input"),
        kernel_size=kernel,
        stride=kernel if stride is None else pair("avg_pool2d", "stride", stride),
        padding=_pool_padding("avg_pool2d", padding, kernel, (1, 1)),
        count_include_pad=bool(count_include_pad),
    )
