"""What a value is: its shape and element type. Knows nothing of operations or of memory.

A ``TensorType`` is interned, so equal types are the same object: comparing and hashing one costs a pointer, which is
what lets eager calls look up their inferred result in a dictionary.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any, ClassVar, TypeAlias
from weakref import WeakValueDictionary

import numpy as np

from lucid.errors import DTypeError, ShapeError

ml_dtypes: Any = None
with suppress(ImportError):  # bfloat16 is not NumPy's own
    ml_dtypes = import_module("ml_dtypes")

DType: TypeAlias = np.dtype[Any]
Shape: TypeAlias = tuple[int, ...]
Scalar: TypeAlias = bool | int | float

bool_: DType = np.dtype(np.bool_)
uint8: DType = np.dtype(np.uint8)
int8: DType = np.dtype(np.int8)
int16: DType = np.dtype(np.int16)
int32: DType = np.dtype(np.int32)
int64: DType = np.dtype(np.int64)
uint32: DType = np.dtype(np.uint32)
uint64: DType = np.dtype(np.uint64)
float32: DType = np.dtype(np.float32)
float64: DType = np.dtype(np.float64)
float16: DType = np.dtype(np.float16)
#: None where the package ml_dtypes is not installed.
bfloat16: DType | None = None if ml_dtypes is None else np.dtype(ml_dtypes.bfloat16)

#: Short names used in IR texts, in promotion order.
SHORT_NAMES: dict[DType, str] = {
    bool_: "bool",
    uint8: "u8",
    int8: "i8",
    int16: "i16",
    int32: "i32",
    int64: "i64",
    uint32: "u32",
    uint64: "u64",
    float32: "f32",
    float64: "f64",
    float16: "f16",
}
if bfloat16 is not None:
    SHORT_NAMES[bfloat16] = "bf16"
BY_SHORT_NAME: dict[str, DType] = {name: dtype for dtype, name in SHORT_NAMES.items()}

#: Floats that are stored and moved as they are, and computed with in float32.
HALVES: frozenset[DType] = frozenset(d for d in (float16, bfloat16) if d is not None)


def as_dtype(value: object) -> DType:
    """The ``DType`` meant by a dtype, a NumPy scalar type, a name (``"float32"``, ``"f32"``) or ``bool/int/float``.

    Raises:
        DTypeError: the value names no element type that Lucid supports.

    >>> import lucid
    >>> lucid.as_dtype("f32"), lucid.as_dtype(int)
    (dtype('float32'), dtype('int64'))
    """
    if value is float:
        return float32
    if isinstance(value, str) and value in BY_SHORT_NAME:
        return BY_SHORT_NAME[value]
    if bfloat16 is None and value in ("bfloat16", "bf16"):
        raise missing_bfloat16()
    try:  # NumPy would take None for float64
        dtype: DType | None = None if value is None else np.dtype(value)  # type: ignore[call-overload]  # any object
    except (TypeError, ValueError, SyntaxError):
        dtype = None
    if dtype is None or dtype not in SHORT_NAMES:
        names = ", ".join(d.name for d in SHORT_NAMES)
        shown = value.name if isinstance(value, np.dtype) else repr(value)
        raise DTypeError(f"dtype={shown} is not supported", op="dtype", hint=f"use one of {names}")
    return dtype


def missing_bfloat16() -> DTypeError:
    """The error for a wish for bfloat16 where there is none."""
    return DTypeError("bfloat16 needs the package ml_dtypes", op="dtype", hint="pip install ml_dtypes")


def kind_of(dtype: DType) -> str:
    """``dtype.kind``, and "f" for bfloat16: NumPy gives types from other packages the kind V."""
    return "f" if is_float(dtype) else dtype.kind


def is_float(dtype: DType) -> bool:
    return dtype.kind == "f" or (dtype.kind == "V" and dtype in HALVES)


def is_half(dtype: DType) -> bool:
    """True for float16 and bfloat16."""
    return dtype in HALVES


def limits_of(dtype: DType) -> Any:
    """``eps``, ``max``, ``tiny`` and the other limits of a floating dtype."""
    return np.finfo(dtype) if dtype.kind == "f" else ml_dtypes.finfo(dtype)


def is_integer(dtype: DType) -> bool:
    """True for signed and unsigned integers; bool is neither integer nor float."""
    return dtype.kind in "iu"


class TensorType:
    """Shape and dtype of a tensor value; interned, immutable, compared by identity.

    >>> TensorType((2, 3), float32)
    f32[2,3]
    """

    __slots__ = ("__weakref__", "dtype", "ndim", "shape", "size")
    shape: Shape
    dtype: DType
    ndim: int
    size: int

    _interned: ClassVar[WeakValueDictionary[tuple[Shape, DType], TensorType]] = WeakValueDictionary()

    def __new__(cls, shape: Sequence[int], dtype: DType) -> TensorType:
        key = (tuple(shape), dtype)
        found = cls._interned.get(key)
        if found is not None:
            return found
        self = super().__new__(cls)
        # Plain ints, whatever integer type the caller had: shapes are printed and hashed.
        self.shape = tuple(int(n) for n in key[0])
        self.dtype = dtype
        self.ndim = len(self.shape)
        size = 1
        for n in self.shape:
            size *= n
        self.size = size
        return cls._interned.setdefault((self.shape, dtype), self)

    def with_shape(self, shape: Sequence[int]) -> TensorType:
        return TensorType(shape, self.dtype)

    def with_dtype(self, dtype: DType) -> TensorType:
        return TensorType(self.shape, dtype)

    def __repr__(self) -> str:
        return f"{SHORT_NAMES[self.dtype]}[{','.join(map(str, self.shape))}]"

    def __reduce__(self) -> tuple[Any, ...]:
        return TensorType, (self.shape, self.dtype)


def require_addressable(op: str, type: TensorType) -> None:
    """Refuse a type that no memory can hold.

    Raises:
        ShapeError: it takes 2**63 bytes or more.
    """
    if type.size * type.dtype.itemsize >= 2**63:
        raise ShapeError(f"the result of shape {type.shape} would have {type.size} elements: no memory holds it", op=op)


def type_of(array: np.ndarray[Any, Any]) -> TensorType:
    """The type of a NumPy array."""
    return TensorType(array.shape, array.dtype)
