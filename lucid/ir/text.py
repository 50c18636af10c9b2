"""The graph's text form: one line a node, numbered in topological order, equal graphs giving equal texts.

``parse_graph(print_graph(g)) == g`` for every valid graph, and printing a parsed text gives the text back.

    graph(%x: f32[1,1,3,3], %w: f32[1,1,2,2]) -> (out) {
      %0 = conv2d(%x, %w) {stride=(1, 1), ...} : f32[1,1,2,2]  @ "train.py":12 in model.conv1
      return %0
    }

Names that are not plain identifiers are quoted as JSON strings; ``#`` starts a comment. This file knows no op: calls
are typed by asking the op itself.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from inspect import signature
from typing import Any, NamedTuple, TypeVar

import numpy as np

from lucid.errors import IRError, LucidError, ParseError
from lucid.ir.graph import OPS, Attrs, Graph, Node, Op, input_node, input_op
from lucid.ir.location import Location
from lucid.ir.types import BY_SHORT_NAME, SHORT_NAMES, TensorType

T = TypeVar("T")

# --- printing ---------------------------------------------------------------------------------------------------------

#: A longer first line is broken, one input a line.
_WIDEST_HEADER = 120

_IDENTIFIER = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*")


def print_graph(graph: Graph, *, locations: bool = True) -> str:
    """The graph as text, without a trailing newline.

    Args:
        graph: any graph, valid or not; a broken one prints too, so that the verifier can show it.
        locations: append each node's line in the user's code; paths below the current directory are relative.

    >>> from lucid.ir.graph import Graph, input_node
    >>> from lucid.ir.types import TensorType, float32
    >>> x = input_node(TensorType((2,), float32))
    >>> print(print_graph(Graph([x], [x], ["x"], ["y"])))
    graph(%x: f32[2]) -> (y) {
      return %x
    }
    """
    names = node_names(graph)
    inputs = [f"{names[n]}: {n.type}{_location(n, locations)}" for n in graph.inputs]
    results = f") -> ({', '.join(map(_name, graph.output_names))}) {{"
    lines = [f"graph({', '.join(inputs)}{results}"]
    if len(lines[0]) > _WIDEST_HEADER:
        lines = ["graph(", *(f"    {x}," for x in inputs), results]
    inner = graph.nodes[len(graph.inputs) :]
    lines.extend(f"  {print_node(n, names, locations=locations)}" for n in inner)
    lines.append(f"  return {', '.join(names[o] for o in graph.outputs)}".rstrip())
    lines.append("}")
    return "\n".join(lines)


def node_names(graph: Graph) -> dict[Node, str]:
    """What each node is called in the text: ``%name`` for inputs, ``%0``, ``%1``, ... for the rest."""
    names: dict[Node, str] = {}
    taken: set[str] = set()
    for node, given in zip(graph.inputs, graph.input_names, strict=True):
        name, k = given, 1
        while name in taken:  # only in a graph the verifier refuses
            name, k = f"{given}.{k}", k + 1
        taken.add(name)
        names.setdefault(node, f"%{_name(name)}")
    for k, node in enumerate(graph.nodes[len(graph.inputs) :]):
        names[node] = f"%{k}"
    return names


def print_node(node: Node, names: dict[Node, str], *, locations: bool = True) -> str:
    """One node's line, without indentation."""
    arguments = ", ".join(names.get(x, "%?") for x in node.inputs)
    line = f"{names[node]} = {node.op.name}({arguments})"
    if node.attrs:
        line += f" {{{_attributes(node.attrs)}}}"
    return f"{line} : {node.type}{_location(node, locations)}"


def _location(node: Node, wanted: bool) -> str:
    where = node.location if wanted else None
    if where is None:
        return ""
    file = where.file
    here = os.getcwd() + os.sep
    if file.startswith(here):
        file = file[len(here) :]
    return f"  @ {_quote(file)}:{where.line}" + (f" in {_name(where.path)}" if where.path else "")


def _name(name: str) -> str:
    return name if _IDENTIFIER.fullmatch(name) else _quote(name)


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=not text.isprintable())


def _attributes(attrs: Attrs) -> str:
    return ", ".join(f"{key}={print_value(value)}" for key, value in attrs.items())


def print_value(value: object) -> str:
    """An attribute value: numbers as Python writes them, ``true``, ``none``, strings, dtypes, nested tuples."""
    if value is None:
        return "none"
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, str):
        return _quote(value)
    if isinstance(value, np.dtype):
        return SHORT_NAMES[value]
    if isinstance(value, tuple):
        return f"({', '.join(map(print_value, value))}{',' if len(value) == 1 else ''})"
    raise IRError(f"an attribute cannot be a {type(value).__name__}: {value!r}")


# --- reading ----------------------------------------------------------------------------------------------------------


class _Token(NamedTuple):
    kind: str  # "value", "name", "number", "string", "mark" or "end"
    text: str
    start: int

    def __str__(self) -> str:
        return "the end of the text" if self.kind == "end" else repr(self.text)


_STRING = r'"(?:[^"\\\n]|\\.)*"'
_TOKEN = re.compile(
    rf"""(?P<space>(?:\s|\#[^\n]*)+)
    | (?P<value>%(?:[A-Za-z_][A-Za-z0-9_.]*|[0-9]+|{_STRING}))
    | (?P<number>-inf\b|-?[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)
    | (?P<name>[A-Za-z_][A-Za-z0-9_.]*)
    | (?P<string>{_STRING})
    | (?P<mark>->|[(){{}}\[\],:=@])""",
    re.VERBOSE,
)

_WORDS: dict[str, Any] = {
    "true": True,
    "false": False,
    "none": None,
    "inf": float("inf"),
    "nan": float("nan"),
    **BY_SHORT_NAME,
}


def parse_graph(text: str) -> Graph:
    """The graph a text describes, every node typed anew and compared with the type that is written.

    Raises:
        ParseError: the text is not a graph; the message gives line and column, and what was expected there.

    >>> parse_graph("graph(%x: f32[2]) -> (y) { return %x }").output_names
    ('y',)
    """
    return _Parser(text).graph()


def parse_value(text: str) -> Any:
    """The attribute value a text stands for: the reverse of ``print_value``.

    Raises:
        ParseError: the text is not one value.

    >>> parse_value("((1, 1), f32, none)")
    ((1, 1), dtype('float32'), None)
    """
    parser = _Parser(text)
    value = parser.value()
    parser.take("end", "the end of the text")
    return value


class _Parser:
    def __init__(self, text: str):
        self.text = text
        self.tokens = self._tokenize()
        self.at = 0
        self.values: dict[str, Node] = {}

    def _tokenize(self) -> list[_Token]:
        tokens = []
        start = 0
        while start < len(self.text):
            found = _TOKEN.match(self.text, start)
            if found is None:
                raise self._error(f"unexpected character {self.text[start]!r}", start)
            kind = found.lastgroup
            if kind is not None and kind != "space":
                tokens.append(_Token(kind, found.group(), start))
            start = found.end()
        tokens.append(_Token("end", "", len(self.text)))
        return tokens

    def _error(self, message: str, start: int) -> ParseError:
        line = self.text.count("\n", 0, start) + 1
        column = start - (self.text.rfind("\n", 0, start) + 1) + 1
        return ParseError(f"line {line}, column {column}: {message}")

    # --- tokens ---

    @property
    def next(self) -> _Token:
        return self.tokens[self.at]

    def take(self, kind: str, expected: str) -> _Token:
        token = self.next
        if token.kind != kind:
            raise self._error(f"expected {expected}, found {token}", token.start)
        self.at += 1
        return token

    def accept(self, text: str) -> bool:
        if self.next.text == text and self.next.kind in ("mark", "name"):
            self.at += 1
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self._error(f"expected {text!r}, found {self.next}", self.next.start)

    def listed(self, item: Callable[[], T], close: str) -> list[T]:
        """Items separated by commas (one may trail), up to and including the closing mark."""
        items: list[T] = []
        while not self.accept(close):
            items.append(item())
            if not self.accept(",") and self.next.text != close:
                raise self._error(f"expected ',' or {close!r}, found {self.next}", self.next.start)
        return items

    def string(self, token: _Token, text: str) -> str:
        try:
            return str(json.loads(text))
        except ValueError:
            raise self._error(f"{text} is not a JSON string", token.start) from None

    def named(self, expected: str) -> str:
        """A plain or quoted name."""
        if self.next.kind == "string":
            token = self.take("string", expected)
            return self.string(token, token.text)
        return self.take("name", expected).text

    def integer(self, expected: str) -> int:
        token = self.take("number", expected)
        if not token.text.isdecimal():
            raise self._error(f"expected {expected}, found {token}", token.start)
        return int(token.text)

    # --- grammar ---

    def graph(self) -> Graph:
        self.expect("graph")
        self.expect("(")
        inputs = self.listed(self.input, ")")
        self.expect("->")
        self.expect("(")
        output_names = self.listed(lambda: self.named("an output name"), ")")
        self.expect("{")
        while not self.accept("return"):
            self.node()
        where = self.next
        outputs = self.listed(self.use, "}")
        self.take("end", "the end of the text")
        if len(outputs) != len(output_names):
            raise self._error(f"{len(outputs)} results are returned, {len(output_names)} are named", where.start)
        return Graph([n for _, n in inputs], outputs, [name for name, _ in inputs], output_names)

    def input(self) -> tuple[str, Node]:
        token = self.take("value", "an input such as %x")
        self.expect(":")
        node = input_node(self.type(), self.location())
        self.define(token, node)
        name = token.text[1:]
        return (self.string(token, name) if name.startswith('"') else name), node

    def define(self, token: _Token, node: Node) -> None:
        if token.text in self.values:
            raise self._error(f"{token.text} is defined twice", token.start)
        self.values[token.text] = node

    def use(self) -> Node:
        token = self.take("value", "a value such as %0")
        if token.text not in self.values:
            raise self._error(f"{token.text} is not defined above", token.start)
        return self.values[token.text]

    def node(self) -> None:
        name = self.take("value", "a node such as '%0 = ...', or 'return'")
        self.expect("=")
        token = self.take("name", "the name of an op")
        op = OPS.get(token.text)
        if op is None or op is input_op:
            raise self._error(f"there is no op named {token.text!r}", token.start)
        self.expect("(")
        inputs = tuple(self.listed(self.use, ")"))
        attrs = self.attributes() if self.accept("{") else {}
        self.expect(":")
        written_at = self.next.start
        written = self.type()
        node = self.call(op, inputs, attrs, token)
        if node.type is not written:
            raise self._error(f"{op.name} gives {node.type} here, but {written} is written", written_at)
        self.define(name, Node(node.call, inputs, self.location()))

    def call(self, op: Op, inputs: tuple[Node, ...], attrs: dict[str, Any], token: _Token) -> Node:
        try:
            signature(op.infer).bind(*inputs, **attrs)
        except TypeError as error:
            raise self._error(f"{op.name}: {error}", token.start) from None
        try:
            return Node(op.call(tuple(x.type for x in inputs), attrs), inputs)
        except LucidError as error:
            raise self._error(str(error), token.start) from None
        except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError):
            # Attributes of a kind the op was never written for, such as one number where it takes a pair.
            raise self._error(f"{op.name} cannot take {_attributes(attrs)}", token.start) from None

    def type(self) -> TensorType:
        token = self.take("name", "a type such as f32[2,3]")
        if token.text not in BY_SHORT_NAME:
            raise self._error(f"expected one of {', '.join(BY_SHORT_NAME)}, found {token}", token.start)
        self.expect("[")
        return TensorType(self.listed(lambda: self.integer("a size"), "]"), BY_SHORT_NAME[token.text])

    def attributes(self) -> dict[str, Any]:
        attrs: dict[str, Any] = {}

        def attribute() -> None:
            token = self.take("name", "an attribute name")
            if token.text in attrs:
                raise self._error(f"attribute {token.text} is given twice", token.start)
            self.expect("=")
            attrs[token.text] = self.value()

        self.listed(attribute, "}")
        return attrs

    def value(self) -> Any:
        token = self.next
        if self.accept("("):
            return self.tuple()
        self.at += 1
        if token.kind == "number":
            whole = token.text.lstrip("-").isdecimal()
            return int(token.text) if whole else float(token.text)
        if token.kind == "string":
            return self.string(token, token.text)
        if token.kind == "name" and token.text in _WORDS:
            return _WORDS[token.text]
        self.at -= 1
        raise self._error(
            f"expected a value (number, string, dtype, tuple, true, false, none), found {token}", token.start
        )

    def tuple(self) -> tuple[Any, ...]:
        items: list[Any] = []
        while not self.accept(")"):
            items.append(self.value())
            if self.accept(","):
                continue
            if len(items) == 1 or self.next.text != ")":
                raise self._error(f"expected ',', found {self.next}", self.next.start)
        return tuple(items)

    def location(self) -> Location | None:
        if not self.accept("@"):
            return None
        token = self.take("string", "a quoted file name")
        self.expect(":")
        line = self.integer("a line number")
        path = self.named("a module path") if self.accept("in") else ""
        return Location(self.string(token, token.text), line, path)
