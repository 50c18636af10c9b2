"""Results that go past the caches, and rows that are reduced side by side: chosen where they pay, and right."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import ops
from lucid.codegen.emit import emit_kernel
from lucid.codegen.loops import Write, statements
from lucid.codegen.program import Program, generate
from lucid.codegen.schedule import MapReduce
from lucid.codegen.target import Target
from lucid.errors import ScheduleError
from lucid.ir.graph import Array, Graph, Node, input_node
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build

AVX512 = Target.of("avx512")
#: So that small arrays count as large ones.
SMALL_CACHE = replace(Target.host(), l3=1024)
LANES = Target.host().lanes(float32)


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def normal(*shape: int) -> Array:
    return np.random.default_rng(7).standard_normal(shape).astype(np.float32)


def schedules(program: Program) -> list[MapReduce]:
    return [s.schedule for s in program.steps if isinstance(s.schedule, MapReduce)]


def streams(program: Program) -> bool:
    return any(isinstance(s, Write) and s.stream for k in program.kernels for s in statements(k.body))


@pytest.mark.parametrize(
    ("shape", "streamed"),
    [((4096, 1024), True), ((1024, 1024), False), ((4200, 1000), True), ((2**22,), True), ((2**22 + 5,), True)],
)
def test_large_results_are_streamed(shape: tuple[int, ...], streamed: bool) -> None:
    x = value(*shape)
    program = generate(Graph([x], [ops.relu(x)]), AVX512)
    assert streams(program) is streamed


def test_rows_that_do_not_begin_on_a_cache_line_are_not() -> None:
    x, a = value(4200, 1000), value(1000)
    assert not streams(generate(Graph([x, a], [x * a]), AVX512))
    x, a = value(4200, 1008), value(1008)
    assert streams(generate(Graph([x, a], [x * a]), AVX512))


def test_updates_in_a_users_memory_are_not() -> None:
    x, g = value(4096, 1024), value(4096, 1024)
    graph = Graph([x, g], [ops.relu(g)])
    assert streams(generate(graph, AVX512))
    assert not streams(generate(graph, AVX512, in_place={0: 0}))


def test_an_update_of_memory_that_begins_anywhere_is_safe() -> None:
    """The very same kernel as that of an output, which is streamed."""
    x, g = value(96, 96), value(96, 96)
    run = build(Graph([x, g], [ops.neg(g), ops.neg(g * 2.0)]), in_place={0: 0}, target=SMALL_CACHE)
    raw = np.zeros(96 * 96 + 5, np.float32)
    for start in (1, 3, 5):
        target, array = raw[start : start + 96 * 96].reshape(96, 96), normal(96, 96)
        results = run([target, array])
        np.testing.assert_array_equal(target, -array)
        np.testing.assert_array_equal(results[1], -array * 2)


@pytest.mark.parametrize("shape", [(200, 48), (131, 64), (3, 50, 16, 32), (100, 100), (20, 48)])
@pytest.mark.parametrize("threads", [1, 2])
def test_streamed_results_are_right(shape: tuple[int, ...], threads: int) -> None:
    x, a = value(*shape), value(shape[-1])
    graph = Graph([x, a], [ops.tanh(x * a) + x])
    arrays = [normal(*shape), normal(shape[-1])]
    before = lucid.get_num_threads()
    lucid.set_num_threads(threads)
    try:
        run = build(graph, target=SMALL_CACHE)
        assert streams(run.program) is (shape[-1] % LANES == 0 and shape[0] != 20)
        for _ in range(3):
            (result,) = run(arrays)
            np.testing.assert_array_equal(result, build(graph)(arrays)[0])
    finally:
        lucid.set_num_threads(before)


def test_streams_are_stores_that_a_fence_follows() -> None:
    x = value(4096, 1024)
    run = build(Graph([x], [ops.relu(x)]), target=SMALL_CACHE)
    if Target.host().triple.startswith("x86_64"):
        text = run.text("asm")
        assert "vmovntps" in text or "movntps" in text
        assert "sfence" in text


def summed(shape: tuple[int, int], *, shared: bool) -> Graph:
    x, a = value(*shape), value(shape[1])
    return Graph([x, a], [ops.sum(ops.relu(x * a + 1.0) if shared else ops.relu(x), axes=(1,), keepdims=False)])


def test_rows_that_share_operands_run_side_by_side() -> None:
    def beside(graph: Graph) -> list[int]:
        return [s.beside for s in schedules(generate(graph, AVX512))]

    assert beside(summed((100, 512), shared=True)) == [8]
    assert beside(summed((100, 512), shared=False)) == [1]


@pytest.mark.parametrize("shape", [(9, 33), (4, 64), (3, 64), (130, 300), (1, 7), (5, 1)])
@pytest.mark.parametrize("beside", [4, 8])
def test_rows_side_by_side_give_what_single_rows_give(shape: tuple[int, int], beside: int) -> None:
    graph, arrays = summed(shape, shared=True), [normal(*shape), normal(shape[1])]

    def override(spec: Any, schedule: Any) -> Any:
        return replace(schedule, beside=beside, unroll=4) if isinstance(schedule, MapReduce) else schedule

    (result,) = build(graph, override=override)(arrays)
    exact = np.maximum(arrays[0].astype(np.float64) * arrays[1] + 1, 0).sum(1)
    np.testing.assert_allclose(result, exact, rtol=1e-5, atol=1e-5)


def test_what_rows_share_is_read_once() -> None:
    (kernel,) = generate(summed((64, 256), shared=True), AVX512).kernels
    text = emit_kernel(kernel, AVX512, symbol="f").text
    # Of each of eight rows, and of what they share.
    assert text.count("load <16 x float>") == 8 + 1


def scaled(n: int, m: int) -> Graph:
    x, a, b = value(n, m), value(m), value(m)
    return Graph([x, a, b], [ops.relu(x * a + b)])


@pytest.mark.parametrize(
    ("shape", "tile"),
    [
        ((4096, 4096), (4, 64)),
        ((4095, 4096), (5, 64)),
        ((4099, 4096), None),  # a prime number of rows
        ((16384, 1024), None),  # what rows share fits
        ((4096, 4100), None),
    ],
)
def test_rows_that_share_more_than_the_first_cache_holds_run_in_tiles(
    shape: tuple[int, int], tile: tuple[int, int] | None
) -> None:
    assert [s.tile for s in schedules(generate(scaled(*shape), AVX512))] == [tile]


@pytest.mark.parametrize(
    ("shape", "tile"), [((8, 128), (4, 64)), ((6, 96), (3, 32)), ((5, 64), (5, 16)), ((2, 3, 64), (3, 64))]
)
def test_tiles_give_what_rows_give(shape: tuple[int, ...], tile: tuple[int, int]) -> None:
    x, a = value(*shape), value(shape[-1])
    graph, arrays = Graph([x, a], [ops.exp(x) * a]), [normal(*shape), normal(shape[-1])]
    plain = build(graph)(arrays)[0]

    def override(spec: Any, schedule: Any) -> Any:
        return replace(schedule, tile=tile) if isinstance(schedule, MapReduce) else schedule

    np.testing.assert_array_equal(build(graph, override=override)(arrays)[0], plain)


def test_tiles_that_do_not_divide_are_refused() -> None:
    with pytest.raises(ScheduleError, match="do not divide"):
        generate(scaled(9, 64), AVX512, override=lambda spec, schedule: replace(schedule, tile=(4, 64)))
