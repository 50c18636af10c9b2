"""Any legal schedule of a map or a reduction computes what the naive nest does, and so do reductions cut in blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid import ops
from lucid.codegen import program
from lucid.codegen.asm import asm_stats, function, inner_loops
from lucid.codegen.partials import split_reductions
from lucid.codegen.program import generate
from lucid.codegen.schedule import MapReduce, Naive
from lucid.codegen.simulate import simulate
from lucid.codegen.strategy_rows import MOST_BLOCKS, blocks_of
from lucid.codegen.target import Target
from lucid.errors import ScheduleError
from lucid.ir.graph import Array, Graph, Node, input_node
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build
from lucid.runtime.threads import get_num_threads, set_num_threads

QUICK = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
REDUCE = {"sum": ops.sum, "max": ops.max, "prod": ops.prod, "squares": ops.squared_deviations}


def whole_numbers(shape: tuple[int, ...]) -> Array:
    """Small integers as floats: sums and products of a few are exact in any order."""
    return np.random.default_rng(len(shape)).choice([-2.0, -1.0, 1.0, 1.0, 2.0], shape).astype(np.float32)


@st.composite
def reductions(draw: st.DrawFn) -> tuple[Graph, tuple[int, ...]]:
    """Something elementwise, reduced over some axes, with or without an epilogue."""
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 5, 16, 19, 33]), min_size=1, max_size=3)))
    over = tuple(sorted(draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    x = input_node(TensorType(shape, float32))
    kind = draw(st.sampled_from(["sum", "max"] if draw(st.booleans()) else list(REDUCE)))
    if kind == "squares" and np.prod([shape[a] for a in over]) not in (1, 2, 16):
        kind = "sum"  # a mean that is not exact
    keep = draw(st.booleans())
    body = ops.relu(x) if draw(st.booleans()) and kind == "sum" else x
    y = REDUCE[kind](body, axes=over, keepdims=keep)
    if draw(st.booleans()):
        y = y + 1.0
    if keep and draw(st.booleans()):  # every element meets the reduction it belongs to
        y = x - y
    return Graph([x], [y]), shape


@QUICK
@given(reductions(), st.data())
def test_any_schedule_computes_what_the_naive_nest_does(
    case: tuple[Graph, tuple[int, ...]], data: st.DataObject
) -> None:
    graph, shape = case
    x = whole_numbers(shape)
    with np.errstate(over="ignore"):
        (want,) = simulate(generate(graph, Target.of("baseline"), override=lambda spec, schedule: Naive()), [x])

    def any_schedule(spec: Any, schedule: Any) -> MapReduce:
        lanes, unroll, vectors = (data.draw(st.sampled_from(v)) for v in ([1, 2, 4, 16], [1, 2, 4, 7], [1, 2, 3, 8]))
        window, beside = data.draw(st.sampled_from([0, 0, 2, 9, 40])), data.draw(st.sampled_from([1, 1, 2, 4]))
        return MapReduce(lanes, unroll, vectors, window=window, beside=beside)

    (got,) = simulate(generate(graph, Target.of("avx512"), override=any_schedule), [x])
    np.testing.assert_array_equal(got, want)


@QUICK
@given(reductions(), st.integers(2, 9))
def test_reductions_in_blocks_of_any_number(case: tuple[Graph, tuple[int, ...]], blocks: int) -> None:
    graph, shape = case
    x = whole_numbers(shape)
    (want,) = simulate(generate(graph, Target.of("baseline"), override=lambda spec, schedule: Naive()), [x])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(program, "blocks_of", lambda reduce: blocks if _length(reduce) > 9 else 1)
        cut = generate(graph, Target.of("avx512"))
    (got,) = simulate(cut, [x])
    np.testing.assert_array_equal(got, want)


def _length(reduce: Any) -> int:
    return int(np.prod([a.extent for a in reduce.axes]))


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def summed(shape: tuple[int, ...], over: tuple[int, ...]) -> Graph:
    x = value(*shape)
    return Graph([x], [ops.sum(ops.relu(x * 2.0 + 1.0), axes=over, keepdims=False)])


@QUICK
@given(st.data())
def test_rows_added_up_in_memory(data: st.DataObject) -> None:
    """Any number of rows that divides the reduction, any strip, inside another axis or not, of one axis or two."""
    cases = [((24, 37), (0,)), ((3, 12, 33), (1,)), ((12, 5), (0,)), ((2, 12, 3, 18), (1, 3)), ((12, 3, 5), (0, 2))]
    shape, over = data.draw(st.sampled_from(cases))
    rows = data.draw(st.sampled_from([n for n in range(1, 25) if shape[over[0]] % n == 0]))
    x = value(*shape)
    kinds = data.draw(st.lists(st.sampled_from(["sum", "max", "prod"]), min_size=1, max_size=2, unique=True))
    graph = Graph([x], [REDUCE[kind](x, axes=over, keepdims=False) for kind in kinds])
    schedule = MapReduce(data.draw(st.sampled_from([1, 4, 16])), 4, data.draw(st.integers(1, 4)), rows)
    array = whole_numbers(shape)
    want = simulate(generate(graph, Target.of("baseline"), override=lambda spec, chosen: Naive()), [array])
    program = generate(graph, Target.of("avx512"), override=lambda spec, chosen: schedule)
    assert len(program.steps) == 1
    np.testing.assert_array_equal(simulate(program, [array]), want)


def test_rows_are_refused_where_they_do_not_fit() -> None:
    def with_rows(graph: Graph, rows: int) -> None:
        generate(graph, Target.of("avx512"), override=lambda spec, chosen: MapReduce(16, rows=rows))

    x = value(24, 37)
    with pytest.raises(ScheduleError, match="5 rows do not divide the 24 positions"):
        with_rows(Graph([x], [ops.sum(x, axes=(0,), keepdims=False)]), 5)
    with pytest.raises(ScheduleError, match="only a kernel of reductions over the same axes"):
        with_rows(Graph([x], [ops.relu(x)]), 4)


@pytest.mark.parametrize("shape", [(5, 40), (3, 4, 19), (7, 1), (33,)])
@pytest.mark.parametrize("lanes", [1, 4, 16])
def test_what_a_reduction_computes_is_kept_in_the_result(shape: tuple[int, ...], lanes: int) -> None:
    """A softmax computes each exponential once, with the same result."""
    x = value(*shape)
    graph = Graph([x], [ops.softmax(x, axis=len(shape) - 1)])
    array = np.random.default_rng(0).standard_normal(shape, np.float32)
    (want,) = simulate(generate(graph, Target.of("avx512"), override=lambda spec, chosen: MapReduce(lanes)), [array])
    if shape[-1] == 1:
        with pytest.raises(ScheduleError, match="no reduction computes"):
            generate(graph, Target.of("avx512"), override=lambda spec, chosen: MapReduce(lanes, keep=True))
        return
    program = generate(graph, Target.of("avx512"), override=lambda spec, chosen: MapReduce(lanes, keep=True))
    (got,) = simulate(program, [array])
    np.testing.assert_array_equal(got, want)


def test_a_softmax_keeps_its_exponentials_and_a_mean_keeps_nothing() -> None:
    x = value(40, 100)
    (step,) = generate(Graph([x], [ops.softmax(x, axis=1)]), Target.of("avx512")).steps
    assert step.schedule == MapReduce(16, 4, keep=True)
    (step,) = generate(Graph([x], [x - ops.max(x, axes=(1,), keepdims=True)]), Target.of("avx512")).steps[-1:]
    assert step.schedule == MapReduce(16, 4)


def test_what_lies_far_apart_is_read_side_by_side() -> None:
    """A result at a time would read 64 runs, a page apart each; threads share the first axis, so nothing is cut."""
    (step,) = generate(summed((64, 64, 64, 64), (1, 3)), Target.of("avx512")).steps
    assert isinstance(step.schedule, MapReduce)
    assert step.schedule.rows == 8
    (step,) = generate(summed((64, 256, 1024), (1,)), Target.of("avx512")).steps
    assert isinstance(step.schedule, MapReduce)
    assert step.schedule.rows == 8


def test_wide_column_sums_run_by_rows_in_blocks() -> None:
    """A row at a time would leave a page between reads; threads share blocks of rows."""
    parts, total = generate(summed((4096, 4096), (0,)), Target.of("avx512")).steps
    assert isinstance(parts.schedule, MapReduce)
    assert parts.schedule.rows == 8
    assert parts.spec.stores[0].node.shape == (MOST_BLOCKS, 4096)
    assert total.spec.stores[0].node.shape == (4096,)


CASES = [
    ((1 << 20,), (0,)),
    ((700001,), (0,)),
    ((9, 16, 50, 50), (0, 2, 3)),
    ((30001, 6), (0,)),
    ((999, 1000), (0,)),
    ((1000, 999), (0,)),
]


@pytest.mark.parametrize(("shape", "over"), CASES)
def test_long_sums_are_shared_deterministic_and_near_the_exact_sum(
    shape: tuple[int, ...], over: tuple[int, ...]
) -> None:
    """Bitwise the same on 1, 2, 4 and 8 threads, within the promised bound, and every pass has turns to share."""
    x = np.random.default_rng(0).standard_normal(shape, np.float32)
    run = build(summed(shape, over))
    before = get_num_threads()
    try:
        results = []
        for count in (1, 2, 4, 8):
            set_num_threads(count)
            results.append(run([x])[0])
    finally:
        set_num_threads(before)
    assert len({r.tobytes() for r in results}) == 1
    exact = np.maximum(x.astype(np.float64) * 2 + 1, 0).sum(over)
    length = x.size // max(exact.size, 1)
    bound = (4 + 2 * np.sqrt(length)) * 1.5 * np.finfo(np.float32).eps * exact
    assert (np.abs(results[0] - exact) <= bound).all()
    assert " parallel " in str(run.program.kernels[0])


def test_blocks_are_few_and_not_small() -> None:
    (spec,) = [s.spec for s in generate(summed((1 << 16,), (0,)), Target.of("avx512")).steps][:1]
    parts = [s.spec for s in generate(summed((4096, 4096), (0, 1)), Target.of("avx512")).steps]
    assert [p.stores[0].node.shape for p in parts] == [(MOST_BLOCKS,), ()]
    assert spec.stores[0].node.shape == (4,)
    short = generate(summed((1000,), (0,)), Target.of("avx512")).steps
    assert len(short) == 1
    assert split_reductions([short[0].spec], blocks_of) == [short[0].spec]


def test_a_variance_is_cut_twice() -> None:
    """The mean inside it is combined before the deviations are summed, and not once more for itself."""
    x = value(64, 8, 40, 40)
    y = ops.squared_deviations(x, axes=(0, 2, 3), keepdims=False)
    total = ops.sum(x, axes=(0, 2, 3), keepdims=False)
    steps = generate(Graph([x], [y, total]), Target.of("avx512")).steps
    assert len(steps) == 4  # the mean and the total are stored by one kernel
    steps = generate(Graph([x], [y]), Target.of("avx512")).steps
    assert [s.spec.stores[0].node.shape for s in steps] == [(64, 8), (8,), (64, 8), (8,)]


def test_column_sums_hold_vectors_side_by_side() -> None:
    run = build(summed((4096, 512), (0,)))
    (step, _) = run.program.steps
    assert isinstance(step.schedule, MapReduce)
    assert step.schedule.vectors > 1
    kernel = run.program.kernels[step.kernel]
    asm = run.text("asm")
    body = function(asm, f"{kernel.name}.range") or function(asm, kernel.name)
    assert all(asm_stats(loop).vector_spills == asm_stats(loop).calls == 0 for loop in inner_loops(body))


@pytest.mark.parametrize("schedule", [MapReduce(3), MapReduce(0), MapReduce(4, unroll=0), MapReduce(4, vectors=0)])
def test_a_schedule_of_no_sense_is_refused(schedule: MapReduce) -> None:
    with pytest.raises(ScheduleError, match="power of two"):
        generate(summed((20,), (0,)), Target.of("avx512"), override=lambda spec, chosen: schedule)
