"""Constants: their values survive to the bit, and calls with different bits are different calls."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lucid import ops
from lucid.ir.graph import Graph
from lucid.ir.types import float32


@pytest.mark.parametrize("wrap", [lambda v: v, lambda v: (v,)], ids=["scalar", "tuple"])
def test_signs_of_zero_are_different_constants(wrap: object) -> None:
    plus = ops.constant(value=wrap(0.0), shape=(1,), dtype=float32)  # type: ignore[operator]
    minus = ops.constant(value=wrap(-0.0), shape=(1,), dtype=float32)  # type: ignore[operator]
    assert plus.call is not minus.call
    assert Graph([], [plus]) != Graph([], [minus])
    values = [c.op.evaluate(**c.attrs) for c in (plus, minus)]
    assert [math.copysign(1, v[0]) for v in values] == [1, -1]


@pytest.mark.parametrize("value", [math.nan, (math.nan, 1.0)], ids=["scalar", "tuple"])
def test_nan_constants_are_one_call(value: object) -> None:
    a, b = (ops.constant(value=value, shape=(2,), dtype=float32) for _ in range(2))
    assert a.call is b.call
    assert Graph([], [a]) == Graph([], [b])
    assert np.isnan(a.op.evaluate(**a.attrs)[0])
