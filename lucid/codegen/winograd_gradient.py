"""Where the gradient to 3 x 3 weights runs by Winograd's F(3x3, 2x2), and under which schedule.

Nine sums over four pixels of a gradient take 16 multiplications instead of 36. What they give is summed over all tiles
before it is transformed back, so that only the operands are transformed tile by tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, prod

from lucid.codegen.fuse import factors
from lucid.codegen.schedule import WinogradGradient
from lucid.codegen.spec import KernelSpec, Window
from lucid.codegen.target import Target
from lucid.codegen.winograd import INPUTS, OUTPUTS, Slide, slide_of, tiles_of
from lucid.ir.expr import Axis, Reduce, free_axes
from lucid.ir.types import DType

#: Vector operations that transform one vector of a tile: of the image, of the gradient, of the sums at the end.
_IMAGE_COST, _GRADIENT_COST, _SUM_COST = 70, 45, 60

#: Cycles to read and write a vector of the sums in the second-level cache.
_HELD_COST = 4

#: Channels on a side whose sums are held at once, at most: 16 of their products are in the second-level cache.
_MOST_HELD = 64

#: Turns there should be for threads to share.
_TURNS = 8

#: Multiply-adds of the smallest part of a sum over pixels that is cut.
_SMALLEST_PART = 8_000_000

#: Bytes a cycle that stream from beyond the second-level cache.
_STREAM = 16

#: The direct nest does not reach its peak here either.
_DIRECT = 1.1


def gradient_parts(reduce: Reduce, results: int, length: int) -> int:
    """Into how many parts the sum over pixels is cut, so that threads share it, where channels alone are too few.

    A part is of whole images, or of rows of one that tiles divide.
    """
    pair = factors(reduce)
    slides = [] if pair is None else [slide_of(*loads, free_axes(reduce), reduce) for loads in (pair, pair[::-1])]
    slide = next((s for s in slides if s is not None and s.gradient), None)
    if slide is None:
        return 1
    most = min(_TURNS, ceil(_TURNS * 9 * _MOST_HELD**2 / results), results * length // _SMALLEST_PART)
    if reduce.axes[0] is not slide.rows:
        return max(1, min(most, reduce.axes[0].extent))
    rows = slide.rows.extent
    return next((n for n in range(most, 1, -1) if rows % (n * OUTPUTS * slide.dilation[0]) == 0), 1)


def gradient_pays(spec: KernelSpec, slide: Slide, vector: Axis, target: Target) -> bool:
    """Whether it is faster than the direct nest, in cycles of a model that counts operations of whole vectors."""
    if not slide.large_enough:
        return False
    found = _best(spec, slide, vector, target)
    lanes = target.lanes(spec.stores[0].node.dtype)
    pixels = prod(a.extent for a in (slide.rows, slide.columns, *slide.images))
    direct = pixels * prod(a.extent for a in spec.axes) / lanes
    return found is not None and found[0] < direct * _DIRECT


def gradient_schedule(spec: KernelSpec, window: Window, target: Target) -> WinogradGradient:
    """Sums and tiles that fit the second-level cache together, in enough turns to share."""
    found = _best(spec, window, window.vector, target)
    assert found is not None
    return found[1]


def gradient_cycles(spec: KernelSpec, slide: Slide | Window, schedule: WinogradGradient, target: Target) -> float:
    """What transforms, products and sums take under a schedule."""
    dtype = spec.stores[0].node.dtype
    tiles, channels, lanes = tiles_of(slide), slide.channel.extent, schedule.lanes
    results = prod(a.extent for a in spec.axes) // 9
    held, wide = schedule.channels, schedule.outputs // lanes
    rows = ceil(held / schedule.tile) * (schedule.tile * schedule.vectors + 2) * wide // schedule.vectors
    tile: float = INPUTS**2 * rows + ceil(held / lanes) * _IMAGE_COST + wide * _GRADIENT_COST
    if tiles * OUTPUTS**2 * (channels + results // channels) * dtype.itemsize > target.l2 // 2:
        tile += OUTPUTS**2 * (held + schedule.outputs) * dtype.itemsize / _STREAM
    once = INPUTS**2 * held * wide * _HELD_COST * ceil(tiles / schedule.block) + held * wide * _SUM_COST
    return results // (held * schedule.outputs) * (tiles * tile + once)


def _best(
    spec: KernelSpec, slide: Slide | Window, vector: Axis, target: Target
) -> tuple[float, WinogradGradient] | None:
    """The schedule of the fewest cycles, and these; a few more are taken for turns that threads can share."""
    channels, outputs, tiles = slide.channel.extent, vector.extent, tiles_of(slide)
    results = prod(a.extent for a in spec.axes) // 9
    best: tuple[float, float, WinogradGradient] | None = None
    for schedule in _candidates(channels, outputs, tiles, spec.stores[0].node.dtype, target):
        cycles = gradient_cycles(spec, slide, schedule, target)
        turns = results // (schedule.channels * schedule.outputs)
        rank = cycles * (1 + 0.1 * max(0, _TURNS // 2 - turns))
        if best is None or rank < best[0]:
            best = rank, cycles, schedule
    return None if best is None else best[1:]


def _candidates(channels: int, outputs: int, tiles: int, dtype: DType, target: Target) -> Iterator[WinogradGradient]:
    lanes = target.lanes(dtype)
    spare = 1 if target.vector_registers >= 32 else 2
    for held in range(min(channels, lanes), min(channels, _MOST_HELD) + 1):
        for wide in range(lanes, min(outputs, _MOST_HELD) + 1, lanes):
            if channels % held or outputs % wide:
                continue
            vectors = next(n for n in (2, 3, 1) if (wide // lanes) % n == 0)
            most = min(14, (target.vector_registers - spare - vectors) // vectors)
            tile = ceil(held / ceil(held / most))
            room = target.l2 // (2 * dtype.itemsize) - INPUTS**2 * held * wide  # of half of the cache
            block = min(64, tiles, room // (INPUTS**2 * (held + wide)))
            if block >= min(16, tiles):
                yield WinogradGradient(lanes, vectors, tile, held, wide, ceil(tiles / ceil(tiles / block)))
