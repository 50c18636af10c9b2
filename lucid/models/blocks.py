"""Building blocks that several networks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lucid import nn
from lucid.tensor import Tensor

Maker = Callable[[], nn.Module]


def conv_norm(
    in_channels: int,
    out_channels: int,
    kernel_size: int = 3,
    stride: int = 1,
    groups: int = 1,
    activation: Maker | None = nn.ReLU,
    **norm: Any,
) -> nn.Sequential:
    """A convolution that keeps the size but for its stride, a batch norm with the options ``norm``, an activation."""
    padding = kernel_size // 2
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, groups=groups, bias=False),
        nn.BatchNorm2d(out_channels, **norm),
    ]
    return nn.Sequential(*layers, *([activation()] if activation is not None else []))


def rounded(channels: float, divisor: int = 8) -> int:
    """Channels as a multiple of ``divisor``, at most a tenth fewer: Howard et al., arXiv:1704.04861."""
    result = max(divisor, int(channels + divisor / 2) // divisor * divisor)
    return result + divisor if result < 0.9 * channels else result


class SqueezeExcitation(nn.Module):
    """Channels weighted by what the whole image shows: Hu et al., arXiv:1709.01507."""

    def __init__(self, channels: int, squeezed: int, activation: Maker = nn.ReLU, gate: Maker = nn.Sigmoid):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, channels, 1)
        self.activation = activation()
        self.scale_activation = gate()

    def forward(self, x: Tensor) -> Tensor:
        weights = self.fc2(self.activation(self.fc1(self.avgpool(x))))
        result: Tensor = x * self.scale_activation(weights)
        return result
