"""Maps that read along one axis and store along another: tiles transposed in registers, exact for every shape."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid.codegen.asm import asm_stats, function
from lucid.codegen.loops import For, Write
from lucid.codegen.program import generate
from lucid.codegen.schedule import Transpose
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.errors import ScheduleError
from lucid.ir.graph import Array, Graph, input_node
from lucid.ir.types import TensorType, float32, type_of
from lucid.ops import add, cast, relu
from lucid.ops import transpose as swap
from lucid.runtime.executable import build

LEVELS = [t for t in ("avx512", "avx2") if Target.host().supports(Target.of(t))] or ["baseline"]
DTYPES = (np.float32, np.float64, np.int32, np.int64, np.uint8, np.float32)


def awkward(rng: np.random.Generator, shape: tuple[int, ...], dtype: Any) -> Array:
    if np.dtype(dtype).kind != "f":
        return rng.integers(0, 100, shape).astype(dtype)
    values = rng.standard_normal(shape).astype(dtype)
    special = rng.choice(np.array([np.nan, np.inf, -0.0], dtype), shape)
    return np.where(rng.random(shape) < 0.2, special, values)


def transposed_sum(x: Array, y: Array, perm: tuple[int, ...]) -> Graph:
    """relu(x transposed) + y: one operand across the direction of the result, one along it."""
    nodes = [input_node(type_of(x)), input_node(type_of(y))]
    turned = swap(nodes[0], perm=perm)
    return Graph(nodes, [add(relu(turned), nodes[1]), cast(turned, dtype=float32)])


def expected(x: Array, y: Array, perm: tuple[int, ...]) -> list[Array]:
    turned = x.transpose(perm)
    return [np.where(turned < 0, np.zeros_like(turned), turned) + y, turned.astype(np.float32)]


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_permutations_are_exact(data: st.DataObject) -> None:
    rank = data.draw(st.integers(2, 4))
    shape = tuple(data.draw(st.lists(st.integers(0, 37), min_size=rank, max_size=rank)))
    perm = tuple(data.draw(st.permutations(range(rank))))
    dtype = data.draw(st.sampled_from(DTYPES))
    rng = np.random.default_rng(rank)
    x = awkward(rng, shape, dtype)
    y = awkward(rng, x.transpose(perm).shape, dtype)
    run = build(transposed_sum(x, y, perm), target=Target.of(data.draw(st.sampled_from(LEVELS))))
    for got, want in zip(run([x, y]), expected(x, y, perm), strict=True):
        np.testing.assert_array_equal(got, want)


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_legal_schedule_computes_the_same(data: st.DataObject) -> None:
    rng = np.random.default_rng(3)
    shape, perm = data.draw(st.sampled_from([((2, 5, 3, 9), (0, 2, 3, 1)), ((17, 4), (1, 0)), ((3, 6, 7), (2, 1, 0))]))
    x = awkward(rng, shape, np.float32)
    y = awkward(rng, x.transpose(perm).shape, np.float32)
    used: list[Transpose] = []

    def override(spec: Any, schedule: Any) -> Any:
        assert isinstance(schedule, Transpose)
        lanes, outer = data.draw(st.sampled_from([2, 4, 8, 16])), tuple(data.draw(st.permutations(schedule.outer)))
        used.append(Transpose(lanes, schedule.load, schedule.store, outer))
        return used[-1]

    program = generate(transposed_sum(x, y, perm), Target.of("avx512"), override=override)
    assert len(used) == 2
    for got, want in zip(simulate(program, [x, y]), expected(x, y, perm), strict=True):
        np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"lanes": 3}, "power of two"),
        ({"outer": ("i1",)}, "does not name the axes"),
        ({"load": "i1", "store": "i1"}, "two different axes"),
        ({"load": "i1", "store": "i0"}, "not contiguous in the result"),
    ],
)
def test_an_illegal_schedule_is_refused(change: dict[str, Any], words: str) -> None:
    x = np.zeros((20, 30), np.float32)
    graph = Graph([node := input_node(type_of(x))], [swap(node, perm=(1, 0))])

    def override(spec: Any, schedule: Any) -> Any:
        given = {k: getattr(schedule, k) for k in ("lanes", "load", "store", "outer")}
        return Transpose(**{**given, **change})

    with pytest.raises(ScheduleError, match=words):
        generate(graph, Target.of("avx512"), override=override)


@pytest.mark.parametrize("level", LEVELS)
def test_a_tile_is_loads_shuffles_and_stores(level: str) -> None:
    """As many vector stores as vectors, no gather, no element moved alone, no spill."""
    x = np.zeros((2, 64, 30, 40), np.float32)
    graph = Graph([node := input_node(type_of(x))], [swap(node, perm=(0, 2, 3, 1))])
    run = build(graph, target=Target.of(level))
    asm = run.text("asm")
    body = function(asm, "k0.range") or function(asm, "k0")
    stats = asm_stats(body)
    assert stats.vector_spills == stats.reloads == stats.calls == 0
    assert "gather" not in body
    assert "insertps" not in body
    assert "vmovss" not in body


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("dtype", "channels"), [(np.float32, 3), (np.float64, 2), (np.uint8, 4), (np.float32, 5)])
def test_short_rows_are_exact(dtype: Any, channels: int, level: str) -> None:
    rng = np.random.default_rng(1)
    for size in (3, 21):
        x = awkward(rng, (2, channels, 2, size), dtype)
        y = awkward(rng, (2, 2, size, channels), dtype)
        run = build(transposed_sum(x, y, (0, 2, 3, 1)), target=Target.of(level))
        for got, want in zip(run([x, y]), expected(x, y, (0, 2, 3, 1)), strict=True):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("level", LEVELS)
def test_pictures_are_stored_in_whole_vectors(level: str) -> None:
    """Three channels take three stores a tile, not one for every pixel."""
    graph = Graph([node := input_node(TensorType((2, 3, 8, 64), float32))], [swap(node, perm=(0, 2, 3, 1))])
    run = build(graph, target=Target.of(level))
    (step,) = run.program.steps
    assert isinstance(step.schedule, Transpose)
    body = run.program.kernels[step.kernel].body
    while not any(isinstance(s, Write) for s in body):
        body = next(s.body for s in body if isinstance(s, For))
    writes = [s for s in body if isinstance(s, Write)]
    assert len(writes) == 3
    assert all(w.mask is None for w in writes)
    stats = asm_stats(function(run.text("asm"), "k0.range") or function(run.text("asm"), "k0"))
    assert stats.vector_spills == stats.reloads == stats.calls == 0
