"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail
from lucid.optim.optimizer import Group, Optimizer, State, require_flags, require_number
from lucid.tensor import Tensor


class SGD(Optimizer):
    """``p -= lr * g``, with momentum if wanted: ``b = momentum * b + (1 - dampening) * g; p -= lr * b``.

    Args:
        params: tensors or groups.
        lr: learning rate.
        momentum: how much of the previous direction is kept.
        dampening: how much of the gradient is left out of the direction, from the second step on.
        weight_decay: this much of each parameter is added to its gradient.
        nesterov: look ahead: ``p -= lr * (g + momentum * b)`` (Sutskever et al., ICML 2013).
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number; ``nesterov`` without momentum or with dampening.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([1.0], requires_grad=True)
    >>> sgd = optim.SGD([x], lr=0.5)
    >>> (x * x).sum().backward()
    >>> sgd.step()
    >>> x
    Tensor([0.0], requires_grad=True)
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "lr": lambda group: group["lr"],
        "momentum": lambda group: group["momentum"],
        "dampening": lambda group: group["dampening"],
        "weight_decay": lambda group: group["weight_decay"],
    }
    implied = {"started": 1.0}  # noqa: RUF012  # declared ClassVar in the base
    switches = ("momentum", "dampening", "weight_decay", "nesterov", "maximize")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "momentum": momentum,
                "dampening": dampening,
                "weight_decay": weight_decay,
                "nesterov": nesterov,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        for name in ("lr", "momentum", "dampening", "weight_decay"):
            require_number(self.name, name, group[name])
        require_flags(self.name, group, ("nesterov", "maximize"))
        if group["nesterov"] and (group["momentum"] == 0 or group["dampening"] != 0):
            given = f"momentum={group['momentum']} and dampening={group['dampening']}"
            fail(ArgumentError(f"nesterov=True needs a momentum and no dampening, not {given}", op=self.name))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        if not group["momentum"]:
            return {}
        buffers: dict[str, tuple[int, ...]] = {"momentum_buffer": p.shape}
        if group["dampening"]:
            buffers["started"] = ()
        return buffers

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + p * live["weight_decay"]
        if group["momentum"]:
            fresh = grad
            if group["dampening"]:  # the first gradient counts in full
                fresh = grad * (1.0 - state["started"] * live["dampening"])
                state["started"].fill_(1)
            direction = state["momentum_buffer"] * live["momentum"] + fresh
            state["momentum_buffer"].copy_(direction)
            grad = grad + direction * live["momentum"] if group["nesterov"] else direction
        p.copy_(p - grad * live["lr"])
