"""Images made larger or smaller: interpolation, and pixels taken from channels."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import fail, int_of, is_several, number_of
from lucid.functions.indexing import take
from lucid.nn.functional.adaptive_pooling import along, mean_table
from lucid.promotion import as_tensor, floating, rounded_once

if TYPE_CHECKING:
    from lucid.ir.graph import Array
    from lucid.tensor import Tensor

__all__ = ["channel_shuffle", "interpolate", "pixel_shuffle", "pixel_unshuffle"]

#: Dimensions of an image that each mode is for; None for any number.
_RANKS = {
    "nearest": None,
    "nearest-exact": None,
    "linear": 1,
    "bilinear": 2,
    "bicubic": 2,
    "trilinear": 3,
    "area": None,
}


@rounded_once
def interpolate(
    input: Any,
    size: Any = None,
    scale_factor: Any = None,
    mode: str = "nearest",
    align_corners: bool | None = None,
) -> Tensor:
    """Images ``(N, C, ...)`` of another size.

    Args:
        size: of the result, an int or one for each dimension of the image.
        scale_factor: instead of it, a number or one for each dimension.
        mode: 'nearest', 'nearest-exact', 'linear' (of lines), 'bilinear' and 'bicubic' (of images), 'trilinear' (of
            volumes), 'area' (means of the pixels that each covers).
        align_corners: whether the centres of the outermost pixels stay where they are; not for 'nearest' and 'area'.

    Raises:
        ShapeError: no image, or an empty one, or a rank that ``mode`` is not for.
        ArgumentError, ArgumentTypeError: both or neither of ``size`` and ``scale_factor``, sizes below 1, another mode.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.interpolate(lucid.tensor([[[1.0, 3.0]]]), 4, mode="linear").tolist()
    [[[1.0, 1.5, 2.5, 3.0]]]
    """
    op = "interpolate"
    x = floating(as_tensor(input, op, "input"))
    if mode not in _RANKS:
        fail(ArgumentError(f"mode={mode!r} must be one of {', '.join(map(repr, _RANKS))}", op=op))
    rank = x.ndim - 2
    if rank < 1 or 0 in x.shape[1:] or _RANKS[mode] not in (None, rank):
        wanted = "(N, C, ...)" if _RANKS[mode] is None else f"(N, C) and {_RANKS[mode]} more dimensions"
        fail(ShapeError(f"input has shape {x.shape}, but mode={mode!r} needs {wanted}, none empty", op=op))
    if (mode.startswith("nearest") or mode == "area") and align_corners is not None:
        fail(ArgumentError(f"align_corners={align_corners!r} is not for mode={mode!r}", op=op))
    for axis, (m, scale) in enumerate(_sizes(op, x.shape[2:], size, scale_factor), 2):
        n = x.shape[axis]
        if mode.startswith("nearest"):
            at = (np.arange(m) + (0.5 if mode == "nearest-exact" else 0.0)) * scale
            x = take(x, np.minimum(np.floor(at).astype(np.int64), n - 1), axis)
            continue
        weights = mean_table(n, m) if mode == "area" else _weights(n, m, scale, bool(align_corners), mode == "bicubic")
        x = along(x, axis, weights)
    return x


def _sizes(op: str, shape: tuple[int, ...], size: Any, scale_factor: Any) -> list[tuple[int, float]]:
    """For each dimension how many pixels there will be, and how far apart they are in the old ones."""
    if (size is None) == (scale_factor is None):
        fail(ArgumentError(f"size={size!r} or scale_factor={scale_factor!r} must be given, and not both", op=op))
    name, given = ("size", size) if size is not None else ("scale_factor", scale_factor)
    values = list(given) if is_several(given) else [given] * len(shape)
    if len(values) != len(shape):
        fail(ArgumentError(f"{name}={given!r} must be one number, or one for each of {len(shape)} dimensions", op=op))
    result = []
    for n, value in zip(shape, values, strict=True):
        if size is not None:
            m = int_of(op, name, value)
            scale = n / max(m, 1)
        else:
            factor = float(number_of(op, name, value, 0))
            m, scale = math.floor(n * factor), 1 / factor if factor else 0.0
        if m < 1:
            fail(ArgumentError(f"{name}={given!r} leaves no pixel of {n}", op=op))
        result.append((m, scale))
    return result


def _weights(n: int, m: int, scale: float, aligned: bool, cubic: bool) -> Array:
    """How much of each of ``n`` pixels is in each of ``m``: a matrix ``(m, n)``."""
    at = np.arange(m) * ((n - 1) / (m - 1) if m > 1 else 0.0) if aligned else (np.arange(m) + 0.5) * scale - 0.5
    at = at if cubic or aligned else np.maximum(at, 0.0)
    first = np.floor(at).astype(np.int64)
    t = at - first
    if cubic:  # Keys 1981, with a = -0.75
        a = -0.75
        far = [((a * u - 5 * a) * u + 8 * a) * u - 4 * a for u in (t + 1, 2 - t)]
        near = [((a + 2) * u - (a + 3)) * u * u + 1 for u in (t, 1 - t)]
        taps: tuple[tuple[int, Array], ...] = ((-1, far[0]), (0, near[0]), (1, near[1]), (2, far[1]))
    else:
        taps = ((0, 1 - t), (1, t))
    result = np.zeros((m, n))
    for shift, weight in taps:
        np.add.at(result, (np.arange(m), np.clip(first + shift, 0, n - 1)), weight)
    return result


def _images(op: str, input: Any) -> Tensor:
    x = as_tensor(input, op, "input")
    if x.ndim < 3:
        fail(ShapeError(f"input has shape {x.shape}, but it must be (..., C, H, W)", op=op))
    return x


def pixel_shuffle(input: Any, upscale_factor: int) -> Tensor:
    """``(..., C * r * r, H, W)`` to ``(..., C, H * r, W * r)``: Shi et al., arXiv:1609.05158.

    Raises:
        ShapeError: fewer than 3 dimensions, or channels that ``r * r`` does not divide.
        ArgumentError, ArgumentTypeError: ``upscale_factor`` below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.pixel_shuffle(lucid.arange(4.0).reshape(4, 1, 1), 2).tolist()
    [[[0.0, 1.0], [2.0, 3.0]]]
    """
    op = "pixel_shuffle"
    x, r = _images(op, input), int_of(op, "upscale_factor", upscale_factor)
    if r < 1:
        fail(ArgumentError(f"upscale_factor={upscale_factor!r} must be at least 1", op=op))
    *batch, c, h, w = x.shape
    if c % (r * r):
        fail(ShapeError(f"input has shape {x.shape}, but {r * r} must divide its {c} channels", op=op))
    k = len(batch)
    parts = x.reshape((*batch, c // (r * r), r, r, h, w))
    parts = parts.permute((*range(k), k, k + 3, k + 1, k + 4, k + 2))
    return parts.reshape((*batch, c // (r * r), h * r, w * r))


def pixel_unshuffle(input: Any, downscale_factor: int) -> Tensor:
    """``(..., C, H * r, W * r)`` to ``(..., C * r * r, H, W)``: what ``pixel_shuffle`` undoes.

    Raises:
        ShapeError: fewer than 3 dimensions, or sizes that ``r`` does not divide.
        ArgumentError, ArgumentTypeError: ``downscale_factor`` below 1.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.pixel_unshuffle(lucid.arange(4.0).reshape(1, 2, 2), 2).flatten()
    Tensor([0.0, 1.0, 2.0, 3.0])
    """
    op = "pixel_unshuffle"
    x, r = _images(op, input), int_of(op, "downscale_factor", downscale_factor)
    if r < 1:
        fail(ArgumentError(f"downscale_factor={downscale_factor!r} must be at least 1", op=op))
    *batch, c, h, w = x.shape
    if h % r or w % r:
        fail(ShapeError(f"input has shape {x.shape}, but {r} must divide its height and width", op=op))
    k = len(batch)
    parts = x.reshape((*batch, c, h // r, r, w // r, r)).permute((*range(k), k, k + 2, k + 4, k + 1, k + 3))
    return parts.reshape((*batch, c * r * r, h // r, w // r))


def channel_shuffle(input: Any, groups: int) -> Tensor:
    """Channels of ``(N, C, ...)`` dealt out from ``groups`` piles: Zhang et al., arXiv:1707.01083.

    Raises:
        ShapeError: fewer than 3 dimensions.
        ArgumentError, ArgumentTypeError: ``groups`` does not divide the channels.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.channel_shuffle(lucid.arange(4.0).reshape(1, 4, 1), 2).flatten()
    Tensor([0.0, 2.0, 1.0, 3.0])
    """
    op = "channel_shuffle"
    x, count = _images(op, input), int_of(op, "groups", groups)
    n, c, *rest = x.shape
    if count < 1 or c % count:
        fail(ArgumentError(f"groups={groups!r} must divide the {c} channels of input {x.shape}", op=op))
    return x.reshape((n, count, c // count, *rest)).swapaxes(1, 2).reshape(x.shape)
