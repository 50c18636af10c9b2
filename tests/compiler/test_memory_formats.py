"""Channels-last tensors: values do not depend on the order in memory, and results keep it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid import Tensor, nn
from lucid.errors import ArgumentTypeError, ShapeError
from lucid.nn import functional as F


def image(*shape: int, last: bool = True) -> Tensor:
    x = lucid.tensor(np.random.default_rng(3).standard_normal(shape).astype(np.float32))
    return x.contiguous(lucid.channels_last) if last else x


def is_last(x: Tensor) -> bool:
    return x.is_contiguous(lucid.channels_last) and not x.is_contiguous()


def network() -> nn.Module:
    lucid.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 20, 3, groups=4)
    )


def test_formats_of_a_tensor() -> None:
    x = image(2, 3, 4, 5, last=False)
    y = x.to(memory_format=lucid.channels_last)
    assert x.is_contiguous()
    assert not x.is_contiguous(memory_format=lucid.channels_last)
    assert is_last(y)
    assert is_last(y.clone())
    assert is_last(y.to(lucid.float64).to(memory_format=lucid.preserve_format))
    assert y.contiguous(lucid.channels_last) is y
    assert y.contiguous().is_contiguous()
    np.testing.assert_array_equal(x.numpy(), y.numpy())
    volume = lucid.zeros(1, 2, 3, 4, 5).contiguous(lucid.channels_last_3d)
    assert volume.numpy().strides == (480, 4, 160, 40, 8)


def test_wrong_formats_are_refused() -> None:
    with pytest.raises(ShapeError, match="channels_last is for 4 dimensions, and the tensor has 2"):
        lucid.zeros(2, 2).contiguous(lucid.channels_last)
    with pytest.raises(ArgumentTypeError, match="memory_format='NHWC' must be a memory format"):
        lucid.zeros(2, 2, 2, 2).is_contiguous("NHWC")  # type: ignore[arg-type]


def test_a_gradient_flows_through_a_change_of_format() -> None:
    x = image(1, 2, 3, 3, last=False).requires_grad_()
    y = x.contiguous(lucid.channels_last)
    (y * y).sum().backward()
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy(), 2 * x.detach().numpy())


@pytest.mark.parametrize("grad", [False, True])
def test_a_compiled_network_keeps_the_channels_last(grad: bool) -> None:
    model = network().eval()
    compiled = lucid.compile(model)
    with lucid.set_grad_enabled(grad):
        wanted = model(image(4, 3, 12, 12, last=False))
        result = compiled(image(4, 3, 12, 12))
        again = compiled(image(4, 3, 12, 12, last=False))
    assert is_last(result)
    assert again.is_contiguous()
    for y in (result, again):
        np.testing.assert_allclose(y.detach().numpy(), wanted.detach().numpy(), rtol=1e-4, atol=1e-5)
    assert compiled(image(4, 3, 12, 12)).shape == wanted.shape


def test_calls_in_two_formats_alternate_without_new_traces() -> None:
    double = lucid.compile(lambda x: x * 2)
    for _ in range(3):
        for last in (True, False):
            y = double(image(2, 3, 4, 4, last=last))
            assert is_last(y) is last
    assert "2 versions, 6 calls" in double.explain()
    assert "in memory order (0, 2, 3, 1)" in double.explain()


def test_training_in_channels_last_gives_the_same_losses() -> None:
    def losses(last: bool) -> list[float]:
        model = network().train()
        optimizer = lucid.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)

        @lucid.compile
        def step(x: Tensor) -> Tensor:
            optimizer.zero_grad()
            loss = (model(x) ** 2).mean()
            loss.backward()
            optimizer.step()
            return loss

        return [step(image(4, 3, 12, 12, last=last)).item() for _ in range(4)]

    np.testing.assert_allclose(losses(last=True), losses(last=False), rtol=1e-4)


def test_gradients_outside_a_compiled_call() -> None:
    model = network().eval()

    def gradients(run: Any, last: bool) -> list[Any]:
        x = image(2, 3, 10, 10, last=last).detach().requires_grad_()
        y = run(x)
        return [g.numpy() for g in lucid.grad((y * y).sum(), [x, *model.parameters()])]

    for ours, wanted in zip(gradients(lucid.compile(model), True), gradients(model, False), strict=True):
        np.testing.assert_allclose(ours, wanted, rtol=1e-3, atol=1e-3)


def test_an_argument_that_is_updated_may_come_in_any_order() -> None:
    def accumulate(x: Tensor, y: Tensor) -> Tensor:
        x.copy_(x + y)
        return x * 2

    compiled = lucid.compile(accumulate)
    x, y = image(2, 3, 4, 4).detach(), image(2, 3, 4, 4)
    wanted = x.numpy().copy()
    for k in range(1, 3):
        result = compiled(x, y)
        np.testing.assert_allclose(x.numpy(), wanted * (k + 1), rtol=1e-6)
        np.testing.assert_allclose(result.numpy(), wanted * (k + 1) * 2, rtol=1e-6)


def test_eager_kernels_keep_the_channels_last() -> None:
    x = image(2, 16, 32, 32)
    weight = lucid.tensor(np.ones((8, 16, 3, 3), np.float32))
    y = F.conv2d(x, weight, padding=1)
    assert is_last(y)
    np.testing.assert_allclose(y.numpy(), F.conv2d(x.contiguous(), weight, padding=1).numpy(), rtol=1e-5, atol=1e-4)
