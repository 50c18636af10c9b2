"""Tensors with some elements replaced: ``x[key] = value``, masks, and indices.

Each function builds the whole new value; a compiled function does so in one pass. What ``x[key] = value`` then means
for ``x`` is said in ``lucid.inplace``.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from lucid import ops
from lucid.eager import apply, leaf, mode
from lucid.errors import DTypeError, ShapeError
from lucid.functions.arguments import fail, is_several, named
from lucid.functions.comparison import where
from lucid.functions.gathering import put_slices
from lucid.functions.indexing import getitem, region, take
from lucid.functions.movement import broadcast, reshape
from lucid.functions.scans import cumsum
from lucid.ir.types import bool_, int64, is_float
from lucid.promotion import as_tensor, binary, cast, python_number, scalar

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["index_put", "masked_fill", "masked_scatter", "masked_select", "put"]


def _value(op: str, x: Tensor, value: Any) -> Tensor:
    """What is written, in ``x``'s dtype."""
    number = python_number(value)
    if number is None:
        return cast(as_tensor(value, op, "value"), x.dtype)
    if x.dtype.kind in "iu" and isinstance(number, float):
        number = math.trunc(number) if math.isfinite(number) else 0
    return scalar(number, x.dtype, op)


def assigned(x: Tensor, key: Any, value: Any) -> Tensor:
    """``x`` after ``x[key] = value``: the value is cast to ``x``'s dtype and broadcast to ``x[key]``'s shape.

    Where positions repeat, the last value counts.
    """
    new = _value("setitem", x, value)
    mask = key if not isinstance(key, tuple) else key[0] if len(key) == 1 else None
    if getattr(mask, "dtype", None) == bool_ and not isinstance(mask, bool):
        return _masked(x, as_tensor(mask, "setitem"), new)
    items = key if isinstance(key, tuple) else (key,)
    if not any((hasattr(item, "dtype") and getattr(item, "ndim", 0)) or is_several(item) for item in items):
        return _into_region(x, key, new)
    places = reshape(apply(ops.iota, axis=0, shape=(x.size,), dtype=int64), x.shape)
    with named("setitem"):
        at = getitem(places, key)
    source = broadcast("setitem", _without_ones(new, at.ndim), (at.shape,))
    return reshape(put_slices(reshape(x, -1), reshape(at, -1), reshape(source, -1), 0), x.shape)


def _without_ones(value: Tensor, ndim: int) -> Tensor:
    """``value`` without leading dimensions of size 1 beyond ``ndim``: assignment drops them, as in NumPy."""
    while value.ndim > ndim and value.shape[0] == 1:
        value = reshape(value, value.shape[1:])
    return value


def _into_region(x: Tensor, key: Any, value: Tensor) -> Tensor:
    """Ints and slices choose a box with steps: the value is padded to the whole, and chosen inside of it."""
    with named("setitem"):
        box = region(x, key)
    value = broadcast("setitem", _without_ones(value, len(box.shape)), (box.shape,))
    counts = tuple([-((a - b) // s) for a, b, s in zip(box.start, box.stop, box.step, strict=True)])
    value = reshape(value, counts)
    if box.flipped:
        value = apply(ops.flip, value, axes=box.flipped)
    if counts == x.shape:
        return apply(ops.identity, value)
    if 0 in counts:
        return x
    ends = [a + (m - 1) * s + 1 for a, m, s in zip(box.start, counts, box.step, strict=True)]
    around = {
        "low": box.start,
        "high": tuple([n - e for n, e in zip(x.shape, ends, strict=True)]),
        "interior": tuple([s - 1 for s in box.step]),
    }
    inside = apply(ops.constant, value=True, shape=counts, dtype=bool_)
    zero = False if x.dtype.kind == "b" else 0.0 if is_float(x.dtype) else 0
    here = apply(ops.pad, inside, value=False, **around)
    return where(here, apply(ops.pad, value, value=zero, **around), x)


def _masked(x: Tensor, mask: Tensor, value: Tensor) -> Tensor:
    """``value`` where a mask of ``x``'s leading dimensions holds: one for all, or one for each true element in turn."""
    if mask.shape != x.shape[: mask.ndim]:
        fail(ShapeError(f"the mask has shape {mask.shape}, which shape {x.shape} does not begin with", op="setitem"))
    rest = x.shape[mask.ndim :]
    here = reshape(mask, (*mask.shape, *(1,) * len(rest)))
    value = _without_ones(value, len(rest))
    if value.ndim > len(rest):
        if value.ndim != len(rest) + 1:
            rule = f"but x[mask] has {len(rest) + 1} dimensions"
            fail(ShapeError(f"the value has shape {value.shape}, {rule}", op="setitem"))
        _require_count("setitem", mask, value.shape[0], exact=True)
        value = _dealt(mask, broadcast("setitem", value, (value.shape[0], *rest)))
    return where(here, broadcast("setitem", value, (x.shape,)), x)


def _require_count(op: str, mask: Tensor, available: int, exact: bool) -> None:
    """Refuse values that are not as many as a mask has true elements, where these can be counted."""
    if mode.trace is None:
        count = int(mask._value(op).sum())
        if count > available or (exact and count != available):
            fail(ShapeError(f"{available} values were given for a mask with {count} true elements", op=op))


def _dealt(mask: Tensor, values: Tensor) -> Tensor:
    """For each true element of ``mask`` the next of ``values``, in the mask's shape; anything elsewhere."""
    flat = reshape(mask, -1)
    turn = binary("maximum", cumsum(flat, 0) - 1, 0)
    if mode.trace is None:
        turn = binary("minimum", turn, max(values.shape[0] - 1, 0))
    if values.shape[0] == 0:
        return apply(ops.constant, value=0, shape=(*mask.shape, *values.shape[1:]), dtype=values.dtype)
    return reshape(take(values, turn, 0), (*mask.shape, *values.shape[1:]))


def _mask_of(op: str, mask: Any) -> Tensor:
    m = as_tensor(mask, op, "mask")
    if m.dtype != bool_:
        fail(DTypeError(f"mask has dtype {m.dtype.name}, but it must be bool", op=op, hint="compare first: x > 0"))
    return m


def masked_fill(input: Any, mask: Any, value: Any) -> Tensor:
    """``input`` with ``value``, a number or a 0-d tensor, where ``mask`` holds.

    Raises:
        DTypeError: ``mask`` is not bool.
        ShapeError: the shapes do not broadcast, or ``value`` has dimensions.

    >>> import lucid
    >>> lucid.masked_fill(lucid.tensor([1.0, 2.0]), lucid.tensor([True, False]), 0)
    Tensor([0.0, 2.0])
    """
    x = as_tensor(input, "masked_fill")
    fill = _value("masked_fill", x, value)
    if fill.ndim:
        fail(ShapeError(f"value has shape {fill.shape}, but it must have no dimensions", op="masked_fill"))
    return where(_mask_of("masked_fill", mask), fill, x)


def masked_select(input: Any, mask: Any) -> Tensor:
    """The elements where ``mask`` holds, as a vector; the two broadcast.

    Raises:
        TraceError: in a compiled function: the size of the result depends on values.
        DTypeError: ``mask`` is not bool.

    >>> import lucid
    >>> x = lucid.tensor([1, 5, 3])
    >>> lucid.masked_select(x, x > 2)
    Tensor([5, 3])
    """

    from lucid.functions.arranging import broadcast_tensors

    x, m = broadcast_tensors(as_tensor(input, "masked_select"), _mask_of("masked_select", mask))
    places = np.flatnonzero(m._value("masked_select()"))
    return take(reshape(x, -1), leaf(places.astype(np.int64, copy=False)), 0)


def masked_scatter(input: Any, mask: Any, source: Any) -> Tensor:
    """``input`` with the elements of ``source``, in their order, where ``mask`` holds.

    Raises:
        ShapeError: there are fewer than the mask has true elements. Compiled code, which cannot raise, gives NaN there.
        DTypeError: ``mask`` is not bool, or ``source`` has another dtype than ``input``.

    >>> import lucid
    >>> lucid.masked_scatter(lucid.zeros(3), lucid.tensor([True, False, True]), lucid.tensor([1.0, 2.0]))
    Tensor([1.0, 0.0, 2.0])
    """
    from lucid.functions.arranging import broadcast_tensors

    x, m = broadcast_tensors(as_tensor(input, "masked_scatter"), _mask_of("masked_scatter", mask))
    values = as_tensor(source, "masked_scatter", "source")
    if values.dtype != x.dtype:
        fail(DTypeError(f"source has dtype {values.dtype.name}, but input has {x.dtype.name}", op="masked_scatter"))
    _require_count("masked_scatter", m, values.size, exact=False)
    return where(m, _dealt(m, reshape(values, -1)), x)


def index_put(input: Any, indices: Any, values: Any, accumulate: bool = False) -> Tensor:
    """``input`` after ``input[indices] = values``, or with ``values`` added there.

    Args:
        indices: a tuple of integer tensors or masks, as in ``input[indices]``.
        accumulate: add; positions that repeat are added to repeatedly.

    Raises:
        IndexRangeError: a position that is not there.
        ShapeError: ``values`` do not broadcast to what is indexed.

    >>> import lucid
    >>> lucid.index_put(lucid.zeros(3), (lucid.tensor([2, 2]),), lucid.tensor([1.0, 2.0]), accumulate=True)
    Tensor([0.0, 0.0, 3.0])
    """
    x = as_tensor(input, "index_put")
    key = tuple(indices) if is_several(indices) else (indices,)
    if not accumulate:
        return assigned(x, key, values)
    places = reshape(apply(ops.iota, axis=0, shape=(x.size,), dtype=int64), x.shape)
    at = getitem(places, key)
    source = broadcast("index_put", _value("index_put", x, values), (at.shape,))
    return _added(x, at, source)


def _added(x: Tensor, at: Tensor, source: Tensor) -> Tensor:
    flat, places, values = reshape(x, -1), reshape(at, -1), reshape(source, -1)
    if x.size == 0 or at.size == 0:
        return x
    return reshape(apply(ops.scatter_along, flat, places, values, axis=0, kind="sum"), x.shape)


def put(input: Any, index: Any, source: Any, accumulate: bool = False) -> Tensor:
    """``input`` with elements of ``source`` at positions ``index`` of the flat tensor, or with them added there.

    Raises:
        IndexRangeError: a position that is not there.
        ShapeError: not as many elements as positions.

    >>> import lucid
    >>> lucid.put(lucid.zeros(2, 2), lucid.tensor([0, 3]), lucid.tensor([5.0, 6.0]))
    Tensor([[5.0, 0.0],
            [0.0, 6.0]])
    """
    x, at = as_tensor(input, "put"), as_tensor(index, "put", "index")
    values = as_tensor(source, "put", "source")
    if values.size != at.size or values.dtype != x.dtype:
        fail(ShapeError(f"source is {values.type}, but index has {at.size} elements and input is {x.type}", op="put"))
    if accumulate:
        return _added(x, at, values)
    return reshape(put_slices(reshape(x, -1), reshape(at, -1), reshape(values, -1), 0), x.shape)
