"""Batch normalisation: Ioffe & Szegedy, arXiv:1502.03167."""

from __future__ import annotations

from lucid.errors import ShapeError
from lucid.functions.arguments import fail
from lucid.functions.creation import ones, zeros
from lucid.ir.types import int64
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, number, positive
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.promotion import as_tensor
from lucid.tensor import Tensor


class BatchNorm2d(Module):
    """Each channel of ``(N, C, H, W)`` shifted to mean 0 and scaled to variance 1, then ``* weight + bias``.

    In training, mean and variance are those of the batch, and the running statistics move towards them (the running
    variance towards the unbiased one, as in PyTorch). In evaluation the running statistics are used.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: how far running statistics move in a step; None averages all batches equally.
        affine: whether there are ``weight`` (ones at first) and ``bias`` (zeros at first), both ``(C,)``.
        track_running_stats: whether there are running statistics; without, evaluation uses the batch's too.

    Raises:
        ArgumentError, ArgumentTypeError: ``num_features`` below 1, ``eps`` negative, ``momentum`` outside 0 .. 1.
        ShapeError: when called, with an input of the wrong rank or channels, or, in training, one value per channel.

    >>> import lucid
    >>> from lucid import nn
    >>> norm = nn.BatchNorm2d(2)
    >>> y = norm(lucid.randn(4, 2, 3, 3))
    >>> norm.num_batches_tracked.item()
    1
    """

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
    ):
        super().__init__()
        op = "BatchNorm2d"
        self.num_features = positive(op, "num_features", num_features)
        self.eps = number(op, "eps", eps)
        self.momentum = None if momentum is None else number(op, "momentum", momentum, 0, 1)
        self.affine = flag(op, "affine", affine)
        self.track_running_stats = flag(op, "track_running_stats", track_running_stats)
        c, tracked = self.num_features, self.track_running_stats
        self.register_parameter("weight", Parameter(ones(c)) if affine else None)
        self.register_parameter("bias", Parameter(zeros(c)) if affine else None)
        self.register_buffer("running_mean", zeros(c) if tracked else None)
        self.register_buffer("running_var", ones(c) if tracked else None)
        self.register_buffer("num_batches_tracked", zeros(dtype=int64) if tracked else None)

    def reset_running_stats(self) -> None:
        """Forget what was tracked."""
        if self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None:
            init.zeros_(self.running_mean)
            init.ones_(self.running_var)
            init.zeros_(self.num_batches_tracked)

    def reset_parameters(self) -> None:
        """Forget what was tracked and learned."""
        self.reset_running_stats()
        if self.weight is not None and self.bias is not None:
            init.ones_(self.weight)
            init.zeros_(self.bias)

    def forward(self, input: Tensor) -> Tensor:
        input = as_tensor(input, "batch_norm", "input")
        if input.ndim != 4:
            fail(ShapeError(f"input has shape {input.shape}, but it must be (N, C, H, W)", op="batch_norm"))
        if input.shape[1] != self.num_features:
            fail(
                ShapeError(
                    f"input of shape {input.shape} has {input.shape[1]} channels, "
                    f"but num_features={self.num_features} are expected",
                    op="batch_norm",
                )
            )
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

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, affine={self.affine}, "
            f"track_running_stats={self.track_running_stats}"
        )
