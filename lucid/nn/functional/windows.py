"""Windows along one dimension, as tensors: what all of them see at a tap, and how it is put back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lucid.functions.creation import zeros
from lucid.functions.movement import concat, pad

if TYPE_CHECKING:
    from lucid.tensor import Tensor


def seen(x: Tensor, axis: int, first: int, step: int, count: int) -> Tensor:
    """Elements ``first``, ``first + step``, ... along an axis, ``count`` of them."""
    stop = first + step * (count - 1) + 1 if count else first
    return x[(slice(None),) * axis + (slice(first, stop, step),)]


def placed(x: Tensor, axis: int, first: int, step: int, size: int) -> Tensor:
    """``size`` zeros along an axis with the elements of ``x`` at ``first``, ``first + step``, ...: the adjoint of
    ``seen``.
    """
    count = x.shape[axis]
    if step > 1 and count:
        before, after = x.shape[:axis], x.shape[axis + 1 :]
        between = zeros((*before, count, step - 1, *after), dtype=x.dtype)
        x = concat([x.unsqueeze(axis + 1), between], axis + 1).reshape((*before, count * step, *after))
        x = seen(x, axis, 0, 1, (count - 1) * step + 1)
    ends = [(0, 0)] * x.ndim
    ends[axis] = (first, size - first - x.shape[axis])
    return pad(x, ends)


def cut(x: Tensor, axis: int, first: int, size: int) -> Tensor:
    """``size`` elements from ``first`` on; zeros after the last."""
    lacking = max(0, first + size - x.shape[axis])
    if lacking:
        ends = [(0, 0)] * x.ndim
        ends[axis] = (0, lacking)
        x = pad(x, ends)
    return seen(x, axis, first, 1, size)
