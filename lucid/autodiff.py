"""Reverse-mode differentiation, graph to graph: walk backwards, ask each op for its ``vjp``, add where values fan out.

Holds no per-op rule, and cannot tell a first derivative from a second: a gradient graph is a graph like any other.
"""

from __future__ import annotations

from collections.abc import Sequence

from lucid.errors import DTypeError, GradientError, IRError, ShapeError
from lucid.ir.graph import OPS, Graph, Node, input_node, input_op, topological
from lucid.ir.location import located
from lucid.ir.types import is_float
from lucid.ir.verify import verify


def differentiate(graph: Graph, wrt: Sequence[Node], cotangents: Sequence[Node | None] | None = None) -> Graph:
    """The graph of vector-Jacobian products of ``graph`` with respect to some of its nodes.

    Args:
        graph: the forward graph.
        wrt: floating-point nodes of it (inputs or values between) to differentiate with respect to.
        cotangents: one node per output, of the output's type; None for an output that no gradient comes from, as
            every integer or bool output must be. If not given, a fresh input per floating output is made.

    Returns:
        A graph whose inputs are the forward's, followed by the cotangents' (named ``grad_<output>`` where fresh), and
        whose outputs are one gradient per ``wrt`` (``grad_<input>``), zeros where no output depends on it. The forward
        values it needs are recomputed from the forward's own nodes, shared with ``graph``.

    Raises:
        GradientError: a node of ``wrt`` is not floating point, or there is not one cotangent per output.
        ShapeError, DTypeError: a cotangent does not have its output's type.

    >>> import lucid.ops
    >>> from lucid.ir.text import parse_graph
    >>> graph = parse_graph("graph(%x: f32[3]) -> (y) { %0 = mul(%x, %x) : f32[3] return %0 }")
    >>> print(differentiate(graph, graph.inputs).output_names)
    ('grad_x',)
    """
    if cotangents is None:
        cotangents = [input_node(o.type) if is_float(o.dtype) else None for o in graph.outputs]
    found = gradients(graph.outputs, wrt, cotangents)
    outputs = [_zeros(n) if g is None else g for n, g in zip(wrt, found, strict=True)]

    known = set(graph.inputs)
    given = [c for c in cotangents if c is not None]
    # Only inputs the cotangents bring along are new; the rest of the forward's inputs are already there.
    fresh = [n for n in topological(given) if n.op is input_op and n not in known]
    cotangent_names = {c: f"grad_{n}" for c, n in zip(cotangents, graph.output_names, strict=True) if c is not None}
    names = list(graph.input_names)
    for node in fresh:
        names.append(_unused(cotangent_names.get(node, "cotangent"), names))
    input_names = dict(zip(graph.inputs, graph.input_names, strict=True))
    output_names: list[str] = []
    for k, node in enumerate(wrt):
        output_names.append(_unused(f"grad_{input_names.get(node, k)}", output_names))
    result = Graph((*graph.inputs, *fresh), outputs, names, output_names)
    verify(result)
    return result


def gradients(outputs: Sequence[Node], wrt: Sequence[Node], cotangents: Sequence[Node | None]) -> list[Node | None]:
    """Nodes for the gradients of ``sum(<output, cotangent>)``; None where no output depends on a node of ``wrt``.

    Only nodes on a path from ``wrt`` to ``outputs`` are visited. Each new node carries the location of the forward
    node it comes from, and a value that fans out sums its gradients in a fixed order.

    Raises:
        GradientError, ShapeError, DTypeError: as ``differentiate``.
    """
    _check(outputs, wrt, cotangents)
    targets = frozenset(wrt)
    order = topological(outputs)
    active: set[Node] = set()  # values that depend on wrt through a path along which gradients flow
    for node in order:
        if node in targets or (
            node.op.differentiable and is_float(node.dtype) and any(x in active for x in node.inputs)
        ):
            active.add(node)
    found: dict[Node, Node] = {}
    for output, g in zip(outputs, cotangents, strict=True):
        if g is not None and output in active:
            with located(output.where):
                found[output] = OPS["add"](found[output], g) if output in found else g
    for node in reversed(order):
        if node not in found or not node.op.differentiable or not any(x in active for x in node.inputs):
            continue
        with located(node.where):
            for x, g in zip(node.inputs, _vjp(node, found[node]), strict=True):
                if g is None or x not in active:
                    continue
                found[x] = OPS["add"](found[x], g) if x in found else g
    return [found.get(n) for n in wrt]


def _vjp(node: Node, g: Node) -> Sequence[Node | None]:
    """The op's own rule, its result checked."""
    results = node.op.vjp(node, g)
    if len(results) != len(node.inputs):
        raise IRError(f"{node.op.name}: vjp gave {len(results)} gradients for {len(node.inputs)} inputs")
    for k, (x, result) in enumerate(zip(node.inputs, results, strict=True)):
        if result is not None and result.type is not x.type:
            raise IRError(f"{node.op.name}: vjp gave a {result.type} for input {k}, which is {x.type}")
    return results


def _check(outputs: Sequence[Node], wrt: Sequence[Node], cotangents: Sequence[Node | None]) -> None:
    for k, node in enumerate(wrt):
        if not is_float(node.dtype):
            raise GradientError(
                f"cannot differentiate with respect to wrt[{k}], which is {node.type}",
                op="differentiate",
                hint="only floating-point values have gradients",
            )
    if len(cotangents) != len(outputs):
        raise GradientError(f"{len(cotangents)} cotangents were given for {len(outputs)} outputs", op="differentiate")
    for k, (output, g) in enumerate(zip(outputs, cotangents, strict=True)):
        if g is None:
            continue
        if not is_float(output.dtype):
            raise GradientError(
                f"output {k} is {output.type}, which has no gradient, but it was given a cotangent",
                op="differentiate",
                hint="pass None for it",
            )
        if g.dtype != output.dtype:
            raise DTypeError(
                f"cotangent {k} has dtype {g.dtype.name}, but output {k} has {output.dtype.name}", op="differentiate"
            )
        if g.shape != output.shape:
            raise ShapeError(
                f"cotangent {k} has shape {g.shape}, but output {k} has {output.shape}", op="differentiate"
            )


def _zeros(like: Node) -> Node:
    with located(like.where):
        return OPS["constant"](value=0.0, shape=like.shape, dtype=like.dtype)


def _unused(name: str, taken: Sequence[str]) -> str:
    """``name``, or the first of ``name_1``, ``name_2``, ... that is free."""
    free, k = name, 1
    while free in taken:
        free, k = f"{name}_{k}", k + 1
    return free
