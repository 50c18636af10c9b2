"""Where generated programs get their decisions from: a seed, a list of earlier decisions, or hypothesis.

Every decision is a small number, and the smaller one is the simpler one. ``minimise`` makes the decisions of a failing
case fewer and smaller as long as it fails.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Protocol, TypeVar

from hypothesis import strategies as st

T = TypeVar("T")


class Draw(Protocol):
    """Makes decisions."""

    def number(self, low: int, high: int) -> int:
        """A number of ``low..high``, both included."""
        ...


class Choices:
    """Decisions from a seed, written down in ``made``; those given are made again, and 0 when they run out."""

    def __init__(self, seed: int, given: Sequence[int] | None = None):
        self.made: list[int] = []
        self._given = given
        self._random = random.Random(seed)

    def number(self, low: int, high: int) -> int:
        if self._given is None:
            decided = self._random.randrange(high - low + 1)
        else:
            at = len(self.made)
            decided = min(self._given[at], high - low) if at < len(self._given) else 0
        self.made.append(decided)
        return low + decided


class ByHypothesis:
    """Decisions that hypothesis makes and shrinks."""

    def __init__(self, draw: st.DrawFn):
        self.draw = draw

    def number(self, low: int, high: int) -> int:
        return self.draw(st.integers(low, high))


def choice(draw: Draw, options: Sequence[T]) -> T:
    """One of the options, of which the first is the simplest."""
    return options[draw.number(0, len(options) - 1)]


def chance(draw: Draw, one_in: int) -> bool:
    """True once in ``one_in`` draws; False is simpler."""
    return draw.number(0, one_in - 1) == one_in - 1


def minimise(decisions: Sequence[int], fails: Callable[[Sequence[int]], bool], tries: int = 400) -> list[int]:
    """Fewer and smaller decisions with which ``fails`` still holds; it is called ``tries`` times at most."""
    best = list(decisions)
    left = tries

    def better(candidate: list[int]) -> bool:
        nonlocal best, left
        if left == 0 or candidate == best:
            return False
        left -= 1
        if fails(candidate):
            best = candidate
            return True
        return False

    before: list[int] = []
    while before != best and left:
        before = best
        size = max(len(best) // 2, 1)
        while size:  # parts left out
            at = 0
            while at < len(best):
                if not better(best[:at] + best[at + size :]):
                    at += size
            size //= 2
        for k in range(len(best)):  # and numbers made smaller
            for smaller in (0, best[k] // 2, best[k] - 1) if k < len(best) else ():
                if 0 <= smaller < best[k]:
                    better([*best[:k], smaller, *best[k + 1 :]])
    return best
