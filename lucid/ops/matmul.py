"""The matrix product over stacks of matrices."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lucid.errors import DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, index, total
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import TensorType, bool_, float32, float64, int32
from lucid.ops.common import quiet, require_kind, require_same_dtype, unbroadcast
from lucid.ops.movement import transpose
from lucid.ops.sampling import smooth


def matrix_transpose(x: Node) -> Node:
    """``x`` with its last two axes exchanged."""
    *lead, row, column = range(len(x.shape))
    return transpose(x, perm=(*lead, column, row))


class MatMul(Op):
    """``(..., m, k) @ (..., k, n) -> (..., m, n)``; the leading axes broadcast."""

    name = "matmul"

    def infer(self, a: TensorType, b: TensorType) -> TensorType:
        dtype = require_same_dtype(self.name, a=a, b=b)
        require_kind(self.name, "iuf", a=a)
        for name, t in (("a", a), ("b", b)):
            if t.ndim < 2:
                raise ShapeError(f"{name} has shape {t.shape}, but it must have at least 2 dimensions", op=self.name)
        if a.shape[-1] != b.shape[-2]:
            raise ShapeError(
                f"shapes {a.shape} and {b.shape} do not fit: a has {a.shape[-1]} columns, b has {b.shape[-2]} rows",
                op=self.name,
                hint="the last size of a must equal the second-last size of b",
            )
        try:
            batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
        except ValueError:
            raise ShapeError(
                f"the leading axes of shapes {a.shape} and {b.shape} cannot be broadcast together", op=self.name
            ) from None
        return TensorType((*batch, a.shape[-2], b.shape[-1]), dtype)

    @quiet
    def evaluate(self, a: Array, b: Array) -> Array:
        product: Array = np.matmul(a, b)
        return product

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        a, b = node.inputs
        return unbroadcast(g @ matrix_transpose(b), a), unbroadcast(matrix_transpose(a) @ g, b)

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        *batch, i, j = out
        k = Axis("k", a.shape[-1])

        def at(x: Operand, row: Axis, column: Axis) -> Expr:
            sizes = x.shape[:-2]
            lead = batch[len(batch) - len(sizes) :]
            return x.load([*(index(0) if n == 1 else p for n, p in zip(sizes, lead, strict=True)), row, column])

        return total(at(a, i, k) * at(b, k, j), over=(k,))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for a, b in (
            ((1, 1), (1, 1)),
            ((5, 17), (17, 19)),
            ((1, 33), (33, 7)),
            ((2, 3, 4), (2, 4, 5)),
            ((2, 3, 4), (4, 5)),
            ((3, 4), (2, 4, 5)),
            ((2, 1, 3, 4), (5, 4, 2)),
            ((0, 4), (4, 3)),
            ((3, 0), (0, 2)),
        ):
            yield Sample.of(smooth(rng, a), smooth(rng, b))
        yield Sample.of(smooth(rng, (3, 4), float64), smooth(rng, (4, 5), float64))
        yield Sample.of(smooth(rng, (3, 4), int32), smooth(rng, (4, 5), int32))

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2, 3), float32)
        yield BadSample((x, x), {}, ShapeError, ("matmul", "(2, 3)", "3 columns", "2 rows"))
        yield BadSample((x, x.with_shape((3,))), {}, ShapeError, ("matmul", "b has shape (3,)", "2 dimensions"))
        yield BadSample((x.with_shape((4, 2, 3)), x.with_shape((5, 3, 2))), {}, ShapeError, ("matmul", "(4, 2, 3)"))
        yield BadSample((x, x.with_dtype(float64)), {}, DTypeError, ("matmul", "b is float64"))
        yield BadSample((x.with_dtype(bool_), x.with_dtype(bool_)), {}, DTypeError, ("matmul", "bool"))


matmul = MatMul()
