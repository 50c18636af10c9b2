"""Schedules made of schedules: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Any

from lucid.errors import ArgumentError, ArgumentTypeError, StateError
from lucid.functions.arguments import fail, int_of, is_several
from lucid.optim.lr_scheduler.plateau import ReduceLROnPlateau
from lucid.optim.lr_scheduler.scheduler import LRScheduler, require_optimizer
from lucid.optim.optimizer import Optimizer


class _ComposedLR(LRScheduler):
    """Several schedulers of one optimizer, whose states are kept with its own."""

    transient = LRScheduler.transient | {"_schedulers", "base_lrs"}

    def __init__(self, optimizer: Optimizer | None, schedulers: Sequence[LRScheduler]):
        if not is_several(schedulers) or not schedulers:
            fail(ArgumentError(f"schedulers={schedulers!r} must be at least one scheduler", op=self.name))
        for k, scheduler in enumerate(schedulers):
            if not isinstance(scheduler, LRScheduler):
                message = f"schedulers[{k}] must be a scheduler, not {type(scheduler).__name__}"
                fail(ArgumentTypeError(message, op=self.name))
            if isinstance(scheduler, ReduceLROnPlateau):
                message = f"schedulers[{k}] is a ReduceLROnPlateau, whose steps need a measurement"
                fail(ArgumentError(message, op=self.name, hint="step it by itself"))
        self.optimizer = require_optimizer(self.name, schedulers[0].optimizer if optimizer is None else optimizer)
        for k, scheduler in enumerate(schedulers):
            if scheduler.optimizer is not self.optimizer:
                fail(ArgumentError(f"schedulers[{k}] belongs to another optimizer", op=self.name))
        self._schedulers = list(schedulers)
        self._step_count = 0
        self.base_lrs = [group["initial_lr"] for group in self.groups]

    def _undo(self) -> None:
        super()._undo()
        for scheduler in self._schedulers:
            scheduler._undo()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_schedulers": [s.state_dict() for s in self._schedulers]}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        before = self.state_dict()
        try:
            super().load_state_dict(state_dict)
        except (StateError, ArgumentTypeError):
            self._take(before)  # of several schedulers some may have been changed
            raise

    def _take(self, state: Mapping[str, Any]) -> None:
        rest = dict(state)
        states = rest.pop("_schedulers")
        if not is_several(states) or len(states) != len(self._schedulers):
            message = f"its schedulers do not fit the {len(self._schedulers)} there are"
            fail(StateError(message, op=f"{self.name}.load_state_dict"))
        for scheduler, given in zip(self._schedulers, states, strict=True):
            scheduler.load_state_dict(given)
        super()._take(rest)


class SequentialLR(_ComposedLR):
    """One scheduler after the other: the next begins at each milestone.

    Each begins from the initial rates, but a ``MultiplicativeLR``, as in PyTorch, from those it finds.

    Args:
        optimizer: whose learning rates are set.
        schedulers: schedulers of this optimizer, in order.
        milestones: the epochs at which the second and all others begin, rising.
        last_epoch: -1. To continue a run, load the state dict.

    Raises:
        ArgumentError: no schedulers, one of another optimizer, a ``ReduceLROnPlateau``, milestones that do not rise or
            are not one less than the schedulers, another ``last_epoch``.
        ArgumentTypeError: something that is not a scheduler, or not an int.

    >>> import lucid
    >>> from lucid import optim
    >>> from lucid.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> warmup, decay = ConstantLR(sgd, factor=0.125, total_iters=9), ExponentialLR(sgd, gamma=0.5)
    >>> scheduler = SequentialLR(sgd, [warmup, decay], milestones=[2])
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr()[0])
    ...     scheduler.step()
    0.125
    0.125
    1.0
    0.5
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ):
        super().__init__(require_optimizer(self.name, optimizer), schedulers)
        if not is_several(milestones) or len(milestones) != len(self._schedulers) - 1:
            n = len(self._schedulers)
            fail(ArgumentError(f"milestones={milestones!r} must be {n - 1} ints for {n} schedulers", op=self.name))
        self._milestones = [int_of(self.name, "milestones", epoch) for epoch in milestones]
        if any(b <= a for a, b in zip([0, *self._milestones], self._milestones, strict=False)):
            fail(ArgumentError(f"milestones={milestones!r} must be positive and rise", op=self.name))
        if last_epoch != -1:
            message = f"last_epoch={last_epoch!r} does not say where the schedulers were"
            fail(ArgumentError(message, op=self.name, hint="leave it out, and load the state dict"))
        self.last_epoch = 0
        for group, rate in zip(self.groups, self.base_lrs, strict=True):
            group["lr"] = rate
        self._undo()
        self._begin()

    def _begin(self) -> None:
        self.last_epoch += 1
        self._schedulers[0]._begin()
        self._read()

    def _restart(self) -> None:
        self.last_epoch = 0
        self._schedulers[0]._restart()
        self._read()

    def _move(self) -> None:
        self.last_epoch += 1
        k = bisect_right(self._milestones, self.last_epoch)
        if k and self._milestones[k - 1] == self.last_epoch:
            self._schedulers[k]._restart()
        else:
            self._schedulers[k].step()
        self._read()


class ChainedScheduler(_ComposedLR):
    """Several schedulers at once: the factors of all act on the rates.

    Args:
        schedulers: schedulers of one optimizer.
        optimizer: that optimizer, if it is to be checked.

    Raises:
        ArgumentError: no schedulers, schedulers of several optimizers, a ``ReduceLROnPlateau``.
        ArgumentTypeError: something that is not a scheduler.

    >>> import lucid
    >>> from lucid import optim
    >>> from lucid.optim.lr_scheduler import ConstantLR, ExponentialLR
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> warmup, decay = ConstantLR(sgd, factor=0.125, total_iters=2), ExponentialLR(sgd, gamma=0.5)
    >>> scheduler = ChainedScheduler([warmup, decay])
    >>> for epoch in range(4):
    ...     print(scheduler.get_last_lr()[0])
    ...     scheduler.step()
    0.125
    0.0625
    0.25
    0.125
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None):
        super().__init__(optimizer, schedulers)
        self.last_epoch = 0
        self._read()

    def _begin(self) -> None:
        self.last_epoch += 1
        for scheduler in self._schedulers:
            scheduler._begin()
        self._read()

    def _restart(self) -> None:
        for group, rate in zip(self.groups, self.base_lrs, strict=True):
            group["lr"] = rate
        self.last_epoch = -1
        for scheduler in self._schedulers:
            scheduler.last_epoch = -1
        self._begin()

    def _move(self) -> None:
        self.last_epoch += 1
        for scheduler in self._schedulers:
            scheduler.step()
        self._read()
