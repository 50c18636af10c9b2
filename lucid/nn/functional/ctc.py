"""Connectionist temporal classification: Graves et al. 2006. A sum over all alignments, in logarithms."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from lucid.eager import Recorded, mode
from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, int_of
from lucid.functions.arithmetic import clamp_min
from lucid.functions.comparison import where
from lucid.functions.creation import arange, full, tensor
from lucid.functions.gathering import gather
from lucid.functions.indexing import take
from lucid.functions.movement import broadcast_to, concat, reshape, stack
from lucid.functions.reductions import logsumexp
from lucid.functions.scans import cumsum
from lucid.ir.types import int64
from lucid.nn.functional.loss import Reduction, reduced
from lucid.promotion import as_tensor, cast, floating, rounded_once

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["ctc_loss"]

#: Stands for the logarithm of 0: sums of it stay finite, and so do gradients. Nothing that is possible comes near.
_NEVER = -1e30


@rounded_once
def ctc_loss(
    log_probs: Any,
    targets: Any,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: Reduction = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """The negative log-likelihood of target sequences, summed over all ways to spread them over the steps of the input.

    Args:
        log_probs: logarithms of probabilities ``(T, N, C)``, or ``(T, C)`` of one sequence, as from ``log_softmax``.
        targets: classes ``(N, S)``, padded, or all in a row, ``(sum of target_lengths,)``.
        input_lengths: N ints up to T, or one.
        target_lengths: N ints up to S, or one.
        blank: the class that stands for none.
        reduction: 'mean' (over the batch, of losses divided by their targets' lengths), 'sum' or 'none'.
        zero_infinity: give 0 instead of infinity where a target does not fit into its input.

    The gradient is that of the loss as a function of ``log_probs``. PyTorch's has ``exp(log_probs)`` added, which makes
    no difference to what is before ``log_softmax``.

    Raises:
        ShapeError, DTypeError: arguments that do not fit.
        ArgumentError: lengths out of range, ``blank`` that is no class, or an unknown ``reduction``.

    >>> import lucid
    >>> even = lucid.zeros(2, 1, 2).log_softmax(2)
    >>> round(ctc_loss(even, lucid.tensor([[1]]), [2], [1]).item(), 4)
    0.2877
    """
    op = "ctc_loss"
    x = floating(as_tensor(log_probs, op, "log_probs"))
    if x.ndim not in (2, 3) or x.shape[0] == 0:
        fail(ShapeError(f"log_probs has shape {x.shape}, but it must be (T, N, C) or (T, C), T at least 1", op=op))
    alone = x.ndim == 2
    x = x.unsqueeze(1) if alone else x
    steps, batch, classes = x.shape
    blank = int_of(op, "blank", blank)
    if not 0 <= blank < classes:
        fail(ArgumentError(f"blank={blank} must be one of the classes 0 .. {classes - 1}", op=op))
    times, sizes = (
        _lengths(op, name, given, batch)
        for name, given in (("input_lengths", input_lengths), ("target_lengths", target_lengths))
    )
    wanted = _targets(op, as_tensor(targets, op, "targets"), target_lengths, batch, alone)
    if mode.trace is None:
        _require_lengths(op, times, steps, "input_lengths")
        _require_lengths(op, sizes, wanted.shape[1], "target_lengths")
    losses = _losses(x, wanted, times, sizes, blank)
    impossible = losses > -_NEVER / 10
    if zero_infinity:
        losses = where(impossible, 0.0, losses)
    else:
        losses = losses * where(impossible, full((), float("inf"), dtype=x.dtype), 1.0)
    if reduction == "mean":
        return (losses / clamp_min(sizes, 1).astype(x.dtype)).mean()
    return reduced(op, losses.squeeze(0) if alone else losses, reduction)


def _losses(x: Tensor, targets: Tensor, times: Tensor, sizes: Tensor, blank: int) -> Tensor:
    """``(N,)``: over the targets with blanks before, between and after them."""
    steps, batch, _ = x.shape
    width = 2 * targets.shape[1] + 1
    place, last = arange(width), 2 * sizes.unsqueeze(1)
    blanks = full(targets.shape, blank, dtype=int64)
    labels = reshape(stack([blanks, targets], -1), (batch, width - 1))
    labels = concat([labels, full((batch, 1), blank, dtype=int64)], 1)
    labels = where(place <= last, labels, blank)
    # A class may follow another without a blank between them.
    jumps = (labels != _shifted(labels, 2, blank)) & (labels != blank) & (place >= 2)
    emitted = clamp_min(gather(x, 2, broadcast_to(labels, (steps, batch, width))), _NEVER)
    reached = where(place < 2, emitted[0], _NEVER)
    for t in range(1, steps):
        ways = [reached, _shifted(reached, 1, _NEVER), where(jumps, _shifted(reached, 2, _NEVER), _NEVER)]
        after = logsumexp(stack(ways), 0) + emitted[t]
        reached = where(t < times.unsqueeze(1), after, reached)
    losses = -logsumexp(where((place <= last) & (place >= last - 1), reached, _NEVER), 1)
    return where(times > 0, losses, where(sizes > 0, -_NEVER, 0.0).astype(x.dtype))


def _shifted(x: Tensor, by: int, value: float) -> Tensor:
    """``(N, n)``, each row moved ``by`` places to the right."""
    before = full((x.shape[0], by), value, dtype=x.dtype)
    return concat([before, x], 1)[:, : x.shape[1]]


def _lengths(op: str, name: str, given: Any, batch: int) -> Tensor:
    lengths = as_tensor(given, op, name)
    if lengths.dtype.kind not in "iu" and lengths.size:
        fail(DTypeError(f"{name} have dtype {lengths.dtype.name}, but they must be integers", op=op))
    if lengths.size != batch or lengths.ndim > 1:
        fail(ShapeError(f"{name} have shape {lengths.shape}, but there are {batch} sequences", op=op))
    return reshape(cast(lengths, int64), (batch,))


def _targets(op: str, targets: Tensor, sizes: Any, batch: int, alone: bool) -> Tensor:
    """``(N, S)``."""
    if targets.dtype.kind not in "iu" and targets.size:
        fail(DTypeError(f"targets have dtype {targets.dtype.name}, but classes must be integers", op=op))
    targets = cast(targets, int64)
    if alone and targets.ndim == 1:
        return targets.unsqueeze(0)
    if targets.ndim == 2 and targets.shape[0] == batch:
        return targets
    if targets.ndim != 1:
        fail(ShapeError(f"targets have shape {targets.shape}, but they must be ({batch}, S), or in a row", op=op))
    if mode.trace is not None and isinstance(sizes, Recorded):
        return _rows(targets, _lengths(op, "target_lengths", sizes, batch))
    counts = sizes._value("target_lengths") if isinstance(sizes, Recorded) else np.reshape(sizes, -1)
    if counts.min(initial=0) < 0 or counts.sum() != targets.shape[0]:
        fail(ShapeError(f"target_lengths add up to {counts.sum()}, but there are {targets.shape[0]} targets", op=op))
    if not targets.size:
        return targets.reshape(batch, 0)
    place = np.arange(counts.max(initial=0))
    at = np.where(place < counts[:, None], (np.cumsum(counts) - counts)[:, None] + place, 0)
    return take(targets, tensor(at), 0)


def _rows(targets: Tensor, sizes: Tensor) -> Tensor:
    """``(N, n)`` from n targets in a row, for lengths that are not known yet: one may be as long as all together."""
    if not targets.size:
        return targets.reshape(sizes.shape[0], 0)
    place, before = arange(targets.shape[0]), (cumsum(sizes, 0) - sizes).unsqueeze(1)
    return take(targets, where(place < sizes.unsqueeze(1), before + place, 0), 0)


def _require_lengths(op: str, lengths: Tensor, most: int, name: str) -> None:
    values = lengths._data
    if values.size and (values.min() < 0 or values.max() > most):
        fail(ArgumentError(f"{name} lie in {values.min()} .. {values.max()}, but they must in 0 .. {most}", op=op))
