"""What each operation of the loop IR is in LLVM instructions, with NumPy's meaning to the last bit. Knows no memory.

Every function takes the builder, the operand type and SSA names, and returns the SSA name of the result. Nothing traps
and nothing is undefined: division by zero and shifts past the width give what NumPy gives, so any of it may be hoisted.
No fast-math flag appears here.

Float to integer conversion saturates and takes NaN to 0. In range that is NumPy; out of range NumPy's result depends
on the machine, and ours does not.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from functools import cache

import numpy as np

from lucid.codegen.loops import VType
from lucid.codegen.ssa import Builder
from lucid.errors import CodegenError
from lucid.ir.types import SHORT_NAMES, DType, Scalar, bool_, float32, int32, is_float, is_half


@cache
def element(dtype: DType) -> str:
    """LLVM's element type of a value; a bool is one bit until it is stored, and a half its 16 bits."""
    if dtype == bool_:
        return "i1"
    if is_float(dtype) and not is_half(dtype):
        return "float" if dtype == float32 else "double"
    return f"i{dtype.itemsize * 8}"


@cache
def ll(t: VType) -> str:
    """LLVM's type of a value."""
    return element(t.dtype) if t.lanes == 1 else f"<{t.lanes} x {element(t.dtype)}>"


@cache
def suffix(t: VType) -> str:
    """How intrinsics spell the type: ``v16f32``."""
    kind = element(t.dtype)
    scalar = kind if kind.startswith("i") else f"f{_bits(t)}"
    return scalar if t.lanes == 1 else f"v{t.lanes}{scalar}"


def literal(value: Scalar, t: VType) -> str:
    """A constant operand, the same in every lane."""
    if is_half(t.dtype):
        bits = int(np.array(value, t.dtype).view(np.uint16))
        text, zero = str(bits), bits == 0
    elif is_float(t.dtype):
        rounded = float(t.dtype.type(value))
        text = f"0x{struct.unpack('<Q', struct.pack('<d', rounded))[0]:016X}"
        zero = rounded == 0 and math.copysign(1, rounded) > 0
    elif t.dtype == bool_:
        text, zero = ("true", False) if value else ("false", True)
    else:
        text, zero = str(int(value)), int(value) == 0
    if t.lanes == 1:
        return text
    return "zeroinitializer" if zero else f"splat ({element(t.dtype)} {text})"


def _bits(t: VType) -> int:
    return t.dtype.itemsize * 8


def _signed(t: VType) -> bool:
    return t.dtype.kind == "i"


def _two(b: Builder, t: VType, op: str, x: str, y: str) -> str:
    return b.pure(f"{op} {ll(t)} {x}, {y}", x, y)


def _intrinsic(b: Builder, t: VType, name: str, *operands: str, flag: str = "") -> str:
    given = ", ".join(f"{ll(t)} {x}" for x in operands)
    return b.pure(f"call {ll(t)} @llvm.{name}.{suffix(t)}({given}{flag})", *operands)


def select(b: Builder, t: VType, condition: str, x: str, y: str) -> str:
    mask = ll(VType(bool_, t.lanes))
    return b.pure(f"select {mask} {condition}, {ll(t)} {x}, {ll(t)} {y}", condition, x, y)


def fma(b: Builder, t: VType, x: str, y: str, z: str) -> str:
    return _intrinsic(b, t, "fma", x, y, z)


def ldexp(b: Builder, t: VType, x: str, n: str, *, instruction: bool) -> str:
    """``x * 2**n``: one of AVX-512's instructions, or the library's function lane by lane."""
    if instruction and t.lanes * _bits(t) in (128, 256, 512):
        width = t.lanes * _bits(t)
        name = f"llvm.x86.avx512.mask.scalef.p{'s' if t.dtype == float32 else 'd'}.{width}"
        every = f"i{max(8, t.lanes)} -1{', i32 4' if width == 512 else ''}"
        return b.pure(f"call {ll(t)} @{name}({ll(t)} {x}, {ll(t)} {n}, {ll(t)} {x}, {every})", x, n)
    whole = VType(int32, t.lanes)
    exponent = convert(b, t, whole, n)
    scaled = b.pure(
        f"call {ll(t)} @llvm.ldexp.{suffix(t)}.{suffix(whole)}({ll(t)} {x}, {ll(whole)} {exponent})", x, exponent
    )
    return select(b, t, compare(b, t, "ne", n, n), n, scaled)


# --- library calls ----------------------------------------------------------------------------------------------------


def _library(b: Builder, t: VType, name: str, *operands: str) -> str:
    """A libm function, lane by lane."""
    kind = element(t.dtype)
    symbol = name + ("f" if t.dtype == float32 else "")
    b.declarations.add(f"declare {kind} @{symbol}({', '.join([kind] * len(operands))}) nounwind")
    return _lane_by_lane(b, t, symbol, *operands)


def _lane_by_lane(b: Builder, t: VType, symbol: str, *operands: str) -> str:
    kind = element(t.dtype)
    if t.lanes == 1:
        return b.pure(f"call {kind} @{symbol}({', '.join(f'{kind} {x}' for x in operands)})", *operands)
    result = "poison"
    for lane in range(t.lanes):
        parts = [b.pure(f"extractelement {ll(t)} {x}, i64 {lane}", x) for x in operands]
        one = b.pure(f"call {kind} @{symbol}({', '.join(f'{kind} {x}' for x in parts)})", *parts)
        result = b.pure(f"insertelement {ll(t)} {result}, {kind} {one}, i64 {lane}", result, one)
    return result


def unless(b: Builder, t: VType, rare: str, usual: str, name: str, *operands: str) -> str:
    """``usual``, but what libm's ``name`` gives in the lanes where ``rare`` holds: it is called if there are any."""
    key = ("unless", rare, usual, name)
    found = b.recall(key)
    if found is not None:
        return found
    flags = VType(bool_, t.lanes)
    some = rare if t.lanes == 1 else b.pure(f"call i1 @llvm.vector.reduce.or.{suffix(flags)}({ll(flags)} {rare})", rare)
    b.open("branch")
    mended = select(b, t, rare, _library(b, t, name, *operands), usual)
    (result,) = b.close_branch(some, [(ll(t), mended, usual)], rare=True)
    b.remember(key, result, b.current)
    return result


# --- one operand ------------------------------------------------------------------------------------------------------


def unary(b: Builder, t: VType, op: str, x: str) -> str:
    """``op`` of ``lucid.ir.expr.UNARY`` on ``x``."""
    if is_float(t.dtype):
        return _float_unary(b, t, op, x)
    if op == "isnan":
        return literal(False, VType(bool_, t.lanes))
    if op == "not":
        return _two(b, t, "xor", x, literal(True if t.dtype == bool_ else -1, t))
    if op in ("floor", "ceil", "round") or (op == "abs" and not _signed(t)):
        return x
    if op == "abs":
        return _intrinsic(b, t, "abs", x, flag=", i1 false")
    if op == "neg" and t.dtype != bool_:
        return _two(b, t, "sub", literal(0, t), x)
    if op == "sign" and t.dtype != bool_:
        one, zero = literal(1, t), literal(0, t)
        positive = select(b, t, compare(b, t, "lt", zero, x), one, zero)
        return select(b, t, compare(b, t, "lt", x, zero), literal(-1, t), positive) if _signed(t) else positive
    raise CodegenError(f"{op} is not defined on {SHORT_NAMES[t.dtype]}")


_FLOAT_INTRINSICS = {"abs": "fabs", "floor": "floor", "ceil": "ceil", "round": "rint", "sqrt": "sqrt"}
_LIBRARY = frozenset(("exp", "log", "log1p", "expm1", "sin", "cos", "tan", "tanh", "erf"))


def _float_unary(b: Builder, t: VType, op: str, x: str) -> str:
    if is_half(t.dtype):
        raise CodegenError(f"{op} is not defined on {SHORT_NAMES[t.dtype]}")
    if op in _FLOAT_INTRINSICS:
        return _intrinsic(b, t, _FLOAT_INTRINSICS[op], x)
    if op == "neg":
        return b.pure(f"fneg {ll(t)} {x}", x)
    if op == "isnan":
        return b.pure(f"fcmp uno {ll(t)} {x}, {x}", x)
    if op == "sign":  # NaN stays, both zeros give 0.0
        zero = literal(0.0, t)
        result = select(b, t, compare(b, t, "eq", x, zero), zero, x)
        result = select(b, t, compare(b, t, "lt", x, zero), literal(-1.0, t), result)
        return select(b, t, compare(b, t, "lt", zero, x), literal(1.0, t), result)
    if op in _LIBRARY:
        return _library(b, t, op, x)
    raise CodegenError(f"{op} is not defined on {SHORT_NAMES[t.dtype]}")


# --- two operands -----------------------------------------------------------------------------------------------------

_COMPARE_FLOAT = {"lt": "olt", "le": "ole", "eq": "oeq", "ne": "une"}
_COMPARE_SIGNED = {"lt": "slt", "le": "sle", "eq": "eq", "ne": "ne"}
_COMPARE_UNSIGNED = {"lt": "ult", "le": "ule", "eq": "eq", "ne": "ne"}


def compare(b: Builder, t: VType, op: str, x: str, y: str) -> str:
    """``op`` of ``lucid.ir.expr.COMPARE``."""
    if is_half(t.dtype):
        raise CodegenError(f"{op} is not defined on {SHORT_NAMES[t.dtype]}")
    if is_float(t.dtype):
        return b.pure(f"fcmp {_COMPARE_FLOAT[op]} {ll(t)} {x}, {y}", x, y)
    predicate = (_COMPARE_SIGNED if _signed(t) else _COMPARE_UNSIGNED)[op]
    return b.pure(f"icmp {predicate} {ll(t)} {x}, {y}", x, y)


def binary(b: Builder, t: VType, op: str, x: str, y: str) -> str:
    """``op`` of ``lucid.ir.expr.BINARY`` or ``COMPARE``."""
    if op in _COMPARE_SIGNED:
        return compare(b, t, op, x, y)
    table = _FLOAT_BINARY if is_float(t.dtype) else _BOOL_BINARY if t.dtype == bool_ else _INT_BINARY
    if op not in table or is_half(t.dtype):
        raise CodegenError(f"{op} is not defined on {SHORT_NAMES[t.dtype]}")
    meaning = table[op]
    return _two(b, t, meaning, x, y) if isinstance(meaning, str) else meaning(b, t, x, y)


def _is_number(t: VType, x: str) -> bool:
    """A literal that is not NaN: its comparisons are ordered."""
    return x == "zeroinitializer" or (x.startswith(("0x", "splat")) and "0x7FF8" not in x and "0xFFF8" not in x)


def _float_extremum(first_wins: str) -> Callable[[Builder, VType, str, str], str]:
    """max or min: ``y`` if it is strictly beyond ``x``, else ``x``; a NaN on either side wins.

    With the side that cannot be NaN as ``x``'s rival, one comparison does, which is one instruction on x86.
    """

    def emit(b: Builder, t: VType, x: str, y: str) -> str:
        beyond = b.pure(f"fcmp {first_wins} {ll(t)} {x}, {y}", x, y)
        if _is_number(t, y):
            return select(b, t, beyond, y, x)
        if _is_number(t, x):  # not (x at least y) includes y being NaN
            kept = {"olt": "oge", "ogt": "ole"}[first_wins]
            return select(b, t, b.pure(f"fcmp {kept} {ll(t)} {x}, {y}", x, y), x, y)
        result = select(b, t, beyond, y, x)
        return select(b, t, b.pure(f"fcmp uno {ll(t)} {y}, {y}", y), y, result)

    return emit


def _int_extremum(name: str) -> Callable[[Builder, VType, str, str], str]:
    return lambda b, t, x, y: _intrinsic(b, t, ("s" if _signed(t) else "u") + name, x, y)


def _shift_left(b: Builder, t: VType, x: str, y: str) -> str:
    """A count outside the width, seen as unsigned, gives 0."""
    known = constant_of(y)
    if known is not None and 0 <= known < _bits(t):
        return _two(b, t, "shl", x, y)
    zero = literal(0, t)
    fits = b.pure(f"icmp ult {ll(t)} {y}, {literal(_bits(t), t)}", y)
    moved = _two(b, t, "shl", x, select(b, t, fits, y, zero))
    return select(b, t, fits, moved, zero)


def _shift_right(b: Builder, t: VType, x: str, y: str) -> str:
    """A count outside the width gives the sign."""
    known = constant_of(y)
    if known is not None and 0 <= known < _bits(t):
        return _two(b, t, "ashr" if _signed(t) else "lshr", x, y)
    fits = b.pure(f"icmp ult {ll(t)} {y}, {literal(_bits(t), t)}", y)
    if _signed(t):
        return _two(b, t, "ashr", x, select(b, t, fits, y, literal(_bits(t) - 1, t)))
    moved = _two(b, t, "lshr", x, select(b, t, fits, y, literal(0, t)))
    return select(b, t, fits, moved, literal(0, t))


def constant_of(operand: str) -> int | None:
    """The integer an operand is known to be, in every lane."""
    text = operand[:-1].rpartition(" ")[2] if operand.startswith("splat") else operand
    if operand == "zeroinitializer":
        return 0
    return int(text) if text.lstrip("-").isdigit() else None


def _floor_divide(b: Builder, t: VType, x: str, y: str) -> str:
    """Rounds down; 0 where ``y`` is 0, and the wrapped negative where ``y`` is -1."""
    known = constant_of(y)
    if known is not None and known > 0 and known & (known - 1) == 0:
        return _two(b, t, "ashr" if _signed(t) else "lshr", x, literal(known.bit_length() - 1, t))
    divisor = _safe_divisor(b, t, y, known)
    zero = literal(0, t)
    if not _signed(t):
        quotient = _two(b, t, "udiv", x, divisor)
    else:
        quotient = _two(b, t, "sdiv", x, divisor)
        remainder = _two(b, t, "sub", x, _two(b, t, "mul", quotient, divisor))
        down = _rounds_down(b, t, remainder, divisor, known)
        quotient = select(b, t, down, _two(b, t, "add", quotient, literal(-1, t)), quotient)
        if known is None or known == -1:
            quotient = select(b, t, compare(b, t, "eq", y, literal(-1, t)), _two(b, t, "sub", zero, x), quotient)
    return quotient if known else select(b, t, compare(b, t, "eq", y, zero), zero, quotient)


def _modulo(b: Builder, t: VType, x: str, y: str) -> str:
    """Takes the sign of ``y``; 0 where ``y`` is 0."""
    known = constant_of(y)
    if known is not None and known > 0 and known & (known - 1) == 0:
        return _two(b, t, "and", x, literal(known - 1, t))
    divisor = _safe_divisor(b, t, y, known)
    zero = literal(0, t)
    remainder = _two(b, t, "srem" if _signed(t) else "urem", x, divisor)
    if _signed(t):
        down = _rounds_down(b, t, remainder, divisor, known)
        remainder = select(b, t, down, _two(b, t, "add", remainder, divisor), remainder)
    return remainder if known else select(b, t, compare(b, t, "eq", y, zero), zero, remainder)


def _safe_divisor(b: Builder, t: VType, y: str, known: int | None) -> str:
    """``y`` with the values that would trap replaced by 1: 0, and for signed division -1."""
    one = literal(1, t)
    if known is not None:
        return one if known in (0, -1) and (known == 0 or _signed(t)) else y
    bad = compare(b, t, "eq", y, literal(0, t))
    if _signed(t):
        minus = compare(b, t, "eq", y, literal(-1, t))
        bad = _two(b, VType(bool_, t.lanes), "or", bad, minus)
    return select(b, t, bad, one, y)


def _rounds_down(b: Builder, t: VType, remainder: str, divisor: str, known: int | None) -> str:
    """Whether truncation went up: the remainder is not 0 and its sign is not the divisor's."""
    if known is not None and known > 0:
        return compare(b, t, "lt", remainder, literal(0, t))
    differs = compare(b, t, "lt", _two(b, t, "xor", remainder, divisor), literal(0, t))
    return _two(b, VType(bool_, t.lanes), "and", differs, compare(b, t, "ne", remainder, literal(0, t)))


def _float_remainder(b: Builder, t: VType, x: str, y: str) -> str:
    """C's fmod, exact, with the sign of ``x``; NaN where ``y`` is 0 or ``x`` infinite."""
    return _library(b, t, "fmod", x, y)


def _float_modulo(b: Builder, t: VType, x: str, y: str) -> str:
    """fmod moved to the divisor's sign; a zero result has the divisor's sign too, as in Python."""
    zero = literal(0.0, t)
    remainder = _float_remainder(b, t, x, y)
    flags = VType(bool_, t.lanes)
    differs = _two(b, flags, "xor", compare(b, t, "lt", y, zero), compare(b, t, "lt", remainder, zero))
    moved = select(b, t, differs, _two(b, t, "fadd", remainder, y), remainder)
    exact = select(b, t, compare(b, t, "eq", remainder, zero), _intrinsic(b, t, "copysign", zero, y), moved)
    return select(b, t, compare(b, t, "eq", y, zero), remainder, exact)


def _float_floor_divide(b: Builder, t: VType, x: str, y: str) -> str:
    """The floor of the exact quotient where it can be told, as NumPy's divmod finds it; ``x / y`` where ``y`` is 0."""
    zero = literal(0.0, t)
    ratio = _two(b, t, "fdiv", x, y)
    remainder = _float_remainder(b, t, x, y)
    flags = VType(bool_, t.lanes)
    quotient = _two(b, t, "fdiv", _two(b, t, "fsub", x, remainder), y)
    differs = _two(b, flags, "xor", compare(b, t, "lt", y, zero), compare(b, t, "lt", remainder, zero))
    differs = _two(b, flags, "and", differs, compare(b, t, "ne", remainder, zero))
    quotient = select(b, t, differs, _two(b, t, "fsub", quotient, literal(1.0, t)), quotient)
    floor = _intrinsic(b, t, "floor", quotient)
    above = compare(b, t, "lt", literal(0.5, t), _two(b, t, "fsub", quotient, floor))
    floor = select(b, t, above, _two(b, t, "fadd", floor, literal(1.0, t)), floor)
    signed_zero = _intrinsic(b, t, "copysign", zero, ratio)
    floor = select(b, t, compare(b, t, "eq", quotient, zero), signed_zero, floor)
    return select(b, t, compare(b, t, "eq", y, zero), ratio, floor)


#: Integer power by squaring, one lane; a negative exponent gives the truncated reciprocal.
POWER = """define internal {T} @lucid.power.{T}({T} %x, {T} %n) nounwind {{
entry:
  br label %loop
loop:
  %base = phi {T} [ %x, %entry ], [ %square, %loop ]
  %left = phi {T} [ %n, %entry ], [ %half, %loop ]
  %result = phi {T} [ 1, %entry ], [ %next, %loop ]
  %bit = trunc {T} %left to i1
  %times = mul {T} %result, %base
  %next = select i1 %bit, {T} %times, {T} %result
  %square = mul {T} %base, %base
  %half = lshr {T} %left, 1
  %more = icmp ne {T} %half, 0
  br i1 %more, label %loop, label %done
done:
  ret {T} %next
}}"""


def _int_power(b: Builder, t: VType, x: str, y: str) -> str:
    """Power modulo 2**bits; with a negative exponent 1, -1 and 0 are their own powers' limits and the rest give 0."""
    kind = element(t.dtype)
    b.declarations.add(POWER.format(T=kind))
    power = _lane_by_lane(b, t, f"lucid.power.{kind}", x, y)
    if not _signed(t):
        return power
    # The loop takes the exponent modulo 2**bits: right for 1 and -1, whose order divides it.
    unit = _two(b, VType(bool_, t.lanes), "or", *(compare(b, t, "eq", x, literal(v, t)) for v in (1, -1)))
    small = select(b, t, unit, power, literal(0, t))
    return select(b, t, compare(b, t, "lt", y, literal(0, t)), small, power)


_Meaning = str | Callable[[Builder, VType, str, str], str]
_FLOAT_BINARY: dict[str, _Meaning] = {
    "add": "fadd",
    "sub": "fsub",
    "mul": "fmul",
    "div": "fdiv",
    "floordiv": _float_floor_divide,
    "mod": _float_modulo,
    "pow": lambda b, t, x, y: _library(b, t, "pow", x, y),
    "max": _float_extremum("olt"),
    "min": _float_extremum("ogt"),
}
_INT_BINARY: dict[str, _Meaning] = {
    "add": "add",
    "sub": "sub",
    "mul": "mul",
    "floordiv": _floor_divide,
    "mod": _modulo,
    "pow": _int_power,
    "max": _int_extremum("max"),
    "min": _int_extremum("min"),
    "and": "and",
    "or": "or",
    "xor": "xor",
    "shl": _shift_left,
    "shr": _shift_right,
}
#: NumPy's bools: a sum is any, a product is all.
_BOOL_BINARY: dict[str, _Meaning] = {
    "add": "or", "mul": "and", "max": "or", "min": "and", "and": "and", "or": "or", "xor": "xor",
}  # fmt: skip


# --- types and lanes --------------------------------------------------------------------------------------------------


def convert(b: Builder, source: VType, target: VType, x: str) -> str:
    """A value of ``source`` as ``target``, lane by lane."""
    s, d = source.dtype, target.dtype
    if s == d:
        return x
    if d == bool_:
        return compare(b, source, "ne", x, literal(0, source))
    if is_float(s) and is_float(d):
        op = "fpext" if d.itemsize > s.itemsize else "fptrunc"
    elif is_float(s):
        name = "fptosi" if d.kind == "i" else "fptoui"
        return b.pure(f"call {ll(target)} @llvm.{name}.sat.{suffix(target)}.{suffix(source)}({ll(source)} {x})", x)
    elif is_float(d):
        op = "sitofp" if _signed(source) else "uitofp"
    elif s == bool_:
        op = "zext"
    elif s.itemsize == d.itemsize:
        return x  # signedness is in the operations, not in the bits
    else:
        op = "trunc" if d.itemsize < s.itemsize else "sext" if _signed(source) else "zext"
    return b.pure(f"{op} {ll(source)} {x} to {ll(target)}", x)


def reinterpret(b: Builder, source: VType, target: VType, x: str) -> str:
    if ll(source) == ll(target):
        return x
    return b.pure(f"bitcast {ll(source)} {x} to {ll(target)}", x)


def splat(b: Builder, t: VType, x: str) -> str:
    """Scalar ``x`` in every lane of ``t``."""
    kind = element(t.dtype)
    if not x.startswith("%"):
        return f"splat ({kind} {x})"
    one = b.pure(f"insertelement {ll(t)} poison, {kind} {x}, i64 0", x)
    return b.pure(f"shufflevector {ll(t)} {one}, {ll(t)} poison, <{t.lanes} x i32> zeroinitializer", one)


def iota(t: VType) -> str:
    return "<" + ", ".join(f"i64 {k}" for k in range(t.lanes)) + ">"


_ACROSS = {"sum": "add", "prod": "mul", "max": "max", "min": "min"}


def across(b: Builder, t: VType, kind: str, x: str) -> str:
    """All lanes of ``x`` combined, lane k with lane k + n/2 until one is left; of truth values, any or all."""
    if t.dtype == bool_ and kind in ("max", "min"):
        anyhow = "or" if kind == "max" else "and"
        return b.pure(f"call i1 @llvm.vector.reduce.{anyhow}.{suffix(t)}({ll(t)} {x})", x)
    lanes = t.lanes
    while lanes > 1:
        whole, lanes = VType(t.dtype, lanes), lanes // 2
        half = VType(t.dtype, lanes)
        low, high = (
            b.pure(
                f"shufflevector {ll(whole)} {x}, {ll(whole)} poison, "
                f"<{lanes} x i32> <{', '.join(f'i32 {k}' for k in range(start, start + lanes))}>",
                x,
            )
            if lanes > 1
            else b.pure(f"extractelement {ll(whole)} {x}, i64 {start}", x)
            for start in (0, lanes)
        )
        x = binary(b, half, _ACROSS[kind], low, high)
    return x


def shuffle(b: Builder, t: VType, picks: Sequence[int], x: str, y: str) -> str:
    """Lanes of ``x`` followed by ``y``, which have type ``t``."""
    chosen = ", ".join(f"i32 {k}" for k in picks)
    name = b.pure(f"shufflevector {ll(t)} {x}, {ll(t)} {y}, <{len(picks)} x i32> <{chosen}>", x, y)
    if element(t.dtype).startswith("i") or not (x.startswith("%") and y.startswith("%")):
        return name
    # Nothing runs for a fence. Without it LLVM looks for better shuffles through whole networks of them, finds none,
    # and takes three times as long.
    result = VType(t.dtype, len(picks))
    return b.pure(f"call {ll(result)} @llvm.arithmetic.fence.{suffix(result)}({ll(result)} {name})", name)
