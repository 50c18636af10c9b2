"""Pooling: the largest, or the mean, of windows of images."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, int_of, is_several
from lucid.functions.linalg import matmul
from lucid.functions.movement import stack
from lucid.nn.functional.arguments import Pair, images, paddings, pair
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.ir.graph import Array
    from lucid.tensor import Tensor

__all__ = ["adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d", "max_pool2d"]


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


def _adaptive(op: str, input: Any, output_size: Any) -> tuple[Tensor, bool, Pair]:
    """The images, whether it was one alone, and how many windows there are to be."""
    x, alone = images(op, input)
    if 0 in x.shape[1:]:
        shape = x.shape[1:] if alone else x.shape
        fail(ShapeError(f"input has shape {shape}, but it must be (N, C, H, W) or (C, H, W), not empty", op=op))
    given = tuple(output_size) if is_several(output_size) else (output_size, output_size)
    if len(given) != 2:
        fail(ArgumentError(f"output_size={output_size!r} must be an int or a pair (height, width)", op=op))
    h, w = (n if m is None else int_of(op, "output_size", m) for n, m in zip(x.shape[2:], given, strict=True))
    if min(h, w) < 1:
        fail(ArgumentError(f"output_size={output_size!r} must be at least 1", op=op))
    return x, alone, (h, w)


def _window(x: Tensor, size: Pair) -> Pair | None:
    """The window of which so many cover the images; None if none does."""
    (n, m), (h, w) = x.shape[2:], size
    return None if n % h or m % w else (n // h, m // w)


def _ends(n: int, m: int) -> list[tuple[int, int]]:
    """Where each of ``m`` windows over ``n`` pixels begins and ends: they meet, or overlap by what does not divide."""
    return [(k * n // m, -(-(k + 1) * n // m)) for k in range(m)]


def means(n: int, m: int) -> Array:
    """The matrix ``(m, n)`` that takes the means of ``m`` windows over ``n`` pixels."""
    table = np.zeros((m, n))
    for k, (begin, end) in enumerate(_ends(n, m)):
        table[k, begin:end] = 1 / (end - begin)
    return table


def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """The means of windows of ``(N, C, H, W)`` or ``(C, H, W)`` images that together cover them.

    Args:
        output_size: how many windows there are, an int or (height, width); None keeps a size.

    Raises:
        ShapeError: another rank, or no pixels.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: sizes that are no ints, or below 1.

    >>> import lucid
    >>> adaptive_avg_pool2d(lucid.arange(16.0).reshape(1, 4, 4), 1).tolist()
    [[[7.5]]]
    """
    op = "adaptive_avg_pool2d"
    x, alone, size = _adaptive(op, input, output_size)
    if x.dtype.kind != "f":
        fail(DTypeError(f"input has dtype {x.dtype.name}, but it must be floating", op=op))
    window = _window(x, size)
    if size == (1, 1):
        y = x.mean(axis=(-2, -1), keepdims=True)
    elif window is not None:
        y = avg_pool2d(x, window)
    else:
        rows, columns = (as_tensor(means(n, m).astype(x.dtype)) for n, m in zip(x.shape[2:], size, strict=True))
        y = matmul(rows, matmul(x, columns.mT))
    return y.squeeze(0) if alone else y


def adaptive_max_pool2d(input: Any, output_size: Any) -> Tensor:
    """The largest pixels of windows of ``(N, C, H, W)`` or ``(C, H, W)`` images that together cover them.

    Args:
        output_size: how many windows there are, an int or (height, width); None keeps a size.

    Raises:
        ShapeError: another rank, or no pixels.
        ArgumentError, ArgumentTypeError: sizes that are no ints, or below 1.

    >>> import lucid
    >>> adaptive_max_pool2d(lucid.arange(16.0).reshape(1, 4, 4), (1, 2)).tolist()
    [[[13.0, 15.0]]]
    """
    x, alone, size = _adaptive("adaptive_max_pool2d", input, output_size)
    window = _window(x, size)
    if window is not None:
        y = max_pool2d(x, window)
    else:
        rows = stack([x[..., begin:end, :].amax(-2) for begin, end in _ends(x.shape[2], size[0])], -2)
        y = stack([rows[..., begin:end].amax(-1) for begin, end in _ends(x.shape[3], size[1])], -1)
    return y.squeeze(0) if alone else y
