"""Names of workloads, their arrays and operations; and the models behind them."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.models import INPUTS, build, initial_values
from benchmarks.symbols import record
from benchmarks.workloads import QUICK, STARTS, Convolution, Workload, catalogue, selected
from lucid import nn


def test_a_convolution_is_read_from_its_name() -> None:
    c = Workload("conv_fwd:3x100x64k5x3s2p1d2g1:4").conv
    assert c == Convolution(4, 3, 100, 64, (5, 3), 2, 1, 2, 1)
    assert c.output_size == (29, 31)
    assert c.shapes == {"x": (4, 3, 64, 64), "w": (100, 3, 5, 3), "b": (100,), "g": (4, 100, 29, 31)}
    assert c.flops == 2 * 4 * 100 * 29 * 31 * 3 * 15


@pytest.mark.parametrize("name", ["", "conv_fwd", "conv_fwd:3x3:0", "train:lenet", "sing:song:1", "infer:lenet:64:2"])
def test_names_that_are_none(name: str) -> None:
    with pytest.raises(ValueError, match="not of the form"):
        Workload(name)


def test_a_convolution_that_is_none() -> None:
    with pytest.raises(ValueError, match="is not a convolution like"):
        Workload("conv_fwd:3x3:1").arrays()


def test_the_catalogue_holds_what_is_chosen_from_it() -> None:
    names = [w.name for w in catalogue()]
    assert len(names) == len(set(names))
    assert set(QUICK) <= set(names)
    assert {w.name for w in selected([], quick=True)} == set(QUICK)
    for name in STARTS:
        assert Workload(name).model in INPUTS


def test_selecting_by_words_and_by_full_names() -> None:
    def names(*words: str) -> list[str]:
        return [w.name for w in selected(words)]

    assert names("train:", "infer:mlp") == [
        "infer:mlp:1", "infer:mlp:64", "train:seed:64", "train:lenet:64", "train:mlp:64", "train:resnet20:32",
    ]  # fmt: skip
    assert names("conv_fwd:3x16x32k3s1p1g1:1") == ["conv_fwd:3x16x32k3s1p1g1:1"]
    assert names("infer:lenet:3", "train:lenet:64") == ["train:lenet:64", "infer:lenet:3"]
    with pytest.raises(ValueError, match="anything like vgg"):
        selected(["lenet", "vgg"])


@pytest.mark.parametrize("name", ["conv_bwd:3x16x32k3s1p1g1:1", "train:lenet:64", "ew:softmax", "small:conv_tiny"])
def test_arrays_are_the_same_in_every_process(name: str) -> None:
    first, again = Workload(name).arrays(), Workload(name).arrays()
    assert first.keys() == again.keys()
    for key, array in first.items():
        np.testing.assert_array_equal(array, again[key])


@pytest.mark.parametrize(
    ("name", "gflop"),
    [("infer:resnet18:1", 3.63), ("infer:mobilenetv2:1", 0.60), ("infer:mlp:64", 64 * 2 * 668_672e-9)],
)
def test_operations_of_known_models(name: str, gflop: float) -> None:
    assert Workload(name).flops / 1e9 == pytest.approx(gflop, rel=0.01)


def test_training_has_three_products_less_the_images_gradient() -> None:
    first, second = 2 * 64 * 784 * 512, 2 * 64 * (512 * 512 + 512 * 10)
    assert Workload("train:mlp:64").flops == 2 * first + 3 * second


def test_traffic_of_large_arrays() -> None:
    assert Workload("ew:softmax").traffic() == (4096 * 1000 * 4, 4096 * 1000 * 4)
    assert Workload("ew:affine_relu_sum0").traffic() == (4096 * 4096 * 4, 0)
    assert Workload("train:mlp:64").traffic() is None


@pytest.mark.parametrize("model", sorted(INPUTS))
def test_the_plain_layers_have_the_state_and_shapes_of_lucids(model: str) -> None:
    _, shapes, output = record(lambda layers: build(model, layers), (2, *INPUTS[model]))
    ours = {name: value.shape for name, value in build(model, nn).state_dict().items()}
    assert shapes == {name: shape for name, shape in ours.items() if not name.endswith("num_batches_tracked")}
    assert output.shape == (2, 1000 if model in ("resnet18", "mobilenetv2") else 10)


def test_initial_values_depend_on_names_alone() -> None:
    some = initial_values({"conv.weight": (8, 4, 3, 3), "bn.running_var": (8,)})
    more = initial_values({"bn.running_var": (8,), "bn.weight": (8,), "conv.weight": (8, 4, 3, 3), "conv.bias": (8,)})
    np.testing.assert_array_equal(some["conv.weight"], more["conv.weight"])
    assert some["bn.running_var"].min() > 0
    assert some["conv.weight"].std() == pytest.approx((2 / 36) ** 0.5, rel=0.2)
