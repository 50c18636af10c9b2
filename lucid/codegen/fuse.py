"""Fusion: from a graph of nodes to a list of kernels, by substituting index expressions for loads.

Every node starts as its op's ``compute`` expression. Walking forward, a node is either *inlined* into the one kernel
that uses it (views, constants, elementwise work, and a contraction or reduction into the elementwise chain that
follows it: its epilogue) or *stored*, which makes it a kernel's result. Legality is read off the expressions; no op
is known by name.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from math import prod

from lucid.codegen.spec import KernelSpec, Store, cost
from lucid.ir.expr import (
    Axis,
    Binary,
    Expr,
    Load,
    Operand,
    Reduce,
    Select,
    axes,
    free_axes,
    index,
    loads,
    rewrite,
    substitute,
    walk,
)
from lucid.ir.graph import Graph, Node
from lucid.ir.types import is_float

#: An expression may grow to this many distinct parts before its pieces are stored instead.
LARGEST_EXPRESSION = 400


class Kind(Enum):
    """What a node's whole fused expression is made of."""

    CONSTANT = "constant"  # no loads: recomputed wherever it is needed
    VIEW = "view"  # one load at another position
    MAP = "map"  # elementwise arithmetic
    REDUCE = "reduce"  # sums, maxima, windows
    CONTRACTION = "contraction"  # a sum of products of two loads


@dataclass
class _Fused:
    """A node's expression over its own output axes, with inlined producers already substituted."""

    node: Node
    axes: tuple[Axis, ...]
    expr: Expr
    kind: Kind
    nodes: tuple[Node, ...] = ()
    own: Expr = field(init=False)

    def __post_init__(self) -> None:
        self.own = self.expr


def factors(reduce: Reduce) -> tuple[Load, Load] | None:
    """The two loads whose products a contraction sums (each maybe guarded by a select with zero)."""
    body = reduce.body
    if reduce.kind != "sum" or not (isinstance(body, Binary) and body.op == "mul"):
        return None
    a, b = _guarded_load(body.a), _guarded_load(body.b)
    return (a, b) if a is not None and b is not None else None


def _guarded_load(expr: Expr) -> Load | None:
    while isinstance(expr, Select):
        expr = expr.a
    return expr if isinstance(expr, Load) else None


def is_contraction(expr: Expr) -> bool:
    """A sum of products in which one factor lacks an axis of the output that the other has: not a plain dot product."""
    if not isinstance(expr, Reduce):
        return False
    pair = factors(expr)
    if pair is None:
        return False
    inside = set(expr.axes)
    seen = [{x for i in load.index for x in walk(i) if isinstance(x, Axis)} - inside for load in pair]
    return (bool(seen[0] - seen[1]) and bool(seen[1] - seen[0])) or _is_depthwise(expr, pair)


def _is_depthwise(expr: Reduce, pair: tuple[Load, Load]) -> bool:
    """Windows of one factor against taps of the other: a padded load meets a plain one that lacks some output axes."""
    return any(load.fill is not None for load in pair) and is_float(expr.dtype)


def classify(expr: Expr) -> Kind:
    """The kind of one op's own expression."""
    if is_contraction(expr):
        return Kind.CONTRACTION
    if any(isinstance(e, Reduce) for e in walk(expr)):
        return Kind.REDUCE
    if isinstance(expr, Load) and expr.fill is None:
        return Kind.VIEW
    return Kind.MAP if loads(expr) else Kind.CONSTANT


def permutes(load: Load, over: Sequence[Axis]) -> bool:
    """Over ``over``, the load meets each element of its source once: axes of one position say nothing about order."""
    longer = [(i, n) for i, n in zip(load.index, load.type.shape, strict=True) if n != 1]
    axes = {(a, a.extent) for a in over if a.extent != 1}  # an axis shorter than the dimension leaves elements out
    return len(longer) == len(axes) and set(longer) == axes


def _always_first(position: Expr) -> bool:
    return position == index(0) or (isinstance(position, Axis) and position.extent == 1)


def _evaluations(fused: _Fused, read: Load) -> int:
    """How often a load is evaluated: at every output, or, inside a reduction, once for each of its own positions."""
    count = prod(a.extent for a in fused.axes)
    for expr in walk(fused.own):
        if isinstance(expr, Reduce) and any(part is read for part in walk(expr.body)):
            # A reduction runs where its free axes are known, not once for every output.
            count = max(1, prod(a.extent for a in (*free_axes(expr), *expr.axes)))
            break
    return count


def inline(root: Expr, producers: dict[Node, _Fused]) -> Expr:
    """``root`` with loads of the given producers replaced by their expressions at that position."""

    def visit(expr: Expr) -> Expr | None:
        if not isinstance(expr, Load) or expr.source not in producers:
            return None
        producer = producers[expr.source]
        change: dict[Axis, Expr] = dict(zip(producer.axes, expr.index, strict=True))
        for part in walk(producer.expr):
            if isinstance(part, Reduce):  # each copy reduces over axes of its own
                change.update({a: Axis(a.name, a.extent) for a in part.axes})
        value = substitute(producer.expr, change)
        if expr.fill is None:
            return value
        if isinstance(value, Load) and value.fill is None:
            return Load(value.source, value.type, value.index, expr.fill)
        raise AssertionError("a padded load of a computed value is never inlined")

    return rewrite(root, visit)


def fuse(graph: Graph, accepts_epilogue: Callable[[Expr], bool]) -> list[KernelSpec]:
    """The kernels of a graph in execution order; ``accepts_epilogue`` is the strategy's word on a contraction."""
    return _Fusion(graph, accepts_epilogue).run()


class _Fusion:
    def __init__(self, graph: Graph, accepts_epilogue: Callable[[Expr], bool]):
        self.graph = graph
        self.accepts_epilogue = accepts_epilogue
        self.outputs = set(graph.outputs)
        self.inputs = set(graph.inputs)
        self.inlined: dict[Node, _Fused] = {}
        self.host: dict[Node, Kind] = {}  # users that already took in a reduction or contraction
        self.raw: dict[Node, _Fused] = {}
        self.users: dict[Node, list[Node]] = {}
        for node in graph.nodes:
            if node in self.inputs:
                continue
            self.raw[node] = self._own(node)
            for x in dict.fromkeys(node.inputs):
                self.users.setdefault(x, []).append(node)

    @staticmethod
    def _own(node: Node) -> _Fused:
        out = axes("i", node.shape)
        expr = node.op.compute(out, *[Operand(x, x.type) for x in node.inputs], **node.attrs)
        return _Fused(node, out, expr, classify(expr))

    def run(self) -> list[KernelSpec]:
        specs: list[KernelSpec] = []
        for node in self.graph.nodes:
            if node in self.inputs:
                continue
            fused = self.raw[node]
            absorbed = [x for x in dict.fromkeys(node.inputs) if x in self.inlined]
            fused.nodes = (*dict.fromkeys(n for x in absorbed for n in self.inlined[x].nodes), node)
            if absorbed:
                fused.expr = inline(fused.expr, {x: self.inlined[x] for x in absorbed})
                kinds = {self.inlined[x].kind for x in absorbed}
                for kind in (Kind.CONTRACTION, Kind.REDUCE):
                    if fused.kind in (Kind.MAP, Kind.VIEW) and kind in kinds:
                        fused.kind = kind
                if fused.kind == Kind.VIEW and Kind.MAP in kinds:
                    fused.kind = Kind.MAP
                if fused.kind in (Kind.MAP, Kind.VIEW) and not loads(fused.expr):
                    fused.kind = Kind.CONSTANT
            if node not in self.outputs and self._may_inline(fused):
                self.inlined[node] = fused
            else:
                specs.append(KernelSpec(fused.axes, (Store(node, fused.axes, fused.expr),), fused.nodes))
        return specs

    def _may_inline(self, fused: _Fused) -> bool:
        node = fused.node
        users = self._users_through_views(node)
        if not users:
            return True  # a dead end: nothing reads it
        if fused.kind == Kind.CONSTANT:
            return all(self._loads_plainly(u, fused) for u in users) and cost(fused.expr) <= 4
        if fused.kind == Kind.VIEW:
            return all(self._loads_plainly(u, fused) for u in self.users[node])
        if sum(1 for _ in walk(fused.expr)) > LARGEST_EXPRESSION:
            return False
        if len(users) > 1:
            return self._cheap_to_repeat(fused) and all(self._repeats_in(fused, user) for user in users)
        (user,) = users
        if self.raw[user].kind == Kind.CONTRACTION or not self._loads_plainly(user, fused):
            return False
        if fused.kind == Kind.MAP:
            return self._map_into(fused, user)
        return self._epilogue_into(fused, user)

    @staticmethod
    def _cheap_to_repeat(fused: _Fused) -> bool:
        """An operation or two on one value as large as the result: reading that again costs what reading this would."""
        if fused.kind != Kind.MAP or cost(fused.expr) > 2:
            return False
        wide = {x.source: x.type.size for x in loads(fused.expr) if 8 * x.type.size > fused.node.type.size}
        return len(wide) == 1 and max(wide.values()) <= fused.node.type.size

    def _repeats_in(self, fused: _Fused, user: Node) -> bool:
        """``user`` could compute the value instead of reading it, as often as there are elements and no more."""
        if self.raw[user].kind == Kind.CONTRACTION or self._path_pads(fused.node):
            return False
        if not self._loads_plainly(user, fused):
            return False
        chain = self._chain(fused.node, user)
        reads = [x for x in loads(self.raw[user].own) if x.source in chain]
        return all(_evaluations(self.raw[user], x) <= fused.node.type.size for x in reads)

    def _users_through_views(self, node: Node) -> list[Node]:
        """The nodes that finally compute with a value, looking through the views between."""
        found: dict[Node, None] = {}
        stack = list(self.users.get(node, ()))
        while stack:
            user = stack.pop()
            if self.raw[user].kind == Kind.VIEW and user not in self.outputs:
                stack.extend(self.users.get(user, ()))
            else:
                found[user] = None
        return list(found)

    def _loads_plainly(self, user: Node, fused: _Fused) -> bool:
        """A padded load tests bounds of the value it names: only a pure transpose may be looked through.

        An axis of one position that the transpose drops has bounds to test too, unless the load never leaves it.
        """
        for load in loads(self.raw[user].own):
            if load.source is fused.node and load.fill is not None:
                expr = fused.expr
                if not (isinstance(expr, Load) and expr.fill is None and permutes(expr, fused.axes)):
                    return False
                for axis, position in zip(fused.axes, load.index, strict=True):
                    if axis not in expr.index and not _always_first(position):
                        return False
        return True

    def _map_into(self, fused: _Fused, user: Node) -> bool:
        if self._path_pads(fused.node):
            return False
        reads = [x for x in loads(self.raw[user].own) if x.source in self._chain(fused.node, user)]
        work = cost(fused.expr)
        size = max(fused.node.type.size, 1)
        positions = max((_evaluations(self.raw[user], read) for read in reads), default=0)
        if size == 1:
            return work <= 40
        if len(reads) > 1 and work > 2:
            return False
        return positions <= 2 * size or (work <= 2 and positions <= 16 * size)

    def _epilogue_into(self, fused: _Fused, user: Node) -> bool:
        """Reductions go into an elementwise user, or an output, that reads each element once, at its own position."""
        raw = self.raw[user]
        if raw.kind not in (Kind.MAP, Kind.VIEW) or user in self.host or raw.node.type.size != fused.node.type.size:
            return False
        if fused.kind == Kind.CONTRACTION and not self.accepts_epilogue(fused.expr):
            return False
        chain = self._chain(fused.node, user)
        if len(chain) > 1 and any(not self._permutes(x) for x in chain[1:]):
            return False
        reads = [x for x in loads(raw.own) if x.source in chain]
        if len(reads) != 1 or not permutes(reads[0], raw.axes):
            return False
        self.host[user] = fused.kind
        return True

    def _permutes(self, view: Node) -> bool:
        raw = self.raw[view]
        return isinstance(raw.own, Load) and permutes(raw.own, raw.axes)

    def _chain(self, node: Node, user: Node) -> list[Node]:
        """``node`` and the views of it that ``user`` reads."""
        chain = [node]
        for x in chain:
            chain.extend(u for u in self.users.get(x, ()) if u is not user and self.raw[u].kind == Kind.VIEW)
        return chain

    def _path_pads(self, node: Node) -> bool:
        """True if some reader, directly or through views, reads outside the bounds of this value."""
        stack = [node]
        while stack:
            x = stack.pop()
            for user in self.users.get(x, ()):
                if any(load.source is x and load.fill is not None for load in loads(self.raw[user].own)):
                    return True
                if self.raw[user].kind == Kind.VIEW:
                    stack.append(user)
        return False
