"""Which kernels become one with several results, which must not, and that the results stay the same."""

from __future__ import annotations

import numpy as np
import pytest

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.layout import Layout
from lucid.codegen.program import Program, generate
from lucid.codegen.schedule import Contraction
from lucid.codegen.siblings import _same_axes, merge_siblings
from lucid.codegen.simulate import simulate
from lucid.codegen.spec import KernelSpec, Store
from lucid.codegen.target import Target
from lucid.ir.expr import Axis, Load, Reduce, axes, unary
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.passes.pipeline import DEFAULT
from lucid.ir.types import TensorType, float32, int64
from lucid.runtime.executable import build

AVX512 = Target.of("avx512")


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def stores(program: Program) -> list[int]:
    """How many values each kernel stores."""
    return [len(step.spec.stores) for step in program.steps]


def check(graph: Graph, in_place: dict[int, int] | None = None) -> None:
    """Machine code and the loop interpreter agree with the graph's; three runs on the same memory."""
    rng = np.random.default_rng(0)
    arrays = [rng.uniform(0.1, 2, x.shape).astype(x.dtype) for x in graph.inputs]
    want = evaluate(graph, arrays)
    run = build(graph, in_place=in_place)
    program = generate(graph, Target.of("avx2"), in_place=in_place)
    copies = [[a.copy() for a in arrays] for _ in range(2)]
    for got in (run(copies[0]), simulate(program, copies[1])):
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5)


def test_momentum_and_parameter_are_written_in_one_pass() -> None:
    p, g, m, rate = value(40, 7), value(40, 7), value(40, 7), value()
    direction = m * 0.9 + g
    graph = Graph([p, g, m, rate], [direction, p - direction * rate])
    program = generate(graph, AVX512, in_place={0: 2, 1: 0})
    assert stores(program) == [2]
    assert program.in_place == {0: 2, 1: 0}
    check(graph, {0: 2, 1: 0})


def test_adam_writes_its_three_in_one_pass() -> None:
    p, g, m, v = (value(33) for _ in range(4))
    first, second = m * 0.9 + g * 0.1, v * 0.99 + g * g * 0.01
    graph = Graph([p, g, m, v], [first, second, p - first / (ops.sqrt(second) + 1e-8)])
    in_place = {0: 2, 1: 3, 2: 0}
    program = generate(graph, AVX512, in_place=in_place)
    assert stores(program) == [3]
    assert program.in_place == in_place
    check(graph, in_place)


@pytest.mark.parametrize("over", [(0, 2, 3), (1,), (0, 1, 2, 3)])
def test_mean_and_variance_read_their_input_in_one_kernel(over: tuple[int, ...]) -> None:
    x = value(3, 5, 4, 6)
    mean = ops.sum(x, axes=over, keepdims=True) / 8
    spread = ops.squared_deviations(x, axes=over, keepdims=True)
    graph = Graph([x], [mean, ops.sqrt(spread), spread])
    assert stores(generate(graph, AVX512)) == [3]
    check(graph)


def test_softmax_and_its_logarithm() -> None:
    x = value(9, 21)
    graph = Graph([x], [ops.softmax(x, axis=1), ops.log_softmax(x, axis=1)])
    assert stores(generate(graph, AVX512)) == [2]
    check(graph)


def test_a_kernel_between_two_keeps_them_apart() -> None:
    x = value(16, 16)
    a = ops.exp(x)
    total = ops.sum(a, axes=(0, 1), keepdims=False)
    graph = Graph([x], [a, x / total])  # both read x, but the second needs the sum of the first
    assert stores(generate(graph, AVX512)) == [1, 1, 1]
    check(graph)


def test_what_a_group_needs_its_users_need() -> None:
    """The second of the kernels that read y joins the first, which is why the sum of the first now needs that of a."""
    x, y = value(16, 16), value(16, 16)
    a, b = ops.exp(x), y * 2.0
    t, c = (ops.sum(v, axes=(0, 1), keepdims=False) for v in (a, b))
    graph = Graph([x, y], [a, b, t, c, y / t, x * c])
    assert sorted(stores(generate(graph, AVX512))) == [1, 1, 1, 1, 2]
    check(graph)


def test_a_contraction_stays_one() -> None:
    x, w, v = value(2, 16, 6, 6), value(16, 16, 3, 3), value(16, 16, 3, 3)
    attrs = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}
    y = ops.conv2d(x, w, **attrs)
    program = generate(Graph([x, w, v], [ops.conv2d(ops.relu(y), v, **attrs), ops.flip(y, axes=(3,))]), AVX512)
    assert sum(isinstance(step.schedule, Contraction) for step in program.steps) == 2


def test_what_several_kernels_store_is_left_to_them() -> None:
    x, y, z = value(8), value(8), value(8)
    specs = []
    for node, first, count in ((y, 0, 4), (y, 4, 4), (z, 0, 4)):
        (i,) = out = axes("i", (count,))
        specs.append(KernelSpec(out, (Store(node, (i + first,), Load(x, x.type, (i,)) * 2.0),)))
    layouts = {v: Layout.plain(v.shape) for v in (x, y, z)}
    assert len(merge_siblings(specs, layouts, {y, z}, ())) == 3
    assert len(merge_siblings(specs[1:], layouts, {y, z}, ())) == 1


def test_reductions_of_different_things_are_not_joined() -> None:
    x, y = value(8, 32), value(8, 64)
    a = ops.sum(x, axes=(1,), keepdims=False)
    graph = Graph([x, y], [a, ops.sum(y, axes=(1,), keepdims=False) * a])
    assert stores(generate(graph, AVX512)) == [1, 1]


def test_results_of_different_widths_orders_or_positions_are_not_joined() -> None:
    x, y = value(8, 8), value(8, 8)
    first = ops.exp(x)
    others = [ops.cast(x * 2.0, dtype=int64), ops.transpose(x, perm=(1, 0)) * 2.0, ops.flip(x, axes=(0,)), y + 1.0]
    for other in (*others, ops.flip(first, axes=(0,))):
        graph = Graph([x, y], [first, other])
        assert stores(generate(graph, AVX512)) == [1, 1]
        check(graph)


def test_nested_reductions_keep_axes_apart() -> None:
    x = value(5, 5, 5)
    a = ops.sum(x, axes=(2,), keepdims=False)
    b = ops.sum(ops.exp(ops.sum(x, axes=(2,), keepdims=False) * 0.1), axes=(1,), keepdims=False)
    check(Graph([x], [a, b, ops.sum(x, axes=(1,), keepdims=False)]))
    i, j, k = Axis("i", 5), Axis("j", 5), Axis("k", 5)
    inner = Reduce("sum", (j,), Load("x", TensorType((5, 5), float32), (k, j)))
    outer = Reduce("sum", (k,), unary("exp", inner))
    theirs = Reduce("sum", (i,), Load("y", TensorType((5,), float32), (i,)))
    assert _same_axes([inner, outer], [theirs]) == {k: i}


def test_what_three_sums_read_is_read_once() -> None:
    """The gradient of a batch normalisation: sums over two images, and one pass that needs them."""
    x, g, w = value(4, 16, 6, 6), value(4, 16, 6, 6), value(1, 16, 1, 1)
    mean = ops.sum(x, axes=(0, 2, 3), keepdims=True) / 144
    variance = ops.squared_deviations(x, axes=(0, 2, 3), keepdims=True) / 144
    y = (x - mean) * (1.0 / ops.sqrt(variance + 1e-5) * w)
    found = [d for d in gradients([y], [x, w], [g]) if d is not None]
    graph = DEFAULT(Graph([x, g, w], found))
    wide = [s for s in generate(graph, AVX512).steps if any(n.type.size == x.type.size for n in s.spec.sources)]
    assert len(wide) == 3
    check(graph)
