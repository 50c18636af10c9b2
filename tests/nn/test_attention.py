"""Attention and transformers with all their masks and options, against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.errors import ArgumentError, DTypeError, LucidError, ShapeError
from lucid.nn import functional as F

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(7)
HIDDEN = RNG.random((5, 7)) < 0.4
HIDDEN[:, 2] = False
PADDING = np.zeros((3, 7), bool)
PADDING[1, 4:] = PADDING[2, 0] = True
EACH = RNG.standard_normal((6, 5, 7)).astype(np.float32)

CASES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({}, {}),
    ({"bias": False}, {"attn_mask": HIDDEN, "need_weights": False}),
    ({"batch_first": True, "add_bias_kv": True}, {"key_padding_mask": PADDING, "average_attn_weights": False}),
    ({"add_zero_attn": True, "add_bias_kv": True}, {"attn_mask": EACH, "need_weights": False}),
    ({"kdim": 3, "vdim": 5, "add_zero_attn": True}, {"attn_mask": EACH, "key_padding_mask": PADDING.astype("float32")}),
    ({"kdim": 3, "vdim": 5, "batch_first": True, "bias": False}, {"attn_mask": HIDDEN, "key_padding_mask": PADDING}),
]


def pair_of(name: str, *args: Any, **options: Any) -> tuple[Any, Any]:
    theirs, ours = getattr(torch.nn, name)(*args, **options), getattr(nn, name)(*args, **options)
    ours.load_state_dict({k: lucid.tensor(v.numpy()) for k, v in theirs.state_dict().items()})
    return theirs, ours


def same(found: Any, expected: Any) -> None:
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=2e-4, atol=2e-5)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize(("options", "masks"), CASES)
def test_masks_and_options(options: dict[str, Any], masks: dict[str, Any], compiled: bool) -> None:
    theirs, ours = pair_of("MultiheadAttention", 8, 2, **options)
    assert [n for n, _ in ours.named_parameters()] == [n for n, _ in theirs.named_parameters()]
    shapes = [(5, 3, 8), (7, 3, options.get("kdim", 8)), (7, 3, options.get("vdim", 8))]
    arrays = [RNG.standard_normal(s).astype(np.float32) for s in shapes]
    if options.get("batch_first"):
        arrays = [a.swapaxes(0, 1).copy() for a in arrays]
    a = [torch.tensor(x, requires_grad=True) for x in arrays]
    b = [lucid.tensor(x, requires_grad=True) for x in arrays]

    def given(make: Any) -> dict[str, Any]:
        return {k: make(v) if isinstance(v, np.ndarray) else v for k, v in masks.items()}

    expected = theirs(*a, **given(torch.tensor))
    found = (lucid.compile(ours) if compiled else ours)(*b, **given(lucid.tensor))
    same(found[0], expected[0])
    assert (found[1] is None) == (expected[1] is None)
    if expected[1] is not None:
        same(found[1], expected[1])
    (expected[0] * expected[0].detach().cos()).sum().backward()
    (found[0] * found[0].detach().cos()).sum().backward()
    for x, y in zip([*a, *theirs.parameters()], [*b, *ours.parameters()], strict=True):
        same(y.grad, x.grad)


@pytest.mark.parametrize("keys", [5, 7, 3])
def test_queries_look_at_no_later_keys(keys: int) -> None:
    arrays = [RNG.standard_normal((2, n, 8)).astype(np.float32) for n in (5, keys, keys)]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    ours = [lucid.tensor(a, requires_grad=True) for a in arrays]
    expected = torch.nn.functional.scaled_dot_product_attention(*theirs, is_causal=True)
    found = F.scaled_dot_product_attention(*ours, is_causal=True)
    same(found, expected)
    (found * found).sum().backward()
    (expected * expected).sum().backward()
    for a, b in zip(ours, theirs, strict=True):
        same(a.grad, b.grad)


def test_queries_that_may_look_nowhere() -> None:
    """Zeros, and finite gradients, where no weights are asked for; else NaN, as in PyTorch."""
    x = RNG.standard_normal((4, 8)).astype(np.float32)
    mask = np.zeros((4, 4), bool)
    mask[2] = True
    q, k = lucid.tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    found = F.scaled_dot_product_attention(q, q, q, lucid.tensor(~mask))
    expected = torch.nn.functional.scaled_dot_product_attention(k, k, k, torch.tensor(~mask))
    same(found, expected)
    assert not found[2].any().item()
    found.sum().backward()
    expected.sum().backward()
    assert q.grad is not None
    same(q.grad, k.grad)
    theirs, ours = pair_of("MultiheadAttention", 8, 2)
    wanted = theirs(k, k, k, attn_mask=torch.tensor(mask))
    have = ours(q, q, q, attn_mask=lucid.tensor(mask))
    same(have.output, wanted[0])
    assert np.isnan(have.weights.detach().numpy()[2]).all()


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("norm_first", [False, True])
def test_a_transformer_with_all_masks(norm_first: bool, compiled: bool) -> None:
    options = {"dropout": 0.0, "norm_first": norm_first, "activation": "gelu", "batch_first": True}
    theirs, ours = pair_of("Transformer", 8, 2, 2, 1, 16, **options)
    run = lucid.compile(ours) if compiled else ours
    source, target = (RNG.standard_normal((3, n, 8)).astype(np.float32) for n in (7, 5))
    causal = nn.Transformer.generate_square_subsequent_mask(5)
    np.testing.assert_array_equal(causal.numpy(), torch.nn.Transformer.generate_square_subsequent_mask(5).numpy())
    names = ("tgt_mask", "memory_mask", "src_key_padding_mask", "memory_key_padding_mask")
    masks = (causal.numpy(), np.where(HIDDEN, -np.inf, 0).astype(np.float32), *[PADDING.astype(np.float32)] * 2)
    expected = theirs(
        torch.tensor(source), torch.tensor(target), **dict(zip(names, map(torch.tensor, masks), strict=True))
    )
    found = run(lucid.tensor(source), lucid.tensor(target), **dict(zip(names, map(lucid.tensor, masks), strict=True)))
    same(found, expected)
    (expected * expected.detach().cos()).sum().backward()
    (found * found.detach().cos()).sum().backward()
    for p, q in zip(theirs.parameters(), ours.parameters(), strict=True):
        same(q.grad, p.grad)


def test_weights_are_left_out_in_training() -> None:
    lucid.manual_seed(0)
    x = lucid.ones(2, 200, 4)
    attention = nn.MultiheadAttention(4, 1, dropout=0.5, batch_first=True)
    _, weights = attention(x, x, x)
    assert abs((weights.detach() == 0).numpy().mean() - 0.5) < 0.02
    _, weights = attention.eval()(x, x, x)
    np.testing.assert_allclose(weights.detach().numpy(), 1 / 200, rtol=1e-5)


def test_copies_of_a_layer_are_layers_of_their_own() -> None:
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 1, 8), 2)
    first, second = stack.layers
    assert first.linear1.weight is not second.linear1.weight
    assert (first.linear1.weight == second.linear1.weight).all().item()


def attend(**options: Any) -> Any:
    x = lucid.ones(5, 3, 8)
    return nn.MultiheadAttention(8, 2)(x, x, x, **options)


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        (lambda: nn.MultiheadAttention(8, 3), ArgumentError, "must divide"),
        (lambda: nn.MultiheadAttention(8, 2)(lucid.ones(5, 8), *[lucid.ones(5, 3, 8)] * 2), ShapeError, "must all"),
        (lambda: nn.MultiheadAttention(8, 2)(*[lucid.ones(5, 6)] * 3), ShapeError, "embed_dim=8"),
        (lambda: attend(attn_mask=lucid.ones(5, 4)), ShapeError, r"\(5, 5\) or \(6, 5, 5\)"),
        (lambda: attend(key_padding_mask=lucid.ones(5, 3)), ShapeError, r"must be \(3, 5\)"),
        (lambda: attend(attn_mask=lucid.ones(5, 5, dtype="int64")), DTypeError, "bool or floating"),
        (lambda: attend(is_causal=True), ArgumentError, "give the mask too"),
        (lambda: F.scaled_dot_product_attention(*[lucid.ones(3)] * 3), ShapeError, "must be"),
        (lambda: F.scaled_dot_product_attention(*[lucid.ones(3, 2)] * 3, lucid.ones(4, 4)), LucidError, "broadcast"),
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="tanh"), ArgumentError, "'relu', 'gelu'"),
        (lambda: nn.TransformerEncoder("layer", 2), LucidError, "must be a Module"),
        (lambda: nn.Transformer(8, 2, 1, 1, 8)(lucid.ones(5, 8), lucid.ones(5, 4)), ShapeError, "d_model=8"),
    ],
)  # fmt: skip
def test_wrong_uses(wrong: Any, error: type[LucidError], words: str) -> None:
    with pytest.raises(error, match=words):
        wrong()
