"""``1 - erf(x)``, exact where erf rounds to 1: an operation of its own because that difference would be 0."""

from __future__ import annotations

import math
from collections.abc import Sequence

from lucid.ir.expr import Axis, Expr, Operand, binary, const, select, unary
from lucid.ir.graph import Node
from lucid.ops.elementwise import UnaryOp
from lucid.ops.special import FAR_P, FAR_Q, TAIL_P, TAIL_Q, erfc_array
from lucid.ops.unary import exp


def polynomial(x: Expr, coefficients: Sequence[float]) -> Expr:
    """Horner's rule, highest power first."""
    value: Expr = const(coefficients[0], x.dtype)
    for c in coefficients[1:]:
        value = value * x + c
    return value


class Erfc(UnaryOp):
    """The complement of the error function, ``1 - erf(x)``."""

    name = "erfc"
    ufunc = staticmethod(erfc_array)

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        value = x.broadcast(out)
        size = unary("abs", value)
        # exp(-x*x) of a rounded square would be wrong by x*x roundings: the square is taken in two exact parts.
        coarse = unary("floor", size * 16.0) / 16.0
        decay = unary("exp", -coarse * coarse) * unary("exp", -((size - coarse) * (size + coarse)))
        outer = binary("max", size, 4.0)
        z = 1.0 / (outer * outer)
        far = (1 / math.sqrt(math.pi) - z * (polynomial(z, FAR_P) / polynomial(z, FAR_Q))) / outer
        near = binary("min", size, 4.0)
        tail = select(size > 4.0, far, polynomial(near, TAIL_P) / polynomial(near, TAIL_Q)) * decay
        tail = select(size > 27.0, 0.0, tail)  # infinity too, whose parts are NaN
        return select(size <= 0.46875, 1.0 - unary("erf", value), select(value < 0.0, 2.0 - tail, tail))

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x = node.inputs[0]
        return (g * exp(-(x * x)) * (-2 / math.sqrt(math.pi)),)


erfc = Erfc()
