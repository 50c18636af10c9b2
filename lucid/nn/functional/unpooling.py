"""The largest elements of windows put back where they were."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, int_of
from lucid.functions.comparison import isfinite, where
from lucid.functions.creation import zeros
from lucid.functions.gathering import scatter, scatter_add
from lucid.nn.functional.arguments import images, per_axis
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["max_unpool1d", "max_unpool2d", "max_unpool3d"]


def _max_unpool(
    op: str,
    rank: int,
    input: Any,
    indices: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    output_size: Any,
) -> Tensor:
    (x, alone), at = images(op, input, rank), as_tensor(indices, op, "indices")
    if at.dtype != np.int64:
        fail(DTypeError(f"indices has dtype {at.dtype.name}, but it must be int64", op=op))
    if at.shape != (x.shape[1:] if alone else x.shape):
        fail(ShapeError(f"indices has shape {at.shape}, but input has {x.shape[1:] if alone else x.shape}", op=op))
    kernel = per_axis(op, "kernel_size", kernel_size, rank)
    steps = kernel if stride is None else per_axis(op, "stride", stride, rank)
    less = per_axis(op, "padding", padding, rank, 0)
    usual = [(n - 1) * s - 2 * p + k for n, s, p, k in zip(x.shape[2:], steps, less, kernel, strict=True)]
    size = usual if output_size is None else [int_of(op, "output_size", n) for n in output_size][-rank:]
    if len(size) != rank or any(abs(a - b) >= s for a, b, s in zip(size, usual, steps, strict=True)):
        rule = f"must differ from {tuple(usual)} by less than the stride {steps}"
        fail(ArgumentError(f"output_size={output_size!r} {rule}", op=op))
    n, c = x.shape[:2]
    flat = zeros((n, c, math.prod(size)), dtype=x.dtype)
    places, values = at.reshape(n, c, -1), x.reshape(n, c, -1)
    if all(k <= s for k, s in zip(kernel, steps, strict=True)):
        y = scatter(flat, 2, places, values)
    else:  # a maximum of several windows comes several times, and all of them get its gradient
        carrier = where(isfinite(values), values - values.detach(), 0.0)
        y = scatter(flat, 2, places, values.detach()) + scatter_add(flat, 2, places, carrier)
    y = y.reshape(n, c, *size)
    return y.squeeze(0) if alone else y


def max_unpool1d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Maxima put back where ``max_pool1d`` found them, and zeros around.

    Args:
        input: the maxima, lines ``(N, C, L)`` or ``(C, L)``.
        indices: their places, as ``max_pool1d(..., return_indices=True)`` gives them.
        kernel_size, stride, padding: of the pooling.
        output_size: the size of what was pooled, if that does not follow: several sizes give as many windows.

    Raises:
        ShapeError, DTypeError: ``indices`` of another shape than ``input``, or not int64.
        ArgumentError, ArgumentTypeError: sizes that no such pooling comes from.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> y, indices = F.max_pool1d(lucid.arange(4.0).reshape(1, 4), 2, return_indices=True)
    >>> F.max_unpool1d(y, indices, 2).tolist()
    [[0.0, 1.0, 0.0, 3.0]]
    """
    return _max_unpool("max_unpool1d", 1, input, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Maxima put back where ``max_pool2d`` found them, and zeros around.

    Args:
        input: the maxima, images ``(N, C, H, W)`` or ``(C, H, W)``.
        indices: their places, as ``max_pool2d(..., return_indices=True)`` gives them.
        kernel_size, stride, padding: of the pooling.
        output_size: the size of what was pooled, if that does not follow: several sizes give as many windows.

    Raises:
        ShapeError, DTypeError: ``indices`` of another shape than ``input``, or not int64.
        ArgumentError, ArgumentTypeError: sizes that no such pooling comes from.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> y, indices = F.max_pool2d(lucid.arange(16.0).reshape(1, 4, 4), 2, return_indices=True)
    >>> F.max_unpool2d(y, indices, 2).shape
    (1, 4, 4)
    """
    return _max_unpool("max_unpool2d", 2, input, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(
    input: Any, indices: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, output_size: Any = None
) -> Tensor:
    """Maxima put back where ``max_pool3d`` found them, and zeros around.

    Args:
        input: the maxima, volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)``.
        indices: their places, as ``max_pool3d(..., return_indices=True)`` gives them.
        kernel_size, stride, padding: of the pooling.
        output_size: the size of what was pooled, if that does not follow: several sizes give as many windows.

    Raises:
        ShapeError, DTypeError: ``indices`` of another shape than ``input``, or not int64.
        ArgumentError, ArgumentTypeError: sizes that no such pooling comes from.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> y, indices = F.max_pool3d(lucid.arange(8.0).reshape(1, 2, 2, 2), 2, return_indices=True)
    >>> F.max_unpool3d(y, indices, 2).shape
    (1, 2, 2, 2)
    """
    return _max_unpool("max_unpool3d", 3, input, indices, kernel_size, stride, padding, output_size)
