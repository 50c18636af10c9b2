"""Where Winograd's algorithm F(2x2, 3x3) applies: recognised from index expressions, costed, and given a schedule.

Four outputs of a 3 x 3 filter take 16 multiplications instead of 36, on transformed images and weights (Lavin and Gray
2015). A convolution and the gradient to its input look alike here; what they are called does not matter.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from heapq import heappushpop
from math import ceil, prod

from lucid.codegen.schedule import Winograd
from lucid.codegen.spec import KernelSpec, Window
from lucid.codegen.target import Target
from lucid.ir.expr import Axis, Expr, Load, Reduce, walk
from lucid.ir.graph import Node
from lucid.ir.index import affine

#: Outputs along one side of a tile, and inputs they take.
OUTPUTS, INPUTS = 2, 4

#: Vector operations that transforming one vector of a tile takes, inputs and outputs.
_INPUT_COST, _OUTPUT_COST = 70, 50

#: Bytes a cycle that stream from beyond the second-level cache.
_STREAM = 16


@dataclass(frozen=True)
class Slide:
    """The axes of a sliding 3 x 3 window; see ``Window``."""

    images: tuple[Axis, ...]
    rows: Axis
    columns: Axis
    row_tap: Axis
    column_tap: Axis
    channel: Axis
    flip: bool
    #: The pixels are summed over: this is the gradient to a filter.
    gradient: bool

    def window(self, vector: Axis, weights: Node | None = None) -> Window:
        """The same, and what the other operand holds side by side."""
        taps = (self.row_tap, self.column_tap, self.channel)
        return Window(self.images, self.rows, self.columns, *taps, vector, self.flip, weights)


def slide_of(image: Load, other: Load, outputs: Collection[Axis], reduce: Reduce) -> Slide | None:
    """How a contraction slides 3 x 3 taps over one operand: two dimensions by an axis and a tap, one by channels.

    In a convolution and the gradient to its input taps and channels are summed over, and what is left are pixels. In
    the gradient to its weights the pixels are summed over, perhaps a part of them at each position of further axes:
    of those, and of no others, the other operand has an axis too.
    """
    summed, kept = frozenset(reduce.axes), frozenset(outputs)
    found = _slide(image, summed, kept, gradient=False)
    if found is not None and {found.row_tap, found.column_tap, found.channel} == summed:
        return found
    parts = {a for i in other.index for a in walk(i) if isinstance(a, Axis)}
    found = _slide(image, kept - parts, summed, gradient=True)
    if found is not None and {found.rows, found.columns, *found.images} == summed and not found.flip:
        return found
    return None


def _slide(image: Load, filter_axes: frozenset[Axis], image_axes: frozenset[Axis], *, gradient: bool) -> Slide | None:
    if len(image.index) != 4:
        return None
    pairs: list[tuple[Axis, Axis, int]] = []
    images: list[Axis] = []
    channel: Axis | None = None
    for position in image.index:
        pair = _pair(position, filter_axes, image_axes)
        if isinstance(position, Axis) and position in filter_axes and channel is None:
            channel = position
        elif pair is not None:
            pairs.append(pair)
        else:
            images += [a for a in affine(position).terms if isinstance(a, Axis) and a in image_axes]
    if channel is None or len(pairs) != 2 or pairs[0][2] != pairs[1][2]:
        return None
    (rows, row_tap, sign), (columns, column_tap, _) = pairs
    if len({rows, columns, *images}) != 2 + len(images) or len({row_tap, column_tap, channel}) != 3:
        return None
    return Slide(tuple(images), rows, columns, row_tap, column_tap, channel, sign < 0, gradient)


def _pair(position: Expr, filter_axes: frozenset[Axis], image_axes: frozenset[Axis]) -> tuple[Axis, Axis, int] | None:
    """The pixel axis and the tap of ``axis + tap + constant`` (or ``axis - tap``), and the tap's sign.

    The pixels may be a part of the image, of an even number so that tiles end with them: ``part * extent`` is added.
    """
    terms = affine(position).terms
    if not all(isinstance(a, Axis) for a in terms):
        return None
    taps = [(a, f) for a, f in terms.items() if a in filter_axes and getattr(a, "extent", 0) == 3 and abs(f) == 1]
    pixels = [(a, f) for a, f in terms.items() if a in image_axes]
    if len(taps) != 1 or len(pixels) != 1 or pixels[0][1] != 1:
        return None
    (tap, sign), (axis, _) = taps[0], pixels[0]
    assert isinstance(tap, Axis)
    assert isinstance(axis, Axis)
    if len(terms) > 2 and axis.extent % OUTPUTS:
        return None
    return axis, tap, sign


def pays(spec: KernelSpec, slide: Slide, outputs: int, width: int, hoisted: bool, target: Target) -> bool:
    """Whether it is faster than the direct nest, in cycles of a model that counts operations of whole vectors.

    Args:
        outputs: channels of the result.
        width: of these, how many one register tile covers.
        hoisted: the weights are transformed rarely.
    """
    dtype = spec.stores[0].node.dtype
    lanes = target.lanes(dtype)
    inputs = slide.channel.extent
    if outputs % width or width % lanes or inputs < lanes:
        return False
    if min(slide.rows.extent, slide.columns.extent) < 2 * OUTPUTS:
        return False
    positions = prod(a.extent for a in spec.axes) // outputs
    direct = positions * 9 * inputs * outputs / lanes
    block, _ = _block(tiles_of(slide), inputs, width // lanes, target)
    cycles = winograd_cycles(spec, slide, block, target)
    if not hoisted:
        cycles += 30 * inputs * outputs * 16 / lanes
    return cycles * 1.1 < direct


def winograd_cycles(spec: KernelSpec, slide: Slide | Window, block: int, target: Target) -> float:
    """What transforms and products of tiles take, ``block`` of them at a time."""
    dtype = spec.stores[0].node.dtype
    tiles, inputs = tiles_of(slide), slide.channel.extent
    outputs = prod(a.extent for a in spec.axes if a not in (slide.rows, slide.columns, *slide.images))
    products = INPUTS**2 * inputs * outputs
    cycles = tiles * (products + inputs * _INPUT_COST + outputs * _OUTPUT_COST) / target.lanes(dtype)
    size = products * dtype.itemsize
    return cycles + (ceil(tiles / block) * size / _STREAM if size > target.l2 // 2 else 0)


def _weights(spec: KernelSpec, slide: Slide | Window) -> int:
    """Bytes of the transformed weights."""
    outputs = prod(a.extent for a in spec.axes if a not in (slide.rows, slide.columns, *slide.images))
    return INPUTS**2 * slide.channel.extent * outputs * spec.stores[0].node.dtype.itemsize


def tiles_of(slide: Slide | Window) -> int:
    """Tiles of all images."""
    images = prod(a.extent for a in slide.images)
    return images * ceil(slide.rows.extent / OUTPUTS) * ceil(slide.columns.extent / OUTPUTS)


def winograd_schedule(spec: KernelSpec, window: Window, target: Target) -> Winograd:
    """Tile blocks whose transforms stay in the second-level cache, and enough turns to share."""
    lanes = target.lanes(spec.stores[0].node.dtype)
    vectors = ceil(window.vector.extent / lanes)
    tiles = tiles_of(window)
    block, tile = _block(tiles, window.channel.extent, vectors, target)
    ahead = _weights(spec, window) > target.l2 // 2
    return Winograd(lanes, vectors, block, tile, _groups(spec, window, block, target), ahead)


def _groups(spec: KernelSpec, window: Window, block: int, target: Target) -> int:
    """Parts of the panels of channels: few, for each transforms its image tiles anew, and enough to share evenly."""
    lanes = target.lanes(spec.stores[0].node.dtype)
    inside = {*window.images, window.rows, window.columns, window.vector}
    panels, tiles = prod(a.extent for a in spec.axes if a not in inside), tiles_of(window)
    inputs, width = window.channel.extent, window.vector.extent
    transform = inputs * _INPUT_COST / lanes
    panel = width * (INPUTS**2 * inputs + _OUTPUT_COST) / lanes

    def cycles(groups: int) -> float:
        """Until the last thread is done, if each takes the next turn when it has finished one."""
        busy = [0.0] * target.threads
        for first in range(0, tiles, block):
            for _ in range(groups):
                heappushpop(busy, busy[0] + min(block, tiles - first) * (transform + panel * panels / groups))
        return max(busy)

    costs = {g: cycles(g) for g in range(1, panels + 1) if panels % g == 0}
    # Small turns are worth a little: a thread whose core is taken leaves less behind.
    slack = 1.03 if target.threads > 1 else 1.0
    return max(g for g, cost in costs.items() if cost <= slack * min(costs.values()))


def _block(tiles: int, inputs: int, vectors: int, target: Target) -> tuple[int, int]:
    """Tiles transformed together, and of these how many a register tile covers.

    A few register tiles' worth: what is transformed is multiplied while it is in the first-level cache.
    """
    spare = 1 if target.vector_registers >= 32 else 2
    most = min(14, max(1, (target.vector_registers - spare - vectors) // vectors))
    room = max(most, target.l2 // 2 // (INPUTS**2 * inputs * 4))
    best: tuple[float, int, int] | None = None
    for tile in range(most, max(most // 2, 1) - 1, -1):
        for count in range(1, max(1, min(room, 2 * most) // tile) + 1):
            block = min(tile * count, tiles)
            left = tiles % block
            # A partly filled register tile costs as much as a full one; a block of its own costs its code.
            steps = tiles // block * ceil(block / tile) + ceil(left / tile)
            cost = steps * (tile * vectors + 2.0) * (1.1 if left else 1.0) + tiles / block * 8
            if best is None or cost < best[0]:
                best = cost, block, tile
    assert best is not None
    return best[1], min(best[1], best[2])
