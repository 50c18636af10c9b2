"""Which dtype: of Python data that becomes a tensor, and of operands that meet. The rules are in ``docs/promotion.md``.

A Python number is weak: it takes the dtype of the tensor it meets, unless its kind is higher. So is a tensor without
dimensions that meets one with some. Integers meet as in NumPy; a float that meets integers keeps its dtype. Where NumPy
would invent float64 (integers divided, a Python float meeting integers), Lucid says its default dtype, which is float32
until ``set_default_dtype``. Halves are computed in float32: an operation rounds its result, a function of several
operations only its last.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import numpy as np

from lucid.default_dtype import get_default_dtype
from lucid.eager import Recorded, apply, constant, leaf, located_error
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, LucidError, ShapeError
from lucid.ir.graph import OPS, Array, Op
from lucid.ir.types import HALVES, SHORT_NAMES, DType, as_dtype, float32, int64, is_float, is_half, kind_of

if TYPE_CHECKING:
    from lucid.tensor import Tensor

P = ParamSpec("P")
R = TypeVar("R")

_constants: dict[tuple[Any, ...], Tensor] = {}


def array_of(data: Any, dtype: object = None, op: str = "tensor", argument: str = "data") -> Array:
    """A new array holding ``data``: Python floats in the default dtype, ints as int64; NumPy data keeps its dtype.

    ``op`` and ``argument`` are what errors call the operation and the data.

    Raises:
        ShapeError: nested lists of unequal lengths.
        DTypeError: an element type that Lucid does not support.
        ArgumentTypeError, ArgumentError: data that is not numbers, or does not fit ``dtype``.
    """
    try:
        wanted = None if dtype is None else as_dtype(dtype)
    except DTypeError as error:
        error.op = op
        raise
    if isinstance(data, Recorded):
        data = data._value(f"lucid.{op}()")
    given = data if isinstance(data, np.ndarray | np.generic) else _plain(data, op, argument)
    weak = not isinstance(_first_leaf(given), np.ndarray | np.generic)
    try:
        with np.errstate(all="ignore"):  # a NaN cast to an integer is the caller's explicit wish
            array = np.array(given, dtype=wanted if weak else None)
            if wanted is not None and array.dtype != wanted:
                array = array.astype(wanted)
    except OverflowError:
        raise ArgumentError(f"{argument} holds a number that does not fit into dtype {wanted}", op=op) from None
    except ValueError:
        if wanted is not None and wanted.kind in "iu" and _is_regular(given):
            raise ArgumentError(f"{argument} holds NaN, which does not fit into dtype {wanted}", op=op) from None
        raise ShapeError(
            f"{argument} is ragged: every list at one depth must have the same length and hold numbers",
            op=op,
            hint="pad the shorter lists, or make one tensor per list",
        ) from None
    except TypeError:
        raise ArgumentTypeError(f"{argument} of type {type(data).__name__} does not hold numbers", op=op) from None
    if wanted is None and weak:
        array = array.astype(_default(array.dtype), copy=False)
    if not array.dtype.isnative:
        array = array.astype(array.dtype.newbyteorder("="))
    if array.dtype not in SHORT_NAMES:
        if weak and array.dtype == object:  # Python integers have no limit; everything else was refused before
            raise ArgumentError(f"{argument} holds an integer that does not fit into any dtype", op=op)
        if array.dtype.kind in "USOVMm":
            raise ArgumentTypeError(f"{argument} is an array of dtype {array.dtype}, not of numbers", op=op)
        names = ", ".join(d.name for d in SHORT_NAMES)
        raise DTypeError(f"dtype {array.dtype.name} is not supported", op=op, hint=f"convert it to one of {names}")
    return np.ascontiguousarray(array) if array.ndim else array


def _default(dtype: DType) -> DType:
    """Lucid's dtype for Python data that NumPy would give ``dtype``; unsupported ones are left alone."""
    if dtype.kind == "f":
        return get_default_dtype()
    return int64 if dtype.kind == "i" else dtype  # unsigned: integers beyond int64


def _is_regular(data: Any) -> bool:
    """True if nested lists have one shape."""
    try:
        np.array(data)
    except ValueError:
        return False
    return True


def _plain(data: Any, op: str, argument: str) -> Any:
    """``data`` with tensors inside lists replaced by arrays."""
    if isinstance(data, list | tuple):
        return [_plain(item, op, argument) for item in data]
    if isinstance(data, Recorded):
        return data._value(f"lucid.{op}()")
    if isinstance(data, bool | int | float | np.ndarray | np.generic):
        return data
    if hasattr(data, "__array__"):
        return np.asarray(data)
    raise ArgumentTypeError(
        f"{argument} of type {type(data).__name__} does not hold numbers",
        op=op,
        hint="give a number, a nested list of numbers, or an array",
    )


def _first_leaf(data: Any) -> Any:
    while isinstance(data, list) and data:
        data = data[0]
    return data


def as_tensor(value: Any, op: str = "tensor", argument: str = "data") -> Tensor:
    """``value`` itself if it is a tensor; otherwise a tensor of it, by the constructor's rules."""
    if isinstance(value, Recorded):
        return value  # type: ignore[return-value]  # the only subclass users meet
    try:
        return leaf(array_of(value, op=op, argument=argument))
    except LucidError as error:
        raise located_error(error) from None


def scalar(value: Any, dtype: DType, op: str | None = None) -> Tensor:
    """A 0-d constant; ``op`` is what an error names. Equal numbers of one dtype share one tensor."""
    key = (dtype, value.__class__, value) if value else (dtype, value.__class__, repr(value))
    found = _constants.get(key)
    if found is None:
        if len(_constants) >= 1024:
            _constants.clear()
        try:
            with np.errstate(over="ignore"):  # too large for a float is infinite
                found = _constants[key] = constant(np.array(value, dtype))
        except OverflowError:
            error = ArgumentError(f"the number {value} does not fit into dtype {dtype.name}", op=op)
            raise located_error(error) from None
    return found


def weak_dtype(dtype: DType, value: Any) -> DType:
    """The dtype in which a tensor of ``dtype`` meets the Python number ``value``."""
    if isinstance(value, bool) or is_float(dtype):
        return dtype
    if isinstance(value, float):
        return get_default_dtype()
    return int64 if dtype.kind == "b" else dtype


def rank_of(dtype: DType) -> int:
    """Bools below integers below floats."""
    return {"b": 0, "u": 1, "i": 1, "f": 2}[kind_of(dtype)]


def common_dtype(a: DType, b: DType) -> DType:
    """The dtype in which tensors of two dtypes meet."""
    if is_float(a) is not is_float(b):
        return a if is_float(a) else b
    if is_half(a) and is_half(b) and a != b:
        return float32
    return np.promote_types(a, b)


def python_number(value: Any) -> Any:
    """``value`` as a Python number if it is a number, NumPy's included; None otherwise."""
    if isinstance(value, bool | int | float):
        return value.item() if isinstance(value, np.generic) else value
    if isinstance(value, np.generic) and value.dtype.kind in "biuf":
        return value.item()
    return None


def cast(x: Tensor, dtype: DType) -> Tensor:
    return x if x._record.call.type.dtype == dtype else apply(OPS["cast"], x, dtype=dtype)


def floating(x: Tensor) -> Tensor:
    """``x`` if its dtype is floating, else ``x`` in the default dtype."""
    return x if is_float(x._record.call.type.dtype) else apply(OPS["cast"], x, dtype=get_default_dtype())


def rounded_once(function: Callable[P, R]) -> Callable[P, R]:
    """A function of halves of one dtype, computed in float32 from its operands to its results, which are rounded."""

    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        half = _only_half((*args, *kwargs.values()))
        if half is None or kwargs.get("dtype") is not None:
            return function(*args, **kwargs)
        call: Any = function
        result = call(*map(widened, args), **{name: widened(x) for name, x in kwargs.items()})
        return _rounded(result, half)  # type: ignore[no-any-return]  # of the same class

    return run


def _only_half(values: Iterable[Any]) -> DType | None:
    """The half that all floating tensors among the values are of, if there are any."""
    found: DType | None = None
    for x in values:
        if isinstance(x, Recorded) and is_float(x.dtype):
            if not is_half(x.dtype) or found not in (None, x.dtype):
                return None
            found = x.dtype
    return found


def widened(value: Any) -> Any:
    """A half tensor as float32; anything else as it is."""
    return cast(value, float32) if isinstance(value, Recorded) and is_half(value.dtype) else value  # type: ignore[arg-type]  # as above


def _rounded(value: Any, half: DType) -> Any:
    if isinstance(value, tuple):
        parts = [_rounded(x, half) for x in value]
        return type(value)(*parts) if hasattr(value, "_fields") else tuple(parts)
    return cast(value, half) if isinstance(value, Recorded) and value.dtype == float32 else value  # type: ignore[arg-type]  # as above


def together(a: Any, b: Any, op: str, argument: str = "operand") -> tuple[Tensor, Tensor]:
    """Two operands, at least one a tensor, as tensors of one dtype.

    Raises:
        ArgumentTypeError: an operand that is not a tensor, a number or an array.
    """
    try:
        if not isinstance(a, Recorded):
            a, b = _meet(b, a, op, argument)
            return b, a
        if not isinstance(b, Recorded):
            return _meet(a, b, op, argument)
    except LucidError as error:
        error.op = error.op or op
        raise located_error(error) from None
    left, right = a._record.call.type.dtype, b._record.call.type.dtype
    if left is right or left == right:
        return a, b  # type: ignore[return-value]  # the only subclass users meet
    if (a.ndim == 0) is not (b.ndim == 0) and rank_of(left) == rank_of(right):
        common = right if a.ndim == 0 else left
    else:
        common = common_dtype(left, right)
    return cast(a, common), cast(b, common)  # type: ignore[arg-type]  # as above


def _meet(tensor: Any, other: Any, op: str, argument: str) -> tuple[Tensor, Tensor]:
    if not isinstance(tensor, Recorded):
        tensor = as_tensor(tensor, op)
    dtype = tensor._record.call.type.dtype
    number = python_number(other)
    if number is not None:
        common = weak_dtype(dtype, number)
        if dtype != common:
            tensor = cast(tensor, common)
        return tensor, scalar(number, common)
    if isinstance(other, np.ndarray | list | tuple) or hasattr(other, "__array__"):
        return together(tensor, as_tensor(other, op), op)
    raise ArgumentTypeError(
        f"{argument} has type {type(other).__name__}, but it must be a tensor, a number or an array", op=op
    )


def _is_weak(value: Any, half: Any) -> bool:
    """Whether a half tensor is to keep its dtype beside a number, or a floating tensor without dimensions."""
    if isinstance(value, Recorded):
        return is_float(value.dtype) and value.ndim == 0 < half.ndim
    return python_number(value) is not None


_MIRRORED = {"gt": "lt", "ge": "le"}
_op: dict[str, Op] = OPS


def binary(name: str, a: Any, b: Any) -> Tensor:
    """Apply the binary op ``name`` to operands after promotion; at least one is a tensor."""
    if name in _MIRRORED:  # recorded as the mirrored comparison: one op fewer to know
        name, a, b = _MIRRORED[name], b, a
    if not (
        isinstance(a, Recorded) and isinstance(b, Recorded) and a._record.call.type.dtype is b._record.call.type.dtype
    ):
        for x, other in ((a, b), (b, a)):
            if isinstance(x, Recorded) and x._record.call.type.dtype in HALVES and _is_weak(other, x):
                result = binary(name, widened(a), widened(b))  # the number keeps its digits
                return cast(result, x.dtype) if is_float(result.dtype) else result
        a, b = together(a, b, name)
    if name == "div" and not is_float(a._record.call.type.dtype):
        a, b = cast(a, get_default_dtype()), cast(b, get_default_dtype())
    return apply(_op[name], a, b)
