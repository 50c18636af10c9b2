"""What can be learned from: samples by number. Knows nothing of how batches are chosen."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from lucid.eager import leaf
from lucid.errors import ArgumentError, IndexRangeError, ShapeError
from lucid.functions.arguments import fail, int_of
from lucid.ir.graph import Array
from lucid.promotion import as_tensor
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
        position = int_of("TensorDataset", "index", index)
        if not -len(self) <= position < len(self):
            fail(IndexRangeError(f"index={position} is out of range for {len(self)} samples", op="TensorDataset"))
        return tuple([t[position] for t in self.tensors])

    def take(self, indices: Array) -> tuple[Tensor, ...]:
        """The batch of the samples at ``indices``, cut out of each tensor in one go."""
        return tuple([leaf(np.take(np.asarray(t), indices, axis=0)) for t in self.tensors])

    def __repr__(self) -> str:
        return f"TensorDataset({', '.join(str(t.type) for t in self.tensors)})"
