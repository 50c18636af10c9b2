"""Elements chosen along one axis, each by an index of its own: take_along and its adjoint scatter_along; and rank,
the place of each element in sorted order, which orderings are made of.

Indices out of range are treated as in ``lucid.ops.indexing``. Compiled code scatters by asking, for each place, every
index along the axis, and ranks by comparing all pairs: work that is quadratic in the axis, but free of branches and
the same for any number of threads.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lucid.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, Reduce, binary, identity, reduce_axes, select, unary
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import TensorType, bool_, float32, float64, int32, int64, is_float, uint8
from lucid.ops.arithmetic import div
from lucid.ops.common import quiet, require_kind, require_same_dtype, zero
from lucid.ops.indexing import or_nan, wrapped, wrapped_array
from lucid.ops.leaf import constant
from lucid.ops.logic import eq, where
from lucid.ops.sampling import positive, smooth, special
from lucid.ops.unary import cast


def _check(op: str, x: TensorType, indices: TensorType, axis: int) -> None:
    require_kind(op, "iu", indices=indices)
    if not 0 <= axis < x.ndim:
        raise ArgumentError(f"axis={axis} is out of range for {x.ndim} dimensions", op=op)
    rest = x.shape[:axis] + x.shape[axis + 1 :]
    if indices.ndim != x.ndim or indices.shape[:axis] + indices.shape[axis + 1 :] != rest:
        raise ShapeError(
            f"indices have shape {indices.shape}, x has {x.shape}: all sizes but that of axis {axis} must be equal",
            op=op,
        )
    if x.shape[axis] == 0 and indices.size:
        raise IndexRangeError(f"axis {axis} has size 0: there is nothing to index", op=op)


def _places(indices: Array, axis: int) -> tuple[Array, ...]:
    """A NumPy index that reaches, for each element of ``indices``, the place along ``axis`` that it names."""
    grid = np.ogrid[tuple(slice(n) for n in indices.shape)]
    return tuple(indices if k == axis else g for k, g in enumerate(grid))


class TakeAlong(Op):
    """For each element of ``indices``, the element of ``x`` that it names along ``axis``, at the same other places."""

    name = "take_along"

    def infer(self, x: TensorType, indices: TensorType, *, axis: int) -> TensorType:
        _check(self.name, x, indices, axis)
        return x.with_shape(indices.shape)

    def evaluate(self, x: Array, indices: Array, *, axis: int) -> Array:
        at = wrapped_array(self.name, indices, x.shape[axis], axis)
        chosen: Array = x[_places(at, axis)]
        return chosen

    def vjp(self, node: Node, g: Node) -> tuple[Node, None]:
        x, indices = node.inputs
        nothing = constant(value=0.0, shape=x.shape, dtype=g.dtype)
        return scatter_along(nothing, indices, g, axis=node.attrs["axis"], kind="sum"), None

    def compute(self, out: tuple[Axis, ...], x: Operand, indices: Operand, *, axis: int) -> Expr:
        chosen, inside = wrapped(indices, out, x.shape[axis])
        return or_nan(inside, x.load([*out[:axis], chosen, *out[axis + 1 :]]))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, count, axis in (
            ((17,), 5, 0),
            ((5, 3), 4, 0),
            ((3, 5, 2), 7, 1),
            ((4, 6), 1, 1),
            ((3, 4), 0, 0),
            ((0, 4), 3, 1),
        ):
            at = [*shape[:axis], count, *shape[axis + 1 :]]
            n = shape[axis]
            yield Sample.of(smooth(rng, shape), np.asarray(rng.integers(-n, n, at), np.int64), axis=axis)
        yield Sample.of(smooth(rng, (4,), float64), np.array([3, 0, 3], np.int32), axis=0)
        yield Sample.of(smooth(rng, (4,), bool_), np.array([3, 0, 3], np.uint8), axis=0)

    def bad_samples(self) -> Iterable[BadSample]:
        x, i = TensorType((4, 3), float32), TensorType((4, 2), int64)
        yield BadSample((x, i), {"axis": 2}, ArgumentError, ("take_along", "axis=2", "2 dimensions"))
        yield BadSample((x, i), {"axis": 0}, ShapeError, ("take_along", "(4, 2)", "(4, 3)"))
        yield BadSample((x, i.with_dtype(float32)), {"axis": 1}, DTypeError, ("take_along", "indices", "float32"))
        yield BadSample((x.with_shape((4, 0)), i), {"axis": 1}, IndexRangeError, ("take_along", "size 0"))


_AT: dict[str, Any] = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}
_CODES = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}
_BOOL_CODES = {"max": "or", "min": "and"}


class ScatterAlong(Op):
    """``x`` combined, at the places along ``axis`` that ``indices`` name, with the elements of ``source`` there.

    ``kind`` says how: the sum, the product, the largest or the smallest of ``x``'s element and all that meet it.
    Elements that tie for an extreme share the gradient evenly.
    """

    name = "scatter_along"

    def infer(self, x: TensorType, indices: TensorType, source: TensorType, *, axis: int, kind: str) -> TensorType:
        if kind not in _AT:
            raise ArgumentError(f"kind={kind!r} must be one of {', '.join(_AT)}", op=self.name)
        require_kind(self.name, "iuf" if kind in ("sum", "prod") else "biuf", x=x)
        require_same_dtype(self.name, x=x, source=source)
        _check(self.name, x, indices, axis)
        if source.shape != indices.shape:
            raise ShapeError(f"source has shape {source.shape}, but indices have {indices.shape}", op=self.name)
        return x

    @quiet
    def evaluate(self, x: Array, indices: Array, source: Array, *, axis: int, kind: str) -> Array:
        result: Array = x.copy()
        _AT[kind].at(result, _places(wrapped_array(self.name, indices, x.shape[axis], axis), axis), source)
        return result

    def vjp(self, node: Node, g: Node) -> tuple[Node, None, Node]:
        x, indices, source = node.inputs
        axis, kind = node.attrs["axis"], node.attrs["kind"]
        if kind == "sum":
            return g, None, take_along(g, indices, axis=axis)
        if kind == "prod":
            return self._product_vjp(node, g)
        held = cast(eq(x, node), dtype=g.dtype)
        meets = cast(eq(source, take_along(node, indices, axis=axis)), dtype=g.dtype)
        share = g / scatter_along(held, indices, meets, axis=axis, kind="sum")
        return share * held, None, take_along(share, indices, axis=axis) * meets

    def _product_vjp(self, node: Node, g: Node) -> tuple[Node, None, Node]:
        """Each factor gets the product of the others: the quotient by itself, unless factors are 0."""
        x, indices, source = node.inputs
        axis = node.attrs["axis"]
        none, one = zero(g), zero(g) + 1
        at_x, at_source = eq(x, none), eq(source, none)
        zeros = scatter_along(cast(at_x, dtype=g.dtype), indices, cast(at_source, dtype=g.dtype), axis=axis, kind="sum")
        rest = scatter_along(where(at_x, one, x), indices, where(at_source, one, source), axis=axis, kind="prod")

        def others(factor: Node, is_zero: Node, count: Node, product: Node) -> Node:
            alone = where(eq(count, one), product, none)
            usual = where(eq(count, none), div(product, where(is_zero, one, factor)), none)
            return where(is_zero, alone, usual)

        taken = [take_along(value, indices, axis=axis) for value in (zeros, rest, g)]
        return g * others(x, at_x, zeros, rest), None, taken[2] * others(source, at_source, taken[0], taken[1])

    def compute(
        self, out: tuple[Axis, ...], x: Operand, indices: Operand, source: Operand, *, axis: int, kind: str
    ) -> Expr:
        (along,) = reduce_axes(("p", indices.shape[axis]))
        position = (*out[:axis], along, *out[axis + 1 :])
        chosen, inside = wrapped(indices, position, x.shape[axis])
        element = select(chosen.eq(out[axis]), source.load(position), identity(kind, x.dtype))
        code = _BOOL_CODES[kind] if x.dtype == bool_ else _CODES[kind]
        if x.dtype == bool_:  # reductions know numbers alone
            met = Reduce(kind, (along,), or_nan(inside, element).cast(int32)).ne(0)
            return binary(code, x.load(out), met)
        return binary(code, x.load(out), Reduce(kind, (along,), or_nan(inside, element)))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for kind in _AT:
            for shape, count, axis in (
                ((6,), 17, 0),
                ((4, 3), 5, 0),
                ((2, 5, 3), 4, 1),
                ((2, 3), 0, 1),
                ((0, 3), 2, 1),
            ):
                at = [*shape[:axis], count, *shape[axis + 1 :]]
                n = shape[axis]
                indices = np.asarray(rng.integers(-n, n, at), np.int64)
                yield Sample.of(smooth(rng, shape), indices, smooth(rng, at), axis=axis, kind=kind)
            dtypes = (float64, int32, uint8) if kind in ("sum", "prod") else (float64, int32, bool_)
            for dtype in dtypes:
                values = positive(rng, (4,), dtype) if dtype == float64 else smooth(rng, (4,), dtype)
                yield Sample.of(values, np.array([3, 0, 3], np.int32), values[:3].copy(), axis=0, kind=kind)

    def bad_samples(self) -> Iterable[BadSample]:
        x, i = TensorType((4, 3), float32), TensorType((4, 2), int64)
        source, good = x.with_shape((4, 2)), {"axis": 1, "kind": "sum"}
        yield BadSample((x, i, source), {"axis": 2, "kind": "sum"}, ArgumentError, ("scatter_along", "axis=2"))
        yield BadSample((x, i, source), {"axis": 1, "kind": "mean"}, ArgumentError, ("scatter_along", "'mean'"))
        yield BadSample((x, i, x), good, ShapeError, ("scatter_along", "source", "(4, 3)"))
        yield BadSample((x, i, source.with_dtype(int32)), good, DTypeError, ("scatter_along", "int32"))
        yield BadSample((x.with_dtype(bool_), i, source.with_dtype(bool_)), good, DTypeError, ("scatter_along", "bool"))


class Rank(Op):
    """How many elements along ``axis`` come before each in a stable order, NaN counting as larger than any number."""

    name = "rank"
    differentiable = False

    def infer(self, x: TensorType, *, axis: int, descending: bool) -> TensorType:
        if not 0 <= axis < x.ndim:
            raise ArgumentError(f"axis={axis} is out of range for {x.ndim} dimensions", op=self.name)
        if not isinstance(descending, bool):
            raise ArgumentError(f"descending={descending!r} must be True or False", op=self.name)
        return x.with_dtype(int64)

    def evaluate(self, x: Array, *, axis: int, descending: bool) -> Array:
        n = x.shape[axis]
        if descending:
            order = np.flip(n - 1 - np.argsort(np.flip(x, axis), axis, kind="stable"), axis)
        else:
            order = np.argsort(x, axis, kind="stable")
        ranks = np.empty(x.shape, np.int64)
        along = np.arange(n).reshape([-1 if k == axis else 1 for k in range(x.ndim)])
        np.put_along_axis(ranks, order, np.broadcast_to(along, x.shape), axis)
        return ranks

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, axis: int, descending: bool) -> Expr:
        (along,) = reduce_axes(("j", x.shape[axis]))
        own, other = x.load(out), x.load([*out[:axis], along, *out[axis + 1 :]])
        if x.dtype == bool_:
            own, other = own.cast(int32), other.cast(int32)
        before, tie = own < other if descending else other < own, own.eq(other)
        if is_float(x.dtype):
            first, second = (own, other) if descending else (other, own)
            before = before | (unary("isnan", second) & unary("not", unary("isnan", first)))
            tie = tie | (unary("isnan", own) & unary("isnan", other))
        comes = before | (tie & (along < out[axis]))
        return Reduce("sum", (along,), select(comes, identity("prod", int64), identity("sum", int64)))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for descending in (False, True):
            for shape, axis in (((17,), 0), ((5, 3), 0), ((2, 3, 5), 1), ((0, 3), 1), ((3, 0), 1), ((1,), 0)):
                yield Sample.of(smooth(rng, shape), axis=axis, descending=descending)
            for dtype in (float64, int32, uint8, bool_):
                yield Sample.of(smooth(rng, (9,), dtype), axis=0, descending=descending)
            ties = np.concatenate([special(float32), special(float32)])
            yield Sample.of(rng.permutation(ties), axis=0, descending=descending)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((4, 3), float32)
        yield BadSample((x,), {"axis": 2, "descending": False}, ArgumentError, ("rank", "axis=2", "2 dimensions"))
        yield BadSample((x,), {"axis": 0, "descending": 1}, ArgumentError, ("rank", "descending=1"))


take_along = TakeAlong()
scatter_along = ScatterAlong()
rank = Rank()
