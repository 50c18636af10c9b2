"""Register tiles of contractions, what is packed for them, and what is asked for ahead."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lucid.codegen.loops import Prefetch, statements
from lucid.codegen.program import Program, generate
from lucid.codegen.schedule import Contraction, Schedule
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.types import TensorType, float32
from lucid.ops import conv2d, matmul, transpose
from lucid.runtime.executable import build

AVX512, AVX2 = Target.of("avx512"), Target.of("avx2")


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def product(m: int, n: int, k: int) -> Graph:
    a, b = value(m, k), value(k, n)
    return Graph([a, b], [matmul(a, b)])


def tiles(program: Program) -> list[tuple[int, int]]:
    """Rows and vectors of each contraction."""
    found = [s.schedule for s in program.steps if isinstance(s.schedule, Contraction)]
    return [(int(np.prod([n for _, n in s.tile])), s.vectors) for s in found]


@pytest.mark.parametrize(
    ("target", "columns", "tile"),
    [
        (AVX512, 64, (6, 4)),
        (AVX512, 128, (6, 4)),
        (AVX512, 48, (9, 3)),
        (AVX512, 32, (14, 2)),
        (AVX512, 16, (14, 1)),
        (AVX2, 64, (6, 2)),
        (AVX2, 32, (6, 2)),
    ],
)
def test_tiles_fill_the_registers(target: Target, columns: int, tile: tuple[int, int]) -> None:
    assert tiles(generate(product(14 * 9 * 6, columns, 96), target)) == [tile]


@pytest.mark.parametrize(
    ("m", "n", "k", "packed"),
    [
        (1024, 1024, 1024, True),
        (1024, 1024, 32, False),  # few pages
        (1024, 512, 1024, False),  # two rows a page
        (64, 1024, 1024, False),  # read too seldom
    ],
)
def test_an_operand_on_scattered_pages_is_packed(m: int, n: int, k: int, packed: bool) -> None:
    program = generate(product(m, n, k), AVX512)
    assert len(program.steps) == 1 + packed


def test_large_results_are_asked_for_ahead() -> None:
    (step,) = generate(product(600, 256, 64), AVX512).steps
    assert isinstance(step.schedule, Contraction)
    assert step.schedule.ahead
    assert "ahead" in str(step.schedule)
    (small,) = generate(product(60, 64, 64), AVX512).steps
    assert isinstance(small.schedule, Contraction)
    assert not small.schedule.ahead


@pytest.mark.parametrize("columns", [64, 70])
def test_asking_ahead_changes_no_result(columns: int) -> None:
    x, w = value(2, 8, 9, 9), value(columns, 8, 3, 3)
    attrs = {"stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    graph = Graph([x, w], [conv2d(x, w, **attrs)])
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(n.shape).astype(np.float32) for n in graph.inputs]

    def ahead(on: bool) -> tuple[np.ndarray, int]:
        def override(_: object, schedule: Schedule) -> Schedule:
            return replace(schedule, ahead=on) if isinstance(schedule, Contraction) else schedule

        executable = build(graph, override=override)
        asked = sum(isinstance(s, Prefetch) for k in executable.program.kernels for s in statements(k.body))
        return executable(arrays)[0], asked

    (with_it, asked), (without, none) = ahead(True), ahead(False)
    assert asked
    assert not none
    np.testing.assert_array_equal(with_it, without)


@pytest.mark.parametrize(
    ("rows", "columns", "parameter", "along"),
    [
        (1, 1000, True, True),  # panels would not divide it
        (1, 1000, False, True),  # packing would take longer than multiplying
        (1, 1024, False, True),
        (1, 1024, True, False),  # packed once, and read in one run
        (2, 1000, True, False),  # a product of matrices
    ],
)
def test_a_matrix_is_multiplied_by_a_vector_as_it_lies(rows: int, columns: int, parameter: bool, along: bool) -> None:
    x, w = value(rows, 320), value(columns, 320)
    graph = Graph([x, w], [matmul(x, transpose(w, perm=(1, 0)))])
    program = generate(graph, AVX512, parameters=[w] if parameter else [])
    schedule = program.steps[-1].schedule
    assert isinstance(schedule, Contraction)
    assert (schedule.vector == schedule.reduce[-1]) is along
    if along:
        assert not program.prologue
        assert len(program.steps) == 1


@pytest.mark.parametrize(("columns", "length"), [(1000, 320), (7, 5), (1, 40), (33, 1), (10, 0), (40, 33)])
def test_a_matrix_times_a_vector(columns: int, length: int) -> None:
    x, w, b = value(1, length), value(columns, length), value(columns)
    graph = Graph([x, w, b], [matmul(x, transpose(w, perm=(1, 0))) + b])
    rng = np.random.default_rng(1)
    arrays = [rng.standard_normal(n.shape).astype(np.float32) for n in graph.inputs]
    exact = arrays[0].astype(np.float64) @ arrays[1].T + arrays[2]
    for parameters in ([], [w]):
        np.testing.assert_allclose(build(graph, parameters=parameters)(arrays)[0], exact, rtol=1e-5, atol=1e-5)
