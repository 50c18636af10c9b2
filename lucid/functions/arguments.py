"""Arguments as users write them (an axis or several, sizes as one tuple or many ints), checked and made canonical."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from lucid.eager import located_error
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, LucidError, ShapeError
from lucid.ir.types import DType, as_dtype
from lucid.promotion import python_number


def fail(error: LucidError) -> NoReturn:
    """Raise ``error`` with the user's line."""
    raise located_error(error) from None


@contextmanager
def named(op: str) -> Iterator[None]:
    """Errors inside name ``op``, which the user called, not what it is made of."""
    try:
        yield
    except LucidError as error:
        error.op = op
        raise


def whole(value: Any) -> int | None:
    """``value`` as an int; None for floats, bools and what is no number."""
    if not isinstance(value, bool):
        try:
            return operator.index(value)
        except (TypeError, ShapeError):  # a tensor that is not one int says so in its own way
            pass
    return None


def int_of(op: str, argument: str, value: Any) -> int:
    """``value`` as an int; floats and bools are refused."""
    number = whole(value)
    if number is not None:
        return number
    fail(ArgumentTypeError(f"{argument}={shown(value)} must be an int, not {type(value).__name__}", op=op))


def number_of(
    op: str, argument: str, value: Any, least: float = float("-inf"), most: float = float("inf"), meaning: str = ""
) -> float:
    """``value`` as a Python number within bounds; bools are refused, and so is NaN, which is within none."""
    number = python_number(value)
    if number is None or isinstance(number, bool):
        fail(ArgumentTypeError(f"{argument}={shown(value)} must be a number, not {type(value).__name__}", op=op))
    if not least <= number <= most:
        rule = f"must lie in {least:g} .. {most:g}"
        if most == float("inf"):
            rule = (
                "must not be negative"
                if least == 0
                else "must be a number"
                if least == -most
                else f"must be at least {least:g}"
            )
        fail(ArgumentError(f"{argument}={value!r} {rule}{meaning}", op=op))
    return number  # type: ignore[no-any-return]  # an int or a float: checked above


def dtype_of(op: str, dtype: object) -> DType:
    """``dtype`` as an element type.

    Raises:
        DTypeError: Lucid has no such element type.
    """
    try:
        return as_dtype(dtype)
    except DTypeError as error:
        error.op = op
        fail(error)


def shown(value: object) -> str:
    """A value as a message quotes it: on one line, and not all of an array."""
    text = repr(value)
    return text if len(text) <= 60 and "\n" not in text else f"<{type(value).__name__}>"


def is_several(value: object) -> bool:
    """True for a list or tuple; a string is one (wrong) value."""
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)


def unpacked(given: tuple[Any, ...]) -> tuple[Any, ...]:
    """What a call ``f(2, 3)`` or ``f((2, 3))`` means by its arguments."""
    return tuple(given[0]) if len(given) == 1 and is_several(given[0]) else given


def ints_of(op: str, argument: str, values: Any) -> tuple[int, ...]:
    """``values`` as a tuple of ints; a single int is a tuple of one."""
    if not is_several(values):
        return (int_of(op, argument, values),)
    return tuple([int_of(op, argument, v) for v in values])


def sizes_of(op: str, sizes: tuple[Any, ...], argument: str = "shape") -> tuple[int, ...]:
    """Sizes given as ``f(2, 3)`` or ``f((2, 3))``, none negative."""
    result = ints_of(op, argument, unpacked(sizes))
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
        dimensions = f"{ndim} dimension{'s' * (ndim != 1)}"
        fail(ArgumentError(f"{argument}={number} is out of range for {dimensions}: {allowed}", op=op))
    return number % ndim


def axes_of(op: str, axis: Any, ndim: int, argument: str = "axis") -> tuple[int, ...]:
    """Axes counted from the front, in increasing order; None means all. A 0-d tensor's -1 and 0 are no axes at all."""
    if axis is None:
        return tuple(range(ndim))
    if ndim == 0:
        axes_of(op, axis, 1, argument)
        return ()
    axes = [axis_of(op, a, ndim, argument) for a in (axis if is_several(axis) else (axis,))]
    if len(set(axes)) != len(axes):
        fail(ArgumentError(f"{argument}={axis} names an axis twice", op=op))
    return tuple(sorted(axes))
