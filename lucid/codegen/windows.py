"""Reductions over a few positions written out, as chains of operations: windows of pooling have no loops.

A loop over the four pixels of a window costs more than the pixels. Written out, what is read at two positions, or by
two reductions, is one value, and offsets and guards are simplified at each position. Builds no loops.
"""

from __future__ import annotations

from functools import reduce
from itertools import product
from math import prod

from lucid.codegen.access import Access, Placed, PlacedStore
from lucid.ir.expr import Axis, Binary, Const, Expr, Reduce, binary, identity, index, rewrite, substitute
from lucid.ir.index import simplify


def is_window(expr: Expr, most: int, *, products: bool = False) -> bool:
    """Whether an expression is a reduction over at most ``most`` positions; sums of products are left to be fused, but
    for ``products``.
    """
    if not isinstance(expr, Reduce) or prod(a.extent for a in expr.axes) > most:
        return False
    return products or not (expr.kind == "sum" and isinstance(expr.body, Binary) and expr.body.op == "mul")


def written_out(placed: Placed, most: int) -> Placed:
    """The same kernel without reductions over at most ``most`` positions: these are taken in order.

    Sums of products are among them where there are several results, such as the phases of a strided gradient.
    """
    products = len(placed.stores) > 1

    def visit(expr: Expr) -> Expr | None:
        if isinstance(expr, Access) and isinstance(expr.guard, Const):
            return Access(expr.buffer, expr.offset) if expr.guard.value else Const(expr.fill, expr.dtype)
        if not (isinstance(expr, Reduce) and is_window(expr, most, products=products)):
            return None
        # A sum begins with zero: one of negative zeros is positive.
        parts: list[Expr] = [identity(expr.kind, expr.dtype)] if expr.kind == "sum" else []
        for position in product(*(range(a.extent) for a in expr.axes)):
            change: dict[Axis, Expr] = {a: index(k) for a, k in zip(expr.axes, position, strict=True)}
            parts.append(rewrite(simplify(substitute(expr.body, change)), visit))
        operation = {"sum": "add", "prod": "mul"}.get(expr.kind, expr.kind)
        return reduce(lambda a, b: binary(operation, a, b), parts)

    stores = tuple(PlacedStore(s.buffer, s.offset, rewrite(s.value, visit)) for s in placed.stores)
    return Placed(placed.buffers, placed.axes, stores)
