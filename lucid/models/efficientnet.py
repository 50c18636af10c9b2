"""EfficientNet: Tan & Le, arXiv:1905.11946."""

from __future__ import annotations

import math
from typing import Any

from lucid import nn
from lucid.models.blocks import SqueezeExcitation, conv_norm, rounded
from lucid.models.initial import initialize
from lucid.tensor import Tensor

#: Expansion, kernel, stride, channels and blocks of each stage of the smallest.
_STAGES = (
    (1, 3, 1, 16, 1), (6, 3, 2, 24, 2), (6, 5, 2, 40, 2), (6, 3, 2, 80, 3), (6, 5, 1, 112, 3), (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)  # fmt: skip


class _MBConv(nn.Module):
    """An inverted residual with squeeze-and-excitation, left out at random in training."""

    def __init__(
        self, before: int, after: int, expansion: int, kernel: int, stride: int, dropped: float, norm: dict[str, Any]
    ):
        super().__init__()
        inner = before * expansion
        layers: list[nn.Module] = []
        if expansion != 1:
            layers.append(conv_norm(before, inner, 1, activation=nn.SiLU, **norm))
        layers.append(conv_norm(inner, inner, kernel, stride, inner, nn.SiLU, **norm))
        layers.append(SqueezeExcitation(inner, max(1, before // 4), nn.SiLU))
        layers.append(conv_norm(inner, after, 1, activation=None, **norm))
        self.block = nn.Sequential(*layers)
        self.stochastic_depth = nn.DropPath(dropped)
        self.residual = stride == 1 and before == after

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.block(x)
        return x + self.stochastic_depth(y) if self.residual else y


class EfficientNet(nn.Module):
    """Inverted residuals scaled in width and depth, for images ``(N, 3, H, W)``.

    Args:
        width_mult: channels in parts of EfficientNet-B0's.
        depth_mult: blocks of a stage in parts of its.
        dropout: probability before the classifier.
        stochastic_depth_prob: probability with which the last block is left out; earlier ones proportionally less.
        num_classes: outputs.
        norm: options of the batch norms.

    Raises:
        ArgumentError, ArgumentTypeError: numbers out of range.

    >>> import lucid
    >>> lucid.models.efficientnet_b0(num_classes=4)(lucid.zeros(1, 3, 64, 64)).shape
    (1, 4)
    """

    def __init__(
        self,
        width_mult: float = 1.0,
        depth_mult: float = 1.0,
        dropout: float = 0.2,
        stochastic_depth_prob: float = 0.2,
        num_classes: int = 1000,
        norm: dict[str, Any] | None = None,
    ):
        super().__init__()
        options = norm or {}
        channels = rounded(32 * width_mult)
        layers: list[nn.Module] = [conv_norm(3, channels, 3, 2, activation=nn.SiLU, **options)]
        total = sum(math.ceil(depth * depth_mult) for *_, depth in _STAGES)
        done = 0
        for expansion, kernel, first, wide, depth in _STAGES:
            after = rounded(wide * width_mult)
            blocks = []
            for n in range(math.ceil(depth * depth_mult)):
                dropped = stochastic_depth_prob * done / total
                blocks.append(_MBConv(channels, after, expansion, kernel, 1 if n else first, dropped, options))
                channels, done = after, done + 1
            layers.append(nn.Sequential(*blocks))
        layers.append(conv_norm(channels, 4 * channels, 1, activation=nn.SiLU, **options))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.classifier = nn.Sequential(nn.Dropout(dropout), nn.Linear(4 * channels, num_classes))
        initialize(self)
        last = self.classifier[1]
        bound = 1 / math.sqrt(num_classes)
        nn.init.uniform_(last.weight, -bound, bound)
        nn.init.zeros_(last.bias)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return logits


def efficientnet_b0(**options: Any) -> EfficientNet:
    """EfficientNet-B0: 5.3 million parameters. Options as ``EfficientNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.efficientnet_b0, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return EfficientNet(1.0, 1.0, 0.2, **options)


def efficientnet_b1(**options: Any) -> EfficientNet:
    """EfficientNet-B1: 7.8 million parameters. Options as ``EfficientNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.efficientnet_b1, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return EfficientNet(1.0, 1.1, 0.2, **options)


def efficientnet_b2(**options: Any) -> EfficientNet:
    """EfficientNet-B2: 9.1 million parameters. Options as ``EfficientNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.efficientnet_b2, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return EfficientNet(1.1, 1.2, 0.3, **options)


def efficientnet_b3(**options: Any) -> EfficientNet:
    """EfficientNet-B3: 12.2 million parameters. Options as ``EfficientNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.efficientnet_b3, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return EfficientNet(1.2, 1.4, 0.3, **options)


def efficientnet_b4(**options: Any) -> EfficientNet:
    """EfficientNet-B4: 19.3 million parameters. Options as ``EfficientNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.efficientnet_b4, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return EfficientNet(1.4, 1.8, 0.4, **options)


def efficientnet_b5(**options: Any) -> EfficientNet:
    """EfficientNet-B5: 30.4 million parameters. Options as ``EfficientNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.efficientnet_b5, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return EfficientNet(1.6, 2.2, 0.4, norm={"eps": 0.001, "momentum": 0.01}, **options)


def efficientnet_b6(**options: Any) -> EfficientNet:
    """EfficientNet-B6: 43.0 million parameters. Options as ``EfficientNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.efficientnet_b6, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return EfficientNet(1.8, 2.6, 0.5, norm={"eps": 0.001, "momentum": 0.01}, **options)


def efficientnet_b7(**options: Any) -> EfficientNet:
    """EfficientNet-B7: 66.3 million parameters. Options as ``EfficientNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.efficientnet_b7, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return EfficientNet(2.0, 3.1, 0.5, norm={"eps": 0.001, "momentum": 0.01}, **options)
