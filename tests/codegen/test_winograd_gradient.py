"""The gradient to 3 x 3 weights by Winograd's algorithm against float64: any shape, schedule, number, thread count."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import lucid
from lucid.codegen.asm import asm_stats, function, inner_loops
from lucid.codegen.program import Program, generate
from lucid.codegen.schedule import WinogradGradient
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.errors import ScheduleError
from lucid.ir.graph import Array, Graph, input_node
from lucid.ir.types import type_of
from lucid.ops import conv2d_weight_grad, relu
from lucid.runtime.executable import build

LEVELS = [t for t in ("avx512", "avx2") if Target.host().supports(Target.of(t))] or ["baseline"]


def attributes(padding: int, dilation: tuple[int, int] = (1, 1), groups: int = 1) -> dict[str, Any]:
    sides = ((padding, padding),) * 2
    return {"stride": (1, 1), "padding": sides, "dilation": dilation, "groups": groups, "kernel_size": (3, 3)}


def operands(
    n: int, c: int, o: int, height: int, width: int, padding: int, dilation: tuple[int, int] = (1, 1)
) -> tuple[Array, Array]:
    """An image, and a gradient to the convolution's output."""
    rng = np.random.default_rng(c)
    size = (height + 2 * padding - 2 * dilation[0], width + 2 * padding - 2 * dilation[1])
    return rng.standard_normal((n, c, height, width), np.float32), rng.standard_normal((n, o, *size), np.float32)


def gradient(x: Array, g: Array, padding: int, **more: Any) -> Graph:
    nodes = [input_node(type_of(a)) for a in (x, g)]
    return Graph(nodes, [conv2d_weight_grad(*nodes, **attributes(padding, **more))])


def found(program: Program) -> list[WinogradGradient]:
    return [s.schedule for s in program.steps if isinstance(s.schedule, WinogradGradient)]


def bound(x: Array, g: Array, padding: int, **more: Any) -> tuple[Array, Array]:
    """The result in float64, and how far from it float32 may be."""
    attrs = attributes(padding, **more)
    exact = conv2d_weight_grad.evaluate(x.astype(np.float64), g.astype(np.float64), **attrs)
    size = conv2d_weight_grad.evaluate(np.abs(x).astype(np.float64), np.abs(g).astype(np.float64), **attrs)
    length = g[:, 0].size
    return exact, (4 + 2 * np.sqrt(length)) * 1.5 * np.finfo(np.float32).eps * size


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_layers_are_as_exact_as_sums_of_products(data: st.DataObject) -> None:
    n, padding = data.draw(st.integers(1, 5)), data.draw(st.integers(0, 2))
    height, width = data.draw(st.integers(6, 15)), data.draw(st.integers(6, 15))
    c, o = data.draw(st.integers(8, 50)), 16 * data.draw(st.integers(1, 5))
    x, g = operands(n, c, o, height, width, padding)
    run = build(gradient(x, g, padding), target=Target.of(data.draw(st.sampled_from(LEVELS))))
    assume(found(run.program))
    (got,) = run([x, g])
    exact, error = bound(x, g, padding)
    assert (np.abs(got - exact) <= error).all()


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_groups_and_dilations(data: st.DataObject) -> None:
    n, padding, groups = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2)), data.draw(st.integers(1, 3))
    dilation = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    height, width = (data.draw(st.integers(6 * d, 6 * d + 9)) for d in dilation)
    c, o = (groups * data.draw(st.sampled_from([16, 32, 48])) for _ in range(2))
    x, g = operands(n, c, o, height, width, padding, dilation)
    more = {"dilation": dilation, "groups": groups}
    run = build(gradient(x, g, padding, **more), target=Target.of(data.draw(st.sampled_from(LEVELS))))
    assume(found(run.program))
    (got,) = run([x, g])
    exact, error = bound(x, g, padding, **more)
    assert (np.abs(got - exact) <= error).all()


@pytest.mark.parametrize(
    "shape", [(2, 64, 64, 28, 28), (8, 16, 16, 20, 21), (9, 32, 16, 32, 11), (1, 16, 32, 64, 33), (2, 16, 16, 96, 32)]
)
def test_long_sums_are_cut_for_threads(shape: tuple[int, int, int, int, int]) -> None:
    """Into parts of images, or of an even number of rows, that are added up at the end; all give the right sums."""
    x, g = operands(*shape, 1)
    run = build(gradient(x, g, 1))
    assert found(run.program)
    parts = run.program.steps[-1].spec.sources
    if g[:, 0].size * 9 * shape[1] * shape[2] > 2**24:
        assert len(parts[0].shape) == 5
    (got,) = run([x, g])
    exact, error = bound(x, g, 1)
    assert (np.abs(got - exact) <= error).all()


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_legal_schedule_computes_the_same(data: st.DataObject) -> None:
    x, g = operands(2, 18, 32, 7, 6, 1)
    used: list[WinogradGradient] = []

    def override(spec: Any, schedule: Any) -> Any:
        if not isinstance(schedule, WinogradGradient):
            return schedule
        held = data.draw(st.sampled_from([1, 2, 3, 6, 9, 18]))
        wide, vectors = data.draw(st.sampled_from([(16, 1), (32, 1), (32, 2)]))
        tile, block = data.draw(st.integers(1, held + 1)), data.draw(st.integers(1, 30))
        used.append(WinogradGradient(16, vectors, tile, held, wide, block, data.draw(st.integers(1, 5))))
        return used[-1]

    program = generate(gradient(x, g, 1), Target.of("avx512"), override=override)
    assert used
    exact, error = bound(x, g, 1)
    (got,) = simulate(program, [x, g])
    assert (np.abs(got - exact) <= error).all()


@pytest.mark.parametrize("fields", [(2, 5, 32, 8), (2, 18, 16, 8), (1, 0, 16, 8), (1, 18, 48, 8), (2, 18, 32, 0)])
def test_an_illegal_schedule_is_refused(fields: tuple[int, int, int, int]) -> None:
    x, g = operands(2, 18, 32, 7, 6, 1)
    vectors, held, wide, block = fields

    def override(spec: Any, schedule: Any) -> Any:
        if not isinstance(schedule, WinogradGradient):
            return schedule
        return WinogradGradient(16, vectors, 3, held, wide, block)

    with pytest.raises(ScheduleError, match=r"does not divide|at least 1"):
        generate(gradient(x, g, 1), Target.of("avx512"), override=override)


def test_what_is_not_finite_stays_where_it_is() -> None:
    """An infinity or NaN, or a sum of a tile that overflows, touches the results it touches in the direct nest."""
    x, g = operands(2, 32, 32, 12, 11, 1)
    x[0, 3, 4, 5], x[0, 7, 11, 10], g[1, 5, 0, 0] = np.inf, np.nan, -np.inf
    x[1, 20, 6, 6:8] = 2e38  # twice that is beyond float32, but not what small factors make of it
    g *= 1e-3
    run = build(gradient(x, g, 1))
    assert found(run.program)
    (got,) = run([x, g])
    with np.errstate(all="ignore"):
        want = conv2d_weight_grad.evaluate(x, g, **attributes(1))
    assert np.isnan(want).any()
    assert np.isinf(want).any()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want))
    finite = np.isfinite(want)
    exact, error = bound(np.where(np.isfinite(x), x, 0), np.where(np.isfinite(g), g, 0), 1)
    assert (np.abs(got - exact) <= error)[finite].all()


def test_parts_of_one_image_each_are_not_taken_for_channels() -> None:
    x, g = operands(4, 32, 64, 28, 28, 1)
    run = build(gradient(x, g, 1))
    assert found(run.program)
    exact, error = bound(x, g, 1)
    (got,) = run([x, g])
    assert (np.abs(got - exact) <= error).all()


def test_bits_do_not_depend_on_threads() -> None:
    x, g = operands(8, 32, 48, 19, 18, 1)
    run = build(gradient(x, g, 1))
    assert found(run.program)
    before = lucid.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4, 8):
            lucid.set_num_threads(threads)
            results += [run([x, g])[0] for _ in range(3)]
    finally:
        lucid.set_num_threads(before)
    assert all((r == results[0]).all() for r in results)


@pytest.mark.parametrize("level", LEVELS)
def test_the_products_are_multiply_adds_in_registers(level: str) -> None:
    x, g = operands(4, 32, 64, 16, 16, 1)
    run = build(gradient(x, g, 1), target=Target.of(level))
    (schedule,) = found(run.program)
    (step,) = [s for s in run.program.steps if isinstance(s.schedule, WinogradGradient)]
    body = function(run.text("asm"), f"{run.program.kernels[step.kernel].name}.range")
    most = max((asm_stats(loop) for loop in inner_loops(body)), key=lambda s: s.fma)
    assert most.fma == schedule.unroll * schedule.tile * schedule.vectors
    assert most.vector_spills == 0


def test_an_image_may_leave_the_graph_too() -> None:
    """It then lies as it must go out, and is copied."""
    x, g = operands(1, 16, 16, 12, 12, 1)
    nodes = [input_node(type_of(a)) for a in (x, g)]
    image = relu(nodes[0])
    run = build(Graph(nodes, [image, conv2d_weight_grad(image, nodes[1], **attributes(1))]))
    assert found(run.program)
    shown, got = run([x, g])
    np.testing.assert_array_equal(shown, np.maximum(x, 0))
    exact, error = bound(np.maximum(x, 0), g, 1)
    assert (np.abs(got - exact) <= error).all()
