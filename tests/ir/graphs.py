"""What the tests of graphs share: random arrays with every special value, bitwise comparison, small graphs as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lucid.ir.graph import OPS, Array, Graph, Node, input_node
from lucid.ir.text import parse_graph
from lucid.ir.types import TensorType, bool_, float32, int32, is_float
from lucid.ops.sampling import special


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
    """Small graphs over floats, integers and bools with awkward names: elementwise work, movement, reductions."""
    types = st.builds(TensorType, st.lists(st.integers(0, 3), max_size=3), st.sampled_from([float32, int32]))
    nodes = [input_node(draw(types)) for _ in range(draw(st.integers(1, 3)))]
    inputs = list(nodes)
    for _ in range(draw(st.integers(0, 10))):
        nodes.append(_random_node(draw, nodes))
    outputs = draw(st.lists(st.sampled_from(nodes), min_size=1, max_size=3))
    names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=5)
    input_names = draw(st.lists(names, min_size=len(inputs), max_size=len(inputs), unique=True))
    output_names = draw(st.lists(names, min_size=len(outputs), max_size=len(outputs), unique=True))
    return Graph(inputs, outputs, input_names, output_names)


_UNARY_ANY = ("neg", "abs", "relu", "sign")
_UNARY_FLOAT = ("sqrt", "floor", "tanh", "sigmoid")
_BINARY = ("add", "sub", "mul", "maximum", "minimum")
_REDUCE = ("sum", "prod")
_NUMBERS = (0, 1, -1, 2)


def _random_node(draw: st.DrawFn, nodes: Sequence[Node]) -> Node:
    """One more node over some of the given ones."""
    x = draw(st.sampled_from(nodes))
    shape = x.shape
    if x.dtype == bool_:
        y = draw(st.sampled_from([n for n in nodes if n.dtype != bool_]))
        choice = draw(st.sampled_from(["not", "cast", "where"]))
        if choice == "where" and y.shape == shape:
            return OPS["where"](x, y, draw(st.sampled_from([n for n in nodes if n.type is y.type])))
        return (
            OPS["logical_not"](x) if choice == "not" else OPS["cast"](x, dtype=draw(st.sampled_from([float32, int32])))
        )
    makers: list[Callable[[], Node]] = [
        lambda: OPS[draw(st.sampled_from(_UNARY_ANY + (_UNARY_FLOAT if is_float(x.dtype) else ())))](x),
        lambda: OPS[draw(st.sampled_from(_BINARY))](x, draw(st.sampled_from([n for n in nodes if n.type is x.type]))),
        lambda: OPS[draw(st.sampled_from(_BINARY))](x, _constant(draw, x, draw(st.sampled_from([shape, ()])))),
        lambda: OPS[draw(st.sampled_from(_BINARY))](_constant(draw, x, ()), x),
        lambda: OPS[draw(st.sampled_from(["lt", "eq"]))](x, _constant(draw, x, shape)),
        lambda: OPS["cast"](x, dtype=float32),
        lambda: OPS["transpose"](x, perm=tuple(draw(st.permutations(range(len(shape)))))),
        lambda: OPS["reshape"](x, shape=draw(st.sampled_from([shape, (x.type.size,), (1, *shape), (*shape, 1)]))),
        lambda: OPS["broadcast_to"](x, shape=(draw(st.integers(1, 2)), *shape)),
        lambda: OPS["flip"](x, axes=draw(_axes(x))),
        lambda: OPS[draw(st.sampled_from(_REDUCE))](x, axes=draw(_axes(x)), keepdims=draw(st.booleans())),
        lambda: _padded(draw, x),
        lambda: _sliced(draw, x),
    ]
    if is_float(x.dtype):
        makers.append(lambda: OPS["div"](x, _constant(draw, x, ())))
    if shape:
        makers.append(lambda: OPS["concat"](x, x, axis=draw(st.integers(0, len(shape) - 1))))
    return draw(st.sampled_from(makers))()


def _axes(x: Node) -> st.SearchStrategy[tuple[int, ...]]:
    return st.sets(st.integers(0, max(len(x.shape) - 1, 0)), max_size=len(x.shape)).map(lambda s: tuple(sorted(s)))


def _constant(draw: st.DrawFn, like: Node, shape: tuple[int, ...]) -> Node:
    number = st.sampled_from([*map(float, _NUMBERS), -0.0, float("nan"), 0.25] if is_float(like.dtype) else _NUMBERS)
    size = TensorType(shape, like.dtype).size
    value = draw(st.one_of(number, st.lists(number, min_size=size, max_size=size).map(tuple)))
    return OPS["constant"](value=value, shape=shape, dtype=like.dtype)


def _padded(draw: st.DrawFn, x: Node) -> Node:
    counts = st.lists(st.integers(0, 2), min_size=len(x.shape), max_size=len(x.shape)).map(tuple)
    low, high, interior = draw(counts), draw(counts), draw(counts)
    return OPS["pad"](x, low=low, high=high, interior=interior, value=draw(st.sampled_from([0, 1])))


def _sliced(draw: st.DrawFn, x: Node) -> Node:
    start = tuple(draw(st.integers(0, n)) for n in x.shape)
    stop = tuple(draw(st.integers(a, n)) for a, n in zip(start, x.shape, strict=True))
    step = tuple(draw(st.integers(1, 2)) for _ in x.shape)
    return OPS["slice"](x, start=start, stop=stop, step=step)
