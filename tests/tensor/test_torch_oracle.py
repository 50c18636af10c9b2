"""Methods and functional layers against PyTorch, forward and backward. Runs where torch is installed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import lucid
from lucid.nn import functional as F

torch = pytest.importorskip("torch")
TF = torch.nn.functional

RNG = np.random.default_rng(11)
X = RNG.standard_normal((2, 3, 5)).astype(np.float32)
Y = RNG.standard_normal((2, 3, 5)).astype(np.float32)
P = np.abs(X) + 0.5
A = RNG.standard_normal((3, 4)).astype(np.float32)
B = RNG.standard_normal((4, 2)).astype(np.float32)
IMAGE = RNG.standard_normal((2, 4, 9, 8)).astype(np.float32)
KERNEL = RNG.standard_normal((6, 2, 3, 2)).astype(np.float32)
DEEP = RNG.standard_normal((8, 1, 3, 3)).astype(np.float32)
BIAS = RNG.standard_normal(6).astype(np.float32)
LOGITS = RNG.standard_normal((6, 4)).astype(np.float32)
CLASSES = np.array([0, 3, 1, -100, 2, 2])
PIXELS = RNG.standard_normal((2, 4, 3, 3)).astype(np.float32)
PIXEL_CLASSES = RNG.integers(0, 4, (2, 3, 3))
SCALE, SHIFT = RNG.standard_normal((2, 4)).astype(np.float32)
SHARES = np.abs(LOGITS) / np.abs(LOGITS).sum(1, keepdims=True)

UNARY = [
    "exp", "expm1", "tanh", "sigmoid", "relu", "abs", "sin", "cos", "erf", "square", "sign", "floor", "ceil", "neg",
    "sum", "mean", "max", "min",
]  # fmt: skip

Function = Callable[..., Any]
#: name: (lucid, torch, operands that need a gradient)
CASES: dict[str, tuple[Function, Function, tuple[np.ndarray, ...]]] = {
    **{
        name: (lambda x, name=name: getattr(x, name)(), lambda x, name=name: getattr(x, name)(), (X,))
        for name in UNARY
    },
    **{
        name: (lambda x, name=name: getattr(x, name)(), lambda x, name=name: getattr(x, name)(), (P,))
        for name in ["log", "log1p", "sqrt", "rsqrt", "prod"]
    },
    "arithmetic": (*[lambda x, y: (x + y) * x / (y * y + 1) - 2 * x] * 2, (X, Y)),
    "pow": (lambda x, y: x**y, lambda x, y: x**y, (P, Y)),
    "pow 3": (lambda x: x**3, lambda x: x**3, (X,)),
    "broadcast": (lambda x, y: x * y[:1, :, :1], lambda x, y: x * y[:1, :, :1], (X, Y)),
    "maximum": (lambda x, y: x.maximum(y), lambda x, y: x.maximum(y), (X, Y)),
    "minimum of ties": (lambda x, y: x.minimum(y * 0 + x), lambda x, y: x.minimum(y * 0 + x), (X, Y)),
    "clamp": (lambda x: x.clamp(-0.5, 0.5), lambda x: x.clamp(-0.5, 0.5), (X,)),
    "where": (lambda x, y: lucid.where(x > y, x, y * 2), lambda x, y: torch.where(x > y, x, y * 2), (X, Y)),
    "sum dim": (lambda x: x.sum(dim=(0, 2)), lambda x: x.sum(dim=(0, 2)), (X,)),
    "mean keepdim": (lambda x: x.mean(dim=1, keepdim=True), lambda x: x.mean(dim=1, keepdim=True), (X,)),
    "max dim": (lambda x: x.max(axis=1), lambda x: x.amax(dim=1), (X,)),
    "var": (lambda x: x.var(1, correction=1), lambda x: x.var(1), (X,)),
    "std": (lambda x: x.std(axis=2), lambda x: x.std(2, correction=0), (X,)),
    "softmax": (lambda x: x.softmax(1), lambda x: x.softmax(1), (X,)),
    "log_softmax": (lambda x: x.log_softmax(-1), lambda x: x.log_softmax(-1), (X,)),
    "logsumexp": (lambda x: x.logsumexp(1), lambda x: x.logsumexp(1), (X,)),
    "matmul": (lambda a, b: a @ b, lambda a, b: a @ b, (A, B)),
    "batched matmul": (lambda x, y: x @ y.mT, lambda x, y: x @ y.mT, (X, Y)),
    "vector matmul": (lambda a, b: a[:, 0] @ (a @ b), lambda a, b: a[:, 0] @ (a @ b), (A, B)),
    "movement": (
        lambda x: x.permute(2, 0, 1).reshape(5, 6).flip((0,)).unsqueeze(1).expand(5, 2, 6),
        lambda x: x.permute(2, 0, 1).reshape(5, 6).flip((0,)).unsqueeze(1).expand(5, 2, 6),
        (X,),
    ),
    "indexing": (lambda x: x[1, :, ::2] * x[0, 0:3, 1:4], lambda x: x[1, :, ::2] * x[0, 0:3, 1:4], (X,)),
    "positions": (lambda x: x[:, [0, 2, 0]], lambda x: x[:, [0, 2, 0]], (X,)),
    "cat": (lambda x, y: lucid.cat([x, y * y], 1), lambda x, y: torch.cat([x, y * y], 1), (X, Y)),
    "stack": (lambda x, y: lucid.stack([x, y, x], -1), lambda x, y: torch.stack([x, y, x], -1), (X, Y)),
    "chunk": (lambda x: x.chunk(2, 2)[1], lambda x: x.chunk(2, 2)[1], (X,)),
    "repeat": (lambda x: x.repeat(2, 1, 3), lambda x: x.repeat(2, 1, 3), (X,)),
    "linear": (F.linear, TF.linear, (A, B.T.copy(), BIAS[:2])),
    "conv2d": (
        lambda x, w, b: F.conv2d(x, w, b, (2, 1), (1, 2), (1, 2), 2),
        lambda x, w, b: TF.conv2d(x, w, b, (2, 1), (1, 2), (1, 2), 2),
        (IMAGE, KERNEL, BIAS),
    ),
    "conv2d same": (
        lambda x, w: F.conv2d(x, w, padding="same", dilation=2, groups=2),
        lambda x, w: TF.conv2d(x, w, padding="same", dilation=2, groups=2),
        (IMAGE, KERNEL),
    ),
    "conv2d asymmetric": (
        lambda x, w: F.conv2d(x, w, padding=((1, 0), (2, 3)), groups=2),
        lambda x, w: TF.conv2d(TF.pad(x, (2, 3, 1, 0)), w, groups=2),
        (IMAGE, KERNEL),
    ),
    "conv2d depthwise": (
        lambda x, w: F.conv2d(x, w, padding=1, groups=4), lambda x, w: TF.conv2d(x, w, padding=1, groups=4),
        (IMAGE, DEEP),
    ),
    "max_pool2d": (
        lambda x: F.max_pool2d(x, (3, 2), (2, 1), (1, 0)), lambda x: TF.max_pool2d(x, (3, 2), (2, 1), (1, 0)), (IMAGE,),
    ),
    "max_pool2d dilated": (
        lambda x: F.max_pool2d(x, 2, dilation=3), lambda x: TF.max_pool2d(x, 2, dilation=3), (IMAGE,),
    ),
    "avg_pool2d": (lambda x: F.avg_pool2d(x, 3, 2, 1), lambda x: TF.avg_pool2d(x, 3, 2, 1), (IMAGE,)),
    "avg_pool2d real pixels": (
        lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        lambda x: TF.avg_pool2d(x, 3, 2, 1, count_include_pad=False),
        (IMAGE,),
    ),
    "batch_norm": (
        lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True),
        lambda x, w, b: TF.batch_norm(x, None, None, w, b, training=True),
        (IMAGE, SCALE, SHIFT),
    ),
    "batch_norm of rows": (
        lambda x: F.batch_norm(x, None, None, training=True), lambda x: TF.batch_norm(x, None, None, training=True),
        (LOGITS,),
    ),
    "relu6": (lambda x: F.relu6(x * 10), lambda x: TF.relu6(x * 10), (X,)),
    "leaky_relu": (lambda x: F.leaky_relu(x, 0.2), lambda x: TF.leaky_relu(x, 0.2), (X,)),
    "elu": (lambda x: F.elu(x * 50, 0.7), lambda x: TF.elu(x * 50, 0.7), (X,)),
    "silu": (F.silu, TF.silu, (X,)),
    "gelu": (F.gelu, TF.gelu, (X,)),
    "softplus": (lambda x: F.softplus(x * 9), lambda x: TF.softplus(x * 9), (X,)),
    "mse_loss": (F.mse_loss, TF.mse_loss, (X, Y)),
    "mse_loss sum": (lambda x, y: F.mse_loss(x, y, "sum"), lambda x, y: TF.mse_loss(x, y, reduction="sum"), (X, Y)),
    "l1_loss": (lambda x, y: F.l1_loss(x, y, "none"), lambda x, y: TF.l1_loss(x, y, reduction="none"), (X, Y)),
    **{
        f"cross_entropy {reduction} {smoothing}": (
            lambda x, r=reduction, s=smoothing: F.cross_entropy(x, CLASSES, reduction=r, label_smoothing=s),
            lambda x, r=reduction, s=smoothing: TF.cross_entropy(
                x, torch.tensor(CLASSES), reduction=r, label_smoothing=s
            ),
            (LOGITS,),
        )
        for reduction in ("mean", "sum", "none")
        for smoothing in (0.0, 0.1)
    },
    "cross_entropy of one": (
        lambda x: F.cross_entropy(x[0], 2), lambda x: TF.cross_entropy(x[0], torch.tensor(2)), (LOGITS,),
    ),
    "cross_entropy of pixels": (
        lambda x: F.cross_entropy(x, PIXEL_CLASSES), lambda x: TF.cross_entropy(x, torch.tensor(PIXEL_CLASSES)),
        (PIXELS,),
    ),
    "cross_entropy of shares": (
        lambda x: F.cross_entropy(x, SHARES, label_smoothing=0.1),
        lambda x: TF.cross_entropy(x, torch.tensor(SHARES), label_smoothing=0.1),
        (LOGITS,),
    ),
    "nll_loss": (
        lambda x: F.nll_loss(x.log_softmax(1), CLASSES), lambda x: TF.nll_loss(x.log_softmax(1), torch.tensor(CLASSES)),
        (LOGITS,),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_agrees_with_torch(name: str) -> None:
    ours, theirs, operands = CASES[name]
    a = [lucid.tensor(x, requires_grad=True) for x in operands]
    b = [torch.tensor(x, requires_grad=True) for x in operands]
    y, z = ours(*a), theirs(*b)
    assert y.shape == tuple(z.shape)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=2e-5, atol=3e-6)
    weights = np.random.default_rng(0).standard_normal(y.shape).astype(np.float32)
    y.backward(weights)
    z.backward(torch.tensor(weights))
    for k, (u, v) in enumerate(zip(a, b, strict=True)):
        np.testing.assert_allclose(u.grad.numpy(), v.grad.numpy(), rtol=1e-4, atol=2e-5, err_msg=f"operand {k}")


@pytest.mark.parametrize("name", CASES)
def test_compiled_agrees_with_torch(name: str) -> None:
    ours, theirs, operands = CASES[name]
    a = [lucid.tensor(x, requires_grad=True) for x in operands]
    b = [torch.tensor(x, requires_grad=True) for x in operands]
    y, z = lucid.compile(ours)(*a), theirs(*b)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=2e-5, atol=3e-6)
    y.backward()
    z.backward(torch.ones_like(z))
    for k, (u, v) in enumerate(zip(a, b, strict=True)):
        np.testing.assert_allclose(u.grad.numpy(), v.grad.numpy(), rtol=1e-4, atol=2e-5, err_msg=f"operand {k}")


SMOOTH = [
    "pow",
    "log_softmax",
    "logsumexp",
    "var",
    "conv2d",
    "max_pool2d",
    "batch_norm",
    "cross_entropy mean 0.1",
    "gelu",
]


@pytest.mark.parametrize("name", SMOOTH)
def test_second_derivatives_agree_with_torch(name: str) -> None:
    ours, theirs, operands = CASES[name]
    a = [lucid.tensor(x.astype(np.float64), requires_grad=True) for x in operands]
    b = [torch.tensor(x.astype(np.float64), requires_grad=True) for x in operands]
    first = lucid.grad((ours(*a) ** 2).sum(), a, create_graph=True)
    other = torch.autograd.grad((theirs(*b) ** 2).sum(), b, create_graph=True)
    sum((g**3).sum() for g in first).backward()
    sum((g**3).sum() for g in other).backward()
    for k, (u, v) in enumerate(zip(a, b, strict=True)):
        np.testing.assert_allclose(u.grad.numpy(), v.grad.numpy(), rtol=1e-6, atol=1e-8, err_msg=f"operand {k}")


def test_running_statistics_agree_with_torch() -> None:
    a = [lucid.zeros(4), lucid.ones(4)]
    b = [torch.zeros(4), torch.ones(4)]
    for step in range(3):
        F.batch_norm(lucid.tensor(IMAGE + step), *a, training=True, momentum=0.3)
        TF.batch_norm(torch.tensor(IMAGE + step), *b, training=True, momentum=0.3)
    for u, v in zip(a, b, strict=True):
        np.testing.assert_allclose(u.numpy(), v.numpy(), rtol=1e-5)
    y = F.batch_norm(lucid.tensor(IMAGE), *a, SCALE_T, SHIFT_T)
    z = TF.batch_norm(torch.tensor(IMAGE), *b, torch.tensor(SCALE), torch.tensor(SHIFT))
    np.testing.assert_allclose(y.numpy(), z.numpy(), rtol=1e-4, atol=1e-5)


SCALE_T, SHIFT_T = lucid.tensor(SCALE), lucid.tensor(SHIFT)
