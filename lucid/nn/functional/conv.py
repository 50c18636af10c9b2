"""Convolutions: cross-correlations of images with weights, and their transposes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import fail, int_of
from lucid.functions.movement import pad
from lucid.nn.functional.arguments import images, one_dtype, paddings, pair, with_bias
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["conv2d", "conv_transpose2d"]


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
    weight = as_tensor(weight, "conv2d", "weight")
    if weight.ndim != 4:
        shape = "(out_channels, in_channels / groups, kH, kW)"
        fail(ShapeError(f"weight has shape {weight.shape}, but it must be {shape}", op="conv2d"))
    x, alone = images("conv2d", input)
    spread = pair("conv2d", "dilation", dilation)
    y = apply(
        ops.conv2d,
        x,
        weight,
        stride=pair("conv2d", "stride", stride),
        padding=paddings("conv2d", padding, weight.shape[2:], spread),
        dilation=spread,
        groups=int_of("conv2d", "groups", groups),
    )
    y = with_bias("conv2d", y, bias, weight.shape[0], 1)
    return y.squeeze(0) if alone else y


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

    The result has ``(size - 1) * stride - 2 * padding + dilation * (kernel - 1) + output_padding + 1`` pixels.

    Raises:
        ShapeError, DTypeError, ArgumentError, ArgumentTypeError: arguments that do not fit; the message says which.

    >>> import lucid
    >>> conv_transpose2d(lucid.ones(1, 1, 2, 2), lucid.ones(1, 1, 2, 2), stride=2).shape
    (1, 1, 4, 4)
    """
    op = "conv_transpose2d"
    (x, alone), w = images(op, input), as_tensor(weight, op, "weight")
    if w.ndim != 4:
        fail(ShapeError(f"weight has shape {w.shape}, but it must be (C, out_channels / groups, kH, kW)", op=op))
    one_dtype(op, input=x, weight=w)
    count = int_of(op, "groups", groups)
    if x.shape[1] != w.shape[0]:
        fail(ShapeError(f"input has {x.shape[1]} channels, but weight of shape {w.shape} is for {w.shape[0]}", op=op))
    if count < 1 or w.shape[0] % count:
        fail(ArgumentError(f"groups={groups!r} must divide the {w.shape[0]} channels", op=op))
    steps, spread = pair(op, "stride", stride), pair(op, "dilation", dilation)
    less, more = pair(op, "padding", padding, 0), pair(op, "output_padding", output_padding, 0)
    if any(m and m >= max(s, d) for m, s, d in zip(more, steps, spread, strict=True)):
        fail(ArgumentError(f"output_padding={output_padding!r} must be less than stride or dilation", op=op))
    sizes = zip(x.shape[2:], w.shape[2:], steps, spread, less, more, strict=True)
    size = tuple([(n - 1) * s - 2 * p + d * (k - 1) + m + 1 for n, k, s, d, p, m in sizes])
    if min(size) < 1:
        fail(ShapeError(f"input of shape {x.shape} with padding={padding!r} leaves no pixel: {size}", op=op))
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
        groups=count,
    )
    if any(beyond):
        y = pad(y, ((0, 0), (0, 0), (0, beyond[0]), (0, beyond[1])))
    y = with_bias(op, y, bias, w.shape[1] * count, 1)
    return y.squeeze(0) if alone else y
