"""ShuffleNet v2: Ma et al., arXiv:1807.11164."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lucid import nn
from lucid.functions.movement import concat
from lucid.nn import functional as F
from lucid.tensor import Tensor


def _depthwise(channels: int, stride: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, channels, 3, stride, 1, groups=channels, bias=False), nn.BatchNorm2d(channels)]


def _pointwise(before: int, after: int) -> list[nn.Module]:
    return [nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]


class _Unit(nn.Module):
    """Half of the channels go through convolutions, or all of them where the image shrinks; then they are shuffled."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        half = after // 2
        self.branch1 = nn.Sequential(*([*_depthwise(before, stride), *_pointwise(before, half)] if stride > 1 else []))
        first = before if stride > 1 else half
        self.branch2 = nn.Sequential(*_pointwise(first, half), *_depthwise(half, stride), *_pointwise(half, half))
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        if self.stride == 1:
            kept, taken = x.chunk(2, 1)
            y = concat([kept, self.branch2(taken)], 1)
        else:
            y = concat([self.branch1(x), self.branch2(x)], 1)
        return F.channel_shuffle(y, 2)


class ShuffleNetV2(nn.Module):
    """Units of split and shuffled channels, for images ``(N, 3, 224, 224)``.

    Args:
        stages_repeats: units of each stage.
        stages_out_channels: channels of the first convolution, of each stage, and of the last convolution.
        num_classes: outputs.

    Raises:
        ArgumentError, ArgumentTypeError: numbers out of range.

    >>> import lucid
    >>> lucid.models.shufflenet_v2_x0_5(num_classes=4)(lucid.zeros(1, 3, 64, 64)).shape
    (1, 4)
    """

    def __init__(self, stages_repeats: Sequence[int], stages_out_channels: Sequence[int], num_classes: int = 1000):
        super().__init__()
        channels, *widths, last = stages_out_channels
        self.conv1 = nn.Sequential(nn.Conv2d(3, channels, 3, 2, 1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        for k, (depth, width) in enumerate(zip(stages_repeats, widths, strict=True), 2):
            units = []
            for n in range(depth):
                units.append(_Unit(channels, width, 1 if n else 2))
                channels = width
            self.add_module(f"stage{k}", nn.Sequential(*units))
        self.conv5 = nn.Sequential(*_pointwise(channels, last))
        self.fc = nn.Linear(last, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        y = self.maxpool(self.conv1(x))
        for stage in ("stage2", "stage3", "stage4"):
            y = getattr(self, stage)(y)
        logits: Tensor = self.fc(self.conv5(y).mean((2, 3)))
        return logits


def shufflenet_v2_x0_5(**options: Any) -> ShuffleNetV2:
    """ShuffleNet v2 of 0.5 times the width: 1.4 million parameters. Options as ``ShuffleNetV2``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.shufflenet_v2_x0_5, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ShuffleNetV2((4, 8, 4), (24, 48, 96, 192, 1024), **options)


def shufflenet_v2_x1_0(**options: Any) -> ShuffleNetV2:
    """ShuffleNet v2 of 1.0 times the width: 2.3 million parameters. Options as ``ShuffleNetV2``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.shufflenet_v2_x1_0, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ShuffleNetV2((4, 8, 4), (24, 116, 232, 464, 1024), **options)


def shufflenet_v2_x1_5(**options: Any) -> ShuffleNetV2:
    """ShuffleNet v2 of 1.5 times the width: 3.5 million parameters. Options as ``ShuffleNetV2``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.shufflenet_v2_x1_5, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ShuffleNetV2((4, 8, 4), (24, 176, 352, 704, 1024), **options)


def shufflenet_v2_x2_0(**options: Any) -> ShuffleNetV2:
    """ShuffleNet v2 of 2.0 times the width: 7.4 million parameters. Options as ``ShuffleNetV2``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.shufflenet_v2_x2_0, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ShuffleNetV2((4, 8, 4), (24, 244, 488, 976, 2048), **options)
