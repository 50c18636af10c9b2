"""What functional layers share: arguments of windows, biases, and dtypes that must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, int_of, is_several
from lucid.ops.common import require_same_dtype
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor


Pair = tuple[int, int]
Reduction = Literal["mean", "sum", "none"]


def pair(op: str, argument: str, value: Any, least: int = 1) -> Pair:
    """An int, or one int each for height and width.

    Raises:
        ArgumentTypeError, ArgumentError: not ints, not two of them, or one below ``least``.
    """
    given = tuple(value) if is_several(value) else (value, value)
    if len(given) != 2:
        fail(ArgumentError(f"{argument}={value!r} must be an int or a pair of ints (height, width)", op=op))
    result = int_of(op, argument, given[0]), int_of(op, argument, given[1])
    if min(result) < least:
        rule = "must not be negative" if least == 0 else f"must be at least {least}"
        fail(ArgumentError(f"{argument}={value!r} {rule}", op=op))
    return result


def images(op: str, input: Any) -> tuple[Tensor, bool]:
    """Images ``(N, C, H, W)``, and whether it was one alone, ``(C, H, W)``.

    Raises:
        ShapeError: another rank.
    """
    x = as_tensor(input, op, "input")
    if x.ndim not in (3, 4):
        fail(ShapeError(f"input has shape {x.shape}, but it must be (N, C, H, W) or (C, H, W)", op=op))
    return (x.unsqueeze(0), True) if x.ndim == 3 else (x, False)


def paddings(op: str, value: Any, kernel: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """``((top, bottom), (left, right))`` from 'same', 'valid', an int, a pair, or a pair of pairs.

    'same' pads ``dilation * (kernel - 1)`` pixels in all, the smaller half on the low side, so that the output has
    ``ceil(size / stride)`` pixels.
    """
    if isinstance(value, str):
        if value == "valid":
            return (0, 0), (0, 0)
        if value != "same":
            fail(ArgumentError(f"padding={value!r} must be 'same', 'valid', an int or a pair of ints", op=op))
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    if is_several(value) and len(value) == 2 and all(map(is_several, value)):
        return pair(op, "padding", value[0], 0), pair(op, "padding", value[1], 0)
    h, w = pair(op, "padding", value, 0)
    return (h, h), (w, w)


def with_bias(op: str, y: Tensor, bias: Any, features: int, axis: int) -> Tensor:
    if bias is None:
        return y
    shift = as_tensor(bias, op, "bias")
    one_dtype(op, output=y, bias=shift)
    if shift.shape != (features,):
        fail(ShapeError(f"bias has shape {shift.shape}, but it must be ({features},), one per output", op=op))
    return y + (shift if axis == -1 else shift.reshape(1, -1, 1, 1))


def one_dtype(op: str, **tensors: Tensor) -> None:
    """Layers do not promote: a float64 image in a float32 model is a mistake, and would slow down all that follows."""
    try:
        require_same_dtype(op, **{name: t.type for name, t in tensors.items()})
    except DTypeError as error:
        fail(error)
