"""The interpreter: the right numbers, the right errors, and no value kept after its last use."""

from __future__ import annotations

import weakref
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, LucidError, ShapeError
from lucid.ir.graph import Array, Node
from lucid.ir.interpreter import evaluate
from lucid.ir.text import parse_graph

GRAPH = parse_graph(
    """graph(%x: f32[2], %w.scale: f32[]) -> (y, z, x) {
         %0 = mul(%x, %w.scale) : f32[2]
         %1 = neg(%0) : f32[2]
         %2 = add(%1, %x) : f32[2]
         return %2, %1, %x
       }"""
)
X, W = np.array([1, 2], np.float32), np.array(3, np.float32)


def test_outputs_in_order() -> None:
    y, z, x = evaluate(GRAPH, [X, W])
    np.testing.assert_array_equal(z, [-3, -6])
    np.testing.assert_array_equal(y, [-2, -4])
    assert x is X


def test_the_observer_sees_every_node_in_order() -> None:
    seen: list[Node] = []
    evaluate(GRAPH, [X, W], lambda node, array: seen.append(node))
    assert tuple(seen) == GRAPH.nodes


def test_values_are_freed_after_their_last_use() -> None:
    graph = parse_graph(
        """graph(%x: f32[2]) -> (y) {
             %0 = neg(%x) : f32[2]
             %1 = exp(%0) : f32[2]
             %2 = neg(%1) : f32[2]
             %3 = exp(%2) : f32[2]
             return %3
           }"""
    )
    alive: list[weakref.ref[Any]] = []
    counts = []

    def observe(node: Node, array: Array) -> None:
        alive.append(weakref.ref(array))
        counts.append(sum(ref() is not None for ref in alive))

    evaluate(graph, [X], observe)
    # The input stays the caller's; besides it, the value just made and the operand it was made from.
    assert counts == [1, 2, 3, 3, 3]


def test_infinities_and_nans_are_values_not_warnings() -> None:
    graph = parse_graph("graph(%x: f32[2]) -> (y) { %0 = div(%x, %x) : f32[2] %1 = log(%0) : f32[2] return %1 }")
    (y,) = evaluate(graph, [np.array([0, np.inf], np.float32)])
    assert np.isnan(y).all()


@pytest.mark.parametrize(
    ("arrays", "error", "words"),
    [
        ([X], ArgumentError, ["2 inputs (x, w.scale)", "1 arrays"]),
        ([X, 3.0], ArgumentTypeError, ["input w.scale", "float", "numpy.asarray"]),
        ([X, np.float32(3)], ArgumentTypeError, ["input w.scale", "float32"]),
        ([X.astype(np.float64), W], DTypeError, ["input x", "float64", "float32"]),
        ([X[:1], W], ShapeError, ["input x", "(1,)", "(2,)"]),
    ],
)
def test_arrays_that_do_not_fit(arrays: Sequence[Any], error: type[LucidError], words: list[str]) -> None:
    with pytest.raises(error) as caught:
        evaluate(GRAPH, arrays)
    for word in words:
        assert word in str(caught.value)
