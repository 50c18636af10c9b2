"""Every rule of the table: what it does to a graph, in print, and that it keeps every bit of every value."""

from __future__ import annotations

import pytest

from lucid.ir.graph import Graph
from lucid.ir.interpreter import evaluate
from lucid.ir.rewrite import RULES, rewrite
from lucid.ir.text import print_graph
from lucid.ir.types import (
    SHORT_NAMES,
    DType,
    bool_,
    float32,
    float64,
    int8,
    int16,
    int32,
    int64,
    is_float,
    uint8,
    uint32,
    uint64,
)
from lucid.ir.verify import verify
from lucid.ops.rules import holds_exactly
from tests.golden import Golden
from tests.ir.graphs import assert_bitwise, graph_of, tricky_inputs

X = "%x: f32[3,4]"


def constant(name: str, value: str, dtype: str = "f32", shape: str = "()") -> str:
    sizes = shape.strip("(),").replace(" ", "")
    return f"%{name} = constant() {{value={value}, shape={shape}, dtype={dtype}}} : {dtype}[{sizes}] "


#: Windows that overlap.
POOLING = "kernel_size=(2, 3), stride=(2, 1), padding=((0, 1), (1, 1)), dilation=(1, 1)"

#: Rule, inputs, body: the rule must fire in each.
CASES: list[tuple[str, str, str]] = [
    ("whole number of a float dtype", "%x: f32[4]", constant("0", "3") + "%1 = mul(%x, %0) : f32[4] return %1"),
    ("x * 1", X, constant("0", "1.0") + "%1 = mul(%x, %0) : f32[3,4] return %1"),
    ("x * 1", X, constant("0", "1", shape="(2, 1, 1)") + "%1 = mul(%0, %x) : f32[2,3,4] return %1"),
    ("x / 1", X, constant("0", "1") + "%1 = div(%x, %0) : f32[3,4] return %1"),
    ("x - 0", X, constant("0", "0.0") + "%1 = sub(%x, %0) : f32[3,4] return %1"),
    ("x + -0.0", X, constant("0", "-0.0") + "%1 = add(%x, %0) : f32[3,4] return %1"),
    ("x + 0 of integers", "%x: i32[5]", constant("0", "0", "i32") + "%1 = add(%0, %x) : i32[5] return %1"),
    ("-0.0 - x", X, constant("0", "-0.0") + "%1 = sub(%0, %x) : f32[3,4] return %1"),
    ("0 - x of integers", "%x: u8[5]", constant("0", "0", "u8") + "%1 = sub(%0, %x) : u8[5] return %1"),
    ("x * -1", X, constant("0", "-1.0") + "%1 = mul(%x, %0) : f32[3,4] return %1"),
    ("x ** 1", "%x: i32[5]", constant("0", "1", "i32") + "%1 = pow(%x, %0) : i32[5] return %1"),
    ("x ** 1", X, constant("0", "1.0") + "%1 = pow(%x, %0) : f32[3,4] return %1"),
    ("x ** 2", X, constant("0", "2.0") + "%1 = pow(%x, %0) : f32[3,4] return %1"),
    ("x ** 2", "%x: i32[]", constant("0", "2", "i32") + "%1 = pow(%x, %0) : i32[] return %1"),
    ("x ** 0", X, constant("0", "0.0") + "%1 = pow(%x, %0) : f32[3,4] return %1"),
    ("x / power of two", X, constant("0", "8.0") + "%1 = div(%x, %0) : f32[3,4] return %1"),
    ("x / power of two", "%x: f64[30]", constant("0", "-0.25", "f64") + "%1 = div(%x, %0) : f64[30] return %1"),
    ("-(-x)", X, "%0 = neg(%x) : f32[3,4] %1 = neg(%0) : f32[3,4] return %1"),
    ("a + -b", "%a: f32[3,4], %b: f32[4]", "%0 = neg(%b) : f32[4] %1 = add(%a, %0) : f32[3,4] return %1"),
    ("a + -b", "%a: f32[9], %b: f32[9]", "%0 = neg(%b) : f32[9] %1 = add(%0, %a) : f32[9] return %1"),
    ("a - -b", "%a: f32[9], %b: f32[9]", "%0 = neg(%b) : f32[9] %1 = sub(%a, %0) : f32[9] return %1"),
    ("abs(-x)", X, "%0 = neg(%x) : f32[3,4] %1 = abs(%0) : f32[3,4] return %1"),
    ("abs(-x)", "%x: i8[20]", "%0 = neg(%x) : i8[20] %1 = abs(%0) : i8[20] return %1"),
    ("abs(abs(x))", X, "%0 = abs(%x) : f32[3,4] %1 = abs(%0) : f32[3,4] return %1"),
    ("relu(relu(x))", X, "%0 = relu(%x) : f32[3,4] %1 = relu(%0) : f32[3,4] return %1"),
    ("maximum(x, x)", X, "%0 = maximum(%x, %x) : f32[3,4] return %0"),
    ("minimum(x, x)", X, "%0 = minimum(%x, %x) : f32[3,4] return %0"),
    ("x & x", "%x: bool[5]", "%0 = bitwise_and(%x, %x) : bool[5] return %0"),
    ("x | x", "%x: i32[5]", "%0 = bitwise_or(%x, %x) : i32[5] return %0"),
    ("not not x", "%x: bool[5]", "%0 = logical_not(%x) : bool[5] %1 = logical_not(%0) : bool[5] return %1"),
    ("bitwise_not twice", "%x: u8[5]", "%0 = bitwise_not(%x) : u8[5] %1 = bitwise_not(%0) : u8[5] return %1"),
    (
        "where of a constant",
        "%a: f32[4], %b: f32[3,1]",
        constant("0", "true", "bool") + "%1 = where(%0, %a, %b) : f32[3,4] return %1",
    ),
    (
        "where of a constant",
        "%a: f32[4], %b: f32[3,4]",
        constant("0", "false", "bool") + "%1 = where(%0, %a, %b) : f32[3,4] return %1",
    ),
    ("where(c, x, x)", "%c: bool[3,1], %x: f32[4]", "%0 = where(%c, %x, %x) : f32[3,4] return %0"),
    (
        "where(not c, a, b)",
        "%c: bool[4], %a: f32[4], %b: f32[4]",
        "%0 = logical_not(%c) : bool[4] %1 = where(%0, %a, %b) : f32[4] return %1",
    ),
    (
        "where(c, where(c, a, b), d)",
        "%c: bool[4], %a: f32[4], %b: f32[4], %d: f32[4]",
        "%0 = where(%c, %a, %b) : f32[4] %1 = where(%c, %0, %d) : f32[4] return %1",
    ),
    (
        "where(c, d, where(c, a, b))",
        "%c: bool[4], %a: f32[4], %b: f32[4], %d: f32[4]",
        "%0 = where(%c, %a, %b) : f32[4] %1 = where(%c, %d, %0) : f32[4] return %1",
    ),
    ("clip without bounds", X, "%0 = clip(%x) {lo=none, hi=none} : f32[3,4] return %0"),
    ("cast to the same dtype", X, "%0 = cast(%x) {dtype=f32} : f32[3,4] return %0"),
    (
        "cast of an exact cast",
        "%x: i16[9]",
        "%0 = cast(%x) {dtype=f32} : f32[9] %1 = cast(%0) {dtype=i64} : i64[9] return %1",
    ),
    (
        "cast of an exact cast",
        "%x: f32[9]",
        "%0 = cast(%x) {dtype=f64} : f64[9] %1 = cast(%0) {dtype=f32} : f32[9] return %1",
    ),
    ("reshape to the same shape", X, "%0 = reshape(%x) {shape=(3, 4)} : f32[3,4] return %0"),
    (
        "reshape of reshape",
        X,
        "%0 = reshape(%x) {shape=(12,)} : f32[12] %1 = reshape(%0) {shape=(2, 6)} : f32[2,6] return %1",
    ),
    ("transpose that moves nothing", "%x: f32[2,1,3]", "%0 = transpose(%x) {perm=(1, 0, 2)} : f32[1,2,3] return %0"),
    ("transpose that moves nothing", X, "%0 = transpose(%x) {perm=(0, 1)} : f32[3,4] return %0"),
    (
        "transpose of transpose",
        "%x: f32[2,3,4]",
        "%0 = transpose(%x) {perm=(1, 2, 0)} : f32[3,4,2] %1 = transpose(%0) {perm=(0, 2, 1)} : f32[3,2,4] return %1",
    ),
    ("broadcast to the same shape", X, "%0 = broadcast_to(%x) {shape=(3, 4)} : f32[3,4] return %0"),
    (
        "broadcast of broadcast",
        "%x: f32[4]",
        "%0 = broadcast_to(%x) {shape=(1, 4)} : f32[1,4] %1 = broadcast_to(%0) {shape=(3, 4)} : f32[3,4] return %1",
    ),
    (
        "broadcast of reshape",
        "%x: f32[4]",
        "%0 = reshape(%x) {shape=(1, 4)} : f32[1,4] %1 = broadcast_to(%0) {shape=(3, 4)} : f32[3,4] return %1",
    ),
    ("flip of nothing", "%x: f32[3,1]", "%0 = flip(%x) {axes=(1,)} : f32[3,1] return %0"),
    (
        "flip of flip",
        "%x: f32[2,3,4]",
        "%0 = flip(%x) {axes=(0, 1)} : f32[2,3,4] %1 = flip(%0) {axes=(1, 2)} : f32[2,3,4] return %1",
    ),
    ("slice of everything", X, "%0 = slice(%x) {start=(0, 0), stop=(3, 4), step=(1, 1)} : f32[3,4] return %0"),
    (
        "slice of slice",
        "%x: f32[20,5]",
        "%0 = slice(%x) {start=(1, 4), stop=(20, 5), step=(2, 1)} : f32[10,1] "
        "%1 = slice(%0) {start=(2, 1), stop=(9, 1), step=(3, 1)} : f32[3,0] return %1",
    ),
    (
        "slice of slice",
        "%x: f32[20]",
        "%0 = slice(%x) {start=(1,), stop=(20,), step=(2,)} : f32[10] "
        "%1 = slice(%0) {start=(2,), stop=(9,), step=(3,)} : f32[3] return %1",
    ),
    (
        "slice of pad",
        "%x: f32[5]",
        "%0 = pad(%x) {low=(2,), high=(1,), interior=(1,), value=0.0} : f32[12] "
        "%1 = slice(%0) {start=(4,), stop=(11,), step=(2,)} : f32[4] return %1",
    ),
    (
        "slice of concat",
        "%x: f32[2,3], %z: f32[2,4]",
        "%0 = concat(%x, %z) {axis=1} : f32[2,7] "
        "%1 = slice(%0) {start=(0, 4), stop=(2, 7), step=(1, 2)} : f32[2,2] return %1",
    ),
    ("pad by nothing", "%x: f32[1]", "%0 = pad(%x) {low=(0,), high=(0,), interior=(3,), value=0.0} : f32[1] return %0"),
    (
        "pad of pad",
        "%x: f32[3]",
        "%0 = pad(%x) {low=(1,), high=(0,), interior=(2,), value=nan} : f32[8] "
        "%1 = pad(%0) {low=(0,), high=(2,), interior=(0,), value=nan} : f32[10] return %1",
    ),
    ("concat of one", X, "%0 = concat(%x) {axis=1} : f32[3,4] return %0"),
    (
        "concat of one",
        "%x: f32[3,4], %z: f32[3,0], %w: f32[3,2]",
        "%0 = concat(%x, %z, %w) {axis=1} : f32[3,6] return %0",
    ),
    ("concat of one", "%x: f32[0,4], %z: f32[0,4]", "%0 = concat(%x, %z) {axis=0} : f32[0,4] return %0"),
    ("reduction of single elements", X, "%0 = prod(%x) {axes=(), keepdims=true} : f32[3,4] return %0"),
    ("reduction of single elements", X, "%0 = max(%x) {axes=(), keepdims=true} : f32[3,4] return %0"),
    ("reduction of single elements", "%x: f32[9,1]", "%0 = min(%x) {axes=(1,), keepdims=false} : f32[9] return %0"),
    ("reduction of single elements", "%x: f32[9,1]", "%0 = prod(%x) {axes=(1,), keepdims=false} : f32[9] return %0"),
    ("sum of single integers", "%x: i32[9,1]", "%0 = sum(%x) {axes=(1,), keepdims=false} : i32[9] return %0"),
    (
        "reshape of a reduction",
        "%x: f32[2,3,4]",
        "%0 = sum(%x) {axes=(0, 2), keepdims=false} : f32[3] %1 = reshape(%0) {shape=(1, 3, 1)} : f32[1,3,1] return %1",
    ),
    (
        "reshape of a reduction",
        "%x: f32[2,3,4]",
        "%0 = max(%x) {axes=(1,), keepdims=true} : f32[2,1,4] %1 = reshape(%0) {shape=(2, 4)} : f32[2,4] return %1",
    ),
    (
        "where(x <= 0, 0, gradient of max pooling x)",
        "%x: f32[2,3,5,4], %g: f32[2,3,3,4]",
        constant("0", "0.0")
        + "%1 = le(%x, %0) : bool[2,3,5,4] "
        + f"%2 = max_pool2d_index(%x) {{{POOLING}}} : u8[2,3,3,4] "
        + f"%3 = max_pool2d_input_grad(%g, %2) {{input_size=(5, 4), {POOLING}}} : f32[2,3,5,4] "
        + "%4 = where(%1, %0, %3) : f32[2,3,5,4] return %4",
    ),
]

#: What looks like a rule and is none: inputs, body.
UNTOUCHED: list[tuple[str, str]] = [
    (X, constant("0", "0.0") + "%1 = add(%x, %0) : f32[3,4] return %1"),  # -0.0 + 0 is 0
    (X, constant("0", "-0.0") + "%1 = sub(%x, %0) : f32[3,4] return %1"),  # -0.0 - -0.0 is 0
    (X, constant("0", "0.0") + "%1 = sub(%0, %x) : f32[3,4] return %1"),  # 0 - 0 is 0, -(0) is not
    (X, constant("0", "0.0") + "%1 = mul(%x, %0) : f32[3,4] return %1"),  # NaN * 0 is NaN
    (X, constant("0", "3.0") + "%1 = div(%x, %0) : f32[3,4] return %1"),
    (X, constant("0", "0.0") + "%1 = div(%x, %0) : f32[3,4] return %1"),
    (X, constant("0", "(1.0, 2.0, 4.0, 8.0)", shape="(4,)") + "%1 = div(%x, %0) : f32[3,4] return %1"),
    ("%x: f32[]", constant("0", "1.0") + "%1 = pow(%x, %0) : f32[] return %1"),  # NumPy's power is not exact here
    ("%x: f32[]", constant("0", "2.0") + "%1 = pow(%x, %0) : f32[] return %1"),
    ("", constant("0", str(2**53 + 1)) + "return %0"),  # an int is rounded once, a float made of it would be again
    (X, "%0 = sub(%x, %x) : f32[3,4] return %0"),  # inf - inf is NaN
    ("%x: u8[5]", "%0 = neg(%x) : u8[5] %1 = abs(%0) : u8[5] return %1"),
    ("%x: f64[5]", "%0 = cast(%x) {dtype=f32} : f32[5] %1 = cast(%0) {dtype=f64} : f64[5] return %1"),
    ("%x: i32[5]", "%0 = cast(%x) {dtype=f32} : f32[5] %1 = cast(%0) {dtype=i32} : i32[5] return %1"),
    ("%x: i32[5]", "%0 = cast(%x) {dtype=u64} : u64[5] %1 = cast(%0) {dtype=f64} : f64[5] return %1"),
    ("%x: f32[9,1]", "%0 = sum(%x) {axes=(1,), keepdims=false} : f32[9] return %0"),  # 0 + -0.0 is 0
    ("%x: f32[2,3,4]", "%0 = transpose(%x) {perm=(0, 2, 1)} : f32[2,4,3] return %0"),
    (
        "%x: f32[4]",
        "%0 = reshape(%x) {shape=(4, 1)} : f32[4,1] %1 = broadcast_to(%0) {shape=(4, 4)} : f32[4,4] return %1",
    ),
    (
        "%x: f32[3]",
        "%0 = pad(%x) {low=(1,), high=(0,), interior=(0,), value=0.0} : f32[4] "
        "%1 = pad(%0) {low=(0,), high=(2,), interior=(0,), value=-0.0} : f32[6] return %1",
    ),
    (
        "%x: f32[3]",
        "%0 = pad(%x) {low=(1,), high=(0,), interior=(0,), value=0.0} : f32[4] "
        "%1 = slice(%0) {start=(0,), stop=(3,), step=(1,)} : f32[3] return %1",
    ),
    (
        "%x: f32[2], %z: f32[2]",
        "%0 = concat(%x, %z) {axis=0} : f32[4] %1 = slice(%0) {start=(1,), stop=(3,), step=(1,)} : f32[2] return %1",
    ),
    (
        "%c: bool[4], %a: f32[4], %b: f32[3,4], %d: f32[4]",  # without b the result would be smaller
        "%0 = where(%c, %a, %b) : f32[3,4] %1 = where(%c, %0, %d) : f32[3,4] return %1",
    ),
    (X, "%0 = identity(%x) : f32[3,4] return %0"),
    (X, "%0 = stop_gradient(%x) : f32[3,4] return %0"),
]


def simplified(graph: Graph) -> tuple[Graph, list[str]]:
    fired: list[str] = []
    after = rewrite(graph, RULES.values(), lambda rule, before, new: fired.append(rule.name))
    verify(after)
    return after, fired


@pytest.mark.parametrize(("name", "inputs", "body"), CASES, ids=[f"{k}: {c[0]}" for k, c in enumerate(CASES)])
def test_rule_fires_and_keeps_every_bit(name: str, inputs: str, body: str) -> None:
    before = graph_of(inputs, body)
    after, fired = simplified(before)
    assert name in fired
    for seed in range(20):
        arrays = tricky_inputs(before, seed)
        assert_bitwise(evaluate(after, arrays), evaluate(before, arrays))


def test_rules_in_print(golden: Golden) -> None:
    sections = []
    for name, inputs, body in CASES:
        before = graph_of(inputs, body)
        after, _ = simplified(before)
        texts = print_graph(before, locations=False), print_graph(after, locations=False)
        sections.append(f"# {name}\n{texts[0]}\n# ->\n{texts[1]}\n")
    golden("rules.graph", "\n".join(sections))


def test_every_rule_has_a_case() -> None:
    assert set(RULES) == {name for name, _, _ in CASES}


@pytest.mark.parametrize(("inputs", "body"), UNTOUCHED)
def test_left_alone(inputs: str, body: str) -> None:
    before = graph_of(inputs, body)
    after, fired = simplified(before)
    assert fired == []
    assert after is before


def test_exact_casts_against_numpy() -> None:
    ends = {d: (0, 1) if d == bool_ else _ends(d) for d in SHORT_NAMES}
    for narrow in (bool_, uint8, int8, int16, int32, int64, uint32, uint64):
        for wide in SHORT_NAMES:
            lo, hi = ends[narrow]
            if is_float(wide):  # the largest odd number below the end is what needs all the bits
                exact = all(_in_float(wide, v) == v for v in (lo, hi, hi - 1, lo + 1))
            else:
                exact = ends[wide][0] <= lo and hi <= ends[wide][1]
            assert holds_exactly(wide, narrow) == exact, (wide, narrow)
    assert holds_exactly(float64, float32)
    assert not holds_exactly(float32, float64)


def _in_float(dtype: DType, value: int) -> int | float:
    import numpy as np

    with np.errstate(over="ignore"):
        nearest = float(dtype.type(float(value)))
    return int(nearest) if np.isfinite(nearest) else nearest


def _ends(dtype: DType) -> tuple[int, int]:
    import numpy as np

    if is_float(dtype):
        return (0, 0)
    return int(np.iinfo(dtype).min), int(np.iinfo(dtype).max)
