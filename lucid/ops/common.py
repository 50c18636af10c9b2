"""What several op declarations share: argument rules, broadcasting, and the reverse of broadcasting."""

from __future__ import annotations

import contextvars
import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any, ParamSpec, TypeVar

import numpy as np

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.ir.graph import OPS, Array, Node, scalar
from lucid.ir.types import SHORT_NAMES, DType, Shape, TensorType, is_float, kind_of

P = ParamSpec("P")
T = TypeVar("T")


def names(dtypes: Sequence[DType]) -> str:
    return ", ".join(d.name for d in dtypes)


def require_same_dtype(op: str, **types: TensorType) -> DType:
    """The one dtype of all arguments."""
    dtypes = {t.dtype for t in types.values()}
    if len(dtypes) > 1:
        given = ", ".join(f"{k} is {t.dtype.name}" for k, t in types.items())
        raise DTypeError(
            f"the arguments must have one dtype, but {given}", op=op, hint="convert one with .astype(dtype)"
        )
    return dtypes.pop()


def require_float(op: str, **types: TensorType) -> None:
    for name, t in types.items():
        if not is_float(t.dtype):
            raise DTypeError(
                f"{name} has dtype {t.dtype.name}, but a floating dtype is needed",
                op=op,
                hint=f"convert it with {name}.astype(lucid.float32)",
            )


_KIND_NAMES = {"b": "bool", "i": "signed integer", "u": "unsigned integer", "f": "floating"}


def require_kind(op: str, kinds: str, **types: TensorType) -> None:
    """Every argument's ``kind_of(dtype)`` is one of the letters of ``kinds``."""
    for name, t in types.items():
        if kind_of(t.dtype) not in kinds:
            allowed = " or ".join(_KIND_NAMES[k] for k in kinds)
            raise DTypeError(
                f"{name} has dtype {t.dtype.name}, but it must be {allowed}",
                op=op,
                hint=f"convert it with {name}.astype(dtype)",
            )


def require_supported(op: str, dtype: DType) -> None:
    """``dtype`` is one of Lucid's."""
    if dtype not in SHORT_NAMES:
        raise DTypeError(f"dtype={dtype} is not supported", op=op, hint=f"use one of {names(list(SHORT_NAMES))}")


def require_rank(op: str, name: str, t: TensorType, rank: int, meaning: str) -> None:
    if t.ndim != rank:
        raise ShapeError(f"{name} has shape {t.shape}, but it must have {rank} dimensions {meaning}", op=op)


def normalize_axis(op: str, axis: int, ndim: int, argument: str = "axis") -> int:
    """``axis`` counted from the front."""
    if not -ndim <= axis < ndim:
        raise ArgumentError(f"{argument}={axis} is out of range for {ndim} dimensions", op=op)
    return axis % ndim


def require_axes(op: str, x: TensorType, axes: tuple[int, ...]) -> None:
    """``axes`` are axes of ``x`` counted from the front, increasing."""
    if list(axes) != sorted(set(axes)) or (axes and not 0 <= axes[0] <= axes[-1] < x.ndim):
        raise ArgumentError(f"axes={axes} must be different axes of {x.ndim} dimensions, in increasing order", op=op)


def require_length(op: str, x: TensorType, **arguments: tuple[int, ...]) -> None:
    """Each argument has one entry per axis of ``x``."""
    for name, values in arguments.items():
        if len(values) != x.ndim:
            raise ArgumentError(f"{name}={values} needs one entry for each of the {x.ndim} axes of {x.shape}", op=op)


def broadcast_shape(op: str, *types: TensorType) -> Shape:
    """NumPy broadcasting: aligned at the right, sizes equal or 1."""
    try:
        return np.broadcast_shapes(*(t.shape for t in types))
    except ValueError:
        shapes = " and ".join(str(t.shape) for t in types)
        raise ShapeError(
            f"shapes {shapes} cannot be broadcast together",
            op=op,
            hint="aligned from the right, each pair of sizes must be equal or contain a 1",
        ) from None


def unbroadcast(g: Node, like: Node) -> Node:
    """The adjoint of broadcasting ``like`` to ``g``'s shape: sum over the axes that were repeated."""
    if g.shape == like.shape:
        return g
    extra = len(g.shape) - len(like.shape)
    axes = tuple(range(extra)) + tuple(
        k + extra for k, n in enumerate(like.shape) if n == 1 and g.shape[k + extra] != 1
    )
    if axes:
        g = OPS["sum"](g, axes=axes, keepdims=False)
    return g if g.shape == like.shape else OPS["reshape"](g, shape=like.shape)


class _Quiet(threading.local):
    """A context of its own per thread in which NumPy warns of nothing: entering it costs a tenth of ``np.errstate``."""

    def __init__(self) -> None:
        context = contextvars.Context()
        context.run(np.seterr, all="ignore")
        self.run = context.run
        self.inside = False


_quiet = _Quiet()


def quiet(evaluate: Callable[P, T]) -> Callable[P, T]:
    """Decorate an ``evaluate`` that may overflow or meet NaN: the result says so, NumPy need not warn."""

    @functools.wraps(evaluate)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        if _quiet.inside:  # a context cannot be entered twice
            return evaluate(*args, **kwargs)
        _quiet.inside = True
        try:
            return _quiet.run(evaluate, *args, **kwargs)
        finally:
            _quiet.inside = False

    return run


def as_array(value: Any) -> Array:
    """NumPy gives a scalar object where an array of no dimensions is meant."""
    return value if value.__class__ is np.ndarray else np.asarray(value)


def zero(like: Node) -> Node:
    """A 0-d zero of ``like``'s dtype."""
    return scalar(0, like)


def type_list(types: Sequence[TensorType]) -> str:
    return ", ".join(f"{SHORT_NAMES[t.dtype]}{list(t.shape)}" for t in types)
