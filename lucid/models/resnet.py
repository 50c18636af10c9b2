"""Residual networks: ResNet (He et al., arXiv:1512.03385), ResNeXt (Xie et al., arXiv:1611.05431), wide ResNet
(Zagoruyko & Komodakis, arXiv:1605.07146), and ResNets for images of 32 x 32 pixels (section 4.2 of the first).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lucid import nn
from lucid.functions.movement import pad
from lucid.models.initial import initialize
from lucid.tensor import Tensor


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut.

    >>> import lucid
    >>> from lucid.models import BasicBlock
    >>> BasicBlock(8, 8, 1, None, 1, 64)(lucid.ones(1, 8, 4, 4)).shape
    (1, 8, 4, 4)
    """

    expansion = 1

    def __init__(
        self, in_channels: int, width: int, stride: int, downsample: nn.Module | None, groups: int, group_width: int
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        result: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return result


class Bottleneck(nn.Module):
    """A 3 x 3 convolution, which has the stride, between two of 1 x 1 that narrow and widen; beside a shortcut.

    >>> import lucid
    >>> from lucid.models import Bottleneck
    >>> Bottleneck(32, 8, 1, None, 1, 64)(lucid.ones(1, 32, 4, 4)).shape
    (1, 32, 4, 4)
    """

    expansion = 4

    def __init__(
        self, in_channels: int, width: int, stride: int, downsample: nn.Module | None, groups: int, group_width: int
    ):
        super().__init__()
        inner = width * group_width // 64 * groups
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.conv2 = nn.Conv2d(inner, inner, 3, stride, 1, groups=groups, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.conv3 = nn.Conv2d(inner, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        result: Tensor = self.relu(y + (x if self.downsample is None else self.downsample(x)))
        return result


class ResNet(nn.Module):
    """Four stages of residual blocks, for images ``(N, 3, 224, 224)``.

    Args:
        block: ``BasicBlock`` or ``Bottleneck``.
        layers: blocks of each stage.
        num_classes: outputs.
        groups: of the 3 x 3 convolutions of bottlenecks.
        width_per_group: channels of a group in the first stage; 64 channels in one group is the original.
        zero_init_residual: whether every block begins as its shortcut: Goyal et al., arXiv:1706.02677.

    Raises:
        ArgumentError, ArgumentTypeError: numbers below 1, or no ints.

    >>> import lucid
    >>> from lucid.models import BasicBlock, ResNet
    >>> ResNet(BasicBlock, [1, 1, 1, 1], num_classes=4)(lucid.zeros(1, 3, 64, 64)).shape
    (1, 4)
    """

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: Sequence[int],
        num_classes: int = 1000,
        groups: int = 1,
        width_per_group: int = 64,
        zero_init_residual: bool = False,
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        channels = 64
        for k, depth in enumerate(layers):
            width = 64 * 2**k
            blocks = []
            for n in range(depth):
                stride = 2 if k and n == 0 else 1
                down = None
                if stride > 1 or channels != width * block.expansion:
                    down = nn.Sequential(
                        nn.Conv2d(channels, width * block.expansion, 1, stride, bias=False),
                        nn.BatchNorm2d(width * block.expansion),
                    )
                blocks.append(block(channels, width, stride, down, groups, width_per_group))
                channels = width * block.expansion
            self.add_module(f"layer{k + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(channels, num_classes)
        initialize(self)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, BasicBlock | Bottleneck):
                    last = module.bn2 if isinstance(module, BasicBlock) else module.bn3
                    assert last.weight is not None
                    nn.init.zeros_(last.weight)

    def forward(self, x: Tensor) -> Tensor:
        y = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            y = getattr(self, stage)(y)
        logits: Tensor = self.fc(self.avgpool(y).flatten(1))
        return logits


class _CifarBlock(nn.Module):
    """As ``BasicBlock``, with a shortcut that takes every other pixel and adds channels of zeros."""

    def __init__(self, in_channels: int, width: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()
        self.stride = stride
        self.added = width - in_channels

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        if self.stride > 1:
            x = x[:, :, :: self.stride, :: self.stride]
        if self.added:
            before = self.added // 2
            x = pad(x, ((0, 0), (before, self.added - before), (0, 0), (0, 0)))
        result: Tensor = self.relu(y + x)
        return result


class CifarResNet(nn.Module):
    """Three stages of residual blocks of 16, 32 and 64 channels, for images ``(N, 3, 32, 32)``.

    Args:
        depth: layers in all, 6 n + 2.
        num_classes: outputs.
        in_channels: channels of the images.

    Raises:
        ArgumentError, ArgumentTypeError: numbers below 1, or no ints.

    >>> import lucid
    >>> lucid.models.CifarResNet(8, in_channels=1)(lucid.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(self, depth: int, num_classes: int = 10, in_channels: int = 3):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 16, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.relu = nn.ReLU()
        channels = 16
        for k in range(3):
            blocks = []
            for n in range((depth - 2) // 6):
                blocks.append(_CifarBlock(channels, 16 * 2**k, 2 if k and n == 0 else 1))
                channels = 16 * 2**k
            self.add_module(f"layer{k + 1}", nn.Sequential(*blocks))
        self.linear = nn.Linear(64, num_classes)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        for stage in ("layer1", "layer2", "layer3"):
            y = getattr(self, stage)(y)
        logits: Tensor = self.linear(y.mean((2, 3)))
        return logits


def resnet18(**options: Any) -> ResNet:
    """ResNet-18: 11.7 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.resnet18, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(BasicBlock, [2, 2, 2, 2], **options)


def resnet34(**options: Any) -> ResNet:
    """ResNet-34: 21.8 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.resnet34, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(BasicBlock, [3, 4, 6, 3], **options)


def resnet50(**options: Any) -> ResNet:
    """ResNet-50: 25.6 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.resnet50, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], **options)


def resnet101(**options: Any) -> ResNet:
    """ResNet-101: 44.5 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.resnet101, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], **options)


def resnet152(**options: Any) -> ResNet:
    """ResNet-152: 60.2 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.resnet152, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(Bottleneck, [3, 8, 36, 3], **options)


def resnext50_32x4d(**options: Any) -> ResNet:
    """ResNeXt-50 32x4d: 25.0 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.resnext50_32x4d, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], groups=32, width_per_group=4, **options)


def resnext101_32x8d(**options: Any) -> ResNet:
    """ResNeXt-101 32x8d: 88.8 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.resnext101_32x8d, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=8, **options)


def resnext101_64x4d(**options: Any) -> ResNet:
    """ResNeXt-101 64x4d: 83.5 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.resnext101_64x4d, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], groups=64, width_per_group=4, **options)


def wide_resnet50_2(**options: Any) -> ResNet:
    """Wide ResNet-50-2: 68.9 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.wide_resnet50_2, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(Bottleneck, [3, 4, 6, 3], width_per_group=128, **options)


def wide_resnet101_2(**options: Any) -> ResNet:
    """Wide ResNet-101-2: 126.9 million parameters. Options as ``ResNet``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.wide_resnet101_2, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return ResNet(Bottleneck, [3, 4, 23, 3], width_per_group=128, **options)


def resnet20(**options: Any) -> CifarResNet:
    """ResNet-20 for images of 32 x 32 pixels: 0.27 million parameters. Options as ``CifarResNet``.

    >>> import lucid
    >>> lucid.models.resnet20(num_classes=4).linear.out_features
    4
    """
    return CifarResNet(20, **options)


def resnet32(**options: Any) -> CifarResNet:
    """ResNet-32 for images of 32 x 32 pixels: 0.46 million parameters. Options as ``CifarResNet``.

    >>> import lucid
    >>> lucid.models.resnet32(num_classes=4).linear.out_features
    4
    """
    return CifarResNet(32, **options)


def resnet44(**options: Any) -> CifarResNet:
    """ResNet-44 for images of 32 x 32 pixels: 0.66 million parameters. Options as ``CifarResNet``.

    >>> import lucid
    >>> lucid.models.resnet44(num_classes=4).linear.out_features
    4
    """
    return CifarResNet(44, **options)


def resnet56(**options: Any) -> CifarResNet:
    """ResNet-56 for images of 32 x 32 pixels: 0.85 million parameters. Options as ``CifarResNet``.

    >>> import lucid
    >>> lucid.models.resnet56(num_classes=4).linear.out_features
    4
    """
    return CifarResNet(56, **options)
