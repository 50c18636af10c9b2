from __future__ import annotations

import pytest

from lucid.codegen.loops import (
    INDEX,
    Bin,
    Buffer,
    For,
    Kernel,
    Let,
    Lit,
    Read,
    Reinterpret,
    Un,
    Var,
    VType,
    Write,
    integer,
)
from lucid.codegen.text import parse_kernel, print_kernel, print_value
from lucid.codegen.verify import verify
from lucid.errors import ParseError
from lucid.ir.types import bool_, float32, int32, uint8

EVERYTHING = """\
kernel everything(x: f32[100] in, k: i32[100] in, m: bool[100] in, y: f32[100] inout, s: u8[16] scratch) {  # note
  reg acc = 0.0:f32x8
  reg turns = 0
  for i in 0..96 step 8 parallel {
    let v = x[i]:f32x8
    let mask = m[i]:boolx8 & ((v < 1e-05:f32x8) | isnan(v))
    let w = x[i; mask]:f32x8
    let far = gather x[iota(8) * splat(3, 8) + splat(i - -2 * 4, 8); mask]
    y[i] = fma(v, splat(x[99], 8), max(w, -inf:f32x8))
    y[i; mask] = -2.5:f32x8 / sqrt(abs(far)) - (v - w)
    scatter y[i64(k[i]:i32x8)] = select(mask, as_f32(k[i]:i32x8 << 23:i32x8), nan:f32x8)
    scatter y[iota(8); mask] = neg(v)
    prefetch x[i + 200]
    stream y[i] = v
    if not(m[i + 3]) {
      s[i // 8 % 16] = 255:u8
    }
  }
  for j in turns..turns + 3 {
    acc = pow(acc, f32(iota(8)))
    turns = turns + j
  }
  y[0] = across_sum(acc) + across_max(shuffle(acc, x[0]:f32x8; 0, 8, 3, 15))
  y[1] = select((turns < 3) == true, 1.0:f32, -0.0:f32)
}
"""


def test_everything_reads_back() -> None:
    kernel = parse_kernel(EVERYTHING)
    assert print_kernel(kernel) == EVERYTHING
    assert str(kernel) == EVERYTHING
    assert kernel.note == "note"


def test_comparisons_do_not_chain() -> None:
    with pytest.raises(ParseError, match="line 1, column 41: expected a name, found '<'"):
        parse_kernel("kernel f(y: bool[9] out) { y[0] = 1 < 2 < 3 }")


def test_the_example_of_the_docstring_is_valid() -> None:
    import lucid.codegen.text as module

    example = (module.__doc__ or "").split("\n\n")[1]
    verify(parse_kernel(example))


@pytest.mark.parametrize(
    "text",
    ["a - (b - a)", "a - b - a", "(a + b) * a", "a * b + a", "a // b % a", "a // (b % a)", "a << b + a", "(a << b) + a",
     "a & b | a ^ b", "a & (b | a)", "min(a, b)", "-5 - -5"],
)  # fmt: skip
def test_parentheses_are_kept_only_where_needed(text: str) -> None:
    kernel = parse_kernel(f"kernel f(y: i64[9] out) {{ let a = 1 let b = 2 y[0] = {text} }}")
    assert print_kernel(kernel).splitlines()[3] == f"  y[0] = {text}"


def test_literals_keep_value_and_type() -> None:
    floats = [Lit(x, VType(float32, 4)) for x in (0.1, -0.0, float("inf"), float("nan"), 1e-45, 1)]
    for lit in (*floats, Lit(True, VType(bool_)), Lit(False, VType(bool_, 8)), Lit(-7, INDEX), Lit(255, VType(uint8))):
        buffer = Buffer("y", lit.type.dtype, 64, "out")
        kernel = Kernel("k", (buffer,), (Write(buffer, integer(0), lit),))
        assert parse_kernel(print_kernel(kernel)) == kernel


def test_a_kernel_name_may_be_anything() -> None:
    kernel = Kernel('conv2d + "relu"', (), ())
    assert parse_kernel(print_kernel(kernel)) == kernel


def test_a_value_prints_alone() -> None:
    x = Buffer("x", int32, 8, "in")
    v = Bin("mul", Un("neg", Reinterpret(Read(x, integer(0), 4), float32)), Lit(2.0, VType(float32, 4)))
    assert print_value(v) == "neg(as_f32(x[0]:i32x4)) * 2.0:f32x4"


@pytest.mark.parametrize(
    ("body", "place", "words"),
    [
        ("y[0] = z", "column 8", "'z' is not bound"),
        ("y[0] = 1.5", "column 8", "needs a type"),
        ("y[0] = 1 + 1.0:f32", "column 10", "add of i64 and f32"),
        ("y[0] = fma(1, 2)", "column 8", "fma takes 3 operands, not 2"),
        ("y[0] = frob(1)", "column 8", "'frob' is not an operation"),
        ("y[0] = 1:f99", "column 10", "expected a type"),
        ("y[0] = y[0]:i32x4", "column 8", "y holds f32, not i32x4"),
        ("y[0] = select(1, 2, 3)", "column 8", "select of i64"),
        ("y[0] = $", "column 8", "unexpected character '$'"),
        ("z[0] = 1", "column 1", "'z' is not a buffer or a register"),
        ("scatter q[0] = 1", "column 1", "'q' is not a buffer"),
        ("prefetch q[0]", "column 10", "'q' is not a buffer"),
        ("prefetch y[0; true]", "column 10", "a prefetch has no mask"),
        ("stream q[0] = 1", "column 1", "'q' is not a buffer"),
        ("let for = 1", "column 5", "is a word of the language"),
        ("let y = 1", "column 5", "'y' is already bound"),
        ("for i in 0..4 step x { }", "column 20", "expected a number"),
        ("for i in 0..4 step 1.5 { }", "column 20", "expected an integer"),
        ("if true y[0] = 1", "column 9", "expected '{'"),
        ("y[0 = 1", "column 5", "expected ']'"),
        ("y[0] = gather z[0]", "column 15", "'z' is not a buffer"),
        ("y[0] = -true", "column 9", "expected a number"),
        ("y[0] = ,", "column 8", "expected a value"),
    ],
)
def test_errors_say_where(body: str, place: str, words: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_kernel(f"kernel f(y: f32[9] out) {{\n{body}\n}}")
    assert f"line 2, {place}: " in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "kernel", "kernel f(y: f32[9] away) {}", "kernel f() { } more", "kernel f() {",
                                  "kernel f(y: f32[1.5] in) {}", "kernel f(x: f32[1] in y: f32[1] in) {}"])  # fmt: skip
def test_broken_frames_are_parse_errors(text: str) -> None:
    with pytest.raises(ParseError, match="line 1, column"):
        parse_kernel(text)


def test_equal_kernels_print_alike_and_notes_do_not_count() -> None:
    i = Var("i", INDEX)
    body = (For(i, integer(0), integer(4), 1, (Let(Var("t", INDEX), i),)),)
    assert Kernel("k", (), body, "one") == Kernel("k", (), body, "two")
