"""Guarded memory: everything that compiled code reads or writes ends, or begins, where no access is allowed.

With ``LUCID_GUARD=end`` (``make test-guarded``), every array that an executable is given is copied in front of a page
that cannot be touched, and so are its results, its arena, its packed weights and its threads' memory; with
``LUCID_GUARD=begin``, right behind one. Results begin as NaN, or as bytes of ones. An access out of bounds ends the
process; an element that is not written shows.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterator
from contextlib import contextmanager
from math import prod
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import pytest

from lucid.runtime import executable
from lucid.runtime.buffers import SMALLEST, address
from lucid.runtime.executable import Executable

#: Where arrays lie in these tests' memory: "end", "begin", or nothing for memory as it always is.
PLACE = os.environ.get("LUCID_GUARD", "")
#: For tests of the memory itself.
plain_memory = pytest.mark.skipif(bool(PLACE), reason="guarded memory is made anew for every call")
_PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)


def guarded(shape: tuple[int, ...], dtype: Any, fill: int, alignment: int = 1, place: str = "") -> np.ndarray:
    """An array whose last byte, or the last one before a multiple of ``alignment``, is the last that may be touched;
    the page before its first one is closed as well. With ``place="begin"`` its first byte is the first. Without a
    place it is that of the ``guard`` around.
    """
    place = place or _places[-1]
    kind = np.dtype(dtype)
    size = prod(shape) * kind.itemsize
    pages = -(-(size + alignment) // _PAGE)
    memory = mmap.mmap(-1, (pages + 2) * _PAGE)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in (0, pages + 1):
        if _libc.mprotect(ctypes.c_void_p(base + page * _PAGE), _PAGE, 0) != 0:
            raise OSError(ctypes.get_errno(), "mprotect")
    end = (pages + 1) * _PAGE
    begin = _PAGE if place == "begin" else (end - size) // alignment * alignment
    data = np.frombuffer(memory, np.uint8, size, begin)
    data[:] = fill
    return data.view(kind).reshape(shape)


def _aligned_bytes(size: int) -> np.ndarray:
    return guarded((size,), np.uint8, 0, 64)


def _maker(self: Executable, output: int) -> Any:
    make = _original_maker(self, output)
    type = self._outputs[output]
    if output in self._scratch or self._orders.outputs.get(output) is not None:
        return make
    # Large results are promised to begin on a cache line.
    alignment = 64 if type.size * type.dtype.itemsize >= SMALLEST else 1
    return lambda: guarded(type.shape, type.dtype, 0xFF, alignment)


def _place(self: Executable, k: int, array: np.ndarray) -> np.ndarray:
    held = _original_place(self, k, array)
    if k in self.in_place.values() or not held.flags.c_contiguous:
        return held
    copy = guarded(held.shape, held.dtype, 0)
    copy[...] = held
    self._last[k] = executable._nothing  # copied anew at every call
    self._table[executable.FIRST + k] = address(copy)
    _held.setdefault(self, {})[k] = copy
    return copy


#: What the addresses that an executable remembers stand for: a profile runs its kernels again.
_held: WeakKeyDictionary[Executable, dict[int, np.ndarray]] = WeakKeyDictionary()
_original_maker, _original_place = Executable._maker, Executable._place


#: The places of the guards that are active, the innermost last.
_places = [PLACE]


@contextmanager
def guard(place: str = PLACE) -> Iterator[None]:
    """Executables made within have guarded memory."""
    kept = executable._aligned_bytes, Executable._maker, Executable._place
    executable._aligned_bytes = _aligned_bytes
    Executable._maker, Executable._place = _maker, _place  # type: ignore[method-assign]
    _places.append(place)
    try:
        yield
    finally:
        _places.pop()
        executable._aligned_bytes, Executable._maker, Executable._place = kept  # type: ignore[method-assign]
