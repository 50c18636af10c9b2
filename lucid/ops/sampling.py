"""Arrays that op declarations offer as samples: what to draw so that a test looks where it matters.

``smooth`` stays away from zero, integers and halves, where ``abs``, ``floor`` or ``round`` have kinks and a finite
difference would be wrong; ``special`` is the opposite, every value that breaks careless code. Knows nothing of ops.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lucid.ir.graph import Array
from lucid.ir.types import DType, bool_, float32, int32, is_float, limits_of, uint8

#: The dtype that stands for each ``dtype.kind`` in samples.
BY_KIND: dict[str, DType] = {"f": float32, "i": int32, "u": uint8, "b": bool_}

#: Sizes that meet an empty loop, a single element, a vector's tail, and several dimensions.
SHAPES: tuple[tuple[int, ...], ...] = ((17,), (), (1,), (3, 0), (2, 3, 5))

#: Pairs of shapes that broadcast in every way there is.
SHAPE_PAIRS: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((17,), (17,)),
    ((), ()),
    ((4,), ()),
    ((3, 1), (1, 5)),
    ((5,), (2, 3, 5)),
    ((1,), (0,)),
    ((2, 1, 17), (3, 1)),
)


def smooth(rng: np.random.Generator, shape: Sequence[int], dtype: DType = float32) -> Array:
    """Floats of either sign, whole parts 0 to 2 and fractions 0.15 to 0.45; or small integers; or truth values."""
    if is_float(dtype):
        size = rng.integers(0, 3, shape) + rng.uniform(0.15, 0.45, shape)
        return np.asarray(np.where(rng.random(shape) < 0.5, -size, size), dtype)
    return integers(rng, shape, dtype)


def positive(rng: np.random.Generator, shape: Sequence[int], dtype: DType = float32) -> Array:
    """The sizes of ``smooth`` draws, without the sign."""
    return np.asarray(np.abs(smooth(rng, shape, dtype)), dtype)


def integers(rng: np.random.Generator, shape: Sequence[int], dtype: DType = int32) -> Array:
    """Small integers of either sign where the dtype has one; fair bools."""
    low, high = {"b": (0, 2), "u": (0, 10)}.get(dtype.kind, (-9, 10))
    return np.asarray(rng.integers(low, high, shape), dtype)


def special(dtype: DType) -> Array:
    """Every value that breaks careless code: NaN, infinities, both zeros, ties of rounding, the ends of the range."""
    if dtype == bool_:
        return np.array([False, True])
    if not is_float(dtype):
        ends = np.iinfo(dtype)
        return np.array([0, 1, 2, 3, 7, ends.max, ends.min, ends.max - 1, ends.min + 1], dtype)
    ends_ = limits_of(dtype)
    largest, eps, tiny = float(ends_.max), float(ends_.eps), float(ends_.tiny)
    values = [np.nan, np.inf, largest, 1e4, 88.0, 2.5, 1.5, 1.0, 0.5, eps, tiny, 0.0]
    return np.array([*values, *(-v for v in values)], dtype)


def special_pairs(dtype: DType) -> tuple[Array, Array]:
    """All pairs of special values."""
    a = special(dtype)
    return np.repeat(a, a.size), np.tile(a, a.size)
