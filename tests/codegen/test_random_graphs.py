"""Random conv-net graphs, compiled, against the graph interpreter: fusion, layouts, halos and memory together.

Many more are in ``tests/generated``; here hypothesis decides, and looks for small ones that fail.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lucid.codegen.program import generate
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.ir.graph import Graph
from lucid.ir.interpreter import evaluate
from lucid.runtime.executable import build
from tests.generated.draws import ByHypothesis, Draw
from tests.generated.nets import net, trained, training, whole

T = TypeVar("T")
QUICK = settings(max_examples=80, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))


def drawn(make: Callable[[Draw], T]) -> st.SearchStrategy[T]:
    """What a generator makes when hypothesis decides."""
    return st.composite(lambda draw: make(ByHypothesis(draw)))()


@QUICK
@given(drawn(net))
def test_random_nets(graph: Graph) -> None:
    arrays = whole(graph)
    np.testing.assert_equal(build(graph)(arrays), evaluate(graph, arrays))


@QUICK
@given(drawn(training))
def test_random_training_graphs(graph: Graph) -> None:
    arrays = whole(graph)
    for got, want in zip(build(graph)(arrays), evaluate(graph, arrays), strict=True):
        # A product of three layers may pass 2**24, where whole numbers begin to be rounded.
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-3)


@settings(parent=QUICK, max_examples=15)
@given(drawn(net))
def test_random_nets_in_the_loop_interpreter(graph: Graph) -> None:
    """Every access inside its buffer, and nothing read before it was written or after its memory has passed on."""
    arrays = whole(graph)
    np.testing.assert_equal(simulate(generate(graph, Target.of("avx2")), arrays, runs=2), evaluate(graph, arrays))


@settings(parent=QUICK, max_examples=40)
@given(drawn(trained))
def test_random_updates_in_place(case: tuple[Graph, dict[int, int]]) -> None:
    """Inputs overwritten by a program that other kernels read: as if all updates were made after everything else."""
    graph, in_place = case
    arrays = whole(graph)
    want = evaluate(graph, arrays)
    got = build(graph, in_place=in_place)([a.copy() for a in arrays])
    for x, y in zip(got, want, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-3)


@settings(parent=QUICK, max_examples=10)
@given(drawn(trained))
def test_random_updates_in_the_loop_interpreter(case: tuple[Graph, dict[int, int]]) -> None:
    graph, in_place = case
    arrays = whole(graph)
    want = evaluate(graph, arrays)
    got = simulate(generate(graph, Target.of("avx2"), in_place=in_place), [a.copy() for a in arrays])
    for k, (x, y) in enumerate(zip(got, want, strict=True)):
        np.testing.assert_allclose(x, y, rtol=1e-6, atol=1e-3, err_msg=f"output {k}")
