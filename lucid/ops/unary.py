"""Elementwise operations of one operand. Derivatives that can be told from the result use the result, so that a
backward pass keeps only that.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError
from lucid.ir.expr import Axis, Expr, Operand, binary, select, unary
from lucid.ir.graph import OPS, Array, BadSample, Node, Op, Sample
from lucid.ir.types import (
    DType,
    Scalar,
    TensorType,
    bool_,
    float32,
    float64,
    int32,
    int64,
    is_float,
    is_half,
    uint8,
)
from lucid.ops.common import as_array, quiet, require_kind, require_supported, zero
from lucid.ops.elementwise import UnaryOp
from lucid.ops.sampling import SHAPES, positive, smooth, special
from lucid.ops.special import erf_array


def where_node(condition: Node, a: Node, b: Node) -> Node:
    return OPS["where"](condition, a, b)


class Neg(UnaryOp):
    """``-x``."""

    name = "neg"
    kinds = "iuf"
    ufunc = np.negative
    code = "neg"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (-g,)


class Abs(UnaryOp):
    """``|x|``; its derivative at 0 is 0."""

    name = "abs"
    kinds = "iuf"
    ufunc = np.abs
    code = "abs"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g * sign(node.inputs[0]),)


class Sign(UnaryOp):
    """-1, 0 or 1; NaN stays NaN."""

    name = "sign"
    kinds = "iuf"
    ufunc = np.sign
    code = "sign"

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)


class Exp(UnaryOp):
    """e to the power x."""

    name = "exp"
    ufunc = np.exp
    code = "exp"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g * node,)


class Expm1(UnaryOp):
    """``exp(x) - 1``, accurate near 0."""

    name = "expm1"
    ufunc = np.expm1
    code = "expm1"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g * (node + 1),)


class Log(UnaryOp):
    """Natural logarithm: ``-inf`` at 0, NaN below."""

    name = "log"
    ufunc = np.log
    code = "log"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g / node.inputs[0],)

    def draw(self, rng: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
        return positive(rng, shape, dtype)


class Log1p(UnaryOp):
    """``log(1 + x)``, accurate near 0."""

    name = "log1p"
    ufunc = np.log1p
    code = "log1p"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g / (node.inputs[0] + 1),)

    def draw(self, rng: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
        return positive(rng, shape, dtype)


class Sqrt(UnaryOp):
    """Square root: NaN below 0."""

    name = "sqrt"
    ufunc = np.sqrt
    code = "sqrt"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g / (node * 2),)

    def draw(self, rng: np.random.Generator, shape: Sequence[int], dtype: DType) -> Array:
        return positive(rng, shape, dtype)


class Sin(UnaryOp):
    """Sine of x in radians."""

    name = "sin"
    ufunc = np.sin
    code = "sin"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g * cos(node.inputs[0]),)


class Cos(UnaryOp):
    """Cosine of x in radians."""

    name = "cos"
    ufunc = np.cos
    code = "cos"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (-(g * sin(node.inputs[0])),)


class Tanh(UnaryOp):
    """Hyperbolic tangent."""

    name = "tanh"
    ufunc = np.tanh
    code = "tanh"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g * (1 - node * node),)


class Erf(UnaryOp):
    """The error function, ``2/sqrt(pi)`` times the integral of ``exp(-t*t)`` from 0 to x."""

    name = "erf"
    ufunc = staticmethod(erf_array)
    code = "erf"

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x = node.inputs[0]
        return (g * exp(-(x * x)) * (2 / math.sqrt(math.pi)),)


def _sigmoid_array(x: Array) -> Any:
    # exp overflows to inf for very negative x, and 1/inf is the right 0
    return 1 / (1 + np.exp(-x))


class Sigmoid(UnaryOp):
    """``1 / (1 + exp(-x))``."""

    name = "sigmoid"
    ufunc = staticmethod(_sigmoid_array)

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        return 1.0 / (1.0 + unary("exp", -x.broadcast(out)))

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (g * (node * (1 - node)),)


class Relu(UnaryOp):
    """``max(x, 0)``: NaN stays NaN and -0.0 stays -0.0; the derivative at 0 is 0."""

    name = "relu"
    kinds = "iuf"

    def evaluate(self, x: Array) -> Array:
        # This order of operands: on a tie the vector instruction keeps the second, and -0.0 stays.
        return as_array(np.maximum(x.dtype.type(0), x))

    def compute(self, out: tuple[Axis, ...], x: Operand) -> Expr:
        value = x.broadcast(out)
        return select(value < 0, 0, value)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (where_node(node <= 0, zero(g), g),)


class Floor(UnaryOp):
    """The largest whole number not above x."""

    name = "floor"
    ufunc = np.floor
    code = "floor"

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)


class Ceil(UnaryOp):
    """The smallest whole number not below x."""

    name = "ceil"
    ufunc = np.ceil
    code = "ceil"

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)


class Round(UnaryOp):
    """The nearest whole number; halves go to the even one."""

    name = "round"
    ufunc = np.rint
    code = "round"

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)


class IsNan(UnaryOp):
    """True where x is not a number."""

    name = "isnan"
    ufunc = np.isnan
    code = "isnan"
    differentiable = False

    def infer(self, x: TensorType) -> TensorType:
        return super().infer(x).with_dtype(bool_)

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)


class LogicalNot(UnaryOp):
    """The other truth value."""

    name = "logical_not"
    kinds = "b"
    ufunc = np.logical_not
    code = "not"
    differentiable = False

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)


class BitwiseNot(UnaryOp):
    """All bits inverted."""

    name = "bitwise_not"
    kinds = "iu"
    ufunc = np.invert
    code = "not"
    differentiable = False

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)


class Clip(Op):
    """``min(max(x, lo), hi)``; a bound of None is no bound, NaN stays NaN, and ``hi`` wins where ``lo > hi``.

    Gradients pass where ``lo <= x <= hi``.
    """

    name = "clip"

    def infer(self, x: TensorType, *, lo: Scalar | None, hi: Scalar | None) -> TensorType:
        require_kind(self.name, "iuf", x=x)
        for argument, bound in (("lo", lo), ("hi", hi)):
            if bound is None:
                continue
            if isinstance(bound, float) and not is_float(x.dtype):
                raise ArgumentTypeError(
                    f"{argument}={bound} is a float, but x has dtype {x.dtype.name}",
                    op=self.name,
                    hint="give an int, or convert x with .astype(lucid.float32)",
                )
            if not is_float(x.dtype) and not np.iinfo(x.dtype).min <= bound <= np.iinfo(x.dtype).max:
                raise ArgumentError(f"{argument}={bound} is not a value of dtype {x.dtype.name}", op=self.name)
        return x

    def evaluate(self, x: Array, *, lo: Scalar | None, hi: Scalar | None) -> Array:
        y = x
        if lo is not None:
            y = as_array(np.maximum(y, x.dtype.type(lo)))
        if hi is not None:
            y = as_array(np.minimum(y, x.dtype.type(hi)))
        return y

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x, lo, hi = node.inputs[0], node.attrs["lo"], node.attrs["hi"]
        inside = [x >= lo] if lo is not None else []
        inside += [x <= hi] if hi is not None else []
        if not inside:
            return (g,)
        passes = inside[0] if len(inside) == 1 else inside[0] & inside[1]
        return (where_node(passes, g, zero(g)),)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, lo: Scalar | None, hi: Scalar | None) -> Expr:
        value = x.broadcast(out)
        if lo is not None:
            value = binary("max", value, lo)
        if hi is not None:
            value = binary("min", value, hi)
        return value

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape in SHAPES:
            yield Sample.of(smooth(rng, shape), lo=-1.0, hi=0.5)
        yield Sample.of(smooth(rng, (7,)), lo=None, hi=0.5)
        yield Sample.of(smooth(rng, (7,)), lo=-1.0, hi=None)
        yield Sample.of(smooth(rng, (7,)), lo=None, hi=None)
        yield Sample.of(smooth(rng, (7,)), lo=1.0, hi=-1.0)
        yield Sample.of(smooth(rng, (7,), float64), lo=0.1, hi=float("inf"))
        yield Sample.of(special(float32), lo=-1.0, hi=0.0)
        yield Sample.of(smooth(rng, (7,), int32), lo=-3, hi=4)
        yield Sample.of(special(uint8), lo=2, hi=None)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((3,), int32)
        yield BadSample((x,), {"lo": 0.5, "hi": None}, ArgumentTypeError, ("clip", "lo=0.5", "int32"))
        yield BadSample((x.with_dtype(uint8),), {"lo": 0, "hi": 300}, ArgumentError, ("clip", "hi=300", "uint8"))
        yield BadSample((x.with_dtype(bool_),), {"lo": 0, "hi": 1}, DTypeError, ("clip", "bool"))


class Cast(Op):
    """``x`` as another dtype. Floats become integers by truncation, truth values by ``x != 0``.

    A float outside the integer dtype's range, or NaN, has no defined integer value. Halves become other dtypes, and
    others halves, by way of float32.
    """

    name = "cast"
    moves = True

    def infer(self, x: TensorType, *, dtype: DType) -> TensorType:
        require_supported(self.name, dtype)
        return x.with_dtype(dtype)

    @quiet
    def evaluate(self, x: Array, *, dtype: DType) -> Array:
        if is_half(x.dtype) or is_half(dtype):
            x = x.astype(float32, copy=False)
        return x.astype(dtype)

    def vjp(self, node: Node, g: Node) -> tuple[Node | None]:
        x = node.inputs[0]
        return (cast(g, dtype=x.dtype) if is_float(x.dtype) and is_float(g.dtype) else None,)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, dtype: DType) -> Expr:
        value = x.broadcast(out)
        if is_half(x.dtype):
            value = value.cast(float32)
        return value.ne(0) if dtype == bool_ and value.dtype != bool_ else value.cast(dtype)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape in SHAPES:
            yield Sample.of(smooth(rng, shape), dtype=float64)
        for source in (bool_, uint8, int32, int64, float32, float64):
            for target in (bool_, int32, uint8, int64, float32, float64):
                # Non-negative when the target is unsigned: the reverse has no defined value.
                draw = positive if target == uint8 else smooth
                yield Sample.of(draw(rng, (5,), source), dtype=target)
        yield Sample.of(special(float32), dtype=float64)
        yield Sample.of(special(float64), dtype=float32)
        yield Sample.of(special(float32), dtype=bool_)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((3,), float32)
        for bad in (np.dtype(np.complex64), np.dtype(np.complex128)):
            yield BadSample((x,), {"dtype": bad}, DTypeError, ("cast", bad.name, "float32"))


neg = Neg()
abs_ = Abs()
sign = Sign()
exp = Exp()
expm1 = Expm1()
log = Log()
log1p = Log1p()
sqrt = Sqrt()
sin = Sin()
cos = Cos()
tanh = Tanh()
erf = Erf()
sigmoid = Sigmoid()
relu = Relu()
floor = Floor()
ceil = Ceil()
round_ = Round()
isnan = IsNan()
logical_not = LogicalNot()
bitwise_not = BitwiseNot()
clip = Clip()
cast = Cast()
