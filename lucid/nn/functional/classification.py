"""Losses of classes: likelihoods and margins."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.eager import mode
from lucid.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.functions.arithmetic import clamp_min
from lucid.functions.comparison import where
from lucid.functions.indexing import one_hot
from lucid.functions.reductions import log_softmax
from lucid.functions.scans import cumsum
from lucid.ir.types import bool_, int64, is_float
from lucid.nn.functional.loss import Reduction, reduced
from lucid.promotion import as_tensor, floating, rounded_once

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["cross_entropy", "multi_margin_loss", "multilabel_margin_loss", "nll_loss"]


@rounded_once
def cross_entropy(
    input: Any,
    target: Any,
    weight: Any = None,
    *,
    reduction: Reduction = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log-likelihood of ``target`` under ``softmax(input)``.

    Args:
        input: scores ``(N, C)``, ``(C,)`` or ``(N, C, ...)``, floating.
        target: classes, integers of ``input``'s shape without ``C``; or probabilities of ``input``'s own shape.
        weight: of each class, ``(C,)``.
        reduction: 'mean' (of classes: weighted, over targets that are not ignored), 'sum' or 'none'.
        ignore_index: targets of this value count nothing.
        label_smoothing: this much probability is spread evenly over all classes.

    Raises:
        ShapeError, DTypeError: scores and targets, or weights, do not fit.
        IndexRangeError: a target is not a class (a compiled function gives NaN there instead).
        ArgumentError, ArgumentTypeError: an unknown ``reduction``, ``label_smoothing`` outside 0 .. 1, or an
            ``ignore_index`` that is not an int, or given with probabilities.

    >>> import lucid
    >>> cross_entropy(lucid.zeros(2, 4), lucid.tensor([0, 3]))
    Tensor(1.3862944)
    """
    op = "cross_entropy"
    input, target = as_tensor(input, op, "input"), as_tensor(target, op, "target")
    if input.ndim == 0:
        fail(ShapeError("input has shape (), but it needs a class axis", op=op))
    label_smoothing = float(number_of(op, "label_smoothing", label_smoothing, 0, 1))
    axis = 0 if input.ndim == 1 else 1
    log_probabilities = log_softmax(floating(input), axis)
    weights = _class_weights(op, weight, log_probabilities, axis)
    if is_float(target.dtype):
        if target.shape != input.shape:
            fail(
                ShapeError(
                    f"target has shape {target.shape} and a floating dtype: as probabilities it needs "
                    f"input's shape {input.shape}",
                    op=op,
                    hint="classes are integers: target.astype(lucid.int64)",
                )
            )
        if int_of(op, "ignore_index", ignore_index) >= 0:
            fail(ArgumentError(f"ignore_index={ignore_index} is for classes, but target holds probabilities", op=op))
        smooth = target * (1.0 - label_smoothing) + label_smoothing / max(input.shape[axis], 1)
        weighed = log_probabilities if weights is None else log_probabilities * weights
        losses = -(weighed * (smooth if label_smoothing else target)).sum(axis)
        return losses.sum() / max(losses.size, 1) if reduction == "mean" else reduced(op, losses, reduction)
    return _from_classes(op, log_probabilities, target, axis, weights, reduction, ignore_index, label_smoothing)


@rounded_once
def nll_loss(
    input: Any, target: Any, weight: Any = None, *, reduction: Reduction = "mean", ignore_index: int = -100
) -> Tensor:
    """As ``cross_entropy``, of log-probabilities ``(N, C)``, ``(C,)`` or ``(N, C, ...)`` and of classes.

    Raises:
        ShapeError, DTypeError, IndexRangeError, ArgumentError: as ``cross_entropy``.

    >>> import lucid
    >>> nll_loss(lucid.tensor([[-1.0, -2.0], [-3.0, -4.0]]), lucid.tensor([1, 0]))
    Tensor(2.5)
    """
    op = "nll_loss"
    input, target = floating(as_tensor(input, op, "input")), as_tensor(target, op, "target")
    if input.ndim == 0:
        fail(ShapeError("input has shape (), but it needs a class axis", op=op))
    axis = 0 if input.ndim == 1 else 1
    weights = _class_weights(op, weight, input, axis)
    return _from_classes(op, input, target, axis, weights, reduction, ignore_index, 0.0)


@rounded_once
def multi_margin_loss(
    input: Any, target: Any, p: int = 1, margin: float = 1.0, weight: Any = None, reduction: Reduction = "mean"
) -> Tensor:
    """How much less than ``margin`` the target's score exceeds each other's, to the power ``p``, averaged over classes.

    Args:
        input: scores ``(N, C)`` or ``(C,)``; one number is one class.
        target: classes ``(N,)`` or ``()``.
        p: 1 or 2.
        weight: of each class, ``(C,)``.

    Raises:
        ShapeError, DTypeError, IndexRangeError: scores and targets, or weights, do not fit.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``, another ``p``, or a ``margin`` that is no number.

    >>> import lucid
    >>> multi_margin_loss(lucid.tensor([[0.0, 1.0]]), lucid.tensor([0]))
    Tensor(1.0)
    """
    op = "multi_margin_loss"
    x, target = floating(as_tensor(input, op, "input")), as_tensor(target, op, "target")
    if p not in (1, 2):
        fail(ArgumentError(f"p={p!r} must be 1 or 2", op=op))
    x = x.reshape(1) if x.ndim == 0 else x
    if x.ndim > 2:
        fail(ShapeError(f"input has shape {x.shape}, but it must be (N, C) or (C,)", op=op))
    target = target.reshape(()) if x.ndim == 1 and target.size == 1 else target
    hot = _hot(op, target, x, x.ndim - 1, None)
    weights = _class_weights(op, weight, x, x.ndim - 1)
    score = where(hot, x, 0.0).sum(-1, keepdim=True)
    missing = clamp_min(x - score + float(number_of(op, "margin", margin)), 0.0)
    missing = missing * missing if p == 2 else missing
    if weights is not None:
        missing = missing * where(hot, weights, 0.0).sum(-1, keepdim=True)
    return reduced(op, where(hot, 0.0, missing).sum(-1) / max(x.shape[-1], 1), reduction)


@rounded_once
def multilabel_margin_loss(input: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """How much less than 1 the score of each target exceeds that of each class that is none, averaged over classes.

    Args:
        input: scores ``(N, C)`` or ``(C,)``; one number is one class.
        target: of the same shape: the classes that are targets, then a -1; what follows does not count.

    Raises:
        ShapeError, DTypeError, IndexRangeError: scores and targets do not fit.
        ArgumentError: an unknown ``reduction``.

    >>> import lucid
    >>> multilabel_margin_loss(lucid.tensor([0.1, 0.2, 0.4, 0.8]), lucid.tensor([3, 0, -1, 1]))
    Tensor(0.85)
    """
    op = "multilabel_margin_loss"
    x, target = floating(as_tensor(input, op, "input")), as_tensor(target, op, "target")
    if x.ndim > 2 or target.shape != x.shape:
        fail(ShapeError(f"input {x.shape} and target {target.shape} must both be (N, C) or (C,)", op=op))
    if target.dtype.kind not in "iu":
        fail(DTypeError(f"target has dtype {target.dtype.name}, but classes must be integers", op=op))
    if x.ndim == 0:
        x, target = x.reshape(1), target.reshape(1)
    classes = x.shape[-1]
    counts = cumsum((target < 0).astype(int64), -1) == 0  # before the first -1
    if mode.trace is None:
        _require_classes(op, where(counts, target, 0), classes, 0)
    hot = one_hot(where(counts, target, 0), classes, bool_) & counts.unsqueeze(-1)  # (..., target, class)
    wanted = hot.any(-2)
    scores = where(hot, x.unsqueeze(-2), 0.0).sum(-1)
    missing = clamp_min(1.0 - scores.unsqueeze(-1) + x.unsqueeze(-2), 0.0)
    missing = where(counts.unsqueeze(-1) & ~wanted.unsqueeze(-2), missing, 0.0)
    return reduced(op, missing.sum((-2, -1)) / max(classes, 1), reduction)


def _class_weights(op: str, weight: Any, input: Tensor, axis: int) -> Tensor | None:
    """The weights of classes, shaped to be multiplied with ``input``."""
    if weight is None:
        return None
    weights, classes = as_tensor(weight, op, "weight"), input.shape[axis]
    if weights.shape != (classes,):
        fail(ShapeError(f"weight has shape {weights.shape}, but it must be ({classes},), one per class", op=op))
    return weights.reshape((-1, *(1,) * (input.ndim - axis - 1)))


def _hot(op: str, target: Tensor, input: Tensor, axis: int, ignore_index: int | None) -> Tensor:
    """Where the class is the target's, in the shape of ``input``."""
    shape = input.shape
    classes, wanted = shape[axis], shape[:axis] + shape[axis + 1 :]
    if target.dtype.kind not in "iu":
        fail(DTypeError(f"target has dtype {target.dtype.name}, but classes must be integers", op=op))
    if target.shape != wanted:
        fail(ShapeError(f"target has shape {target.shape}, but input {shape} needs {wanted}: one class each", op=op))
    if mode.trace is None:
        _require_classes(op, target, classes, ignore_index)
    hot = one_hot(target, classes, bool_)
    return hot if axis == hot.ndim - 1 else hot.moveaxis(-1, axis)


def _from_classes(
    op: str,
    log_probabilities: Tensor,
    target: Tensor,
    axis: int,
    weights: Tensor | None,
    reduction: str,
    ignore_index: int,
    smoothing: float,
) -> Tensor:
    ignore_index = int_of(op, "ignore_index", ignore_index)
    classes = log_probabilities.shape[axis]
    hot = _hot(op, target, log_probabilities, axis, ignore_index)
    ignored = target == ignore_index if np.can_cast(np.min_scalar_type(ignore_index), target.dtype) else None
    weighed = log_probabilities if weights is None else log_probabilities * weights
    # Chosen, not multiplied: the log-probability of a class that is not the target may be -inf.
    losses = -where(hot, weighed, 0.0).sum(axis)
    if smoothing:
        losses = losses * (1.0 - smoothing) - weighed.sum(axis) * (smoothing / max(classes, 1))
    if mode.trace is not None:  # nobody can look at the values here, but they must not pass in silence
        losses = where((target >= 0) & (target < classes), losses, float("nan"))
    if ignored is not None:
        losses = where(ignored, 0.0, losses)
    if reduction != "mean" or (ignored is None and weights is None):
        return reduced(op, losses, reduction)
    if weights is None:
        assert ignored is not None
        return losses.sum() / (~ignored).astype(losses.dtype).sum()
    counts = where(hot, weights, 0.0).sum(axis)
    return losses.sum() / (counts if ignored is None else where(ignored, 0.0, counts)).sum()


def _require_classes(op: str, target: Tensor, classes: int, ignore_index: int | None) -> None:
    values = target._data
    bad = (values < 0) | (values >= classes)
    if ignore_index is not None:
        bad &= values != ignore_index
    if bad.any():
        hint = None if ignore_index is None else f"targets to leave out are marked by ignore_index={ignore_index}"
        fail(
            IndexRangeError(
                f"target holds {values[bad].flat[0]}, but input has {classes} classes: 0 .. {classes - 1}",
                op=op,
                hint=hint,
            )
        )
