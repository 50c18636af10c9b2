"""Layers and losses as functions of tensors, composed from the public Tensor API; modules hold their parameters.

Error messages name the arguments a user passes. Images are NCHW, convolution weights OIHW.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from lucid import ops
from lucid.eager import Recorded, apply, mode
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, IndexRangeError, ShapeError
from lucid.functions.arguments import fail, int_of, is_several, number_of
from lucid.functions.elementwise import clip, erf, exp, log1p, maximum, relu, sigmoid, sqrt, tanh, where
from lucid.functions.indexing import one_hot
from lucid.functions.linalg import matmul
from lucid.functions.movement import transpose
from lucid.functions.reductions import log_softmax, softmax
from lucid.grad_modes import no_grad
from lucid.ir.types import bool_
from lucid.ops.common import require_same_dtype
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
    given = tuple(value) if is_several(value) else (value, value)
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
    if is_several(value) and len(value) == 2 and all(map(is_several, value)):
        return pair(op, "padding", value[0], 0), pair(op, "padding", value[1], 0)
    h, w = pair(op, "padding", value, 0)
    return (h, h), (w, w)


def _bias(op: str, y: Tensor, bias: Any, features: int, axis: int) -> Tensor:
    if bias is None:
        return y
    shift = as_tensor(bias, op, "bias")
    _one_dtype(op, output=y, bias=shift)
    if shift.shape != (features,):
        fail(ShapeError(f"bias has shape {shift.shape}, but it must be ({features},), one per output", op=op))
    return y + (shift if axis == -1 else shift.reshape(1, -1, 1, 1))


def _one_dtype(op: str, **tensors: Tensor) -> None:
    """Layers do not promote: a float64 image in a float32 model is a mistake, and would slow down all that follows."""
    try:
        require_same_dtype(op, **{name: t.type for name, t in tensors.items()})
    except DTypeError as error:
        fail(error)


def linear(input: Any, weight: Any, bias: Any = None) -> Tensor:
    """``input @ weight.T + bias``: input ``(..., in)``, weight ``(out, in)``, bias ``(out,)``, all of one dtype.

    Raises:
        ShapeError: the sizes do not fit.
        DTypeError: more than one dtype.

    >>> import lucid
    >>> linear(lucid.tensor([[1.0, 2.0]]), lucid.tensor([[3.0, 4.0]]), lucid.tensor([0.5]))
    Tensor([[11.5]])
    """
    input, weight = as_tensor(input, "linear", "input"), as_tensor(weight, "linear", "weight")
    _one_dtype("linear", input=input, weight=weight)
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
    input, weight = as_tensor(input, "conv2d", "input"), as_tensor(weight, "conv2d", "weight")
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
    """The largest pixel of each window of ``(N, C, H, W)`` images; padding counts as -inf.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv2d``, at most half a window on each side.
        dilation: steps between the pixels of a window.

    Raises:
        ShapeError: ``input`` has not 4 dimensions, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> max_pool2d(lucid.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[[[5.0, 7.0], [13.0, 15.0]]]]
    """
    kernel = pair("max_pool2d", "kernel_size", kernel_size)
    spread = pair("max_pool2d", "dilation", dilation)
    return apply(
        ops.max_pool2d,
        as_tensor(input, "max_pool2d", "input"),
        kernel_size=kernel,
        stride=kernel if stride is None else pair("max_pool2d", "stride", stride),
        padding=_pool_padding("max_pool2d", padding, kernel, spread),
        dilation=spread,
    )


def avg_pool2d(
    input: Any, kernel_size: Any, stride: Any = None, padding: Any = 0, count_include_pad: bool = True
) -> Tensor:
    """The mean of each window of ``(N, C, H, W)`` images; padding counts as 0.

    Args:
        kernel_size: the window, an int or (height, width).
        stride: steps between windows; ``kernel_size`` unless given.
        padding: as for ``conv2d``, at most half a window on each side.
        count_include_pad: whether to divide by the window's size, or only by the number of real pixels in it.

    Raises:
        ShapeError: ``input`` has not 4 dimensions, or is smaller than a window.
        DTypeError: ``input`` is not floating.
        ArgumentError, ArgumentTypeError: not ints, or out of these rules.

    >>> import lucid
    >>> avg_pool2d(lucid.arange(16.0).reshape(1, 1, 4, 4), 2).tolist()
    [[[[2.5, 4.5], [10.5, 12.5]]]]
    """
    kernel = pair("avg_pool2d", "kernel_size", kernel_size)
    return apply(
        ops.avg_pool2d,
        as_tensor(input, "avg_pool2d", "input"),
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


def dropout(input: Any, p: float = 0.5, training: bool = True) -> Tensor:
    """Elements set to 0 with probability ``p``, the others scaled by ``1 / (1 - p)``; the identity if not training.

    Raises:
        ArgumentError, ArgumentTypeError: ``p`` is not a number from 0 to 1.

    >>> import lucid
    >>> dropout(lucid.ones(3), 1.0), dropout(lucid.ones(3), 0.5, training=False)
    (Tensor([0.0, 0.0, 0.0]), Tensor([1.0, 1.0, 1.0]))
    """
    x = as_tensor(input, "dropout", "input")
    p = number_of("dropout", "p", p, 0, 1, ": it is a probability")
    if not training or p == 0:
        return x
    x = floating(x)
    draw = apply(ops.random_uniform, next_key(), shape=x.shape, dtype=x.dtype)
    scaled = x * (1.0 / (1.0 - p)) if p < 1 else x
    return where(draw >= p, scaled, 0.0)


# --- activations ---


def relu6(input: Any) -> Tensor:
    """``x`` between 0 and 6: MobileNet's activation (Sandler et al. 2018).

    >>> import lucid
    >>> relu6(lucid.tensor([-1.0, 2.0, 8.0]))
    Tensor([0.0, 2.0, 6.0])
    """
    return clip(as_tensor(input, "relu6", "input"), 0, 6)


def leaky_relu(input: Any, negative_slope: float = 0.01) -> Tensor:
    """``x`` where positive, else ``negative_slope * x``.

    Raises:
        ArgumentTypeError: ``negative_slope`` is not a number.

    >>> import lucid
    >>> leaky_relu(lucid.tensor([-4.0, 2.0]), 0.5)
    Tensor([-2.0, 2.0])
    """
    x = floating(as_tensor(input, "leaky_relu", "input"))
    return where(x > 0, x, x * float(number_of("leaky_relu", "negative_slope", negative_slope)))


def elu(input: Any, alpha: float = 1.0) -> Tensor:
    """``x`` where positive, else ``alpha * (exp(x) - 1)``.

    Raises:
        ArgumentTypeError: ``alpha`` is not a number.

    >>> import lucid
    >>> elu(lucid.tensor([float("-inf"), 0.0, 2.0]))
    Tensor([-1.0, 0.0, 2.0])
    """
    x = floating(as_tensor(input, "elu", "input"))
    return where(x > 0, x, apply(ops.expm1, x.minimum(0.0)) * float(number_of("elu", "alpha", alpha)))


def silu(input: Any) -> Tensor:
    """``x * sigmoid(x)``.

    >>> import lucid
    >>> silu(lucid.tensor([0.0]))
    Tensor([0.0])
    """
    x = floating(as_tensor(input, "silu", "input"))
    return x * sigmoid(x)


def gelu(input: Any) -> Tensor:
    """``x`` times the normal distribution's probability of being below ``x``.

    >>> import lucid
    >>> gelu(lucid.tensor([0.0, 20.0]))
    Tensor([0.0, 20.0])
    """
    x = floating(as_tensor(input, "gelu", "input"))
    return x * (erf(x * 0.7071067811865476) + 1.0) * 0.5


def softplus(input: Any) -> Tensor:
    """``log(1 + exp(x))``, without overflow.

    >>> import lucid
    >>> softplus(lucid.tensor([0.0, 1000.0]))
    Tensor([0.6931472, 1000.0])
    """
    x = floating(as_tensor(input, "softplus", "input"))
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
    input, target = floating(as_tensor(input, op, "input")), floating(as_tensor(target, op, "target"))
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
    """The squared difference of two tensors of one shape, averaged, summed, or element by element.

    Raises:
        ShapeError: two shapes.
        ArgumentError: an unknown ``reduction``.

    >>> import lucid
    >>> mse_loss(lucid.tensor([1.0, 2.0]), lucid.tensor([1.0, 4.0]))
    Tensor(2.0)
    """
    input, target = _same_shape("mse_loss", input, target)
    difference = input - target
    return _reduced("mse_loss", difference * difference, reduction)


def l1_loss(input: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """The absolute difference of two tensors of one shape, averaged, summed, or element by element.

    Raises:
        ShapeError: two shapes.
        ArgumentError: an unknown ``reduction``.

    >>> import lucid
    >>> l1_loss(lucid.tensor([1.0, 2.0]), lucid.tensor([1.0, 4.0]))
    Tensor(1.0)
    """
    input, target = _same_shape("l1_loss", input, target)
    return _reduced("l1_loss", (input - target).abs(), reduction)


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
        ArgumentError, ArgumentTypeError: an unknown ``reduction``, ``label_smoothing`` outside 0 .. 1, or an
            ``ignore_index`` that is not an int.

    >>> import lucid
    >>> cross_entropy(lucid.zeros(2, 4), lucid.tensor([0, 3]))
    Tensor(1.3862944)
    """
    op = "cross_entropy"
    input, target = as_tensor(input, op, "input"), as_tensor(target, op, "target")
    if input.ndim == 0:
        fail(ShapeError("input has shape (), but it needs a class axis", op=op))
    label_smoothing = number_of(op, "label_smoothing", label_smoothing, 0, 1)
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
    """As ``cross_entropy``, of log-probabilities ``(N, C)``, ``(C,)`` or ``(N, C, ...)`` and of classes.

    Raises:
        ShapeError, DTypeError, IndexRangeError, ArgumentError: as ``cross_entropy``.

    >>> import lucid
    >>> nll_loss(lucid.tensor([[-1.0, -2.0], [-3.0, -4.0]]), lucid.tensor([1, 0]))
    Tensor(2.5)
    """
    op = "nll_loss"
    input, target = floating(as_tensor(input, op, "input")), as_tensor(target, op, "target")
    if input.ndim == 0:
        fail(ShapeError("input has shape (), but it needs a class axis", op=op))
    return _from_classes(op, input, target, 0 if input.ndim == 1 else 1, reduction, ignore_index, 0.0)


def _from_classes(
    op: str, log_probabilities: Tensor, target: Tensor, axis: int, reduction: str, ignore_index: int, smoothing: float
) -> Tensor:
    ignore_index = int_of(op, "ignore_index", ignore_index)
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
