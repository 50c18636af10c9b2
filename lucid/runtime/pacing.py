"""Settings of the Python interpreter for the time that something is compiled.

LLVM's thread asks for the interpreter a dozen times a module, and by default each time may wait 5 ms for the thread
that lowers; and what lowering allocates lives on, so that collecting garbage meanwhile finds none.
"""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

#: Seconds after which a thread that waits for the interpreter gets it.
_TURN = 0.0002


class _Pace:
    """The settings are the process's: the first compilation changes them, the last one puts them back."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._compiling = 0
        self._before = (0.0, False)

    def enter(self) -> None:
        with self._lock:
            self._compiling += 1
            if self._compiling == 1:
                self._before = sys.getswitchinterval(), gc.isenabled()
                sys.setswitchinterval(min(_TURN, self._before[0]))
                gc.disable()

    def leave(self) -> None:
        with self._lock:
            self._compiling -= 1
            if self._compiling == 0:
                interval, collects = self._before
                sys.setswitchinterval(interval)
                if collects:
                    gc.enable()


_pace = _Pace()


@contextmanager
def compiling() -> Iterator[None]:
    """Short turns between threads, and no garbage collection, until everybody who compiles is done."""
    _pace.enter()
    try:
        yield
    finally:
        _pace.leave()
