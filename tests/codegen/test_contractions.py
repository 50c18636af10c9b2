"""Convolutions and products of every shape through the contraction nest, against float64, within the stated bound."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid.codegen.module import parallel_turns
from lucid.codegen.program import generate
from lucid.codegen.schedule import Contraction
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.ir.graph import Array, Graph, Node, Op, input_node
from lucid.ir.types import TensorType, float32, type_of
from lucid.ops import conv2d, conv2d_input_grad, conv2d_weight_grad, matmul, reshape
from lucid.ops import transpose as swap
from lucid.runtime.executable import build

LEVELS = [t for t in ("avx512", "avx2") if Target.host().supports(Target.of(t))] or ["baseline"]


def bound(op: Op, a: Array, b: Array, attrs: dict[str, Any], length: int) -> Array:
    """The promised error: (4 + 2 sqrt K) * 1.5 * eps * sum |a||b|, plus the last rounding of a denormal."""
    magnitude = op.evaluate(np.abs(a).astype(np.float64), np.abs(b).astype(np.float64), **attrs)
    eps = float(np.finfo(a.dtype).eps)
    return (4 + 2 * np.sqrt(max(length, 1))) * 1.5 * eps * magnitude + 1e-37


def assert_within_bound(op: Op, a: Array, b: Array, attrs: dict[str, Any], length: int, got: Array) -> None:
    exact = op.evaluate(a.astype(np.float64), b.astype(np.float64), **attrs)
    assert got.shape == exact.shape
    assert (np.abs(got - exact) <= bound(op, a, b, attrs, length)).all()


@st.composite
def convolutions(draw: st.DrawFn) -> tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]]:
    """Image shape, weight shape, attributes; always with at least one output pixel."""
    small = st.integers(1, 4)
    groups = draw(st.sampled_from([1, 1, 1, 2, 3]))
    channels = draw(st.sampled_from([1, 2, 3, 5, 17]))
    outputs = draw(st.sampled_from([1, 2, 4, 16, 19, 33, 64]))
    kernel = draw(st.tuples(small, small))
    stride, dilation = draw(st.tuples(small, small)), draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(
        st.tuples(st.tuples(st.integers(0, 3), st.integers(0, 3)), st.tuples(st.integers(0, 3), st.integers(0, 3)))
    )
    spans = [d * (k - 1) + 1 - sum(p) for d, k, p in zip(dilation, kernel, padding, strict=True)]
    size = [draw(st.integers(max(1, s), max(1, s) + 18)) for s in spans]
    batch = draw(st.integers(1, 3))
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    if draw(st.integers(0, 4)) == 0:  # depthwise, with a multiplier
        return (batch, channels, *size), (channels * draw(st.integers(1, 2)), 1, *kernel), {**attrs, "groups": channels}
    return (batch, channels * groups, *size), (outputs * groups, channels, *kernel), attrs


def three(x: Array, w: Array, attrs: dict[str, Any]) -> list[tuple[Op, Array, Array, dict[str, Any], int]]:
    """The convolution and both gradients on the same geometry, with the length of each sum."""
    y = conv2d.evaluate(x, w, **attrs)
    rng = np.random.default_rng(y.size)
    g = rng.standard_normal(y.shape, np.float32)
    taps = w.shape[2] * w.shape[3]
    return [
        (conv2d, x, w, attrs, w.shape[1] * taps),
        (conv2d_input_grad, g, w, {"input_size": x.shape[2:], **attrs}, w.shape[0] // attrs["groups"] * taps),
        (conv2d_weight_grad, x, g, {"kernel_size": w.shape[2:], **attrs}, g.shape[0] * g.shape[2] * g.shape[3]),
    ]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(convolutions(), st.sampled_from(LEVELS))
def test_random_convolutions_within_the_bound(
    case: tuple[tuple[int, ...], tuple[int, ...], dict[str, Any]], level: str
) -> None:
    x_shape, w_shape, attrs = case
    rng = np.random.default_rng(0)
    cases = three(rng.standard_normal(x_shape, np.float32), rng.standard_normal(w_shape, np.float32), attrs)
    inputs = [[input_node(type_of(a)), input_node(type_of(b))] for _, a, b, _, _ in cases]
    graph = Graph(
        [n for pair in inputs for n in pair],
        [op(*pair, **kw) for pair, (op, _, _, kw, _) in zip(inputs, cases, strict=True)],
    )
    results = build(graph, target=Target.of(level))([v for _, a, b, _, _ in cases for v in (a, b)])
    for (op, a, b, kw, length), got in zip(cases, results, strict=True):
        assert_within_bound(op, a, b, kw, length, got)


@pytest.mark.parametrize("transpose", [(False, False), (False, True), (True, False), (True, True)])
@pytest.mark.parametrize(
    "shape", [(1, 1, 1), (5, 17, 3), (14, 32, 64), (33, 47, 20), (64, 128, 800), (130, 10, 7), (6, 33, 9001)]
)
def test_matmul_of_views_within_the_bound(shape: tuple[int, int, int], transpose: tuple[bool, bool]) -> None:
    m, n, k = shape
    rng = np.random.default_rng(m * n)
    a = rng.standard_normal((k, m) if transpose[0] else (m, k), np.float32)
    b = rng.standard_normal((n, k) if transpose[1] else (k, n), np.float32)
    nodes = [input_node(type_of(a)), input_node(type_of(b))]
    sides = [swap(x, perm=(1, 0)) if t else x for x, t in zip(nodes, transpose, strict=True)]
    (got,) = build(Graph(nodes, [matmul(*sides)]))([a, b])
    left, right = (a.T if transpose[0] else a), (b.T if transpose[1] else b)
    assert_within_bound(matmul, left, right, {}, k, got)


@st.composite
def legal_schedules(draw: st.DrawFn, base: Contraction) -> Contraction:
    """Another schedule of the same kernel: other tiles, orders, unrolling and blocking."""
    names = [a for a in base.outer if a != base.vector]
    tiled = draw(st.lists(st.sampled_from(names), unique=True, max_size=2)) if names else []
    reduced = [a for a in base.reduce if a != base.vector]
    blocked = draw(st.lists(st.sampled_from(reduced), unique=True))
    jammed = draw(st.lists(st.sampled_from(reduced), unique=True, max_size=2))
    jam = tuple((a, draw(st.integers(1, 3))) for a in jammed)
    unroll = draw(st.integers(1, 3))
    order = draw(st.permutations(base.reduce))
    whole = {**dict(jam), order[-1]: unroll}
    return Contraction(
        vector=base.vector,
        lanes=draw(st.sampled_from([2, 4, 8, 16])),
        vectors=draw(st.integers(1, 3)),
        tile=tuple((a, draw(st.integers(1, 5))) for a in tiled),
        outer=tuple(draw(st.permutations(base.outer))),
        reduce=tuple(order),
        unroll=unroll,
        block=tuple((a, whole.get(a, 1) * draw(st.integers(1, 4))) for a in blocked),
        jam=jam,
    )


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_legal_schedule_computes_the_same(data: st.DataObject) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((2, 3, 6, 5), np.float32), rng.standard_normal((5, 3, 3, 2), np.float32)
    attrs = {"stride": (1, 1), "padding": ((1, 1), (0, 1)), "dilation": (1, 1), "groups": 1}
    op, a, b, kw, length = data.draw(st.sampled_from(three(x, w, attrs)))
    nodes = [input_node(type_of(a)), input_node(type_of(b))]
    used: list[Contraction] = []

    def override(spec: Any, schedule: Any) -> Any:
        if not isinstance(schedule, Contraction):
            return schedule
        used.append(data.draw(legal_schedules(schedule)))
        return used[-1]

    program = generate(Graph(nodes, [op(*nodes, **kw)]), Target.of("avx512"), override=override)
    assert used
    (got,) = simulate(program, [a, b])
    assert_within_bound(op, a, b, kw, length, got)


def operand(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


@pytest.mark.parametrize(("columns", "turns"), [(784, 25), (768, 37), (800, 37), (16, 37)])
def test_threads_share_products_whose_last_tile_is_not_full(columns: int, turns: int) -> None:
    """Tiles of 14 rows, of which there are 37, by 32 columns."""

    def override(spec: Any, schedule: Any) -> Any:
        rows, vectors = spec.axes[0].name, schedule.vector
        if not isinstance(schedule, Contraction):
            return schedule
        return replace(schedule, tile=((rows, 14),), vectors=2, outer=(vectors, rows))

    a, b = operand(512, 64), operand(64, columns)
    program = generate(Graph([a, b], [matmul(a, b)]), Target.of("avx512"), override=override)
    (step,) = [s for s in program.steps if isinstance(s.schedule, Contraction)]
    # An even number is preferred; 800 columns are 25 whole tiles, 784 are not, and 16 are one.
    assert parallel_turns(program.kernels[step.kernel]) == (24 if columns == 768 else turns)


def flattened(n: int, channels: int, size: int, outputs: int) -> Graph:
    """A convolution, its channels-last image flattened in C order, and a linear layer on it."""
    x, w = operand(n, channels, size, size), operand(channels, channels, 1, 1)
    v = operand(outputs, channels * size * size)
    image = conv2d(x, w, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1)
    flat = reshape(image, shape=(n, channels * size * size))
    return Graph([x, w, v], [matmul(flat, swap(v, perm=(1, 0)))])


@pytest.mark.parametrize(("n", "outputs", "hoisted"), [(1, 64, True), (30, 64, True), (64, 128, False), (5, 24, True)])
def test_a_linear_layer_on_an_image_walks_it_as_it_lies(n: int, outputs: int, hoisted: bool) -> None:
    """Weights are packed in the order of the features, so that both are walked in one run."""
    graph = flattened(n, 32, 6, outputs)
    program = generate(graph, Target.of("avx512"), parameters=graph.inputs[1:] if hoisted else ())
    *_, schedule = (s.schedule for s in program.steps if isinstance(s.schedule, Contraction))
    assert len(schedule.reduce) == 1


@pytest.mark.parametrize("n", [1, 3, 40])
@pytest.mark.parametrize("outputs", [1, 7, 33, 64])
@pytest.mark.parametrize("hoisted", [True, False])
def test_a_linear_layer_on_an_image_of_any_size(n: int, outputs: int, hoisted: bool) -> None:
    graph = flattened(n, 19, 3, outputs)
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(x.shape).astype(np.float32) for x in graph.inputs]
    (result,) = build(graph, parameters=graph.inputs[1:] if hoisted else ())(arrays)
    x, w, v = (a.astype(np.float64) for a in arrays)
    exact = np.einsum("nchw,oc->nohw", x, w[:, :, 0, 0]).reshape(n, -1) @ v.T
    np.testing.assert_allclose(result, exact, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(("length", "outputs"), [(8192, 10), (8192, 16)])
def test_parts_of_a_long_sum_run_side_by_side(length: int, outputs: int) -> None:
    """One register alone would wait for every multiply-add."""
    rng = np.random.default_rng(length)
    x, w = rng.standard_normal((1, length), np.float32), rng.standard_normal((length, outputs), np.float32)
    nodes = [input_node(type_of(a)) for a in (x, w)]
    run = build(Graph(nodes, [matmul(*nodes)]), parameters=nodes[1:])
    (schedule,) = [s.schedule for s in run.program.steps if isinstance(s.schedule, Contraction)]
    assert schedule.vectors * np.prod([n for _, n in schedule.tile]) >= 4
    (got,) = run([x, w])
    assert_within_bound(matmul, x, w, {}, length, got)
