"""Running sums, products and extremes along a dimension.

Each is computed in log2(n) steps, every step combining what lies 1, 2, 4, ... places apart (Hillis & Steele 1986):
the same work eagerly and compiled, for any number of threads, with errors that grow as log2(n).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentError
from lucid.functions.arguments import axis_of, fail, int_of
from lucid.functions.arithmetic import logaddexp
from lucid.functions.comparison import isnan, where
from lucid.functions.movement import concat, reshape, stretch
from lucid.functions.reductions import accumulator
from lucid.ir.types import int64, is_float
from lucid.promotion import as_tensor, binary, floating, rounded_once

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "diff", "logcumsumexp"]


class Running(NamedTuple):
    """Running extremes and where they are."""

    values: Tensor
    indices: Tensor


def _scan(x: tuple[Tensor, ...], axis: int, combine: Callable[[Any, Any], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """``combine(earlier, later)`` of all elements up to each place; ``x`` are tensors of one shape."""
    n, step = x[0].shape[axis], 1
    while step < n:
        earlier = [stretch(t, axis, 0, n - step) for t in x]
        later = [stretch(t, axis, step, n) for t in x]
        joined = combine(earlier, later)
        x = tuple([concat([stretch(t, axis, 0, step), j], axis) for t, j in zip(x, joined, strict=True)])
        step *= 2
    return x


def _along(op: str, x: Tensor, dim: Any, combine: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    axis = axis_of(op, dim, max(x.ndim, 1), "dim")
    if x.ndim == 0:
        return apply(ops.identity, x)
    return _scan((x,), axis, lambda a, b: (combine(a[0], b[0]),))[0]


@rounded_once
def cumsum(input: Any, dim: int, *, dtype: object = None) -> Tensor:
    """Sums of all elements up to each place along ``dim``. Integers and bools are summed as int64.

    >>> import lucid
    >>> lucid.cumsum(lucid.tensor([1, 2, 3]), 0)
    Tensor([1, 3, 6])
    """
    x = accumulator(as_tensor(input, "cumsum"), dtype)
    return _along("cumsum", x, dim, lambda a, b: binary("add", a, b))


@rounded_once
def cumprod(input: Any, dim: int, *, dtype: object = None) -> Tensor:
    """Products of all elements up to each place along ``dim``. Integers and bools are multiplied as int64.

    Raises:
        ArgumentError: ``dim`` is not there.

    >>> import lucid
    >>> lucid.cumprod(lucid.tensor([1, 2, 3, 4]), 0)
    Tensor([1, 2, 6, 24])
    """
    x = accumulator(as_tensor(input, "cumprod"), dtype)
    return _along("cumprod", x, dim, lambda a, b: binary("mul", a, b))


@rounded_once
def logcumsumexp(input: Any, dim: int) -> Tensor:
    """``log(cumsum(exp(input)))`` along ``dim``, without overflow.

    Raises:
        ArgumentError: ``dim`` is not there.

    >>> import lucid
    >>> lucid.logcumsumexp(lucid.tensor([0.0, -1000.0]), 0)
    Tensor([0.0, 0.0])
    """
    return _along("logcumsumexp", floating(as_tensor(input, "logcumsumexp")), dim, logaddexp)


def cummax(input: Any, dim: int) -> Running:
    """The largest element up to each place along ``dim``, and its position: of ties the last, and NaN once met.

    Raises:
        ArgumentError: ``dim`` is not there.

    >>> import lucid
    >>> lucid.cummax(lucid.tensor([1, 3, 2, 3]), 0)
    Running(values=Tensor([1, 3, 3, 3]), indices=Tensor([0, 1, 1, 3]))
    """
    return _running("cummax", "ge", input, dim)


def cummin(input: Any, dim: int) -> Running:
    """The smallest element up to each place along ``dim``, and its position: of ties the last, and NaN once met.

    Raises:
        ArgumentError: ``dim`` is not there.

    >>> import lucid
    >>> lucid.cummin(lucid.tensor([3, 1, 2, 1]), 0)
    Running(values=Tensor([3, 1, 1, 1]), indices=Tensor([0, 1, 1, 3]))
    """
    return _running("cummin", "le", input, dim)


def _running(op: str, beats: str, input: Any, dim: Any) -> Running:
    x = as_tensor(input, op)
    axis = axis_of(op, dim, max(x.ndim, 1), "dim")
    rows = reshape(x, 1) if x.ndim == 0 else x

    def combine(earlier: list[Tensor], later: list[Tensor]) -> tuple[Tensor, ...]:
        new = binary(beats, later[0], earlier[0])
        if is_float(x.dtype):
            new = new | isnan(later[0])
        return tuple([where(new, b, a) for a, b in zip(earlier, later, strict=True)])

    places = apply(ops.iota, axis=axis, shape=rows.shape, dtype=int64)
    indices = _scan((apply(ops.stop_gradient, rows), places), axis, combine)[1]
    values = apply(ops.take_along, rows, indices, axis=axis)
    return Running(reshape(values, x.shape), reshape(indices, x.shape))


def diff(input: Any, n: int = 1, dim: int = -1, prepend: Any = None, append: Any = None) -> Tensor:
    """Differences of neighbours along ``dim``, taken ``n`` times; of bools, whether neighbours differ.

    Args:
        prepend, append: what is put before and behind the elements first.

    Raises:
        ArgumentError: ``n`` is negative, or ``input`` has no dimensions.

    >>> import lucid
    >>> lucid.diff(lucid.tensor([1, 4, 9, 16]))
    Tensor([3, 5, 7])
    """
    x = as_tensor(input, "diff")
    count = int_of("diff", "n", n)
    if count < 0:
        fail(ArgumentError(f"n={count} must not be negative", op="diff"))
    axis = axis_of("diff", dim, x.ndim, "dim")
    if count == 0:
        return x
    ends = [e for e in (prepend, append) if e is not None]
    if ends:
        parts = [x if e is input else as_tensor(e, "diff") for e in (prepend, input, append) if e is not None]
        x = concat([_widened(p, x, axis) for p in parts], axis)
    for _ in range(min(count, x.shape[axis])):
        later, earlier = stretch(x, axis, 1, max(x.shape[axis], 1)), stretch(x, axis, 0, max(x.shape[axis] - 1, 0))
        x = binary("ne" if x.dtype.kind == "b" else "sub", later, earlier)
    return x


def _widened(end: Tensor, x: Tensor, axis: int) -> Tensor:
    """A tensor without dimensions as one slice of ``x``."""
    from lucid.functions.movement import broadcast_to

    return end if end.ndim else broadcast_to(end, (*x.shape[:axis], 1, *x.shape[axis + 1 :]))
