from __future__ import annotations

import pytest

from lucid.codegen.loops import (
    INDEX,
    Across,
    Buffer,
    Convert,
    Fma,
    For,
    Iota,
    Kernel,
    Let,
    Lit,
    Read,
    Reg,
    Set,
    Splat,
    Stmt,
    Un,
    Var,
    VType,
    Write,
    integer,
)
from lucid.codegen.text import parse_kernel
from lucid.codegen.verify import verify
from lucid.errors import IRError
from lucid.ir.types import bool_, float32, int32, uint8

HEAD = "kernel f(x: f32[16] in, y: f32[16] inout, k: i32[16] in, b: bool[16] inout) {\n"
X, Y = Buffer("x", float32, 16, "in"), Buffer("y", float32, 16, "inout")
F = VType(float32)


def check(body: str) -> None:
    verify(parse_kernel(HEAD + body + "\n}"))


def check_statements(*body: Stmt) -> None:
    verify(Kernel("f", (X, Y), body))


@pytest.mark.parametrize(
    "body",
    [
        "for i in 0..16 { y[i] = x[15 - i] }",
        "for i in 0..16 step 5 { y[i] = x[i] }",  # the last turn is at 15
        "for i in 0..14 step 4 { y[i]  = across_sum(x[i]:f32x4) }",
        "for i in 4..4 { y[i + 100] = x[i] }",  # never runs
        "for i in 0..3 { for j in 0..2 { y[i * 2 + j + 10] = 0.0:f32 } }",
        "for i in 0..20 { if i < 16 { y[i] = x[i] } }",  # the condition keeps it inside
        "for i in 0..20 { y[i; i < 16] = x[i; i < 16] }",  # so does the mask
        "for i in 0..i64(k[0]) { y[i] = x[i] }",  # nobody knows how far
        "let n = 8 for i in 0..n { let p = i + n y[p] = x[p] }",
        "reg a = 1 a = a + 1 for i in 0..4 { a = a * 2 }",
        "b[0] = b[1] | isnan(x[0]) b[1] = b[0] + b[1] * true",
    ],
)
def test_right(body: str) -> None:
    check(body)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("for i in 0..17 { y[i] = 0.0:f32 }", "y[16] is accessed at positions 0 to 16, at: y[i] = 0.0:f32"),
        ("for i in 0..16 step 5 { y[i + 1] = x[i] }", "positions 1 to 16"),
        ("for i in 0..16 { y[i] = x[i - 1] }", "x[16] is accessed at positions -1 to 14"),
        ("for i in 0..16 step 4 { y[i]  = across_sum(x[i + 1]:f32x4) }", "positions 1 to 16"),
        ("let n = 8 for i in 0..n { let p = i + n y[p + 1] = x[p] }", "positions 9 to 16"),
        ("for i in 0..4 { for j in 0..5 { y[i * 4 + j] = 0.0:f32 } }", "positions 0 to 16"),
        ("x[0] = y[0]", "'x' is an input"),
        ("scatter x[iota(4)] = splat(y[0], 4)", "'x' is an input"),
        ("y[0] = 1", "1 is i64, not f32"),
        ("y[x[0]] = x[0]", "x[0] is f32, not i64"),
        ("y[0] = x[i64(x[0]) + 0; 1]", "1 is i64, not bool"),
        ("y[0] = across_sum(x[0; true]:f32x4)", "true is bool, not boolx4"),
        ("y[0]= across_sum(gather x[splat(k[0], 4)])", "offsets are i32x4, not i64"),
        ("y[0] = gather x[i64(k[0])]", "a gather of one lane is a read"),
        ("scatter y[0] = x[0]", "a scatter of one lane is a write"),
        ("prefetch x[x[0]]", "x[0] is f32, not i64"),
        ("for i in 0..16 step 4 { stream x[i] = x[i]:f32x4 }", "'x' is an input"),
        ("for i in 0..12 step 4 { stream y[i + 1] = x[i]:f32x4 }", "whole vectors at multiples of 4"),
        ("for i in 0..12 step 2 { stream y[i] = x[i]:f32x4 }", "whole vectors at multiples of 4"),
        ("for i in 2..12 step 4 { stream y[i] = x[i]:f32x4 }", "whole vectors at multiples of 4"),
        ("stream y[0; iota(4) < 3:i64x4] = x[0]:f32x4", "whole vectors at multiples of 4"),
        ("stream y[0] = x[0]", "whole vectors at multiples of 1"),
        ("if 1 { }", "1 is i64, not bool"),
        ("for i in 0..2 { let t = x[i] } y[0] = t", "'t' is not in scope"),
        ("for i in 0..2 { reg t = x[i] } t = x[0]", "'t' is not a register in scope"),
        ("let t = x[0] t = x[1]", "'t' is not a register in scope"),
        ("for i in 0..2 { i = 3 }", "'i' is not a register in scope"),
        ("reg t = x[0] t = 1", "1 is i64, not f32"),
        ("reg t = 0 for i in 0..4 parallel { t = t + i }", "parallel loop sets outer registers ['t']"),
        ("for i in 0.5:f32..2 { }", "0.5:f32 is f32, not i64"),
        ("y[0] = not(x[0])", "not is not defined on f32"),
        ("y[0] = x[0] & x[1]", "and is not defined on f32"),
        ("y[0] = f32(k[0] / k[1])", "div is not defined on i32"),
        ("y[0] = f32(exp(k[0]))", "exp is not defined on i32"),
        ("b[0] = b[0] - b[1]", "sub is not defined on bool"),
        ("b[0] = neg(b[0])", "neg is not defined on bool"),
        ("y[0] = f32(fma(k[0], k[1], k[2]))", "fma is not defined on i32"),
        ("y[0] = as_f32(b[0])", "bool cannot be reinterpreted as f32"),
        ("y[0] = as_f32(1)", "i64 cannot be reinterpreted as f32"),
        ("y[0] = across_sum(x[0]:f32x3)", "lanes must be a power of two"),
        ("y[0] = across_sum(x[0])", "lanes must be a power of two"),
        ("y[0] = across_sum(splat(x[0]:f32x2, 4))", "a scalar is needed"),
        ("y[0] = shuffle(x[0], x[1]; 1)", "vectors are needed"),
        ("y[0] = shuffle(x[0]:f32x4, x[1]:f32x4; 1)", "vectors are needed"),
        ("y[0] = f32(256:u8)", "256 is not a literal of u8"),
        ("y[0] = f32(1.0:i32)", "1.0 is not a literal of i32"),
        ("y[0] = f32(true:i32)", "True is not a literal of i32"),
        ("b[0] = 1:bool", "1 is not a literal of bool"),
    ],
)
def test_wrong(body: str, words: str) -> None:
    with pytest.raises(IRError) as caught:
        check(body)
    assert words in str(caught.value)


I = Var("i", INDEX)  # noqa: E741  # a loop variable's usual name


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ((Let(Var("t", F), integer(1)),), "1 is i64, not f32"),
        ((Let(Var("t", INDEX), integer(1)), Let(Var("t", INDEX), integer(2))), "'t' is bound twice"),
        ((Let(Var("x", INDEX), integer(1)),), "'x' is bound twice"),
        ((Let(Var("a b", INDEX), integer(1)),), "'a b' cannot be a name"),
        ((Let(Var("for", INDEX), integer(1)),), "'for' cannot be a name"),
        ((Reg(Var("r", F), Lit(0.0, F)), Set(Var("r", INDEX), integer(1))), "'r' is f32, not i64"),
        ((For(I, integer(0), integer(4), 0, ()),), "the step is 0"),
        ((For(Var("i", F), integer(0), integer(4), 1, ()),), "a loop counts in i64, not in f32"),
        ((For(I, integer(0), integer(4), 1, ()), For(I, integer(0), integer(4), 1, ())), "'i' is bound twice"),
        ((Write(Buffer("z", float32, 4, "out"), integer(0), Lit(0.0, F)),), "'z' is not a buffer of this kernel"),
        ((Write(Y, integer(0), Read(Buffer("x", float32, 99, "in"), integer(0))),), "'x' is not a buffer"),
        ((Write(Y, integer(0), Lit("one", F)),), "'one' is not a literal of f32"),
        ((Let(Var("t", INDEX), Across("mean", Iota(4))),), "'mean' is not a reduction"),
        ((Let(Var("t", VType(INDEX.dtype, 0)), Iota(0)),), "0 lanes"),
    ],
)
def test_wrong_in_ways_text_cannot_say(body: tuple[Stmt, ...], words: str) -> None:
    with pytest.raises(IRError) as caught:
        check_statements(*body)
    assert words in str(caught.value)


def test_every_unary_operation_has_its_types() -> None:
    for op in ("sqrt", "tanh"):
        with pytest.raises(IRError, match=f"{op} is not defined on u8"):
            check_statements(Let(Var("t", VType(uint8)), Un(op, Lit(1, VType(uint8)))))
    check_statements(Let(Var("t", VType(bool_)), Un("isnan", Lit(1, VType(int32)))))
    check_statements(Let(Var("t", VType(float32, 4)), Fma(*[Splat(Convert(integer(2), float32), 4)] * 3)))
