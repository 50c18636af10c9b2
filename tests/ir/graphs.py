"""What the tests of graphs share: random arrays with every special value, bitwise comparison, small graphs as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lucid.ir.graph import Array, Graph
from lucid.ir.text import parse_graph
from lucid.ir.types import TensorType, bool_, is_float
from lucid.ops.sampling import special
from tests.generated.draws import ByHypothesis
from tests.generated.making import Making


def graph_of(inputs: str, body: str) -> Graph:
    """A graph from the inside of its parentheses and of its braces; its output is ``y``."""
    return parse_graph(f"graph({inputs}) -> (y) {{ {body} }}")


def tricky(type: TensorType, rng: np.random.Generator) -> Array:
    """Random numbers, every other one a special value of the dtype: NaN, infinities, zeros, ends of the range."""
    if type.dtype == bool_:
        return rng.integers(0, 2, type.shape).astype(np.bool_)
    if is_float(type.dtype):
        plain: Any = rng.standard_normal(type.shape).astype(type.dtype)
    else:
        plain = rng.integers(0, 100, type.shape).astype(type.dtype)
    values = special(type.dtype)
    chosen = values[rng.integers(0, len(values), type.shape)]
    return np.asarray(np.where(rng.random(type.shape) < 0.5, plain, chosen), type.dtype)


def tricky_inputs(graph: Graph, seed: int) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [tricky(x.type, rng) for x in graph.inputs]


def assert_bitwise(actual: Sequence[Array], expected: Sequence[Array]) -> None:
    """Same dtypes, shapes and bits; any NaN equals any NaN."""
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        assert a.dtype == b.dtype
        assert a.shape == b.shape
        if is_float(a.dtype):
            assert np.array_equal(np.isnan(a), np.isnan(b))
            a, b = np.where(np.isnan(a), 0, a), np.where(np.isnan(b), 0, b)
            assert np.array_equal(np.signbit(a), np.signbit(b))
        np.testing.assert_array_equal(a, b)


@st.composite
def random_graphs(draw: st.DrawFn) -> Graph:
    """Small graphs over floats, integers and bools with awkward names: operations of every kind, on any numbers."""
    made = Making(ByHypothesis(draw), picks=False)
    outputs = draw(st.lists(st.sampled_from([*made.inputs, *made.nodes]), min_size=1, max_size=3))
    names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
    input_names = draw(st.lists(names, min_size=len(made.inputs), max_size=len(made.inputs), unique=True))
    output_names = draw(st.lists(names, min_size=len(outputs), max_size=len(outputs), unique=True))
    return Graph(made.inputs, outputs, input_names, output_names)
