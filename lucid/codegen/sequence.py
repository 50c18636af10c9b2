"""The order kernels run in, and what each may write over: dependencies between kernels, before they have loops.

A value should live briefly. Depth first from the outputs, those nearest to the inputs first, a weight's gradient and
its update run as soon as the gradient of the layer's result is there, not after all others; a copy of a parameter is
made just before it is read. Knows kernels by what they read and store; neither loops nor bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from lucid.codegen.spec import KernelSpec
from lucid.errors import IRError
from lucid.ir.expr import Reduce, loads, walk
from lucid.ir.graph import Node


class Sequenced(NamedTuple):
    """Kernels in the order they run."""

    specs: list[KernelSpec]
    #: What must have run before each, directly.
    needs: list[frozenset[int]]
    #: The updates that are safe in place.
    over: dict[Node, Node]


def sequence(specs: Sequence[KernelSpec], outputs: Collection[Node], updates: Mapping[Node, Node]) -> Sequenced:
    """The kernels in the order they run.

    Args:
        specs: in an order that could be run.
        outputs: what leaves the graph.
        updates: value to input: the value is to be written over that input.
    """
    order = _Order(specs)
    safe = {node: source for node, source in updates.items() if order.overwrite(node, source)}
    found = order.run(outputs)
    place = {k: at for at, k in enumerate(found)}
    needs = [frozenset(place[j] for j in order.before[k]) for k in found]
    return Sequenced([specs[k] for k in found], needs, safe)


class _Order:
    def __init__(self, specs: Sequence[KernelSpec]):
        self.specs = specs
        self.writers: dict[Node, list[int]] = {}
        self.readers: dict[Node, list[int]] = {}
        for k, spec in enumerate(specs):
            for store in spec.stores:
                self.writers.setdefault(store.node, []).append(k)
            for source in spec.sources:
                self.readers.setdefault(source, []).append(k)
        #: What must have run before each kernel.
        self.before: list[dict[int, None]] = [
            {w: None for source in spec.sources for w in self.writers.get(source, ()) if w != k}
            for k, spec in enumerate(specs)
        ]

    def overwrite(self, node: Node, source: Node) -> bool:
        """Have ``node`` stored over ``source``, after all that read it; False if some of them need the new value."""
        writers = self.writers.get(node, ())
        if len(writers) != 1 or not same_positions(self.specs[writers[0]], node, source):
            return False
        (writer,) = writers
        others = [k for k in self.readers.get(source, ()) if k != writer]
        if others and any(self._needs(k, writer) for k in others):
            return False
        self.before[writer].update(dict.fromkeys(others))
        return True

    def _needs(self, spec: int, earlier: int) -> bool:
        """Whether ``earlier`` must run before ``spec``, directly or not."""
        stack, seen = [spec], {spec}
        while stack:
            for k in self.before[stack.pop()]:
                if k == earlier:
                    return True
                if k not in seen:
                    seen.add(k)
                    stack.append(k)
        return False

    def run(self, outputs: Collection[Node]) -> list[int]:
        depth = self._depths()
        done: dict[int, None] = {}
        last = [k for k, spec in enumerate(self.specs) if any(s.node in outputs for s in spec.stores)]
        for root in sorted(last, key=lambda k: (depth[k], k)):
            _visit(root, lambda k: sorted(self.before[k], key=lambda j: (-depth[j], j)), done)
        return list(done)

    def _depths(self) -> list[int]:
        """The longest way from an input to each kernel."""
        found: dict[int, None] = {}
        for k in range(len(self.specs)):
            _visit(k, lambda j: list(self.before[j]), found)
        depth = [0] * len(self.specs)
        for k in found:
            depth[k] = 1 + max((depth[j] for j in self.before[k]), default=-1)
        return depth


def _visit(root: int, before: Callable[[int], list[int]], done: dict[int, None]) -> None:
    """Add ``root`` to ``done``, and before it what it needs, depth first."""
    stack: list[tuple[int, bool]] = [(root, False)]
    begun: set[int] = set()
    while stack:
        k, ready = stack.pop()
        if ready:
            done.setdefault(k)
        elif k not in done:
            if k in begun:
                raise IRError(f"kernel {k} needs itself")
            begun.add(k)
            stack.append((k, True))
            stack.extend((j, False) for j in reversed(before(k)))


def same_positions(spec: KernelSpec, node: Node, source: Node) -> bool:
    """The kernel reads ``source`` only where it stores ``node``: each element may be overwritten as it goes.

    A reduction may run in several passes over its result, and reads too early or too late.
    """
    (store,) = [s for s in spec.stores if s.node is node]
    for value in (s.value for s in spec.stores):
        if any(x.source is source and (x.index != store.index or x.fill is not None) for x in loads(value)):
            return False
        if any(isinstance(e, Reduce) and any(x.source is source for x in loads(e.body)) for e in walk(value)):
            return False
    return True


def reuse(
    specs: Sequence[KernelSpec], inside: Collection[Node], alike: Callable[[Node, Node], bool]
) -> dict[Node, Node]:
    """Results that may be written over an operand which nothing reads afterwards.

    Args:
        specs: in the order they run.
        inside: the values that come and go during a run.
        alike: whether two values lie alike in memory.
    """
    writers: dict[Node, int] = {}
    last: dict[Node, int] = {}
    for k, spec in enumerate(specs):
        for store in spec.stores:
            writers[store.node] = writers.get(store.node, 0) + 1
        last.update(dict.fromkeys(spec.sources, k))
    over: dict[Node, Node] = {}
    for k, spec in enumerate(specs):
        free = [x for x in spec.sources if x in inside and last[x] == k and all(x is not s.node for s in spec.stores)]
        for store in spec.stores:
            if store.node not in inside or writers[store.node] > 1:
                continue
            for source in free:
                if alike(store.node, source) and same_positions(spec, store.node, source):
                    over[store.node] = source
                    free.remove(source)
                    break
    return over


def root(over: Mapping[Node, Node], node: Node) -> Node:
    """The value whose memory ``node`` finally lies in."""
    while node in over:
        node = over[node]
    return node
