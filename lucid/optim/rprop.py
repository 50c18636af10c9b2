"""Rprop (Riedmiller & Braun, "A direct adaptive method for faster backpropagation learning", 1993)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail
from lucid.functions.comparison import maximum, minimum, where
from lucid.functions.elementwise import sign
from lucid.optim.optimizer import Group, Optimizer, State, require_flags, require_number
from lucid.tensor import Tensor


class Rprop(Optimizer):
    """Steps against the gradient's sign, longer while it stays the same and shorter once it changes. For full batches.

    Args:
        params: tensors or groups, of any shapes.
        lr: the length of the first step.
        etas: factors of a step's length where the sign has changed, and where it has not.
        step_sizes: the least and the largest length.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number, or etas that are not below and above 1.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([1.0, -3.0], requires_grad=True)
    >>> rprop = optim.Rprop([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> rprop.step()
    >>> x
    Tensor([0.75, -2.75], requires_grad=True)
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "shorter": lambda group: group["etas"][0],
        "longer": lambda group: group["etas"][1],
        "least": lambda group: group["step_sizes"][0],
        "most": lambda group: group["step_sizes"][1],
    }
    switches = ("maximize",)

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
        *,
        maximize: bool = False,
    ):
        super().__init__(params, {"lr": lr, "etas": etas, "step_sizes": step_sizes, "maximize": maximize})

    def check(self, group: Group) -> None:
        require_number(self.name, "lr", group["lr"])
        for name in ("etas", "step_sizes"):
            pair = group[name]
            if not isinstance(pair, tuple | list) or len(pair) != 2:
                fail(ArgumentTypeError(f"{name}={pair!r} must be two numbers", op=self.name))
            for k, value in enumerate(pair):
                require_number(self.name, f"{name}[{k}]", value)
        shorter, longer = group["etas"]
        if not 0 < shorter < 1 < longer:
            fail(ArgumentError(f"etas={group['etas']!r} must be below 1 and above 1", op=self.name))
        require_flags(self.name, group, ("maximize",))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        return {"step": (), "prev": p.shape, "step_size": p.shape}

    def start(self, name: str, group: Group) -> float:
        return float(group["lr"]) if name == "step_size" else 0.0

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        agreement = grad * state["prev"]
        turned = agreement < 0
        length = state["step_size"]
        length = where(agreement > 0, length * live["longer"], where(turned, length * live["shorter"], length))
        length = minimum(maximum(length, live["least"]), live["most"])
        grad = where(turned, 0.0, grad)  # the step back is not taken, and the next one is as if it were the first
        state["step"].copy_(state["step"] + 1.0)
        state["prev"].copy_(grad)
        state["step_size"].copy_(length)
        p.copy_(p - sign(grad) * length)
