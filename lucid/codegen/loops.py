"""The loop IR: how a kernel runs. Typed, structured, with vectors and registers spelled out.

A ``Kernel`` is a list of buffers and a body of statements. Values are scalars or short vectors (``f32x16``). Registers
(``Reg``) are the only mutable names; everything else is bound once. Offsets are in elements from the buffer's start.
The language is closed: the classes of this file are all there is, and ``text``, ``verify``, ``interpret`` and ``emit``
each handle every one of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

from lucid.errors import IRError
from lucid.ir.types import SHORT_NAMES, DType, Scalar, bool_, int64


class VType(NamedTuple):
    """Element type and number of lanes; one lane is a scalar."""

    dtype: DType
    lanes: int = 1

    def __str__(self) -> str:
        short = SHORT_NAMES[self.dtype]
        return short if self.lanes == 1 else f"{short}x{self.lanes}"


INDEX = VType(int64)

Role: TypeAlias = Literal["in", "out", "inout", "scratch"]


@dataclass(frozen=True)
class Buffer:
    """Memory a kernel touches: ``size`` elements. An ``in`` buffer is never written, and aliases no written one."""

    name: str
    dtype: DType
    size: int
    role: Role


# --- values -----------------------------------------------------------------------------------------------------------


class Value:
    """A scalar or vector value. Immutable and pure, except that ``Read`` and ``Gather`` see memory as it is."""

    __slots__ = ("_hash", "type")
    type: VType
    _hash: int

    def fields(self) -> tuple[Any, ...]:
        raise NotImplementedError  # every class of the closed set defines it

    def children(self) -> tuple[Value, ...]:
        return tuple(f for f in self.fields() if isinstance(f, Value))

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and self._hash == hash(other) and self.fields() == other.fields()

    def _seal(self) -> None:
        self._hash = hash((type(self).__name__, self.fields()))

    def __repr__(self) -> str:
        return f"{type(self).__name__}{self.fields()}"


class Var(Value):
    """A name bound by ``For``, ``Let`` or ``Reg``; names are unique within a kernel."""

    __slots__ = ("name",)

    def __init__(self, name: str, type: VType):
        self.name = name
        self.type = type
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.name, self.type)

    def children(self) -> tuple[Value, ...]:
        return ()


class Lit(Value):
    """A literal, the same in every lane."""

    __slots__ = ("value",)

    def __init__(self, value: Scalar, type: VType):
        self.value = value
        self.type = type
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (repr(self.value), self.type)

    def children(self) -> tuple[Value, ...]:
        return ()


class Un(Value):
    """``op(x)``, ``op`` from ``lucid.ir.expr.UNARY``; ``isnan`` gives bool lanes."""

    __slots__ = ("op", "x")

    def __init__(self, op: str, x: Value):
        self.op = op
        self.x = x
        self.type = VType(bool_, x.type.lanes) if op == "isnan" else x.type
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.op, self.x)

    def children(self) -> tuple[Value, ...]:
        return (self.x,)


class Bin(Value):
    """``op(a, b)``, ``op`` from ``lucid.ir.expr.BINARY`` or ``COMPARE``; operands have one type."""

    __slots__ = ("a", "b", "op")

    def __init__(self, op: str, a: Value, b: Value):
        if a.type != b.type:
            raise IRError(f"{op} of {a.type} and {b.type}")
        self.op = op
        self.a = a
        self.b = b
        self.type = VType(bool_, a.type.lanes) if op in ("lt", "le", "eq", "ne") else a.type
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.op, self.a, self.b)

    def children(self) -> tuple[Value, ...]:
        return (self.a, self.b)


class Sel(Value):
    """``a`` in lanes where ``condition`` holds, else ``b``. Both sides are evaluated."""

    __slots__ = ("a", "b", "condition")

    def __init__(self, condition: Value, a: Value, b: Value):
        if a.type != b.type or condition.type != VType(bool_, a.type.lanes):
            raise IRError(f"select of {condition.type} ? {a.type} : {b.type}")
        self.condition = condition
        self.a = a
        self.b = b
        self.type = a.type
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.condition, self.a, self.b)


class Fma(Value):
    """``a*b + c``, rounded once."""

    __slots__ = ("a", "b", "c")

    def __init__(self, a: Value, b: Value, c: Value):
        if not a.type == b.type == c.type:
            raise IRError(f"fma of {a.type}, {b.type}, {c.type}")
        self.a = a
        self.b = b
        self.c = c
        self.type = a.type
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.a, self.b, self.c)

    def children(self) -> tuple[Value, ...]:
        return (self.a, self.b, self.c)


class Convert(Value):
    """Value conversion to another element type, lane by lane; float to int truncates."""

    __slots__ = ("x",)

    def __init__(self, x: Value, dtype: DType):
        self.x = x
        self.type = VType(dtype, x.type.lanes)
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.x, self.type)


class Reinterpret(Value):
    """The same bits as another element type of the same width."""

    __slots__ = ("x",)

    def __init__(self, x: Value, dtype: DType):
        self.x = x
        self.type = VType(dtype, x.type.lanes)
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.x, self.type)


class Splat(Value):
    """A scalar in every lane."""

    __slots__ = ("x",)

    def __init__(self, x: Value, lanes: int):
        self.x = x
        self.type = VType(x.type.dtype, lanes)
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.x, self.type)

    def children(self) -> tuple[Value, ...]:
        return (self.x,)


class Iota(Value):
    """0, 1, 2, ... as ``i64`` lanes."""

    __slots__ = ()

    def __init__(self, lanes: int):
        self.type = VType(int64, lanes)
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.type,)


class Read(Value):
    """``lanes`` consecutive elements from scalar ``offset``; a lane masked off is not touched and reads as zero."""

    __slots__ = ("buffer", "mask", "offset")

    def __init__(self, buffer: Buffer, offset: Value, lanes: int = 1, mask: Value | None = None):
        self.buffer = buffer
        self.offset = offset
        self.mask = mask
        self.type = VType(buffer.dtype, lanes)
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.buffer.name, self.offset, self.type, self.mask)


class Gather(Value):
    """One element per lane from vector ``offsets``; a lane masked off is not touched and reads as zero."""

    __slots__ = ("buffer", "mask", "offsets")

    def __init__(self, buffer: Buffer, offsets: Value, mask: Value | None = None):
        self.buffer = buffer
        self.offsets = offsets
        self.mask = mask
        self.type = VType(buffer.dtype, offsets.type.lanes)
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.buffer.name, self.offsets, self.type, self.mask)


class Across(Value):
    """All lanes combined by ``kind`` (sum, prod, max, min) in a fixed halving order: lane k with lane k + n/2."""

    __slots__ = ("kind", "x")

    def __init__(self, kind: str, x: Value):
        self.kind = kind
        self.x = x
        self.type = VType(x.type.dtype)
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.kind, self.x)


class Shuffle(Value):
    """The lanes ``picks`` of ``a`` followed by ``b``: with n lanes each, n is the first of ``b``."""

    __slots__ = ("a", "b", "picks")

    def __init__(self, a: Value, b: Value, picks: Sequence[int]):
        if a.type != b.type or not all(0 <= k < 2 * a.type.lanes for k in picks):
            raise IRError(f"shuffle of {a.type} and {b.type} picks {', '.join(map(str, picks))}")
        self.a = a
        self.b = b
        self.picks = tuple(picks)
        self.type = VType(a.type.dtype, len(self.picks))
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.a, self.b, self.picks)


# --- statements -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Let:
    """Bind a name to a value, once."""

    var: Var
    value: Value


@dataclass(frozen=True)
class Reg:
    """Declare a mutable register with its first value."""

    var: Var
    init: Value


@dataclass(frozen=True)
class Set:
    """Give a register a new value."""

    var: Var
    value: Value


@dataclass(frozen=True)
class Write:
    """Store ``value`` at scalar ``offset``, consecutive lanes; lanes masked off are left alone.

    With ``stream`` it goes past the caches: a whole vector, at a multiple of its lanes, of a buffer that begins on a
    cache line and is not read in this kernel.
    """

    buffer: Buffer
    offset: Value
    value: Value
    mask: Value | None = None
    stream: bool = False


@dataclass(frozen=True)
class Scatter:
    """Store one element per lane at vector ``offsets``, in lane order."""

    buffer: Buffer
    offsets: Value
    value: Value
    mask: Value | None = None


@dataclass(frozen=True)
class Prefetch:
    """Ask for the cache line at scalar ``offset``, which will be read soon. It may lie past the buffer's end."""

    buffer: Buffer
    offset: Value


LoopKind: TypeAlias = Literal["serial", "parallel"]


@dataclass(frozen=True)
class For:
    """``for var in range(lo, hi, step)``; bounds are ``i64`` values. Iterations of a parallel loop are independent."""

    var: Var
    lo: Value
    hi: Value
    step: int
    body: tuple[Stmt, ...]
    kind: LoopKind = "serial"


@dataclass(frozen=True)
class If:
    """Run ``body`` if the scalar ``condition`` holds."""

    condition: Value
    body: tuple[Stmt, ...]


Stmt: TypeAlias = "Let | Reg | Set | Write | Scatter | Prefetch | For | If"


@dataclass(frozen=True)
class Kernel:
    """One loop nest over named buffers. ``note`` is a line for dumps: the schedule, the nodes it computes."""

    name: str
    buffers: tuple[Buffer, ...]
    body: tuple[Stmt, ...]
    note: str = field(default="", compare=False)

    def __str__(self) -> str:
        from lucid.codegen.text import print_kernel  # text knows the nest, not the reverse

        return print_kernel(self)


def statements(body: Sequence[Stmt]) -> Iterator[Stmt]:
    """Every statement, outer before inner."""
    for stmt in body:
        yield stmt
        if isinstance(stmt, For | If):
            yield from statements(stmt.body)


# --- building index arithmetic ----------------------------------------------------------------------------------------


def integer(value: int) -> Lit:
    return Lit(value, INDEX)


def add(a: Value, b: Value) -> Value:
    """Index sum; literals fold."""
    if isinstance(a, Lit) and isinstance(b, Lit):
        return integer(int(a.value) + int(b.value))
    if isinstance(b, Lit) and b.value == 0:
        return a
    if isinstance(a, Lit) and a.value == 0:
        return b
    return Bin("add", a, b)


def scale(a: Value, factor: int) -> Value:
    """Index times a constant."""
    if factor == 1:
        return a
    if isinstance(a, Lit):
        return integer(int(a.value) * factor)
    return integer(0) if factor == 0 else Bin("mul", a, integer(factor))
