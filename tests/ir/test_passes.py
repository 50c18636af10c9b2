"""The passes: before and after in print, every bit of every output kept, and the pipeline around them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid.autodiff import differentiate
from lucid.errors import IRError
from lucid.ir.graph import OPS, Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.passes.cse import CommonSubexpressions
from lucid.ir.passes.dce import DeadCode
from lucid.ir.passes.fold import Fold
from lucid.ir.passes.hoist import depends_only_on, hoist
from lucid.ir.passes.pipeline import DEFAULT, Pass, Pipeline
from lucid.ir.passes.simplify import Simplify
from lucid.ir.text import parse_graph, print_graph
from lucid.ir.types import TensorType, float32
from lucid.ir.verify import verify
from tests.golden import Golden
from tests.ir.graphs import assert_bitwise, graph_of, random_graphs, tricky_inputs


def body(graph: Graph) -> list[str]:
    return [line.strip() for line in print_graph(graph, locations=False).splitlines()[1:-1]]


PASSES: list[Pass] = [Simplify(), Fold(), Fold(largest=2), CommonSubexpressions(), DEFAULT]


@pytest.mark.parametrize("step", PASSES, ids=lambda p: p.name)
@settings(max_examples=150, deadline=None)
@given(graph=random_graphs(), seed=st.integers(0, 2**16))
def test_every_pass_keeps_every_bit(step: Callable[[Graph], Graph], graph: Graph, seed: int) -> None:
    text = print_graph(graph)
    after = step(graph)
    verify(after)
    assert print_graph(graph) == text  # the graph given is not touched
    assert after.inputs == graph.inputs
    assert (after.input_names, after.output_names) == (graph.input_names, graph.output_names)
    arrays = tricky_inputs(graph, seed)
    assert_bitwise(evaluate(after, arrays), evaluate(graph, arrays))
    again = step(after)
    assert again == after  # a pass leaves nothing for itself to do


# --- fold -------------------------------------------------------------------------------------------------------------


def constant(name: str, value: str, shape: str = "()", sizes: str = "", dtype: str = "f32") -> str:
    return f"%{name} = constant() {{value={value}, shape={shape}, dtype={dtype}}} : {dtype}[{sizes}] "


FOLDS: list[tuple[str, str, list[str]]] = [
    (
        "a chain of numbers",
        constant("0", "2.0") + constant("1", "3.0") + "%2 = mul(%0, %1) : f32[] %3 = neg(%2) : f32[] return %3",
        ["%0 = constant() {value=-6.0, shape=(), dtype=f32} : f32[]", "return %0"],
    ),
    (
        "a small array is written out",
        "%0 = iota() {axis=0, shape=(3,), dtype=f32} : f32[3] %1 = neg(%0) : f32[3] return %1",
        ["%0 = constant() {value=(-0.0, -1.0, -2.0), shape=(3,), dtype=f32} : f32[3]", "return %0"],
    ),
    (
        "one number everywhere is written once, whatever the size",
        constant("0", "nan", "(1000, 1000)", "1000,1000") + "%1 = neg(%0) : f32[1000,1000] return %1",
        ["%0 = constant() {value=nan, shape=(1000, 1000), dtype=f32} : f32[1000,1000]", "return %0"],
    ),
    (
        "moving one number around",
        constant("0", "1.5", "(50, 60)", "50,60") + "%1 = transpose(%0) {perm=(1, 0)} : f32[60,50] "
        "%2 = reshape(%1) {shape=(3000,)} : f32[3000] %3 = cast(%2) {dtype=i32} : i32[3000] return %3",
        ["%0 = constant() {value=1, shape=(3000,), dtype=i32} : i32[3000]", "return %0"],
    ),
    (
        "padding with the same number",
        constant("0", "0.0", "(99,)", "99")
        + "%1 = pad(%0) {low=(1,), high=(0,), interior=(0,), value=0.0} : f32[100] return %1",
        ["%0 = constant() {value=0.0, shape=(100,), dtype=f32} : f32[100]", "return %0"],
    ),
    (
        "padding with another zero is another array",
        constant("0", "0.0", "(99,)", "99")
        + "%1 = pad(%0) {low=(1,), high=(0,), interior=(0,), value=-0.0} : f32[100] return %1",
        [
            "%0 = constant() {value=0.0, shape=(99,), dtype=f32} : f32[99]",
            "%1 = pad(%0) {low=(1,), high=(0,), interior=(0,), value=-0.0} : f32[100]",
            "return %1",
        ],
    ),
    (
        "zeros of both signs are not one number",
        constant("0", "(0.0, -0.0)", "(2,)", "2") + "%1 = neg(%0) : f32[2] return %1",
        ["%0 = constant() {value=(-0.0, 0.0), shape=(2,), dtype=f32} : f32[2]", "return %0"],
    ),
    (
        "a large array stays computed",
        "%0 = iota() {axis=0, shape=(65,), dtype=f32} : f32[65] %1 = neg(%0) : f32[65] return %1",
        ["%0 = iota() {axis=0, shape=(65,), dtype=f32} : f32[65]", "%1 = neg(%0) : f32[65]", "return %1"],
    ),
    (
        "a sum over many stays computed",
        constant("0", "1.0", "(100, 100)", "100,100") + "%1 = sum(%0) {axes=(0, 1), keepdims=false} : f32[] return %1",
        [
            "%0 = constant() {value=1.0, shape=(100, 100), dtype=f32} : f32[100,100]",
            "%1 = sum(%0) {axes=(0, 1), keepdims=false} : f32[]",
            "return %1",
        ],
    ),
    (
        "an identity is a mark that stays",
        constant("0", "1.0") + "%1 = identity(%0) : f32[] return %1",
        ["%0 = constant() {value=1.0, shape=(), dtype=f32} : f32[]", "%1 = identity(%0) : f32[]", "return %1"],
    ),
    (
        "no elements",
        constant("0", "1.0", "(0, 3)", "0,3") + "%1 = exp(%0) : f32[0,3] return %1",
        ["%0 = constant() {value=(), shape=(0, 3), dtype=f32} : f32[0,3]", "return %0"],
    ),
]


@pytest.mark.parametrize(("text", "after"), [f[1:] for f in FOLDS], ids=[f[0] for f in FOLDS])
def test_fold_in_print(text: str, after: list[str]) -> None:
    before = graph_of("%x: f32[2]", text)
    folded = Fold()(before)
    assert body(folded) == after
    arrays = tricky_inputs(before, 0)
    assert_bitwise(evaluate(folded, arrays), evaluate(before, arrays))


def test_fold_keeps_the_location() -> None:
    graph = graph_of("", constant("0", "2.0") + '%1 = neg(%0) : f32[] @ "train.py":3 in model return %1')
    assert str(Fold()(graph).outputs[0].location) == "train.py:3 in model"


# --- cse, dce ---------------------------------------------------------------------------------------------------------


def test_cse_in_print() -> None:
    graph = graph_of(
        "%x: f32[2,2]",
        "%0 = sum(%x) {axes=(0,), keepdims=true} : f32[1,2] "
        "%1 = sum(%x) {keepdims=true, axes=(0,)} : f32[1,2] "  # the order of attributes says nothing
        "%2 = sum(%x) {axes=(1,), keepdims=true} : f32[2,1] "
        "%3 = exp(%0) : f32[1,2] %4 = exp(%1) : f32[1,2] "
        "%5 = identity(%4) : f32[1,2] %6 = identity(%4) : f32[1,2] "
        "%7 = add(%3, %2) : f32[2,2] %8 = mul(%5, %6) : f32[1,2] %9 = add(%7, %8) : f32[2,2] return %9",
    )
    assert body(CommonSubexpressions()(graph)) == [
        "%0 = sum(%x) {axes=(0,), keepdims=true} : f32[1,2]",
        "%1 = exp(%0) : f32[1,2]",
        "%2 = sum(%x) {axes=(1,), keepdims=true} : f32[2,1]",
        "%3 = add(%1, %2) : f32[2,2]",
        "%4 = identity(%1) : f32[1,2]",
        "%5 = identity(%1) : f32[1,2]",
        "%6 = mul(%4, %5) : f32[1,2]",
        "%7 = add(%3, %6) : f32[2,2]",
        "return %7",
    ]


def test_cse_tells_zeros_apart() -> None:
    graph = graph_of(
        "%x: f32[]",
        constant("0", "0.0") + constant("1", "-0.0") + "%2 = div(%x, %0) : f32[] %3 = div(%x, %1) : f32[] "
        "%4 = add(%2, %3) : f32[] return %4",
    )
    assert CommonSubexpressions()(graph) == graph


def test_dce_in_print() -> None:
    graph = parse_graph(
        "graph(%x: f32[2], %z: f32[2]) -> (loss, extra, grad) {"
        "%0 = exp(%x) : f32[2] %1 = neg(%0) : f32[2] %2 = tanh(%z) : f32[2] return %0, %2, %1 }"
    )
    after = DeadCode(("grad", "loss"))(graph)
    assert print_graph(after, locations=False).splitlines() == [
        "graph(%x: f32[2], %z: f32[2]) -> (loss, grad) {",
        "  %0 = exp(%x) : f32[2]",
        "  %1 = neg(%0) : f32[2]",
        "  return %0, %1",
        "}",
    ]
    with pytest.raises(IRError, match="dce keeps 'los', but the outputs are loss, extra, grad"):
        DeadCode(("los",))(graph)


# --- hoist ------------------------------------------------------------------------------------------------------------

FOLDED_NORM = """
    graph(%x: f32[4,3,8,8], %w: f32[5,3,3,3], %scale: f32[5,1,1,1], %other: f32[]) -> (y, packed) {
      %0 = constant() {value=2.0, shape=(), dtype=f32} : f32[]
      %1 = mul(%w, %scale) : f32[5,3,3,3]
      %2 = mul(%1, %0) : f32[5,3,3,3]
      %3 = conv2d(%x, %2) {stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1} : f32[4,5,6,6]
      %4 = exp(%scale) : f32[5,1,1,1]
      %5 = identity(%4) : f32[5,1,1,1]
      %6 = add(%5, %other) : f32[5,1,1,1]
      return %3, %6
    }"""


def test_hoist_in_print(golden: Golden) -> None:
    graph = parse_graph(FOLDED_NORM)
    w, scale = graph.inputs[1:3]
    parts = hoist(graph, [scale, w])
    texts = [print_graph(g, locations=False) for g in (graph, parts.prologue, parts.main)]
    golden("hoist.graph", "# before\n{}\n# prologue\n{}\n# main\n{}".format(*texts))
    assert {n.op.name for n in depends_only_on(graph, [w, scale])} == {"mul", "exp"}


def test_hoist_keeps_what_is_not_worth_it() -> None:
    graph = parse_graph(FOLDED_NORM)
    parts = hoist(graph, graph.inputs[1:3], worth=lambda n: n.type.size > 100)
    assert [o.type.size for o in parts.prologue.outputs] == [135]


def test_hoist_refuses_a_node_that_is_no_input() -> None:
    graph = parse_graph(FOLDED_NORM)
    with pytest.raises(IRError, match="not an input of the graph"):
        hoist(graph, [graph.outputs[0]])


@settings(max_examples=150, deadline=None)
@given(random_graphs(), st.data())
def test_hoisting_keeps_every_bit(graph: Graph, data: st.DataObject) -> None:
    given_nodes = data.draw(st.sets(st.sampled_from(graph.inputs)))
    parts = hoist(graph, given_nodes)
    verify(parts.prologue)
    verify(parts.main)
    arrays = tricky_inputs(graph, 3)
    known = [a for n, a in zip(graph.inputs, arrays, strict=True) if n in given_nodes]
    hoisted = evaluate(parts.prologue, known)
    assert_bitwise(evaluate(parts.main, [*arrays, *hoisted]), evaluate(graph, arrays))
    assert not depends_only_on(parts.main, given_nodes)  # nothing is left to hoist


# --- the pipeline -----------------------------------------------------------------------------------------------------


def test_observers_see_every_pass() -> None:
    graph = graph_of("%x: f32[2]", "%0 = neg(%x) : f32[2] %1 = neg(%0) : f32[2] return %1")
    seen: list[tuple[str, int, int]] = []

    def observe(name: str, before: Graph, after: Graph, seconds: float) -> None:
        assert seconds >= 0
        seen.append((name, len(before), len(after)))

    DEFAULT(graph, observe)
    assert seen == [("simplify", 3, 1), ("fold", 1, 1), ("cse", 1, 1), ("simplify", 1, 1), ("cse", 1, 1)]


def test_what_becomes_equal_is_simplified() -> None:
    text = ("%x: f32[2]", "%0 = neg(%x) : f32[2] %1 = neg(%x) : f32[2] %2 = maximum(%0, %1) : f32[2] return %2")
    assert body(DEFAULT(graph_of(*text))) == ["%0 = neg(%x) : f32[2]", "return %0"]


class _Breaks:
    name = "breaks"

    def __init__(self, result: Callable[[Graph], Graph]):
        self.result = result

    def __call__(self, graph: Graph) -> Graph:
        return self.result(graph)


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (lambda g: g.with_outputs([input_node(g.outputs[0].type)]), "after pass 'breaks': an input node is not among"),
        (lambda g: Graph(g.inputs, g.outputs), "after pass 'breaks': the graph's inputs or outputs"),
        (lambda g: g.with_outputs([OPS["cast"](g.outputs[0], dtype=np.dtype(np.float64))]), "inputs or outputs are"),
        (lambda g: Graph((*g.inputs, input_node(g.inputs[0].type)), g.outputs), "inputs or outputs are"),
    ],
)
def test_a_pass_that_breaks_the_graph_is_named(result: Callable[[Graph], Graph], message: str) -> None:
    graph = graph_of("%x: f32[2]", "%0 = neg(%x) : f32[2] return %0")
    with pytest.raises(IRError, match=message):
        Pipeline((_Breaks(result),))(graph)


def test_a_broken_graph_does_not_enter() -> None:
    with pytest.raises(IRError, match="not among the inputs"):
        DEFAULT(Graph([], [input_node(TensorType((), float32))]))


def test_pipelines_nest() -> None:
    graph = graph_of("%x: f32[2]", "%0 = neg(%x) : f32[2] %1 = neg(%0) : f32[2] return %1")
    assert body(Pipeline((DEFAULT, CommonSubexpressions()))(graph)) == ["return %x"]


def test_a_long_chain_does_not_recurse() -> None:
    x = input_node(TensorType((2,), float32))
    y: Node = x
    for _ in range(3000):
        y = OPS["tanh"](y)
    graph = Graph([x], [y])
    assert DEFAULT(graph) == graph
    assert parse_graph(print_graph(graph)) == graph
    assert len(differentiate(graph, [x])) > 6000
