"""The tensor graph: immutable nodes that know only their inputs, and a ``Graph`` that names which ones matter.

``Op`` is what an operation means, ``Call`` an op applied to given types and attributes (interned: type inference runs
once per distinct call), ``Node`` one value. Users, liveness and levels are analyses, not fields.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np

from lucid.errors import IRError, LucidError
from lucid.ir.expr import Axis, Expr
from lucid.ir.location import Location, Where, here, resolve
from lucid.ir.operators import Operators
from lucid.ir.types import HALVES, Scalar, TensorType, float32, require_addressable

Array: TypeAlias = np.ndarray[Any, Any]
Attrs: TypeAlias = Mapping[str, Any]
T = TypeVar("T")

#: Every declared operation by name; the parser and the generated tests walk it.
OPS: dict[str, Op] = {}


@dataclass(frozen=True)
class Sample:
    """One set of arguments for an op: arrays and attributes. The generated tests run every op on its samples."""

    inputs: tuple[Array, ...]
    attrs: Attrs

    @classmethod
    def of(cls, *inputs: Array, **attrs: Any) -> Sample:
        return cls(inputs, attrs)


@dataclass(frozen=True)
class BadSample:
    """Arguments an op must refuse: the error's type, and words its message must hold."""

    inputs: tuple[TensorType, ...]
    attrs: Attrs
    error: type[LucidError]
    words: tuple[str, ...]


class Op:
    """One operation, everything that is true of it. Subclass in ``lucid/ops`` and instantiate once.

    ``infer`` gives the result type and raises the user's error; ``evaluate`` is the meaning, in NumPy; ``vjp`` the
    cotangents of the inputs, built from public operators; ``compute`` the value of one output element, from which all
    machine code is made; ``samples`` and ``bad_samples`` drive the generated tests.
    """

    name: ClassVar[str]
    #: False for ops whose result is integral, boolean or random: gradients stop there.
    differentiable: ClassVar[bool] = True
    #: True if the value is not a function of inputs and attributes alone, or must stay where it is: passes leave it.
    opaque: ClassVar[bool] = False
    #: True if elements are only moved or converted, whatever their dtype. All other ops compute halves in float32.
    moves: ClassVar[bool] = False

    def __init__(self) -> None:
        if OPS.setdefault(self.name, self) is not self:
            raise IRError(f"an op named {self.name!r} is already declared")
        self._calls: dict[Any, Call] = {}

    # The base signatures take anything: each op narrows them to its own arguments.
    def infer(self, *types: Any, **attrs: Any) -> TensorType:
        raise NotImplementedError(f"{self.name}: infer is not declared")

    def evaluate(self, *arrays: Any, **attrs: Any) -> Array:
        raise NotImplementedError(f"{self.name}: evaluate is not declared")

    def vjp(self, node: Node, g: Node) -> Sequence[Node | None]:
        raise NotImplementedError(f"{self.name}: vjp is not declared")

    def compute(self, out: tuple[Axis, ...], *operands: Any, **attrs: Any) -> Expr:
        raise NotImplementedError(f"{self.name}: compute is not declared")

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        raise NotImplementedError(f"{self.name}: samples is not declared")

    def bad_samples(self) -> Iterable[BadSample]:
        return ()

    def call(self, types: tuple[TensorType, ...], attrs: dict[str, Any]) -> Call:
        """The interned application to these types; ``infer`` runs the first time it is asked for."""
        key = (types, attrs_key(attrs)) if attrs else types
        found = self._calls.get(key)
        if found is None:
            if len(self._calls) > 4096:  # forgetting one costs a repeated inference, nothing else
                self._calls.clear()
            result = self.infer(*types, **attrs)
            require_addressable(self.name, result)
            if self.widens(types, attrs):
                raise IRError(f"{self.name} of float16 or bfloat16: cast to float32 first")
            found = self._calls[key] = Call(self, types, attrs, result)
        return found

    def widens(self, types: Iterable[TensorType], attrs: Attrs) -> bool:
        """True if halves are among the types, operands' or a result's, and must be computed in float32."""
        return not self.moves and (any(t.dtype in HALVES for t in types) or any(map(_names_half, attrs.values())))

    def __call__(self, *inputs: Node, **attrs: Any) -> Node:
        """A node that applies this op to nodes, at the user's current line."""
        types = tuple([x.type for x in inputs])
        if self.widens(types, attrs):
            return in_float32(self, inputs, attrs, _node)
        return Node(self.call(types, attrs), inputs, here())

    def __repr__(self) -> str:
        return self.name

    def __reduce__(self) -> tuple[Any, ...]:
        return OPS.__getitem__, (self.name,)


def _node(op: Op, *inputs: Node, **attrs: Any) -> Node:
    return op(*inputs, **attrs)


def _names_half(attribute: Any) -> bool:
    return isinstance(attribute, np.dtype) and attribute in HALVES


def in_float32(op: Op, inputs: Sequence[Any], attrs: Attrs, apply: Callable[..., T]) -> T:
    """``op`` on halves: operands widened to float32, and the result rounded to the dtype that ``infer`` says.

    ``apply`` applies an op to ``inputs``, nodes or tensors.
    """
    result = op.infer(*[x.type for x in inputs], **attrs)
    wide = [apply(OPS["cast"], x, dtype=float32) if x.type.dtype in HALVES else x for x in inputs]
    value = apply(op, *wide, **{k: float32 if _names_half(v) else v for k, v in attrs.items()})
    return apply(OPS["cast"], value, dtype=result.dtype) if result.dtype in HALVES else value


def attrs_key(attrs: Attrs) -> tuple[Any, ...]:
    """A hashable key of attributes; a float goes in by its bits, so -0.0 is not 0.0 and NaN equals itself."""
    return tuple([(k, v if v.__class__ not in _BY_BITS else _bits(v)) for k, v in attrs.items()])


_BY_BITS = frozenset((float, tuple))


def _bits(value: Any) -> Any:
    if value.__class__ is float:
        return value.hex()
    if _BY_BITS.isdisjoint(map(type, value)):  # most tuples hold integers
        return value
    return tuple([_bits(v) if v.__class__ in _BY_BITS else v for v in value])


class Call:
    """An op with its input types, attributes and result type. Treat as immutable.

    Attribute values are hashable: numbers, strings, dtypes, None, and tuples of them.
    """

    __slots__ = ("__weakref__", "attrs", "op", "run", "saved", "type", "types")

    def __init__(self, op: Op, types: tuple[TensorType, ...], attrs: dict[str, Any], type: TensorType):
        #: What a backward of this call reads, by which inputs need a gradient; found and kept by the eager layer.
        self.saved: dict[int, Any] = {}
        #: What computes it eagerly, given arrays and attributes; chosen by the eager layer when it is first asked for.
        self.run: Callable[..., Array] | None = None
        self.op = op
        self.types = types
        self.attrs: Attrs = MappingProxyType(dict(attrs))
        self.type = type


class Node(Operators):
    """One value of a graph: a call applied to input nodes. Immutable; compared by identity."""

    __slots__ = ("__weakref__", "call", "inputs", "where")

    def __init__(self, call: Call, inputs: tuple[Node, ...], where: Where = None):
        self.call = call
        self.inputs = inputs
        self.where = where

    @property
    def op(self) -> Op:
        return self.call.op

    @property
    def attrs(self) -> Attrs:
        return self.call.attrs

    @property
    def type(self) -> TensorType:
        return self.call.type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.call.type.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.call.type.dtype

    @property
    def location(self) -> Location | None:
        """The user's line this value was made at."""
        return resolve(self.where)

    def with_inputs(self, inputs: tuple[Node, ...]) -> Node:
        """The same call on other inputs of the same types."""
        if all(a is b for a, b in zip(inputs, self.inputs, strict=True)):
            return self
        if tuple(x.type for x in inputs) == self.call.types:
            return Node(self.call, inputs, self.where)
        call = self.op.call(tuple(x.type for x in inputs), dict(self.attrs))
        return Node(call, inputs, self.where)

    def _binary(self, name: str, other: Node | Scalar, reflected: bool = False) -> Node:
        if not isinstance(other, Node):
            other = scalar(other, self)
        if name in ("gt", "ge"):  # recorded as the mirrored comparison: one op fewer to know
            name, reflected = {"gt": "lt", "ge": "le"}[name], not reflected
        return OPS[name](other, self) if reflected else OPS[name](self, other)

    def _unary(self, name: str) -> Node:
        return OPS[name](self)

    def __repr__(self) -> str:
        return f"<{self.op.name}: {self.type}>"


class Input(Op):
    """A value that comes from outside: an argument, a parameter, a captured tensor."""

    name = "input"
    opaque = True

    def infer(self, *types: Any, **attrs: Any) -> TensorType:
        raise IRError("an input is made by input_node")

    def samples(self, rng: np.random.Generator) -> Iterable[Sample]:
        return ()


input_op = Input()


def input_call(type: TensorType) -> Call:
    found = input_op._calls.get(type)
    if found is None:
        found = input_op._calls[type] = Call(input_op, (), {}, type)
    return found


def input_node(type: TensorType, where: Where = None) -> Node:
    """A fresh graph input of the given type."""
    return Node(input_call(type), (), where)


def scalar(value: Scalar, like: Node) -> Node:
    """A 0-d constant of ``like``'s dtype."""
    return OPS["constant"](value=value, shape=(), dtype=like.dtype)


class Graph:
    """Named inputs and outputs and all the nodes between, in a deterministic topological order.

    Raises:
        IRError: not as many names as inputs or outputs.

    >>> import lucid
    >>> x = lucid.ones(2)
    >>> graph = lucid.graph(x * 2, inputs={"x": x})
    >>> graph.input_names, len(graph.nodes)
    (('x',), 3)
    """

    def __init__(
        self,
        inputs: Sequence[Node],
        outputs: Sequence[Node],
        input_names: Sequence[str] = (),
        output_names: Sequence[str] = (),
    ):
        self.inputs = tuple(inputs)
        self.outputs = tuple(outputs)
        self.input_names = tuple(input_names) or tuple(f"in{k}" for k in range(len(self.inputs)))
        self.output_names = tuple(output_names) or tuple(f"out{k}" for k in range(len(self.outputs)))
        if len(self.input_names) != len(self.inputs) or len(self.output_names) != len(self.outputs):
            raise IRError("a graph needs one name per input and per output")

    @cached_property
    def nodes(self) -> tuple[Node, ...]:
        """Every node reachable from the outputs, inputs first, each after its own inputs."""
        inputs = frozenset(self.inputs)
        return (*self.inputs, *(n for n in topological(self.outputs, inputs.__contains__) if n not in inputs))

    def with_outputs(self, outputs: Sequence[Node]) -> Graph:
        return Graph(self.inputs, outputs, self.input_names, self.output_names)

    def __iter__(self) -> Iterator[Node]:
        return iter(self.nodes)

    def __len__(self) -> int:
        return len(self.nodes)

    def __str__(self) -> str:
        from lucid.ir.text import print_graph  # text knows the graph, not the reverse

        return print_graph(self)

    def __repr__(self) -> str:
        return f"<Graph {', '.join(self.input_names)} -> {', '.join(self.output_names)}: {len(self.nodes)} nodes>"

    def __eq__(self, other: object) -> bool:
        """Structural equality: the same calls in the same shape, with the same names; locations do not count."""
        return isinstance(other, Graph) and self.key() == other.key()

    __hash__ = None  # type: ignore[assignment]  # use key()

    def key(self) -> tuple[Any, ...]:
        """A hashable structural key: equal keys mean equal graphs."""
        number = {node: k for k, node in enumerate(self.nodes)}
        rows = tuple((n.op.name, n.type, attrs_key(n.attrs), tuple(number[i] for i in n.inputs)) for n in self.nodes)
        return (self.input_names, self.output_names, rows, tuple(number[o] for o in self.outputs))


def topological(outputs: Iterable[Node], stop: Callable[[Node], bool] | None = None) -> list[Node]:
    """Nodes reachable from ``outputs``, inputs before users, in a deterministic order; not past ``stop`` nodes."""
    order: list[Node] = []
    done: set[Node] = set()
    stack: list[tuple[Node, bool]] = [(n, False) for n in reversed(list(outputs))]
    while stack:
        node, ready = stack.pop()
        if ready:
            order.append(node)
        elif node not in done:
            done.add(node)
            stack.append((node, True))
            if stop is None or not stop(node):
                stack.extend((x, False) for x in reversed(node.inputs) if x not in done)
    return order


def rebuild(graph: Graph, visit: Callable[[Node], Node]) -> Graph:
    """A new graph, each non-input node replaced by ``visit(node with rebuilt inputs)``, in topological order."""
    memo: dict[Node, Node] = {n: n for n in graph.inputs}
    for node in graph.nodes:
        if node not in memo:
            memo[node] = visit(node.with_inputs(tuple(memo[x] for x in node.inputs)))
    return graph.with_outputs([memo[o] for o in graph.outputs])
