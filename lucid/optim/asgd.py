"""Averaged stochastic gradient descent (Polyak & Juditsky, "Acceleration of stochastic approximation by averaging",
1992; in the form of Bottou's "Large-scale machine learning with stochastic gradient descent", 2010)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lucid.functions.comparison import maximum, where
from lucid.optim.optimizer import Group, Optimizer, State, require_flags, require_number
from lucid.tensor import Tensor


class ASGD(Optimizer):
    """Gradient descent with steps that become shorter, and, beside it, the average of where it has been.

    The average of each parameter is ``state[p]["ax"]``: the parameter itself until step ``t0``, the mean since then.

    Args:
        params: tensors or groups, of any shapes.
        lr: the first step's length; that of step t is ``lr / (1 + lambd * lr * t)**alpha``.
        lambd: how fast steps become shorter, and how much of a parameter decays in each.
        alpha: the power.
        t0: the step after which the average begins.
        weight_decay: this much of each parameter is added to its gradient.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([4.0], requires_grad=True)
    >>> asgd = optim.ASGD([x], lr=0.25, lambd=0.5, t0=0.0)
    >>> (x * x).sum().backward()
    >>> asgd.step()
    >>> x, asgd.state[x]["ax"]
    (Tensor([1.5], requires_grad=True), Tensor([1.5]))
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "lr": lambda group: group["lr"],
        "lambd": lambda group: group["lambd"],
        "alpha": lambda group: group["alpha"],
        "t0": lambda group: group["t0"],
        "weight_decay": lambda group: group["weight_decay"],
    }
    switches = ("weight_decay", "maximize")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        numbers = {"lr": lr, "lambd": lambd, "alpha": alpha, "t0": t0, "weight_decay": weight_decay}
        super().__init__(params, {**numbers, "maximize": maximize})

    def check(self, group: Group) -> None:
        for name in self.scalars:
            require_number(self.name, name, group[name])
        require_flags(self.name, group, ("maximize",))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        return {"step": (), "eta": (), "mu": (), "ax": p.shape}

    def start(self, name: str, group: Group) -> float:
        return {"eta": float(group["lr"]), "mu": 1.0}.get(name, 0.0)

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + p * live["weight_decay"]
        step, eta, mu, average = state["step"] + 1.0, state["eta"], state["mu"], state["ax"]
        moved = p * (1.0 - eta * live["lambd"]) - grad * eta
        average.copy_(where(mu == 1.0, moved, average + (moved - average) * mu))
        step_length = (step * live["lr"] * live["lambd"] + 1.0) ** -live["alpha"] * live["lr"]
        state["step"].copy_(step)
        eta.copy_(step_length)
        mu.copy_(1.0 / maximum(step - live["t0"], 1.0))
        p.copy_(moved)
