"""Every layer, loss and functional layer with something to compute its gradients on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

import lucid
from lucid import nn
from lucid.nn import functional as F


@dataclass(frozen=True)
class Between:
    """A leaf of numbers between 0.1 and 0.9."""

    shape: tuple[int, ...]


#: The shape of a leaf of normal numbers; a leaf of positive ones; an array that is no leaf.
Given: TypeAlias = "tuple[int, ...] | Between | np.ndarray"


@dataclass(frozen=True)
class Case:
    """What makes a layer, or another function of tensors, and what it is given."""

    make: Callable[[], Callable[..., Any]]
    given: tuple[Given, ...]


def of(layer: Callable[..., Any], *given: Given) -> Case:
    return Case(layer, given)


def calling(function: Callable[..., Any], *given: Given) -> Case:
    return Case(lambda: function, given)


def evaluated(layer: Callable[[], nn.Module], *given: Given) -> Case:
    return Case(lambda: layer().eval(), given)


LINE, IMAGE, VOLUME = (2, 3, 9), (2, 4, 6, 5), (1, 2, 4, 5, 4)
ROWS = (4, 6)
CLASSES = np.array([2, 0, 5, 1])
SIGNS = np.array([1.0, -1.0, -1.0, 1.0])
BITS = np.array([[1, 0, 0, 1, 1, 0], [0, 0, 1, 1, 0, 1], [1, 1, 1, 0, 0, 0], [0, 1, 0, 1, 0, 1]], np.float64)
SAMPLES = np.linspace(0.05, 0.95, 16)
MASK = np.triu(np.full((5, 5), -np.inf), 1)

CASES: dict[str, list[Case]] = {
    # --- activations ---
    "CELU": [of(lambda: nn.CELU(0.7), ROWS)],
    "ELU": [of(lambda: nn.ELU(0.7), ROWS)],
    "GELU": [of(nn.GELU, ROWS), of(lambda: nn.GELU("tanh"), ROWS)],
    "GLU": [of(nn.GLU, ROWS)],
    "Hardshrink": [of(nn.Hardshrink, ROWS)],
    "Hardsigmoid": [of(nn.Hardsigmoid, ROWS)],
    "Hardswish": [of(nn.Hardswish, ROWS)],
    "Hardtanh": [of(nn.Hardtanh, ROWS)],
    "LeakyReLU": [of(nn.LeakyReLU, ROWS)],
    "LogSigmoid": [of(nn.LogSigmoid, ROWS)],
    "LogSoftmax": [of(lambda: nn.LogSoftmax(-1), ROWS)],
    "Mish": [of(nn.Mish, ROWS)],
    "PReLU": [of(lambda: nn.PReLU(6), ROWS)],
    "RReLU": [of(nn.RReLU, ROWS), evaluated(nn.RReLU, ROWS)],
    "ReLU": [of(nn.ReLU, ROWS)],
    "ReLU6": [of(nn.ReLU6, ROWS)],
    "SELU": [of(nn.SELU, ROWS)],
    "SiLU": [of(nn.SiLU, ROWS)],
    "Sigmoid": [of(nn.Sigmoid, ROWS)],
    "Softmax": [of(lambda: nn.Softmax(0), ROWS)],
    "Softmax2d": [of(nn.Softmax2d, IMAGE)],
    "Softmin": [of(lambda: nn.Softmin(-1), ROWS)],
    "Softplus": [of(lambda: nn.Softplus(2.0, 1.0), ROWS)],
    "Softshrink": [of(nn.Softshrink, ROWS)],
    "Softsign": [of(nn.Softsign, ROWS)],
    "Tanh": [of(nn.Tanh, ROWS)],
    "Tanhshrink": [of(nn.Tanhshrink, ROWS)],
    "Threshold": [of(lambda: nn.Threshold(0.1, 2.0), ROWS)],
    # --- products ---
    "Bilinear": [of(lambda: nn.Bilinear(6, 3, 2), ROWS, (4, 3))],
    "Conv1d": [of(lambda: nn.Conv1d(3, 4, 3, 2, 1), LINE)],
    "Conv2d": [
        of(lambda: nn.Conv2d(4, 6, 3, padding="same", dilation=2, groups=2), IMAGE),
        of(lambda: nn.Conv2d(4, 3, (3, 2), (2, 3), (1, 0), padding_mode="reflect"), IMAGE),
    ],
    "Conv3d": [of(lambda: nn.Conv3d(2, 2, 2, (1, 2, 1)), VOLUME)],
    "ConvTranspose1d": [of(lambda: nn.ConvTranspose1d(3, 2, 3, 2, 1, output_padding=1), LINE)],
    "ConvTranspose2d": [of(lambda: nn.ConvTranspose2d(4, 2, 3, 2, groups=2), IMAGE)],
    "ConvTranspose3d": [of(lambda: nn.ConvTranspose3d(2, 2, 2), VOLUME)],
    "Linear": [of(lambda: nn.Linear(6, 3), ROWS)],
    "MultiheadAttention": [of(lambda: nn.MultiheadAttention(6, 2, batch_first=True), (2, 5, 6), (2, 3, 6), (2, 3, 6))],
    # --- recurrent layers and transformers ---
    "GRU": [of(lambda: nn.GRU(3, 4, bidirectional=True), (3, 2, 3))],
    "GRUCell": [of(lambda: nn.GRUCell(3, 4), (2, 3), (2, 4))],
    "LSTM": [of(lambda: nn.LSTM(3, 4, num_layers=2, proj_size=2), (3, 2, 3))],
    "LSTMCell": [of(lambda: nn.LSTMCell(3, 4), (2, 3))],
    "RNN": [of(lambda: nn.RNN(3, 4, batch_first=True), (2, 3, 3))],
    "RNNBase": [of(lambda: nn.RNNBase("RNN_RELU", 3, 4), (3, 2, 3))],
    "RNNCell": [of(lambda: nn.RNNCell(3, 4), (2, 3), (2, 4))],
    "Transformer": [of(lambda: nn.Transformer(4, 2, 1, 1, 6, 0.0), (3, 2, 4), (2, 2, 4))],
    "TransformerDecoder": [
        of(lambda: nn.TransformerDecoder(nn.TransformerDecoderLayer(4, 2, 6, 0.0), 1), (3, 2, 4), (2, 2, 4))
    ],
    "TransformerDecoderLayer": [of(lambda: nn.TransformerDecoderLayer(4, 2, 6, 0.0), (3, 2, 4), (2, 2, 4))],
    "TransformerEncoder": [
        of(lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, 6, 0.0), 2, nn.LayerNorm(4)), (5, 2, 4), MASK)
    ],
    "TransformerEncoderLayer": [
        of(lambda: nn.TransformerEncoderLayer(4, 2, 6, 0.0, activation="gelu", norm_first=True), (3, 2, 4))
    ],
    # --- tables ---
    "Embedding": [of(lambda: nn.Embedding(6, 3, padding_idx=3), np.array([[1, 2, 5], [5, 5, 0]]))],
    "EmbeddingBag": [
        of(lambda: nn.EmbeddingBag(6, 3), np.array([[1, 2, 5], [5, 5, 0]])),
        of(lambda: nn.EmbeddingBag(6, 3, mode="sum"), np.array([1, 2, 5, 5]), np.array([0, 3]), (4,)),
        of(lambda: nn.EmbeddingBag(6, 3, mode="max"), np.array([[1, 2, 5], [5, 4, 0]])),
    ],
    # --- normalisation ---
    "BatchNorm1d": [of(lambda: nn.BatchNorm1d(6), ROWS), evaluated(lambda: nn.BatchNorm1d(6), ROWS)],
    "BatchNorm2d": [of(lambda: nn.BatchNorm2d(4), IMAGE)],
    "BatchNorm3d": [of(lambda: nn.BatchNorm3d(2), VOLUME)],
    "GroupNorm": [of(lambda: nn.GroupNorm(2, 4), IMAGE)],
    "InstanceNorm1d": [of(lambda: nn.InstanceNorm1d(3, affine=True), LINE)],
    "InstanceNorm2d": [of(lambda: nn.InstanceNorm2d(4, track_running_stats=True), IMAGE)],
    "InstanceNorm3d": [of(lambda: nn.InstanceNorm3d(2), VOLUME)],
    "LayerNorm": [of(lambda: nn.LayerNorm(6), ROWS)],
    "LocalResponseNorm": [of(lambda: nn.LocalResponseNorm(3, 0.5), IMAGE)],
    "RMSNorm": [of(lambda: nn.RMSNorm(6), ROWS)],
    # --- pools ---
    "AdaptiveAvgPool1d": [of(lambda: nn.AdaptiveAvgPool1d(4), LINE)],
    "AdaptiveAvgPool2d": [of(lambda: nn.AdaptiveAvgPool2d((4, None)), IMAGE)],
    "AdaptiveAvgPool3d": [of(lambda: nn.AdaptiveAvgPool3d(3), VOLUME)],
    "AdaptiveMaxPool1d": [of(lambda: nn.AdaptiveMaxPool1d(4), LINE)],
    "FractionalMaxPool2d": [
        of(lambda: nn.FractionalMaxPool2d(2, (3, 4), _random_samples=lucid.tensor(SAMPLES).reshape(2, 4, 2)), IMAGE)
    ],
    "FractionalMaxPool3d": [
        of(lambda: nn.FractionalMaxPool3d(2, 3, _random_samples=lucid.tensor(SAMPLES[:6]).reshape(1, 2, 3)), VOLUME)
    ],
    "AdaptiveMaxPool2d": [of(lambda: nn.AdaptiveMaxPool2d((4, 3)), IMAGE)],
    "AdaptiveMaxPool3d": [of(lambda: nn.AdaptiveMaxPool3d(3), VOLUME)],
    "AvgPool1d": [of(lambda: nn.AvgPool1d(3, 2, 1), LINE)],
    "AvgPool2d": [of(lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True, count_include_pad=False), IMAGE)],
    "AvgPool3d": [of(lambda: nn.AvgPool3d(2), VOLUME)],
    "LPPool1d": [of(lambda: nn.LPPool1d(3.0, 2), Between(LINE))],
    "LPPool2d": [of(lambda: nn.LPPool2d(2.0, 2), IMAGE)],
    "LPPool3d": [of(lambda: nn.LPPool3d(2.0, 2), VOLUME)],
    "MaxPool1d": [of(lambda: nn.MaxPool1d(3, 2, 1), LINE)],
    "MaxPool2d": [of(lambda: nn.MaxPool2d(3, 1, 1, 2), IMAGE)],
    "MaxPool3d": [of(lambda: nn.MaxPool3d(2), VOLUME)],
    "MaxUnpool1d": [of(lambda: nn.MaxUnpool1d(2), (1, 2, 3), np.array([[[1, 2, 4], [0, 3, 5]]]))],
    "MaxUnpool2d": [of(lambda: nn.MaxUnpool2d(2), (1, 1, 2, 2), np.array([[[[5, 2], [8, 11]]]]))],
    "MaxUnpool3d": [of(lambda: nn.MaxUnpool3d(2), (1, 1, 1, 1, 2), np.array([[[[[5, 11]]]]]))],
    # --- padding, shapes and sizes ---
    "CircularPad1d": [of(lambda: nn.CircularPad1d((2, 1)), LINE)],
    "CircularPad2d": [of(lambda: nn.CircularPad2d(2), IMAGE)],
    "CircularPad3d": [of(lambda: nn.CircularPad3d(1), VOLUME)],
    "ConstantPad1d": [of(lambda: nn.ConstantPad1d((2, 1), 0.5), LINE)],
    "ConstantPad2d": [of(lambda: nn.ConstantPad2d((-1, 1, 2, 0), 0.5), IMAGE)],
    "ConstantPad3d": [of(lambda: nn.ConstantPad3d(1, 0.5), VOLUME)],
    "ReflectionPad1d": [of(lambda: nn.ReflectionPad1d((2, 1)), LINE)],
    "ReflectionPad2d": [of(lambda: nn.ReflectionPad2d((1, 2, 3, 0)), IMAGE)],
    "ReflectionPad3d": [of(lambda: nn.ReflectionPad3d(1), VOLUME)],
    "ReplicationPad1d": [of(lambda: nn.ReplicationPad1d((2, 1)), LINE)],
    "ReplicationPad2d": [of(lambda: nn.ReplicationPad2d((1, 2, 3, 0)), IMAGE)],
    "ReplicationPad3d": [of(lambda: nn.ReplicationPad3d(1), VOLUME)],
    "ZeroPad1d": [of(lambda: nn.ZeroPad1d((2, 1)), LINE)],
    "ZeroPad2d": [of(lambda: nn.ZeroPad2d(1), IMAGE)],
    "ZeroPad3d": [of(lambda: nn.ZeroPad3d(1), VOLUME)],
    "ChannelShuffle": [of(lambda: nn.ChannelShuffle(2), IMAGE)],
    "Flatten": [of(nn.Flatten, IMAGE)],
    "Fold": [of(lambda: nn.Fold((4, 5), 2), (1, 4, 12))],
    "Identity": [of(nn.Identity, ROWS)],
    "PixelShuffle": [of(lambda: nn.PixelShuffle(2), IMAGE)],
    "PixelUnshuffle": [of(lambda: nn.PixelUnshuffle(2), (1, 2, 4, 6))],
    "Sequential": [of(lambda: nn.Sequential(nn.Linear(6, 4), nn.Tanh(), nn.Linear(4, 2)), ROWS)],
    "Unflatten": [of(lambda: nn.Unflatten(1, (2, 3)), ROWS)],
    "Unfold": [of(lambda: nn.Unfold(2, padding=1, stride=2), IMAGE)],
    "Upsample": [of(lambda: nn.Upsample(scale_factor=2.0, mode="bicubic", align_corners=False), IMAGE)],
    "UpsamplingBilinear2d": [of(lambda: nn.UpsamplingBilinear2d(size=(7, 9)), IMAGE)],
    "UpsamplingNearest2d": [of(lambda: nn.UpsamplingNearest2d(scale_factor=2), IMAGE)],
    # --- what is drawn ---
    "AlphaDropout": [of(lambda: nn.AlphaDropout(0.3), ROWS)],
    "DropPath": [of(lambda: nn.DropPath(0.5), ROWS)],
    "Dropout": [of(lambda: nn.Dropout(0.3), ROWS)],
    "Dropout1d": [of(lambda: nn.Dropout1d(0.3), LINE)],
    "Dropout2d": [of(lambda: nn.Dropout2d(0.3), IMAGE)],
    "Dropout3d": [of(lambda: nn.Dropout3d(0.3), VOLUME)],
    "FeatureAlphaDropout": [of(lambda: nn.FeatureAlphaDropout(0.3), IMAGE)],
    # --- distances and losses ---
    "BCELoss": [of(nn.BCELoss, Between(ROWS), Between(ROWS))],
    "BCEWithLogitsLoss": [of(lambda: nn.BCEWithLogitsLoss(pos_weight=lucid.tensor(np.arange(1.0, 7))), ROWS, BITS)],
    "CTCLoss": [of(nn.CTCLoss, (6, 2, 4), np.array([[1, 2, 2], [3, 1, 0]]), np.array([6, 5]), np.array([3, 2]))],
    "CosineEmbeddingLoss": [of(lambda: nn.CosineEmbeddingLoss(-0.5), ROWS, ROWS, SIGNS)],
    "CosineSimilarity": [of(nn.CosineSimilarity, ROWS, ROWS)],
    "CrossEntropyLoss": [
        of(lambda: nn.CrossEntropyLoss(lucid.tensor(np.arange(1.0, 7)), 5, label_smoothing=0.1), ROWS, CLASSES),
        of(nn.CrossEntropyLoss, ROWS, Between(ROWS)),
    ],
    "GaussianNLLLoss": [of(nn.GaussianNLLLoss, ROWS, ROWS, Between(ROWS))],
    "HingeEmbeddingLoss": [of(nn.HingeEmbeddingLoss, (4,), SIGNS)],
    "HuberLoss": [of(lambda: nn.HuberLoss(delta=0.7), ROWS, ROWS)],
    "KLDivLoss": [
        of(lambda: nn.KLDivLoss("batchmean"), ROWS, Between(ROWS)),
        of(lambda: nn.KLDivLoss(log_target=True), ROWS, ROWS),
    ],
    "L1Loss": [of(nn.L1Loss, ROWS, ROWS)],
    "MSELoss": [of(nn.MSELoss, ROWS, ROWS)],
    "MarginRankingLoss": [of(lambda: nn.MarginRankingLoss(0.3), (4,), (4,), SIGNS)],
    "MultiLabelMarginLoss": [of(nn.MultiLabelMarginLoss, (2, 4), np.array([[3, 0, -1, 1], [2, -1, 0, 0]]))],
    "MultiLabelSoftMarginLoss": [of(nn.MultiLabelSoftMarginLoss, ROWS, BITS)],
    "MultiMarginLoss": [of(lambda: nn.MultiMarginLoss(2), ROWS, CLASSES)],
    "NLLLoss": [of(lambda: nn.NLLLoss(lucid.tensor(np.arange(1.0, 7))), ROWS, CLASSES)],
    "PairwiseDistance": [of(lambda: nn.PairwiseDistance(3.0), ROWS, ROWS)],
    "PoissonNLLLoss": [of(lambda: nn.PoissonNLLLoss(full=True), ROWS, Between(ROWS))],
    "SmoothL1Loss": [of(lambda: nn.SmoothL1Loss(beta=0.7), ROWS, ROWS)],
    "SoftMarginLoss": [of(nn.SoftMarginLoss, ROWS, 2 * BITS - 1)],
    "TripletMarginLoss": [of(lambda: nn.TripletMarginLoss(swap=True), ROWS, ROWS, ROWS)],
    "TripletMarginWithDistanceLoss": [of(nn.TripletMarginWithDistanceLoss, ROWS, ROWS, ROWS)],
    # --- functions without a layer ---
    "functional.affine_grid": [calling(lambda theta: F.affine_grid(theta, (2, 4, 3, 5)), (2, 2, 3))],
    "functional.grid_sample": [calling(F.grid_sample, IMAGE, Between((2, 3, 2, 2)))],
    "functional.gumbel_softmax": [calling(lambda x: F.gumbel_softmax(x, tau=0.7), ROWS)],
    "functional.normalize": [calling(lambda x: F.normalize(x, p=3.0), ROWS)],
    "functional.pdist": [calling(F.pdist, ROWS)],
    "functional.scaled_dot_product_attention": [
        calling(
            lambda q, k, v: F.scaled_dot_product_attention(q, k, v, is_causal=True), (2, 3, 4), (2, 3, 4), (2, 3, 4)
        )
    ],
}

#: What has no gradients of its own: bases and containers of layers and of parameters.
WITHOUT = {"Module", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList"}
