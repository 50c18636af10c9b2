"""Questions about dtypes, and dtypes by other names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.default_dtype import get_default_dtype
from lucid.eager import Recorded
from lucid.errors import DTypeError
from lucid.functions.arguments import dtype_of, fail
from lucid.functions.elementwise import cast
from lucid.ir.types import DType, is_float, limits_of
from lucid.promotion import as_tensor, common_dtype, python_number, rank_of, together, weak_dtype

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "astype",
    "can_cast",
    "finfo",
    "iinfo",
    "is_floating_point",
    "is_tensor",
    "numel",
    "promote_types",
    "result_type",
]


def astype(x: Any, dtype: object) -> Tensor:
    """``x`` as another dtype.

    Raises:
        DTypeError: no element type that Lucid supports.

    >>> import lucid
    >>> lucid.astype(lucid.tensor([1.7, -1.7]), lucid.int32).tolist()
    [1, -1]
    """
    return cast(x, dtype)


def promote_types(type1: object, type2: object) -> DType:
    """The dtype in which tensors of two dtypes meet.

    Raises:
        DTypeError: an element type that Lucid does not support.

    >>> import lucid
    >>> lucid.promote_types("int64", "float32")
    dtype('float32')
    """
    return common_dtype(dtype_of("promote_types", type1), dtype_of("promote_types", type2))


def result_type(tensor1: Any, tensor2: Any) -> DType:
    """The dtype of what an operation makes of two tensors, or of a tensor and a number.

    >>> import lucid
    >>> lucid.result_type(lucid.tensor([1, 2]), 1.0)
    dtype('float32')
    """
    numbers = [python_number(t) for t in (tensor1, tensor2)]
    if numbers[0] is not None and numbers[1] is not None:
        return weak_dtype(as_tensor(tensor1).dtype, numbers[1])
    return together(tensor1, tensor2, "result_type")[0].dtype


def can_cast(from_: object, to: object) -> bool:
    """Whether a tensor of one dtype can take values of another in place: no floats as integers, no numbers as bools.

    Raises:
        DTypeError: no element types that Lucid supports.

    >>> import lucid
    >>> lucid.can_cast(lucid.int64, lucid.float32), lucid.can_cast(lucid.float32, lucid.int64)
    (True, False)
    """
    return rank_of(dtype_of("can_cast", from_)) <= rank_of(dtype_of("can_cast", to))


def finfo(type: object = None) -> Any:
    """The limits of a floating dtype, the default one unless given: ``eps``, ``max``, ``min``, ``tiny``, ``bits``, ...

    Raises:
        DTypeError: the dtype is not floating.

    >>> import lucid
    >>> lucid.finfo(lucid.float32).bits
    32
    """
    dtype = get_default_dtype() if type is None else dtype_of("finfo", type)
    if not is_float(dtype):
        fail(
            DTypeError(f"dtype={dtype.name} is not floating", op="finfo", hint="lucid.iinfo has the limits of integers")
        )
    return limits_of(dtype)


def iinfo(type: object) -> np.iinfo[Any]:
    """The limits of an integer dtype: ``max``, ``min``, ``bits``.

    Raises:
        DTypeError: the dtype is not an integer's.

    >>> import lucid
    >>> lucid.iinfo("int8").max
    127
    """
    dtype = dtype_of("iinfo", type)
    if dtype.kind not in "iu":
        fail(DTypeError(f"dtype={dtype.name} is not an integer's", op="iinfo", hint="lucid.finfo has those of floats"))
    return np.iinfo(dtype)


def is_tensor(obj: Any) -> bool:
    """Whether ``obj`` is a tensor.

    >>> import lucid
    >>> lucid.is_tensor(lucid.ones(2)), lucid.is_tensor([1.0])
    (True, False)
    """
    return isinstance(obj, Recorded)


def is_floating_point(input: Any) -> bool:
    """Whether the tensor's dtype is floating.

    >>> import lucid
    >>> lucid.is_floating_point(lucid.ones(2)), lucid.is_floating_point(lucid.tensor([1]))
    (True, False)
    """
    return is_float(as_tensor(input, "is_floating_point").dtype)


def numel(input: Any) -> int:
    """The number of elements.

    >>> import lucid
    >>> lucid.numel(lucid.ones(2, 3))
    6
    """
    return as_tensor(input, "numel").type.size
