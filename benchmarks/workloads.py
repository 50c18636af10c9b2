"""What is measured: every workload by name, with its arrays, its operations and the memory it must move.

``conv_fwd:64x128x56k3s2p1g1:16`` is a convolution of 16 images of 64 channels and 56x56 pixels to 128 channels, kernel
3, stride 2, padding 1, one group; ``d2`` is dilation 2 and ``k5x3`` a kernel of 5 rows and 3 columns. ``conv_bwd`` is
its input, weight and bias gradient together. ``infer:MODEL:N`` runs a model on N inputs; ``train:MODEL:N`` is a whole
step.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from zlib import crc32

import numpy as np

from benchmarks.models import INPUTS, build, classes
from benchmarks.symbols import record

_CONV = re.compile(r"(\d+)x(\d+)x(\d+)k(\d+)(?:x(\d+))?s(\d+)p(\d+)(?:d(\d+))?g(\d+)")
_NAME = re.compile(r"(?:(?:conv_fwd|conv_bwd|infer|train):\w+:[1-9]\d*|(?:ew|small):\w+)")

#: Convolutions of the ResNet and MobileNet families, with batches.
_USUAL = (
    ("3x16x32k3s1p1g1", 1, 16), ("16x32x32k3s1p1g1", 16), ("3x64x224k7s2p3g1", 1, 16), ("64x64x56k3s1p1g1", 1, 16),
    ("64x128x56k3s2p1g1", 1, 16), ("128x128x28k3s1p1g1", 1, 16), ("256x256x14k3s1p1g1", 1, 16),
    ("512x512x7k3s1p1g1", 1, 16), ("64x256x56k1s1p0g1", 1, 16), ("1024x256x14k1s1p0g1", 1, 16),
    ("32x32x112k3s1p1g32", 1, 16), ("128x128x28k3s1p1g4", 1, 16, 32),
)  # fmt: skip
_ODD = (
    ("1x16x28k5s1p2g1", 16), ("16x32x14k5s1p0g1", 16), ("17x100x30k3s1p1g1", 16), ("100x17x30k1s1p0g1", 16),
    ("3x100x64k5x3s2p1g1", 1), ("64x64x28k2s2p0g1", 1), ("64x64x56k3s1p2d2g1", 1), ("100x100x33k4s3p1g1", 1),
    ("64x64x17k6s1p2g1", 1), ("96x96x112k3s2p1g96", 1), ("144x144x56k5s1p2g144", 1), ("960x960x7k3s1p1g960", 16),
)  # fmt: skip
_INFER = (("seed", 1, 8, 64), ("lenet", 1, 64), ("mlp", 1, 64), ("resnet18", 1, 8), ("mobilenetv2", 1, 8))
_TRAIN = (("seed", 64), ("lenet", 64), ("mlp", 64), ("resnet20", 32))
#: Rows and columns of the large arrays.
_ARRAYS = {
    "affine_relu": (4096, 4096),
    "affine_relu_sum1": (4096, 4096),
    "affine_relu_sum0": (4096, 4096),
    "softmax": (4096, 1000),
    "layernorm": (8192, 768),
}
_SMALL = ("add8", "add8_grad", "conv_tiny", "tiny", "tiny_grad")

#: What ``--quick`` keeps.
QUICK = (
    "conv_fwd:64x64x56k3s1p1g1:1", "conv_bwd:64x64x56k3s1p1g1:1", "conv_fwd:3x64x224k7s2p3g1:1",
    "conv_fwd:32x32x112k3s1p1g32:1", "infer:seed:1", "infer:lenet:64", "infer:resnet18:1", "infer:mobilenetv2:1",
    "train:seed:64", "train:lenet:64", "train:mlp:64", "train:resnet20:32", "ew:affine_relu_sum1", "ew:softmax",
    "ew:layernorm", "small:add8", "small:add8_grad", "small:tiny",
)  # fmt: skip

#: Whose time to the first result, and peak memory, are taken in fresh processes.
STARTS = ("infer:seed:1", "infer:resnet18:1", "infer:mobilenetv2:1", "train:seed:64", "train:resnet18:8")


@dataclass(frozen=True)
class Convolution:
    """One convolution of square images, and its arrays."""

    batch: int
    inputs: int
    outputs: int
    size: int
    kernel: tuple[int, int]
    stride: int
    padding: int
    dilation: int
    groups: int

    @classmethod
    def parse(cls, text: str, batch: int) -> Convolution:
        found = _CONV.fullmatch(text)
        if found is None:
            raise ValueError(f"{text} is not a convolution like 3x64x224k7s2p3g1")
        i, o, size, rows, columns, stride, padding, dilation, groups = (int(n) if n else None for n in found.groups())
        return cls(batch, i, o, size, (rows, columns or rows), stride, padding, dilation or 1, groups)  # type: ignore[arg-type]

    @property
    def output_size(self) -> tuple[int, int]:
        h, w = ((self.size + 2 * self.padding - self.dilation * (k - 1) - 1) // self.stride + 1 for k in self.kernel)
        return h, w

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Of input, weight, bias and output."""
        return {
            "x": (self.batch, self.inputs, self.size, self.size),
            "w": (self.outputs, self.inputs // self.groups, *self.kernel),
            "b": (self.outputs,),
            "g": (self.batch, self.outputs, *self.output_size),
        }

    @property
    def options(self) -> dict[str, int]:
        """How all libraries but JAX and ONNX name them."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}

    @property
    def flops(self) -> float:
        h, w = self.output_size
        return 2.0 * self.batch * self.outputs * h * w * (self.inputs // self.groups) * self.kernel[0] * self.kernel[1]


@dataclass(frozen=True)
class Workload:
    """Something to measure: ``kind:what:batch``."""

    name: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"{self.name} is not of the form kind:what:batch")

    @property
    def kind(self) -> str:
        return self.name.split(":")[0]

    @property
    def what(self) -> str:
        return self.name.split(":")[1]

    @property
    def batch(self) -> int:
        return int(self.name.split(":")[2])

    @property
    def model(self) -> str | None:
        """The name of the network that runs here, if one does."""
        if self.kind in ("infer", "train"):
            return self.what
        return "tiny" if self.name in ("small:tiny", "small:tiny_grad") else None

    @cached_property
    def conv(self) -> Convolution:
        return Convolution.parse(self.what, self.batch)

    def network(self, nn: Any) -> Any:
        """What ``conv_fwd``, ``infer`` and ``train`` run, of layers from ``nn``."""
        if self.model is not None:
            return build(self.model, nn)
        c = self.conv
        return nn.Conv2d(c.inputs, c.outputs, c.kernel, **c.options)

    def arrays(self) -> dict[str, np.ndarray]:
        """Inputs by name, the same in every process."""
        rng = np.random.default_rng(crc32(self.name.encode()))

        def normal(*shape: int) -> np.ndarray:
            return rng.standard_normal(shape, np.float32)

        if self.kind in ("conv_fwd", "conv_bwd"):
            arrays = {name: normal(*shape) for name, shape in self.conv.shapes.items()}
            arrays["w"] *= np.float32((2 / arrays["w"][0].size) ** 0.5)
            return arrays
        if self.model is not None:
            batch = 1 if self.kind == "small" else self.batch
            return {"x": normal(batch, *INPUTS[self.model]), "t": rng.integers(0, classes(self.model), batch)}
        if self.kind == "ew":
            rows, columns = _ARRAYS[self.what]
            return {"x": normal(rows, columns), "a": normal(columns), "b": normal(columns)}
        if self.what == "conv_tiny":
            return {"x": normal(1, 1, 3, 3), "w": normal(1, 1, 3, 3)}
        return {"x": normal(8), "y": normal(8)}

    @cached_property
    def flops(self) -> float:
        """Twice the multiply-adds of convolutions and products; 0 where they are not what it is about.

        A step of training has three products where inference has one, except that no gradient of the images is taken.
        """
        if self.kind == "conv_fwd":
            return self.conv.flops
        if self.kind == "conv_bwd":
            return 2 * self.conv.flops
        if self.kind not in ("infer", "train"):
            return 0.0
        counts = [step.flops for step in record(self.network, (self.batch, *INPUTS[self.what]))[0] if step.flops]
        return sum(counts) if self.kind == "infer" else 3 * sum(counts) - counts[0]

    def traffic(self) -> tuple[int, int] | None:
        """Bytes that must be read and written, where memory is the limit."""
        if self.kind != "ew":
            return None
        rows, columns = _ARRAYS[self.what]
        return 4 * rows * columns, 0 if "sum" in self.what else 4 * rows * columns

    @property
    def compared_calls(self) -> int:
        """How many calls from the start on have to agree: each step of training depends on those before."""
        return 4 if self.kind == "train" else 1

    @property
    def tolerance(self) -> float:
        """Largest difference from the reference, as a part of the reference's largest value."""
        return {"conv_fwd": 2e-5, "conv_bwd": 5e-5, "train": 1e-3}.get(self.kind, 1e-4)


def catalogue() -> list[Workload]:
    """All workloads, in the order of the report."""
    convs = [(case, batch) for case, *batches in (*_USUAL, *_ODD) for batch in batches]
    names = [f"{kind}:{case}:{batch}" for kind in ("conv_fwd", "conv_bwd") for case, batch in convs]
    names += [f"infer:{model}:{batch}" for model, *batches in _INFER for batch in batches]
    names += [f"train:{model}:{batch}" for model, batch in _TRAIN]
    names += [f"ew:{what}" for what in _ARRAYS]
    names += [f"small:{what}" for what in _SMALL]
    return [Workload(name) for name in names]


def selected(words: Sequence[str], quick: bool = False) -> list[Workload]:
    """Those of the catalogue whose names contain one of ``words``; a full name is that one alone, catalogue or not.

    Raises:
        ValueError: there is none for a word.
    """
    known = {w.name: w for w in catalogue() if not quick or w.name in QUICK}
    if not words:
        return list(known.values())
    chosen: dict[str, Workload] = {}
    for word in words:
        if word in known or (word.count(":") == 2 and _NAME.fullmatch(word)):
            chosen[word] = Workload(word)
            continue
        found = {name: w for name, w in known.items() if word in name}
        if not found:
            raise ValueError(f"no workload is called anything like {word}; there are:\n  " + "\n  ".join(known))
        chosen |= found
    order = {name: k for k, name in enumerate(known)}
    return sorted(chosen.values(), key=lambda w: order.get(w.name, len(order)))
