"""Endless loops hold memory flat, without the help of the garbage collector."""

from __future__ import annotations

import gc
import os
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

import lucid
from lucid import eager

#: Steps of a loop; LUCID_STEPS=100000 runs the full length.
STEPS = int(os.environ.get("LUCID_STEPS", "12000"))


@pytest.fixture(autouse=True)
def short_history(monkeypatch: pytest.MonkeyPatch) -> None:
    """So short that the sawtooth of a history that grows and is cut stays below what the tests allow."""
    monkeypatch.setattr(eager, "HISTORY_LIMIT", 16)


@pytest.fixture(autouse=True)
def no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def growth(step: Callable[[], object]) -> int:
    """Bytes allocated and not freed over the last half of a loop."""
    for _ in range(STEPS // 2):
        step()
    tracemalloc.start()
    for _ in range(STEPS // 12):  # tracing is slow: the last part stands for the rest
        step()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(STEPS // 12):
        step()
    after = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    return after - before


class Walk:
    def __init__(self) -> None:
        self.x = lucid.ones(8)

    def step(self) -> None:
        self.x = self.x * 0.999 + 1


def test_without_gradients_needed() -> None:
    assert growth(Walk().step) < 20_000


def test_under_no_grad_with_a_parameter() -> None:
    w = lucid.ones(8, requires_grad=True)
    walk = Walk()

    @lucid.no_grad
    def step() -> None:
        walk.x = walk.x * 0.5 + w

    assert growth(step) < 20_000


def test_a_training_loop() -> None:
    w, momentum = lucid.ones(8, requires_grad=True), lucid.zeros(8)
    x = lucid.ones(4, 8)

    def step() -> None:
        loss = ((x * w).sum(1) - 1.0).square().mean()
        loss.backward()
        with lucid.no_grad():
            momentum.copy_(momentum * 0.9 + w.grad)
            w.copy_(w - momentum * 0.01)
        w.grad = None

    assert growth(step) < 20_000


def test_a_running_total_of_losses_does_not_hold_their_graphs() -> None:
    w = lucid.ones(8, requires_grad=True)
    totals = [lucid.tensor(0.0)]

    def step() -> None:
        loss = (w * w).exp().sum()
        loss.backward()
        w.grad = None
        totals[0] = totals[0] + loss.detach()

    assert growth(step) < 20_000


def test_the_hot_path_makes_no_cycles() -> None:
    w = lucid.ones(8, requires_grad=True)

    def step() -> None:
        h = (w * 2.0).tanh()
        h.register_hook(lambda g: g * 2)
        y = (h[None, ::2] + 1).sum()
        y.backward(retain_graph=True)
        lucid.grad(y, w, create_graph=True)
        lucid.graph(y).values  # noqa: B018
        w.grad = None

    step()  # makes the plans
    gc.collect()
    for _ in range(20):
        step()
    assert gc.collect() == 0
