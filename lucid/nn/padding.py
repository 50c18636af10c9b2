"""Layers that put pixels around images."""

from __future__ import annotations

from typing import Any, ClassVar

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail, int_of, is_several
from lucid.nn import functional as F
from lucid.nn.arguments import number
from lucid.nn.module import Module
from lucid.tensor import Tensor


class _Pad2d(Module):
    #: What ``F.pad`` puts there.
    mode: ClassVar[F.PadMode] = "constant"

    def __init__(self, padding: Any):
        super().__init__()
        op = type(self).__name__
        given = tuple(padding) if is_several(padding) else (padding,) * 4
        if len(given) != 4:
            fail(ArgumentError(f"padding={padding!r} must be an int or (left, right, top, bottom)", op=op))
        self.padding = tuple([int_of(op, "padding", n) for n in given])

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class ReflectionPad2d(_Pad2d):
    """Images mirrored at their outermost pixels.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom).

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not four of them.
        ShapeError: when called, with an image too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReflectionPad2d((1, 1, 0, 0))(lucid.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[2.0, 1.0, 2.0, 3.0, 2.0]]]
    """

    mode: ClassVar[F.PadMode] = "reflect"


class ReplicationPad2d(_Pad2d):
    """Images whose outermost pixels are repeated.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom).

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not four of them.
        ShapeError: when called, with an image too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReplicationPad2d((1, 1, 0, 0))(lucid.tensor([[[1.0, 2.0]]])).tolist()
    [[[1.0, 1.0, 2.0, 2.0]]]
    """

    mode: ClassVar[F.PadMode] = "replicate"


class CircularPad2d(_Pad2d):
    """Images that go on at their other end.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom).

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not four of them.
        ShapeError: when called, with an image too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.CircularPad2d((1, 1, 0, 0))(lucid.tensor([[[1.0, 2.0]]])).tolist()
    [[[2.0, 1.0, 2.0, 1.0]]]
    """

    mode: ClassVar[F.PadMode] = "circular"


class ZeroPad2d(_Pad2d):
    """Images with zeros around them.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom).

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not four of them.
        ShapeError: when called, with an image too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ZeroPad2d((1, 0, 0, 0))(lucid.tensor([[[1.0, 2.0]]])).tolist()
    [[[0.0, 1.0, 2.0]]]
    """


class ConstantPad2d(_Pad2d):
    """Images with a number around them.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom).
        value: the number.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, not four of them, or ``value`` is not a number.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ConstantPad2d((1, 0, 0, 0), 7.0)(lucid.tensor([[[1.0, 2.0]]])).tolist()
    [[[7.0, 1.0, 2.0]]]
    """

    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = number("ConstantPad2d", "value", value, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, value=self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}, value={self.value}"
