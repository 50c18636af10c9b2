"""How good predictions are: of one batch as functions, over many as objects that add up."""

from __future__ import annotations

from typing import Any

import numpy as np

from lucid.eager import leaf
from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.ir.graph import Array
from lucid.promotion import as_tensor
from lucid.tensor import Tensor


def _classes(op: str, scores: Any, target: Any) -> tuple[Array, Array]:
    """Scores ``(N, classes)`` and targets ``(N,)``."""
    x, y = (np.asarray(as_tensor(v, op, n).detach()) for v, n in ((scores, "scores"), (target, "target")))
    if x.ndim != 2 or y.shape != x.shape[:1]:
        rule = "scores must be (N, classes) and target (N,)"
        fail(ShapeError(f"scores has shape {x.shape} and target {y.shape}, but {rule}", op=op))
    if y.dtype.kind not in "iu":
        fail(DTypeError(f"target has dtype {y.dtype.name}, but it must hold the classes' numbers", op=op))
    return x, y


def _hits(op: str, scores: Any, target: Any, topk: int) -> tuple[int, int]:
    """How many targets are among the ``topk`` highest scores, and how many there are."""
    x, y = _classes(op, scores, target)
    k = int_of(op, "topk", topk)
    if not 1 <= k <= x.shape[1]:
        fail(ArgumentError(f"topk={topk} must lie in 1 .. {x.shape[1]}, the number of classes", op=op))
    if len(y) and not (y.min() >= 0 and y.max() < x.shape[1]):
        fail(ArgumentError(f"target holds classes {y.min()} .. {y.max()}, but there are {x.shape[1]}", op=op))
    own = x[np.arange(len(y)), y][:, None]
    # Of equal scores, the class with the smaller number is the higher one, as for argmax.
    higher = (x > own) | ((x == own) & (np.arange(x.shape[1]) < y[:, None]))
    return int(((higher.sum(1) < k) & ~np.isnan(own[:, 0])).sum()), len(y)


def accuracy(scores: Any, target: Any, topk: int = 1) -> float:
    """The part of a batch whose class is among the ``topk`` highest scores; NaN for an empty one.

    Args:
        scores: ``(N, classes)``.
        target: ``(N,)``, the classes' numbers.

    Raises:
        ShapeError, DTypeError: other shapes, or no integers.
        ArgumentError: ``topk`` below 1 or above the number of classes, or a class that is not there.

    >>> import lucid
    >>> accuracy(lucid.tensor([[0.1, 0.9], [0.8, 0.2]]), lucid.tensor([1, 1]))
    0.5
    """
    right, count = _hits("accuracy", scores, target, topk)
    return right / count if count else float("nan")


def confusion_matrix(predicted: Any, target: Any, num_classes: int) -> Tensor:
    """How often a class (row) was taken for which (column): ``(num_classes, num_classes)``, int64.

    Args:
        predicted, target: ``(N,)``, classes' numbers.

    Raises:
        ShapeError, DTypeError: other shapes, or no integers.
        ArgumentError: a class that is not there.

    >>> import lucid
    >>> confusion_matrix(lucid.tensor([0, 1, 1]), lucid.tensor([0, 0, 1]), 2).tolist()
    [[1, 1], [0, 1]]
    """
    op, n = "confusion_matrix", int_of("confusion_matrix", "num_classes", num_classes)
    named = (("predicted", predicted), ("target", target))
    p, t = (np.asarray(as_tensor(value, op, name)) for name, value in named)
    if p.ndim != 1 or p.shape != t.shape:
        fail(ShapeError(f"predicted has shape {p.shape} and target {t.shape}, but both must be (N,)", op=op))
    for name, array in (("predicted", p), ("target", t)):
        if array.dtype.kind not in "iu":
            fail(DTypeError(f"{name} has dtype {array.dtype.name}, but it must hold the classes' numbers", op=op))
        if array.size and not (array.min() >= 0 and array.max() < n):
            found = f"{array.min()} .. {array.max()}"
            fail(ArgumentError(f"{name} holds classes {found}, but num_classes={num_classes}", op=op))
    counts = np.bincount(t.astype(np.int64) * n + p, minlength=n * n)
    return leaf(counts.reshape(n, n).astype(np.int64))


class Mean:
    """The mean of numbers that come bit by bit.

    >>> loss = Mean()
    >>> loss.update(1.0, weight=3)
    >>> loss.update(5.0)
    >>> loss.compute()
    2.0
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self.total, self.weight = 0.0, 0.0

    def update(self, value: Any, weight: float = 1) -> None:
        """Add a number, or a tensor of one, that counts ``weight`` times.

        Raises:
            ArgumentError, ArgumentTypeError: no number, or a negative weight.
        """
        number = value.item() if isinstance(value, Tensor) else number_of("Mean", "value", value)
        self.total += number * number_of("Mean", "weight", weight, 0)
        self.weight += weight

    def compute(self) -> float:
        """The mean so far; NaN of nothing."""
        return self.total / self.weight if self.weight else float("nan")


class Accuracy:
    """The part of all samples whose class is among the ``topk`` highest scores.

    >>> import lucid
    >>> right = Accuracy()
    >>> right.update(lucid.tensor([[0.1, 0.9], [0.8, 0.2]]), lucid.tensor([1, 1]))
    >>> right.compute()
    0.5
    """

    def __init__(self, topk: int = 1):
        self.topk = topk
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self.right, self.count = 0, 0

    def update(self, scores: Any, target: Any) -> None:
        """Add a batch; arguments and errors as ``accuracy``."""
        right, count = _hits("Accuracy", scores, target, self.topk)
        self.right += right
        self.count += count

    def compute(self) -> float:
        """The part so far; NaN of nothing."""
        return self.right / self.count if self.count else float("nan")


class ConfusionMatrix:
    """How often a class was taken for which, over many batches.

    >>> import lucid
    >>> counts = ConfusionMatrix(2)
    >>> counts.update(lucid.tensor([0, 1]), lucid.tensor([0, 0]))
    >>> counts.compute().tolist()
    [[1, 1], [0, 0]]
    """

    def __init__(self, num_classes: int):
        self.num_classes = int_of("ConfusionMatrix", "num_classes", num_classes)
        self.reset()

    def reset(self) -> None:
        """Begin again."""
        self.counts = np.zeros((self.num_classes, self.num_classes), np.int64)

    def update(self, predicted: Any, target: Any) -> None:
        """Add a batch; arguments and errors as ``confusion_matrix``."""
        self.counts += np.asarray(confusion_matrix(predicted, target, self.num_classes))

    def compute(self) -> Tensor:
        """The counts so far."""
        return leaf(self.counts.copy())
