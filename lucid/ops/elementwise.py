"""The families of elementwise operations: one value out per position, operands broadcast like NumPy's.

A member states its NumPy ufunc, its name in index expressions and its derivative; types, evaluation, samples and
refusals are the family's. Operands of one call share a dtype: promotion is the Tensor API's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np

from lucid.errors import DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, binary, unary
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import DType, TensorType, bool_, float32, float64, int32
from lucid.ops.common import as_array, broadcast_shape, quiet, require_kind, require_same_dtype
from lucid.ops.sampling import BY_KIND, SHAPE_PAIRS, SHAPES, smooth, special, special_pairs

_REFUSED: dict[str, DType] = {"b": bool_, "i": int32, "u": np.dtype(np.uint8), "f": float32}


def _refused_dtype(kinds: str) -> DType | None:
    """A dtype whose kind is not among ``kinds``, if there is one."""
    return next((dtype for kind, dtype in _REFUSED.items() if kind not in kinds), None)


class UnaryOp(Op):
    """One operand, one value per element, of the operand's dtype."""

    #: Letters of ``dtype.kind`` it takes.
    kinds: ClassVar[str] = "f"
    #: What it means on arrays.
    ufunc: ClassVar[Callable[..., Any]]
    #: Its name in index expressions.
    code: ClassVar[str]

    def infer(self, x: TensorType) -> TensorType:
        require_kind(self.name, self.kinds, x=x)
        return x

    @quiet
    def evaluate(self, x: Array) -> Array:
        return as_array(self.ufunc(x))

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        return unary(self.code, x.broadcast(out))

    def draw(self, rng: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
        """A sample operand inside the op's domain and off its kinks."""
        return smooth(rng, shape, dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        main = BY_KIND["f"] if "f" in self.kinds else BY_KIND[self.kinds[0]]
        for shape in SHAPES:
            yield Sample.of(self.draw(rng, shape, main))
        if "f" in self.kinds:
            yield Sample.of(self.draw(rng, (5,), float64))
        for kind in self.kinds:
            yield Sample.of(self.draw(rng, (7,), BY_KIND[kind]))
            yield Sample.of(special(BY_KIND[kind]))

    def bad_samples(self) -> Iterable[BadSample]:
        bad = _refused_dtype(self.kinds)
        if bad is not None:
            yield BadSample((TensorType((3,), bad),), {}, DTypeError, (self.name, bad.name))
            yield BadSample((TensorType((), bad),), {}, DTypeError, (self.name, "x has dtype"))


class BinaryOp(Op):
    """Two operands of one dtype, broadcast against each other."""

    #: Letters of ``dtype.kind`` it takes.
    kinds: ClassVar[str] = "iuf"
    #: What it means on arrays.
    ufunc: ClassVar[Callable[..., Any]]
    #: Its name in index expressions.
    code: ClassVar[str]

    def result_dtype(self, operand: DType) -> DType:
        return operand

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        dtype = require_same_dtype(self.name, a=a, b=b)
        require_kind(self.name, self.kinds, a=a)
        return TensorType(broadcast_shape(self.name, a, b), self.result_dtype(dtype))

    @quiet
    def evaluate(self, a: Array, b: Array) -> Array:
        return as_array(self.ufunc(a, b))

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        return binary(self.code, a.broadcast(out), b.broadcast(out))

    def draw(
        self, rng: np.random.Generator, shapes: tuple[Sequence[int], Sequence[int]], dtype: DType
    ) -> tuple[Array, Array]:
        """Sample operands inside the op's domain and off its kinks."""
        return smooth(rng, shapes[0], dtype), smooth(rng, shapes[1], dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        main = BY_KIND["f"] if "f" in self.kinds else BY_KIND[self.kinds[0]]
        for shapes in SHAPE_PAIRS:
            yield Sample.of(*self.draw(rng, shapes, main))
        if "f" in self.kinds:
            yield Sample.of(*self.draw(rng, ((5,), (5,)), float64))
        for kind in self.kinds:
            yield Sample.of(*self.draw(rng, ((2, 7), (7,)), BY_KIND[kind]))
            yield Sample.of(*special_pairs(BY_KIND[kind]))

    def bad_samples(self) -> Iterable[BadSample]:
        t = TensorType((3,), BY_KIND[self.kinds[-1]])
        yield BadSample((t, t.with_shape((4,))), {}, ShapeError, (self.name, "(3,)", "(4,)", "broadcast"))
        yield BadSample(
            (t.with_dtype(int32), t.with_dtype(float32)), {}, DTypeError, (self.name, "a is int32", "b is float32")
        )
        bad = _refused_dtype(self.kinds)
        if bad is not None:
            yield BadSample((t.with_dtype(bad), t.with_dtype(bad)), {}, DTypeError, (self.name, bad.name))


class ComparisonOp(BinaryOp):
    """A binary operation whose result is bool; gradients stop there."""

    kinds = "biuf"
    differentiable = False

    def result_dtype(self, operand: DType) -> DType:
        return bool_

    def vjp(self, node: Node, g: Node) -> tuple[None, None]:
        return None, None
