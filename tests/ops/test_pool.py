"""Which pixel max pooling chooses when pixels tie or are not numbers, and where padding shows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lucid import ops
from lucid.ir.graph import Array, Sample
from tests.ops.reference import run_compute

NAN, INF = float("nan"), float("inf")
ROW = {"kernel_size": (1, 4), "stride": (1, 4), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}


def image(rows: list[list[float]]) -> Array:
    return np.array(rows, np.float32)[None, None]


def pooled(x: Array, attrs: dict[str, Any]) -> tuple[list[Any], list[Any]]:
    """Maxima and places, once both forms of each agree."""
    results = []
    for op in (ops.max_pool2d, ops.max_pool2d_index):
        value = op.evaluate(x, **attrs)
        np.testing.assert_array_equal(run_compute(op, Sample.of(x, **attrs)), value)
        results.append(value.ravel().tolist())
    return results[0], results[1]


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ([1, 3, 3, 2], 1),
        ([5, 5, 5, 5], 0),
        ([-INF, -INF, -INF, -INF], 0),
        ([1, INF, INF, 2], 1),
        ([-0.0, 0.0, -1, -1], 0),
        ([1, NAN, 7, 2], 1),
        ([NAN, 1, NAN, INF], 2),
        ([1, 2, 3, NAN], 3),
    ],
)
def test_choice(row: list[float], place: int) -> None:
    maxima, places = pooled(image([row]), ROW)
    assert places == [place]
    np.testing.assert_array_equal(maxima, [row[place]])


def test_padding_is_never_chosen() -> None:
    attrs = {**ROW, "kernel_size": (2, 2), "stride": (2, 2), "padding": ((1, 1), (1, 1))}
    maxima, places = pooled(image([[-INF, -2], [-3, -INF]]), attrs)
    assert maxima == [-INF, -2, -3, -INF]
    assert places == [3, 2, 1, 0]


def test_a_window_of_padding_alone_has_no_place_and_no_gradient() -> None:
    attrs = {**ROW, "kernel_size": (1, 1), "stride": (1, 1), "padding": ((0, 0), (1, 1))}
    x = image([[4, 5]])
    maxima, places = pooled(x, attrs)
    assert maxima == [-INF, 4, 5, -INF]
    assert places == [1, 0, 0, 1]
    index = ops.max_pool2d_index.evaluate(x, **attrs)
    g = np.arange(1, 5, dtype=np.float32).reshape(index.shape)
    carried = ops.max_pool2d_input_grad.evaluate(g, index, input_size=(1, 2), **attrs)
    assert carried.ravel().tolist() == [2, 3]
    assert ops.max_pool2d_take.evaluate(x, index, **attrs).ravel().tolist() == [0, 4, 5, 0]


def test_average_counts_padding_only_if_told() -> None:
    attrs = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((1, 1), (1, 1))}
    x = image([[4, 8], [12, 16]])
    with_padding = ops.avg_pool2d.evaluate(x, count_include_pad=True, **attrs)
    without = ops.avg_pool2d.evaluate(x, count_include_pad=False, **attrs)
    assert with_padding.ravel().tolist() == [1, 2, 3, 4]
    assert without.ravel().tolist() == [4, 8, 12, 16]
