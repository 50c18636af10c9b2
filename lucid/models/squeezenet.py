"""SqueezeNet: Iandola et al., arXiv:1602.07360."""

from __future__ import annotations

from typing import Any

from lucid import nn
from lucid.functions.movement import concat
from lucid.tensor import Tensor


class Fire(nn.Module):
    """A 1 x 1 convolution that narrows, then 1 x 1 and 3 x 3 convolutions side by side."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int):
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.squeeze(x))
        return concat([self.relu(self.expand1x1(y)), self.relu(self.expand3x3(y))], 1)


class SqueezeNet(nn.Module):
    """Fire modules and a convolution as classifier, for images ``(N, 3, 224, 224)``.

    Args:
        version: '1_0', or '1_1', which costs less than half.
        num_classes: outputs.
        dropout: probability before the classifier.

    Raises:
        ArgumentError, ArgumentTypeError: numbers out of range.

    >>> import lucid
    >>> lucid.models.SqueezeNet("1_1", num_classes=4)(lucid.zeros(1, 3, 64, 64)).shape
    (1, 4)
    """

    def __init__(self, version: str = "1_0", num_classes: int = 1000, dropout: float = 0.5):
        super().__init__()
        first = nn.Conv2d(3, 96, 7, 2) if version == "1_0" else nn.Conv2d(3, 64, 3, 2)
        fires: list[nn.Module] = []
        channels = first.out_channels
        for squeezed in (16, 16, 32, 32, 48, 48, 64, 64):
            fires.append(Fire(channels, squeezed, 4 * squeezed))
            channels = 8 * squeezed
        for place in (3, 7) if version == "1_0" else (2, 4):
            fires.insert(place + (place > 4 or (version != "1_0" and place > 2)), nn.MaxPool2d(3, 2, ceil_mode=True))
        self.features = nn.Sequential(first, nn.ReLU(), nn.MaxPool2d(3, 2, ceil_mode=True), *fires)
        last = nn.Conv2d(512, num_classes, 1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), last, nn.ReLU(), nn.AdaptiveAvgPool2d(1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module is last:
                    nn.init.normal_(module.weight, 0.0, 0.01)
                else:
                    nn.init.kaiming_uniform_(module.weight)
                assert module.bias is not None
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x))
        return logits.flatten(1)


def squeezenet1_0(**options: Any) -> SqueezeNet:
    """SqueezeNet 1.0: 1.25 million parameters. Options as ``SqueezeNet``.

    >>> import lucid
    >>> len(lucid.models.squeezenet1_0(num_classes=4).features)
    13
    """
    return SqueezeNet("1_0", **options)


def squeezenet1_1(**options: Any) -> SqueezeNet:
    """SqueezeNet 1.1: 1.24 million parameters. Options as ``SqueezeNet``.

    >>> import lucid
    >>> len(lucid.models.squeezenet1_1(num_classes=4).features)
    13
    """
    return SqueezeNet("1_1", **options)
