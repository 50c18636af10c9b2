"""Runs a loop nest in Python, checking every access: the oracle for emitted code. Knows no LLVM and no machine.

A kernel is turned into the text of one Python function, a line or two a statement, and run. Vectors are NumPy arrays;
scalars are NumPy scalars, except that ``i64`` is a Python int and a comparison a Python bool. What an operation means
is written down once, in ``arithmetic``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lucid.codegen import arithmetic
from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
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
    Write,
)
from lucid.codegen.text import print_statement
from lucid.errors import IRError
from lucid.ir.types import bool_, int64

Array = np.ndarray[Any, Any]
_FILENAME = "<loop nest>"
_INFIX = {"add": "+", "sub": "-", "mul": "*", "lt": "<", "le": "<=", "eq": "==", "ne": "!=", "and": "&", "or": "|",
          "xor": "^"}  # fmt: skip
#: Python refuses source nested deeper than 200 parentheses.
_DEEPEST = 40


class OutOfBounds(Exception):
    """An access outside its buffer; ``interpret`` turns it into the error that names the statement."""


def interpret(kernel: Kernel, arrays: Mapping[str, Array] | Sequence[Array]) -> None:
    """Run ``kernel`` on flat arrays, one per buffer (by name, or in the kernel's order), in place.

    Raises:
        IRError: an array that does not fit its buffer, or an access out of bounds; the message names the statement.
    """
    given = arrays if isinstance(arrays, Mapping) else dict(zip((b.name for b in kernel.buffers), arrays, strict=True))
    for buf in kernel.buffers:
        array = given.get(buf.name)
        if array is None or array.shape != (buf.size,) or array.dtype != buf.dtype:
            what = "nothing" if array is None else f"{array.dtype.name}{list(array.shape)}"
            raise IRError(f"buffer {buf.name} needs {buf.dtype.name}[{buf.size}], got {what}")
    source = _Source(kernel)
    run = source.compile()
    try:
        with np.errstate(all="ignore"):
            run(*(given[buf.name] for buf in kernel.buffers))
    except OutOfBounds as error:
        statement = print_statement(source.statements[_line_of(error)])
        raise IRError(f"{error} in kernel {kernel.name}: {statement}") from None


def _line_of(error: BaseException) -> int:
    """Line of the generated source that was running."""
    line, frame = 0, error.__traceback__
    while frame is not None:
        if frame.tb_frame.f_code.co_filename == _FILENAME:
            line = frame.tb_lineno
        frame = frame.tb_next
    return line


class _Source:
    """The Python text of a kernel, and which statement each line comes from."""

    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.lines: list[str] = []
        self.statements: dict[int, Stmt] = {}
        self.constants: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.positions: set[str] = set()  # i64 names made of loop variables: far from overflow
        self.bounded: set[int] = set()  # the values of this statement that are such positions
        self.arrays = {buf.name: f"m{k}" for k, buf in enumerate(kernel.buffers)}
        self.temporaries = 0

    def compile(self) -> Callable[..., None]:
        self.lines.append(f"def run({', '.join(self.arrays.values())}):")
        self.block(self.kernel.body, 1)
        space: dict[str, Any] = {"read": _read, "read_masked": _read_masked, "gather": _gather, "write": _write}
        space |= {"write_masked": _write_masked, "scatter": _scatter, "full": np.full} | self.constants
        exec(compile("\n".join(self.lines) + "\n", _FILENAME, "exec"), space)
        run: Callable[..., None] = space["run"]
        return run

    # --- statements ---------------------------------------------------------------------------------------------------

    def block(self, body: Sequence[Stmt], depth: int) -> None:
        if not body:
            self.lines.append("  " * depth + "pass")
        for stmt in body:
            self.statement(stmt, depth)

    def statement(self, stmt: Stmt, depth: int) -> None:
        first = len(self.lines)
        text = self.text(stmt, depth)
        self.lines.append("  " * depth + text)
        self.statements.update((n + 1, stmt) for n in range(first, len(self.lines)))
        if isinstance(stmt, For | If):
            self.block(stmt.body, depth + 1)

    def text(self, stmt: Stmt, depth: int) -> str:
        """The statement as Python; what its values share is computed in lines before it."""
        if isinstance(stmt, Let | Reg | Set):
            value = stmt.init if isinstance(stmt, Reg) else stmt.value
            (text,) = self.values([value], depth)
            if isinstance(stmt, Let) and id(value) in self.bounded:
                self.positions.add(stmt.var.name)
            return f"{self.bind(stmt.var)} = {text}"
        if isinstance(stmt, For):
            lo, hi = self.values([stmt.lo, stmt.hi], depth)
            self.positions.add(stmt.var.name)
            return f"for {self.bind(stmt.var)} in range({lo}, {hi}, {stmt.step}):"
        if isinstance(stmt, If):
            (condition,) = self.values([stmt.condition], depth)
            return f"if {condition}:"
        if isinstance(stmt, Prefetch):
            return "pass"
        place = stmt.offset if isinstance(stmt, Write) else stmt.offsets
        parts = self.values([place, stmt.value] + ([] if stmt.mask is None else [stmt.mask]), depth)
        name = "scatter" if isinstance(stmt, Scatter) else "write" if stmt.mask is None else "write_masked"
        lanes = [str(stmt.value.type.lanes)] if isinstance(stmt, Write) else []
        return f"{name}({', '.join([self.arrays[stmt.buffer.name], *parts, *lanes])})"

    def bind(self, var: Var) -> str:
        return self.names.setdefault(var.name, f"v{len(self.names)}")

    def constant(self, value: Any) -> str:
        name = f"k{len(self.constants)}"
        self.constants[name] = value
        return name

    # --- values -------------------------------------------------------------------------------------------------------

    def is_position(self, v: Value) -> bool:
        """Index arithmetic on loop variables: Python's unbounded integers give what 64 bits give."""
        if isinstance(v, Var):
            return v.name in self.positions
        if isinstance(v, Lit):
            return v.type == INDEX and abs(int(v.value)) < 2**31
        return isinstance(v, Bin) and v.op in ("add", "sub", "mul") and {id(v.a), id(v.b)} <= self.bounded

    def values(self, roots: Sequence[Value], depth: int) -> list[str]:
        """Python expressions; a part used twice, or nested deep, gets a line of its own."""
        uses: Counter[int] = Counter(id(r) for r in roots)
        order: list[Value] = []
        stack = [(r, False) for r in reversed(roots)]
        seen: set[int] = set()
        while stack:
            v, ready = stack.pop()
            if ready:
                order.append(v)
            elif id(v) not in seen:
                seen.add(id(v))
                stack.append((v, True))
                uses.update(id(c) for c in v.children())
                stack.extend((c, False) for c in reversed(v.children()))
        memo: dict[int, str] = {}
        nested: dict[int, int] = {}
        self.bounded = set()
        for v in order:
            if self.is_position(v):
                self.bounded.add(id(v))
            text = self.one(v, [memo[id(c)] for c in v.children()])
            nested[id(v)] = 1 + max((nested[id(c)] for c in v.children()), default=0)
            if v.children() and (uses[id(v)] > 1 or nested[id(v)] > _DEEPEST):
                self.temporaries += 1
                self.lines.append(f"{'  ' * depth}t{self.temporaries} = {text}")
                text, nested[id(v)] = f"t{self.temporaries}", 1
            memo[id(v)] = text
        return [memo[id(r)] for r in roots]

    def one(self, v: Value, x: Sequence[str]) -> str:
        scalar = v.type.lanes == 1
        if isinstance(v, Var):
            return self.names[v.name]
        if isinstance(v, Lit):
            if scalar and v.type.dtype in (int64, bool_):
                return f"({int(v.value)})" if v.type.dtype == int64 else str(bool(v.value))
            one = v.type.dtype.type(v.value)
            return self.constant(one if scalar else np.full(v.type.lanes, one))
        if isinstance(v, Read):
            mask = x[1:]
            array = self.arrays[v.buffer.name]
            text = f"read{'_masked' if mask else ''}({', '.join([array, x[0], str(v.type.lanes), *mask])})"
            return f"int({text})" if v.type == INDEX else text
        if isinstance(v, Gather):
            return f"gather({', '.join([self.arrays[v.buffer.name], *x])})"
        if isinstance(v, Bin) and id(v) in self.bounded:
            return f"({x[0]} {_INFIX[v.op]} {x[1]})"
        if isinstance(v, Bin) and v.op in _INFIX and v.a.type != INDEX and v.a.type.dtype != bool_:
            return f"({x[0]} {_INFIX[v.op]} {x[1]})"
        if isinstance(v, Iota):
            return self.constant(np.arange(v.type.lanes))
        if isinstance(v, Splat):
            return f"full({v.type.lanes}, {x[0]}, {self.constant(v.type.dtype)})"
        return f"{self.constant(_meaning(v))}({', '.join(x)})"


def _meaning(v: Value) -> Callable[..., Any]:
    """The Python function that a value's operation is."""
    if isinstance(v, Un):
        return arithmetic.unary(v.op, v.x.type)
    if isinstance(v, Bin):
        return arithmetic.binary(v.op, v.a.type)
    if isinstance(v, Sel):
        return arithmetic.select(v.type)
    if isinstance(v, Fma):
        return arithmetic.fma(v.type)
    if isinstance(v, Convert):
        return arithmetic.convert(v.x.type, v.type)
    if isinstance(v, Reinterpret):
        return arithmetic.reinterpret(v.x.type, v.type)
    if isinstance(v, Shuffle):
        return arithmetic.shuffle(v.picks)
    if isinstance(v, Across):
        return arithmetic.across(v.kind, v.x.type)
    raise IRError(f"not a value of the loop IR: {type(v).__name__}")


# --- memory -----------------------------------------------------------------------------------------------------------


def _check(array: Array, first: int, lanes: int) -> None:
    if first < 0 or first + lanes > len(array):
        span = f"{first}" if lanes == 1 else f"{first}..{first + lanes}"
        raise OutOfBounds(f"position {span} is outside a buffer of {len(array)}")


def _read(array: Array, offset: int, lanes: int) -> Any:
    _check(array, offset, lanes)
    return array[offset] if lanes == 1 else array[offset : offset + lanes].copy()


def _read_masked(array: Array, offset: int, lanes: int, mask: Any) -> Any:
    if lanes == 1:
        return _read(array, offset, 1) if mask else array.dtype.type(0)
    return _gather(array, np.arange(offset, offset + lanes), mask)


def _gather(array: Array, offsets: Array, mask: Array | None = None) -> Array:
    if mask is None:
        mask = np.ones(len(offsets), np.bool_)
    result = np.zeros(len(offsets), array.dtype)
    places = offsets[mask]
    _check_all(array, places)
    result[mask] = array[places]
    return result


def _write(array: Array, offset: int, value: Any, lanes: int) -> None:
    _check(array, offset, lanes)
    if lanes == 1:
        array[offset] = value
    else:
        array[offset : offset + lanes] = value


def _write_masked(array: Array, offset: int, value: Any, mask: Any, lanes: int) -> None:
    if lanes > 1:
        _scatter(array, np.arange(offset, offset + lanes), value, mask)
    elif mask:
        _write(array, offset, value, 1)


def _scatter(array: Array, offsets: Array, value: Array, mask: Array | None = None) -> None:
    if mask is not None:
        offsets, value = offsets[mask], value[mask]
    _check_all(array, offsets)
    array[offsets] = value  # of equal places the last lane wins


def _check_all(array: Array, places: Array) -> None:
    if len(places):
        _check(array, int(places.min()), 1)
        _check(array, int(places.max()), 1)
