"""``lucid.graph``: the IR graph behind tensors that were computed eagerly, with its inputs' values where alive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lucid.eager import Constant, Record, mode
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError, TraceError
from lucid.functions.arguments import fail
from lucid.ir.graph import OPS, Array, Graph, Node, input_node, input_op, topological
from lucid.ir.interpreter import evaluate as run

if TYPE_CHECKING:
    from lucid.tensor import Tensor


class CapturedGraph(Graph):
    """A graph that also knows the arrays its inputs stood for when it was captured."""

    def __init__(self, *args: Any, arrays: Sequence[Array | None] = (), **kwargs: Any):
        super().__init__(*args, **kwargs)
        self._arrays = tuple(arrays)

    @property
    def values(self) -> list[Array]:
        """One array per input: ``evaluate(graph, graph.values)`` computes the captured tensors again.

        Raises:
            ArgumentError: an input's tensor is gone, and nothing kept its value.
        """
        for name, array in zip(self.input_names, self._arrays, strict=True):
            if array is None:
                fail(
                    ArgumentError(
                        f"the value of input {name} is gone: its tensor was deleted",
                        op="graph.values",
                        hint="keep the tensor, or pass arrays of your own to lucid.evaluate(graph, arrays)",
                    )
                )
        return list(self._arrays)  # type: ignore[arg-type]  # none is None: checked above


def graph(*tensors: Tensor, inputs: Mapping[str, Tensor] | None = None) -> CapturedGraph:
    """The IR graph that computes ``tensors``, as it was recorded, with the user's line on every node.

    Args:
        tensors: the outputs.
        inputs: names for tensors that are to be inputs, leaves or values in between. Other leaves follow in the order
            they are met, under their own names (a parameter's is its path in the module) or as ``x0``, ``x1``, ...

    Raises:
        ArgumentTypeError, ArgumentError: something that is not a tensor; nothing at all.
        TraceError: called inside a compiled function.

    >>> import lucid
    >>> x = lucid.tensor([1.0, 2.0])
    >>> print(lucid.print_graph(lucid.graph(x * 2.0 + x, inputs={"x": x}), locations=False))
    graph(%x: f32[2]) -> (out0) {
      %0 = constant() {value=2.0, shape=(), dtype=f32} : f32[]
      %1 = mul(%x, %0) : f32[2]
      %2 = add(%1, %x) : f32[2]
      return %2
    }
    """
    from lucid.tensor import Tensor

    given = dict(inputs or {})
    for name, t in [*((f"tensors[{k}]", t) for k, t in enumerate(tensors)), *given.items()]:
        if not isinstance(t, Tensor):
            fail(ArgumentTypeError(f"{name} must be a tensor, not {type(t).__name__}", op="graph"))
    if not tensors:
        fail(ArgumentError("at least one tensor must be given", op="graph"))
    if mode.trace is not None:
        fail(
            TraceError("a graph cannot be captured inside a compiled function", op="graph", hint="use compiled.dump()")
        )

    nodes: dict[Node, Node] = {}
    names: list[str] = []
    arrays: list[Array | None] = []
    for name, t in given.items():
        nodes[t._record] = input_node(t.type, t._record.where)
        names.append(name)
        arrays.append(t._data)
    unnamed = 0
    for record in topological([t._record for t in tensors], stop=nodes.__contains__):
        if record in nodes or not isinstance(record, Record):
            continue
        if isinstance(record, Constant):
            continue  # made where it is used, at the user's line
        if record.inputs:
            parts = tuple([nodes[x] if x in nodes else _constant(x, record) for x in record.inputs])
            program = record.call.attrs.get("program")  # of a call of machine code: shown as what it computes
            nodes[record] = Node(record.call, parts, record.where) if program is None else program.inline(parts)
            continue
        owner = None if record.owner is None else record.owner()
        name = (owner.name if owner is not None else None) or ""
        if not name or name in names:
            while f"x{unnamed}" in names:
                unnamed += 1
            name = f"x{unnamed}"
        names.append(name)
        nodes[record] = input_node(record.call.type, record.where)
        alive = owner is not None and owner._record is record
        arrays.append(owner._data if owner is not None and alive else record.value)
    outputs = [nodes[t._record] if t._record in nodes else _constant(t._record, t._record) for t in tensors]
    reached = set(topological(outputs))
    leaves = zip([n for n in nodes.values() if n.op is input_op], names, arrays, strict=True)
    rows = [row for k, row in enumerate(leaves) if k < len(given) or row[0] in reached]
    return CapturedGraph(
        [node for node, _, _ in rows], outputs, [name for _, name, _ in rows], arrays=[array for _, _, array in rows]
    )


def _constant(record: Any, user: Record) -> Node:
    value = record.value
    call = OPS["constant"].call((), {"value": value.item(), "shape": value.shape, "dtype": value.dtype})
    return Node(call, (), user.where)


def evaluate(graph: Graph, arrays: Sequence[Any] | None = None) -> list[Array]:
    """Run a graph node by node with NumPy: the oracle that compiled results are compared with.

    Args:
        graph: a captured, parsed or differentiated graph.
        arrays: one array (or tensor) per input; by default the values a captured graph remembers.

    Raises:
        ArgumentError, ArgumentTypeError, ShapeError, DTypeError: the arrays do not fit the inputs.

    >>> import lucid
    >>> x = lucid.tensor([1.0, 2.0])
    >>> lucid.evaluate(lucid.graph(x * 2.0))
    [array([2., 4.], dtype=float32)]
    """
    if arrays is None:
        if not isinstance(graph, CapturedGraph):
            fail(
                ArgumentError(
                    f"arrays must be given, one for each of the inputs {', '.join(graph.input_names)}", op="evaluate"
                )
            )
        arrays = graph.values
    try:
        return run(graph, [getattr(a, "_data", a) for a in arrays])
    except LucidError as error:
        error.op = error.op or "evaluate"
        fail(error)
