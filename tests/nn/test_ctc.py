"""Connectionist temporal classification, against PyTorch: values, and gradients through ``log_softmax``."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import lucid
from lucid import nn
from lucid.errors import ArgumentError, DTypeError, LucidError, ShapeError
from lucid.nn import functional as F

torch = pytest.importorskip("torch")

RNG = np.random.default_rng(3)
SCORES = RNG.standard_normal((9, 4, 5))
TARGETS = np.array([[1, 2, 2, 4], [3, 3, 3, 1], [1, 9, -7, 9], [2, 9, 9, 9]])  # what pads them is not looked at
TIMES, SIZES = [9, 7, 5, 9], [4, 3, 1, 0]
IN_A_ROW = np.concatenate([t[:n] for t, n in zip(TARGETS, SIZES, strict=True)])

CASES: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
    ((TARGETS, TIMES, SIZES), {}),
    ((IN_A_ROW, TIMES, SIZES), {"reduction": "sum"}),
    ((TARGETS % 4, np.array(TIMES), np.array(SIZES)), {"reduction": "none", "blank": 4}),
    ((TARGETS, [9, 4, 5, 1], SIZES), {"reduction": "none", "zero_infinity": True}),  # 3 3 3 takes five steps
    ((TARGETS, [9, 4, 5, 0], [4, 3, 1, 0]), {"zero_infinity": True}),
]


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("arguments", "options"), CASES)
def test_batches(arguments: tuple[Any, ...], options: dict[str, Any], dtype: str, compiled: bool) -> None:
    def run(scores: Any, *given: Any) -> Any:
        return nn.CTCLoss(**options)(scores.log_softmax(2), *given)

    def theirs_of(value: Any) -> Any:
        return torch.tensor(value)

    tolerance = 1e-4 if dtype == "float32" else 1e-9
    a = torch.tensor(SCORES.astype(dtype), requires_grad=True)
    b = lucid.tensor(SCORES.astype(dtype), requires_grad=True)
    expected = torch.nn.CTCLoss(**options)(a.log_softmax(2), *map(theirs_of, arguments))
    given = [lucid.tensor(v) if isinstance(v, np.ndarray) else v for v in arguments]
    found = (lucid.compile(run) if compiled else run)(b, *given)
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=tolerance, atol=tolerance)
    (expected * expected).sum().backward()
    (found * found).sum().backward()
    assert b.grad is not None
    np.testing.assert_allclose(b.grad.numpy(), a.grad.numpy(), rtol=10 * tolerance, atol=10 * tolerance)


@pytest.mark.parametrize("lengths", [SIZES, [0, 4, 4, 0], [8, 0, 0, 0], [0, 0, 0, 8]])
def test_targets_in_a_row_of_lengths_that_a_compiled_call_brings(lengths: list[int]) -> None:
    """They could not be compiled: a row's length was asked for, and is not known until then."""
    run = lucid.compile(lambda scores, *given: F.ctc_loss(scores.log_softmax(2), *given, reduction="none"))
    flat, at = np.array([1, 2, 2, 4, 3, 3, 3, 1]), torch.tensor(SCORES, requires_grad=True)
    mine = lucid.tensor(SCORES, requires_grad=True)
    expected = torch.nn.functional.ctc_loss(
        at.log_softmax(2), torch.tensor(flat), torch.tensor(TIMES), torch.tensor(lengths), reduction="none"
    )
    found = run(mine, *map(lucid.tensor, (flat, TIMES, lengths)))
    np.testing.assert_allclose(found.detach().numpy(), expected.detach().numpy(), rtol=1e-10)
    possible = np.isfinite(found.detach().numpy()).astype(float)
    expected.backward(torch.tensor(possible))
    found.backward(lucid.tensor(possible))
    assert mine.grad is not None
    rows = possible.astype(bool)
    np.testing.assert_allclose(mine.grad.numpy()[:, rows], at.grad.numpy()[:, rows], rtol=1e-8, atol=1e-10)


def test_one_sequence_and_what_does_not_fit() -> None:
    scores = SCORES[:, 0]
    expected = torch.nn.functional.ctc_loss(torch.tensor(scores).log_softmax(1), torch.tensor(TARGETS[0]), (9,), (4,))
    found = F.ctc_loss(lucid.tensor(scores).log_softmax(1), lucid.tensor(TARGETS[0]), [9], [4])
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-10)
    alone = F.ctc_loss(lucid.tensor(scores).log_softmax(1), lucid.tensor(TARGETS[0]), 9, 4, reduction="none")
    assert alone.shape == ()
    assert F.ctc_loss(lucid.tensor(scores).log_softmax(1), lucid.tensor(TARGETS[0]), [3], [4]).item() == np.inf
    certain = np.log(np.array([[0, 1.0, 0], [1, 0, 0], [0, 0, 1.0]]) + 0.0, where=np.eye(3, dtype=bool)[[1, 0, 2]],
                     out=np.full((3, 3), -np.inf))  # fmt: skip
    assert F.ctc_loss(lucid.tensor(certain), lucid.tensor([1, 2]), [3], [2]).item() == 0.0


def test_second_derivatives_agree_with_differences() -> None:
    x = lucid.tensor(SCORES[:4, :1], requires_grad=True)
    direction = lucid.tensor(RNG.standard_normal(x.shape))

    def slope(at: lucid.Tensor) -> lucid.Tensor:
        loss = F.ctc_loss(at.log_softmax(2), lucid.tensor([[1, 2]]), [4], [2])
        return (lucid.grad(loss, at, create_graph=True)[0] * direction).sum()

    curvature = (lucid.grad(slope(x), x)[0] * direction).sum().item()
    ends = [slope(lucid.tensor(x.numpy() + e * direction.numpy(), requires_grad=True)).item() for e in (1e-5, -1e-5)]
    np.testing.assert_allclose(curvature, (ends[0] - ends[1]) / 2e-5, rtol=1e-5)


def loss(**changed: Any) -> Any:
    given = {"log_probs": lucid.tensor(SCORES), "targets": lucid.tensor(TARGETS), "input_lengths": TIMES}
    return F.ctc_loss(**{**given, "target_lengths": SIZES, **changed})


@pytest.mark.parametrize(
    ("wrong", "error", "words"),
    [
        ({"log_probs": lucid.ones(3)}, ShapeError, r"\(T, N, C\)"),
        ({"targets": lucid.ones(4, 4)}, DTypeError, "integers"),
        ({"targets": lucid.tensor(TARGETS[:3])}, ShapeError, "or in a row"),
        ({"targets": lucid.tensor([1, 2, 3])}, ShapeError, "add up to 8"),
        ({"input_lengths": [9, 9, 9]}, ShapeError, "4 sequences"),
        ({"input_lengths": [9, 9, 10, 9]}, ArgumentError, r"0 \.\. 9"),
        ({"target_lengths": [9, 1, 1, 1]}, ArgumentError, r"0 \.\. 4"),
        ({"blank": 5}, ArgumentError, r"0 \.\. 4"),
        ({"reduction": "max"}, ArgumentError, "reduction"),
    ],
)
def test_wrong_uses(wrong: dict[str, Any], error: type[LucidError], words: str) -> None:
    with pytest.raises(error, match=words):
        loss(**wrong)
