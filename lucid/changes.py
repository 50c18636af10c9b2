"""Counts of changes: while one stands still, what was once found still holds.

One is of changes to modules and to what they hold, one of new values of tensors. Compiled functions look at them at
every call, so that they need not look at every attribute of every module and at every parameter.
"""

from __future__ import annotations

import itertools
from typing import Any, TypeVar

K = TypeVar("K")
V = TypeVar("V")

_numbers = itertools.count(1)

#: Another number whenever a module, or what it holds, has changed. To be read; ``touch`` changes it.
latest = 0

#: Another number whenever a watched tensor was given new values, or its memory was handed out. To be read.
written = 0


def touch() -> None:
    """Something changed: an attribute, a registered tensor or module, a hook, whether a leaf wants a gradient."""
    global latest
    latest = next(_numbers)


def write() -> None:
    """A watched tensor has other values, or may have from here on without notice."""
    global written
    written = next(_numbers)


class Watched(dict[K, V]):
    """A dictionary whose changes are counted."""

    def __setitem__(self, key: K, value: V) -> None:
        super().__setitem__(key, value)
        touch()

    def __delitem__(self, key: K) -> None:
        super().__delitem__(key)
        touch()

    def pop(self, *args: Any) -> Any:
        touch()
        return super().pop(*args)

    def popitem(self) -> tuple[K, V]:
        touch()
        return super().popitem()

    def clear(self) -> None:
        super().clear()
        touch()

    def update(self, *args: Any, **kwargs: Any) -> None:
        super().update(*args, **kwargs)
        touch()

    def setdefault(self, key: K, default: Any = None) -> Any:
        touch()
        return super().setdefault(key, default)

    def __ior__(self, other: Any) -> Any:  # type: ignore[misc]  # takes what dict's takes
        self.update(other)
        return self
