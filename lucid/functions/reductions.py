"""Functions of all elements along some axes. ``axis``/``keepdims`` and PyTorch's ``dim``/``keepdim`` both work."""

from __future__ import annotations

import builtins
import math
from typing import TYPE_CHECKING, Any, NamedTuple

from lucid import ops
from lucid.eager import Recorded, apply
from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import axes_of, axis_of, dtype_of, either, fail, is_several, number_of
from lucid.functions.comparison import isnan, logical_not, maximum, minimum, where
from lucid.functions.elementwise import exp, log, sqrt
from lucid.functions.movement import reshape
from lucid.ir.graph import OPS, Op
from lucid.ir.types import bool_, int64, is_float, uint64
from lucid.ops.reduce import reduced_shape
from lucid.promotion import as_tensor, binary, cast, floating, rounded_once, scalar

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero", "log_softmax", "logsumexp", "max",
    "mean", "min", "nanmean", "nansum", "prod", "softmax", "std", "std_mean", "sum", "var", "var_mean",
]  # fmt: skip


def _arguments(op: str, x: Tensor, axis: Any, keepdims: bool, dim: Any, keepdim: bool) -> dict[str, Any]:
    axes = axes_of(op, either(op, axis, dim), x.ndim, "axis" if dim is None else "dim")
    return {"axes": axes, "keepdims": bool(keepdims or keepdim)}


def accumulator(x: Tensor, dtype: object) -> Tensor:
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
    return apply(ops.sum, accumulator(x, dtype), **_arguments("sum", x, axis, keepdims, dim, keepdim))


def prod(
    x: Any, axis: Any = None, keepdims: bool = False, *, dtype: object = None, dim: Any = None, keepdim: bool = False
) -> Tensor:
    """The product along ``axis``.

    Raises:
        ArgumentError: an axis that is not there, or named twice.

    >>> import lucid
    >>> lucid.prod(lucid.tensor([[1, 2], [3, 4]]), 1)
    Tensor([2, 12])
    """
    x = as_tensor(x, "prod")
    return apply(ops.prod, accumulator(x, dtype), **_arguments("prod", x, axis, keepdims, dim, keepdim))


@rounded_once
def mean(
    x: Any, axis: Any = None, keepdims: bool = False, *, dtype: object = None, dim: Any = None, keepdim: bool = False
) -> Tensor:
    """The arithmetic mean along ``axis``, computed in ``dtype``; of no elements, NaN.

    Raises:
        ArgumentError: an axis that is not there, or named twice.

    >>> import lucid
    >>> lucid.mean(lucid.tensor([[1.0, 2.0], [3.0, 5.0]]), 0)
    Tensor([2.0, 3.5])
    """
    t = _as(floating(as_tensor(x, "mean")), "mean", dtype)
    return _mean(t, _arguments("mean", t, axis, keepdims, dim, keepdim))


def _as(x: Tensor, op: str, dtype: object) -> Tensor:
    return x if dtype is None else cast(x, dtype_of(op, dtype))


def _mean(x: Tensor, arguments: dict[str, Any]) -> Tensor:
    count = math.prod(x.shape[k] for k in arguments["axes"])
    return apply(ops.div, apply(ops.sum, x, **arguments), scalar(count, x.dtype))


def nansum(
    x: Any, dim: Any = None, keepdim: bool = False, *, dtype: object = None, axis: Any = None, keepdims: bool = False
) -> Tensor:
    """The sum of the elements that are not NaN.

    Raises:
        ArgumentError: a dimension that is not there, or named twice.

    >>> import lucid
    >>> lucid.nansum(lucid.tensor([1.0, float("nan"), 3.0]))
    Tensor(4.0)
    """
    return sum(_without_nan("nansum", x), axis, keepdims, dtype=dtype, dim=no_dims(dim), keepdim=keepdim)


def _without_nan(op: str, x: Any) -> Tensor:
    t = as_tensor(x, op)
    return where(isnan(t), scalar(0.0, t.dtype), t) if is_float(t.dtype) else t


@rounded_once
def nanmean(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Tensor:
    """The mean of the elements that are not NaN; NaN if there are none.

    Raises:
        ArgumentError: a dimension that is not there, or named twice.

    >>> import lucid
    >>> lucid.nanmean(lucid.tensor([1.0, float("nan"), 3.0]))
    Tensor(2.0)
    """
    t = floating(as_tensor(x, "nanmean"))
    arguments = _arguments("nanmean", t, axis, keepdims, no_dims(dim), keepdim)
    count = apply(ops.sum, cast(logical_not(isnan(t)), t.dtype), **arguments)
    return apply(ops.div, apply(ops.sum, _without_nan("nanmean", t), **arguments), count)


def count_nonzero(input: Any, dim: Any = None) -> Tensor:
    """How many elements along ``dim`` are not 0, as int64.

    Raises:
        ArgumentError: a dimension that is not there, or named twice.

    >>> import lucid
    >>> lucid.count_nonzero(lucid.tensor([[0, 2], [3, 4]]), 0)
    Tensor([1, 2])
    """
    return sum(cast(as_tensor(input, "count_nonzero"), bool_), dim=no_dims(dim))


@rounded_once
def var(
    x: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Tensor:
    """The variance along ``dim`` or ``axis``: the squared distances from the mean, summed and divided.

    The divisor is the number of elements less ``correction``. That is 1 as in PyTorch, unless ``unbiased`` is False,
    or the call is spelled as NumPy's, with ``axis`` or ``keepdims``: then it is 0.

    >>> import lucid
    >>> x = lucid.tensor([1.0, 2.0, 3.0])
    >>> x.var(), x.var(axis=0)
    (Tensor(1.0), Tensor(0.6666667))
    """
    return _spread("var", x, dim, unbiased, keepdim, correction, axis, keepdims)[0]


def _spread(
    op: str, x: Any, dim: Any, unbiased: Any, keepdim: bool, correction: float | None, axis: Any, keepdims: bool
) -> tuple[Tensor, dict[str, Any]]:
    """The variance, and the arguments of the reduction."""
    x = floating(as_tensor(x, op))
    if isinstance(dim, bool):  # PyTorch's var(x, unbiased)
        dim, unbiased = None, dim
    if correction is None:
        correction = int((axis is None and not keepdims) if unbiased is None else bool(unbiased))
    arguments = _arguments(op, x, axis, keepdims, no_dims(dim), keepdim)
    count = math.prod(x.shape[k] for k in arguments["axes"]) - number_of(op, "correction", correction)
    total = apply(ops.squared_deviations, x, **arguments)
    return apply(ops.div, total, scalar(count if count > 0 else 0, x.dtype)), arguments


@rounded_once
def std(
    x: Any,
    dim: Any = None,
    unbiased: bool | None = None,
    keepdim: bool = False,
    *,
    correction: float | None = None,
    axis: Any = None,
    keepdims: bool = False,
) -> Tensor:
    """The standard deviation along ``dim`` or ``axis``: the square root of ``var``.

    Raises:
        ArgumentError: a dimension that is not there, or named twice.

    >>> import lucid
    >>> lucid.std(lucid.tensor([1.0, 2.0, 3.0]))
    Tensor(1.0)
    """
    return sqrt(_spread("std", x, dim, unbiased, keepdim, correction, axis, keepdims)[0])


@rounded_once
def var_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """``var`` and ``mean``.

    Raises:
        ArgumentError: a dimension that is not there, or named twice.

    >>> import lucid
    >>> lucid.var_mean(lucid.tensor([1.0, 2.0, 3.0]))
    (Tensor(1.0), Tensor(2.0))
    """
    variance, arguments = _spread("var_mean", input, dim, unbiased, keepdim, correction, None, False)
    return variance, _mean(floating(as_tensor(input)), arguments)


@rounded_once
def std_mean(
    input: Any, dim: Any = None, unbiased: bool | None = None, keepdim: bool = False, *, correction: float | None = None
) -> tuple[Tensor, Tensor]:
    """``std`` and ``mean``.

    Raises:
        ArgumentError: a dimension that is not there, or named twice.

    >>> import lucid
    >>> lucid.std_mean(lucid.tensor([1.0, 2.0, 3.0]))
    (Tensor(1.0), Tensor(2.0))
    """
    variance, arguments = _spread("std_mean", input, dim, unbiased, keepdim, correction, None, False)
    return sqrt(variance), _mean(floating(as_tensor(input)), arguments)


class Extremes(NamedTuple):
    """The extreme elements along a dimension, and where they are."""

    values: Tensor
    indices: Tensor


def max(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The largest element, NaN if there is one.

    As in PyTorch, ``max(x, dim)`` gives ``values`` and ``indices``, of ties the first, which alone gets the gradient;
    ``max(x, other)`` is ``maximum``. As in NumPy, ``max(x, axis=...)`` gives the values, as does ``amax``: there ties
    share the gradient, as they do without any dimension.

    >>> import lucid
    >>> x = lucid.tensor([[1.0, 5.0], [7.0, 2.0]])
    >>> x.max(1).indices, x.max(axis=1), x.max()
    (Tensor([1, 0]), Tensor([5.0, 7.0]), Tensor(7.0))
    """
    return _extreme("max", x, dim, keepdim, axis, keepdims)


def min(x: Any, dim: Any = None, keepdim: bool = False, *, axis: Any = None, keepdims: bool = False) -> Any:
    """The smallest element, NaN if there is one: with positions, ``axis`` or another tensor as for ``max``.

    Raises:
        ArgumentError: a dimension that is not there, or named twice.
        ShapeError: there are no elements.

    >>> import lucid
    >>> lucid.min(lucid.tensor([[1, 2], [4, 3]]), 1)
    Extremes(values=Tensor([1, 3]), indices=Tensor([0, 1]))
    """
    return _extreme("min", x, dim, keepdim, axis, keepdims)


def _extreme(name: str, x: Any, dim: Any, keepdim: bool, axis: Any, keepdims: bool) -> Any:
    x = as_tensor(x, name)
    if isinstance(dim, Recorded):
        return maximum(x, dim) if name == "max" else minimum(x, dim)
    if dim is None or axis is not None or keepdims:
        return apply(OPS[name], x, **_arguments(name, x, axis, keepdims, dim, keepdim))
    k = axis_of(name, dim, builtins.max(x.ndim, 1), "dim")
    rows = reshape(x, 1) if x.ndim == 0 else x
    if rows.shape[k] == 0:
        message = f"no elements along dim={dim} of shape {x.shape}, but an extreme needs at least one"
        fail(ShapeError(message, op=name, hint="reduce over dimensions that are not empty"))
    indices = apply(OPS["arg" + name], apply(ops.stop_gradient, rows), axis=k, keepdims=True)
    values = apply(ops.take_along, rows, indices, axis=k)
    shape = reduced_shape(x.shape, (k,), keepdim) if x.ndim else ()
    return Extremes(reshape(values, shape), reshape(indices, shape))


def amax(input: Any, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The largest element along one or several dimensions (none: all), NaN if there is one; ties share the gradient.

    Raises:
        ArgumentError: a dimension that is not there, or named twice.
        ShapeError: there are no elements.

    >>> import lucid
    >>> lucid.amax(lucid.tensor([[1, 2], [4, 3]]), 1)
    Tensor([2, 4])
    """
    return _extreme("max", input, None, False, no_dims(dim), keepdim)  # type: ignore[no-any-return]  # no dim: a tensor


def amin(input: Any, dim: Any = (), keepdim: bool = False) -> Tensor:
    """The smallest element along one or several dimensions (none: all): as ``amax``.

    Raises:
        ArgumentError: a dimension that is not there, or named twice.
        ShapeError: there are no elements.

    >>> import lucid
    >>> lucid.amin(lucid.tensor([[1, 2], [4, 3]]), 1)
    Tensor([1, 3])
    """
    return _extreme("min", input, None, False, no_dims(dim), keepdim)  # type: ignore[no-any-return]  # as above


def no_dims(dim: Any) -> Any:
    """PyTorch's empty list of dimensions means all of them."""
    return None if is_several(dim) and not dim else dim


class Range(NamedTuple):
    """The smallest and the largest element."""

    min: Tensor
    max: Tensor


def aminmax(input: Any, *, dim: int | None = None, keepdim: bool = False) -> Range:
    """``amin`` and ``amax``.

    Raises:
        ArgumentError: a dimension that is not there.
        ShapeError: there are no elements.

    >>> import lucid
    >>> lucid.aminmax(lucid.tensor([[1, 2], [4, 3]]), dim=1)
    Range(min=Tensor([1, 3]), max=Tensor([2, 4]))
    """
    return Range(amin(input, () if dim is None else dim, keepdim), amax(input, () if dim is None else dim, keepdim))


def argmax(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The first position of the largest element along ``axis``, as int64; None counts through the whole tensor.

    Raises:
        ArgumentError: an axis that is not there.
        ShapeError: there are no elements.

    >>> import lucid
    >>> lucid.argmax(lucid.tensor([[1, 2], [4, 3]]), 1)
    Tensor([1, 0])
    """
    return _position(ops.argmax, "argmax", x, axis, keepdims, dim, keepdim)


def argmin(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """The first position of the smallest element along ``axis``, as int64; None counts through the whole tensor.

    Raises:
        ArgumentError: an axis that is not there.
        ShapeError: there are no elements.

    >>> import lucid
    >>> lucid.argmin(lucid.tensor([[1, 2], [4, 3]]), 1)
    Tensor([0, 1])
    """
    return _position(ops.argmin, "argmin", x, axis, keepdims, dim, keepdim)


def _position(op: Any, name: str, x: Any, axis: Any, keepdims: bool, dim: Any, keepdim: bool) -> Tensor:
    x = as_tensor(x, name)
    axis = either(name, axis, dim)
    if axis is not None:
        axis = axis_of(name, axis, builtins.max(x.ndim, 1), "axis" if dim is None else "dim")
    return apply(op, x, axis=axis if x.ndim else None, keepdims=bool(keepdims or keepdim))


def all(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """True where every element along ``axis`` is true (not 0); of no elements, True.

    Raises:
        ArgumentError: an axis that is not there, or named twice.

    >>> import lucid
    >>> lucid.all(lucid.tensor([[1, 0], [2, 3]]), 1)
    Tensor([False, True])
    """
    x = cast(as_tensor(x, "all"), bool_)
    wrong = apply(ops.logical_not, x)
    return apply(ops.logical_not, any(wrong, axis, keepdims, dim=dim, keepdim=keepdim))


def any(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """True where some element along ``axis`` is true (not 0); of no elements, False.

    Raises:
        ArgumentError: an axis that is not there, or named twice.

    >>> import lucid
    >>> lucid.any(lucid.tensor([[0, 0], [2, 0]]), 1)
    Tensor([False, True])
    """
    x = cast(as_tensor(x, "any"), bool_)
    hits = apply(ops.sum, cast(x, int64), **_arguments("any", x, axis, keepdims, dim, keepdim))
    return binary("ne", hits, 0)


def softmax(x: Any, axis: Any = None, *, dim: Any = None, dtype: object = None) -> Tensor:
    """``exp(x) / sum(exp(x))`` along ``axis``, without overflow.

    Raises:
        ArgumentError: an axis that is not there.

    >>> import lucid
    >>> lucid.softmax(lucid.tensor([[0.0, 0.0], [1000.0, 0.0]]), 1)
    Tensor([[0.5, 0.5],
            [1.0, 0.0]])
    """
    return _softmax(ops.softmax, x, axis, dim, dtype)


def log_softmax(x: Any, axis: Any = None, *, dim: Any = None, dtype: object = None) -> Tensor:
    """``log(softmax(x))`` along ``axis``, exact where the softmax underflows.

    Raises:
        ArgumentError: an axis that is not there.

    >>> import lucid
    >>> lucid.log_softmax(lucid.tensor([1000.0, 0.0]), 0)
    Tensor([0.0, -1000.0])
    """
    return _softmax(ops.log_softmax, x, axis, dim, dtype)


def _softmax(op: Op, x: Any, axis: Any, dim: Any, dtype: object) -> Tensor:
    t = floating(_as(as_tensor(x, op.name), op.name, dtype))
    k = _one_axis(op.name, t, axis, dim)
    return apply(op, t, axis=k) if t.ndim else reshape(apply(op, reshape(t, 1), axis=k), ())


@rounded_once
def logsumexp(x: Any, axis: Any = None, keepdims: bool = False, *, dim: Any = None, keepdim: bool = False) -> Tensor:
    """``log(sum(exp(x)))`` along ``axis``, without overflow.

    Raises:
        ArgumentError: an axis that is not there, or named twice.
        ShapeError: there are no elements.

    >>> import lucid
    >>> lucid.logsumexp(lucid.tensor([1000.0, 0.0]))
    Tensor(1000.0)
    """
    x = floating(as_tensor(x, "logsumexp"))
    arguments = _arguments("logsumexp", x, axis, keepdims, dim, keepdim)
    if 0 in [x.shape[k] for k in arguments["axes"]]:
        fail(ShapeError(f"there are no elements along axis={arguments['axes']} of shape {x.shape}", op="logsumexp"))
    largest = apply(ops.stop_gradient, apply(ops.max, x, axes=arguments["axes"], keepdims=True))
    # An infinite maximum would make inf - inf; the sum is that infinity whatever is subtracted.
    shift = apply(ops.where, largest.abs() < float("inf"), largest, scalar(0.0, x.dtype))
    total = apply(ops.sum, exp(x - shift), axes=arguments["axes"], keepdims=True)
    result = log(total) + shift
    return result if arguments["keepdims"] else result.squeeze(axis=arguments["axes"])


def _one_axis(op: str, x: Tensor, axis: Any, dim: Any) -> int:
    axis = either(op, axis, dim)
    if axis is None:
        fail(ArgumentError("axis must be given", op=op, hint="axis=-1 is the last one, usually the classes"))
    return axis_of(op, axis, builtins.max(x.ndim, 1), "axis" if dim is None else "dim")
