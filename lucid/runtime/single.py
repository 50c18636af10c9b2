"""Eager operations as machine code: heavy ones are compiled by the types they meet; light ones stay NumPy.

Which are heavy is read off the op's own expression: sums of products, other reductions, and plain arithmetic without
attributes, over enough elements to be worth a tenth of a second the first time ever (and a few milliseconds in later
processes, which find the code in the on-disk cache). ``LUCID_EAGER=numpy`` keeps everything in NumPy.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from math import prod
from typing import TYPE_CHECKING, Any

from lucid.ir.expr import Operand, Reduce, axes, free_axes, walk
from lucid.ir.graph import Array, Call, Graph, Node, Op, input_node
from lucid.runtime.orders import order_of, orders_for

if TYPE_CHECKING:
    from lucid.runtime.executable import Executable
    from lucid.runtime.orders import Order

#: Elements of the largest operand below which nothing is looked at more closely.
_SMALL = 4096

#: Products from which on a sum of products is compiled, and elements from which on anything else is.
_HEAVY_PRODUCTS, _HEAVY_ELEMENTS = 250_000, 250_000


def runner(call: Call) -> Callable[..., Array]:
    """What computes a call on arrays and attributes: the op's ``evaluate``, or its machine code."""
    evaluate = call.op.evaluate
    if type(call.op).compute is Op.compute:  # runs a program of its own
        return evaluate
    if call.op.opaque or max((t.size for t in (*call.types, call.type)), default=0) < _SMALL:
        return evaluate
    if os.environ.get("LUCID_EAGER", "") == "numpy" or not _heavy(call):
        return evaluate
    return _Single(call)


def _heavy(call: Call) -> bool:
    from lucid.codegen.fuse import Kind, classify, is_contraction
    from lucid.codegen.spec import EXPENSIVE

    out = axes("i", call.type.shape)
    operands = [Operand(x, x.type) for x in map(input_node, call.types)]
    expr = call.op.compute(out, *operands, **call.attrs)
    if classify(expr) is Kind.MAP:  # where rounding is defined, so that results do not depend on size
        exact = not any(getattr(e, "op", None) in EXPENSIVE for e in walk(expr))
        return exact and not call.attrs and call.type.size >= _HEAVY_ELEMENTS
    products = elements = 0
    for e in walk(expr):
        if isinstance(e, Reduce):
            count = prod(a.extent for a in (*free_axes(e), *e.axes))
            if is_contraction(e):
                products += count
            else:
                elements += count
    return products >= _HEAVY_PRODUCTS or elements >= _HEAVY_ELEMENTS


class _Single:
    """The machine code of one call, made when it is first run."""

    def __init__(self, call: Call):
        self._call = call
        self._executables: dict[tuple[Order | None, ...], Executable] = {}

    def __call__(self, *arrays: Array, **_: Any) -> Array:
        orders = tuple([order_of(a) for a in arrays])
        executable = self._executables.get(orders)
        if executable is None:
            from lucid.ir.passes.pipeline import DEFAULT
            from lucid.runtime.executable import build

            call = self._call
            inputs = [input_node(t) for t in call.types]
            graph = Graph(inputs, [Node(call, tuple(inputs))])
            executable = build(graph, passes=DEFAULT, orders=orders_for(graph, orders), name=f"eager {call.op.name}")
            self._executables[orders] = executable
        (result,) = executable(arrays)
        return result
