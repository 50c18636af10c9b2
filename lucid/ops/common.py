"""What several op declarations share: argument rules, broadcasting, and the reverse of broadcasting."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.ir.graph import OPS, Node
from lucid.ir.types import SHORT_NAMES, DType, Shape, TensorType, is_float


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


def require_rank(op: str, name: str, t: TensorType, rank: int, meaning: str) -> None:
    if t.ndim != rank:
        raise ShapeError(f"{name} has shape {t.shape}, but it must have {rank} dimensions {meaning}", op=op)


def normalize_axis(op: str, axis: int, ndim: int, argument: str = "axis") -> int:
    """``axis`` counted from the front."""
    if not -ndim <= axis < ndim:
        raise ArgumentError(f"{argument}={axis} is out of range for {ndim} dimensions", op=op)
    return axis % ndim


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


def type_list(types: Sequence[TensorType]) -> str:
    return ", ".join(f"{SHORT_NAMES[t.dtype]}{list(t.shape)}" for t in types)
