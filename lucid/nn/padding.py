"""Layers that put elements around lines, images and volumes."""

from __future__ import annotations

from typing import Any, ClassVar

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail, int_of, is_several
from lucid.nn import functional as F
from lucid.nn.arguments import number
from lucid.nn.functional.arguments import images
from lucid.nn.module import Module
from lucid.tensor import Tensor

#: The order in which padding is given, by the dimensions of an image.
_ORDER = {1: "(before, after)", 2: "(left, right, top, bottom)", 3: "(left, right, top, bottom, front, back)"}


class _Pad(Module):
    #: Dimensions of an image.
    rank: ClassVar[int]
    #: What ``F.pad`` puts there.
    mode: ClassVar[F.PadMode] = "constant"

    def __init__(self, padding: Any):
        super().__init__()
        op = type(self).__name__
        given = tuple(padding) if is_several(padding) else (padding,) * (2 * self.rank)
        if len(given) != 2 * self.rank:
            fail(ArgumentError(f"padding={padding!r} must be an int or {_ORDER[self.rank]}", op=op))
        self.padding = tuple([int_of(op, "padding", n) for n in given])

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self.mode)

    def extra_repr(self) -> str:
        return str(self.padding)


class _ConstantPad(_Pad):
    def __init__(self, padding: Any, value: float):
        super().__init__(padding)
        self.value = number(type(self).__name__, "value", value, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, value=self.value)

    def extra_repr(self) -> str:
        return f"{self.padding}, value={self.value}"


class ReflectionPad1d(_Pad):
    """Lines mirrored at their outermost elements.

    Args:
        padding: how many elements, an int or (before, after); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 2 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReflectionPad1d(1)(lucid.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[2.0, 1.0, 2.0, 3.0, 2.0]]
    """

    rank = 1
    mode: ClassVar[F.PadMode] = "reflect"


class ReflectionPad2d(_Pad):
    """Images mirrored at their outermost pixels.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 4 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReflectionPad2d((1, 1, 0, 0))(lucid.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[2.0, 1.0, 2.0, 3.0, 2.0]]]
    """

    rank = 2
    mode: ClassVar[F.PadMode] = "reflect"


class ReflectionPad3d(_Pad):
    """Volumes mirrored at their outermost voxels.

    Args:
        padding: how many voxels, an int or (left, right, top, bottom, front, back); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 6 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReflectionPad3d((1, 1, 0, 0, 0, 0))(lucid.tensor([[[[1.0, 2.0, 3.0]]]])).tolist()
    [[[[2.0, 1.0, 2.0, 3.0, 2.0]]]]
    """

    rank = 3
    mode: ClassVar[F.PadMode] = "reflect"


class ReplicationPad1d(_Pad):
    """Lines whose outermost elements are repeated.

    Args:
        padding: how many elements, an int or (before, after); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 2 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReplicationPad1d(1)(lucid.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[1.0, 1.0, 2.0, 3.0, 3.0]]
    """

    rank = 1
    mode: ClassVar[F.PadMode] = "replicate"


class ReplicationPad2d(_Pad):
    """Images whose outermost pixels are repeated.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 4 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReplicationPad2d((1, 1, 0, 0))(lucid.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[1.0, 1.0, 2.0, 3.0, 3.0]]]
    """

    rank = 2
    mode: ClassVar[F.PadMode] = "replicate"


class ReplicationPad3d(_Pad):
    """Volumes whose outermost voxels are repeated.

    Args:
        padding: how many voxels, an int or (left, right, top, bottom, front, back); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 6 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ReplicationPad3d((1, 1, 0, 0, 0, 0))(lucid.tensor([[[[1.0, 2.0, 3.0]]]])).tolist()
    [[[[1.0, 1.0, 2.0, 3.0, 3.0]]]]
    """

    rank = 3
    mode: ClassVar[F.PadMode] = "replicate"


class _CircularPad(_Pad):
    mode: ClassVar[F.PadMode] = "circular"

    def forward(self, input: Tensor) -> Tensor:
        images(type(self).__name__, input, self.rank)
        return super().forward(input)


class CircularPad1d(_CircularPad):
    """Lines that go on at their other end.

    Args:
        padding: how many elements, an int or (before, after); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 2 of them.
        ShapeError: when called, with an input too small, or of other dimensions than a line and its channels.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.CircularPad1d(1)(lucid.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[3.0, 1.0, 2.0, 3.0, 1.0]]
    """

    rank = 1


class CircularPad2d(_CircularPad):
    """Images that go on at their other end.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 4 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.CircularPad2d((1, 1, 0, 0))(lucid.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[3.0, 1.0, 2.0, 3.0, 1.0]]]
    """

    rank = 2


class CircularPad3d(_CircularPad):
    """Volumes that go on at their other end.

    Args:
        padding: how many voxels, an int or (left, right, top, bottom, front, back); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 6 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.CircularPad3d((1, 1, 0, 0, 0, 0))(lucid.tensor([[[[1.0, 2.0, 3.0]]]])).tolist()
    [[[[3.0, 1.0, 2.0, 3.0, 1.0]]]]
    """

    rank = 3


class ZeroPad1d(_Pad):
    """Lines with zeros around them.

    Args:
        padding: how many elements, an int or (before, after); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 2 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ZeroPad1d(1)(lucid.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[0.0, 1.0, 2.0, 3.0, 0.0]]
    """

    rank = 1


class ZeroPad2d(_Pad):
    """Images with zeros around them.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 4 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ZeroPad2d((1, 1, 0, 0))(lucid.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[0.0, 1.0, 2.0, 3.0, 0.0]]]
    """

    rank = 2


class ZeroPad3d(_Pad):
    """Volumes with zeros around them.

    Args:
        padding: how many voxels, an int or (left, right, top, bottom, front, back); negative ones are cut off.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 6 of them.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ZeroPad3d((1, 1, 0, 0, 0, 0))(lucid.tensor([[[[1.0, 2.0, 3.0]]]])).tolist()
    [[[[0.0, 1.0, 2.0, 3.0, 0.0]]]]
    """

    rank = 3


class ConstantPad1d(_ConstantPad):
    """Lines with a number around them.

    Args:
        padding: how many elements, an int or (before, after); negative ones are cut off.
        value: the number.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 2 of them, or ``value`` is not a number.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ConstantPad1d(1, 7.0)(lucid.tensor([[1.0, 2.0, 3.0]])).tolist()
    [[7.0, 1.0, 2.0, 3.0, 7.0]]
    """

    rank = 1


class ConstantPad2d(_ConstantPad):
    """Images with a number around them.

    Args:
        padding: how many pixels, an int or (left, right, top, bottom); negative ones are cut off.
        value: the number.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 4 of them, or ``value`` is not a number.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ConstantPad2d((1, 1, 0, 0), 7.0)(lucid.tensor([[[1.0, 2.0, 3.0]]])).tolist()
    [[[7.0, 1.0, 2.0, 3.0, 7.0]]]
    """

    rank = 2


class ConstantPad3d(_ConstantPad):
    """Volumes with a number around them.

    Args:
        padding: how many voxels, an int or (left, right, top, bottom, front, back); negative ones are cut off.
        value: the number.

    Raises:
        ArgumentError, ArgumentTypeError: no ints, or not 6 of them, or ``value`` is not a number.
        ShapeError: when called, with an input too small.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.ConstantPad3d((1, 1, 0, 0, 0, 0), 7.0)(lucid.tensor([[[[1.0, 2.0, 3.0]]]])).tolist()
    [[[[7.0, 1.0, 2.0, 3.0, 7.0]]]]
    """

    rank = 3
