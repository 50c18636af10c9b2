"""Orders of samples, parts of data sets, and batches from other processes."""

from __future__ import annotations

import multiprocessing
import os
import random
import time
from typing import Any

import numpy as np
import pytest

import lucid
from lucid.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    get_worker_info,
    random_split,
)
from lucid.errors import ArgumentError, ArgumentTypeError, DataError, IndexRangeError
from lucid.random import Generator


class TestSamplers:
    def test_orders_follow_the_generator(self) -> None:
        for make in (
            lambda g: RandomSampler(range(50), generator=g),
            lambda g: RandomSampler(range(50), True, 70, g),
            lambda g: SubsetRandomSampler(range(7, 60), g),
            lambda g: WeightedRandomSampler(np.arange(9.0), 40, generator=g),
        ):
            first, again, other = make(Generator(1)), make(Generator(1)), make(Generator(2))
            order = list(first)
            assert list(again) == order
            assert list(other) != order
            assert list(first) != order  # a new one every time
            assert len(order) == len(first)

    def test_each_sample_once_and_no_others(self) -> None:
        assert sorted(RandomSampler(range(9))) == list(range(9))
        assert sorted(np.bincount(list(RandomSampler(range(4), num_samples=10)))) == [2, 2, 3, 3]
        assert sorted(SubsetRandomSampler([5, 3])) == [3, 5]
        assert list(SequentialSampler("abc")) == [0, 1, 2]
        assert set(RandomSampler(range(3), replacement=True, num_samples=200)) == {0, 1, 2}
        assert list(RandomSampler([])) == []

    def test_weights_are_probabilities(self) -> None:
        drawn = np.bincount(list(WeightedRandomSampler([1.0, 0.0, 3.0], 4000, generator=Generator(0))), minlength=3)
        assert drawn[1] == 0
        assert abs(drawn[2] / 4000 - 0.75) < 0.03
        assert sorted(WeightedRandomSampler([1.0, 2.0, 0.0], 2, replacement=False)) == [0, 1]

    def test_batches(self) -> None:
        assert list(BatchSampler(range(5), 2, True)) == [[0, 1], [2, 3]]
        assert [len(BatchSampler(range(5), 2, last)) for last in (True, False)] == [2, 3]

    @pytest.mark.parametrize(
        ("wrong", "words"),
        [
            (lambda: RandomSampler(range(3), num_samples=0), "at least 1"),
            (lambda: list(RandomSampler([], True, 3)), "no samples"),
            (lambda: WeightedRandomSampler([1.0, -1.0], 1), "none negative"),
            (lambda: WeightedRandomSampler([0.0, 0.0], 1), "0 samples have a weight"),
            (lambda: WeightedRandomSampler([1.0, 0.0], 2, replacement=False), "1 samples have a weight"),
            (lambda: BatchSampler(range(3), 0, False), "at least 1"),
        ],
    )
    def test_wrong_uses(self, wrong: Any, words: str) -> None:
        with pytest.raises(ArgumentError, match=words):
            wrong()


class TestParts:
    def test_subset_and_concatenation(self) -> None:
        whole = TensorDataset(lucid.arange(10))
        part = Subset(whole, [7, 1, 4])
        assert [x.item() for (x,) in part] == [7, 1, 4]
        assert [b[0].tolist() for b in DataLoader(part, 2)] == [[7, 1], [4]]
        assert part[-1][0].item() == 4
        both = part + whole
        assert isinstance(both, ConcatDataset)
        assert [x.item() for (x,) in both] == [7, 1, 4, *range(10)]
        assert both[-1][0].item() == 9
        for data in (part, both):
            with pytest.raises(IndexRangeError, match="out of range"):
                data[len(data)]
        with pytest.raises(ArgumentError, match="at least one"):
            ConcatDataset([])

    def test_random_parts(self) -> None:
        parts = random_split(range(11), [0.5, 0.3, 0.2], Generator(3))
        assert [len(p) for p in parts] == [6, 3, 2]
        assert sorted(x for p in parts for x in p) == list(range(11))
        again = random_split(range(11), [6, 3, 2], Generator(3))
        assert [list(p) for p in again] == [list(p) for p in parts]
        for lengths in ([5, 5], [0.5, 0.6], [12, -1]):
            with pytest.raises(ArgumentError, match="must"):
                random_split(range(11), lengths)


class Numbers(Dataset):
    """What a worker sees, sample by sample."""

    def __init__(self, n: int = 20, fail_at: int = -1, die_at: int = -1, slow_at: int = -1):
        self.n, self.fail_at, self.die_at, self.slow_at = n, fail_at, die_at, slow_at

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> dict[str, Any]:
        if index == self.fail_at:
            raise KeyError(f"sample {index} is broken")
        if index == self.die_at:
            os._exit(7)
        if index == self.slow_at:
            time.sleep(5)
        info = get_worker_info()
        return {
            "x": lucid.full((3,), float(index)),
            "worker": -1 if info is None else info.id,
            "draws": (lucid.rand(1).item(), np.random.random(), random.random()),
        }


def children() -> int:
    return len(multiprocessing.active_children())


class TestWorkers:
    def test_the_same_batches_as_without(self) -> None:
        alone = [b["x"].numpy() for b in DataLoader(Numbers(), 3, shuffle=True, seed=4)]
        loader = DataLoader(Numbers(), 3, shuffle=True, seed=4, num_workers=2)
        made = list(loader)
        for a, b in zip(alone, made, strict=True):
            np.testing.assert_array_equal(a, b["x"].numpy())
        assert [int(b["worker"][0].item()) for b in made] == [0, 1, 0, 1, 0, 1, 0]
        assert children() == 0

    def test_tensor_data_sets_and_other_orders(self) -> None:
        data = TensorDataset(lucid.arange(7), lucid.zeros(7, 2))
        loader = DataLoader(data, batch_sampler=[[3, 1], [6]], num_workers=1)
        assert [b[0].tolist() for b in loader] == [[3, 1], [6]]
        assert len(loader) == 2
        assert [b[0].tolist() for b in DataLoader(data, 2, sampler=[5, 5, 0])] == [[5, 5], [0]]
        assert [x.item() for x, _ in DataLoader(data, None, num_workers=1)] == list(range(7))

    def test_seeds_differ_by_worker_and_epoch_and_repeat(self) -> None:
        def draws(seed: int, persistent: bool) -> list[tuple[float, ...]]:
            loader = DataLoader(Numbers(8), 2, seed=seed, num_workers=2, persistent_workers=persistent)
            return [tuple(d.tolist()) for _ in range(2) for batch in loader for d in batch["draws"]]

        first = draws(1, False)
        assert len(set(first)) == len(first)
        assert draws(1, False) == first
        assert draws(1, True) == first
        assert draws(2, False) != first

    def test_errors_come_with_the_workers_traceback(self) -> None:
        loader = DataLoader(Numbers(fail_at=7), 2, num_workers=2)
        with pytest.raises(KeyError, match="sample 7 is broken") as caught:
            list(loader)
        assert "in __getitem__" in str(caught.value.__cause__)
        assert children() == 0
        with pytest.raises(ValueError, match="no start"):
            list(DataLoader(Numbers(), num_workers=1, worker_init_fn=_no_start))

    def test_a_worker_that_dies_or_hangs(self) -> None:
        with pytest.raises(DataError, match="worker 1 ended unexpectedly, with exit code 7"):
            list(DataLoader(Numbers(die_at=3), 2, num_workers=2))
        with pytest.raises(DataError, match=r"worker 0 gave no batch in timeout=0.2 seconds"):
            list(DataLoader(Numbers(slow_at=1), 2, num_workers=1, timeout=0.2))
        assert children() == 0

    def test_a_loop_that_is_left_early_leaves_no_processes(self) -> None:
        for _ in DataLoader(Numbers(100), 2, num_workers=2):
            break
        assert children() == 0
        loader = DataLoader(Numbers(), 2, num_workers=2, persistent_workers=True)
        for batch in loader:
            assert batch["x"].shape == (2, 3)
            break
        assert children() == 2
        assert [b["x"][0, 0].item() for b in loader] == list(range(0, 20, 2))
        del loader
        assert children() == 0

    @pytest.mark.parametrize(
        ("options", "error", "words"),
        [
            ({"num_workers": -1}, ArgumentError, "must not be negative"),
            ({"prefetch_factor": 2}, ArgumentError, "need num_workers"),
            ({"num_workers": 1, "prefetch_factor": 0}, ArgumentError, "at least 1"),
            ({"sampler": [1], "shuffle": True}, ArgumentError, "order of its own"),
            ({"batch_sampler": [[1]], "batch_size": 2}, ArgumentError, "one or the other"),
            ({"generator": Generator(0), "seed": 0}, ArgumentError, "give one of them"),
            ({"worker_init_fn": 3}, ArgumentTypeError, "must be a function"),
        ],
    )
    def test_wrong_uses(self, options: dict[str, Any], error: type[Exception], words: str) -> None:
        with pytest.raises(error, match=words):
            DataLoader(Numbers(), **options)


def _no_start(number: int) -> None:
    raise ValueError(f"no start for worker {number}")
