"""LeNet-5: LeCun et al., "Gradient-based learning applied to document recognition", Proc. IEEE 86 (1998)."""

from __future__ import annotations

from lucid import nn
from lucid.tensor import Tensor


class LeNet(nn.Module):
    """Two convolutions and three linear layers for images ``(N, 1, 28, 28)``, with ReLU and max pooling.

    Args:
        num_classes: outputs.
        in_channels: channels of the images.

    Raises:
        ArgumentError, ArgumentTypeError: numbers below 1, or no ints.

    >>> import lucid
    >>> lucid.models.LeNet()(lucid.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(6, 16, 5),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, num_classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(x).flatten(1))
        return logits
