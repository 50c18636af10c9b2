"""RMSprop (Hinton, lecture 6 of "Neural Networks for Machine Learning", 2012), also centered (arXiv:1308.0850)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lucid.functions.elementwise import maximum, sqrt
from lucid.optim.optimizer import Group, Optimizer, State, require_flags, require_number
from lucid.tensor import Tensor


class RMSprop(Optimizer):
    """Steps of the gradient over the root of its running mean square, with momentum if wanted.

    Args:
        params: tensors or groups, of any shapes.
        lr: learning rate.
        alpha: how much of the running mean square is kept in a step.
        eps: added to the root.
        weight_decay: this much of each parameter is added to its gradient.
        momentum: how much of the previous direction is kept.
        centered: divide by the running standard deviation instead.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number, or an ``alpha`` outside 0 .. 1.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([1.0, -3.0], requires_grad=True)
    >>> rmsprop = optim.RMSprop([x], lr=0.125, alpha=0.75)
    >>> (x * x).sum().backward()
    >>> rmsprop.step()
    >>> x
    Tensor([0.75, -2.75], requires_grad=True)
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "lr": lambda group: group["lr"],
        "alpha": lambda group: group["alpha"],
        "rest": lambda group: 1.0 - group["alpha"],
        "eps": lambda group: group["eps"],
        "weight_decay": lambda group: group["weight_decay"],
        "momentum": lambda group: group["momentum"],
    }
    switches = ("weight_decay", "momentum", "centered", "maximize")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(
            params,
            {
                "lr": lr,
                "alpha": alpha,
                "eps": eps,
                "weight_decay": weight_decay,
                "momentum": momentum,
                "centered": centered,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay", "momentum"):
            require_number(self.name, name, group[name])
        require_number(self.name, "alpha", group["alpha"], below=1.0)
        require_flags(self.name, group, ("centered", "maximize"))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        wanted = {"square_avg": True, "momentum_buffer": group["momentum"], "grad_avg": group["centered"]}
        return {"step": (), **{name: p.shape for name, yes in wanted.items() if yes}}

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        if group["weight_decay"]:
            grad = grad + p * live["weight_decay"]
        state["step"].copy_(state["step"] + 1.0)
        square = state["square_avg"] * live["alpha"] + grad * grad * live["rest"]
        state["square_avg"].copy_(square)
        if group["centered"]:
            mean = state["grad_avg"] + (grad - state["grad_avg"]) * live["rest"]
            state["grad_avg"].copy_(mean)
            square = maximum(square - mean * mean, 0.0)  # rounding may take it below
        direction = grad / (sqrt(square) + live["eps"])
        if group["momentum"]:
            direction = state["momentum_buffer"] * live["momentum"] + direction
            state["momentum_buffer"].copy_(direction)
        p.copy_(p - direction * live["lr"])
