"""Images read at places between their pixels: spatial transformers (Jaderberg et al., arXiv:1506.02025)."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import fail, is_several, sizes_of
from lucid.functions.arithmetic import clip, fmod
from lucid.functions.comparison import where
from lucid.functions.elementwise import floor, round
from lucid.functions.gathering import gather
from lucid.functions.linalg import matmul
from lucid.functions.movement import stack
from lucid.ir.types import int64
from lucid.nn.functional.arguments import one_dtype
from lucid.promotion import as_tensor, cast, floating

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["affine_grid", "grid_sample"]

SampleMode = Literal["bilinear", "nearest", "bicubic"]
Outside = Literal["zeros", "border", "reflection"]


def affine_grid(theta: Any, size: Sequence[int], align_corners: bool = False) -> Tensor:
    """Where ``grid_sample`` reads images that are moved by affine maps.

    Args:
        theta: one map for each image: ``(N, 2, 3)``, of volumes ``(N, 3, 4)``.
        size: ``(N, C, H, W)`` or ``(N, C, D, H, W)`` of the result of ``grid_sample``.
        align_corners: whether -1 and 1 are the centres of the outermost pixels, or their outer edges.

    Returns:
        ``(N, H, W, 2)`` or ``(N, D, H, W, 3)``.

    Raises:
        ShapeError: ``theta`` does not fit ``size``.
        ArgumentError, ArgumentTypeError: sizes that are not 4 or 5 ints.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.affine_grid(lucid.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]]), (1, 1, 1, 2)).tolist()
    [[[[-0.5, 0.0], [0.5, 0.0]]]]
    """
    op = "affine_grid"
    maps = floating(as_tensor(theta, op, "theta"))
    shape = sizes_of(op, (size,), "size")
    rank = len(shape) - 2
    if not is_several(size) or rank not in (2, 3):
        fail(ArgumentError(f"size={size} must be (N, C, H, W) or (N, C, D, H, W)", op=op))
    if maps.shape != (shape[0], rank, rank + 1):
        fail(ShapeError(f"theta has shape {maps.shape}, but it must be {(shape[0], rank, rank + 1)}", op=op))
    lines = []
    for n in shape[2:]:
        centres = (2 * np.arange(n) + 1) / max(n, 1) - 1
        lines.append(np.linspace(-1, 1, n) if align_corners and n > 1 else centres * (not align_corners))
    places = np.stack([*reversed(np.meshgrid(*lines, indexing="ij")), np.ones(shape[2:])], -1)
    flat = as_tensor(places.reshape(1, -1, rank + 1).astype(maps.dtype))
    return matmul(flat, maps.mT).reshape((shape[0], *shape[2:], rank))


def grid_sample(
    input: Any,
    grid: Any,
    mode: SampleMode = "bilinear",
    padding_mode: Outside = "zeros",
    align_corners: bool = False,
) -> Tensor:
    """Images read at the places of a grid, whose last dimension holds x and y (and z) from -1 to 1.

    Args:
        input: ``(N, C, H, W)`` or ``(N, C, D, H, W)``.
        grid: ``(N, ..., 2)`` or ``(N, ..., 3)``, with as many dimensions as ``input``.
        mode: 'bilinear' (of volumes: trilinear), 'nearest', or, of images, 'bicubic'.
        padding_mode: what lies outside: 'zeros', the outermost pixels ('border'), or the image mirrored ('reflection').
        align_corners: whether -1 and 1 are the centres of the outermost pixels, or their outer edges.

    Returns:
        ``(N, C, ...)``.

    Raises:
        ShapeError, DTypeError: arguments that do not fit, or an image without pixels.
        ArgumentError: another ``mode`` or ``padding_mode``.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.grid_sample(lucid.tensor([[[[1.0, 3.0]]]]), lucid.zeros(1, 1, 1, 2)).item()
    2.0
    """
    op = "grid_sample"
    x, at = as_tensor(input, op, "input"), as_tensor(grid, op, "grid")
    rank = x.ndim - 2
    one_dtype(op, input=x, grid=at)
    if rank not in (2, 3) or at.ndim != x.ndim or at.shape[0] != x.shape[0] or at.shape[-1] != rank:
        fail(ShapeError(f"input has shape {x.shape} and grid {at.shape}, which do not fit", op=op))
    if 0 in x.shape[2:]:
        fail(ShapeError(f"input has shape {x.shape}, but its images must have pixels", op=op))
    if mode not in ("bilinear", "nearest", "bicubic") or (mode == "bicubic" and rank == 3):
        fail(ArgumentError(f"mode={mode!r} must be 'bilinear', 'nearest' or, of images, 'bicubic'", op=op))
    if padding_mode not in ("zeros", "border", "reflection"):
        fail(ArgumentError(f"padding_mode={padding_mode!r} must be 'zeros', 'border' or 'reflection'", op=op))
    flat = at.reshape((at.shape[0], math.prod(at.shape[1:-1]), rank))
    places = []
    for axis, n in enumerate(x.shape[2:]):
        place = flat[..., rank - 1 - axis]
        place = (place + 1.0) * ((n - 1) / 2) if align_corners else ((place + 1.0) * n - 1.0) / 2
        places.append(place if mode == "bicubic" else _folded(place, n, padding_mode, align_corners))
    if mode == "nearest":
        result = _read(x, [round(p) for p in places])
    else:
        result = _mixed(x, places, mode == "bicubic", padding_mode, align_corners)
    return result.reshape((*x.shape[:2], *at.shape[1:-1]))


def _folded(place: Tensor, n: int, outside: str, aligned: bool) -> Tensor:
    """Places brought inside an image of ``n`` pixels."""
    if outside == "zeros":
        return place
    if outside == "reflection":
        low, span = (0.0, n - 1.0) if aligned else (-0.5, float(n))
        if span == 0:
            place = place * 0.0
        else:
            away = (place - low).abs()
            extra = fmod(away, span)
            flipped = (floor(away / span).remainder(2.0) == 1.0).detach()
            place = where(flipped, span - extra, extra) + low
    return clip(place, 0, n - 1)


def _read(x: Tensor, places: list[Tensor]) -> Tensor:
    """The pixels at whole places ``(N, P)`` for each dimension: ``(N, C, P)``; 0 outside."""
    number, inside = None, None
    for place, n in zip(places, x.shape[2:], strict=True):
        within = (place >= 0) & (place <= n - 1)
        index = cast(clip(place.detach(), 0, n - 1), int64)
        number = index if number is None else number * n + index
        inside = within if inside is None else inside & within
    assert number is not None
    assert inside is not None
    wide = number.unsqueeze(1).expand((*x.shape[:2], number.shape[1]))
    found = gather(x.reshape((*x.shape[:2], math.prod(x.shape[2:]))), 2, wide)
    return where(inside.unsqueeze(1), found, 0.0)


def _mixed(x: Tensor, places: list[Tensor], cubic: bool, outside: str, aligned: bool) -> Tensor:
    """Sums of the pixels around each place, weighted by how near they are."""
    taps = []
    for place, n in zip(places, x.shape[2:], strict=True):
        first = floor(place).detach()
        share = place - first
        if cubic:
            pixels = [_folded(first + float(k), n, outside, aligned) for k in (-1, 0, 1, 2)]
            weights = _cubic(share)
        else:
            pixels, weights = [first, first + 1.0], [1.0 - share, share]
        taps.append(list(zip(pixels, weights, strict=True)))
    terms = []
    for corner in itertools.product(*taps):
        weight = math.prod([w for _, w in corner[1:]], start=corner[0][1])
        terms.append(_read(x, [p for p, _ in corner]) * weight.unsqueeze(1))
    return stack(terms).sum(0)


def _cubic(t: Tensor) -> list[Tensor]:
    """The weights of four pixels, ``t`` of the way from the second to the third: Keys 1981, with a = -0.75."""
    a = -0.75

    def near(s: Tensor) -> Tensor:
        return ((a + 2) * s - (a + 3)) * s * s + 1

    def far(s: Tensor) -> Tensor:
        return ((a * s - 5 * a) * s + 8 * a) * s - 4 * a

    return [far(t + 1), near(t), near(1 - t), far(2 - t)]
