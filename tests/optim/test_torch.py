"""PyTorch as a second opinion: twenty steps of every optimizer, with all its options, end in the same place."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn, optim

torch = pytest.importorskip("torch")

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"weight_decay": 0.1, "maximize": True}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "dampening": 0.3, "weight_decay": 0.05}),
    ("SGD", {"momentum": 0.8, "nesterov": True, "weight_decay": 0.05}),
    ("Adam", {}),
    ("Adam", {"betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.1}),
    ("Adam", {"amsgrad": True, "maximize": True}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.3, "amsgrad": True}),
    ("AdamW", {"betas": (0.0, 0.9), "weight_decay": 0.0}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.8, "eps": 1e-3, "weight_decay": 0.1, "centered": True}),
    ("RMSprop", {"momentum": 0.9, "maximize": True}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.1, "initial_accumulator_value": 0.5, "eps": 1e-3}),
    ("Adagrad", {"maximize": True}),
    ("Adadelta", {}),
    ("Adadelta", {"rho": 0.5, "eps": 1e-2, "weight_decay": 0.1, "maximize": True}),
    ("Adamax", {}),
    ("Adamax", {"betas": (0.5, 0.7), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("NAdam", {}),
    ("NAdam", {"betas": (0.5, 0.7), "weight_decay": 0.1, "momentum_decay": 0.5, "maximize": True}),
    ("NAdam", {"weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {}),
    ("RAdam", {"betas": (0.5, 0.9), "eps": 1e-3, "weight_decay": 0.1, "maximize": True}),
    ("RAdam", {"betas": (0.9, 0.6), "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("ASGD", {}),
    ("ASGD", {"lambd": 0.1, "alpha": 0.5, "t0": 3, "weight_decay": 0.1, "maximize": True}),
    ("Adafactor", {}),
    ("Adafactor", {"beta2_decay": -0.5, "eps": (0.1, 0.5), "d": 1.5, "weight_decay": 0.1, "maximize": True}),
    ("Rprop", {}),
    ("Rprop", {"etas": (0.3, 1.5), "step_sizes": (1e-3, 0.2), "maximize": True}),
]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_twenty_steps(name: str, options: dict[str, Any], dtype: str) -> None:
    rng = np.random.default_rng(0)
    start = [rng.standard_normal(shape).astype(dtype) for shape in ((3, 4), (5,), (), (2, 3, 2))]
    gradients = [[rng.standard_normal(a.shape).astype(dtype) for a in start] for _ in range(20)]
    ours = [nn.Parameter(a) for a in start]
    theirs = [torch.nn.Parameter(torch.tensor(a)) for a in start]
    optimizer = getattr(optim, name)(ours, lr=0.1, **options)
    oracle = getattr(torch.optim, name)(theirs, lr=0.1, **options)
    for t, step in enumerate(gradients):
        for k, (p, q, g) in enumerate(zip(ours, theirs, step, strict=True)):
            absent = k == 1 and t % 3 == 0  # a parameter that is not used in every step
            p.grad = None if absent else lucid.tensor(g)
            q.grad = None if absent else torch.tensor(g)
        if t == 10:  # and on with a copy, at another rate
            ours = [nn.Parameter(p) for p in ours]
            for p, q in zip(ours, theirs, strict=True):
                p.grad = None if q.grad is None else lucid.tensor(q.grad.numpy())
            state = optimizer.state_dict()
            optimizer = getattr(optim, name)(ours, lr=9.0)
            optimizer.load_state_dict(state)
            optimizer.param_groups[0]["lr"] = oracle.param_groups[0]["lr"] = 0.01
        optimizer.step()
        oracle.step()
    for p, q in zip(ours, theirs, strict=True):
        # PyTorch keeps NAdam's product of weights and ASGD's step in single precision, Lucid in that of the parameter.
        tolerance = 3e-5 if dtype == "float32" else 1e-6 if name in ("NAdam", "ASGD") else 1e-12
        np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_training_a_net() -> None:
    """The loss curves of a small net in both frameworks."""
    lucid.manual_seed(0)
    ours = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 3))
    theirs = torch.nn.Sequential(torch.nn.Linear(4, 16), torch.nn.Tanh(), torch.nn.Linear(16, 3))
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})
    rng = np.random.default_rng(1)
    x, y = rng.standard_normal((32, 4)).astype(np.float32), rng.integers(0, 3, 32)
    optimizer = optim.Adam(ours.parameters(), lr=0.02)
    oracle = torch.optim.Adam(theirs.parameters(), lr=0.02)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(ours(lucid.tensor(x)), lucid.tensor(y))
        loss.backward()
        optimizer.step()
        oracle.zero_grad()
        expected = torch.nn.functional.cross_entropy(theirs(torch.tensor(x)), torch.tensor(y))
        expected.backward()
        oracle.step()
        losses.append((loss.item(), expected.item()))
    assert losses[-1][0] < 0.85 * losses[0][0]
    np.testing.assert_allclose(*np.array(losses).T, rtol=1e-4)


@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_state_dicts_of_torch_load(name: str, options: dict[str, Any]) -> None:
    """Five steps in PyTorch, then five in both libraries."""
    rng = np.random.default_rng(2)
    start = rng.standard_normal((3, 4))
    theirs = torch.nn.Parameter(torch.tensor(start))
    oracle = getattr(torch.optim, name)([theirs], lr=0.1, **options)
    for t in range(10):
        if t == 5:
            ours = nn.Parameter(theirs.detach().numpy().copy())
            optimizer = getattr(optim, name)([ours], lr=3.0)
            optimizer.load_state_dict(oracle.state_dict())
        gradient = rng.standard_normal(start.shape)
        theirs.grad = torch.tensor(gradient)
        oracle.step()
        if t >= 5:
            ours.grad = lucid.tensor(gradient)
            optimizer.step()
    tolerance = 1e-6 if name in ("NAdam", "ASGD") else 1e-12
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=tolerance, atol=tolerance)


def test_another_rule_of_torch_is_refused() -> None:
    theirs = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))])
    with pytest.raises(lucid.errors.StateError, match="decoupled_weight_decay is False in Adam"):
        optim.Adam([nn.Parameter(lucid.ones(2))]).load_state_dict(theirs.state_dict())


def rosenbrock(points: list[Any]) -> Any:
    x, y = points[0], points[1]
    return ((1.0 - x) ** 2 + 10.0 * (y - x * x) ** 2).sum()


@pytest.mark.filterwarnings("ignore:Converting a tensor with requires_grad")  # which PyTorch does
@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.1},
        {"lr": 0.5, "max_iter": 4, "history_size": 2},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "lr": 5.0, "history_size": 3, "max_iter": 6},
        {"line_search_fn": "strong_wolfe", "lr": 0.001, "max_eval": 9},
    ],
    ids=str,
)
def test_lbfgs(options: dict[str, Any]) -> None:
    """The same way down a curved valley, resumed in the middle from PyTorch's state and from Lucid's own."""
    start = [np.array([-1.2, 0.5, 2.0]), np.array([1.0, -0.3, 0.7])]
    ours, theirs = [nn.Parameter(a) for a in start], [torch.nn.Parameter(torch.tensor(a)) for a in start]
    optimizer, oracle = optim.LBFGS(ours, **options), torch.optim.LBFGS(theirs, **options)

    def descend(minimiser: Any, points: list[Any]) -> float:
        def closure() -> Any:
            minimiser.zero_grad()
            loss = rosenbrock(points)
            loss.backward()
            return loss

        return float(minimiser.step(closure).detach())

    for t in range(6):
        if t in (2, 4):
            state = (oracle if t == 2 else optimizer).state_dict()
            optimizer = optim.LBFGS(ours)
            optimizer.load_state_dict(state)
        np.testing.assert_allclose(descend(optimizer, ours), descend(oracle, theirs), rtol=1e-6, atol=1e-12)
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.numpy(), q.detach().numpy(), rtol=1e-6, atol=1e-8)
        counts = oracle.state_dict()["state"][0]
        assert optimizer.state_dict()["state"][0]["func_evals"] == counts["func_evals"]
        assert optimizer.state_dict()["state"][0]["n_iter"] == counts["n_iter"]


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda p: optim.LBFGS([p]).step(), "closure"),
        (lambda p: optim.LBFGS([p], line_search_fn="armijo"), "strong_wolfe"),
        (lambda p: optim.LBFGS([p], max_iter=0), "at least 1"),
        (lambda p: optim.LBFGS([{"params": [p]}, {"params": [nn.Parameter(p)]}]), "one vector"),
        (lambda p: optim.Rprop([p], etas=(1.2, 0.5)), "below 1 and above 1"),
        (lambda p: optim.Rprop([p], step_sizes=3), "two numbers"),
        (lambda p: optim.ASGD([p], lambd=-1.0), "lambd=-1.0"),
        (lambda p: optim.ASGD([p], t0=float("nan")), "t0=nan"),
        (lambda p: optim.Adafactor([p], eps=1e-3), "two numbers"),
        (lambda p: optim.Adafactor([p], eps=(None, None)), r"eps\[1\]=None"),
        (lambda p: optim.Adafactor([p], beta2_decay=0.8), "beta2_decay=0.8"),
        (lambda p: optim.Adafactor([p], d=0.5), "d=0.5"),
    ],
)
def test_wrong_uses(wrong: Any, words: str) -> None:
    with pytest.raises(lucid.errors.LucidError, match=words):
        wrong(nn.Parameter(lucid.ones(2)))
