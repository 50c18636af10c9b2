"""Losses as modules."""

from __future__ import annotations

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail, int_of
from lucid.nn import functional as F
from lucid.nn.arguments import number
from lucid.nn.module import Module
from lucid.tensor import Tensor


class _Loss(Module):
    def __init__(self, reduction: F.Reduction = "mean"):
        super().__init__()
        if reduction not in ("mean", "sum", "none"):
            fail(ArgumentError(f"reduction={reduction!r} must be 'mean', 'sum' or 'none'", op=type(self).__name__))
        self.reduction = reduction

    def extra_repr(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class MSELoss(_Loss):
    """The squared difference of two tensors of one shape, averaged, summed, or element by element.

    Raises:
        ArgumentError: an unknown ``reduction``.
        ShapeError: when called, with two shapes.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MSELoss()(lucid.tensor([1.0, 2.0]), lucid.tensor([1.0, 4.0]))
    Tensor(2.0)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, self.reduction)


class CrossEntropyLoss(_Loss):
    """The negative log-likelihood of ``target`` under ``softmax(input)``.

    Args:
        ignore_index: targets of this value count nothing.
        reduction: 'mean' (over targets that are not ignored), 'sum' or 'none'.
        label_smoothing: this much probability is spread evenly over all classes.

    Called with scores ``(N, C)``, ``(C,)`` or ``(N, C, ...)`` and with integer classes of that shape without C, or
    probabilities of that shape.

    Raises:
        ArgumentError: an unknown ``reduction``, or ``label_smoothing`` outside 0 .. 1.
        ShapeError, DTypeError, IndexRangeError: when called, with scores and targets that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.CrossEntropyLoss()(lucid.zeros(2, 4), lucid.tensor([0, 3]))
    Tensor(1.3862944)
    """

    def __init__(self, reduction: F.Reduction = "mean", ignore_index: int = -100, label_smoothing: float = 0.0):
        super().__init__(reduction)
        self.ignore_index = int_of("CrossEntropyLoss", "ignore_index", ignore_index)
        self.label_smoothing = number("CrossEntropyLoss", "label_smoothing", label_smoothing, 0, 1)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(input, target, self.reduction, self.ignore_index, self.label_smoothing)
