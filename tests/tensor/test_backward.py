"""Gradients of recorded graphs: values, accumulation, freeing, hooks, higher order."""

from __future__ import annotations

import gc
import threading
import weakref
from collections import OrderedDict

import numpy as np
import pytest

import lucid
from lucid import plan
from lucid.eager import LIVE
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, GradientError, ShapeError
from lucid.ir.graph import topological


def leaf(*values: float) -> lucid.Tensor:
    return lucid.tensor(list(values), requires_grad=True)


def test_gradients_accumulate_in_leaves() -> None:
    x = leaf(1.0, 2.0)
    (x * x).sum().backward()
    (x * 3).sum().backward()
    assert x.grad.tolist() == [5.0, 7.0]
    assert not x.grad.requires_grad
    assert x.grad.is_leaf
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0]


def test_a_non_scalar_output_seeds_ones() -> None:
    x = leaf(1.0, 2.0)
    (x * x).backward()
    assert x.grad.tolist() == [2.0, 4.0]


def test_given_cotangents() -> None:
    x = leaf(1.0, 2.0)
    (x * x).backward(lucid.tensor([1.0, 10.0]))
    (x * x).backward([1.0, 10.0])
    (x * x).backward(np.array([1.0, 10.0]))
    assert x.grad.tolist() == [6.0, 120.0]
    with pytest.raises(ShapeError, match=r"gradient has shape \(3,\)"):
        (x * x).backward([1.0, 2.0, 3.0])
    with pytest.raises(DTypeError, match="gradient has dtype float64"):
        (x * x).backward(lucid.ones(2, dtype=lucid.float64))


def test_gradients_have_memory_of_their_own() -> None:
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    seed = np.ones(1, np.float32)
    (a + b + c).backward(lucid.from_numpy(seed))
    a.grad.numpy()[:] = 50
    seed[:] = 70
    assert (b.grad.item(), c.grad.item()) == (1.0, 1.0)
    a.grad = b.grad = None
    ((a + b) * 2).backward()  # one computed value is the gradient of both
    a.grad.numpy()[:] = 50
    assert b.grad.item() == 2.0
    x = leaf(1.0, 2.0)
    x.sum().backward()  # the gradient of a sum is a broadcast view
    x.grad.numpy()[:] = 3
    assert x.grad.tolist() == [3.0, 3.0]


def test_unused_and_flat_leaves() -> None:
    x, unused = leaf(1.5), leaf(1.0)
    x.floor().sum().backward()
    assert x.grad.tolist() == [0.0]
    assert unused.grad is None


def test_what_requires_a_gradient() -> None:
    x = leaf(1.0)
    assert (x * 2).requires_grad
    assert not (x > 0).requires_grad
    assert not x.argmax().requires_grad
    assert not x.detach().requires_grad
    assert not x.astype(lucid.int64).requires_grad
    assert x.astype(lucid.float64).requires_grad
    with lucid.no_grad():
        assert not (x * 2).requires_grad
        with lucid.enable_grad():
            assert (x * 2).requires_grad
    assert lucid.is_grad_enabled()


def test_set_grad_enabled_acts_at_once_and_inside() -> None:
    before = lucid.is_grad_enabled()
    try:
        lucid.set_grad_enabled(False)
        assert not lucid.is_grad_enabled()
        with lucid.set_grad_enabled(True):
            assert lucid.is_grad_enabled()
        assert not lucid.is_grad_enabled()
        lucid.set_grad_enabled(True)

        @lucid.set_grad_enabled(False)
        def inside() -> bool:
            return lucid.is_grad_enabled()

        assert lucid.is_grad_enabled()
        assert not inside()
        assert lucid.is_grad_enabled()
    finally:
        lucid.set_grad_enabled(before)


def test_no_grad_as_a_decorator() -> None:
    x = leaf(1.0)

    @lucid.no_grad()
    def with_call() -> lucid.Tensor:
        return x * 2

    @lucid.no_grad
    def bare() -> lucid.Tensor:
        return x * 2

    assert not with_call().requires_grad
    assert not bare().requires_grad
    assert bare.__name__ == "bare"
    with pytest.raises(RuntimeError), lucid.no_grad():
        raise RuntimeError
    assert lucid.is_grad_enabled()


def test_grad_mode_belongs_to_a_thread() -> None:
    seen = []
    with lucid.no_grad():
        thread = threading.Thread(target=lambda: seen.append(lucid.is_grad_enabled()))
        thread.start()
        thread.join()
    assert seen == [True]


@pytest.mark.parametrize("make", [lambda x: (x * x).sum(), lambda x: x + 1, lambda x: x.exp().sum()])
def test_a_second_backward_needs_retain_graph(make) -> None:
    x = leaf(1.0, 2.0)
    y = make(x)
    y.backward(retain_graph=True)
    first = x.grad.numpy().copy()
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), 2 * first)
    with pytest.raises(GradientError, match="retain_graph=True") as caught:
        y.backward()
    assert "test_backward.py" in str(caught.value)


def test_a_freed_part_shared_with_another_graph() -> None:
    x = leaf(1.0, 2.0)
    shared = x * x
    a, b = shared.sum(), shared.mean()
    a.backward()
    with pytest.raises(GradientError, match="mul"):
        b.backward()
    # Using the freed value again records a new piece, but not its past.
    with pytest.raises(GradientError, match="mul"):
        (shared * shared).sum().backward()


def test_nothing_requires_a_gradient() -> None:
    with pytest.raises(GradientError, match="requires_grad=True") as caught:
        lucid.ones(2).backward()
    assert "test_backward.py" in str(caught.value)
    with lucid.no_grad():
        y = leaf(1.0) * 2
        with pytest.raises(GradientError, match="no_grad"):
            y.backward()


def test_backward_into_chosen_leaves() -> None:
    a, b = leaf(1.0), leaf(2.0)
    (a * b).backward(inputs=[a])
    assert a.grad.item() == 2.0
    assert b.grad is None
    with pytest.raises(GradientError, match=r"inputs\[0\]"):
        (a * b).backward(inputs=[a * 1])
    with pytest.raises(ArgumentTypeError, match="inputs"):
        (a * b).backward(inputs=3)


def test_an_update_does_not_change_an_older_graph() -> None:
    w = leaf(2.0, 3.0)
    before = w.numpy()
    y = (w * w).sum()
    version = w._version
    w.copy_([10.0, 10.0])
    assert w._version > version
    y.backward()
    assert w.grad.tolist() == [4.0, 6.0]
    assert before.tolist() == [2.0, 3.0]
    (w * w).sum().backward()
    assert w.grad.tolist() == [24.0, 26.0]


def test_hooks_on_leaves_and_between() -> None:
    x = leaf(1.0, 2.0)
    seen: list[list[float]] = []
    leaf_handle = x.register_hook(lambda g: g * 10)
    h = x * 2
    h.register_hook(lambda g: seen.append(g.tolist()))
    middle = h.register_hook(lambda g: g + 1)
    y = (h * h).sum()
    y.backward(retain_graph=True)
    assert seen == [[4.0, 8.0]]
    assert x.grad.tolist() == [100.0, 180.0]  # ((2h + 1) * 2) * 10
    middle.remove()
    middle.remove()
    leaf_handle.remove()
    x.grad = None
    y.backward()
    assert x.grad.tolist() == [8.0, 16.0]


def test_hooks_in_a_chain_and_on_the_root() -> None:
    x = leaf(1.0)
    a = x * 2
    b = a * 3 + a  # reaches the root beside and through c
    c = b * 5
    y = c + b
    order: list[str] = []
    for name, t in (("a", a), ("b", b), ("c", c), ("y", y)):
        t.register_hook(lambda g, name=name: order.append(name))
    c.register_hook(lambda g: g * 2)
    y.register_hook(lambda g: g * 7)
    y.backward()
    assert order == ["y", "c", "b", "a"]
    assert x.grad.item() == (7 * 2 * 5 + 7) * 4 * 2


def test_hooks_stay_with_a_leaf_through_updates() -> None:
    w = leaf(1.0)
    w.register_hook(lambda g: g * 100)
    w.copy_([3.0])
    (w * 2).sum().backward()
    assert w.grad.item() == 200.0


def test_hook_misuse() -> None:
    with pytest.raises(GradientError, match="requires a gradient"):
        lucid.ones(1).register_hook(print)
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: g.sum())
    with pytest.raises(ShapeError, match="hook"):
        (x * 2).backward()


def test_retain_grad() -> None:
    x = leaf(1.0)
    h = x * 2
    h.retain_grad()
    (h * 3).backward()
    assert h.grad.item() == 3.0
    assert x.grad.item() == 6.0


def test_grad_of_leaves_and_between() -> None:
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x * w
    y = (h * h).sum()
    gh, gx = lucid.grad(y, [h, x], retain_graph=True)
    assert gh.tolist() == [6.0, 16.0]
    assert gx.tolist() == [18.0, 64.0]
    assert x.grad is None
    (again,) = lucid.grad(y, w)
    assert again.tolist() == [6.0, 32.0]
    with pytest.raises(GradientError, match="freed"):
        lucid.grad(y, w)


def test_grad_of_several_outputs() -> None:
    x = leaf(2.0)
    (g,) = lucid.grad([x * x, x * 3], x, [lucid.tensor([10.0]), None])
    assert g.item() == 43.0


def test_grad_misuse() -> None:
    x, z = leaf(1.0), leaf(1.0)
    with pytest.raises(GradientError, match=r"no output depends on inputs\[1\]"):
        lucid.grad(x * 2, [x, z])
    assert lucid.grad(x * 2, [x, z], allow_unused=True)[1] is None
    with pytest.raises(GradientError, match=r"outputs\[0\]"):
        lucid.grad(lucid.ones(1), x)
    with pytest.raises(GradientError, match=r"inputs\[0\]"):
        lucid.grad(x * 2, lucid.ones(1))
    with pytest.raises(ArgumentError, match="2 grad_outputs"):
        lucid.grad(x * 2, x, [None, None])
    with pytest.raises(ArgumentTypeError, match="inputs"):
        lucid.grad(x * 2, "x")


def test_higher_order() -> None:
    x = lucid.tensor(0.5, requires_grad=True, dtype=lucid.float64)
    y = x.sin() * x
    derivatives = []
    for _ in range(4):
        (y,) = lucid.grad(y, x, create_graph=True)
        derivatives.append(y.item())
    s, c, v = np.sin(0.5), np.cos(0.5), 0.5
    np.testing.assert_allclose(derivatives, [s + v * c, 2 * c - v * s, -3 * s - v * c, -4 * c + v * s], rtol=1e-12)


def test_a_gradient_penalty_trains() -> None:
    w = leaf(1.0, -2.0)
    (g,) = lucid.grad((w**3).sum(), w, create_graph=True)
    (g * g).sum().backward()
    np.testing.assert_allclose(w.grad.numpy(), 36 * np.array([1.0, -8.0]))


def test_backward_with_create_graph_leaves_differentiable_gradients() -> None:
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    assert x.grad.requires_grad
    (second,) = lucid.grad(x.grad, x)
    assert second.item() == 12.0


def test_only_needed_values_are_kept() -> None:
    x = lucid.ones(4, requires_grad=True)
    y = ((x + 1.0) * 2.0).tanh().reshape(2, 2).sum()
    kept = {r.call.op.name for r in topological([y._record]) if r.value is not None and r.state == LIVE and r.inputs}
    assert kept == {"tanh"}
    with lucid.no_grad():
        z = ((x + 1.0) * 2.0).tanh()
    assert not any(r.value is not None for r in topological([z._record]) if r.state == LIVE and r.inputs)


def test_backward_frees_values_even_while_the_result_lives() -> None:
    x = lucid.ones(1000, requires_grad=True)
    h = x.exp()
    value = weakref.ref(h._data)
    y = h.sum()
    del h
    assert value() is not None
    y.backward()
    gc.collect()
    assert value() is None


def test_plans_are_found_again_and_constants_enter_by_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_plans", OrderedDict())  # where those of other tests are not in the way
    monkeypatch.setattr(plan, "_steps", 0)
    w = leaf(1.0, 2.0)

    def step(rate: float) -> None:
        w.grad = None
        ((w * rate) ** 2).sum().backward()

    step(0.5)
    count = len(plan._plans)
    for k in range(5):
        step(0.1 * k)
        np.testing.assert_allclose(w.grad.numpy(), 2 * w.numpy() * (0.1 * k) ** 2, rtol=1e-6)
    assert len(plan._plans) == count
    (w * w * w).sum().backward()
    assert len(plan._plans) == count + 1


def test_graphs_of_the_same_operations_in_another_order_have_plans_of_their_own() -> None:
    x = leaf(2.0, 3.0)
    for wiring, expected in ((lambda a, b: a - b, [-3.0, -5.0]), (lambda a, b: b - a, [3.0, 5.0])):
        x.grad = None
        wiring(x, x * x).sum().backward()
        assert x.grad.tolist() == expected


def test_the_memory_of_plans_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "_MAX_STEPS", plan._steps + 50)
    x = leaf(1.0)
    for depth in range(1, 30):
        y = x
        for _ in range(depth):
            y = y * 2.0
        y.backward()
        assert plan._steps <= plan._MAX_STEPS
        assert plan._steps == sum(len(p.program) for p in plan._plans.values())
    np.testing.assert_allclose(x.grad.item(), 2.0**30, rtol=1e-6)


def test_5000_operations_deep() -> None:
    x = leaf(1.0)
    y = x
    for _ in range(5000):
        y = y * 1.0001 + 0.0
    y.backward()
    np.testing.assert_allclose(x.grad.item(), 1.0001**5000, rtol=1e-3)


def test_a_long_chain_is_freed_without_recursion() -> None:
    y = leaf(1.0)
    for _ in range(100_000):
        y = y + 1.0
    del y


def test_requires_grad_of_leaves_can_change() -> None:
    x = lucid.ones(2)
    assert x.requires_grad_() is x
    y = (x * 2).sum()
    x.requires_grad = False
    assert not (x * 2).requires_grad
    assert y.requires_grad  # recorded before
    with pytest.raises(GradientError, match="leaf"):
        y.requires_grad_(False)
    with pytest.raises(DTypeError, match="int64"):
        lucid.arange(2).requires_grad_()
    with pytest.raises(ShapeError, match="grad"):
        x.grad = lucid.ones(3)
    with pytest.raises(ArgumentTypeError, match="grad"):
        x.grad = 1.0
