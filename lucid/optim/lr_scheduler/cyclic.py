"""Cyclical learning rates (Smith, arXiv:1506.01186) and one cycle of them (Smith & Topin, arXiv:1708.07120).

Momentum goes the opposite way: ``momentum`` of optimizers that have it, else the first of ``betas``.
"""

from __future__ import annotations

import math
import types
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail
from lucid.nn.arguments import flag, number, positive
from lucid.optim.lr_scheduler.scheduler import LRScheduler, numbers_per_group, require_optimizer
from lucid.optim.optimizer import Group, Optimizer

Numbers: TypeAlias = float | Sequence[float]


class _MomentumLR(LRScheduler):
    """A scheduler that may set the groups' momentum too."""

    cycle_momentum: bool
    base_momentums: list[float]
    max_momentums: list[float]

    def _cycle_momentum(self, optimizer: Optimizer, wanted: bool, base: Numbers, most: Numbers) -> None:
        """Check and keep the bounds of the momentum."""
        self.cycle_momentum = flag(self.name, "cycle_momentum", wanted)
        if not wanted:
            self.base_momentums = self.max_momentums = []
            return
        if not {"momentum", "betas"} & optimizer.defaults.keys():
            fail(
                ArgumentError(
                    f"cycle_momentum=True needs an optimizer with momentum or betas, and {optimizer.name} has neither",
                    op=self.name,
                    hint="pass cycle_momentum=False",
                )
            )
        self.base_momentums = numbers_per_group(self.name, "base_momentum", optimizer, base, 1.0)
        self.max_momentums = numbers_per_group(self.name, "max_momentum", optimizer, most, 1.0)

    @staticmethod
    def _set_momentum(group: Group, momentum: float) -> None:
        if "betas" in group:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(_MomentumLR):
    """Learning rates between two bounds, up and down along lines.

    Args:
        optimizer: whose learning rates are set.
        base_lr: the lower bound, for all groups or for each.
        max_lr: the upper bound, for all groups or for each.
        step_size_up: steps of the way up.
        step_size_down: steps of the way down; as many as up unless given.
        mode: "triangular"; "triangular2", half as high in each cycle; "exp_range", ``gamma ** step`` as high.
        gamma: of "exp_range".
        scale_fn: how high, instead of ``mode``: a function of ``scale_mode``.
        scale_mode: "cycle", counted from 1, or "iterations".
        cycle_momentum: lead momentum from ``max_momentum`` to ``base_momentum`` and back.
        base_momentum: its lower bound, for all groups or for each.
        max_momentum: its upper bound, for all groups or for each.
        last_epoch: the step that a run to be continued has finished, or -1.

    Raises:
        ArgumentError: an unknown mode, numbers out of bounds, an optimizer without momentum to be cycled.
        ArgumentTypeError: arguments of wrong types.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> scheduler = optim.lr_scheduler.CyclicLR(sgd, base_lr=0.5, max_lr=1.0, step_size_up=2)
    >>> for step in range(4):
    ...     print(scheduler.get_last_lr()[0])
    ...     scheduler.step()
    0.5
    0.75
    1.0
    0.75
    """

    transient = LRScheduler.transient | {"scale_fn"}

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Numbers,
        max_lr: Numbers,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: Literal["triangular", "triangular2", "exp_range"] = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[float], float] | None = None,
        scale_mode: Literal["cycle", "iterations"] = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Numbers = 0.8,
        max_momentum: Numbers = 0.9,
        last_epoch: int = -1,
    ):
        require_optimizer(self.name, optimizer)
        bases = numbers_per_group(self.name, "base_lr", optimizer, base_lr)
        self.max_lrs = numbers_per_group(self.name, "max_lr", optimizer, max_lr)
        up = positive(self.name, "step_size_up", step_size_up)
        down = up if step_size_down is None else positive(self.name, "step_size_down", step_size_down)
        self.total_size = float(up + down)
        self.step_ratio = up / self.total_size
        if scale_fn is None:
            if mode not in ("triangular", "triangular2", "exp_range"):
                message = f"mode={mode!r} must be 'triangular', 'triangular2' or 'exp_range'"
                fail(ArgumentError(message, op=self.name))
            scale_mode = "iterations" if mode == "exp_range" else "cycle"
        elif not callable(scale_fn):
            fail(ArgumentTypeError(f"scale_fn={scale_fn!r} must be a function", op=self.name))
        if scale_mode not in ("cycle", "iterations"):
            fail(ArgumentError(f"scale_mode={scale_mode!r} must be 'cycle' or 'iterations'", op=self.name))
        self.mode, self.gamma = mode, number(self.name, "gamma", gamma)
        self.scale_fn, self.scale_mode = scale_fn, scale_mode
        self._cycle_momentum(optimizer, cycle_momentum, base_momentum, max_momentum)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, bases, strict=True):
                group["lr"] = rate
        super().__init__(optimizer, last_epoch)
        self.base_lrs = bases
        self._write(self.get_lr())  # from these bounds, whatever the groups' initial rates

    def get_lr(self) -> list[float]:
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        height = x / self.step_ratio if x <= self.step_ratio else (x - 1) / (self.step_ratio - 1)
        height *= self._scale(cycle if self.scale_mode == "cycle" else self.last_epoch)
        for group, low, high in zip(self.groups, self.base_momentums, self.max_momentums, strict=False):
            self._set_momentum(group, high - (high - low) * height)
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.max_lrs, strict=True)]

    def _scale(self, x: float) -> float:
        if self.scale_fn is not None:
            return self.scale_fn(x)
        if self.mode == "triangular":
            return 1.0
        return float(2.0 ** (1.0 - x)) if self.mode == "triangular2" else float(self.gamma**x)

    def state_dict(self) -> dict[str, Any]:
        """As of all schedulers. Attributes of a ``scale_fn`` that is a callable object are kept, functions are not."""
        given = self.scale_fn
        kept = None if given is None or isinstance(given, types.FunctionType) else dict(vars(given))
        return {**super().state_dict(), "scale_fn": kept}

    def _take(self, state: Mapping[str, Any]) -> None:
        rest = dict(state)
        attributes = rest.pop("scale_fn")
        super()._take(rest)
        if attributes is not None and self.scale_fn is not None:
            vars(self.scale_fn).update(attributes)


class OneCycleLR(_MomentumLR):
    """Learning rates up to ``max_lr`` and down to almost nothing, once.

    Args:
        optimizer: whose learning rates are set.
        max_lr: the highest rate, for all groups or for each.
        total_steps: steps of the cycle, or
        epochs: the epochs of the cycle, and
        steps_per_epoch: the steps in each.
        pct_start: the fraction of the cycle that leads up.
        anneal_strategy: "cos" or "linear".
        cycle_momentum: lead momentum from ``max_momentum`` to ``base_momentum`` and back.
        base_momentum: its lower bound, for all groups or for each.
        max_momentum: its upper bound, for all groups or for each.
        div_factor: the first rate is ``max_lr / div_factor``.
        final_div_factor: the last rate is the first over this.
        three_phase: come down in two phases: to the first rate as fast as up, and from there to the last.
        last_epoch: the step that a run to be continued has finished, or -1.

    Raises:
        ArgumentError: no length, numbers out of bounds, an optimizer without momentum to be cycled; and in ``step``,
            more steps than the cycle has.
        ArgumentTypeError: arguments of wrong types.

    >>> import lucid
    >>> from lucid import optim
    >>> sgd = optim.SGD([lucid.zeros(1, requires_grad=True)], lr=1.0, momentum=0.9)
    >>> scheduler = optim.lr_scheduler.OneCycleLR(sgd, max_lr=1.0, total_steps=5, pct_start=0.6, div_factor=2.0)
    >>> for step in range(4):
    ...     print(round(scheduler.get_last_lr()[0], 3))
    ...     scheduler.step()
    0.5
    0.75
    1.0
    0.5
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Numbers,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: Literal["cos", "linear"] = "cos",
        cycle_momentum: bool = True,
        base_momentum: Numbers = 0.85,
        max_momentum: Numbers = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ):
        require_optimizer(self.name, optimizer)
        if total_steps is not None:
            self.total_steps = positive(self.name, "total_steps", total_steps)
        elif epochs is not None and steps_per_epoch is not None:
            self.total_steps = positive(self.name, "epochs", epochs)
            self.total_steps *= positive(self.name, "steps_per_epoch", steps_per_epoch)
        else:
            fail(ArgumentError("total_steps, or epochs and steps_per_epoch, must be given", op=self.name))
        if anneal_strategy not in ("cos", "linear"):
            fail(ArgumentError(f"anneal_strategy={anneal_strategy!r} must be 'cos' or 'linear'", op=self.name))
        self.anneal_strategy = anneal_strategy
        self.three_phase = flag(self.name, "three_phase", three_phase)
        self.pct_start = number(self.name, "pct_start", pct_start, 0.0, 1.0)
        self.max_lrs = numbers_per_group(self.name, "max_lr", optimizer, max_lr)
        for argument, factor in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            if number(self.name, argument, factor) == 0.0:
                fail(ArgumentError(f"{argument}={factor!r} must not be 0", op=self.name))
        self.final_div_factor = float(final_div_factor)
        self._cycle_momentum(optimizer, cycle_momentum, base_momentum, max_momentum)
        if last_epoch == -1:
            for group, rate in zip(optimizer.param_groups, self.max_lrs, strict=True):
                group["initial_lr"] = rate / div_factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        if self.last_epoch > self.total_steps:
            steps = self.total_steps
            fail(ArgumentError(f"step {self.last_epoch} lies after a cycle of {steps} steps", op=self.name))
        # Phases end at these steps, having gone between these marks: 0 the first rate, 1 the highest, 2 the last.
        up, end = self.pct_start * self.total_steps - 1, float(self.total_steps - 1)
        phases = [(up, 0, 1), (end, 1, 2)]
        if self.three_phase:
            phases = [(up, 0, 1), (2 * self.pct_start * self.total_steps - 2, 1, 0), (end, 0, 2)]
        k = 0
        while k < len(phases) - 1 and self.last_epoch > phases[k][0]:
            k += 1
        start = phases[k - 1][0] if k else 0.0
        stop, left, right = phases[k]
        done = (self.last_epoch - start) / (stop - start) if stop != start else 1.0
        for group, low, high in zip(self.groups, self.base_momentums, self.max_momentums, strict=False):
            marks = (high, low, high)
            self._set_momentum(group, self._between(marks[left], marks[right], done))
        rates = []
        for first, highest in zip(self.base_lrs, self.max_lrs, strict=True):
            heights = (first, highest, first / self.final_div_factor)
            rates.append(self._between(heights[left], heights[right], done))
        return rates

    def _between(self, start: float, end: float, done: float) -> float:
        if self.anneal_strategy == "linear":
            return (end - start) * done + start
        return end + (start - end) / 2.0 * (math.cos(math.pi * done) + 1)
