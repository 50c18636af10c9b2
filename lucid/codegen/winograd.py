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


#: Channels whose products are summed, at least: at a corner with nothing but padding around, a window may have no other
#: products, and must not be far more exact than the transforms of its neighbours.
FEWEST_CHANNELS = 8


@dataclass(frozen=True)
class Slide:
    """The axes of a sliding 3 x 3 window; see ``Window``."""

    images: tuple[Axis, ...]
    rows: Axis
    columns: Axis
    row_tap: Axis
    column_tap: Axis
    channel: Axis
    dilation: tuple[int, int]
    group: Axis | None
    flip: bool
    #: The pixels are summed over: this is the gradient to a filter.
    gradient: bool

    @property
    def groups(self) -> int:
        """Into how many parts the image's channels are cut."""
        return 1 if self.group is None else self.group.extent

    @property
    def large_enough(self) -> bool:
        """Whether there are two tiles on a side."""
        sides = zip((self.rows, self.columns), self.dilation, strict=True)
        return all(axis.extent >= 2 * OUTPUTS * dilation for axis, dilation in sides)

    def window(self, vector: Axis, weights: Node | None = None) -> Window:
        """The same, and what the other operand holds side by side."""
        taps = (self.row_tap, self.column_tap, self.channel)
        pixels = (self.images, self.rows, self.columns)
        return Window(*pixels, *taps, vector, self.dilation, self.group, self.flip, weights)


def slide_of(image: Load, other: Load, outputs: Collection[Axis], reduce: Reduce) -> Slide | None:
    """How a contraction slides 3 x 3 taps over one operand: two dimensions by an axis and a tap, one by channels,
    perhaps those of a group.

    In a convolution and the gradient to its input taps and channels are summed over, and what is left are pixels. In
    the gradient to its weights the pixels are summed over, perhaps a part of them at each position of further axes:
    of those, and of no others, the other operand has an axis too.
    """
    summed, kept = frozenset(reduce.axes), frozenset(outputs)
    found = _slide(image, summed, kept, kept, gradient=False)
    if found is not None and {found.row_tap, found.column_tap, found.channel} == summed:
        return found
    parts = {a for i in other.index for a in walk(i) if isinstance(a, Axis)}
    found = _slide(image, kept - parts, summed, kept & parts, gradient=True)
    if found is not None and {found.rows, found.columns, *found.images} == summed and not found.flip:
        return found
    return None


def _slide(
    image: Load,
    filter_axes: frozenset[Axis],
    image_axes: frozenset[Axis],
    group_axes: frozenset[Axis],
    *,
    gradient: bool,
) -> Slide | None:
    if len(image.index) != 4:
        return None
    pairs: list[tuple[Axis, Axis, int]] = []
    images: list[Axis] = []
    found: tuple[Axis, Axis | None] | None = None
    for position, extent in zip(image.index, image.type.shape, strict=True):
        pair = _pair(position, filter_axes, image_axes)
        if pair is not None and gradient and not _meets_evenly(position, pair, extent):
            return None
        channels = _channels(position, filter_axes, group_axes) if found is None else None
        if pair is not None:
            pairs.append(pair)
        elif channels is not None:
            found = channels
        else:
            images += [a for a in affine(position).terms if isinstance(a, Axis) and a in image_axes]
    if found is None or len(pairs) != 2 or pairs[0][2] * pairs[1][2] < 0:
        return None
    (rows, row_tap, down), (columns, column_tap, right) = pairs
    channel, group = found
    kept = [rows, columns, *images, *([] if group is None else [group])]
    if len(set(kept)) != len(kept) or len({row_tap, column_tap, channel}) != 3:
        return None
    dilation = abs(down), abs(right)
    return Slide(tuple(images), rows, columns, row_tap, column_tap, channel, dilation, group, down < 0, gradient)


def _channels(
    position: Expr, filter_axes: frozenset[Axis], group_axes: frozenset[Axis]
) -> tuple[Axis, Axis | None] | None:
    """The channel of ``channel``, or of ``group * channels + channel``, and the axis of the group."""
    form = affine(position)
    inside = next((a for a, f in form.terms.items() if isinstance(a, Axis) and a in filter_axes and f == 1), None)
    if inside is None or form.constant or len(form.terms) > 2:
        return None
    group = next((a for a in form.terms if a is not inside), None)
    if group is None or (isinstance(group, Axis) and group in group_axes and form.terms[group] == inside.extent):
        return inside, group
    return None


def _pair(position: Expr, filter_axes: frozenset[Axis], image_axes: frozenset[Axis]) -> tuple[Axis, Axis, int] | None:
    """The pixel axis and the tap of ``axis + tap * dilation + constant`` (or ``axis - tap ...``), and the tap's factor.

    The pixels may be a part of the image, of such a number that tiles end with them: ``part * extent`` is added.
    """
    terms = affine(position).terms
    if not all(isinstance(a, Axis) for a in terms):
        return None
    taps = [(a, f) for a, f in terms.items() if a in filter_axes and getattr(a, "extent", 0) == 3]
    pixels = [(a, f) for a, f in terms.items() if a in image_axes]
    if len(taps) != 1 or len(pixels) != 1 or pixels[0][1] != 1:
        return None
    (tap, factor), (axis, _) = taps[0], pixels[0]
    assert isinstance(tap, Axis)
    assert isinstance(axis, Axis)
    if len(terms) > 2 and beyond(axis, abs(factor)):
        return None
    return axis, tap, factor


def _meets_evenly(position: Expr, pair: tuple[Axis, Axis, int], extent: int) -> bool:
    """Whether each tap meets at least half as many pixels of the image as any other does, in the gradient to a filter.

    What transforms of sums leave of the others' rounding is small beside a tap's own sum then; a tap that meets nothing
    but padding has a gradient of zero exactly.
    """
    _, tap, factor = pair
    form = affine(position)
    pixels = prod(a.extent for a in form.terms if isinstance(a, Axis) and a is not tap)
    met = []
    for k in range(3):
        first = k * factor + form.constant
        met.append(max(0, min(pixels, extent - first) - max(0, -first)))
    return 2 * min(met) >= max(met)


def tiles_along(pixels: Axis, dilation: int) -> int:
    """Tiles of a row or a column: the outputs of each are ``dilation`` apart."""
    return ceil(pixels.extent / (OUTPUTS * dilation)) * dilation


def beyond(pixels: Axis, dilation: int) -> int:
    """Pixels by which the last tiles exceed a row or a column."""
    return tiles_along(pixels, dilation) * OUTPUTS - pixels.extent


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
    if width % lanes or inputs < max(lanes // 2, FEWEST_CHANNELS):
        return False
    if not slide.large_enough:
        return False
    positions = prod(a.extent for a in spec.axes) // outputs
    direct = positions * 9 * inputs * ceil(outputs / lanes)
    block, _ = _block(tiles_of(slide), inputs, width // lanes, target)
    cycles = winograd_cycles(spec, slide, outputs, block, target)
    if not hoisted:
        cycles += 30 * inputs * _panels(spec, slide, outputs, width) * 16 * width / lanes
    return cycles * 1.1 < direct


def winograd_cycles(spec: KernelSpec, slide: Slide | Window, outputs: int, block: int, target: Target) -> float:
    """What transforms and products of tiles take, ``block`` of them at a time.

    Args:
        outputs: channels of the result along the axis that lies side by side.
    """
    dtype = spec.stores[0].node.dtype
    lanes = target.lanes(dtype)
    tiles, inputs = tiles_of(slide), slide.channel.extent
    vectors = _panels(spec, slide, outputs, outputs) * ceil(outputs / lanes)
    products = INPUTS**2 * inputs * vectors
    cycles = tiles * (products + slide.groups * ceil(inputs / lanes) * _INPUT_COST + vectors * _OUTPUT_COST)
    size = products * lanes * dtype.itemsize
    return cycles + (ceil(tiles / block) * size / _STREAM if size > target.l2 // 2 else 0)


def _panels(spec: KernelSpec, slide: Slide | Window, outputs: int, width: int) -> int:
    """Panels of so many output channels, of all groups; ``outputs`` channels lie side by side."""
    rest = prod(a.extent for a in spec.axes if a not in (slide.rows, slide.columns, *slide.images))
    return rest // outputs * ceil(outputs / width)


def tiles_of(slide: Slide | Window) -> int:
    """Tiles of all images."""
    images = prod(a.extent for a in slide.images)
    down, right = slide.dilation
    return images * tiles_along(slide.rows, down) * tiles_along(slide.columns, right)


def winograd_schedule(spec: KernelSpec, window: Window, target: Target) -> Winograd:
    """Tile blocks whose transforms stay in the second-level cache, and enough turns to share."""
    assert window.weights is not None
    dtype = spec.stores[0].node.dtype
    vectors = window.weights.shape[-1] // target.lanes(dtype)
    block, tile = _block(tiles_of(window), window.channel.extent, vectors, target)
    ahead = window.weights.type.size * dtype.itemsize > target.l2 // 2
    return Winograd(target.lanes(dtype), vectors, block, tile, _parts(spec, window, block, target), ahead)


def _parts(spec: KernelSpec, window: Window, block: int, target: Target) -> int:
    """Parts of a group's panels: few, for each transforms its image tiles anew, and enough to share evenly."""
    assert window.weights is not None
    lanes = target.lanes(spec.stores[0].node.dtype)
    groups, tiles = window.groups, tiles_of(window)
    inputs, width = window.channel.extent, window.weights.shape[-1]
    panels = _panels(spec, window, window.vector.extent, width) // groups
    transform = ceil(inputs / lanes) * _INPUT_COST
    panel = width * (INPUTS**2 * inputs + _OUTPUT_COST) / lanes

    def cycles(parts: int) -> float:
        """Until the last thread is done, if each takes the next turn when it has finished one."""
        busy = [0.0] * target.threads
        for first in range(0, tiles, block):
            for _ in range(groups * parts):
                heappushpop(busy, busy[0] + min(block, tiles - first) * (transform + panel * panels / parts))
        return max(busy)

    costs = {n: cycles(n) for n in range(1, panels + 1) if panels % n == 0}
    # Small turns are worth a little: a thread whose core is taken leaves less behind.
    slack = 1.03 if target.threads > 1 else 1.0
    return max(n for n, cost in costs.items() if cost <= slack * min(costs.values()))


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
