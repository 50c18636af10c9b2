"""The shape of emitted code: what is done once, what is hoisted, what inner loops are made of."""

from __future__ import annotations

import ctypes
import platform
import re

import numpy as np
import pytest

from lucid.codegen.asm import AsmStats, asm_stats, function, inner_loops
from lucid.codegen.emit import emit_kernel
from lucid.codegen.interpret import interpret
from lucid.codegen.loops import (
    INDEX,
    Bin,
    Buffer,
    Fma,
    For,
    Kernel,
    Let,
    Lit,
    Read,
    Reg,
    Set,
    Splat,
    Stmt,
    Var,
    VType,
    Write,
    add,
    integer,
    scale,
)
from lucid.codegen.module import Call, emit_entry, emit_module
from lucid.codegen.target import Target
from lucid.codegen.text import parse_kernel
from lucid.codegen.verify import verify
from lucid.errors import CodegenError
from lucid.ir.types import float32
from lucid.runtime.jit import assembly, call, compile_module
from tests.codegen.nests import compile_kernel, run_compiled, same

x86_only = pytest.mark.skipif(not Target.host().triple.startswith("x86_64"), reason="x86-64 assembly")


def llvm_of(text: str, target: str = "avx512") -> str:
    kernel = parse_kernel(text)
    verify(kernel)
    return emit_kernel(kernel, Target.of(target), symbol="f").text


def blocks_of(text: str) -> dict[str, list[str]]:
    """Instructions by basic block."""
    blocks: dict[str, list[str]] = {}
    for line in text.splitlines()[1:-1]:
        if line.endswith(":"):
            name = line[:-1]
            blocks[name] = []
        else:
            blocks[name].append(line.strip())
    return blocks


def inner_block(text: str) -> list[str]:
    """The only block that branches back to itself."""
    (block,) = [lines for name, lines in blocks_of(text).items() if f"label %{name}, label" in lines[-1]]
    return block


# --- the contraction microkernel --------------------------------------------------------------------------------------


def convolution(target: Target, pixels: int, vectors: int, *, channels: int = 16, size: int = 42) -> Kernel:
    """A 3x3 convolution of an NHWC image with a halo, weights packed by output block: the hot loop of a network."""
    lanes, taps, unroll = target.lanes(float32), 3, 4
    f, width = VType(float32, lanes), vectors * lanes
    outputs, padded = 2 * width, size + taps - 1
    x = Buffer("x", float32, padded * padded * channels, "in")
    w = Buffer("w", float32, outputs * taps * taps * channels, "in")
    y = Buffer("y", float32, size * size * outputs, "out")
    g, i, j, kh, kw, c = (Var(name, INDEX) for name in ("g", "i", "j", "kh", "kw", "c"))
    acc = [[Var(f"acc{p}_{v}", f) for v in range(vectors)] for p in range(pixels)]

    def total(*terms: tuple[Var, int]) -> Var:
        place = integer(0)
        for var, factor in terms:
            place = add(place, scale(var, factor))
        return place

    pixel = total((i, padded * channels), (kh, padded * channels), (j, channels), (kw, channels), (c, 1))
    weight = total(
        (g, taps * taps * channels * width), (kh, taps * channels * width), (kw, channels * width), (c, width)
    )
    place = total((i, size * outputs), (j, outputs), (g, width))
    inner: list[Stmt] = []
    for u in range(unroll):
        weights = [Var(f"w{u}_{v}", f) for v in range(vectors)]
        inner += [Let(weights[v], Read(w, add(weight, integer(u * width + v * lanes)), lanes)) for v in range(vectors)]
        for p in range(pixels):
            value = Splat(Read(x, add(pixel, integer(p * channels + u))), lanes)
            inner += [Set(acc[p][v], Fma(weights[v], value, acc[p][v])) for v in range(vectors)]
    flat = [(p, v) for p in range(pixels) for v in range(vectors)]
    nest: Stmt = For(c, integer(0), integer(channels), unroll, tuple(inner))
    nest = For(kh, integer(0), integer(taps), 1, (For(kw, integer(0), integer(taps), 1, (nest,)),))
    tile = [Reg(acc[p][v], Lit(0.0, f)) for p, v in flat] + [nest]
    tile += [Write(y, add(place, integer(p * outputs + v * lanes)), acc[p][v]) for p, v in flat]
    rows = For(i, integer(0), integer(size), 1, (For(j, integer(0), integer(size), pixels, tuple(tile)),))
    return Kernel("conv", (x, w, y), (For(g, integer(0), integer(2), 1, (rows,), "parallel"),))


@x86_only
@pytest.mark.parametrize(
    ("level", "pixels", "vectors"), [("avx512", 14, 2), ("avx512", 7, 3), ("avx2", 6, 2), ("avx2", 7, 1)]
)
def test_the_inner_loop_of_a_convolution_is_multiply_adds_and_little_else(
    level: str, pixels: int, vectors: int
) -> None:
    target = Target.of(level)
    kernel = convolution(target, pixels, vectors)
    verify(kernel)
    text = function(assembly(emit_module([emit_kernel(kernel, target, symbol="conv")], target), target), "conv")
    (inner,) = inner_loops(text)
    stats = asm_stats(inner)
    assert stats.fma == 4 * pixels * vectors
    assert (stats.vector_spills, stats.reloads, stats.scalar_spills, stats.calls) == (0, 0, 0, 0)
    # every weight is loaded once, every pixel broadcast at most once; then two pointers, the counter and the test
    assert stats.instructions <= stats.fma + 4 * (vectors + pixels) + 5
    assert asm_stats(text).vector_spills == 0
    assert not re.search(r"\bv?movaps\b.*zmm\d+, %zmm", inner), "no register is copied"


@pytest.mark.parametrize("level", [level for level in ("avx2", "avx512") if Target.host().supports(Target.of(level))])
def test_the_convolution_computes(level: str) -> None:
    target = Target.of(level)
    kernel = convolution(target, 4, 1, channels=4, size=4)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(buf.size, np.float32) for buf in kernel.buffers]
    wanted = [a.copy() for a in arrays]
    interpret(kernel, wanted)
    run_compiled(compile_kernel(kernel, target), arrays)
    assert same(arrays[2], wanted[2])


# --- done once, done outside ------------------------------------------------------------------------------------------


def test_equal_values_are_computed_once() -> None:
    text = llvm_of("""kernel f(x: f32[8] in, y: f32[8] out) {
      let a = (x[0] + x[1]) * x[2]
      let b = (x[0] + x[1]) * x[3]
      y[0] = a  y[1] = b  y[2] = sqrt(a)  y[3] = sqrt(a)
    }""")
    assert text.count("fadd") == 1
    assert text.count("load") == 4
    assert text.count("@llvm.sqrt") == 1


def test_what_a_loop_does_not_change_is_computed_outside() -> None:
    text = llvm_of("""kernel f(x: f32[8] in, y: f32[64] out) {
      for i in 0..8 { for j in 0..8 { y[i * 8 + j] = exp(x[i]) * x[3] } }
    }""")
    blocks = blocks_of(text)
    inner = inner_block(text)
    assert [line.split(" = ")[-1].split()[0] for line in inner] == [
        "phi",
        "getelementptr",
        "store",
        "add",
        "icmp",
        "br",
    ]
    assert sum("load" in line for line in blocks["entry"]) == 1  # x[3], in no loop at all


def test_memory_that_changes_is_read_where_it_is_read() -> None:
    text = llvm_of("""kernel f(y: f32[8] inout) {
      for i in 0..4 { y[i + 1] = y[0] + y[0] }
    }""")
    assert sum("load" in line for line in inner_block(text)) >= 1
    y = np.array([1, 0, 0, 0, 0, 0, 0, 0], np.float32)
    kernel = parse_kernel("kernel f(y: f32[8] inout) { for i in 0..4 { y[0] = y[0] + y[0] y[i + 1] = y[0] } }")
    run_compiled(compile_kernel(kernel, Target.host()), [y])
    assert y.tolist() == [16, 2, 4, 8, 16, 0, 0, 0]


def test_what_stands_under_a_condition_stays_there() -> None:
    text = llvm_of("""kernel f(x: f32[8] in, n: i64[1] in, y: f32[8] out) {
      for i in 0..8 { if n[0] < i { y[i] = x[n[0]] / x[0] } }
    }""")
    blocks = blocks_of(text)
    assert sum("load i64" in line for line in blocks["entry"]) == 1
    assert not any("load float" in line or "fdiv" in line for line in blocks["entry"])


def test_a_loop_that_may_run_no_turn_reads_nothing_before_it_is_known_to() -> None:
    text = llvm_of("""kernel f(x: f32[8] in, n: i64[1] in, y: f32[8] out) {
      for i in 0..n[0] { y[i] = x[7] }
    }""")
    assert not any("load float" in line for line in blocks_of(text)["entry"])


# --- loops ------------------------------------------------------------------------------------------------------------


def test_loops_of_no_turn_and_one_turn_are_no_loops() -> None:
    text = llvm_of("""kernel f(y: f32[8] out) {
      for i in 3..3 { y[i] = 1.0:f32 }
      for j in 5..4 { y[j] = 2.0:f32 }
      for k in 6..8 step 2 { y[k] = 3.0:f32 }
    }""")
    assert "phi" not in text
    assert "br" not in text
    assert text.count("store") == 1
    assert "i64 6" in text


def test_loops_with_literal_bounds_have_no_guard() -> None:
    text = llvm_of("kernel f(y: f32[64] out) { for i in 0..8 { for j in 0..8 { y[i * 8 + j] = 0.0:f32 } } }")
    assert text.count("icmp") == 2
    assert text.count("br i1") == 2


def test_only_registers_that_a_loop_sets_get_a_phi() -> None:
    text = llvm_of("""kernel f(x: f32[64] in, y: f32[4] out) {
      reg a = 0.0:f32  reg b = 1.0:f32
      for i in 0..64 { a = a + x[i] }
      y[0] = a  y[1] = b
    }""")
    assert sorted(re.findall(r"%(\w+)\.\d+ = phi", text)) == ["a", "i"]


def test_what_a_loop_computed_is_a_constant_of_the_next() -> None:
    source = """kernel f(x: f32[8] in, y: f32[10] out) {
      reg a = 0.0:f32
      for i in 0..8 { a = a + x[i] }
      for j in 0..8 { y[j] = a * a }
      for k in 0..8 step 2 { for l in 0..2 { a = a - x[k + l] } }
      y[8] = a + 1.0:f32
      if a < 1.0:f32 { a = 7.0:f32 }
      y[9] = a * a
    }"""
    (second,) = [lines for lines in blocks_of(llvm_of(source)).values() if lines[0].startswith("%j.")]
    assert not any("fmul" in line for line in second)
    x, y = np.arange(8, dtype=np.float32), np.zeros(10, np.float32)
    run_compiled(compile_kernel(parse_kernel(source), Target.host()), [x, y])
    assert y.tolist() == [784] * 8 + [1, 49]


def test_a_register_set_under_a_condition() -> None:
    kernel = parse_kernel("""kernel f(x: f32[8] in, y: f32[2] out) {
      reg best = x[0]  reg at = 0
      for i in 1..8 { if best < x[i] { best = x[i] at = i } }
      y[0] = best  y[1] = f32(at)
    }""")
    x, y = np.array([3, 1, 4, 1, 5, 9, 2, 6], np.float32), np.zeros(2, np.float32)
    run_compiled(compile_kernel(kernel, Target.host()), [x, y])
    assert y.tolist() == [9, 5]


def test_strided_pointers_walk_and_unit_strides_index() -> None:
    strided = inner_block(llvm_of("kernel f(x: f32[64] in, y: f32[8] out) { for i in 0..8 { y[i] = x[i * 8] } }"))
    assert sum("phi ptr" in line for line in strided) == 1
    assert not any("mul" in line for line in strided)


@x86_only
def test_an_elementwise_loop_is_minimal() -> None:
    target = Target.of("avx2")
    kernel = parse_kernel("""kernel f(x: f32[64] in, y: f32[64] out) {
      for i in 0..64 step 8 { y[i] = max(x[i]:f32x8, 0.0:f32x8) }
    }""")
    text = assembly(emit_module([emit_kernel(kernel, target, symbol="f")], target), target)
    (inner,) = inner_loops(function(text, "f"))
    assert asm_stats(inner) == AsmStats(5, 0, 0, 0, 0, 0, 0), inner  # max from memory, store, add, compare, branch


@x86_only
def test_no_function_is_called_for_what_the_machine_can_do() -> None:
    target = Target.of("avx512")
    kernel = parse_kernel("""kernel f(x: f32[64] in, k: i32[64] in, m: bool[64] in, y: f32[64] out) {
      for i in 0..64 step 16 {
        let v = x[i]:f32x16
        let w = exp(v) + log(v) + tanh(v) + erf(v) + floor(v) + sqrt(abs(v)) + max(v, round(v))
        let r = gather x[i64(k[i]:i32x16)]
        y[i; m[i]:boolx16] = select(isnan(w), r, f32(k[i]:i32x16 // 16:i32x16))
      }
    }""")
    text = assembly(emit_module([emit_kernel(kernel, target, symbol="f")], target), target)
    assert asm_stats(text).calls == 0
    assert asm_stats(text).vector_spills == 0


# --- memory -----------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(platform.system() != "Linux", reason="protects a page with mmap and mprotect")
def test_a_masked_access_does_not_touch_what_is_masked_off() -> None:
    import mmap

    page = mmap.PAGESIZE
    memory = mmap.mmap(-1, 2 * page)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    assert ctypes.CDLL(None, use_errno=True).mprotect(ctypes.c_void_p(start + page), page, 0) == 0
    edge = start + page - 12  # three floats before forbidden memory
    (ctypes.c_float * 3).from_address(edge)[:] = [1.0, 2.0, 3.0]
    kernel = parse_kernel("""kernel f(x: f32[16] in, z: f32[16] inout, y: f32[32] out) {
      let m = iota(16) < 3:i64x16
      y[0] = x[0; m]:f32x16 + gather x[iota(16); m]
      z[0; m] = z[0; m]:f32x16 * 2.0:f32x16
      scatter z[iota(16); m] = z[0; m]:f32x16 * 2.0:f32x16
      y[16] = x[5; false] + z[5; x[0] < 0.0:f32]
      z[5; false] = 1.0:f32
    }""")
    verify(kernel)
    y = np.full(32, -1, np.float32)
    for level in ("baseline", "avx2", "avx512"):
        if Target.host().supports(Target.of(level)):
            (ctypes.c_float * 3).from_address(edge)[:] = [1.0, 2.0, 3.0]
            address = compile_kernel(kernel, Target.of(level)).address  # keeps the module alive
            ctypes.CFUNCTYPE(None, *[ctypes.c_void_p] * 3)(address("kernel"))(edge, edge, y.ctypes.data)
            assert list((ctypes.c_float * 3).from_address(edge)) == [4, 8, 12]
            assert y[:4].tolist() == [2, 4, 6, 0]
            assert y[16:18].tolist() == [0, -1]
    ctypes.CDLL(None).mprotect(ctypes.c_void_p(start + page), page, 3)


def test_a_bool_is_a_byte_of_zero_or_one() -> None:
    kernel = parse_kernel("""kernel f(x: f32[16] in, b: bool[16] inout, y: bool[20] out) {
      y[0] = not(b[0]:boolx16)
      y[16] = x[0] < x[1]
      y[17; b[1]] = b[1] | b[0]
      scatter b[iota(2)] = b[2]:boolx2
    }""")
    x, b = np.arange(16, dtype=np.float32), np.arange(16) % 3 == 0
    y = np.full(20, 1, np.uint8)
    run_compiled(compile_kernel(kernel, Target.host()), [x, b, y.view(np.bool_)])
    assert y.tolist() == [*(np.arange(16) % 3 != 0).astype(int).tolist(), 1, 1, 1, 1]
    assert b[:4].tolist() == [False, True, False, True]


# --- functions and modules --------------------------------------------------------------------------------------------

SUM_OF_ROWS = """kernel rows(x: f32[24] in, y: f32[8] out) {
  let three = 3
  for i in 1..8 step 2 parallel {
    reg a = 0.0:f32
    for j in 0..three { a = a + x[i * 3 + j] }
    y[i] = a
  }
}"""


def test_a_range_of_turns() -> None:
    module = compile_kernel(parse_kernel(SUM_OF_ROWS), Target.host(), ranged=True)
    x = np.arange(24, dtype=np.float32)
    wanted = x.reshape(8, 3).sum(axis=1)
    for first, last in ((0, 4), (1, 3), (2, 2), (3, 99), (0, 1)):
        y = np.full(8, -1, np.float32)
        run_compiled(module, [x, y], first, last)
        turns = {2 * t + 1 for t in range(first, min(last, 4))}
        assert y.tolist() == [wanted[k] if k in turns else -1 for k in range(8)]


@pytest.mark.parametrize("change", [(" parallel", ""), ("let three = 3", "y[0] = 0.0:f32 let three = 3")])
def test_only_a_single_parallel_loop_can_be_split(change: tuple[str, str]) -> None:
    with pytest.raises(CodegenError, match="rows has no single outermost parallel loop"):
        emit_kernel(parse_kernel(SUM_OF_ROWS.replace(*change)), Target.of("baseline"), symbol="f", ranged=True)


def test_an_entry_calls_kernels_with_addresses_from_a_table() -> None:
    double = parse_kernel("kernel double(x: f32[4] in, y: f32[4] out) { y[0] = x[0]:f32x4 * 2.0:f32x4 }")
    power = parse_kernel("kernel power(x: f32[4] in, y: f32[4] out) { for i in 0..4 { y[i] = pow(x[i], x[i]) } }")
    target = Target.host()
    functions = [emit_kernel(double, target, symbol="double"), emit_kernel(power, target, symbol="conv+power")]
    calls = [Call("double", [1, (0, 32)]), Call("conv+power", [(0, 32), 2])]
    module = compile_module(emit_module([*functions, emit_entry("run", calls)], target), target)
    arena, x, y = np.zeros(16, np.float32), np.array([0.5, 1, 1.5, 2], np.float32), np.zeros(4, np.float32)
    table = np.array([a.ctypes.data for a in (arena, x, y)], np.uintp)
    call(module.address("run"), table.ctypes.data)
    assert arena[8:12].tolist() == [1, 2, 3, 4]
    assert arena[:8].tolist() == [0] * 8
    assert y.tolist() == [1, 4, 27, 256]


def test_declarations_are_shared_and_symbols_are_not() -> None:
    kernel = parse_kernel("kernel f(y: f32[1] out) { y[0] = sin(1.0:f32) }")
    a, b = (emit_kernel(kernel, Target.of("avx2"), symbol=s) for s in "ab")
    text = emit_module([a, b], Target.of("avx2"))
    assert text.count("declare float @sinf") == 1
    assert '"prefer-vector-width"="256"' in text
    with pytest.raises(CodegenError, match="same symbol"):
        emit_module([a, a], Target.of("avx2"))


def test_no_fast_math_flag_and_nothing_contracted() -> None:
    text = llvm_of("""kernel f(x: f32[8] in, y: f32[8] out) {
      y[0] = x[0] * x[1] + x[2] / x[3] - sqrt(x[4])
    }""")
    assert not re.search(r"\b(fast|nnan|ninf|nsz|arcp|contract|afn|reassoc)\b", text)
    assert "fma" not in text
    target = Target.of("avx512")
    kernel = parse_kernel("kernel f(x: f32[8] in, y: f32[8] out) { y[0] = x[0] * x[1] + x[2] }")
    assert asm_stats(assembly(emit_module([emit_kernel(kernel, target, symbol="f")], target), target)).fma == 0


def test_deep_values_do_not_exhaust_the_stack() -> None:
    x, y = Buffer("x", float32, 1, "in"), Buffer("y", float32, 1, "out")
    value = Read(x, integer(0))
    one = value
    for _ in range(3000):
        value = Bin("add", value, one)
    kernel = Kernel("f", (x, y), (Write(y, integer(0), value),))
    arrays = [np.ones(1, np.float32), np.zeros(1, np.float32)]
    interpret(kernel, arrays)
    assert arrays[1][0] == 3001
    run_compiled(compile_kernel(kernel, Target.host()), arrays)
    assert arrays[1][0] == 3001
