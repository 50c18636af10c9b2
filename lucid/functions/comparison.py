"""Functions that compare and decide: truth values, bits, and choices between operands. All broadcast."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from lucid import ops
from lucid.default_dtype import get_default_dtype
from lucid.eager import Recorded, apply
from lucid.errors import ArgumentError, DTypeError
from lucid.functions.arguments import fail, number_of
from lucid.ir.types import bool_, int64, is_float
from lucid.promotion import as_tensor, binary, python_number, scalar, together
from lucid.promotion import cast as promote

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "allclose", "bitwise_and", "bitwise_invert", "bitwise_left_shift", "bitwise_not", "bitwise_or",
    "bitwise_right_shift", "bitwise_xor", "eq", "equal", "fmax", "fmin", "ge", "greater", "greater_equal", "gt",
    "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf", "le", "less", "less_equal", "logical_and",
    "logical_not", "logical_or", "logical_xor", "lt", "maximum", "minimum", "ne", "not_equal", "signbit", "where",
]  # fmt: skip


def isnan(x: Any) -> Tensor:
    """True where x is NaN.

    >>> import lucid
    >>> lucid.isnan(lucid.tensor([1.0, float("nan"), float("inf")]))
    Tensor([False, True, False])
    """
    x = as_tensor(x, "isnan")
    return apply(ops.isnan, x) if is_float(x.dtype) else binary("ne", x, x)


def _size(x: Tensor) -> Tensor:
    return apply(ops.abs, x)


def isinf(x: Any) -> Tensor:
    """True where x is infinite.

    >>> import lucid
    >>> lucid.isinf(lucid.tensor([1.0, float("nan"), -float("inf")]))
    Tensor([False, False, True])
    """
    x = as_tensor(x, "isinf")
    return binary("eq", _size(x), float("inf")) if is_float(x.dtype) else binary("ne", x, x)


def isfinite(x: Any) -> Tensor:
    """True where x is neither infinite nor NaN.

    >>> import lucid
    >>> lucid.isfinite(lucid.tensor([1.0, float("nan"), float("inf")]))
    Tensor([True, False, False])
    """
    x = as_tensor(x, "isfinite")
    return binary("lt", _size(x), float("inf")) if is_float(x.dtype) else binary("eq", x, x)


def isposinf(x: Any) -> Tensor:
    """True where x is infinite and positive.

    >>> import lucid
    >>> lucid.isposinf(lucid.tensor([1.0, float("inf"), -float("inf")]))
    Tensor([False, True, False])
    """
    x = as_tensor(x, "isposinf")
    return binary("eq", x, float("inf")) if is_float(x.dtype) else binary("ne", x, x)


def isneginf(x: Any) -> Tensor:
    """True where x is infinite and negative.

    >>> import lucid
    >>> lucid.isneginf(lucid.tensor([1.0, float("inf"), -float("inf")]))
    Tensor([False, False, True])
    """
    x = as_tensor(x, "isneginf")
    return binary("eq", x, float("-inf")) if is_float(x.dtype) else binary("ne", x, x)


def signbit(x: Any) -> Tensor:
    """True where x is negative, -0.0 included; False for NaN and bools.

    >>> import lucid
    >>> lucid.signbit(lucid.tensor([1.0, -0.0, -2.0]))
    Tensor([False, True, True])
    """
    x = as_tensor(x, "signbit")
    if is_float(x.dtype):
        return binary("lt", x, 0.0) | binary("lt", binary("div", 1.0, x), 0.0)
    return binary("lt", x, 0) if x.dtype.kind == "i" else binary("ne", x, x)


# --- comparisons ---


def eq(input: Any, other: Any) -> Tensor:
    """``input == other``, element by element; NaN equals nothing.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.eq(lucid.tensor([1, 2]), 2)
    Tensor([False, True])
    """
    return binary("eq", input, other)


def ne(input: Any, other: Any) -> Tensor:
    """``input != other``, element by element. ``not_equal`` is the same function.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.ne(lucid.tensor([1, 2]), 2)
    Tensor([True, False])
    """
    return binary("ne", input, other)


def lt(input: Any, other: Any) -> Tensor:
    """``input < other``, element by element. ``less`` is the same function.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.lt(lucid.tensor([1, 2, 3]), 2)
    Tensor([True, False, False])
    """
    return binary("lt", input, other)


def le(input: Any, other: Any) -> Tensor:
    """``input <= other``, element by element. ``less_equal`` is the same function.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.le(lucid.tensor([1, 2, 3]), 2)
    Tensor([True, True, False])
    """
    return binary("le", input, other)


def gt(input: Any, other: Any) -> Tensor:
    """``input > other``, element by element. ``greater`` is the same function.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.gt(lucid.tensor([1, 2, 3]), 2)
    Tensor([False, False, True])
    """
    return binary("gt", input, other)


def ge(input: Any, other: Any) -> Tensor:
    """``input >= other``, element by element. ``greater_equal`` is the same function.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.ge(lucid.tensor([1, 2, 3]), 2)
    Tensor([False, True, True])
    """
    return binary("ge", input, other)


not_equal, less, less_equal, greater, greater_equal = ne, lt, le, gt, ge


def isclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> Tensor:
    """True where ``|input - other| <= atol + rtol * |other|``, or the two are equal (infinities are).

    Raises:
        ArgumentError, ArgumentTypeError: a tolerance that is negative or not a number.

    >>> import lucid
    >>> lucid.isclose(lucid.tensor([1.0, 2.0]), lucid.tensor([1.000001, 2.1]))
    Tensor([True, False])
    """
    number_of("isclose", "rtol", rtol, 0)
    number_of("isclose", "atol", atol, 0)
    a, b = together(input, other, "isclose")
    close = binary("eq", a, b)
    if equal_nan and is_float(a.dtype):
        close = close | (isnan(a) & isnan(b))
    if a.dtype.kind == "b":
        return close
    distance = _size(a - b)
    return close | (isfinite(distance) & (distance <= _size(b) * rtol + atol))


def allclose(input: Any, other: Any, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False) -> bool:
    """Whether ``isclose`` holds for every element.

    Raises:
        TraceError: in a compiled function, where values are not known.
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.allclose(lucid.tensor([1.0, 2.0]), lucid.tensor([1.0, 2.00001]))
    True
    """
    from lucid.functions.reductions import all

    return bool(all(isclose(input, other, rtol, atol, equal_nan)))


def equal(input: Any, other: Any) -> bool:
    """Whether two tensors have the same shape and the same elements.

    Raises:
        TraceError: in a compiled function, where values are not known.

    >>> import lucid
    >>> lucid.equal(lucid.tensor([1, 2]), lucid.tensor([1, 2])), lucid.equal(lucid.ones(2), lucid.ones(3))
    (True, False)
    """
    from lucid.functions.reductions import all

    a, b = as_tensor(input, "equal"), as_tensor(other, "equal")
    return a.shape == b.shape and bool(all(binary("eq", a, b)))


# --- truth values and bits ---


def _truth(x: Any, op: str) -> Tensor:
    return promote(as_tensor(x, op), bool_)


def logical_not(x: Any) -> Tensor:
    """The other truth value; a number counts as true unless it is 0.

    >>> import lucid
    >>> lucid.logical_not(lucid.tensor([0, 2]))
    Tensor([True, False])
    """
    return apply(ops.logical_not, _truth(x, "logical_not"))


def logical_and(a: Any, b: Any) -> Tensor:
    """True where both are true (not 0).

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.logical_and(lucid.tensor([0, 1, 2]), lucid.tensor([1, 0, 3]))
    Tensor([False, False, True])
    """
    return apply(ops.bitwise_and, _truth(a, "logical_and"), _truth(b, "logical_and"))


def logical_or(a: Any, b: Any) -> Tensor:
    """True where at least one is true (not 0).

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.logical_or(lucid.tensor([0, 1, 0]), lucid.tensor([1, 0, 0]))
    Tensor([True, True, False])
    """
    return apply(ops.bitwise_or, _truth(a, "logical_or"), _truth(b, "logical_or"))


def logical_xor(a: Any, b: Any) -> Tensor:
    """True where exactly one is true (not 0).

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.logical_xor(lucid.tensor([0, 1, 2]), lucid.tensor([1, 0, 3]))
    Tensor([True, True, False])
    """
    return apply(ops.bitwise_xor, _truth(a, "logical_xor"), _truth(b, "logical_xor"))


def bitwise_not(input: Any) -> Tensor:
    """All bits inverted; of bools, the other truth value.

    Raises:
        DTypeError: not integers or bools.

    >>> import lucid
    >>> lucid.bitwise_not(lucid.tensor([0, 5]))
    Tensor([-1, -6])
    """
    x = as_tensor(input, "bitwise_not")
    return apply(ops.logical_not if x.dtype == bool_ else ops.bitwise_not, x)


bitwise_invert = bitwise_not


def bitwise_and(input: Any, other: Any) -> Tensor:
    """``input & other`` of integers or bools.

    Raises:
        DTypeError: not integers or bools.
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.bitwise_and(lucid.tensor([6, 5]), 3)
    Tensor([2, 1])
    """
    return binary("bitwise_and", input, other)


def bitwise_or(input: Any, other: Any) -> Tensor:
    """``input | other`` of integers or bools.

    Raises:
        DTypeError: not integers or bools.
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.bitwise_or(lucid.tensor([6, 5]), 3)
    Tensor([7, 7])
    """
    return binary("bitwise_or", input, other)


def bitwise_xor(input: Any, other: Any) -> Tensor:
    """``input ^ other`` of integers or bools.

    Raises:
        DTypeError: not integers or bools.
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.bitwise_xor(lucid.tensor([6, 5]), 3)
    Tensor([5, 6])
    """
    return binary("bitwise_xor", input, other)


def bitwise_left_shift(input: Any, other: Any) -> Tensor:
    """``input << other`` of integers; 0 where the count is negative or no less than the number of bits.

    Raises:
        DTypeError: not integers.
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.bitwise_left_shift(lucid.tensor([1, 3]), 4)
    Tensor([16, 48])
    """
    return binary("left_shift", input, other)


def bitwise_right_shift(input: Any, other: Any) -> Tensor:
    """``input >> other`` of integers, keeping the sign.

    Raises:
        DTypeError: not integers.
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.bitwise_right_shift(lucid.tensor([16, -16]), 2)
    Tensor([4, -4])
    """
    return binary("right_shift", input, other)


# --- choices ---


def maximum(a: Any, b: Any) -> Tensor:
    """The larger of two; NaN if either is NaN; on a tie each gets half the gradient.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.maximum(lucid.tensor([1.0, 5.0]), lucid.tensor([3.0, float("nan")]))
    Tensor([3.0, nan])
    """
    return binary("maximum", a, b)


def minimum(a: Any, b: Any) -> Tensor:
    """The smaller of two; NaN if either is NaN; on a tie each gets half the gradient.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.minimum(lucid.tensor([1.0, 5.0]), lucid.tensor([3.0, float("nan")]))
    Tensor([1.0, nan])
    """
    return binary("minimum", a, b)


def fmax(input: Any, other: Any) -> Tensor:
    """The larger of two; the other one where one is NaN; on a tie ``input`` gets the gradient.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.fmax(lucid.tensor([1.0, 5.0]), lucid.tensor([3.0, float("nan")]))
    Tensor([3.0, 5.0])
    """
    a, b = together(input, other, "fmax")
    return where(binary("ge", a, b) | isnan(b), a, b)


def fmin(input: Any, other: Any) -> Tensor:
    """The smaller of two; the other one where one is NaN; on a tie ``input`` gets the gradient.

    Raises:
        ShapeError: the shapes do not broadcast.

    >>> import lucid
    >>> lucid.fmin(lucid.tensor([1.0, 5.0]), lucid.tensor([3.0, float("nan")]))
    Tensor([1.0, 5.0])
    """
    a, b = together(input, other, "fmin")
    return where(binary("le", a, b) | isnan(b), a, b)


@overload
def where(condition: Any) -> tuple[Tensor, ...]: ...
@overload
def where(condition: Any, a: Any, b: Any) -> Tensor: ...
def where(condition: Any, a: Any = None, b: Any = None) -> Any:
    """``a`` where ``condition`` holds, else ``b``; of a condition alone, the positions where it holds.

    Raises:
        DTypeError: ``condition`` is not bool.
        ArgumentError: one of ``a`` and ``b`` without the other.
        TraceError: positions, in a compiled function.

    >>> import lucid
    >>> lucid.where(lucid.tensor([True, False]), 1.0, lucid.tensor([5.0, 6.0]))
    Tensor([1.0, 6.0])
    """
    condition = as_tensor(condition, "where")
    if a is None and b is None:
        from lucid.functions.indexing import nonzero

        return nonzero(condition, as_tuple=True)
    if a is None or b is None:
        fail(ArgumentError("two values must be given, one where the condition holds and one elsewhere", op="where"))
    if condition.dtype != bool_:
        fail(
            DTypeError(
                f"condition has dtype {condition.dtype.name}, but it must be bool",
                op="where",
                hint="compare first: lucid.where(x > 0, a, b)",
            )
        )
    if not isinstance(a, Recorded) and not isinstance(b, Recorded):
        first, second = python_number(a), python_number(b)
        if first is not None and second is not None:
            float_, int_ = (
                isinstance(first + second, float),
                not isinstance(first, bool) or not isinstance(second, bool),
            )
            dtype = get_default_dtype() if float_ else int64 if int_ else bool_
            a, b = scalar(first, dtype, "where"), scalar(second, dtype, "where")
    a, b = together(a, b, "where")
    return apply(ops.where, condition, a, b)
