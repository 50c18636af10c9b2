"""``lucid.graph``: what eager calls recorded, as an IR graph."""

from __future__ import annotations

import inspect

import numpy as np
import pytest

import lucid
from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.ir.text import parse_graph, print_graph
from lucid.ir.verify import verify


def line() -> int:
    return inspect.currentframe().f_back.f_lineno


def test_names_values_and_round_trip() -> None:
    x = lucid.tensor([[1.0, 2.0]], requires_grad=True)
    w = lucid.ones(2, 3, requires_grad=True)
    w.name = "weight"
    y = (x @ w).relu() * 0.5
    graph = lucid.graph(y)
    assert graph.input_names == ("x0", "weight")
    verify(graph)
    assert parse_graph(print_graph(graph)) == graph
    np.testing.assert_array_equal(lucid.evaluate(graph)[0], y.numpy())
    np.testing.assert_array_equal(lucid.evaluate(graph, [2 * x, w])[0], 2 * y.numpy())
    gradient = lucid.differentiate(graph, graph.inputs)
    values = lucid.evaluate(gradient, [*graph.values, np.ones((1, 3), np.float32)])
    y.backward()
    np.testing.assert_array_equal(values[0], x.grad.numpy())
    np.testing.assert_array_equal(values[1], w.grad.numpy())


def test_every_node_has_the_users_line() -> None:
    x = lucid.ones(2)
    y = x.exp()
    first = line() - 1
    z = y.mean() + 1
    second = line() - 1
    lines = {n.op.name: n.location for n in lucid.graph(z).nodes}
    assert all(location.file == __file__ for location in lines.values())
    assert lines["exp"].line == first
    assert lines["constant"].line == second
    assert lines["add"].line == second


def test_named_inputs_cut_the_graph() -> None:
    x = lucid.tensor([1.0, 2.0])
    h = x.exp()
    y = h * 2 + x
    graph = lucid.graph(y, h, inputs={"h": h, "x": x})
    assert graph.input_names == ("h", "x")
    assert [n.op.name for n in graph.nodes] == ["input", "input", "constant", "mul", "add"]
    np.testing.assert_array_equal(lucid.evaluate(graph)[0], y.numpy())


def test_no_grad_results_have_graphs_too() -> None:
    with lucid.no_grad():
        y = lucid.ones(2, requires_grad=True).exp()
    assert [n.op.name for n in lucid.graph(y).nodes] == ["input", "exp"]


def test_constants_and_leaves_as_outputs() -> None:
    x = lucid.ones(2)
    graph = lucid.graph(x, x * True)
    assert [n.op.name for n in graph.nodes] == ["input", "constant", "mul"]
    np.testing.assert_array_equal(lucid.evaluate(graph)[1], [1, 1])


def test_negative_zero_and_nan_constants_survive() -> None:
    x = lucid.ones(2)
    (value,) = lucid.evaluate(lucid.graph(x * -0.0 + float("nan")))
    assert np.isnan(value).all()
    (value,) = lucid.evaluate(lucid.graph(x * -0.0))
    assert np.signbit(value).all()


def test_values_that_are_gone() -> None:
    y = lucid.ones(2) + lucid.ones(2)
    graph = lucid.graph(y)
    with pytest.raises(ArgumentError, match="x0 is gone"):
        lucid.evaluate(graph)
    assert lucid.evaluate(graph, [np.ones(2, np.float32)] * 2)[0].tolist() == [2, 2]


def test_an_updated_leaf_is_not_passed_off_as_the_old_one() -> None:
    w = lucid.ones(2)
    y = w + 1
    w.copy_([5.0, 5.0])
    with pytest.raises(ArgumentError, match="gone"):
        lucid.graph(y).values  # noqa: B018


def test_history_is_cut_at_a_bounded_depth() -> None:
    x = lucid.ones(1)
    with lucid.no_grad():
        for _ in range(5000):
            x = x + 1.0
    assert len(lucid.graph(x).nodes) < 3 * 2048
    assert lucid.evaluate(lucid.graph(x), [np.zeros(1, np.float32)])


def test_misuse() -> None:
    with pytest.raises(ArgumentTypeError, match=r"tensors\[0\]"):
        lucid.graph(3)
    with pytest.raises(ArgumentError, match="at least one"):
        lucid.graph()
    with pytest.raises(ArgumentError, match="arrays must be given"):
        lucid.evaluate(parse_graph("graph(%x: f32[2]) -> (y) { return %x }"))
