"""NAdam: Adam with Nesterov momentum (Dozat, "Incorporating Nesterov Momentum into Adam", ICLR 2016 workshop)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lucid.functions.elementwise import exp, expm1, sqrt
from lucid.optim.adam import advanced, decayed, log_beta
from lucid.optim.optimizer import Group, Optimizer, State, require_betas, require_flags, require_number
from lucid.tensor import Tensor


class NAdam(Optimizer):
    """Adam that looks ahead: its step takes the gradient's running mean as it would be one step later.

    The mean's weight grows with the steps: ``mu = betas[0] * (1 - 0.96 ** (step * momentum_decay) / 2)``.

    Args:
        params: tensors or groups, of any shapes.
        lr: learning rate.
        betas: how much of the running mean, in the end, and of the running mean square is kept in a step.
        eps: added to the root.
        weight_decay: this much of each parameter is added to its gradient.
        momentum_decay: how fast ``mu`` approaches ``betas[0]``.
        decoupled_weight_decay: parameters decay by themselves, as in ``AdamW``, instead of through their gradients.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number, or a beta outside 0 .. 1.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([1.0, -3.0], requires_grad=True)
    >>> nadam = optim.NAdam([x], lr=0.25)
    >>> for _ in range(20):
    ...     nadam.zero_grad()
    ...     (x * x).sum().backward()
    ...     nadam.step()
    >>> bool(x.abs().max() < 1.0)
    True
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "lr": lambda group: group["lr"],
        "eps": lambda group: group["eps"],
        "weight_decay": lambda group: group["weight_decay"],
        "kept": lambda group: 1.0 - group["lr"] * group["weight_decay"],
        "beta1": lambda group: group["betas"][0],
        "rest1": lambda group: 1.0 - group["betas"][0],
        "beta2": lambda group: group["betas"][1],
        "rest2": lambda group: 1.0 - group["betas"][1],
        "log_beta2": lambda group: log_beta(group, 1),
        "log_decay": lambda group: group["momentum_decay"] * math.log(0.96),
    }
    switches = ("weight_decay", "decoupled_weight_decay", "maximize")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
        decoupled_weight_decay: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "betas": betas,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum_decay": momentum_decay,
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay", "momentum_decay"):
            require_number(self.name, name, group[name])
        require_betas(self.name, group)
        require_flags(self.name, group, ("decoupled_weight_decay", "maximize"))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        return {"step": (), "mu_product": (), "exp_avg": p.shape, "exp_avg_sq": p.shape}

    def start(self, name: str, group: Group) -> float:
        return 1.0 if name == "mu_product" else 0.0

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        value, grad = decayed(p, grad, group, live, group["decoupled_weight_decay"])
        step, mean, square = advanced(state, grad, live)
        mu = live["beta1"] * (1.0 - 0.5 * exp(step * live["log_decay"]))
        mu_next = live["beta1"] * (1.0 - 0.5 * exp((step + 1.0) * live["log_decay"]))
        product = state["mu_product"] * mu
        state["mu_product"].copy_(product)
        root = sqrt(square / -expm1(step * live["log_beta2"])) + live["eps"]
        of_grad = live["lr"] * (1.0 - mu) / (1.0 - product)
        of_mean = live["lr"] * mu_next / (1.0 - product * mu_next)
        p.copy_(value - (of_grad * grad + of_mean * mean) / root)
