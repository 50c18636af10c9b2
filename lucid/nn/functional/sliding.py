"""Sliding blocks of images as columns, and columns added up to images."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lucid.eager import located_error
from lucid.errors import ArgumentError, LucidError, ShapeError
from lucid.functions.arguments import fail
from lucid.functions.movement import pad, stack
from lucid.nn.functional.arguments import images, pair
from lucid.nn.functional.windows import placed, seen
from lucid.ops.conv import output_size
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.nn.functional.arguments import Pair
    from lucid.tensor import Tensor

__all__ = ["fold", "unfold"]


def _blocks(op: str, size: Pair, kernel: Pair, stride: Pair, less: Pair, dilation: Pair) -> Pair:
    """How many blocks there are in each direction."""
    try:
        return output_size(op, size, kernel, stride, ((less[0], less[0]), (less[1], less[1])), dilation)
    except LucidError as error:
        raise located_error(error) from None


def unfold(input: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1) -> Tensor:
    """The blocks that a window of ``kernel_size`` slides over, each a column.

    Args:
        input: ``(N, C, H, W)``, or one image ``(C, H, W)``.
        kernel_size, dilation, stride: an int or (height, width).
        padding: zeros around the image, an int or (height, width).

    The result is ``(N, C * kH * kW, blocks)``, or without ``N``; ``fold`` adds such columns up again.

    Raises:
        ShapeError: another rank, or an image smaller than a block.
        ArgumentError, ArgumentTypeError: not ints, sizes below 1, or negative padding.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.unfold(lucid.arange(6.0).reshape(1, 2, 3), (2, 2)).tolist()
    [[0.0, 1.0], [1.0, 2.0], [3.0, 4.0], [4.0, 5.0]]
    """
    op = "unfold"
    x, alone = images(op, input)
    kernel, spread, step = (
        pair(op, name, value)
        for name, value in (("kernel_size", kernel_size), ("dilation", dilation), ("stride", stride))
    )
    less = pair(op, "padding", padding, 0)
    n, c, h, w = x.shape
    rows, columns = _blocks(op, (h, w), kernel, step, less, spread)
    if any(less):
        x = pad(x, ((0, 0), (0, 0), (less[0], less[0]), (less[1], less[1])))
    lines = [seen(x, 2, i * spread[0], step[0], rows) for i in range(kernel[0])]
    taps = [seen(line, 3, j * spread[1], step[1], columns) for line in lines for j in range(kernel[1])]
    y = stack(taps, 2).reshape(n, c * len(taps), rows * columns)
    return y.squeeze(0) if alone else y


def fold(
    input: Any, output_size: Any, kernel_size: Any, dilation: Any = 1, padding: Any = 0, stride: Any = 1
) -> Tensor:
    """Columns added up to images, each where ``unfold`` takes such a block from.

    Args:
        input: ``(N, C * kH * kW, blocks)``, or without ``N``.
        output_size: height and width of the result, an int or a pair.
        kernel_size, dilation, stride: an int or (height, width).
        padding: what of the blocks lies outside of the image on each side, an int or (height, width).

    The result is ``(N, C, H, W)``, or without ``N``.

    Raises:
        ShapeError: ``input`` of another rank, or with other columns than such blocks give.
        ArgumentError, ArgumentTypeError: not ints, sizes below 1, or negative padding.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.fold(lucid.ones(4, 2), (2, 3), (2, 2)).tolist()
    [[[1.0, 2.0, 1.0], [1.0, 2.0, 1.0]]]
    """
    op = "fold"
    x = as_tensor(input, op, "input")
    kernel, spread, step, size = (
        pair(op, name, value)
        for name, value in (
            ("kernel_size", kernel_size),
            ("dilation", dilation),
            ("stride", stride),
            ("output_size", output_size),
        )
    )
    less = pair(op, "padding", padding, 0)
    rows, columns = _blocks(op, size, kernel, step, less, spread)
    count = math.prod(kernel)
    if x.ndim not in (2, 3) or x.shape[-2] % count or x.shape[-1] != rows * columns:
        wanted = f"(N, C * {count}, {rows * columns}) or (C * {count}, {rows * columns})"
        fail(ShapeError(f"input has shape {x.shape}, but it must be {wanted}", op=op))
    if x.ndim == 3 and x.shape[1] == 0:
        fail(ArgumentError(f"input of shape {x.shape} has no channels", op=op))
    n, c = x.shape[0] if x.ndim == 3 else 1, x.shape[-2] // count
    blocks = x.reshape(n, c, *kernel, rows, columns)
    high, wide = size[0] + 2 * less[0], size[1] + 2 * less[1]
    total: Tensor | None = None
    for i in range(kernel[0]):
        line: Tensor | None = None
        for j in range(kernel[1]):
            block = placed(blocks[:, :, i, j], 3, j * spread[1], step[1], wide)
            line = block if line is None else line + block
        assert line is not None
        band = placed(line, 2, i * spread[0], step[0], high)
        total = band if total is None else total + band
    assert total is not None
    y = seen(seen(total, 2, less[0], 1, size[0]), 3, less[1], 1, size[1])
    return y.squeeze(0) if x.ndim == 2 else y
