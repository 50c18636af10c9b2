"""VGG: Simonyan & Zisserman, arXiv:1409.1556."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from lucid import nn
from lucid.models.initial import initialize
from lucid.tensor import Tensor

#: Channels of the 3 x 3 convolutions before each of the five poolings.
_STAGES: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256,) * 2, (512,) * 2, (512,) * 2),
    13: ((64,) * 2, (128,) * 2, (256,) * 2, (512,) * 2, (512,) * 2),
    16: ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64,) * 2, (128,) * 2, (256,) * 4, (512,) * 4, (512,) * 4),
}


class VGG(nn.Module):
    """Stages of 3 x 3 convolutions, each with a pooling, then three linear layers, for images ``(N, 3, 224, 224)``.

    Args:
        stages: channels of the convolutions of each stage.
        batch_norm: whether to normalise after each.
        num_classes: outputs.
        dropout: probability after the first two linear layers.

    Raises:
        ArgumentError, ArgumentTypeError: numbers out of range.

    >>> import lucid
    >>> model = lucid.models.VGG([[8], [16]], batch_norm=True, num_classes=4)
    >>> len(model.features)
    8
    """

    def __init__(
        self,
        stages: Sequence[Sequence[int]],
        batch_norm: bool = False,
        num_classes: int = 1000,
        dropout: float = 0.5,
    ):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for stage in stages:
            for width in stage:
                norm = [nn.BatchNorm2d(width)] if batch_norm else []
                layers += [nn.Conv2d(channels, width, 3, padding=1), *norm, nn.ReLU()]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        initialize(self, linear=0.01)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.avgpool(self.features(x)).flatten(1))
        return logits


def vgg11(**options: Any) -> VGG:
    """VGG with 11 layers: 132.9 million parameters. Options as ``VGG``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vgg11, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VGG(_STAGES[11], False, **options)


def vgg11_bn(**options: Any) -> VGG:
    """VGG with 11 layers and batch norms: 132.9 million parameters. Options as ``VGG``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vgg11_bn, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VGG(_STAGES[11], True, **options)


def vgg13(**options: Any) -> VGG:
    """VGG with 13 layers: 133.0 million parameters. Options as ``VGG``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vgg13, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VGG(_STAGES[13], False, **options)


def vgg13_bn(**options: Any) -> VGG:
    """VGG with 13 layers and batch norms: 133.0 million parameters. Options as ``VGG``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vgg13_bn, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VGG(_STAGES[13], True, **options)


def vgg16(**options: Any) -> VGG:
    """VGG with 16 layers: 138.4 million parameters. Options as ``VGG``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vgg16, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VGG(_STAGES[16], False, **options)


def vgg16_bn(**options: Any) -> VGG:
    """VGG with 16 layers and batch norms: 138.4 million parameters. Options as ``VGG``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vgg16_bn, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VGG(_STAGES[16], True, **options)


def vgg19(**options: Any) -> VGG:
    """VGG with 19 layers: 143.7 million parameters. Options as ``VGG``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vgg19, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VGG(_STAGES[19], False, **options)


def vgg19_bn(**options: Any) -> VGG:
    """VGG with 19 layers and batch norms: 143.7 million parameters. Options as ``VGG``.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vgg19_bn, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VGG(_STAGES[19], True, **options)
