"""Rewriting graphs by a table of rules: what a pattern is, when it matches, and the engine that applies a table.

A pattern is written with the same operators as values: ``x * 1`` matches a product with the constant 1. This file knows
no op; the tables live beside the ops and are declared here, as ops are in ``OPS``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeAlias

from lucid.errors import IRError
from lucid.ir.graph import OPS, Graph, Node, Op
from lucid.ir.location import located
from lucid.ir.operators import Operators
from lucid.ir.types import Scalar

Found: TypeAlias = dict[str, Node]


class Pattern(Operators):
    """What a node must look like. Combine with Python's operators; a number stands for a constant of that value."""

    def match(self, node: Node, found: Found) -> bool:
        """True if ``node`` looks like this; nodes that have names go into ``found``."""
        raise NotImplementedError  # every kind of pattern defines it

    def _binary(self, name: str, other: Pattern | Scalar, reflected: bool = False) -> Apply:
        if not isinstance(other, Pattern):
            other = literal(other)
        if name in ("gt", "ge"):  # as nodes do: recorded as the mirrored comparison
            name, reflected = {"gt": "lt", "ge": "le"}[name], not reflected
        return Apply(name, (other, self) if reflected else (self, other))

    def _unary(self, name: str) -> Apply:
        return Apply(name, (self,))


class Value(Pattern):
    """Any node; in several places under one name it must be the same node."""

    def __init__(self, name: str):
        self.name = name

    def match(self, node: Node, found: Found) -> bool:
        return found.setdefault(self.name, node) is node

    def __repr__(self) -> str:
        return self.name


class Apply(Pattern):
    """An op applied to inputs that match, with at least the given attribute values.

    ``inputs=None`` takes any inputs. With ``name``, the matched node goes under it.
    """

    def __init__(
        self,
        op: str,
        inputs: Sequence[Pattern] | None = None,
        *,
        name: str = "",
        attrs: dict[str, Any] | None = None,
    ):
        self.op = op
        self.inputs = None if inputs is None else tuple(inputs)
        self.name = name
        self.attrs = attrs or {}

    def match(self, node: Node, found: Found) -> bool:
        if node.op is not OPS[self.op]:
            return False
        if self.inputs is not None:
            if len(self.inputs) != len(node.inputs):
                return False
            if not all(p.match(x, found) for p, x in zip(self.inputs, node.inputs, strict=True)):
                return False
        for key, value in self.attrs.items():
            if not _same_number(node.attrs[key], value):
                return False
        return not self.name or found.setdefault(self.name, node) is node

    def __repr__(self) -> str:
        inside = "..." if self.inputs is None else ", ".join(map(repr, self.inputs))
        attrs = ", ".join(f"{k}={v!r}" for k, v in self.attrs.items())
        return f"{self.op}({inside}){f'{{{attrs}}}' if attrs else ''}"


def literal(value: Scalar) -> Apply:
    """The constant ``value`` of any shape and dtype; -0.0 is not 0.0."""
    return Apply("constant", (), attrs={"value": value})


def _same_number(a: object, b: object) -> bool:
    """Equal, as numbers where both are: 1 is 1.0, but 0.0 is not -0.0."""
    if isinstance(a, int | float) and isinstance(b, int | float):
        return float(a).hex() == float(b).hex()
    return a == b


Replace: TypeAlias = Callable[..., "Node | None"]
Observer: TypeAlias = "Callable[[Rule, Node, Node], None]"


@dataclass(frozen=True, eq=False)
class Rule:
    """A name, the patterns it takes, and ``replace(node, **found)``: an equal node, or None to leave this one alone."""

    name: str
    patterns: tuple[Pattern, ...]
    replace: Replace

    def __post_init__(self) -> None:
        if not all(isinstance(p, Apply) for p in self.patterns):
            raise IRError(f"rule {self.name!r} has a pattern that matches every node")

    @property
    def ops(self) -> tuple[Op, ...]:
        """The ops its patterns start from."""
        return tuple(OPS[p.op] for p in self.patterns if isinstance(p, Apply))

    def apply(self, node: Node) -> Node | None:
        """What the rule makes of ``node``; None if it does not match or declines."""
        for pattern in self.patterns:
            found: Found = {}
            if pattern.match(node, found):
                with located(node.where):
                    new = self.replace(node, **found)
                if new is not None:
                    if new.type is not node.type:
                        raise IRError(f"rule {self.name!r} replaced a {node.type} by a {new.type}")
                    return new
        return None


#: Every declared rule by name, in the order of declaration: the simplifier's table.
RULES: dict[str, Rule] = {}


def declare(*rules: Rule) -> None:
    """Add rules to the table."""
    for rule in rules:
        if RULES.setdefault(rule.name, rule) is not rule:
            raise IRError(f"a rule named {rule.name!r} is already declared")


@lru_cache(maxsize=16)
def _by_op(rules: tuple[Rule, ...]) -> dict[Op, tuple[Rule, ...]]:
    """The rules that could match a node of each op."""
    table: dict[Op, dict[Rule, None]] = {}
    for rule in rules:
        for op in rule.ops:
            table.setdefault(op, {})[rule] = None
    return {op: tuple(found) for op, found in table.items()}


def rewrite(graph: Graph, rules: Iterable[Rule], observer: Observer | None = None) -> Graph:
    """``graph`` with rules applied, inputs before users, until none applies.

    Args:
        graph: what to rewrite; it is not changed.
        rules: tried in order at each node.
        observer: called with each rule that fires, the node before and the node after.

    Raises:
        IRError: the rules keep firing far beyond the size of the graph, or one changed a type.
    """
    table = _by_op(tuple(rules))
    limit = 1000 + 20 * len(graph.nodes)
    steps = 0
    final: dict[Node, Node] = {x: x for x in graph.inputs}
    became: dict[Node, Node] = {}
    stack = list(reversed(graph.outputs))
    while stack:
        node = stack[-1]
        if node in final:
            stack.pop()
            continue
        after = became.get(node)
        if after is None:
            waiting = [x for x in reversed(node.inputs) if x not in final]
            if waiting:
                stack.extend(waiting)
                continue
            rebuilt = node.with_inputs(tuple(final[x] for x in node.inputs))
            after = _first(table.get(node.op, ()), rebuilt, observer)
            if after is None:
                final[node] = final[rebuilt] = rebuilt
                continue
            steps += 1
            if steps > limit:
                raise IRError(f"the rules do not come to an end: {steps} rewrites of {len(graph.nodes)} nodes")
            became[node] = after
        elif after not in final:
            raise IRError(f"a rule replaced {node} by a node that is made from it")
        if after in final:
            final[node] = final[after]
        else:
            stack.append(after)
    outputs = [final[o] for o in graph.outputs]
    if all(a is b for a, b in zip(outputs, graph.outputs, strict=True)):
        return graph
    return graph.with_outputs(outputs)


def _first(rules: Sequence[Rule], node: Node, observer: Observer | None) -> Node | None:
    for rule in rules:
        new = rule.apply(node)
        if new is not None:
            if observer is not None:
                observer(rule, node, new)
            return new
    return None
