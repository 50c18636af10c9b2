"""The verifier refuses every broken graph, naming the node, and accepts every good one."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from lucid.errors import IRError
from lucid.ir.graph import OPS, Call, Graph, Node, input_node
from lucid.ir.location import Location
from lucid.ir.types import TensorType, float32, int32
from lucid.ir.verify import verify
from tests.ir.graphs import random_graphs

T = TensorType((2, 3), float32)


def test_a_foreign_input() -> None:
    x, foreign = input_node(T), input_node(T)
    with pytest.raises(IRError, match=r"not among the inputs of the graph\n  %0 = input\(\) : f32\[2,3\]"):
        verify(Graph([x], [x + foreign]))


def test_an_input_that_is_computed() -> None:
    x = input_node(T)
    y = OPS["neg"](x)
    with pytest.raises(IRError, match=r"an input of the graph is the result of an op\n  %y = neg"):
        verify(Graph([x, y], [y], ["x", "y"]))


def test_an_input_twice() -> None:
    x = input_node(T)
    with pytest.raises(IRError, match="an input twice"):
        verify(Graph([x, x], [x]))


def test_names_given_twice() -> None:
    x, y = input_node(T), input_node(T)
    with pytest.raises(IRError, match="two inputs of the graph are named 'a'"):
        verify(Graph([x, y], [x], ["a", "a"]))
    with pytest.raises(IRError, match="two outputs of the graph are named 'a'"):
        verify(Graph([x, y], [x, y], ["x", "y"], ["a", "a"]))
    verify(Graph([x], [x], ["a"], ["a"]))  # an output may be called what an input is


def test_a_type_that_is_not_what_the_op_infers() -> None:
    x = input_node(T)
    wrong = Node(Call(OPS["neg"], (T,), {}, T.with_shape((3, 2))), (x,), Location("a.py", 3))
    with pytest.raises(IRError) as caught:
        verify(Graph([x], [wrong], ["x"]))
    assert "its type is f32[3,2], but its op infers f32[2,3]" in str(caught.value)
    assert '%0 = neg(%x) : f32[3,2]  @ "a.py":3' in str(caught.value)


def test_inputs_that_are_not_what_the_op_was_called_on() -> None:
    x, y = input_node(T), input_node(T.with_dtype(int32))
    wrong = Node(OPS["neg"](x).call, (y,))
    with pytest.raises(IRError, match=r"called on \(f32\[2,3\],\), but its inputs are \(i32\[2,3\],\)"):
        verify(Graph([y], [wrong]))


def test_attributes_the_op_refuses() -> None:
    x = input_node(T)
    wrong = Node(Call(OPS["reshape"], (T,), {"shape": (7,)}, T.with_shape((7,))), (x,))
    with pytest.raises(IRError, match=r"inference refuses it: reshape: 6 elements(.|\n)*%0 = reshape\(%in0\)"):
        verify(Graph([x], [wrong]))


@settings(max_examples=100, deadline=None)
@given(random_graphs())
def test_good_graphs_pass(graph: Graph) -> None:
    verify(graph)
