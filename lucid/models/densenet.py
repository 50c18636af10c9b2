"""DenseNet: Huang et al., arXiv:1608.06993."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lucid import nn
from lucid.functions.movement import concat
from lucid.models.initial import initialize
from lucid.nn import functional as F
from lucid.tensor import Tensor


class _DenseLayer(nn.Module):
    """A 1 x 1 and a 3 x 3 convolution, each after a norm and ReLU, of everything so far."""

    def __init__(self, in_channels: int, growth: int, bottleneck: int, dropout: float):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, bottleneck * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(bottleneck * growth)
        self.conv2 = nn.Conv2d(bottleneck * growth, growth, 3, padding=1, bias=False)
        self.dropout = dropout

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.relu(self.norm1(x)))
        y = self.conv2(self.relu(self.norm2(y)))
        return F.dropout(y, self.dropout, self.training)


class _DenseBlock(nn.ModuleDict):
    """Layers that each see what all before them gave."""

    def __init__(self, layers: int, in_channels: int, growth: int, bottleneck: int, dropout: float):
        super().__init__()
        for k in range(layers):
            layer = _DenseLayer(in_channels + k * growth, growth, bottleneck, dropout)
            self.add_module(f"denselayer{k + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.values():
            x = concat([x, layer(x)], 1)
        return x


class DenseNet(nn.Module):
    """Blocks of densely connected layers, with narrowing and pooling between, for images ``(N, 3, 224, 224)``.

    Args:
        growth_rate: channels that every layer adds.
        block_config: layers of each block.
        num_init_features: channels of the first convolution.
        bn_size: channels between the two convolutions of a layer, in growth rates.
        drop_rate: probability of dropout after each layer.
        num_classes: outputs.

    Raises:
        ArgumentError, ArgumentTypeError: numbers out of range.

    >>> import lucid
    >>> lucid.models.DenseNet(8, (2, 2), 16, num_classes=4)(lucid.zeros(1, 3, 64, 64)).shape
    (1, 4)
    """

    def __init__(
        self,
        growth_rate: int = 32,
        block_config: Sequence[int] = (6, 12, 24, 16),
        num_init_features: int = 64,
        bn_size: int = 4,
        drop_rate: float = 0.0,
        num_classes: int = 1000,
    ):
        super().__init__()
        channels = num_init_features
        layers: dict[str, nn.Module] = {
            "conv0": nn.Conv2d(3, channels, 7, 2, 3, bias=False),
            "norm0": nn.BatchNorm2d(channels),
            "relu0": nn.ReLU(),
            "pool0": nn.MaxPool2d(3, 2, 1),
        }
        for k, depth in enumerate(block_config, 1):
            layers[f"denseblock{k}"] = _DenseBlock(depth, channels, growth_rate, bn_size, drop_rate)
            channels += depth * growth_rate
            if k < len(block_config):
                layers[f"transition{k}"] = nn.Sequential(
                    {
                        "norm": nn.BatchNorm2d(channels),
                        "relu": nn.ReLU(),
                        "conv": nn.Conv2d(channels, channels // 2, 1, bias=False),
                        "pool": nn.AvgPool2d(2),
                    }
                )
                channels //= 2
        layers["norm5"] = nn.BatchNorm2d(channels)
        self.features = nn.Sequential(layers)
        self.classifier = nn.Linear(channels, num_classes)
        initialize(self, mode="fan_in")
        assert self.classifier.bias is not None
        nn.init.zeros_(self.classifier.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = F.adaptive_avg_pool2d(F.relu(self.features(x)), 1)
        logits: Tensor = self.classifier(y.flatten(1))
        return logits


def densenet121(**options: Any) -> DenseNet:
    """DenseNet-121: 8.0 million parameters. Options as ``DenseNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.densenet121, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return DenseNet(32, (6, 12, 24, 16), 64, **options)


def densenet161(**options: Any) -> DenseNet:
    """DenseNet-161: 28.7 million parameters. Options as ``DenseNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.densenet161, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return DenseNet(48, (6, 12, 36, 24), 96, **options)


def densenet169(**options: Any) -> DenseNet:
    """DenseNet-169: 14.1 million parameters. Options as ``DenseNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.densenet169, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return DenseNet(32, (6, 12, 32, 32), 64, **options)


def densenet201(**options: Any) -> DenseNet:
    """DenseNet-201: 20.0 million parameters. Options as ``DenseNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.densenet201, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return DenseNet(32, (6, 12, 48, 32), 64, **options)
