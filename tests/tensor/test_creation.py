"""Tensors from data and shapes, and data out of tensors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import lucid
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, GradientError, ShapeError


@pytest.mark.parametrize(
    ("data", "dtype"),
    [
        (1.5, lucid.float32),
        (3, lucid.int64),
        (True, lucid.bool_),
        ([1, 2.5], lucid.float32),
        ([[True, False]], lucid.bool_),
        ([], lucid.float32),
        (2**63, lucid.uint64),
        (np.arange(3), lucid.int64),
        (np.ones(3), lucid.float64),
        (np.float64(1.0), lucid.float64),
        ([np.float32(1.0), np.float32(2.0)], lucid.float32),
        ([np.ones(2), np.zeros(2)], lucid.float64),
        (np.ones(3, ">f4"), lucid.float32),
        ((1, 2), lucid.int64),
    ],
)
def test_dtype_of_data(data: object, dtype: np.dtype) -> None:
    t = lucid.tensor(data)
    assert t.dtype == dtype
    assert t.dtype.isnative
    np.testing.assert_array_equal(t.numpy(), np.asarray(data))


def test_dtype_argument_overrules() -> None:
    assert lucid.Tensor([1, 2], dtype=lucid.float64).dtype == lucid.float64
    assert lucid.Tensor([1.9], dtype="int32").tolist() == [1]
    assert lucid.Tensor(np.ones(2), dtype=float).dtype == lucid.float32
    # Weak data goes to its dtype in one rounding, not by way of float32.
    assert lucid.tensor(0.1, dtype=lucid.float64).item() == 0.1


def test_data_is_copied() -> None:
    source = np.zeros(3, np.float32)
    t = lucid.Tensor(source)
    shared = lucid.from_numpy(source)
    source[0] = 7
    assert t.tolist() == [0, 0, 0]
    assert shared.tolist() == [7, 0, 0]


def test_tensors_inside_lists() -> None:
    assert lucid.tensor([lucid.tensor(1.0), lucid.tensor(2.0)]).tolist() == [1.0, 2.0]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: lucid.tensor([[1, 2], [3]]), ShapeError, "ragged"),
        (lambda: lucid.tensor("abc"), ArgumentTypeError, "str"),
        (lambda: lucid.tensor(None), ArgumentTypeError, "NoneType"),
        (lambda: lucid.tensor([1, "a"]), ArgumentTypeError, "str"),
        (lambda: lucid.tensor({1: 2}), ArgumentTypeError, "dict"),
        (lambda: lucid.tensor(1 + 2j), ArgumentTypeError, "complex"),
        (lambda: lucid.tensor(np.ones(2, np.uint16)), DTypeError, "uint16"),
        (lambda: lucid.tensor(np.array(["a"])), ArgumentTypeError, "numbers"),
        (lambda: lucid.tensor(np.array([None])), ArgumentTypeError, "numbers"),
        (lambda: lucid.tensor(300, dtype=lucid.uint8), ArgumentError, "uint8"),
        (lambda: lucid.tensor(1.0, dtype="float8"), DTypeError, "float8"),
        (lambda: lucid.tensor([1, 2], requires_grad=True), DTypeError, "int64"),
        (lambda: lucid.zeros(-1), ArgumentError, "-1"),
        (lambda: lucid.zeros(2.5), ArgumentTypeError, "2.5"),
        (lambda: lucid.full((2,), "x"), ArgumentTypeError, "fill_value"),
        (lambda: lucid.full((2,), 300, dtype=lucid.uint8), ArgumentError, "300"),
        (lambda: lucid.arange(0, 5, 0), ArgumentError, "step=0"),
        (lambda: lucid.arange("a"), ArgumentTypeError, "stop"),
        (lambda: lucid.linspace(0, 1, -1), ArgumentError, "num=-1"),
        (lambda: lucid.from_numpy([1.0]), ArgumentTypeError, "list"),
        (lambda: lucid.from_numpy(np.ones(2, np.uint16)), DTypeError, "uint16"),
    ],
)
def test_refusals(make: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words) as caught:
        make()  # type: ignore[operator]
    assert "test_creation.py" in str(caught.value)


def test_creation_functions() -> None:
    assert lucid.zeros(2, 3).shape == (2, 3)
    assert lucid.zeros((2, 3)).dtype == lucid.float32
    assert lucid.zeros(()).shape == ()
    assert lucid.ones(2, dtype=lucid.int32).tolist() == [1, 1]
    assert lucid.full((2,), 1.5).dtype == lucid.float32
    assert lucid.full((2,), True).dtype == lucid.bool_
    assert lucid.empty(3).tolist() == [0, 0, 0]
    assert lucid.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert lucid.arange(2, 8, 3).tolist() == [2, 5]
    assert lucid.arange(0, 1, 0.25).dtype == lucid.float32
    assert lucid.linspace(0, 1, 5).tolist() == [0, 0.25, 0.5, 0.75, 1]
    like = lucid.zeros(2, dtype=lucid.float64)
    assert lucid.ones_like(like).dtype == lucid.float64
    assert lucid.zeros_like(like, dtype=lucid.int32).dtype == lucid.int32
    assert lucid.full_like(like, 3).tolist() == [3.0, 3.0]
    assert lucid.ones(2, requires_grad=True).requires_grad


def test_attributes_and_conversions() -> None:
    t = lucid.tensor([[1.0, 2.0, 3.0]])
    assert (t.shape, t.ndim, t.dim(), t.size, t.numel(), len(t)) == ((1, 3), 2, 2, 3, 3, 1)
    assert [row.tolist() for row in t] == [[1.0, 2.0, 3.0]]
    assert t.T.shape == (3, 1)
    assert isinstance(t.tolist(), list)
    one = lucid.tensor([4.0])
    assert (one.item(), float(one), int(one), bool(one)) == (4.0, 4.0, 4, True)
    assert list(range(5))[lucid.tensor(2)] == 2
    assert f"{lucid.tensor(1.25):.1f}" == "1.2"
    assert np.asarray(t).shape == (1, 3)
    assert np.asarray(t, np.float64).dtype == np.float64


@pytest.mark.parametrize(
    ("use", "error", "words"),
    [
        (lambda t: t.item(), ShapeError, "3 elements"),
        (float, ShapeError, r"\(3,\)"),
        (int, ShapeError, r"\(3,\)"),
        (bool, ShapeError, "ambiguous"),
        (lambda t: len(t.sum()), ArgumentTypeError, "0-d"),
        (lambda t: list(t.sum()), ArgumentTypeError, "0-d"),
        (lambda t: [1, 2][t.sum()], ArgumentTypeError, "index"),
        (lambda t: t.__setitem__("a", 1.0), ArgumentTypeError, "str"),
        (lambda t: t + "a", ArgumentTypeError, "str"),
        (lambda t: t + None, ArgumentTypeError, "NoneType"),
        (lambda t: t.astype("nonsense"), DTypeError, "nonsense"),
    ],
)
def test_misuse(use: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        use(lucid.tensor([1.0, 2.0, 3.0]))  # type: ignore[operator]


def test_numpy_is_a_view_of_a_leaf_and_readonly_for_results() -> None:
    t = lucid.zeros(3)
    t.numpy()[0] = 5
    assert t.tolist() == [5, 0, 0]
    assert t._escaped
    result = t.reshape(3, 1)
    assert not result.numpy().flags.writeable
    assert not result.detach().numpy().flags.writeable
    t.detach().numpy()[1] = 6  # the usual way to write a parameter
    assert t.tolist() == [5, 6, 0]


def test_writing_after_the_forward_does_not_reach_a_pending_backward() -> None:
    w = lucid.tensor([2.0, 3.0], requires_grad=True)
    x = lucid.tensor([1.0, 1.0])
    y = (w * x).sum()
    x.numpy()[:] = 100
    y.backward()
    assert w.grad.tolist() == [1.0, 1.0]


def test_copies() -> None:
    t = lucid.tensor([1.0, 2.0], requires_grad=True)
    t.name = "weight"
    for twin in (copy.deepcopy(t), pickle.loads(pickle.dumps(t))):
        assert twin.tolist() == [1.0, 2.0]
        assert twin.requires_grad
        assert twin.name == "weight"
        twin.numpy()[0] = 9
        assert t.tolist() == [1.0, 2.0]
    with pytest.raises(GradientError, match="leaf"):
        copy.deepcopy(t * 2)
    with pytest.raises(GradientError, match="leaf"):
        pickle.dumps(t * 2)


def test_clone_has_memory_of_its_own_and_passes_gradients() -> None:
    t = lucid.tensor([1.0, 2.0], requires_grad=True)
    c = t.clone()
    assert not np.shares_memory(c._data, t._data)
    (c * 3).sum().backward()
    assert t.grad.tolist() == [3.0, 3.0]


def test_copy_broadcasts_and_casts() -> None:
    t = lucid.zeros(2, 2)
    source = np.array([1, 2])
    t.copy_(source)
    assert t.tolist() == [[1, 2], [1, 2]]
    t.fill_(3)
    assert t.tolist() == [[3, 3], [3, 3]]
    assert t.zero_().sum().item() == 0
    other = lucid.ones(2, 2)
    t.copy_(other)
    assert not np.shares_memory(t._data, other._data)
    with pytest.raises(ShapeError, match="broadcast"):
        t.copy_(lucid.zeros(3))
    w = lucid.ones(2, requires_grad=True)
    with pytest.raises(GradientError, match="leaf"):
        (w * 2).copy_(lucid.zeros(2))


def test_sizes_are_a_number_and_a_method() -> None:
    x = lucid.zeros(2, 3)
    assert x.size == 6
    assert x.size() == (2, 3)
    assert (x.size(0), x.size(-1), x.size(dim=1)) == (2, 3, 3)
    assert x.reshape(x.size(0), -1).shape == (2, 3)
    assert lucid.compile(lambda x: x.reshape(x.size(1), x.size(0)) * x.size)(x).shape == (3, 2)
    with pytest.raises(ArgumentError, match="dim=2"):
        x.size(2)


def test_others_like_this_one() -> None:
    x = lucid.tensor([1, 2])
    assert x.new_zeros(2, 3).dtype == x.new_full((2,), 7.0).dtype == x.new_tensor([1.5]).dtype == lucid.int64
    assert x.new_ones((2,), dtype=lucid.float64).tolist() == [1.0, 1.0]
    assert lucid.asarray(x) is x
    assert lucid.as_tensor(x, dtype=lucid.float32).dtype == lucid.float32
    assert x.cpu() is x
