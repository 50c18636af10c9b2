"""Adafactor (Shazeer & Stern, arXiv:1804.04235)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail
from lucid.functions.comparison import maximum, minimum
from lucid.functions.elementwise import sqrt
from lucid.ir.types import limits_of
from lucid.optim.optimizer import Group, Optimizer, State, require_flags, require_number
from lucid.tensor import Tensor


class Adafactor(Optimizer):
    """Steps by gradients over their root mean square, of which a matrix has one number a row and one a column.

    The mean squares of a matrix, of its last two dimensions if there are more, are taken for a product of those of its
    rows and of its columns; vectors have one for each element. The steps are as long as the parameter is large.

    Args:
        params: tensors or groups, of any shapes.
        lr: the largest relative step; a step t is no longer than ``1 / sqrt(t)``.
        beta2_decay: of the mean squares, ``1 - t**beta2_decay`` is kept in step t.
        eps: the least root mean square of gradients, the dtype's machine epsilon if None, and that of parameters.
        d: steps whose root mean square exceeds this are shortened to it.
        weight_decay: each parameter loses this much of itself, times ``lr``.
        maximize: climb instead of descend.

    Raises:
        ArgumentError: a negative number, a positive ``beta2_decay``, or ``d`` below 1.
        ArgumentTypeError: ``eps`` that is not a pair.

    >>> import lucid
    >>> from lucid import optim
    >>> x = lucid.tensor([4.0, -4.0], requires_grad=True)
    >>> adafactor = optim.Adafactor([x], lr=0.25)
    >>> (x * x).sum().backward()
    >>> adafactor.step()
    >>> x
    Tensor([3.0, -3.0], requires_grad=True)
    """

    scalars = {  # noqa: RUF012  # declared ClassVar in the base
        "lr": lambda group: group["lr"],
        "beta2_decay": lambda group: group["beta2_decay"],
        "eps1": lambda group: group["eps"][0],
        "eps2": lambda group: group["eps"][1],
        "d": lambda group: group["d"],
        "weight_decay": lambda group: group["weight_decay"],
    }
    switches = ("weight_decay", "maximize")

    def __init__(
        self,
        params: Iterable[Tensor] | Iterable[Group],
        lr: float = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        maximize: bool = False,
    ):
        numbers = {"lr": lr, "beta2_decay": beta2_decay, "eps": eps, "d": d, "weight_decay": weight_decay}
        super().__init__(params, {**numbers, "maximize": maximize})

    def check(self, group: Group) -> None:
        for name in ("lr", "d", "weight_decay"):
            require_number(self.name, name, group[name])
        eps, decay = group["eps"], group["beta2_decay"]
        if not isinstance(eps, tuple | list) or len(eps) != 2:
            fail(ArgumentTypeError(f"eps={eps!r} must be two numbers, the first of which may be None", op=self.name))
        for k, value in enumerate(eps):
            if k or value is not None:
                require_number(self.name, f"eps[{k}]", value)
        if isinstance(decay, bool) or not isinstance(decay, int | float) or not -math.inf < decay <= 0:
            fail(ArgumentError(f"beta2_decay={decay!r} must be a number that is not positive", op=self.name))
        if group["d"] < 1:
            fail(ArgumentError(f"d={group['d']!r} must be at least 1", op=self.name))
        require_flags(self.name, group, ("maximize",))

    def buffers(self, p: Tensor, group: Group) -> dict[str, tuple[int, ...]]:
        if p.ndim < 2:
            return {"step": (), "variance": p.shape}
        return {"step": (), "row_var": (*p.shape[:-1], 1), "col_var": (*p.shape[:-2], 1, p.shape[-1])}

    def update(self, p: Tensor, grad: Tensor, state: State, group: Group, live: Mapping[str, Any]) -> None:
        if group["maximize"]:
            grad = -grad
        step = state["step"] + 1.0
        state["step"].copy_(step)
        new = step ** live["beta2_decay"]  # how much of the mean squares is of this step
        least = float(limits_of(p.dtype).eps) if group["eps"][0] is None else live["eps1"]
        relative = minimum(1.0 / sqrt(step), live["lr"])
        length = maximum(_size(p), live["eps2"]) * relative
        squares = grad * grad
        if p.ndim < 2:
            estimate = _moved(state["variance"], squares, new)
        else:
            rows = _moved(state["row_var"], squares.mean(-1, keepdim=True), new)
            columns = _moved(state["col_var"], squares.mean(-2, keepdim=True), new)
            estimate = rows * columns / maximum(rows.mean(-2, keepdim=True), least)
        direction = grad / sqrt(maximum(estimate, least * least))
        direction = direction / maximum(_size(direction) / live["d"], 1.0)
        kept = p * (1.0 - live["lr"] * live["weight_decay"]) if group["weight_decay"] else p
        p.copy_(kept - direction * length)


def _size(x: Tensor) -> Tensor:
    """The root mean square of all elements."""
    return sqrt((x * x).mean())


def _moved(average: Tensor, value: Tensor, weight: Any) -> Tensor:
    """A running average, after a step towards ``value``."""
    average.copy_(average + (value - average) * weight)
    return average
