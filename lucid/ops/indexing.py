"""Elements chosen by integer tensors: take, its adjoint scatter_add, and one_hot.

Negative indices count from the end. ``evaluate`` refuses an index out of range. Compiled code, which cannot raise,
stays inside the tensor and gives NaN for what such an index has chosen; an integer result, which has no NaN, is that of
the nearest index.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from lucid.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, axes, binary, const, select, total
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import DType, TensorType, bool_, float32, float64, int32, int64, is_float
from lucid.ops.common import quiet, require_kind, require_supported
from lucid.ops.sampling import integers, smooth


def wrapped_array(op: str, indices: Array, size: int, axis: int) -> Array:
    """Indices counted from the front, as int64."""
    bad = indices >= size
    if indices.dtype.kind == "i":
        bad |= indices < -size
    if bad.any():
        raise IndexRangeError(
            f"index {indices[bad].flat[0]} is out of range for axis {axis} of size {size}",
            op=op,
            hint=f"indices must lie in {-size} .. {size - 1}",
        )
    wide = indices.astype(np.int64)
    return np.where(wide < 0, wide + size, wide)


def wrapped(indices: Operand, position: tuple[Axis, ...], size: int) -> tuple[Expr, Expr]:
    """The index at ``position``, counted from the front and kept inside; and whether it was inside."""
    i = indices.load(position).cast(int64)
    if indices.dtype.kind == "i":
        i = select(i < 0, i + size, i)
    kept = binary("min", binary("max", i, 0), size - 1)
    return kept, kept.eq(i)


def or_nan(inside: Expr, value: Expr) -> Expr:
    """``value``, and NaN where an index was out of range, so that it cannot pass in silence."""
    return select(inside, value, float("nan")) if is_float(value.dtype) else value


def _check(op: str, x: TensorType, indices: TensorType, axis: int, size: int) -> None:
    require_kind(op, "iu", indices=indices)
    if size == 0 and indices.size:
        raise IndexRangeError(f"axis {axis} has size 0: there is nothing to index", op=op)


class Take(Op):
    """Elements of ``x`` along ``axis`` at integer positions: the shape of ``indices`` replaces that axis."""

    name = "take"
    moves = True

    def infer(self, x: TensorType, indices: TensorType, *, axis: int) -> TensorType:
        if not 0 <= axis < x.ndim:
            raise ArgumentError(f"axis={axis} is out of range for {x.ndim} dimensions", op=self.name)
        _check(self.name, x, indices, axis, x.shape[axis])
        return x.with_shape((*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :]))

    def evaluate(self, x: Array, indices: Array, *, axis: int) -> Array:
        return np.asarray(np.take(x, wrapped_array(self.name, indices, x.shape[axis], axis), axis))

    def vjp(self, node: Node, g: Node) -> tuple[Node, None]:
        x, indices = node.inputs
        axis = node.attrs["axis"]
        return scatter_add(g, indices, axis=axis, size=x.shape[axis]), None

    def compute(self, out: tuple[Axis, ...], x: Operand, indices: Operand, *, axis: int) -> Expr:
        end = axis + len(indices.shape)
        chosen, inside = wrapped(indices, out[axis:end], x.shape[axis])
        return or_nan(inside, x.load([*out[:axis], chosen, *out[end:]]))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, at, axis in (
            ((17,), (5,), 0),
            ((5, 3), (4,), 0),
            ((3, 5, 2), (2, 3), 1),
            ((4, 6), (), 1),
            ((3, 4), (0,), 0),
            ((0, 4), (3,), 1),
            ((0, 4), (0, 2), 0),
        ):
            n = max(shape[axis], 1)
            yield Sample.of(smooth(rng, shape), np.asarray(rng.integers(-n, n, at), np.int64), axis=axis)
        yield Sample.of(smooth(rng, (4,), float64), np.array([3, 0, 3], np.int32), axis=0)
        yield Sample.of(smooth(rng, (4,), bool_), np.array([3, 0, 3], np.uint8), axis=0)

    def bad_samples(self) -> Iterable[BadSample]:
        x, i = TensorType((4, 3), float32), TensorType((2,), int64)
        yield BadSample((x, i), {"axis": 2}, ArgumentError, ("take", "axis=2", "2 dimensions"))
        yield BadSample((x, i.with_dtype(float32)), {"axis": 0}, DTypeError, ("take", "indices", "float32"))
        yield BadSample((x.with_shape((0, 3)), i), {"axis": 0}, IndexRangeError, ("take", "size 0"))


class ScatterAdd(Op):
    """Adjoint of ``take``: zeros with ``size`` places along ``axis``, slices of ``g`` added where ``indices`` point."""

    name = "scatter_add"

    def infer(self, g: TensorType, indices: TensorType, *, axis: int, size: int) -> TensorType:
        require_kind(self.name, "iuf", g=g)
        if size < 0:
            raise ArgumentError(f"size={size} must not be negative", op=self.name)
        end = axis + indices.ndim
        if not 0 <= axis <= g.ndim - indices.ndim:
            raise ArgumentError(
                f"axis={axis} leaves no room in shape {g.shape} for indices of shape {indices.shape}", op=self.name
            )
        _check(self.name, g, indices, axis, size)
        if g.shape[axis:end] != indices.shape:
            raise ShapeError(
                f"g has shape {g.shape}, but from axis {axis} on it must have the indices' shape {indices.shape}",
                op=self.name,
            )
        return g.with_shape((*g.shape[:axis], size, *g.shape[end:]))

    @quiet
    def evaluate(self, g: Array, indices: Array, *, axis: int, size: int) -> Array:
        end = axis + indices.ndim
        at = wrapped_array(self.name, indices, size, axis)
        result = np.zeros((size, *g.shape[:axis], *g.shape[end:]), g.dtype)
        np.add.at(result, at, np.moveaxis(g, range(axis, end), range(indices.ndim)))
        return np.moveaxis(result, 0, axis)

    def vjp(self, node: Node, g: Node) -> tuple[Node, None]:
        return take(g, node.inputs[1], axis=node.attrs["axis"]), None

    def compute(self, out: tuple[Axis, ...], g: Operand, indices: Operand, *, axis: int, size: int) -> Expr:
        over = axes("p", indices.shape)
        element = g.load([*out[:axis], *over, *out[axis + 1 :]])
        chosen, inside = wrapped(indices, over, size)
        return total(or_nan(inside, select(chosen.eq(out[axis]), element, 0)), over=over)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, at, axis, size in (
            ((17,), (17,), 0, 5),
            ((4, 3), (4,), 0, 6),
            ((3, 2, 3, 2), (2, 3), 1, 5),
            ((4, 6), (), 1, 3),
            ((0, 4), (0,), 0, 3),
            ((0, 4), (0,), 0, 0),
        ):
            n = max(size, 1)
            indices = np.asarray(rng.integers(-n, n, at), np.int64)
            yield Sample.of(smooth(rng, shape), indices, axis=axis, size=size)
        yield Sample.of(smooth(rng, (3,), float64), np.array([3, 0, 3], np.int32), axis=0, size=4)
        yield Sample.of(smooth(rng, (3,), int32), np.array([3, 0, 3], np.uint8), axis=0, size=4)

    def bad_samples(self) -> Iterable[BadSample]:
        g, i = TensorType((2, 3), float32), TensorType((2,), int64)
        yield BadSample((g, i), {"axis": 1, "size": 4}, ShapeError, ("scatter_add", "(2, 3)", "(2,)"))
        yield BadSample((g, i), {"axis": 2, "size": 4}, ArgumentError, ("scatter_add", "axis=2"))
        yield BadSample((g, i), {"axis": 0, "size": -1}, ArgumentError, ("scatter_add", "size=-1"))
        yield BadSample((g, i.with_dtype(bool_)), {"axis": 0, "size": 4}, DTypeError, ("scatter_add", "indices"))
        yield BadSample((g.with_dtype(bool_), i), {"axis": 0, "size": 4}, DTypeError, ("scatter_add", "bool"))


class OneHot(Op):
    """A new last axis of ``classes`` places: 1 at the element's value, 0 elsewhere; a value out of range marks none."""

    name = "one_hot"
    differentiable = False

    def infer(self, x: TensorType, *, classes: int, dtype: DType) -> TensorType:
        require_kind(self.name, "iu", x=x)
        require_supported(self.name, dtype)
        if classes < 0:
            raise ArgumentError(f"classes={classes} must not be negative", op=self.name)
        return TensorType((*x.shape, classes), dtype)

    def evaluate(self, x: Array, *, classes: int, dtype: DType) -> Array:
        hits: Array = x[..., None] == np.arange(classes)
        return hits.astype(dtype)

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, classes: int, dtype: DType) -> Expr:
        hit = x.load(out[:-1]).cast(int64).eq(out[-1])
        return select(hit, const(1, dtype), const(0, dtype))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, classes, dtype in (
            ((17,), 10, float32),
            ((2, 3), 4, float64),
            ((), 3, int32),
            ((0,), 3, float32),
            ((4,), 0, float32),
            ((4,), 5, bool_),
        ):
            yield Sample.of(integers(rng, shape, int64), classes=classes, dtype=dtype)
        yield Sample.of(np.array([0, 2, 255], np.uint8), classes=3, dtype=float32)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2,), int64)
        yield BadSample((x,), {"classes": -1, "dtype": float32}, ArgumentError, ("one_hot", "classes=-1"))
        yield BadSample((x.with_dtype(float32),), {"classes": 3, "dtype": float32}, DTypeError, ("one_hot", "float32"))


take = Take()
scatter_add = ScatterAdd()
one_hot = OneHot()
