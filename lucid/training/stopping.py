"""When to stop."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

from lucid.errors import ArgumentError, StateError
from lucid.functions.arguments import fail, int_of, number_of


class EarlyStopping:
    """Says when a number has not become better for a while: Prechelt, "Early stopping - but when?", 1998.

    Args:
        patience: how many times without improvement are borne.
        min_delta: how much better counts as better.
        mode: whether 'min' or 'max' is good.

    Attributes:
        best: the best number so far, None at first.
        stopped: whether to stop.

    Raises:
        ArgumentError, ArgumentTypeError: negative numbers, or another mode.

    >>> stopping = EarlyStopping(patience=2)
    >>> [stopping.step(loss) for loss in (3.0, 2.0, 2.5, 2.1)]
    [False, False, False, True]
    >>> stopping.best
    2.0
    """

    def __init__(self, patience: int = 5, min_delta: float = 0.0, mode: Literal["min", "max"] = "min"):
        op = "EarlyStopping"
        self.patience = int_of(op, "patience", patience)
        if self.patience < 0:
            fail(ArgumentError(f"patience={patience} must not be negative", op=op))
        self.min_delta = number_of(op, "min_delta", min_delta, 0)
        if mode not in ("min", "max"):
            fail(ArgumentError(f"mode={mode!r} must be 'min' or 'max'", op=op))
        self.mode = mode
        self.best: float | None = None
        self.waited = 0

    @property
    def stopped(self) -> bool:
        """Whether to stop."""
        return self.waited >= max(1, self.patience)

    def step(self, value: Any) -> bool:
        """Take in the next number, or a tensor of one; whether to stop. NaN is no improvement."""
        given = value.item() if hasattr(value, "item") else value
        is_nan = isinstance(given, float) and math.isnan(given)
        number = given if is_nan else number_of("EarlyStopping", "value", given)
        sign = 1 if self.mode == "min" else -1
        if not is_nan and (self.best is None or sign * number < sign * self.best - self.min_delta):
            self.best, self.waited = number, 0
        else:
            self.waited += 1
        return self.stopped

    def state_dict(self) -> dict[str, Any]:
        """What it remembers."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Go on where another one was.

        Raises:
            StateError: not such a state.
        """
        if set(state_dict) != {"best", "waited"}:
            fail(StateError(f"the state holds {sorted(state_dict)}, not best and waited", op="EarlyStopping"))
        self.best, self.waited = state_dict["best"], state_dict["waited"]
