"""Rows of embeddings whose gradients are scaled."""

from __future__ import annotations

import numpy as np
import pytest

import lucid
from lucid.nn import functional as F


@pytest.mark.parametrize("compiled", [False, True])
def test_scaled_gradients_leave_values_alone(compiled: bool) -> None:
    """Infinite weights came out as NaN, and negative zeros as positive ones."""
    table = lucid.tensor([[np.inf, 1.0], [2.0, -0.0]], requires_grad=True)

    def rows(weight: lucid.Tensor) -> lucid.Tensor:
        return F.embedding(lucid.tensor([0, 1, 1]), weight, scale_grad_by_freq=True)

    result = (lucid.compile(rows) if compiled else rows)(table)
    got = result.detach().numpy()
    want = np.float32([[np.inf, 1.0], [2.0, -0.0], [2.0, -0.0]])
    np.testing.assert_array_equal(got, want)
    np.testing.assert_array_equal(np.signbit(got), np.signbit(want))
    result.backward(lucid.ones(3, 2))
    assert table.grad is not None
    np.testing.assert_array_equal(table.grad.numpy(), np.ones((2, 2)))  # infinite elements got none


@pytest.mark.parametrize("compiled", [False, True])
def test_infinite_elements_get_gradients_within_a_limit_of_norms(compiled: bool) -> None:
    """They got none."""
    table = lucid.tensor([[np.inf, 1.0], [3.0, 4.0], [-np.inf, 0.0]], requires_grad=True)

    def rows(weight: lucid.Tensor) -> lucid.Tensor:
        return F.embedding(lucid.tensor([1, 0, 1]), weight, max_norm=np.inf, scale_grad_by_freq=True)

    result = (lucid.compile(rows) if compiled else rows)(table)
    np.testing.assert_array_equal(result.detach().numpy(), [[3.0, 4.0], [np.inf, 1.0], [3.0, 4.0]])
    result.backward(lucid.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    assert table.grad is not None
    np.testing.assert_array_equal(table.grad.numpy(), [[3.0, 4.0], [3.0, 4.0], [0.0, 0.0]])
