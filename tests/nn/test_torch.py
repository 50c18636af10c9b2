"""PyTorch as a second opinion: every layer agrees with its counterpart there, forward and backward."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import lucid
from lucid import nn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")  # PyTorch's, about its speed


def both(shape: tuple[int, ...], seed: int = 0, requires_grad: bool = True) -> tuple[lucid.Tensor, Any]:
    """The same random tensor in Lucid and in PyTorch."""
    array = np.random.default_rng(seed).standard_normal(shape).astype(np.float32)
    return lucid.tensor(array, requires_grad=requires_grad), torch.tensor(array, requires_grad=requires_grad)


def same(ours: Any, theirs: Any, rtol: float = 1e-4, atol: float = 1e-5) -> None:
    assert ours is not None
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=rtol, atol=atol)


def adopt(ours: nn.Module, theirs: Any) -> None:
    """Give PyTorch's module the values of ours; the keys must be the same."""
    theirs.load_state_dict({k: torch.tensor(v.numpy()) for k, v in ours.state_dict().items()})


def agree(ours: nn.Module, theirs: Any, shape: tuple[int, ...], rounds: int = 1) -> None:
    """Outputs, gradients and buffers agree, for several calls in a row, eagerly and compiled."""
    adopt(ours, theirs)
    compiled = lucid.compile(copy.deepcopy(ours))
    reference = copy.deepcopy(theirs)
    agree_once(ours, theirs, shape, rounds)
    agree_once(compiled, reference, shape, rounds)


def agree_once(ours: nn.Module, theirs: Any, shape: tuple[int, ...], rounds: int) -> None:
    for seed in range(rounds):
        x, tx = both(shape, seed)
        y, ty = ours(x), theirs(tx)
        same(y, ty)
        g, tg = both(y.shape, seed + 100, requires_grad=False)
        y.backward(g)
        ty.backward(tg)
        same(x.grad, tx.grad)
    parameters = dict(theirs.named_parameters())
    for name, p in ours.named_parameters():
        same(p.grad, parameters[name].grad)
    buffers = dict(theirs.named_buffers())
    assert [n for n, _ in ours.named_buffers()] == list(buffers)
    for name, b in ours.named_buffers():
        same(b, buffers[name])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"stride": 2, "padding": 1},
        {"stride": (2, 1), "padding": (0, 2), "dilation": (1, 2)},
        {"padding": "same"},
        {"padding": "same", "dilation": 2},
        {"padding": "valid", "bias": False},
        {"groups": 2},
        {"groups": 4, "padding": 1},
    ],
    ids=str,
)
@pytest.mark.parametrize("kernel", [1, 3, (2, 3)], ids=str)
def test_conv2d(kernel: Any, options: dict[str, Any]) -> None:
    agree(nn.Conv2d(4, 8, kernel, **options), torch.nn.Conv2d(4, 8, kernel, **options), (2, 4, 9, 8))


sizes = st.tuples(st.integers(1, 9), st.integers(1, 9))
small = st.tuples(st.integers(1, 3), st.integers(1, 3))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(size=sizes, kernel=small, stride=small, padding=st.tuples(*[st.integers(0, 2)] * 2), dilation=small)
def test_conv2d_output_shapes(size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> None:
    conv = nn.Conv2d(1, 2, kernel, stride, padding, dilation)
    x = lucid.ones(1, 1, *size)
    span = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    if any(n + 2 * p < s for n, p, s in zip(size, padding, span, strict=True)):
        with pytest.raises(lucid.errors.ShapeError, match="the kernel spans"):
            conv(x)
        return
    wanted = [(n + 2 * p - s) // t + 1 for n, p, s, t in zip(size, padding, span, stride, strict=True)]
    theirs = torch.nn.Conv2d(1, 2, kernel, stride, padding, dilation)
    adopt(conv, theirs)
    y = conv(x)
    assert y.shape == (1, 2, *wanted)
    same(y, theirs(torch.ones(1, 1, *size)))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(size=sizes, kernel=st.tuples(*[st.integers(1, 4)] * 2), stride=small, dilation=small)
def test_same_padding(size: Any, kernel: Any, stride: Any, dilation: Any) -> None:
    conv = nn.Conv2d(1, 1, kernel, stride, "same", dilation)
    y = conv(lucid.ones(1, 1, *size))
    assert y.shape[2:] == tuple(math.ceil(n / s) for n, s in zip(size, stride, strict=True))
    # PyTorch has no strided 'same': its dense output, sampled, is the same thing.
    theirs = torch.nn.Conv2d(1, 1, kernel, 1, "same", dilation)
    adopt(conv, theirs)
    same(y, theirs(torch.ones(1, 1, *size))[:, :, :: stride[0], :: stride[1]])


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(5,), (3, 5), (2, 3, 5)], ids=str)
def test_linear(shape: tuple[int, ...], bias: bool) -> None:
    agree(nn.Linear(5, 4, bias=bias), torch.nn.Linear(5, 4, bias=bias), shape)


@pytest.mark.parametrize("name", ["ReLU", "Sigmoid", "Tanh", "Identity", "Flatten"])
def test_without_options(name: str) -> None:
    agree(getattr(nn, name)(), getattr(torch.nn, name)(), (3, 2, 4))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("name", ["Softmax", "LogSoftmax"])
def test_softmax(name: str, axis: int) -> None:
    agree(getattr(nn, name)(axis), getattr(torch.nn, name)(axis), (3, 4, 5))


def test_flatten() -> None:
    agree(nn.Flatten(0, 1), torch.nn.Flatten(0, 1), (2, 3, 4))


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 1}, {"padding": 1}, {"stride": (1, 2), "padding": (1, 0)}, {"dilation": 2, "stride": 1}],
    ids=str,
)
def test_max_pool2d(options: dict[str, Any]) -> None:
    agree(nn.MaxPool2d(3, **options), torch.nn.MaxPool2d(3, **options), (2, 3, 8, 9))


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 1}, {"padding": 1}, {"padding": (0, 1), "stride": (1, 2), "count_include_pad": False}],
    ids=str,
)
def test_avg_pool2d(options: dict[str, Any]) -> None:
    agree(nn.AvgPool2d((3, 2), **options), torch.nn.AvgPool2d((3, 2), **options), (2, 3, 8, 9))


@pytest.mark.parametrize(
    "options",
    [{}, {"momentum": 0.3, "eps": 1e-2}, {"momentum": None}, {"affine": False}, {"track_running_stats": False}],
    ids=str,
)
@pytest.mark.parametrize("training", [True, False])
def test_batch_norm2d(training: bool, options: dict[str, Any]) -> None:
    ours, theirs = nn.BatchNorm2d(3, **options), torch.nn.BatchNorm2d(3, **options)
    for p in ours.parameters():
        nn.init.uniform_(p, 0.5, 1.5)
    agree(ours, theirs, (4, 3, 5, 2), rounds=3)  # statistics to evaluate with
    ours.zero_grad()
    theirs.zero_grad()
    agree(ours.train(training), theirs.train(training), (4, 3, 5, 2), rounds=2)


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
class TestLosses:
    def test_mse(self, reduction: Any) -> None:
        x, tx = both((3, 4), 0)
        t, tt = both((3, 4), 1)
        self.check(nn.MSELoss(reduction)(x, t), torch.nn.MSELoss(reduction=reduction)(tx, tt), (x, t), (tx, tt))

    @pytest.mark.parametrize("options", [{}, {"ignore_index": 2}, {"label_smoothing": 0.2}], ids=str)
    @pytest.mark.parametrize("shape", [(4,), (6, 4), (3, 4, 2, 2)], ids=str)
    def test_cross_entropy(self, shape: Any, options: dict[str, Any], reduction: Any) -> None:
        x, tx = both(shape)
        wanted = shape[:-1] if len(shape) < 3 else (shape[0], *shape[2:])
        classes = np.random.default_rng(1).integers(0, 2, wanted) * 2 + 1 * (len(shape) == 1)
        ours = nn.CrossEntropyLoss(reduction=reduction, **options)(x, lucid.tensor(classes))
        theirs = torch.nn.CrossEntropyLoss(reduction=reduction, **options)(tx, torch.tensor(classes))
        self.check(ours, theirs, (x,), (tx,))

    @pytest.mark.parametrize("label_smoothing", [0.0, 0.3])
    def test_cross_entropy_of_probabilities(self, label_smoothing: float, reduction: Any) -> None:
        x, tx = both((5, 3))
        p = np.random.default_rng(2).dirichlet(np.ones(3), 5).astype(np.float32)
        options: Any = {"reduction": reduction, "label_smoothing": label_smoothing}
        ours = nn.CrossEntropyLoss(**options)(x, lucid.tensor(p))
        self.check(ours, torch.nn.CrossEntropyLoss(**options)(tx, torch.tensor(p)), (x,), (tx,))

    def check(self, ours: Any, theirs: Any, inputs: Any, their_inputs: Any) -> None:
        same(ours, theirs)
        ours.backward()
        theirs.sum().backward()
        for x, tx in zip(inputs, their_inputs, strict=True):
            same(x.grad, tx.grad)


def test_a_whole_net() -> None:
    def net(m: Any) -> Any:
        return m.Sequential(
            m.Conv2d(1, 4, 3, padding=1),
            m.BatchNorm2d(4),
            m.ReLU(),
            m.MaxPool2d(2),
            m.Conv2d(4, 8, 3, stride=2),
            m.Tanh(),
            m.AvgPool2d(2),
            m.Flatten(),
            m.Linear(8, 5),
        )

    agree(net(nn), net(torch.nn), (3, 1, 12, 12), rounds=2)
