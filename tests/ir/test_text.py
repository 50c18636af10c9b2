"""The text form: what it looks like, that it reads back equal, and what it says about a text that is wrong."""

from __future__ import annotations

import math
import os
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucid.errors import IRError, ParseError
from lucid.ir.graph import OPS, Graph, Node, attrs_key, input_node, input_op
from lucid.ir.location import Location
from lucid.ir.text import parse_graph, parse_value, print_graph, print_value
from lucid.ir.types import BY_SHORT_NAME, TensorType, float32
from tests.golden import Golden
from tests.ir.graphs import random_graphs
from tests.ops.cases import DECLARED, samples_of

CONV = """\
graph(%x: f32[1,1,3,3], %conv1.weight: f32[1,1,2,2], %"1 odd \\"name\\"": f32[]) -> (out, "2nd") {
  %0 = conv2d(%x, %conv1.weight) {stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1} : f32[1,1,2,2]\
  @ "train.py":12 in model.conv1
  %1 = add(%0, %"1 odd \\"name\\"") : f32[1,1,2,2]  @ "train.py":13
  return %1, %x
}"""


def test_reads_what_it_prints() -> None:
    graph = parse_graph(CONV)
    assert print_graph(graph) == CONV
    assert graph.input_names == ("x", "conv1.weight", '1 odd "name"')
    assert graph.output_names == ("out", "2nd")
    assert graph.outputs[0].inputs[0].location == Location("train.py", 12, "model.conv1")
    assert graph.outputs[0].location == Location("train.py", 13)
    assert graph.outputs[1] is graph.inputs[0]


@settings(max_examples=300, deadline=None)
@given(random_graphs())
def test_round_trip(graph: Graph) -> None:
    text = print_graph(graph)
    parsed = parse_graph(text)
    assert parsed == graph
    assert print_graph(parsed) == text


@pytest.mark.parametrize("name", DECLARED)
def test_round_trip_of_every_op(name: str) -> None:
    for sample in samples_of(DECLARED[name]):
        inputs = [input_node(TensorType(x.shape, x.dtype)) for x in sample.inputs]
        graph = Graph(inputs, [DECLARED[name](*inputs, **sample.attrs)])
        assert parse_graph(print_graph(graph)) == graph


numbers = st.one_of(st.integers(), st.floats(), st.booleans(), st.none())
values = st.recursive(
    st.one_of(numbers, st.text(), st.sampled_from(list(BY_SHORT_NAME.values()))),
    lambda inner: st.lists(inner, max_size=4).map(tuple),
    max_leaves=12,
)


@settings(max_examples=500, deadline=None)
@given(values)
def test_round_trip_of_values(value: Any) -> None:
    back = parse_value(print_value(value))
    assert type(back) is type(value)
    assert attrs_key({"v": back}) == attrs_key({"v": value})
    assert print_value(back) == print_value(value)


def test_values_in_print() -> None:
    value = (1, -2, 0.1, -0.0, 1e30, math.nan, -math.inf, True, None, "a\n", float32, (), (3,))
    assert print_value(value) == '(1, -2, 0.1, -0.0, 1e+30, nan, -inf, true, none, "a\\n", f32, (), (3,))'


def test_a_value_that_is_no_attribute() -> None:
    with pytest.raises(IRError, match="list"):
        print_value([1, 2])


def test_locations_can_be_left_out() -> None:
    assert "@" not in print_graph(parse_graph(CONV), locations=False)
    assert parse_graph(print_graph(parse_graph(CONV), locations=False)) == parse_graph(CONV)


def test_location_of_the_users_line_relative_to_the_current_directory() -> None:
    x = input_node(TensorType((2,), float32))
    text = print_graph(Graph([x], [OPS["neg"](x)]))
    path = os.path.relpath(__file__).replace("\\", "\\\\")
    line = test_location_of_the_users_line_relative_to_the_current_directory.__code__.co_firstlineno + 2
    assert f'@ "{path}":{line}' in text


def test_long_headers_break(golden: Golden) -> None:
    inputs = [input_node(TensorType((64, 64, 3, 3), float32)) for _ in range(6)]
    graph = Graph(inputs, inputs[:1], [f"layer{k}.conv.weight" for k in range(6)], ["out"])
    golden("long_header.graph", print_graph(graph))
    assert parse_graph(print_graph(graph)) == graph


def test_names_of_a_broken_graph_are_told_apart() -> None:
    x, y = (input_node(TensorType((k,), float32)) for k in range(2))
    assert print_graph(Graph([x, y], [y], ["a", "a"])).startswith("graph(%a: f32[0], %a.1: f32[1])")


def test_comments_and_spacing() -> None:
    text = "# a comment\ngraph ( %x:f32 [ 2 ], )->( y ,) { # more\n %0=neg(%x):f32[2] return%0 }\n"
    assert print_graph(parse_graph(text)) == ("graph(%x: f32[2]) -> (y) {\n  %0 = neg(%x) : f32[2]\n  return %0\n}")


def test_a_graph_without_inputs_or_outputs() -> None:
    assert print_graph(Graph([], [])) == "graph() -> () {\n  return\n}"
    assert parse_graph(print_graph(Graph([], []))) == Graph([], [])


def test_the_text_shows_every_difference() -> None:
    def graph(value: float) -> Graph:
        x = input_node(TensorType((), float32))
        return Graph([x], [x * value])

    assert graph(0.0) != graph(-0.0)
    assert print_graph(graph(0.0)) != print_graph(graph(-0.0))
    assert graph(math.nan) == graph(math.nan)


BODY = "graph(%x: f32[2,3]) -> (y) {{\n  {}\n  return %0\n}}"
BAD: list[tuple[str, str]] = [
    ("", "line 1, column 1: expected 'graph', found the end of the text"),
    ("graph", "line 1, column 6: expected '(', found the end of the text"),
    ("graph(x: f32[2])", "line 1, column 7: expected an input such as %x, found 'x'"),
    ("graph(%x f32[2])", "line 1, column 10: expected ':', found 'f32'"),
    ("graph(%x: float[2])", "line 1, column 11: expected one of bool, u8,"),
    ("graph(%x: f32[-2])", "line 1, column 15: expected a size, found '-2'"),
    ("graph(%x: f32[2.5])", "line 1, column 15: expected a size, found '2.5'"),
    ("graph(%x: f32[2 3])", "line 1, column 17: expected ',' or ']', found '3'"),
    ("graph(%x: f32[2], %x: f32[2])", "line 1, column 19: %x is defined twice"),
    ("graph() -> (%y)", "line 1, column 13: expected an output name, found '%y'"),
    ("graph() -> (y) { return }", "line 1, column 25: 0 results are returned, 1 are named"),
    ("graph() -> () { return } more", "line 1, column 26: expected the end of the text, found 'more'"),
    ("graph() -> () { ; }", "line 1, column 17: unexpected character ';'"),
    ('graph(%"\\q": f32[]) -> () { return }', "is not a JSON string"),
    (BODY.format("%0 = neg(%z) : f32[2,3]"), "line 2, column 12: %z is not defined above"),
    (BODY.format("%0 = negate(%x) : f32[2,3]"), "line 2, column 8: there is no op named 'negate'"),
    (BODY.format("%0 = input() : f32[2,3]"), "line 2, column 8: there is no op named 'input'"),
    (BODY.format("%0 = neg(%x) : f32[3,2]"), "line 2, column 18: neg gives f32[2,3] here, but f32[3,2] is written"),
    (BODY.format("%0 = neg(%x, %x) : f32[2,3]"), "line 2, column 8: neg: too many positional arguments"),
    (BODY.format("%0 = reshape(%x) : f32[2,3]"), "line 2, column 8: reshape: missing a required argument: 'shape'"),
    (BODY.format("%0 = neg(%x) {up=1} : f32[2,3]"), "line 2, column 8: neg: got an unexpected keyword argument 'up'"),
    (BODY.format("%0 = reshape(%x) {shape=(4, 2)} : f32[4,2]"), "line 2, column 8: reshape: 6 elements of shape"),
    (BODY.format("%0 = reshape(%x) {shape=6} : f32[6]"), "line 2, column 8: reshape cannot take shape=6"),
    (BODY.format("%0 = transpose(%x) {perm=(f32, 0)} : f32[6]"), "transpose cannot take perm=(f32, 0)"),
    (BODY.format("%0 = reshape(%x) {shape=(6,), shape=(6,)} : f32[6]"), "attribute shape is given twice"),
    (BODY.format("%0 = reshape(%x) {shape=(6)} : f32[6]"), "line 2, column 29: expected ',', found ')'"),
    (BODY.format("%0 = reshape(%x) {shape=(1 6)} : f32[6]"), "line 2, column 30: expected ',', found '6'"),
    (BODY.format("%0 = reshape(%x) {shape=six} : f32[6]"), "line 2, column 27: expected a value"),
    (BODY.format("%0 = neg(%x) : f32[2,3] @ here:1"), "line 2, column 29: expected a quoted file name, found 'here'"),
    (BODY.format('%0 = neg(%x) : f32[2,3] @ "a.py":x'), "expected a line number, found 'x'"),
    (BODY.format("%x = neg(%x) : f32[2,3]"), "line 2, column 3: %x is defined twice"),
    (BODY.format("%1 = neg(%x) : f32[2,3]"), "line 3, column 10: %0 is not defined above"),
    (BODY.format("0 = neg(%x) : f32[2,3]"), "line 2, column 3: expected a node such as '%0 = ...', or 'return'"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_errors_name_the_place_and_what_was_expected(text: str, message: str) -> None:
    with pytest.raises(ParseError) as caught:
        parse_graph(text)
    assert message in str(caught.value)
    assert str(caught.value).startswith("line ")


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_damaged_text_is_refused_or_read_never_a_crash(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(CONV) - 1))
    end = data.draw(st.integers(at, min(at + 5, len(CONV))))
    damaged = CONV[:at] + data.draw(st.text('(){}%=:,"01ax@->\\\n', max_size=3)) + CONV[end:]
    try:
        graph = parse_graph(damaged)
    except ParseError:
        return
    assert parse_graph(print_graph(graph)) == graph


def test_a_parsed_node_is_an_ordinary_node() -> None:
    graph = parse_graph(BODY.format("%0 = neg(%x) : f32[2,3]"))
    (node,) = graph.outputs
    assert isinstance(node, Node)
    assert node.op is OPS["neg"]
    assert node.location is None
    assert graph.inputs[0].op is input_op
