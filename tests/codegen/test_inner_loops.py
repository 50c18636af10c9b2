"""The innermost loop of every schedule of sums of products, in assembly: as many multiply-adds as the register tile
has, no spill, no call. Exact on any machine, where time is not. Depthwise convolutions are in ``test_depthwise.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from lucid.codegen.asm import AsmStats
from lucid.codegen.program import Step, generate
from lucid.codegen.schedule import Contraction, Winograd, WinogradGradient
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.types import TensorType, float32
from lucid.ops import conv2d, conv2d_input_grad, conv2d_weight_grad, matmul, transpose
from lucid.runtime.compilation import module_text
from lucid.runtime.jit import assembly
from tests.codegen.hot_loops import hot_loop

Tiled = Contraction | Winograd | WinogradGradient


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def convolution(
    channels: int,
    outputs: int,
    size: int,
    kernel: int,
    *,
    stride: int = 1,
    dilation: int = 1,
    groups: int = 1,
    n: int = 1,
) -> tuple[Node, Node, Node, dict[str, object]]:
    """Image, weights, the gradient to the result, and the attributes."""
    side = (kernel // 2, kernel // 2)
    attrs = {"stride": (stride, stride), "padding": (side, side), "dilation": (dilation, dilation), "groups": groups}
    x, w = value(n, channels, size, size), value(outputs, channels // groups, kernel, kernel)
    return x, w, value(*conv2d(x, w, **attrs).shape), attrs


def forward(channels: int, outputs: int, size: int, kernel: int, **more: int) -> Graph:
    x, w, _, attrs = convolution(channels, outputs, size, kernel, **more)
    return Graph([x, w], [conv2d(x, w, **attrs)])


def to_input(channels: int, outputs: int, size: int, kernel: int, **more: int) -> Graph:
    x, w, g, attrs = convolution(channels, outputs, size, kernel, **more)
    return Graph([g, w], [conv2d_input_grad(g, w, input_size=x.shape[2:], **attrs)])


def to_weights(channels: int, outputs: int, size: int, kernel: int, **more: int) -> Graph:
    x, w, g, attrs = convolution(channels, outputs, size, kernel, **more)
    return Graph([x, g], [conv2d_weight_grad(x, g, kernel_size=w.shape[2:], **attrs)])


def product(m: int, n: int, k: int, *batch: int, left: bool = False, right: bool = False) -> Graph:
    """A matrix product, of transposed operands if told so."""
    swap = (*range(len(batch)), len(batch) + 1, len(batch))
    a, b = value(*batch, *((k, m) if left else (m, k))), value(*batch, *((n, k) if right else (k, n)))
    return Graph([a, b], [matmul(transpose(a, perm=swap) if left else a, transpose(b, perm=swap) if right else b)])


CASES: dict[str, Callable[[], Graph]] = {
    "1x1": lambda: forward(64, 256, 28, 1),
    "3x3 of stride 2": lambda: forward(64, 128, 28, 3, stride=2),
    "5x5 of 100 channels": lambda: forward(100, 48, 31, 5),
    "3x3 of stride 3": lambda: forward(512, 512, 7, 3, stride=3),
    "7x7 of three channels": lambda: forward(3, 64, 112, 7, stride=2),
    "Winograd": lambda: forward(64, 64, 28, 3, n=2),
    "Winograd, grouped": lambda: forward(128, 128, 28, 3, groups=4),
    "Winograd, dilated": lambda: forward(64, 64, 28, 3, dilation=2),
    "Winograd of 100 channels": lambda: forward(17, 100, 28, 3),
    "grouped": lambda: forward(128, 128, 28, 5, groups=4),
    "1x1 to input": lambda: to_input(64, 256, 28, 1),
    "5x5 to input": lambda: to_input(32, 48, 19, 5),
    "stride 2 to input": lambda: to_input(64, 128, 28, 3, stride=2),
    "Winograd to input": lambda: to_input(64, 64, 28, 3, n=2),
    "Winograd to input, grouped": lambda: to_input(128, 128, 28, 3, groups=4),
    "grouped to input": lambda: to_input(128, 128, 28, 5, groups=4),
    "1x1 to weights": lambda: to_weights(64, 256, 28, 1),
    "5x5 to weights": lambda: to_weights(32, 48, 19, 5),
    "stride 2 to weights": lambda: to_weights(64, 128, 28, 3, stride=2),
    "three channels to weights": lambda: to_weights(3, 64, 56, 7, stride=2),
    "Winograd to weights": lambda: to_weights(64, 64, 28, 3, n=4),
    "Winograd to weights, grouped": lambda: to_weights(128, 128, 28, 3, groups=4),
    "grouped to weights": lambda: to_weights(128, 128, 28, 5, groups=4),
    "product": lambda: product(64, 512, 384),
    "product of transposes": lambda: product(96, 256, 384, left=True, right=True),
    "batched product": lambda: product(64, 64, 64, 8),
    "batched product of a transpose": lambda: product(64, 96, 48, 4, right=True),
}


def accumulators(schedule: Tiled) -> int:
    """Vectors of the register tile."""
    if isinstance(schedule, Contraction):
        return schedule.registers - schedule.vectors - 1
    return schedule.tile * schedule.vectors


def hot_loops(graph: Graph, target: Target) -> list[tuple[Step, AsmStats]]:
    """Of every kernel that sums products, the loop with most multiply-adds."""
    program = generate(graph, target, parameters=graph.inputs[1:])
    asm = assembly(module_text(program), target)
    steps = [step for step in program.steps if isinstance(step.schedule, Tiled)]
    return [(step, hot_loop(asm, program.kernels, step)) for step in steps]


@pytest.mark.parametrize("level", ["avx512", "avx2"])
@pytest.mark.parametrize("case", CASES)
def test_multiply_adds_in_registers(case: str, level: str) -> None:
    target = Target.of(level)
    loops = hot_loops(CASES[case](), target)
    assert loops
    assert ("Winograd" in case) == any(isinstance(step.schedule, Winograd | WinogradGradient) for step, _ in loops)
    for step, hot in loops:
        schedule = step.schedule
        assert isinstance(schedule, Tiled)
        assert schedule.registers <= target.vector_registers
        assert hot.fma == accumulators(schedule) * schedule.unroll, str(schedule)
        assert hot.vector_spills == hot.reloads == hot.calls == 0, str(schedule)
        # A row of vectors for every row of multiply-adds, addresses and the counter: little else.
        assert hot.instructions <= hot.fma * 2.6 + 12
