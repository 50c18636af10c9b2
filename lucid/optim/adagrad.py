"""Adagrad (Duchi, Hazan & Singer, JMLR 12, 2011)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lucid.functions.elementwise import sqrt
from lucid.optim.optimizer import Group, Optimizer, State, require_flags, require_number
from lucid.tensor import Tensor


class Adagrad(Optimizer):
    """Steps of the gradient over the root of the sum of its squares so far.

    Args:
        params: tensors or groups, of any shapes.
        lr: learning rate.
        lr_decay: the rate of step ``t``, counted from 0, is ``lr / (1 + t * lr_decay)``.
        weight_decay: this much of each parameter is added to its gradient.
        initial_accumulator_value: what the sums start from.
        eps: added to the root.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([1.0, -3.0], requires_grad=True)
    >>> adagrad = optim.Adagrad([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> adagrad.step()
    >>> x
    Tensor([0.75, -2.75], requires_grad=True)
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "lr": lambda group: group["lr"],
        "lr_decay": lambda group: group["lr_decay"],
        "eps": lambda group: group["eps"],
        "weight_decay": lambda group: group["weight_decay"],
    }
    switches = ("weight_decay", "maximize")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "lr_decay": lr_decay,
                "weight_decay": weight_decay,
                "initial_accumulator_value": initial_accumulator_value,
                "eps": eps,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        for name in ("lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps"):
            require_number(self.name, name, group[name])
        require_flags(self.name, group, ("maximize",))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        return {"step": (), "sum": p.shape}

    def start(self, name: str, group: Group) -> float:
        return float(group["initial_accumulator_value"]) if name == "sum" else 0.0

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + p * live["weight_decay"]
        rate = live["lr"] / (1.0 + state["step"] * live["lr_decay"])
        squares = state["sum"] + grad * grad
        state["step"].copy_(state["step"] + 1.0)
        state["sum"].copy_(squares)
        p.copy_(p - rate * (grad / (sqrt(squares) + live["eps"])))
