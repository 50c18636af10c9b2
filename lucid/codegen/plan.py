"""The static memory plan: every intermediate value gets a place before anything runs.

Values whose lifetimes do not overlap share memory. A value with a halo that no kernel writes shares its place with
values of the very same layout only: its zeros are written once, when the memory is made, and survive.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lucid.ir.memory import ALIGNMENT

if TYPE_CHECKING:
    from lucid.codegen.loops import Kernel


@dataclass(frozen=True)
class Lifetime:
    """A value's size in bytes and the steps from its first write to its last read, both included."""

    value: Hashable
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class MemoryPlan:
    """Byte offset of every value, and the total size."""

    offsets: dict[Hashable, int]
    size: int


def aligned(size: int) -> int:
    return (size + ALIGNMENT - 1) // ALIGNMENT * ALIGNMENT


def plan_memory(lifetimes: Sequence[Lifetime]) -> MemoryPlan:
    """Greedy by size: the largest values first, each at the lowest offset free over its whole life."""
    placed: list[tuple[int, int, Lifetime]] = []
    offsets: dict[Hashable, int] = {}
    total = 0
    for life in sorted(lifetimes, key=lambda x: (-x.size, x.first)):
        size = max(aligned(life.size), ALIGNMENT)
        busy = sorted((lo, hi) for lo, hi, other in placed if other.first <= life.last and life.first <= other.last)
        at = 0
        for lo, hi in busy:
            if at + size <= lo:
                break
            at = max(at, hi)
        offsets[life.value] = at
        placed.append((at, at + size, life))
        total = max(total, at + size)
    return MemoryPlan(offsets, total)


def plan_scratch(kernel: Kernel) -> MemoryPlan:
    """Where a kernel's scratch buffers lie, by name, in memory that each thread has for itself."""
    return plan_static([(b.name, b.size * b.dtype.itemsize) for b in kernel.buffers if b.role == "scratch"], ())


def plan_static(kept: Sequence[tuple[Hashable, int]], rings: Sequence[tuple[Hashable, Lifetime]]) -> MemoryPlan:
    """Memory that keeps what is in it from call to call.

    Args:
        kept: values and their sizes; each has a place to itself.
        rings: layouts with a halo, and values that lie in them: values of one layout share places.
    """
    offsets: dict[Hashable, int] = {}
    at = 0
    for value, size in kept:
        offsets[value] = at
        at += max(aligned(size), ALIGNMENT)
    free_from: dict[Hashable, dict[int, int]] = {}  # of each layout, its places and the step each is last read in
    for layout, life in sorted(rings, key=lambda x: x[1].first):
        places = free_from.setdefault(layout, {})
        # The place that was free for the shortest time: it is the one most likely in cache.
        place = max((p for p, last in places.items() if last < life.first), key=places.__getitem__, default=None)
        if place is None:
            place = at
            at += max(aligned(life.size), ALIGNMENT)
        places[place] = life.last
        offsets[life.value] = place
    return MemoryPlan(offsets, at)
