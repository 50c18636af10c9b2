"""Arithmetic on loop values of one floating type, and the layout of that type's bits. Knows no function by name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from lucid.codegen.loops import Bin, Fma, Lit, Reinterpret, Sel, Un, Value, VType
from lucid.ir.types import DType, Scalar, float32, float64, uint32, uint64


@dataclass(frozen=True)
class Format:
    """A floating dtype: what its bits mean, and ln 2 in two parts of which the first is exact times any exponent."""

    dtype: DType
    bits: DType
    mantissa: int
    bias: int
    #: The bits of sqrt(1/2): significands are brought into sqrt(1/2) .. sqrt(2).
    root_half: int
    ln2_high: float
    ln2_low: float
    #: exp is infinite from the second on, and 0 up to the first.
    exp_range: tuple[float, float]
    #: expm1 is -1 up to here.
    expm1_least: float

    @property
    def rounder(self) -> float:
        """Adding it to a small enough number rounds that to an integer, and leaves the integer in the low bits."""
        return 1.5 * 2.0**self.mantissa

    @property
    def one(self) -> int:
        """The bits of 1.0."""
        return self.bias << self.mantissa

    @property
    def sign(self) -> int:
        """The sign bit."""
        return 1 << (self.dtype.itemsize * 8 - 1)

    @property
    def tiny(self) -> float:
        """Below this, odd functions of slope 1 are their argument to all bits."""
        return 2.0 ** -(self.mantissa + 2)


FORMATS = {
    float32: Format(
        float32, uint32, 23, 127, 0x3F3504F3, 0.693359375, math.log(2) - 0.693359375, (-104.0, 89.0), -18.0
    ),
    float64: Format(
        float64, uint64, 52, 1023, 0x3FE6A09E667F3BCD, 0.6931471805592082, 7.371002565167799e-13, (-746.0, 710.0), -40.0
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Maths:
    """Arithmetic in one type of value.

    ``fused`` says that a multiply-add may round once, ``scales`` that ``ldexp`` is an instruction.
    """

    t: VType
    fused: bool
    scales: bool = False

    @property
    def format(self) -> Format:
        return FORMATS[self.t.dtype]

    def in_type(self, dtype: DType) -> Maths:
        return Maths(VType(dtype, self.t.lanes), self.fused, self.scales)

    def lit(self, value: Scalar) -> Value:
        return Lit(value, self.t)

    def op(self, name: str, a: Value, b: Value | float) -> Value:
        return Bin(name, a, b if isinstance(b, Value) else self.lit(float(b)))

    def mad(self, a: Value, b: Value | float, c: Value | float) -> Value:
        """``a*b + c``."""
        b = b if isinstance(b, Value) else self.lit(float(b))
        c = c if isinstance(c, Value) else self.lit(float(c))
        return Fma(a, b, c) if self.fused else Bin("add", Bin("mul", a, b), c)

    def polynomial(self, coefficients: Sequence[float], x: Value) -> Value:
        """Horner's rule, constant term first."""
        result = self.lit(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            result = self.mad(result, x, c)
        return result

    def absolute(self, x: Value) -> Value:
        return Un("abs", x)

    def negative(self, x: Value) -> Value:
        return Un("neg", x)

    def clamp(self, x: Value, low: float, high: float) -> Value:
        """NaN passes."""
        return self.op("max", self.op("min", x, high), low)

    def nearest(self, x: Value, factor: float) -> tuple[Value, Value]:
        """``x * factor`` rounded to an integer; and a number that has that integer in the low bits."""
        shifted = self.mad(x, factor, self.format.rounder)
        return self.op("sub", shifted, self.format.rounder), shifted

    # --- bits ---

    def bits(self, x: Value) -> Value:
        return Reinterpret(x, self.format.bits)

    def from_bits(self, x: Value) -> Value:
        return Reinterpret(x, self.format.dtype)

    def int_op(self, name: str, a: Value, b: Value | int) -> Value:
        return Bin(name, a, b if isinstance(b, Value) else Lit(b, a.type))

    def power_of_two(self, shifted: Value) -> Value:
        """2**n of the normal range, for the integer n in the low bits of ``shifted``."""
        biased = self.int_op("add", self.bits(shifted), self.format.bias)
        return self.from_bits(self.int_op("shl", biased, self.format.mantissa))

    def scaled(self, x: Value, n: Value) -> Value:
        """``x * 2**n`` for a number n that is an integer; ``x`` near 1.

        2**n may be out of range where the result is not: two factors, of which only the last can round.
        """
        if self.scales:
            return self.op("ldexp", x, n)
        half, shifted = self.nearest(n, 0.5)
        rest = self.op("add", self.op("sub", n, half), self.format.rounder)
        return self.op("mul", self.op("mul", x, self.power_of_two(shifted)), self.power_of_two(rest))

    def with_sign_of(self, magnitude: Value, x: Value) -> Value:
        """``magnitude``, which is not negative, with the sign bit of ``x``."""
        sign = self.int_op("and", self.bits(x), self.format.sign)
        return self.from_bits(self.int_op("or", self.bits(magnitude), sign))

    def split(self, x: Value) -> tuple[Value, Value]:
        """(e, t) with ``x = 2**e * (1 + t)`` and ``1 + t`` in sqrt(1/2) .. sqrt(2), for positive finite ``x``."""
        f = self.format
        denormal = self.op("lt", x, 2.0 ** (1 - f.bias))
        normal = Sel(denormal, self.op("mul", x, 2.0 ** (f.mantissa + 1)), x)
        shifted = self.int_op("add", self.bits(normal), f.one - f.root_half)
        # A biased exponent becomes a number as the low bits of 2**mantissa; no conversion of wide integers is needed.
        count = self.int_op("or", self.int_op("shr", shifted, f.mantissa), (f.bias + f.mantissa) << f.mantissa)
        offset = 2.0**f.mantissa + f.bias
        exponent = self.op(
            "sub", self.from_bits(count), Sel(denormal, self.lit(offset + f.mantissa + 1), self.lit(offset))
        )
        significand = self.int_op("add", self.int_op("and", shifted, (1 << f.mantissa) - 1), f.root_half)
        return exponent, self.op("sub", self.from_bits(significand), 1.0)
