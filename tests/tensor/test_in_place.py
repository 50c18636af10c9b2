"""Methods that end in an underscore: what a tensor becomes, which gradients flow, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

import lucid
from lucid.errors import DTypeError, GradientError, ShapeError

#: Methods of tensors alone: updates of leaves, draws, and what asks for nothing.
WITHOUT_A_FUNCTION = "copy fill zero requires_grad bernoulli normal random uniform share_memory".split()  # noqa: SIM905


def test_every_form_gives_the_function_s_value() -> None:
    x = np.array([0.25, -0.5, 0.75], np.float32)
    for name in dir(lucid.Tensor):
        plain = name[:-1]
        if not name.endswith("_") or name.startswith("_") or plain in WITHOUT_A_FUNCTION:
            continue
        a, b = lucid.tensor(np.abs(x)), lucid.tensor(x)
        for arguments in ((), (b,), (b, a), (a, b, a)):
            try:
                wanted = getattr(a, plain)(*arguments)
            except (TypeError, lucid.errors.LucidError):
                continue
            if wanted.dtype == a.dtype:
                assert getattr(a, name)(*arguments) is a
                np.testing.assert_array_equal(a.numpy(), wanted.numpy(), err_msg=name)
            break


def test_a_leaf_stays_a_leaf_and_older_results_keep_the_old_value() -> None:
    x = lucid.tensor([1.0, 2.0])
    view, double = x.reshape(2, 1), x * 2
    assert x.add_(1).mul_(3) is x
    assert (x.tolist(), x.is_leaf) == ([6.0, 9.0], True)
    assert view.tolist() == [[1.0], [2.0]]
    assert double.tolist() == [2.0, 4.0]


def test_gradients_flow_through_the_new_value() -> None:
    w = lucid.tensor([1.0, 2.0], requires_grad=True)
    h = w * 2
    h.mul_(h).add_(w)
    h.sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), [9.0, 17.0])
    x = lucid.zeros(2)
    x.add_(w, alpha=3)
    assert not x.is_leaf
    (x * x).sum().backward()
    np.testing.assert_array_equal(w.grad.numpy(), [9.0 + 18.0, 17.0 + 36.0])


def test_parameters_change_without_gradients() -> None:
    w = lucid.tensor([1.0, 2.0], requires_grad=True)
    with lucid.no_grad():
        w.sub_(w * 0.5)
    assert (w.tolist(), w.requires_grad, w.is_leaf) == ([0.5, 1.0], True, True)


def test_compiled_functions_change_tensors_as_eager_code_does() -> None:
    w = lucid.tensor([1.0, 2.0], requires_grad=True)
    state = lucid.tensor([10.0, 10.0])

    def step(x: lucid.Tensor) -> lucid.Tensor:
        y = w * x
        y.exp_().mul_(x)
        state.add_(1)
        with lucid.no_grad():
            w.mul_(2)
        return y

    compiled = lucid.compile(step)
    x = lucid.tensor([1.0, 0.5])
    for k in range(3):
        scale = 2.0**k
        y = compiled(x)
        np.testing.assert_allclose(y.numpy(), np.exp(np.array([1.0, 1.0]) * scale) * [1.0, 0.5], rtol=1e-5)
        y.sum().backward()
    np.testing.assert_allclose(w.grad.numpy()[0], sum(np.exp(2.0**k) for k in range(3)), rtol=1e-5)
    assert state.tolist() == [13.0, 13.0]
    assert w.tolist() == [8.0, 16.0]

    def change(x: lucid.Tensor) -> lucid.Tensor:
        return x.add_(5)

    given = lucid.tensor([1.0])
    lucid.compile(change)(given)
    assert given.tolist() == [6.0]


def test_refusals() -> None:
    w = lucid.tensor([1.0, 2.0], requires_grad=True)
    with pytest.raises(GradientError, match="no_grad"):
        w.add_(1)
    h = w * 2
    with lucid.no_grad(), pytest.raises(GradientError, match="detach"):
        h.add_(1)
    with pytest.raises(ShapeError, match=r"add_.*\(2, 2\)"):
        lucid.zeros(2).add_(lucid.zeros(2, 2))
    with pytest.raises(DTypeError, match=r"mul_.*float32.*int64"):
        lucid.tensor([1, 2]).mul_(0.5)
    counts = lucid.tensor([1, 2])
    state = lucid.zeros(2)
    with pytest.raises(GradientError, match="outside"):
        lucid.compile(lambda: state.add_(w))()
    assert counts.add_(lucid.tensor([1, 1], dtype=lucid.int8)).dtype == lucid.int64
