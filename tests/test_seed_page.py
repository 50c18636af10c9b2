"""The documentation page of ``Conv2d`` that Lucid started from: its three examples, with the right numbers."""

from __future__ import annotations

from typing import Any

import pytest

import lucid
from lucid import Tensor, nn
from lucid.errors import ShapeError


def set_values(parameter: Tensor, values: list[Any]) -> None:
    parameter.copy_(lucid.tensor(values))


def test_a_simple_convolution_without_bias() -> None:
    input_tensor = Tensor(
        [[[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]]],
        requires_grad=True,
    )
    conv2d = nn.Conv2d(in_channels=1, out_channels=1, kernel_size=2, bias=False)
    assert conv2d.weight.shape == (1, 1, 2, 2)
    assert conv2d.bias is None
    set_values(conv2d.weight, [[[[1.0, 2.0], [3.0, 4.0]]]])
    assert repr(conv2d.weight) == "Tensor([[\n    [[1.0, 2.0],\n     [3.0, 4.0]]\n]], requires_grad=True)"
    output = conv2d(input_tensor)
    assert output.tolist() == [[[[37, 47], [67, 77]]]]
    output.backward()
    assert input_tensor.grad is not None
    assert input_tensor.grad.tolist() == [[[[1, 3, 2], [4, 10, 6], [3, 7, 4]]]]
    assert conv2d.weight.grad is not None
    assert conv2d.weight.grad.tolist() == [[[[12, 16], [24, 28]]]]


def test_bias_and_a_batch_of_inputs() -> None:
    rows = lucid.arange(1.0, 25.0).reshape(2, 1, 3, 4)
    input_tensor = Tensor(rows, requires_grad=True)
    conv2d = nn.Conv2d(in_channels=1, out_channels=2, kernel_size=2, bias=True)
    set_values(conv2d.weight, [[[[1.0, 2.0], [3.0, 4.0]]], [[[5.0, 6.0], [7.0, 8.0]]]])
    assert conv2d.bias is not None
    set_values(conv2d.bias, [9.0, 10.0])
    assert repr(conv2d.bias) == "Tensor([9.0, 10.0], requires_grad=True)"
    output = conv2d(input_tensor)
    assert output.shape == (2, 2, 2, 3)
    assert output[0, 0, 0, 0].item() == 1 + 2 * 2 + 3 * 5 + 4 * 6 + 9
    output.backward()
    assert conv2d.bias.grad is not None
    assert conv2d.weight.grad is not None
    assert input_tensor.grad is not None
    assert conv2d.bias.grad.tolist() == [12, 12]
    assert conv2d.weight.grad.tolist() == [[[[120, 132], [168, 180]]]] * 2
    assert input_tensor.grad.tolist() == [[[[6, 14, 14, 8], [16, 36, 36, 20], [10, 22, 22, 12]]]] * 2


class Conv2dModel(nn.Module):
    def __init__(self) -> None:
        super(Conv2dModel, self).__init__()  # noqa: UP008  # as on the page
        self.conv1 = nn.Conv2d(in_channels=3, out_channels=16, kernel_size=3, padding=1)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(in_channels=16, out_channels=32, kernel_size=3, padding=1)
        self.pool = nn.MaxPool2D(kernel_size=2, stride=2)
        self.fc = nn.Linear(in_features=32 * 16 * 16, out_features=10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv1(x)
        x = self.relu(x)
        x = self.conv2(x)
        x = self.relu(x)
        x = self.pool(x)
        x = x.reshape(x.shape[0], -1)
        return self.fc(x)


def test_in_a_model() -> None:
    model = Conv2dModel()
    assert sum(p.numel() for p in model.parameters()) == 87_018
    output = model(lucid.randn(2, 3, 32, 32))
    assert output.shape == (2, 10)
    output.backward()
    assert all(p.grad is not None and p.grad.shape == p.shape for p in model.parameters())


def test_the_input_of_the_page_does_not_fit_the_model_and_the_error_says_why() -> None:
    page = [[[[0.5, -1.2, 3.3, 0.7], [1.5, 2.2, -0.3, 4.1], [5.5, 6.6, 7.7, 8.8], [9.9, 10.1, 11.2, 12.3]]]]
    with pytest.raises(ShapeError) as caught:
        Conv2dModel()(Tensor(page, requires_grad=True))
    message = str(caught.value)
    assert "conv2d: input has 1 channels, but the weight expects 3" in message
    assert "test_seed_page.py" in message


def test_three_channels_of_the_wrong_size_fail_at_the_linear_layer() -> None:
    with pytest.raises(ShapeError, match=r"input has shape \(1, 128\), but its last size must be in_features=8192"):
        Conv2dModel()(lucid.zeros(1, 3, 4, 4))


@pytest.mark.parametrize(("alias", "name"), [("Conv2D", "Conv2d"), ("MaxPool2D", "MaxPool2d")])
def test_aliases(alias: str, name: str) -> None:
    assert getattr(nn, alias) is getattr(nn, name)


def test_the_signature_is_the_one_on_the_page() -> None:
    positional = nn.Conv2d(4, 6, (3, 2), (2, 1), "same", (1, 2), 2, False)
    assert (positional.kernel_size, positional.stride, positional.dilation) == ((3, 2), (2, 1), (1, 2))
    assert (positional.padding, positional.groups, positional.bias) == ("same", 2, None)
    assert positional.weight.shape == (6, 2, 3, 2)
    assert positional(lucid.zeros(1, 4, 7, 7)).shape == (1, 6, 4, 7)


def test_initial_weights_are_uniform_within_one_over_the_root_of_fan_in() -> None:
    lucid.manual_seed(0)
    conv = nn.Conv2d(8, 64, (3, 5), groups=2)
    bound = (4 * 3 * 5) ** -0.5
    assert conv.bias is not None
    for values in (conv.weight, conv.bias):
        assert values.abs().max().item() <= bound
        assert values.abs().max().item() > 0.9 * bound
    assert abs(conv.weight.std().item() - bound / 3**0.5) < 0.02 * bound
    assert abs(conv.weight.mean().item()) < 0.05 * bound
