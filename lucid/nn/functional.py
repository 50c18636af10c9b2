"""Layers and losses as functions of tensors, composed from the public Tensor API; modules hold their parameters.

Error messages name the arguments a user passes. Images are NCHW, convolution weights OIHW.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lucid import ops
from lucid.eager import apply, mode
from lucid.errors import ArgumentError, DTypeError, IndexRangeError, ShapeError
from lucid.functions.arguments import axis_of, fail, int_of
from lucid.functions.elementwise import erf, exp, log1p, maximum, relu, sigmoid, sqrt, tanh, where
from lucid.functions.indexing import one_hot
from lucid.functions.linalg import matmul
from lucid.functions.movement import transpose
from lucid.functions.reductions import log_softmax, softmax
from lucid.grad_modes import no_grad
from lucid.ir.types import bool_
from lucid.promotion import as_tensor, floating
from lucid.random import next_key

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "avg_pool2d", "batch_norm", "conv2d", "cross_entropy", "dropout", "elu", "gelu", "l1_loss", "leaky_relu", "linear",
    "log_softmax", "max_pool2d", "mse_loss", "nll_loss", "one_hot", "relu", "sigmoid", "silu", "softmax", "softplus",
    "tanh",
]  # fmt: skip

Pair = tuple[int, int]
Reduction = Literal["mean", "sum", "none"]


def pair(op: str, argument: str, value: Any, least: int = 1) -> Pair:
    """An int, or one int each for height and width.

    Raises:
        ArgumentTypeError, ArgumentError: not ints, not two of them, or one below ``least``.
    """
    given = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value, value)
    if len(given) != 2:
        fail(ArgumentError(f"{argument}={value!r} must be an int or a pair of ints (height, width)", op=op))
    result = int_of(op, argument, given[0]), int_of(op, argument, given[1])
    if min(result) < least:
        rule = "must not be negative" if least == 0 else f"must be at least {least}"
        fail(ArgumentError(f"{argument}={value!r} {rule}", op=op))
    return result


def paddings(op: str, value: Any, kernel: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """``((top, bottom), (left, right))`` from 'same', 'valid', an int, a pair, or a pair of pairs.

    'same' pads ``dilation * (kernel - 1)`` pixels in all, the smaller half on the low side, so that the output has
    ``ceil(size / stride)`` pixels.
    """
    if isinstance(value, str):
        if value == "valid":
            return (0, 0), (0, 0)
        if value != "same":
            fail(ArgumentError(f"padding={value!r} must be 'same', 'valid', an int or a pair of ints", op=op))
        total = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return (total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2)
    if isinstance(value, Sequence) and len(value) == 2 and all(isinstance(v, Sequence) for v in value):
        return pair(op, "padding", value[0], 0), pair(op, "padding", value[1], 0)
    h, w = pair(op, "padding", value, 0)
    return (h, h), (w, w)


def _bias(op: str, y: Tensor, bias: Any, features: int, axis: int) -> Tensor:
    if bias is None:
        return y
    shift = as_tensor(bias, op)
    if shift.shape != (features,):
        fail(ShapeError(f"bias has shape {shift.shape}, but it must be ({features},), one per output", op=op))
    return y + (shift if axis == -1 else shift.reshape(1, -1, 1, 1))


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """``input @ weight.T + bias``: input ``(..., in)``, weight ``(out, in)``, bias ``(out,)``.

    Raises:
        ShapeError: the sizes do not fit.
    """
    input, weight = as_tensor(input, "linear"), as_tensor(weight, "linear")
    if weight.ndim != 2:
        fail(ShapeError(f"weight has shape {weight.shape}, but it must be (out_features, in_features)", op="linear"))
    if input.ndim == 0 or input.shape[-1] != weight.shape[1]:
        fail(
            ShapeError(
                f"input has shape {input.shape}, but its last size must be in_features={weight.shape[1]}",
                op="linear",
                hint="flatten images first: x.flatten(1)" if input.ndim > 2 else None,
            )
        )
    return _bias("linear", matmul(input, transpose(weight)), bias, weight.shape[0], -1)


def conv2d(
    input: Any, weight: Any, bias: Any = None, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: int = 1
) -> Tensor:
    """Cross-correlation of images ``(N, C, H, W)`` with weights ``(out_channels, C / groups, kH, kW)``.

    Args:
        stride, dilation: an int or (height, width).
        padding: an int, (height, width), ((top, bottom), (left, right)), 'valid' (none) or 'same' (output
            ``ceil(size / stride)``).
        groups: channels are split into so many groups that do not see each other.

    Raises:
        ShapeError, DTypeError, ArgumentError, ArgumentTypeError: arguments that do not fit; the message says which.

    >>> import lucid
    >>> conv2d(lucid.ones(1, 1, 3, 3), lucid.ones(1, 1, 2, 2)).shape
    (1, 1, 2, 2)
    """
    input, weight = as_tensor(input, "conv2d"), as_tensor(weight, "conv2d")
    if weight.ndim != 4:
        shape = "(out_channels, in_channels / groups, kH, kW)"
        fail(ShapeError(f"weight has shape {weight.shape}, but it must be {shape}", op="conv2d"))
    spread = pair("conv2d", "dilation", dilation)
    y = apply(
        ops.conv2d,
        input,
        weight,
        stride=pair("conv2d", "stride", stride),
        padding=paddings("conv2d", padding, weight.shape[2:], spread),
        dilation=spread,
        groups=int_of("conv2d", "groups", groups),
    )
    return _bias("conv2d", y, bias, weight.shape[0], 1)


def _pool_padding(op: str, padding: Any, kernel: Pair, dilation: Pair) -> tuple[Pair, Pair]:
    """Padding of a pooling: at most half a window, so that every window holds a real pixel."""
    sides = paddings(op, padding, kernel, dilation)
    for ends, k, d in zip(sides, kernel, dilation, strict=True):
        most = (d * (k - 1) + 1) // 2
        if k > 0 and max(ends) > most:
            fail(
                ArgumentError(
                    f"padding={padding!r} must be at most half of the window, {most} for kernel_size={kernel}", op=op
                )
            )
    return sides


def max_pool2d(input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1) -> Tensor:
    """The largest pixel of each window of ``(N, C, H, W)`` images; ``stride`` is ``kernel_size`` unless given."""
    kernel = pair("max_pool2d", "kernel_size", kernel_size)
    spread = pair("max_pool2d", "dilation", dilation)
    return apply(
        ops.max_pool2d,
        as_tensor(input, "max_pool2d"),
        kernel_size=kernel,
        stride=kernel if stride is None else pair("max_pool2d", "stride", stride),
        padding=_pool_padding("max_pool2d", padding, kernel, spread),
        dilation=spread,
    )


def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window of ``(N, C, H, W)`` images; ``stride`` is ``kernel_size`` unless given.

    ``count_include_pad=False`` divides by the number of real pixels in the window instead of its size.
    """
    kernel = pair("avg_pool2d", "kernel_size", kernel_size)
    return apply(
        ops.avg_pool2d,
        as_tensor(input, "avg_pool2d"),
        kernel_size=kernel,
        stride=kernel if stride is None else pair("avg_pool2d", "stride", stride),
        padding=_pool_padding("avg_pool2d", padding, kernel, (1, 1)),
        count_include_pad=bool(count_include_pad),
    )


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

    In training, mean and variance are the batch's, and the running ones move towards them by ``momentum`` (towards the
    unbiased variance, as in PyTorch); otherwise the running ones are used.

    Raises:
        ShapeError: too few axes, a statistic of the wrong shape, or, in training, only one value per channel.
    """
    op = "batch_norm"
    x = floating(as_tensor(input, op))
    if x.ndim < 2:
        fail(ShapeError(f"input has shape {x.shape}, but it needs a batch and a channel axis", op=op))
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
        fail(ShapeError(f"input of shape {x.shape} has {count} value per channel: training needs more", op=op))
    mean = x.mean(axes, keepdims=True)
    centred = x - mean
    var = (centred * centred).mean(axes, keepdims=True)
    scale = 1.0 / sqrt(var + eps)
    if weight is not None:
        scale = scale * weight.reshape(column)
    if running_mean is not None and running_var is not None:
        with no_grad():
            unbiased = var.reshape(channels) * (count / (count - 1))
            running_mean.copy_(running_mean * (1.0 - momentum) + mean.reshape(channels) * momentum)
            running_var.copy_(running_var * (1.0 - momentum) + unbiased * momentum)
    y = centred * scale
    return y if bias is None else y + bias.reshape(column)


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Elements set to 0 with probability ``p``, the others scaled by ``1 / (1 - p)``; the identity if not training."""
    x = as_tensor(input, "dropout")
    if not isinstance(p, int | float) or not 0 <= p <= 1:
        fail(ArgumentError(f"p={p!r} must be a probability, from 0 to 1", op="dropout"))
    if not training or p == 0:
        return x
    x = floating(x)
    draw = apply(ops.random_uniform, next_key(), shape=x.shape, dtype=x.dtype)
    scaled = x * (1.0 / (1.0 - p)) if p < 1 else x
    return where(draw >= p, scaled, 0.0)


# --- activations ---


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """``x`` where positive, else ``negative_slope * x``."""
    x = floating(as_tensor(input, "leaky_relu"))
    return where(x > 0, x, x * float(negative_slope))


def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``."""
    x = floating(as_tensor(input, "elu"))
    return where(x > 0, x, apply(ops.expm1, x.minimum(0.0)) * float(alpha))


def silu(input: Any) -> Tensor:
    """``x * sigmoid(x)``."""
    x = floating(as_tensor(input, "silu"))
    return x * sigmoid(x)


def gelu(input: Any) -> Tensor:
    """``x`` times the normal distribution's probability of being below ``x``."""
    x = floating(as_tensor(input, "gelu"))
    return x * (erf(x * 0.7071067811865476) + 1.0) * 0.5


def softplus(input: Any) -> Tensor:
    """``log(1 + exp(x))``, without overflow."""
    x = floating(as_tensor(input, "softplus"))
    return maximum(x, 0.0) + log1p(exp(-x.abs()))


# --- losses ---


def _reduced(op: str, loss: Tensor, reduction: str) -> Tensor:
    if reduction == "mean":
        return loss.mean()
    if reduction == "sum":
        return loss.sum()
    if reduction != "none":
        fail(ArgumentError(f"reduction={reduction!r} must be 'mean', 'sum' or 'none'", op=op))
    return loss


def _same_shape(op: str, input: Any, target: Any) -> tuple[Tensor, Tensor]:
    input, target = as_tensor(input, op), as_tensor(target, op)
    if input.shape != target.shape:
        fail(
            ShapeError(
                f"input has shape {input.shape} and target {target.shape}: they must be equal",
                op=op,
                hint="broadcasting here is usually a mistake; reshape one of them",
            )
        )
    return input, target


def mse_loss(input: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """The squared difference, averaged, summed, or element by element."""
    input, target = _same_shape("mse_loss", input, target)
    difference = floating(input - target)
    return _reduced("mse_loss", difference * difference, reduction)


def l1_loss(input: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """The absolute difference, averaged, summed, or element by element."""
    input, target = _same_shape("l1_loss", input, target)
    return _reduced("l1_loss", floating(input - target).abs(), reduction)


def cross_entropy(
    input: Any,
    target: Any,
    reduction: Reduction = "mean",
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
) -> Tensor:
    """The negative log-likelihood of ``target`` under ``softmax(input)``.

    Args:
        input: scores ``(N, C)``, ``(C,)`` or ``(N, C, ...)``, floating.
        target: classes, integers of ``input``'s shape without ``C``; or probabilities of ``input``'s own shape.
        reduction: 'mean' (over targets that are not ignored), 'sum' or 'none'.
        ignore_index: targets of this value count nothing.
        label_smoothing: this much probability is spread evenly over all classes.

    Raises:
        ShapeError, DTypeError: scores and targets do not fit.
        IndexRangeError: a target is not a class (a compiled function gives NaN there instead).

    >>> import lucid
    >>> cross_entropy(lucid.zeros(2, 4), lucid.tensor([0, 3]))
    Tensor(1.3862944)
    """
    op = "cross_entropy"
    input, target = as_tensor(input, op), as_tensor(target, op)
    if input.ndim == 0:
        fail(ShapeError("input has shape (), but it needs a class axis", op=op))
    if not isinstance(label_smoothing, int | float) or not 0 <= label_smoothing <= 1:
        fail(ArgumentError(f"label_smoothing={label_smoothing!r} must lie in 0 .. 1", op=op))
    axis = 0 if input.ndim == 1 else 1
    log_probabilities = log_softmax(floating(input), axis)
    if target.dtype.kind == "f":
        if target.shape != input.shape:
            fail(
                ShapeError(
                    f"target has shape {target.shape} and a floating dtype: as probabilities it needs "
                    f"input's shape {input.shape}",
                    op=op,
                    hint="classes are integers: target.astype(lucid.int64)",
                )
            )
        smooth = target * (1.0 - label_smoothing) + label_smoothing / max(input.shape[axis], 1)
        losses = -(log_probabilities * (smooth if label_smoothing else target)).sum(axis)
        return losses.sum() / max(losses.size, 1) if reduction == "mean" else _reduced(op, losses, reduction)
    return _from_classes(op, log_probabilities, target, axis, reduction, ignore_index, float(label_smoothing))


def nll_loss(input: Any, target: Any, reduction: Reduction = "mean", ignore_index: int = -100) -> Tensor:
    """As ``cross_entropy``, of log-probabilities that are already normalised."""
    input = floating(as_tensor(input, "nll_loss"))
    axis = 0 if input.ndim == 1 else axis_of("nll_loss", 1, input.ndim)
    return _from_classes("nll_loss", input, as_tensor(target, "nll_loss"), axis, reduction, ignore_index, 0.0)


def _from_classes(
    op: str, log_probabilities: Tensor, target: Tensor, axis: int, reduction: str, ignore_index: int, smoothing: float
) -> Tensor:
    shape = log_probabilities.shape
    classes, wanted = shape[axis], shape[:axis] + shape[axis + 1 :]
    if target.dtype.kind not in "iu":
        fail(DTypeError(f"target has dtype {target.dtype.name}, but classes must be integers", op=op))
    if target.shape != wanted:
        fail(ShapeError(f"target has shape {target.shape}, but input {shape} needs {wanted}: one class each", op=op))
    ignored = target == ignore_index if np.can_cast(np.min_scalar_type(ignore_index), target.dtype) else None
    if mode.trace is None:
        _require_classes(op, target, classes, ignore_index)
    hot = one_hot(target, classes, bool_)
    if axis != hot.ndim - 1:
        hot = hot.moveaxis(-1, axis)
    # Chosen, not multiplied: the log-probability of a class that is not the target may be -inf.
    losses = -where(hot, log_probabilities, 0.0).sum(axis)
    if smoothing:
        losses = losses * (1.0 - smoothing) - log_probabilities.mean(axis) * smoothing
    if mode.trace is not None:  # nobody can look at the values here, but they must not pass in silence
        losses = where((target >= 0) & (target < classes), losses, float("nan"))
    if ignored is None:
        return _reduced(op, losses, reduction)
    losses = where(ignored, 0.0, losses)
    if reduction != "mean":
        return _reduced(op, losses, reduction)
    return losses.sum() / (~ignored).astype(losses.dtype).sum()


def _require_classes(op: str, target: Tensor, classes: int, ignore_index: int) -> None:
    values = target._data
    bad = ((values < 0) | (values >= classes)) & (values != ignore_index)
    if bad.any():
        fail(
            IndexRangeError(
                f"target holds {values[bad].flat[0]}, but input has {classes} classes: 0 .. {classes - 1}",
                op=op,
                hint=f"targets to leave out are marked by ignore_index={ignore_index}",
            )
        )
