"""Every op's samples in float16 and bfloat16: computed in float32 and rounded once, however it is run."""

from __future__ import annotations

import numpy as np
import pytest

from lucid.codegen.program import generate
from lucid.codegen.schedule import Naive
from lucid.codegen.simulate import simulate
from lucid.codegen.target import Target
from lucid.ir.graph import Array, Graph, Op, Sample, input_node
from lucid.ir.interpreter import evaluate
from lucid.ir.types import HALVES, DType, float32, is_float, limits_of, type_of
from lucid.runtime.executable import build
from tests.ops.cases import DECLARED, graph_of, samples_of

TARGETS = [t for t in ("avx512", "avx2", "baseline") if Target.host().supports(Target.of(t))]
DTYPES = sorted(HALVES, key=str)


def in_half(sample: Sample, half: DType) -> Sample:
    """The sample with a half wherever it has float32, in arrays and attributes."""
    with np.errstate(all="ignore"):
        arrays = tuple(x.astype(half) if x.dtype == float32 else x for x in sample.inputs)
    attrs = {k: half if isinstance(v, np.dtype) and v == float32 else v for k, v in sample.attrs.items()}
    return Sample(arrays, attrs)


def has_float32(sample: Sample) -> bool:
    return any(x.dtype == float32 for x in sample.inputs) or float32 in sample.attrs.values()


def expected(op: Op, sample: Sample, half: DType) -> Array:
    """The op in float32 on the same values, rounded if it says so."""
    arrays = [x.astype(float32) if x.dtype == half else x for x in sample.inputs]
    attrs = {k: float32 if v is half else v for k, v in sample.attrs.items()}
    result = graph_of(op, sample).outputs[0].type
    with np.errstate(all="ignore"):
        return op.evaluate(*arrays, **attrs).astype(result.dtype)


def assert_agrees(got: Array, want: Array) -> None:
    assert got.shape == want.shape
    assert got.dtype == want.dtype
    if not is_float(want.dtype):
        np.testing.assert_array_equal(got, want)
        return
    finite = np.abs(want[np.isfinite(want)].astype(np.float64))
    eps = float(limits_of(want.dtype).eps)
    tiny = float(limits_of(want.dtype).smallest_subnormal)
    scale = max(float(finite.max()) if finite.size else 1.0, 1.0) if want.dtype == float32 else 0.0
    wide = np.float64
    np.testing.assert_allclose(got.astype(wide), want.astype(wide), rtol=eps * 1.01, atol=tiny + 1e-6 * scale)


def chosen(op: Op) -> list[Sample]:
    """Samples with float32: all of what is moved, one of what is computed as every float32 is."""
    samples = [s for s in samples_of(op) if has_float32(s)]
    return samples if op.moves else samples[:1]


@pytest.mark.parametrize("half", DTYPES, ids=str)
@pytest.mark.parametrize("name", sorted(DECLARED))
def test_a_graph_of_halves_widens_and_rounds(name: str, half: DType) -> None:
    op = DECLARED[name]
    for sample in chosen(op):
        sample = in_half(sample, half)
        if sum(x.size for x in sample.inputs) > 500:
            continue
        graph, want = graph_of(op, sample), expected(op, sample, half)
        assert_agrees(evaluate(graph, list(sample.inputs))[0], want)
        for override in (lambda spec, schedule: Naive(), None):
            program = generate(graph, Target.of("avx512"), override=override)
            assert_agrees(simulate(program, list(sample.inputs))[0], want)


@pytest.mark.parametrize("level", TARGETS)
@pytest.mark.parametrize("name", sorted(DECLARED))
def test_machine_code_of_halves(name: str, level: str) -> None:
    op = DECLARED[name]
    samples = [(in_half(s, half), half) for s in chosen(op) for half in DTYPES]
    inputs = [[input_node(type_of(x)) for x in s.inputs] for s, _ in samples]
    graph = Graph(
        [x for row in inputs for x in row], [op(*row, **s.attrs) for row, (s, _) in zip(inputs, samples, strict=True)]
    )
    results = build(graph, target=Target.of(level))([x for s, _ in samples for x in s.inputs])
    for (sample, half), got in zip(samples, results, strict=True):
        assert_agrees(got, expected(op, sample, half))
