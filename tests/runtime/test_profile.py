"""Timed steps: what is measured, what is predicted, and what the two are held against."""

from __future__ import annotations

import numpy as np
import pytest

import lucid
from lucid.codegen.predict import work_of_step
from lucid.codegen.program import generate
from lucid.codegen.schedule import Contraction, Winograd, WinogradGradient
from lucid.codegen.target import Target
from lucid.ir.graph import Graph, Node, input_node
from lucid.ir.types import TensorType, float32
from lucid.nn import functional as F
from lucid.ops import conv2d, conv2d_weight_grad, matmul, tanh
from lucid.runtime.ceilings import Peaks, peaks
from lucid.runtime.executable import build
from lucid.runtime.profile import profile, report
from tests.guard import plain_memory

WINDOW = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def value(*shape: int) -> Node:
    return input_node(TensorType(shape, float32))


def test_every_step_is_timed_and_judged() -> None:
    x, w = value(32, 64), value(64, 48)
    run = build(Graph([x, w], [tanh(matmul(x, w)), tanh(x)]))
    times = profile(run, run.samples(), 3)
    assert [t.step for t in times] == run.program.steps
    assert all(0 < t.seconds < 1 and t.predicted > 0 and t.part_of_peak > 0 for t in times)
    assert sorted(t.flops for t in times) == [0, 2 * 32 * 64 * 48]
    lines = report(times)
    assert len(lines) == 1 + len(times)
    assert "GFLOP/s" in "".join(lines)
    assert "GB/s" in "".join(lines)


def test_a_profile_leaves_what_it_was_given() -> None:
    x, w = value(8, 8), value(8, 8)
    run = build(Graph([x, w], [matmul(x, w)]))
    arrays = [np.full((8, 8), 2, np.float32), np.ones((8, 8), np.float32)]
    (before,) = run(arrays)
    kept = before.copy()
    profile(run, arrays)
    assert (before == kept).all()
    assert (arrays[0] == 2).all()


def test_multiply_adds_are_counted_as_the_schedule_makes_them() -> None:
    """A full register tile is nearly one operation a multiply-add; Winograd's algorithm takes 4/9 at least."""
    target = Target.of("avx512")
    x, w, g = value(2, 64, 28, 28), value(64, 64, 3, 3), value(2, 64, 28, 28)
    a, b = value(28 * 16, 512), value(512, 64)
    gradient = conv2d_weight_grad(x, g, **WINDOW, kernel_size=(3, 3))
    pixels = 2 * 28 * 28 * 64 * 64 * 9
    for graph, kind, products, least, most in (
        (Graph([a, b], [matmul(a, b)]), Contraction, 28 * 16 * 512 * 64, 1.0, 1.05),
        (Graph([x, w], [conv2d(x, w, **WINDOW)]), Winograd, pixels, 0.44, 0.7),
        (Graph([x, g], [gradient]), WinogradGradient, pixels, 0.44, 0.7),
    ):
        program = generate(graph, target, parameters=[w])
        step = next(s for s in program.steps if isinstance(s.schedule, kind))
        work = work_of_step(program, step)
        assert work.flops == 2 * products
        assert least < work.cycles * 32 / work.flops < most


def test_the_machine_has_peaks() -> None:
    found = peaks()
    assert found.flops > 1e8
    assert [size for size, _ in found.bandwidths] == sorted(size for size, _ in found.bandwidths)
    assert found.bandwidth(1) == found.bandwidths[0][1]
    assert found.bandwidth(2**40) == found.bandwidths[-1][1]
    assert Peaks(1.0, ((10, 2.0), (20, 1.0))).bandwidth(11) == 1.0


def test_explain_measures_kernels() -> None:
    w = lucid.randn(4, 3, 3, 3, requires_grad=True)
    f = lucid.compile(lambda x: F.relu(F.conv2d(x, w)).sum())
    f(lucid.randn(1, 3, 8, 8)).backward()
    text = f.explain(measure=True)
    assert "of peak  kernel" in text
    assert "backward:" in text
    assert "conv2d" in text
    assert "of peak" not in f.explain()


@plain_memory
@pytest.mark.parametrize("alive", [True, False])
def test_samples_are_the_last_arguments_while_they_live(alive: bool) -> None:
    x = value(4, 4)
    run = build(Graph([x], [tanh(x)]))
    array = np.full((4, 4), 3, np.float32)
    run([array])
    if alive:
        assert run.samples()[0] is array
    else:
        del array
        assert (run.samples()[0] != 3).all()
