"""Values with no operand (constants, positions), and operations that only mark one: identity and stop_gradient."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError
from lucid.ir.expr import Axis, Expr, Operand, const, index, select
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import DType, Scalar, Shape, TensorType, bool_, float32, float64, int32, is_integer, uint8
from lucid.ops.common import require_supported
from lucid.ops.sampling import SHAPES, smooth, special

Value: TypeAlias = Scalar | tuple[Scalar, ...]


def _check_shape(op: str, shape: Shape) -> None:
    if min(shape, default=0) < 0:
        raise ArgumentError(f"shape={shape} must not be negative", op=op)


class Constant(Op):
    """One number everywhere, or a flat tuple of numbers in C order, as a tensor of ``shape`` and ``dtype``."""

    name = "constant"
    moves = True

    def infer(self, *, value: Value, shape: Shape, dtype: DType) -> TensorType:
        require_supported(self.name, dtype)
        _check_shape(self.name, shape)
        flat = value if isinstance(value, tuple) else (value,)
        if isinstance(value, tuple) and len(value) != math.prod(shape):
            raise ArgumentError(
                f"value has {len(value)} numbers, but shape={shape} has {math.prod(shape)} elements", op=self.name
            )
        for v in flat:
            if not isinstance(v, int | float):
                raise ArgumentTypeError(f"value={v!r} is not a Python number", op=self.name)
            if isinstance(v, float) != isinstance(flat[0], float):
                raise ArgumentTypeError("a tuple must hold floats alone or no float", op=self.name)
            if is_integer(dtype):
                if isinstance(v, float) and not v.is_integer():
                    raise ArgumentTypeError(f"value={v!r} is not a value of dtype {dtype.name}", op=self.name)
                if not np.iinfo(dtype).min <= v <= np.iinfo(dtype).max:
                    raise ArgumentError(f"value={v!r} is out of range for dtype {dtype.name}", op=self.name)
        return TensorType(shape, dtype)

    def evaluate(self, *, value: Value, shape: Shape, dtype: DType) -> Array:
        if isinstance(value, tuple):
            return np.array(value, dtype).reshape(shape)
        return np.full(shape, value, dtype)

    def vjp(self, node: Node, g: Node) -> tuple[()]:
        return ()

    def compute(self, out: tuple[Axis, ...], *, value: Value, shape: Shape, dtype: DType) -> Expr:
        if not isinstance(value, tuple):
            return const(value, dtype)
        position: Expr = index(0)
        for i, n in zip(out, shape, strict=True):
            position = position * n + i
        return _choose(position, value, 0, dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape in SHAPES:
            yield Sample.of(value=1.5, shape=shape, dtype=float32)
        for value in (float("nan"), float("inf"), -0.0, 0.1):
            yield Sample.of(value=value, shape=(3,), dtype=float32)
        yield Sample.of(value=0.1, shape=(2,), dtype=float64)
        yield Sample.of(value=-3, shape=(2,), dtype=int32)
        yield Sample.of(value=True, shape=(2,), dtype=bool_)
        yield Sample.of(value=(1.0, -0.0, 3.5, 4.0, float("inf"), 6.0), shape=(2, 3), dtype=float32)
        yield Sample.of(value=(7,), shape=(), dtype=uint8)
        yield Sample.of(value=(), shape=(0, 2), dtype=float32)

    def bad_samples(self) -> Iterable[BadSample]:
        def attrs(value: object, shape: Shape, dtype: DType) -> dict[str, object]:
            return {"value": value, "shape": shape, "dtype": dtype}

        yield BadSample((), attrs((1, 2), (3,), int32), ArgumentError, ("constant", "2 numbers", "(3,)"))
        yield BadSample((), attrs(300, (), uint8), ArgumentError, ("constant", "300", "uint8"))
        yield BadSample((), attrs(0.5, (), int32), ArgumentTypeError, ("constant", "0.5", "int32"))
        yield BadSample((), attrs((1.0, 2), (2,), float32), ArgumentTypeError, ("constant", "floats alone"))
        yield BadSample((), attrs("1", (), int32), ArgumentTypeError, ("constant", "'1'"))
        yield BadSample((), attrs(1, (-1,), int32), ArgumentError, ("constant", "(-1,)", "negative"))


def _choose(position: Expr, values: Sequence[Scalar], first: int, dtype: DType) -> Expr:
    """``values[position - first]`` by halving."""
    if len(values) <= 1:
        return const(values[0] if values else 0, dtype)
    half = len(values) // 2
    low, high = _choose(position, values[:half], first, dtype), _choose(position, values[half:], first + half, dtype)
    return select(position < first + half, low, high)


class Iota(Op):
    """Every element's position along ``axis``: 0, 1, 2, ..."""

    name = "iota"

    def infer(self, *, axis: int, shape: Shape, dtype: DType) -> TensorType:
        require_supported(self.name, dtype)
        _check_shape(self.name, shape)
        if dtype == bool_:
            raise DTypeError("dtype=bool cannot count positions", op=self.name, hint="use an integer or floating dtype")
        if not 0 <= axis < len(shape):
            raise ArgumentError(f"axis={axis} is out of range for shape={shape}", op=self.name)
        if is_integer(dtype) and shape[axis] - 1 > np.iinfo(dtype).max:
            raise ArgumentError(f"{shape[axis]} positions do not fit into dtype {dtype.name}", op=self.name)
        return TensorType(shape, dtype)

    def evaluate(self, *, axis: int, shape: Shape, dtype: DType) -> Array:
        along = np.arange(shape[axis]).astype(dtype).reshape([-1 if k == axis else 1 for k in range(len(shape))])
        return np.broadcast_to(along, shape)

    def vjp(self, node: Node, g: Node) -> tuple[()]:
        return ()

    def compute(self, out: tuple[Axis, ...], *, axis: int, shape: Shape, dtype: DType) -> Expr:
        return out[axis].cast(dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for axis, shape, dtype in ((0, (17,), float32), (1, (2, 3), float64), (0, (2, 3), int32), (1, (3, 0), uint8)):
            yield Sample.of(axis=axis, shape=shape, dtype=dtype)

    def bad_samples(self) -> Iterable[BadSample]:
        good = {"axis": 0, "shape": (3,), "dtype": float32}
        yield BadSample((), {**good, "axis": 1}, ArgumentError, ("iota", "axis=1", "(3,)"))
        yield BadSample((), {**good, "shape": (-3,)}, ArgumentError, ("iota", "(-3,)", "negative"))
        yield BadSample((), {**good, "dtype": bool_}, DTypeError, ("iota", "bool"))
        yield BadSample((), {**good, "shape": (300,), "dtype": uint8}, ArgumentError, ("iota", "300", "uint8"))


class _Mark(Op):
    """The operand's value, unchanged."""

    moves = True

    def infer(self, x: TensorType) -> TensorType:
        return x

    def evaluate(self, x: Array) -> Array:
        return x

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        return x.load(out)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape in SHAPES:
            yield Sample.of(smooth(rng, shape))
        for dtype in (float64, int32, bool_):
            yield Sample.of(smooth(rng, (4,), dtype))
        yield Sample.of(special(float32))


class Identity(_Mark):
    """``x``, kept as a node of its own: passes leave it where it is, so hooks can hang on it."""

    name = "identity"
    opaque = True

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g,)


class StopGradient(_Mark):
    """``x``, through which no gradient flows."""

    name = "stop_gradient"
    differentiable = False

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)


constant = Constant()
iota = Iota()
identity = Identity()
stop_gradient = StopGradient()
