"""Vectors of every second (or third, or fourth) element: whole vectors read and shuffled, not gathered one by one.

Pooling reads rows of an image at its stride, and its gradient writes them so. Knows the loop IR, no expressions.
"""

from __future__ import annotations

from collections.abc import Callable

from lucid.codegen.loops import INDEX, Bin, Buffer, Iota, Lit, Read, Shuffle, Value, VType, Write, add, integer

#: The longest step between elements at which reading everything in between takes less than a gather.
LONGEST_STEP = 4


def first_lanes(count: int, lanes: int) -> Value:
    """The mask of the first ``count`` lanes."""
    return Bin("lt", Iota(lanes), Lit(count, VType(INDEX.dtype, lanes)))


def up_to(count: int, lanes: int) -> Value | None:
    return None if count >= lanes else first_lanes(count, lanes)


def read_every(
    step: int,
    buffer: Buffer,
    offset: Value,
    lanes: int,
    count: int,
    *,
    first: int = 0,
    inside: Callable[[int, int], Value | None] | None = None,
) -> Value:
    """The elements at ``offset``, ``offset + step``, and so on: ``count`` of them, in the first lanes.

    Nothing after the last is touched, nor before ``offset - first``.

    Args:
        first: how many elements before the first to begin reading, so that vectors that begin at different ones read
            the same memory; less than ``step``.
        inside: of as many elements as there are lanes, beginning so many after ``offset``, those that may be touched;
            all, if it gives None. It is told how many count.
    """
    parts: list[Value] = []
    for k in range(step):
        left = min(step * (count - 1) + 1 + first - k * lanes, lanes)
        if left > 0:
            mask, here = up_to(left, lanes), k * lanes - first
            allowed = None if inside is None else inside(here, left)
            if allowed is not None:
                mask = allowed if mask is None else Bin("and", mask, allowed)
            parts.append(Read(buffer, add(offset, integer(here)), lanes, mask))
        else:
            parts.append(Lit(0, VType(buffer.dtype, lanes)))
    result = Shuffle(parts[0], parts[1], [min(i * step + first, 2 * lanes - 1) for i in range(lanes)])
    for k, part in enumerate(parts[2:], start=2):
        places = [i * step + first - k * lanes for i in range(lanes)]
        result = Shuffle(result, part, [i if at < 0 else lanes + min(at, lanes - 1) for i, at in enumerate(places)])
    return result


def write_alternating(a: Value, b: Value, buffer: Buffer, offset: Value, count: int) -> list[Write]:
    """Stores that put ``count`` elements each of ``a`` and ``b`` in turns from ``offset`` on."""
    lanes = a.type.lanes
    writes = []
    for k in range(2):
        left = 2 * count - k * lanes
        if left > 0:
            half = range(k * lanes // 2, (k + 1) * lanes // 2)
            value = Shuffle(a, b, [pick for i in half for pick in (i, lanes + i)])
            writes.append(Write(buffer, add(offset, integer(k * lanes)), value, up_to(left, lanes)))
    return writes
