"""Angles from their sines, cosines and tangents.

The expressions are built on one arc tangent, by S. L. Moshier's Cephes library: the argument is brought to within 0.66
of 0, where a rational function serves.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lucid.ir.expr import Axis, Bitcast, Expr, Operand, binary, const, select, unary
from lucid.ir.graph import Array, Node
from lucid.ir.types import DType, int32, int64
from lucid.ops.common import unbroadcast, zero
from lucid.ops.complement import polynomial
from lucid.ops.elementwise import BinaryOp, UnaryOp
from lucid.ops.logic import eq, where
from lucid.ops.sampling import smooth
from lucid.ops.unary import sqrt

# Highest power first: atan(t) = t + t * z * P(z) / Q(z) with z = t*t.
_P = (-8.750608600031904122785e-1, -1.615753718733365076637e1, -7.500855792314704667340e1,
      -1.228866684490136173410e2, -6.485021904942025371773e1)  # fmt: skip
_Q = (1.0, 2.485846490142306297962e1, 1.650270098316988542046e2, 4.328810604912902668951e2,
      4.853903996359136964868e2, 1.945506571482613964425e2)  # fmt: skip


def with_sign(size: Expr, of: Expr) -> Expr:
    """The non-negative ``size`` with the sign of ``of``, that of a zero included."""
    bits = int32 if of.dtype.itemsize == 4 else int64
    sign = Bitcast(of, bits) & int(np.iinfo(bits).min)
    return Bitcast(Bitcast(size, bits) | sign, of.dtype)


def arc_tangent(x: Expr) -> Expr:
    """The angle whose tangent is ``x``, for ``x >= 0``, infinity included."""
    steep, middle = x > 1 + math.sqrt(2), x > 0.66
    t = select(steep, -1.0 / x, select(middle, (x - 1.0) / (x + 1.0), x))
    z = t * t
    value = t + t * (z * polynomial(z, _P) / polynomial(z, _Q))
    return value + select(steep, math.pi / 2, select(middle, const(math.pi / 4, x.dtype), 0))


class Atan(UnaryOp):
    """The angle from -pi/2 to pi/2 whose tangent is x."""

    name = "atan"
    ufunc = np.arctan

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        value = x.broadcast(out)
        return with_sign(arc_tangent(unary("abs", value)), value)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x = node.inputs[0]
        return (g / (x * x + 1),)


class _ArcOfUnit(UnaryOp):
    """``asin`` and ``acos``: of numbers from -1 to 1, NaN for all others."""

    def draw(self, rng: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
        return np.asarray(smooth(rng, shape, dtype) / 3, dtype)


class Asin(_ArcOfUnit):
    """The angle from -pi/2 to pi/2 whose sine is x."""

    name = "asin"
    ufunc = np.arcsin

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        value = x.broadcast(out)
        size = unary("abs", value)
        return with_sign(arc_tangent(size / unary("sqrt", (1.0 - size) * (1.0 + size))), value)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x = node.inputs[0]
        return (g / sqrt(1 - x * x),)


class Acos(_ArcOfUnit):
    """The angle from 0 to pi whose cosine is x."""

    name = "acos"
    ufunc = np.arccos

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        value = x.broadcast(out)
        return 2.0 * arc_tangent(unary("sqrt", (1.0 - value) / (1.0 + value)))

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x = node.inputs[0]
        return (-g / sqrt(1 - x * x),)


class Atan2(BinaryOp):
    """The angle from -pi to pi of the point with the coordinates ``b`` (along) and ``a`` (up).

    Its derivative at the origin is 0.
    """

    name = "atan2"
    kinds = "f"
    ufunc = np.arctan2

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        y, x = a.broadcast(out), b.broadcast(out)
        up, along = unary("abs", y), unary("abs", x)
        low, high = binary("min", up, along), binary("max", up, along)
        equal = low.eq(high)  # of two infinities the quotient is 1, of two zeros 0
        angle = arc_tangent(select(equal, select(high.eq(0), high, 1), low / high))
        angle = select(up > along, math.pi / 2 - angle, angle)
        behind = Bitcast(x, int32 if x.dtype.itemsize == 4 else int64) < 0
        angle = with_sign(select(behind, math.pi - angle, angle), y)
        return select(unary("isnan", x), x, angle)

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        a, b = node.inputs
        square = a * a + b * b
        scaled = g / where(eq(square, zero(g)), zero(g) + 1, square)
        return unbroadcast(scaled * b, a), unbroadcast(-(scaled * a), b)


atan = Atan()
asin = Asin()
acos = Acos()
atan2 = Atan2()
