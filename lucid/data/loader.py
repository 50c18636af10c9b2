"""``DataLoader``: a data set in batches, in order or shuffled, the same way every time for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from lucid.data.collate import collate
from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail, int_of
from lucid.ir.graph import Array
from lucid.random import Generator, default_generator


class DataLoader:
    """Iterate over a data set in batches; each ``for`` loop is one epoch.

    Args:
        dataset: anything with ``len(dataset)`` and ``dataset[index]``; one with a method ``take(indices)`` gives
            whole batches itself, as ``TensorDataset`` does.
        batch_size: samples per batch.
        shuffle: whether every epoch has a fresh random order.
        drop_last: whether to leave out a last batch that is not full. A compiled training step then meets one shape.
        collate_fn: makes a batch of a list of samples; ``lucid.data.collate`` unless given.
        seed: the order of epoch k follows from this and k alone. Without, orders follow ``lucid.manual_seed``.

    Attributes:
        generator: hands out a key per epoch; ``loader.generator.state`` is what to keep in a checkpoint, and to
            assign to go on from there.

    Raises:
        ArgumentError: ``batch_size`` below 1.
        ArgumentTypeError: an argument of the wrong type.

    >>> import lucid
    >>> from lucid.data import DataLoader, TensorDataset
    >>> for batch in DataLoader(TensorDataset(lucid.arange(5)), batch_size=2):
    ...     print(*batch)
    Tensor([0, 1])
    Tensor([2, 3])
    Tensor([4])
    """

    def __init__(
        self,
        dataset: Any,
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        collate_fn: Callable[[Sequence[Any]], Any] | None = None,
        seed: int | None = None,
    ):
        op = "DataLoader"
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            fail(
                ArgumentTypeError(
                    f"dataset must have a length and samples by number, which {type(dataset).__name__} has not",
                    op=op,
                    hint="subclass lucid.data.Dataset, or put a generator's items into a list",
                )
            )
        for name, value in (("shuffle", shuffle), ("drop_last", drop_last)):
            if not isinstance(value, bool):
                fail(ArgumentTypeError(f"{name}={value!r} must be True or False, not {type(value).__name__}", op=op))
        if collate_fn is not None and not callable(collate_fn):
            fail(ArgumentTypeError(f"collate_fn must be a function, not {type(collate_fn).__name__}", op=op))
        self.dataset = dataset
        self.batch_size = int_of(op, "batch_size", batch_size)
        if self.batch_size < 1:
            fail(ArgumentError(f"batch_size={batch_size} must be at least 1", op=op))
        self.shuffle = shuffle
        self.drop_last = drop_last
        self.generator = default_generator if seed is None else Generator(int_of(op, "seed", seed))
        self._take: Callable[[Array], Any] | None = getattr(dataset, "take", None) if collate_fn is None else None
        self._collate = collate if collate_fn is None else collate_fn

    def __len__(self) -> int:
        """Batches per epoch."""
        samples = len(self.dataset)
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        samples = len(self.dataset)
        order = permutation(samples, self.generator) if self.shuffle else np.arange(samples)
        return self._batches(order)  # the order is fixed here, not when the first batch is asked for

    def _batches(self, order: Array) -> Iterator[Any]:
        for k in range(len(self)):
            chosen = order[k * self.batch_size : (k + 1) * self.batch_size]
            if self._take is not None:
                yield self._take(chosen)
            else:
                yield self._collate([self.dataset[int(index)] for index in chosen])

    def __repr__(self) -> str:
        return (
            f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last})"
        )


def permutation(n: int, generator: Generator) -> Array:
    """The integers 0 .. n-1 in the random order that the generator's next key gives, on every machine."""
    words = np.random.Philox(key=generator.next_key().view(np.uint64)).random_raw(n)
    return np.argsort(words, kind="stable")
