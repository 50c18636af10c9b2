"""Functions of all elements along some axes. ``axis``/``keepdims`` and PyTorch's ``dim``/``keepdim`` both work."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from lucid import ops
from lucid.eager import apply
from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import axes_of, axis_of, dtype_of, either, fail, number_of
from lucid.functions.elementwise import exp, log, sqrt
from lucid.ir.types import bool_, int64, uint64
from lucid.promotion import as_tensor, binary, cast, floating, scalar

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "all", "any", "argmax", "argmin", "log_softmax", "logsumexp", "max", "mean", "min", "prod", "softmax", "std",
    "sum", "var",
]  # fmt: skip


def _arguments(op: str, x: Tensor, axis: Any, keepdims: bool, dim: Any, keepdim: bool) -> dict[str, Any]:
    axes = axes_of(op, either(op, axis, dim), x.ndim, "axis" if dim is None else "dim")
    return {"axes": axes, "keepdims": bool(keepdims or keepdim)}


def _accumulator(x: Tensor, dtype: object) -> Tensor:
    """``x`` in the dtype its sum is computed in: small integers and bools would overflow in their own."""
    if dtype is not None:
        return cast(x, dtype_of("sum", dtype))
    if x.dtype.kind == "u":
        return cast(x, uint64)
    return cast(x, int64) if x.dtype.kind in "bi" else x


def sum(
    x: Any, axis: Any = None, keepdims: bool = False, *, dtype: object = None, dim: Any = None, keepdim: bool = False
) -> Tensor:
    """The sum along ``axis`` (an int, a tuple, or None for all). Integers and bools are summed as int64.

    >>> import lucid
    >>> lucid.tensor([[1.0, 2.0], [3.0, 4.0]]).sum(axis=0)
    Tensor([4.0, 6.0])
    """
    x = as_tensor(x, "sum")
    return apply(ops.sum, _accumulator(x, dtype), **_arguments("sum", x, axis, keepdims, dim, keepdim))


def prod(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The product along ``axis``."""
    x = as_tensor(x, "prod")
    return apply(ops.prod, _accumulator(x, None), **_arguments("prod", x, axis, keepdims, dim, keepdim))


def mean(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The arithmetic mean along ``axis``; of no elements, NaN."""
    x = floating(as_tensor(x, "mean"))
    arguments = _arguments("mean", x, axis, keepdims, dim, keepdim)
    count = math.prod(x.shape[k] for k in arguments["axes"])
    return apply(ops.div, apply(ops.sum, x, **arguments), scalar(count, x.dtype))


def var(
    x: Any,
    axis: Any = None,
    keepdims: bool = False,
    *,
    correction: float = 0,
    dim: Any = None,
    keepdim: bool = False,
) -> Tensor:
    """The variance along ``axis``, the mean squared distance from the mean.

    ``correction`` is subtracted from the number of elements: 0 as in NumPy, 1 for the unbiased estimate that PyTorch
    gives by default.
    """
    x = floating(as_tensor(x, "var"))
    arguments = _arguments("var", x, axis, keepdims, dim, keepdim)
    count = math.prod(x.shape[k] for k in arguments["axes"]) - number_of("var", "correction", correction)
    total = apply(ops.squared_deviations, x, **arguments)
    return apply(ops.div, total, scalar(count if count > 0 else 0, x.dtype))


def std(
    x: Any,
    axis: Any = None,
    keepdims: bool = False,
    *,
    correction: float = 0,
    dim: Any = None,
    keepdim: bool = False,
) -> Tensor:
    """The standard deviation along ``axis``: the square root of ``var``."""
    return sqrt(var(x, axis, keepdims, correction=correction, dim=dim, keepdim=keepdim))


def max(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The largest element along ``axis``, NaN if there is one; ties share the gradient. Positions: ``argmax``."""
    return _extreme(ops.max, "max", x, axis, keepdims, dim, keepdim)


def min(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The smallest element along ``axis``, NaN if there is one; ties share the gradient. Positions: ``argmin``."""
    return _extreme(ops.min, "min", x, axis, keepdims, dim, keepdim)


def _extreme(op: Any, name: str, x: Any, axis: Any, keepdims: bool, dim: Any, keepdim: bool) -> Tensor:
    x = as_tensor(x, name)
    return apply(op, x, **_arguments(name, x, axis, keepdims, dim, keepdim))


def argmax(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The first position of the largest element along ``axis``, as int64; None counts through the whole tensor."""
    return _position(ops.argmax, "argmax", x, axis, keepdims, dim, keepdim)


def argmin(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The first position of the smallest element along ``axis``, as int64; None counts through the whole tensor."""
    return _position(ops.argmin, "argmin", x, axis, keepdims, dim, keepdim)


def _position(op: Any, name: str, x: Any, axis: Any, keepdims: bool, dim: Any, keepdim: bool) -> Tensor:
    x = as_tensor(x, name)
    axis = either(name, axis, dim)
    if axis is not None:
        axis = axis_of(name, axis, x.ndim, "axis" if dim is None else "dim")
    return apply(op, x, axis=axis, keepdims=bool(keepdims or keepdim))


def all(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """True where every element along ``axis`` is true (not 0); of no elements, True."""
    x = cast(as_tensor(x, "all"), bool_)
    wrong = apply(ops.logical_not, x)
    return apply(ops.logical_not, any(wrong, axis, keepdims, dim=dim, keepdim=keepdim))


def any(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """True where some element along ``axis`` is true (not 0); of no elements, False."""
    x = cast(as_tensor(x, "any"), bool_)
    hits = apply(ops.sum, cast(x, int64), **_arguments("any", x, axis, keepdims, dim, keepdim))
    return binary("ne", hits, 0)


def softmax(x: Any, axis: Any = None, *, dim: Any = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``axis``, without overflow."""
    x = floating(as_tensor(x, "softmax"))
    return apply(ops.softmax, x, axis=_one_axis("softmax", x, axis, dim))


def log_softmax(x: Any, axis: Any = None, *, dim: Any = None) -> Tensor:
    """``log(softmax(x))`` along ``axis``, exact where the softmax underflows."""
    x = floating(as_tensor(x, "log_softmax"))
    return apply(ops.log_softmax, x, axis=_one_axis("log_softmax", x, axis, dim))


def logsumexp(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` along ``axis``, without overflow."""
    x = floating(as_tensor(x, "logsumexp"))
    arguments = _arguments("logsumexp", x, axis, keepdims, dim, keepdim)
    if 0 in [x.shape[k] for k in arguments["axes"]]:
        fail(ShapeError(f"there are no elements along axis={arguments['axes']} of shape {x.shape}", op="logsumexp"))
    largest = apply(ops.stop_gradient, apply(ops.max, x, axes=arguments["axes"], keepdims=True))
    # An infinite maximum would make inf - inf; the sum is that infinity whatever is subtracted.
    shift = apply(ops.where, largest.abs() < float("inf"), largest, scalar(0.0, x.dtype))
    total = apply(ops.sum, exp(x - shift), axes=arguments["axes"], keepdims=True)
    result = log(total) + shift
    return result if arguments["keepdims"] else result.squeeze(arguments["axes"])


def _one_axis(op: str, x: Tensor, axis: Any, dim: Any) -> int:
    axis = either(op, axis, dim)
    if axis is None:
        fail(ArgumentError("axis must be given", op=op, hint="axis=-1 is the last one, usually the classes"))
    return axis_of(op, axis, x.ndim, "axis" if dim is None else "dim")
