"""Tensors from nothing but numbers: given data, a shape, or a range."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid import ops
from lucid.default_dtype import get_default_dtype
from lucid.devices import require_cpu
from lucid.eager import Recorded, apply, leaf, mode, out_of_memory
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError, ShapeError
from lucid.functions.arguments import dtype_of, either, fail, int_of, number_of, sizes_of
from lucid.ir.graph import Array
from lucid.ir.types import (
    SHORT_NAMES,
    Scalar,
    TensorType,
    float64,
    int64,
    is_float,
    is_integer,
    require_addressable,
)
from lucid.promotion import array_of, binary, python_number, scalar
from lucid.promotion import as_tensor as tensor_of
from lucid.promotion import cast as promote

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "arange", "as_tensor", "asarray", "empty", "empty_like", "eye", "from_numpy", "full", "full_like", "linspace",
    "logspace", "ones", "ones_like", "scalar_tensor", "tensor", "zeros", "zeros_like",
]  # fmt: skip


def tensor(data: Any, requires_grad: bool = False, dtype: object = None, *, device: Any = None) -> Tensor:
    """A new tensor holding a copy of ``data``: a number, nested lists, an array, or a tensor.

    Python floats become the default dtype, ints int64, bools bool; arrays keep their dtype. ``dtype`` overrules that.

    Raises:
        ShapeError: nested lists of unequal lengths.
        DTypeError: an element type Lucid does not support, or ``requires_grad`` for a dtype that is not floating.
        ArgumentTypeError: data that is not numbers.

    >>> tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    Tensor([[1.0, 2.0],
            [3.0, 4.0]], requires_grad=True)
    """
    require_cpu(device)
    try:
        array = array_of(data, dtype)
    except LucidError as error:
        fail(error)
    return _new(array, requires_grad)


def from_numpy(array: Array) -> Tensor:
    """A tensor that shares the memory of a NumPy array: what is written to the array is seen by the tensor.

    Raises:
        ArgumentTypeError: not a NumPy array.
        DTypeError: an element type Lucid does not support.

    >>> import lucid
    >>> import numpy as np
    >>> array = np.zeros(2)
    >>> x = lucid.from_numpy(array)
    >>> array[0] = 5
    >>> x
    Tensor([5.0, 0.0], dtype=float64)
    """
    if not isinstance(array, np.ndarray):
        fail(ArgumentTypeError(f"array must be a NumPy array, not {type(array).__name__}", op="from_numpy"))
    if array.dtype not in SHORT_NAMES:
        dtype_of("from_numpy", array.dtype)
    result = leaf(array)
    result._escaped = True
    return result


def _new(array: Array, requires_grad: bool) -> Tensor:
    result = leaf(array)
    if mode.trace is not None:
        result._born_in = mode.trace.serial
    return result if requires_grad is False else result.requires_grad_(requires_grad)


def asarray(obj: Any, dtype: object = None, *, device: Any = None) -> Tensor:
    """``obj`` itself if it is a tensor of this dtype, else a new tensor of it. ``as_tensor`` is the same function.

    Raises:
        as ``tensor``.

    >>> import lucid
    >>> x = lucid.ones(2)
    >>> lucid.asarray(x) is x
    True
    """
    require_cpu(device)
    x = obj if isinstance(obj, Recorded) else tensor(obj, dtype=dtype)
    return x if dtype is None else promote(x, dtype_of("asarray", dtype))  # type: ignore[return-value,arg-type]  # Tensor is the only subclass users meet


as_tensor = asarray


def scalar_tensor(s: Scalar, *, dtype: object = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor without dimensions, of the default dtype unless ``dtype`` says otherwise.

    Raises:
        ArgumentTypeError: ``s`` is not a number.

    >>> import lucid
    >>> lucid.scalar_tensor(2)
    Tensor(2.0)
    """
    require_cpu(device)
    return full((), s, dtype=get_default_dtype() if dtype is None else dtype, requires_grad=requires_grad)


def full(
    shape: Any, fill_value: Scalar, *, dtype: object = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """A tensor of ``shape`` with ``fill_value`` everywhere.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative; ``fill_value`` that is no number,
            or does not fit.
        DTypeError: no element type that Lucid supports.

    >>> full((2,), 7)
    Tensor([7, 7])
    """
    require_cpu(device)
    number = python_number(fill_value)
    if number is None:
        fail(ArgumentTypeError(f"fill_value={fill_value!r} must be a number", op="full"))
    default = np.dtype(bool) if isinstance(number, bool) else int64
    if isinstance(number, float):
        default = get_default_dtype()
    return _uniform("full", (shape,), number, default if dtype is None else dtype, requires_grad)


def _uniform(op: str, sizes: tuple[Any, ...], value: Any, dtype: object, requires_grad: bool) -> Tensor:
    shape = sizes_of(op, sizes)
    element = dtype_of(op, get_default_dtype() if dtype is None else dtype)
    if mode.trace is not None:
        if is_float(element):
            value = float(value)
        result = apply(ops.constant, value=value, shape=shape, dtype=element)
        return result if requires_grad is False else result.requires_grad_(requires_grad)
    try:
        require_addressable(op, TensorType(shape, element))
        with np.errstate(over="ignore"):  # too large for a float is infinite
            array = np.full(shape, int(value) if is_integer(element) else value, element)
    except LucidError as error:
        fail(error)
    except (OverflowError, ValueError):  # NaN and infinities are no integers
        fail(ArgumentError(f"the number {value} does not fit into dtype {element.name}", op=op))
    except MemoryError:
        fail(out_of_memory(op, TensorType(shape, element)))
    return _new(array, requires_grad)


def zeros(*shape: Any, dtype: object = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor of zeros, of the default dtype unless ``dtype`` says otherwise: ``zeros(2, 3)`` or ``zeros((2, 3))``.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.
        DTypeError: no element type that Lucid supports.

    >>> import lucid
    >>> lucid.zeros(2, 3)
    Tensor([[0.0, 0.0, 0.0],
            [0.0, 0.0, 0.0]])
    """
    require_cpu(device)
    return _uniform("zeros", shape, 0, dtype, requires_grad)


def ones(*shape: Any, dtype: object = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor of ones, of the default dtype unless ``dtype`` says otherwise.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.
        DTypeError: no element type that Lucid supports.

    >>> import lucid
    >>> lucid.ones(2, dtype="int64")
    Tensor([1, 1])
    """
    require_cpu(device)
    return _uniform("ones", shape, 1, dtype, requires_grad)


def empty(*shape: Any, dtype: object = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor whose values do not matter. They are zeros: memory that was not written is never shown.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.
        DTypeError: no element type that Lucid supports.

    >>> import lucid
    >>> lucid.empty(2, 3).shape
    (2, 3)
    """
    require_cpu(device)
    return _uniform("empty", shape, 0, dtype, requires_grad)


def empty_like(x: Any, *, dtype: object = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """A tensor of ``x``'s shape and dtype, whose values do not matter.

    Raises:
        DTypeError: no element type that Lucid supports.

    >>> import lucid
    >>> lucid.empty_like(lucid.ones(2, 3)).shape
    (2, 3)
    """
    return zeros_like(x, dtype=dtype, requires_grad=requires_grad, device=device)


def zeros_like(x: Any, *, dtype: object = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Zeros of ``x``'s shape and dtype.

    Raises:
        DTypeError: no element type that Lucid supports.

    >>> import lucid
    >>> lucid.zeros_like(lucid.tensor([1, 2]))
    Tensor([0, 0])
    """
    require_cpu(device)
    x = tensor_of(x, "zeros_like")
    return _uniform("zeros_like", (x.shape,), 0, x.dtype if dtype is None else dtype, requires_grad)


def ones_like(x: Any, *, dtype: object = None, requires_grad: bool = False, device: Any = None) -> Tensor:
    """Ones of ``x``'s shape and dtype.

    Raises:
        DTypeError: no element type that Lucid supports.

    >>> import lucid
    >>> lucid.ones_like(lucid.tensor([1, 2]), dtype=lucid.float32)
    Tensor([1.0, 1.0])
    """
    require_cpu(device)
    x = tensor_of(x, "ones_like")
    return _uniform("ones_like", (x.shape,), 1, x.dtype if dtype is None else dtype, requires_grad)


def full_like(
    x: Any, fill_value: Scalar, *, dtype: object = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """``fill_value`` everywhere, in ``x``'s shape and dtype.

    Raises:
        ArgumentTypeError, ArgumentError: ``fill_value`` is not a number, or does not fit into the dtype.

    >>> import lucid
    >>> lucid.full_like(lucid.tensor([1, 2]), 7)
    Tensor([7, 7])
    """
    require_cpu(device)
    x = tensor_of(x, "full_like")
    return full(x.shape, fill_value, dtype=x.dtype if dtype is None else dtype, requires_grad=requires_grad)


def arange(
    start: Scalar,
    stop: Scalar | None = None,
    step: Scalar = 1,
    *,
    end: Scalar | None = None,
    dtype: object = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """``start, start + step, ...`` up to, not including, ``stop``; int64 if all three are ints, else the default dtype.

    ``end`` is PyTorch's name of ``stop``.

    Raises:
        ArgumentError, ArgumentTypeError: an argument that is not a finite number, a ``step`` of 0, or one that leads
            away from ``stop``.

    >>> arange(4)
    Tensor([0, 1, 2, 3])
    """
    require_cpu(device)
    stop = either("arange", stop, end, ("stop", "end"))
    if stop is None:
        start, stop = 0, start
    start, stop, step = (int(v) if isinstance(v, bool) else v for v in (start, stop, step))
    numbers = [
        _finite("arange", name, v) for name, v in zip(("start", "stop", "step"), (start, stop, step), strict=True)
    ]
    if numbers[2] == 0:
        fail(ArgumentError("step=0 never reaches stop", op="arange"))
    if (numbers[1] - numbers[0]) * numbers[2] < 0:
        fail(ArgumentError(f"step={step} leads from start={start} away from stop={stop}", op="arange"))
    default = get_default_dtype() if any(isinstance(n, float) for n in numbers) else int64
    return _range("arange", lambda: np.arange(*numbers), default if dtype is None else dtype, requires_grad)


def _finite(op: str, argument: str, value: Any) -> float:
    """A number that is neither infinite nor NaN."""
    number = number_of(op, argument, value)
    if not math.isfinite(number):
        fail(ArgumentError(f"{argument}={number} must be finite", op=op))
    return number


def linspace(
    start: Any,
    stop: Any = None,
    num: Any = None,
    *,
    end: Any = None,
    steps: Any = None,
    dtype: object = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """``num`` numbers from ``start`` to ``stop``, both included, evenly spaced; 50 unless given.

    ``end`` and ``steps`` are PyTorch's names of ``stop`` and ``num``.

    Args:
        start, stop: numbers, or tensors without dimensions.

    Raises:
        ShapeError: an end that has dimensions.
        ArgumentError, ArgumentTypeError: an end that is not a finite number; ``num`` negative or not an int.

    >>> import lucid
    >>> lucid.linspace(0, 1, 5)
    Tensor([0.0, 0.25, 0.5, 0.75, 1.0])
    """
    require_cpu(device)
    stop = either("linspace", stop, end, ("stop", "end"))
    num = either("linspace", num, steps, ("num", "steps"))
    count = _count("linspace", "num", 50 if num is None else num)
    if isinstance(start, Recorded) or isinstance(stop, Recorded):
        ends = _end("linspace", "start", start), _end("linspace", "stop", stop)
        return _as_leaf("linspace", _between(*ends, count), dtype, requires_grad)
    first, last = _finite("linspace", "start", start), _finite("linspace", "stop", stop)
    return _range("linspace", lambda: np.linspace(first, last, count), dtype, requires_grad)


def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: object = None,
    requires_grad: bool = False,
    device: Any = None,
) -> Tensor:
    """``base`` to the powers from ``start`` to ``end``, both included, evenly spaced.

    Args:
        start, end: numbers, or tensors without dimensions.

    Raises:
        ShapeError: an end that has dimensions.
        ArgumentError, ArgumentTypeError: an end that is not a finite number; ``steps`` negative or not an int.

    >>> import lucid
    >>> lucid.logspace(0, 2, 3)
    Tensor([1.0, 10.0, 100.0])
    """
    require_cpu(device)
    count = _count("logspace", "steps", steps)
    number = float(_finite("logspace", "base", base))
    if isinstance(start, Recorded) or isinstance(end, Recorded):
        ends = _end("logspace", "start", start), _end("logspace", "end", end)
        return _as_leaf("logspace", scalar(number, float64) ** _between(*ends, count), dtype, requires_grad)
    first, last = _finite("logspace", "start", start), _finite("logspace", "end", end)
    with np.errstate(all="ignore"):
        powers = lambda: np.power(number, np.linspace(first, last, count))  # noqa: E731
        return _range("logspace", powers, dtype, requires_grad)


def _count(op: str, argument: str, value: Any) -> int:
    count = int_of(op, argument, value)
    if count < 0:
        fail(ArgumentError(f"{argument}={count} must not be negative", op=op))
    return count


def _end(op: str, argument: str, value: Any) -> Tensor:
    """One end of a range, as a float64 tensor without dimensions."""
    if not isinstance(value, Recorded):
        return scalar(float(_finite(op, argument, value)), float64)
    if value.ndim:
        fail(ShapeError(f"{argument} has shape {value.shape}, but it must have no dimensions", op=op))
    return promote(value, float64)  # type: ignore[arg-type]  # Tensor is the only subclass users meet


def _between(first: Tensor, last: Tensor, count: int) -> Tensor:
    """From ``first`` to ``last``, counted from the nearer end: both come out exact."""
    place = apply(ops.iota, axis=0, shape=(count,), dtype=float64)
    near = binary("lt", place, count / 2)
    step = (last - first) / scalar(float(max(count - 1, 1)), float64)
    return apply(ops.where, near, first + step * place, last - step * (count - 1 - place))


def _as_leaf(op: str, x: Tensor, dtype: object, requires_grad: bool) -> Tensor:
    x = promote(x, dtype_of(op, get_default_dtype() if dtype is None else dtype))
    return x.requires_grad_() if requires_grad else x


def eye(
    rows: int, columns: int | None = None, *, dtype: object = None, requires_grad: bool = False, device: Any = None
) -> Tensor:
    """Ones on the diagonal, zeros elsewhere.

    Raises:
        ArgumentTypeError, ArgumentError: sizes that are no ints, or negative.

    >>> import lucid
    >>> lucid.eye(2, 3)
    Tensor([[1.0, 0.0, 0.0],
            [0.0, 1.0, 0.0]])
    """
    require_cpu(device)
    n = int_of("eye", "rows", rows)
    m = n if columns is None else int_of("eye", "columns", columns)
    if min(n, m) < 0:
        fail(ArgumentError(f"rows={n} and columns={m} must not be negative", op="eye"))
    return _range("eye", lambda: np.eye(n, m), dtype, requires_grad)


def _range(op: str, make: Callable[[], Array], dtype: object, requires_grad: bool) -> Tensor:
    element = dtype_of(op, get_default_dtype() if dtype is None else dtype)
    try:
        array = make()
    except (MemoryError, OverflowError, ValueError):  # NumPy's three ways to say so
        fail(out_of_memory(op))
    return _new(array.astype(element), requires_grad)
