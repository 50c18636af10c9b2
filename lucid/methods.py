"""The functions of ``lucid.functions`` as methods of a tensor. Each is documented where it is defined."""

from __future__ import annotations

import builtins
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lucid.eager import Recorded, apply
from lucid.errors import ArgumentTypeError, MissingAttributeError
from lucid.functions import elementwise, indexing, linalg, memory, movement, reductions
from lucid.functions.arguments import fail
from lucid.ir.graph import OPS
from lucid.ir.types import as_dtype, bool_, float32, float64, int32, int64
from lucid.promotion import binary, cast

if TYPE_CHECKING:
    from lucid.tensor import Tensor

#: NumPy's names of what the tensor does by itself.
_BINARY_UFUNCS = {
    "add": "add", "subtract": "sub", "multiply": "mul", "divide": "div", "floor_divide": "floordiv", "remainder": "mod",
    "power": "pow", "maximum": "maximum", "minimum": "minimum", "less": "lt", "less_equal": "le", "greater": "gt",
    "greater_equal": "ge", "equal": "eq", "not_equal": "ne", "matmul": "matmul", "bitwise_and": "bitwise_and",
    "bitwise_or": "bitwise_or", "bitwise_xor": "bitwise_xor", "left_shift": "left_shift", "right_shift": "right_shift",
}  # fmt: skip
_UNARY_UFUNCS: dict[str, Any] = {
    "exp": elementwise.exp, "expm1": elementwise.expm1, "log": elementwise.log, "log1p": elementwise.log1p,
    "sqrt": elementwise.sqrt, "square": elementwise.square, "sin": elementwise.sin, "cos": elementwise.cos,
    "tanh": elementwise.tanh, "absolute": elementwise.abs, "negative": elementwise.neg, "sign": elementwise.sign,
    "floor": elementwise.floor, "ceil": elementwise.ceil, "rint": elementwise.round, "isnan": elementwise.isnan,
    "isinf": elementwise.isinf, "isfinite": elementwise.isfinite, "logical_not": elementwise.logical_not,
}  # fmt: skip


class Methods(Recorded):
    """Arithmetic, elementwise functions, reductions and movements, as methods."""

    __array_priority__ = 1000

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Tensor:
        """NumPy leaves work on mixed operands to the tensor: ``array + x`` and ``np.exp(x)`` are tensors."""
        name: str = ufunc.__name__
        known = method == "__call__" and not kwargs and (name in _BINARY_UFUNCS or name in _UNARY_UFUNCS)
        if not known:
            what = f"NumPy's {name}" + (f".{method}" if method != "__call__" else " with out=" * ("out" in kwargs))
            fail(
                ArgumentTypeError(
                    f"{what} cannot be applied to a tensor",
                    op=name,
                    hint="use Lucid's own functions, or x.numpy() for an array",
                )
            )
        if name in _UNARY_UFUNCS:
            return _UNARY_UFUNCS[name](*inputs)  # type: ignore[no-any-return]  # functions of tensors
        return linalg.matmul(*inputs) if name == "matmul" else binary(_BINARY_UFUNCS[name], *inputs)

    # --- operators (the rest are in lucid.ir.operators) ---
    def _binary(self, name: str, other: Any, reflected: bool = False) -> Tensor:
        if name == "matmul":
            return linalg.matmul(other, self) if reflected else linalg.matmul(self, other)
        return binary(name, other, self) if reflected else binary(name, self, other)

    def _unary(self, name: str) -> Tensor:
        if name == "logical_not" and self.dtype != bool_:
            name = "bitwise_not"
        return apply(OPS[name], self)

    def __add__(self, other: Any) -> Tensor:
        return binary("add", self, other)

    def __mul__(self, other: Any) -> Tensor:
        return binary("mul", self, other)

    def __sub__(self, other: Any) -> Tensor:
        return binary("sub", self, other)

    def __truediv__(self, other: Any) -> Tensor:
        return binary("div", self, other)

    def __pow__(self, other: Any) -> Tensor:
        return elementwise.pow(self, other)

    def __eq__(self, other: object) -> Tensor:  # type: ignore[override]  # elementwise, as in NumPy
        return self._compare("eq", other)

    def __ne__(self, other: object) -> Tensor:  # type: ignore[override]  # elementwise, as in NumPy
        return self._compare("ne", other)

    def _compare(self, name: str, other: object) -> Tensor:
        try:
            return binary(name, self, other)
        except ArgumentTypeError:
            return NotImplemented  # type: ignore[no-any-return]  # Python then compares identities: a tensor is not equal to None or a string

    def __hash__(self) -> int:
        return id(self) >> 4

    def __getitem__(self, key: Any) -> Tensor:
        return indexing.getitem(self, key)  # type: ignore[arg-type]  # Tensor is the only subclass users meet

    def __setitem__(self, key: Any, value: Any) -> None:
        fail(
            ArgumentTypeError(
                "tensors are not written in place, so that recorded graphs stay true",
                op="setitem",
                hint="build the new value with lucid.where, lucid.concat or pad; x.copy_(new) replaces a whole leaf",
            )
        )

    def __delitem__(self, key: Any) -> None:
        fail(
            ArgumentTypeError(
                "elements of a tensor cannot be deleted",
                op="delitem",
                hint="take the ones to keep: lucid.concat([x[:k], x[k + 1:]])",
            )
        )

    @property
    def data(self) -> Any:
        """Not there: reading or writing it would go around the recorded graph."""
        fail(
            MissingAttributeError(
                "a tensor has no attribute 'data'",
                op="Tensor",
                hint="x.detach() and x.numpy() show the values; x.copy_(new) replaces those of a leaf",
            )
        )

    @data.setter
    def data(self, value: Any) -> None:
        self.data  # noqa: B018  # raises

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            fail(ArgumentTypeError("a 0-d tensor cannot be iterated over", op="iter", hint="use x.item()"))
        return (self[k] for k in range(self.shape[0]))

    @property
    def T(self) -> Tensor:
        """The axes in reverse order."""
        return movement.transpose(self)

    @property
    def mT(self) -> Tensor:
        """The last two axes exchanged."""
        return movement.swapaxes(self, -1, -2)

    # --- elementwise ---
    def exp(self) -> Tensor:
        return elementwise.exp(self)

    def expm1(self) -> Tensor:
        return elementwise.expm1(self)

    def log(self) -> Tensor:
        return elementwise.log(self)

    def log1p(self) -> Tensor:
        return elementwise.log1p(self)

    def sqrt(self) -> Tensor:
        return elementwise.sqrt(self)

    def rsqrt(self) -> Tensor:
        return elementwise.rsqrt(self)

    def square(self) -> Tensor:
        return elementwise.square(self)

    def sin(self) -> Tensor:
        return elementwise.sin(self)

    def cos(self) -> Tensor:
        return elementwise.cos(self)

    def tanh(self) -> Tensor:
        return elementwise.tanh(self)

    def erf(self) -> Tensor:
        return elementwise.erf(self)

    def sigmoid(self) -> Tensor:
        return elementwise.sigmoid(self)

    def relu(self) -> Tensor:
        return elementwise.relu(self)

    def abs(self) -> Tensor:
        return elementwise.abs(self)

    def neg(self) -> Tensor:
        return elementwise.neg(self)

    def sign(self) -> Tensor:
        return elementwise.sign(self)

    def floor(self) -> Tensor:
        return elementwise.floor(self)

    def ceil(self) -> Tensor:
        return elementwise.ceil(self)

    def round(self) -> Tensor:
        return elementwise.round(self)

    def isnan(self) -> Tensor:
        return elementwise.isnan(self)

    def isinf(self) -> Tensor:
        return elementwise.isinf(self)

    def isfinite(self) -> Tensor:
        return elementwise.isfinite(self)

    def add(self, other: Any) -> Tensor:
        return binary("add", self, other)

    def sub(self, other: Any) -> Tensor:
        return binary("sub", self, other)

    def mul(self, other: Any) -> Tensor:
        return binary("mul", self, other)

    def div(self, other: Any) -> Tensor:
        return binary("div", self, other)

    def pow(self, exponent: Any) -> Tensor:
        return elementwise.pow(self, exponent)

    def maximum(self, other: Any) -> Tensor:
        return elementwise.maximum(self, other)

    def minimum(self, other: Any) -> Tensor:
        return elementwise.minimum(self, other)

    def clip(self, min: Any = None, max: Any = None) -> Tensor:
        return elementwise.clip(self, min, max)

    clamp = clip

    def where(self, condition: Any, other: Any) -> Tensor:
        """``self`` where ``condition`` holds, else ``other``."""
        return elementwise.where(condition, self, other)

    # --- dtype ---
    def astype(self, dtype: object) -> Tensor:
        return elementwise.cast(self, dtype)

    def to(self, dtype: object = None, *, memory_format: memory.MemoryFormat = memory.preserve_format) -> Tensor:
        """Another dtype, as ``astype``, or another order in memory, as ``contiguous``. There is one device."""
        result = self if dtype is None else elementwise.cast(self, dtype)
        return memory.contiguous(result, memory_format)  # type: ignore[arg-type]  # Tensor is the only subclass users meet

    def contiguous(self, memory_format: memory.MemoryFormat = memory.contiguous_format) -> Tensor:
        return memory.contiguous(self, memory_format)  # type: ignore[arg-type]  # as above

    def is_contiguous(self, memory_format: memory.MemoryFormat = memory.contiguous_format) -> builtins.bool:
        return memory.is_contiguous(self, memory_format)  # type: ignore[arg-type]  # as above

    def type_as(self, other: Tensor) -> Tensor:
        return elementwise.cast(self, other.dtype)

    def float(self) -> Tensor:
        return self._cast(float32)

    def double(self) -> Tensor:
        return self._cast(float64)

    def int(self) -> Tensor:
        return self._cast(int32)

    def long(self) -> Tensor:
        return self._cast(int64)

    def bool(self) -> Tensor:
        return self._cast(bool_)

    def _cast(self, dtype: object) -> Tensor:
        return cast(self, as_dtype(dtype))  # type: ignore[arg-type]  # Tensor is the only subclass users meet

    # --- reductions ---
    def sum(
        self, axis: Any = None, keepdims: Any = False, *, dtype: object = None, dim: Any = None, keepdim: Any = False
    ) -> Tensor:
        return reductions.sum(self, axis, keepdims, dtype=dtype, dim=dim, keepdim=keepdim)

    def prod(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        return reductions.prod(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def mean(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        return reductions.mean(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def var(
        self, axis: Any = None, keepdims: Any = False, *, correction: Any = 0, dim: Any = None, keepdim: Any = False
    ) -> Tensor:
        return reductions.var(self, axis, keepdims, correction=correction, dim=dim, keepdim=keepdim)

    def std(
        self, axis: Any = None, keepdims: Any = False, *, correction: Any = 0, dim: Any = None, keepdim: Any = False
    ) -> Tensor:
        return reductions.std(self, axis, keepdims, correction=correction, dim=dim, keepdim=keepdim)

    def max(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        return reductions.max(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def min(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        return reductions.min(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def argmax(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        return reductions.argmax(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def argmin(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        return reductions.argmin(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def all(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        return reductions.all(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def any(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        return reductions.any(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def logsumexp(self, axis: Any = None, keepdims: Any = False, *, dim: Any = None, keepdim: Any = False) -> Tensor:
        return reductions.logsumexp(self, axis, keepdims, dim=dim, keepdim=keepdim)

    def softmax(self, axis: Any = None, *, dim: Any = None) -> Tensor:
        return reductions.softmax(self, axis, dim=dim)

    def log_softmax(self, axis: Any = None, *, dim: Any = None) -> Tensor:
        return reductions.log_softmax(self, axis, dim=dim)

    # --- movement ---
    def reshape(self, *shape: Any) -> Tensor:
        return movement.reshape(self, *shape)

    view = reshape

    def flatten(self, start_dim: Any = 0, end_dim: Any = -1) -> Tensor:
        return movement.flatten(self, start_dim, end_dim)

    def squeeze(self, axis: Any = None, *, dim: Any = None) -> Tensor:
        return movement.squeeze(self, axis, dim=dim)

    def unsqueeze(self, axis: Any = None, *, dim: Any = None) -> Tensor:
        return movement.unsqueeze(self, axis, dim=dim)

    def transpose(self, *axes: Any) -> Tensor:
        return movement.transpose(self, *axes)

    def permute(self, *order: Any) -> Tensor:
        return movement.permute(self, *order)

    def swapaxes(self, axis0: Any, axis1: Any) -> Tensor:
        return movement.swapaxes(self, axis0, axis1)

    def moveaxis(self, source: Any, destination: Any) -> Tensor:
        return movement.moveaxis(self, source, destination)

    def broadcast_to(self, *shape: Any) -> Tensor:
        return movement.broadcast_to(self, *shape)

    def expand(self, *shape: Any) -> Tensor:
        return movement.expand(self, *shape)

    def tile(self, *repeats: Any) -> Tensor:
        return movement.tile(self, *repeats)

    repeat = tile

    def flip(self, axis: Any = None, *, dim: Any = None, dims: Any = None) -> Tensor:
        return movement.flip(self, axis, dim=dim, dims=dims)

    def pad(self, pad_width: Any, value: Any = 0) -> Tensor:
        return movement.pad(self, pad_width, value)

    def split(self, sizes: Any, axis: Any = 0, *, dim: Any = None) -> list[Tensor]:
        return movement.split(self, sizes, axis, dim=dim)

    def chunk(self, chunks: Any, axis: Any = 0, *, dim: Any = None) -> list[Tensor]:
        return movement.chunk(self, chunks, axis, dim=dim)

    def take(self, indices: Any, axis: Any = 0, *, dim: Any = None) -> Tensor:
        return indexing.take(self, indices, axis, dim=dim)

    def matmul(self, other: Any) -> Tensor:
        return linalg.matmul(self, other)

    def dot(self, other: Any) -> Tensor:
        return linalg.dot(self, other)
