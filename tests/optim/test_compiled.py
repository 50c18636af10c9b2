"""Whole training steps, compiled: the same losses, parameters, buffers and optimizer state as eager ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn, optim
from lucid.errors import TraceError

MAKERS: dict[str, Callable[[Any], optim.Optimizer]] = {
    "sgd": lambda p: optim.SGD(p, lr=0.1),
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, dampening=0.3, weight_decay=0.01),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True),
    "adam": lambda p: optim.Adam(p, lr=0.01, amsgrad=True, weight_decay=0.1),
    "adamw": lambda p: optim.AdamW(p, lr=0.01),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.003, momentum=0.5, eps=1e-3, centered=True, weight_decay=0.1),
    "adagrad": lambda p: optim.Adagrad(p, lr=0.01, lr_decay=0.1, initial_accumulator_value=0.1),
    "adadelta": lambda p: optim.Adadelta(p, lr=0.5, eps=1e-4),
    "asgd": lambda p: optim.ASGD(p, lr=0.1, lambd=0.1, t0=2, weight_decay=0.1),
    "adafactor": lambda p: optim.Adafactor(p, lr=0.05, weight_decay=0.1),
    "adamax": lambda p: optim.Adamax(p, lr=0.01, eps=1e-4),
    "nadam": lambda p: optim.NAdam(p, lr=0.01, weight_decay=0.1, decoupled_weight_decay=True),
    "radam": lambda p: optim.RAdam(p, lr=0.01, betas=(0.9, 0.9)),  # rectified from the sixth step on
}


class Training:
    """A small net, its optimizer, and one step."""

    def __init__(self, make: Callable[[Any], optim.Optimizer]) -> None:
        lucid.manual_seed(0)
        self.net = nn.Sequential(
            nn.Conv2d(1, 3, 3, bias=False),  # before a norm its gradient would be rounding noise
            nn.BatchNorm2d(3, momentum=None),
            nn.Tanh(),
            nn.AvgPool2d(2),
            nn.Flatten(),
            nn.Linear(12, 3),
        )
        self.optimizer = make(self.net.parameters())
        self.loss = nn.CrossEntropyLoss()

    def step(self, x: lucid.Tensor, y: lucid.Tensor) -> lucid.Tensor:
        self.optimizer.zero_grad()
        loss = self.loss(self.net(x), y)
        loss.backward()
        self.optimizer.step()
        return loss  # type: ignore[no-any-return]

    def values(self) -> list[Any]:
        state = [t for s in self.optimizer.state.values() for t in s.values()]
        return [t.numpy() for t in [*self.net.state_dict().values(), *state]]


def batches(n: int) -> list[tuple[lucid.Tensor, lucid.Tensor]]:
    rng = np.random.default_rng(0)
    return [
        (lucid.tensor(rng.standard_normal((8, 1, 6, 6)).astype(np.float32)), lucid.tensor(rng.integers(0, 3, 8)))
        for _ in range(n)
    ]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_compiled_step_is_the_eager_step(make: Callable[[Any], optim.Optimizer]) -> None:
    eager, compiled = Training(make), Training(make)
    step = lucid.compile(compiled.step)
    for k, (x, y) in enumerate(batches(6)):
        if k == 3:  # a changed learning rate is seen, without a new trace
            for training in (eager, compiled):
                training.optimizer.param_groups[0]["lr"] = 0.003
        np.testing.assert_allclose(step(x, y).item(), eager.step(x, y).item(), rtol=2e-5)
    assert len(step.versions) == 1
    for a, b in zip(compiled.values(), eager.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6)


def test_loading_state_is_seen_by_a_compiled_step() -> None:
    eager, compiled = Training(MAKERS["adam"]), Training(MAKERS["adam"])
    step = lucid.compile(compiled.step)
    data = batches(5)
    for x, y in data[:3]:
        eager.step(x, y)
    for x, y in data[3:]:
        step(x, y)
    compiled.net.load_state_dict(eager.net.state_dict())
    compiled.optimizer.load_state_dict(eager.optimizer.state_dict())
    for x, y in data:
        np.testing.assert_allclose(step(x, y).item(), eager.step(x, y).item(), rtol=2e-5)


def test_a_switch_turned_after_compiling_is_refused() -> None:
    training = Training(MAKERS["sgd"])
    step = lucid.compile(training.step)
    (x, y), *_ = batches(1)
    step(x, y)
    training.optimizer.param_groups[0]["momentum"] = 0.9
    before = [v.copy() for v in training.values()]
    with pytest.raises(TraceError, match="momentum of group 0 changed between zero and not"):
        step(x, y)
    for a, b in zip(training.values(), before, strict=True):
        np.testing.assert_array_equal(a, b)


class Counter(nn.Module):
    """Replaces its buffer, as eager code may."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("total", lucid.zeros(2))

    def forward(self, x: lucid.Tensor) -> lucid.Tensor:
        self.total = self.total + x
        return self.total * 2.0


def test_assigning_a_buffer_in_a_compiled_module_updates_it() -> None:
    eager, module = Counter(), Counter()
    compiled = lucid.compile(module)
    for k in range(3):
        x = lucid.tensor([1.0, float(k)])
        assert compiled(x).tolist() == eager(x).tolist()
        assert module.total.tolist() == eager.total.tolist()


def test_a_buffer_that_a_trace_cannot_follow_is_refused() -> None:
    x = lucid.ones(2, requires_grad=True)
    with pytest.raises(TraceError, match="buffer 'total' of Counter is given a value that requires a gradient"):
        lucid.compile(Counter())(x)
    with pytest.raises(
        TraceError, match=r"buffer 'total' of Counter is given a value that is f32\[3,2\] instead of f32\[2\]"
    ):
        lucid.compile(Counter())(lucid.ones(3, 2))
