"""Schedules chosen by measurement: the same values, winners remembered, and no choice among what does not fit."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import lucid
from lucid.codegen.access import place
from lucid.codegen.lower_contraction import lower_contraction
from lucid.codegen.order import normal_form
from lucid.codegen.program import generate
from lucid.codegen.schedule import Contraction, MapReduce, Schedule, Transpose, Winograd, WinogradGradient
from lucid.codegen.strategy_tune import alternatives
from lucid.codegen.target import Target
from lucid.errors import ScheduleError
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.types import TensorType, float32
from lucid.nn import functional as F
from lucid.ops import conv2d, matmul
from lucid.runtime import tune
from lucid.runtime.executable import build
from lucid.runtime.tune import Tuner

WINDOW = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_CACHE_DIR", str(tmp_path / "cache"))


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def product() -> Graph:
    a, b = value(60, 64), value(64, 96)
    return Graph([a, b], [matmul(a, b)])


def test_a_tuned_function_computes_the_same() -> None:
    w = lucid.randn(32, 16, 3, 3, requires_grad=True)

    def loss(x: lucid.Tensor) -> lucid.Tensor:
        return (F.relu(F.conv2d(x, w, padding=1)) ** 2).mean()

    x = lucid.randn(2, 16, 16, 16)
    results = []
    for function in (loss, lucid.compile(loss, tune=True)):
        w.grad = None
        y = function(x)
        y.backward()
        assert w.grad is not None
        results.append((y.detach().numpy(), w.grad.numpy()))
    for got, want in zip(results[1], results[0], strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-6)


def test_as_a_decorator_and_for_modules() -> None:
    @lucid.compile(tune=True)
    def double(x: lucid.Tensor) -> lucid.Tensor:
        return x * 2.0

    model = lucid.compile(lucid.nn.Linear(64, 64), tune=True)
    x = lucid.randn(64, 64)
    np.testing.assert_array_equal(double(x).numpy(), x.numpy() * 2)
    want = x.numpy() @ model.weight.detach().numpy().T + model.bias.detach().numpy()
    np.testing.assert_allclose(model(x).detach().numpy(), want, rtol=1e-4, atol=1e-5)


def test_the_fastest_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is said to run fastest is what the kernel runs under."""
    asked: list[int] = []

    def last(runs: dict[str, Callable[[], None]]) -> str:
        asked.append(len(runs))
        for run in runs.values():
            run()
        return list(runs)[-1]

    monkeypatch.setattr(tune, "_fastest", last)
    target = Target.host()
    plain = generate(product(), target)
    tuned = generate(product(), target, tune=Tuner(target))
    assert asked
    assert asked[0] > 3
    assert tuned.steps[0].schedule != plain.steps[0].schedule


def test_a_winner_is_remembered() -> None:
    target = Target.host()
    first, second = Tuner(target), Tuner(target)
    one = generate(product(), target, tune=first)
    two = generate(product(), target, tune=second)
    assert (first.measured, first.remembered) == (1, 0)
    assert (second.measured, second.remembered) == (0, 1)
    assert one.steps[0].schedule == two.steps[0].schedule


def test_tuned_code_is_cached_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    built = build(product(), tune=True)
    assert "load" not in built.seconds
    assert "load" in build(product(), tune=True).seconds
    assert "load" not in build(product()).seconds


def test_the_first_stays_unless_another_gains() -> None:
    ran: list[str] = []
    assert tune._fastest({"0": lambda: ran.append("0"), "1": lambda: ran.append("1")}) in ("0", "1")
    assert ran[:4] == ["0", "1", "0", "1"]  # in turns

    def slow() -> None:
        sum(range(100_000))

    assert tune._fastest({"0": slow, "1": lambda: None}) == "1"
    assert tune._fastest({"0": lambda: None, "1": slow}) == "0"


@pytest.mark.parametrize("kind", [Contraction, Winograd, WinogradGradient, MapReduce, Transpose])
def test_there_are_others_of_every_kind(kind: type[Schedule]) -> None:
    target = Target.of("avx512")
    x, w, g = value(4, 32, 16, 16), value(32, 32, 3, 3), value(4, 32, 16, 16)
    from lucid.ops import conv2d_weight_grad, exp

    gradient = conv2d_weight_grad(x, g, **WINDOW, kernel_size=(3, 3))
    a, b = value(60, 64), value(64, 96)
    graph = Graph([x, w, g, a, b], [conv2d(x, w, **WINDOW), gradient, matmul(a, b), exp(a)])
    program = generate(graph, target, parameters=[w])
    (step, *_) = [s for s in program.steps if isinstance(s.schedule, kind)]
    placed = normal_form(place(step.spec, program.layouts))
    others = alternatives(placed, step.schedule, target)
    assert others
    assert step.schedule not in others
    assert len(set(others)) == len(others) <= 12
    if kind is Contraction:
        fits = 0
        for other in others:
            assert isinstance(other, Contraction)
            try:
                lower_contraction(placed, "kernel", other)
                fits += 1
            except ScheduleError:
                pass
        assert fits >= len(others) - 3
