"""Index expressions: the scalar language in which an op says how one output element is computed.

``compute`` of an op maps output axes and operands to one ``Expr``. The language is closed: the classes of this file
are all there is. An index is an ordinary ``int64`` expression over axes: positions can be cast, compared, selected on.
Fusion is substitution of a producer's expression for a ``Load``. Nothing here knows loops, memory or machines.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from operator import is_not
from typing import Any, TypeAlias, Union

from lucid.errors import IRError
from lucid.ir.types import SHORT_NAMES, DType, Scalar, TensorType, bool_, float32, int64, is_float, is_half

ExprLike: TypeAlias = Union["Expr", int, float, bool]

UNARY = frozenset(
    "neg abs sign not floor ceil round sqrt exp log log1p expm1 sin cos tan tanh erf isnan".split()  # noqa: SIM905
)
BINARY = frozenset("add sub mul div floordiv mod pow ldexp min max and or xor shl shr".split())  # noqa: SIM905
COMPARE = frozenset("lt le eq ne".split())  # noqa: SIM905
REDUCE = frozenset("sum prod max min".split())  # noqa: SIM905


class Expr:
    """One scalar value. Immutable; compared by structure (``same``), hashed once."""

    __slots__ = ("_below", "_hash", "dtype")
    dtype: DType
    _hash: int
    #: What ``walk`` finds below this expression, once it was asked.
    _below: tuple[Expr, ...]

    def fields(self) -> tuple[Any, ...]:
        """Everything that makes this expression what it is, besides its class."""
        raise NotImplementedError  # every class of the closed set defines it

    def children(self) -> tuple[Expr, ...]:
        return ()

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        """This expression with other children."""
        return self

    def describe(self, children: Sequence[str]) -> str:
        """Text of an expression that lowering adds to the language, given its children's."""
        raise IRError(f"not an expression: {type(self).__name__}")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        return type(self) is type(other) and self._hash == hash(other) and self.fields() == other.fields()

    def _seal(self) -> None:
        self._hash = hash((type(self).__name__, self.fields()))

    # --- arithmetic, so that maths reads as maths ---
    def __add__(self, other: ExprLike) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: ExprLike) -> Expr:
        return binary("add", other, self)

    def __sub__(self, other: ExprLike) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: ExprLike) -> Expr:
        return binary("sub", other, self)

    def __mul__(self, other: ExprLike) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: ExprLike) -> Expr:
        return binary("mul", other, self)

    def __truediv__(self, other: ExprLike) -> Expr:
        return binary("div", self, other)

    def __rtruediv__(self, other: ExprLike) -> Expr:
        return binary("div", other, self)

    def __floordiv__(self, other: ExprLike) -> Expr:
        return binary("floordiv", self, other)

    def __mod__(self, other: ExprLike) -> Expr:
        return binary("mod", self, other)

    def __and__(self, other: ExprLike) -> Expr:
        return binary("and", self, other)

    def __or__(self, other: ExprLike) -> Expr:
        return binary("or", self, other)

    def __xor__(self, other: ExprLike) -> Expr:
        return binary("xor", self, other)

    def __lshift__(self, other: ExprLike) -> Expr:
        return binary("shl", self, other)

    def __rshift__(self, other: ExprLike) -> Expr:
        return binary("shr", self, other)

    def __neg__(self) -> Expr:
        return unary("neg", self)

    def __lt__(self, other: ExprLike) -> Expr:
        return binary("lt", self, other)

    def __le__(self, other: ExprLike) -> Expr:
        return binary("le", self, other)

    def __gt__(self, other: ExprLike) -> Expr:
        return binary("lt", other, self)

    def __ge__(self, other: ExprLike) -> Expr:
        return binary("le", other, self)

    def eq(self, other: ExprLike) -> Expr:
        return binary("eq", self, other)

    def ne(self, other: ExprLike) -> Expr:
        return binary("ne", self, other)

    def cast(self, dtype: DType) -> Expr:
        return cast(self, dtype)

    def __repr__(self) -> str:
        return show(self)


class Axis(Expr):
    """A loop position ``0 <= axis < extent``; every ``Axis`` object is an axis of its own (compared by identity)."""

    __slots__ = ("extent", "name")

    def __init__(self, name: str, extent: int):
        self.name = name
        self.extent = extent
        self.dtype = int64
        self._hash = id(self) >> 4

    def fields(self) -> tuple[Any, ...]:
        return (id(self),)

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = Expr.__hash__


class Const(Expr):
    """A scalar literal."""

    __slots__ = ("value",)

    def __init__(self, value: Scalar, dtype: DType):
        self.value = value
        self.dtype = dtype
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        # repr tells -0.0 from 0.0 and makes NaN equal to itself.
        return (repr(self.value), self.dtype)


class Load(Expr):
    """Element ``index`` of ``source``. With ``fill``, a position outside the source reads as ``fill`` (padding)."""

    __slots__ = ("fill", "index", "source", "type")

    def __init__(self, source: Hashable, type: TensorType, index: Sequence[Expr], fill: Scalar | None = None):
        if len(index) != type.ndim:
            raise IRError(f"{len(index)} indices for a source of type {type}")
        self.source = source
        self.type = type
        self.index = tuple(index)
        self.fill = fill
        self.dtype = type.dtype
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.source, self.type, self.index, repr(self.fill))

    def children(self) -> tuple[Expr, ...]:
        return self.index

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Load(self.source, self.type, children, self.fill)


class Unary(Expr):
    """``op(x)``; ``op`` is in ``UNARY``."""

    __slots__ = ("op", "x")

    def __init__(self, op: str, x: Expr):
        self.op = op
        self.x = x
        self.dtype = bool_ if op == "isnan" else x.dtype
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.op, self.x)

    def children(self) -> tuple[Expr, ...]:
        return (self.x,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Unary(self.op, children[0])


class Binary(Expr):
    """``op(a, b)`` on equal dtypes, of ``BINARY`` or ``COMPARE``; ``floordiv`` and ``mod`` round down like Python's.

    ``ldexp`` is ``a * 2**b``, rounded once, for a number ``b`` that is an integer.
    """

    __slots__ = ("a", "b", "op")

    def __init__(self, op: str, a: Expr, b: Expr):
        if a.dtype != b.dtype:
            raise IRError(f"{op} of {a.dtype.name} and {b.dtype.name}")
        self.op = op
        self.a = a
        self.b = b
        self.dtype = bool_ if op in COMPARE else a.dtype
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.op, self.a, self.b)

    def children(self) -> tuple[Expr, ...]:
        return (self.a, self.b)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return binary(self.op, *children)


class Select(Expr):
    """``a`` where ``condition`` holds, else ``b``."""

    __slots__ = ("a", "b", "condition")

    def __init__(self, condition: Expr, a: Expr, b: Expr):
        if condition.dtype != bool_ or a.dtype != b.dtype:
            raise IRError(f"select of {condition.dtype.name} ? {a.dtype.name} : {b.dtype.name}")
        self.condition = condition
        self.a = a
        self.b = b
        self.dtype = a.dtype
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.condition, self.a, self.b)

    def children(self) -> tuple[Expr, ...]:
        return (self.condition, self.a, self.b)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Select(*children)


class Cast(Expr):
    """Value conversion, with NumPy's meaning (float to int truncates)."""

    __slots__ = ("x",)

    def __init__(self, x: Expr, dtype: DType):
        self.x = x
        self.dtype = dtype
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.x, self.dtype)

    def children(self) -> tuple[Expr, ...]:
        return (self.x,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return cast(children[0], self.dtype)


class Bitcast(Expr):
    """The same bits read as another dtype of the same width."""

    __slots__ = ("x",)

    def __init__(self, x: Expr, dtype: DType):
        if x.dtype.itemsize != dtype.itemsize:
            raise IRError(f"bitcast of {x.dtype.name} to {dtype.name}")
        self.x = x
        self.dtype = dtype
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.x, self.dtype)

    def children(self) -> tuple[Expr, ...]:
        return (self.x,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Bitcast(children[0], self.dtype)


class Reduce(Expr):
    """``kind`` of ``body`` over all positions of ``axes``. ``max`` and ``min`` carry NaN through, as NumPy does."""

    __slots__ = ("axes", "body", "kind")

    def __init__(self, kind: str, axes: Sequence[Axis], body: Expr):
        if kind not in REDUCE:
            raise IRError(f"unknown reduction {kind!r}")
        self.kind = kind
        self.axes = tuple(axes)
        self.body = body
        self.dtype = body.dtype
        self._seal()

    def fields(self) -> tuple[Any, ...]:
        return (self.kind, self.axes, self.body)

    def children(self) -> tuple[Expr, ...]:
        return (self.body,)

    def rebuild(self, children: Sequence[Expr]) -> Expr:
        return Reduce(self.kind, self.axes, children[0])


class Operand:
    """What an op's ``compute`` sees of an input: its type, and its elements by position.

    ``x[i, j]`` loads; ``x.padded(fill, i, j)`` reads ``fill`` outside the bounds; ``x.broadcast(out)`` loads the
    element that NumPy broadcasting pairs with output position ``out``.
    """

    __slots__ = ("source", "type")

    def __init__(self, source: Hashable, type: TensorType):
        self.source = source
        self.type = type

    @property
    def shape(self) -> tuple[int, ...]:
        return self.type.shape

    @property
    def dtype(self) -> DType:
        return self.type.dtype

    def __getitem__(self, index: ExprLike | tuple[ExprLike, ...]) -> Expr:
        parts = index if isinstance(index, tuple) else (index,)
        return self.load(parts)

    def load(self, index: Sequence[ExprLike], fill: Scalar | None = None) -> Expr:
        return Load(self.source, self.type, [as_index(i) for i in index], fill)

    def padded(self, fill: Scalar, *index: ExprLike) -> Expr:
        return self.load(index, fill)

    def broadcast(self, out: Sequence[Expr]) -> Expr:
        tail = out[len(out) - self.type.ndim :]
        return self.load([index(0) if n == 1 else i for n, i in zip(self.shape, tail, strict=True)])


# --- constructors -----------------------------------------------------------------------------------------------------


def index(value: int) -> Const:
    """An integer position."""
    return Const(value, int64)


def as_index(value: ExprLike) -> Expr:
    if isinstance(value, Expr):
        return value
    return index(int(value))


def const(value: Scalar, dtype: DType) -> Const:
    """A literal of ``dtype``; the value is rounded to it, or wrapped around as integer arithmetic does."""
    if is_float(dtype):
        return Const(float(dtype.type(value)), dtype)
    if dtype == bool_:
        return Const(bool(value), dtype)
    whole, bits = int(value), 8 * dtype.itemsize
    low = 0 if dtype.kind == "u" else -(2 ** (bits - 1))
    return Const((whole - low) % 2**bits + low, dtype)


def unary(op: str, x: Expr) -> Expr:
    if op not in UNARY:
        raise IRError(f"unknown unary operation {op!r}")
    return Unary(op, x)


def binary(op: str, a: ExprLike, b: ExprLike) -> Expr:
    """``op(a, b)``; a Python scalar takes the other side's dtype. Integer literals fold, as do ``x+0`` and ``x*1``."""
    if op not in BINARY and op not in COMPARE:
        raise IRError(f"unknown binary operation {op!r}")
    if not isinstance(a, Expr):
        if not isinstance(b, Expr):
            raise IRError(f"{op} of two plain numbers")
        a = const(a, b.dtype)
    elif not isinstance(b, Expr):
        b = const(b, a.dtype)
    if a.dtype == int64 and b.dtype == int64:
        folded = _fold_index(op, a, b)
        if folded is not None:
            return folded
    return Binary(op, a, b)


_INT_FOLD: dict[str, Callable[[int, int], int]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "min": min,
    "max": max,
}


def _fold_index(op: str, a: Expr, b: Expr) -> Expr | None:
    """Small-integer folding; exact because positions stay far from the ends of int64."""
    if isinstance(b, Const):
        y = int(b.value)
        if isinstance(a, Const):
            x = int(a.value)
            if op in _INT_FOLD:
                value = _INT_FOLD[op](x, y)
                return index(value) if abs(value) < 2**62 else None
            if op in ("floordiv", "mod") and y > 0:
                return index(x // y if op == "floordiv" else x % y)
            if op in COMPARE:
                return Const({"lt": x < y, "le": x <= y, "eq": x == y, "ne": x != y}[op], bool_)
            return None
        if (op in ("add", "sub") and y == 0) or (op in ("mul", "floordiv") and y == 1):
            return a
        if (op == "mul" and y == 0) or (op == "mod" and y == 1):
            return index(0)
    elif isinstance(a, Const):
        x = int(a.value)
        if (op == "add" and x == 0) or (op == "mul" and x == 1):
            return b
        if op == "mul" and x == 0:
            return index(0)
    return None


def cast(x: Expr, dtype: DType) -> Expr:
    """``x`` as another dtype; between halves and anything but float32 by way of float32."""
    if x.dtype == dtype:
        return x
    if float32 not in (x.dtype, dtype) and (is_half(x.dtype) or is_half(dtype)):
        return cast(cast(x, float32), dtype)
    if isinstance(x, Const) and not (is_float(x.dtype) and not is_float(dtype)):
        return const(x.value, dtype)
    return Cast(x, dtype)


def select(condition: Expr, a: ExprLike, b: ExprLike) -> Expr:
    """``a`` where ``condition``, else ``b``; one of the two may be a Python scalar."""
    if not isinstance(a, Expr):
        if not isinstance(b, Expr):
            raise IRError("select of two plain numbers")
        a = const(a, b.dtype)
    elif not isinstance(b, Expr):
        b = const(b, a.dtype)
    if isinstance(condition, Const):
        return a if condition.value else b
    return Select(condition, a, b)


def axes(prefix: str, shape: Sequence[int]) -> tuple[Axis, ...]:
    """One axis per dimension, named ``prefix0``, ``prefix1``, ..."""
    return tuple(Axis(f"{prefix}{k}", n) for k, n in enumerate(shape))


def reduce_axes(*named: tuple[str, int]) -> tuple[Axis, ...]:
    """Reduction axes by name: ``ci, ki = reduce_axes(("ci", 3), ("ki", 5))``."""
    return tuple(Axis(name, extent) for name, extent in named)


def total(body: Expr, over: Sequence[Axis]) -> Expr:
    """The sum of ``body``; no axes, no sum."""
    return Reduce("sum", over, body) if over else body


def identity(kind: str, dtype: DType) -> Const:
    """Neutral element of a reduction: 0, 1, or the end of the dtype's range."""
    if kind == "sum":
        return const(0, dtype)
    if kind == "prod":
        return const(1, dtype)
    sign = -1 if kind == "max" else 1
    if is_float(dtype):
        return const(sign * float("inf"), dtype)
    if dtype == bool_:
        return const(kind == "min", dtype)
    bits = dtype.itemsize * 8
    if dtype.kind == "u":
        return const(0 if kind == "max" else 2**bits - 1, dtype)
    return const(-(2 ** (bits - 1)) if kind == "max" else 2 ** (bits - 1) - 1, dtype)


# --- walks ------------------------------------------------------------------------------------------------------------


def walk(root: Expr) -> tuple[Expr, ...]:
    """Every distinct sub-expression object, children before parents; found once for a root and kept."""
    try:
        return (*root._below, root)
    except AttributeError:
        pass
    order: list[Expr] = []
    done: set[int] = set()
    stack: list[Expr | None] = [root]
    while stack:
        expr = stack.pop()
        if expr is None:  # the children of what lies below are done
            parent = stack.pop()
            assert parent is not None
            order.append(parent)
        elif id(expr) not in done:
            done.add(id(expr))
            children = expr.children()
            if children:
                stack += (expr, None)
                stack += children[::-1]
            else:
                order.append(expr)
    root._below = tuple(order[:-1])
    return tuple(order)


def rewrite(root: Expr, visit: Callable[[Expr], Expr | None]) -> Expr:
    """Rebuild bottom-up; ``visit`` returns a replacement for a rebuilt expression, or None to keep it."""
    memo: dict[int, Expr] = {}
    for expr in walk(root):
        rebuilt = expr
        children = expr.children()
        if children:
            new = [memo[id(c)] for c in children]
            if any(map(is_not, new, children)):
                rebuilt = expr.rebuild(new)
        replaced = visit(rebuilt)
        memo[id(expr)] = rebuilt if replaced is None else replaced
    return memo[id(root)]


def substitute(root: Expr, mapping: dict[Axis, Expr]) -> Expr:
    """``root`` with axes replaced by expressions; reduction axes may be renamed by mapping them to other axes."""
    if not mapping:
        return root

    def visit(expr: Expr) -> Expr | None:
        if isinstance(expr, Axis):
            return mapping.get(expr)
        if isinstance(expr, Reduce):
            renamed = [mapping.get(a, a) for a in expr.axes]
            if any(r is not a for r, a in zip(renamed, expr.axes, strict=True)):
                if not all(isinstance(r, Axis) for r in renamed):
                    raise IRError("a reduction axis can only be renamed to another axis")
                return Reduce(expr.kind, renamed, expr.body)  # type: ignore[arg-type]  # checked just above
        return None

    return rewrite(root, visit)


def free_axes(root: Expr) -> frozenset[Axis]:
    """The axes an expression depends on and does not itself reduce over."""
    memo: dict[int, frozenset[Axis]] = {}
    for expr in walk(root):
        if isinstance(expr, Axis):
            memo[id(expr)] = frozenset((expr,))
            continue
        free = frozenset[Axis]().union(*(memo[id(c)] for c in expr.children()))
        memo[id(expr)] = free - frozenset(expr.axes) if isinstance(expr, Reduce) else free
    return memo[id(root)]


def loads(root: Expr) -> list[Load]:
    """Every distinct ``Load``, in the order met."""
    found: dict[Load, None] = {}
    for expr in walk(root):
        if isinstance(expr, Load):
            found.setdefault(expr)
    return list(found)


# --- text -------------------------------------------------------------------------------------------------------------

_INFIX: dict[str, str] = {
    "add": "+", "sub": "-", "mul": "*", "div": "/", "floordiv": "//", "mod": "%", "lt": "<", "le": "<=", "eq": "==",
    "ne": "!=", "and": "&", "or": "|", "xor": "^", "shl": "<<", "shr": ">>",
}  # fmt: skip


def show(root: Expr, name_of: Callable[[Hashable], str] = str) -> str:
    """One line of text, for dumps and error messages; ``name_of`` names the sources of loads.

    A long part that occurs several times is written once, as ``... where t0 = ...``: text grows with the expression's
    distinct parts, not with the paths through it.
    """
    memo: dict[int, str] = {}
    uses = Counter(id(child) for expr in walk(root) for child in expr.children())
    shared: list[str] = []

    def text(expr: Expr) -> str:
        if isinstance(expr, Axis):
            return expr.name
        if isinstance(expr, Const):
            return repr(expr.value)
        if isinstance(expr, Load):
            body = f"{name_of(expr.source)}[{', '.join(memo[id(i)] for i in expr.index)}]"
            return body if expr.fill is None else f"pad({body}, {expr.fill!r})"
        if isinstance(expr, Unary):
            return f"{expr.op}({memo[id(expr.x)]})"
        if isinstance(expr, Binary):
            a, b = memo[id(expr.a)], memo[id(expr.b)]
            return f"({a} {_INFIX[expr.op]} {b})" if expr.op in _INFIX else f"{expr.op}({a}, {b})"
        if isinstance(expr, Select):
            return f"select({memo[id(expr.condition)]}, {memo[id(expr.a)]}, {memo[id(expr.b)]})"
        if isinstance(expr, Cast | Bitcast):
            return f"{type(expr).__name__.lower()}<{SHORT_NAMES[expr.dtype]}>({memo[id(expr.x)]})"
        if isinstance(expr, Reduce):
            over = ", ".join(f"{a.name}<{a.extent}" for a in expr.axes)
            return f"{expr.kind}[{over}]({memo[id(expr.body)]})"
        return expr.describe([memo[id(x)] for x in expr.children()])

    for expr in walk(root):
        written = text(expr)
        if uses[id(expr)] > 1 and len(written) > 200:
            shared.append(f"t{len(shared)} = {written}")
            written = f"t{len(shared) - 1}"
        memo[id(expr)] = written
    return memo[id(root)] + (f" where {'; '.join(shared)}" if shared else "")
