"""What can be learned from: samples by number. Knows nothing of how batches are chosen."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain, pairwise
from math import floor, isclose
from typing import Any

import numpy as np

from lucid.data.samplers import permutation
from lucid.eager import leaf
from lucid.errors import ArgumentError, IndexRangeError, ShapeError
from lucid.functions.arguments import fail, int_of
from lucid.ir.graph import Array
from lucid.promotion import as_tensor
from lucid.random import Generator, default_generator
from lucid.tensor import Tensor


class Dataset:
    """Base of data sets: a subclass says how many samples there are, and what each is.

    A sample is a tensor, an array, a number, or a tuple, list or dictionary of those: what ``collate`` batches.

    >>> class Squares(Dataset):
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, index):
    ...         return index, index * index
    >>> list(Squares())
    [(0, 0), (1, 1), (2, 4), (3, 9)]
    """

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} does not define __len__")

    def __getitem__(self, index: int) -> Any:
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))

    def __add__(self, other: Any) -> ConcatDataset:
        return ConcatDataset([self, other])


class IterableDataset:
    """Base of data sets without numbers, such as streams: a subclass says how to go through its samples.

    >>> from lucid.data import DataLoader
    >>> class Squares(IterableDataset):
    ...     def __iter__(self):
    ...         return (k * k for k in range(3))
    >>> [batch.tolist() for batch in DataLoader(Squares(), batch_size=2)]
    [[0, 1], [4]]
    """

    def __iter__(self) -> Iterator[Any]:
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")

    def __add__(self, other: Any) -> ChainDataset:
        return ChainDataset([self, other])


class ChainDataset(IterableDataset):
    """Data sets without numbers, one after the other; ``a + b`` is the same.

    >>> list(ChainDataset([[1, 2], [3]]))
    [1, 2, 3]
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)

    def __iter__(self) -> Iterator[Any]:
        return chain.from_iterable(self.datasets)


class StackDataset(Dataset):
    """Data sets of one length side by side: sample k is a tuple, or a dictionary, of theirs.

    Raises:
        ArgumentError: none are given, some by name and some not, or of different lengths.

    >>> StackDataset([1, 2], ["a", "b"])[1]
    (2, 'b')
    >>> StackDataset(image=[1, 2], label=["a", "b"])[0]
    {'image': 1, 'label': 'a'}
    """

    def __init__(self, *args: Any, **kwargs: Any):
        if bool(args) == bool(kwargs):
            fail(ArgumentError("data sets must be given, all by name or none", op="StackDataset"))
        self.datasets: Any = args or kwargs
        lengths = [len(d) for d in (args or kwargs.values())]
        if len(set(lengths)) > 1:
            fail(ArgumentError(f"the data sets have different lengths: {lengths}", op="StackDataset"))
        self._length = lengths[0]

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Any:
        position = _position("StackDataset", index, self._length)
        if isinstance(self.datasets, dict):
            return {name: dataset[position] for name, dataset in self.datasets.items()}
        return tuple(dataset[position] for dataset in self.datasets)


def _position(op: str, index: Any, size: int) -> int:
    """A sample's number counted from the front."""
    position = int_of(op, "index", index)
    if not -size <= position < size:
        fail(IndexRangeError(f"index={position} is out of range for {size} samples", op=op))
    return position % size


class Subset(Dataset):
    """Some samples of a data set.

    Args:
        dataset: the whole.
        indices: which of its samples there are, in this order.

    Raises:
        IndexRangeError: when asked for a sample that is not there.

    >>> data = Subset(["a", "b", "c"], [2, 0])
    >>> len(data), data[0]
    (2, 'c')
    """

    def __init__(self, dataset: Any, indices: Sequence[int]):
        self.dataset = dataset
        self.indices = indices
        if hasattr(dataset, "take"):
            self.take = self._take

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Any:
        return self.dataset[int(self.indices[_position("Subset", index, len(self))])]

    def _take(self, indices: Array) -> Any:
        return self.dataset.take(np.asarray(self.indices)[indices])


class ConcatDataset(Dataset):
    """Data sets one after the other; ``a + b`` is the same.

    Raises:
        ArgumentError: none are given.
        IndexRangeError: when asked for a sample that is not there.

    >>> data = ConcatDataset(["ab", "cde"])
    >>> len(data), data[2]
    (5, 'c')
    """

    def __init__(self, datasets: Iterable[Any]):
        self.datasets = list(datasets)
        if not self.datasets:
            fail(ArgumentError("at least one data set must be given", op="ConcatDataset"))

    @property
    def cumulative_sizes(self) -> list[int]:
        """How many samples there are up to the end of each."""
        return list(accumulate(map(len, self.datasets)))

    def __len__(self) -> int:
        return self.cumulative_sizes[-1]

    def __getitem__(self, index: int) -> Any:
        ends = self.cumulative_sizes
        position = _position("ConcatDataset", index, ends[-1])
        which = bisect_right(ends, position)
        return self.datasets[which][position - (ends[which - 1] if which else 0)]


def random_split(dataset: Any, lengths: Sequence[float], generator: Generator | None = None) -> list[Subset]:
    """A data set dealt out at random.

    Args:
        lengths: how many samples each part gets, or which fraction of them; fractions that leave a rest give one more
            to the first parts.
        generator: where the order comes from; ``lucid.manual_seed``'s unless given.

    Raises:
        ArgumentError: numbers that do not add up to the data set's.

    >>> [len(part) for part in random_split(range(10), [0.75, 0.25])]
    [8, 2]
    """
    op, n = "random_split", len(dataset)
    if any(isinstance(size, float) for size in lengths):
        if min(lengths) < 0 or not isclose(sum(lengths), 1):
            fail(ArgumentError(f"lengths={list(lengths)} must be parts that add up to 1", op=op))
        sizes = [floor(n * part) for part in lengths]
        for k in range(n - sum(sizes)):
            sizes[k % len(sizes)] += 1
    else:
        sizes = [int_of(op, "lengths", size) for size in lengths]
    if sum(sizes) != n or min(sizes, default=-1) < 0:
        fail(ArgumentError(f"lengths={list(lengths)} must add up to the {n} samples", op=op))
    order = permutation(n, default_generator if generator is None else generator)
    ends = [0, *accumulate(sizes)]
    return [Subset(dataset, order[a:b].tolist()) for a, b in pairwise(ends)]


class TensorDataset(Dataset):
    """Tensors (or arrays) whose first axis counts the samples; a sample is a tuple with one entry of each.

    Raises:
        ArgumentError: no tensors.
        ShapeError: 0-d tensors, or different numbers of samples.
        IndexRangeError: when asked for a sample that is not there.

    >>> import lucid
    >>> data = TensorDataset(lucid.zeros(5, 2), lucid.arange(5))
    >>> len(data), data[3]
    (5, (Tensor([0.0, 0.0]), Tensor(3)))
    """

    def __init__(self, *tensors: Any):
        op = "TensorDataset"
        if not tensors:
            fail(ArgumentError("at least one tensor must be given", op=op))
        self.tensors: tuple[Tensor, ...] = tuple([as_tensor(t, op) for t in tensors])
        for k, t in enumerate(self.tensors):
            if t.ndim == 0:
                fail(ShapeError(f"tensors[{k}] has shape (), but its first axis must count the samples", op=op))
            if t.shape[0] != len(self):
                shapes = ", ".join(str(t.shape) for t in self.tensors)
                fail(ShapeError(f"tensors of shapes {shapes} hold different numbers of samples", op=op))

    def __len__(self) -> int:
        return self.tensors[0].shape[0]

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        position = _position("TensorDataset", index, len(self))
        return tuple([t[position] for t in self.tensors])

    def take(self, indices: Array) -> tuple[Tensor, ...]:
        """The batch of the samples at ``indices``, cut out of each tensor in one go."""
        return tuple([leaf(np.take(np.asarray(t), indices, axis=0)) for t in self.tensors])

    def __repr__(self) -> str:
        return f"TensorDataset({', '.join(str(t.type) for t in self.tensors)})"
