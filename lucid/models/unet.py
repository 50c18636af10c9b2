"""U-Net: Ronneberger et al., arXiv:1505.04597, with padding, so that the result has the size of the image."""

from __future__ import annotations

from lucid import nn
from lucid.functions.movement import concat
from lucid.models.blocks import conv_norm
from lucid.models.initial import initialize
from lucid.tensor import Tensor


class UNet(nn.Module):
    """Convolutions on ever smaller images, and back up with what was seen on the way down beside.

    Args:
        in_channels: channels of the images ``(N, C, H, W)``; H and W are multiples of ``2 ** depth``.
        out_channels: channels of the result.
        width: channels at the full size; each halving doubles them.
        depth: how often the image is halved.

    Raises:
        ArgumentError, ArgumentTypeError: numbers below 1, or no ints.
        ShapeError: when called, with sizes that halve unevenly.

    >>> import lucid
    >>> lucid.models.UNet(1, 2, width=4, depth=2)(lucid.zeros(1, 1, 16, 24)).shape
    (1, 2, 16, 24)
    """

    def __init__(self, in_channels: int = 1, out_channels: int = 2, width: int = 64, depth: int = 4):
        super().__init__()
        widths = [width * 2**k for k in range(depth + 1)]
        self.down = nn.ModuleList([_twice(a, b) for a, b in zip([in_channels, *widths], widths, strict=False)])
        self.pool = nn.MaxPool2d(2)
        self.up = nn.ModuleList([nn.ConvTranspose2d(2 * w, w, 2, 2) for w in reversed(widths[:-1])])
        self.join = nn.ModuleList([_twice(2 * w, w) for w in reversed(widths[:-1])])
        self.head = nn.Conv2d(width, out_channels, 1)
        initialize(self)

    def forward(self, x: Tensor) -> Tensor:
        seen: list[Tensor] = []
        for k, layers in enumerate(self.down):
            x = layers(self.pool(x) if k else x)
            seen.append(x)
        x = seen.pop()
        for grow, layers in zip(self.up, self.join, strict=True):
            x = layers(concat([seen.pop(), grow(x)], 1))
        result: Tensor = self.head(x)
        return result


def _twice(before: int, after: int) -> nn.Sequential:
    return nn.Sequential(conv_norm(before, after), conv_norm(after, after))
