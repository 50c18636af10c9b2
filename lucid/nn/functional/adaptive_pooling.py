"""Pooling into a given number of windows, which together cover the image."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, int_of, is_several
from lucid.functions.gathering import gather
from lucid.functions.linalg import matmul
from lucid.functions.movement import stack
from lucid.ir.types import is_float
from lucid.nn.functional.arguments import images
from lucid.nn.functional.pooling import largest, means, windows_of
from lucid.promotion import as_tensor, rounded_once

if TYPE_CHECKING:
    from lucid.ir.graph import Array
    from lucid.tensor import Tensor

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "adaptive_max_pool1d", "adaptive_max_pool2d",
    "adaptive_max_pool3d",
]  # fmt: skip

_Sizes = tuple[int, ...]


def _adaptive(op: str, rank: int, input: Any, output_size: Any) -> tuple[Tensor, bool, _Sizes]:
    """The images, whether it was one alone, and how many windows there are to be."""
    x, alone = images(op, input, rank)
    if 0 in x.shape[1:]:
        fail(ShapeError(f"input has shape {x.shape[1:] if alone else x.shape}, but it must not be empty", op=op))
    given = tuple(output_size) if is_several(output_size) else (output_size,) * rank
    if len(given) != rank:
        several = "a pair (height, width)" if rank == 2 else f"{rank} of them"
        fail(ArgumentError(f"output_size={output_size!r} must be an int or {several}", op=op))
    size = tuple([n if m is None else int_of(op, "output_size", m) for n, m in zip(x.shape[2:], given, strict=True)])
    if min(size) < 1:
        fail(ArgumentError(f"output_size={output_size!r} must be at least 1", op=op))
    return x, alone, size


def _even(x: Tensor, size: _Sizes) -> _Sizes | None:
    """The window of which so many cover the images; None if none does."""
    pairs = list(zip(x.shape[2:], size, strict=True))
    return None if any(n % m for n, m in pairs) else tuple([n // m for n, m in pairs])


def _ends(n: int, m: int) -> list[tuple[int, int]]:
    """Where each of ``m`` windows over ``n`` pixels begins and ends: they meet, or overlap by what does not divide."""
    return [(k * n // m, -(-(k + 1) * n // m)) for k in range(m)]


def mean_table(n: int, m: int) -> Array:
    """The matrix ``(m, n)`` that takes the means of ``m`` windows over ``n`` pixels."""
    table = np.zeros((m, n))
    for k, (begin, end) in enumerate(_ends(n, m)):
        table[k, begin:end] = 1 / (end - begin)
    return table


def along(x: Tensor, axis: int, table: Array) -> Tensor:
    """Every line along an axis as the product of ``table`` with it."""
    matrix = as_tensor(table.astype(x.dtype))
    if axis == x.ndim - 1:
        return matmul(x, matrix.mT)
    if axis == x.ndim - 2:
        return matmul(matrix, x)
    return matmul(x.moveaxis(axis, -1), matrix.mT).moveaxis(-1, axis)


def _adaptive_avg(op: str, rank: int, input: Any, output_size: Any) -> Tensor:
    x, alone, size = _adaptive(op, rank, input, output_size)
    if not is_float(x.dtype):
        fail(DTypeError(f"input has dtype {x.dtype.name}, but it must be floating", op=op))
    window = _even(x, size)
    if set(size) == {1}:
        y = x.mean(axis=tuple(range(2, x.ndim)), keepdims=True)
    elif window is not None:
        y = means(x, windows_of(op, x, window, None, 0, 1, False), True)
    else:
        y = x
        for axis, (n, m) in enumerate(zip(x.shape[2:], size, strict=True), 2):
            y = along(y, axis, mean_table(n, m)) if n != m else y
    return y.squeeze(0) if alone else y


def _adaptive_max(op: str, rank: int, input: Any, output_size: Any, return_indices: bool) -> Any:
    x, alone, size = _adaptive(op, rank, input, output_size)
    window = _even(x, size)
    at: Tensor | None
    if window is not None:
        y, at = largest(x, windows_of(op, x, window, None, 0, 1, False), return_indices)
    else:
        y, at = x, as_tensor(np.arange(math.prod(x.shape[2:])).reshape(x.shape[2:])).expand(x.shape)
        for axis, (n, m) in reversed(list(enumerate(zip(x.shape[2:], size, strict=True), 2))):
            found = [_first(y, at, axis, begin, end) for begin, end in _ends(n, m)]
            y, at = stack([v for v, _ in found], axis), stack([k for _, k in found], axis)
    if alone:
        y, at = y.squeeze(0), at.squeeze(0) if at is not None else None
    return (y, at) if return_indices else y


def _first(x: Tensor, at: Tensor, axis: int, begin: int, end: int) -> tuple[Tensor, Tensor]:
    """The first maximum along part of an axis, and which of the numbers ``at`` it has."""
    where = (slice(None),) * axis + (slice(begin, end),)
    values, chosen = x[where].max(axis)
    return values, gather(at[where], axis, chosen.unsqueeze(axis)).squeeze(axis)


@rounded_once
def adaptive_avg_pool1d(input: Any, output_size: Any) -> Tensor:
    """The means of windows of lines ``(N, C, L)`` or ``(C, L)`` that together cover them.

    Args:
        output_size: how many windows there are, an int; None keeps a size.

    Raises:
        ShapeError: another rank, or no elements.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: sizes that are no ints, or below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.adaptive_avg_pool1d(lucid.arange(4.0).reshape(1, 4), 1).tolist()
    [[1.5]]
    """
    return _adaptive_avg("adaptive_avg_pool1d", 1, input, output_size)


@rounded_once
def adaptive_avg_pool2d(input: Any, output_size: Any) -> Tensor:
    """The means of windows of images ``(N, C, H, W)`` or ``(C, H, W)`` that together cover them.

    Args:
        output_size: how many windows there are, an int or (height, width); None keeps a size.

    Raises:
        ShapeError: another rank, or no pixels.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: sizes that are no ints, or below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.adaptive_avg_pool2d(lucid.arange(16.0).reshape(1, 4, 4), 1).tolist()
    [[[7.5]]]
    """
    return _adaptive_avg("adaptive_avg_pool2d", 2, input, output_size)


@rounded_once
def adaptive_avg_pool3d(input: Any, output_size: Any) -> Tensor:
    """The means of windows of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)`` that together cover them.

    Args:
        output_size: how many windows there are, an int or (depth, height, width); None keeps a size.

    Raises:
        ShapeError: another rank, or no voxels.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: sizes that are no ints, or below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.adaptive_avg_pool3d(lucid.arange(8.0).reshape(1, 2, 2, 2), 1).tolist()
    [[[[3.5]]]]
    """
    return _adaptive_avg("adaptive_avg_pool3d", 3, input, output_size)


def adaptive_max_pool1d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest elements of windows of lines ``(N, C, L)`` or ``(C, L)`` that together cover them.

    Args:
        output_size: how many windows there are, an int; None keeps a size.
        return_indices: whether to return also the number of each among the elements of its channel, int64.

    Raises:
        ShapeError: another rank, or no elements.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: sizes that are no ints, or below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.adaptive_max_pool1d(lucid.arange(4.0).reshape(1, 4), 1).tolist()
    [[3.0]]
    """
    return _adaptive_max("adaptive_max_pool1d", 1, input, output_size, return_indices)


def adaptive_max_pool2d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest pixels of windows of images ``(N, C, H, W)`` or ``(C, H, W)`` that together cover them.

    Args:
        output_size: how many windows there are, an int or (height, width); None keeps a size.
        return_indices: whether to return also the number of each among the pixels of its channel, int64.

    Raises:
        ShapeError: another rank, or no pixels.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: sizes that are no ints, or below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.adaptive_max_pool2d(lucid.arange(16.0).reshape(1, 4, 4), 1).tolist()
    [[[15.0]]]
    """
    return _adaptive_max("adaptive_max_pool2d", 2, input, output_size, return_indices)


def adaptive_max_pool3d(input: Any, output_size: Any, return_indices: bool = False) -> Any:
    """The largest voxels of windows of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)`` that together cover them.

    Args:
        output_size: how many windows there are, an int or (depth, height, width); None keeps a size.
        return_indices: whether to return also the number of each among the voxels of its channel, int64.

    Raises:
        ShapeError: another rank, or no voxels.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: sizes that are no ints, or below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.adaptive_max_pool3d(lucid.arange(8.0).reshape(1, 2, 2, 2), 1).tolist()
    [[[[7.0]]]]
    """
    return _adaptive_max("adaptive_max_pool3d", 3, input, output_size, return_indices)
