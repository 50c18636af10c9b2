"""Eager operations that run as machine code: which do, that they compute the same, and that nothing else changes."""

from __future__ import annotations

from collections.abc import Iterator
from threading import Thread
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import ops
from lucid.errors import ShapeError
from lucid.ir.graph import Call, Op
from lucid.ir.types import TensorType, float32
from lucid.nn import functional as F
from lucid.runtime.single import runner


@pytest.fixture(autouse=True)
def unknown_calls() -> Iterator[None]:
    """Operations decide anew whether they are heavy."""
    for op in (ops.conv2d, ops.matmul, ops.add, ops.relu):
        op._calls.clear()
    yield
    for op in (ops.conv2d, ops.matmul, ops.add, ops.relu):
        op._calls.clear()


def compiled(op: Op, *shapes: tuple[int, ...], **attrs: Any) -> bool:
    call = op.call(tuple([TensorType(s, float32) for s in shapes]), attrs)
    return runner(call) != op.evaluate


WINDOW = {"stride": (1, 1), "padding": ((1, 1), (1, 1)), "dilation": (1, 1), "groups": 1}


def test_heavy_operations_are_compiled_and_light_ones_are_not() -> None:
    assert compiled(ops.conv2d, (8, 16, 32, 32), (16, 16, 3, 3), **WINDOW)
    assert not compiled(ops.conv2d, (1, 1, 8, 8), (4, 1, 3, 3), **WINDOW)
    assert compiled(ops.matmul, (128, 256), (256, 128))
    assert not compiled(ops.matmul, (16, 16), (16, 16))
    assert compiled(ops.sum, (1000, 1000), axes=(1,), keepdims=False)
    assert not compiled(ops.sum, (10, 1000), axes=(1,), keepdims=False)
    assert compiled(ops.add, (1000, 1000), (1000, 1000))
    assert not compiled(ops.add, (100, 100), (100, 100))


def test_views_rounded_functions_and_what_has_attributes_stay_numpy() -> None:
    """A view shares memory; exp of a large array and of a part of it are the same bits; a pad by ``i`` in a loop is not
    compiled for every ``i``.
    """
    assert not compiled(ops.reshape, (1000, 1000), shape=(10**6,))
    assert not compiled(ops.transpose, (1000, 1000), perm=(1, 0))
    assert not compiled(ops.exp, (1000, 1000))
    assert not compiled(ops.pad, (1000, 1000), low=(1, 0), high=(0, 0), interior=(0, 0), value=0.0)
    assert not compiled(ops.div, (1000, 1000), (1000, 1000))


def test_numpy_can_be_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_EAGER", "numpy")
    assert not compiled(ops.matmul, (128, 256), (256, 128))


def test_values_and_gradients_are_those_of_numpy(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((4, 16, 24, 24), np.float32), rng.standard_normal((32, 16, 3, 3), np.float32)

    def results() -> list[np.ndarray]:
        a, b = lucid.tensor(x, requires_grad=True), lucid.tensor(w, requires_grad=True)
        y = F.max_pool2d(F.relu(F.conv2d(a, b, padding=1)), 2)
        loss = (y * y).mean()
        loss.backward()
        assert a.grad is not None
        assert b.grad is not None
        return [y.detach().numpy(), a.grad.numpy(), b.grad.numpy()]

    ours = results()
    monkeypatch.setenv("LUCID_EAGER", "numpy")
    for op in {type(o): o for o in vars(ops).values() if isinstance(o, Op)}.values():
        op._calls.clear()
    for got, want in zip(ours, results(), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-4 * np.abs(want).max())


def test_what_is_not_finite_and_signed_zeros_are_the_same() -> None:
    x = np.full((600, 600), -0.0, np.float32)
    x[3, :4] = np.nan, np.inf, -np.inf, 1e-42
    a = lucid.tensor(x)
    np.testing.assert_array_equal(np.signbit((a + a).numpy()), np.signbit(x + x))
    np.testing.assert_array_equal(F.relu(a).numpy(), np.maximum(x, 0))


def test_results_do_not_share_memory() -> None:
    a = lucid.ones((600, 600))
    first = a + 1.0
    kept = first.numpy().copy()
    for k in range(3):
        second = a * float(k)
        assert not np.shares_memory(first.numpy(), second.numpy())
    np.testing.assert_array_equal(first.numpy(), kept)


def test_errors_come_before_code() -> None:
    with pytest.raises(ShapeError, match="matmul"):
        lucid.ones((500, 600)) @ lucid.ones((500, 600))


def test_a_compiled_function_in_an_eager_graph_stays_what_it_is() -> None:
    w = lucid.randn(64, 64, requires_grad=True)
    f = lucid.compile(lambda x: (x @ w).sum())
    x = lucid.randn(200, 64)
    (f(x) * 2.0).backward()
    assert w.grad is not None
    np.testing.assert_allclose(w.grad.numpy()[:, 0], 2 * x.numpy().sum(0), rtol=1e-3, atol=1e-3)


def test_threads_may_share_an_operation() -> None:
    a, b = lucid.randn(256, 256), lucid.randn(256, 256)
    want = (a @ b).numpy()
    wrong: list[int] = []

    def work(k: int) -> None:
        for _ in range(10):
            if not (want == (a @ b).numpy()).all():
                wrong.append(k)

    threads = [Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_call_decides_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Call] = []
    monkeypatch.setattr("lucid.eager.runner", lambda call: asked.append(call) or call.op.evaluate)
    x = lucid.ones((3, 5, 7))
    for _ in range(3):
        _ = x + x
    assert len(asked) == 1
