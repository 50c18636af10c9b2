"""Constant folding: values that depend on no input are computed once, if the result is small enough to write down."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from lucid.ir.expr import Axis, Const, Expr, Load, Operand, Reduce, axes, const, rewrite, walk
from lucid.ir.graph import OPS, Array, Graph, Node, rebuild
from lucid.ir.location import located


@dataclass(frozen=True)
class Fold:
    """Replaces nodes whose inputs are all constants.

    A result of up to ``largest`` elements is written out; a larger one only if it is the same number everywhere.
    Operands of more than ``most_work`` elements are not worth computing with at compile time.
    """

    largest: int = 64
    most_work: int = 4096
    name: str = "fold"

    def __call__(self, graph: Graph) -> Graph:
        inputs = frozenset(graph.inputs)

        def visit(node: Node) -> Node:
            if node.op.opaque or not node.inputs:
                return node
            if any(x.inputs or x.op.opaque or x in inputs for x in node.inputs):
                return node
            with located(node.where):
                return self._folded(node) or node

        return rebuild(graph, visit)

    def _folded(self, node: Node) -> Node | None:
        if node.type.size > self.largest:
            return _uniform(node)
        if any(x.type.size > self.most_work for x in node.inputs):
            return None
        operands = [np.asarray(x.op.evaluate(**x.attrs)) for x in node.inputs]
        return _written(np.asarray(_evaluate(node, operands)))


def _evaluate(node: Node, operands: Sequence[Array]) -> Array:
    with np.errstate(all="ignore"):
        return np.asarray(node.op.evaluate(*operands, **node.attrs))


def _written(value: Array) -> Node:
    """A small array as a constant; one number where all elements are that number, bit for bit."""
    flat = value.reshape(-1).tolist()
    same = len(set(map(repr, flat))) == 1
    return OPS["constant"](value=flat[0] if same else tuple(flat), shape=value.shape, dtype=value.dtype)


def _uniform(node: Node) -> Node | None:
    """A node that is one number everywhere because each operand is, told from the index expressions."""
    values: dict[Node, Const] = {}
    for x in node.inputs:
        expr = _expression(x)
        if not isinstance(expr, Const):
            return None
        values[x] = expr

    def read(expr: Expr) -> Expr | None:
        if isinstance(expr, Load) and expr.source in values:
            value = values[expr.source]
            return value if expr.fill is None or value == const(expr.fill, expr.dtype) else None
        return None

    result = rewrite(_expression(node), read)
    if any(isinstance(e, Axis | Load | Reduce) for e in walk(result)):
        return None  # depends on the position, or on how many elements there are
    if isinstance(result, Const):
        number = result.value
    else:  # elementwise: the same on tensors of no dimensions
        operands = [np.asarray(values[x].value, x.dtype) for x in node.inputs]
        value = _evaluate(node, operands)
        if value.shape != ():
            return None
        number = value.item()
    return OPS["constant"](value=number, shape=node.shape, dtype=node.dtype)


def _expression(node: Node) -> Expr:
    return node.op.compute(axes("i", node.shape), *[Operand(x, x.type) for x in node.inputs], **node.attrs)
