"""Kernels that read many values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lucid

USES: dict[str, Callable[..., Any]] = {
    "stack": lambda *xs: lucid.stack(xs),
    "sum": lambda *xs: sum((x * 2 for x in xs[1:]), xs[0]),
}


@pytest.mark.parametrize("use", USES)
def test_a_large_kernel_reads_a_hundred_values(use: str) -> None:
    """Kernels that threads share were refused above 64 buffers."""
    xs = [lucid.tensor(np.random.default_rng(k).standard_normal((300, 400))) for k in range(100)]
    np.testing.assert_array_equal(lucid.compile(USES[use])(*xs).numpy(), USES[use](*xs).numpy())
