"""How a tensor looks: ``Tensor([[1.0, 2.0], ...], requires_grad=True)``.

The rules. A float is the shortest text that reads back to the same number at its dtype. Up to two dimensions, rows
stand under one another. From three on, the outer bracket opens a line, each item is a block of its own, indented by
four; a leading axis of size 1 shares its bracket's line. Above 1000 elements, only the first and last three along each
axis are shown. The dtype is named unless it is float32, int64 or bool.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lucid.ir.graph import Array
from lucid.ir.types import bool_, float32, int64

_LIMIT = 1000
_EDGE = 3


def _items(array: Array, elide: bool) -> list[Array | None]:
    """Sub-arrays along the first axis; None stands for those left out."""
    n = len(array)
    if not elide or n <= 2 * _EDGE:
        return [array[k] for k in range(n)]
    return [*(array[k] for k in range(_EDGE)), None, *(array[k] for k in range(n - _EDGE, n))]


def _number(value: Any) -> str:
    """The shortest text, which NumPy knows of its own types alone."""
    if value.dtype.kind != "V" or not np.isfinite(value):
        return str(value)
    texts = (f"{float(value):.{digits}g}" for digits in range(1, 6))
    return str(float(next(t for t in texts if value.dtype.type(float(t)) == value)))


def _block(array: Array, indent: int, elide: bool) -> str:
    """Nested brackets, every row below the first aligned ``indent`` columns in."""
    if array.ndim == 0:
        return _number(array[()])
    inner = ["..." if x is None else _block(x, indent + 1, elide) for x in _items(array, elide)]
    if array.ndim == 1:
        return f"[{', '.join(inner)}]"
    return "[" + (",\n" + " " * (indent + 1)).join(inner) + "]"


def _tall(array: Array, elide: bool) -> str:
    """Three dimensions and more: brackets on lines of their own around indented blocks."""
    opened = 1
    while array.shape[0] == 1 and array.ndim > 3:
        array = array[0]
        opened += 1
    items = _items(array, elide)
    blocks = ["..." if x is None else _block(x, 4, elide) for x in items]
    return "[" * opened + "\n    " + ",\n    ".join(blocks) + "\n" + "]" * opened


def show_array(array: Array) -> str:
    """The nested brackets alone."""
    elide = array.size > _LIMIT
    if array.ndim >= 3 and array.size:
        return _tall(array, elide)
    return _block(array, len("Tensor("), elide) if array.size else "[]"


def show_tensor(array: Array, requires_grad: bool) -> str:
    """``Tensor(...)`` with what cannot be read off the brackets."""
    parts = [show_array(array)]
    if not array.size and array.shape != (0,):
        parts.append(f"shape={array.shape}")
    if array.dtype not in (float32, int64, bool_):
        parts.append(f"dtype={array.dtype.name}")
    if requires_grad:
        parts.append("requires_grad=True")
    return f"Tensor({', '.join(parts)})"
