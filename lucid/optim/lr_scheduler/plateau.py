"""A schedule that follows a measurement: less when it no longer improves."""

from __future__ import annotations

import math
from typing import Any, Literal

from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail, int_of, number_of, shown
from lucid.optim.lr_scheduler.scheduler import LRScheduler, numbers_per_group, require_optimizer
from lucid.optim.optimizer import Optimizer
from lucid.promotion import python_number
from lucid.tensor import Tensor


class ReduceLROnPlateau(LRScheduler):
    """Learning rates times ``factor`` when a measurement has not improved for more than ``patience`` epochs.

    Args:
        optimizer: whose learning rates are set.
        mode: "min" or "max": which measurements are better.
        factor: below 1.
        patience: epochs without improvement that are put up with.
        threshold: how much better a measurement has to be to count.
        threshold_mode: "rel", a fraction of the best so far, or "abs".
        cooldown: epochs after a change in which nothing is counted.
        min_lr: the lowest rate, for all groups or for each.
        eps: a change by less than this is not made.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown mode, a ``factor`` outside 0 .. 1, negative or wrong numbers.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.ReduceLROnPlateau(sgd, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     scheduler.step(loss)
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: Literal["min", "max"] = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: Literal["rel", "abs"] = "rel",
        cooldown: int = 0,
        min_lr: float | list[float] = 0.0,
        eps: float = 1e-8,
    ):
        self.optimizer = require_optimizer(self.name, optimizer)
        for argument, value, known in (
            ("mode", mode, ("min", "max")),
            ("threshold_mode", threshold_mode, ("rel", "abs")),
        ):
            if value not in known:
                fail(ArgumentError(f"{argument}={value!r} must be {known[0]!r} or {known[1]!r}", op=self.name))
        for argument, count in (("patience", patience), ("cooldown", cooldown)):
            if int_of(self.name, argument, count) < 0:
                fail(ArgumentError(f"{argument}={count!r} must not be negative", op=self.name))
        if number_of(self.name, "factor", factor, 0.0) >= 1.0:
            fail(ArgumentError(f"factor={factor!r} must be below 1", op=self.name))
        self.mode, self.threshold_mode = mode, threshold_mode
        self.factor = float(factor)
        self.patience, self.cooldown = patience, cooldown
        self.threshold = number_of(self.name, "threshold", threshold, 0.0)
        self.eps = number_of(self.name, "eps", eps, 0.0)
        numbers_per_group(self.name, "min_lr", optimizer, min_lr)  # as errors now rather than later
        self.min_lr = min_lr
        self.last_epoch = 0
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = 0
        self.num_bad_epochs = 0
        self._read()

    def step(self, metrics: Any) -> None:  # type: ignore[override]  # as in PyTorch, it needs the measurement
        """Take the measurement of an epoch: a number, or a tensor of one element. NaN is never better.

        Raises:
            TraceError: inside a compiled function.
        """
        self._refuse_trace()
        value = metrics.item() if isinstance(metrics, Tensor) else python_number(metrics)
        if value is None:
            fail(ArgumentTypeError(f"metrics={shown(metrics)} must be a number", op=self.name))
        self.last_epoch += 1
        if self._is_better(value):
            self.best = float(value)
            self.num_bad_epochs = 0
        else:
            self.num_bad_epochs += 1
        if self.cooldown_counter > 0:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter = self.cooldown
            self.num_bad_epochs = 0
        self._read()

    def _is_better(self, value: float) -> bool:
        sign = 1.0 if self.mode == "max" else -1.0
        if self.threshold_mode == "rel":
            return sign * value > sign * (self.best * (1.0 + sign * self.threshold))
        return sign * value > sign * (self.best + sign * self.threshold)

    def _reduce(self) -> None:
        lowest = numbers_per_group(self.name, "min_lr", self.optimizer, self.min_lr)
        for group, least in zip(self.groups, lowest, strict=True):
            rate = max(group["lr"] * self.factor, least)
            if group["lr"] - rate > self.eps:
                group["lr"] = rate
