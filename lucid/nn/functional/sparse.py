"""Rows of a table, looked up by number, alone or in bags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from lucid.eager import Recorded
from lucid.eager import mode as tracing
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError, ShapeError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.functions.arithmetic import clamp_min
from lucid.functions.comparison import isfinite, where
from lucid.functions.creation import arange, full, ones, zeros
from lucid.functions.gathering import index_add, scatter_reduce
from lucid.functions.indexing import take
from lucid.functions.movement import broadcast_to
from lucid.functions.norms import vector_norm
from lucid.functions.ordering import searchsorted
from lucid.grad_modes import no_grad
from lucid.ir.types import bool_, int64, is_float
from lucid.promotion import as_tensor, cast, rounded_once

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["embedding", "embedding_bag"]

BagMode = Literal["mean", "sum", "max"]


def embedding(
    input: Any,
    weight: Any,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
) -> Tensor:
    """The rows of ``weight`` that ``input`` names.

    Args:
        input: integers of any shape.
        weight: ``(rows, features)``.
        padding_idx: a row that gets no gradient.
        max_norm: the rows that are named are first scaled down to this norm in ``weight`` itself, where they exceed it.
        norm_type: the ``ord`` of that norm.
        scale_grad_by_freq: whether a row's gradient is divided by how often it is named.

    Raises:
        ShapeError, DTypeError: ``weight`` has not two dimensions, or ``input`` holds no integers.
        IndexRangeError: there is no such row.
        ArgumentError, ArgumentTypeError: ``max_norm`` or ``norm_type`` is not a number, or ``max_norm`` is negative;
            ``max_norm`` with a ``weight`` that is not a tensor.

    >>> import lucid
    >>> embedding(lucid.tensor([2, 0]), lucid.tensor([[1.0], [2.0], [3.0]]))
    Tensor([[3.0],
            [1.0]])
    """
    op = "embedding"
    at, table = _arguments(op, input, weight)
    silent = None if padding_idx is None else _row(op, padding_idx, table.shape[0])
    rows = take(table, at, 0)
    if max_norm is not None:
        if not isinstance(weight, Recorded):
            fail(ArgumentTypeError(f"weight must be a tensor, which is changed, not {type(weight).__name__}", op=op))
        limited = _limited(op, table.detach(), at, number_of(op, "max_norm", max_norm, 0), norm_type)
        rows = _with_value(rows, take(limited, at, 0))
        with no_grad():
            table.copy_(limited)
    if scale_grad_by_freq:
        scaled = rows / take(_frequencies(at, table.detach()), at, 0).unsqueeze(-1)
        rows = _with_value(scaled, rows.detach())
    return rows if silent is None else where((at == silent).unsqueeze(-1), rows.detach(), rows)


def _with_value(x: Tensor, value: Tensor) -> Tensor:
    """``value``, which gets the gradient of ``x``; where that is infinite, so must be ``value``, or NaN."""
    still = x.detach()
    # Subtracted, 0.0 leaves the sign of a zero; an infinity minus itself would be NaN, but plus itself it is the same.
    return where(isfinite(still), value - (still - x), value + x)


def _frequencies(at: Tensor, table: Tensor) -> Tensor:
    """How often each row of a table is named."""
    flat = at.reshape(-1)
    return index_add(zeros(table.shape[0], dtype=table.dtype), 0, flat, ones(flat.shape, dtype=table.dtype))


def _limited(op: str, table: Tensor, at: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """The rows that are named, scaled down to a norm, among the others."""
    size = vector_norm(table, number_of(op, "norm_type", norm_type), 1, True)
    over = (size > max_norm) & (_frequencies(at, table) > 0).unsqueeze(1)
    return where(over, table * (max_norm / (size + 1e-7)), table)


def _arguments(op: str, input: Any, weight: Any) -> tuple[Tensor, Tensor]:
    at, table = as_tensor(input, op, "input"), as_tensor(weight, op, "weight")
    if is_float(at.dtype) and at.size == 0:
        at = cast(at, int64)  # an empty list has no dtype of its own
    if at.dtype.kind not in "iu":
        fail(DTypeError(f"input has dtype {at.dtype.name}, but it must hold integers", op=op))
    if table.ndim != 2:
        fail(ShapeError(f"weight has shape {table.shape}, but it must be (rows, features)", op=op))
    return at, table


def _row(op: str, padding_idx: Any, rows: int) -> int:
    row = int_of(op, "padding_idx", padding_idx)
    if not -rows <= row < rows:
        fail(IndexRangeError(f"padding_idx={padding_idx} is out of range for {rows} rows", op=op))
    return row % rows


@rounded_once
def embedding_bag(
    input: Any,
    weight: Any,
    offsets: Any = None,
    *,
    mode: BagMode = "mean",
    per_sample_weights: Any = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Sums, means or maxima of bags of rows of ``weight``; of an empty bag, zeros.

    Args:
        input: integers: bags of one size ``(bags, n)``, or all bags in a row, ``(n,)``.
        weight: ``(rows, features)``.
        offsets: where in a row of bags each begins, ``(bags,)``, from 0 upwards.
        mode: 'mean', 'sum' or 'max'.
        per_sample_weights: of ``input``'s shape: what each row is multiplied with, for sums.
        include_last_offset: whether ``offsets`` ends with the end of the last bag.
        padding_idx: a row that does not count.

    Returns:
        ``(bags, features)``.

    Raises:
        ShapeError, DTypeError: arguments that do not fit.
        IndexRangeError: there is no such row.
        ArgumentError: an unknown ``mode``, weights for another than 'sum', or offsets that do not begin at 0 or that
            exceed the length of ``input``.

    >>> import lucid
    >>> table = lucid.tensor([[1.0], [2.0], [30.0]])
    >>> embedding_bag(lucid.tensor([0, 2, 1]), table, lucid.tensor([0, 2]), mode="sum").tolist()
    [[31.0], [2.0]]
    """
    op = "embedding_bag"
    at, table = _arguments(op, input, weight)
    if mode not in ("mean", "sum", "max"):
        fail(ArgumentError(f"mode={mode!r} must be 'mean', 'sum' or 'max'", op=op))
    counts = None if padding_idx is None else at != _row(op, padding_idx, table.shape[0])
    rows = take(table, at, 0)
    if per_sample_weights is not None:
        if mode != "sum":
            fail(ArgumentError(f"per_sample_weights are for mode='sum', not {mode!r}", op=op))
        scales = as_tensor(per_sample_weights, op, "per_sample_weights")
        if scales.shape != at.shape:
            fail(ShapeError(f"per_sample_weights have shape {scales.shape}, but input has {at.shape}", op=op))
        rows = rows * cast(scales, table.dtype).unsqueeze(-1)
    if at.ndim == 2:
        if offsets is not None:
            fail(ArgumentError("offsets are for bags in a row: input has 2 dimensions", op=op))
        if counts is None:
            counts = full(at.shape, True, dtype=bool_)
        return _reduced(rows, counts, mode)
    if at.ndim != 1 or offsets is None:
        fail(ShapeError(f"input has shape {at.shape}, but it must be (bags, n), or (n,) with offsets", op=op))
    starts = _offsets(op, offsets, at.shape[0])
    bags = max(starts.shape[0] - bool(include_last_offset), 0)
    # Each element's bag is the last that begins at or before it: an empty bag begins where the next one does.
    bag = searchsorted(starts, arange(at.shape[0]), right=True) - 1
    return _in_bags(rows, bag if counts is None else where(counts, bag, bags), bags, mode)


def _offsets(op: str, offsets: Any, length: int) -> Tensor:
    starts = as_tensor(offsets, op, "offsets")
    if starts.ndim != 1 or (starts.dtype.kind not in "iu" and starts.size):
        fail(ShapeError(f"offsets are {starts.type}, but they must be integers (bags,)", op=op))
    starts = cast(starts, int64)
    if tracing.trace is None and starts.size:
        values = starts._data
        if values[0] != 0 or values.max() > length:
            message = f"offsets are {values[0]} .. {values.max()}: they must begin at 0, and not exceed {length}"
            fail(ArgumentError(message, op=op))
    return starts


def _reduced(rows: Tensor, counts: Tensor, mode: str) -> Tensor:
    """``(bags, n, features)`` over ``n``: of the rows that count."""
    kept = counts.unsqueeze(-1)
    if mode == "max" and rows.shape[1]:
        highest = where(kept, rows, float("-inf")).max(1).values
        return where(counts.any(1).unsqueeze(-1), highest, 0.0)
    total = where(kept, rows, 0.0).sum(1)
    return total / clamp_min(counts.sum(1), 1).astype(rows.dtype).unsqueeze(-1) if mode == "mean" else total


def _in_bags(rows: Tensor, bag: Tensor, bags: int, mode: str) -> Tensor:
    """``(n, features)`` to the bags that they are in; bag number ``bags``, and what lies beyond, is left out."""
    bag = where((bag < 0) | (bag > bags), bags, bag)
    if mode == "max":
        at = broadcast_to(bag.unsqueeze(1), rows.shape)
        empty = zeros((bags + 1, rows.shape[1]), dtype=rows.dtype)
        return scatter_reduce(empty, 0, at, rows, "amax", include_self=False)[:bags]
    total = index_add(zeros((bags + 1, rows.shape[1]), dtype=rows.dtype), 0, bag, rows)[:bags]
    if mode == "sum":
        return total
    counts = index_add(zeros(bags + 1, dtype=int64), 0, bag, ones(bag.shape, dtype=int64))[:bags]
    return total / clamp_min(counts, 1).astype(rows.dtype).unsqueeze(-1)
