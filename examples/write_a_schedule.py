"""Take the tiling of a kernel into your own hands, and see what it costs.

    python examples/write_a_schedule.py

What a kernel computes is an index expression; how it runs is a schedule, a small record that can be printed, compared
and replaced. A schedule may change speed, never meaning: one that does not fit its kernel is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from time import perf_counter

import numpy as np

import lucid
from lucid.codegen.schedule import Contraction, Naive, Schedule
from lucid.codegen.spec import KernelSpec
from lucid.errors import ScheduleError
from lucid.nn import functional as F
from lucid.runtime.executable import build

# A convolution in the middle of a net, and what it should give.
lucid.manual_seed(0)
lucid.set_num_threads(1)
images, weight = lucid.randn(1, 128, 28, 28), lucid.randn(128, 128, 5, 5)
graph = lucid.graph(F.conv2d(images, weight, padding=2), inputs={"images": images, "weight": weight})
(expected,) = lucid.evaluate(graph)
operations = 2 * expected.size * weight[0].size


def try_schedule(title: str, change: Callable[[Contraction], Schedule]) -> None:
    """Build the convolution with a changed schedule, check it, time it."""

    def override(kernel: KernelSpec, schedule: Schedule) -> Schedule:
        return change(schedule) if isinstance(schedule, Contraction) else schedule  # copies stay as they are

    try:
        run = build(graph, parameters=graph.inputs[1:], override=override)  # the weight is laid out once
    except ScheduleError as error:
        print(f"{title:<28} {'refused':>9}   {error.message}")
        return
    (result,) = run(graph.values)
    assert np.allclose(result, expected, atol=2e-3)
    seconds = []
    for _ in range(7):
        started = perf_counter()
        run(graph.values, refresh=False)
        seconds.append(perf_counter() - started)
    schedule = next(step.schedule for step in run.program.steps if "conv2d" in step.spec.name)
    print(f"{title:<28} {operations / min(seconds) / 1e9:9.1f}   {schedule}")


print(f"{'':<28} {'GFLOP/s':>9}   schedule of the convolution\n")
try_schedule("the strategy's choice", lambda s: s)
try_schedule("scalar loops, as written", lambda s: Naive())
for pixels in (1, 2, 4, 7, 14):
    try_schedule(f"a tile of {pixels} pixels", lambda s, n=pixels: replace(s, tile=((s.tile[0][0], n),)))
try_schedule("one vector of channels", lambda s: replace(s, vectors=1))
try_schedule("the loops turned inside out", lambda s: replace(s, outer=s.outer[::-1]))
try_schedule("a loop forgotten", lambda s: replace(s, outer=s.outer[1:]))
try_schedule("vectors along rows", lambda s: replace(s, vector="i2"))
