"""The weights of a 3 x 3 convolution as Winograd's algorithm F(2x2, 3x3) multiplies them.

Lavin and Gray, Fast Algorithms for Convolutional Neural Networks (2015). The code generator adds this op where a
schedule asks for it.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lucid.errors import DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, const, select
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import TensorType, float32, float64, int32
from lucid.ops.common import quiet, require_float
from lucid.ops.movement import flip as reverse
from lucid.ops.sampling import smooth
from lucid.ops.slicing import concat, slice_


class WinogradWeights(Op):
    """``G w G^T`` of every 3 x 3 filter: from ``(panels, 3, 3, in, width)`` to ``(panels, 4, 4, in, width)``.

    With ``flip`` the filters are turned by half a turn first, as the gradient to a convolution's input needs them.
    """

    name = "winograd_weights"

    def infer(self, w: TensorType, *, flip: bool) -> TensorType:
        require_float(self.name, w=w)
        if w.ndim != 5 or w.shape[1:3] != (3, 3):
            raise ShapeError(f"w of shape {w.shape} must be (panels, 3, 3, in, width)", op=self.name)
        return w.with_shape((w.shape[0], 4, 4, *w.shape[3:]))

    @quiet
    def evaluate(self, w: Array, *, flip: bool) -> Array:
        if flip:
            w = w[:, ::-1, ::-1]
        half = w.dtype.type(0.5)

        def along(x: Array, axis: int) -> Array:
            x0, x1, x2 = np.moveaxis(x, axis, 0)
            return np.stack([x0, (x0 + x2 + x1) * half, (x0 + x2 - x1) * half, x2], axis)

        return along(along(w, 1), 2)

    def compute(self, out: tuple[Axis, ...], w: Operand, *, flip: bool) -> Expr:
        panel, row, column, channel, lane = out

        def tap(k: int, m: int) -> Expr:
            return w.load([panel, 2 - k, 2 - m, channel, lane] if flip else [panel, k, m, channel, lane])

        def along(x0: Expr, x1: Expr, x2: Expr, axis: Axis) -> Expr:
            outer = x0 + x2
            inner = select(axis.eq(1), outer + x1, outer - x1) * const(0.5, w.dtype)
            return select(axis.eq(0), x0, select(axis.eq(3), x2, inner))

        columns = [along(tap(0, m), tap(1, m), tap(2, m), row) for m in range(3)]
        return along(columns[0], columns[1], columns[2], column)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        def along(x: Node, axis: int) -> Node:
            rows = [
                slice_(
                    x,
                    start=tuple(k if d == axis else 0 for d in range(5)),
                    stop=tuple(k + 1 if d == axis else n for d, n in enumerate(x.shape)),
                    step=(1,) * 5,
                )
                for k in range(4)
            ]
            outer, inner = (rows[1] + rows[2]) * 0.5, (rows[1] - rows[2]) * 0.5
            return concat(rows[0] + outer, inner, rows[3] + outer, axis=axis)

        taps = along(along(g, 2), 1)
        return (reverse(taps, axes=(1, 2)) if node.attrs["flip"] else taps,)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, flip in (((1, 3, 3, 2, 16), False), ((2, 3, 3, 3, 8), True), ((1, 3, 3, 0, 4), False)):
            yield Sample.of(smooth(rng, shape), flip=flip)
        yield Sample.of(smooth(rng, (1, 3, 3, 2, 5), float64), flip=True)
        yield Sample.of(np.where(rng.random((1, 3, 3, 2, 4)) < 0.1, np.inf, 1).astype(float32), flip=False)

    def bad_samples(self) -> Iterable[BadSample]:
        for shape in ((4, 4, 3, 3), (1, 3, 5, 2, 4)):
            w = TensorType(shape, float32)
            yield BadSample((w,), {"flip": False}, ShapeError, (self.name, str(shape), "(panels, 3, 3, in, width)"))
        integers = TensorType((1, 3, 3, 2, 4), int32)
        yield BadSample((integers,), {"flip": False}, DTypeError, (self.name, "w has dtype int32"))


winograd_weights = WinogradWeights()
