"""One trace of a function, ready to run: its graph built, its inputs bound, its effects known.

``finish`` turns what a trace recorded into a ``TracedFunction``; calling that fetches the inputs, runs the machine
code, writes updates back, and hands out tensors with their place in the eager graph.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from sys import getrefcount
from typing import TYPE_CHECKING, Any, NamedTuple

from lucid import changes, ops
from lucid.bindings import Argument, Binding, Captured, Gradient, State
from lucid.compiled_call import ForwardProgram
from lucid.compiled_graph import CompiledGraph
from lucid.eager import DEAD, LIVE, Record, leaf, leaf_like, tensor_of
from lucid.errors import IRError, TraceError
from lucid.functions.arguments import fail
from lucid.ir.graph import Array, Graph, Node, input_call, input_node, topological
from lucid.ir.location import here
from lucid.partition import partition
from lucid.runtime.buffers import is_view
from lucid.runtime.orders import Order, Orders, order_of, orders_for
from lucid.signature import Slot, put
from lucid.tracing import FunctionTrace, GradientGuard, TracedRecord

if TYPE_CHECKING:
    from lucid.tensor import Tensor


class Outside(NamedTuple):
    """Stands in a result for a tensor that the function did not compute."""

    binding: Binding


class Effect(NamedTuple):
    """A write after each call: output ``output`` goes to ``binding``; None is a gradient of None."""

    binding: Binding
    output: int | None


#: Frames of Lucid's own around a call: where the line is asked for, ``TracedFunction`` and ``CompiledFunction``.
_INSIDE = 3


class TracedFunction:
    """The machine code of one signature."""

    def __init__(
        self,
        graph: Graph,
        bindings: Sequence[Binding],
        lives: Sequence[bool],
        result: Any,
        results: int,
        live_results: Sequence[int],
        updates: Sequence[Effect],
        gradients: Sequence[Effect],
        captured: Sequence[tuple[Captured, Any, bool]],
        guards: Sequence[GradientGuard],
        orders: Sequence[Order | None],
        name: str,
    ):
        self.bindings = list(bindings)
        self.result = result
        self.results = results
        self.updates = list(updates)
        self.gradients = list(gradients)
        #: (place, type, whether it required a gradient) of every tensor from outside.
        self.captured = list(captured)
        self.guards = list(guards)
        self.calls = 0
        #: The count of changes at which ``captured`` was found to hold.
        self._checked = -1
        self._written = {e.binding for e in (*self.updates, *self.gradients)}
        self._live = tuple(live_results)
        self._calls = [input_call(node.type) for node in graph.outputs[:results]]
        #: Whether a call has one tensor to give, and nothing to write.
        self._simple = result == Slot(0) and not (updates or gradients or live_results)
        self.program: ForwardProgram | None = None
        if live_results:
            cut = partition(graph, live_results, [k for k, live in enumerate(lives) if live])
            if cut is not None:
                self.program = ForwardProgram(cut, live_results, name)
        forward = graph if self.program is None else self.program.cut.forward
        #: Inputs that change seldom, and only visibly: work that depends on them alone is done when they change.
        self._steady = [b for b in bindings if isinstance(b, Captured) and b not in self._written and not live_results]
        place = {b: k for k, b in enumerate(bindings)}
        counts = Counter(e.output for e in (*self.updates, *self.gradients))
        #: Outputs that also go elsewhere: to the caller, or to a second place.
        self._shared = {k for k, n in counts.items() if k is not None and (k < results or n > 1)}
        #: Updates that are written over what they update; not where a backward may yet read that.
        self._in_place = {
            e.output: place[e.binding]
            for e in self.updates
            if e.output is not None and e.output not in self._shared and e.binding in place and self.program is None
        }
        self.forward = CompiledGraph(
            forward,
            f"{name}.forward",
            [forward.inputs[place[b]] for b in self._steady],
            self._in_place,
            self._edges(forward, orders),
        )
        self._seen: list[tuple[Any, int]] = []
        #: For a call that has nothing to do but run: of each input that moves, its place and that of its argument.
        self._moving = [(k, b.index) for k, b in enumerate(bindings) if isinstance(b, Argument)]
        self._direct = self._simple and len(self._moving) + len(self._steady) == len(bindings)

    def _edges(self, graph: Graph, orders: Sequence[Order | None]) -> Orders:
        """In which order arguments lie, and results will; what is updated is kept in C order."""
        given = [orders[b.index] if isinstance(b, Argument) and b not in self._written else None for b in self.bindings]
        inputs, outputs = orders_for(graph, given)
        updates = {e.output for e in (*self.updates, *self.gradients)}
        return Orders(inputs, {k: order for k, order in outputs.items() if k < self.results and k not in updates})

    def parts(self) -> dict[str, CompiledGraph]:
        """The compiled graphs by name: forward, and backward if gradients can flow."""
        parts = {"forward": self.forward}
        if self.program is not None:
            parts["backward"] = self.program.backward.compiled
        return parts

    # --- does it fit? ---
    def misfit(self, arguments: Sequence[Tensor]) -> str | None:
        """Why this trace cannot serve a call of equal signature: something outside changed. None if it can."""
        moved: list[tuple[State, Any]] = []
        count = changes.latest
        for place, type, live in self.captured if count != self._checked else ():
            binding: Any = place
            tensor: Any = place.captured
            if isinstance(binding, State):
                found = binding.found()
                if found is not tensor:
                    if not hasattr(found, "_record"):
                        return f"{binding.name} is gone"
                    if binding in self._written:
                        return f"{binding.name}, which the function updates, was replaced"
                    tensor = found
                    moved.append((binding, found))
            record = tensor._record
            if record.call.type is not type:
                return f"{binding.name} is {record.call.type!r} instead of {type!r}"
            if (record.state != DEAD) is not live:
                return f"{binding.name} {'no longer requires' if live else 'now requires'} a gradient"
        for guarded, type in self.guards:
            grad = guarded.tensor(arguments)._grad
            now = None if grad is None else grad.type
            if now is not type:
                return f"{guarded.name}.grad is {now!r} instead of {type!r}"
        for state, found in moved:
            state.captured = found
            changes.write()
        self._checked = count
        return None

    # --- running ---
    def __call__(self, arguments: Sequence[Tensor]) -> Any:
        """Run on the tensors of a call."""
        self.calls += 1
        written = changes.written
        executable = self.forward.ready if self._direct else None
        if executable is not None and executable.mark == written:
            moved = []  # a comprehension would cost more
            for k, index in self._moving:
                moved.append((k, arguments[index]._data))
            result = executable.again(moved, written)
            if result is not None:
                return leaf_like(self._calls[0], result, here(_INSIDE))
        for k in self._in_place.values():
            self._make_exclusive(self.bindings[k].tensor(arguments))
        arrays = [b.array(arguments) for b in self.bindings]
        settled = self._direct and all(_is_settled(b.captured) for b in self._steady)
        refresh = bool(self._steady) and self._must_refresh()
        for binding, _ in self.gradients:  # their memory takes the new ones, if nobody else has it
            binding.tensor(arguments)._grad = None
        results = self.forward(arrays, refresh, written if settled else None)
        where = here(_INSIDE)
        if self._simple:
            return leaf_like(self._calls[0], results[0], where)
        tensors: list[Any] = [None] * self.results
        if self.program is not None:
            inputs = [self._record_of(b, arguments) for b in self.bindings]
            for k, record in zip(self._live, self.program.connect(inputs, arrays, results), strict=True):
                tensors[k] = tensor_of(results[k], record)
        for k in range(self.results):
            if tensors[k] is None:
                tensors[k] = leaf_like(self._calls[k], results[k], where)
        for binding, output in self.updates:
            binding.tensor(arguments)._assign(self._own(results, output))
        for binding, output in self.gradients:
            binding.tensor(arguments)._grad = None if output is None else leaf(self._own(results, output))
        return _filled(put(self.result, tensors), arguments)

    def _own(self, results: Sequence[Array], output: int | None) -> Array:
        if output is None:
            raise IRError("an update has a value")
        return results[output].copy() if output in self._shared else results[output]

    def _make_exclusive(self, tensor: Tensor) -> None:
        """Give ``tensor``, which is about to be written over, memory of its own if anybody else holds what it has.

        Whoever holds an array or a view of it is counted by Python: a detached twin, a state dict, a pending backward.
        """
        array = tensor._data
        # Three are known: the tensor's, the name here, and getrefcount's own argument.
        if getrefcount(array) > 3 or is_view(array) or not array.flags.carray:
            tensor._data = array.copy()

    def _record_of(self, binding: Binding, arguments: Sequence[Tensor]) -> Record:
        if isinstance(binding, Argument | Captured):
            return binding.tensor(arguments)._record
        type = self.forward.source.inputs[self.bindings.index(binding)].type
        return Record(input_call(type), (), None, DEAD, 0)

    def _must_refresh(self) -> bool:
        """Whether a steady input changed since the last run, or may have."""
        for binding, (tensor, version) in zip(self._steady, self._seen, strict=False):
            now = binding.captured
            if now is not tensor or now._version != version or not _is_settled(now):
                break
        else:
            if len(self._seen) == len(self._steady):
                return False
        for binding in self._steady:
            binding.captured._watched = True
        self._seen = [(b.captured, b.captured._version) for b in self._steady]
        return True


def _is_settled(tensor: Tensor) -> bool:
    """Whether the tensor's values cannot change without notice."""
    return not (tensor._escaped or tensor._shared or tensor._base is not None)


def _filled(tree: Any, arguments: Sequence[Tensor]) -> Any:
    """``tree`` with tensors from outside put in."""
    if tree.__class__ is Outside:
        return tree.binding.tensor(arguments)
    if tree.__class__ is tuple or tree.__class__ is list:
        return tree.__class__([_filled(t, arguments) for t in tree])
    if tree.__class__ is dict:
        return {k: _filled(t, arguments) for k, t in tree.items()}
    if isinstance(tree, tuple) and hasattr(tree, "_fields"):
        return type(tree)(*[_filled(t, arguments) for t in tree])
    return tree


def finish(trace: FunctionTrace, value: Any, name: str) -> TracedFunction:
    """What the trace recorded while the function ran and returned ``value``. The trace is still active."""
    results: list[Record] = []
    result = _take(trace, value, results)
    updates = trace.updates()
    writes = trace.gradient_writes()
    records = [*results, *(r for _, r in updates), *(r for _, r in writes if r is not None)]
    index: dict[Record, int] = {}
    for record in records:
        index.setdefault(record, len(index))
    outputs = list(index)
    live = [index[r] for r in dict.fromkeys(results) if r.state == LIVE]
    _require_plain_gradient([outputs[k] for k in live])
    order = [r for r in topological(outputs) if isinstance(r, Record)]
    used = trace.used_inputs(order)
    nodes = _nodes(order, [r for _, r in used], cut=bool(live))
    output_names = [f"out{k}" for k in range(len(set(results)))]
    output_names += [""] * (len(outputs) - len(output_names))
    for binding, record in updates:
        output_names[index[record]] = output_names[index[record]] or f"{binding.name}.new"
    for binding, grad in writes:
        if grad is not None:
            output_names[index[grad]] = output_names[index[grad]] or f"{binding.name}.grad.new"
    graph = Graph([nodes[r] for _, r in used], [nodes[r] for r in outputs], [b.name for b, _ in used], output_names)
    captured = {b: (b, r.call.type, r.state != DEAD) for b, r in trace.inputs if isinstance(b, Captured)}
    return TracedFunction(
        graph,
        [b for b, _ in used],
        [r.state != DEAD and not isinstance(b, Gradient) for b, r in used],
        result,
        len(set(results)),
        live,
        [Effect(b, index[r]) for b, r in updates],
        [Effect(b, None if r is None else index[r]) for b, r in writes],
        list(captured.values()),
        trace.guards,
        [order_of(t._data) for t in trace.arguments],
        name,
    )


def _take(trace: FunctionTrace, value: Any, results: list[Record]) -> Any:
    """``value`` with computed tensors replaced by slots, and tensors from outside by their places."""
    from lucid.tensor import Tensor

    numbers: dict[Record, int] = {}

    def take(item: Any) -> Any:
        if isinstance(item, Tensor):
            binding = trace.binding_if_outside(item)
            if binding is not None:
                return Outside(binding)
            record = trace.record_of(item)
            numbers.setdefault(record, len(numbers))
            results.append(record)
            return Slot(numbers[record])
        if isinstance(item, tuple) and hasattr(item, "_fields"):
            return type(item)(*[take(x) for x in item])
        if item.__class__ is tuple or item.__class__ is list:
            return item.__class__([take(x) for x in item])
        if item.__class__ is dict:
            return {k: take(x) for k, x in item.items()}
        return item

    return take(value)


def _require_plain_gradient(live: Sequence[Record]) -> None:
    """Refuse what an eager backward through the function's result could not honour."""
    for record in topological(live, stop=lambda r: isinstance(r, Record) and r.state == DEAD):
        if not isinstance(record, TracedRecord) or record.state == DEAD or not record.inputs:
            continue
        if record.owner is not None:
            fail(
                TraceError(
                    "the result depends on a tensor that the compiled function updated, and requires a gradient",
                    op="compile",
                    hint="return it detached, or call backward before the update",
                )
            )
        if record.hooks:
            fail(
                TraceError(
                    "a hook on a value inside a compiled function would not be called by a backward outside",
                    op="compile",
                    hint="call backward inside the compiled function, or return the value and hook the result",
                )
            )


def _nodes(order: Sequence[Record], inputs: Sequence[Record], cut: bool) -> dict[Record, Node]:
    """Plain nodes for records. With ``cut``, gradients stop where they stopped while tracing."""
    nodes: dict[Record, Node] = {r: input_node(r.call.type, r.where) for r in inputs}
    stopped: dict[Record, Node] = {}
    flows = {r for r in inputs if r.state != DEAD}  # a gradient could come this far
    for record in order:
        if record.owner is not None and record.inputs:  # an updated leaf: a new name for its new value
            nodes[record] = nodes[record.inputs[0]]
        elif record not in nodes:
            parts = []
            for x in record.inputs:
                node = nodes[x]
                if cut and record.state == LIVE and x.state == DEAD and x in flows:
                    if x not in stopped:
                        stopped[x] = Node(ops.stop_gradient.call((x.call.type,), {}), (node,), x.where)
                    node = stopped[x]
                parts.append(node)
            nodes[record] = Node(record.call, tuple(parts), record.where)
        if any(x in flows for x in record.inputs):
            flows.add(record)
    return nodes
