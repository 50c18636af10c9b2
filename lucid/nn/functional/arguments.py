"""What functional layers share: arguments of windows, biases, and dtypes that must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from lucid.functions.arguments import fail, is_several, shown, whole
from lucid.ops.common import require_same_dtype
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor


Pair = tuple[int, int]
Reduction = Literal["mean", "sum", "none"]


#: Images of each rank: what their sizes can be, and the shapes of a batch and of one alone.
_MEANT = {
    1: "an int",
    2: "an int or a pair of ints (height, width)",
    3: "an int or three ints (depth, height, width)",
}
_SHAPES = {1: "(N, C, L) or (C, L)", 2: "(N, C, H, W) or (C, H, W)", 3: "(N, C, D, H, W) or (C, D, H, W)"}


def per_axis(op: str, argument: str, value: Any, rank: int, least: int = 1) -> tuple[int, ...]:
    """An int, or one int for each dimension of images of ``rank``.

    Raises:
        ArgumentTypeError, ArgumentError: not ints, not as many, or one below ``least``.

    >>> per_axis("pool", "stride", 2, 3)
    (2, 2, 2)
    """
    given = tuple(value) if is_several(value) else (value,)
    if len(given) == 1:
        given *= rank
    if len(given) != rank:
        fail(ArgumentError(f"{argument}={value!r} must be {_MEANT[rank]}", op=op))
    result = []
    for n in given:
        number = whole(n)
        if number is None:
            not_that = f"not {type(n).__name__}" if n is value else f"and {shown(n)} is none"
            fail(ArgumentTypeError(f"{argument}={shown(value)} must be {_MEANT[rank]}, {not_that}", op=op))
        result.append(number)
    if min(result) < least:
        rule = "must not be negative" if least == 0 else f"must be at least {least}"
        fail(ArgumentError(f"{argument}={value!r} {rule}", op=op))
    return tuple(result)


def pair(op: str, argument: str, value: Any, least: int = 1) -> Pair:
    """An int, or one int each for height and width.

    Raises:
        ArgumentTypeError, ArgumentError: not ints, not two of them, or one below ``least``.

    >>> pair("conv2d", "stride", (1, 2))
    (1, 2)
    """
    height, width = per_axis(op, argument, value, 2, least)
    return height, width


def images(op: str, input: Any, rank: int = 2) -> tuple[Tensor, bool]:
    """A batch of images ``(N, C, ...)``, and whether it was one alone, ``(C, ...)``.

    Raises:
        ShapeError: another rank.
    """
    x = as_tensor(input, op, "input")
    if x.ndim not in (rank + 1, rank + 2):
        fail(ShapeError(f"input has shape {x.shape}, but it must be {_SHAPES[rank]}", op=op))
    return (x.unsqueeze(0), True) if x.ndim == rank + 1 else (x, False)


def paddings(op: str, value: Any, kernel: tuple[int, ...], dilation: tuple[int, ...]) -> tuple[Pair, ...]:
    """Before and after in each dimension, ``((top, bottom), (left, right))`` for images, from 'same', 'valid', an int,
    one for each dimension, or a pair for each.

    'same' pads ``dilation * (kernel - 1)`` pixels in all, the smaller half on the low side, so that the output has
    ``ceil(size / stride)`` pixels.

    Raises:
        ArgumentTypeError, ArgumentError: none of these, or negative.

    >>> paddings("conv2d", "same", (4, 3), (1, 1))
    ((1, 2), (1, 1))
    """
    rank = len(kernel)
    if isinstance(value, str):
        if value == "valid":
            return ((0, 0),) * rank
        if value != "same":
            fail(ArgumentError(f"padding={value!r} must be 'same', 'valid', an int or a pair of ints", op=op))
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple([(n // 2, n - n // 2) for n in total])
    if is_several(value) and len(value) == rank and all(map(is_several, value)):
        return tuple([pair(op, "padding", ends, 0) for ends in value])
    return tuple([(n, n) for n in per_axis(op, "padding", value, rank, 0)])


def with_bias(op: str, y: Tensor, bias: Any, features: int, axis: int) -> Tensor:
    if bias is None:
        return y
    shift = as_tensor(bias, op, "bias")
    one_dtype(op, input=y, bias=shift)
    if shift.shape != (features,):
        fail(ShapeError(f"bias has shape {shift.shape}, but it must be ({features},), one per output", op=op))
    return y + (shift if axis == -1 else shift.reshape((-1,) + (1,) * (y.ndim - 2)))


def one_dtype(op: str, **tensors: Tensor) -> None:
    """Layers do not promote: a float64 image in a float32 model is a mistake, and would slow down all that follows."""
    try:
        require_same_dtype(op, **{name: t.type for name, t in tensors.items()})
    except DTypeError as error:
        fail(error)
