"""Padding: what stands around a tensor, by any of four rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lucid.errors import ArgumentError, ShapeError
from lucid.functions import movement
from lucid.functions.arguments import fail, int_of, is_several, number_of
from lucid.functions.indexing import take
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["pad"]

PadMode = Literal["constant", "reflect", "replicate", "circular"]


def pad(input: Any, pad: Any, mode: PadMode = "constant", value: float | None = None) -> Tensor:
    """The tensor with elements around it.

    Args:
        pad: two numbers for the last dimension (before, after), two for the one before it, and so on; a negative one
            cuts off.
        mode: 'constant' is ``value``; 'reflect' mirrors at the outermost elements, 'replicate' repeats them, and
            'circular' goes on at the other end.
        value: 0 unless given; for 'constant' alone.

    Raises:
        ShapeError: too many numbers, or a dimension too small to reflect or to go round so far.
        ArgumentError, ArgumentTypeError: an odd number of numbers, or another ``mode``.

    >>> import lucid
    >>> from lucid.nn import functional as F
    >>> F.pad(lucid.tensor([1.0, 2.0, 3.0]), (2, 1), mode="reflect")
    Tensor([3.0, 2.0, 1.0, 2.0, 3.0, 2.0])
    """
    op = "pad"
    x = as_tensor(input, op, "input")
    sides = [int_of(op, "pad", n) for n in (pad if is_several(pad) else (pad,))]
    if len(sides) % 2:
        fail(ArgumentError(f"pad={pad!r} must hold two numbers for each dimension, the last one first", op=op))
    if len(sides) > 2 * x.ndim:
        fail(ShapeError(f"pad={pad!r} is for {len(sides) // 2} dimensions, but input has shape {x.shape}", op=op))
    if mode not in ("constant", "reflect", "replicate", "circular"):
        known = "'constant', 'reflect', 'replicate' or 'circular'"
        fail(ArgumentError(f"mode={mode!r} must be {known}", op=op))
    pairs = [(0, 0)] * (x.ndim - len(sides) // 2)
    pairs += [(sides[k], sides[k + 1]) for k in reversed(range(0, len(sides), 2))]
    if mode == "constant":
        return _constant(x, pairs, 0 if value is None else number_of(op, "value", value), pad)
    if value is not None:
        fail(ArgumentError(f"value={value!r} is for mode='constant' alone, not for {mode!r}", op=op))
    if mode == "circular" and min(map(min, pairs)) < 0:  # what is cut off is not gone round to
        x = _constant(x, [(min(0, low), min(0, high)) for low, high in pairs], 0, pad)
        pairs = [(max(0, low), max(0, high)) for low, high in pairs]
    for axis, (low, high) in enumerate(pairs):
        if low or high:
            x = take(x, _positions(x.shape, axis, low, high, mode), axis)
    return x


def _constant(x: Tensor, pairs: list[tuple[int, int]], value: float, given: Any) -> Tensor:
    cut = tuple(slice(max(0, -low), n - max(0, -high)) for n, (low, high) in zip(x.shape, pairs, strict=True))
    if any(s.start > s.stop for s in cut):
        fail(ShapeError(f"pad={given!r} cuts off more than input of shape {x.shape} has", op="pad"))
    if any(min(p) < 0 for p in pairs):
        x = x[cut]
    grown = [(max(0, low), max(0, high)) for low, high in pairs]
    return movement.pad(x, grown, value) if any(map(any, grown)) else x


def _positions(shape: tuple[int, ...], axis: int, low: int, high: int, mode: str) -> np.ndarray[Any, Any]:
    """Which element each place along an axis shows."""
    n = shape[axis]
    most = {"reflect": n - 1, "circular": n, "replicate": n and max(low, high)}[mode]
    if n + low + high < 0 or max(low, high) > most:
        rule = {"reflect": "less than its size", "circular": "at most its size"}.get(mode, "of a dimension not empty")
        message = f"padding {(low, high)} of dimension {axis} of shape {shape} must be {rule}, and leave something"
        fail(ShapeError(message, op="pad"))
    at = np.arange(-low, n + high)
    if mode == "circular":
        return at % n
    return np.clip(at, 0, n - 1) if mode == "replicate" else np.abs((at + n - 1) % (2 * n - 2 or 1) - (n - 1))
