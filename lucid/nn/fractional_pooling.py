"""Pooling layers whose windows begin at random places: Graham, arXiv:1412.6071."""

from __future__ import annotations

from typing import Any, ClassVar

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail
from lucid.nn import functional as F
from lucid.nn.arguments import flag
from lucid.nn.functional.arguments import per_axis
from lucid.nn.functional.fractional_pooling import ratios_of
from lucid.nn.module import Module
from lucid.tensor import Tensor


class _FractionalMaxPool(Module):
    #: Dimensions of an image.
    rank: ClassVar[int]

    def __init__(
        self,
        kernel_size: int | tuple[int, ...],
        output_size: int | tuple[int, ...] | None = None,
        output_ratio: float | tuple[float, ...] | None = None,
        return_indices: bool = False,
        _random_samples: Tensor | None = None,
    ):
        super().__init__()
        op = type(self).__name__
        if (output_size is None) is (output_ratio is None):
            fail(ArgumentError("either output_size or output_ratio must be given", op=op))
        self.kernel_size = per_axis(op, "kernel_size", kernel_size, self.rank)
        self.output_size = None if output_size is None else per_axis(op, "output_size", output_size, self.rank)
        self.output_ratio = None if output_ratio is None else ratios_of(op, output_ratio, self.rank)
        self.return_indices = flag(op, "return_indices", return_indices)
        self.register_buffer("_random_samples", _random_samples)

    def forward(self, input: Tensor) -> Any:
        pool = F.fractional_max_pool2d if self.rank == 2 else F.fractional_max_pool3d
        options = (self.kernel_size, self.output_size, self.output_ratio, self.return_indices)
        return pool(input, *options, self._random_samples)

    def extra_repr(self) -> str:
        size = f"output_ratio={self.output_ratio}" if self.output_size is None else f"output_size={self.output_size}"
        return f"kernel_size={self.kernel_size}, {size}"


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest pixels of windows of images ``(N, C, H, W)`` or ``(C, H, W)`` that begin at random places: Graham,
    arXiv:1412.6071.

    Args:
        kernel_size: of the windows, an int or (height, width).
        output_size: how many windows there are, an int or (height, width).
        output_ratio: instead, how many there are for each pixel, between 0 and 1: one or two of them.
        return_indices: whether to return also the number of each among the pixels of its channel, int64.
        _random_samples: uniform draws ``(N, C, 2)`` to use in every call, instead of new ones.

    Raises:
        ArgumentError, ArgumentTypeError: not one of size and ratio; sizes that are no ints of at least 1; other ratios.
        ShapeError, DTypeError: when called, with another rank, images that are too small, or ones not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.FractionalMaxPool2d(3, output_size=(13, 12))(lucid.rand(2, 16, 50, 32)).shape
    (2, 16, 13, 12)
    """

    rank = 2


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest voxels of windows of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)`` that begin at random places:
    Graham, arXiv:1412.6071.

    Args:
        kernel_size: of the windows, an int or (depth, height, width).
        output_size: how many windows there are, an int or (depth, height, width).
        output_ratio: instead, how many there are for each voxel, between 0 and 1: one or three of them.
        return_indices: whether to return also the number of each among the voxels of its channel, int64.
        _random_samples: uniform draws ``(N, C, 3)`` to use in every call, instead of new ones.

    Raises:
        ArgumentError, ArgumentTypeError: not one of size and ratio; sizes that are no ints of at least 1; other ratios.
        ShapeError, DTypeError: when called, with another rank, volumes that are too small, or ones not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.FractionalMaxPool3d(2, output_ratio=0.5)(lucid.rand(2, 3, 8, 8, 8)).shape
    (2, 3, 4, 4, 4)
    """

    rank = 3
