"""In which order a tensor's dimensions lie in memory: a matter of speed alone, never of values.

Convolutions compute with the channels innermost. A tensor that comes in that order is read where it lies, and what is
computed from it goes out in the same order, so that no copy is needed at either end.
"""

from __future__ import annotations

from enum import Enum
from typing import TYPE_CHECKING

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentTypeError, ShapeError
from lucid.functions.arguments import fail
from lucid.runtime.orders import Order, arranged, lies
from lucid.runtime.orders import channels_last as channels_last_order

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["channels_last", "channels_last_3d", "contiguous_format", "preserve_format"]


class MemoryFormat(Enum):
    """An order of dimensions in memory.

    >>> import lucid
    >>> x = lucid.zeros(2, 3, 4, 5).contiguous(memory_format=lucid.channels_last)
    >>> x.shape, x.numpy().strides
    ((2, 3, 4, 5), (240, 4, 60, 12))
    """

    #: The last dimension innermost: C order.
    contiguous_format = "contiguous_format"
    #: (N, C, H, W) with the channels innermost.
    channels_last = "channels_last"
    #: (N, C, D, H, W) with the channels innermost.
    channels_last_3d = "channels_last_3d"
    #: As it is.
    preserve_format = "preserve_format"

    def __repr__(self) -> str:
        return f"lucid.{self.name}"


contiguous_format = MemoryFormat.contiguous_format
channels_last = MemoryFormat.channels_last
channels_last_3d = MemoryFormat.channels_last_3d
preserve_format = MemoryFormat.preserve_format

_DIMENSIONS = {channels_last: 4, channels_last_3d: 5}


def contiguous(x: Tensor, memory_format: MemoryFormat = contiguous_format) -> Tensor:
    """``x`` in memory of this format: itself if it lies like that, else a copy through which gradients flow.

    In a compiled function ``x`` itself: where values lie is the compiler's business.

    Raises:
        ArgumentTypeError: not a memory format.
        ShapeError: ``channels_last`` of a tensor that does not have 4 dimensions, ``channels_last_3d`` 5.
    """
    order = _order("contiguous", x, memory_format)
    if order is None or x._data is None or lies(x._data, order):
        return x
    result = apply(ops.identity, x)
    result._data = arranged(x._data, order)
    return result


def is_contiguous(x: Tensor, memory_format: MemoryFormat = contiguous_format) -> bool:
    """Whether ``x`` fills its memory in this format's order; always in a compiled function.

    Raises:
        ArgumentTypeError: not a memory format.
        ShapeError: ``channels_last`` of a tensor that does not have 4 dimensions, ``channels_last_3d`` 5.
    """
    order = _order("is_contiguous", x, memory_format)
    return order is None or x._data is None or lies(x._data, order)


def _order(op: str, x: Tensor, memory_format: MemoryFormat) -> Order | None:
    """The order of a format for this tensor; None if any will do."""
    if not isinstance(memory_format, MemoryFormat):
        names = ", ".join(map(repr, MemoryFormat))
        fail(
            ArgumentTypeError(
                f"memory_format={memory_format!r} must be a memory format", op=op, hint=f"use one of {names}"
            )
        )
    wanted = _DIMENSIONS.get(memory_format)
    if wanted is not None and x.ndim != wanted:
        fail(ShapeError(f"{memory_format!r} is for {wanted} dimensions, and the tensor has {x.ndim}", op=op))
    if wanted is not None:
        return channels_last_order(wanted)
    return None if memory_format is preserve_format else tuple(range(x.ndim))
