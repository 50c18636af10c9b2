"""Every float16 and bfloat16 there is, to float32 and back, in machine code and in the interpreter."""

from __future__ import annotations

import numpy as np
import pytest

from lucid.codegen.loops import Bin, Buffer, Convert, Kernel, Lit, Read, VType, Write, integer
from lucid.codegen.program import generate
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.codegen.verify import verify
from lucid.errors import IRError
from lucid.ir.graph import OPS, Array, Graph, input_node
from lucid.ir.types import HALVES, DType, TensorType, float16, float32, float64, int32, type_of
from lucid.runtime.executable import build

TARGETS = [t for t in ("avx512", "avx2", "baseline") if Target.host().supports(Target.of(t))]
DTYPES = sorted(HALVES, key=str)


def every(half: DType) -> Array:
    return np.arange(2**16, dtype=np.uint16).view(half)


def around_every(half: DType) -> Array:
    """Every value of a half as float32, the middle to the next one, and both neighbours of each."""
    with np.errstate(all="ignore"):
        values = every(half).astype(float32)
        values = np.sort(values[np.isfinite(values)])
        middles = values[:-1] + (values[1:] - values[:-1]) / 2
        exact = np.concatenate([values, middles, [np.float32(65520), np.float32(np.finfo(np.float32).max)]])
        near = [np.nextafter(exact, np.float32(-np.inf)), np.nextafter(exact, np.float32(np.inf))]
    return np.concatenate([exact, *near, np.array([np.inf, -np.inf, np.nan, -0.0, 1e-45], float32)])


def cast_graph(source: DType, target: DType, size: int) -> Graph:
    x = input_node(TensorType((size,), source))
    return Graph([x], [OPS["cast"](x, dtype=target)])


def assert_same(got: Array, want: Array) -> None:
    """The same numbers and signs; a NaN is any."""
    assert got.dtype == want.dtype
    numbers = ~np.isnan(want)
    np.testing.assert_array_equal(np.isnan(got), ~numbers)
    as_bits = f"u{want.dtype.itemsize}"
    np.testing.assert_array_equal(got[numbers].view(as_bits), want[numbers].view(as_bits))


@pytest.mark.parametrize("level", TARGETS)
@pytest.mark.parametrize("half", DTYPES, ids=str)
def test_conversions(half: DType, level: str) -> None:
    values, wide = every(half), around_every(half)
    for x, target in ((values, float32), (wide, half), (values, float64)):
        (got,) = build(cast_graph(x.dtype, target, x.size), target=Target.of(level))([x])
        with np.errstate(all="ignore"):
            assert_same(got, x.astype(target))


@pytest.mark.parametrize("half", DTYPES, ids=str)
def test_conversions_in_the_interpreter(half: DType) -> None:
    wide = around_every(half)[::997]
    for x, target in ((every(half)[::199], float32), (wide, half)):
        (got,) = simulate(generate(cast_graph(x.dtype, target, x.size), Target.of("avx512")), [x])
        with np.errstate(all="ignore"):
            assert_same(got, x.astype(target))


@pytest.mark.parametrize("half", DTYPES, ids=str)
def test_other_dtypes_go_by_way_of_float32(half: DType) -> None:
    """A float64 just above the middle of two halves, which float32 does not tell from it, goes to the even one."""
    x = np.array([1 + 2.0**-9 + 2.0**-40, 1 + 2.0**-12 + 2.0**-40], float64)
    (got,) = build(cast_graph(float64, half, 2))([x])
    np.testing.assert_array_equal(got, x.astype(float32).astype(half))
    (got,) = build(cast_graph(int32, half, 3))([np.array([3, -7, 2**30], int32)])
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(got, np.array([3, -7, 2**30], float32).astype(half))


def test_float16_is_converted_by_one_instruction_where_there_is_one() -> None:
    if "avx512" not in TARGETS:
        pytest.skip("needs AVX-512")
    program = build(cast_graph(float16, float32, 4096), target=Target.of("avx512"))
    assert "vcvtph2ps" in program.text("asm")


def test_halves_have_no_arithmetic_in_the_loop_ir() -> None:
    x, y = Buffer("x", float16, 1, "in"), Buffer("y", float16, 1, "out")
    read = Read(x, integer(0))
    with pytest.raises(IRError, match="add is not defined on f16"):
        verify(Kernel("k", (x, y), (Write(y, integer(0), Bin("add", read, read)),)))
    z = Buffer("z", int32, 1, "out")
    with pytest.raises(IRError, match="by way of f32"):
        verify(Kernel("k", (x, z), (Write(z, integer(0), Convert(read, int32)),)))
    verify(Kernel("k", (x, y), (Write(y, integer(0), Lit(1.5, VType(float16))),)))


def test_an_op_that_computes_refuses_halves_as_a_call() -> None:
    t = type_of(np.zeros(3, np.float16))
    with pytest.raises(IRError, match="cast to float32 first"):
        OPS["add"].call((t, t), {})
    node = OPS["add"](input_node(t), input_node(t))
    assert (node.op.name, node.inputs[0].op.name, str(node.type)) == ("cast", "add", "f16[3]")
