"""Extremes of no elements: PyTorch and NumPy refuse them, also where the result is empty."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import lucid
from lucid.errors import ShapeError

EXTREMES: dict[str, Callable[[Any, int], Any]] = {
    "max": lambda x, k: x.max(k).values,
    "min": lambda x, k: x.min(k).values,
    "amax": lambda x, k: x.amax(k),
    "amin": lambda x, k: x.amin(k),
    "argmax": lambda x, k: x.argmax(k),
    "argmin": lambda x, k: x.argmin(k),
}


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize(("shape", "axis"), [((0, 3), 0), ((0, 0), 0), ((0, 0), 1), ((2, 0, 0), 2), ((0, 2, 0), 0)])
def test_of_nothing(name: str, shape: tuple[int, ...], axis: int, compiled: bool) -> None:
    """Where the result is empty, too, eager code raised NumPy's error, and compiled code none."""

    def run(x: Any) -> Any:
        return EXTREMES[name](x, axis)

    with pytest.raises(ShapeError, match=rf"{name[-3:]}: no elements along .* of shape \({shape[0]}, .* at least one"):
        (lucid.compile(run) if compiled else run)(lucid.ones(*shape))


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", EXTREMES)
def test_of_something_no_times(name: str, compiled: bool) -> None:
    def run(x: Any) -> Any:
        return EXTREMES[name](x, 1)

    assert (lucid.compile(run) if compiled else run)(lucid.ones(0, 2, 3)).shape == (0, 3)
