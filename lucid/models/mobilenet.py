"""MobileNet v2 (Sandler et al., arXiv:1801.04381) and v3 (Howard et al., arXiv:1905.02244)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lucid import nn
from lucid.models.blocks import SqueezeExcitation, conv_norm, rounded
from lucid.models.initial import initialize
from lucid.tensor import Tensor


class _InvertedV2(nn.Module):
    """A 1 x 1 convolution that widens, a depthwise one, a 1 x 1 that narrows; and a shortcut where shapes agree."""

    def __init__(self, before: int, after: int, stride: int, expansion: int):
        super().__init__()
        inner = before * expansion
        widened = [] if expansion == 1 else [conv_norm(before, inner, 1, activation=nn.ReLU6)]
        self.conv = nn.Sequential(
            *widened,
            conv_norm(inner, inner, 3, stride, inner, nn.ReLU6),
            nn.Conv2d(inner, after, 1, bias=False),
            nn.BatchNorm2d(after),
        )
        self.residual = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return x + y if self.residual else y


class MobileNetV2(nn.Module):
    """Inverted residuals, for images ``(N, 3, 224, 224)``.

    Args:
        num_classes: outputs.
        width_mult: channels in parts of the original's.
        dropout: probability before the classifier.

    Raises:
        ArgumentError, ArgumentTypeError: numbers out of range.

    >>> import lucid
    >>> lucid.models.MobileNetV2(num_classes=4, width_mult=0.25)(lucid.zeros(1, 3, 64, 64)).shape
    (1, 4)
    """

    #: Expansion, channels, blocks and first stride of each stage.
    stages = (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
    )  # fmt: skip

    def __init__(self, num_classes: int = 1000, width_mult: float = 1.0, dropout: float = 0.2):
        super().__init__()
        channels, last = rounded(32 * width_mult), rounded(1280 * max(1.0, width_mult))
        layers: list[nn.Module] = [conv_norm(3, channels, 3, 2, activation=nn.ReLU6)]
        for expansion, wide, depth, first in self.stages:
            after = rounded(wide * width_mult)
            for n in range(depth):
                layers.append(_InvertedV2(channels, after, 1 if n else first, expansion))
                channels = after
        self.features = nn.Sequential(*layers, conv_norm(channels, last, 1, activation=nn.ReLU6))
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(last, num_classes))
        initialize(self, linear=0.01)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).mean((2, 3)))
        return logits


def mobilenet_v2(**options: Any) -> MobileNetV2:
    """MobileNet v2: 3.5 million parameters. Options as ``MobileNetV2``.

    >>> import lucid
    >>> lucid.models.mobilenet_v2(width_mult=0.25).classifier[1].in_features
    1280
    """
    return MobileNetV2(**options)


_NORM: dict[str, Any] = {"eps": 0.001, "momentum": 0.01}

#: Kernel, inner channels, channels, whether it squeezes, its activation and stride, of each block.
_Block = tuple[int, int, int, bool, type[nn.Module], int]
_LARGE: tuple[_Block, ...] = (
    (3, 16, 16, False, nn.ReLU, 1), (3, 64, 24, False, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 1),
    (5, 72, 40, True, nn.ReLU, 2), (5, 120, 40, True, nn.ReLU, 1), (5, 120, 40, True, nn.ReLU, 1),
    (3, 240, 80, False, nn.Hardswish, 2), (3, 200, 80, False, nn.Hardswish, 1), (3, 184, 80, False, nn.Hardswish, 1),
    (3, 184, 80, False, nn.Hardswish, 1), (3, 480, 112, True, nn.Hardswish, 1), (3, 672, 112, True, nn.Hardswish, 1),
    (5, 672, 160, True, nn.Hardswish, 2), (5, 960, 160, True, nn.Hardswish, 1), (5, 960, 160, True, nn.Hardswish, 1),
)  # fmt: skip
_SMALL: tuple[_Block, ...] = (
    (3, 16, 16, True, nn.ReLU, 2), (3, 72, 24, False, nn.ReLU, 2), (3, 88, 24, False, nn.ReLU, 1),
    (5, 96, 40, True, nn.Hardswish, 2), (5, 240, 40, True, nn.Hardswish, 1), (5, 240, 40, True, nn.Hardswish, 1),
    (5, 120, 48, True, nn.Hardswish, 1), (5, 144, 48, True, nn.Hardswish, 1), (5, 288, 96, True, nn.Hardswish, 2),
    (5, 576, 96, True, nn.Hardswish, 1), (5, 576, 96, True, nn.Hardswish, 1),
)  # fmt: skip


class _InvertedV3(nn.Module):
    def __init__(self, before: int, block: _Block):
        super().__init__()
        kernel, inner, after, squeezes, activation, stride = block
        layers: list[nn.Module] = []
        if inner != before:
            layers.append(conv_norm(before, inner, 1, activation=activation, **_NORM))
        layers.append(conv_norm(inner, inner, kernel, stride, inner, activation, **_NORM))
        if squeezes:
            layers.append(SqueezeExcitation(inner, rounded(inner / 4), gate=nn.Hardsigmoid))
        layers.append(conv_norm(inner, after, 1, activation=None, **_NORM))
        self.block = nn.Sequential(*layers)
        self.residual = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + y if self.residual else y


class MobileNetV3(nn.Module):
    """Inverted residuals with squeeze-and-excitation and hard swish, for images ``(N, 3, 224, 224)``.

    Args:
        blocks: kernel, inner channels, channels, whether it squeezes, activation and stride of each block.
        last_channel: outputs of the first linear layer.
        num_classes: outputs.
        dropout: probability before the last linear layer.

    Raises:
        ArgumentError, ArgumentTypeError: numbers out of range.

    >>> import lucid
    >>> lucid.models.mobilenet_v3_small(num_classes=4)(lucid.zeros(1, 3, 64, 64)).shape
    (1, 4)
    """

    def __init__(self, blocks: Sequence[_Block], last_channel: int, num_classes: int = 1000, dropout: float = 0.2):
        super().__init__()
        layers: list[nn.Module] = [conv_norm(3, 16, 3, 2, activation=nn.Hardswish, **_NORM)]
        channels = 16
        for block in blocks:
            layers.append(_InvertedV3(channels, block))
            channels = block[2]
        layers.append(conv_norm(channels, 6 * channels, 1, activation=nn.Hardswish, **_NORM))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(
            nn.Linear(6 * channels, last_channel),
            nn.Hardswish(),
            nn.Dropout(dropout),
            nn.Linear(last_channel, num_classes),
        )
        initialize(self, linear=0.01)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return logits


def mobilenet_v3_large(**options: Any) -> MobileNetV3:
    """MobileNet v3, large: 5.5 million parameters. Options as ``MobileNetV3``.

    >>> import lucid
    >>> lucid.models.mobilenet_v3_large(num_classes=4).classifier[3].out_features
    4
    """
    return MobileNetV3(_LARGE, 1280, **options)


def mobilenet_v3_small(**options: Any) -> MobileNetV3:
    """MobileNet v3, small: 2.5 million parameters. Options as ``MobileNetV3``.

    >>> import lucid
    >>> lucid.models.mobilenet_v3_small(num_classes=4).classifier[3].out_features
    4
    """
    return MobileNetV3(_SMALL, 1024, **options)
