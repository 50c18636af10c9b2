"""Counter-based random numbers: a key goes in, and each element is a function of the key and its own position.

Bits are Philox4x32-10 (Salmon, Moraes, Dror & Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011): the
``uint32[4]`` input is (key low, key high, stream low, stream high), and element ``e`` is word ``e % 4`` of the block
whose counter is (``e // 4`` low, ``e // 4`` high, stream low, stream high).

Every formula here is written once, over ``Arithmetic``: on arrays it is ``evaluate``, on expressions it is ``compute``.
It uses only operations that every machine rounds alike (+ - * / sqrt, comparisons, casts, bits), so that compiled
numbers are those of eager, to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.ir.expr import Axis, Expr, Operand, index, select
from lucid.ir.graph import Array, BadSample, Node, Op, Sample
from lucid.ir.types import (
    DType,
    Shape,
    TensorType,
    float32,
    float64,
    int32,
    int64,
    is_float,
    uint32,
    uint64,
)  # fmt: skip
from lucid.ops.common import require_supported
from lucid.ops.normal import ON_ARRAYS, ON_EXPRESSIONS, Arithmetic, Lanes, inverse_normal

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
_WORD = 0xFFFFFFFF

#: Words that arrays are made of at a time: the many values on the way to them stay in the caches.
_PIECE = 1 << 15


def philox_block(on: Arithmetic, counter: Sequence[Lanes], key: Sequence[Lanes]) -> list[Lanes]:
    """Four random words from four counter words and two key words, all uint32: ten rounds of Philox4x32."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0 = on.cast(c0, uint64) * _MULTIPLIERS[0]
        p1 = on.cast(c2, uint64) * _MULTIPLIERS[1]
        c0, c1, c2, c3 = (
            on.cast(p1 >> 32, uint32) ^ c1 ^ k0,
            on.cast(p1 & _WORD, uint32),
            on.cast(p0 >> 32, uint32) ^ c3 ^ k1,
            on.cast(p0 & _WORD, uint32),
        )
        k0, k1 = k0 + _KEY_STEPS[0], k1 + _KEY_STEPS[1]
    return [c0, c1, c2, c3]


def _block(on: Arithmetic, number: Lanes, key: Sequence[Lanes]) -> list[Lanes]:
    """The four words of block ``number`` (int64) under the four words of an op's key."""
    low, high = on.cast(number & _WORD, uint32), on.cast(number >> 32, uint32)
    return philox_block(on, (low, high, key[2], key[3]), (key[0], key[1]))


def _uniform32(on: Arithmetic, word: Lanes) -> Lanes:
    """24 bits as a float32 in [0, 1)."""
    return on.cast(on.cast(word >> 8, int32), float32) * 2.0**-24


def _uniform64(on: Arithmetic, high: Lanes, low: Lanes) -> Lanes:
    """53 bits as a float64 in [0, 1)."""
    a, b = on.cast(on.cast(high >> 5, int32), float64), on.cast(on.cast(low >> 6, int32), float64)
    return (a * 2.0**26 + b) * 2.0**-53


def _normal32(on: Arithmetic, word: Lanes) -> Lanes:
    """31 bits place a float32 in one half of the normal distribution, the last one chooses the half."""
    v = on.cast(word & 0x7FFFFFFF, int32)
    tail = (on.cast(v, float32) + 0.5) * 2.0**-32
    centre = (on.cast(-v + 0x7FFFFFFF, float32) + 0.5) * 2.0**-32
    z = inverse_normal(on, tail, centre, float32)
    return on.select((word >> 31) > 0, -z, z)


def _normal64(on: Arithmetic, high: Lanes, low: Lanes) -> Lanes:
    """52 bits place a float64 in one half of the normal distribution, another one chooses the half."""
    v = (on.cast(high & 0x7FFFFFFF, int64) << 21) + on.cast(low >> 11, int64)
    tail = (on.cast(v, float64) + 0.5) * 2.0**-53
    centre = (on.cast(-v + (2**52 - 1), float64) + 0.5) * 2.0**-53
    z = inverse_normal(on, tail, centre, float64)
    return on.select((high >> 31) > 0, -z, z)


class _Random(Op):
    """What random ops share: the key, words by position, and refusals."""

    differentiable = False

    def check(self, key: TensorType, shape: Shape) -> None:
        if key.dtype != uint32:
            raise DTypeError(f"key has dtype {key.dtype.name}, but it must be uint32", op=self.name)
        if key.shape != (4,):
            raise ShapeError(f"key has shape {key.shape}, but it must hold 4 words: shape (4,)", op=self.name)
        if min(shape, default=0) < 0:
            raise ArgumentError(f"shape={shape} must not be negative", op=self.name)

    def drawn(self, key: Array, shape: Shape, dtype: DType) -> Array:
        """The array whose elements, in C order, are made of the next words."""
        each, size = dtype.itemsize // 4, math.prod(shape)
        result = np.empty(size, dtype)
        for start in range(0, size, _PIECE // each):
            part = result[start : start + _PIECE // each]
            blocks = np.arange(start * each // 4, -(-(start + part.size) * each // 4), dtype=np.int64)
            words = _block(ON_ARRAYS, blocks, [key[k : k + 1] for k in range(4)])
            flat = np.stack(words, axis=1).reshape(-1)[: part.size * each]
            part[:] = self.from_words(ON_ARRAYS, [flat[k::each] for k in range(each)])
        return result.reshape(shape)

    def from_words(self, on: Arithmetic, words: Sequence[Lanes]) -> Lanes:
        """An element of its words."""
        raise NotImplementedError  # each distribution defines it

    def words_at(self, out: tuple[Axis, ...], key: Operand, shape: Shape, each: int) -> list[Expr]:
        """The same at one output position."""
        position: Expr = index(0)
        for i, n in zip(out, shape, strict=True):
            position = position * n + i
        words: list[Expr] = _block(ON_EXPRESSIONS, position * each // 4, [key[k] for k in range(4)])
        first = position * each % 4
        return [_choose(first, words[k::each]) for k in range(each)]

    def vjp(self, node: Node, g: Node) -> tuple[None]:
        return (None,)

    def bad_samples(self) -> Iterable[BadSample]:
        key = TensorType((4,), uint32)
        attrs = dict(next(iter(self.samples(np.random.default_rng(0)))).attrs)
        yield BadSample((key.with_shape((2,)),), attrs, ShapeError, (self.name, "key", "(2,)", "(4,)"))
        yield BadSample((key.with_dtype(int64),), attrs, DTypeError, (self.name, "key", "int64", "uint32"))
        yield BadSample((key,), {**attrs, "shape": (2, -1)}, ArgumentError, (self.name, "(2, -1)", "negative"))


def _choose(first: Expr, words: list[Expr]) -> Expr:
    """The word for an element whose words begin at ``first`` of its block, which is a multiple of 4 / len(words)."""
    apart = 4 // len(words)
    chosen = words[-1]
    for k in range(len(words) - 2, -1, -1):
        chosen = select(first.eq(k * apart), words[k], chosen)
    return chosen


class Philox(_Random):
    """Random uint32 words."""

    name = "philox"

    def infer(self, key: TensorType, *, shape: Shape) -> TensorType:
        self.check(key, shape)
        return TensorType(shape, uint32)

    def evaluate(self, key: Array, *, shape: Shape) -> Array:
        return self.drawn(key, shape, uint32)

    def from_words(self, on: Arithmetic, words: Sequence[Lanes]) -> Lanes:
        return words[0]

    def compute(self, out: tuple[Axis, ...], key: Operand, *, shape: Shape) -> Expr:
        return self.words_at(out, key, shape, 1)[0]

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for shape in ((17,), (), (3, 0), (2, 3, 5)):
            yield Sample.of(rng.integers(0, 2**32, 4, np.uint32), shape=shape)


class _RandomFloat(_Random):
    """A distribution of floats: one word makes a float32, two make a float64."""

    def infer(self, key: TensorType, *, shape: Shape, dtype: DType) -> TensorType:
        self.check(key, shape)
        require_supported(self.name, dtype)
        if not is_float(dtype):
            raise DTypeError(f"dtype={dtype.name}, but random numbers of this kind are floating", op=self.name)
        return TensorType(shape, dtype)

    def evaluate(self, key: Array, *, shape: Shape, dtype: DType) -> Array:
        return self.drawn(key, shape, dtype)

    def compute(self, out: tuple[Axis, ...], key: Operand, *, shape: Shape, dtype: DType) -> Expr:
        value: Expr = self.from_words(ON_EXPRESSIONS, self.words_at(out, key, shape, dtype.itemsize // 4))
        return value

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        for dtype in (float32, float64):
            for shape in ((17,), (), (3, 0), (2, 3, 5), (1000,)):
                yield Sample.of(rng.integers(0, 2**32, 4, np.uint32), shape=shape, dtype=dtype)

    def bad_samples(self) -> Iterable[BadSample]:
        yield from super().bad_samples()
        key = TensorType((4,), uint32)
        yield BadSample((key,), {"shape": (2,), "dtype": int32}, DTypeError, (self.name, "dtype=int32", "floating"))


class RandomUniform(_RandomFloat):
    """Uniform in [0, 1): multiples of 2**-24 in float32, of 2**-53 in float64."""

    name = "random_uniform"

    def from_words(self, on: Arithmetic, words: Sequence[Lanes]) -> Lanes:
        return _uniform32(on, *words) if len(words) == 1 else _uniform64(on, *words)


class RandomNormal(_RandomFloat):
    """Normal with mean 0 and variance 1, by the inverse of its distribution; tails to 6.3 (float32) and 8.3 sigma."""

    name = "random_normal"

    def from_words(self, on: Arithmetic, words: Sequence[Lanes]) -> Lanes:
        return _normal32(on, *words) if len(words) == 1 else _normal64(on, *words)


philox = Philox()
random_uniform = RandomUniform()
random_normal = RandomNormal()
