"""Networks from the literature: names and shapes of their parameters, and what they compute."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest

import lucid
from lucid import models
from lucid.nn.utils import skip_init

#: Parameters, entries of the state dict, and a checksum of their names and shapes in the reference implementations
#: (torchvision's; the CIFAR networks' numbers are those of table 6 of arXiv:1512.03385).
REFERENCE = """
alexnet 61100840 16 612bf7fa
vgg11 132863336 22 fd4fec18
vgg11_bn 132868840 62 d82a6385
vgg13 133047848 26 07a45d81
vgg13_bn 133053736 76 96ccc26c
vgg16 138357544 32 b42e8d57
vgg16_bn 138365992 97 6055e756
vgg19 143667240 38 23f4f219
vgg19_bn 143678248 118 f5347c42
resnet18 11689512 122 c2e12626
resnet34 21797672 218 8f3907e6
resnet50 25557032 320 173a2df1
resnet101 44549160 626 8181f149
resnet152 60192808 932 a04f9e3d
resnext50_32x4d 25028904 320 cccf1ec5
resnext101_32x8d 88791336 626 761ca0e2
resnext101_64x4d 83455272 626 38865b06
wide_resnet50_2 68883240 320 2283bd01
wide_resnet101_2 126886696 626 d18da542
densenet121 7978856 727 1416c673
densenet161 28681000 967 a4d61317
densenet169 14149480 1015 c29d136e
densenet201 20013928 1207 626b3f34
mobilenet_v2 3504872 314 dd2fc11e
mobilenet_v3_small 2542856 244 15fd50b9
mobilenet_v3_large 5483032 312 3069dd82
efficientnet_b0 5288548 360 e6e7265d
efficientnet_b1 7794184 508 62b330fc
efficientnet_b2 9109994 508 19d98ee0
efficientnet_b3 12233232 574 4cbbbf8e
efficientnet_b4 19341616 706 8f280174
efficientnet_b5 30389784 854 a4d7a00a
efficientnet_b6 43040704 986 b498ac1a
efficientnet_b7 66347960 1200 71cd60e1
squeezenet1_0 1248424 52 08c62cc4
squeezenet1_1 1235496 52 39a6429a
shufflenet_v2_x0_5 1366792 338 101c6894
shufflenet_v2_x1_0 2278604 338 9fe7eccd
shufflenet_v2_x1_5 3503624 338 ab8e7fc7
vit_b_16 86567656 152 42acfa7d
shufflenet_v2_x2_0 7393996 338 55a156d9
"""


@pytest.mark.parametrize("line", REFERENCE.split("\n")[1:-1], ids=lambda line: line.split()[0])
def test_parameters_are_named_and_shaped_as_in_the_reference(line: str) -> None:
    name, parameters, entries, checksum = line.split()
    model = skip_init(getattr(models, name))
    state = model.state_dict()
    text = "\n".join([f"{key} {tuple(value.shape)}" for key, value in state.items()])
    assert sum(p.size for p in model.parameters()) == int(parameters)
    assert len(state) == int(entries)
    assert f"{crc32(text.encode()):08x}" == checksum


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85)])
def test_residual_networks_for_small_images(depth: int, millions: float) -> None:
    model = getattr(models, f"resnet{depth}")()
    assert round(sum(p.size for p in model.parameters()) / 1e6, 2) == millions
    assert len([m for m in model.modules() if isinstance(m, lucid.nn.Conv2d | lucid.nn.Linear)]) == depth


SMALL = {
    "resnet18": {}, "resnext50_32x4d": {}, "densenet121": {}, "mobilenet_v2": {"width_mult": 0.5},
    "mobilenet_v3_small": {}, "efficientnet_b0": {}, "squeezenet1_1": {}, "shufflenet_v2_x0_5": {},
}  # fmt: skip


@pytest.mark.parametrize("name", SMALL)
def test_every_family_computes_and_trains(name: str) -> None:
    """Outputs depend on every parameter, eagerly; a batch gives what its images give alone."""
    lucid.manual_seed(1)
    model = getattr(models, name)(num_classes=3, **SMALL[name])
    x = lucid.randn(2, 3, 64, 64)
    model(x).sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None]
    assert not without
    model.eval()
    with lucid.no_grad():
        both, alone = model(x), model(x[1:])
    assert both.shape == (2, 3)
    np.testing.assert_allclose(both[1:].numpy(), alone.numpy(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", ["resnet20", "unet", "shufflenet_v2_x0_5", "densenet", "vit"])
def test_compiled_networks_agree_with_eager_ones(name: str) -> None:
    lucid.manual_seed(2)
    make = {
        "unet": lambda: models.UNet(3, 2, width=4, depth=2),
        "vit": lambda: models.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=3),
        "densenet": lambda: models.DenseNet(4, (2, 2), 8, num_classes=3),
    }
    model = make.get(name, lambda: getattr(models, name)(num_classes=3))()
    model.eval()
    x = lucid.randn(2, 3, 32, 32)
    np.testing.assert_allclose(
        lucid.compile(model)(x).detach().numpy(), model(x).detach().numpy(), rtol=1e-4, atol=1e-4
    )


def test_skipping_initial_values_is_over_when_it_is_over() -> None:
    lucid.manual_seed(0)
    weight = skip_init(lucid.nn.Linear, 4, 4).weight
    again = lucid.nn.Linear(4, 4).weight
    assert weight.shape == again.shape
    assert again.abs().sum().item() > 0
    with pytest.raises(lucid.errors.ArgumentError):
        skip_init(lucid.nn.Linear, 0, 4)
    assert lucid.nn.Linear(400, 4).weight.std().item() > 0.01
