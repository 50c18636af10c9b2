"""Adadelta (Zeiler, arXiv:1212.5701)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lucid.functions.elementwise import sqrt
from lucid.optim.optimizer import Group, Optimizer, State, require_flags, require_number
from lucid.tensor import Tensor


class Adadelta(Optimizer):
    """Steps as long as earlier ones were: the gradient over its running root mean square, times that of the steps.

    Args:
        params: tensors or groups, of any shapes.
        lr: the steps are multiplied by it.
        rho: how much of each running mean square is kept in a step.
        eps: added to the mean squares; it sets how long the first steps are.
        weight_decay: this much of each parameter is added to its gradient.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number, or a ``rho`` outside 0 .. 1.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([4.0], requires_grad=True)
    >>> adadelta = optim.Adadelta([x], lr=0.625, rho=0.75, eps=9.0)
    >>> (x * x).sum().backward()
    >>> adadelta.step()
    >>> round(x.item(), 5)
    1.0
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "lr": lambda group: group["lr"],
        "rho": lambda group: group["rho"],
        "rest": lambda group: 1.0 - group["rho"],
        "eps": lambda group: group["eps"],
        "weight_decay": lambda group: group["weight_decay"],
    }
    switches = ("weight_decay", "maximize")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, {"lr": lr, "rho": rho, "eps": eps, "weight_decay": weight_decay, "maximize": maximize})

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay"):
            require_number(self.name, name, group[name])
        require_number(self.name, "rho", group["rho"], below=1.0)
        require_flags(self.name, group, ("maximize",))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        return {"step": (), "square_avg": p.shape, "acc_delta": p.shape}

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + p * live["weight_decay"]
        state["step"].copy_(state["step"] + 1.0)
        square = state["square_avg"] * live["rho"] + grad * grad * live["rest"]
        delta = sqrt(state["acc_delta"] + live["eps"]) / sqrt(square + live["eps"]) * grad
        state["square_avg"].copy_(square)
        state["acc_delta"].copy_(state["acc_delta"] * live["rho"] + delta * delta * live["rest"])
        p.copy_(p - delta * live["lr"])
