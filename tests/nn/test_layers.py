"""Layers: what they refuse, and what they compute where PyTorch is not needed to know."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest

import lucid
from lucid import nn
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError, LucidError, ShapeError

#: What makes a layer, the error, and what its message says.
BAD_LAYERS: list[tuple[Callable[[], Any], type[LucidError], str]] = [
    (lambda: nn.Conv2d(0, 1, 1), ArgumentError, "Conv2d: in_channels=0 must be at least 1"),
    (lambda: nn.Conv2d(1, -2, 1), ArgumentError, "out_channels=-2 must be at least 1"),
    (lambda: nn.Conv2d(1.0, 1, 1), ArgumentTypeError, "in_channels=1.0 must be an int, not float"),  # type: ignore[arg-type]
    (lambda: nn.Conv2d(True, 1, 1), ArgumentTypeError, "in_channels=True must be an int, not bool"),
    (lambda: nn.Conv2d(1, 1, 0), ArgumentError, "kernel_size=0 must be at least 1"),
    (lambda: nn.Conv2d(1, 1, (3, 0)), ArgumentError, "kernel_size=(3, 0) must be at least 1"),
    (lambda: nn.Conv2d(1, 1, (3, 3, 3)), ArgumentError, "kernel_size=(3, 3, 3) must be an int or a pair"),
    (lambda: nn.Conv2d(1, 1, 2.5), ArgumentTypeError, "kernel_size=2.5 must be an int"),  # type: ignore[arg-type]
    (lambda: nn.Conv2d(1, 1, "3"), ArgumentTypeError, "kernel_size='3' must be an int"),  # type: ignore[arg-type]
    (lambda: nn.Conv2d(1, 1, 3, stride=-1), ArgumentError, "stride=-1 must be at least 1"),
    (lambda: nn.Conv2d(1, 1, 3, stride=(1, 0)), ArgumentError, "stride=(1, 0) must be at least 1"),
    (lambda: nn.Conv2d(1, 1, 3, padding="full"), ArgumentError, "padding='full' must be 'same', 'valid'"),  # type: ignore[arg-type]
    (lambda: nn.Conv2d(1, 1, 3, padding=-1), ArgumentError, "padding=-1 must not be negative"),
    (lambda: nn.Conv2d(1, 1, 3, padding=(1, 2, 3)), ArgumentError, "padding=(1, 2, 3) must be an int or a pair"),
    (lambda: nn.Conv2d(1, 1, 3, padding=0.5), ArgumentTypeError, "padding=0.5 must be an int"),  # type: ignore[arg-type]
    (lambda: nn.Conv2d(1, 1, 3, dilation=0), ArgumentError, "dilation=0 must be at least 1"),
    (lambda: nn.Conv2d(1, 1, 3, dilation=False), ArgumentTypeError, "dilation=False must be an int"),
    (lambda: nn.Conv2d(4, 6, 3, groups=4), ArgumentError, "groups=4 must divide out_channels=6"),
    (lambda: nn.Conv2d(3, 6, 3, groups=2), ArgumentError, "groups=2 must divide in_channels=3"),
    (lambda: nn.Conv2d(4, 4, 3, groups=0), ArgumentError, "groups=0 must be at least 1"),
    (lambda: nn.Conv2d(4, 4, 3, bias=None), ArgumentTypeError, "bias=None must be True or False"),  # type: ignore[arg-type]
    (lambda: nn.Linear(0, 1), ArgumentError, "Linear: in_features=0 must be at least 1"),
    (lambda: nn.Linear(1, 2.0), ArgumentTypeError, "out_features=2.0 must be an int"),  # type: ignore[arg-type]
    (lambda: nn.Linear(1, 2, bias=1), ArgumentTypeError, "bias=1 must be True or False"),  # type: ignore[arg-type]
    (lambda: nn.MaxPool2d(0), ArgumentError, "MaxPool2d: kernel_size=0 must be at least 1"),
    (lambda: nn.MaxPool2d(2, 0), ArgumentError, "stride=0 must be at least 1"),
    (lambda: nn.MaxPool2d(2, dilation=0), ArgumentError, "dilation=0 must be at least 1"),
    (lambda: nn.AvgPool2d(2, padding=-1), ArgumentError, "AvgPool2d: padding=-1 must not be negative"),
    (lambda: nn.AvgPool2d(2, count_include_pad=0), ArgumentTypeError, "count_include_pad=0 must be True"),  # type: ignore[arg-type]
    (lambda: nn.BatchNorm2d(0), ArgumentError, "BatchNorm2d: num_features=0 must be at least 1"),
    (lambda: nn.BatchNorm2d(2, eps=-1), ArgumentError, "eps=-1 must not be negative"),
    (lambda: nn.BatchNorm2d(2, momentum=1.5), ArgumentError, "momentum=1.5 must lie in 0 .. 1"),
    (lambda: nn.BatchNorm2d(2, momentum="a"), ArgumentTypeError, "momentum='a' must be a number"),  # type: ignore[arg-type]
    (lambda: nn.Dropout(1.5), ArgumentError, "Dropout: p=1.5 must lie in 0 .. 1"),
    (lambda: nn.Dropout(float("nan")), ArgumentError, "p=nan"),
    (lambda: nn.Dropout(True), ArgumentTypeError, "p=True must be a number"),
    (nn.Softmax, ArgumentError, "Softmax: axis must be given"),
    (lambda: nn.Flatten(1.0), ArgumentTypeError, "Flatten: start_dim=1.0"),  # type: ignore[arg-type]
    (lambda: nn.MSELoss("average"), ArgumentError, "MSELoss: reduction='average'"),  # type: ignore[arg-type]
    (lambda: nn.CrossEntropyLoss(label_smoothing=2), ArgumentError, "label_smoothing=2 must lie in 0 .. 1"),
]


@pytest.mark.parametrize(("make", "error", "message"), BAD_LAYERS, ids=[m for _, _, m in BAD_LAYERS])
def test_layers_that_cannot_be(make: Callable[[], Any], error: type[LucidError], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)
    assert "test_layers.py" in str(caught.value)


#: A layer, what it is called with, the error, and what its message says.
BAD_CALLS: list[tuple[nn.Module, tuple[Any, ...], type[LucidError], str]] = [
    (nn.Conv2d(3, 8, 3), (lucid.zeros(1, 1, 4, 4),), ShapeError, "input has 1 channels, but the weight expects 3"),
    (nn.Conv2d(3, 8, 3), (lucid.zeros(8, 8),), ShapeError, "conv2d"),
    (nn.Conv2d(3, 8, 5), (lucid.zeros(1, 3, 4, 8),), ShapeError, "the kernel spans 5 pixels along H"),
    (nn.Conv2d(3, 8, 3), (lucid.zeros(1, 3, 8, 8, dtype=lucid.float64),), DTypeError, "float64"),
    (nn.Conv2d(3, 8, 3), (lucid.zeros(1, 3, 8, 8, dtype=lucid.int64),), DTypeError, "int64"),
    (nn.Linear(4, 2), (lucid.zeros(2, 5),), ShapeError, "its last size must be in_features=4"),
    (nn.Linear(4, 2), (lucid.tensor(1.0),), ShapeError, "its last size must be in_features=4"),
    (nn.MaxPool2d(3), (lucid.zeros(1, 1, 2, 2),), ShapeError, "max_pool2d"),
    (nn.AvgPool2d(2), (lucid.zeros(4, 4),), ShapeError, "avg_pool2d"),
    (nn.BatchNorm2d(3), (lucid.zeros(2, 4, 2, 2),), ShapeError, "has 4 channels, but num_features=3"),
    (nn.BatchNorm2d(3), (lucid.zeros(2, 3),), ShapeError, "must be (N, C, H, W)"),
    (nn.BatchNorm2d(3), (lucid.zeros(1, 3, 1, 1),), ShapeError, "training needs more"),
    (nn.Softmax(2), (lucid.zeros(2, 3),), ArgumentError, "axis=2"),
    (nn.MSELoss(), (lucid.zeros(2), lucid.zeros(2, 1)), ShapeError, "(2,)"),
    (nn.CrossEntropyLoss(), (lucid.zeros(2, 3), lucid.tensor([0, 3])), IndexRangeError, "target holds 3"),
    (nn.CrossEntropyLoss(), (lucid.zeros(2, 3), lucid.tensor([float("nan"), 1])), ShapeError, "target"),
    (nn.CrossEntropyLoss(), (lucid.zeros(2, 3), lucid.tensor([[0], [1]])), ShapeError, "(2, 1)"),
    (nn.CrossEntropyLoss(), (lucid.zeros(2, 3), lucid.tensor([True, False])), DTypeError, "bool"),
]


@pytest.mark.parametrize(
    ("layer", "args", "error", "message"), BAD_CALLS, ids=[f"{type(c[0]).__name__}: {c[3]}" for c in BAD_CALLS]
)
def test_calls_that_cannot_be(layer: nn.Module, args: Any, error: type[LucidError], message: str) -> None:
    with pytest.raises(error) as caught:
        layer(*args)
    assert message in str(caught.value)
    assert "test_layers.py" in str(caught.value)


def test_empty_batches() -> None:
    x = lucid.zeros(0, 3, 8, 8)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(36, 2))
    y = model(x)
    assert y.shape == (0, 2)
    y.sum().backward()
    assert all(p.grad is not None and not p.grad.abs().sum().item() for p in model.parameters())
    assert nn.BatchNorm2d(3).eval()(x).shape == x.shape
    assert nn.AvgPool2d(2)(x).shape == (0, 3, 4, 4)


def test_initial_values_follow_the_seed() -> None:
    def weights() -> Any:
        lucid.manual_seed(3)
        return nn.Conv2d(2, 2, 3).weight.tolist()

    assert weights() == weights()
    layer = nn.Linear(100, 200)
    assert layer.bias is not None
    assert 0.09 < layer.weight.abs().max().item() <= 0.1
    assert 0.08 < layer.bias.abs().max().item() <= 0.1
    before = layer.weight.tolist()
    layer.reset_parameters()
    assert layer.weight.tolist() != before


class TestInit:
    def test_spread(self) -> None:
        lucid.manual_seed(0)
        t = lucid.empty(60, 40, 5, 5)
        fan_in, fan_out = 1000, 1500
        for function, wanted in [
            (lambda: nn.init.uniform_(t, -2.0, 4.0), 6 / math.sqrt(12)),
            (lambda: nn.init.normal_(t, 1.0, 0.5), 0.5),
            (lambda: nn.init.xavier_uniform_(t, 2.0), 2 * math.sqrt(2 / (fan_in + fan_out))),
            (lambda: nn.init.xavier_normal_(t), math.sqrt(2 / (fan_in + fan_out))),
            (lambda: nn.init.kaiming_uniform_(t, nonlinearity="relu"), math.sqrt(2 / fan_in)),
            (lambda: nn.init.kaiming_normal_(t, mode="fan_out"), math.sqrt(2 / fan_out)),
            (lambda: nn.init.kaiming_normal_(t, a=2.0), math.sqrt(2 / 5 / fan_in)),
        ]:
            assert function() is t
            assert t.std().item() == pytest.approx(wanted, rel=0.02)

    def test_constants_keep_a_parameter_what_it_is(self) -> None:
        p = nn.Parameter([1.0, 2.0])
        assert nn.init.constant_(p, 3).tolist() == [3.0, 3.0]
        assert nn.init.ones_(p).tolist() == [1.0, 1.0]
        assert nn.init.zeros_(p).tolist() == [0.0, 0.0]
        assert p.requires_grad
        assert p.is_leaf

    def test_float64(self) -> None:
        t = nn.init.normal_(lucid.empty(10, dtype=lucid.float64))
        assert t.dtype == lucid.float64
        assert (t.astype(lucid.float32).astype(lucid.float64) != t).any()

    @pytest.mark.parametrize(
        ("call", "error", "message"),
        [
            (lambda: nn.init.uniform_(lucid.empty(1), 1, 0), ArgumentError, "a=1 must not be above b=0"),
            (lambda: nn.init.normal_(lucid.empty(1), 0, -1), ArgumentError, "std=-1 must not be negative"),
            (lambda: nn.init.xavier_uniform_(lucid.empty(3)), ShapeError, r"shape \(3,\)"),
            (lambda: nn.init.kaiming_normal_(lucid.empty(3, 3), mode="in"), ArgumentError, "mode='in'"),
            (lambda: nn.init.calculate_gain("swish"), ArgumentError, "nonlinearity='swish'"),
            (lambda: nn.init.uniform_(lucid.zeros(2, dtype=lucid.int64)), DTypeError, "int64"),
            (lambda: nn.init.normal_([1.0]), ArgumentTypeError, "must be a Tensor, not list"),
        ],
    )
    def test_refusals(self, call: Any, error: type[LucidError], message: str) -> None:
        with pytest.raises(error, match=message):
            call()


class TestDropout:
    def test_training_drops_and_scales(self) -> None:
        lucid.manual_seed(0)
        x = lucid.ones(10_000, requires_grad=True)
        layer = nn.Dropout(0.25)
        y = layer(x)
        kept = (y != 0).float()
        assert kept.mean().item() == pytest.approx(0.75, abs=0.02)
        assert set(y.tolist()) == {0.0, y.max().item()}
        assert y.max().item() == pytest.approx(1 / 0.75)
        y.sum().backward()
        assert x.grad is not None
        assert x.grad.tolist() == y.tolist()
        assert layer(x).tolist() != y.tolist()

    def test_edges(self) -> None:
        x = lucid.tensor([1.0, float("inf"), float("nan")])
        assert nn.Dropout(1.0)(x).tolist() == [0.0, 0.0, 0.0]
        assert nn.Dropout(0.0)(x) is x
        assert nn.Dropout(0.9).eval()(x) is x

    def test_the_seed_decides(self) -> None:
        draws = []
        for _ in range(2):
            lucid.manual_seed(5)
            draws.append(nn.Dropout()(lucid.ones(50)).tolist())
        assert draws[0] == draws[1]


def test_batch_norm_statistics_can_be_reset() -> None:
    norm = nn.BatchNorm2d(2)
    norm(lucid.randn(4, 2, 3, 3) * 3 + 1)
    nn.init.zeros_(norm.weight)  # type: ignore[arg-type]
    norm.reset_parameters()
    fresh = nn.BatchNorm2d(2)
    assert {k: v.tolist() for k, v in norm.state_dict().items()} == {
        k: v.tolist() for k, v in fresh.state_dict().items()
    }


def test_identity_takes_anything() -> None:
    x = lucid.ones(2)
    assert nn.Identity(64, kernel_size=3)(x) is x
