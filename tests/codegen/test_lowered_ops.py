"""Every op's samples through every kind of code: naive nests and scheduled nests in the loop interpreter, and machine
code.
"""

from __future__ import annotations

import numpy as np
import pytest

from lucid.codegen.program import generate
from lucid.codegen.schedule import Naive
from lucid.codegen.simulate import simulate
from lucid.codegen.spec import EXPENSIVE
from lucid.codegen.target import Target
from lucid.ir.expr import Expr, Operand, Reduce, axes, walk
from lucid.ir.graph import Array, Graph, Op, Sample, input_node
from lucid.ir.types import type_of
from lucid.runtime.executable import build
from tests.ops.cases import DECLARED, all_samples, graph_of, samples_of

TARGETS = [t for t in ("avx512", "avx2", "baseline") if Target.host().supports(Target.of(t))]


def small(op: Op, sample: Sample) -> bool:
    """Few enough elements for an interpreter."""
    return sum(x.size for x in sample.inputs) <= 4000


def expression(op: Op, sample: Sample) -> Expr:
    types = [type_of(x) for x in sample.inputs]
    out = op.call(tuple(types), dict(sample.attrs)).type
    return op.compute(axes("i", out.shape), *[Operand(k, t) for k, t in enumerate(types)], **sample.attrs)


#: Built from correctly rounded operations, but approximating what NumPy computes otherwise.
APPROXIMATED = {"acos", "asin", "atan", "atan2"}


def is_exact(op: Op, sample: Sample) -> bool:
    """Built from correctly rounded operations in one order: compiled and eager agree bit for bit."""
    inexact = EXPENSIVE - {"sqrt", "div", "mod"}
    return op.name not in APPROXIMATED and not any(
        (isinstance(e, Reduce) and e.kind in ("sum", "prod") and e.dtype.kind == "f")
        or (getattr(e, "op", None) in inexact and e.dtype.kind == "f")
        for e in walk(expression(op, sample))
    )


def picks_extreme(op: Op, sample: Sample) -> bool:
    root = expression(op, sample)
    return any((getattr(e, "op", None) or getattr(e, "kind", None)) in ("max", "min") for e in walk(root))


def assert_agrees(op: Op, sample: Sample, got: Array) -> None:
    want = op.evaluate(*sample.inputs, **sample.attrs)
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    if want.dtype.kind != "f":
        np.testing.assert_array_equal(got, want)
    elif is_exact(op, sample):
        np.testing.assert_array_equal(got, want)
        # The larger of 0.0 and -0.0 is either: IEEE 754 leaves it open, and NumPy's answer depends on the lane.
        numbers = ~np.isnan(want) & ~(picks_extreme(op, sample) & (want == 0))
        np.testing.assert_array_equal(np.signbit(got[numbers]), np.signbit(want[numbers]))
    else:
        eps = np.finfo(want.dtype).eps
        finite = np.abs(want[np.isfinite(want)])
        scale = float(finite.max()) if finite.size else 1.0
        np.testing.assert_allclose(got, want, rtol=32 * eps, atol=64 * eps * max(scale, 1.0))


@pytest.mark.parametrize(("op", "sample"), all_samples(small))
def test_naive_nest_agrees_with_evaluate(op: Op, sample: Sample) -> None:
    graph = graph_of(op, sample)
    program = generate(graph, Target.of("baseline"), override=lambda spec, schedule: Naive())
    (got,) = simulate(program, list(sample.inputs))
    assert_agrees(op, sample, got)


@pytest.mark.parametrize(("op", "sample"), all_samples(small))
def test_scheduled_nest_agrees_with_evaluate(op: Op, sample: Sample) -> None:
    program = generate(graph_of(op, sample), Target.of("avx512"))
    (got,) = simulate(program, list(sample.inputs))
    assert_agrees(op, sample, got)


@pytest.mark.parametrize("level", TARGETS)
@pytest.mark.parametrize("name", sorted(DECLARED))
def test_machine_code_agrees_with_evaluate(name: str, level: str) -> None:
    """All samples of an op in one module: LLVM is called once."""
    op = DECLARED[name]
    samples = samples_of(op)
    inputs = [[input_node(type_of(x)) for x in s.inputs] for s in samples]
    graph = Graph(
        [x for row in inputs for x in row], [op(*row, **s.attrs) for row, s in zip(inputs, samples, strict=True)]
    )
    results = build(graph, target=Target.of(level))([x for s in samples for x in s.inputs])
    for sample, got in zip(samples, results, strict=True):
        assert_agrees(op, sample, got)


def test_exactness_is_not_vacuous() -> None:
    exact = {name for name, op in DECLARED.items() if all(is_exact(op, s) for s in samples_of(op))}
    assert {"add", "mul", "div", "sqrt", "relu", "where", "maximum", "reshape", "concat"} <= exact
    assert not {"exp", "conv2d", "sum", "softmax"} & exact
