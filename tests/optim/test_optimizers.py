"""Optimizers: what they refuse, groups, state, and steps whose result is known without PyTorch."""

from __future__ import annotations

import copy
import gc
import math
import pickle
import weakref
from typing import Any

import pytest

import lucid
from lucid import nn, optim
from lucid.errors import ArgumentError, ArgumentTypeError, GradientError, LucidError, StateError, TraceError


def parameter(*values: float) -> nn.Parameter:
    return nn.Parameter(list(values))


def descend(optimizer: optim.Optimizer, x: lucid.Tensor, steps: int = 1) -> None:
    for _ in range(steps):
        optimizer.zero_grad()
        (x * x).sum().backward()
        optimizer.step()


X = parameter(1.0)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: optim.SGD([], 0.1), ArgumentError, "SGD: params is empty"),
        (lambda: optim.SGD(X, 0.1), ArgumentTypeError, "not one Parameter"),
        (lambda: optim.SGD({"params": [X]}, 0.1), ArgumentTypeError, "not one dict"),  # type: ignore[arg-type]
        (lambda: optim.SGD([1.0], 0.1), ArgumentTypeError, "params[0] must be a Tensor, not float"),  # type: ignore[list-item]
        (lambda: optim.SGD([X * 2], 0.1), GradientError, "params[0] of shape (1,) is the result of an operation"),
        (lambda: optim.SGD([X, X], 0.1), ArgumentError, "params[1] of shape (1,) is given twice"),
        (lambda: optim.SGD([{"params": [X]}, {"params": [X]}], 0.1), ArgumentError, "given twice"),
        (lambda: optim.SGD([{"params": []}], 0.1), ArgumentError, "params of a group is empty"),
        (
            lambda: optim.SGD([{"params": [X], "rate": 1}], 0.1),
            ArgumentTypeError,
            "unknown hyperparameters in a group: rate",
        ),
        (lambda: optim.SGD([{"params": [X], "lr": -1}], 0.1), ArgumentError, "lr=-1"),
        (lambda: optim.SGD([X], -0.1), ArgumentError, "lr=-0.1 must be finite and not negative"),
        (lambda: optim.SGD([X], float("nan")), ArgumentError, "lr=nan"),
        (lambda: optim.SGD([X], "fast"), ArgumentTypeError, "lr='fast' must be a number"),  # type: ignore[arg-type]
        (lambda: optim.SGD([X], 0.1, momentum=-1), ArgumentError, "momentum=-1"),
        (lambda: optim.SGD([X], 0.1, nesterov=True), ArgumentError, "nesterov=True needs a momentum"),
        (lambda: optim.SGD([X], 0.1, 0.9, 0.1, nesterov=True), ArgumentError, "nesterov=True needs"),
        (lambda: optim.SGD([X], 0.1, maximize=1), ArgumentTypeError, "maximize=1 must be True or False"),  # type: ignore[arg-type]
        (lambda: optim.Adam([X], betas=(0.9, 1.0)), ArgumentError, "Adam: betas[1]=1.0 must lie in 0 .. 1"),
        (lambda: optim.Adam([X], betas=0.9), ArgumentTypeError, "betas=0.9 must be two numbers"),  # type: ignore[arg-type]
        (lambda: optim.AdamW([X], eps=-1), ArgumentError, "AdamW: eps=-1"),
        (lambda: optim.AdamW([X], weight_decay=-1), ArgumentError, "weight_decay=-1"),
        (lambda: optim.RMSprop([X], alpha=1.0), ArgumentError, "RMSprop: alpha=1.0 must lie in 0 .. 1"),
        (lambda: optim.RMSprop([X], centered=None), ArgumentTypeError, "centered=None must be True or False"),  # type: ignore[arg-type]
        (lambda: optim.Adagrad([X], initial_accumulator_value=-1), ArgumentError, "initial_accumulator_value=-1"),
        (lambda: optim.Adadelta([X], rho=-0.5), ArgumentError, "Adadelta: rho=-0.5"),
        (lambda: optim.Adamax([X], betas=(2.0, 0.9)), ArgumentError, "Adamax: betas[0]=2.0"),
        (lambda: optim.NAdam([X], momentum_decay=-1), ArgumentError, "NAdam: momentum_decay=-1"),
        (lambda: optim.RAdam([X], decoupled_weight_decay=1), ArgumentTypeError, "decoupled_weight_decay=1 must be"),  # type: ignore[arg-type]
    ],
)
def test_refusals(make: Any, error: type[LucidError], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
    assert "test_optimizers.py" in str(caught.value)


def test_a_frozen_leaf_and_a_parameter_without_gradient_stay() -> None:
    frozen, unused, used = nn.Parameter([1.0], requires_grad=False), parameter(1.0), parameter(1.0)
    adam = optim.Adam([frozen, unused, used], lr=0.5)
    (used * 2).backward()
    adam.step()
    assert (frozen.item(), unused.item()) == (1.0, 1.0)
    assert used.item() == pytest.approx(0.5)
    assert adam.state[unused]["step"].item() == 0
    assert adam.state[used]["step"].item() == 1


def test_a_step_keeps_the_tensor_and_leaves_no_history() -> None:
    x = parameter(1.0, 2.0)
    sgd = optim.SGD([x], lr=0.25, momentum=0.5)
    descend(sgd, x, 3)
    assert x.is_leaf
    assert x.requires_grad
    assert x._record.depth == 0
    assert all(t.is_leaf and not t.requires_grad and t._record.depth == 0 for t in sgd.state[x].values())
    sgd.zero_grad(set_to_none=False)
    assert x.grad is not None
    assert x.grad.tolist() == [0.0, 0.0]
    sgd.zero_grad()
    assert x.grad is None


def test_graphs_of_before_are_not_kept_alive() -> None:
    x = parameter(1.0)
    adam = optim.Adam([x])
    loss = (x * x).sum()
    record = weakref.ref(loss)
    loss.backward()
    adam.step()
    del loss
    gc.collect()
    assert record() is None


def test_groups_have_hyperparameters_of_their_own_and_follow_changes() -> None:
    a, b = parameter(1.0), parameter(1.0)
    sgd = optim.SGD([{"params": a}, {"params": [b], "lr": 0.5}], lr=0.25)
    ((a + b) * 1.0).backward()
    sgd.step()
    assert (a.item(), b.item()) == (0.75, 0.5)
    sgd.param_groups[0]["lr"] = 0.0
    c = parameter(1.0)
    sgd.add_param_group({"params": [c], "lr": 1.0})
    (c * 1.0).backward()
    sgd.step()
    assert (a.item(), b.item(), c.item()) == (0.75, 0.0, 0.0)
    assert "group 2: 1 parameters" in repr(sgd)


def test_switching_momentum_on_later() -> None:
    x = parameter(1.0)
    sgd = optim.SGD([x], lr=0.25)
    descend(sgd, x)
    assert sgd.state.get(x) == {}
    sgd.param_groups[0]["momentum"] = 0.5
    descend(sgd, x)
    assert sgd.state[x]["momentum_buffer"].item() == 1.0


def test_a_closure_is_called_with_gradients_on() -> None:
    x = parameter(2.0)
    sgd = optim.SGD([x], lr=0.25)

    def closure() -> lucid.Tensor:
        sgd.zero_grad()
        loss = (x * x).sum()
        loss.backward()
        return loss

    with lucid.no_grad():
        assert sgd.step(closure).item() == 4.0
    assert x.item() == 1.0
    assert sgd.step() is None


def test_the_first_steps_of_adam_have_the_size_of_the_learning_rate() -> None:
    # Bias correction is exact: without it, or computed as 1 - beta**t in single precision, this is off by more.
    x = parameter(1e-3, 1.0, 1e3)
    adam = optim.Adam([x], lr=0.125, eps=0.0)
    for t in range(1, 4):
        before = lucid.tensor(x.tolist())
        x.grad = lucid.tensor([1e-3, 1.0, 1e3])
        adam.step()
        assert (before - x).tolist() == pytest.approx([0.125] * 3, rel=1e-4), t
    assert x._grad is not None


def test_betas_of_zero() -> None:
    x = parameter(1.0)
    adam = optim.Adam([x], lr=0.5, betas=(0.0, 0.0))
    descend(adam, x)
    assert x.item() == pytest.approx(0.5)


MAKERS: list[Any] = [
    lambda p: optim.SGD(p, lr=0.1),
    lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.5, weight_decay=0.1),
    lambda p: optim.Adam(p, lr=0.1, amsgrad=True),
    lambda p: optim.AdamW(p, lr=0.1),
    lambda p: optim.RMSprop(p, lr=0.1, momentum=0.5, centered=True),
    lambda p: optim.Adagrad(p, lr=0.1, lr_decay=0.1, initial_accumulator_value=0.5),
    optim.Adadelta,
    optim.Adamax,
    optim.NAdam,
    optim.RAdam,
]


def test_numbers_written_out() -> None:
    """Two steps on a gradient of 2, by hand."""
    wanted = {
        optim.RMSprop: -0.1 * (2 / 0.04**0.5 + 2 / (0.99 * 0.04 + 0.04) ** 0.5),
        optim.Adagrad: -0.1 * (2 / 4**0.5 + 2 / 8**0.5),
        optim.Adamax: -0.1 * (1 + 1),
        optim.RAdam: -0.1 * (2 + 2),  # not rectified before the sixth step
    }
    for rule, value in wanted.items():
        x = parameter(0.0)
        optimizer = rule([x], lr=0.1)
        for _ in range(2):
            x.grad = lucid.tensor([2.0])
            optimizer.step()
        assert x.item() == pytest.approx(value, rel=1e-6), rule


def adadelta_in_full(p: float, grads: list[float]) -> float:
    square = steps = 0.0
    for g in grads:
        square = 0.9 * square + 0.1 * g * g
        delta = math.sqrt((steps + 1e-6) / (square + 1e-6)) * g
        steps = 0.9 * steps + 0.1 * delta * delta
        p -= 0.1 * delta
    return p


def nadam_in_full(p: float, grads: list[float]) -> float:
    mean = square = 0.0
    product = 1.0
    for t, g in enumerate(grads, 1):
        mu, ahead = (0.9 * (1 - 0.5 * 0.96 ** (0.004 * k)) for k in (t, t + 1))
        product *= mu
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        looked = ahead * mean / (1 - product * ahead) + (1 - mu) * g / (1 - product)
        p -= 0.1 * looked / (math.sqrt(square / (1 - 0.999**t)) + 1e-8)
    return p


def radam_in_full(p: float, grads: list[float]) -> float:
    mean = square = 0.0
    longest = 2 / (1 - 0.999) - 1
    for t, g in enumerate(grads, 1):
        mean, square = 0.9 * mean + 0.1 * g, 0.999 * square + 0.001 * g * g
        length = longest - 2 * t * 0.999**t / (1 - 0.999**t)
        step = 0.1 * mean / (1 - 0.9**t)
        if length > 5:
            top, bottom = (length - 4) * (length - 2) * longest, (longest - 4) * (longest - 2) * length
            step *= math.sqrt(top / bottom) * math.sqrt(1 - 0.999**t) / (math.sqrt(square) + 1e-8)
        p -= step
    return p


def centered_rmsprop_in_full(p: float, grads: list[float]) -> float:
    mean = square = buffer = 0.0
    for g in grads:
        mean, square = 0.99 * mean + 0.01 * g, 0.99 * square + 0.01 * g * g
        buffer = 0.5 * buffer + g / (math.sqrt(square - mean * mean) + 1e-8)
        p -= 0.1 * buffer
    return p


@pytest.mark.parametrize(
    ("rule", "options", "formula"),
    [
        (optim.Adadelta, {}, adadelta_in_full),
        (optim.NAdam, {}, nadam_in_full),
        (optim.RAdam, {}, radam_in_full),
        (optim.RMSprop, {"centered": True, "momentum": 0.5}, centered_rmsprop_in_full),
    ],
)
def test_ten_steps_by_the_formulas(rule: Any, options: dict[str, Any], formula: Any) -> None:
    x = parameter(2.0)
    optimizer = rule([x], lr=0.1, **options)
    grads = [3.0, -1.0, 0.5, 2.0, -4.0, 1.0, 0.25, 5.0, -2.0, 1.5]
    for g in grads:
        x.grad = lucid.tensor([g])
        optimizer.step()
    assert x.item() == pytest.approx(formula(2.0, grads), rel=2e-6)


def test_state_that_does_not_start_at_zero_is_restored_by_an_empty_state_dict() -> None:
    x = parameter(1.0)
    for make, name, start in (
        (lambda: optim.Adagrad([x], initial_accumulator_value=0.5), "sum", 0.5),
        (lambda: optim.NAdam([x]), "mu_product", 1.0),
    ):
        optimizer = make()
        assert optimizer.state[x][name].sum().item() == start
        descend(optimizer, x)
        assert optimizer.state[x][name].sum().item() != start
        optimizer.load_state_dict({"state": {}, "param_groups": [{"params": [0]}]})
        assert optimizer.state[x][name].sum().item() == start


@pytest.mark.parametrize("rule", [optim.RMSprop, optim.Adagrad, optim.Adadelta, optim.Adamax, optim.NAdam, optim.RAdam])
def test_gradients_of_zero_and_nan_and_parameters_without_elements(rule: Any) -> None:
    x, empty = parameter(1.0, 2.0), nn.Parameter(lucid.zeros(0, 3))
    optimizer = rule([x, empty], lr=0.5)
    x.grad, empty.grad = lucid.tensor([0.0, float("nan")]), lucid.zeros(0, 3)
    optimizer.step()
    assert x[0].item() == 1.0
    assert lucid.isnan(x[1]).item()
    assert empty.shape == (0, 3)


@pytest.mark.parametrize("make", MAKERS)
class TestState:
    def test_round_trip_midway(self, make: Any) -> None:
        x = parameter(1.0, -2.0)
        one = make([x])
        descend(one, x, 3)
        y = parameter(*x.tolist())
        two = make([y])
        two.param_groups[0]["lr"] = 99.0
        held = dict(two.state.get(y, {}))
        two.load_state_dict(one.state_dict())
        assert all(two.state[y][name] is tensor for name, tensor in held.items())
        descend(one, x, 3)
        descend(two, y, 3)
        assert x.tolist() == y.tolist()

    def test_a_state_dict_is_a_snapshot(self, make: Any) -> None:
        x = parameter(1.0)
        optimizer = make([x])
        descend(optimizer, x)
        state = optimizer.state_dict()
        before = repr(state)
        descend(optimizer, x)
        optimizer.param_groups[0]["lr"] = 7.0
        assert repr(state) == before

    @pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
    def test_copies_go_on_where_the_original_was(self, make: Any, duplicate: Any) -> None:
        x = parameter(1.0)
        optimizer = make([x])
        descend(optimizer, x, 2)
        y, twin = duplicate((x, optimizer))
        descend(twin, y, 2)
        assert x.item() != y.item()
        descend(optimizer, x, 2)
        assert x.item() == y.item()


def test_state_that_does_not_fit_changes_nothing() -> None:
    x, y = parameter(1.0, 2.0), parameter(3.0)
    adam = optim.Adam([x, y], lr=0.5)
    descend(adam, x)
    before = repr(adam.state_dict())
    state = adam.state_dict()
    state["param_groups"][0]["lr"] = 9.0
    state["state"][0]["exp_avg"] = lucid.zeros(3)
    del state["state"][0]["step"]
    state["state"][1]["momentum_buffer"] = lucid.zeros(1)
    with pytest.raises(StateError) as caught:
        adam.load_state_dict(state)
    for problem in (
        "state 0: exp_avg has shape (3,), not (2,)",
        "state 0: step is missing",
        "momentum_buffer is unexpected",
    ):
        assert problem in str(caught.value)
    with pytest.raises(StateError, match=r"groups of \[1\] parameters do not fit an optimizer with groups of \[2\]"):
        adam.load_state_dict(optim.Adam([parameter(1.0)]).state_dict())
    with pytest.raises(StateError, match="momentum"):
        adam.load_state_dict(optim.SGD([parameter(1.0), parameter(1.0)], 0.1).state_dict())
    with pytest.raises(StateError, match="lr=-1"):
        adam.load_state_dict({"state": {}, "param_groups": [{"params": [0, 1], "lr": -1}]})
    with pytest.raises(ArgumentTypeError, match='"state" and "param_groups"'):
        adam.load_state_dict({})
    assert repr(adam.state_dict()) == before
    adam.load_state_dict({"state": {}, "param_groups": [{"params": [0, 1]}]})
    assert adam.state[x]["step"].item() == 0
    assert adam.param_groups[0]["lr"] == 0.5  # its own default, where the state dict says nothing


def test_a_switch_turned_after_compiling_is_refused() -> None:
    from lucid.optim.optimizer import _Live

    x = parameter(1.0)
    sgd = optim.SGD([x], lr=0.1)
    live = _Live(sgd, 0, x.dtype)
    sgd.param_groups[0]["lr"] = 0.2
    assert live["lr"] == 0.2
    live = _Live(sgd, 0, x.dtype)
    sgd.param_groups[0]["momentum"] = 0.9
    with pytest.raises(TraceError, match="momentum of group 0 changed"):
        live["lr"]


def test_state_is_called_after_its_parameter_in_graphs() -> None:
    model = nn.Sequential(nn.Linear(2, 1))
    sgd = optim.SGD([*model.parameters(), lucid.zeros(1, requires_grad=True)], lr=0.1, momentum=0.9)
    names = [t.name for state in sgd.state.values() for t in state.values()]
    assert names == ["0.weight.momentum_buffer", "0.bias.momentum_buffer", "momentum_buffer"]
