"""Operations that move every element and compute nothing: reshape, transpose, broadcast, flip.

Each is one load at a moved position. ``evaluate`` returns NumPy views where NumPy can: a result may share memory with
its operand, and may be read-only.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from lucid.errors import ArgumentError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, index
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import Shape, TensorType, bool_, float32, float64, int32
from lucid.ops.common import as_array, require_axes, unbroadcast
from lucid.ops.sampling import smooth, special

Ints = tuple[int, ...]


class Reshape(Op):
    """The same elements in C order under another shape of the same size."""

    name = "reshape"
    moves = True

    def infer(self, x: TensorType, *, shape: Shape) -> TensorType:
        if min(shape, default=0) < 0:
            raise ArgumentError(f"shape={shape} must not be negative", op=self.name)
        if math.prod(shape) != x.size:
            raise ShapeError(
                f"{x.size} elements of shape {x.shape} cannot be given shape={shape}, "
                f"which has {math.prod(shape)} elements",
                op=self.name,
            )
        return x.with_shape(shape)

    def evaluate(self, x: Array, *, shape: Shape) -> Array:
        return x.reshape(shape)

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (reshape(g, shape=node.inputs[0].shape),)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, shape: Shape) -> Expr:
        return x.load(reshaped_index(out, shape, x.shape))

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for source, target in (
            ((17,), (17, 1)),
            ((2, 3, 4), (6, 4)),
            ((6, 4), (2, 3, 2, 2)),
            ((4, 6), (3, 8)),
            ((1, 5, 1), (5,)),
            ((), (1, 1)),
            ((1,), ()),
            ((2, 0, 3), (0, 7)),
            ((2, 1, 3, 5), (3, 2, 1, 5)),
            ((6, 35), (2, 21, 5)),
        ):
            yield Sample.of(smooth(rng, source), shape=target)
        yield Sample.of(smooth(rng, (4, 3), float64), shape=(12,))
        yield Sample.of(smooth(rng, (4, 3), int32), shape=(2, 6))
        yield Sample.of(special(float32), shape=(2, special(float32).size // 2))

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2, 3), float32)
        yield BadSample((x,), {"shape": (4,)}, ShapeError, ("reshape", "(2, 3)", "(4,)"))
        yield BadSample((x,), {"shape": (-2, -3)}, ArgumentError, ("reshape", "(-2, -3)", "negative"))


def _matching_groups(a: Shape, b: Shape) -> Iterator[tuple[list[int], list[int]]]:
    """Dimensions of two shapes of one size, none of it 0 or 1, in the smallest runs that hold equally many elements."""
    i = j = 0
    while i < len(a):
        left, right, p, q = [i], [j], a[i], b[j]
        while p != q:
            if p < q:
                left.append(i := i + 1)
                p *= a[i]
            else:
                right.append(j := j + 1)
                q *= b[j]
        yield left, right
        i, j = i + 1, j + 1


def reshaped_index(position: Sequence[Expr], shape: Shape, source: Shape) -> list[Expr]:
    """Where in ``source`` the element at ``position`` of ``shape`` lies; divides only where dimensions split."""
    result: list[Expr] = [index(0)] * len(source)
    if 0 in source:
        return result
    of = [k for k, n in enumerate(source) if n != 1]
    to = [k for k, n in enumerate(shape) if n != 1]
    for left, right in _matching_groups(tuple(source[k] for k in of), tuple(shape[k] for k in to)):
        linear: Expr = index(0)
        for k in right:
            linear = linear * shape[to[k]] + position[to[k]]
        for k in reversed(left[1:]):
            result[of[k]] = linear % source[of[k]]
            linear = linear // source[of[k]]
        result[of[left[0]]] = linear
    return result


class Transpose(Op):
    """Axes reordered: axis ``k`` of the result is axis ``perm[k]`` of ``x``."""

    name = "transpose"
    moves = True

    def infer(self, x: TensorType, *, perm: Ints) -> TensorType:
        if sorted(perm) != list(range(x.ndim)):
            raise ArgumentError(
                f"perm={perm} must hold each axis of shape {x.shape} once: a permutation of {tuple(range(x.ndim))}",
                op=self.name,
            )
        return x.with_shape([x.shape[k] for k in perm])

    def evaluate(self, x: Array, *, perm: Ints) -> Array:
        view: Array = x.transpose(perm)
        return view

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (transpose(g, perm=inverse(node.attrs["perm"])),)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, perm: Ints) -> Expr:
        return x.load([out[k] for k in inverse(perm)])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, perm in (
            ((17, 3), (1, 0)),
            ((2, 3, 5), (2, 0, 1)),
            ((2, 1, 3, 4), (0, 2, 3, 1)),
            ((3, 0), (1, 0)),
            ((), ()),
            ((4,), (0,)),
        ):
            yield Sample.of(smooth(rng, shape), perm=perm)
        yield Sample.of(smooth(rng, (3, 4), bool_), perm=(1, 0))
        yield Sample.of(smooth(rng, (3, 4), float64), perm=(1, 0))

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2, 3), float32)
        yield BadSample((x,), {"perm": (0, 0)}, ArgumentError, ("transpose", "perm=(0, 0)", "(2, 3)"))
        yield BadSample((x,), {"perm": (0, 1, 2)}, ArgumentError, ("transpose", "perm=(0, 1, 2)"))


def inverse(perm: Ints) -> Ints:
    """The permutation that undoes ``perm``."""
    return tuple(perm.index(k) for k in range(len(perm)))


class BroadcastTo(Op):
    """``x`` repeated along new leading axes and along its axes of size 1."""

    name = "broadcast_to"
    moves = True

    def infer(self, x: TensorType, *, shape: Shape) -> TensorType:
        tail = shape[len(shape) - x.ndim :]
        if len(shape) < x.ndim or any(n not in (1, m) for n, m in zip(x.shape, tail, strict=True)):
            raise ShapeError(
                f"shape {x.shape} cannot be broadcast to shape={shape}",
                op=self.name,
                hint="aligned from the right, every size must be equal or 1",
            )
        return x.with_shape(shape)

    def evaluate(self, x: Array, *, shape: Shape) -> Array:
        view: Array = np.broadcast_to(x, shape)
        return view

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (unbroadcast(g, node.inputs[0]),)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, shape: Shape) -> Expr:
        return x.broadcast(out)

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for source, target in (
            ((), (17,)),
            ((1,), (0,)),
            ((3, 1), (3, 5)),
            ((5,), (2, 3, 5)),
            ((1, 4, 1), (2, 3, 4, 7)),
            ((3,), (3,)),
        ):
            yield Sample.of(smooth(rng, source), shape=target)
        yield Sample.of(smooth(rng, (1, 2), bool_), shape=(3, 2))
        yield Sample.of(smooth(rng, (1, 2), float64), shape=(3, 2))

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2, 3), float32)
        yield BadSample((x,), {"shape": (2, 4)}, ShapeError, ("broadcast_to", "(2, 3)", "(2, 4)"))
        yield BadSample((x,), {"shape": (3,)}, ShapeError, ("broadcast_to", "(2, 3)", "(3,)"))


class Flip(Op):
    """The order of elements reversed along ``axes``."""

    name = "flip"
    moves = True

    def infer(self, x: TensorType, *, axes: Ints) -> TensorType:
        require_axes(self.name, x, axes)
        return x

    def evaluate(self, x: Array, *, axes: Ints) -> Array:
        return as_array(np.flip(x, axes))

    def vjp(self, node: Node, g: Node) -> tuple[Node]:
        return (flip(g, axes=node.attrs["axes"]),)

    def compute(self, out: tuple[Axis, ...], x: Operand, *, axes: Ints) -> Expr:
        return x.load([x.shape[k] - 1 - i if k in axes else i for k, i in enumerate(out)])

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape, axes in (((17,), (0,)), ((3, 4), (1,)), ((2, 3, 5), (0, 2)), ((3, 0), (1,)), ((3, 4), ()), ((), ())):
            yield Sample.of(smooth(rng, shape), axes=axes)
        yield Sample.of(smooth(rng, (5,), float64), axes=(0,))
        yield Sample.of(smooth(rng, (5,), bool_), axes=(0,))

    def bad_samples(self) -> Iterable[BadSample]:
        x = TensorType((2, 3), float32)
        yield BadSample((x,), {"axes": (2,)}, ArgumentError, ("flip", "axes=(2,)", "2 dimensions"))
        yield BadSample((x,), {"axes": (1, 1)}, ArgumentError, ("flip", "axes=(1, 1)"))


reshape = Reshape()
transpose = Transpose()
broadcast_to = BroadcastTo()
flip = Flip()
