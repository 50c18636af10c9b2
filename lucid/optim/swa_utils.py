"""Averages of a model's weights over training: stochastic weight averaging, and exponential moving averages."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal

from lucid import nn
from lucid.errors import ArgumentError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.functions.creation import zeros
from lucid.grad_modes import no_grad
from lucid.ir.types import int64
from lucid.nn.normalization import _BatchNorm
from lucid.optim.lr_scheduler import LRScheduler
from lucid.optim.optimizer import Optimizer
from lucid.tensor import Tensor

#: The new average of one parameter, of its average, its value now, and how many were averaged.
Average = Callable[[Tensor, Tensor, Tensor], Tensor]
#: New averages of many parameters, put in place.
AverageOfMany = Callable[[Sequence[Tensor], Sequence[Tensor], Tensor], None]


def get_ema_avg_fn(decay: float = 0.999) -> Average:
    """An exponential moving average: ``decay`` of it stays at each update."""
    number_of("get_ema_avg_fn", "decay", decay, 0, 1)
    return lambda average, value, number: average * decay + value * (1 - decay)


def get_swa_avg_fn() -> Average:
    """The mean of all values."""
    return lambda average, value, number: average + (value - average) / (number + 1)


def _of_many(average: Average) -> AverageOfMany:
    def update(averages: Sequence[Tensor], values: Sequence[Tensor], number: Tensor) -> None:
        for a, v in zip(averages, values, strict=True):
            a.copy_(average(a, v, number))

    return update


def get_ema_multi_avg_fn(decay: float = 0.999) -> AverageOfMany:
    """``get_ema_avg_fn`` for ``multi_avg_fn``."""
    return _of_many(get_ema_avg_fn(decay))


def get_swa_multi_avg_fn() -> AverageOfMany:
    """``get_swa_avg_fn`` for ``multi_avg_fn``."""
    return _of_many(get_swa_avg_fn())


class AveragedModel(nn.Module):
    """A copy of a model, whose parameters are averages of those of the model at each ``update_parameters``.

    Args:
        model: what is averaged.
        device: None, or the CPU.
        avg_fn: the new average of one parameter; the mean of all values unless given.
        multi_avg_fn: puts new averages of all parameters in place, instead of ``avg_fn``.
        use_buffers: whether buffers are averaged as well; otherwise they are those of the model at the last update.

    Raises:
        ArgumentError: both functions are given.

    >>> import lucid
    >>> from lucid import nn
    >>> model = nn.Linear(2, 1)
    >>> average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.9))
    >>> average.update_parameters(model)
    >>> average(lucid.ones(1, 2)).shape
    (1, 1)
    """

    n_averaged: Tensor

    def __init__(
        self,
        model: nn.Module,
        device: Any = None,
        avg_fn: Average | None = None,
        multi_avg_fn: AverageOfMany | None = None,
        use_buffers: bool = False,
    ):
        super().__init__()
        if avg_fn is not None and multi_avg_fn is not None:
            fail(ArgumentError("avg_fn and multi_avg_fn both say how to average: give one", op="AveragedModel"))
        self.module = copy.deepcopy(model).to(device=device)
        self.register_buffer("n_averaged", zeros(dtype=int64))
        self.average = multi_avg_fn or _of_many(avg_fn or get_swa_avg_fn())
        self.use_buffers = use_buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.module(*args, **kwargs)

    @no_grad()  # type: ignore[untyped-decorator]  # a context manager or a decorator
    def update_parameters(self, model: nn.Module) -> None:
        """Take in the parameters of ``model``; the first time, take them over."""
        own: list[Tensor] = list(self.module.parameters())
        given: list[Tensor] = list(model.parameters())
        buffers = list(zip(self.module.buffers(), model.buffers(), strict=True))
        if self.use_buffers:
            floating = [(a, b) for a, b in buffers if a.is_floating_point()]
            own, given = own + [a for a, _ in floating], given + [b for _, b in floating]
            buffers = [(a, b) for a, b in buffers if not a.is_floating_point()]
        if int(self.n_averaged) == 0:
            for a, v in zip(own, given, strict=True):
                a.copy_(v.detach())
        else:
            self.average(own, [v.detach() for v in given], self.n_averaged)
        for a, b in buffers:
            a.copy_(b.detach())
        self.n_averaged += 1


@no_grad()  # type: ignore[untyped-decorator]  # as above
def update_bn(loader: Iterable[Any], model: nn.Module, device: Any = None) -> None:
    """Compute the running statistics of a model's batch norms anew, from what a loader gives.

    Args:
        loader: gives batches; of a tuple or a list, its first entry.
        model: has layers of batch normalisation, with weights that were averaged.
        device: None, or the CPU.
    """
    norms = [m for m in model.modules() if isinstance(m, _BatchNorm) and m.running_mean is not None]
    if not norms:
        return
    training, momenta = model.training, [m.momentum for m in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # means of all batches
    model.train()
    for batch in loader:
        inputs = batch[0] if isinstance(batch, tuple | list) else batch
        model(inputs if device is None else inputs.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    model.train(training)


class SWALR(LRScheduler):
    """The learning rate goes from where it is to ``swa_lr`` within some epochs, and stays there.

    Args:
        optimizer: whose rates are changed.
        swa_lr: the rate at the end: a number, or one for each group.
        anneal_epochs: how many epochs that takes; 0 for at once.
        anneal_strategy: along a "cos" curve or a "linear" one.

    Raises:
        ArgumentError: another strategy, negative epochs, or not one rate for each group.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        swa_lr: Any,
        anneal_epochs: int = 10,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        last_epoch: int = -1,
    ):
        op = "SWALR"
        groups = len(optimizer.param_groups)
        rates = list(swa_lr) if isinstance(swa_lr, list | tuple) else [swa_lr] * groups
        if len(rates) != groups:
            fail(ArgumentError(f"swa_lr={swa_lr} must have one rate for each of {groups} groups", op=op))
        if anneal_strategy not in ("cos", "linear"):
            fail(ArgumentError(f"anneal_strategy={anneal_strategy!r} must be 'cos' or 'linear'", op=op))
        self.anneal_epochs = int_of(op, "anneal_epochs", anneal_epochs)
        if self.anneal_epochs < 0:
            fail(ArgumentError(f"anneal_epochs={anneal_epochs} must not be negative", op=op))
        self.swa_lrs = [number_of(op, "swa_lr", rate, 0) for rate in rates]
        self.anneal_strategy = anneal_strategy
        super().__init__(optimizer, last_epoch)

    def _part(self, epoch: int) -> float:
        """How much of the way to ``swa_lr`` is behind at an epoch."""
        part = min(max(epoch / max(1, self.anneal_epochs), 0.0), 1.0)
        return part if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * part)) / 2

    def get_lr(self) -> list[float]:
        step = self.last_epoch if self.anneal_epochs else max(1, self.last_epoch)
        before, now = self._part(step - 1), self._part(step)
        rates = []
        for group, last in zip(self.groups, self.swa_lrs, strict=True):
            # Where the way began, as far as the rate now tells: other schedulers may have changed it.
            first = last if before == 1 else (group["lr"] - before * last) / (1 - before)
            rates.append(last * now + first * (1 - now))
        return rates
