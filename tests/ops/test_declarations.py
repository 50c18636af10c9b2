"""What every declaration promises, generated from the declarations: nothing here knows any particular op."""

from __future__ import annotations

import numpy as np
import pytest

from lucid.autodiff import differentiate
from lucid.ir.graph import Array, BadSample, Graph, Op, Sample
from lucid.ir.interpreter import evaluate
from lucid.ir.text import parse_graph, print_graph
from lucid.ir.types import is_float, type_of
from lucid.runtime.executable import build
from tests.ops.cases import DECLARED, all_bad_samples, all_samples, graph_of, in_float64, is_differentiable, samples_of
from tests.ops.reference import run_compute

#: Ops that are declared not to be what their derivative says: tested on their own below.
CUT = "stop_gradient"


def adjoint_cases() -> list[pytest.param]:
    return all_samples(lambda op, sample: is_differentiable(op, sample) and op.name != CUT)


@pytest.mark.parametrize("op", DECLARED.values(), ids=str)
def test_declaration_is_complete(op: Op) -> None:
    assert op.name.isidentifier()
    assert type(op).__doc__
    for method in ("infer", "evaluate", "vjp", "compute", "samples"):
        assert getattr(type(op), method) is not getattr(Op, method), f"{op.name} declares no {method}"
    samples = samples_of(op)
    assert len(samples) >= 3
    floating = any(is_float(x.dtype) for sample in samples for x in sample.inputs)
    if op.differentiable and floating:
        assert any(is_differentiable(op, sample) for sample in samples), "no sample checks the derivative"
    for sample in samples:
        hash(tuple(sample.attrs.items()))
    bad = list(op.bad_samples())
    marks = {"identity", "stop_gradient"}  # take anything
    assert len(bad) >= (0 if op.name in marks else 2)


@pytest.mark.parametrize(("op", "sample"), all_samples())
def test_infer_agrees_with_evaluate(op: Op, sample: Sample) -> None:
    inferred = op.infer(*map(type_of, sample.inputs), **sample.attrs)
    before = [x.copy() for x in sample.inputs]
    value = op.evaluate(*sample.inputs, **sample.attrs)
    assert type(value) is np.ndarray
    assert type_of(value) is inferred
    for x, copy in zip(sample.inputs, before, strict=True):
        np.testing.assert_array_equal(x, copy, err_msg="evaluate changed its operand")


@pytest.mark.parametrize(("op", "sample"), all_samples())
def test_compute_agrees_with_evaluate(op: Op, sample: Sample) -> None:
    computed = run_compute(op, sample)
    expected = op.evaluate(*sample.inputs, **sample.attrs)
    if is_float(expected.dtype):
        # Sums are taken in another order: what cancels is off by the rounding of what it was made of, about 1 to 100.
        eps = float(np.finfo(expected.dtype).eps)
        np.testing.assert_allclose(computed, expected, rtol=64 * eps, atol=256 * eps)
    else:
        np.testing.assert_array_equal(computed, expected)


@pytest.mark.parametrize(("op", "sample"), all_samples())
def test_text_round_trip(op: Op, sample: Sample) -> None:
    graph = graph_of(op, sample)
    text = print_graph(graph)
    parsed = parse_graph(text)
    assert parsed == graph
    assert print_graph(parsed) == text


def directional_derivatives_agree(graph: Graph, arrays: list[Array], rng: np.random.Generator) -> Graph:
    """The gradient graph of ``graph``, after a check of it against central differences along a random direction."""
    floats = [k for k, x in enumerate(graph.inputs) if is_float(x.dtype)]
    directions = {k: rng.standard_normal(arrays[k].shape) for k in floats}
    cotangents = [rng.standard_normal(o.shape) for o in graph.outputs]

    def along(t: float) -> list[Array]:
        return [np.asarray(x + t * directions[k]) if k in directions else x for k, x in enumerate(arrays)]

    h = 1e-5
    forward, backward = evaluate(graph, along(h)), evaluate(graph, along(-h))
    changes = [(f - b) / (2 * h) * c for f, b, c in zip(forward, backward, cotangents, strict=True)]
    expected = sum(float(c.sum()) for c in changes)

    joint = differentiate(graph, [graph.inputs[k] for k in floats])
    gradients = evaluate(joint, [*arrays, *cotangents])
    products = [g * directions[k] for g, k in zip(gradients, floats, strict=True)]
    found = sum(float(p.sum()) for p in products)

    scale = sum(float(np.abs(c).sum()) for c in (*changes, *products))
    assert abs(found - expected) <= 1e-6 * scale + 1e-9, (found, expected)
    return joint


@pytest.mark.parametrize(("op", "sample"), adjoint_cases())
def test_adjoint_at_first_and_second_order(op: Op, sample: Sample) -> None:
    sample = in_float64(sample)
    rng = np.random.default_rng(1)
    first = directional_derivatives_agree(graph_of(op, sample), list(sample.inputs), rng)
    cotangents = [rng.standard_normal(x.shape) for x in first.inputs[len(sample.inputs) :]]
    directional_derivatives_agree(first, [*sample.inputs, *cotangents], rng)


def largest_samples() -> list[pytest.param]:
    """Of each differentiable op the sample with the most elements: it has vectors, and what is left of them."""
    found = {}
    for case in adjoint_cases():
        op, sample = case.values
        size = sum(x.size for x in sample.inputs)
        if op not in found or size > found[op][0]:
            found[op] = size, case
    return [case for _, case in found.values()]


@pytest.mark.parametrize(("op", "sample"), largest_samples())
def test_machine_code_has_the_same_gradients(op: Op, sample: Sample) -> None:
    """Of first and second order, as one graph."""
    sample = in_float64(sample)
    rng = np.random.default_rng(2)
    graph = graph_of(op, sample)
    first = differentiate(graph, [x for x in graph.inputs if is_float(x.dtype)])
    second = differentiate(first, [x for x in first.inputs if is_float(x.dtype)])
    arrays = [*sample.inputs, *(rng.standard_normal(x.shape) for x in second.inputs[len(sample.inputs) :])]
    both = Graph(second.inputs, [*first.outputs, *second.outputs])
    for found, expected in zip(build(both)(arrays), evaluate(both, arrays), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize(("op", "sample"), all_samples(lambda op, s: op.name == CUT and is_differentiable(op, s)))
def test_a_cut_gradient_is_zero(op: Op, sample: Sample) -> None:
    graph = graph_of(op, sample)
    (gradient,) = evaluate(differentiate(graph, graph.inputs), [*sample.inputs, np.ones_like(sample.inputs[0])])
    np.testing.assert_array_equal(gradient, np.zeros_like(sample.inputs[0]))


@pytest.mark.parametrize(("op", "bad"), all_bad_samples())
def test_bad_samples_are_refused(op: Op, bad: BadSample) -> None:
    with pytest.raises(bad.error) as caught:
        op.infer(*bad.inputs, **bad.attrs)
    assert type(caught.value) is bad.error
    assert caught.value.op == op.name
    message = str(caught.value)
    for word in bad.words:
        assert word in message
