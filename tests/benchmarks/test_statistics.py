"""Summaries, means, and whether results agree."""

from __future__ import annotations

from math import inf, isclose

import numpy as np
import pytest

from benchmarks.statistics import difference, geometric_mean, rounds, summarise


def test_a_summary_ignores_an_outlier() -> None:
    s = summarise([1.0, 1.1, 0.9, 1.0, 50.0])
    assert (s.median, s.best, s.turns) == (1.0, 0.9, 5)


def test_the_spread_is_half_the_quartiles_distance() -> None:
    assert isclose(summarise([1.0, 2.0, 3.0, 4.0, 5.0]).spread, (4.5 - 1.5) / 2 / 3.0)
    assert summarise([2.0]).spread == 0.0


def test_the_geometric_mean_of_a_ratio_and_its_inverse_is_one() -> None:
    assert isclose(geometric_mean([4.0, 0.25]), 1.0)
    assert isclose(geometric_mean([2.0, 8.0]), 4.0)


@pytest.mark.parametrize("ratios", [[], [1.0, 0.0], [-1.0]])
def test_no_geometric_mean(ratios: list[float]) -> None:
    with pytest.raises(ValueError, match="no geometric mean"):
        geometric_mean(ratios)


def test_differences_are_parts_of_the_largest_value() -> None:
    wanted = np.array([0.0, -4.0], np.float32)
    assert isclose(difference([wanted + np.float32(1)], [wanted]), 0.25)
    assert difference([wanted], [wanted]) == 0.0


def test_the_worst_array_counts() -> None:
    good, bad = np.ones(3), np.array([1.0, 1.0, 1.5])
    assert isclose(difference([good, bad], [good, good]), 0.5)


@pytest.mark.parametrize(
    ("got", "wanted"),
    [
        ([[1.0, 2.0]], [[1.0]]),
        ([[1.0]], [[1.0], [2.0]]),
        ([[np.nan]], [[1.0]]),
        ([[1.0]], [[np.nan]]),
        ([[np.inf]], [[-np.inf]]),
        ([[1.0]], [[0.0]]),
    ],
)
def test_what_cannot_be_equal_differs_infinitely(got: list[list[float]], wanted: list[list[float]]) -> None:
    assert difference([np.array(a) for a in got], [np.array(a) for a in wanted]) == inf


def test_nan_and_infinities_in_the_same_places_agree() -> None:
    a = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert difference([a], [a.copy()]) == 0.0
    assert difference([a[:3]], [a[:3].copy()]) == 0.0


@pytest.mark.parametrize(("call", "expected"), [(1e-6, 25), (0.02, 25), (0.1, 10), (0.2, 5), (0.9, 5), (1.1, 3)])
def test_turns_get_fewer_as_calls_get_longer(call: float, expected: int) -> None:
    assert rounds(1.0, 0.02, 1.0, call) == expected
