"""Operators called by name, with anything as ``self``."""

from __future__ import annotations

import operator
from typing import Any

import pytest

import lucid
from lucid.errors import ArgumentTypeError

NAMES = "add sub mul truediv floordiv mod pow matmul and or xor lshift rshift".split()  # noqa: SIM905


@pytest.mark.parametrize("name", NAMES)
def test_a_reflected_operator_is_a_tensors_own(name: str) -> None:
    """They looked for a method of the number: an AttributeError."""
    method: Any = getattr(lucid.Tensor, f"__r{name}__")
    for other in (3, lucid.tensor([1, 2])):
        with pytest.raises(ArgumentTypeError, match=f"__r{name}__: self=2 must be a tensor, but it is of type int"):
            method(2, other)


@pytest.mark.parametrize("name", NAMES)
def test_a_reflected_operator_takes_numbers_on_the_left(name: str) -> None:
    x = lucid.tensor([[1, 2], [3, 4]])
    run = getattr(operator, f"{name}_" if name in ("and", "or") else name)
    left = lucid.tensor([[5, 6], [7, 8]]) if name == "matmul" else 5
    assert getattr(x, f"__r{name}__")(left).tolist() == run(lucid.tensor(left), x).tolist()
    if name != "matmul":
        assert run(left, x).tolist() == run(lucid.tensor(left), x).tolist()
