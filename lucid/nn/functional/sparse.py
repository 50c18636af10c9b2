"""Rows of a table, looked up by number."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid.errors import DTypeError, IndexRangeError, ShapeError
from lucid.functions.arguments import fail, int_of
from lucid.functions.comparison import where
from lucid.functions.indexing import take
from lucid.promotion import as_tensor

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["embedding"]


def embedding(input: Any, weight: Any, padding_idx: int | None = None) -> Tensor:
    """The rows of ``weight`` that ``input`` names.

    Args:
        input: integers of any shape.
        weight: ``(rows, features)``.
        padding_idx: a row that gets no gradient.

    Raises:
        ShapeError, DTypeError: ``weight`` has not two dimensions, or ``input`` holds no integers.
        IndexRangeError: there is no such row.

    >>> import lucid
    >>> embedding(lucid.tensor([2, 0]), lucid.tensor([[1.0], [2.0], [3.0]]))
    Tensor([[3.0],
            [1.0]])
    """
    op = "embedding"
    at, table = as_tensor(input, op, "input"), as_tensor(weight, op, "weight")
    if at.dtype.kind not in "iu":
        fail(DTypeError(f"input has dtype {at.dtype.name}, but it must hold integers", op=op))
    if table.ndim != 2:
        fail(ShapeError(f"weight has shape {table.shape}, but it must be (rows, features)", op=op))
    rows = take(table, at, 0)
    if padding_idx is None:
        return rows
    silent = int_of(op, "padding_idx", padding_idx)
    if not -table.shape[0] <= silent < table.shape[0]:
        fail(IndexRangeError(f"padding_idx={padding_idx} is out of range for {table.shape[0]} rows", op=op))
    return where((at == silent % table.shape[0]).unsqueeze(-1), rows.detach(), rows)
