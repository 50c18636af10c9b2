"""Executables: memory, in-place updates, prologues, odd arguments."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from lucid import ops
from lucid.codegen.target import Target
from lucid.errors import IRError
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build
from lucid.runtime.profile import profile

UNIT = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def random(*shape: int) -> np.ndarray:
    return np.random.default_rng(len(shape)).standard_normal(shape, np.float32)


def test_outputs_are_fresh_at_every_call() -> None:
    x = value(4, 5)
    run = build(Graph([x], [x * 2.0]))
    a = random(4, 5)
    (first,) = run([a])
    (second,) = run([a + 1])
    np.testing.assert_array_equal(first, a * 2)
    np.testing.assert_array_equal(second, (a + 1) * 2)


def test_an_input_may_be_an_output_and_an_output_may_repeat() -> None:
    x = value(3)
    y = x + 1.0
    a = random(3)
    results = build(Graph([x], [x, y, y]))([a])
    for got, want in zip(results, [a, a + 1, a + 1], strict=True):
        np.testing.assert_array_equal(got, want)
    assert not np.shares_memory(results[0], a)
    assert not np.shares_memory(results[1], results[2])


def test_arguments_need_not_be_contiguous() -> None:
    x = value(6, 4)
    run = build(Graph([x], [x + x]))
    a = random(4, 6)
    np.testing.assert_array_equal(run([a.T])[0], a.T * 2)
    np.testing.assert_array_equal(run([a.T])[0], a.T * 2)
    wide = random(6, 8)
    np.testing.assert_array_equal(run([wide[:, ::2]])[0], wide[:, ::2] * 2)


@pytest.mark.parametrize("wrong", [np.zeros((4, 6), np.float32), np.zeros((6, 4))])
def test_arguments_of_another_type_are_refused(wrong: np.ndarray) -> None:
    x = value(6, 4)
    with pytest.raises(IRError, match="in0"):
        build(Graph([x], [x + x]))([wrong])


def test_elements_may_be_absent() -> None:
    x = value(0, 4)
    total = ops.sum(x, axes=(0,), keepdims=False)
    results = build(Graph([x], [x * 2.0, total]))([np.zeros((0, 4), np.float32)])
    assert results[0].shape == (0, 4)
    np.testing.assert_array_equal(results[1], np.zeros(4, np.float32))


def test_a_sum_over_values_that_do_not_exist() -> None:
    """The summed value is computed by no kernel, yet something reads it."""
    x, y = value(0, 4), value(4)
    shared = ops.exp(x) * y
    total = ops.sum(shared, axes=(0,), keepdims=False) + y
    got, empty = build(Graph([x, y], [total, shared]))([np.zeros((0, 4), np.float32), np.ones(4, np.float32)])
    np.testing.assert_array_equal(got, np.ones(4, np.float32))
    assert empty.shape == (0, 4)


def test_an_update_is_written_over_its_input() -> None:
    w, g = value(16, 3), value(16, 3)
    run = build(Graph([w, g], [w - g * 0.5]), in_place={0: 0})
    a, b = random(16, 3), random(16, 3) + 1
    want = a - b * np.float32(0.5)
    (result,) = run([a, b])
    assert result is a
    np.testing.assert_array_equal(a, want)


def test_an_update_that_reads_elsewhere_in_its_input_is_still_right() -> None:
    w = value(5, 5)
    run = build(Graph([w], [ops.transpose(w, perm=(1, 0)) + w]), in_place={0: 0})
    a = random(5, 5)
    want = a.T + a
    run([a])
    np.testing.assert_array_equal(a, want)


def test_updates_that_read_each_other_use_the_old_values() -> None:
    a, b = value(7), value(7)
    run = build(Graph([a, b], [a + b, a - b]), in_place={0: 0, 1: 1})
    x, y = random(7), random(7) + 2
    want = x + y, x - y
    run([x, y])
    np.testing.assert_array_equal(x, want[0])
    np.testing.assert_array_equal(y, want[1])


def test_an_updated_value_that_other_outputs_read() -> None:
    m, g = value(9), value(9)
    momentum = m * 0.9 + g
    run = build(Graph([m, g], [momentum, ops.sum(momentum, axes=(0,), keepdims=False)]), in_place={0: 0})
    x, y = random(9), random(9) + 1
    want = x * np.float32(0.9) + y
    _, total = run([x, y])
    np.testing.assert_array_equal(x, want)
    np.testing.assert_allclose(total, want.sum(), rtol=1e-6)


def test_work_on_parameters_alone_runs_when_they_change() -> None:
    x, w = value(1, 8, 6, 6), value(8, 8, 3, 3)
    graph = Graph([x, w], [ops.conv2d(x, w, **UNIT)])
    run = build(graph, parameters=[w])
    assert run.program.prologue
    image, weight = random(1, 8, 6, 6), random(8, 8, 3, 3)
    np.testing.assert_allclose(run([image, weight])[0], evaluate(graph, [image, weight])[0], rtol=1e-4, atol=1e-4)
    stale = run([image, weight])[0]
    weight *= 2
    np.testing.assert_array_equal(run([image, weight], refresh=False)[0], stale)
    np.testing.assert_allclose(run([image, weight])[0], stale * 2, rtol=1e-5, atol=1e-5)


def test_a_halo_stays_zero_from_call_to_call() -> None:
    x, w = value(2, 4, 5, 5), value(4, 4, 3, 3)
    y = ops.conv2d(ops.relu(ops.conv2d(x, w, **UNIT)), w, **UNIT)
    graph = Graph([x, w], [y])
    run = build(graph)
    for k in range(3):
        arrays = [random(2, 4, 5, 5) + k, random(4, 4, 3, 3)]
        np.testing.assert_allclose(run(arrays)[0], evaluate(graph, arrays)[0], rtol=1e-4, atol=1e-3)


def test_calls_from_several_threads_do_not_mix() -> None:
    x = value(64, 64)
    run = build(Graph([x], [ops.matmul(x, x) + 1.0]))
    arrays = [np.full((64, 64), float(k), np.float32) for k in range(4)]
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(50):
            (got,) = run([arrays[k]])
            if not (got == 64.0 * k * k + 1).all():
                wrong.append(k)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_kernels_of_equal_structure_are_shared() -> None:
    inputs = [value(32) for _ in range(6)]
    run = build(Graph(inputs, [x * 2.0 + 1.0 for x in inputs]))
    assert len(run.program.steps) == 6
    assert len(run.program.kernels) == 1


def test_the_same_bits_every_time() -> None:
    x, w = value(3, 5, 9, 9), value(6, 5, 3, 3)
    y = ops.conv2d(x, w, **UNIT)
    graph = Graph([x, w], [ops.sum(ops.exp(y * 0.1), axes=(0, 2, 3), keepdims=False)])
    arrays = [random(3, 5, 9, 9), random(6, 5, 3, 3)]
    first = build(graph)
    np.testing.assert_array_equal(first(arrays)[0], first(arrays)[0])
    np.testing.assert_array_equal(first(arrays)[0], build(graph)(arrays)[0])
    assert first.text("llvm") == build(graph).text("llvm")


def test_a_profile_leaves_the_arguments_alone() -> None:
    w, g = value(64, 8), value(64, 8)
    run = build(Graph([w, g], [w - g]), in_place={0: 0}, target=Target.host())
    a, b = random(64, 8), random(64, 8)
    before = a.copy()
    times = profile(run, [a, b], repeats=2)
    np.testing.assert_array_equal(a, before)
    assert len(times) == 1
    assert times[0].bytes == 2 * 64 * 8 * 4
