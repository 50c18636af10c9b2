"""Pooling of lines, images and volumes: the largest, the mean or the norm of each window.

A line is an image of one row; a volume is pooled plane by plane and then along its depth.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from lucid import ops
from lucid.eager import apply, located_error
from lucid.errors import ArgumentError, LucidError, ShapeError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.functions.gathering import gather
from lucid.nn.functional.arguments import Pair, images, paddings, per_axis
from lucid.ops.common import require_float
from lucid.ops.conv import output_size
from lucid.promotion import as_tensor, rounded_once

if TYPE_CHECKING:
    from lucid.ir.graph import Array
    from lucid.tensor import Tensor

__all__ = [
    "avg_pool1d", "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d", "max_pool1d", "max_pool2d",
    "max_pool3d",
]  # fmt: skip

_Sizes = tuple[int, ...]


class Windows(NamedTuple):
    """Windows over images ``(N, C, ...)``."""

    kernel: _Sizes
    stride: _Sizes
    padding: tuple[Pair, ...]
    dilation: _Sizes
    #: How many there are in each dimension.
    number: _Sizes
    #: What the last windows reach beyond the padding.
    beyond: _Sizes

    @property
    def edges(self) -> tuple[Pair, ...]:
        """All that windows see around the image."""
        return tuple([(low, high + more) for (low, high), more in zip(self.padding, self.beyond, strict=True)])

    def of(self, *axes: int) -> dict[str, Any]:
        """Attributes of an op that pools over two dimensions; -1 is one of a single row."""
        return {
            "kernel_size": tuple([1 if a < 0 else self.kernel[a] for a in axes]),
            "stride": tuple([1 if a < 0 else self.stride[a] for a in axes]),
            "padding": tuple([(0, 0) if a < 0 else self.edges[a] for a in axes]),
        }

    def spread(self, *axes: int) -> dict[str, Any]:
        """The same, and the dilation."""
        return {**self.of(*axes), "dilation": tuple([1 if a < 0 else self.dilation[a] for a in axes])}


def windows_of(
    op: str, x: Tensor, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: Any
) -> Windows:
    """Arguments made canonical. Padding is at most half a window, so that every window holds a real pixel."""
    rank = x.ndim - 2
    kernel, spread = per_axis(op, "kernel_size", kernel_size, rank), per_axis(op, "dilation", dilation, rank)
    steps = kernel if stride in (None, (), []) else per_axis(op, "stride", stride, rank)
    edges = paddings(op, padding, kernel, spread)
    for ends, k, d in zip(edges, kernel, spread, strict=True):
        most = (d * (k - 1) + 1) // 2
        if max(ends) > most:
            rule = f"must be at most half of the window, {most} for kernel_size={kernel}"
            fail(ArgumentError(f"padding={padding!r} {rule}", op=op))
    try:
        require_float(op, input=x.type)
        beyond = _beyond(x.shape[2:], kernel, steps, edges, spread) if ceil_mode else (0,) * rank
        whole = tuple([(low, high + more) for (low, high), more in zip(edges, beyond, strict=True)])
        count = output_size(op, x.shape[2:], kernel, steps, whole, spread)  # type: ignore[arg-type]
    except LucidError as error:
        raise located_error(error) from None
    return Windows(kernel, steps, edges, spread, count, beyond)


def _beyond(size: _Sizes, kernel: _Sizes, steps: _Sizes, edges: tuple[Pair, ...], spread: _Sizes) -> _Sizes:
    """How far a last window reaches that begins in the image, or before it, but does not end there."""
    found = []
    for n, k, s, (low, high), d in zip(size, kernel, steps, edges, spread, strict=True):
        span = d * (k - 1) + 1
        count = max(0, -(-(n + low + high - span) // s)) + 1
        if (count - 1) * s >= n + low:
            count -= 1
        found.append(max(0, (count - 1) * s + span - n - low - high))
    return tuple(found)


# --- the largest ---


def _max_pool(
    op: str,
    rank: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    return_indices: bool,
) -> Any:
    x, alone = images(op, input, rank)
    if 0 in x.shape[1:]:
        shape = x.shape[1:] if alone else x.shape
        fail(ShapeError(f"input has shape {shape}, but every size except the batch's must be at least 1", op=op))
    w = windows_of(op, x, kernel_size, stride, padding, dilation, ceil_mode)
    y, at = largest(x, w, return_indices)
    if alone:
        y, at = y.squeeze(0), at.squeeze(0) if at is not None else None
    return (y, at) if return_indices else y


def largest(x: Tensor, w: Windows, indices: bool) -> tuple[Tensor, Tensor | None]:
    """The maxima of windows, and their numbers among the pixels of an image."""
    if x.ndim == 3:
        y, at = _largest_of_planes(x.unsqueeze(2), w, (-1, 0), indices)
        return y.squeeze(2), at.squeeze(2) if at is not None else None
    if x.ndim == 4:
        return _largest_of_planes(x, w, (0, 1), indices)
    n, c, depth, height, width = x.shape
    planes, within = _largest_of_planes(x.reshape(n, c * depth, height, width), w, (1, 2), indices)
    size = planes.shape[2:]
    y, plane = _largest_of_planes(planes.reshape(n, c, depth, math.prod(size)), w, (0, -1), indices)
    if within is None or plane is None:
        return y.reshape(n, c, w.number[0], *size), None
    plane = plane.floor_divide(math.prod(size))
    inner = gather(within.reshape(n, c, depth, math.prod(size)), 2, plane)
    return y.reshape(n, c, w.number[0], *size), (plane * (height * width) + inner).reshape(n, c, w.number[0], *size)


def _largest_of_planes(x: Tensor, w: Windows, axes: tuple[int, int], indices: bool) -> tuple[Tensor, Tensor | None]:
    """The same for windows along two dimensions, of which -1 is one that they have a single row or column of."""
    attrs = w.spread(*axes)
    y = apply(ops.max_pool2d, x, **attrs)
    if not indices:
        return y, None
    number = apply(ops.max_pool2d_index, x, **attrs).to("int64")
    tap = number.floor_divide(attrs["kernel_size"][1]), number.remainder(attrs["kernel_size"][1])
    places = []
    for axis, (k, s, (low, _), d) in enumerate(
        zip(tap, attrs["stride"], attrs["padding"], attrs["dilation"], strict=True)
    ):
        first = np.arange(y.shape[2 + axis]) * s - low
        places.append(k * d + as_tensor(first.reshape((-1, 1) if axis == 0 else (1, -1))))
    return y, places[0] * x.shape[3] + places[1]


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest element of each window of lines ``(N, C, L)`` or ``(C, L)``; padding counts as -inf.

    Args:
        kernel_size: the window, an int.
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv1d``, at most half a window on each side.
        dilation: steps between the elements of a window.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.
        return_indices: whether to return also the number of each maximum among the elements of its channel, int64.

    Raises:
        ShapeError: ``input`` has another rank, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.max_pool1d(lucid.arange(4.0).reshape(1, 4), 2).tolist()
    [[1.0, 3.0]]
    """
    return _max_pool("max_pool1d", 1, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest pixel of each window of images ``(N, C, H, W)`` or ``(C, H, W)``; padding counts as -inf.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv2d``, at most half a window on each side.
        dilation: steps between the pixels of a window.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.
        return_indices: whether to return also the number of each maximum among the pixels of its channel, int64.

    Raises:
        ShapeError: ``input`` has another rank, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.max_pool2d(lucid.arange(16.0).reshape(1, 4, 4), 2).tolist()
    [[[5.0, 7.0], [13.0, 15.0]]]
    """
    return _max_pool("max_pool2d", 2, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    return_indices: bool = False,
) -> Any:
    """The largest voxel of each window of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)``; padding counts as -inf.

    Args:
        kernel_size: the window, an int or (depth, height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv3d``, at most half a window on each side.
        dilation: steps between the voxels of a window.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.
        return_indices: whether to return also the number of each maximum among the voxels of its channel, int64.

    Raises:
        ShapeError: ``input`` has another rank, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.max_pool3d(lucid.arange(8.0).reshape(1, 2, 2, 2), 2).tolist()
    [[[[7.0]]]]
    """
    return _max_pool("max_pool3d", 3, input, kernel_size, stride, padding, dilation, ceil_mode, return_indices)


# --- the mean ---


def _avg_pool(
    op: str,
    rank: int,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    count_include_pad: bool,
    divisor_override: Any,
) -> Tensor:
    x, alone = images(op, input, rank)
    w = windows_of(op, x, kernel_size, stride, padding, 1, ceil_mode)
    plain = not any(w.beyond) and divisor_override is None
    every = bool(count_include_pad) or not any(map(any, w.padding))
    if plain and (every or rank < 3):
        y = means(x, w, every)
    else:
        given = None if divisor_override is None else int_of(op, "divisor_override", divisor_override)
        if given == 0:
            fail(ArgumentError("divisor_override=0 must not be 0", op=op))
        divisors = np.array(given) if given else _divisors(x.shape[2:], w, bool(count_include_pad))
        y = means(x, w, True) * as_tensor((math.prod(w.kernel) / divisors).astype(x.dtype))
    return y.squeeze(0) if alone else y


def means(x: Tensor, w: Windows, every: bool) -> Tensor:
    """The sums of windows, divided by the size of one, or (``every`` False) by how much of it is image."""
    if x.ndim == 3:
        return apply(ops.avg_pool2d, x.unsqueeze(2), **w.of(-1, 0), count_include_pad=every).squeeze(2)
    if x.ndim == 4:
        return apply(ops.avg_pool2d, x, **w.of(0, 1), count_include_pad=every)
    n, c, depth, height, width = x.shape
    planes = apply(ops.avg_pool2d, x.reshape(n, c * depth, height, width), **w.of(1, 2), count_include_pad=every)
    size = planes.shape[2:]
    y = apply(ops.avg_pool2d, planes.reshape(n, c, depth, math.prod(size)), **w.of(0, -1), count_include_pad=every)
    return y.reshape(n, c, w.number[0], *size)


def _divisors(size: _Sizes, w: Windows, padded: bool) -> Array:
    """How many elements each window has in the image, or in the padded image."""
    result = np.ones((), np.int64)
    for n, k, s, (low, high), count in zip(size, w.kernel, w.stride, w.padding, w.number, strict=True):
        begin = np.arange(count) * s - low
        first, last = (-low, n + high) if padded else (0, n)
        result = np.multiply.outer(result, np.minimum(begin + k, last) - np.maximum(begin, first))
    return result


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Tensor:
    """The mean of each window of lines ``(N, C, L)`` or ``(C, L)``; padding counts as 0.

    Args:
        kernel_size: the window, an int.
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv1d``, at most half a window on each side.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.
        count_include_pad: whether to divide by all of the window, or only by the number of elements in it.

    Raises:
        ShapeError: ``input`` has another rank, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.avg_pool1d(lucid.arange(4.0).reshape(1, 4), 2).tolist()
    [[0.5, 2.5]]
    """
    return _avg_pool("avg_pool1d", 1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, None)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of images ``(N, C, H, W)`` or ``(C, H, W)``; padding counts as 0.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv2d``, at most half a window on each side.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.
        count_include_pad: whether to divide by all of the window, or only by the number of pixels in it.
        divisor_override: what to divide by instead.

    Raises:
        ShapeError: ``input`` has another rank, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.avg_pool2d(lucid.arange(16.0).reshape(1, 4, 4), 2).tolist()
    [[[2.5, 4.5], [10.5, 12.5]]]
    """
    return _avg_pool(
        "avg_pool2d", 2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Tensor:
    """The mean of each window of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)``; padding counts as 0.

    Args:
        kernel_size: the window, an int or (depth, height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv3d``, at most half a window on each side.
        ceil_mode: whether a last window may reach beyond the padding, if it does not begin there.
        count_include_pad: whether to divide by all of the window, or only by the number of voxels in it.
        divisor_override: what to divide by instead.

    Raises:
        ShapeError: ``input`` has another rank, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.avg_pool3d(lucid.arange(8.0).reshape(1, 2, 2, 2), 2).tolist()
    [[[[3.5]]]]
    """
    return _avg_pool(
        "avg_pool3d", 3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
    )


# --- the norm ---


def _lp_pool(op: str, rank: int, input: Any, norm_type: Any, kernel_size: Any, stride: Any, ceil_mode: bool) -> Tensor:
    p = number_of(op, "norm_type", norm_type)
    if not p:
        fail(ArgumentError(f"norm_type={norm_type!r} must not be 0", op=op))
    means = _avg_pool(op, rank, as_tensor(input, op, "input") ** p, kernel_size, stride, 0, ceil_mode, True, None)
    size = math.prod(per_axis(op, "kernel_size", kernel_size, rank))
    return (means.sign() * means.abs().relu() * size) ** (1 / p)


@rounded_once
def lp_pool1d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The ``norm_type``-norm of each window of lines ``(N, C, L)`` or ``(C, L)``, ``(sum x ** p) ** (1 / p)``.

    Args:
        norm_type: p; 1 gives sums, and with it grows the weight of the largest.
        kernel_size: the window, an int.
        stride: steps between windows; ``kernel_size`` unless given.
        ceil_mode: whether a last window may reach beyond the line; its mean then counts for all of it.

    Raises:
        ShapeError: ``input`` has another rank, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: ``norm_type`` 0, sizes that are no ints, or below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.lp_pool1d(lucid.arange(4.0).reshape(1, 4), 1, 2).tolist()
    [[1.0, 5.0]]
    """
    return _lp_pool("lp_pool1d", 1, input, norm_type, kernel_size, stride, ceil_mode)


@rounded_once
def lp_pool2d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The ``norm_type``-norm of each window of images ``(N, C, H, W)`` or ``(C, H, W)``, ``(sum x ** p) ** (1 / p)``.

    Args:
        norm_type: p; 1 gives sums, and with it grows the weight of the largest.
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        ceil_mode: whether a last window may reach beyond the image; its mean then counts for all of it.

    Raises:
        ShapeError: ``input`` has another rank, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: ``norm_type`` 0, sizes that are no ints, or below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.lp_pool2d(lucid.arange(16.0).reshape(1, 4, 4), 1, 2).tolist()
    [[[10.0, 18.0], [42.0, 50.0]]]
    """
    return _lp_pool("lp_pool2d", 2, input, norm_type, kernel_size, stride, ceil_mode)


@rounded_once
def lp_pool3d(input: Any, norm_type: float, kernel_size: Any, stride: Any = None, ceil_mode: bool = False) -> Tensor:
    """The norm ``(sum x ** p) ** (1 / p)`` of each window of volumes ``(N, C, D, H, W)`` or ``(C, D, H, W)``.

    Args:
        norm_type: p; 1 gives sums, and with it grows the weight of the largest.
        kernel_size: the window, an int or (depth, height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        ceil_mode: whether a last window may reach beyond the volume; its mean then counts for all of it.

    Raises:
        ShapeError: ``input`` has another rank, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: ``norm_type`` 0, sizes that are no ints, or below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.lp_pool3d(lucid.arange(8.0).reshape(1, 2, 2, 2), 1, 2).tolist()
    [[[[28.0]]]]
    """
    return _lp_pool("lp_pool3d", 3, input, norm_type, kernel_size, stride, ceil_mode)
