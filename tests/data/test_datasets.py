"""Data sets, and samples made into batches."""

from __future__ import annotations

import doctest
import importlib
import re
from collections import namedtuple
from typing import Any

import numpy as np
import pytest

import lucid
from lucid.data import Dataset, TensorDataset, collate
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError, LucidError, ShapeError

Pair = namedtuple("Pair", "image label")


def stable(value: object) -> str:
    """A test's name, the same in every process: without addresses."""
    return re.sub(r" at 0x[0-9a-f]+", "", str(value))


@pytest.mark.parametrize("name", ["dataset", "collate", "loader"])
def test_examples(name: str) -> None:
    result = doctest.testmod(importlib.import_module(f"lucid.data.{name}"))
    assert result.attempted > 0
    assert result.failed == 0


class TestTensorDataset:
    def test_samples(self) -> None:
        data = TensorDataset(lucid.arange(6.0).reshape(3, 2), np.array([7, 8, 9]))
        assert len(data) == 3
        assert [(x.tolist(), y.item()) for x, y in data] == [([0, 1], 7), ([2, 3], 8), ([4, 5], 9)]
        assert data[-1][1].item() == 9
        assert repr(data) == "TensorDataset(f32[3,2], i64[3])"

    def test_batches_hold_copies(self) -> None:
        data = TensorDataset(lucid.arange(4.0))
        (batch,) = data.take(np.array([2, 0, 2]))
        assert batch.tolist() == [2, 0, 2]
        batch.fill_(5)
        assert data.tensors[0].tolist() == [0, 1, 2, 3]

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (TensorDataset, ArgumentError, "at least one tensor"),
            (lambda: TensorDataset(lucid.tensor(1.0)), ShapeError, r"tensors\[0\] has shape \(\)"),
            (lambda: TensorDataset(lucid.zeros(2, 3), lucid.zeros(3)), ShapeError, r"\(2, 3\), \(3,\)"),
            (lambda: TensorDataset(lucid.zeros(2))[2], IndexRangeError, "index=2 is out of range for 2 samples"),
            (lambda: TensorDataset(lucid.zeros(2))[-3], IndexRangeError, "index=-3"),
            (lambda: TensorDataset(lucid.zeros(2))[0.5], ArgumentTypeError, "index=0.5 must be an int"),  # type: ignore[index]
        ],
    )
    def test_refusals(self, call: Any, error: type[LucidError], message: str) -> None:
        with pytest.raises(error, match=message) as caught:
            call()
        assert "test_datasets.py" in str(caught.value)


def test_a_data_set_says_what_it_lacks() -> None:
    with pytest.raises(NotImplementedError, match="Dataset does not define __len__"):
        len(Dataset())
    with pytest.raises(NotImplementedError, match="Dataset does not define __getitem__"):
        Dataset()[0]


class TestCollate:
    def test_numbers_arrays_and_tensors(self) -> None:
        cases: list[tuple[list[Any], Any]] = [
            ([1, 2], lucid.int64),
            ([1.0, 2.0], lucid.float32),
            ([True, False], lucid.bool_),
            ([np.float64(1), np.float64(2)], lucid.float64),
            ([np.array([1, 2], np.uint8), np.array([3, 4], np.uint8)], lucid.uint8),
        ]
        for samples, dtype in cases:
            batch = collate(samples)
            assert batch.dtype == dtype
            assert batch.tolist() == np.stack([np.asarray(s) for s in samples]).tolist()
        assert collate([lucid.zeros(2, 3), lucid.ones(2, 3)]).shape == (2, 2, 3)
        assert collate([lucid.zeros(0), lucid.zeros(0)]).shape == (2, 0)

    def test_nesting(self) -> None:
        batch = collate([Pair({"x": [k, 2 * k]}, f"name {k}") for k in range(3)])
        assert isinstance(batch, Pair)
        assert [t.tolist() for t in batch.image["x"]] == [[0, 1, 2], [0, 2, 4]]
        assert batch.label == ["name 0", "name 1", "name 2"]
        assert collate([(), ()]) == ()

    def test_gradients_flow_into_samples(self) -> None:
        x = lucid.tensor([1.0, 2.0], requires_grad=True)
        (collate([x, x * 2]).sum()).backward()
        assert x.grad is not None
        assert x.grad.tolist() == [3, 3]
        assert collate([x.detach()]).is_leaf

    @pytest.mark.parametrize(
        ("samples", "error", "message"),
        [
            ([], ArgumentError, "no samples"),
            ([(1, lucid.zeros(2)), (2, lucid.zeros(3))], ShapeError, r"sample\[1\] has different shapes"),
            ([{"x": [1]}, {"x": [1, 2]}], ShapeError, r"sample\['x'\] has different lengths"),
            ([{"x": 1}, {"y": 1}], ArgumentTypeError, r"different keys in one batch: \['x'\]"),
            ([1, "a"], ArgumentTypeError, "different kinds in one batch: int and str"),
            ([object()], ArgumentTypeError, "sample is of type object, which cannot be batched"),
            ([(1, None)], ArgumentTypeError, r"sample\[1\] is of type NoneType"),
            ([np.zeros(2, np.complex64)], DTypeError, "sample: dtype complex64 is not supported"),
        ],
        ids=stable,
    )
    def test_refusals(self, samples: Any, error: type[LucidError], message: str) -> None:
        with pytest.raises(error, match=message) as caught:
            collate(samples)
        assert "test_datasets.py" in str(caught.value)
