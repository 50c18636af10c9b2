"""Adam (Kingma & Ba, arXiv:1412.6980) and AdamW (Loshchilov & Hutter, arXiv:1711.05101)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lucid.functions.elementwise import expm1, maximum, sqrt
from lucid.optim.optimizer import Group, Optimizer, State, require_betas, require_flags, require_number
from lucid.tensor import Tensor


def log_beta(group: Group, k: int) -> float:
    """The logarithm of ``betas[k]``: ``-expm1(step * log_beta)`` is 1 - beta**step without cancellation."""
    beta = group["betas"][k]
    return math.log(beta) if beta else -math.inf


def decayed(p: Tensor, grad: Tensor, group: Group, live: Mapping[str, Any], decoupled: bool) -> tuple[Tensor, Tensor]:
    """The parameter and its gradient after weight decay, which acts on one of them."""
    if not group["weight_decay"]:
        return p, grad
    return (p * live["kept"], grad) if decoupled else (p, grad + p * live["weight_decay"])


def advanced(state: State, grad: Tensor, live: Mapping[str, Any]) -> tuple[Tensor, Tensor, Tensor]:
    """The step's number, and the running means of the gradient and of its square after it; the state holds them too."""
    step = state["step"] + 1.0
    mean = state["exp_avg"] + (grad - state["exp_avg"]) * live["rest1"]
    square = state["exp_avg_sq"] * live["beta2"] + grad * grad * live["rest2"]
    state["step"].copy_(step)
    state["exp_avg"].copy_(mean)
    state["exp_avg_sq"].copy_(square)
    return step, mean, square


class Adam(Optimizer):
    """Steps of the gradient's running mean over the root of its running mean square, both corrected for their start.

    Args:
        params: tensors or groups.
        lr: learning rate.
        betas: how much of each running mean is kept in a step.
        eps: added to the root.
        weight_decay: this much of each parameter is added to its gradient.
        amsgrad: divide by the largest mean square so far (Reddi et al., arXiv:1904.09237).
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number, or a beta outside 0 .. 1.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([1.0, -3.0], requires_grad=True)
    >>> adam = optim.Adam([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> adam.step()
    >>> x
    Tensor([0.75, -2.75], requires_grad=True)
    """

    # ``1 - beta`` is formed here, in double precision: in single precision it would lose four digits.
    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "lr": lambda group: group["lr"],
        "eps": lambda group: group["eps"],
        "weight_decay": lambda group: group["weight_decay"],
        "kept": lambda group: 1.0 - group["lr"] * group["weight_decay"],
        "rest1": lambda group: 1.0 - group["betas"][0],
        "beta2": lambda group: group["betas"][1],
        "rest2": lambda group: 1.0 - group["betas"][1],
        "log_beta1": lambda group: log_beta(group, 0),
        "log_beta2": lambda group: log_beta(group, 1),
    }
    switches = ("weight_decay", "amsgrad", "maximize")
    #: Whether parameters decay by themselves instead of through their gradient.
    fixed = {"decoupled_weight_decay": False}  # noqa: RUF012  # declared ClassVar in the base

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
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
                "amsgrad": amsgrad,
                "maximize": maximize,
            },
        )

    def check(self, group: Group) -> None:
        for name in ("lr", "eps", "weight_decay"):
            require_number(self.name, name, group[name])
        require_betas(self.name, group)
        require_flags(self.name, group, ("amsgrad", "maximize"))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        buffers: dict[str, tuple[int, ...]] = {"step": (), "exp_avg": p.shape, "exp_avg_sq": p.shape}
        if group["amsgrad"]:
            buffers["max_exp_avg_sq"] = p.shape
        return buffers

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        value, grad = decayed(p, grad, group, live, self.fixed["decoupled_weight_decay"])
        step, mean, square = advanced(state, grad, live)
        if group["amsgrad"]:
            square = maximum(state["max_exp_avg_sq"], square)
            state["max_exp_avg_sq"].copy_(square)
        # 1 - beta**step, without the cancellation that single precision would suffer.
        correction1 = -expm1(step * live["log_beta1"])
        correction2 = -expm1(step * live["log_beta2"])
        root = sqrt(square) / sqrt(correction2) + live["eps"]
        p.copy_(value - (live["lr"] / correction1) * (mean / root))


class AdamW(Adam):
    """Adam whose weight decay acts on the parameters themselves: ``p *= 1 - lr * weight_decay`` before each step.

    Args and errors as for ``Adam``; ``weight_decay`` is 0.01 unless given.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([2.0], requires_grad=True)
    >>> adamw = optim.AdamW([x], lr=0.5, weight_decay=0.5)
    >>> (x * x).sum().backward()
    >>> adamw.step()
    >>> x
    Tensor([1.0], requires_grad=True)
    """

    fixed = {"decoupled_weight_decay": True}  # noqa: RUF012  # declared ClassVar in the base

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
