"""Arguments as users write them (an axis or several, sizes as one tuple or many ints), checked and made canonical."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NoReturn

from lucid.eager import located_error
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError


def fail(error: LucidError) -> NoReturn:
    """Raise ``error`` with the user's line."""
    raise located_error(error) from None


def int_of(op: str, argument: str, value: Any) -> int:
    """``value`` as an int; floats and bools are refused."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except TypeError:
            pass
    fail(ArgumentTypeError(f"{argument}={value!r} must be an int, not {type(value).__name__}", op=op))


def ints_of(op: str, argument: str, values: Any) -> tuple[int, ...]:
    """``values`` as a tuple of ints; a single int is a tuple of one."""
    if not isinstance(values, Sequence):
        return (int_of(op, argument, values),)
    return tuple([int_of(op, argument, v) for v in values])


def sizes_of(op: str, sizes: tuple[Any, ...], argument: str = "shape") -> tuple[int, ...]:
    """Sizes given as ``f(2, 3)`` or ``f((2, 3))``, none negative."""
    if len(sizes) == 1 and isinstance(sizes[0], Sequence):
        sizes = tuple(sizes[0])
    result = ints_of(op, argument, sizes)
    if min(result, default=0) < 0:
        fail(ArgumentError(f"{argument}={result} must not be negative", op=op))
    return result


def either(op: str, axis: Any, dim: Any, names: tuple[str, str] = ("axis", "dim")) -> Any:
    """The one that is given of two spellings of an argument."""
    if dim is None:
        return axis
    if axis is not None and axis != dim:
        fail(ArgumentError(f"{names[0]}={axis} and {names[1]}={dim} are two names of one argument", op=op))
    return dim


def axis_of(op: str, axis: Any, ndim: int, argument: str = "axis") -> int:
    """``axis`` counted from the front."""
    number = int_of(op, argument, axis)
    if not -ndim <= number < ndim:
        allowed = f"must lie in {-ndim} .. {ndim - 1}" if ndim else "a 0-d tensor has no axes"
        fail(ArgumentError(f"{argument}={number} is out of range for {ndim} dimensions: {allowed}", op=op))
    return number % ndim


def axes_of(op: str, axis: Any, ndim: int, argument: str = "axis") -> tuple[int, ...]:
    """Axes counted from the front, in increasing order; None means all."""
    if axis is None:
        return tuple(range(ndim))
    axes = [axis_of(op, a, ndim, argument) for a in (axis if isinstance(axis, Sequence) else (axis,))]
    if len(set(axes)) != len(axes):
        fail(ArgumentError(f"{argument}={axis} names an axis twice", op=op))
    return tuple(sorted(axes))
