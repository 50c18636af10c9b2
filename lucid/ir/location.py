"""Where in the user's code a node was made. Cheap to take, resolved to ``file:line`` only when somebody looks.

A *site* is the code object and instruction offset of the first frame outside Lucid, plus the path of the module that
was running (``layer1.0.conv1``). A ``Location`` is what a site resolves to, and what a parsed text carries.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import CodeType
from typing import NamedTuple, TypeAlias

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_internal: dict[str, bool] = {}


class Location(NamedTuple):
    """A line of the user's code, and the module path it ran under (may be empty)."""

    file: str
    line: int
    path: str = ""

    def __str__(self) -> str:
        return f"{self.file}:{self.line}" + (f" in {self.path}" if self.path else "")


Site: TypeAlias = tuple[CodeType, int, str]
Where: TypeAlias = Site | Location | None


class _State(threading.local):
    path: str = ""
    prescribed: bool = False
    where: Where = None


_state = _State()


def _is_internal(filename: str) -> bool:
    found = filename.startswith(_PACKAGE)
    _internal[filename] = found
    return found


def here(inside: int = 1) -> Where:
    """The user's current line: the innermost frame that is not Lucid's own.

    Inside ``located`` it is the location given there: the nodes of a gradient point at the forward line.

    Args:
        inside: how many of the innermost frames are known to be Lucid's own; looking at each takes time.
    """
    if _state.prescribed:
        return _state.where
    frame = sys._getframe(inside)
    while frame is not None:
        code = frame.f_code
        filename = code.co_filename
        internal = _internal.get(filename)
        if internal is None:
            internal = _is_internal(filename)
        if not internal:
            return (code, frame.f_lasti, _state.path)
        frame = frame.f_back  # type: ignore[assignment]
    return None


def resolve(where: Where) -> Location | None:
    """The file and line of a site."""
    if where is None or isinstance(where, Location):
        return where
    code, offset, path = where
    line = code.co_firstlineno
    for start, end, number in code.co_lines():
        if start <= offset < end and number is not None:
            line = number
            break
    return Location(code.co_filename, line, path)


@contextmanager
def located(where: Where) -> Iterator[None]:
    """Nodes made inside get this location; None gives them no location."""
    before = _state.prescribed, _state.where
    _state.prescribed, _state.where = True, where
    try:
        yield
    finally:
        _state.prescribed, _state.where = before


def enter_module(name: str) -> str:
    """Extend the module path by ``name``; returns the path to give back to ``leave_module``."""
    before = _state.path
    if name:
        _state.path = f"{before}.{name}" if before else name
    return before


def leave_module(before: str) -> None:
    _state.path = before
