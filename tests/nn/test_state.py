"""State dicts: what is in them, and that loading is all or nothing."""

from __future__ import annotations

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.errors import ArgumentTypeError, StateError


def model() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Flatten(), nn.Linear(8, 3))


def values(module: nn.Module) -> dict[str, object]:
    return {name: tensor.tolist() for name, tensor in module.state_dict().items()}


def test_keys_in_order_and_detached() -> None:
    state = model().state_dict()
    assert list(state) == [
        "0.weight", "0.bias", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked",
        "3.weight", "3.bias",
    ]  # fmt: skip
    assert not any(t.requires_grad for t in state.values())
    assert list(nn.Linear(1, 1).state_dict("head.")) == ["head.weight", "head.bias"]


def test_a_state_dict_is_a_snapshot() -> None:
    layer = nn.Linear(2, 2)
    state = layer.state_dict()
    before = state["weight"].tolist()
    nn.init.zeros_(layer.weight)
    assert state["weight"].tolist() == before


def test_round_trip() -> None:
    a, b = model(), model()
    x = lucid.randn(4, 1, 4, 4)
    a(x)
    identities = [id(p) for p in b.parameters()]
    assert b.load_state_dict(a.state_dict()) == ([], [])
    assert values(a) == values(b)
    assert [id(p) for p in b.parameters()] == identities
    assert all(p.requires_grad for p in b.parameters())
    assert a.eval()(x).tolist() == b.eval()(x).tolist()


def test_loaded_values_are_copies() -> None:
    layer, source = nn.Linear(1, 1), np.ones((1, 1), np.float32)
    layer.load_state_dict({"weight": source, "bias": lucid.zeros(1)})
    source[:] = 7
    assert layer.weight.tolist() == [[1.0]]


def test_every_problem_is_listed_and_nothing_is_changed() -> None:
    net = model()
    before = values(net)
    state = {name: tensor + 1 for name, tensor in net.state_dict().items()}
    del state["0.bias"]
    state["4.weight"] = lucid.ones(1)
    state["3.weight"] = lucid.ones(3, 9)
    state["1.running_mean"] = lucid.zeros(2, dtype=lucid.float64)
    with pytest.raises(StateError) as caught:
        net.load_state_dict(state)
    message = str(caught.value)
    assert "missing: 0.bias" in message
    assert "unexpected: 4.weight" in message
    assert "3.weight: shape (3, 9) instead of (3, 8)" in message
    assert "1.running_mean: dtype float64 instead of float32" in message
    assert "test_state.py" in message
    assert values(net) == before
    with pytest.raises(StateError, match="mismatched"):
        net.load_state_dict(state, strict=False)
    assert values(net) == before


def test_not_strict() -> None:
    layer = nn.Linear(2, 1)
    bias = layer.bias
    assert bias is not None
    before = bias.tolist()
    result = layer.load_state_dict({"weight": lucid.ones(1, 2), "extra": lucid.ones(1)}, strict=False)
    assert result.missing_keys == ["bias"]
    assert result.unexpected_keys == ["extra"]
    assert layer.weight.tolist() == [[1.0, 1.0]]
    assert bias.tolist() == before


@pytest.mark.parametrize("given", [None, [1], "weights.safetensors"])
def test_something_else_than_a_dictionary(given: object) -> None:
    with pytest.raises(ArgumentTypeError, match="must map names to tensors"):
        nn.Linear(1, 1).load_state_dict(given)  # type: ignore[arg-type]


def test_a_value_that_is_not_a_tensor() -> None:
    with pytest.raises(StateError, match="bias: data of type str"):
        nn.Linear(1, 1).load_state_dict({"weight": lucid.ones(1, 1), "bias": "zero"})
