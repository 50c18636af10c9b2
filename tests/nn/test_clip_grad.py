"""Gradient clipping: written-out numbers, PyTorch's where it is installed, what is refused, compiled steps."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.errors import ArgumentError, ArgumentTypeError, GradientError, LucidError, TraceError

clip_norm, clip_value = nn.utils.clip_grad_norm_, nn.utils.clip_grad_value_


def parameters(*grads: Any, dtype: str = "float32") -> list[nn.Parameter]:
    made = []
    for grad in grads:
        values = np.array(0.0 if grad is None else grad, dtype)
        made.append(nn.Parameter(np.zeros_like(values)))
        made[-1].grad = None if grad is None else lucid.tensor(values)
    return made


def test_norm() -> None:
    a, b, c = parameters([3.0], [[0.0, 4.0]], None)
    grad = a.grad
    assert clip_norm([a, b, c], 10.0).item() == 5.0
    assert (a.grad.tolist(), b.grad.tolist(), c.grad) == ([3.0], [[0.0, 4.0]], None)
    assert clip_norm(iter([a, b, c]), 1.0).item() == 5.0
    assert [*a.grad.tolist(), *b.grad.tolist()[0]] == pytest.approx([0.6, 0.0, 0.8], rel=1e-5)
    assert grad.tolist() == [3.0]
    assert not a.grad.requires_grad
    assert clip_norm([c], 1.0).item() == 0.0
    assert clip_norm([], 1.0).item() == 0.0
    assert clip_norm(parameters(np.zeros((0, 3))), 1.0).item() == 0.0


def test_value() -> None:
    (a, b) = parameters([3.0, -3.0, 0.5, -0.0, math.nan, math.inf], None)
    clip_value([a, b], 1.0)
    np.testing.assert_array_equal(a.grad.numpy(), [1.0, -1.0, 0.5, -0.0, math.nan, 1.0])
    assert np.signbit(a.grad.numpy()[3])
    assert b.grad is None


def test_numbers_that_are_not_finite() -> None:
    for bad in (math.nan, math.inf):
        (a,) = parameters([1.0, bad])
        with pytest.raises(GradientError, match="cannot be clipped"):
            clip_norm(a, 1.0, error_if_nonfinite=True)
        assert a.grad[0].item() == 1.0
        assert not math.isfinite(clip_norm(a, 1.0).item())
        assert math.isnan(a.grad[1].item())


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("norm_type", [2, 1.0, 0.0, 3.5, math.inf, -math.inf])
def test_pytorch(norm_type: float, dtype: str) -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    grads = [rng.standard_normal(shape).astype(dtype) for shape in ((3, 4), (5,), ())]
    for most in (0.5, 100.0):
        ours = parameters(*grads, dtype=dtype)
        theirs = [torch.nn.Parameter(torch.zeros(g.shape, dtype=getattr(torch, dtype))) for g in grads]
        for p, g in zip(theirs, grads, strict=True):
            p.grad = torch.tensor(g)
        found = clip_norm(ours, most, norm_type).item()
        assert found == pytest.approx(torch.nn.utils.clip_grad_norm_(theirs, most, norm_type).item(), rel=1e-5)
        for p, q in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-5)


def test_mixed_dtypes_keep_theirs() -> None:
    (a,), (b,) = parameters([3.0]), parameters([4.0], dtype="float64")
    assert clip_norm([a, b], 1.0).item() == pytest.approx(5.0)
    assert (a.grad.dtype, b.grad.dtype) == (np.float32, np.float64)


def test_compiled() -> None:
    x = nn.Parameter([1.0, 2.0])

    def step(scale: lucid.Tensor) -> lucid.Tensor:
        x.grad = None
        (x * x * scale).sum().backward()
        clip_value([x], 3.0)
        return clip_norm([x], 1.0)

    run = lucid.compile(step)
    for scale in (1.0, 0.125):
        wanted = step(lucid.tensor(scale)).item()
        grad = x.grad.tolist()
        assert run(lucid.tensor(scale)).item() == pytest.approx(wanted)
        assert x.grad.tolist() == pytest.approx(grad)
    with pytest.raises(TraceError):
        lucid.compile(lambda: clip_norm([x], 1.0, error_if_nonfinite=True))()


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda p: clip_norm(3, 1.0), ArgumentTypeError, "parameters must be tensors, not int"),
        (lambda p: clip_norm(nn.Linear(2, 2), 1.0), ArgumentTypeError, "hint: pass model.parameters()"),
        (lambda p: clip_norm([3], 1.0), ArgumentTypeError, "parameters[0] must be a Tensor"),
        (lambda p: clip_norm([p, p], 1.0), ArgumentError, "given twice"),
        (lambda p: clip_norm(p, -1.0), ArgumentError, "max_norm=-1.0 must not be negative"),
        (lambda p: clip_norm(p, "a"), ArgumentTypeError, "max_norm='a'"),
        (lambda p: clip_norm(p, 1.0, "fro"), ArgumentTypeError, "norm_type='fro'"),
        (lambda p: clip_norm(p, 1.0, error_if_nonfinite=1), ArgumentTypeError, "error_if_nonfinite=1"),
        (lambda p: clip_value(p, -1.0), ArgumentError, "clip_grad_value_: clip_value=-1.0"),
        (lambda p: clip_value([None], 1.0), ArgumentTypeError, "parameters[0]"),
    ],
)
def test_refusals(make: Any, error: type[LucidError], message: str) -> None:
    with pytest.raises(error) as caught:
        make(parameters([1.0])[0])
    assert message in str(caught.value)
    assert "test_clip_grad.py" in str(caught.value)
