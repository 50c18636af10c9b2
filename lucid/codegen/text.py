"""The loop IR as text: ``print_kernel`` and ``parse_kernel``, each the other's inverse on verified kernels.

    kernel scaled_sum(x: f32[100] in, y: f32[1] out) {  # a note, up to the end of the line
      reg acc = 0.0:f32x8
      for i in 0..96 step 8 {
        acc = fma(x[i]:f32x8, splat(x[99], 8), acc)
      }
      y[0] = across_sum(acc)
    }

A bare integer is an ``i64`` position and ``true`` a bool; any other literal says its type. ``x[i]:f32x8`` reads eight
elements, ``x[i; m]:f32x8`` those whose lane of ``m`` is set; ``gather x[v]`` reads at vector positions. ``y[i] = v``
and ``scatter y[v] = w`` write, with a mask in the same place. ``f32(x)`` converts, ``as_f32(x)`` reinterprets the bits.
Infix operators bind as in Python; every other operation is written as a call. ``#`` starts a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
    Buffer,
    Convert,
    Fma,
    For,
    Gather,
    If,
    Iota,
    Kernel,
    Let,
    Lit,
    Prefetch,
    Read,
    Reg,
    Reinterpret,
    Scatter,
    Sel,
    Set,
    Shuffle,
    Splat,
    Stmt,
    Un,
    Value,
    Var,
    VType,
    Write,
    integer,
)
from lucid.errors import IRError, ParseError
from lucid.ir.expr import BINARY, REDUCE, UNARY
from lucid.ir.types import BY_SHORT_NAME, SHORT_NAMES, Scalar, bool_

_INFIX: dict[str, tuple[str, int]] = {
    "lt": ("<", 1), "le": ("<=", 1), "eq": ("==", 1), "ne": ("!=", 1), "or": ("|", 2), "xor": ("^", 3), "and": ("&", 4),
    "shl": ("<<", 5), "shr": (">>", 5), "add": ("+", 6), "sub": ("-", 6), "mul": ("*", 7), "div": ("/", 7),
    "floordiv": ("//", 7), "mod": ("%", 7),
}  # fmt: skip
_BY_SYMBOL = {symbol: (op, level) for op, (symbol, level) in _INFIX.items()}
_ATOM = 8
_COMPARISON = 1

#: Words that cannot name a buffer or a value.
RESERVED = frozenset("kernel for in step parallel let reg if gather scatter prefetch stream true false inf nan".split())  # noqa: SIM905

# --- printing ---------------------------------------------------------------------------------------------------------


def print_kernel(kernel: Kernel) -> str:
    """The text of a kernel; equal kernels print alike."""
    buffers = ", ".join(f"{b.name}: {SHORT_NAMES[b.dtype]}[{b.size}] {b.role}" for b in kernel.buffers)
    name = kernel.name if kernel.name.isidentifier() else json.dumps(kernel.name)
    note = f"  # {kernel.note}" if kernel.note else ""
    lines = [f"kernel {name}({buffers}) {{{note}"]
    _print_block(kernel.body, 1, lines)
    return "\n".join([*lines, "}"]) + "\n"


def _print_block(body: Sequence[Stmt], depth: int, lines: list[str]) -> None:
    for stmt in body:
        lines.append("  " * depth + print_statement(stmt))
        if isinstance(stmt, For | If):
            _print_block(stmt.body, depth + 1, lines)
            lines.append("  " * depth + "}")


def print_statement(stmt: Stmt) -> str:
    """One line: a statement without its body."""
    if isinstance(stmt, Let):
        return f"let {stmt.var.name} = {print_value(stmt.value)}"
    if isinstance(stmt, Reg):
        return f"reg {stmt.var.name} = {print_value(stmt.init)}"
    if isinstance(stmt, Set):
        return f"{stmt.var.name} = {print_value(stmt.value)}"
    if isinstance(stmt, Write):
        return f"{'stream ' * stmt.stream}{_place(stmt.buffer, stmt.offset, stmt.mask)} = {print_value(stmt.value)}"
    if isinstance(stmt, Scatter):
        return f"scatter {_place(stmt.buffer, stmt.offsets, stmt.mask)} = {print_value(stmt.value)}"
    if isinstance(stmt, Prefetch):
        return f"prefetch {_place(stmt.buffer, stmt.offset, None)}"
    if isinstance(stmt, For):
        step = f" step {stmt.step}" if stmt.step != 1 else ""
        kind = " parallel" if stmt.kind == "parallel" else ""
        return f"for {stmt.var.name} in {print_value(stmt.lo)}..{print_value(stmt.hi)}{step}{kind} {{"
    return f"if {print_value(stmt.condition)} {{"


def _place(buffer: Buffer, offset: Value, mask: Value | None) -> str:
    return f"{buffer.name}[{print_value(offset)}{'' if mask is None else '; ' + print_value(mask)}]"


def print_value(root: Value) -> str:
    """A value as one expression."""
    memo: dict[int, tuple[str, int]] = {}
    stack = [root]
    while stack:
        v = stack[-1]
        waiting = [c for c in v.children() if id(c) not in memo]
        if waiting:
            stack += waiting
            continue
        stack.pop()
        memo[id(v)] = _print_one(v, [memo[id(c)] for c in v.children()])
    return memo[id(root)][0]


def _print_one(v: Value, parts: Sequence[tuple[str, int]]) -> tuple[str, int]:
    """Text, and how tightly its outermost operator binds."""
    if isinstance(v, Bin) and v.op in _INFIX:
        symbol, level = _INFIX[v.op]
        (a, binds_a), (b, binds_b) = parts
        left = f"({a})" if binds_a < level or binds_a == level == _COMPARISON else a
        right = f"({b})" if binds_b <= level else b
        return f"{left} {symbol} {right}", level
    return _print_atom(v, [text for text, _ in parts]), _ATOM


def _print_atom(v: Value, x: Sequence[str]) -> str:
    if isinstance(v, Var):
        return v.name
    if isinstance(v, Lit):
        text = str(v.value).lower() if isinstance(v.value, bool) else repr(v.value)
        bare = (isinstance(v.value, bool) and v.type == VType(bool_)) or (type(v.value) is int and v.type == INDEX)
        return text if bare else f"{text}:{v.type}"
    if isinstance(v, Read | Gather):
        place = f"{v.buffer.name}[{'; '.join(x)}]"
        if isinstance(v, Gather):
            return f"gather {place}"
        return place if v.type.lanes == 1 else f"{place}:{v.type}"
    if isinstance(v, Splat):
        return f"splat({x[0]}, {v.type.lanes})"
    if isinstance(v, Iota):
        return f"iota({v.type.lanes})"
    if isinstance(v, Shuffle):
        return f"shuffle({x[0]}, {x[1]}; {', '.join(map(str, v.picks))})"
    return f"{_call_name(v)}({', '.join(x)})"


def _call_name(v: Value) -> str:
    if isinstance(v, Un | Bin):
        return v.op
    if isinstance(v, Fma):
        return "fma"
    if isinstance(v, Sel):
        return "select"
    if isinstance(v, Convert):
        return SHORT_NAMES[v.type.dtype]
    if isinstance(v, Reinterpret):
        return f"as_{SHORT_NAMES[v.type.dtype]}"
    if isinstance(v, Across):
        return f"across_{v.kind}"
    raise IRError(f"not a value of the loop IR: {type(v).__name__}")


# --- parsing ----------------------------------------------------------------------------------------------------------


def parse_kernel(text: str) -> Kernel:
    """The kernel that prints as ``text``.

    Raises:
        ParseError: with line and column of what is wrong.
    """
    return _Parser(text).kernel()


class _Token(NamedTuple):
    kind: str  # name, number, string, symbol, end
    text: str
    start: int


_TOKEN = re.compile(
    r"""(?P<space>\s+|\#[^\n]*)
      | (?P<name>[A-Za-z_]\w*)
      | (?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)
      | (?P<string>"(?:[^"\\\n]|\\.)*")
      | (?P<symbol>\.\.|//|<<|>>|<=|==|!=|[-+*/%&|^<>=(){}\[\],:;])""",
    re.VERBOSE,
)
_TYPE = re.compile(rf"({'|'.join(BY_SHORT_NAME)})(?:x(\d+))?")


class _Parser:
    def __init__(self, text: str):
        self.text = text
        self.tokens = self.scan()
        self.position = 0
        self.buffers: dict[str, Buffer] = {}
        self.vars: dict[str, Var] = {}

    # --- tokens -------------------------------------------------------------------------------------------------------

    def scan(self) -> list[_Token]:
        tokens: list[_Token] = []
        at = 0
        while at < len(self.text):
            found = _TOKEN.match(self.text, at)
            if found is None or found.lastgroup is None:
                raise self.error(f"unexpected character {self.text[at]!r}", at)
            if found.lastgroup != "space":
                tokens.append(_Token(found.lastgroup, found[0], at))
            at = found.end()
        return [*tokens, _Token("end", "end of text", at)]

    def error(self, message: str, at: int) -> ParseError:
        line = self.text.count("\n", 0, at) + 1
        column = at - (self.text.rfind("\n", 0, at) + 1) + 1
        return ParseError(f"line {line}, column {column}: {message}")

    @property
    def token(self) -> _Token:
        return self.tokens[self.position]

    def next(self) -> _Token:
        token = self.token
        self.position += 1
        return token

    def accept(self, text: str) -> bool:
        if self.token.text == text and self.token.kind in ("symbol", "name"):
            self.position += 1
            return True
        return False

    def expect(self, text: str) -> _Token:
        token = self.token
        if not self.accept(text):
            raise self.error(f"expected {text!r}, found {token.text!r}", token.start)
        return token

    def take(self, kind: str) -> _Token:
        token = self.next()
        if token.kind != kind:
            raise self.error(f"expected a {kind}, found {token.text!r}", token.start)
        return token

    def integer(self) -> int:
        sign = -1 if self.accept("-") else 1
        token = self.take("number")
        if not token.text.isdigit():
            raise self.error(f"expected an integer, found {token.text!r}", token.start)
        return sign * int(token.text)

    def new_name(self) -> str:
        token = self.take("name")
        if token.text in RESERVED:
            raise self.error(f"{token.text!r} is a word of the language, not a name", token.start)
        if token.text in self.vars or token.text in self.buffers:
            raise self.error(f"{token.text!r} is already bound", token.start)
        return token.text

    def vtype(self) -> VType:
        token = self.take("name")
        found = _TYPE.fullmatch(token.text)
        if found is None:
            raise self.error(f"expected a type such as f32x16, found {token.text!r}", token.start)
        return VType(BY_SHORT_NAME[found[1]], int(found[2] or 1))

    def build(self, token: _Token, make: Callable[..., Value], *operands: Any) -> Value:
        """A value; what its constructor refuses is an error at ``token``."""
        try:
            return make(*operands)
        except IRError as error:
            raise self.error(error.message, token.start) from None

    # --- statements ---------------------------------------------------------------------------------------------------

    def kernel(self) -> Kernel:
        self.expect("kernel")
        name = json.loads(self.next().text) if self.token.kind == "string" else self.take("name").text
        self.expect("(")
        while not self.accept(")"):
            if self.buffers:
                self.expect(",")
            self.buffer()
        brace = self.expect("{")
        rest = self.text[brace.start + 1 :].partition("\n")[0].strip()
        body = self.block()
        end = self.next()
        if end.kind != "end":
            raise self.error(f"expected the end of the text, found {end.text!r}", end.start)
        return Kernel(name, tuple(self.buffers.values()), body, rest[1:].strip() if rest.startswith("#") else "")

    def buffer(self) -> None:
        name = self.new_name()
        self.expect(":")
        t = self.vtype()
        self.expect("[")
        size = self.integer()
        self.expect("]")
        role = self.take("name")
        if role.text not in ("in", "out", "inout", "scratch"):
            raise self.error(f"expected in, out, inout or scratch, found {role.text!r}", role.start)
        self.buffers[name] = Buffer(name, t.dtype, size, role.text)  # type: ignore[arg-type]  # checked just above

    def block(self) -> tuple[Stmt, ...]:
        body: list[Stmt] = []
        while not self.accept("}"):
            body.append(self.statement())
        return tuple(body)

    def statement(self) -> Stmt:
        token = self.token
        if self.accept("for"):
            return self.loop()
        if self.accept("if"):
            condition = self.value()
            self.expect("{")
            return If(condition, self.block())
        if self.accept("let") or self.accept("reg"):
            name = self.new_name()
            self.expect("=")
            value = self.value()
            var = self.vars[name] = Var(name, value.type)
            return Let(var, value) if token.text == "let" else Reg(var, value)
        if self.accept("prefetch"):
            return self.prefetch()
        scatter = self.accept("scatter")
        stream = not scatter and self.accept("stream")
        name = self.take("name").text
        if name in self.buffers:
            offset, mask = self.place()
            self.expect("=")
            if scatter:
                return Scatter(self.buffers[name], offset, self.value(), mask)
            return Write(self.buffers[name], offset, self.value(), mask, stream)
        if scatter or stream or name not in self.vars:
            raise self.error(f"{name!r} is not a buffer{'' if scatter or stream else ' or a register'}", token.start)
        self.expect("=")
        return Set(self.vars[name], self.value())

    def prefetch(self) -> Prefetch:
        token = self.take("name")
        if token.text not in self.buffers:
            raise self.error(f"{token.text!r} is not a buffer", token.start)
        offset, mask = self.place()
        if mask is not None:
            raise self.error("a prefetch has no mask", token.start)
        return Prefetch(self.buffers[token.text], offset)

    def loop(self) -> For:
        var = Var(self.new_name(), INDEX)
        self.expect("in")
        lo = self.value()
        self.expect("..")
        hi = self.value()
        step = self.integer() if self.accept("step") else 1
        parallel = self.accept("parallel")
        self.expect("{")
        self.vars[var.name] = var
        return For(var, lo, hi, step, self.block(), "parallel" if parallel else "serial")

    def place(self) -> tuple[Value, Value | None]:
        self.expect("[")
        offset = self.value()
        mask = self.value() if self.accept(";") else None
        self.expect("]")
        return offset, mask

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self, loosest: int = 1) -> Value:
        """An expression of operators that bind at least as tightly as ``loosest``."""
        left = self.atom()
        while self.token.kind == "symbol" and self.token.text in _BY_SYMBOL:
            op, level = _BY_SYMBOL[self.token.text]
            if level < loosest:
                break
            token = self.next()
            left = self.build(token, Bin, op, left, self.value(level + 1))
            if level == _COMPARISON:
                break
        return left

    def atom(self) -> Value:
        token = self.next()
        if token.text == "(" and token.kind == "symbol":
            inner = self.value()
            self.expect(")")
            return inner
        if token.kind == "number" or token.text in ("-", "inf", "nan", "true", "false"):
            return self.literal(token)
        if token.text == "gather":
            buffer = self.known_buffer(self.take("name"))
            offsets, mask = self.place()
            return self.build(token, Gather, buffer, offsets, mask)
        if token.kind != "name":
            raise self.error(f"expected a value, found {token.text!r}", token.start)
        if self.accept("("):
            return self.call(token)
        if self.token.text == "[":
            buffer = self.known_buffer(token)
            offset, mask = self.place()
            t = self.vtype() if self.accept(":") else VType(buffer.dtype)
            if t.dtype != buffer.dtype:
                raise self.error(f"{buffer.name} holds {SHORT_NAMES[buffer.dtype]}, not {t}", token.start)
            return Read(buffer, offset, t.lanes, mask)
        if token.text not in self.vars:
            raise self.error(f"{token.text!r} is not bound", token.start)
        return self.vars[token.text]

    def known_buffer(self, token: _Token) -> Buffer:
        if token.text not in self.buffers:
            raise self.error(f"{token.text!r} is not a buffer", token.start)
        return self.buffers[token.text]

    def literal(self, token: _Token) -> Lit:
        sign = ""
        if token.text == "-":
            sign, token = "-", self.next()
        value: Scalar
        if token.kind == "number":
            value = int(sign + token.text) if token.text.isdigit() else float(sign + token.text)
        elif token.text in ("inf", "nan"):
            value = float(sign + token.text)
        elif token.text in ("true", "false") and not sign:
            value = token.text == "true"
        else:
            raise self.error(f"expected a number, found {token.text!r}", token.start)
        if self.accept(":"):
            return Lit(value, self.vtype())
        if isinstance(value, bool):
            return Lit(value, VType(bool_))
        if isinstance(value, float):
            raise self.error(f"the literal {token.text} needs a type, as in {token.text}:f32", token.start)
        return integer(value)

    def call(self, token: _Token) -> Value:
        """An operation written as a call; its parenthesis is already open."""
        name = token.text
        if name == "iota":
            lanes = self.integer()
            self.expect(")")
            return Iota(lanes)
        x = [self.value()]
        while self.accept(","):
            if name == "splat":
                lanes = self.integer()
                self.expect(")")
                return Splat(x[0], lanes)
            x.append(self.value())
        if name == "shuffle" and len(x) == 2:
            self.expect(";")
            picks = [self.integer()]
            while self.accept(","):
                picks.append(self.integer())
            self.expect(")")
            return self.build(token, Shuffle, x[0], x[1], picks)
        self.expect(")")
        return self.build(token, _apply, name, x)


def _apply(name: str, x: Sequence[Value]) -> Value:
    """The operation ``name`` on parsed operands."""
    kind, _, rest = name.partition("_")
    count = 3 if name in ("fma", "select") else 2 if name in BINARY else 1
    if len(x) != count:
        raise IRError(f"{name} takes {count} operand{'s' if count > 1 else ''}, not {len(x)}")
    if name == "fma":
        return Fma(x[0], x[1], x[2])
    if name == "select":
        return Sel(x[0], x[1], x[2])
    if name in BINARY and name not in _INFIX:
        return Bin(name, x[0], x[1])
    if name in UNARY:
        return Un(name, x[0])
    if name in BY_SHORT_NAME:
        return Convert(x[0], BY_SHORT_NAME[name])
    if kind == "as" and rest in BY_SHORT_NAME:
        return Reinterpret(x[0], BY_SHORT_NAME[rest])
    if kind == "across" and rest in REDUCE:
        return Across(rest, x[0])
    raise IRError(f"{name!r} is not an operation")
