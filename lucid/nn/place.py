"""What ``device=`` and ``dtype=`` of a layer mean: where its parameters and buffers are made, and of which dtype."""

from __future__ import annotations

from typing import Any, TypedDict

from lucid.devices import require_cpu
from lucid.errors import ArgumentTypeError, DTypeError
from lucid.functions.arguments import dtype_of, fail, named
from lucid.ir.types import is_float


class Place(TypedDict, total=False):
    """The last keyword arguments of every layer that holds parameters or buffers.

    device: None or the CPU.
    dtype: a floating one, of all parameters and floating buffers; None is the default dtype.
    """

    device: Any
    dtype: object


def placed(op: str, given: Place) -> Place:
    """``given`` checked: what functions that make tensors, and layers within a layer, are given.

    Raises:
        ArgumentError, ArgumentTypeError: another device, or another keyword argument.
        DTypeError: a dtype that is not floating.
    """
    unknown = given.keys() - {"device", "dtype"}
    if unknown:
        fail(ArgumentTypeError(f"unknown arguments: {', '.join(sorted(unknown))}", op=op))
    with named(op):
        require_cpu(given.get("device"))
    dtype = given.get("dtype")
    if dtype is None:
        return {}
    element = dtype_of(op, dtype)
    if not is_float(element):
        hint = "parameters have gradients, which only floating dtypes can hold"
        fail(DTypeError(f"dtype={element.name} must be floating", op=op, hint=hint))
    return {"dtype": element}
