from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from lucid.codegen import arithmetic
from lucid.codegen.interpret import interpret
from lucid.codegen.loops import VType
from lucid.codegen.text import parse_kernel
from lucid.errors import IRError
from lucid.ir.types import DType, float32, float64, int8, int32, int64, uint8, uint64


def run(buffers: str, body: str, **arrays: np.ndarray) -> dict[str, np.ndarray]:
    interpret(parse_kernel(f"kernel f({buffers}) {{\n{body}\n}}"), arrays)
    return arrays


def test_a_tail_under_a_mask() -> None:
    got = run(
        "x: f32[10] in, y: f32[12] inout",
        "for i in 0..10 step 4 { let m = iota(4) + splat(i, 4) < 10:i64x4 y[i + 1; m] = x[i; m]:f32x4 * 2.0:f32x4 }",
        x=np.arange(10, dtype=np.float32),
        y=np.full(12, -1, np.float32),
    )["y"]
    assert got.tolist() == [-1, *(2.0 * k for k in range(10)), -1]


def test_registers_carry_from_turn_to_turn_and_only_where_set() -> None:
    got = run(
        "y: i64[3] out",
        "reg a = 1 reg c = 5 for i in 0..6 { if i % 2 == 0 { a = a * 3 } } y[0] = a y[1] = c c = a + c y[2] = c",
        y=np.zeros(3, np.int64),
    )["y"]
    assert got.tolist() == [27, 5, 32]


def test_lanes_scatter_in_order_and_gather_zero_where_masked() -> None:
    got = run(
        "x: i32[5] in, y: i32[4] inout",
        "let at = min(iota(4), 2:i64x4) scatter y[at] = gather x[at + 1:i64x4; iota(4) != 1:i64x4]",
        x=np.array([10, 11, 12, 13, 14], np.int32),
        y=np.array([7, 7, 7, 7], np.int32),
    )["y"]
    assert got.tolist() == [11, 0, 13, 7]


def test_reads_see_what_was_written_before() -> None:
    got = run("y: f32[4] inout", "for i in 0..3 { y[i + 1] = y[i] + 1.0:f32 }", y=np.zeros(4, np.float32))["y"]
    assert got.tolist() == [0, 1, 2, 3]
    got = run("y: f32[6] inout", "let v = y[0]:f32x4 y[2] = v y[0] = v", y=np.arange(6, dtype=np.float32))["y"]
    assert got.tolist() == [0, 1, 2, 3, 2, 3]


def test_a_shuffle_picks_lanes_of_both_vectors() -> None:
    x = np.arange(4, dtype=np.float32)
    body = "y[0] = shuffle(x[0]:f32x2, x[2]:f32x2; 3, 0, 0, 2)"
    got = run("x: f32[4] in, y: f32[4] out", body, x=x, y=np.zeros(4, np.float32))["y"]
    assert got.tolist() == [3, 0, 0, 2]


def test_lanes_combine_by_halves() -> None:
    x = np.array([1e8, 1.0, -1e8, 1.0], np.float32)
    got = run("x: f32[4] in, y: f32[1] out", "y[0] = across_sum(x[0]:f32x4)", x=x, y=np.zeros(1, np.float32))["y"]
    assert got[0] == 2.0  # (1e8 - 1e8) + (1 + 1); from left to right it would be 1


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("for i in 0..9 { y[i] = x[i + 1] }", "position 8 is outside a buffer of 8 in kernel f: y[i] = x[i + 1]"),
        ("y[0 - 1] = 0.0:f32", "position -1 is outside a buffer of 8 in kernel f: y[0 - 1] = 0.0:f32"),
        ("let v = x[5]:f32x4", "position 5..9 is outside a buffer of 8 in kernel f: let v = x[5]:f32x4"),
        ("y[5] = splat(x[0], 4)", "position 5..9"),
        ("let v = gather x[iota(4) * 3:i64x4]", "position 9"),
        ("scatter y[iota(4) - 1:i64x4] = splat(x[0], 4)", "position -1"),
        ("let v = select(true, x[0], x[9])", "position 9"),  # both sides are evaluated
        ("if x[8] < 1.0:f32 { }", "position 8 is outside a buffer of 8 in kernel f: if x[8] < 1.0:f32 {"),
        ("for i in 0..i64(x[9]) { }", "in kernel f: for i in 0..i64(x[9]) {"),
    ],
)
def test_an_access_out_of_bounds_names_its_statement(body: str, words: str) -> None:
    with pytest.raises(IRError) as caught:
        run("x: f32[8] in, y: f32[8] inout", body, x=np.zeros(8, np.float32), y=np.zeros(8, np.float32))
    assert words in str(caught.value)


def test_a_masked_lane_touches_nothing() -> None:
    y = np.zeros(2, np.float32)
    body = "let m = iota(4) < 2:i64x4 y[0; m] = x[0; m]:f32x4 y[9; false] = x[9; false]"
    run("x: f32[2] in, y: f32[2] out", body, x=np.ones(2, np.float32), y=y)
    assert y.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros(3, np.float32)}, "buffer x needs float32[4], got float32[3]"),
        ({"x": np.zeros(4, np.float64)}, "buffer x needs float32[4], got float64[4]"),
        ({"x": np.zeros((2, 2), np.float32)}, r"got float32[2, 2]"),
        ({}, "buffer x needs float32[4], got nothing"),
    ],
)
def test_arrays_must_fit(arrays: dict[str, np.ndarray], words: str) -> None:
    with pytest.raises(IRError) as caught:
        run("x: f32[4] in", "", **arrays)
    assert words in str(caught.value)


def test_arrays_may_come_in_order() -> None:
    y = np.zeros(1, np.float32)
    interpret(parse_kernel("kernel f(x: f32[1] in, y: f32[1] out) { y[0] = x[0] }"), [np.ones(1, np.float32), y])
    assert y[0] == 1


def test_single_multiply_add_rounds_once() -> None:
    rng = np.random.default_rng(0)
    fma = arithmetic.fma(VType(float32, 1))
    # c is placed half a unit from a*b's neighbours, where rounding twice goes wrong
    for _ in range(2000):
        a, b = rng.standard_normal(2, np.float32)
        product = Fraction(float(a)) * Fraction(float(b))
        c = np.float32(2.0 ** rng.integers(-60, 60) * rng.choice([-1, 1]))
        exact = product + Fraction(float(c))
        got = fma(a, b, c)
        assert got.dtype == np.float32
        error = abs(Fraction(float(got)) - exact)
        for neighbour in (np.nextafter(got, np.float32(-np.inf)), np.nextafter(got, np.float32(np.inf))):
            assert error <= abs(Fraction(float(neighbour)) - exact)


def test_a_case_where_rounding_twice_is_wrong() -> None:
    a = np.float32(1 + 3 * 2**-23)
    c = np.float32(2.0**-70)
    b = np.float32(1 + 2**-1)  # a*b lies exactly halfway between two singles, and c is what decides
    assert arithmetic.fma(VType(float32))(a, b, c) > np.float32(np.float64(a) * np.float64(b) + np.float64(c))


@pytest.mark.parametrize("dtype", [float32, float64])
def test_multiply_add_of_special_values(dtype: DType) -> None:
    fma = arithmetic.fma(VType(dtype))
    one, inf, zero = dtype.type(1), dtype.type(np.inf), dtype.type(0)
    with np.errstate(all="ignore"):
        assert np.isnan(fma(inf, zero, one))
        assert np.isnan(fma(inf, one, -inf))
        assert fma(inf, one, one) == inf
        assert np.signbit(fma(-zero, one, -zero))
        assert not np.signbit(fma(one, one, -one))
        big = np.finfo(dtype).max
        assert fma(big, dtype.type(2), -big) == big
        assert fma(big, dtype.type(2), zero) == inf


@pytest.mark.parametrize(
    ("dtype", "values"),
    [
        (int8, [-128, -128, 127, 127, 0, -1, 1]),
        (uint8, [0, 0, 255, 255, 0, 0, 1]),
        (int32, [-(2**31), -(2**31), 2**31 - 1, 2**31 - 1, 0, -1, 1]),
        (int64, [-(2**63), -(2**63), 2**63 - 1, 10**18, 0, -1, 1]),
        (uint64, [0, 0, 2**64 - 1, 10**18, 0, 0, 1]),
    ],
)
def test_float_to_integer_saturates(dtype: DType, values: list[int]) -> None:
    x = np.array([-np.inf, -1e30, np.inf, 1e18, np.nan, -1.9, 1.9])
    got = arithmetic.convert(VType(float64, 7), VType(dtype, 7))(x)
    assert got.dtype == dtype
    assert got.tolist() == values
