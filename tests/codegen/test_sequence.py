"""The order of kernels and what may be written over what: on small specs, and on the memory of a training step."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.fuse import fuse
from lucid.codegen.layout import Layout
from lucid.codegen.plan import Lifetime, plan_static
from lucid.codegen.program import Program, generate
from lucid.codegen.sequence import reuse, same_positions, sequence
from lucid.codegen.spec import KernelSpec, Store
from lucid.codegen.target import Target
from lucid.ir.expr import Expr, Load, axes, const
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.passes.pipeline import DEFAULT
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build

AVX512 = Target.of("avx512")


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def specs_of(graph: Graph) -> list[KernelSpec]:
    return fuse(graph, lambda node, expr: True)


def test_an_update_waits_for_everything_that_reads_the_old_value() -> None:
    x, y = value(8), value(8)
    new, other = x * 2.0, ops.exp(x) + y
    specs = specs_of(Graph([x, y], [new, other]))
    ordered, _, safe = sequence(specs, {new, other}, {new: x})
    assert safe == {new: x}
    assert [s.stores[0].node for s in ordered] == [other, new]


def test_of_two_inputs_that_change_places_one_is_copied() -> None:
    x, y = value(8), value(8)
    to_x, to_y = y + 1.0, x - 1.0
    *_, safe = sequence(specs_of(Graph([x, y], [to_x, to_y])), {to_x, to_y}, {to_x: x, to_y: y})
    assert safe == {to_x: x}


def test_an_update_that_is_read_together_with_the_old_value_is_not_in_place() -> None:
    x = value(8)
    new = ops.exp(x)
    both = ops.tanh(new) * x
    assert sequence(specs_of(Graph([x], [new, both])), {new, both}, {new: x}).over == {}


def test_an_update_that_reads_elsewhere_is_not_in_place() -> None:
    x = value(8)
    new = ops.flip(x, axes=(0,)) * 2.0
    (spec,) = specs_of(Graph([x], [new]))
    assert not same_positions(spec, new, x)


def test_a_reduction_does_not_write_over_what_it_reads_inside() -> None:
    x, y = value(8), value(4, 8)
    total = ops.sum(x * y, axes=(0,), keepdims=False)
    (spec,) = specs_of(Graph([x, y], [total]))
    assert not same_positions(spec, total, x)


def sum_of(node: Node, *sources: Node, backwards: Sequence[Node] = ()) -> KernelSpec:
    """The kernel that stores in ``node`` the sum of what lies in other values, in some from the end."""
    (i,) = out = axes("i", node.shape)
    total: Expr = const(0.0, float32)
    for source in sources:
        total = total + Load(source, source.type, out)
    for source in backwards:
        total = total + Load(source, source.type, (7 + i * -1,))
    return KernelSpec(out, (Store(node, out, total),))


def test_results_go_over_operands_that_nothing_reads_any_more() -> None:
    x, a, b, c, d = (value(8) for _ in range(5))
    specs = [sum_of(a, x), sum_of(b, x), sum_of(c, a, b, backwards=[a]), sum_of(d, c)]
    # Not over a, which is read from the end as well, nor over x, which is the caller's; d leaves the graph.
    assert reuse(specs, {a, b, c}, lambda p, q: True) == {c: b}
    assert reuse(specs, {a, b, c}, lambda p, q: False) == {}
    assert reuse([*specs, sum_of(d, b)], {a, b, c}, lambda p, q: True) == {}  # b is read later


def test_a_result_that_several_kernels_store_goes_over_nothing() -> None:
    x, a, b = value(8), value(8), value(8)
    specs = [sum_of(a, x), sum_of(b, a)]
    assert reuse(specs, {a, b}, lambda p, q: True) == {b: a}
    assert reuse([*specs, specs[-1]], {a, b}, lambda p, q: True) == {}


def test_layouts_with_a_halo_share_places_among_themselves() -> None:
    ring = Layout.plain((4, 4)).with_halo((1, 1), (1, 1))
    other = Layout.plain((2, 14)).with_halo((1, 1), (1, 1))
    lives = [Lifetime(k, 144, first, last) for k, (first, last) in enumerate([(0, 3), (1, 2), (3, 5), (4, 6), (6, 7)])]
    layouts = [ring, ring, ring, ring, other]
    plan = plan_static([("kept", 10)], list(zip(layouts, lives, strict=True)))
    at = plan.offsets
    assert at["kept"] == 0
    assert at[1] == at[2] != at[0] == at[3]
    assert at[4] not in (at[0], at[1])
    assert plan.size == 64 + 3 * 192


def test_memory_is_the_same_where_every_element_lies_in_the_same_place() -> None:
    square = Layout.plain((1, 4, 4, 4))
    assert square.same_memory(Layout.ordered((1, 4, 4, 4), (1, 0, 2, 3)))  # where one image would begin
    assert not square.same_memory(Layout.ordered((1, 4, 4, 4), (0, 2, 3, 1)))
    assert not square.same_memory(square.with_halo((0, 0, 1, 1), (0, 0, 1, 1)))
    assert not square.with_halo((0, 0, 1, 0), (0,) * 4).same_memory(square.with_halo((0,) * 4, (0, 0, 1, 0)))


def layers(depth: int) -> tuple[Graph, int]:
    """A chain of convolutions, loss, and updates of all weights; the bytes of one of its images."""
    x = value(4, 16, 24, 24)
    weights = [value(16, 16, 3, 3) for _ in range(depth)]
    y = x
    for w in weights:
        y = ops.relu(ops.conv2d(y, w, stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1))
    loss = ops.sum(y * y, axes=(0, 1, 2, 3), keepdims=False)
    found = gradients([loss], weights, [ops.constant(value=1.0, shape=(), dtype=loss.dtype)])
    new = [w - g * 1e-4 for w, g in zip(weights, found, strict=True) if g is not None]
    return DEFAULT(Graph([x, *weights], [loss, *new])), 4 * 16 * 24 * 24 * 4


def memory(program: Program) -> int:
    return program.arena.size + program.static.size


def test_a_training_step_holds_the_images_of_the_forward_and_few_more() -> None:
    """Gradients of images live for a layer, not until all weights are updated at the end."""
    graph, image = layers(8)
    program = generate(graph, AVX512, in_place={k: k for k in range(1, 9)})
    assert program.in_place == {k: k for k in range(1, 9)}
    assert memory(program) < (8 + 4.5) * image


def test_memory_of_a_chain_does_not_grow_with_its_length() -> None:
    x, ws = value(1, 16, 16, 16), [value(16, 16, 3, 3) for _ in range(12)]

    def chain(depth: int) -> int:
        y = x
        for w in ws[:depth]:
            y = ops.relu(ops.conv2d(y, w, stride=(1, 1), padding=((1, 1), (1, 1)), dilation=(1, 1), groups=1))
        return memory(generate(Graph([x, *ws[:depth]], [y]), AVX512))

    assert chain(12) == chain(4)


@pytest.mark.parametrize("depth", [1, 3])
def test_training_steps_update_in_place(depth: int) -> None:
    graph, _ = layers(depth)
    rng = np.random.default_rng(depth)
    arrays = [rng.standard_normal(x.shape).astype(np.float32) * 0.2 for x in graph.inputs]
    want = evaluate(graph, arrays)
    got = build(graph, in_place={k: k for k in range(1, depth + 1)})([a.copy() for a in arrays])
    for a, b in zip(got, want, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-5)
