"""Normalisation of activations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lucid.eager import Recorded
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from lucid.functions.arguments import fail, number_of
from lucid.functions.elementwise import sqrt
from lucid.grad_modes import no_grad
from lucid.promotion import as_tensor, floating

if TYPE_CHECKING:
    from lucid.tensor import Tensor


def batch_norm(
    input: Any,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel (axis 1) shifted to mean 0 and scaled to variance 1, then ``* weight + bias``.

    In training, mean and variance are the batch's, and the running ones, if given, move towards them by ``momentum``
    (towards the unbiased variance, as in PyTorch); otherwise the running ones are used.

    Args:
        input: ``(N, C, ...)``.
        running_mean, running_var, weight, bias: ``(C,)``, or None.
        eps: added to the variance.

    Raises:
        ShapeError: too few axes, a statistic of the wrong shape, or, in training, only one value per channel.
        DTypeError: running statistics that are not floating.
        ArgumentError, ArgumentTypeError: one running statistic without the other, or none where they are needed;
            running statistics that are not tensors; ``eps`` or ``momentum`` that is not a number, or negative.

    >>> import lucid
    >>> batch_norm(lucid.tensor([[1.0], [3.0]]), None, None, training=True, eps=0)
    Tensor([[-1.0],
            [1.0]])
    """
    op = "batch_norm"
    x = floating(as_tensor(input, op, "input"))
    if x.ndim < 2:
        fail(ShapeError(f"input has shape {x.shape}, but it needs a batch and a channel axis", op=op))
    for name, statistic in (("running_mean", running_mean), ("running_var", running_var)):
        if statistic is not None:
            _require_statistic(op, name, statistic)
    if (running_mean is None) != (running_var is None):
        fail(ArgumentError("running_mean and running_var must be given together, or neither", op=op))
    eps = number_of(op, "eps", eps, 0)
    if not isinstance(momentum, Recorded):
        momentum = number_of(op, "momentum", momentum, 0, 1)
    weight = None if weight is None else as_tensor(weight, op, "weight")
    bias = None if bias is None else as_tensor(bias, op, "bias")
    channels = x.shape[1]
    named = (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias))
    for name, t in named:
        if t is not None and t.shape != (channels,):
            message = f"{name} has shape {t.shape}, but input has {channels} channels: it must be ({channels},)"
            fail(ShapeError(message, op=op))
    column = (1, -1) + (1,) * (x.ndim - 2)
    if not training:
        if running_mean is None or running_var is None:
            fail(ArgumentError("running_mean and running_var are needed when training=False", op=op))
        scale = 1.0 / sqrt(running_var + eps)
        scale = scale if weight is None else scale * weight
        shift = -(running_mean * scale)
        shift = shift if bias is None else shift + bias
        return x * scale.reshape(column) + shift.reshape(column)
    axes = (0, *range(2, x.ndim))
    count = x.size // max(channels, 1)
    if count <= 1:
        fail(
            ShapeError(
                f"input of shape {x.shape} has {count} value{'s' * (count != 1)} per channel: training needs more",
                op=op,
            )
        )
    mean = x.mean(axes, keepdims=True)
    var = x.var(axis=axes, keepdims=True)
    scale = 1.0 / sqrt(var + eps)
    if weight is not None:
        scale = scale * weight.reshape(column)
    if running_mean is not None and running_var is not None:
        with no_grad():
            unbiased = var.reshape(channels) * (count / (count - 1))
            running_mean.copy_(running_mean * (1.0 - momentum) + mean.reshape(channels) * momentum)
            running_var.copy_(running_var * (1.0 - momentum) + unbiased * momentum)
    y = (x - mean) * scale
    return y if bias is None else y + bias.reshape(column)


def _require_statistic(op: str, name: str, t: Any) -> None:
    """Running statistics are written to: they must be tensors, and able to hold fractions."""
    if not isinstance(t, Recorded):
        fail(ArgumentTypeError(f"{name} must be a tensor, which is updated, not {type(t).__name__}", op=op))
    if t.dtype.kind != "f":
        fail(DTypeError(f"{name} has dtype {t.dtype.name}, but it must be floating", op=op))
