"""Adamax: Adam with the infinity norm (Kingma & Ba, arXiv:1412.6980, section 7)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lucid.functions.elementwise import abs, expm1, maximum
from lucid.optim.adam import log_beta
from lucid.optim.optimizer import Group, Optimizer, State, require_betas, require_flags, require_number
from lucid.tensor import Tensor


class Adamax(Optimizer):
    """Steps of the gradient's running mean over its largest size so far, which is forgotten slowly.

    Args:
        params: tensors or groups, of any shapes.
        lr: learning rate.
        betas: how much of the running mean, and of the largest size, is kept in a step.
        eps: added to the size of each gradient.
        weight_decay: this much of each parameter is added to its gradient.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number, or a beta outside 0 .. 1.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([1.0, -3.0], requires_grad=True)
    >>> adamax = optim.Adamax([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> adamax.step()
    >>> x
    Tensor([0.75, -2.75], requires_grad=True)
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "lr": lambda group: group["lr"],
        "eps": lambda group: group["eps"],
        "weight_decay": lambda group: group["weight_decay"],
        "rest1": lambda group: 1.0 - group["betas"][0],
        "beta2": lambda group: group["betas"][1],
        "log_beta1": lambda group: log_beta(group, 0),
    }
    switches = ("weight_decay", "maximize")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay, "maximize": maximize}
        )

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay"):
            require_number(self.name, name, group[name])
        require_betas(self.name, group)
        require_flags(self.name, group, ("maximize",))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        return {"step": (), "exp_avg": p.shape, "exp_inf": p.shape}

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + p * live["weight_decay"]
        step = state["step"] + 1.0
        mean = state["exp_avg"] + (grad - state["exp_avg"]) * live["rest1"]
        largest = maximum(state["exp_inf"] * live["beta2"], abs(grad) + live["eps"])
        state["step"].copy_(step)
        state["exp_avg"].copy_(mean)
        state["exp_inf"].copy_(largest)
        correction = -expm1(step * live["log_beta1"])
        p.copy_(p - (live["lr"] / correction) * (mean / largest))
