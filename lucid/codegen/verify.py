"""The rules of the loop IR: ``verify(kernel)`` raises ``IRError`` on the first that is broken. Runs and emits nothing.

Names are bound once and used in scope; only registers are set; types agree and have the operation; an ``in`` buffer is
not written; masks are bool lanes of the right number; halves are moved, chosen, and converted to and from f32, no more.
Where an offset is a sum of multiples of loop variables with literal bounds, an unmasked access that is under no
``if`` must lie within its buffer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import gcd
from typing import NamedTuple, NoReturn

from lucid.codegen import arithmetic
from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
    Buffer,
    Convert,
    Fma,
    For,
    Gather,
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
    statements,
)
from lucid.codegen.text import RESERVED, print_statement, print_value
from lucid.errors import IRError
from lucid.ir.expr import REDUCE
from lucid.ir.types import HALVES, SHORT_NAMES, bool_, float32, int64, is_float, is_half, is_integer

_FLOAT_ONLY = frozenset("sqrt exp log log1p expm1 sin cos tan tanh erf".split())  # noqa: SIM905
_NOT_BOOL = frozenset("neg abs sign floor ceil round".split())  # noqa: SIM905


def verify(kernel: Kernel) -> None:
    """Check ``kernel``.

    Raises:
        IRError: which rule is broken, and at which statement.
    """
    _Verifier(kernel).run()


class _Form(NamedTuple):
    """A position as a sum of multiples of loop variables, and a constant."""

    terms: dict[str, int]
    constant: int


class _Verifier:
    def __init__(self, kernel: Kernel):
        self.kernel = kernel
        self.bound: set[str] = set()
        self.scope: dict[str, VType] = {}
        self.registers: set[str] = set()
        self.ranges: dict[str, tuple[int, int]] = {}  # loop variables with literal bounds: first and last value
        self.divisors: dict[str, int] = {}  # loop variables from a literal on: what always divides them
        self.forms: dict[str, _Form] = {}
        self.buffers: dict[str, Buffer] = {}
        self.conditional = False  # under an if, or in a loop that may run no turn
        self.where: str | Stmt = ""

    def run(self) -> None:
        for buf in self.kernel.buffers:
            self.where = f"buffer {buf.name}"
            self.name(buf.name)
            self.check(buf.size >= 0, f"its size is {buf.size}")
            self.buffers[buf.name] = buf
        self.block(self.kernel.body)

    def check(self, holds: bool, message: str) -> None:
        if not holds:
            self.fail(message)

    def fail(self, message: str) -> NoReturn:
        where = self.where if isinstance(self.where, str) else print_statement(self.where)
        raise IRError(f"kernel {self.kernel.name}: {message}, at: {where}")

    def name(self, name: str) -> None:
        plain = name.isidentifier() and name.isascii() and name not in RESERVED
        self.check(plain, f"{name!r} cannot be a name")
        self.check(name not in self.bound, f"{name!r} is bound twice")
        self.bound.add(name)

    @contextmanager
    def inside(self, conditional: bool) -> Iterator[None]:
        """A block: what it binds ends with it."""
        scope, registers, before = dict(self.scope), set(self.registers), self.conditional
        self.conditional = before or conditional
        yield
        self.scope, self.registers, self.conditional = scope, registers, before

    # --- statements ---------------------------------------------------------------------------------------------------

    def block(self, body: Sequence[Stmt]) -> None:
        for stmt in body:
            self.where = stmt
            self.statement(stmt)

    def statement(self, stmt: Stmt) -> None:
        if isinstance(stmt, Let | Reg):
            value = stmt.value if isinstance(stmt, Let) else stmt.init
            self.value(value, stmt.var.type)
            self.name(stmt.var.name)
            self.scope[stmt.var.name] = stmt.var.type
            form = self.form(value) if isinstance(stmt, Let) and stmt.var.type == INDEX else None
            if form is not None:
                self.forms[stmt.var.name] = form
            if isinstance(stmt, Reg):
                self.registers.add(stmt.var.name)
        elif isinstance(stmt, Set):
            self.check(stmt.var.name in self.registers, f"{stmt.var.name!r} is not a register in scope")
            self.value(stmt.var, stmt.var.type)
            self.value(stmt.value, stmt.var.type)
        elif isinstance(stmt, Write | Scatter):
            self.store(stmt)
        elif isinstance(stmt, Prefetch):
            self.value(stmt.offset, INDEX)
            self.access(stmt.buffer, None, 1)
        elif isinstance(stmt, For):
            self.loop(stmt)
        else:
            self.value(stmt.condition, VType(bool_))
            with self.inside(conditional=True):
                self.block(stmt.body)

    def store(self, stmt: Write | Scatter) -> None:
        lanes = stmt.value.type.lanes
        place = stmt.offset if isinstance(stmt, Write) else stmt.offsets
        self.value(place, INDEX if isinstance(stmt, Write) else VType(int64, lanes))
        self.value(stmt.value, VType(stmt.buffer.dtype, lanes))
        self.access(stmt.buffer, stmt.mask, lanes)
        self.check(stmt.buffer.role != "in", f"{stmt.buffer.name!r} is an input and must not be written")
        self.check(isinstance(stmt, Write) or lanes > 1, "a scatter of one lane is a write")
        if isinstance(stmt, Write) and stmt.mask is None:
            self.within(stmt.buffer, stmt.offset, lanes)
        if isinstance(stmt, Write) and stmt.stream:
            self.streamed(stmt, lanes)

    def streamed(self, stmt: Write, lanes: int) -> None:
        form = self.form(stmt.offset)
        whole = lanes > 1 and stmt.mask is None and form is not None and form.constant % lanes == 0
        if form is not None:
            whole = whole and all(f * self.divisors.get(n, 1) % lanes == 0 for n, f in form.terms.items())
        self.check(whole, f"a stream needs whole vectors at multiples of {lanes}")
        self.check(stmt.buffer.role == "out", f"{stmt.buffer.name!r} is no output, and cannot be streamed to")

    def loop(self, stmt: For) -> None:
        self.value(stmt.lo, INDEX)
        self.value(stmt.hi, INDEX)
        self.check(stmt.step >= 1, f"the step is {stmt.step}")
        self.check(stmt.var.type == INDEX, f"a loop counts in i64, not in {stmt.var.type}")
        self.name(stmt.var.name)
        if stmt.kind == "parallel":
            outer = {s.var.name for s in statements(stmt.body) if isinstance(s, Set)} & self.registers
            self.check(not outer, f"a parallel loop sets outer registers {sorted(outer)}")
        lo, hi = self.form(stmt.lo), self.form(stmt.hi)
        known = lo is not None and hi is not None and not lo.terms and not hi.terms
        if lo is not None and hi is not None and known:
            if hi.constant <= lo.constant:
                known = False  # never runs: nothing in it can be out of bounds
            turns = (hi.constant - lo.constant - 1) // stmt.step
            self.ranges[stmt.var.name] = (lo.constant, lo.constant + turns * stmt.step)
        if lo is not None and not lo.terms:
            self.divisors[stmt.var.name] = gcd(lo.constant, stmt.step)
        with self.inside(conditional=not known):
            self.scope[stmt.var.name] = INDEX
            self.forms[stmt.var.name] = _Form({stmt.var.name: 1}, 0)
            self.block(stmt.body)

    # --- accesses -----------------------------------------------------------------------------------------------------

    def access(self, buffer: Buffer, mask: Value | None, lanes: int) -> None:
        self.check(self.buffers.get(buffer.name) == buffer, f"{buffer.name!r} is not a buffer of this kernel")
        if mask is not None:
            self.value(mask, VType(bool_, lanes))

    def within(self, buffer: Buffer, offset: Value, lanes: int) -> None:
        """Refuse an access that is known to leave its buffer."""
        form = self.form(offset)
        if form is None or self.conditional or any(name not in self.ranges for name in form.terms):
            return
        ends = [(f * self.ranges[n][0], f * self.ranges[n][1]) for n, f in form.terms.items()]
        low = form.constant + sum(min(e) for e in ends)
        high = form.constant + sum(max(e) for e in ends) + lanes - 1
        self.check(
            low >= 0 and high < buffer.size, f"{buffer.name}[{buffer.size}] is accessed at positions {low} to {high}"
        )

    def form(self, v: Value) -> _Form | None:
        """A position taken apart, or None if it is more than a sum of multiples of loop variables."""
        if isinstance(v, Lit):
            return _Form({}, int(v.value))
        if isinstance(v, Var):
            return self.forms.get(v.name)
        if not isinstance(v, Bin) or v.op not in ("add", "sub", "mul"):
            return None
        a, b = self.form(v.a), self.form(v.b)
        if a is None or b is None:
            return None
        if v.op != "mul":
            sign = 1 if v.op == "add" else -1
            names = a.terms.keys() | b.terms.keys()
            total = {n: a.terms.get(n, 0) + sign * b.terms.get(n, 0) for n in names}
            return _Form({n: f for n, f in total.items() if f}, a.constant + sign * b.constant)
        if a.terms and b.terms:
            return None
        many, factor = (a, b.constant) if a.terms else (b, a.constant)
        return _Form({n: f * factor for n, f in many.terms.items() if factor}, many.constant * factor)

    # --- values -------------------------------------------------------------------------------------------------------

    def value(self, root: Value, wanted: VType) -> None:
        """Check a value and all its parts; it must have the type ``wanted``."""
        if root.type != wanted:
            self.fail(f"{print_value(root)} is {root.type}, not {wanted}")
        done: set[int] = set()
        stack = [root]
        while stack:
            v = stack.pop()
            if id(v) not in done:
                done.add(id(v))
                stack.extend(v.children())
                self.check(v.type.lanes >= 1, f"a value has {v.type.lanes} lanes")
                self.one(v)

    def one(self, v: Value) -> None:
        dtype = v.type.dtype
        if isinstance(v, Var):
            self.check(v.name in self.scope, f"{v.name!r} is not in scope")
            self.check(self.scope[v.name] == v.type, f"{v.name!r} is {self.scope[v.name]}, not {v.type}")
        elif isinstance(v, Lit):
            self.literal(v)
        elif isinstance(v, Read):
            self.check(v.offset.type == INDEX, f"an offset is {v.offset.type}, not i64")
            self.access(v.buffer, v.mask, v.type.lanes)
            if v.mask is None:
                self.within(v.buffer, v.offset, v.type.lanes)
        elif isinstance(v, Gather):
            self.check(v.offsets.type.dtype == int64, f"offsets are {v.offsets.type}, not i64")
            self.check(v.type.lanes > 1, "a gather of one lane is a read")
            self.access(v.buffer, v.mask, v.type.lanes)
        elif isinstance(v, Un | Bin):
            self.operation(v)
        elif isinstance(v, Fma):
            self.check(is_float(dtype) and not is_half(dtype), f"fma is not defined on {v.type}")
        elif isinstance(v, Convert):
            kinds = {v.x.type.dtype, dtype}
            by_float32 = len(kinds) == 1 or kinds.isdisjoint(HALVES) or float32 in kinds
            self.check(by_float32, f"{v.x.type} is converted to {v.type} by way of f32")
        elif isinstance(v, Reinterpret):
            same = v.x.type.dtype.itemsize == dtype.itemsize and bool_ not in (dtype, v.x.type.dtype)
            self.check(same, f"{v.x.type} cannot be reinterpreted as {v.type}")
        elif isinstance(v, Splat):
            self.check(v.x.type.lanes == 1, f"splat of {v.x.type}: a scalar is needed")
        elif isinstance(v, Across):
            lanes = v.x.type.lanes
            self.check(v.kind in REDUCE, f"{v.kind!r} is not a reduction")
            self.check(not is_half(dtype), f"{v.kind} is not defined on {v.x.type}")
            self.check(lanes > 1 and lanes & (lanes - 1) == 0, f"across {v.x.type}: lanes must be a power of two")
        elif isinstance(v, Shuffle):
            self.check(
                v.a.type.lanes > 1 and len(v.picks) > 1, f"shuffle of {v.a.type} to {v.type}: vectors are needed"
            )
        else:
            self.check(isinstance(v, Sel | Iota), f"{type(v).__name__} is not a value of the loop IR")

    def operation(self, v: Un | Bin) -> None:
        t = v.x.type if isinstance(v, Un) else v.a.type
        undefined = f"{v.op} is not defined on {SHORT_NAMES[t.dtype]}"
        self.check(not is_half(t.dtype), undefined)  # halves are stored, and computed with as f32
        if isinstance(v, Un):
            self.check(is_float(t.dtype) or v.op not in _FLOAT_ONLY, undefined)
            self.check(t.dtype != bool_ or v.op not in _NOT_BOOL, undefined)
            self.check(not is_float(t.dtype) or v.op != "not", undefined)
            return
        try:
            arithmetic.binary(v.op, t)
        except IRError:
            self.check(False, undefined)

    def literal(self, v: Lit) -> None:
        t, value = v.type, v.value
        if t.dtype == bool_:
            fits = isinstance(value, bool)
        elif is_integer(t.dtype):
            bits = 8 * t.dtype.itemsize
            low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if t.dtype.kind == "i" else (0, 2**bits - 1)
            fits = type(value) is int and low <= value <= high
        else:
            fits = type(value) in (int, float)
        self.check(fits, f"{value!r} is not a literal of {t}")
