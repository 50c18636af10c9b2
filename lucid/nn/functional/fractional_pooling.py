"""Pooling by windows that begin at random places, as far apart as the size of the result asks for: Graham,
arXiv:1412.6071."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, is_several, number_of
from lucid.functions.creation import arange, full
from lucid.functions.gathering import gather
from lucid.functions.movement import concat
from lucid.ir.types import int64, is_float
from lucid.nn.functional.arguments import images, per_axis
from lucid.promotion import as_tensor
from lucid.random import rand

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["fractional_max_pool2d", "fractional_max_pool3d"]


def ratios_of(op: str, value: Any, rank: int) -> tuple[float, ...]:
    """One ratio for each dimension, between 0 and 1.

    Raises:
        ArgumentTypeError, ArgumentError: not numbers, not as many, or outside 0 .. 1.

    >>> ratios_of("fractional_max_pool2d", 0.5, 2)
    (0.5, 0.5)
    """
    given = tuple(value) if is_several(value) else (value,) * rank
    if len(given) != rank:
        fail(ArgumentError(f"output_ratio={value!r} must be a number or {rank} of them", op=op))
    ratios = tuple([float(number_of(op, "output_ratio", r)) for r in given])
    if not all(0 < r < 1 for r in ratios):
        fail(ArgumentError(f"output_ratio={value!r} must lie between 0 and 1", op=op))
    return ratios


def _fractional(
    op: str,
    rank: int,
    input: Any,
    kernel_size: Any,
    output_size: Any,
    output_ratio: Any,
    return_indices: bool,
    samples: Any,
) -> Any:
    x, alone = images(op, input, rank)
    if not is_float(x.dtype):
        fail(DTypeError(f"input has dtype {x.dtype.name}, but it must be floating", op=op))
    kernel = per_axis(op, "kernel_size", kernel_size, rank)
    if output_size is not None:
        size = per_axis(op, "output_size", output_size, rank)
    elif output_ratio is not None:
        size = tuple([int(n * r) for n, r in zip(x.shape[2:], ratios_of(op, output_ratio, rank), strict=True)])
    else:
        fail(ArgumentError("output_size or output_ratio must be given", op=op))
    if any(m < 1 or m + k - 1 > n for n, k, m in zip(x.shape[2:], kernel, size, strict=True)):
        message = f"{size} windows of size {kernel} do not fit into input of shape {x.shape[1:] if alone else x.shape}"
        fail(
            ShapeError(
                message, op=op, hint="a side needs output_size + kernel_size - 1 elements, and at least 1 window"
            )
        )
    wanted = (*x.shape[:2], rank)
    u = rand(*wanted, dtype=x.dtype) if samples is None else as_tensor(samples, op, "_random_samples")
    if u.shape != wanted:
        fail(ShapeError(f"_random_samples has shape {u.shape}, but it must be {wanted}", op=op))
    if u.dtype != x.dtype:
        fail(DTypeError(f"_random_samples is {u.dtype.name}, but input is {x.dtype.name}", op=op))
    y, at = x, as_tensor(np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])).expand(x.shape)
    for axis in reversed(range(rank)):
        # PyTorch's order of samples: width and height of images, but depth, height and width of volumes.
        sample = u[:, :, rank - 1 - axis if rank == 2 else axis]
        first = _first_elements(sample, x.shape[2 + axis], size[axis], kernel[axis])
        y, at = _largest(y, at, 2 + axis, first, kernel[axis])
    if alone:
        y, at = y.squeeze(0), at.squeeze(0)
    return (y, at) if return_indices else y


def _first_elements(sample: Tensor, n: int, m: int, k: int) -> Tensor:
    """Where each of ``m`` windows of ``k`` out of ``n`` elements begins, ``(N, C, m)``; the last ends at the end."""
    last = full((*sample.shape, 1), n - k, dtype=int64)
    if m == 1:
        return last
    u, apart = sample.detach().unsqueeze(-1), (n - k) / (m - 1)
    others = ((arange(m - 1, dtype=u.dtype) + u) * apart).astype(int64) - (u * apart).astype(int64)
    return concat([others, last], -1)


def _largest(x: Tensor, at: Tensor, axis: int, first: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The first maximum of each window along an axis, and which of the numbers ``at`` it has."""
    n, c, m = first.shape
    sides = x.shape[2:]
    places = (first.unsqueeze(-1) + arange(k)).reshape(
        n, c, *[m * k if 2 + d == axis else 1 for d in range(len(sides))]
    )
    places = places.expand(n, c, *[m * k if 2 + d == axis else side for d, side in enumerate(sides)])
    windows = (m, k)
    values, chosen = gather(x, axis, places).unflatten(axis, windows).max(axis + 1)
    numbers = gather(at, axis, places).unflatten(axis, windows)
    return values, gather(numbers, axis + 1, chosen.unsqueeze(axis + 1)).squeeze(axis + 1)


def fractional_max_pool2d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """The largest pixels of windows of images ``(N, C, H, W)`` or ``(C, H, W)`` that begin at random places: Graham,
    arXiv:1412.6071.

    Args:
        kernel_size: of the windows, an int or (height, width).
        output_size: how many windows there are, an int or (height, width).
        output_ratio: how many there are for each pixel, if ``output_size`` is None: between 0 and 1, one or two.
        return_indices: whether to return also the number of each among the pixels of its channel, int64.
        _random_samples: uniform draws ``(N, C, 2)`` of the input's dtype, to use instead of new ones.

    Raises:
        ArgumentError, ArgumentTypeError: neither size nor ratio; sizes that are no ints of at least 1; other ratios.
        ShapeError, DTypeError: another rank, images that are too small, or ones that are not floating.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.fractional_max_pool2d(lucid.rand(1, 3, 20, 30), 2, output_ratio=0.7).shape
    (1, 3, 14, 21)
    """
    options = (kernel_size, output_size, output_ratio, return_indices, _random_samples)
    return _fractional("fractional_max_pool2d", 2, input, *options)


def fractional_max_pool3d(
    input: Any,
    kernel_size: Any,
    output_size: Any = None,
    output_ratio: Any = None,
    return_indices: bool = False,
    _random_samples: Any = None,
) -> Any:
    """The largest voxels of windows of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)`` that begin at random places:
    Graham, arXiv:1412.6071.

    Args:
        kernel_size: of the windows, an int or (depth, height, width).
        output_size: how many windows there are, an int or (depth, height, width).
        output_ratio: how many there are for each voxel, if ``output_size`` is None: between 0 and 1, one or three.
        return_indices: whether to return also the number of each among the voxels of its channel, int64.
        _random_samples: uniform draws ``(N, C, 3)`` of the input's dtype, to use instead of new ones.

    Raises:
        ArgumentError, ArgumentTypeError: neither size nor ratio; sizes that are no ints of at least 1; other ratios.
        ShapeError, DTypeError: another rank, volumes that are too small, or ones that are not floating.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.fractional_max_pool3d(lucid.rand(1, 3, 8, 8, 8), 2, output_size=(4, 5, 6)).shape
    (1, 3, 4, 5, 6)
    """
    options = (kernel_size, output_size, output_ratio, return_indices, _random_samples)
    return _fractional("fractional_max_pool3d", 3, input, *options)
