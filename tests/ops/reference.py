"""Evaluates an index expression with NumPy, all positions at once: ``compute`` checked without any code generator.

Stricter than NumPy on purpose. A machine must be able to do what an expression says, so a load outside its source
without a fill, an integer division by zero, a shift by too much or a negative integer power is a failure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from lucid.ir.expr import (
    Axis,
    Binary,
    Bitcast,
    Cast,
    Const,
    Expr,
    Load,
    Operand,
    Reduce,
    Select,
    Unary,
    axes,
    identity,
)  # fmt: skip
from lucid.ir.graph import Array, Op, Sample
from lucid.ir.types import type_of

_erf = np.vectorize(math.erf, otypes=[np.float64])

UNARY: dict[str, Callable[[Array], Any]] = {
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "round": np.rint,
    "sqrt": np.sqrt, "exp": np.exp, "log": np.log, "log1p": np.log1p, "expm1": np.expm1, "sin": np.sin, "cos": np.cos,
    "tan": np.tan, "tanh": np.tanh, "isnan": np.isnan, "not": np.invert,
    "erf": lambda x: _erf(x.astype(np.float64)).astype(x.dtype),
}  # fmt: skip
BINARY: dict[str, Callable[[Array, Array], Any]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.true_divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "pow": np.power, "min": np.minimum, "max": np.maximum, "and": np.bitwise_and,
    "or": np.bitwise_or, "xor": np.bitwise_xor, "shl": np.left_shift, "shr": np.right_shift, "lt": np.less,
    "le": np.less_equal, "eq": np.equal, "ne": np.not_equal,
}  # fmt: skip
REDUCE: dict[str, np.ufunc] = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}


def run_compute(op: Op, sample: Sample) -> Array:
    """All elements of the op's result, by its ``compute``."""
    types = [type_of(x) for x in sample.inputs]
    result = op.infer(*types, **sample.attrs)
    out = axes("i", result.shape)
    operands = [Operand(k, t) for k, t in enumerate(types)]
    value = evaluate(op.compute(out, *operands, **sample.attrs), out, dict(enumerate(sample.inputs)))
    assert value.dtype == result.dtype
    return value


def evaluate(expr: Expr, out: Sequence[Axis], sources: dict[Any, Array]) -> Array:
    """The value of ``expr`` at every position of ``out``."""
    with np.errstate(all="ignore"):
        return np.broadcast_to(_Scope(tuple(out), sources).value(expr), [a.extent for a in out])


class _Scope:
    """The axes that are bound, one array dimension each; a reduction opens an inner scope with its axes appended."""

    def __init__(self, bound: tuple[Axis, ...], sources: dict[Any, Array]):
        self.bound = bound
        self.sources = sources
        self.shape = tuple(a.extent for a in bound)
        self.memo: dict[int, Array] = {}

    def value(self, expr: Expr) -> Array:
        if id(expr) not in self.memo:
            self.memo[id(expr)] = np.asarray(self._value(expr))
            assert self.memo[id(expr)].dtype == expr.dtype, expr
        return self.memo[id(expr)]

    def _value(self, expr: Expr) -> Any:
        if isinstance(expr, Axis):
            sizes = [expr.extent if a is expr else 1 for a in self.bound]
            return np.arange(expr.extent, dtype=np.int64).reshape(sizes)
        if isinstance(expr, Const):
            return np.array(expr.value, expr.dtype)
        if isinstance(expr, Load):
            return self._load(expr)
        if isinstance(expr, Unary):
            return UNARY[expr.op](self.value(expr.x))
        if isinstance(expr, Binary):
            a, b = self.value(expr.a), self.value(expr.b)
            _check_machine_can(expr.op, a, b)
            return BINARY[expr.op](a, b)
        if isinstance(expr, Select):
            return np.where(self.value(expr.condition), self.value(expr.a), self.value(expr.b))
        if isinstance(expr, Cast):
            return self.value(expr.x).astype(expr.dtype)
        if isinstance(expr, Bitcast):
            return self.value(expr.x).view(expr.dtype)
        assert isinstance(expr, Reduce)
        inner = _Scope((*self.bound, *expr.axes), self.sources)
        body = np.broadcast_to(inner.value(expr.body), inner.shape)
        over = tuple(range(len(self.bound), len(inner.bound)))
        start = identity(expr.kind, expr.dtype).value
        return REDUCE[expr.kind].reduce(body, axis=over, dtype=expr.dtype, initial=start)

    def _load(self, load: Load) -> Array:
        source = self.sources[load.source]
        assert source.shape == load.type.shape
        if not load.index:
            return source
        index = [np.broadcast_to(self.value(i), self.shape) for i in load.index]
        inside = np.ones(self.shape, bool)
        for i, n in zip(index, source.shape, strict=True):
            inside &= (i >= 0) & (i < n)
        if load.fill is None:
            assert inside.all(), f"{load} reads outside a source of shape {source.shape}"
            return source[tuple(index)]
        if not source.size:
            return np.full(self.shape, load.fill, source.dtype)
        clamped = tuple(np.clip(i, 0, n - 1) for i, n in zip(index, source.shape, strict=True))
        return np.where(inside, source[clamped], np.array(load.fill, source.dtype))


def _check_machine_can(op: str, a: Array, b: Array) -> None:
    if b.dtype.kind not in "iu":
        return
    if op in ("floordiv", "mod"):
        assert (b != 0).all(), "integer division by zero"
        assert b.dtype.kind == "u" or not ((a == np.iinfo(a.dtype).min) & (b == -1)).any(), "quotient overflows"
    if op in ("shl", "shr"):
        assert ((b >= 0) & (b < 8 * b.dtype.itemsize)).all(), "shift by too much"
    if op == "pow":
        assert (b >= 0).all(), "negative integer power"
