"""Depthwise convolutions inside a net: channels fill the vectors, neighbouring taps share the pixels they read. On
their own: vectors run along the rows of images that are read where they lie.
"""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from lucid import ops
from lucid.autodiff import gradients
from lucid.codegen.asm import asm_stats, function, inner_loops
from lucid.codegen.program import Step, generate
from lucid.codegen.schedule import Contraction, MapReduce
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import TensorType, float32
from lucid.runtime.compilation import module_text
from lucid.runtime.executable import Executable, build
from lucid.runtime.jit import assembly
from tests.codegen.hot_loops import hot_loop

Pair = tuple[int, int]
Pairs = tuple[Pair, Pair]


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def pointwise(x: Node, w: Node) -> Node:
    return ops.conv2d(x, w, stride=(1, 1), padding=((0, 0), (0, 0)), dilation=(1, 1), groups=1)


def separable_graph(channels: int, size: int, stride: int, taps: int, *, backward: bool = False) -> Graph:
    """Pointwise, depthwise, pointwise; or the gradients of that. The first input is an image, three are weights."""
    x, first = value(2, 8, size, size), value(channels, 8, 1, 1)
    w, last = value(channels, 1, taps, taps), value(8, channels, 1, 1)
    side = (taps // 2, taps // 2)
    inner = ops.relu(pointwise(x, first))
    y = ops.conv2d(inner, w, stride=(stride, stride), padding=(side, side), dilation=(1, 1), groups=channels)
    z = pointwise(ops.relu(y), last)
    inputs = [x, first, w, last]
    if not backward:
        return Graph(inputs, [z])
    g = value(*z.shape)
    return Graph([*inputs, g], [d for d in gradients([z], inputs, [g]) if d is not None])


def separable(channels: int, size: int, stride: int, taps: int, level: str, *, backward: bool = False) -> Executable:
    target = Target.of(level)
    if not Target.host().supports(target):
        pytest.skip(f"this machine has no {level}")
    graph = separable_graph(channels, size, stride, taps, backward=backward)
    return build(graph, target=target, parameters=graph.inputs[1:4])


def depthwise(run: Executable) -> list[Step]:
    """The steps that reduce over both taps."""
    return [
        s for s in run.program.steps if isinstance(s.schedule, Contraction) and {"ki", "kj"} <= {*s.schedule.reduce}
    ]


SHAPES = [
    (32, 28, 1, 3),
    (96, 28, 2, 3),
    (576, 14, 1, 3),
    (100, 15, 1, 3),
    (32, 7, 1, 3),
    (48, 20, 1, 5),
    (48, 22, 3, 7),
]


@pytest.mark.parametrize("level", ["avx512", "avx2"])
@pytest.mark.parametrize(("channels", "size", "stride", "taps"), SHAPES)
def test_its_inner_loop_holds_a_tile_of_pixels(channels: int, size: int, stride: int, taps: int, level: str) -> None:
    run = separable(channels, size, stride, taps, level)
    (step,) = depthwise(run)
    schedule = step.schedule
    assert isinstance(schedule, Contraction)
    hot = hot_loop(run.text("asm"), run.program.kernels, step)
    tile = schedule.vectors
    for _, pixels in schedule.tile:
        tile *= pixels
    assert tile >= 4
    assert hot.fma == tile * schedule.unroll * prod(n for _, n in schedule.jam)
    assert hot.vector_spills == hot.reloads == hot.calls == 0


def test_taps_that_share_pixels_read_them_once() -> None:
    run = separable(32, 28, 1, 3, "avx512")
    (step,) = depthwise(run)
    schedule = step.schedule
    assert isinstance(schedule, Contraction)
    assert schedule.unroll == 3
    assert [n for _, n in schedule.jam] == [3]
    (_, columns), (_, rows) = schedule.tile
    asm = run.text("asm")
    name = run.program.kernels[step.kernel].name
    body = function(asm, f"{name}.range") or function(asm, f"{name}.task") or function(asm, name)
    hot = max(inner_loops(body), key=lambda loop: asm_stats(loop).fma)
    reads = sum("(" in line and "zmm" in line and not line.endswith(")") for line in hot.splitlines())
    # A row or column of pixels more for each further tap, and the taps themselves; else it would be columns * rows * 9.
    assert reads <= ((columns + 2) * (rows + 2) + 9) * schedule.vectors


@pytest.mark.parametrize("level", ["avx512", "avx2"])
@pytest.mark.parametrize(("channels", "size", "stride", "taps"), SHAPES)
def test_gradients_keep_channels_in_vectors(channels: int, size: int, stride: int, taps: int, level: str) -> None:
    run = separable(channels, size, stride, taps, level, backward=True)
    asm = run.text("asm")
    assert depthwise(run)
    for step in depthwise(run):
        schedule = step.schedule
        assert isinstance(schedule, Contraction)
        assert schedule.vector.startswith("i1")
        hot = hot_loop(asm, run.program.kernels, step)
        together = schedule.unroll * prod(n for _, n in schedule.jam)
        assert hot.fma == (schedule.registers - schedule.vectors - 1) * together
        assert hot.vector_spills == hot.reloads == hot.calls == 0
    shapes = ([channels, taps, taps], [2, channels, taps, taps])  # whole, or a part for each image
    (weights, *_) = [s for s in run.program.steps if [a.extent for a in s.spec.axes] in shapes]
    hot = hot_loop(asm, run.program.kernels, weights)
    assert hot.vector_spills == hot.calls == 0, str(weights.schedule)


@pytest.mark.parametrize(("channels", "size", "stride", "taps"), [(32, 28, 1, 3), (64, 14, 1, 3), (48, 20, 1, 5)])
def test_gradients_inside_a_net_are_those_of_the_interpreter(channels: int, size: int, stride: int, taps: int) -> None:
    graph = separable_graph(channels, size, stride, taps, backward=True)
    rng = np.random.default_rng(channels)
    arrays = [rng.standard_normal(node.shape, np.float32) for node in graph.inputs]
    got = build(graph, parameters=graph.inputs[1:4])(arrays)
    for mine, exact in zip(got, evaluate(graph, arrays), strict=True):
        assert np.abs(mine - exact).max() <= 2e-5 * np.abs(exact).max()


def planes(kind: str, channels: int, size: int, stride: int, taps: int, n: int = 1) -> Graph:
    """A depthwise convolution on its own, or one of its gradients: its images are inputs, each channel a plane."""
    side = (taps // 2, taps // 2)
    attrs = {"stride": (stride, stride), "padding": (side, side), "dilation": (1, 1), "groups": channels}
    x, w = value(n, channels, size, size), value(channels, 1, taps, taps)
    if kind == "forward":
        return Graph([x, w], [ops.conv2d(x, w, **attrs)])
    g = value(*ops.conv2d(x, w, **attrs).shape)
    if kind == "to input":
        return Graph([g, w], [ops.conv2d_input_grad(g, w, input_size=(size, size), **attrs)])
    return Graph([x, g], [ops.conv2d_weight_grad(x, g, kernel_size=(taps, taps), **attrs)])


PLANES = [
    ("forward", 32, 112, 1, 3),
    ("forward", 48, 56, 1, 5),
    ("forward", 32, 112, 2, 3),
    ("forward", 96, 14, 1, 3),
    ("forward", 96, 7, 1, 3),
    ("to input", 32, 50, 1, 3),
    ("to input", 32, 56, 1, 7),
    ("to weights", 32, 112, 1, 3),
    ("to weights", 48, 56, 1, 5),
    ("to weights", 32, 56, 2, 3),
    ("to weights", 96, 7, 1, 3),
]


@pytest.mark.parametrize("level", ["avx512", "avx2"])
@pytest.mark.parametrize(("kind", "channels", "size", "stride", "taps"), PLANES)
def test_planes_are_read_where_they_lie(
    kind: str, channels: int, size: int, stride: int, taps: int, level: str
) -> None:
    target = Target.of(level)
    program = generate(planes(kind, channels, size, stride, taps), target)
    (step,) = program.steps  # no copy
    schedule = step.schedule
    assert isinstance(schedule, Contraction)
    assert schedule.vector.startswith("j" if kind == "to weights" else "i3")
    hot = hot_loop(assembly(module_text(program), target), program.kernels, step)
    held = schedule.registers - schedule.vectors - 1
    together = prod(n for _, n in schedule.jam) * schedule.unroll
    assert held >= 3
    assert hot.calls == 0
    if (size, level) != (7, "avx512"):  # the rows of such an image are known, and padding is not multiplied
        assert hot.fma == held * together, str(schedule)
    if level == "avx512":
        assert max(hot.vector_spills, hot.reloads) * (8 if taps > 3 else hot.fma) < hot.fma, str(schedule)
        # What taps share is read once: with masks, addresses and shuffles there are few instructions beside.
        assert hot.instructions <= hot.fma * (2.8 if stride > 1 or size == 7 else 2.2) + 24, str(schedule)


def test_phases_of_a_strided_gradient_are_written_in_turns() -> None:
    program = generate(planes("to input", 32, 56, 2, 3), Target.of("avx512"))
    (step,) = program.steps
    assert isinstance(step.schedule, MapReduce)
    assert len(step.spec.stores) == 4
    text = assembly(module_text(program), Target.of("avx512"))
    assert "scatter" not in text
    assert "gather" not in text
    # Of unequal sizes, they are contractions of their own.
    odd = generate(planes("to input", 32, 57, 2, 3), Target.of("avx512"))
    assert sum(isinstance(s.schedule, Contraction) for s in odd.steps) == 4


@pytest.mark.parametrize("level", ["baseline", "avx2", "avx512"])
@pytest.mark.parametrize("size", [(1, 1), (7, 7), (9, 16), (13, 33), (20, 50)])
@pytest.mark.parametrize(
    ("taps", "stride", "padding", "dilation"),
    [
        ((3, 3), (1, 1), ((1, 1), (1, 1)), (1, 1)),
        ((5, 3), (1, 2), ((2, 2), (1, 1)), (1, 1)),
        ((3, 3), (2, 2), ((0, 1), (0, 1)), (1, 1)),
        ((2, 4), (3, 3), ((1, 0), (2, 1)), (1, 1)),
        ((3, 3), (1, 1), ((2, 2), (2, 2)), (2, 2)),
        ((1, 3), (1, 4), ((0, 0), (3, 1)), (1, 1)),
    ],
)
def test_planes_agree_with_the_interpreter(
    taps: tuple[int, int], stride: tuple[int, int], padding: Pairs, dilation: tuple[int, int], size: Pair, level: str
) -> None:
    target = Target.of(level)
    if not Target.host().supports(target):
        pytest.skip(f"this machine has no {level}")
    rng = np.random.default_rng(size[1])
    attrs = {"stride": stride, "padding": padding, "dilation": dilation, "groups": 3}
    x, w = value(2, 3, *size), value(3, 1, *taps)
    if any(n + sum(p) <= d * (k - 1) for n, p, d, k in zip(size, padding, dilation, taps, strict=True)):
        pytest.skip("the kernel does not fit into the image")
    y = ops.conv2d(x, w, **attrs)
    g = value(*y.shape)
    results = [
        y,
        ops.conv2d_input_grad(g, w, input_size=size, **attrs),
        ops.conv2d_weight_grad(x, g, kernel_size=taps, **attrs),
    ]
    graph = Graph([x, w, g], results)
    arrays = [rng.standard_normal(node.shape, np.float32) for node in graph.inputs]
    arrays[0][0, 0, 0, 0] = np.inf  # what is not finite stays where it is
    exact = evaluate(graph, arrays)
    for mine, other in zip(build(graph, target=target)(arrays), exact, strict=True):
        np.testing.assert_allclose(mine, other, rtol=2e-5, atol=2e-5)
