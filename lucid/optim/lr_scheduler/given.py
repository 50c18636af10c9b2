"""Schedules given as functions of the epoch."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from lucid.errors import ArgumentTypeError, StateError
from lucid.functions.arguments import fail, is_several, shown
from lucid.optim.lr_scheduler.scheduler import LRScheduler, per_group, require_optimizer
from lucid.optim.optimizer import Optimizer

Rule: TypeAlias = Callable[[int], float]


class _GivenLR(LRScheduler):
    """Functions, one per group. A state dict keeps the attributes of callable objects, and nothing of functions."""

    transient = LRScheduler.transient | {"lr_lambdas"}

    def __init__(self, optimizer: Optimizer, lr_lambda: Rule | Sequence[Rule], last_epoch: int = -1):
        require_optimizer(self.name, optimizer)
        self.lr_lambdas: list[Rule] = per_group(self.name, "lr_lambda", optimizer, lr_lambda)
        for rule in self.lr_lambdas:
            if not callable(rule):
                fail(ArgumentTypeError(f"lr_lambda={rule!r} must be a function of the epoch", op=self.name))
        super().__init__(optimizer, last_epoch)

    def state_dict(self) -> dict[str, Any]:
        rules = [None if isinstance(f, types.FunctionType) else dict(vars(f)) for f in self.lr_lambdas]
        return {**super().state_dict(), "lr_lambdas": rules}

    def _take(self, state: Mapping[str, Any]) -> None:
        rest = dict(state)
        rules = rest.pop("lr_lambdas")
        if not is_several(rules) or len(rules) != len(self.lr_lambdas):
            message = f"lr_lambdas={shown(rules)} does not fit {len(self.lr_lambdas)} groups"
            fail(StateError(message, op=f"{self.name}.load_state_dict"))
        super()._take(rest)
        for rule, attributes in zip(self.lr_lambdas, rules, strict=True):
            if attributes is not None:
                vars(rule).update(attributes)


class LambdaLR(_GivenLR):
    """Initial learning rates times a function of the epoch.

    Args:
        optimizer: whose learning rates are set.
        lr_lambda: a function of the epoch, or one per group.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentTypeError: ``lr_lambda`` is not a function.
        ArgumentError: not as many functions as groups.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.LambdaLR(sgd, lambda epoch: 1 / (1 + epoch))
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def get_lr(self) -> list[float]:
        return [base * rule(self.last_epoch) for rule, base in zip(self.lr_lambdas, self.base_lrs, strict=True)]


class MultiplicativeLR(_GivenLR):
    """Learning rates times a function of the epoch, from the second epoch on.

    Args:
        optimizer: whose learning rates are set.
        lr_lambda: a function of the epoch, or one per group.
        last_epoch: the epoch that a run to be continued has finished, or -1.

    Raises:
        ArgumentTypeError: ``lr_lambda`` is not a function.
        ArgumentError: not as many functions as groups.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0)
    >>> scheduler = optim.lr_scheduler.MultiplicativeLR(sgd, lambda epoch: 0.5)
    >>> scheduler.step()
    >>> scheduler.get_last_lr()
    [0.5]
    """

    def get_lr(self) -> list[float]:
        if self._is_initial:
            return [group["lr"] for group in self.groups]
        return [group["lr"] * rule(self.last_epoch) for rule, group in zip(self.lr_lambdas, self.groups, strict=True)]
