"""The text of tensors, letter by letter."""

from __future__ import annotations

import numpy as np
import pytest

import lucid
from lucid import Tensor

PAGE_INPUT = """\
Tensor([[
    [[1.0, 2.0],
     [3.0, 4.0]]
]], requires_grad=True)"""

PAGE_WEIGHT = """\
Tensor([
    [[[1.0, 2.0],
      [3.0, 4.0]]],
    [[[5.0, 6.0],
      [7.0, 8.0]]]
], requires_grad=True)"""


@pytest.mark.parametrize(
    ("tensor", "text"),
    [
        (Tensor(3.0), "Tensor(3.0)"),
        (Tensor([9.0, 10.0], requires_grad=True), "Tensor([9.0, 10.0], requires_grad=True)"),
        (Tensor([[1.0, 2.0], [3.0, 4.0]]), "Tensor([[1.0, 2.0],\n        [3.0, 4.0]])"),
        (Tensor([0.1, 1e-8, -0.0, float("nan"), float("inf"), 1e20]), "Tensor([0.1, 1e-08, -0.0, nan, inf, 1e+20])"),
        (Tensor(0.1, dtype=lucid.float64), "Tensor(0.1, dtype=float64)"),
        (Tensor([1, -2]), "Tensor([1, -2])"),
        (Tensor([1], dtype=lucid.uint8), "Tensor([1], dtype=uint8)"),
        (Tensor([True, False]), "Tensor([True, False])"),
        (Tensor([]), "Tensor([])"),
        (lucid.zeros(0, 3), "Tensor([], shape=(0, 3))"),
        (Tensor([[[[1.0, 2.0], [3.0, 4.0]]]], requires_grad=True), PAGE_INPUT),
        (lucid.arange(1, 9, 1.0).reshape(2, 1, 2, 2).detach().requires_grad_(), PAGE_WEIGHT),
        (lucid.zeros(1, 1, 1), "Tensor([\n    [[0.0]]\n])"),
    ],
)
def test_text(tensor: Tensor, text: str) -> None:
    assert repr(tensor) == text
    assert str(tensor) == text


def test_large_tensors_are_elided() -> None:
    text = repr(lucid.arange(2000))
    assert text == "Tensor([0, 1, 2, ..., 1997, 1998, 1999])"
    wide = repr(lucid.zeros(100, 100))
    assert len(wide.splitlines()) == 7
    assert wide.splitlines()[3].strip() == "...,"
    assert "..." not in repr(lucid.zeros(1000))


def test_texts_read_back() -> None:
    rng = np.random.default_rng(0)
    for shape in ((3,), (2, 3), (2, 2, 2), (1, 2, 1, 2), (1, 1, 3)):
        t = Tensor(rng.standard_normal(shape).astype(np.float32))
        again = eval(repr(t), {"Tensor": Tensor})
        np.testing.assert_array_equal(again.numpy(), t.numpy())
