"""Eager steps of many parameters run as one program: operation by operation, most of their time would be Python's.

A program serves one choice of parameters that have gradients. A model that keeps choosing others (random depth) would
compile at every step: after a few choices, each parameter has a program of its own. The arithmetic is the same.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from lucid.compiler import CompiledFunction
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from lucid.optim.optimizer import Optimizer

#: Parameters, or elements of them, from which on the first step is worth a tenth of a second (later processes find the
#: code in the on-disk cache).
_MANY, _LARGE = 8, 250_000

#: Choices of parameters that have programs of their own.
_CHOICES = 4


class Moving(NamedTuple):
    """A parameter that has a gradient, and the number of its group."""

    group: int
    parameter: Tensor


class Programs:
    """The programs of one optimizer."""

    def __init__(self, optimizer: Optimizer, move: Callable[[Sequence[Moving]], None]):
        self._optimizer = optimizer
        self._move = move
        #: By the parameters, in order: what else was fixed when it was compiled, and the program.
        self._found: dict[tuple[int, ...], tuple[Any, CompiledFunction]] = {}
        self._choices = 0

    def pay(self, moving: Sequence[Moving]) -> bool:
        """Whether these are so many, and whether the rule is one of Lucid's own: others may do more than compute."""
        rule = type(self._optimizer).update
        if not rule.__module__.startswith("lucid.") or os.environ.get("LUCID_EAGER", "") == "numpy":
            return False
        return len(moving) >= _MANY or sum(m.parameter._record.call.type.size for m in moving) >= _LARGE

    def __call__(self, moving: Sequence[Moving]) -> None:
        """Move these parameters."""
        key = tuple([id(m.parameter) for m in moving])
        if key not in self._found:
            if self._choices == _CHOICES and len(moving) > 1:
                for one in moving:
                    self((one,))
                return
            self._choices += len(moving) > 1
        fixed = self._fixed(moving)
        found = self._found.get(key)
        if found is None or found[0] != fixed:
            program = CompiledFunction(partial(self._move, moving), f"{self._optimizer.name}.step")
            found = self._found[key] = fixed, program
        found[1]()

    def _fixed(self, moving: Sequence[Moving]) -> Any:
        """What a program was compiled for: hyperparameters that are not read again, and the tensors of the state."""
        optimizer = self._optimizer
        groups = []
        for k in {m.group for m in moving}:
            group = optimizer.param_groups[k]
            read = _Reads(group)
            for scalar in optimizer.scalars.values():
                scalar(read)
            switches = [bool(group[name]) for name in optimizer.switches]
            rest = [repr(group[name]) for name in optimizer.defaults if name not in read.names]
            groups.append((k, switches, rest))
        state = [id(t) for m in moving for t in optimizer.state[m.parameter].values()]
        return len(optimizer.param_groups), groups, state


class _Reads(dict[str, Any]):
    """A group that remembers what was asked for."""

    def __init__(self, group: dict[str, Any]):
        super().__init__(group)
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        self.names.add(name)
        return super().__getitem__(name)
