"""Gradients through compiled functions, by eager backward; first and second order."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.errors import GradientError
from lucid.ir.text import parse_graph
from lucid.nn import functional as F

RNG = np.random.default_rng(9)


def randn(*shape: int, grad: bool = True, dtype: type = np.float32) -> lucid.Tensor:
    return lucid.tensor(RNG.standard_normal(shape).astype(dtype), requires_grad=grad)


def image_net(x: lucid.Tensor, w: lucid.Tensor, b: lucid.Tensor) -> lucid.Tensor:
    h = F.max_pool2d(F.conv2d(x, w, b, padding=1).relu(), 2)
    return F.batch_norm(h, None, None, training=True).flatten(1).log_softmax(1)


def with_index(x: lucid.Tensor) -> lucid.Tensor:
    return x[:, [2, 0, 2]] * x.max(1, keepdims=True) + x.argmax(1, keepdims=True)


FUNCTIONS: dict[str, tuple[Callable[..., object], tuple[tuple[int, ...], ...]]] = {
    "linear": (lambda x, w: x @ w + 1, ((4, 3), (3, 2))),
    "tanh": (lambda x: (x * 2).tanh(), ((5,),)),
    "two results": (lambda x, y: ((x * y).exp(), (x + y).sum()), ((3, 2), (2,))),
    "two results, one with no path": (lambda x, y: (x.exp(), (x.argmax(), y * 2)), ((3,), (4,))),
    "result is used twice": (lambda x: (x.sigmoid(), x.sigmoid() * 3), ((4,),)),
    "image net": (image_net, ((2, 3, 6, 6), (4, 3, 3, 3), (4,))),
    "positions": (with_index, ((3, 4),)),
    "flat": (lambda x: x.floor() + x * 0, ((3,),)),
    "where": (lambda x, y: lucid.where(x > y, x * y, y), ((3, 4), (4,))),
    "no computing": (lambda x: x.reshape(6).flip(), ((2, 3),)),
    "softmax": (lambda x: F.cross_entropy(x, lucid.tensor([1, 0, 2])), ((3, 4),)),
}


def flat(result: object) -> list[lucid.Tensor]:
    if isinstance(result, lucid.Tensor):
        return [result] if result.requires_grad else []
    return [t for part in result for t in flat(part)]


def weighted(outputs: list[lucid.Tensor]) -> lucid.Tensor:
    rng = np.random.default_rng(1)
    return sum((t * rng.standard_normal(t.shape).astype(t.dtype)).sum() for t in outputs)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_first_derivatives(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    compiled = lucid.compile(function)
    inputs = [randn(*s) for s in shapes]
    for _ in range(2):
        ours, theirs = flat(compiled(*inputs)), flat(function(*inputs))
        assert len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)
        got = lucid.grad(weighted(ours), inputs, allow_unused=True)
        want = lucid.grad(weighted(theirs), inputs, allow_unused=True)
        for a, b in zip(got, want, strict=True):
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", ["linear", "tanh", "two results", "image net", "where", "softmax"])
def test_second_derivatives(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    compiled = lucid.compile(function)
    inputs = [randn(*s, dtype=np.float64) for s in shapes]
    totals = []
    for f in (compiled, function):
        first = lucid.grad(weighted(flat(f(*inputs))), inputs, create_graph=True)
        penalty = sum((g**2).sum() for g in first)
        totals.append([penalty, *lucid.grad(penalty, inputs, allow_unused=True)])
    for a, b in zip(*totals, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-6, atol=1e-9)


def test_third_derivative() -> None:
    x = lucid.tensor(0.7, requires_grad=True, dtype=lucid.float64)
    y = lucid.compile(lambda x: x**4)(x)
    values = []
    for _ in range(3):
        (y,) = lucid.grad(y, x, create_graph=True)
        values.append(y.item())
    np.testing.assert_allclose(values, [4 * 0.7**3, 12 * 0.7**2, 24 * 0.7])


def test_gradients_reach_parameters_and_inputs_through_eager_code_around() -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    compiled = lucid.compile(model)
    x = randn(5, 3)
    grads = []
    for m in (compiled, model):
        model.zero_grad()
        x.grad = None
        ((m(x * 2) ** 2).sum() + m(x).sum()).backward()
        grads.append([x.grad, *(p.grad for p in model.parameters())])
    for a, b in zip(*grads, strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-4, atol=1e-5)


def test_grad_mode_and_requires_grad_are_part_of_the_signature() -> None:
    f = lucid.compile(lambda x: x * 2)
    x = randn(3)
    assert f(x).requires_grad
    with lucid.no_grad():
        assert not f(x).requires_grad
    assert not f(x.detach()).requires_grad
    assert f(x).requires_grad
    assert len(f.versions) == 3


def test_frozen_parameters() -> None:
    layer = nn.Linear(3, 2)
    f = lucid.compile(lambda x: layer(x))  # noqa: PLW0108
    f(randn(4, 3)).sum().backward()
    layer.zero_grad()
    layer.weight.requires_grad_(False)
    f(randn(4, 3)).sum().backward()
    assert layer.weight.grad is None
    assert layer.bias.grad.tolist() == [4.0, 4.0]
    assert "no longer requires a gradient" in f.explain()


def test_gradients_stop_where_they_stop_in_eager_mode() -> None:
    def f(x):
        with lucid.no_grad():
            scale = x.exp()
        return x * scale + x.detach() * 5 + (x > 0).astype(x.dtype)

    x = randn(4)
    y = lucid.compile(f)(x)
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), np.exp(x.numpy()), rtol=1e-5)


def test_a_result_with_no_gradient_does_not_require_one() -> None:
    @lucid.compile
    @lucid.no_grad
    def f(x):
        return x * 2

    assert not f(randn(3)).requires_grad


def test_a_second_backward_through_a_compiled_call() -> None:
    x = randn(3)
    y = lucid.compile(lambda x: x.exp() * x)(x).sum()
    y.backward(retain_graph=True)
    y.backward()
    with pytest.raises(GradientError, match="freed"):
        y.backward()


def test_hooks_and_retained_gradients_around_a_compiled_call() -> None:
    x = randn(3)
    h = x * 2
    h.retain_grad()
    x.register_hook(lambda g: g * 10)
    y = lucid.compile(lambda h: h * 3)(h)
    y.register_hook(lambda g: g + 1)
    y.sum().backward()
    assert h.grad.tolist() == [6.0] * 3
    assert x.grad.tolist() == [120.0] * 3


def test_an_update_between_forward_and_backward_keeps_the_old_values() -> None:
    w = randn(3)
    f = lucid.compile(lambda x: x * w)
    x = randn(3)
    before = w.tolist()
    y = f(x)
    w.copy_(lucid.zeros(3))
    y.sum().backward()
    assert x.grad.tolist() == before


def test_dropout_masks_are_the_same_forward_and_backward_and_fresh_per_call() -> None:
    f = lucid.compile(lambda x: F.dropout(x, 0.5))
    x = lucid.ones(1000, requires_grad=True)
    first, second = f(x), f(x)
    assert (first != second).any()
    first.backward()
    np.testing.assert_array_equal(x.grad.numpy(), first.numpy())


def test_random_draws_are_those_of_eager_bit_for_bit() -> None:
    def f(x):
        a = F.dropout(x, 0.3)
        lucid.rand(3)  # unused, but drawn
        return a + lucid.randn(x.shape) * lucid.rand(x.shape[1:])

    compiled = lucid.compile(f)
    x = lucid.ones(64, 33)
    lucid.manual_seed(42)
    ours = [compiled(x).numpy() for _ in range(3)]
    ours.append(lucid.rand(5).numpy())
    lucid.manual_seed(42)
    theirs = [f(x).numpy() for _ in range(3)]
    theirs.append(lucid.rand(5).numpy())
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a, b)


def test_backward_frees_what_the_forward_kept() -> None:
    f = lucid.compile(lambda x: (x.exp() * 2).tanh().sum())
    x = randn(1000)
    y = f(x)
    kept = [r for r in _records(y) if r.value is not None and r.inputs]
    assert kept
    y.backward()
    assert all(r.value is None for r in kept)


def _records(y):
    from lucid.ir.graph import topological

    return topological([y._record])


def test_a_loop_over_a_compiled_function_holds_memory_flat() -> None:
    f = lucid.compile(lambda x: (x * 2).tanh())
    w = randn(8)

    def step() -> None:
        f(w).sum().backward()
        w.grad = None

    for _ in range(20):
        step()
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            step()
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_machine_code_is_given_back() -> None:
    f = lucid.compile(lambda x: x * 2)
    f(lucid.ones(2))
    executable = weakref.ref(f.versions[0].forward.executable)
    del f
    gc.collect()
    assert executable() is None


@pytest.mark.parametrize("name", ["tanh", "two results", "image net", "softmax"])
def test_lucid_graph_sees_through_a_compiled_call(name: str) -> None:
    function, shapes = FUNCTIONS[name]
    inputs = [randn(*s) for s in shapes]
    outputs = flat(lucid.compile(function)(*[x * 1 for x in inputs]))
    graph = lucid.graph(*outputs, inputs={f"in{k}": x for k, x in enumerate(inputs)})
    assert "compiled_call" not in str(graph)
    assert parse_graph(str(graph)) == graph
    for got, want in zip(lucid.evaluate(graph), outputs, strict=True):
        np.testing.assert_allclose(got, want.numpy(), rtol=1e-4, atol=1e-5)
