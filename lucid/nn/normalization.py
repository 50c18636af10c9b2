"""Normalisation layers: of batches (Ioffe & Szegedy, arXiv:1502.03167), of instances, groups and layers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import fail, int_of, is_several
from lucid.functions.creation import ones, zeros
from lucid.ir.types import int64
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, number, positive
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.nn.place import Place, placed
from lucid.promotion import as_tensor
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _TrackingNorm(Module):
    """Parameters and running statistics of normalised channels."""

    #: Shapes that a call takes, by their number of dimensions.
    shapes: ClassVar[dict[int, str]]

    weight: Parameter | None
    bias: Parameter | None
    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
        *,
        bias: bool = True,
        **place: Unpack[Place],
    ):
        super().__init__()
        op = type(self).__name__
        self.num_features = positive(op, "num_features", num_features)
        self.eps = number(op, "eps", eps)
        self.momentum = None if momentum is None else number(op, "momentum", momentum, 0, 1)
        self.affine = flag(op, "affine", affine)
        self.track_running_stats = flag(op, "track_running_stats", track_running_stats)
        c, tracked, made = self.num_features, self.track_running_stats, placed(op, place)
        self.register_parameter("weight", Parameter(ones(c, **made)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(c, **made)) if flag(op, "bias", bias) and affine else None)
        self.register_buffer("running_mean", zeros(c, **made) if tracked else None)
        self.register_buffer("running_var", ones(c, **made) if tracked else None)
        self.register_buffer("num_batches_tracked", zeros(dtype=int64) if tracked else None)

    _optional = frozenset(("num_batches_tracked",))

    def reset_running_stats(self) -> None:
        """Forget what was tracked."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Forget what was tracked and learned."""
        self.reset_running_stats()
        _reset(self.weight, self.bias)

    def _checked(self, op: str, input: Tensor) -> Tensor:
        """The input, of a shape that this layer takes."""
        input = as_tensor(input, op, "input")
        if input.ndim not in self.shapes:
            wanted = " or ".join(self.shapes.values())
            fail(ShapeError(f"input has shape {input.shape}, but it must be {wanted}", op=op))
        return input

    def _require_channels(self, op: str, input: Tensor) -> None:
        if input.shape[1] != self.num_features:
            fail(
                ShapeError(
                    f"input of shape {input.shape} has {input.shape[1]} channels, "
                    f"but num_features={self.num_features} are expected",
                    op=op,
                )
            )

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )


class _BatchNorm(_TrackingNorm):
    def forward(self, input: Tensor) -> Tensor:
        input = self._checked("batch_norm", input)
        self._require_channels("batch_norm", input)
        momentum = self.momentum
        if self.training and self.running_mean is not None and self.num_batches_tracked is not None:
            self.num_batches_tracked.copy_(self.num_batches_tracked + 1)
            if momentum is None:
                momentum = 1.0 / self.num_batches_tracked.astype(self.running_mean.dtype)  # type: ignore[assignment]  # a 0-d tensor is a number
        return F.batch_norm(
            input,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            training=self.training or self.running_mean is None,
            momentum=0.0 if momentum is None else momentum,
            eps=self.eps,
        )


class BatchNorm1d(_BatchNorm):
    """Each channel of ``(N, C)`` or ``(N, C, L)`` shifted to mean 0 and scaled to variance 1, then ``* weight + bias``.

    In training, mean and variance are those of the batch, and the running statistics move towards them (the running
    variance towards the unbiased one, as in PyTorch). In evaluation the running statistics are used.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: how far running statistics move in a step; None averages all batches equally.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros at first), both ``(C,)``.
        track_running_stats: whether there are running statistics; without, evaluation uses the batch's too.
        bias: whether an affine layer has a ``bias``.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: ``num_features`` below 1, ``eps`` negative, ``momentum`` outside 0 .. 1.
        ShapeError: when called, with an input of the wrong rank or channels, or, in training, one value per channel.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> norm = nn.BatchNorm1d(2)
    >>> y = norm(lucid.randn(4, 2))
    >>> norm.num_batches_tracked.item()
    1
    """

    shapes: ClassVar[dict[int, str]] = {2: "(N, C)", 3: "(N, C, L)"}


class BatchNorm2d(_BatchNorm):
    """Each channel of ``(N, C, H, W)`` shifted to mean 0 and scaled to variance 1, then ``* weight + bias``.

    In training, mean and variance are those of the batch, and the running statistics move towards them (the running
    variance towards the unbiased one, as in PyTorch). In evaluation the running statistics are used.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: how far running statistics move in a step; None averages all batches equally.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros at first), both ``(C,)``.
        track_running_stats: whether there are running statistics; without, evaluation uses the batch's too.
        bias: whether an affine layer has a ``bias``.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: ``num_features`` below 1, ``eps`` negative, ``momentum`` outside 0 .. 1.
        ShapeError: when called, with an input of the wrong rank or channels, or, in training, one value per channel.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> norm = nn.BatchNorm2d(2)
    >>> y = norm(lucid.randn(4, 2, 3, 3))
    >>> norm.num_batches_tracked.item()
    1
    """

    shapes: ClassVar[dict[int, str]] = {4: "(N, C, H, W)"}


class BatchNorm3d(_BatchNorm):
    """Each channel of ``(N, C, D, H, W)`` shifted to mean 0 and scaled to variance 1, then ``* weight + bias``.

    In training, mean and variance are those of the batch, and the running statistics move towards them (the running
    variance towards the unbiased one, as in PyTorch). In evaluation the running statistics are used.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: how far running statistics move in a step; None averages all batches equally.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros at first), both ``(C,)``.
        track_running_stats: whether there are running statistics; without, evaluation uses the batch's too.
        bias: whether an affine layer has a ``bias``.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: ``num_features`` below 1, ``eps`` negative, ``momentum`` outside 0 .. 1.
        ShapeError: when called, with an input of the wrong rank or channels, or, in training, one value per channel.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> norm = nn.BatchNorm3d(2)
    >>> y = norm(lucid.randn(4, 2, 2, 3, 3))
    >>> norm.num_batches_tracked.item()
    1
    """

    shapes: ClassVar[dict[int, str]] = {5: "(N, C, D, H, W)"}


class _InstanceNorm(_TrackingNorm):
    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        *,
        bias: bool = True,
        **place: Unpack[Place],
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats, bias=bias, **place)

    def forward(self, input: Tensor) -> Tensor:
        op = "instance_norm"
        input = self._checked(op, input)
        alone = input.ndim == min(self.shapes)
        batch = input.unsqueeze(0) if alone else input
        if self.affine or self.track_running_stats:
            self._require_channels(op, batch)
        y = F.instance_norm(
            batch,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or self.running_mean is None,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )
        return y.squeeze(0) if alone else y


class InstanceNorm1d(_InstanceNorm):
    """Each channel of each of ``(N, C, L)``, or of ``(C, L)``, shifted to mean 0 and scaled to variance 1.

    Ulyanov et al., arXiv:1607.08022.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: how far running statistics move in a step.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros at first), both ``(C,)``.
        track_running_stats: whether there are running statistics, which evaluation uses instead of the input's.
        bias: whether an affine layer has a ``bias``.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: ``num_features`` below 1, ``eps`` negative, ``momentum`` outside 0 .. 1.
        ShapeError: when called, with an input of the wrong rank or channels, or of one pixel.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.InstanceNorm1d(2)(lucid.randn(4, 2, 5)).shape == lucid.randn(4, 2, 5).shape
    True
    """

    shapes: ClassVar[dict[int, str]] = {3: "(N, C, L)", 2: "(C, L)"}


class InstanceNorm2d(_InstanceNorm):
    """Each channel of each of ``(N, C, H, W)``, or of ``(C, H, W)``, shifted to mean 0 and scaled to variance 1.

    Ulyanov et al., arXiv:1607.08022.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: how far running statistics move in a step.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros at first), both ``(C,)``.
        track_running_stats: whether there are running statistics, which evaluation uses instead of the input's.
        bias: whether an affine layer has a ``bias``.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: ``num_features`` below 1, ``eps`` negative, ``momentum`` outside 0 .. 1.
        ShapeError: when called, with an input of the wrong rank or channels, or of one pixel.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.InstanceNorm2d(2)(lucid.randn(4, 2, 3, 3)).shape == lucid.randn(4, 2, 3, 3).shape
    True
    """

    shapes: ClassVar[dict[int, str]] = {4: "(N, C, H, W)", 3: "(C, H, W)"}


class InstanceNorm3d(_InstanceNorm):
    """Each channel of each of ``(N, C, D, H, W)``, or of ``(C, D, H, W)``, shifted to mean 0 and scaled to variance 1.

    Ulyanov et al., arXiv:1607.08022.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: how far running statistics move in a step.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros at first), both ``(C,)``.
        track_running_stats: whether there are running statistics, which evaluation uses instead of the input's.
        bias: whether an affine layer has a ``bias``.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: ``num_features`` below 1, ``eps`` negative, ``momentum`` outside 0 .. 1.
        ShapeError: when called, with an input of the wrong rank or channels, or of one pixel.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.InstanceNorm3d(2)(lucid.randn(4, 2, 2, 3, 3)).shape == lucid.randn(4, 2, 2, 3, 3).shape
    True
    """

    shapes: ClassVar[dict[int, str]] = {5: "(N, C, D, H, W)", 4: "(C, D, H, W)"}


class LayerNorm(Module):
    """The last dimensions together shifted to mean 0 and scaled to variance 1, then ``* weight + bias``: Ba et al.,
    arXiv:1607.06450.

    Args:
        normalized_shape: sizes of the last dimensions; an int is one.
        eps: added to the variance.
        elementwise_affine: whether there is ``weight``, ones at first, of ``normalized_shape``.
        bias: whether there is ``bias`` with it, zeros at first.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1 or no ints; ``eps`` negative.
        ShapeError: when called, with an input that does not end in ``normalized_shape``.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.LayerNorm(2, eps=0.0)(lucid.tensor([[1.0, 3.0]])).detach()
    Tensor([[-1.0, 1.0]])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        normalized_shape: Any,
        eps: float = 1e-5,
        elementwise_affine: bool = True,
        bias: bool = True,
        **place: Unpack[Place],
    ):
        super().__init__()
        op = "LayerNorm"
        self.normalized_shape = _sizes(op, normalized_shape)
        self.eps = number(op, "eps", eps)
        self.elementwise_affine = flag(op, "elementwise_affine", elementwise_affine)
        shift = flag(op, "bias", bias) and elementwise_affine
        made = placed(op, place)
        weight = Parameter(ones(self.normalized_shape, **made)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        self.register_parameter("bias", Parameter(zeros(self.normalized_shape, **made)) if shift else None)

    def reset_parameters(self) -> None:
        """Forget what was learned."""
        _reset(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        return F.layer_norm(input, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class RMSNorm(Module):
    """The last dimensions together scaled to a mean square of 1, then ``* weight``: Zhang & Sennrich, arXiv:1910.07467.

    Args:
        normalized_shape: sizes of the last dimensions; an int is one.
        eps: added to the mean square; the dtype's machine epsilon unless given.
        elementwise_affine: whether there is ``weight``, ones at first, of ``normalized_shape``.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1 or no ints; ``eps`` negative.
        ShapeError: when called, with an input that does not end in ``normalized_shape``.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.RMSNorm(2, eps=0.0)(lucid.tensor([3.0, 3.0])).detach()
    Tensor([1.0, 1.0])
    """

    weight: Parameter | None

    def __init__(
        self,
        normalized_shape: Any,
        eps: float | None = None,
        elementwise_affine: bool = True,
        **place: Unpack[Place],
    ):
        super().__init__()
        op = "RMSNorm"
        self.normalized_shape = _sizes(op, normalized_shape)
        self.eps = None if eps is None else number(op, "eps", eps)
        self.elementwise_affine = flag(op, "elementwise_affine", elementwise_affine)
        made = placed(op, place)
        weight = Parameter(ones(self.normalized_shape, **made)) if elementwise_affine else None
        self.register_parameter("weight", weight)

    def reset_parameters(self) -> None:
        """Forget what was learned."""
        _reset(self.weight, None)

    def forward(self, input: Tensor) -> Tensor:
        return F.rms_norm(input, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"


class GroupNorm(Module):
    """Channels of ``(N, C, ...)`` in groups, each group of each image shifted to mean 0 and scaled to variance 1, then
    ``* weight + bias``: Wu & He, arXiv:1803.08494.

    Args:
        num_groups: divides ``num_channels``.
        num_channels: C.
        eps: added to the variance.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros at first), both ``(C,)``.
        bias: whether an affine layer has a ``bias``.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: numbers below 1, groups that do not divide the channels, ``eps`` negative.
        ShapeError: when called, with other channels.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.GroupNorm(2, 4, eps=0.0)(lucid.tensor([[1.0, 3.0, 10.0, 30.0]])).detach()
    Tensor([[-1.0, 1.0, -1.0, 1.0]])
    """

    weight: Parameter | None
    bias: Parameter | None

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        affine: bool = True,
        *,
        bias: bool = True,
        **place: Unpack[Place],
    ):
        super().__init__()
        op = "GroupNorm"
        self.num_groups = positive(op, "num_groups", num_groups)
        self.num_channels = positive(op, "num_channels", num_channels)
        if num_channels % num_groups:
            fail(ArgumentError(f"num_groups={num_groups} must divide num_channels={num_channels}", op=op))
        self.eps = number(op, "eps", eps)
        self.affine = flag(op, "affine", affine)
        made = placed(op, place)
        self.register_parameter("weight", Parameter(ones(num_channels, **made)) if affine else None)
        biased = flag(op, "bias", bias) and self.affine
        self.register_parameter("bias", Parameter(zeros(num_channels, **made)) if biased else None)

    def reset_parameters(self) -> None:
        """Forget what was learned."""
        _reset(self.weight, self.bias)

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor(input, "group_norm", "input")
        if input.ndim < 2 or input.shape[1] != self.num_channels:
            fail(
                ShapeError(
                    f"input has shape {input.shape}, but it must be (N, {self.num_channels}, ...)", op="group_norm"
                )
            )
        return F.group_norm(input, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LocalResponseNorm(Module):
    """Each value of ``(N, C, ...)`` divided by ``(k + alpha * mean of squares)**beta`` of ``size`` channels around.

    AlexNet's normalisation: Krizhevsky et al. 2012.

    Raises:
        ArgumentError, ArgumentTypeError: ``size`` below 1, or an argument that is not a number.
        ShapeError: when called, with fewer than 3 dimensions.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.LocalResponseNorm(1, alpha=3.0, beta=0.5)(lucid.ones(1, 1, 1)).item()
    0.5
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        op = "LocalResponseNorm"
        self.size = positive(op, "size", size)
        self.alpha = number(op, "alpha", alpha, float("-inf"))
        self.beta = number(op, "beta", beta, float("-inf"))
        self.k = number(op, "k", k, float("-inf"))

    def forward(self, input: Tensor) -> Tensor:
        return F.local_response_norm(input, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def _sizes(op: str, given: Any) -> tuple[int, ...]:
    """Sizes of dimensions, of which there is at least one."""
    sizes = tuple([int_of(op, "normalized_shape", n) for n in (given if is_several(given) else (given,))])
    if not sizes or min(sizes) < 1:
        fail(ArgumentError(f"normalized_shape={given!r} must hold sizes of at least 1", op=op))
    return sizes


def _reset(weight: Parameter | None, bias: Parameter | None) -> None:
    if weight is not None:
        init.ones_(weight)
    if bias is not None:
        init.zeros_(bias)
