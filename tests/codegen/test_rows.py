"""Reductions of rows inside the kernels that read the rows again: which are joined, and that numbers stay right."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen import program, strategy_rows
from lucid.codegen.program import Program, generate
from lucid.codegen.simulate import simulate
from lucid.codegen.strategy_rows import FEWEST_ROWS, LONGEST_ROW
from lucid.codegen.target import Target
from lucid.ir.graph import Array, Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32, float64
from lucid.runtime.executable import build
from lucid.runtime.threads import get_num_threads, set_num_threads
from tests.ir.graphs import assert_bitwise

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
TARGET = Target.of("avx512")


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def layer_norm(x: Node, axes: tuple[int, ...]) -> Node:
    count = float(np.prod([x.shape[a] for a in axes]))
    mean = ops.sum(x, axes=axes, keepdims=True) / count
    variance = ops.sum((x - mean) * (x - mean), axes=axes, keepdims=True) / count
    return (x - mean) / ops.sqrt(variance + 1e-5)


def apart(graph: Graph) -> Program:
    """The program with every reduction in a kernel of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "joins_rows", lambda producer, readers, count: [False] * len(readers))
        return generate(graph, TARGET)


def test_a_layer_norm_reads_its_rows_once() -> None:
    x, w, b = value(64, 48), value(48), value(48)
    graph = Graph([x, w, b], [layer_norm(x, (1,)) * w + b])
    (step,) = generate(graph, TARGET).steps
    assert set(step.arguments[:3]) == {x, w, b}
    assert len(apart(graph).steps) > 1


def test_rows_of_several_axes_and_values_on_two_ways() -> None:
    x = value(64, 3, 5, 7)
    graph = Graph([x], [layer_norm(x, (1, 2, 3))])
    joined = generate(graph, TARGET)
    assert len(joined.steps) == 1
    array = np.random.default_rng(0).standard_normal(x.shape, np.float32)
    (got,) = simulate(joined, [array])
    (want,) = evaluate(graph, [array])
    np.testing.assert_allclose(got.reshape(x.shape), want, rtol=0, atol=2e-6)


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((FEWEST_ROWS - 1, 40), (1,)),  # too few rows for threads
        ((FEWEST_ROWS, LONGEST_ROW + 1), (1,)),  # rows that leave the cache
        ((64, 40), (0,)),  # columns
        ((64, 40, 3, 3), (2, 3)),  # rows that are spread out where images lie NHWC
    ],
)
def test_what_would_not_pay_stays_apart(shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    x = value(*shape)
    graph = Graph([x], [x - ops.max(x, axes=axes, keepdims=True)])
    assert len(generate(graph, TARGET).steps) == len(apart(graph).steps) >= 2


def test_a_result_that_leaves_or_that_others_read_across_rows_is_stored() -> None:
    x = value(64, 40)
    top = ops.max(x, axes=(1,), keepdims=True)
    assert len(generate(Graph([x], [x - top, top]), TARGET).steps) == 2
    across = ops.sum(top * x, axes=(0,), keepdims=False)
    assert len(generate(Graph([x], [x - top, across]), TARGET).steps) == 3


def test_a_padded_read_is_no_reading_of_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    """The values around it are in no row."""
    x = value(64, 40)
    top = ops.max(x, axes=(1,), keepdims=False)
    graph = Graph([x], [ops.pad(top, low=(0,), high=(2,), interior=(0,), value=7.0)])
    monkeypatch.setattr(program, "joins_rows", lambda producer, readers, count: [True] * len(readers))
    array = np.random.default_rng(0).standard_normal(x.shape, np.float32)
    (got,) = simulate(generate(graph, TARGET), [array])
    np.testing.assert_array_equal(got, evaluate(graph, [array])[0])


def test_statistics_that_others_read_too_are_one_kernel() -> None:
    """The mean is needed across the rows, and by the variance, which is a reduction of the same rows."""
    x = value(64, 40)
    mean = ops.sum(x, axes=(1,), keepdims=True) / 40.0
    variance = ops.sum((x - mean) * (x - mean), axes=(1,), keepdims=True)
    graph = Graph([x], [ops.sum(x * mean * variance, axes=(0,), keepdims=False)])
    assert [len(step.spec.stores) for step in generate(graph, TARGET).steps] == [2, 1]
    assert [len(step.spec.stores) for step in apart(graph).steps] == [1, 1, 1]


def test_the_gradients_of_a_layer_norm_store_no_image_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    x, w, b, g = value(64, 48), value(48), value(48), value(64, 48)
    y = layer_norm(x, (1,)) * w + b
    graph = Graph([x, w, b, g], gradients([y], [x, w, b], [g]))

    def images() -> int:
        stored = {s.node for step in generate(graph, TARGET).steps for s in step.spec.stores}
        return sum(n.type.size == x.type.size for n in stored)

    assert images() > 1  # small ones stay in the cache
    monkeypatch.setattr(strategy_rows, "SMALLEST_REPEATED", 1)
    assert images() == 1


def test_what_a_convolution_reads_or_costs_more_than_memory_is_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strategy_rows, "SMALLEST_REPEATED", 1)
    x, w = value(2, 4, 8, 8), value(4, 4, 3, 3)
    shifted = (x * 2.0 + 1.0) * x + 3.0
    z = ops.conv2d(shifted, w, stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1)
    assert len(generate(Graph([x, w], [z, ops.sum(shifted, axes=(0,), keepdims=False)]), TARGET).steps) >= 3
    x = value(64, 40)
    dear = ops.tanh(x + 1.0)
    graph = Graph([x], [ops.sum(dear, axes=(1,), keepdims=True) * dear, ops.sum(dear, axes=(0,), keepdims=False)])
    assert any(s.node.type.size == x.type.size for s in generate(graph, TARGET).steps[0].spec.stores)


@st.composite
def row_graphs(draw: st.DrawFn) -> Graph:
    """Chains of row statistics and of what is made of the rows with them, whole numbers throughout."""
    rank = draw(st.integers(2, 3))
    shape = (draw(st.sampled_from([32, 33, 64])), *(draw(st.sampled_from([1, 2, 5, 17])) for _ in range(rank - 1)))
    over = (rank - 1,) if rank == 2 or draw(st.booleans()) else (1, 2)
    x, column = value(*shape), value(*shape[1:])
    wide, narrow, sums = [x], [], 0
    for _ in range(draw(st.integers(1, 6))):
        row = draw(st.sampled_from(wide))
        if not narrow or draw(st.booleans()):
            kinds = [ops.max, ops.min] if sums == 2 else [ops.sum, ops.max, ops.min]  # more sums would round
            reduce = draw(st.sampled_from(kinds))
            sums += reduce is ops.sum
            narrow.append(reduce(row, axes=over, keepdims=True))
        else:
            combine = draw(st.sampled_from([ops.sub, ops.add, ops.maximum]))
            other = draw(st.sampled_from(narrow))
            wide.append(combine(row, ops.broadcast_to(other, shape=row.shape)))
        if draw(st.integers(0, 4)) == 0:
            wide[-1] = ops.minimum(wide[-1], ops.broadcast_to(column, shape=shape))
    outputs = [wide[-1]]
    if draw(st.booleans()):
        outputs.append(ops.sum(wide[-1], axes=(0,), keepdims=False))  # reads across the rows
    if narrow and draw(st.booleans()):
        outputs.append(draw(st.sampled_from(narrow)))
    return Graph([x, column], outputs)


@QUICK
@given(row_graphs(), st.sampled_from([1, 1_000_000]))
def test_joined_kernels_compute_what_the_others_do(graph: Graph, smallest: int) -> None:
    """Whether large values are computed again or stored."""
    rng = np.random.default_rng(0)
    arrays = [rng.integers(-2, 3, x.shape).astype(np.float32) for x in graph.inputs]
    want = evaluate(graph, arrays)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(strategy_rows, "SMALLEST_REPEATED", smallest)
        assert_bitwise(build(graph)(arrays), want)
    assert_bitwise([y.reshape(w.shape) for y, w in zip(simulate(apart(graph), arrays), want, strict=True)], want)


def test_a_layer_norm_and_its_gradients_are_near_float64() -> None:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(s, np.float32) for s in ((70, 100), (100,), (100,), (70, 100))]

    def made(dtype: np.dtype[np.generic]) -> Graph:
        x, w, b, g = (input_node(TensorType(a.shape, dtype)) for a in arrays)
        y = layer_norm(x, (1,)) * w + b
        return Graph([x, w, b, g], [y, *gradients([y], [x, w, b], [g])])

    want = evaluate(made(float64), [a.astype(np.float64) for a in arrays])
    runs: list[list[Array]] = []
    before = get_num_threads()
    try:
        for threads in (1, 3):
            set_num_threads(threads)
            runs.append(build(made(float32))(arrays))
    finally:
        set_num_threads(before)
    assert_bitwise(*runs)
    for got, right in zip(runs[0], want, strict=True):
        assert np.abs(got - right).max() <= 2e-6 * max(1, np.abs(right).max())


@pytest.mark.parametrize("special", [np.nan, np.inf, -0.0])
def test_special_values_stay_in_their_rows(special: float) -> None:
    array = np.ones((40, 20), np.float32)
    array[3, 7] = special
    x = value(40, 20)
    graph = Graph([x], [layer_norm(x, (1,))])
    (got,) = build(graph)([array])
    (want,) = evaluate(graph, [array])
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_allclose(got, want, atol=1e-5)
