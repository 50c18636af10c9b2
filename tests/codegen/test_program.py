"""Fusion, layouts and schedules as dumps, and what the machine code of a convolution must look like."""

from __future__ import annotations

import numpy as np
import pytest

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.plan import Lifetime, plan_memory
from lucid.codegen.program import Program, generate
from lucid.codegen.target import Target
from lucid.ir.expr import Load
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.passes.pipeline import DEFAULT
from lucid.ir.types import TensorType, float32
from lucid.runtime.executable import build
from tests.golden import Golden

AVX512 = Target.of("avx512")


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def conv(x: Node, w: Node, padding: int = 1, stride: int = 1) -> Node:
    sides = ((padding, padding), (padding, padding))
    return ops.conv2d(x, w, stride=(stride, stride), padding=sides, dilation=(1, 1), groups=1)


def block() -> Graph:
    """Convolution, bias, relu, pooling, and a second convolution."""
    x, w, b, w2 = value(2, 3, 16, 16), value(32, 3, 3, 3), value(32), value(16, 32, 3, 3)
    y = ops.relu(conv(x, w) + ops.reshape(b, shape=(1, 32, 1, 1)))
    y = ops.max_pool2d(y, kernel_size=(2, 2), stride=(2, 2), padding=((0, 0), (0, 0)), dilation=(1, 1))
    return Graph([x, w, b, w2], [conv(y, w2)], ["x", "w", "b", "w2"], ["y"])


def test_a_block_of_a_conv_net(golden: Golden) -> None:
    graph = block()
    golden("conv_block.program", str(generate(graph, AVX512, parameters=graph.inputs[1:])))


def test_its_gradient(golden: Golden) -> None:
    x, w, g = value(2, 8, 12, 12), value(16, 8, 3, 3), value(2, 16, 6, 6)
    dx, dw = gradients([conv(x, w, stride=2)], [x, w], [g])
    assert dx is not None
    assert dw is not None
    golden("conv_gradient.program", str(generate(Graph([x, w, g], [dx, dw], ["x", "w", "g"]), AVX512)))


def test_softmax_is_one_kernel(golden: Golden) -> None:
    x = value(4, 10)
    program = generate(Graph([x], [ops.softmax(x * 2.0, axis=1)]), AVX512)
    golden("softmax.program", str(program))
    golden("softmax.loops", "\n".join(str(k) for k in program.kernels))


def test_the_loops_of_a_small_convolution(golden: Golden) -> None:
    x, w = value(1, 2, 4, 4), value(16, 2, 3, 3)
    program = generate(Graph([x, w], [conv(x, w)]), AVX512)
    golden("conv.loops", "\n".join(str(k) for k in program.kernels))


def kernels(program: Program) -> list[str]:
    return [s.spec.name for s in program.steps]


def test_bias_and_activation_join_the_convolution() -> None:
    names = kernels(generate(block(), AVX512))
    assert "conv2d_reshape_add_relu" in names
    assert not any(n in ("add", "relu") for n in names)


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize("pixels", [1, 6])
def test_an_epilogue_joins_whatever_axes_have_one_position(batch: int, pixels: int) -> None:
    x, w, b, r = value(batch, 4, pixels, pixels), value(8, 4, 3, 3), value(8), value(batch, 8, pixels, pixels)
    y = ops.relu(conv(x, w) + ops.reshape(b, shape=(1, 8, 1, 1)) + r)
    specs = [s.spec for s in generate(Graph([x, w, b, r], [y]), AVX512).steps]
    assert [s.name for s in specs if not isinstance(s.stores[0].value, Load)] == ["conv2d_reshape_add_add_and_1_more"]


def test_padding_of_one_position_keeps_its_bounds() -> None:
    """The gradient of ``x[1]``: a reshape adds the axis that is padded, and must not be looked through."""
    x = value(4)
    padded = ops.pad(ops.reshape(x, shape=(1, 4)), low=(1, 0), high=(1, 0), interior=(0, 0), value=0.0)
    feed = np.arange(1, 5, dtype=np.float32)
    (result,) = build(Graph([x], [padded]))([feed])
    assert result.tolist() == [[0] * 4, [1, 2, 3, 4], [0] * 4]


def test_padding_of_a_stretch_from_the_start_keeps_its_bounds() -> None:
    x = input_node(TensorType((3,), float32))
    start = ops.slice(x, start=(0,), stop=(2,), step=(1,))
    (y,) = build(Graph([x], [ops.pad(start, low=(0,), high=(1,), interior=(0,), value=0.0)]))([np.ones(3, np.float32)])
    np.testing.assert_array_equal(y, [1, 1, 0])


def test_elementwise_chains_are_one_kernel() -> None:
    x, y = value(8, 8), value(8)
    assert len(kernels(generate(Graph([x, y], [ops.tanh(x * y + 1.0) - x]), AVX512))) == 1


def test_costly_work_is_not_repeated() -> None:
    """A value read once per row is computed once per row, not once per element."""
    x, y = value(64, 64), value(64, 1)
    assert len(kernels(generate(Graph([x, y], [x * ops.exp(y)]), AVX512))) == 2


def test_a_value_used_twice_is_computed_once() -> None:
    x = value(64, 64)
    shared = ops.exp(x)
    program = generate(Graph([x], [shared + 1.0, ops.flip(shared, axes=(0,))]), AVX512)
    assert [len(s.spec.stores) for s in program.steps] == [2, 1]


def test_what_all_its_users_compute_with_at_once_is_not_stored() -> None:
    x = value(64, 64)
    shared = ops.exp(x)
    program = generate(Graph([x], [shared + 1.0, shared * 2.0]), AVX512)
    assert [len(s.spec.stores) for s in program.steps] == [2]
    assert program.arena.size == 0


def passes_over(program: Program, size: int) -> int:
    """How often a value of ``size`` elements or more is read or written from beginning to end."""
    return sum(1 for s in program.steps for x in s.arguments if isinstance(x, Node) and x.type.size >= size)


def normalised(x: Node) -> Node:
    """Batch normalisation without weights, as ``lucid.nn.functional`` writes it."""
    axes, count = (0, 2, 3), x.type.size // x.shape[1]
    mean = ops.sum(x, axes=axes, keepdims=True) / count
    variance = ops.squared_deviations(x, axes=axes, keepdims=True) / count
    return (x - mean) * (1.0 / ops.sqrt(variance + 1e-5))


def test_cheap_work_is_repeated_where_reading_its_operand_costs_the_same() -> None:
    x, y = value(8, 16, 9, 9), value(1, 16, 1, 1)
    shared = x - y
    both = Graph([x, y], [shared * shared, ops.sum(shared, axes=(0, 2, 3), keepdims=False)])
    assert passes_over(generate(both, AVX512), x.type.size) == 3  # not five: the difference is never stored


def test_what_a_contraction_or_padding_reads_is_stored_and_shared() -> None:
    x, w = value(1, 4, 6, 6), value(8, 4, 3, 3)
    y = ops.relu(x)
    names = kernels(generate(Graph([x, w], [conv(y, w), y * 2.0, y + 1.0]), AVX512))
    assert names.count("relu") == 1


def test_batch_normalisation_passes_over_memory() -> None:
    x, g = value(8, 16, 9, 9), value(8, 16, 9, 9)
    y = normalised(x)
    forward = generate(Graph([x], [y]), AVX512)
    assert passes_over(forward, x.type.size) == 3  # mean and variance together, and the result
    (dx,) = gradients([y], [x], [g])
    assert dx is not None
    backward = generate(DEFAULT(Graph([x, g], [dx])), AVX512)
    assert passes_over(backward, x.type.size) == 6  # mean and variance, two sums of products, and the result


def test_values_that_live_together_do_not_overlap() -> None:
    lives = [Lifetime(k, size, first, last) for k, (size, first, last) in enumerate(
        [(100, 0, 3), (64, 1, 2), (4000, 2, 5), (64, 3, 3), (640, 4, 6), (1, 0, 6), (128, 5, 5)]
    )]  # fmt: skip
    plan = plan_memory(lives)
    for a in lives:
        assert plan.offsets[a.value] % 64 == 0
        for b in lives:
            if a is not b and a.first <= b.last and b.first <= a.last:
                x, y = plan.offsets[a.value], plan.offsets[b.value]
                assert x + a.size <= y or y + b.size <= x
    assert plan.size < sum(max(64, a.size + 63) for a in lives)
