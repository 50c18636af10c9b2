"""``FloatTensor`` and its like: how PyTorch made tensors before dtypes were arguments."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lucid.functions.creation import empty, tensor
from lucid.ir.types import DType, bool_, float16, float32, float64, int16, int32, int64, uint8

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "BoolTensor", "ByteTensor", "DoubleTensor", "FloatTensor", "HalfTensor", "IntTensor", "LongTensor", "ShortTensor",
]  # fmt: skip


def _constructor(name: str, dtype: DType) -> Callable[..., Tensor]:
    def make(*data: Any) -> Tensor:
        if len(data) == 1 and not isinstance(data[0], int):
            return tensor(data[0], dtype=dtype)
        return empty(*data, dtype=dtype) if data else empty(0, dtype=dtype)

    make.__name__ = make.__qualname__ = name
    make.__doc__ = f"""A tensor of dtype {dtype.name}: of given data, or of given sizes.

    >>> import lucid
    >>> lucid.{name}([1, 0]).dtype, lucid.{name}(2, 3).shape
    (dtype('{dtype.name}'), (2, 3))
    """
    return make


BoolTensor = _constructor("BoolTensor", bool_)
ByteTensor = _constructor("ByteTensor", uint8)
ShortTensor = _constructor("ShortTensor", int16)
IntTensor = _constructor("IntTensor", int32)
LongTensor = _constructor("LongTensor", int64)
HalfTensor = _constructor("HalfTensor", float16)
FloatTensor = _constructor("FloatTensor", float32)
DoubleTensor = _constructor("DoubleTensor", float64)
