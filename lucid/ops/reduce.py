"""Reductions over axes: sum, prod, squared deviations, max and min, and the positions of the extremes.

``axes`` are counted from the front, in increasing order; reducing over no axes changes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any, ClassVar

import numpy as np

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, Reduce, index, reduce_axes, select, unary
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import Shape, TensorType, bool_, float32, float64, int32, int64, is_float, uint8
from lucid.ops.common import as_array, quiet, require_axes, require_kind
from lucid.ops.logic import eq
from lucid.ops.movement import broadcast_to, inverse, reshape, transpose
from lucid.ops.sampling import smooth, special
from lucid.ops.slicing import pad, slice_
from lucid.ops.unary import cast

Axes = tuple[int, ...]


def reduced_shape(shape: Shape, axes: Axes, keepdims: bool) -> Shape:
    if keepdims:
        return tuple(1 if k in axes else n for k, n in enumerate(shape))
    return tuple(n for k, n in enumerate(shape) if k not in axes)


def restored(y: Node, shape: Shape, axes: Axes) -> Node:
    """A reduction's result spread back over the shape that was reduced."""
    kept = reduced_shape(shape, axes, True)
    return broadcast_to(y if y.shape == kept else reshape(y, shape=kept), shape=shape)


class Reduction(Op):
    """One value from all elements along ``axes``, of the operand's dtype."""

    #: Letters of ``dtype.kind`` it takes.
    kinds: ClassVar[str] = "iuf"
    #: Its name in index expressions.
    kind: ClassVar[str]
    ufunc: ClassVar[Callable[..., Any]]

    def infer(self, x: TensorType, *, axes: Axes, keepdims: bool) -> TensorType:
        require_kind(self.name, self.kinds, x=x)
        require_axes(self.name, x, axes)
        return x.with_shape(reduced_shape(x.shape, axes, keepdims))

    @quiet
    def evaluate(self, x: Array, *, axes: Axes, keepdims: bool) -> Array:
        if not axes:
            return x  # NumPy would add 0 to it, or multiply by 1: -0.0 would not stay
        return as_array(self.ufunc(x, axis=axes, dtype=x.dtype, keepdims=keepdims))

    def compute(self, out: tuple[Axis, ...], x: Operand, *, axes: Axes, keepdims: bool) -> Expr:
        return self.over(self.kind, out, x, axes, keepdims, lambda element: element)

    @staticmethod
    def over(
        kind: str, out: tuple[Axis, ...], x: Operand, axes: Axes, keepdims: bool, body: Callable[[Expr], Expr]
    ) -> Expr:
        """The reduction by ``kind`` of ``body(element)`` over the elements along ``axes``."""
        inner = reduce_axes(*((f"k{k}", x.shape[k]) for k in axes))
        rest = iter(out)
        position: list[Expr] = []
        for k in range(len(x.shape)):
            if k in axes:
                position.append(inner[axes.index(k)])
                if keepdims:
                    next(rest)
            else:
                position.append(next(rest))
        value = body(x.load(position))
        return Reduce(kind, inner, value) if inner else value

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, axes, keepdims in (
            ((17,), (0,), False),
            ((3, 18), (1,), True),
            ((5, 17), (0,), False),
            ((2, 3, 5), (0, 2), False),
            ((2, 3, 5), (1,), True),
            ((2, 3), (), False),
            ((0, 3), (1,), False),
            ((1,), (0,), False),
            ((), (), False),
        ):
            yield Sample.of(smooth(rng, shape), axes=axes, keepdims=keepdims)
        yield Sample.of(smooth(rng, (4, 5), float64), axes=(0, 1), keepdims=True)
        rows = np.stack([smooth(rng, (3,)), [np.nan, np.inf, 1.0]])
        yield Sample.of(rows.astype(np.float32), axes=(1,), keepdims=False)
        yield Sample.of(special(float32), axes=(), keepdims=False)
        for dtype in (int32, uint8) if "i" in self.kinds else ():
            yield Sample.of(smooth(rng, (4, 5), dtype), axes=(1,), keepdims=False)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2, 3), float32)
        yield BadSample((x,), {"axes": (2,), "keepdims": False}, ArgumentError, (self.name, "axes=(2,)", "2 dim"))
        yield BadSample((x,), {"axes": (1, 0), "keepdims": False}, ArgumentError, (self.name, "increasing"))


class _Accumulation(Reduction):
    """``sum`` and ``prod``: over no elements they give 0 and 1."""

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield from super().samples(rng)
        yield Sample.of(smooth(rng, (0, 3)), axes=(0,), keepdims=False)

    def bad_samples(self) -> Iterable[BadSample]:
        yield from super().bad_samples()
        attrs = {"axes": (0,), "keepdims": False}
        yield BadSample((TensorType((2, 3), bool_),), attrs, DTypeError, (self.name, "bool", "astype"))


class Sum(_Accumulation):
    """The sum along ``axes``, in the operand's dtype."""

    name = "sum"
    kind = "sum"
    ufunc = np.add.reduce

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (restored(g, node.inputs[0].shape, node.attrs["axes"]),)


class Prod(_Accumulation):
    """The product along ``axes``, in the operand's dtype."""

    name = "prod"
    kind = "prod"
    ufunc = np.multiply.reduce

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x, axes = node.inputs[0], node.attrs["axes"]
        return (restored(g, x.shape, axes) * product_of_others(x, axes),)


def product_of_others(x: Node, axes: Axes) -> Node:
    """For each element, the product of all other elements along ``axes``: exact where elements are 0.

    Products of everything before and of everything after, by log2(n) doublings (Hillis & Steele 1986).
    """
    rest = tuple(k for k in range(len(x.shape)) if k not in axes)
    perm = (*rest, *axes)
    moved = transpose(x, perm=perm)
    n = 1
    for k in axes:
        n *= x.shape[k]
    rows = reshape(moved, shape=(*(x.shape[k] for k in rest), n))
    before, after = shifted(rows, 1), shifted(rows, -1)
    step = 1
    while step < n:
        before = before * shifted(before, step)
        after = after * shifted(after, -step)
        step *= 2
    return transpose(reshape(before * after, shape=moved.shape), perm=inverse(perm))


def shifted(x: Node, by: int) -> Node:
    """``x`` moved ``by`` places along its last axis (backwards if negative), ones moving in."""
    *lead, n = x.shape
    d = min(abs(by), n)
    zeros, ones = (0,) * len(lead), (1,) * len(lead)
    low, high = (d, 0) if by > 0 else (0, d)
    part = slice_(x, start=(*zeros, high), stop=(*lead, n - low), step=(*ones, 1))
    return pad(part, low=(*zeros, low), high=(*zeros, high), interior=(*zeros, 0), value=1.0)


class SquaredDeviations(Reduction):
    """The sum of squared distances from the mean along ``axes``: what variances are made of.

    An operation of its own because its gradient is simpler than that of its parts: around the mean the sum is
    stationary, so nothing flows back through the mean.
    """

    name = "squared_deviations"
    kinds = "f"

    @quiet
    def evaluate(self, x: Array, *, axes: Axes, keepdims: bool) -> Array:
        count = x.dtype.type(math.prod(x.shape[k] for k in axes))
        centred = x - np.sum(x, axis=axes, keepdims=True) / count
        return as_array(np.sum(centred * centred, axis=axes, keepdims=keepdims))

    def compute(self, out: tuple[Axis, ...], x: Operand, *, axes: Axes, keepdims: bool) -> Expr:
        count = math.prod(x.shape[k] for k in axes)
        mean = self.over("sum", out, x, axes, keepdims, lambda element: element) / count
        return self.over("sum", out, x, axes, keepdims, lambda element: (element - mean) * (element - mean))

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x, axes = node.inputs[0], node.attrs["axes"]
        mean = sum_(x, axes=axes, keepdims=True) / math.prod(x.shape[k] for k in axes)
        return (restored(g * 2.0, x.shape, axes) * (x - mean),)

    def bad_samples(self) -> Iterable[BadSample]:
        yield from super().bad_samples()
        attrs = {"axes": (0,), "keepdims": False}
        yield BadSample((TensorType((2, 3), int32),), attrs, DTypeError, (self.name, "int32", "astype"))


def _require_elements(op: str, argument: str, value: Axes | int | None, shape: Shape, axes: Axes) -> None:
    """Nothing has no extreme, not even where the result is empty, too."""
    if 0 in [shape[k] for k in axes]:
        raise ShapeError(
            f"no elements along {argument}={value} of shape {shape}, but an extreme needs at least one",
            op=op,
            hint="reduce over dimensions that are not empty",
        )


class _Extreme(Reduction):
    """``max`` and ``min``: NaN wins over every number; elements that tie share the gradient evenly."""

    kinds = "biuf"

    def infer(self, x: TensorType, *, axes: Axes, keepdims: bool) -> TensorType:
        result = super().infer(x, axes=axes, keepdims=keepdims)
        _require_elements(self.name, "axes", axes, x.shape, axes)
        return result

    @quiet
    def evaluate(self, x: Array, *, axes: Axes, keepdims: bool) -> Array:
        return as_array(self.ufunc(x, axis=axes, keepdims=keepdims)) if axes else x

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        x, axes = node.inputs[0], node.attrs["axes"]
        if not axes:
            return (g,)
        chosen = cast(eq(x, restored(node, x.shape, axes)), dtype=g.dtype)
        count = sum_(chosen, axes=axes, keepdims=True)
        return (restored(g, x.shape, axes) * chosen / count,)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        yield from super().samples(rng)
        yield Sample.of(smooth(rng, (4, 5), bool_), axes=(1,), keepdims=False)
        yield Sample.of(special(float32), axes=(0,), keepdims=False)

    def bad_samples(self) -> Iterable[BadSample]:
        yield from super().bad_samples()
        x = TensorType((0, 3), float32)
        yield BadSample((x,), {"axes": (0,), "keepdims": False}, ShapeError, (self.name, "(0, 3)", "no elements"))


class Max(_Extreme):
    """The largest element along ``axes``."""

    name = "max"
    kind = "max"
    ufunc = np.maximum.reduce


class Min(_Extreme):
    """The smallest element along ``axes``."""

    name = "min"
    kind = "min"
    ufunc = np.minimum.reduce


class _Position(Op):
    """``argmax`` and ``argmin``: the first position of the extreme element, NaN counting as most extreme.

    ``axis=None`` counts positions through the whole tensor in C order.
    """

    differentiable = False
    kind: ClassVar[str]
    function: ClassVar[Callable[..., Any]]

    def infer(self, x: TensorType, *, axis: int | None, keepdims: bool) -> TensorType:
        if axis is not None and not 0 <= axis < x.ndim:
            raise ArgumentError(f"axis={axis} is out of range for {x.ndim} dimensions", op=self.name)
        axes = tuple(range(x.ndim)) if axis is None else (axis,)
        shape = reduced_shape(x.shape, axes, keepdims)
        _require_elements(self.name, "axis", axis, x.shape, axes)
        return TensorType(shape, int64)

    def evaluate(self, x: Array, *, axis: int | None, keepdims: bool) -> Array:
        if not x.size:
            return np.zeros(self.infer(TensorType(x.shape, x.dtype), axis=axis, keepdims=keepdims).shape, np.int64)
        return as_array(self.function(x, axis=axis, keepdims=keepdims)).astype(np.int64, copy=False)

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, axis: int | None, keepdims: bool) -> Expr:
        axes = tuple(range(len(x.shape))) if axis is None else (axis,)
        place = list(out)
        if not keepdims:
            for k in axes:
                place.insert(k, out[0] if out else Axis("unused", 1))

        def element(inner: tuple[Axis, ...]) -> Expr:
            return x.load([inner[axes.index(k)] if k in axes else i for k, i in enumerate(place)])

        outer = reduce_axes(*((f"m{k}", x.shape[k]) for k in axes))
        inner = reduce_axes(*((f"k{k}", x.shape[k]) for k in axes))
        if not axes:
            return index(0)
        value = element(inner)
        hit = value.eq(Reduce(self.kind, outer, element(outer)))
        if is_float(x.dtype):
            hit = hit | unary("isnan", value)
        position: Expr = index(0)
        size = 1
        for k, i in zip(axes, inner, strict=True):
            position = position * x.shape[k] + i
            size *= x.shape[k]
        return Reduce("min", inner, select(hit, position, size - 1))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, axis, keepdims in (
            ((17,), 0, False),
            ((5, 18), 1, True),
            ((5, 17), 0, False),
            ((2, 3, 5), 1, False),
            ((2, 3, 5), None, False),
            ((2, 3), None, True),
            ((0, 3), 1, False),
            ((), None, False),
        ):
            yield Sample.of(smooth(rng, shape), axis=axis, keepdims=keepdims)
        for dtype in (float64, int32, uint8, bool_):
            yield Sample.of(smooth(rng, (6, 4), dtype), axis=0, keepdims=False)
        ties = np.array([[1, 3, 3, 1, 1], [2, np.nan, 1, np.nan, np.inf], [np.inf, -np.inf, -np.inf, np.inf, 0]])
        yield Sample.of(ties.astype(np.float32), axis=1, keepdims=False)
        yield Sample.of(ties.astype(np.float32), axis=None, keepdims=True)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2, 3), float32)
        yield BadSample((x,), {"axis": 2, "keepdims": False}, ArgumentError, (self.name, "axis=2", "2 dimensions"))
        yield BadSample(
            (x.with_shape((0, 3)),), {"axis": 0, "keepdims": False}, ShapeError, (self.name, "(0, 3)", "no elements")
        )


class ArgMax(_Position):
    """The first position of the largest element, as int64."""

    name = "argmax"
    kind = "max"
    function = staticmethod(np.argmax)


class ArgMin(_Position):
    """The first position of the smallest element, as int64."""

    name = "argmin"
    kind = "min"
    function = staticmethod(np.argmin)


sum_ = Sum()
prod = Prod()
squared_deviations = SquaredDeviations()
max_ = Max()
min_ = Min()
argmax = ArgMax()
argmin = ArgMin()
