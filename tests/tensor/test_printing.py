"""The text of tensors, letter by letter."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import Tensor
from lucid.errors import ArgumentError

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


class TestOptions:
    @pytest.fixture(autouse=True)
    def restored(self) -> Iterator[None]:
        yield
        lucid.set_printoptions(profile="default")

    @pytest.mark.parametrize(
        ("options", "data", "text"),
        [
            ({"precision": 2}, [1 / 3, 20.0], "[0.33, 20.00]"),
            ({"precision": 2}, [1 / 3, 2000.0], "[3.33e-01, 2.00e+03]"),
            ({"precision": 2}, [1e-5, 0.0], "[1.00e-05, 0.00e+00]"),
            ({"precision": 2}, [2e8, float("inf")], "[2.00e+08, inf]"),
            ({"precision": 2, "sci_mode": False}, [1 / 3, 2000.0], "[0.33, 2000.00]"),
            ({"precision": 0}, [1.5, float("nan")], "[2, nan]"),
            ({"precision": 2}, [1, 2], "[1, 2]"),
            ({"sci_mode": True}, [0.1, 20.0], "[1.0e-01, 2.0e+01]"),
            ({"sci_mode": False}, [1e-8, 1e20], "[0.00000001, 100000000000000000000.0]"),
            ({"threshold": 4}, [1, 2, 3, 4, 5, 6, 7], "[1, 2, 3, ..., 5, 6, 7]"),
            ({"threshold": 4, "edgeitems": 1}, [1, 2, 3, 4, 5], "[1, ..., 5]"),
            ({"linewidth": 20}, list(range(10)), "[0, 1, 2, 3,\n        4, 5, 6, 7,\n        8, 9]"),
            ({"profile": "short"}, [1 / 3], "[0.33]"),
            ({"profile": "short", "precision": 1}, [1 / 3], "[0.3]"),
        ],
    )
    def test_they_change_the_text(self, options: dict[str, Any], data: list[Any], text: str) -> None:
        lucid.set_printoptions(**options)
        assert repr(Tensor(data)) == f"Tensor({text})"

    def test_they_stay_until_they_are_changed(self) -> None:
        lucid.set_printoptions(precision=1, sci_mode=True)
        lucid.set_printoptions(edgeitems=2)
        assert repr(Tensor([0.25])) == "Tensor([0.2])"  # the digits stay, the exponents do not
        lucid.set_printoptions(profile="full")
        assert "..." not in repr(lucid.zeros(2000))
        lucid.set_printoptions(profile="default")
        assert repr(Tensor([0.25])) == "Tensor([0.25])"
        assert "..." in repr(lucid.zeros(2000))

    def test_bfloat16(self) -> None:
        x = Tensor([0.1, 256.0], dtype="bfloat16")
        lucid.set_printoptions(sci_mode=True)
        assert repr(x) == "Tensor([1e-01, 2.56e+02], dtype=bfloat16)"
        lucid.set_printoptions(sci_mode=False)
        assert repr(x) == "Tensor([0.1, 256.0], dtype=bfloat16)"
        lucid.set_printoptions(precision=3)
        assert repr(x) == "Tensor([1.001e-01, 2.560e+02], dtype=bfloat16)"

    def test_exponents_are_there_where_pytorch_has_them(self) -> None:
        torch = pytest.importorskip("torch")
        lucid.set_printoptions(precision=4)
        rng = np.random.default_rng(0)
        for scale in (1e-6, 1e-3, 1.0, 1e3, 1e9):
            for spread in (0.5, 2.0, 5.0):
                data = (scale * np.exp(spread * rng.standard_normal(6))).astype(np.float32)
                assert ("e" in repr(Tensor(data))[6:]) == ("e" in repr(torch.tensor(data))[6:]), data

    def test_wrong_uses(self) -> None:
        for wrong in (
            {"precision": -1}, {"precision": 1.5}, {"edgeitems": 0}, {"linewidth": True}, {"threshold": float("nan")},
            {"threshold": "all"}, {"profile": "long"}, {"sci_mode": 1},
        ):  # fmt: skip
            with pytest.raises(ArgumentError, match="set_printoptions: "):
                lucid.set_printoptions(**wrong)
        assert repr(Tensor([0.25])) == "Tensor([0.25])"
