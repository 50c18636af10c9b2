"""Normalisation of activations."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import TYPE_CHECKING, Any

from lucid.eager import Recorded
from lucid.errors import ArgumentError, ArgumentTypeError, DTypeError, ShapeError
from lucid.functions.arguments import fail, int_of, is_several, number_of
from lucid.functions.elementwise import sqrt
from lucid.functions.movement import pad
from lucid.grad_modes import no_grad
from lucid.ir.types import is_float, is_half, limits_of
from lucid.promotion import as_tensor, cast, floating, rounded_once, widened

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["batch_norm", "group_norm", "instance_norm", "layer_norm", "local_response_norm", "rms_norm"]


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
    (towards the unbiased variance, as in PyTorch); otherwise the running ones are used. An input without elements
    leaves them alone.

    Args:
        input: ``(N, C, ...)``, or ``(0,)``.
        running_mean, running_var, weight, bias: ``(C,)``, or None.
        eps: added to the variance.

    Raises:
        ShapeError: too few axes, a statistic of the wrong shape, or, in training, only one value per channel.
        DTypeError: running statistics that are not floating.
        ArgumentError, ArgumentTypeError: one running statistic without the other, or none where they are needed;
            running statistics that are not tensors; ``eps`` or ``momentum`` that is not a number.

    >>> import lucid
    >>> batch_norm(lucid.tensor([[1.0], [3.0]]), None, None, training=True, eps=0)
    Tensor([[-1.0],
            [1.0]])
    """
    op = "batch_norm"
    x = floating(as_tensor(input, op, "input"))
    if x.ndim < 2 and x.shape != (0,):
        fail(ShapeError(f"input has shape {x.shape}, but it needs a batch and a channel axis", op=op))
    for name, statistic in (("running_mean", running_mean), ("running_var", running_var)):
        if statistic is not None:
            _require_statistic(op, name, statistic)
    if (running_mean is None) != (running_var is None):
        fail(ArgumentError("running_mean and running_var must be given together, or neither", op=op))
    eps = number_of(op, "eps", eps)
    if not isinstance(momentum, Recorded):
        momentum = number_of(op, "momentum", momentum)
    weight = None if weight is None else as_tensor(weight, op, "weight")
    bias = None if bias is None else as_tensor(bias, op, "bias")
    channels = x.shape[1] if x.ndim > 1 else 0
    named = (("running_mean", running_mean), ("running_var", running_var), ("weight", weight), ("bias", bias))
    for name, t in named:
        if t is not None and t.shape != (channels,):
            message = f"{name} has shape {t.shape}, but input has {channels} channels: it must be ({channels},)"
            fail(ShapeError(message, op=op))
    if is_half(x.dtype):
        y = batch_norm(widened(x), running_mean, running_var, widened(weight), widened(bias), training, momentum, eps)
        return cast(y, x.dtype)
    column = (1, -1) + (1,) * (x.ndim - 2)
    if x.size == 0:
        return _affine(op, x, weight, bias, (channels,), column if x.ndim > 1 else None)
    if not training:
        if running_mean is None or running_var is None:
            fail(ArgumentError("running_mean and running_var are needed when training=False", op=op))
        scale: Tensor = 1.0 / sqrt(widened(running_var) + eps)
        scale = scale if weight is None else scale * weight
        shift: Tensor = -(widened(running_mean) * scale)
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
            running_mean.copy_(widened(running_mean) * (1.0 - momentum) + mean.reshape(channels) * momentum)
            running_var.copy_(widened(running_var) * (1.0 - momentum) + unbiased * momentum)
    y = (x - mean) * scale
    return y if bias is None else y + bias.reshape(column)


def _require_statistic(op: str, name: str, t: Any) -> None:
    """Running statistics are written to: they must be tensors, and able to hold fractions."""
    if not isinstance(t, Recorded):
        fail(ArgumentTypeError(f"{name} must be a tensor, which is updated, not {type(t).__name__}", op=op))
    if not is_float(t.dtype):
        fail(DTypeError(f"{name} has dtype {t.dtype.name}, but it must be floating", op=op))


@rounded_once
def layer_norm(input: Any, normalized_shape: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """The last dimensions together shifted to mean 0 and scaled to variance 1, then ``* weight + bias``: Ba et al.,
    arXiv:1607.06450.

    Args:
        input: ``(..., *normalized_shape)``.
        normalized_shape: sizes of the last dimensions; an int is one.
        weight, bias: of ``normalized_shape``, or None.
        eps: added to the variance.

    Raises:
        ShapeError: ``input`` does not end in ``normalized_shape``, or ``weight`` or ``bias`` has another shape.
        ArgumentError, ArgumentTypeError: sizes that are no ints; ``eps`` that is not a number.

    >>> import lucid
    >>> layer_norm(lucid.tensor([[1.0, 3.0]]), 2, eps=0)
    Tensor([[-1.0, 1.0]])
    """
    op = "layer_norm"
    x, shape = _ending_in(op, input, normalized_shape)
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    scale = 1.0 / sqrt(x.var(axis=axes, keepdims=True) + number_of(op, "eps", eps))
    y = (x - x.mean(axes, keepdims=True)) * scale
    return _affine(op, y, weight, bias, shape)


@rounded_once
def rms_norm(input: Any, normalized_shape: Any, weight: Any = None, eps: float | None = None) -> Tensor:
    """The last dimensions together scaled to a mean square of 1, then ``* weight``: Zhang & Sennrich, arXiv:1910.07467.

    Args:
        input: ``(..., *normalized_shape)``.
        normalized_shape: sizes of the last dimensions; an int is one.
        weight: of ``normalized_shape``, or None.
        eps: added to the mean square; the dtype's machine epsilon unless given.

    Raises:
        ShapeError: ``input`` does not end in ``normalized_shape``, or ``weight`` has another shape.
        ArgumentError, ArgumentTypeError: sizes that are no ints; ``eps`` that is not a number.

    >>> import lucid
    >>> rms_norm(lucid.tensor([3.0, 3.0]), 2, eps=0)
    Tensor([1.0, 1.0])
    """
    op = "rms_norm"
    x, shape = _ending_in(op, input, normalized_shape)
    axes = tuple(range(x.ndim - len(shape), x.ndim))
    least = float(limits_of(x.dtype).eps) if eps is None else number_of(op, "eps", eps)
    return _affine(op, x * (1.0 / sqrt((x * x).mean(axes, keepdims=True) + least)), weight, None, shape)


@rounded_once
def group_norm(input: Any, num_groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Tensor:
    """Each group of channels of each image shifted to mean 0 and scaled to variance 1, then ``* weight + bias``.

    Wu & He, arXiv:1803.08494.

    Args:
        input: ``(N, C, ...)``.
        num_groups: divides C.
        weight, bias: ``(C,)``, or None.
        eps: added to the variance.

    Raises:
        ShapeError: too few dimensions, or ``weight`` or ``bias`` of another shape.
        ArgumentError, ArgumentTypeError: ``num_groups`` does not divide C; ``eps`` that is not a number.

    >>> import lucid
    >>> group_norm(lucid.tensor([[1.0, 3.0, 10.0, 30.0]]), 2, eps=0)
    Tensor([[-1.0, 1.0, -1.0, 1.0]])
    """
    op = "group_norm"
    x, groups = floating(as_tensor(input, op, "input")), int_of(op, "num_groups", num_groups)
    if x.ndim < 2:
        fail(ShapeError(f"input has shape {x.shape}, but it needs a batch and a channel axis", op=op))
    channels = x.shape[1]
    if groups < 1 or channels % groups:
        fail(ArgumentError(f"num_groups={num_groups!r} must divide the {channels} channels of input {x.shape}", op=op))
    parts = x.reshape((x.shape[0], groups, prod(x.shape[1:]) // groups))
    scale = 1.0 / sqrt(parts.var(axis=2, keepdims=True) + number_of(op, "eps", eps))
    y = ((parts - parts.mean(2, keepdims=True)) * scale).reshape(x.shape)
    return _affine(op, y, weight, bias, (channels,), (1, -1, *(1,) * (x.ndim - 2)))


def instance_norm(
    input: Any,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Any = None,
    bias: Any = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Each channel of each image shifted to mean 0 and scaled to variance 1, then ``* weight + bias``: Ulyanov et al.,
    arXiv:1607.08022.

    Args:
        input: ``(N, C, ...)``.
        running_mean, running_var: ``(C,)``, or None; they move towards the batch's means of what is used.
        use_input_stats: whether the images' own statistics are used, or the running ones.
        weight, bias: ``(C,)``, or None.

    Raises:
        ShapeError, DTypeError, ArgumentError, ArgumentTypeError: as ``batch_norm``; one pixel per image.

    >>> import lucid
    >>> instance_norm(lucid.tensor([[[1.0, 3.0]]]), eps=0).tolist()
    [[[-1.0, 1.0]]]
    """
    op = "instance_norm"
    x = floating(as_tensor(input, op, "input"))
    if x.ndim < 3:
        fail(ShapeError(f"input has shape {x.shape}, but it must be (N, C, ...)", op=op))
    if is_half(x.dtype):
        affine = widened(weight), widened(bias)
        y = instance_norm(widened(x), running_mean, running_var, *affine, use_input_stats, momentum, eps)
        return cast(y, x.dtype)
    if not use_input_stats:
        return batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    images, channels = x.shape[:2]
    if images and prod(x.shape[2:]) == 1:
        fail(ShapeError(f"input of shape {x.shape} has one pixel per image and channel: it needs more", op=op))
    means = None if running_mean is None else running_mean.detach().repeat(images)
    variances = None if running_var is None else running_var.detach().repeat(images)
    flat = x.reshape((1, images * channels, *x.shape[2:]))
    y = batch_norm(flat, means, variances, None, None, True, momentum, eps).reshape(x.shape)
    if running_mean is not None and running_var is not None and means is not None and variances is not None:
        with no_grad():
            running_mean.copy_(means.reshape(images, channels).mean(0))
            running_var.copy_(variances.reshape(images, channels).mean(0))
    return _affine(op, y, weight, bias, (channels,), (1, -1, *(1,) * (x.ndim - 2)))


@rounded_once
def local_response_norm(input: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Tensor:
    """Each value divided by ``(k + alpha * mean of squares)**beta`` over ``size`` neighbouring channels: AlexNet's
    normalisation (Krizhevsky et al. 2012).

    Args:
        input: ``(N, C, ...)``; ``size // 2`` of the channels counted come before, and channels outside count as 0.

    Raises:
        ShapeError: fewer than 3 dimensions.
        ArgumentError, ArgumentTypeError: ``size`` below 1, or an argument that is not a number.

    >>> import lucid
    >>> local_response_norm(lucid.ones(1, 1, 1), 1, alpha=3.0, beta=0.5).item()
    0.5
    """
    op = "local_response_norm"
    x, count = floating(as_tensor(input, op, "input")), int_of(op, "size", size)
    if x.ndim < 3:
        fail(ShapeError(f"input has shape {x.shape}, but it must be (N, C, ...)", op=op))
    if count < 1:
        fail(ArgumentError(f"size={size!r} must be at least 1", op=op))
    a, b, c = (float(number_of(op, name, v)) for name, v in (("alpha", alpha), ("beta", beta), ("k", k)))
    squares = x * x
    sides = [(0, 0)] * x.ndim
    sides[1] = (count // 2, (count - 1) // 2)
    squares = pad(squares, sides)
    total = squares[:, : x.shape[1]]
    for shift in range(1, count):
        total = total + squares[:, shift : shift + x.shape[1]]
    return x / (total * (a / count) + c) ** b


def _ending_in(op: str, input: Any, normalized_shape: Any) -> tuple[Tensor, tuple[int, ...]]:
    """The input, and the sizes of the dimensions to normalise, which it must end in."""
    x = floating(as_tensor(input, op, "input"))
    given = tuple(normalized_shape) if is_several(normalized_shape) else (normalized_shape,)
    shape = tuple([int_of(op, "normalized_shape", n) for n in given])
    if not shape or x.shape[-len(shape) :] != shape:
        fail(ShapeError(f"input has shape {x.shape}, which does not end in normalized_shape={shape}", op=op))
    return x, shape


def _affine(
    op: str, y: Tensor, weight: Any, bias: Any, shape: tuple[int, ...], seen_as: Sequence[int] | None = None
) -> Tensor:
    """``y * weight + bias``, both of ``shape``."""
    for name, given in (("weight", weight), ("bias", bias)):
        if given is None:
            continue
        t = as_tensor(given, op, name)
        if t.shape != shape:
            fail(ShapeError(f"{name} has shape {t.shape}, but it must be {shape}", op=op))
        t = t if seen_as is None else t.reshape(tuple(seen_as))
        y = y * t if name == "weight" else y + t
    return y
