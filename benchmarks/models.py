"""The networks that are measured, each written once for any library with torch's ``nn``: Lucid's, torch's, ``layers``.

Values come by name from ``initial_values``, so that all libraries compute with the same weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod, sqrt
from typing import Any
from zlib import crc32

import numpy as np

#: Shape of one input of each model.
INPUTS: dict[str, tuple[int, ...]] = {
    "seed": (3, 32, 32),
    "lenet": (1, 28, 28),
    "mlp": (784,),
    "resnet18": (3, 224, 224),
    "resnet20": (3, 32, 32),
    "mobilenetv2": (3, 224, 224),
    "tiny": (8,),
}


def classes(model: str) -> int:
    return 1000 if model in ("resnet18", "mobilenetv2") else 10


def initial_values(shapes: Mapping[str, Sequence[int]]) -> dict[str, np.ndarray]:
    """Values for the entries of a state dict, drawn by name: activations keep their scale, variances are positive."""
    values: dict[str, np.ndarray] = {}
    for name, shape in shapes.items():
        rng = np.random.default_rng(crc32(name.encode()))
        kind = name.rpartition(".")[2]
        if kind == "num_batches_tracked":
            values[name] = np.zeros(shape, np.int64)
        elif kind == "running_var" or (kind == "weight" and len(shape) == 1):
            values[name] = rng.uniform(0.5, 1.5, shape).astype(np.float32)
        elif kind == "weight":
            values[name] = rng.standard_normal(shape, np.float32) * np.float32(sqrt(2 / prod(shape[1:])))
        else:
            values[name] = rng.standard_normal(shape, np.float32) * np.float32(0.05)
    return values


def build(name: str, nn: Any) -> Any:
    """The model ``name`` of layers from ``nn``, with values of the library's own."""
    makers = {
        "seed": _seed,
        "lenet": _lenet,
        "mlp": _mlp,
        "tiny": _tiny,
        "resnet18": _resnet18,
        "resnet20": _resnet20,
        "mobilenetv2": _mobilenetv2,
    }
    return makers[name](nn, classes(name))


def _lenet(nn: Any, outputs: int) -> Any:
    features = [nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)]
    features += [nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten()]
    head = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, outputs)]
    return nn.Sequential(*features, *head)


def _mlp(nn: Any, outputs: int) -> Any:
    return nn.Sequential(nn.Linear(784, 512), nn.ReLU(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, outputs))


def _tiny(nn: Any, outputs: int) -> Any:
    return nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, outputs))


def _seed(nn: Any, outputs: int) -> Any:
    """The example of Conv2d's page."""

    class Conv2dModel(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, padding=1)
            self.relu = nn.ReLU()
            self.conv2 = nn.Conv2d(16, 32, 3, padding=1)
            self.pool = nn.MaxPool2d(2)
            self.fc = nn.Linear(32 * 16 * 16, outputs)

        def forward(self, x: Any) -> Any:
            x = self.relu(self.conv1(x))
            x = self.pool(self.relu(self.conv2(x)))
            return self.fc(x.reshape(x.shape[0], -1))

    return Conv2dModel()


def _resnet18(nn: Any, outputs: int) -> Any:
    stem = [nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    return _resnet(nn, [*stem, nn.MaxPool2d(3, stride=2, padding=1)], (64, 128, 256, 512), 2, outputs)


def _resnet20(nn: Any, outputs: int) -> Any:
    stem = [nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    return _resnet(nn, stem, (16, 32, 64), 3, outputs)


def _resnet(nn: Any, stem: list[Any], widths: Sequence[int], depth: int, outputs: int) -> Any:
    """He et al., arXiv:1512.03385, of basic blocks; shortcuts that change shape are projections."""

    class Block(nn.Module):  # type: ignore[misc]
        def __init__(self, before: int, width: int, stride: int) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(before, width, 3, stride=stride, padding=1, bias=False)
            self.bn1 = nn.BatchNorm2d(width)
            self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
            self.bn2 = nn.BatchNorm2d(width)
            self.relu = nn.ReLU()
            self.reshaped = stride != 1 or before != width
            if self.reshaped:
                self.down = nn.Sequential(nn.Conv2d(before, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))

        def forward(self, x: Any) -> Any:
            y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
            return self.relu(y + (self.down(x) if self.reshaped else x))

    blocks: list[Any] = []
    before = widths[0]
    for stage, width in enumerate(widths):
        for k in range(depth):
            blocks.append(Block(before, width, 2 if stage and k == 0 else 1))
            before = width
    return _classifier(nn, [*stem, *blocks], before, outputs)


def _mobilenetv2(nn: Any, outputs: int) -> Any:
    """Sandler et al., arXiv:1801.04381."""

    def layers(before: int, after: int, kernel: int, stride: int = 1, groups: int = 1) -> list[Any]:
        conv = nn.Conv2d(before, after, kernel, stride=stride, padding=kernel // 2, groups=groups, bias=False)
        return [conv, nn.BatchNorm2d(after), nn.ReLU6()]

    class Inverted(nn.Module):  # type: ignore[misc]
        def __init__(self, before: int, after: int, stride: int, expansion: int) -> None:
            super().__init__()
            inner = before * expansion
            widened = layers(before, inner, 1) if expansion != 1 else []
            narrowed = layers(inner, after, 1)[:2]
            self.body = nn.Sequential(*widened, *layers(inner, inner, 3, stride, inner), *narrowed)
            self.residual = stride == 1 and before == after

        def forward(self, x: Any) -> Any:
            y = self.body(x)
            return x + y if self.residual else y

    #: Expansion, width, blocks, stride of the first.
    stages = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    body = layers(3, 32, 3, 2)
    before = 32
    for expansion, after, count, stride in stages:
        for k in range(count):
            body.append(Inverted(before, after, stride if k == 0 else 1, expansion))
            before = after
    return _classifier(nn, [*body, *layers(before, 1280, 1)], 1280, outputs)


def _classifier(nn: Any, body: list[Any], features: int, outputs: int) -> Any:
    class Classifier(nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.body = nn.Sequential(*body)
            self.fc = nn.Linear(features, outputs)

        def forward(self, x: Any) -> Any:
            return self.fc(self.body(x).mean((2, 3)))

    return Classifier()
