"""A line on the terminal while something takes long, and nothing where nobody watches."""

from __future__ import annotations

import sys
from time import perf_counter

#: Seconds before the line appears, and between its changes.
PATIENCE, _REFRESH = 1.0, 0.1


class Progress:
    """``progress("what is being done")`` writes over one line of standard error; ``close`` takes it away."""

    def __init__(self, name: str):
        self.name = name
        stream = sys.stderr
        self._stream = stream if stream is not None and stream.isatty() else None
        self._next = perf_counter() + PATIENCE
        self._width = 0

    def __call__(self, what: str) -> None:
        if self._stream is None or perf_counter() < self._next:
            return
        line = f"lucid: compiling {self.name}: {what}"[:79]
        self._stream.write(f"\r{line:<{self._width}}")
        self._stream.flush()
        self._width = len(line)
        self._next = perf_counter() + _REFRESH

    def close(self) -> None:
        """Leave the terminal as it was."""
        if self._stream is not None and self._width:
            self._stream.write(f"\r{'':<{self._width}}\r")
            self._stream.flush()
            self._width = 0
