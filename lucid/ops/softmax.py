"""Softmax and its logarithm along one axis, shifted by the largest element so that nothing overflows."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lucid.errors import ArgumentError, DTypeError
from lucid.ir.expr import Axis, Expr, Operand, Reduce, const, unary
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import TensorType, float32, float64, int32
from lucid.ops.common import quiet, require_float
from lucid.ops.reduce import sum_
from lucid.ops.sampling import smooth, special
from lucid.ops.unary import exp


def _shifted(x: Array, axis: int) -> Array:
    """``x`` less its largest element along ``axis``."""
    shifted: Array = x - np.max(x, axis=axis, keepdims=True)
    return shifted


class _Softmax(Op):
    """What the two share: types, the shifted exponentials, samples."""

    def infer(self, x: TensorType, *, axis: int) -> TensorType:
        require_float(self.name, x=x)
        if not 0 <= axis < x.ndim:
            raise ArgumentError(f"axis={axis} is out of range for {x.ndim} dimensions", op=self.name)
        return x

    def parts(self, out: tuple[Axis, ...], x: Operand, axis: int) -> tuple[Expr, Expr]:
        """The shifted element at ``out``, and the sum of all shifted exponentials along ``axis``."""

        def at(i: Axis) -> Expr:
            return x.load([i if k == axis else o for k, o in enumerate(out)])

        m, k = Axis("m", x.shape[axis]), Axis("k", x.shape[axis])
        largest = Reduce("max", (m,), at(m))
        return at(out[axis]) - largest, Reduce("sum", (k,), unary("exp", at(k) - largest))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, axis in (
            ((17,), 0),
            ((5, 18), 1),
            ((4, 7), 0),
            ((2, 3, 5), 1),
            ((3, 1), 1),
            ((0, 3), 1),
            ((3, 0), 1),
        ):
            yield Sample.of(smooth(rng, shape), axis=axis)
        yield Sample.of(smooth(rng, (4, 5), float64), axis=1)
        yield Sample.of(np.array([[1e4, 1e4, -1e4], [-200, 0, 100]], np.float32), axis=1)
        inf = np.inf
        rows = [[-inf, 0, 1], [-inf, -inf, -inf], [inf, 0, 1], [np.nan, 0, 1]]
        yield Sample.of(np.array(rows, np.float32), axis=1)
        yield Sample.of(special(float32), axis=0)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2, 3), float32)
        yield BadSample((x,), {"axis": 2}, ArgumentError, (self.name, "axis=2", "2 dimensions"))
        yield BadSample((x.with_dtype(int32),), {"axis": 1}, DTypeError, (self.name, "x has dtype int32"))


class Softmax(_Softmax):
    """``exp(x) / sum(exp(x))`` along ``axis``."""

    name = "softmax"

    @quiet
    def evaluate(self, x: Array, *, axis: int) -> Array:
        if not x.size:
            return x
        powers = np.exp(_shifted(x, axis))
        y: Array = powers * (1 / np.sum(powers, axis=axis, keepdims=True))
        return y

    def compute(self, out: tuple[Axis, ...], x: Operand, *, axis: int) -> Expr:
        element, powers = self.parts(out, x, axis)
        # One division a row: the sum is at least 1, so that its reciprocal is a number.
        return unary("exp", element) * (const(1.0, x.dtype) / powers)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (node * (g - sum_(g * node, axes=(node.attrs["axis"],), keepdims=True)),)


class LogSoftmax(_Softmax):
    """``x - log(sum(exp(x)))`` along ``axis``."""

    name = "log_softmax"

    @quiet
    def evaluate(self, x: Array, *, axis: int) -> Array:
        if not x.size:
            return x
        shifted = _shifted(x, axis)
        y: Array = shifted - np.log(np.sum(np.exp(shifted), axis=axis, keepdims=True))
        return y

    def compute(self, out: tuple[Axis, ...], x: Operand, *, axis: int) -> Expr:
        element, powers = self.parts(out, x, axis)
        return element - unary("log", powers)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g - exp(node) * sum_(g, axes=(node.attrs["axis"],), keepdims=True),)


softmax = Softmax()
log_softmax = LogSoftmax()
