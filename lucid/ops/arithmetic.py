"""Elementwise arithmetic of two operands: sums, products, quotients, powers, and the larger and smaller of two."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lucid.ir.expr import Axis, Expr, Operand, binary, select
from lucid.ir.graph import Array, Node
from lucid.ir.types import DType, is_float, is_integer
from lucid.ops.common import unbroadcast, zero
from lucid.ops.elementwise import BinaryOp
from lucid.ops.logic import eq, where
from lucid.ops.sampling import integers, positive, smooth
from lucid.ops.unary import log


class Add(BinaryOp):
    """``a + b``; of truth values, or."""

    name = "add"
    kinds = "biuf"
    ufunc = np.add

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        return binary("or" if a.dtype.kind == "b" else "add", a.broadcast(out), b.broadcast(out))

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        a, b = node.inputs
        return unbroadcast(g, a), unbroadcast(g, b)


class Sub(BinaryOp):
    """``a - b``."""

    name = "sub"
    ufunc = np.subtract
    code = "sub"

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        a, b = node.inputs
        return unbroadcast(g, a), unbroadcast(-g, b)


class Mul(BinaryOp):
    """``a * b``; of truth values, and."""

    name = "mul"
    kinds = "biuf"
    ufunc = np.multiply

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        return binary("and" if a.dtype.kind == "b" else "mul", a.broadcast(out), b.broadcast(out))

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        a, b = node.inputs
        return unbroadcast(g * b, a), unbroadcast(g * a, b)


class Div(BinaryOp):
    """``a / b`` of floats."""

    name = "div"
    kinds = "f"
    ufunc = np.true_divide
    code = "div"

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        a, b = node.inputs
        return unbroadcast(g / b, a), unbroadcast(-(g * node) / b, b)


def _safe_divisor(b: Expr) -> Expr:
    """``b`` where a machine can divide by it: not 0, and not -1, whose quotient with the least integer overflows."""
    unsafe = b.eq(0) if b.dtype.kind == "u" else b.eq(0) | b.eq(-1)
    return select(unsafe, 1, b)


class FloorDiv(BinaryOp):
    """``a / b`` rounded down, as Python's ``//``; an integer divided by 0 gives 0."""

    name = "floordiv"
    ufunc = np.floor_divide

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        x, y = a.broadcast(out), b.broadcast(out)
        if is_float(a.dtype):
            return x // y
        quotient = select(y.eq(0), 0, x // _safe_divisor(y))
        return quotient if a.dtype.kind == "u" else select(y.eq(-1), -x, quotient)

    def vjp(self, node: Node, g: Node) -> tuple[None, None]:
        return None, None


class Mod(BinaryOp):
    """The remainder of division rounded down, as Python's ``%``: it has ``b``'s sign. An integer modulo 0 gives 0."""

    name = "mod"
    ufunc = np.remainder

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        x, y = a.broadcast(out), b.broadcast(out)
        # The safe divisor turns both 0 and -1 into 1, whose remainder 0 is the right answer for both.
        return x % y if is_float(a.dtype) else x % _safe_divisor(y)

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        a, b = node.inputs
        return unbroadcast(g, a), unbroadcast(-(g * (a // b)), b)


def _power(a: Array, b: Array) -> Any:
    if a.dtype.kind != "i":
        if b.ndim < a.ndim and not (b == 2).all() and not (b == 1).all():
            # NumPy takes a repeated exponent of a half as a square root, which is NaN at -inf and -0.0 at -0.0.
            # What it does at 1 and 2 is exact, where its power is off in the last place.
            b = np.broadcast_to(b, np.broadcast_shapes(a.shape, b.shape)).copy()
        return np.power(a, b)
    # NumPy refuses negative integer exponents; the whole part of the true value is 0 unless the base is 1 or -1.
    negative = b < 0
    whole = np.where(a == 1, 1, np.where(a == -1, 1 - 2 * (b & 1), 0)).astype(a.dtype)
    return np.where(negative, whole, np.power(a, np.where(negative, 0, b)))


class Pow(BinaryOp):
    """``a`` to the power ``b``; ``x ** 0`` is 1 for every x. An integer to a negative power is truncated to a whole.

    The derivative in ``a`` is 0 where ``b == 0``, and in ``b`` it is 0 where ``a == 0`` and ``b >= 0``.
    """

    name = "pow"
    ufunc = staticmethod(_power)

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        x, y = a.broadcast(out), b.broadcast(out)
        if a.dtype.kind != "i":
            return binary("pow", x, y)
        whole = select(x.eq(1), 1, select(x.eq(-1), 1 - (y & 1) * 2, 0))
        return select(y < 0, whole, binary("pow", x, select(y < 0, 0, y)))

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        a, b = node.inputs
        none = zero(g)
        in_base = where(eq(b, none), none, g * (b * a ** (b - 1)))
        flat = eq(a, none) & (b >= 0)
        # log of a harmless number where the derivative is 0: no 0 * inf, here or in derivatives of this.
        in_exponent = where(flat, none, g * (node * log(where(flat, none + 1, a))))
        return unbroadcast(in_base, a), unbroadcast(in_exponent, b)

    def draw(
        self, rng: np.random.Generator, shapes: tuple[Sequence[int], Sequence[int]], dtype: DType
    ) -> tuple[Array, Array]:
        if is_integer(dtype):
            return integers(rng, shapes[0], dtype), integers(rng, shapes[1], dtype)
        return positive(rng, shapes[0], dtype), smooth(rng, shapes[1], dtype)


class _Extremum(BinaryOp):
    """What ``maximum`` and ``minimum`` share: NaN wins over every number; on a tie each side gets half the gradient."""

    kinds = "biuf"

    def _loses(self, a: Node, b: Node) -> Node:
        """True where ``a`` is not the result."""
        raise NotImplementedError  # both members define it

    def vjp(self, node: Node, g: Node) -> tuple[Node, Node]:
        a, b = node.inputs
        shared = where(eq(a, b), g * 0.5, g)
        none = zero(g)
        return (
            unbroadcast(where(self._loses(a, b), none, shared), a),
            unbroadcast(where(self._loses(b, a), none, shared), b),
        )


class Maximum(_Extremum):
    """The larger of two; NaN if either is NaN."""

    name = "maximum"
    ufunc = np.maximum

    def _loses(self, a: Node, b: Node) -> Node:
        return a < b

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        return binary("or" if a.dtype.kind == "b" else "max", a.broadcast(out), b.broadcast(out))


class Minimum(_Extremum):
    """The smaller of two; NaN if either is NaN."""

    name = "minimum"
    ufunc = np.minimum

    def _loses(self, a: Node, b: Node) -> Node:
        return a > b

    def compute(self, out: tuple[Axis, ...], a: Operand, b: Operand) -> Expr:
        return binary("and" if a.dtype.kind == "b" else "min", a.broadcast(out), b.broadcast(out))


add = Add()
sub = Sub()
mul = Mul()
div = Div()
floordiv = FloorDiv()
mod = Mod()
pow_ = Pow()
maximum = Maximum()
minimum = Minimum()
