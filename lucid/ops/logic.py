"""Elementwise operations that decide or handle bits: comparisons, and/or/xor, shifts, and ``where``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lucid.errors import DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, select
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import DType, TensorType, bool_, float32, float64, int32
from lucid.ops.common import as_array, broadcast_shape, require_kind, require_same_dtype, unbroadcast, zero
from lucid.ops.elementwise import BinaryOp, ComparisonOp
from lucid.ops.sampling import SHAPE_PAIRS, integers, smooth, special_pairs


class Lt(ComparisonOp):
    """``a < b``; false if either is NaN."""

    name = "lt"
    ufunc = np.less
    code = "lt"


class Le(ComparisonOp):
    """``a <= b``; false if either is NaN."""

    name = "le"
    ufunc = np.less_equal
    code = "le"


class Eq(ComparisonOp):
    """``a == b``; NaN equals nothing."""

    name = "eq"
    ufunc = np.equal
    code = "eq"


class Ne(ComparisonOp):
    """``a != b``; NaN differs from everything."""

    name = "ne"
    ufunc = np.not_equal
    code = "ne"


class _BitwiseOp(BinaryOp):
    """Bit by bit on integers, logical on truth values."""

    kinds = "biu"
    differentiable = False

    def vjp(self, node: Node, g: Node) -> tuple[None, None]:
        return None, None


class BitwiseAnd(_BitwiseOp):
    """``a & b``."""

    name = "bitwise_and"
    ufunc = np.bitwise_and
    code = "and"


class BitwiseOr(_BitwiseOp):
    """``a | b``."""

    name = "bitwise_or"
    ufunc = np.bitwise_or
    code = "or"


class BitwiseXor(_BitwiseOp):
    """``a ^ b``."""

    name = "bitwise_xor"
    ufunc = np.bitwise_xor
    code = "xor"


class _Shift(_BitwiseOp):
    """A shift by a count from 0 to the number of bits less 1; any other count shifts every bit out."""

    kinds = "iu"

    def draw(
        self, rng: np.random.Generator, shapes: tuple[Sequence[int], Sequence[int]], dtype: DType
    ) -> tuple[Array, Array]:
        return integers(rng, shapes[0], dtype), np.asarray(rng.integers(0, 8 * dtype.itemsize, shapes[1]), dtype)


def _in_range(count: Expr) -> Expr:
    """True where a machine can shift by ``count``."""
    bits = 8 * count.dtype.itemsize
    return count < bits if count.dtype.kind == "u" else (count < bits) & (count >= 0)


class LeftShift(_Shift):
    """``a << b``; 0 when the count is negative or no less than the number of bits."""

    name = "left_shift"
    ufunc = np.left_shift

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        x, count = a.broadcast(out), b.broadcast(out)
        possible = _in_range(count)
        return select(possible, x << select(possible, count, 0), 0)


class RightShift(_Shift):
    """``a >> b``; only the sign (0 if unsigned) is left when the count is negative or not below the number of bits."""

    name = "right_shift"
    ufunc = np.right_shift

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        x, count = a.broadcast(out), b.broadcast(out)
        possible = _in_range(count)
        if a.dtype.kind == "u":
            return select(possible, x >> select(possible, count, 0), 0)
        return x >> select(possible, count, 8 * a.dtype.itemsize - 1)


class Where(Op):
    """``a`` where the bool ``condition`` holds, else ``b``; the three broadcast together."""

    name = "where"
    moves = True

    def infer(self, condition: TensorType, a: TensorType, b: TensorType) -> TensorType:
        require_kind(self.name, "b", condition=condition)
        dtype = require_same_dtype(self.name, a=a, b=b)
        return TensorType(broadcast_shape(self.name, condition, a, b), dtype)

    def evaluate(self, condition: Array, a: Array, b: Array) -> Array:
        return as_array(np.where(condition, a, b))

    def vjp(self, node: Node, g: Node) -> tuple[None, Node, Node]:
        condition, a, b = node.inputs
        return None, unbroadcast(where(condition, g, zero(g)), a), unbroadcast(where(condition, zero(g), g), b)

    def compute(self, out: tuple[Axis, ...], condition: Operand, a: Operand, b: Operand) -> Expr:
        return select(condition.broadcast(out), a.broadcast(out), b.broadcast(out))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        def arguments(c: Sequence[int], a: Sequence[int], b: Sequence[int], dtype: Any = float32) -> Sample:
            return Sample.of(smooth(rng, c, bool_), smooth(rng, a, dtype), smooth(rng, b, dtype))

        for first, second in SHAPE_PAIRS:
            yield arguments(first, first, second)
            yield arguments(second, (), first)
        for dtype in (float64, int32, bool_):
            yield arguments((7,), (7,), (1,), dtype)
        a, b = special_pairs(float32)
        yield Sample.of(smooth(rng, a.shape, bool_), a, b)

    def bad_samples(self) -> Iterable[BadSample]:
        c, x = TensorType((3,), bool_), TensorType((3,), float32)
        yield BadSample((x, x, x), {}, DTypeError, ("where", "condition", "float32", "bool"))
        yield BadSample((c, x, x.with_dtype(int32)), {}, DTypeError, ("where", "a is float32", "b is int32"))
        yield BadSample((c.with_shape((4,)), x, x), {}, ShapeError, ("where", "(4,)", "(3,)"))


lt = Lt()
le = Le()
eq = Eq()
ne = Ne()
bitwise_and = BitwiseAnd()
bitwise_or = BitwiseOr()
bitwise_xor = BitwiseXor()
left_shift = LeftShift()
right_shift = RightShift()
where = Where()
