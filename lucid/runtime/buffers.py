"""Arrays in recycled memory: results of compiled calls, whose memory comes back when nobody looks at them any more.

The first touch of fresh pages costs the operating system about as long as computing what goes into them, and the C
library gives large blocks back as soon as they are freed. A training step's gradients would pay that at every step.
"""

from __future__ import annotations

from collections.abc import Sequence
from ctypes import CDLL, addressof, c_char
from math import prod
from typing import Any

import numpy as np

from lucid.ir.graph import Array
from lucid.ir.memory import ALIGNED_OUTPUT
from lucid.ir.types import DType, is_half

#: Bytes from which an array's memory is kept for the next one; the C library recycles smaller ones itself.
SMALLEST = ALIGNED_OUTPUT

#: Bytes that may wait unused, in all.
MOST_KEPT = 256 * 1024 * 1024

_PAGE = 4096


class _Block:
    """Memory that comes and goes, and where in it a cache line begins."""

    __slots__ = ("memory", "size", "start")

    def __init__(self, size: int):
        self.memory = np.empty(size, np.uint8)
        self.size = size
        first = address(self.memory)
        self.start = first + -first % 64


#: Blocks that nobody uses, by size, the size that came back last at the end. Operations on lists and dictionaries are
#: atomic under the interpreter's lock: blocks come back at any time, on any thread, where taking a lock could wait for
#: oneself. What two threads do at once may forget blocks, which frees them, and never hands one out twice.
_free: dict[int, list[_Block]] = {}

#: Bytes that have come back since all that wait were last counted: counting takes time, so not every time.
_given = 0


class _Lease:
    """The owner of one array's memory: NumPy keeps it alive as long as the array or a view of it lives."""

    __slots__ = ("__array_interface__", "block")

    def __init__(self, block: _Block, shape: tuple[int, ...], dtype: DType):
        self.block = block
        self.__array_interface__ = {
            "shape": shape,
            "typestr": "<u2" if is_half(dtype) else dtype.str,
            "data": (block.start, False),
            "version": 3,
        }

    def __del__(self) -> None:
        give(self.block)


def empty(shape: Sequence[int], dtype: DType) -> Array:
    """An array with whatever values its memory holds, C-contiguous.

    Raises:
        MemoryError: there is not as much.
    """
    size = prod(shape) * dtype.itemsize
    if size < SMALLEST:
        return np.empty(shape, dtype)
    size = -(-size // _PAGE) * _PAGE + _PAGE
    try:
        block = _free[size].pop()
    except (KeyError, IndexError):
        try:
            block = _Block(size)
        except MemoryError:
            release()
            block = _Block(size)
    array = np.asarray(_Lease(block, tuple(shape), dtype))
    return array.view(dtype) if is_half(dtype) else array


def address(array: Array) -> int:
    """Where the array's memory begins."""
    try:  # several times faster than NumPy's own way
        return addressof(c_char.from_buffer(array))  # type: ignore[arg-type]  # arrays are buffers
    except (TypeError, ValueError, BufferError):  # read-only, empty, or not in C order
        return int(array.ctypes.data)


def give(block: _Block) -> None:
    """Keep a block for the next array of its size; if that is too much, blocks of sizes not seen for longest go."""
    global _given
    blocks = _free.pop(block.size, [])
    blocks.append(block)
    _free[block.size] = blocks
    _given += block.size
    slack = MOST_KEPT // 8
    if _given < slack:
        return
    _given = 0
    while kept() > MOST_KEPT - slack:
        try:
            oldest = next(iter(_free))
            _free[oldest].pop()
            if not _free[oldest]:
                del _free[oldest]
        except (StopIteration, RuntimeError, KeyError, IndexError):  # another thread was there
            return


def is_view(array: Any) -> bool:
    """Whether the array is part of another one: recycled memory is an array's own."""
    return array.base is not None and type(array.base) is not _Lease


def kept() -> int:
    """Bytes that wait to be used again."""
    return sum(size * len(blocks) for size, blocks in list(_free.items()))


def release() -> None:
    """Give the memory that waits back to the operating system, and ask the C library to do the same."""
    _free.clear()
    trim = getattr(CDLL(None), "malloc_trim", None)  # glibc's; others give memory back by themselves
    if trim is not None:
        trim(0)
