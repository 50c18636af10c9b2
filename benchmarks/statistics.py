"""What is made of measurements: summaries of times, ratios, and whether results agree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, inf, log
from statistics import median, quantiles

import numpy as np


@dataclass(frozen=True)
class Summary:
    """Seconds of a call over the turns of a run."""

    median: float
    best: float
    #: Half the distance between the quartiles, as a part of the median.
    spread: float
    turns: int


def summarise(seconds: Sequence[float]) -> Summary:
    middle = median(seconds)
    low, _, high = quantiles(seconds, n=4) if len(seconds) > 1 else (middle, middle, middle)
    return Summary(middle, min(seconds), (high - low) / 2 / middle, len(seconds))


def geometric_mean(ratios: Sequence[float]) -> float:
    """
    Raises:
        ValueError: there are none, or one is not positive.
    """
    if not ratios or min(ratios) <= 0:
        raise ValueError(f"no geometric mean of {list(ratios)}")
    return exp(sum(map(log, ratios)) / len(ratios))


def difference(got: Sequence[np.ndarray], wanted: Sequence[np.ndarray]) -> float:
    """Largest difference of any two arrays, as a part of the largest value wanted; infinite if shapes differ, or if NaN
    or infinities are not in the same places.
    """
    if len(got) != len(wanted):
        return inf
    worst = 0.0
    for a, b in zip(got, wanted, strict=True):
        if a.shape != b.shape:
            return inf
        finite = np.isfinite(b)
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True) or not np.isfinite(a[finite]).all():
            return inf
        if not finite.any():
            continue
        scale = float(np.abs(b[finite]).max())
        apart = float(np.abs(np.subtract(a[finite], b[finite], dtype=np.float64)).max())
        worst = max(worst, apart / scale if scale else (inf if apart else 0.0))
    return worst


def rounds(seconds: float, length: float, slowest_useful: float, call: float) -> int:
    """How many turns a contender gets in about ``seconds``: many of a short call, at least 5; 3 if a call takes longer
    than ``slowest_useful``, since it is not going to win.
    """
    if call > slowest_useful:
        return 3
    return max(5, min(25, int(seconds / max(length, call))))
