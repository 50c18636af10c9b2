"""``DataLoader``: a data set in batches, in order or shuffled, the same way every time for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

import numpy as np

from lucid.data.collate import collate
from lucid.data.dataset import IterableDataset
from lucid.data.samplers import numbers, permutation
from lucid.data.workers import Workers
from lucid.errors import ArgumentError, ArgumentTypeError, StateError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.random import Generator, default_generator


class DataLoader:
    """Iterate over a data set in batches; each ``for`` loop is one epoch.

    Args:
        dataset: anything with ``len(dataset)`` and ``dataset[index]``; one with a method ``take(indices)`` gives
            whole batches itself, as ``TensorDataset`` does. Or an ``IterableDataset``.
        batch_size: samples per batch; None gives samples as they are, not in batches.
        shuffle: whether every epoch has a fresh random order.
        sampler: gives the numbers of samples in the order wanted, instead of ``shuffle``.
        batch_sampler: gives lists of them, instead of ``batch_size``, ``shuffle``, ``sampler`` and ``drop_last``.
        num_workers: processes that make the batches ahead of time; 0 makes them here, when they are asked for.
        collate_fn: makes a batch of a list of samples; ``lucid.data.collate`` unless given.
        pin_memory: accepted for scripts written for GPUs; changes nothing.
        drop_last: whether to leave out a last batch that is not full. A compiled training step then meets one shape.
        timeout: seconds to wait for a worker's batch; 0 for as long as it takes.
        worker_init_fn: called with its number in each worker first.
        multiprocessing_context: how workers are started: 'fork', 'spawn', 'forkserver', or a context.
        generator: where orders and the workers' seeds come from; ``lucid.manual_seed``'s unless given.
        prefetch_factor: batches that each worker makes ahead, 2 unless given.
        persistent_workers: whether workers live on from epoch to epoch.
        seed: a generator of the loader's own: the order of epoch k follows from this and k alone.

    Random numbers in worker k, NumPy's and Python's too, follow from the generator, the epoch and k.

    Attributes:
        generator: hands out a key per epoch; ``loader.generator.state`` is what to keep in a checkpoint, and to
            assign to go on from there.

    Raises:
        ArgumentError: ``batch_size`` below 1, or arguments that exclude each other.
        ArgumentTypeError: an argument of the wrong type.
        DataError: in a loop, a worker that ended, or gave nothing in time. Errors in workers are raised as they are,
            with the worker's traceback as their cause.

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
        batch_size: int | None = 1,
        shuffle: bool = False,
        sampler: Iterable[int] | None = None,
        batch_sampler: Iterable[Sequence[int]] | None = None,
        num_workers: int = 0,
        collate_fn: Callable[[Sequence[Any]], Any] | None = None,
        pin_memory: bool = False,
        drop_last: bool = False,
        timeout: float = 0,
        worker_init_fn: Callable[[int], None] | None = None,
        multiprocessing_context: Any = None,
        generator: Generator | None = None,
        *,
        prefetch_factor: int | None = None,
        persistent_workers: bool = False,
        seed: int | None = None,
    ):
        op = "DataLoader"
        stream = isinstance(dataset, IterableDataset)
        if stream and (shuffle or sampler is not None or batch_sampler is not None or num_workers):
            excluded = "shuffle, sampler, batch_sampler and num_workers"
            fail(ArgumentError(f"an IterableDataset has its own order, and is read here: {excluded} do not go", op=op))
        if not stream and (not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__")):
            fail(
                ArgumentTypeError(
                    f"dataset must have a length and samples by number, which {type(dataset).__name__} has not",
                    op=op,
                    hint="subclass lucid.data.Dataset, or put a generator's items into a list",
                )
            )
        for name, value in (
            ("shuffle", shuffle),
            ("drop_last", drop_last),
            ("persistent_workers", persistent_workers),
        ):
            if not isinstance(value, bool):
                fail(ArgumentTypeError(f"{name}={value!r} must be True or False, not {type(value).__name__}", op=op))
        for name, function in (("collate_fn", collate_fn), ("worker_init_fn", worker_init_fn)):
            if function is not None and not callable(function):
                fail(ArgumentTypeError(f"{name} must be a function, not {type(function).__name__}", op=op))
        self.dataset = dataset
        self.batch_size = None if batch_size is None else int_of(op, "batch_size", batch_size)
        if self.batch_size is not None and self.batch_size < 1:
            fail(ArgumentError(f"batch_size={batch_size} must be at least 1", op=op))
        if sampler is not None and shuffle:
            fail(ArgumentError("shuffle=True is for the whole data set: a sampler has an order of its own", op=op))
        if batch_sampler is not None and (batch_size != 1 or shuffle or sampler is not None or drop_last):
            excluded = "batch_size, shuffle, sampler and drop_last"
            fail(ArgumentError(f"batch_sampler says what {excluded} say otherwise: give one or the other", op=op))
        if generator is not None and seed is not None:
            fail(ArgumentError("generator and seed both say where orders come from: give one of them", op=op))
        self.num_workers = int_of(op, "num_workers", num_workers)
        if self.num_workers < 0:
            fail(ArgumentError(f"num_workers={num_workers} must not be negative", op=op))
        if not self.num_workers and (persistent_workers or prefetch_factor is not None):
            fail(ArgumentError("persistent_workers and prefetch_factor need num_workers of at least 1", op=op))
        self.prefetch_factor = 2 if prefetch_factor is None else int_of(op, "prefetch_factor", prefetch_factor)
        if self.prefetch_factor < 1:
            fail(ArgumentError(f"prefetch_factor={prefetch_factor} must be at least 1", op=op))
        self.shuffle = shuffle
        self.sampler = sampler
        self.batch_sampler = batch_sampler
        self.drop_last = drop_last
        self.timeout = float(number_of(op, "timeout", timeout, 0))
        self.worker_init_fn = worker_init_fn
        self.multiprocessing_context = multiprocessing_context
        self.persistent_workers = persistent_workers
        given = default_generator if generator is None else generator
        self.generator = given if seed is None else Generator(int_of(op, "seed", seed))
        self._fetch = _Fetch(dataset, collate_fn, self.batch_size is None and batch_sampler is None)
        self._workers: Workers | None = None

    def __len__(self) -> int:
        """Batches per epoch; a TypeError for a stream that does not know its length."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)  # type: ignore[arg-type]  # a TypeError where it has none
        samples = len(self.dataset if self.sampler is None else self.sampler)  # type: ignore[arg-type]
        if self.batch_size is None:
            return samples
        return samples // self.batch_size if self.drop_last else -(-samples // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        if isinstance(self.dataset, IterableDataset):
            return self._streamed(iter(self.dataset))
        chosen = self._chosen()  # the order is fixed here, not when the first batch is asked for
        if not self.num_workers:
            return map(self._fetch, chosen)
        seeds = numbers(self.generator).integers(0, 2**63, self.num_workers).tolist()
        return self._made_ahead(chosen, seeds)

    def _streamed(self, samples: Iterator[Any]) -> Iterator[Any]:
        """Batches of what comes, as it comes."""
        if (size := self.batch_size) is None:
            yield from samples
            return
        while batch := list(islice(samples, size)):
            if len(batch) == size or not self.drop_last:
                yield self._fetch.collate(batch)

    def _chosen(self) -> Iterator[Any]:
        """The numbers of the samples of each batch."""
        if self.batch_sampler is not None:
            return (np.asarray(batch, np.int64) for batch in self.batch_sampler)
        samples = len(self.dataset)
        if self.sampler is not None:
            order = np.fromiter(self.sampler, np.int64)
        else:
            order = permutation(samples, self.generator) if self.shuffle else np.arange(samples)
        if (size := self.batch_size) is None:
            return iter(order.tolist())
        last = len(order) // size * size if self.drop_last else len(order)
        return (order[k : min(k + size, last)] for k in range(0, last, size))

    def _made_ahead(self, chosen: Iterator[Any], seeds: list[int]) -> Iterator[Any]:
        workers = self._workers
        if workers is None:
            begin, context = self.worker_init_fn, self.multiprocessing_context
            workers = Workers(self._fetch, seeds, self.dataset, begin, self.prefetch_factor, context)
        else:
            workers.reseed(seeds)
        if self.persistent_workers:
            self._workers = workers
        good = False
        try:
            yield from workers.batches(chosen, self.timeout, self.persistent_workers)
            good = True
        except GeneratorExit:
            good = True
            raise
        finally:
            if not (good and self.persistent_workers):
                self._workers = None
                workers.close()

    def state_dict(self) -> dict[str, Any]:
        """Where its generator is: what ``lucid.checkpoint`` keeps."""
        return {"generator": list(self.generator.state)}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Let the next epoch be the one that would have come next.

        Raises:
            StateError: not such a state.
        """
        if set(state_dict) != {"generator"}:
            fail(StateError(f"the state holds {sorted(state_dict)}, not generator", op="DataLoader"))
        seed, stream = state_dict["generator"]
        self.generator.state = seed, stream

    def __repr__(self) -> str:
        workers = f", num_workers={self.num_workers}" if self.num_workers else ""
        return (
            f"DataLoader({self.dataset!r}, batch_size={self.batch_size}, shuffle={self.shuffle}, "
            f"drop_last={self.drop_last}{workers})"
        )


class _Fetch:
    """Makes a batch of numbers of samples, wherever that is done."""

    def __init__(self, dataset: Any, collate_fn: Callable[[Sequence[Any]], Any] | None, single: bool):
        self.dataset = dataset
        self.collate = collate if collate_fn is None else collate_fn
        self.take: Callable[[Any], Any] | None = getattr(dataset, "take", None) if collate_fn is None else None
        self.single = single

    def __call__(self, chosen: Any) -> Any:
        if self.single:
            return self.dataset[chosen]
        return self.take(chosen) if self.take is not None else self.collate([self.dataset[int(k)] for k in chosen])
