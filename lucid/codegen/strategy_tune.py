"""The schedules worth trying beside the one that the model chooses: a handful, near it.

What the model does not see (how caches are shared, how far a core looks ahead) moves the best tile or order by a step,
seldom more. Every schedule computes the same sums; some add them up in another order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from lucid.codegen.access import Placed
from lucid.codegen.schedule import Contraction, MapReduce, Schedule, Transpose, Winograd, WinogradGradient
from lucid.codegen.strategy import contraction_schedule
from lucid.codegen.target import Target


def alternatives(placed: Placed, schedule: Schedule, target: Target) -> list[Schedule]:
    """Schedules for a kernel in normal form that may be faster than ``schedule``; some may not fit it."""
    found: dict[Schedule, None] = {}
    if isinstance(schedule, Contraction):
        found.update(dict.fromkeys(_contractions(schedule)))
    elif isinstance(schedule, Winograd | WinogradGradient):
        found.update(dict.fromkeys(_winograds(schedule)))
        direct = contraction_schedule(placed, target.lanes(placed.stores[0].buffer.dtype), target)
        if direct is not None:
            found[direct] = None
    elif isinstance(schedule, MapReduce) and schedule.lanes > 1:
        found.update((replace(schedule, unroll=n), None) for n in (2, 8))
        found.update((replace(schedule, vectors=n), None) for n in (1, 2, 4, 8))
    elif isinstance(schedule, Transpose):
        found[replace(schedule, outer=(*schedule.outer[:-2], *schedule.outer[:-3:-1]))] = None
        if schedule.lanes > 2:
            found[replace(schedule, lanes=schedule.lanes // 2)] = None
    found.pop(schedule, None)
    return list(found)


def _contractions(s: Contraction) -> Iterator[Contraction]:
    """Other unrolling, other tiles, and the panels of the vector axis outermost or innermost."""
    last = dict(s.block).get(s.reduce[-1], s.reduce[-1])
    for unroll in (1, 2, 4, 8):
        if not isinstance(last, int) or last % unroll == 0:
            yield replace(s, unroll=unroll)
    if s.tile:
        name, size = s.tile[-1]
        for other in (size - 2, size - 1, size + 1, size + 2):
            if other >= 1:
                yield replace(s, tile=(*s.tile[:-1], (name, other)))
    rest = tuple(a for a in s.outer if a != s.vector)
    yield replace(s, outer=(s.vector, *rest))
    yield replace(s, outer=(*rest, s.vector))


def _winograds(s: Winograd | WinogradGradient) -> Iterator[Winograd | WinogradGradient]:
    """More or fewer tiles at once, and other unrolling."""
    for block in (s.block // 2, s.block * 2):
        if block >= s.tile or (isinstance(s, WinogradGradient) and block >= 1):
            yield replace(s, block=block)
    for unroll in (2, 8):
        yield replace(s, unroll=unroll)
    if isinstance(s, Winograd):
        yield replace(s, ahead=not s.ahead)
