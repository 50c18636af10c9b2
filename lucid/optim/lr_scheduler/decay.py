"""Schedules that multiply the learning rate by factors: at steps, at milestones, in every epoch, along a line."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail, int_of, is_several
from lucid.nn.arguments import number, positive
from lucid.optim.lr_scheduler.scheduler import LRScheduler
from lucid.optim.optimizer import Optimizer


class _FactorLR(LRScheduler):
    """A scheduler that multiplies the learning rates of all groups by one factor."""

    def factor_of_step(self) -> float:
        """The rate of ``last_epoch`` over that of the epoch before."""
        raise NotImplementedError

    def factor_in_all(self) -> float:
        """The rate of ``last_epoch`` over the initial one."""
        raise NotImplementedError

    def get_lr(self) -> list[float]:
        factor = self.factor_of_step()
        return [group["lr"] * factor for group in self.groups]

    def closed_form(self) -> list[float]:
        factor = self.factor_in_all()
        return [base * factor for base in self.base_lrs]


class StepLR(_FactorLR):
    """Learning rates times ``gamma`` every ``step_size`` epochs.

    Args:
        optimizer: whose learning rates are set.
        step_size: epochs between two changes.
        gamma: the factor.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentError, ArgumentTypeError: ``step_size`` is not a positive int, or ``gamma`` a negative number.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.StepLR(sgd, step_size=2, gamma=0.5)
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr()[0])
    ...     scheduler.step()
    1.0
    1.0
    0.5
    0.5
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1):
        self.step_size = positive(self.name, "step_size", step_size)
        self.gamma = number(self.name, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def factor_of_step(self) -> float:
        return self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else 1.0

    def factor_in_all(self) -> float:
        return float(self.gamma ** (self.last_epoch // self.step_size))


class MultiStepLR(_FactorLR):
    """Learning rates times ``gamma`` at each milestone.

    Args:
        optimizer: whose learning rates are set.
        milestones: epochs, in any order; one that is given twice counts twice.
        gamma: the factor.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentError, ArgumentTypeError: ``milestones`` are not ints, or ``gamma`` is a negative number.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.MultiStepLR(sgd, milestones=[1, 3], gamma=0.5)
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr()[0])
    ...     scheduler.step()
    1.0
    0.5
    0.5
    0.25
    """

    def __init__(self, optimizer: Optimizer, milestones: Iterable[int], gamma: float = 0.1, last_epoch: int = -1):
        if not is_several(milestones):
            fail(ArgumentTypeError(f"milestones={milestones!r} must be several ints", op=self.name))
        self.milestones = sorted(int_of(self.name, "milestones", epoch) for epoch in milestones)
        self.gamma = number(self.name, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def factor_of_step(self) -> float:
        return float(self.gamma ** self.milestones.count(self.last_epoch))

    def factor_in_all(self) -> float:
        return float(self.gamma ** bisect_right(self.milestones, self.last_epoch))


class ExponentialLR(_FactorLR):
    """Learning rates times ``gamma`` in every epoch.

    Args:
        optimizer: whose learning rates are set.
        gamma: the factor.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentError, ArgumentTypeError: ``gamma`` is not a number, or a negative one.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ExponentialLR(sgd, gamma=0.5)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1):
        self.gamma = number(self.name, "gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def factor_of_step(self) -> float:
        return 1.0 if self._is_initial else self.gamma

    def factor_in_all(self) -> float:
        return float(self.gamma**self.last_epoch)


class ConstantLR(_FactorLR):
    """Learning rates times ``factor`` until epoch ``total_iters``.

    Args:
        optimizer: whose learning rates are set.
        factor: above 0, and at most 1.
        total_iters: the first epoch with the full rate.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentError, ArgumentTypeError: ``factor`` outside 0 .. 1, or ``total_iters`` is not a positive int.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ConstantLR(sgd, factor=0.5, total_iters=2)
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr()[0])
    ...     scheduler.step()
    0.5
    0.5
    1.0
    1.0
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3, total_iters: int = 5, last_epoch: int = -1):
        self.factor = _fraction(self.name, "factor", factor)
        self.total_iters = positive(self.name, "total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def factor_of_step(self) -> float:
        if self.last_epoch == 0:
            return self.factor
        return 1.0 / self.factor if self.last_epoch == self.total_iters else 1.0

    def factor_in_all(self) -> float:
        return 1.0 if self.last_epoch >= self.total_iters else self.factor


class LinearLR(_FactorLR):
    """Learning rates times a factor that goes from ``start_factor`` to ``end_factor`` along a line.

    Args:
        optimizer: whose learning rates are set.
        start_factor: the factor of epoch 0: above 0, and at most 1.
        end_factor: the factor from epoch ``total_iters`` on: 0 to 1.
        total_iters: the length of the line.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentError, ArgumentTypeError: factors outside 0 .. 1, or ``total_iters`` is not a positive int.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.LinearLR(sgd, start_factor=0.5, total_iters=2)
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr()[0])
    ...     scheduler.step()
    0.5
    0.75
    1.0
    1.0
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ):
        self.start_factor = _fraction(self.name, "start_factor", start_factor)
        self.end_factor = number(self.name, "end_factor", end_factor, 0.0, 1.0)
        self.total_iters = positive(self.name, "total_iters", total_iters)
        super().__init__(optimizer, last_epoch)

    def factor_of_step(self) -> float:
        if self.last_epoch == 0:
            return self.start_factor
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        rise = self.end_factor - self.start_factor
        return 1.0 + rise / (self.total_iters * self.start_factor + (self.last_epoch - 1) * rise)

    def factor_in_all(self) -> float:
        rise = self.end_factor - self.start_factor
        return self.start_factor + rise * min(self.total_iters, self.last_epoch) / self.total_iters


class PolynomialLR(_FactorLR):
    """Learning rates times ``(1 - epoch / total_iters) ** power``; 0 from epoch ``total_iters`` on.

    Args:
        optimizer: whose learning rates are set.
        total_iters: the epoch at which the rate is 0.
        power: the exponent.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentError, ArgumentTypeError: ``total_iters`` is not a positive int, or ``power`` a negative number.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.PolynomialLR(sgd, total_iters=2, power=2.0)
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr()[0])
    ...     scheduler.step()
    1.0
    0.25
    0.0
    0.0
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1):
        self.total_iters = positive(self.name, "total_iters", total_iters)
        self.power = number(self.name, "power", power)
        super().__init__(optimizer, last_epoch)

    def factor_of_step(self) -> float:
        if self._is_initial or self.last_epoch > self.total_iters:
            return 1.0
        now, before = 1.0 - self.last_epoch / self.total_iters, 1.0 - (self.last_epoch - 1) / self.total_iters
        return float((now / before) ** self.power)

    def factor_in_all(self) -> float:
        return float((1.0 - min(self.total_iters, self.last_epoch) / self.total_iters) ** self.power)


def _fraction(op: str, argument: str, value: float) -> float:
    """A number above 0, and at most 1."""
    if number(op, argument, value, 0.0, 1.0) == 0.0:
        fail(ArgumentError(f"{argument}={value!r} must be above 0: no rate comes back from there", op=op))
    return float(value)
