"""``x.data``: values without history, and the way to write them that PyTorch's users know."""

from __future__ import annotations

import copy
import pickle

import pytest

import lucid
from lucid import nn, optim
from lucid.errors import ArgumentTypeError, DTypeError, GradientError, TraceError


def test_what_is_done_to_data_is_done_to_the_leaf() -> None:
    x = lucid.tensor([1.0, 2.0, 3.0], requires_grad=True)
    y = (x * x).sum()
    x.data.mul_(2).add_(1)
    x.data[0] = -1
    assert x.tolist() == [-1, 5, 7]
    assert x.requires_grad
    assert x.is_leaf
    assert not x.data.requires_grad
    y.backward()
    assert x.grad is not None
    assert x.grad.tolist() == [2, 4, 6]  # the graph keeps the values it was recorded with


def test_data_kept_aside_sees_its_own_changes() -> None:
    x = lucid.zeros(2, requires_grad=True)
    data = x.data
    data += 1
    data.copy_([3.0, 4.0])
    nn.init.constant_(data, 5)
    assert data.tolist() == x.tolist() == [5, 5]
    data.numpy()[0] = 9
    assert x.tolist() == [9, 5]


def test_assignment_gives_a_copy_of_any_type() -> None:
    x, new = lucid.zeros(2, requires_grad=True), lucid.ones(3, dtype="float64")
    x.data = new
    assert (x.shape, x.dtype, x.requires_grad) == ((3,), lucid.float64, True)
    new += 1
    assert x.tolist() == [1, 1, 1]
    x.sum().backward()
    assert x.grad is not None
    assert x.grad.type is x.type
    with pytest.raises(DTypeError, match="requires a gradient"):
        x.data = lucid.tensor([1])
    with pytest.raises(ArgumentTypeError, match="list"):
        x.data = [1.0]
    y = x * 2
    with pytest.raises(GradientError, match="leaf"):
        y.data.add_(1)
    with pytest.raises(GradientError, match="leaf"):
        y.data = new


def test_copies_do_not_write_to_the_leaf() -> None:
    x = lucid.zeros(2, requires_grad=True)
    for other in (copy.deepcopy(x.data), pickle.loads(pickle.dumps(x.data)), x.data.clone(), x.data + 0):
        other.fill_(1)
    assert x.tolist() == [0, 0]


def test_in_a_compiled_step() -> None:
    model = nn.Linear(2, 1)
    sgd = optim.SGD(model.parameters(), lr=0.1)

    def step(x: lucid.Tensor) -> lucid.Tensor:
        sgd.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        sgd.step()
        model.weight.data.clamp_(-0.1, 0.1)
        return loss

    twin = copy.deepcopy(model)
    x = lucid.randn(4, 2)
    eager = step(x).item()
    weights = model.weight.tolist()
    model.load_state_dict(twin.state_dict())
    assert lucid.compile(step)(x).item() == pytest.approx(eager, rel=1e-6)
    assert model.weight.tolist() == [pytest.approx(row, rel=1e-5) for row in weights]

    @lucid.compile
    def change(p: lucid.Tensor) -> None:
        p.data = lucid.zeros(7)

    with pytest.raises(TraceError, match=r"f32\[7\]"):
        change(x)


def test_a_compiled_model_follows_a_change_of_dtype() -> None:
    model = nn.Linear(3, 2)
    fast = lucid.compile(model)
    x = lucid.randn(1, 3)
    with lucid.no_grad():
        single = fast(x)
        model.double()
        double = fast(x.double())
    assert (single.dtype, double.dtype) == (lucid.float32, lucid.float64)
    assert double.tolist()[0] == pytest.approx(single.tolist()[0], rel=1e-5)
