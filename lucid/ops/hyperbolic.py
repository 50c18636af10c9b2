"""Hyperbolic sine and cosine, and the inverses of sine, cosine and tangent: exact near 0, and where squares or
exponentials of the argument would overflow although the result does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lucid.ir.expr import Axis, Expr, Operand, select, unary
from lucid.ir.graph import Array, Node
from lucid.ir.types import DType
from lucid.ops.elementwise import UnaryOp
from lucid.ops.inverse_trigonometric import with_sign
from lucid.ops.sampling import positive, smooth
from lucid.ops.unary import sqrt

#: From here on ``exp(-x)`` is less than half of the last place of ``exp(x)``.
_STEEP = 20.0

#: From here on ``sqrt(x*x + 1)`` is ``x``.
_FAR = 1e9


class Sinh(UnaryOp):
    """Hyperbolic sine."""

    name = "sinh"
    ufunc = np.sinh

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        value = x.broadcast(out)
        size = unary("abs", value)
        small, half = unary("expm1", size), unary("exp", size * 0.5)
        return with_sign(select(size > _STEEP, (0.5 * half) * half, (small + small / (small + 1.0)) * 0.5), value)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g * cosh(node.inputs[0]),)


class Cosh(UnaryOp):
    """Hyperbolic cosine."""

    name = "cosh"
    ufunc = np.cosh

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        half = unary("exp", unary("abs", x.broadcast(out)) * 0.5)
        return (0.5 * half) * half + 0.5 / (half * half)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g * sinh(node.inputs[0]),)


class Asinh(UnaryOp):
    """The number whose hyperbolic sine is x."""

    name = "asinh"
    ufunc = np.arcsinh

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        value = x.broadcast(out)
        size = unary("abs", value)
        square = size * size
        near = unary("log1p", size + square / (1.0 + unary("sqrt", square + 1.0)))
        return with_sign(select(size > _FAR, unary("log", size) + math.log(2), near), value)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x = node.inputs[0]
        return (g / sqrt(x * x + 1),)


class Acosh(UnaryOp):
    """The number not below 0 whose hyperbolic cosine is x; NaN below 1."""

    name = "acosh"
    ufunc = np.arccosh

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        value = x.broadcast(out)
        over = value - 1.0
        near = unary("log1p", over + unary("sqrt", over * (over + 2.0)))
        far = unary("log", value) + math.log(2)
        return select(value < 1.0, float("nan"), select(value > _FAR, far, near))

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x = node.inputs[0]
        return (g / sqrt(x * x - 1),)

    def draw(self, rng: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
        return np.asarray(1 + positive(rng, shape, dtype), dtype)


class Atanh(UnaryOp):
    """The number whose hyperbolic tangent is x; infinite at -1 and 1, NaN beyond."""

    name = "atanh"
    ufunc = np.arctanh

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        value = x.broadcast(out)
        size = unary("abs", value)
        inside = 0.5 * unary("log1p", 2.0 * size / (1.0 - size))
        return with_sign(select(size > 1.0, float("nan"), inside), value)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x = node.inputs[0]
        return (g / (1 - x * x),)

    def draw(self, rng: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
        return np.asarray(smooth(rng, shape, dtype) / 3, dtype)


sinh = Sinh()
cosh = Cosh()
asinh = Asinh()
acosh = Acosh()
atanh = Atanh()
