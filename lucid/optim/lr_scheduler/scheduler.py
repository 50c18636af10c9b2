"""``LRScheduler``: counts epochs, and writes what a rule says into the groups of an optimizer.

Rates are written as changes of what the groups hold, so that several schedulers can act on one optimizer. A rule that
also knows its rates from the epoch alone says so in ``closed_form``. Nothing here touches tensors.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from lucid.eager import mode
from lucid.errors import ArgumentError, ArgumentTypeError, StateError, TraceError
from lucid.functions.arguments import fail, int_of, is_several, number_of
from lucid.optim.optimizer import Group, Optimizer


class LRScheduler:
    """Base of all schedulers.

    Args:
        optimizer: whose learning rates are set.
        last_epoch: the epoch that a run to be continued has finished, or -1 for a new one.

    Attributes:
        base_lrs: the learning rate each group began with, kept in the group as ``"initial_lr"``.
        last_epoch: how many steps were taken.

    Raises:
        ArgumentTypeError: not an optimizer, or an argument of a wrong type.
        ArgumentError: an argument out of its rule; a ``last_epoch`` for an optimizer that no scheduler was used on.
        TraceError: a step inside a compiled function.

    A rule is one class:

    >>> import lucid
    >>> from lucid import optim
    >>> class HalvingLR(LRScheduler):
    ...     def get_lr(self):
    ...         return [base / 2**self.last_epoch for base in self.base_lrs]
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=0.5)
    >>> halving = HalvingLR(sgd)
    >>> halving.step()
    >>> sgd.param_groups[0]["lr"]
    0.25
    """

    #: Attributes that a state dict leaves out.
    transient: ClassVar[frozenset[str]] = frozenset(("optimizer", "_is_initial"))
    optimizer: Optimizer
    base_lrs: list[float]
    last_epoch: int
    _last_lr: list[float]
    _step_count: int = 0
    #: Whether the constructor is taking the step that sets the rates of epoch 0.
    _is_initial: bool = False

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1):
        self.optimizer = require_optimizer(self.name, optimizer)
        if int_of(self.name, "last_epoch", last_epoch) < -1:
            fail(ArgumentError(f"last_epoch={last_epoch} must be at least -1", op=self.name))
        for k, group in enumerate(self.groups):
            if last_epoch == -1:
                group.setdefault("initial_lr", group["lr"])
            elif "initial_lr" not in group:
                fail(
                    ArgumentError(
                        f"last_epoch={last_epoch} continues a run, but group {k} of the optimizer has no initial_lr",
                        op=self.name,
                        hint="load the optimizer's state dict first, or leave last_epoch out",
                    )
                )
        self.base_lrs = [group["initial_lr"] for group in self.groups]
        self.last_epoch = last_epoch
        self._begin()

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def groups(self) -> list[Group]:
        return self.optimizer.param_groups

    # --- what a rule says ---
    def get_lr(self) -> list[float]:
        """The rates of ``last_epoch``, one per group, from those of the epoch before."""
        raise NotImplementedError

    def closed_form(self) -> list[float]:
        """The rates of ``last_epoch``, from that alone."""
        return self.get_lr()

    # --- steps ---
    def step(self) -> None:
        """Set the learning rates of the next epoch.

        Raises:
            TraceError: inside a compiled function, which would take this step once, while it is traced.
        """
        self._count()
        self._move()

    def get_last_lr(self) -> list[float]:
        """The learning rates set last, one per group."""
        return list(self._last_lr)

    def _begin(self) -> None:
        """Set the rates of the epoch to begin with."""
        self._step_count = 0
        self._is_initial = True
        try:
            self.step()
        finally:
            self._is_initial = False

    def _count(self) -> None:
        """Count a step that is about to be taken, or refuse it."""
        self._refuse_trace()
        if len(self.groups) != len(self.base_lrs):
            fail(
                StateError(
                    f"the optimizer has {len(self.groups)} groups, and had {len(self.base_lrs)} when this scheduler "
                    "was made",
                    op=self.name,
                    hint="make schedulers after the last add_param_group",
                )
            )
        self._step_count += 1

    def _undo(self) -> None:
        """Forget the step that the constructor took, for somebody who will call ``_begin``."""
        self.last_epoch -= 1

    def _restart(self) -> None:
        """Begin again at epoch 0, whatever the rates are now."""
        self.last_epoch = 0
        self._write(self.closed_form())

    def _move(self) -> None:
        """Go to the next epoch."""
        self.last_epoch += 1
        self._write(self.get_lr())

    def _write(self, rates: Sequence[float]) -> None:
        for group, rate in zip(self.groups, rates, strict=True):
            group["lr"] = rate
        self._read()

    def _read(self) -> None:
        self._last_lr = [group["lr"] for group in self.groups]

    def _refuse_trace(self) -> None:
        if mode.trace is not None:
            fail(
                TraceError(
                    "a step inside a compiled function would be taken once, while it is traced, and never again",
                    op=self.name,
                    hint="call scheduler.step() after the compiled function",
                )
            )

    # --- state ---
    def state_dict(self) -> dict[str, Any]:
        """Everything but the optimizer, and functions given to the scheduler; later steps do not change it."""
        return {k: copy.deepcopy(v) for k, v in vars(self).items() if k not in self.transient}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where a scheduler of the same kind was. The optimizer's state dict holds the rates themselves.

        Raises:
            ArgumentTypeError: not a dictionary.
            StateError: names or the number of groups do not fit; nothing was changed.
        """
        op = f"{self.name}.load_state_dict"
        if not isinstance(state_dict, Mapping):
            fail(ArgumentTypeError(f"state_dict must be a dictionary, not {type(state_dict).__name__}", op=op))
        own = self.state_dict()
        problems = [f"{name} is missing" for name in own if name not in state_dict]
        problems += [f"{name} is unexpected" for name in state_dict if name not in own]
        rates = state_dict.get("_last_lr", self._last_lr)
        if not is_several(rates) or len(rates) != len(self.groups):
            problems.append(f"_last_lr={rates!r} does not fit an optimizer with {len(self.groups)} groups")
        if problems:
            fail(StateError("the state dict does not fit the scheduler\n  " + "\n  ".join(problems), op=op))
        self._take(state_dict)

    def _take(self, state: Mapping[str, Any]) -> None:
        """Take over a state that fits."""
        vars(self).update(copy.deepcopy(dict(state)))


def require_optimizer(op: str, optimizer: Any) -> Optimizer:
    """``optimizer``, or an error."""
    if not isinstance(optimizer, Optimizer):
        fail(ArgumentTypeError(f"optimizer must be an Optimizer, not {type(optimizer).__name__}", op=op))
    return optimizer


def per_group(op: str, argument: str, optimizer: Optimizer, given: Any) -> list[Any]:
    """One thing for all groups, or one for each, as a list of one for each."""
    if not is_several(given):
        return [given] * len(optimizer.param_groups)
    values = list(given)
    if len(values) != len(optimizer.param_groups):
        groups = len(optimizer.param_groups)
        fail(ArgumentError(f"{argument} has {len(values)} entries for an optimizer with {groups} groups", op=op))
    return values


def numbers_per_group(
    op: str, argument: str, optimizer: Optimizer, given: Any, most: float = float("inf")
) -> list[float]:
    """As ``per_group``, of numbers that are not negative."""
    return [number_of(op, argument, value, 0.0, most) for value in per_group(op, argument, optimizer, given)]
