"""Winograd's algorithm against float64 and the direct nest: any shape, any schedule, any number, any thread count."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import lucid
from lucid.codegen.loops import For, Prefetch, statements
from lucid.codegen.program import generate
from lucid.codegen.schedule import Winograd
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.errors import ScheduleError
from lucid.ir.graph import Array, Graph, Node, input_node
from lucid.ir.types import type_of
from lucid.ops import add, conv2d, conv2d_input_grad, relu, reshape
from lucid.runtime.executable import build

LEVELS = [t for t in ("avx512", "avx2") if Target.host().supports(Target.of(t))] or ["baseline"]


def attributes(padding: int, dilation: tuple[int, int] = (1, 1), groups: int = 1) -> dict[str, Any]:
    return {"stride": (1, 1), "padding": ((padding, padding),) * 2, "dilation": dilation, "groups": groups}


def layer(x: Array, w: Array, b: Array, padding: int, **more: Any) -> tuple[Graph, list[Node]]:
    """relu(conv(x, w) + b), and the weights that seldom change."""
    nodes = [input_node(type_of(a)) for a in (x, w, b)]
    y = conv2d(nodes[0], nodes[1], **attributes(padding, **more))
    return Graph(nodes, [relu(add(y, reshape(nodes[2], shape=(1, b.size, 1, 1))))]), nodes[1:]


def convolved(x: Array, w: Array, padding: int, hoisted: bool = True, **more: Any) -> Array:
    """The compiled convolution, by Winograd's algorithm."""
    nodes = [input_node(type_of(a)) for a in (x, w)]
    graph = Graph(nodes, [conv2d(*nodes, **attributes(padding, **more))])
    parameters = nodes[1:] if hoisted else []
    assert schedules(graph, parameters, Target.host())
    (result,) = build(graph, parameters=parameters)([x, w])
    return result


def schedules(graph: Graph, parameters: list[Node], target: Target) -> list[Winograd]:
    program = generate(graph, target, parameters=parameters)
    return [s.schedule for s in program.steps if isinstance(s.schedule, Winograd)]


def bound(x: Array, w: Array, attrs: dict[str, Any], b: Array | None = None) -> tuple[Array, Array]:
    """The result in float64, and how far from it float32 may be."""
    exact = conv2d.evaluate(x.astype(np.float64), w.astype(np.float64), **attrs)
    size = conv2d.evaluate(np.abs(x).astype(np.float64), np.abs(w).astype(np.float64), **attrs)
    if b is not None:
        exact, size = exact + b[:, None, None], size + np.abs(b)[:, None, None]
    length = w[0].size
    return exact, (4 + 2 * np.sqrt(length)) * 1.5 * np.finfo(np.float32).eps * size


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_random_layers_are_as_exact_as_sums_of_products(data: st.DataObject) -> None:
    n, padding = data.draw(st.integers(1, 3)), data.draw(st.integers(0, 2))
    height, width = data.draw(st.integers(6, 15)), data.draw(st.integers(6, 15))
    c, o = data.draw(st.integers(16, 50)), 16 * data.draw(st.integers(1, 5))
    rng = np.random.default_rng(c)
    x, w = rng.standard_normal((n, c, height, width), np.float32), rng.standard_normal((o, c, 3, 3), np.float32)
    b = rng.standard_normal(o).astype(np.float32)
    target = Target.of(data.draw(st.sampled_from(LEVELS)))
    graph, parameters = layer(x, w, b, padding)
    assume(schedules(graph, parameters, target))
    (got,) = build(graph, parameters=parameters, target=target)([x, w, b])
    exact, error = bound(x, w, attributes(padding), b)
    assert (np.abs(got - np.maximum(exact, 0)) <= error).all()


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_groups_dilations_and_any_number_of_channels(data: st.DataObject) -> None:
    """Forward and the gradient to the input, with tiles that interleave and panels that are not full."""
    n, padding, groups = (
        data.draw(st.integers(1, 2)),
        data.draw(st.integers(0, 2)),
        data.draw(st.sampled_from([1, 2, 3])),
    )
    dilation = data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    height, width = (data.draw(st.integers(6 * d, 6 * d + 9)) for d in dilation)
    if groups == 1:
        c, o = data.draw(st.integers(8, 40)), data.draw(st.integers(8, 70))
    else:
        c, o = (groups * data.draw(st.sampled_from([8, 16, 32, 48])) for _ in range(2))
    attrs = attributes(padding, dilation, groups)
    rng = np.random.default_rng(c)
    x, w = (
        rng.standard_normal((n, c, height, width), np.float32),
        rng.standard_normal((o, c // groups, 3, 3), np.float32),
    )
    b = rng.standard_normal(o).astype(np.float32)
    target = Target.of(data.draw(st.sampled_from(LEVELS)))
    graph, parameters = layer(x, w, b, padding, dilation=dilation, groups=groups)
    (got,) = build(graph, parameters=parameters, target=target)([x, w, b])
    exact, error = bound(x, w, attrs, b)
    assert (np.abs(got - np.maximum(exact, 0)) <= error).all()
    g = rng.standard_normal(exact.shape).astype(np.float32)
    check_input_gradient(g, w, {**attrs, "input_size": (height, width)}, target)


@pytest.mark.parametrize(
    ("channels", "outputs", "dilation", "groups"),
    [(17, 100, (1, 1), 1), (32, 24, (1, 1), 1), (64, 64, (1, 1), 4), (32, 32, (2, 3), 1), (64, 96, (2, 2), 2)],
)
def test_where_it_runs(channels: int, outputs: int, dilation: tuple[int, int], groups: int) -> None:
    x, w = np.zeros((2, channels, 20, 20), np.float32), np.zeros((outputs, channels // groups, 3, 3), np.float32)
    graph, parameters = layer(x, w, np.zeros(outputs, np.float32), 1, dilation=dilation, groups=groups)
    assert schedules(graph, parameters, Target.of("avx512"))
    assert schedules(graph, parameters, Target.of("avx2"))


def check_input_gradient(g: Array, w: Array, attrs: dict[str, Any], target: Target) -> bool:
    """Whether it runs by Winograd's algorithm; right it must be."""
    nodes = [input_node(type_of(a)) for a in (g, w)]
    graph = Graph(nodes, [conv2d_input_grad(*nodes, **attrs)])
    run = build(graph, parameters=nodes[1:], target=target)
    exact = conv2d_input_grad.evaluate(g.astype(np.float64), w.astype(np.float64), **attrs)
    near = conv2d_input_grad.evaluate(np.abs(g).astype(np.float64), np.abs(w).astype(np.float64), **attrs)
    error = (4 + 2 * np.sqrt(w.shape[0] // attrs["groups"] * 9)) * 1.5 * np.finfo(np.float32).eps * near
    (got,) = run([g, w])
    assert (np.abs(got - exact) <= error).all()
    return any(isinstance(s.schedule, Winograd) for s in run.program.steps)


@pytest.mark.parametrize("padding", [0, 1, 2])
def test_the_gradient_to_the_input_is_such_a_convolution(padding: int) -> None:
    rng = np.random.default_rng(padding)
    g, w = rng.standard_normal((2, 32, 9, 12), np.float32), rng.standard_normal((32, 48, 3, 3), np.float32)
    size = tuple(n + 2 - 2 * padding for n in g.shape[2:])
    assert check_input_gradient(g, w, {**attributes(padding), "input_size": size}, Target.host())


@settings(max_examples=15, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_any_legal_schedule_computes_the_same(data: st.DataObject) -> None:
    rng = np.random.default_rng(5)
    x, w = rng.standard_normal((2, 17, 7, 6), np.float32), rng.standard_normal((32, 17, 3, 3), np.float32)
    b = rng.standard_normal(32).astype(np.float32)
    graph, parameters = layer(x, w, b, 1)
    used: list[Winograd] = []

    def override(spec: Any, schedule: Any) -> Any:
        if not isinstance(schedule, Winograd):
            return schedule
        block = data.draw(st.integers(1, 30))
        tile, unroll = data.draw(st.integers(1, min(block, 6))), data.draw(st.integers(1, 5))
        used.append(Winograd(schedule.lanes, schedule.vectors, block, tile, unroll=unroll))
        return used[-1]

    program = generate(graph, Target.of("avx512"), parameters=parameters, override=override)
    assert used
    exact, error = bound(x, w, attributes(1), b)
    (got,) = simulate(program, [x, w, b])
    assert (np.abs(got - np.maximum(exact, 0)) <= error).all()


@pytest.mark.parametrize(("lanes", "block", "tile"), [(16, 4, 5), (8, 4, 2), (16, 0, 0)])
def test_an_illegal_schedule_is_refused(lanes: int, block: int, tile: int) -> None:
    x, w, b = np.zeros((1, 16, 8, 8), np.float32), np.zeros((32, 16, 3, 3), np.float32), np.zeros(32, np.float32)
    graph, parameters = layer(x, w, b, 1)

    def override(spec: Any, schedule: Any) -> Any:
        return Winograd(lanes, 2, block, tile) if isinstance(schedule, Winograd) else schedule

    with pytest.raises(ScheduleError, match="does not tile"):
        generate(graph, Target.of("avx512"), parameters=parameters, override=override)


def test_fewer_outputs_than_lanes_are_summed_directly() -> None:
    x, w, b = np.zeros((1, 16, 8, 8), np.float32), np.zeros((8, 16, 3, 3), np.float32), np.zeros(8, np.float32)
    graph, parameters = layer(x, w, b, 1)
    assert not schedules(graph, parameters, Target.of("avx512"))


def test_what_is_not_finite_stays_where_it_is() -> None:
    """An infinity or NaN, or a sum of a tile that overflows, touches the outputs it touches in the direct nest."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 32, 12, 11), np.float32), rng.standard_normal((32, 32, 3, 3), np.float32)
    x[0, 3, 4, 5], x[0, 7, 11, 10], x[1, 0, 0, 0] = np.inf, np.nan, -np.inf
    x[1, :, 6, 6:8] = 2e38  # twice that is beyond float32, but not what small weights make of it
    w *= 1e-3
    w[5, 2, 1, 1] = 0.0
    got = convolved(x, w, 1)
    with np.errstate(all="ignore"):
        want = conv2d.evaluate(x, w, **attributes(1))
    assert np.isnan(want).any()
    assert np.isinf(want).any()
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want))
    finite = np.isfinite(want)
    exact, error = bound(np.where(np.isfinite(x), x, 0), w, attributes(1))
    assert (np.abs(got - exact) <= error)[finite].all()


@pytest.mark.parametrize("hoisted", [True, False])
@pytest.mark.parametrize(("outputs", "dilation", "groups"), [(40, (1, 1), 1), (64, (1, 1), 2), (32, (2, 3), 1)])
def test_what_is_not_finite_stays_in_its_group(
    outputs: int, dilation: tuple[int, int], groups: int, hoisted: bool
) -> None:
    rng = np.random.default_rng(3)
    x, w = (
        rng.standard_normal((1, 32, 20, 21), np.float32),
        rng.standard_normal((outputs, 32 // groups, 3, 3), np.float32),
    )
    x[0, 3, 4, 5], x[0, 20, 11, 10] = np.inf, np.nan
    got = convolved(x, w, 1, hoisted, dilation=dilation, groups=groups)
    with np.errstate(all="ignore"):
        want = conv2d.evaluate(x, w, **attributes(1, dilation, groups))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want))


def test_infinite_weights_give_what_the_direct_nest_gives() -> None:
    rng = np.random.default_rng(2)
    x, w = rng.standard_normal((1, 16, 8, 8), np.float32), rng.standard_normal((32, 16, 3, 3), np.float32)
    w[3, 2, 0, 1], w[30, 0, 2, 2] = np.inf, np.nan
    got = convolved(x, w, 0)
    with np.errstate(all="ignore"):
        want = conv2d.evaluate(x, w, **attributes(0))
    np.testing.assert_array_equal(np.isnan(got), np.isnan(want))
    np.testing.assert_array_equal(np.isinf(got), np.isinf(want))


def test_bits_do_not_depend_on_threads() -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((3, 64, 19, 18), np.float32), rng.standard_normal((96, 64, 3, 3), np.float32)
    b = rng.standard_normal(96).astype(np.float32)
    graph, parameters = layer(x, w, b, 1)
    run = build(graph, parameters=parameters)
    assert schedules(graph, parameters, Target.host())
    before = lucid.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 4, 8):
            lucid.set_num_threads(threads)
            results += [run([x, w, b])[0] for _ in range(3)]
    finally:
        lucid.set_num_threads(before)
    assert all((r == results[0]).all() for r in results)


@pytest.mark.parametrize(("images", "size"), [(1, 8), (3, 19)])
def test_bits_do_not_depend_on_how_many_threads_the_code_is_made_for(images: int, size: int) -> None:
    rng = np.random.default_rng(1)
    x, w = rng.standard_normal((images, 32, size, size), np.float32), rng.standard_normal((384, 32, 3, 3), np.float32)
    b = rng.standard_normal(384).astype(np.float32)
    graph, parameters = layer(x, w, b, 1)
    results, parts = [], set()
    for threads in (1, 2, 3, 8):
        run = build(graph, parameters=parameters, target=replace(Target.host(), threads=threads))
        parts |= {s.schedule.parts for s in run.program.steps if isinstance(s.schedule, Winograd)}
        results.append(run([x, w, b])[0])
    assert len(parts) > 1
    assert all((r == results[0]).all() for r in results)


def test_weights_that_do_not_fit_the_cache_are_fetched_ahead() -> None:
    x, w = np.zeros((1, 256, 8, 8), np.float32), np.zeros((256, 256, 3, 3), np.float32)
    graph, parameters = layer(x, w, np.zeros(256, np.float32), 1)
    program = generate(graph, Target.of("avx512"), parameters=parameters)
    (step,) = [s for s in program.steps if isinstance(s.schedule, Winograd)]
    assert step.schedule.ahead
    found = [s for s in statements(program.kernels[step.kernel].body) if isinstance(s, Prefetch)]
    assert {s.buffer.size for s in found} == {16 * 256 * 256}


def test_sums_of_products_can_be_asked_for() -> None:
    x, w, b = np.zeros((1, 32, 8, 8), np.float32), np.zeros((32, 32, 3, 3), np.float32), np.zeros(32, np.float32)
    graph, parameters = layer(x, w, b, 1)
    assert schedules(graph, parameters, Target.host())
    assert not schedules(graph, parameters, replace(Target.host(), winograd=False))


@pytest.mark.parametrize(("asked", "winograd"), [("0", False), ("1", True), ("", True)])
def test_the_environment_says_whether_sums_of_products_are_asked_for(asked: str, winograd: bool) -> None:
    code = "from lucid.codegen.target import Target; print(Target.host().winograd)"
    environment = {**os.environ, "LUCID_WINOGRAD": asked}
    shown = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == str(winograd)


def test_weights_are_transformed_once() -> None:
    """The transform of weights that are parameters runs in the prologue."""
    x, w, b = np.zeros((1, 32, 8, 8), np.float32), np.zeros((32, 32, 3, 3), np.float32), np.zeros(32, np.float32)
    graph, parameters = layer(x, w, b, 1)
    program = generate(graph, Target.host(), parameters=parameters)
    assert "winograd_weights" in [s.spec.name for s in program.prologue]
    assert "winograd_weights" not in [s.spec.name for s in program.steps]


def test_sums_of_products_are_only_for_blocks_that_need_them() -> None:
    """Direct sums stand once for each vector of a tile's outputs: none is hidden in what follows the products."""
    x, w, b = np.zeros((1, 32, 8, 8), np.float32), np.zeros((32, 32, 3, 3), np.float32), np.zeros(32, np.float32)
    graph, parameters = layer(x, w, b, 1)
    program = generate(graph, Target.host(), parameters=parameters)
    (step,) = [s for s in program.steps if isinstance(s.schedule, Winograd)]
    taps = [
        s for s in statements(program.kernels[step.kernel].body) if isinstance(s, For) and s.var.name.startswith("ki")
    ]
    assert len(taps) == 4 * step.schedule.vectors
