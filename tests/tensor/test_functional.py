"""Functional layers: what PyTorch cannot say for us. Padding rules, dropout, refusals."""

from __future__ import annotations

import math

import numpy as np
import pytest

import lucid
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError, LucidError, ShapeError
from lucid.nn import functional as F
from lucid.nn.functional.arguments import paddings

IMAGE = lucid.ones(1, 3, 8, 8)
WEIGHT = lucid.ones(4, 3, 3, 3)
SCORES = lucid.zeros(2, 4)


@pytest.mark.parametrize("size", [7, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("kernel", [2, 3, 4])
def test_same_padding_gives_ceil_of_size_over_stride(size: int, stride: int, kernel: int) -> None:
    x, w = lucid.ones(1, 1, size, size), lucid.ones(1, 1, kernel, kernel)
    y = F.conv2d(x, w, stride=stride, padding="same")
    assert y.shape[2:] == (math.ceil(size / stride),) * 2
    assert paddings("conv2d", "same", (kernel, kernel), (2, 1)) == (
        (kernel - 1, kernel - 1),
        ((kernel - 1) // 2, kernel - 1 - (kernel - 1) // 2),
    )


def test_dropout() -> None:
    lucid.manual_seed(0)
    x = lucid.ones(100_000, requires_grad=True)
    y = F.dropout(x, 0.25)
    values = set(np.unique(y.numpy()).tolist())
    assert values == {0.0, np.float32(1 / 0.75)}
    assert abs((y == 0).mean().item() - 0.25) < 0.01
    assert (F.dropout(x, 0.25) != y).any()
    y.backward()
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())
    assert F.dropout(x, 0.5, training=False) is x
    assert F.dropout(x, 0.0) is x
    assert F.dropout(x, 1.0).sum().item() == 0


def test_dropout_of_infinities_is_zero_not_nan() -> None:
    x = lucid.full((1000,), float("inf"))
    y = F.dropout(x, 0.5)
    assert not y.isnan().any()


def test_impossible_classes_do_not_spoil_a_loss() -> None:
    scores = lucid.tensor([[0.0, float("-inf")]], requires_grad=True)
    loss = F.cross_entropy(scores, [0])
    assert loss.item() == 0.0
    loss.backward()
    assert not scores.grad.isnan().any()


def test_nan_scores_give_a_nan_loss() -> None:
    assert F.cross_entropy(lucid.tensor([[float("nan"), 0.0]]), [1]).isnan()


def test_all_targets_ignored() -> None:
    loss = F.cross_entropy(SCORES, [-100, -100])
    assert loss.isnan()
    assert F.cross_entropy(SCORES, [7, 1], ignore_index=7).item() == pytest.approx(math.log(4))


def test_empty_batches() -> None:
    assert F.conv2d(lucid.ones(0, 3, 8, 8), WEIGHT).shape == (0, 4, 6, 6)
    assert F.max_pool2d(lucid.ones(0, 3, 8, 8), 2).shape == (0, 3, 4, 4)
    assert F.linear(lucid.ones(0, 3), lucid.ones(2, 3)).shape == (0, 2)
    assert F.cross_entropy(lucid.zeros(0, 4), lucid.zeros(0, dtype=lucid.int64), reduction="sum").item() == 0


def test_batch_norm_eval_uses_running_statistics() -> None:
    mean, var = lucid.tensor([1.0, 2.0]), lucid.tensor([4.0, 9.0])
    y = F.batch_norm(lucid.tensor([[3.0, 5.0]]), mean, var, eps=0.0)
    np.testing.assert_allclose(y.numpy(), [[1.0, 1.0]], rtol=1e-6)
    assert mean.tolist() == [1.0, 2.0]


BAD = {
    "rank": (lambda: F.conv2d(lucid.ones(8, 8), WEIGHT), ShapeError, ("conv2d", "input", "(8, 8)")),
    "weight rank": (lambda: F.conv2d(IMAGE, lucid.ones(4, 3)), ShapeError, ("conv2d", "weight", "(4, 3)")),
    "channels": (lambda: F.conv2d(lucid.ones(1, 1, 4, 4), WEIGHT), ShapeError, ("conv2d", "1 channels", "expects 3")),
    "groups": (lambda: F.conv2d(IMAGE, WEIGHT, groups=2), ShapeError, ("conv2d", "groups=2")),
    "groups 0": (lambda: F.conv2d(IMAGE, WEIGHT, groups=0), ArgumentError, ("conv2d", "groups=0")),
    "groups float": (lambda: F.conv2d(IMAGE, WEIGHT, groups=1.0), ArgumentTypeError, ("conv2d", "groups=1.0")),
    "stride": (lambda: F.conv2d(IMAGE, WEIGHT, stride=-1), ArgumentError, ("conv2d", "stride=-1")),
    "stride three": (lambda: F.conv2d(IMAGE, WEIGHT, stride=(1, 2, 3)), ArgumentError, ("stride=(1, 2, 3)", "pair")),
    "stride float": (lambda: F.conv2d(IMAGE, WEIGHT, stride=1.5), ArgumentTypeError, ("stride=1.5",)),
    "padding word": (lambda: F.conv2d(IMAGE, WEIGHT, padding="full"), ArgumentError, ("padding='full'", "'same'")),
    "padding": (lambda: F.conv2d(IMAGE, WEIGHT, padding=-1), ArgumentError, ("padding=-1", "negative")),
    "dilation": (lambda: F.conv2d(IMAGE, WEIGHT, dilation=0), ArgumentError, ("dilation=0",)),
    "too small": (lambda: F.conv2d(lucid.ones(1, 3, 2, 2), WEIGHT), ShapeError, ("conv2d", "kernel", "only 2")),
    "dtype": (lambda: F.conv2d(IMAGE.double(), WEIGHT), DTypeError, ("float64", "float32")),
    "int image": (lambda: F.conv2d(IMAGE.int(), WEIGHT.int()), DTypeError, ("conv2d", "int32")),
    "conv bias": (lambda: F.conv2d(IMAGE, WEIGHT, lucid.ones(3)), ShapeError, ("bias", "(3,)", "(4,)")),
    "linear": (lambda: F.linear(lucid.ones(2, 5), lucid.ones(4, 3)), ShapeError, ("linear", "in_features=3", "(2, 5)")),
    "linear image": (lambda: F.linear(IMAGE, lucid.ones(4, 3)), ShapeError, ("flatten",)),
    "linear weight": (lambda: F.linear(lucid.ones(2, 3), lucid.ones(3)), ShapeError, ("weight", "(3,)")),
    "linear bias": (lambda: F.linear(lucid.ones(2, 3), lucid.ones(4, 3), lucid.ones(1)), ShapeError, ("bias", "(4,)")),
    "pool kernel": (lambda: F.max_pool2d(IMAGE, 0), ArgumentError, ("max_pool2d", "kernel_size=0")),
    "pool rank": (lambda: F.avg_pool2d(lucid.ones(8, 8), 2), ShapeError, ("avg_pool2d", "(8, 8)")),
    "pool size": (lambda: F.max_pool2d(IMAGE, 9), ShapeError, ("max_pool2d", "9")),
    "pool string": (lambda: F.max_pool2d(IMAGE, "2"), ArgumentTypeError, ("kernel_size",)),
    "dropout p": (lambda: F.dropout(IMAGE, 1.5), ArgumentError, ("dropout", "p=1.5")),
    "dropout type": (lambda: F.dropout(IMAGE, "a"), ArgumentTypeError, ("dropout", "p='a'")),
    "batch_norm rank": (lambda: F.batch_norm(lucid.ones(3), None, None, training=True), ShapeError, ("batch_norm",)),
    "batch_norm one": (
        lambda: F.batch_norm(lucid.ones(1, 3), None, None, training=True), ShapeError, ("1 value per channel",),
    ),
    "batch_norm stats": (lambda: F.batch_norm(IMAGE, None, None), ArgumentError, ("running_mean", "training=False")),
    "batch_norm shape": (
        lambda: F.batch_norm(IMAGE, lucid.ones(2), lucid.ones(3)), ShapeError, ("running_mean", "(2,)", "3 channels"),
    ),
    "target range": (lambda: F.cross_entropy(SCORES, [0, 4]), IndexRangeError, ("cross_entropy", "4", "0 .. 3")),
    "target negative": (lambda: F.cross_entropy(SCORES, [0, -1]), IndexRangeError, ("-1",)),
    "target float": (lambda: F.cross_entropy(SCORES, [0.0, 1.0]), ShapeError, ("target", "floating")),
    "target bool": (lambda: F.cross_entropy(SCORES, [True, False]), DTypeError, ("target", "bool")),
    "target shape": (lambda: F.cross_entropy(SCORES, [[0], [1]]), ShapeError, ("target", "(2, 1)", "(2,)")),
    "reduction": (lambda: F.cross_entropy(SCORES, [0, 1], reduction="avg"), ArgumentError, ("reduction='avg'",)),
    "smoothing": (lambda: F.cross_entropy(SCORES, [0, 1], label_smoothing=2), ArgumentError, ("label_smoothing=2",)),
    "mse": (lambda: F.mse_loss(lucid.ones(2), lucid.ones(2, 1)), ShapeError, ("mse_loss", "(2,)", "(2, 1)")),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_misuse_is_named(name: str) -> None:
    use, error, words = BAD[name]
    with pytest.raises(error) as caught:
        use()
    assert isinstance(caught.value, LucidError)
    for word in (*words, "test_functional.py:"):
        assert word in str(caught.value)
