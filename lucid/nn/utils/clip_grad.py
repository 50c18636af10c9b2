"""Gradient clipping: what a training step does between ``backward`` and the optimizer. Works in compiled steps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lucid.errors import ArgumentError, ArgumentTypeError, GradientError
from lucid.functions.arguments import fail, number_of
from lucid.functions.creation import tensor
from lucid.functions.elementwise import abs, cast, clip, minimum, sqrt
from lucid.functions.movement import stack
from lucid.functions.reductions import amax, amin, sum
from lucid.grad_modes import no_grad
from lucid.nn.arguments import flag, number
from lucid.promotion import as_tensor, widened
from lucid.tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def clip_grad_norm_(
    parameters: Tensor | Iterable[Tensor],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> Tensor:
    """Scale all gradients by one factor, so that their norm, taken as one vector, is at most ``max_norm``.

    Args:
        parameters: a tensor, or several, of any shapes; those without gradients are passed over.
        max_norm: the largest norm that is left alone.
        norm_type: the ``p`` of the norm; ``inf`` for the largest element.
        error_if_nonfinite: raise if the norm is infinite or NaN, instead of spreading that over all gradients.

    Returns:
        The norm before, a tensor of shape ().

    Raises:
        ArgumentTypeError: not tensors, or not numbers.
        ArgumentError: a negative ``max_norm``.
        GradientError: with ``error_if_nonfinite``; the gradients are as before.
        TraceError: ``error_if_nonfinite`` in a compiled function, where the norm is not known.

    >>> import lucid
    >>> from lucid import nn
    >>> x = lucid.tensor([0.0, 0.0], requires_grad=True)
    >>> (x * lucid.tensor([3.0, 4.0])).sum().backward()
    >>> nn.utils.clip_grad_norm_(x, max_norm=1.0)
    Tensor(5.0)
    >>> round(x.grad.square().sum().item(), 3)
    1.0
    """
    op = "clip_grad_norm_"
    owners = _with_gradients(op, parameters)
    most = number(op, "max_norm", max_norm)
    power = number_of(op, "norm_type", norm_type)
    flag(op, "error_if_nonfinite", error_if_nonfinite)
    norm = _total_norm(op, [p.grad for p in owners], power, error_if_nonfinite)
    _scale(owners, most, norm)
    return norm


def get_total_norm(
    tensors: Tensor | Iterable[Tensor], norm_type: float = 2.0, error_if_nonfinite: bool = False
) -> Tensor:
    """The norm of several tensors, taken as one vector.

    Raises:
        ArgumentTypeError: not tensors, or ``norm_type`` is not a number.
        GradientError: with ``error_if_nonfinite``, if the norm is infinite or NaN.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.utils.get_total_norm([lucid.tensor([3.0]), lucid.tensor([4.0])])
    Tensor(5.0)
    """
    op = "get_total_norm"
    given = _listed(op, "tensors", tensors)
    return _total_norm(op, given, number_of(op, "norm_type", norm_type), error_if_nonfinite)


def clip_grads_with_norm_(parameters: Tensor | Iterable[Tensor], max_norm: float, total_norm: Tensor) -> None:
    """Scale all gradients by one factor, so that a norm of ``total_norm`` becomes ``max_norm`` at most.

    Raises:
        ArgumentTypeError: not tensors, or not a number.
        ArgumentError: a negative ``max_norm``.

    >>> import lucid
    >>> from lucid import nn
    >>> x = lucid.tensor([1.0], requires_grad=True)
    >>> (x * 8).sum().backward()
    >>> nn.utils.clip_grads_with_norm_(x, 1.0, lucid.tensor(4.0))
    >>> round(x.grad.item(), 3)
    2.0
    """
    op = "clip_grads_with_norm_"
    _scale(_with_gradients(op, parameters), number(op, "max_norm", max_norm), as_tensor(total_norm, op, "total_norm"))


def _total_norm(op: str, tensors: Sequence[Any], power: float, error_if_nonfinite: bool) -> Tensor:
    with no_grad():
        if not tensors:
            return tensor(0.0)
        wide = [widened(t.detach()) for t in tensors]
        dtype = np.result_type(*[t.dtype for t in wide])
        norm = _norm(stack([cast(_norm(t, power), dtype) for t in wide]), power)
    if error_if_nonfinite and not math.isfinite(norm.item()):
        fail(
            GradientError(
                f"the norm of the gradients is {norm.item()}, so they cannot be clipped",
                op=op,
                hint="error_if_nonfinite=False scales them all the same",
            )
        )
    return norm


def _scale(owners: Sequence[Tensor], most: float, norm: Tensor) -> None:
    """Multiply the gradients by ``most / norm``, or leave them if that is above 1."""
    with no_grad():
        factor = minimum(most / (norm + 1e-6), 1.0)
        for p in owners:
            grad: Any = p.grad
            p.grad = cast(grad * factor, grad.dtype)


def clip_grad_value_(parameters: Tensor | Iterable[Tensor], clip_value: float) -> None:
    """Replace every element of the gradients that lies outside ``-clip_value .. clip_value`` by that bound.

    Args:
        parameters: a tensor, or several, of any shapes; those without gradients are passed over.
        clip_value: the bound. NaN stays NaN.

    Raises:
        ArgumentTypeError: not tensors, or not a number.
        ArgumentError: a negative ``clip_value``.

    >>> import lucid
    >>> from lucid import nn
    >>> x = lucid.tensor([0.0, 0.0], requires_grad=True)
    >>> (x * lucid.tensor([3.0, -4.0])).sum().backward()
    >>> nn.utils.clip_grad_value_(x, 3.5)
    >>> x.grad
    Tensor([3.0, -3.5])
    """
    op = "clip_grad_value_"
    bound = number(op, "clip_value", clip_value)
    with no_grad():
        for p in _with_gradients(op, parameters):
            p.grad = clip(p.grad, -bound, bound)


def _listed(op: str, argument: str, tensors: Tensor | Iterable[Tensor]) -> list[Tensor]:
    if not isinstance(tensors, Iterable):
        hint = "pass model.parameters()" if argument == "parameters" else None
        fail(ArgumentTypeError(f"{argument} must be tensors, not {type(tensors).__name__}", op=op, hint=hint))
    given = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    for k, t in enumerate(given):
        if not isinstance(t, Tensor):
            fail(ArgumentTypeError(f"{argument}[{k}] must be a Tensor, not {type(t).__name__}", op=op))
    return given


def _with_gradients(op: str, parameters: Tensor | Iterable[Tensor]) -> list[Tensor]:
    owners = _listed(op, "parameters", parameters)
    if len({id(p) for p in owners}) != len(owners):
        fail(ArgumentError("a parameter is given twice", op=op))
    return [p for p in owners if p.grad is not None]


def _norm(x: Tensor, power: float) -> Tensor:
    """The norm of all elements as one vector."""
    if power == 2.0:
        return sqrt(sum(x * x))
    size = abs(x)
    if math.isinf(power):
        return amax(size) if power > 0 else amin(size)
    if power == 0.0:
        return sum(cast(x != 0.0, x.dtype))
    return sum(size**power) ** (1.0 / power)
