"""Convolutions of lines, images and volumes: cross-correlations with weights, and their transposes.

A line is an image of one row. A volume is convolved as images, one for each place of the window along its depth, that
have the planes of the window as channels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply, located_error
from lucid.errors import ArgumentError, LucidError, ShapeError
from lucid.functions.arguments import fail, int_of
from lucid.functions.movement import pad, stack
from lucid.nn.functional.arguments import Pair, images, one_dtype, paddings, per_axis, with_bias
from lucid.nn.functional.windows import cut, placed, seen
from lucid.ops.common import require_float
from lucid.ops.conv import check_groups, output_size
from lucid.promotion import as_tensor, rounded_once

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d", "conv_transpose3d"]

_Sizes = tuple[int, ...]
_KERNEL = {1: "kL", 2: "kH, kW", 3: "kD, kH, kW"}


@rounded_once
def conv1d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation of lines with weights.

    Args:
        input: ``(N, C, L)``, or one line ``(C, L)``.
        weight: ``(out_channels, C / groups, kL)``.
        bias: ``(out_channels,)``, or None.
        stride, dilation: an int.
        padding: an int, ((before, after),), 'valid' (none) or 'same' (output ``ceil(size / stride)``).
        groups: channels are split into so many groups that do not see each other.

    Raises:
        ShapeError, DTypeError, ArgumentError, ArgumentTypeError: arguments that do not fit; the message says which.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.conv1d(lucid.tensor([[1.0, 2.0, 4.0]]), lucid.tensor([[[-1.0, 1.0]]])).tolist()
    [[1.0, 2.0]]
    """
    return _conv("conv1d", 1, input, weight, bias, stride, padding, dilation, groups)


@rounded_once
def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation of images with weights.

    Args:
        input: ``(N, C, H, W)``, or one image ``(C, H, W)``.
        weight: ``(out_channels, C / groups, kH, kW)``.
        bias: ``(out_channels,)``, or None.
        stride, dilation: an int or (height, width).
        padding: an int, (height, width), ((top, bottom), (left, right)), 'valid' (none) or 'same' (output
            ``ceil(size / stride)``).
        groups: channels are split into so many groups that do not see each other.

    Raises:
        ShapeError, DTypeError, ArgumentError, ArgumentTypeError: arguments that do not fit; the message says which.

    >>> import lucid
    >>> conv2d(lucid.ones(1, 1, 3, 3), lucid.ones(1, 1, 2, 2)).shape
    (1, 1, 2, 2)
    """
    return _conv("conv2d", 2, input, weight, bias, stride, padding, dilation, groups)


@rounded_once
def conv3d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation of volumes with weights.

    Args:
        input: ``(N, C, D, H, W)``, or one volume ``(C, D, H, W)``.
        weight: ``(out_channels, C / groups, kD, kH, kW)``.
        bias: ``(out_channels,)``, or None.
        stride, dilation: an int or (depth, height, width).
        padding: an int, (depth, height, width), a pair for each, 'valid' (none) or 'same' (output
            ``ceil(size / stride)``).
        groups: channels are split into so many groups that do not see each other.

    Raises:
        ShapeError, DTypeError, ArgumentError, ArgumentTypeError: arguments that do not fit; the message says which.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.conv3d(lucid.ones(1, 4, 4, 4), lucid.ones(2, 1, 3, 3, 3), padding=1).shape
    (2, 4, 4, 4)
    """
    return _conv("conv3d", 3, input, weight, bias, stride, padding, dilation, groups)


def _conv(
    op: str,
    rank: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
) -> Tensor:
    w = as_tensor(weight, op, "weight")
    if w.ndim != rank + 2:
        shape = f"(out_channels, in_channels / groups, {_KERNEL[rank]})"
        fail(ShapeError(f"weight has shape {w.shape}, but it must be {shape}", op=op))
    x, alone = images(op, input, rank)
    spread, steps = per_axis(op, "dilation", dilation, rank), per_axis(op, "stride", stride, rank)
    edges, count = paddings(op, padding, w.shape[2:], spread), int_of(op, "groups", groups)
    if rank == 2:
        y = apply(ops.conv2d, x, w, stride=steps, padding=edges, dilation=spread, groups=count)
    else:
        one_dtype(op, input=x, weight=w)
        try:  # in the words of what was called, not of the images that it is computed by
            require_float(op, input=x.type)
            check_groups(op, x.shape[1], w.shape[0], w.shape[1], count)
            size = output_size(op, x.shape[2:], w.shape[2:], steps, edges, spread)  # type: ignore[arg-type]
        except LucidError as error:
            raise located_error(error) from None
        y = (_lines if rank == 1 else _volumes)(x, w, size, steps, edges, spread, count)
    y = with_bias(op, y, bias, w.shape[0], 1)
    return y.squeeze(0) if alone else y


def _lines(
    x: Tensor, w: Tensor, size: _Sizes, steps: _Sizes, edges: tuple[Pair, ...], spread: _Sizes, groups: int
) -> Tensor:
    y = apply(
        ops.conv2d,
        x.unsqueeze(2),
        w.unsqueeze(2),
        stride=(1, *steps),
        padding=((0, 0), *edges),
        dilation=(1, *spread),
        groups=groups,
    )
    return y.squeeze(2)


def _volumes(
    x: Tensor, w: Tensor, size: _Sizes, steps: _Sizes, edges: tuple[Pair, ...], spread: _Sizes, groups: int
) -> Tensor:
    (n, c, _, height, width), (o, ci, taps, *kernel), depth = x.shape, w.shape, size[0]
    if any(edges[0]):
        x = pad(x, ((0, 0), (0, 0), edges[0], (0, 0), (0, 0)))
    planes = stack([seen(x, 2, t * spread[0], steps[0], depth) for t in range(taps)], 2)  # (N, C, kD, OD, H, W)
    y = apply(
        ops.conv2d,
        planes.permute(0, 3, 1, 2, 4, 5).reshape(n * depth, c * taps, height, width),
        w.reshape(o, ci * taps, *kernel),
        stride=steps[1:],
        padding=edges[1:],
        dilation=spread[1:],
        groups=groups,
    )
    return y.reshape(n, depth, o, *y.shape[2:]).swapaxes(1, 2)


@rounded_once
def conv_transpose1d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of ``conv1d``, which makes lines longer: every element spreads its value by the weights.

    Args:
        input: ``(N, C, L)``, or one line ``(C, L)``.
        weight: ``(C, out_channels / groups, kL)``.
        bias: ``(out_channels,)``, or None.
        stride, dilation: an int.
        padding: how many elements the result lacks at each end.
        output_padding: how many more it has at the end, less than ``stride`` or ``dilation``.
        groups: channels are split into so many groups that do not see each other.

    The result has ``(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`` elements.

    Raises:
        ShapeError, DTypeError, ArgumentError, ArgumentTypeError: arguments that do not fit; the message says which.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.conv_transpose1d(lucid.tensor([[1.0, 2.0]]), lucid.ones(1, 1, 2), stride=2).tolist()
    [[1.0, 1.0, 2.0, 2.0]]
    """
    op = "conv_transpose1d"
    return _conv_transpose(op, 1, input, weight, bias, stride, padding, output_padding, groups, dilation)


@rounded_once
def conv_transpose2d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of ``conv2d``, which makes images larger: every pixel spreads its value by the weights.

    Args:
        input: ``(N, C, H, W)``, or one image ``(C, H, W)``.
        weight: ``(C, out_channels / groups, kH, kW)``.
        bias: ``(out_channels,)``, or None.
        stride, dilation: an int or (height, width).
        padding: how many pixels the result lacks at each side, an int or (height, width).
        output_padding: how many more it has at the bottom and at the right, less than ``stride`` or ``dilation``.
        groups: channels are split into so many groups that do not see each other.

    The result has ``(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`` pixels.

    Raises:
        ShapeError, DTypeError, ArgumentError, ArgumentTypeError: arguments that do not fit; the message says which.

    >>> import lucid
    >>> conv_transpose2d(lucid.ones(1, 1, 2, 2), lucid.ones(1, 1, 2, 2), stride=2).shape
    (1, 1, 4, 4)
    """
    op = "conv_transpose2d"
    return _conv_transpose(op, 2, input, weight, bias, stride, padding, output_padding, groups, dilation)


@rounded_once
def conv_transpose3d(
    input: Any,
    weight: Any,
    bias: Any = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
) -> Tensor:
    """The transpose of ``conv3d``, which makes volumes larger: every voxel spreads its value by the weights.

    Args:
        input: ``(N, C, D, H, W)``, or one volume ``(C, D, H, W)``.
        weight: ``(C, out_channels / groups, kD, kH, kW)``.
        bias: ``(out_channels,)``, or None.
        stride, dilation: an int or (depth, height, width).
        padding: how many voxels the result lacks at each side, an int or (depth, height, width).
        output_padding: how many more it has at the far sides, less than ``stride`` or ``dilation``.
        groups: channels are split into so many groups that do not see each other.

    The result has ``(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`` voxels.

    Raises:
        ShapeError, DTypeError, ArgumentError, ArgumentTypeError: arguments that do not fit; the message says which.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.conv_transpose3d(lucid.ones(1, 2, 2, 2), lucid.ones(1, 1, 2, 2, 2), stride=2).shape
    (1, 4, 4, 4)
    """
    op = "conv_transpose3d"
    return _conv_transpose(op, 3, input, weight, bias, stride, padding, output_padding, groups, dilation)


def _conv_transpose(
    op: str,
    rank: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
) -> Tensor:
    (x, alone), w = images(op, input, rank), as_tensor(weight, op, "weight")
    if w.ndim != rank + 2:
        shape = f"(C, out_channels / groups, {_KERNEL[rank]})"
        fail(ShapeError(f"weight has shape {w.shape}, but it must be {shape}", op=op))
    one_dtype(op, input=x, weight=w)
    count = int_of(op, "groups", groups)
    if x.shape[1] != w.shape[0]:
        fail(ShapeError(f"input has {x.shape[1]} channels, but weight of shape {w.shape} is for {w.shape[0]}", op=op))
    if count < 1 or w.shape[0] % count:
        fail(ArgumentError(f"groups={groups!r} must divide the {w.shape[0]} channels", op=op))
    steps, spread = per_axis(op, "stride", stride, rank), per_axis(op, "dilation", dilation, rank)
    less = per_axis(op, "padding", padding, rank, 0)
    more = per_axis(op, "output_padding", output_padding, rank, 0)
    if any(m and m >= max(s, d) for m, s, d in zip(more, steps, spread, strict=True)):
        fail(ArgumentError(f"output_padding={output_padding!r} must be less than stride or dilation", op=op))
    sizes = zip(x.shape[2:], w.shape[2:], steps, spread, less, more, strict=True)
    size = tuple([(n - 1) * s - 2 * p + d * (k - 1) + m + 1 for n, k, s, d, p, m in sizes])
    if min(size) < 1:
        fail(ShapeError(f"input of shape {x.shape} with padding={padding!r} leaves no pixel: {size}", op=op))
    if rank == 1:
        x, w = x.unsqueeze(2), w.unsqueeze(2)
        y = _spread(x, w, (1, *size), (1, *steps), (0, *less), (0, *more), (1, *spread), count).squeeze(2)
    elif rank == 2:
        y = _spread(x, w, size, steps, less, more, spread, count)
    else:
        n, c, depth = x.shape[:3]
        _, outputs, taps, *kernel = w.shape
        flat = x.swapaxes(1, 2).reshape(n * depth, c, *x.shape[3:])
        weights = w.reshape(c, outputs * taps, *kernel)
        planes = _spread(flat, weights, size[1:], steps[1:], less[1:], more[1:], spread[1:], count)
        planes = planes.reshape(n, depth, outputs * count, taps, *size[1:])
        whole = (depth - 1) * steps[0] + spread[0] * (taps - 1) + 1
        y = placed(planes[:, :, :, 0].swapaxes(1, 2), 2, 0, steps[0], whole)
        for t in range(1, taps):
            y = y + placed(planes[:, :, :, t].swapaxes(1, 2), 2, t * spread[0], steps[0], whole)
        y = cut(y, 2, less[0], size[0])
    y = with_bias(op, y, bias, w.shape[1] * count, 1)
    return y.squeeze(0) if alone else y


def _spread(
    x: Tensor, w: Tensor, size: _Sizes, steps: _Sizes, less: _Sizes, more: _Sizes, spread: _Sizes, groups: int
) -> Tensor:
    """The transposed convolution of images, with ``size`` pixels."""
    # What a stride or more of output_padding adds was cut off as padding, or is met by no weight.
    added = [max(0, m - s + 1) for m, s in zip(more, steps, strict=True)]
    beyond = [max(0, a - p) for a, p in zip(added, less, strict=True)]
    y = apply(
        ops.conv2d_input_grad,
        x,
        w,
        input_size=(size[0] - beyond[0], size[1] - beyond[1]),
        stride=steps,
        padding=tuple([(p, max(0, p - a)) for p, a in zip(less, added, strict=True)]),
        dilation=spread,
        groups=groups,
    )
    return pad(y, ((0, 0), (0, 0), (0, beyond[0]), (0, beyond[1]))) if any(beyond) else y
