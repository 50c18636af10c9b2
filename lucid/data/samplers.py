"""Samplers: in which order the samples of a data set are met, and which of them make a batch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Generic, TypeVar

import numpy as np

from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail, int_of
from lucid.ir.graph import Array
from lucid.random import Generator, default_generator

T_co = TypeVar("T_co", covariant=True)


def numbers(generator: Generator) -> np.random.Generator:
    """NumPy's draws from the generator's next key: the same on every machine."""
    return np.random.Generator(np.random.Philox(key=generator.next_key().view(np.uint64)))


def permutation(n: int, generator: Generator) -> Array:
    """The integers 0 .. n-1 in the random order that the generator's next key gives, on every machine."""
    words = np.random.Philox(key=generator.next_key().view(np.uint64)).random_raw(n)
    return np.argsort(words, kind="stable")


class Sampler(Generic[T_co]):
    """Base of samplers: a subclass gives the numbers of samples, or lists of them, by ``__iter__``.

    >>> class Backwards(Sampler):
    ...     def __init__(self, data):
    ...         self.data = data
    ...     def __iter__(self):
    ...         return iter(reversed(range(len(self.data))))
    ...     def __len__(self):
    ...         return len(self.data)
    >>> list(Backwards("abc"))
    [2, 1, 0]
    """

    def __iter__(self) -> Iterator[T_co]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


class SequentialSampler(Sampler[int]):
    """All samples in their order.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source: Any):
        self.data_source = data_source

    def __iter__(self) -> Iterator[int]:
        return iter(range(len(self.data_source)))

    def __len__(self) -> int:
        return len(self.data_source)


class RandomSampler(Sampler[int]):
    """Samples in a fresh random order every time.

    Args:
        data_source: what has a length.
        replacement: whether every draw is from all samples.
        num_samples: how many; all of them unless given.
        generator: where the orders come from; ``lucid.manual_seed``'s unless given.

    Raises:
        ArgumentError, ArgumentTypeError: ``num_samples`` below 1, or nothing to draw from.

    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(
        self,
        data_source: Any,
        replacement: bool = False,
        num_samples: int | None = None,
        generator: Generator | None = None,
    ):
        op = "RandomSampler"
        if num_samples is not None and int_of(op, "num_samples", num_samples) < 1:
            fail(ArgumentError(f"num_samples={num_samples} must be at least 1", op=op))
        self.data_source = data_source
        self.replacement = replacement
        self.generator = default_generator if generator is None else generator
        self._count = num_samples

    @property
    def num_samples(self) -> int:
        """How many samples an order has."""
        return len(self.data_source) if self._count is None else self._count

    def __iter__(self) -> Iterator[int]:
        n, count = len(self.data_source), self.num_samples
        if n == 0 and count:
            fail(ArgumentError("there are no samples to draw from", op="RandomSampler"))
        if self.replacement:
            order = numbers(self.generator).integers(0, n, count) if n else np.empty(0, np.int64)
        else:
            rounds = [permutation(n, self.generator) for _ in range(-(-count // n) if n else 0)]
            order = np.concatenate(rounds)[:count] if rounds else np.empty(0, np.int64)
        return iter(order.tolist())

    def __len__(self) -> int:
        return self.num_samples


class SubsetRandomSampler(Sampler[int]):
    """Some samples in a fresh random order every time.

    Args:
        indices: their numbers.
        generator: where the orders come from; ``lucid.manual_seed``'s unless given.

    >>> sorted(SubsetRandomSampler([4, 7]))
    [4, 7]
    """

    def __init__(self, indices: Sequence[int], generator: Generator | None = None):
        self.indices = indices
        self.generator = default_generator if generator is None else generator

    def __iter__(self) -> Iterator[int]:
        return iter([int(self.indices[k]) for k in permutation(len(self.indices), self.generator)])

    def __len__(self) -> int:
        return len(self.indices)


class WeightedRandomSampler(Sampler[int]):
    """Samples drawn with given probabilities: rare classes as often as others.

    Args:
        weights: one for each sample; they need not add up to 1.
        num_samples: how many to draw.
        replacement: whether a sample can be drawn again.
        generator: where the draws come from; ``lucid.manual_seed``'s unless given.

    Raises:
        ArgumentError, ArgumentTypeError: weights that are negative, not finite or all 0; more draws without replacement
            than samples with a weight.

    >>> list(WeightedRandomSampler([0.0, 1.0, 0.0], 2))
    [1, 1]
    """

    def __init__(self, weights: Any, num_samples: int, replacement: bool = True, generator: Generator | None = None):
        op = "WeightedRandomSampler"
        self.weights = np.asarray(weights, np.float64)
        self.num_samples = int_of(op, "num_samples", num_samples)
        if self.num_samples < 1:
            fail(ArgumentError(f"num_samples={num_samples} must be at least 1", op=op))
        if self.weights.ndim != 1 or not np.isfinite(self.weights).all() or (self.weights < 0).any():
            fail(ArgumentError("weights must be one finite number for each sample, none negative", op=op))
        drawable = np.count_nonzero(self.weights)
        if drawable < (1 if replacement else self.num_samples):
            message = f"num_samples={num_samples} cannot be drawn: {drawable} samples have a weight above 0"
            fail(ArgumentError(message, op=op))
        self.replacement = replacement
        self.generator = default_generator if generator is None else generator

    def __iter__(self) -> Iterator[int]:
        p = self.weights / self.weights.sum()
        drawn = numbers(self.generator).choice(len(p), self.num_samples, replace=self.replacement, p=p)
        return iter(drawn.tolist())

    def __len__(self) -> int:
        return self.num_samples


class BatchSampler(Sampler[list[int]]):
    """The samples of another sampler in lists.

    Args:
        sampler: gives numbers.
        batch_size: how many make a list.
        drop_last: whether to leave out a last list that is shorter.

    Raises:
        ArgumentError, ArgumentTypeError: ``batch_size`` below 1, or no bool.

    >>> list(BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler: Iterable[int], batch_size: int, drop_last: bool):
        op = "BatchSampler"
        self.sampler = sampler
        self.batch_size = int_of(op, "batch_size", batch_size)
        if self.batch_size < 1:
            fail(ArgumentError(f"batch_size={batch_size} must be at least 1", op=op))
        if not isinstance(drop_last, bool):
            fail(ArgumentTypeError(f"drop_last={drop_last!r} must be True or False", op=op))
        self.drop_last = drop_last

    def __iter__(self) -> Iterator[list[int]]:
        batch: list[int] = []
        for index in self.sampler:
            batch.append(int(index))
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self) -> int:
        samples = len(self.sampler)  # type: ignore[arg-type]  # a TypeError where it has none, as len says it
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)
