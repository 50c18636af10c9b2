"""RAdam: Adam that waits until its running mean square can be trusted (Liu et al., arXiv:1908.03265)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lucid.functions.elementwise import cast, exp, expm1, maximum, sqrt, where
from lucid.optim.adam import Adam, advanced, decayed
from lucid.optim.optimizer import Group, Optimizer, State, require_betas, require_flags, require_number
from lucid.tensor import Tensor


def _longest(group: Group) -> float:
    """How many gradients the running mean square averages over in the end."""
    beta2: float = group["betas"][1]
    return 2.0 / (1.0 - beta2) - 1.0


def _scale(group: Group) -> float:
    """What of the rectification does not depend on the step; 0 where no step is ever rectified."""
    longest = _longest(group)
    return longest / ((longest - 4.0) * (longest - 2.0)) if longest > 5.0 else 0.0


class RAdam(Optimizer):
    """Steps of the gradient's running mean at first; over the root of its running mean square, rectified, later.

    Args:
        params: tensors or groups, of any shapes.
        lr: learning rate.
        betas: how much of each running mean is kept in a step.
        eps: added to the root.
        weight_decay: this much of each parameter is added to its gradient.
        decoupled_weight_decay: parameters decay by themselves, as in ``AdamW``, instead of through their gradients.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number, or a beta outside 0 .. 1.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([1.0, -3.0], requires_grad=True)
    >>> radam = optim.RAdam([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> radam.step()
    >>> x
    Tensor([0.5, -1.5], requires_grad=True)
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        **Adam.scalars,
        "longest": _longest,
        "scale": _scale,
    }
    # The length of the average is a small difference of large numbers.
    precise = frozenset(("log_beta2", "longest", "scale"))
    switches = ("weight_decay", "decoupled_weight_decay", "maximize")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
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
                "decoupled_weight_decay": decoupled_weight_decay,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay"):
            require_number(self.name, name, group[name])
        require_betas(self.name, group)
        require_flags(self.name, group, ("decoupled_weight_decay", "maximize"))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        return {"step": (), "exp_avg": p.shape, "exp_avg_sq": p.shape}

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        value, grad = decayed(p, grad, group, live, group["decoupled_weight_decay"])
        step, mean, square = advanced(state, grad, live)
        t = step.double()
        correction2 = -expm1(t * live["log_beta2"])
        length = live["longest"] - 2.0 * t * exp(t * live["log_beta2"]) / correction2
        rectified = length > 5.0
        length = maximum(length, 5.0)
        rectification = sqrt((length - 4.0) * (length - 2.0) / length * live["scale"] * correction2)
        adapted = where(rectified, cast(rectification, p.dtype) / (sqrt(square) + live["eps"]), 1.0)
        correction1 = -expm1(step * live["log_beta1"])
        p.copy_(value - (live["lr"] / correction1) * mean * adapted)
