"""Eager steps of many parameters, which run as programs."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import pytest

import lucid
from lucid import nn, optim
from lucid.optim import moving
from lucid.optim.optimizer import Optimizer

MANY = 9


def parameters(count: int = MANY) -> list[lucid.Tensor]:
    rng = np.random.default_rng(count)
    return [nn.Parameter(rng.standard_normal((2, 1 + k % 3)).astype(np.float32)) for k in range(count)]


def give_gradients(params: Sequence[lucid.Tensor], seed: int, without: Sequence[int] = ()) -> None:
    rng = np.random.default_rng(seed)
    for k, p in enumerate(params):
        grad = lucid.tensor(rng.standard_normal(p.shape).astype(np.float32))
        p.grad = None if k in without else grad


def programs(optimizer: Optimizer) -> int:
    return len(optimizer._programs._found)


def values(params: Sequence[lucid.Tensor]) -> list[list[float]]:
    return [p.detach().numpy().ravel().tolist() for p in params]


RULES = {
    "SGD": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "AdamW": lambda p: optim.AdamW(p, lr=0.1),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
}


@pytest.mark.parametrize("rule", RULES)
def test_a_step_is_that_of_a_compiled_one_to_the_bit_and_of_numpy_nearly(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    eager, compiled, plain = (parameters() for _ in range(3))
    optimizers = [RULES[rule](p) for p in (eager, compiled, plain)]
    step = lucid.compile(optimizers[1].step)
    for seed in range(3):
        for params in (eager, compiled, plain):
            give_gradients(params, seed)
        for optimizer in optimizers:
            optimizer.param_groups[0]["lr"] *= 0.7  # followed without another program
        optimizers[0].step()
        step()
        with monkeypatch.context() as patch:
            patch.setenv("LUCID_EAGER", "numpy")
            optimizers[2].step()
    assert [programs(o) for o in optimizers] == [1, 0, 0]
    assert values(eager) == values(compiled)
    for a, b in zip(eager, plain, strict=True):
        np.testing.assert_allclose(a.detach().numpy(), b.detach().numpy(), rtol=1e-5, atol=1e-6)


def test_few_parameters_move_without_a_program() -> None:
    params = parameters(moving._MANY - 1)
    optimizer = optim.SGD(params)
    give_gradients(params, 0)
    optimizer.step()
    assert programs(optimizer) == 0


def test_ever_other_parameters_without_gradients_take_a_program_each() -> None:
    """Each choice is compiled a few times only; what comes out does not depend on which way."""
    params, others = parameters(), parameters()
    optimizer, whole = (optim.SGD(p, lr=0.1, momentum=0.9) for p in (params, others))
    for seed in range(10):
        without = [seed % MANY] if seed < moving._CHOICES + 2 else []
        give_gradients(params, seed, without)
        give_gradients(others, seed, without)
        optimizer.step()
        lucid.compile(whole.step)()
    assert programs(optimizer) == moving._CHOICES + MANY
    assert values(params) == values(others)


def test_what_is_fixed_in_a_program_is_seen_to_change() -> None:
    params, others = parameters(), parameters()
    optimizer, whole = (optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=0.1) for p in (params, others))
    changes = ({}, {"nesterov": True}, {"weight_decay": 0.0}, {"maximize": True}, {"momentum": 0.5})
    for seed, change in enumerate(changes):
        for o, p in ((optimizer, params), (whole, others)):
            o.param_groups[0].update(change)
            give_gradients(p, seed)
        optimizer.step()
        lucid.compile(whole.step)()
    optimizer.state[params[0]]["momentum_buffer"] = lucid.zeros(*params[0].shape)
    whole.state[others[0]]["momentum_buffer"] = lucid.zeros(*params[0].shape)
    give_gradients(params, 9)
    give_gradients(others, 9)
    optimizer.step()
    lucid.compile(whole.step)()
    assert programs(optimizer) == 1
    assert values(params) == values(others)


def test_whoever_holds_a_parameters_value_keeps_it() -> None:
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1)
    for seed in range(2):
        twins = [p.detach() for p in params]
        arrays = [t.numpy() for t in twins]
        before = [a.copy() for a in arrays]
        loss = sum((p * p).sum() for p in params)
        loss.backward(retain_graph=True)
        optimizer.step()
        for p, a, b in zip(params, arrays, before, strict=True):
            np.testing.assert_array_equal(a, b, str(seed))
            assert not np.array_equal(p.detach().numpy(), b)
            p.grad = None
        loss.backward()  # the graph recorded before has the values of before
        for p, b in zip(params, before, strict=True):
            np.testing.assert_array_equal(p.grad.numpy(), 2 * b)


def test_copies_and_a_later_group_have_programs_of_their_own() -> None:
    params = parameters()
    optimizer = optim.SGD(params, lr=0.1)
    give_gradients(params, 0)
    optimizer.step()
    twin = copy.deepcopy(optimizer)
    before = values(params)
    copies = twin.param_groups[0]["params"]
    give_gradients(copies, 1)
    twin.step()
    assert values(params) == before != values(copies)
    more = parameters(2)
    optimizer.add_param_group({"params": more, "lr": 0.0})
    give_gradients([*params, *more], 2)
    kept = values(more)
    optimizer.step()
    assert values(more) == kept
    assert values(params) != before


def test_a_rule_of_ones_own_is_called_at_every_step() -> None:
    class Counting(optim.SGD):
        calls = 0

        def update(self, *args: object) -> None:
            self.calls += 1
            super().update(*args)  # type: ignore[arg-type]

    params = parameters()
    optimizer = Counting(params)
    for seed in range(3):
        give_gradients(params, seed)
        optimizer.step()
    assert optimizer.calls == 3 * MANY
