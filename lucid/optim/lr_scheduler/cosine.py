"""Cosine annealing, once or with warm restarts (Loshchilov & Hutter, arXiv:1608.03983)."""

from __future__ import annotations

import math

from lucid.functions.arguments import number_of
from lucid.nn.arguments import positive
from lucid.optim.lr_scheduler.scheduler import LRScheduler
from lucid.optim.optimizer import Optimizer


class CosineAnnealingLR(LRScheduler):
    """Learning rates along a cosine, from the initial one down to ``eta_min`` at epoch ``T_max``, and up again.

    Args:
        optimizer: whose learning rates are set.
        T_max: epochs of the way down.
        eta_min: the lowest rate.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentError, ArgumentTypeError: ``T_max`` is not a positive int, or ``eta_min`` not a number.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingLR(sgd, T_max=2)
    >>> for epoch in range(3):
    ...     print(round(scheduler.get_last_lr()[0], 6))
    ...     scheduler.step()
    1.0
    0.5
    0.0
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1):
        self.T_max = positive(self.name, "T_max", T_max)
        self.eta_min = number_of(self.name, "eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return [group["lr"] for group in self.groups]
        if self._step_count == 1 and self.last_epoch > 0:
            return self.closed_form()
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # at the bottom there is nothing to multiply
            rise = (1 - math.cos(math.pi / self.T_max)) / 2
            return [
                group["lr"] + (base - self.eta_min) * rise
                for base, group in zip(self.base_lrs, self.groups, strict=True)
            ]
        now, before = (1 + math.cos(math.pi * t / self.T_max) for t in (self.last_epoch, self.last_epoch - 1))
        return [now / before * (group["lr"] - self.eta_min) + self.eta_min for group in self.groups]

    def closed_form(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.last_epoch / self.T_max)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Learning rates along a cosine down to ``eta_min``, over and over, each time ``T_mult`` times as long.

    Args:
        optimizer: whose learning rates are set.
        T_0: epochs until the first restart.
        T_mult: each way down is this many times as long as the one before.
        eta_min: the lowest rate.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentError, ArgumentTypeError: ``T_0`` or ``T_mult`` is not a positive int, or ``eta_min`` not a number.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.CosineAnnealingWarmRestarts(sgd, T_0=2)
    >>> for epoch in range(4):
    ...     print(round(scheduler.get_last_lr()[0], 6))
    ...     scheduler.step()
    1.0
    0.5
    1.0
    0.5
    """

    def __init__(self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1):
        self.T_0 = self.T_i = positive(self.name, "T_0", T_0)
        self.T_mult = positive(self.name, "T_mult", T_mult)
        self.eta_min = number_of(self.name, "eta_min", eta_min)
        self.T_cur: float = last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        height = (1 + math.cos(math.pi * self.T_cur / self.T_i)) / 2
        return [self.eta_min + (base - self.eta_min) * height for base in self.base_lrs]

    def step(self, epoch: float | None = None) -> None:
        """Set the learning rates of the next epoch, or of ``epoch``, which may lie between two: ``k + i / batches``.

        Raises:
            ArgumentError: a negative epoch.
            TraceError: inside a compiled function.
        """
        self._count()
        if epoch is None and self.last_epoch >= 0:
            self.last_epoch += 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur -= self.T_i
                self.T_i *= self.T_mult
        else:
            at = 0.0 if epoch is None else number_of(self.name, "epoch", epoch, 0.0)
            self.last_epoch = math.floor(at)
            self._locate(at)
        self._write(self.get_lr())

    def _restart(self) -> None:
        self._locate(0.0)
        super()._restart()

    def _locate(self, epoch: float) -> None:
        """How long the way down is that ``epoch`` lies on, and how far along."""
        self.T_i = self.T_0
        if self.T_mult == 1:
            self.T_cur = epoch % self.T_0
            return
        self.T_cur = epoch
        while self.T_cur >= self.T_i:
            self.T_cur -= self.T_i
            self.T_i *= self.T_mult
