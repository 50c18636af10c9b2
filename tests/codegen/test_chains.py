"""Kernels that run image by image: which may, what stays inside a chain, and that nothing else changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.chains import brought_together, chains_of, inside, layouts_of_one, link_of, one_image
from lucid.codegen.fuse import fuse
from lucid.codegen.layout import Layout
from lucid.codegen.predict import work_of_step
from lucid.codegen.program import Program, generate
from lucid.codegen.schedule import Naive, Schedule, WinogradGradient
from lucid.codegen.simulate import simulate
from lucid.codegen.spec import KernelSpec, Store
from lucid.codegen.strategy_chains import chain_pays, suits_chain
from lucid.codegen.target import Target
from lucid.ir.expr import Expr, Load, Reduce, axes
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32, int64
from lucid.runtime.executable import build
from lucid.runtime.profile import profile, report
from lucid.runtime.threads import get_num_threads, set_num_threads

RNG = np.random.default_rng(3)
AVX512 = Target.of("avx512")
PLAIN: dict[str, Any] = {"stride": (1, 1), "dilation": (1, 1), "groups": 1}
POOL: dict[str, Any] = {"kernel_size": (2, 2), "stride": (2, 2), "padding": ((0, 0), (0, 0)), "dilation": (1, 1)}
SIDES = ((1, 1), (1, 1))


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def conv(x: Node, w: Node) -> Node:
    side = (w.shape[2] // 2, w.shape[2] // 2)
    return ops.conv2d(x, w, padding=(side, side), **PLAIN)


def specs_of(graph: Graph) -> list[KernelSpec]:
    return fuse(graph, lambda _: True)


def plain_layouts(specs: list[KernelSpec]) -> dict[Node, Layout]:
    """Everything in C order."""
    return {n: Layout.plain(n.shape) for s in specs for n in (*s.sources, *(t.node for t in s.stores))}


def only_spec(*results: Node) -> tuple[KernelSpec, dict[Node, Layout]]:
    """The one kernel of a graph."""
    inputs = {n for r in results for n in _leaves(r)}
    (spec,) = specs_of(Graph(list(inputs), list(results)))
    return spec, plain_layouts([spec])


def _leaves(node: Node) -> set[Node]:
    if node.call.op.name == "input":
        return {node}
    return {x for n in node.inputs for x in _leaves(n)}


def net(images: int, size: int = 8) -> Graph:
    """Convolutions with padding, a pool, a residual sum, and a linear layer that reads all images' features."""
    x, first, second, deep = value(images, 3, size, size), value(16, 3, 3, 3), value(16, 16, 3, 3), value(16, 1, 5, 5)
    last = value(16 * (size // 2) ** 2, 10)
    y = ops.relu(conv(x, first))
    y = ops.relu(conv(y, second) + y)
    y = ops.max_pool2d(ops.conv2d(y, deep, padding=((2, 2), (2, 2)), **(PLAIN | {"groups": 16})), **POOL)
    y = ops.matmul(ops.reshape(y, shape=(images, last.shape[0])), last)
    return Graph([x, first, second, deep, last], [ops.softmax(y, axis=1)])


def arrays_of(graph: Graph) -> list[np.ndarray]:
    rng = np.random.default_rng(5)
    return [np.asarray(rng.standard_normal(n.shape) / 4, np.float32) for n in graph.inputs]


def generated(graph: Graph) -> Program:
    return generate(graph, AVX512, parameters=graph.inputs[1:])


# --- which kernels may run by image ---


def test_images_of_a_convolution_and_not_its_weights() -> None:
    x, w = value(4, 3, 8, 8), value(16, 3, 3, 3)
    spec, layouts = only_spec(ops.relu(conv(x, w)))
    link = link_of(spec, layouts)
    assert link is not None
    assert link.axis.extent == 4
    assert link.by_image == {x, spec.stores[0].node}
    single = one_image(spec, link)
    assert link.axis not in single.axes
    assert len(single.axes) == len(spec.axes) - 1
    assert layouts_of_one(link, layouts)[x].shape == (1, 3, 8, 8)
    assert layouts_of_one(link, layouts)[w] == layouts[w]


@pytest.mark.parametrize(
    ("case", "result"),
    [
        ("a sum over images", lambda x: ops.sum(x, axes=(0,), keepdims=False)),
        ("another image's values", lambda x: ops.flip(x, axes=(0,))),
        ("a shifted image", lambda x: ops.slice(x, start=(1, 0, 0), stop=(4, 5, 6), step=(1, 1, 1))),
        ("images side by side", lambda x: ops.transpose(x, perm=(1, 0, 2))),
        ("images together", lambda x: ops.exp(ops.reshape(x, shape=(20, 6)))),
        ("this image and another", lambda x: x + ops.flip(x, axes=(0,))),
    ],
)
def test_kernels_that_mix_images_do_not(case: str, result: Any) -> None:
    x = value(4, 5, 6)
    for spec in specs_of(Graph([x], [result(x)])):
        link = link_of(spec, plain_layouts([spec]))
        assert link is None or x not in link.by_image, case


def test_images_must_lie_one_after_the_other() -> None:
    x = value(4, 5, 6)
    spec, layouts = only_spec(ops.exp(x))
    assert link_of(spec, layouts) is not None
    assert link_of(spec, {**layouts, x: Layout.ordered(x.shape, (1, 0, 2))}) is None
    assert link_of(spec, {**layouts, x: layouts[x].with_halo((1, 0, 0), (0, 0, 0))}) is None
    assert link_of(spec, {**layouts, x: layouts[x].with_halo((0, 1, 0), (0, 0, 0))}) is not None


def test_numbers_of_images_must_not_be_computed_with() -> None:
    x = value(4, 300)
    for axis in (0, 1):
        spec, layouts = only_spec(x * ops.iota(shape=x.shape, dtype=float32, axis=axis))
        assert (link_of(spec, layouts) is None) == (axis == 0)


def test_values_without_elements_are_not_asked_about() -> None:
    x, nothing = value(4, 300), value(4, 0, 300)
    (spec,) = specs_of(Graph([x, nothing], [ops.exp(x) + ops.sum(nothing, axes=(1,), keepdims=False)]))
    link = link_of(spec, plain_layouts([spec]))
    assert link is not None
    assert link.by_image == {x, spec.stores[0].node}


# --- chains ---


def every(specs: list[KernelSpec], kept: set[Node]) -> list[Any]:
    return chains_of(specs, plain_layouts(specs), {}, lambda *_: True, lambda *_: True, kept)


def test_a_chain_ends_where_all_images_are_needed() -> None:
    x, w = value(4, 3, 8, 8), value(16, 3, 3, 3)
    y = ops.relu(conv(x, w))
    z = ops.max_pool2d(y, **POOL)
    total = ops.sum(z, axes=(0,), keepdims=False)
    graph = Graph([x, w], [total, ops.exp(ops.sum(total, axes=(2,), keepdims=False))])
    specs = specs_of(graph)
    (chain,) = every(specs, set(graph.outputs))
    assert (chain.first, chain.images) == (0, 4)
    written = [s.node for spec in specs[chain.first : chain.last] for s in spec.stores]
    assert written == [y, z]
    # Another kernel reads the pool's result, none the convolution's.
    assert set(inside(specs, [chain], {}, set(graph.outputs))) == {y}
    assert not inside(specs, [chain], {}, {y, *graph.outputs})


def test_memory_that_is_read_whole_is_not_written_by_image() -> None:
    """``total`` needs all images of ``y`` before any image of ``z`` can begin."""
    x = value(4, 300)
    y = ops.exp(x)
    z = ops.tanh(y) * ops.sum(y, axes=(0,), keepdims=True)
    graph = Graph([x], [z])
    for chain in every(specs_of(graph), set(graph.outputs)):
        assert chain.last - chain.first < len(specs_of(graph))
    arrays = arrays_of(graph)
    np.testing.assert_allclose(simulate(generate(graph, AVX512), arrays)[0], evaluate(graph, arrays)[0], rtol=1e-5)


def test_a_chain_ends_before_a_kernel_that_reads_another_image() -> None:
    """Every image of ``z`` needs the last one of ``y``, whose kernel would not have come to it."""
    x, w = value(4, 3, 8, 8), value(4, 3, 8, 8)
    y = ops.max_pool2d(x, **POOL)
    last = ops.slice(y, start=(3, 0, 0, 0), stop=y.shape, step=(1, 1, 1, 1))
    z = ops.max_pool2d(w, **POOL) + ops.broadcast_to(last, shape=y.shape)
    specs = specs_of(Graph([x, w], [z]))
    assert [link_of(s, plain_layouts(specs)) is not None for s in specs] == [True, True]
    assert every(specs, {z}) == []


def test_batches_of_different_size_are_not_one_chain() -> None:
    x, y = value(4, 3, 8, 8), value(6, 3, 8, 8)
    a, b = ops.max_pool2d(ops.max_pool2d(x, **POOL), **POOL), ops.max_pool2d(ops.max_pool2d(y, **POOL), **POOL)
    graph = Graph([x, y], [a, b])
    assert sorted(c.images for c in every(specs_of(graph), {a, b})) == [4, 6]


# --- in which order ---


def adding(result: Node, *operands: Node) -> KernelSpec:
    """The kernel that adds up operands; those without images are weights of all of them."""
    out = axes("i", result.shape)
    read: list[Expr] = [Load(x, x.type, out if x.shape == result.shape else out[1:]) for x in operands]
    return KernelSpec(out, (Store(result, out, sum(read[1:], read[0])),), (result,))


@pytest.mark.parametrize("pays", [True, False])
def test_what_uses_an_image_comes_next_if_that_pays(pays: bool) -> None:
    """What else uses it waits; small weights that the chain needs are made before it, large ones are not."""
    image, weight = (4, 3, 6, 6), (3, 6, 6)
    x, y, z, late, apart = (value(*image) for _ in range(5))
    w, small, large, total = (value(*weight) for _ in range(4))
    batch, *rest = axes("n", image)
    summed = Store(total, tuple(rest), Reduce("sum", [batch], Load(y, y.type, (batch, *rest))))
    specs = [
        adding(y, x),
        KernelSpec(tuple(rest), (summed,), (total,)),  # mixes images
        adding(small, w),
        adding(large, w),
        adding(z, y, small),
        adding(late, y, large),
        adding(apart, z, total),
    ]
    layouts = plain_layouts(specs)
    needs = [frozenset(), *map(frozenset, ([0], [], [], [0, 2], [0, 3], [4, 1]))]
    ordered = brought_together(
        specs, needs, layouts, {}, lambda *_: True, lambda *_: pays, {apart, late},
        lambda spec: spec.stores[0].node is not large,
    )  # fmt: skip
    names = {y: "y", total: "total", small: "small", large: "large", z: "z", late: "late", apart: "apart"}
    expected = "small y z total large late apart" if pays else "y total small large z late apart"
    assert " ".join(names[s.stores[0].node] for s in ordered) == expected


def training(images: int, size: int) -> Graph:
    """Gradients of two convolutions with biases and pooling between them, in one graph with their loss."""
    x, first, second = value(images, 3, size, size), value(16, 3, 3, 3), value(32, 16, 3, 3)
    a, b = value(16, 1, 1), value(32, 1, 1)
    y = ops.relu(conv(x, first) + a)
    y = ops.max_pool2d(ops.relu(conv(y, second) + b), **POOL)
    loss = ops.sum(y * y, axes=(0, 1, 2, 3), keepdims=False)
    weights = [first, second, a, b]
    seed = value()
    found = gradients([loss], weights, [seed])
    return Graph([x, *weights, seed], [loss, *(d for d in found if d is not None)])


def test_all_gradients_of_an_image_are_computed_while_it_is_near() -> None:
    """Weights' and biases' too, in parts that are added up at the end: no gradient of all images is ever stored."""
    graph = training(8, 32)
    program = generate(graph, AVX512)
    chain = max(program.chains, key=lambda c: c.last)
    steps = program.steps[chain.first : chain.last]
    assert sum(isinstance(s.schedule, WinogradGradient) for s in steps) == 1
    assert all(s.by_image for s in steps)
    parts = [s.spec.stores[0].node.shape for s in steps if "grad" in s.spec.name or "sum" in s.spec.name]
    assert {(8, 32, 16, 3, 3), (8, 16, 3, 3, 3)} <= {*parts}
    assert {(shape[0], shape[-1]) for shape in parts if len(shape) < 4} >= {(8, 32), (8, 16)}
    largest = 8 * 32 * 32 * 32 * 4
    assert program.arena.size < largest
    arrays = arrays_of(graph)
    exact = evaluate(graph, arrays)
    for got, want in zip(build(graph)(arrays), exact, strict=True):
        assert np.abs(got - want).max() <= 1e-4 * max(1e-3, np.abs(want).max())


def test_weights_of_many_elements_are_not_given_a_part_for_each_image() -> None:
    x, w, g = value(8, 64, 8, 8), value(64, 64, 3, 3), value(8, 64, 8, 8)
    grad = ops.conv2d_weight_grad(x, g, kernel_size=(3, 3), padding=SIDES, **PLAIN)
    steps = generate(Graph([x, w, g], [grad]), AVX512).steps
    assert not any(s.by_image for s in steps)


# --- when it pays ---


def test_few_uneven_images_small_ones_and_large_weights_stay_together() -> None:
    w = value(16, 3, 3, 3)
    for images, size, fits in ((2, 16, True), (3, 16, False), (11, 16, True), (1, 16, False), (4, 3, False)):
        spec, layouts = only_spec(conv(value(images, 3, size, size), w))
        link = link_of(spec, layouts)
        assert link is not None
        assert suits_chain(spec, link, layouts, AVX512) is fits
    spec, layouts = only_spec(conv(value(4, 512, 8, 8), value(512, 512, 3, 3)))
    link = link_of(spec, layouts)
    assert link is not None
    assert not suits_chain(spec, link, layouts, AVX512)
    assert suits_chain(spec, link, layouts, replace(AVX512, l2=2**26))


def test_a_chain_keeps_something_in_reach() -> None:
    x = value(4, 3, 64, 64)
    y = ops.max_pool2d(x, **POOL)
    graph = Graph([x], [y, ops.max_pool2d(y, **POOL)])
    specs = specs_of(graph)
    layouts = plain_layouts(specs)
    assert not chain_pays(specs, [], layouts, AVX512)
    assert chain_pays(specs, [y], layouts, AVX512)
    assert chain_pays(specs, [], layouts, replace(AVX512, l2=2**10))


def test_memory_is_of_one_image_a_thread() -> None:
    few, many = generated(net(4, 32)), generated(net(64, 32))
    for program in (few, many):
        ((chain, memory),) = program.chains.items()
        assert chain.last - chain.first >= 4
        assert memory.size == program.scratch
    assert [m.size for m in few.chains.values()] == [m.size for m in many.chains.values()]
    features = 16 * 32 * 32 * 4
    assert many.arena.size < 64 * features  # of every convolution's result, one image or none
    assert many.static.size == few.static.size


def test_the_dump_shows_what_runs_by_image() -> None:
    text = str(generated(net(4)))
    assert "  for each of 4 images, in " in text
    lines = text.splitlines()
    begins = lines.index(next(line for line in lines if "for each of" in line))
    assert lines[begins + 1].startswith("    k")


# --- results ---


@pytest.mark.parametrize("images", [2, 9])
def test_the_program_gives_the_graphs_values(images: int) -> None:
    graph = net(images)
    program = generated(graph)
    assert program.chains
    arrays = arrays_of(graph)
    (exact,) = evaluate(graph, arrays)
    for runs in (1, 2):
        np.testing.assert_allclose(simulate(program, arrays, runs)[0], exact, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("images", [2, 3, 6, 11])
def test_any_number_of_threads_gives_the_same_bits(images: int) -> None:
    graph = net(images)
    w = graph.inputs[1:]
    g = input_node(graph.outputs[0].type)
    backward = Graph([*graph.inputs, g], [*graph.outputs, *(d for d in gradients(graph.outputs, w, [g]) if d)])
    before = get_num_threads()
    try:
        for case in (graph, backward):
            run, arrays = build(case), arrays_of(case)
            set_num_threads(1)
            alone = run(arrays)
            for a, b in zip(alone, evaluate(case, [x.astype(np.float32) for x in arrays]), strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)
            for count in (2, 3, 8):
                set_num_threads(count)
                for _ in range(5):
                    for a, b in zip(alone, run(arrays), strict=True):
                        np.testing.assert_array_equal(a, b)
    finally:
        set_num_threads(before)


def test_a_batch_gives_what_its_images_give_alone() -> None:
    """No image sees another: not in memory that they take turns in, either."""
    graph, single = net(6), net(1)
    arrays = arrays_of(graph)
    arrays[0][3] = np.nan
    (together,) = build(graph)(arrays)
    for k in range(6):
        (alone,) = build(single)([arrays[0][k : k + 1], *arrays[1:]])
        np.testing.assert_allclose(together[k : k + 1], alone, rtol=1e-4, atol=1e-6)
    assert np.isnan(together[3]).all()
    assert np.isfinite(np.delete(together, 3, axis=0)).all()


def test_schedules_of_chained_kernels_can_be_given() -> None:
    graph = net(2, 6)
    seen: list[Schedule] = []

    def override(spec: KernelSpec, schedule: Schedule) -> Schedule:
        seen.append(schedule)
        return Naive()

    program = generate(graph, AVX512, parameters=graph.inputs[1:], override=override)
    assert program.chains
    assert seen
    arrays = arrays_of(graph)
    np.testing.assert_allclose(simulate(program, arrays)[0], evaluate(graph, arrays)[0], rtol=1e-4, atol=1e-5)


def test_every_kernel_of_a_chain_is_timed_for_the_whole_batch() -> None:
    graph = net(8, 16)
    run = build(graph, parameters=graph.inputs[1:])
    (chain,) = run.program.chains
    times = profile(run, run.samples(), 2)
    assert [t.step for t in times] == run.program.steps
    assert all(t.seconds > 0 for t in times)
    flops = sum(work_of_step(run.program, step).flops for step in run.program.steps)
    pixels = 8 * 16 * 16
    assert flops >= 2 * pixels * (3 * 9 * 16 + 16 * 9 * 16)
    chained = run.program.steps[chain.first : chain.last]
    assert sum(line.endswith("by image") for line in report(times)) == sum(bool(s.by_image) for s in chained) > 0


def test_operands_are_passed_as_the_kernel_of_one_image_reads_them() -> None:
    """Without the axis of images, a sum's terms may come in another order."""
    x, column, row = value(2, 6, 20, 60), *(input_node(TensorType(s, int64)) for s in ((1, 30), (10, 1)))
    pooled = ops.max_pool2d(x, **POOL)
    number = ops.cast(pooled, dtype=int64)
    fifteen = ops.constant(value=15, shape=(), dtype=int64)
    sums = ops.floordiv((column + number * fifteen) + row, fifteen)
    graph = Graph([x, column, row], [sums, ops.max_pool2d(pooled, **POOL)])
    program = generate(graph, AVX512)
    assert program.chains
    arrays = [RNG.standard_normal(x.shape, np.float32), np.arange(30)[None], np.arange(10)[:, None]]
    for a, b in zip(simulate(program, arrays), evaluate(graph, arrays), strict=True):
        np.testing.assert_array_equal(a, b)
