"""Every operation of the loop IR in machine code, on awkward values, against NumPy's own functions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from lucid.codegen import arithmetic
from lucid.codegen.emit import emit_kernel
from lucid.codegen.loops import (
    INDEX,
    Across,
    Bin,
    Buffer,
    Convert,
    For,
    Kernel,
    Lit,
    Read,
    Sel,
    Un,
    Value,
    Var,
    VType,
    Write,
    integer,
)
from lucid.codegen.target import Target
from lucid.errors import CodegenError
from lucid.ir.types import DType, bool_, float32, float64, int8, int16, int32, int64, is_float, uint8, uint32, uint64
from tests.codegen.nests import compile_kernel, run_compiled, same

LEVELS = [level for level in ("baseline", "avx2", "avx512") if Target.host().supports(Target.of(level))]
INTEGERS = (uint8, int8, int16, int32, int64, uint32, uint64)
FLOATS = (float32, float64)
_FLOAT_VALUES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 1.5, -1.5, 2.5, -2.5, 3.0, -7.25, 1e-40, -1e-310, 1e30, np.inf,
                 -np.inf, np.nan, 100.0, 0.1]  # fmt: skip


def values(dtype: DType) -> np.ndarray:
    if dtype == bool_:
        return np.array([False, True])
    if is_float(dtype):
        with np.errstate(over="ignore"):
            return np.array(_FLOAT_VALUES).astype(dtype)
    bounds = np.iinfo(dtype)
    near = [0, 1, 2, 3, 7, 8, 31, 63, 64, 100, bounds.max, bounds.max - 1, bounds.min, bounds.min + 1]
    return np.array(near + ([] if dtype.kind == "u" else [-1, -2, -3, -8, -100]), dtype)


def pairs(dtype: DType) -> tuple[np.ndarray, np.ndarray]:
    """Every pair of values, padded to whole vectors of 16."""
    v = values(dtype)
    x, y = (np.ravel(m) for m in np.meshgrid(v, v))
    room = -len(x) % 16
    return np.concatenate([x, x[:1].repeat(room)]), np.concatenate([y, y[:1].repeat(room)])


def evaluate(make: Callable[..., Value], result: DType, *operands: np.ndarray, level: str, lanes: int) -> np.ndarray:
    """``make`` applied to vectors of the operands, in machine code."""
    size, i = len(operands[0]), Var("i", INDEX)
    inputs = [Buffer(f"x{k}", a.dtype, size, "in") for k, a in enumerate(operands)]
    output = Buffer("y", result, size, "out")
    write = Write(output, i, make(*(Read(buf, i, lanes) for buf in inputs)))
    kernel = Kernel("f", (*inputs, output), (For(i, integer(0), integer(size), lanes, (write,)),))
    got = np.empty(size, result)
    run_compiled(compile_kernel(kernel, Target.of(level)), [*operands, got])
    return got


NUMPY_BINARY: dict[str, Callable[..., np.ndarray]] = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide, "floordiv": np.floor_divide,
    "mod": np.remainder, "max": np.maximum, "min": np.minimum, "and": np.bitwise_and, "or": np.bitwise_or,
    "xor": np.bitwise_xor, "shl": np.left_shift, "shr": np.right_shift, "lt": np.less, "le": np.less_equal,
    "eq": np.equal, "ne": np.not_equal, "pow": np.power,
}  # fmt: skip
_FOR_ALL = ("max", "min", "lt", "le", "eq", "ne")
CASES = [(op, d) for d in FLOATS for op in ("add", "sub", "mul", "div", "floordiv", "mod", *_FOR_ALL)]
CASES += [
    (op, d) for d in INTEGERS for op in ("add", "sub", "mul", "floordiv", "mod", "and", "or", "xor", "shl", "shr")
]
CASES += [(op, d) for d in INTEGERS for op in _FOR_ALL]
CASES += [(op, bool_) for op in ("add", "mul", "and", "or", "xor", *_FOR_ALL)]


def assert_same(got: np.ndarray, wanted: np.ndarray, x: np.ndarray, y: np.ndarray, zeros: bool = True) -> None:
    if not zeros:  # NumPy's vector loops do not say which of two zeros is the larger
        got, wanted = got + 0, wanted + 0
    if not same(got, wanted):
        k = next(k for k in range(len(got)) if not same(got[k : k + 1], wanted[k : k + 1]))
        pytest.fail(f"of {x[k]!r} and {y[k]!r}: {got[k]!r}, but NumPy gives {wanted[k]!r}")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("op", "dtype"), CASES, ids=lambda v: v if isinstance(v, str) else v.name)
def test_binary(op: str, dtype: DType, level: str) -> None:
    x, y = pairs(dtype)
    with np.errstate(all="ignore"):
        wanted = NUMPY_BINARY[op](x, y)
    for lanes in (1, 16):
        got = evaluate(lambda a, b: Bin(op, a, b), wanted.dtype, x, y, level=level, lanes=lanes)
        assert_same(got, wanted, x, y, zeros=op not in ("max", "min"))


@pytest.mark.parametrize("dtype", INTEGERS, ids=lambda d: d.name)
@pytest.mark.parametrize("op", ["floordiv", "mod", "shl", "shr"])
def test_a_literal_on_the_right_takes_the_short_way(op: str, dtype: DType) -> None:
    x = np.resize(values(dtype), 32)
    for literal in (v for v in (0, 1, 2, 3, 8, 64, 100, -1, -3, -8) if v >= 0 or dtype.kind == "i"):
        y = np.full_like(x, literal)
        with np.errstate(all="ignore"):
            wanted = NUMPY_BINARY[op](x, y)
        for lanes in (1, 16):
            got = evaluate(lambda a, v=literal: Bin(op, a, Lit(v, a.type)), dtype, x, level=LEVELS[-1], lanes=lanes)
            assert_same(got, wanted, x, y)


@pytest.mark.parametrize("level", LEVELS)
def test_a_product_and_a_sum_round_twice(level: str) -> None:
    """One rounding would be another result for a quarter of these."""
    x, y, z = np.random.default_rng(0).standard_normal((3, 4096), np.float32)
    for lanes in (1, 16):
        got = evaluate(lambda a, b, c: Bin("add", Bin("mul", a, b), c), float32, x, y, z, level=level, lanes=lanes)
        assert same(got, x * y + z)
        got = evaluate(lambda a, b, c: Bin("sub", c, Bin("mul", a, b)), float32, x, y, z, level=level, lanes=lanes)
        assert same(got, z - x * y)


@pytest.mark.parametrize("op", ["max", "min"])
@pytest.mark.parametrize("literal", [0.0, 1.5, float("inf"), float("nan")])
def test_a_literal_side_of_max_and_min(op: str, literal: float) -> None:
    x = np.resize(values(float32), 32)
    wanted = NUMPY_BINARY[op](x, np.float32(literal))
    ours = arithmetic.binary(op, VType(float32, 2))
    y = np.full_like(x, literal)
    cases = [
        (lambda a: Bin(op, a, Lit(literal, a.type)), ours(x, y)),
        (lambda a: Bin(op, Lit(literal, a.type), a), ours(y, x)),
    ]
    for make, exact in cases:
        for lanes in (1, 16):
            got = evaluate(make, float32, x, level=LEVELS[-1], lanes=lanes)
            assert_same(got, wanted, x, y, zeros=False)
            assert same(got, exact)  # of two zeros, the interpreter's


NUMPY_UNARY: dict[str, Callable[..., np.ndarray]] = {
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "floor": np.floor, "ceil": np.ceil, "round": np.rint,
    "sqrt": np.sqrt, "not": np.invert, "isnan": np.isnan,
}  # fmt: skip
UNARY = [(op, d) for d in FLOATS for op in ("neg", "abs", "sign", "floor", "ceil", "round", "sqrt", "isnan")]
UNARY += [(op, d) for d in INTEGERS for op in ("neg", "abs", "sign", "not")] + [("not", bool_)]


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("op", "dtype"), UNARY, ids=lambda v: v if isinstance(v, str) else v.name)
def test_unary(op: str, dtype: DType, level: str) -> None:
    x = np.resize(values(dtype), 32)
    with np.errstate(all="ignore"):
        wanted = NUMPY_UNARY[op](x)
    for lanes in (1, 16):
        got = evaluate(lambda a: Un(op, a), wanted.dtype, x, level=level, lanes=lanes)
        assert_same(got, wanted, x, x)


@pytest.mark.parametrize("op", ["floor", "ceil", "round", "isnan"])
def test_rounding_integers_changes_nothing(op: str) -> None:
    x = np.resize(values(int32), 32)
    got = evaluate(lambda a: Un(op, a), bool_ if op == "isnan" else int32, x, level=LEVELS[-1], lanes=16)
    assert (got == (False if op == "isnan" else x)).all()


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("source", [*FLOATS, *INTEGERS, bool_], ids=lambda d: d.name)
def test_conversions(source: DType, level: str) -> None:
    x = np.resize(values(source), 32)
    for target in (*FLOATS, *INTEGERS, bool_):
        wanted = x
        if is_float(source) and not is_float(target) and target != bool_:  # out of range: the nearest, and NaN is 0
            bounds = np.iinfo(target)
            exact = [0 if np.isnan(v) else v if np.isinf(v) else int(v) for v in x.tolist()]
            wanted = np.array([min(max(v, bounds.min), bounds.max) for v in exact], object)
        with np.errstate(over="ignore"):
            wanted = wanted.astype(target)
        for lanes in (1, 16):
            got = evaluate(lambda a, t=target: Convert(a, t), target, x, level=level, lanes=lanes)
            assert_same(got, wanted, x, x)


@pytest.mark.parametrize("dtype", [int32, int64, uint8], ids=lambda d: d.name)
def test_integer_powers(dtype: DType) -> None:
    x, y = pairs(dtype)
    positive = y >= 0
    wanted = np.power(x, np.where(positive, y, 0).astype(dtype))
    for lanes in (1, 16):
        got = evaluate(lambda a, b: Bin("pow", a, b), dtype, x, y, level=LEVELS[-1], lanes=lanes)
        assert_same(got[positive], wanted[positive], x[positive], y[positive])
        reciprocals = {1: {1}, -1: {1, -1}}  # of everything else the whole part is 0
        for a, n, power in zip(x[~positive], y[~positive], got[~positive], strict=True):
            assert power in reciprocals.get(int(a), {0})
            assert int(a) != -1 or power == (-1) ** (int(n) % 2)


def test_float_powers_come_from_the_library() -> None:
    x, y = pairs(float64)
    with np.errstate(all="ignore"):
        wanted = np.power(x, y)
    got = evaluate(lambda a, b: Bin("pow", a, b), float64, x, y, level=LEVELS[-1], lanes=4)
    np.testing.assert_allclose(got, wanted, rtol=1e-14)


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("kind", ["sum", "prod", "max", "min"])
@pytest.mark.parametrize("dtype", [float32, int64, bool_], ids=lambda d: d.name)
def test_lanes_combine_by_halves(kind: str, dtype: DType, level: str) -> None:
    x = np.resize(values(dtype), 16)
    x = x[np.isfinite(x)] if is_float(dtype) else x
    x = np.resize(x, 16)
    ufunc = {"sum": np.add, "prod": np.multiply, "max": np.maximum, "min": np.minimum}[kind]
    wanted = x
    with np.errstate(all="ignore"):
        while len(wanted) > 1:
            wanted = ufunc(wanted[: len(wanted) // 2], wanted[len(wanted) // 2 :])
    buffers = Buffer("x", dtype, 16, "in"), Buffer("y", dtype, 1, "out")
    body = Write(buffers[1], integer(0), Across(kind, Read(buffers[0], integer(0), 16)))
    got = np.empty(1, dtype)
    run_compiled(compile_kernel(Kernel("f", buffers, (body,)), Target.of(level)), [x, got])
    assert same(got, wanted)


def test_both_sides_of_a_select_may_fail_safely() -> None:
    x = np.array([1, 0, -(2**31), 5] * 4, np.int32)
    y = np.array([0, 0, -1, 2] * 4, np.int32)
    got = evaluate(
        lambda a, b: Sel(Bin("eq", b, Lit(0, b.type)), Lit(-9, b.type), Bin("floordiv", a, b)),
        int32, x, y, level=LEVELS[-1], lanes=16,
    )  # fmt: skip
    assert got[:4].tolist() == [-9, -9, -(2**31), 2]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Un("sqrt", Lit(1, VType(int32))), "sqrt is not defined on i32"),
        (Un("not", Lit(1.0, VType(float32))), "not is not defined on f32"),
        (Un("neg", Lit(True, VType(bool_))), "neg is not defined on bool"),
        (Bin("div", Lit(1, VType(int32)), Lit(1, VType(int32))), "div is not defined on i32"),
        (Bin("and", Lit(1.0, VType(float32)), Lit(1.0, VType(float32))), "and is not defined on f32"),
    ],
)
def test_an_operation_its_type_does_not_have_is_refused(value: Value, words: str) -> None:
    out = Buffer("y", value.type.dtype, 1, "out")
    with pytest.raises(CodegenError, match=words):
        emit_kernel(Kernel("f", (out,), (Write(out, integer(0), value),)), Target.of("baseline"), symbol="f")
