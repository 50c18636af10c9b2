"""``device=`` and ``dtype=`` of layers: what they hold is made there, and so."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import lucid
from lucid import nn
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError
from lucid.ir.types import is_float

#: Every layer that takes them, with the arguments that it needs.
LAYERS: dict[str, tuple[Any, ...]] = {
    "BatchNorm1d": (3,), "BatchNorm2d": (3,), "BatchNorm3d": (3,), "Bilinear": (2, 3, 4),
    "Conv1d": (2, 4, 3), "Conv2d": (2, 4, 3), "Conv3d": (2, 4, 3),
    "ConvTranspose1d": (2, 4, 3), "ConvTranspose2d": (2, 4, 3), "ConvTranspose3d": (2, 4, 3),
    "Embedding": (5, 3), "EmbeddingBag": (5, 3), "GRU": (2, 3), "GRUCell": (2, 3), "GroupNorm": (2, 4),
    "InstanceNorm1d": (3, 1e-5, 0.1, True, True), "InstanceNorm2d": (3, 1e-5, 0.1, True, True),
    "InstanceNorm3d": (3, 1e-5, 0.1, True, True), "LSTM": (2, 3), "LSTMCell": (2, 3), "LayerNorm": (3,),
    "Linear": (2, 3), "MultiheadAttention": (4, 2, 0.0, True, True, False, 3), "PReLU": (2,), "RMSNorm": (3,),
    "RNN": (2, 3), "RNNBase": ("GRU", 2, 3), "RNNCell": (2, 3), "Transformer": (4, 2, 1, 1, 6),
    "TransformerDecoderLayer": (4, 2, 6), "TransformerEncoderLayer": (4, 2, 6),
}  # fmt: skip


def test_all_layers_that_hold_something_take_them() -> None:
    found = {n: getattr(nn, n) for n in nn.__all__}
    ours = {n: v for n, v in found.items() if inspect.isclass(v) and v.__name__ == n}  # an alias is no other layer
    assert [n for n in sorted(ours) if "place" in inspect.signature(ours[n]).parameters] == sorted(LAYERS)
    torch = pytest.importorskip("torch")
    theirs = {n for n, v in vars(torch.nn).items() if inspect.isclass(v) and "dtype" in inspect.signature(v).parameters}
    assert theirs & set(ours) - set(LAYERS) == set()


@pytest.mark.parametrize("name", LAYERS)
def test_what_a_layer_holds_has_the_dtype(name: str) -> None:
    layer = getattr(nn, name)(*LAYERS[name], device=lucid.device("cpu"), dtype=lucid.float64)
    state = layer.state_dict()
    assert {t.dtype for t in state.values() if is_float(t.dtype)} == {lucid.float64}
    assert {t.dtype for t in state.values()} <= {lucid.float64, lucid.int64}
    with pytest.raises(ArgumentError, match=f"{name}: device='cuda' is not there(.|\n)*hint"):
        getattr(nn, name)(*LAYERS[name], device="cuda")
    with pytest.raises(DTypeError, match=f"{name}: dtype=int32 must be floating"):
        getattr(nn, name)(*LAYERS[name], dtype="int32")


def test_values_are_drawn_in_the_dtype() -> None:
    lucid.manual_seed(0)
    drawn = nn.Linear(3, 3, dtype="float64").weight
    assert (drawn != drawn.float().double()).any().item()  # not float32 numbers in wider memory
    assert nn.Conv2d(1, 2, 3, dtype="float16").weight.std().item() > 0.05


def test_none_is_the_usual() -> None:
    assert nn.Linear(2, 3, device=None, dtype=None).weight.dtype == lucid.float32
    assert nn.Transformer.generate_square_subsequent_mask(2, "cpu", lucid.float64).dtype == lucid.float64


def test_other_keywords_are_unknown() -> None:
    with pytest.raises(ArgumentTypeError, match="Linear: unknown arguments: biass"):
        nn.Linear(2, 3, biass=False)
