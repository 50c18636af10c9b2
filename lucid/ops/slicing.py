"""Parts of tensors and tensors from parts: slice and pad, which are each other's adjoints, and concat.

``slice`` returns a NumPy view from ``evaluate``: its result shares memory with its operand.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, select
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import Scalar, Shape, TensorType, bool_, float32, float64, int32, is_float, is_integer, uint8
from lucid.ops.common import require_length, require_same_dtype
from lucid.ops.sampling import smooth

Ints = tuple[int, ...]


class Slice(Op):
    """Every ``step``-th element from ``start`` up to, not including, ``stop``, along each axis."""

    name = "slice"
    moves = True

    def infer(self, x: TensorType, *, start: Ints, stop: Ints, step: Ints) -> TensorType:
        require_length(self.name, x, start=start, stop=stop, step=step)
        for axis, (n, a, b, s) in enumerate(zip(x.shape, start, stop, step, strict=True)):
            if not 0 <= a <= b <= n:
                raise ArgumentError(
                    f"start={a}, stop={b} along axis {axis} must satisfy 0 <= start <= stop <= {n}", op=self.name
                )
            if s < 1:
                raise ArgumentError(f"step={s} along axis {axis} must be at least 1", op=self.name)
        return x.with_shape([-((a - b) // s) for a, b, s in zip(start, stop, step, strict=True)])

    def evaluate(self, x: Array, *, start: Ints, stop: Ints, step: Ints) -> Array:
        view: Array = x[_region(start, stop, step)]
        return view

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        start, step = node.attrs["start"], node.attrs["step"]
        reached = [a + (m - 1) * s + 1 if m else a for a, m, s in zip(start, g.shape, step, strict=True)]
        return (
            pad(
                g,
                low=start,
                high=tuple(n - r for n, r in zip(node.inputs[0].shape, reached, strict=True)),
                interior=tuple(s - 1 for s in step),
                value=0.0,
            ),
        )

    def compute(self, out: tuple[Axis, ...], x: Operand, *, start: Ints, stop: Ints, step: Ints) -> Expr:
        return x.load([i * s + a for i, a, s in zip(out, start, step, strict=True)])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, start, stop, step in (
            ((17,), (0,), (17,), (1,)),
            ((17,), (3,), (16,), (4,)),
            ((5, 6), (1, 2), (4, 2), (1, 1)),
            ((5, 6), (0, 1), (5, 6), (2, 3)),
            ((3, 4, 5), (1, 0, 2), (2, 4, 5), (1, 2, 1)),
            ((0, 3), (0, 1), (0, 3), (1, 1)),
            ((), (), (), ()),
        ):
            yield Sample.of(smooth(rng, shape), start=start, stop=stop, step=step)
        yield Sample.of(smooth(rng, (7,), float64), start=(1,), stop=(6,), step=(2,))
        yield Sample.of(smooth(rng, (7,), int32), start=(1,), stop=(6,), step=(2,))

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((5, 6), float32)

        def attrs(start: Ints, stop: Ints, step: Ints) -> dict[str, Ints]:
            return {"start": start, "stop": stop, "step": step}

        yield BadSample((x,), attrs((0, 0), (5, 7), (1, 1)), ArgumentError, ("slice", "stop=7", "axis 1", "6"))
        yield BadSample((x,), attrs((0, 0), (5, 6), (1, 0)), ArgumentError, ("slice", "step=0", "axis 1"))
        yield BadSample((x,), attrs((0,), (5,), (1,)), ArgumentError, ("slice", "start=(0,)", "2 axes"))


def _region(start: Ints, stop: Ints, step: Ints) -> tuple[Any, ...]:
    """The NumPy index of a slice. Its ellipsis makes NumPy give an array, not a scalar object, without axes."""
    return (..., *map(slice, start, stop, step))


class Pad(Op):
    """``low`` and ``high`` elements of ``value`` at the ends of each axis, ``interior`` between neighbours."""

    name = "pad"
    moves = True

    def infer(self, x: TensorType, *, low: Ints, high: Ints, interior: Ints, value: Scalar) -> TensorType:
        require_length(self.name, x, low=low, high=high, interior=interior)
        for argument, counts in (("low", low), ("high", high), ("interior", interior)):
            if min(counts, default=0) < 0:
                raise ArgumentError(f"{argument}={counts} must not be negative", op=self.name)
        if isinstance(value, float) and not is_float(x.dtype) and not value.is_integer():
            raise ArgumentTypeError(f"value={value} cannot pad dtype {x.dtype.name}", op=self.name)
        if is_integer(x.dtype) and not np.iinfo(x.dtype).min <= value <= np.iinfo(x.dtype).max:
            raise ArgumentError(f"value={value} is not a value of dtype {x.dtype.name}", op=self.name)
        sizes = zip(x.shape, low, high, interior, strict=True)
        return x.with_shape([a + n + b + max(n - 1, 0) * s for n, a, b, s in sizes])

    def evaluate(self, x: Array, *, low: Ints, high: Ints, interior: Ints, value: Scalar) -> Array:
        shape = self.infer(TensorType(x.shape, x.dtype), low=low, high=high, interior=interior, value=value).shape
        y = np.full(shape, value, x.dtype)
        if x.size:
            y[_region(*_lattice(x.shape, low, interior))] = x
        return y

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        start, stop, step = _lattice(node.inputs[0].shape, node.attrs["low"], node.attrs["interior"])
        return (slice_(g, start=start, stop=stop, step=step),)

    def compute(
        self, out: tuple[Axis, ...], x: Operand, *, low: Ints, high: Ints, interior: Ints, value: Scalar
    ) -> Expr:
        fill = x.dtype.type(value).item()
        shifted = [i - a for i, a in zip(out, low, strict=True)]
        element: Expr = x.load([i // (s + 1) for i, s in zip(shifted, interior, strict=True)], fill)
        for i, s in zip(shifted, interior, strict=True):
            if s:
                element = select((i % (s + 1)).eq(0), element, fill)
        return element

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, low, high, interior, value in (
            ((17,), (2,), (1,), (0,), 0.0),
            ((3, 4), (0, 1), (2, 0), (0, 0), 1.5),
            ((3, 4), (0, 0), (0, 0), (1, 2), 0.0),
            ((3, 5), (1, 2), (2, 1), (2, 1), -1.0),
            ((0, 3), (2, 0), (1, 0), (3, 0), 0.5),
            ((1,), (0,), (0,), (4,), 0.0),
            ((), (), (), (), 0.0),
        ):
            yield Sample.of(smooth(rng, shape), low=low, high=high, interior=interior, value=value)
        yield Sample.of(smooth(rng, (3,), float64), low=(1,), high=(1,), interior=(1,), value=float("-inf"))
        yield Sample.of(smooth(rng, (3,), int32), low=(1,), high=(1,), interior=(1,), value=-7)
        yield Sample.of(smooth(rng, (3,), bool_), low=(1,), high=(1,), interior=(0,), value=True)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((5, 6), float32)
        good = {"low": (0, 0), "high": (0, 0), "interior": (0, 0), "value": 0.0}
        yield BadSample((x,), {**good, "low": (0, -1)}, ArgumentError, ("pad", "low=(0, -1)", "negative"))
        yield BadSample((x,), {**good, "interior": (-1, 0)}, ArgumentError, ("pad", "interior=(-1, 0)"))
        yield BadSample((x,), {**good, "high": (1,)}, ArgumentError, ("pad", "high=(1,)", "2 axes"))
        yield BadSample(
            (x.with_dtype(int32),), {**good, "value": 0.5}, ArgumentTypeError, ("pad", "value=0.5", "int32")
        )
        yield BadSample((x.with_dtype(uint8),), {**good, "value": 256}, ArgumentError, ("pad", "value=256", "uint8"))


def _lattice(shape: Shape, low: Ints, interior: Ints) -> tuple[Ints, Ints, Ints]:
    """Start, stop and step of the positions in a padded array that hold the original elements."""
    stop = tuple(a + ((n - 1) * (s + 1) + 1 if n else 0) for n, a, s in zip(shape, low, interior, strict=True))
    return low, stop, tuple(s + 1 for s in interior)


class Concat(Op):
    """The operands end to end along ``axis``; their other sizes are equal."""

    name = "concat"
    moves = True

    def infer(self, *xs: TensorType, axis: int) -> TensorType:
        if not xs:
            raise ArgumentError("needs at least one tensor", op=self.name)
        require_same_dtype(self.name, **{f"tensors[{k}]": x for k, x in enumerate(xs)})
        first = xs[0]
        if not 0 <= axis < first.ndim:
            raise ArgumentError(f"axis={axis} is out of range for {first.ndim} dimensions", op=self.name)
        for k, x in enumerate(xs):
            if x.shape[:axis] + x.shape[axis + 1 :] != first.shape[:axis] + first.shape[axis + 1 :]:
                raise ShapeError(
                    f"tensors[{k}] has shape {x.shape}, tensors[0] has {first.shape}: all sizes but that of "
                    f"axis {axis} must be equal",
                    op=self.name,
                )
        total = sum(x.shape[axis] for x in xs)
        return first.with_shape((*first.shape[:axis], total, *first.shape[axis + 1 :]))

    def evaluate(self, *xs: Array, axis: int) -> Array:
        return np.concatenate(xs, axis)

    def vjp(self, node: Node, g: Node) -> list[Node]:
        axis = node.attrs["axis"]
        pieces, begin = [], 0
        for x in node.inputs:
            start = tuple(begin if k == axis else 0 for k in range(len(g.shape)))
            stop = tuple(a + n for a, n in zip(start, x.shape, strict=True))
            pieces.append(slice_(g, start=start, stop=stop, step=(1,) * len(stop)))
            begin += x.shape[axis]
        return pieces

    def compute(self, out: tuple[Axis, ...], *xs: Operand, axis: int) -> Expr:
        ends, begin = [], 0
        elements = []
        for x in xs:
            at = [i - begin if k == axis else i for k, i in enumerate(out)]
            # Outside its own stretch an operand is not chosen; the fill makes the load harmless there.
            elements.append(x.load(at, x.dtype.type(0).item()))
            begin += x.shape[axis]
            ends.append(begin)
        value: Expr = elements[-1]
        for element, end in zip(elements[-2::-1], ends[-2::-1], strict=True):
            value = select(out[axis] < end, element, value)
        return value

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for axis, shapes in (
            (0, [(17,), (3,)]),
            (1, [(2, 3), (2, 1), (2, 4)]),
            (1, [(2, 3, 5), (2, 0, 5), (2, 1, 5)]),
            (0, [(0, 3), (0, 3)]),
            (0, [(4, 2)]),
        ):
            yield Sample.of(*[smooth(rng, shape) for shape in shapes], axis=axis)
        yield Sample.of(smooth(rng, (3,), float64), smooth(rng, (2,), float64), axis=0)
        yield Sample.of(smooth(rng, (3,), bool_), smooth(rng, (2,), bool_), axis=0)

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2, 3), float32)
        yield BadSample((x, x.with_shape((3, 3))), {"axis": 1}, ShapeError, ("concat", "tensors[1]", "(3, 3)"))
        yield BadSample((x, x), {"axis": 2}, ArgumentError, ("concat", "axis=2"))
        yield BadSample((x, x.with_dtype(int32)), {"axis": 0}, DTypeError, ("concat", "tensors[1] is int32"))
        yield BadSample((), {"axis": 0}, ArgumentError, ("concat", "at least one"))


slice_ = Slice()
pad = Pad()
concat = Concat()
