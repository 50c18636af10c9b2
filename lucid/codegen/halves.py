"""float16 and bfloat16 as they lie in memory, to float32 and back: 16 bits as an integer until they are widened.

Widening is exact. Narrowing rounds to the nearest, halves to even, and keeps NaN.
"""

from __future__ import annotations

import numpy as np

from lucid.codegen.instructions import binary, compare, convert, literal, ll, reinterpret, select
from lucid.codegen.loops import VType
from lucid.codegen.ssa import Builder
from lucid.ir.types import DType, float16, float32, uint32

_uint16: DType = np.dtype(np.uint16)

#: Above these bits a float32 is infinite or NaN; from these on a float16 is infinite; below these it is subnormal.
_INFINITE, _TOO_LARGE, _SUBNORMAL = 255 << 23, 143 << 23, 113 << 23
_SIGN = 0x80000000


def widen(b: Builder, source: VType, x: str, *, instruction: bool) -> str:
    """Halves as float32; ``instruction`` says that the CPU converts float16 itself."""
    t, bits = VType(float32, source.lanes), VType(uint32, source.lanes)
    if source.dtype == float16 and instruction:
        half = b.pure(f"bitcast {ll(source)} {x} to {_llvm_half(source.lanes)}", x)
        return b.pure(f"fpext {_llvm_half(source.lanes)} {half} to {ll(t)}", half)
    x = convert(b, VType(_uint16, source.lanes), bits, x)
    if source.dtype != float16:
        return reinterpret(b, bits, t, _two(b, bits, "shl", x, 16))
    # The exponent's bias grows by 112: a product with 2**112, which puts subnormal numbers right as well.
    size = _two(b, bits, "shl", _two(b, bits, "and", x, 0x7FFF), 13)
    scaled = binary(b, t, "mul", reinterpret(b, bits, t, size), literal(2.0**112, t))
    value = reinterpret(b, t, bits, scaled)
    infinite = compare(b, bits, "lt", literal((31 << 23) - 1, bits), size)
    value = select(b, bits, infinite, _two(b, bits, "or", value, _INFINITE), value)
    sign = _two(b, bits, "shl", _two(b, bits, "and", x, 0x8000), 16)
    return reinterpret(b, bits, t, binary(b, bits, "or", value, sign))


def narrow(b: Builder, target: VType, x: str, *, instruction: bool) -> str:
    """float32 as halves."""
    t, bits = VType(float32, target.lanes), VType(uint32, target.lanes)
    if target.dtype == float16 and instruction:
        half = b.pure(f"fptrunc {ll(t)} {x} to {_llvm_half(target.lanes)}", x)
        return b.pure(f"bitcast {_llvm_half(target.lanes)} {half} to {ll(target)}", half)
    value = reinterpret(b, t, bits, x)
    rounded = _to_float16(b, t, value) if target.dtype == float16 else _to_bfloat16(b, t, x, value)
    return convert(b, bits, VType(_uint16, target.lanes), rounded)


def _to_bfloat16(b: Builder, t: VType, x: str, value: str) -> str:
    """The upper half of the bits, after what makes the lower half carry when it is above, or at, the middle."""
    bits = VType(uint32, t.lanes)
    high = _two(b, bits, "shr", value, 16)
    carry = _two(b, bits, "add", _two(b, bits, "and", high, 1), 0x7FFF)
    rounded = _two(b, bits, "shr", binary(b, bits, "add", value, carry), 16)
    return select(b, bits, compare(b, t, "ne", x, x), _two(b, bits, "or", high, 0x40), rounded)


def _to_float16(b: Builder, t: VType, value: str) -> str:
    bits = VType(uint32, t.lanes)
    sign = _two(b, bits, "shr", _two(b, bits, "and", value, _SIGN), 16)
    size = _two(b, bits, "and", value, _SIGN - 1)
    last = _two(b, bits, "and", _two(b, bits, "shr", size, 13), 1)
    carried = _two(b, bits, "add", binary(b, bits, "add", size, last), 0xFFF)
    normal = _two(b, bits, "sub", _two(b, bits, "shr", carried, 13), 112 << 10)
    # A sum with 0.5 has the last bit of a subnormal number last: the addition rounds.
    sum_ = binary(b, t, "add", reinterpret(b, bits, t, size), literal(0.5, t))
    subnormal = _two(b, bits, "sub", reinterpret(b, t, bits, sum_), 126 << 23)
    result = select(b, bits, compare(b, bits, "lt", size, literal(_SUBNORMAL, bits)), subnormal, normal)
    is_nan = compare(b, bits, "lt", literal(_INFINITE, bits), size)
    beyond = select(b, bits, is_nan, literal(0x7E00, bits), literal(0x7C00, bits))
    result = select(b, bits, compare(b, bits, "lt", size, literal(_TOO_LARGE, bits)), result, beyond)
    return binary(b, bits, "or", result, sign)


def _llvm_half(lanes: int) -> str:
    return "half" if lanes == 1 else f"<{lanes} x half>"


def _two(b: Builder, t: VType, op: str, x: str, constant: int) -> str:
    return binary(b, t, op, x, literal(constant, t))
