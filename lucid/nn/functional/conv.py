"""Convolutions: cross-correlations of images with weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ShapeError
from lucid.functions.arguments import fail, int_of
from lucid.nn.functional.arguments import paddings, pair, with_bias
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation of images ``(N, C, H, W)`` with weights ``(out_channels, C / groups, kH, kW)``.

    Args:
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
    input, weight = as_tensor(input, "conv2d", "input"), as_tensor(weight, "conv2d", "weight")
    if weight.ndim != 4:
        shape = "(out_channels, in_channels / groups, kH, kW)"
        fail(ShapeError(f"weight has shape {weight.shape}, but it must be {shape}", op="conv2d"))
    spread = pair("conv2d", "dilation", dilation)
    y = apply(
        ops.conv2d,
        input,
        weight,
        stride=pair("conv2d", "stride", stride),
        padding=paddings("conv2d", padding, weight.shape[2:], spread),
        dilation=spread,
        groups=int_of("conv2d", "groups", groups),
    )
    return with_bias("conv2d", y, bias, weight.shape[0], 1)
