"""Recurrent layers with all their options, and packed sequences, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.errors import ArgumentError, ArgumentTypeError, LucidError, ShapeError, TraceError
from lucid.nn.utils import rnn

torch = pytest.importorskip("torch")

pytestmark = pytest.mark.filterwarnings("ignore:LSTM with projections")  # what PyTorch says of its own speed

RNG = np.random.default_rng(11)
X = RNG.standard_normal((5, 3, 4)).astype(np.float32)
LENGTHS = [2, 5, 3]

CASES: list[tuple[str, dict[str, Any]]] = [
    ("RNN", {"nonlinearity": "relu", "num_layers": 2}),
    ("RNN", {"bidirectional": True, "bias": False}),
    ("LSTM", {}),
    ("LSTM", {"num_layers": 2, "bidirectional": True, "proj_size": 2, "batch_first": True}),
    ("GRU", {"num_layers": 2, "bidirectional": True}),
    ("GRU", {"bias": False, "batch_first": True}),
]


def pair_of(name: str, options: dict[str, Any]) -> tuple[Any, Any]:
    theirs, ours = getattr(torch.nn, name)(4, 3, **options), getattr(nn, name)(4, 3, **options)
    expected = theirs.state_dict()
    assert [(k, v.shape) for k, v in ours.state_dict().items()] == [(k, tuple(v.shape)) for k, v in expected.items()]
    ours.load_state_dict({k: lucid.tensor(v.numpy()) for k, v in expected.items()})
    return theirs, ours


def states(theirs: Any, batch: tuple[int, ...]) -> Any:
    """What to begin from, in both libraries."""
    count = theirs.num_layers * (2 if theirs.bidirectional else 1)
    sizes = [theirs.proj_size or 3, 3] if isinstance(theirs, torch.nn.LSTM) else [3]
    arrays = [RNG.standard_normal((count, *batch, n)).astype(np.float32) for n in sizes]
    a, b = ([make(x, requires_grad=True) for x in arrays] for make in (torch.tensor, lucid.tensor))
    return (a[0], b[0]) if len(sizes) == 1 else (tuple(a), tuple(b))


def same(found: Any, expected: Any) -> None:
    if isinstance(expected, tuple):
        for a, b in zip(found, expected, strict=True):
            same(a, b)
        return
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-4, atol=1e-5)


def flat(value: Any) -> list[Any]:
    return [value] if not isinstance(value, tuple) else [t for v in value for t in flat(v)]


def same_gradients(found: Any, expected: Any, pairs: list[tuple[Any, Any]]) -> None:
    sum((o * o).sum() for o in flat(expected)).backward()
    sum((o * o).sum() for o in flat(found)).backward()  # type: ignore[attr-defined]  # a tensor
    for ours, theirs in pairs:
        same(ours.grad, theirs.grad)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_batches_and_single_sequences(name: str, options: dict[str, Any], compiled: bool) -> None:
    theirs, ours = pair_of(name, options)
    run = lucid.compile(ours) if compiled else ours
    for alone in (False, True):
        array = X[:, 0] if alone else X.swapaxes(0, 1).copy() if options.get("batch_first") else X
        a, b = torch.tensor(array, requires_grad=True), lucid.tensor(array, requires_grad=True)
        h, g = states(theirs, () if alone else (3,))
        expected, found = theirs(a, h), run(b, g)
        same(found, expected)
        pairs = [(b, a), *zip(flat(g), flat(h), strict=True), *zip(ours.parameters(), theirs.parameters(), strict=True)]
        same_gradients(found, expected, pairs)
    same(ours(lucid.tensor(X[:, 0])), theirs(torch.tensor(X[:, 0])))


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("name", "options"), CASES)
def test_packed_sequences(name: str, options: dict[str, Any], compiled: bool) -> None:
    """Lengths that are not sorted, and states to begin from, both ways."""
    theirs, ours = pair_of(name, {**options, "batch_first": False})
    a, b = torch.tensor(X, requires_grad=True), lucid.tensor(X, requires_grad=True)
    h, g = states(theirs, (3,))

    def run(x: Any, state: Any) -> Any:
        packed = rnn.pack_padded_sequence(x, LENGTHS, enforce_sorted=False)
        output, end = ours(packed, state)
        return (*rnn.pad_packed_sequence(output, padding_value=2.5)[:1], end)

    packed = torch.nn.utils.rnn.pack_padded_sequence(a, LENGTHS, enforce_sorted=False)
    output, end = theirs(packed, h)
    expected = (torch.nn.utils.rnn.pad_packed_sequence(output, padding_value=2.5)[0], end)
    found = (lucid.compile(run) if compiled else run)(b, g)
    same(found, expected)
    pairs = [(b, a), *zip(flat(g), flat(h), strict=True), *zip(ours.parameters(), theirs.parameters(), strict=True)]
    same_gradients(found, expected, pairs)


def test_packing() -> None:
    ours = rnn.pack_padded_sequence(lucid.tensor(X), lucid.tensor(LENGTHS), enforce_sorted=False)
    theirs = torch.nn.utils.rnn.pack_padded_sequence(torch.tensor(X), torch.tensor(LENGTHS), enforce_sorted=False)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())
    for options in ({}, {"batch_first": True}, {"total_length": 7, "padding_value": -1.0}):
        wanted = torch.nn.utils.rnn.pad_packed_sequence(theirs, **options)
        for a, b in zip(rnn.pad_packed_sequence(ours, **options), wanted, strict=True):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    parts = [X[:n, k] for k, n in enumerate(LENGTHS)]
    for options in ({}, {"batch_first": True, "padding_value": 3.0}, {"padding_side": "left"}):
        padded = rnn.pad_sequence(list(map(lucid.tensor, parts)), **options)
        wanted = torch.nn.utils.rnn.pad_sequence(list(map(torch.tensor, parts)), **options)
        np.testing.assert_array_equal(padded.numpy(), wanted.numpy())
    for a, b in zip(rnn.unpack_sequence(ours), parts, strict=True):
        np.testing.assert_array_equal(a.numpy(), b)
    again = rnn.pack_sequence(list(map(lucid.tensor, parts)), enforce_sorted=False)
    np.testing.assert_array_equal(again.data.numpy(), ours.data.numpy())
    assert rnn.invert_permutation(None) is None


def test_values_between_layers_are_left_out_in_training() -> None:
    lucid.manual_seed(1)
    layer = nn.GRU(4, 50, 2, dropout=0.5)
    x = lucid.tensor(X)
    assert (layer(x)[0] != layer(x)[0]).any().item()
    layer.eval()
    assert (layer(x)[0] == layer(x)[0]).all().item()


@pytest.mark.parametrize("name", ["RNNCell", "LSTMCell", "GRUCell"])
def test_cells_and_layers_agree(name: str) -> None:
    """A layer of one step is its cell."""
    cell, layer = getattr(nn, name)(4, 3), getattr(nn, name[:-4])(4, 3)
    cell.load_state_dict({k.removesuffix("_l0"): v for k, v in layer.state_dict().items()})
    found, (output, _) = cell(lucid.tensor(X[0])), layer(lucid.tensor(X[:1]))
    same(found[0] if name == "LSTMCell" else found, output[0])


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: nn.LSTM(4, 0), ArgumentError, "at least 1"),
        (lambda: nn.LSTM(4, 3, proj_size=3), ArgumentError, "less than hidden_size=3"),
        (lambda: nn.RNN(4, 3, nonlinearity="gelu"), ArgumentError, "'tanh' or 'relu'"),
        (lambda: nn.RNNCell(4, 3, nonlinearity="gelu"), ArgumentError, "'tanh' or 'relu'"),
        (lambda: nn.RNNBase("ELMAN", 4, 3), ArgumentError, "must be one of"),
        (lambda: nn.GRU(4, 3)(lucid.ones(5, 3, 3)), ShapeError, r"\(L, N, 4\)"),
        (lambda: nn.GRU(4, 3)(lucid.ones(0, 3, 4)), ShapeError, "no steps"),
        (lambda: nn.GRU(4, 3)(lucid.ones(5, 3, 4), lucid.ones(1, 2, 3)), ShapeError, r"must be \(1, 3, 3\)"),
        (lambda: nn.LSTM(4, 3)(lucid.ones(5, 3, 4), lucid.ones(1, 3, 3)), ShapeError, "2 states"),
        (lambda: nn.LSTMCell(4, 3)(lucid.ones(5, 3)), ShapeError, r"\(N, 4\)"),
        (lambda: nn.LSTMCell(4, 3)(lucid.ones(5, 4), (lucid.ones(5, 3),)), ShapeError, "each of 2"),
        (lambda: rnn.pack_padded_sequence(lucid.ones(5, 2), [2, 3]), ArgumentError, "must not increase"),
        (lambda: rnn.pack_padded_sequence(lucid.ones(5, 2), [6, 3]), ArgumentError, r"1 \.\. 5"),
        (lambda: rnn.pack_padded_sequence(lucid.ones(5, 2), [3]), ShapeError, "2 ints"),
        (lambda: rnn.pad_packed_sequence(lucid.ones(3)), ArgumentTypeError, "PackedSequence"),
        (lambda: rnn.pad_packed_sequence(rnn.pack_sequence([lucid.ones(3)]), total_length=2), ArgumentError, "less"),
        (lambda: rnn.pad_sequence([]), ArgumentError, "empty"),
        (lambda: rnn.pad_sequence([lucid.ones(2, 3), lucid.ones(2)]), ShapeError, "length alone"),
        (lambda: lucid.compile(rnn.pack_padded_sequence)(lucid.ones(5, 1), lucid.tensor([2])), TraceError, "lengths"),
    ],
)  # fmt: skip
def test_wrong_uses(wrong: Any, error: type[LucidError], words: str) -> None:
    with pytest.raises(error, match=words):
        wrong()
