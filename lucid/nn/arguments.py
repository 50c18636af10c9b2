"""Arguments of layers, checked when a layer is made rather than when it is first called."""

from __future__ import annotations

from typing import Any

from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail, int_of, number_of


def positive(op: str, argument: str, value: Any) -> int:
    """An int of at least 1."""
    number = int_of(op, argument, value)
    if number < 1:
        fail(ArgumentError(f"{argument}={value!r} must be at least 1", op=op))
    return number


def flag(op: str, argument: str, value: Any) -> bool:
    """True or False, and nothing that merely looks like it."""
    if not isinstance(value, bool):
        fail(ArgumentTypeError(f"{argument}={value!r} must be True or False, not {type(value).__name__}", op=op))
    return value


def number(op: str, argument: str, value: Any, least: float = 0.0, most: float = float("inf")) -> float:
    """A number within bounds. NaN is within none."""
    return float(number_of(op, argument, value, least, most))
