"""In which order an array's dimensions lie in memory, and arrays in a wanted order.

An order lists the dimensions from the outermost in; None stands for C order, ``(0, 1, 2, ...)``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple, TypeAlias

import numpy as np

from lucid.ir.graph import Array, Graph
from lucid.ir.types import DType
from lucid.runtime.buffers import empty

Order: TypeAlias = tuple[int, ...]


class Orders(NamedTuple):
    """The arrays at the edges of a graph that do not lie in C order, by index."""

    inputs: Mapping[int, Order] = MappingProxyType({})
    outputs: Mapping[int, Order] = MappingProxyType({})


C_ORDER = Orders()


def orders_for(graph: Graph, inputs: Sequence[Order | None]) -> Orders:
    """The orders of a graph's inputs, and of its outputs: with the channels last if an input comes like that, unless
    an output has the type of an input in C order, whose gradient it may be.
    """
    given = {k: order for k, order in enumerate(inputs) if order is not None}
    last = {order for order in given.values() if order == channels_last(len(order))}
    plain = {x.type for k, x in enumerate(graph.inputs) if k not in given}
    found = {}
    for k, node in enumerate(graph.outputs):
        order = channels_last(node.type.ndim)
        if order in last and node.type not in plain:
            found[k] = order
    return Orders(given, found)


def order_of(array: Array) -> Order | None:
    """The order in which the array fills its memory without gaps; None for C order, and where there are gaps.

    >>> order_of(np.zeros((2, 3)).T)
    (1, 0)
    """
    if array.flags.c_contiguous:
        return None
    order = tuple(sorted(range(array.ndim), key=lambda d: -abs(array.strides[d])))
    return order if lies(array, order) else None


def lies(array: Array, order: Order) -> bool:
    """Whether the array fills its memory in this order."""
    return bool(array.transpose(order).flags.c_contiguous)


def arranged(array: Array, order: Order) -> Array:
    """The same values in memory of this order; the array itself if it lies like that."""
    if lies(array, order):
        return array
    moved: Array = np.ascontiguousarray(array.transpose(order))
    return _logical(moved, order)


def empty_in(shape: Sequence[int], dtype: DType, order: Order) -> Array:
    """An array of this shape and order with whatever values its memory holds."""
    return _logical(empty([shape[d] for d in order], dtype), order)


def channels_last(ndim: int) -> Order:
    """(N, C, d1, ...) with the channels innermost.

    >>> channels_last(4)
    (0, 2, 3, 1)
    """
    return (0, *range(2, ndim), 1) if ndim > 2 else tuple(range(ndim))


def _logical(array: Array, order: Order) -> Array:
    """An array whose dimensions come in ``order``, with its dimensions in theirs."""
    view: Array = array.transpose(sorted(range(len(order)), key=order.__getitem__))
    return view
