"""Tensors of float16 and bfloat16: made, printed, saved, promoted as in PyTorch, and computed in float32."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.errors import DTypeError
from lucid.ir.types import HALVES, DType, limits_of
from lucid.nn import functional as F

DTYPES = sorted(HALVES, key=str)
halves = pytest.mark.parametrize("half", DTYPES, ids=str)


@halves
def test_made_shown_and_taken_apart(half: DType, tmp_path: Path) -> None:
    x = lucid.tensor([[1.5, -2.25], [0.1, 300.0]], dtype=half)
    assert repr(x) == f"Tensor([[1.5, -2.25],\n        [0.1, 300.0]], dtype={half.name})"
    assert x[0].tolist() == [1.5, -2.25]
    assert x[1, 1].item() == 300
    assert isinstance(x[0, 0].item(), float)
    assert (x.element_size(), x.is_floating_point()) == (2, True)
    assert lucid.asarray(x.numpy()).dtype == half
    for made in (
        lucid.zeros(2, dtype=half),
        lucid.rand(3, dtype=half),
        lucid.arange(4, dtype=half),
        x.float().to(half),
    ):
        assert made.dtype == half
    path = tmp_path / "halves.safetensors"
    lucid.save({"x": x, "more": [x, 1]}, path)
    loaded = lucid.load(path)["more"][0]
    assert loaded.dtype == half
    np.testing.assert_array_equal(loaded.numpy(), x.numpy())


@halves
def test_dtypes_meet_as_in_torch(half: DType) -> None:
    torch = pytest.importorskip("torch")

    def check(ours: Any, theirs: Any) -> None:
        assert str(theirs.dtype) == f"torch.{ours.dtype.name}"

    x, y = lucid.ones(2, 3, dtype=half), torch.ones(2, 3, dtype=getattr(torch, half.name))
    for name in ("bool", "uint8", "int64", "float16", "bfloat16", "float32", "float64"):
        a, b = lucid.ones(3, dtype=name), torch.ones(3, dtype=getattr(torch, name))
        for shown in (lambda t: t, lambda t: t[0]):
            check(x + shown(a), y + shown(b))
            check(shown(x)[0] * a, shown(y)[0] * b)
    for number in (2, 2.0, True):
        check(x * number, y * number)
        check(number / x, number / y)
    for name in ("sum", "mean", "exp", "argmax", "isnan", "var"):
        check(getattr(x, name)(), getattr(y, name)())


def test_a_number_keeps_its_digits() -> None:
    """0.1 as a bfloat16 is 0.1001: the product would be off by one unit in the last place."""
    x = lucid.arange(1, 100, dtype="bfloat16")
    expected = (x.float() * 0.1).bfloat16()
    assert (x * 0.1).tolist() == expected.tolist()
    assert (x * lucid.tensor(0.1)).tolist() == expected.tolist()
    assert (x * lucid.full((99,), 0.1, dtype="bfloat16")).tolist() != expected.tolist()


@halves
def test_a_mean_does_not_overflow(half: DType) -> None:
    assert lucid.full((100_000,), 2.0, dtype=half).mean().item() == 2
    assert lucid.full((1000, 1000), 200.0, dtype=half).var().item() == 0


CALLS: dict[str, Any] = {
    "softmax": lambda x, w: F.softmax(x, -1),
    "gelu": lambda x, w: F.gelu(x),
    "silu": lambda x, w: F.silu(x),
    "layer_norm": lambda x, w: F.layer_norm(x, (8,), w[0]),
    "linear": F.linear,
    "matmul": lambda x, w: x @ w.T,
    "cross_entropy": lambda x, w: F.cross_entropy(x, [1, 0, 7, 3]),
    "mse_loss": lambda x, w: F.mse_loss(x, w[:4]),
    "logsumexp": lambda x, w: lucid.logsumexp(x, 1),
    "cumsum": lambda x, w: lucid.cumsum(x, 1),
    "std": lambda x, w: x.std(1),
    "batch_norm": lambda x, w: F.batch_norm(x, None, None, w[0], w[1], training=True),
    "attention": lambda x, w: F.scaled_dot_product_attention(x, w, w),
    "conv1d": lambda x, w: F.conv1d(x, w[:, :4, None], w[:, 0]),
}


@halves
@pytest.mark.parametrize("name", CALLS)
def test_functions_round_once(name: str, half: DType) -> None:
    """Forward they are the rounded result of float32, and their gradients are near those of float32."""
    lucid.manual_seed(0)
    given = [lucid.randn(4, 8, dtype=half), lucid.randn(8, 8, dtype=half)]
    short = [t.detach().requires_grad_() for t in given]
    wide = [t.float().detach().requires_grad_() for t in given]
    ours, reference = CALLS[name](*short), CALLS[name](*wide)
    assert ours.dtype == half
    np.testing.assert_array_equal(ours.numpy(), reference.to(half).numpy())
    factors = lucid.randn_like(ours)
    (ours * factors).sum().backward()
    (reference * factors.float()).sum().backward()
    eps = float(limits_of(half).eps)
    for a, b in zip(short, wide, strict=True):
        if b.grad is not None:
            assert a.grad is not None
            assert a.grad.dtype == half
            scale = float(b.grad.abs().max())
            np.testing.assert_allclose(a.grad.float().numpy(), b.grad.numpy(), rtol=0, atol=16 * eps * scale)


@halves
def test_compiled_code_takes_and_gives_halves(half: DType) -> None:
    lucid.manual_seed(0)
    x, w = lucid.randn(6, 40, dtype=half), lucid.randn(40, 33, dtype=half)

    def function(x: Any, w: Any) -> Any:
        return ((x @ w).relu() + 1, x.sum(1), x[:, ::3].T, x > 0.5)

    for ours, eager in zip(lucid.compile(function)(x, w), function(x, w), strict=True):
        assert ours.dtype == eager.dtype
        close = 2 * float(limits_of(half).eps) if ours.dtype == half else 0
        np.testing.assert_allclose(ours.numpy().astype(np.float64), eager.numpy().astype(np.float64), rtol=close)


def test_layers_do_not_mix_dtypes() -> None:
    with pytest.raises(DTypeError, match="bfloat16"):
        nn.Linear(3, 2)(lucid.ones(1, 3, dtype="bfloat16"))


def test_without_ml_dtypes_bfloat16_says_what_is_missing() -> None:
    code = """
import sys
sys.modules["ml_dtypes"] = None
import lucid
assert lucid.tensor([1.0], dtype="float16").half().dtype == lucid.float16
for wish in (lambda: lucid.bfloat16, lambda: lucid.ones(2).bfloat16(), lambda: lucid.ones(2, dtype="bfloat16")):
    try:
        wish()
    except lucid.errors.DTypeError as error:
        assert "pip install ml_dtypes" in str(error), error
    else:
        raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True)
