"""``DataLoader``: every sample once, in orders that a seed decides."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lucid
from lucid.data import DataLoader, Dataset, IterableDataset, StackDataset, TensorDataset
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError


class Numbers(Dataset):
    """0, 1, ..., n-1, with a name each; without a fast way to batches."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, index: int) -> tuple[int, str]:
        return index, f"name {index}"


def epoch(loader: DataLoader) -> list[list[int]]:
    return [batch[0].tolist() for batch in loader]


@settings(max_examples=60, deadline=None, derandomize=True)
@given(n=st.integers(0, 20), batch_size=st.integers(1, 8), shuffle=st.booleans(), drop_last=st.booleans())
def test_every_sample_once(n: int, batch_size: int, shuffle: bool, drop_last: bool) -> None:
    for dataset in (Numbers(n), TensorDataset(lucid.arange(n)), [(k,) for k in range(n)]):
        loader = DataLoader(dataset, batch_size, shuffle, drop_last=drop_last)
        batches = epoch(loader)
        assert len(batches) == len(loader)
        sizes = [len(b) for b in batches]
        assert all(size == batch_size for size in sizes[:-1])
        seen = [k for batch in batches for k in batch]
        if drop_last:
            assert sizes == [batch_size] * (n // batch_size)
            assert len(set(seen)) == len(seen) == n - n % batch_size
        else:
            assert sorted(seen) == list(range(n))
        if not shuffle:
            assert seen == list(range(len(seen)))


def test_the_fast_way_gives_the_same_batches() -> None:
    fast = DataLoader(TensorDataset(lucid.arange(50), lucid.arange(50.0)), 8, shuffle=True, seed=3)
    slow = DataLoader([(k, float(k)) for k in range(50)], 8, shuffle=True, seed=3)
    for a, b in zip(fast, slow, strict=True):
        assert [t.type for t in a] == [t.type for t in b]
        assert [t.tolist() for t in a] == [t.tolist() for t in b]


class TestOrders:
    def test_a_seed_decides_every_epoch(self) -> None:
        loaders = [DataLoader(Numbers(30), 30, shuffle=True, seed=7) for _ in range(2)]
        first, second = epoch(loaders[0]), epoch(loaders[0])
        assert first != second
        lucid.manual_seed(99)
        lucid.rand(3)
        assert [epoch(loaders[1]), epoch(loaders[1])] == [first, second]
        assert epoch(DataLoader(Numbers(30), 30, shuffle=True, seed=8)) != first

    def test_the_order_of_a_seed_never_changes(self) -> None:
        assert epoch(DataLoader(Numbers(8), 8, shuffle=True, seed=0)) == ORDER_OF_SEED_0

    def test_without_a_seed_orders_follow_manual_seed(self) -> None:
        def orders() -> Any:
            lucid.manual_seed(4)
            loader = DataLoader(Numbers(30), 30, shuffle=True)
            return [epoch(loader), epoch(loader)]

        a, b = orders(), orders()
        assert a == b
        assert a[0] != a[1]

    def test_going_on_from_a_checkpoint(self) -> None:
        loader = DataLoader(Numbers(30), 30, shuffle=True, seed=7)
        epoch(loader)
        state = loader.generator.state
        wanted = [epoch(loader), epoch(loader)]
        again = DataLoader(Numbers(30), 30, shuffle=True, seed=0)
        again.generator.state = state
        assert [epoch(again), epoch(again)] == wanted

    def test_loops_inside_loops_do_not_meet(self) -> None:
        loader = DataLoader(Numbers(6), 3, shuffle=True, seed=1)
        outer, inner = iter(loader), iter(loader)
        mixed = [next(outer)[0], next(inner)[0], next(outer)[0], next(inner)[0]]
        assert sorted([*mixed[0].tolist(), *mixed[2].tolist()]) == list(range(6))
        assert sorted([*mixed[1].tolist(), *mixed[3].tolist()]) == list(range(6))

    def test_an_order_is_not_biased(self) -> None:
        loader = DataLoader(Numbers(4), 4, shuffle=True, seed=0)
        counts = [[0] * 4 for _ in range(4)]
        for _ in range(2000):
            for place, k in enumerate(epoch(loader)[0]):
                counts[place][k] += 1
        assert all(400 < c < 600 for row in counts for c in row)


#: What users' runs depend on: an update of NumPy or of Lucid must not change it.
ORDER_OF_SEED_0 = [[0, 2, 1, 5, 4, 3, 6, 7]]


def test_a_collate_function_of_the_users_own() -> None:
    loader = DataLoader(TensorDataset(lucid.arange(4)), 2, collate_fn=len)
    assert list(loader) == [2, 2]


def test_names_stay_strings() -> None:
    assert next(iter(DataLoader(Numbers(2), 2)))[1] == ["name 0", "name 1"]
    assert repr(DataLoader(TensorDataset(lucid.zeros(3)), 2)) == (
        "DataLoader(TensorDataset(f32[3]), batch_size=2, shuffle=False, drop_last=False)"
    )


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda d, make: make(d, 0), ArgumentError, "batch_size=0 must be at least 1"),
        (lambda d, make: make(d, 2.0), ArgumentTypeError, "batch_size=2.0 must be an int"),
        (lambda d, make: make(d, shuffle=1), ArgumentTypeError, "shuffle=1 must be True or False"),
        (lambda d, make: make(d, drop_last=None), ArgumentTypeError, "drop_last=None must be True or False"),
        (lambda d, make: make(d, seed="a"), ArgumentTypeError, "seed='a' must be an int"),
        (lambda d, make: make(d, collate_fn=3), ArgumentTypeError, "collate_fn must be a function, not int"),
        (lambda d, make: make(iter(d)), ArgumentTypeError, "dataset must have a length(.|\n)*into a list"),
    ],
)
def test_refusals(call: Any, error: type[LucidError], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        call([1, 2], DataLoader)
    assert "test_loader.py" in str(caught.value)


def test_streams() -> None:
    class Stream(IterableDataset):
        def __iter__(self) -> Iterator[Any]:
            return iter([(k, [k, k]) for k in range(5)])

    batches = list(DataLoader(Stream() + Stream(), batch_size=4, drop_last=True))
    assert [numbers.tolist() for numbers, _ in batches] == [[0, 1, 2, 3], [4, 0, 1, 2]]
    assert list(DataLoader(Stream(), batch_size=None))[1] == (1, [1, 1])
    with pytest.raises(ArgumentError, match="its own order"):
        DataLoader(Stream(), shuffle=True)


def test_data_sets_side_by_side() -> None:
    data = StackDataset(image=[1.0, 2.0], label=[3, 4])
    (batch,) = DataLoader(data, batch_size=2)
    assert {name: values.tolist() for name, values in batch.items()} == {"image": [1, 2], "label": [3, 4]}
    with pytest.raises(ArgumentError, match="different lengths"):
        StackDataset([1], [1, 2])
