"""The static memory plan: every intermediate value gets a place before anything runs.

Values whose lifetimes do not overlap share memory. A value with a halo keeps its place to itself: its zeros are written
once, when the memory is made, and must survive from call to call.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

ALIGNMENT = 64


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


def plan_static(sizes: Sequence[tuple[Hashable, int]]) -> MemoryPlan:
    """Values that share with nobody, one after the other."""
    offsets: dict[Hashable, int] = {}
    at = 0
    for value, size in sizes:
        offsets[value] = at
        at += max(aligned(size), ALIGNMENT)
    return MemoryPlan(offsets, at)
