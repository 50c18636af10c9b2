"""Every declared op with every one of its samples: what the generated tests, here and in other folders, run over."""

from __future__ import annotations

import zlib
from collections.abc import Callable

import numpy as np
import pytest

import lucid.ops  # noqa: F401  # declares the ops
from lucid.ir.graph import OPS, Array, BadSample, Graph, Op, Sample, input_node, input_op
from lucid.ir.types import float32, float64, is_float, type_of

DECLARED: dict[str, Op] = {name: op for name, op in sorted(OPS.items()) if op is not input_op}


def samples_of(op: Op) -> list[Sample]:
    """The op's samples, the same ones every time."""
    return list(op.samples(np.random.default_rng(zlib.crc32(op.name.encode()))))


def all_samples(keep: Callable[[Op, Sample], bool] = lambda op, sample: True) -> list[pytest.param]:
    """``(op, sample)`` parameters, for ``@pytest.mark.parametrize(("op", "sample"), all_samples())``."""
    return [
        pytest.param(op, sample, id=f"{name}-{k}")
        for name, op in DECLARED.items()
        for k, sample in enumerate(samples_of(op))
        if keep(op, sample)
    ]


def all_bad_samples() -> list[pytest.param]:
    return [
        pytest.param(op, bad, id=f"{name}-{k}")
        for name, op in DECLARED.items()
        for k, bad in enumerate(list[BadSample](op.bad_samples()))
    ]


def graph_of(op: Op, sample: Sample) -> Graph:
    """A graph that applies ``op`` to inputs of the sample's types."""
    inputs = [input_node(type_of(x)) for x in sample.inputs]
    return Graph(inputs, [op(*inputs, **sample.attrs)])


def in_float64(sample: Sample) -> Sample:
    """The sample with float64 wherever it has float32, in arrays and attributes."""

    def widened(x: Array) -> Array:
        return x.astype(float64) if x.dtype == float32 else x

    attrs = {k: float64 if isinstance(v, np.dtype) and v == float32 else v for k, v in sample.attrs.items()}
    return Sample(tuple(widened(x) for x in sample.inputs), attrs)


def is_differentiable(op: Op, sample: Sample) -> bool:
    """A float input, a float output, and no NaN or infinity to step around."""
    floats = [x for x in sample.inputs if is_float(x.dtype)]
    if not (op.differentiable and floats and all(np.isfinite(x).all() for x in floats)):
        return False
    value = op.evaluate(*sample.inputs, **sample.attrs)
    return is_float(value.dtype) and bool(np.isfinite(value).all())
