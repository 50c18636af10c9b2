"""Schedulers: PyTorch's rates where it is installed, written-out ones, composition, state, and compiled steps."""

from __future__ import annotations

import copy
import math
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import lucid
from lucid import nn, optim
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError, StateError, TraceError
from lucid.optim import lr_scheduler as S

Make = Callable[[Any, Any], Any]

#: Called with a framework's ``lr_scheduler`` and an optimizer of two groups.
CASES: dict[str, Make] = {
    "step": lambda s, o: s.StepLR(o, 3, gamma=0.5),
    "multistep": lambda s, o: s.MultiStepLR(o, [7, 2, 2], gamma=0.5),
    "exponential": lambda s, o: s.ExponentialLR(o, 0.9),
    "constant": lambda s, o: s.ConstantLR(o, total_iters=3),
    "linear": lambda s, o: s.LinearLR(o, 0.25, 0.75, total_iters=4),
    "polynomial": lambda s, o: s.PolynomialLR(o, 6, power=2.0),
    "cosine": lambda s, o: s.CosineAnnealingLR(o, 4, eta_min=0.01),
    "restarts": lambda s, o: s.CosineAnnealingWarmRestarts(o, 2, 2, eta_min=0.01),
    "restarts alike": lambda s, o: s.CosineAnnealingWarmRestarts(o, 3),
    "lambda": lambda s, o: s.LambdaLR(o, [lambda k: 0.9**k, lambda k: 1 / (1 + k)]),
    "multiplicative": lambda s, o: s.MultiplicativeLR(o, lambda k: 1 - 0.1 / k),
    "one cycle": lambda s, o: s.OneCycleLR(o, [1.0, 2.0], total_steps=14),
    "one cycle, linear": lambda s, o: s.OneCycleLR(
        o, 0.5, epochs=7, steps_per_epoch=2, anneal_strategy="linear", three_phase=True, div_factor=5.0
    ),
    "one cycle, fixed momentum": lambda s, o: s.OneCycleLR(o, 0.5, 13, cycle_momentum=False, pct_start=0.5),
    "cyclic": lambda s, o: s.CyclicLR(o, 0.1, [0.5, 0.7], step_size_up=3, step_size_down=2),
    "triangular2": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 2, mode="triangular2", base_momentum=0.5),
    "exp_range": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 2, mode="exp_range", gamma=0.9, cycle_momentum=False),
    "scale_fn": lambda s, o: s.CyclicLR(o, 0.1, 0.5, 2, scale_fn=lambda k: 1 / (1 + k), scale_mode="iterations"),
    "two on one optimizer": lambda s, o: (s.ConstantLR(o, 0.1, 4), s.ExponentialLR(o, 0.9))[1],
    "chained": lambda s, o: s.ChainedScheduler([s.ConstantLR(o, 0.1, 4), s.StepLR(o, 2), s.CosineAnnealingLR(o, 9)]),
    "sequential": lambda s, o: s.SequentialLR(
        o, [s.LinearLR(o, 0.1, total_iters=3), s.CosineAnnealingLR(o, 5), s.LambdaLR(o, lambda k: 0.5**k)], [3, 8]
    ),
    "sequential restarts": lambda s, o: s.SequentialLR(
        o, [s.ExponentialLR(o, 0.5), s.CosineAnnealingWarmRestarts(o, 2), s.PolynomialLR(o, 3)], [4, 9]
    ),
}  # fmt: skip


def sgd(*rates: float) -> optim.SGD:
    return optim.SGD([{"params": [nn.Parameter([1.0])], "lr": lr} for lr in rates], lr=1.0, momentum=0.9)


def adam(*rates: float) -> optim.Adam:
    return optim.Adam([{"params": [nn.Parameter([1.0])], "lr": lr} for lr in rates])


def rates(optimizer: Any) -> list[Any]:
    return [(g["lr"], g["betas"][0] if "betas" in g else g["momentum"]) for g in optimizer.param_groups]


def curve(optimizer: Any, scheduler: Any, steps: int) -> list[Any]:
    found = []
    for _ in range(steps):
        assert scheduler.get_last_lr() == [g["lr"] for g in optimizer.param_groups]
        found.append(rates(optimizer))
        scheduler.step()
    return found


def flat(values: Any) -> list[float]:
    return [x for v in values for x in flat(v)] if isinstance(values, list | tuple) else [float(values)]


@pytest.mark.parametrize("make_optimizer", [sgd, adam])
@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_rates_are_pytorchs(make: Make, make_optimizer: Any) -> None:
    torch = pytest.importorskip("torch")
    ours = make_optimizer(0.4, 1.0)
    groups = [{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.4, 1.0)]
    theirs = torch.optim.SGD(groups, lr=1.0, momentum=0.9) if make_optimizer is sgd else torch.optim.Adam(groups)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # no optimizer.step() here
        wanted = curve(theirs, make(torch.optim.lr_scheduler, theirs), 13)
    assert flat(curve(ours, make(S, ours), 13)) == pytest.approx(flat(wanted), rel=1e-12, abs=1e-15)


@pytest.mark.parametrize(
    "options",
    [
        {"patience": 1},
        {"mode": "max", "patience": 0, "cooldown": 2, "factor": 0.5},
        {"threshold": 0.5, "threshold_mode": "abs", "patience": 1, "min_lr": [0.02, 0.3]},
        {"mode": "max", "threshold": 0.5, "threshold_mode": "abs", "patience": 0, "eps": 0.2},
    ],
    ids=str,
)
def test_a_plateau_is_pytorchs(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    ours = sgd(0.4, 1.0)
    theirs = torch.optim.SGD([{"params": [torch.nn.Parameter(torch.ones(1))], "lr": lr} for lr in (0.4, 1.0)], lr=1.0)
    one, other = S.ReduceLROnPlateau(ours, **options), torch.optim.lr_scheduler.ReduceLROnPlateau(theirs, **options)
    for k, value in enumerate([3.0, 2.0, 2.0, 1.9, math.nan, 1.8, 1.8, 1.8, 1.8, -1.0, -1.0, -1.0, 5.0]):
        one.step(lucid.tensor(value) if k % 2 else value)
        other.step(value)
        assert one.get_last_lr() == pytest.approx(other.get_last_lr(), rel=1e-12), k


def test_rates_written_out() -> None:
    o = sgd(1.0)
    scheduler = S.SequentialLR(o, [S.LinearLR(o, 0.5, total_iters=2), S.StepLR(o, 1, 0.5)], [2])
    assert [r[0][0] for r in curve(o, scheduler, 5)] == [0.5, 0.75, 1.0, 0.5, 0.25]
    o = sgd(1.0)
    scheduler = S.CyclicLR(o, 0.0, 1.0, step_size_up=2, base_momentum=0.5, max_momentum=1.0)
    assert curve(o, scheduler, 4) == [[(0.0, 1.0)], [(0.5, 0.75)], [(1.0, 0.5)], [(0.5, 0.75)]]
    o = sgd(1.0)
    restarts = S.CosineAnnealingWarmRestarts(o, 2, 2)
    found = []
    for epoch in (0, 0.5, 1, 2, 4, 6, 3.5):  # restarts at 2 and 6
        restarts.step(epoch)
        found.append(o.param_groups[0]["lr"])
    half = (1 + math.cos(math.pi / 4)) / 2
    assert found == pytest.approx([1, half, 0.5, 1, 0.5, 1, (1 + math.cos(math.pi * 1.5 / 4)) / 2])


def test_composed_schedulers_nest() -> None:
    o = sgd(1.0)
    chain = S.ChainedScheduler([S.ConstantLR(o, 0.5, 2), S.ExponentialLR(o, 0.5)])
    inner = S.SequentialLR(o, [S.ExponentialLR(o, 0.25), chain], [2])
    outer = S.SequentialLR(o, [S.ConstantLR(o, 0.125, 9), inner], [1])
    assert [r[0][0] for r in curve(o, outer, 6)] == [0.125, 1.0, 0.25, 0.5, 0.25, 0.25]
    o = sgd(1.0)
    chain = S.ChainedScheduler([S.ConstantLR(o, 0.5, 2), S.ExponentialLR(o, 0.5)])
    outer = S.SequentialLR(o, [chain, S.ConstantLR(o, 0.125, 9)], [3])
    assert [r[0][0] for r in curve(o, outer, 5)] == [0.5, 0.25, 0.25, 0.125, 0.125]


@pytest.mark.parametrize("make", CASES.values(), ids=CASES)
def test_state_goes_on(make: Make, tmp_path: Path) -> None:
    """A checkpoint in the middle, of optimizer and scheduler, leads to the same rates."""
    one, two = sgd(0.4, 1.0), sgd(7.0, 7.0)
    a = make(S, one)
    curve(one, a, 5)
    lucid.save({"optimizer": one.state_dict(), "scheduler": a.state_dict()}, tmp_path / "x")
    wanted = curve(one, a, 6)
    checkpoint = lucid.load(tmp_path / "x")
    b = make(S, two)
    two.load_state_dict(checkpoint["optimizer"])
    b.load_state_dict(checkpoint["scheduler"])
    assert curve(two, b, 6) == wanted


def test_last_epoch_goes_on() -> None:
    for make in (
        lambda o, **k: S.StepLR(o, 3, **k),
        lambda o, **k: S.ExponentialLR(o, 0.5, **k),
        lambda o, **k: S.CosineAnnealingLR(o, 9, **k),
        lambda o, **k: S.OneCycleLR(o, 1.0, 12, **k),
        lambda o, **k: S.LambdaLR(o, lambda t: 0.5**t, **k),
    ):
        one, two = sgd(1.0), sgd(7.0)
        a = make(one)
        curve(one, a, 4)
        two.load_state_dict(one.state_dict())
        b = make(two, last_epoch=a.last_epoch - 1)
        assert flat(curve(two, b, 4)) == pytest.approx(flat(curve(one, a, 4)))
        assert b.last_epoch == 8


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_go_on(duplicate: Any) -> None:
    one = adam(1.0)
    a = S.SequentialLR(one, [S.ExponentialLR(one, 0.5), S.CyclicLR(one, 0.1, 1.0, 2)], [2])
    a.step()
    two, b = duplicate((one, a))
    assert curve(two, b, 4) == curve(one, a, 4)


class Slope:
    """A rule with state of its own."""

    def __init__(self, slope: float) -> None:
        self.slope = slope

    def __call__(self, epoch: float) -> float:
        return 1.0 - self.slope * epoch


def test_attributes_of_callable_objects_are_state() -> None:
    for make in (
        lambda slope: S.LambdaLR(sgd(1.0), Slope(slope)),
        lambda slope: S.CyclicLR(sgd(1.0), 0.0, 1.0, 2, scale_fn=Slope(slope)),
    ):
        one, two = make(0.25), make(0.125)
        two.load_state_dict(one.state_dict())
        one.step(), two.step()
        assert one.get_last_lr() == two.get_last_lr()


def test_a_compiled_step_follows_without_a_new_trace() -> None:
    def training(compiled: bool) -> tuple[list[float], int]:
        x = nn.Parameter([1.0, -2.0])
        optimizer = optim.Adam([x], lr=0.1)
        scheduler = S.OneCycleLR(optimizer, 0.5, total_steps=6)

        def step() -> lucid.Tensor:
            optimizer.zero_grad()
            loss = (x * x * x).sum()
            loss.backward()
            norm = nn.utils.clip_grad_norm_([x], 1.0)
            optimizer.step()
            return norm

        run = lucid.compile(step) if compiled else step
        norms = []
        for _ in range(6):
            norms.append(run().item())
            scheduler.step()
        return [*norms, *x.tolist()], len(run.versions) if compiled else 1

    eager, _ = training(False)
    compiled, versions = training(True)
    assert compiled == pytest.approx(eager, rel=1e-5)
    assert versions == 1
    assert len(set(eager)) == len(eager)


def test_a_step_inside_a_compiled_function_is_refused() -> None:
    o = sgd(1.0)
    for scheduler in (
        S.ExponentialLR(o, 0.5),
        S.CosineAnnealingWarmRestarts(o, 2),
        S.ChainedScheduler([S.StepLR(o, 1)]),
        S.ReduceLROnPlateau(o, patience=0),
    ):

        def step(x: lucid.Tensor, scheduler: Any = scheduler) -> lucid.Tensor:
            scheduler.step(*([1.0] if isinstance(scheduler, S.ReduceLROnPlateau) else []))
            return x + 1.0

        before = repr(scheduler.state_dict())
        with pytest.raises(TraceError, match="would be taken once"):
            lucid.compile(step)(lucid.ones(2))
        assert repr(scheduler.state_dict()) == before


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda o: S.StepLR(3, 1), ArgumentTypeError, "optimizer must be an Optimizer, not int"),
        (lambda o: S.StepLR(o, 0), ArgumentError, "step_size=0 must be at least 1"),
        (lambda o: S.StepLR(o, 2.5), ArgumentTypeError, "step_size=2.5"),
        (lambda o: S.StepLR(o, 2, gamma=-1), ArgumentError, "gamma=-1"),
        (lambda o: S.StepLR(o, 2, last_epoch=3), ArgumentError, "group 0 of the optimizer has no initial_lr"),
        (lambda o: S.StepLR(o, 2, last_epoch=-2), ArgumentError, "last_epoch=-2"),
        (lambda o: S.MultiStepLR(o, 3), ArgumentTypeError, "milestones=3 must be several ints"),
        (lambda o: S.MultiStepLR(o, [3.5]), ArgumentTypeError, "milestones=3.5"),
        (lambda o: S.ExponentialLR(o, "a"), ArgumentTypeError, "gamma='a'"),
        (lambda o: S.ConstantLR(o, factor=0.0), ArgumentError, "factor=0.0 must be above 0"),
        (lambda o: S.LinearLR(o, end_factor=2.0), ArgumentError, "end_factor=2.0"),
        (lambda o: S.PolynomialLR(o, 0), ArgumentError, "total_iters=0"),
        (lambda o: S.CosineAnnealingLR(o, 0), ArgumentError, "T_max=0"),
        (lambda o: S.CosineAnnealingWarmRestarts(o, 2, 0), ArgumentError, "T_mult=0"),
        (lambda o: S.CosineAnnealingWarmRestarts(o, 2).step(-1), ArgumentError, "epoch=-1"),
        (lambda o: S.LambdaLR(o, 0.5), ArgumentTypeError, "lr_lambda=0.5 must be a function"),
        (lambda o: S.LambdaLR(o, [abs, abs]), ArgumentError, "lr_lambda has 2 entries for an optimizer with 1 groups"),
        (lambda o: S.OneCycleLR(o, 0.1), ArgumentError, "total_steps, or epochs and steps_per_epoch"),
        (lambda o: S.OneCycleLR(o, 0.1, 5, pct_start=2.0), ArgumentError, "pct_start=2.0"),
        (lambda o: S.OneCycleLR(o, 0.1, 5, anneal_strategy="x"), ArgumentError, "anneal_strategy='x'"),
        (lambda o: S.OneCycleLR(o, 0.1, 5, div_factor=0), ArgumentError, "div_factor=0"),
        (lambda o: curve(o, S.OneCycleLR(o, 0.1, 2), 3), ArgumentError, "step 3 lies after a cycle of 2 steps"),
        (lambda o: S.CyclicLR(o, 0.1, [1.0, 2.0]), ArgumentError, "max_lr has 2 entries"),
        (lambda o: S.CyclicLR(o, 0.1, 1.0, mode="x"), ArgumentError, "mode='x'"),
        (lambda o: S.CyclicLR(o, 0.1, 1.0, max_momentum=2.0), ArgumentError, "max_momentum=2.0"),
        (lambda o: S.CyclicLR(optim.Adagrad([nn.Parameter([1.0])]), 0.1, 1.0), ArgumentError, "Adagrad has neither"),
        (lambda o: S.ReduceLROnPlateau(o, "x"), ArgumentError, "mode='x' must be 'min' or 'max'"),
        (lambda o: S.ReduceLROnPlateau(o, factor=1.0), ArgumentError, "factor=1.0 must be below 1"),
        (lambda o: S.ReduceLROnPlateau(o, min_lr=[1, 2]), ArgumentError, "min_lr has 2 entries"),
        (lambda o: S.ReduceLROnPlateau(o).step("a"), ArgumentTypeError, "metrics='a' must be a number"),
        (lambda o: S.ChainedScheduler([]), ArgumentError, "at least one scheduler"),
        (lambda o: S.ChainedScheduler([3]), ArgumentTypeError, "schedulers[0] must be a scheduler, not int"),
        (lambda o: S.ChainedScheduler([S.StepLR(o, 1), S.StepLR(sgd(1.0), 1)]), ArgumentError, "another optimizer"),
        (lambda o: S.ChainedScheduler([S.ReduceLROnPlateau(o)]), ArgumentError, "need a measurement"),
        (lambda o: S.SequentialLR(o, [S.StepLR(o, 1)], [1]), ArgumentError, "must be 0 ints for 1 schedulers"),
        (lambda o: S.SequentialLR(o, [S.StepLR(o, 1)] * 3, [2, 2]), ArgumentError, "must be positive and rise"),
        (lambda o: S.SequentialLR(o, [S.StepLR(o, 1)], [], last_epoch=3), ArgumentError, "last_epoch=3"),
        (lambda o: S.StepLR(o, 1).load_state_dict(3), ArgumentTypeError, "must be a dictionary"),
        (
            lambda o: S.StepLR(o, 1).load_state_dict(S.ExponentialLR(o, 1).state_dict()),
            StateError,
            "step_size is missing",
        ),
        (lambda o: S.StepLR(o, 1).load_state_dict(S.StepLR(sgd(1, 2), 1).state_dict()), StateError, "with 1 groups"),
    ],
)
def test_refusals(make: Any, error: type[LucidError], message: str) -> None:
    with pytest.raises(error) as caught:
        make(sgd(1.0))
    assert message in str(caught.value)
    assert "test_lr_scheduler.py" in str(caught.value)


def test_groups_added_later() -> None:
    o = sgd(1.0)
    scheduler, plateau = S.ExponentialLR(o, 0.5), S.ReduceLROnPlateau(o, patience=0, factor=0.5)
    o.add_param_group({"params": [nn.Parameter([1.0])]})
    with pytest.raises(StateError, match="has 2 groups, and had 1 when this scheduler was made"):
        scheduler.step()
    plateau.step(1.0)
    plateau.step(1.0)
    assert plateau.get_last_lr() == [0.5, 0.5]


@pytest.mark.parametrize("rules", [None, 3, [None, None]])
def test_functions_that_do_not_fit_change_nothing(rules: Any) -> None:
    scheduler = S.LambdaLR(sgd(1.0), lambda k: 0.5**k)
    before = scheduler.state_dict()
    with pytest.raises(StateError, match="does not fit 1 groups"):
        scheduler.load_state_dict({**before, "last_epoch": 7, "lr_lambdas": rules})
    assert scheduler.state_dict() == before


def test_composed_state_that_does_not_fit_changes_nothing() -> None:
    o = sgd(1.0)
    chain = S.ChainedScheduler([S.StepLR(o, 1), S.ExponentialLR(o, 0.5)])
    state = chain.state_dict()
    state["_schedulers"][0]["gamma"] = 0.75
    del state["_schedulers"][1]["gamma"]
    before = repr(chain.state_dict())
    with pytest.raises(StateError, match="gamma is missing"):
        chain.load_state_dict(state)
    assert repr(chain.state_dict()) == before
