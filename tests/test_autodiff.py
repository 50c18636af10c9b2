"""Differentiation of graphs: what comes out in print, what it is worth in numbers, and what is refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from lucid.autodiff import differentiate, gradients
from lucid.errors import DTypeError, GradientError, IRError, LucidError, ShapeError
from lucid.ir.graph import OPS, Array, Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.passes.pipeline import DEFAULT
from lucid.ir.text import parse_graph, print_graph
from lucid.ir.types import TensorType, float32, float64, int64, is_float
from lucid.ir.verify import verify
from tests.golden import Golden
from tests.ir.graphs import random_graphs

CONV_NET = """
graph(%x: f32[2,1,6,6], %conv1.weight: f32[3,1,3,3], %conv1.bias: f32[3], %fc.weight: f32[12,4]) -> (logits) {
  %0 = conv2d(%x, %conv1.weight) {stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1} : f32[2,3,2,2]\
  @ "net.py":8 in conv1
  %1 = reshape(%conv1.bias) {shape=(3, 1, 1)} : f32[3,1,1]  @ "net.py":8 in conv1
  %2 = add(%0, %1) : f32[2,3,2,2]  @ "net.py":8 in conv1
  %3 = relu(%2) : f32[2,3,2,2]  @ "net.py":9
  %4 = reshape(%3) {shape=(2, 12)} : f32[2,12]  @ "net.py":10
  %5 = matmul(%4, %fc.weight) : f32[2,4]  @ "net.py":11 in fc
  return %5
}"""


def test_conv_in_print(golden: Golden) -> None:
    """The gradients of a convolution are nodes of their own, at the line of the convolution."""
    graph = parse_graph(
        "graph(%x: f32[1,1,3,3], %weight: f32[1,1,2,2]) -> (y) {\n  %0 = conv2d(%x, %weight) {stride=(1, 1), "
        'padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1} : f32[1,1,2,2]  @ "train.py":12 in model.conv1\n'
        "  return %0\n}"
    )
    joint = differentiate(graph, graph.inputs)
    golden("conv2d.graph", f"{print_graph(graph)}\n\n{print_graph(joint)}")
    x = np.arange(1, 10, dtype=np.float32).reshape(1, 1, 3, 3)
    w = np.arange(1, 5, dtype=np.float32).reshape(1, 1, 2, 2)
    dx, dw = evaluate(joint, [x, w, np.ones((1, 1, 2, 2), np.float32)])
    np.testing.assert_array_equal(dx[0, 0], [[1, 3, 2], [4, 10, 6], [3, 7, 4]])
    np.testing.assert_array_equal(dw[0, 0], [[12, 16], [24, 28]])


def test_conv_net_in_print(golden: Golden) -> None:
    graph = parse_graph(CONV_NET)
    joint = differentiate(graph, graph.inputs[1:])
    golden("conv_net_gradients.graph", f"{print_graph(joint)}\n\n# simplified\n{print_graph(DEFAULT(joint))}")


def test_second_order_in_print(golden: Golden) -> None:
    """A gradient graph is a graph like any other: its convolutions differentiate into convolutions."""
    graph = parse_graph(CONV_NET)
    first = differentiate(graph, graph.inputs[1:2])
    second = differentiate(first, [first.inputs[0], first.inputs[3]])
    golden("conv_net_second.graph", print_graph(DEFAULT(second)))


# --- numbers ----------------------------------------------------------------------------------------------------------


def numeric_gradients(graph: Graph, arrays: Sequence[Array], cotangents: Sequence[Array], wrt: int) -> Array:
    """Central differences of ``sum(<output, cotangent>)`` in one input."""
    step = 1e-5

    def value(x: Array) -> float:
        outputs = evaluate(graph, [*arrays[:wrt], x, *arrays[wrt + 1 :]])
        return float(sum((o * g).sum() for o, g in zip(outputs, cotangents, strict=True)))

    result = np.zeros_like(arrays[wrt])
    for at in np.ndindex(result.shape):
        up, down = arrays[wrt].copy(), arrays[wrt].copy()
        up[at] += step
        down[at] -= step
        result[at] = (value(up) - value(down)) / (2 * step)
    return result


def check(graph: Graph, seed: int = 0) -> None:
    """First and second derivatives of a float64 graph agree with differences."""
    rng = np.random.default_rng(seed)
    arrays: list[Any] = [rng.uniform(0.2, 1.0, n.shape) for n in graph.inputs]
    for _ in range(2):
        joint = differentiate(graph, graph.inputs)
        cotangents: list[Any] = [rng.uniform(-1, 1, o.shape) for o in graph.outputs]
        for k, g in enumerate(evaluate(joint, [*arrays, *cotangents])):
            np.testing.assert_allclose(g, numeric_gradients(graph, arrays, cotangents, k), rtol=1e-5, atol=1e-7)
        graph, arrays = joint, [*arrays, *cotangents]


def test_a_conv_net_against_differences() -> None:
    check(parse_graph(CONV_NET.replace("f32", "f64")))


def test_fan_out_and_broadcasting_against_differences() -> None:
    text = """graph(%a: f64[2,3], %b: f64[3], %c: f64[]) -> (y, z) {
      %0 = mul(%a, %b) : f64[2,3]
      %1 = exp(%0) : f64[2,3]
      %2 = mul(%0, %1) : f64[2,3]
      %3 = add(%2, %c) : f64[2,3]
      %4 = div(%3, %a) : f64[2,3]
      %5 = sum(%1) {axes=(0,), keepdims=false} : f64[3]
      %6 = mul(%5, %b) : f64[3]
      return %4, %6
    }"""
    check(parse_graph(text))


def test_third_order() -> None:
    graph = parse_graph("graph(%x: f64[]) -> (y) { %0 = mul(%x, %x) : f64[] %1 = mul(%0, %0) : f64[] return %1 }")
    one = np.array(1.0)
    expected = 2.0**4
    arrays = [np.array(2.0)]
    for factor in (4 / 2, 3 / 2, 2 / 2):  # x^4, 4 x^3, 12 x^2, 24 x at x = 2
        graph = differentiate(graph, graph.inputs[:1])
        arrays.append(one)
        expected *= factor
        assert evaluate(graph, arrays)[0] == pytest.approx(expected)


def test_an_output_given_twice_counts_twice() -> None:
    graph = parse_graph("graph(%x: f32[]) -> (y, z) { %0 = exp(%x) : f32[] return %0, %0 }")
    joint = differentiate(graph, graph.inputs)
    assert joint.input_names == ("x", "grad_y", "grad_z")
    (g,) = evaluate(joint, [np.array(v, np.float32) for v in (0, 2, 5)])
    assert g == 7


def test_an_input_that_is_an_output() -> None:
    graph = parse_graph("graph(%x: f32[2]) -> (x) { return %x }")
    joint = differentiate(graph, graph.inputs)
    assert joint.outputs[0] is joint.inputs[1]


def test_with_respect_to_a_value_between() -> None:
    graph = parse_graph("graph(%x: f32[]) -> (y) { %0 = exp(%x) : f32[] %1 = mul(%0, %0) : f32[] return %1 }")
    (middle,) = {n for n in graph.nodes if n.op.name == "exp"}
    joint = differentiate(graph, [middle, graph.inputs[0]])
    at_middle, at_x = evaluate(joint, [np.zeros((), np.float32), np.ones((), np.float32)])
    assert (at_middle, at_x) == (2, 2)
    assert joint.output_names == ("grad_0", "grad_x")


# --- what is on the path ----------------------------------------------------------------------------------------------


def test_unreachable_is_zeros_or_none() -> None:
    graph = parse_graph("graph(%x: f32[2], %w: f32[3]) -> (y) { %0 = exp(%x) : f32[2] return %0 }")
    joint = differentiate(graph, graph.inputs)
    _, dw = evaluate(joint, [np.ones(2, np.float32), np.ones(3, np.float32), np.ones(2, np.float32)])
    np.testing.assert_array_equal(dw, np.zeros(3, np.float32))
    found = gradients(graph.outputs, graph.inputs, [input_node(graph.outputs[0].type)])
    assert found[0] is not None
    assert found[1] is None


def test_only_nodes_on_a_path_are_visited(monkeypatch: pytest.MonkeyPatch) -> None:
    graph = parse_graph(
        """graph(%x: f32[2], %w: f32[2]) -> (y, z) {
             %0 = tanh(%x) : f32[2]
             %1 = exp(%w) : f32[2]
             %2 = mul(%0, %1) : f32[2]
             %3 = sin(%0) : f32[2]
             return %2, %3
           }"""
    )
    visited: list[str] = []
    for name in ("tanh", "exp", "mul", "sin"):
        rule = type(OPS[name]).vjp

        def watch(self: Any, node: Node, g: Node, rule: Any = rule) -> Any:
            visited.append(self.name)
            return rule(self, node, g)

        monkeypatch.setattr(type(OPS[name]), "vjp", watch)
    differentiate(graph, [graph.inputs[1]])
    assert visited == ["mul", "exp"]


@pytest.mark.parametrize(
    "body",
    [
        "%0 = cast(%x) {dtype=i32} : i32[2] %1 = cast(%0) {dtype=f32} : f32[2] return %1",
        "%0 = stop_gradient(%x) : f32[2] return %0",
        "%0 = floor(%x) : f32[2] return %0",
        "%0 = lt(%x, %x) : bool[2] %1 = cast(%0) {dtype=f32} : f32[2] return %1",
    ],
)
def test_where_gradients_stop(body: str) -> None:
    graph = parse_graph(f"graph(%x: f32[2]) -> (y) {{ {body} }}")
    assert gradients(graph.outputs, graph.inputs, [input_node(graph.outputs[0].type)]) == [None]
    joint = differentiate(graph, graph.inputs)
    np.testing.assert_array_equal(evaluate(joint, [np.ones(2, np.float32)] * 2)[0], [0, 0])


def test_integer_outputs_get_no_cotangent() -> None:
    graph = parse_graph(
        """graph(%x: f32[2]) -> (y, best) {
             %0 = exp(%x) : f32[2]
             %1 = argmax(%0) {axis=0, keepdims=false} : i64[]
             return %0, %1
           }"""
    )
    assert differentiate(graph, graph.inputs).input_names == ("x", "grad_y")


def test_names_stay_different() -> None:
    graph = parse_graph("graph(%y: f32[], %grad_y: f32[]) -> (y) { %0 = mul(%y, %grad_y) : f32[] return %0 }")
    joint = differentiate(graph, [graph.inputs[0], graph.inputs[0]])
    assert joint.input_names == ("y", "grad_y", "grad_y_1")
    assert joint.output_names == ("grad_y", "grad_y_1")


# --- given cotangents -------------------------------------------------------------------------------------------------

SQUARE = parse_graph("graph(%x: f32[2]) -> (y) { %0 = mul(%x, %x) : f32[2] return %0 }")


def test_cotangents_that_are_fresh_inputs() -> None:
    seed = input_node(SQUARE.outputs[0].type)
    joint = differentiate(SQUARE, SQUARE.inputs, [seed])
    assert joint.inputs == (*SQUARE.inputs, seed)
    assert joint.input_names == ("x", "grad_y")


def test_cotangents_made_from_the_forward() -> None:
    """The gradient of sum(y**2) / 2 as a vector-Jacobian product with y itself."""
    joint = differentiate(SQUARE, SQUARE.inputs, SQUARE.outputs)
    assert joint.inputs == SQUARE.inputs
    (g,) = evaluate(joint, [np.array([1, 2], np.float32)])
    np.testing.assert_array_equal(g, [2, 16])


def test_cotangents_that_bring_inputs_along() -> None:
    scale = input_node(TensorType((), float32))
    ones = OPS["constant"](value=1.0, shape=(2,), dtype=float32)
    joint = differentiate(SQUARE, SQUARE.inputs, [ones * scale])
    assert joint.inputs == (*SQUARE.inputs, scale)
    assert joint.input_names == ("x", "cotangent")


def test_an_output_without_a_cotangent() -> None:
    graph = parse_graph("graph(%x: f32[]) -> (y, z) { %0 = exp(%x) : f32[] %1 = neg(%x) : f32[] return %0, %1 }")
    joint = differentiate(graph, graph.inputs, [None, input_node(graph.outputs[1].type)])
    assert evaluate(joint, [np.zeros((), np.float32), np.ones((), np.float32)]) == [-1]


@pytest.mark.parametrize(
    ("cotangents", "error", "words"),
    [
        ([], GradientError, ["0 cotangents", "1 outputs"]),
        ([input_node(TensorType((3,), float32))], ShapeError, ["cotangent 0", "(3,)", "(2,)"]),
        ([input_node(TensorType((2,), float64))], DTypeError, ["cotangent 0", "float64", "float32"]),
    ],
)
def test_cotangents_that_do_not_fit(cotangents: list[Node], error: type[LucidError], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        differentiate(SQUARE, SQUARE.inputs, cotangents)
    for word in ["differentiate", *words]:
        assert word in str(caught.value)


def test_integers_have_no_gradients() -> None:
    graph = parse_graph("graph(%x: i64[2]) -> (y) { return %x }")
    with pytest.raises(GradientError, match=r"wrt\[0\], which is i64\[2\]"):
        differentiate(graph, graph.inputs)
    with pytest.raises(GradientError, match=r"output 0 is i64\[2\], which has no gradient"):
        differentiate(graph, [], [input_node(TensorType((2,), int64))])


def test_a_wrong_rule_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(OPS["mul"]), "vjp", lambda self, node, g: (g,))
    with pytest.raises(IRError, match="mul: vjp gave 1 gradients for 2 inputs"):
        differentiate(SQUARE, SQUARE.inputs)
    monkeypatch.setattr(type(OPS["mul"]), "vjp", lambda self, node, g: (OPS["sum"](g, axes=(0,), keepdims=False), None))
    with pytest.raises(IRError, match=r"mul: vjp gave a f32\[\] for input 0, which is f32\[2\]"):
        differentiate(SQUARE, SQUARE.inputs)


# --- random graphs ----------------------------------------------------------------------------------------------------


@settings(max_examples=200, deadline=None)
@given(random_graphs())
def test_gradient_graphs_are_valid_and_differentiate_again(graph: Graph) -> None:
    for _ in range(2):
        wrt = [x for x in graph.inputs if is_float(x.dtype)]
        before = print_graph(graph)
        joint = differentiate(graph, wrt)
        verify(joint)
        assert print_graph(graph) == before
        assert [o.type for o in joint.outputs] == [x.type for x in wrt]
        again = differentiate(graph, wrt)
        assert print_graph(again, locations=False) == print_graph(joint, locations=False)
        graph = joint
