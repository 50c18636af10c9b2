"""Losses of continuous targets: differences, distributions, margins and distances.

Those of classes are in ``lucid.nn.functional.classification``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

from lucid.eager import mode
from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import fail, number_of
from lucid.functions.arithmetic import clamp_min, xlogy
from lucid.functions.comparison import minimum, where
from lucid.functions.elementwise import exp, log, log1p, sqrt
from lucid.functions.movement import broadcast_to
from lucid.nn.functional.activation import logsigmoid, softplus
from lucid.nn.functional.distance import pairwise_distance
from lucid.promotion import as_tensor, cast, floating, rounded_once

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = [
    "binary_cross_entropy", "binary_cross_entropy_with_logits", "cosine_embedding_loss", "gaussian_nll_loss",
    "hinge_embedding_loss", "huber_loss", "kl_div", "l1_loss", "margin_ranking_loss", "mse_loss",
    "multilabel_soft_margin_loss", "poisson_nll_loss", "smooth_l1_loss", "soft_margin_loss", "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]  # fmt: skip

Reduction = Literal["mean", "sum", "none"]


def reduced(op: str, loss: Tensor, reduction: str) -> Tensor:
    """The mean or the sum of all elements, or the elements themselves.

    Raises:
        ArgumentError: another ``reduction``.
    """
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


def _weighted(op: str, loss: Tensor, weight: Any) -> Tensor:
    if weight is None:
        return loss
    factors = as_tensor(weight, op, "weight")
    return loss * broadcast_to(factors, loss.shape)


@rounded_once
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
    return reduced("mse_loss", difference * difference, reduction)


@rounded_once
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
    return reduced("l1_loss", (input - target).abs(), reduction)


@rounded_once
def smooth_l1_loss(input: Any, target: Any, reduction: Reduction = "mean", beta: float = 1.0) -> Tensor:
    """The absolute difference less ``beta / 2``, and a parabola below ``beta``: Girshick, arXiv:1504.08083.

    Raises:
        ShapeError: two shapes.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``beta`` negative or not a number.

    >>> import lucid
    >>> smooth_l1_loss(lucid.tensor([1.0, 2.0]), lucid.tensor([2.0, 5.0]), reduction="none")
    Tensor([0.5, 2.5])
    """
    op = "smooth_l1_loss"
    width = float(number_of(op, "beta", beta, 0))
    input, target = _same_shape(op, input, target)
    size = (input - target).abs()
    if width == 0:
        return reduced(op, size, reduction)
    return reduced(op, where(size < width, size * size * 0.5 / width, size - 0.5 * width), reduction)


@rounded_once
def huber_loss(input: Any, target: Any, reduction: Reduction = "mean", delta: float = 1.0) -> Tensor:
    """Half the squared difference up to ``delta``, and a straight line beyond: Huber 1964.

    Raises:
        ShapeError: two shapes.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``delta`` not positive or not a number.

    >>> import lucid
    >>> huber_loss(lucid.tensor([1.0, 2.0]), lucid.tensor([2.0, 5.0]), reduction="none")
    Tensor([0.5, 2.5])
    """
    op = "huber_loss"
    width = float(number_of(op, "delta", delta))
    if not width > 0:
        fail(ArgumentError(f"delta={delta!r} must be positive", op=op))
    input, target = _same_shape(op, input, target)
    size = (input - target).abs()
    return reduced(op, where(size <= width, size * size * 0.5, (size - 0.5 * width) * width), reduction)


@rounded_once
def binary_cross_entropy(input: Any, target: Any, weight: Any = None, reduction: Reduction = "mean") -> Tensor:
    """``-(t * log(x) + (1 - t) * log(1 - x))`` of probabilities ``x``; logarithms count as at least -100.

    Args:
        input: probabilities, 0 .. 1.
        target: of the same shape, usually 0 or 1.
        weight: broadcast to this shape.

    Raises:
        ShapeError: two shapes, or a weight that does not broadcast.
        ArgumentError: an unknown ``reduction``, or an input outside 0 .. 1 (a compiled function does not look).

    >>> import lucid
    >>> binary_cross_entropy(lucid.tensor([0.5, 1.0]), lucid.tensor([1.0, 0.0]), reduction="none")
    Tensor([0.6931472, 100.0])
    """
    op = "binary_cross_entropy"
    x, t = _same_shape(op, input, target)
    if mode.trace is None and not bool(((x._data >= 0) & (x._data <= 1)).all()):
        fail(
            ArgumentError(
                "input holds values outside of 0 .. 1, which are no probabilities",
                op=op,
                hint="apply a sigmoid first, or use binary_cross_entropy_with_logits",
            )
        )
    least = math.exp(-100.0)

    def logarithm(p: Tensor) -> Tensor:
        return where(p > least, log(clamp_min(p, least)), -100.0)

    return reduced(op, _weighted(op, -(t * logarithm(x) + (1.0 - t) * logarithm(1.0 - x)), weight), reduction)


@rounded_once
def binary_cross_entropy_with_logits(
    input: Any, target: Any, weight: Any = None, reduction: Reduction = "mean", pos_weight: Any = None
) -> Tensor:
    """``binary_cross_entropy`` of ``sigmoid(input)``, without overflow.

    Args:
        input: scores.
        target: of the same shape, usually 0 or 1.
        weight: broadcast to this shape.
        pos_weight: how much more positive targets count, broadcast to this shape.

    Raises:
        ShapeError: two shapes, or weights that do not broadcast.
        ArgumentError: an unknown ``reduction``.

    >>> import lucid
    >>> binary_cross_entropy_with_logits(lucid.tensor([0.0, 1000.0]), lucid.tensor([1.0, 0.0]), reduction="none")
    Tensor([0.6931472, 1000.0])
    """
    op = "binary_cross_entropy_with_logits"
    x, t = _same_shape(op, input, target)
    rest = log1p(exp(-x.abs())) + clamp_min(-x, 0.0)
    if pos_weight is not None:
        rest = rest * ((broadcast_to(as_tensor(pos_weight, op, "pos_weight"), x.shape) - 1.0) * t + 1.0)
    return reduced(op, _weighted(op, (1.0 - t) * x + rest, weight), reduction)


@rounded_once
def kl_div(
    input: Any, target: Any, reduction: Literal["mean", "sum", "none", "batchmean"] = "mean", log_target: bool = False
) -> Tensor:
    """``t * (log(t) - x)``: Kullback and Leibler's divergence of log-probabilities ``x`` from probabilities ``t``.

    Args:
        reduction: 'batchmean' is the divergence as it is defined, the sum over elements divided by the batch's size.
        log_target: the target holds log-probabilities too.

    Raises:
        ShapeError: the shapes do not broadcast.
        ArgumentError: an unknown ``reduction``.

    >>> import lucid
    >>> kl_div(lucid.tensor([[0.5, 0.5]]).log(), lucid.tensor([[0.5, 0.5]]), reduction="batchmean")
    Tensor(0.0)
    """
    op = "kl_div"
    x, t = floating(as_tensor(input, op, "input")), floating(as_tensor(target, op, "target"))
    loss = exp(t) * (t - x) if log_target else xlogy(t, t) - t * x
    if reduction == "batchmean":
        return loss.sum() / (x.shape[0] if x.ndim else 1)
    if reduction not in ("mean", "sum", "none"):
        fail(ArgumentError(f"reduction={reduction!r} must be 'mean', 'sum', 'none' or 'batchmean'", op=op))
    return reduced(op, loss, reduction)


@rounded_once
def poisson_nll_loss(
    input: Any,
    target: Any,
    log_input: bool = True,
    full: bool = False,
    eps: float = 1e-8,
    reduction: Reduction = "mean",
) -> Tensor:
    """The negative log-likelihood of counts under Poisson's distribution.

    Args:
        input: the logarithm of the expected count, or, with ``log_input=False``, the count.
        target: counts.
        full: add Stirling's approximation of ``log(target!)`` where the target is above 1.
        eps: keeps ``log(0)`` away where ``log_input`` is False.

    Raises:
        ShapeError: the shapes do not broadcast.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``eps`` is not a number.

    >>> import lucid
    >>> poisson_nll_loss(lucid.tensor([0.0]), lucid.tensor([3.0]))
    Tensor(1.0)
    """
    op = "poisson_nll_loss"
    x, t = floating(as_tensor(input, op, "input")), floating(as_tensor(target, op, "target"))
    loss = exp(x) - t * x if log_input else x - t * log(x + float(number_of(op, "eps", eps)))
    if full:
        above = where(t > 1, t, 1.0)
        loss = loss + where(t > 1, above * log(above) - above + log(above * (2 * math.pi)) * 0.5, 0.0)
    return reduced(op, loss, reduction)


@rounded_once
def gaussian_nll_loss(
    input: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: Reduction = "mean"
) -> Tensor:
    """The negative log-likelihood of targets under normal distributions: Nix & Weigend 1994.

    Args:
        input: means.
        target: of the same shape.
        var: variances: of shapes that broadcast to it, or without the last dimension; at least ``eps`` each.
        full: add the constant ``log(2 * pi) / 2``.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; a negative variance (a compiled function does not
            look); ``eps`` not positive or not a number.

    >>> import lucid
    >>> gaussian_nll_loss(lucid.tensor([1.0]), lucid.tensor([3.0]), lucid.tensor([1.0]))
    Tensor(2.0)
    """
    op = "gaussian_nll_loss"
    x, t = floating(as_tensor(input, op, "input")), floating(as_tensor(target, op, "target"))
    spread = floating(as_tensor(var, op, "var"))
    least = float(number_of(op, "eps", eps))
    if not least > 0:
        fail(ArgumentError(f"eps={eps!r} must be positive", op=op))
    if spread.ndim == x.ndim - 1 and spread.shape == x.shape[:-1]:
        spread = spread.unsqueeze(-1)
    elif spread.ndim and (
        spread.ndim != x.ndim or any(n not in (1, m) for n, m in zip(spread.shape, x.shape, strict=True))
    ):
        fail(ShapeError(f"var has shape {spread.shape}, which does not fit input {x.shape}", op=op))
    if mode.trace is None and bool((spread._data < 0).any()):
        fail(ArgumentError("var holds negative values", op=op))
    # The derivative is that of the variance itself, as if it had not been held above eps.
    spread = spread + (clamp_min(spread, least) - spread).detach()
    difference = x - t
    loss = (log(spread) + difference * difference / spread) * 0.5
    return reduced(op, loss + 0.5 * math.log(2 * math.pi) if full else loss, reduction)


@rounded_once
def soft_margin_loss(input: Any, target: Any, reduction: Reduction = "mean") -> Tensor:
    """``log(1 + exp(-t * x))`` of scores and targets -1 or 1.

    Raises:
        ShapeError: two shapes.
        ArgumentError: an unknown ``reduction``.

    >>> import lucid
    >>> soft_margin_loss(lucid.tensor([0.0]), lucid.tensor([1.0]))
    Tensor(0.6931472)
    """
    input, target = _same_shape("soft_margin_loss", input, target)
    return reduced("soft_margin_loss", softplus(-(target * input), threshold=math.inf), reduction)


@rounded_once
def multilabel_soft_margin_loss(input: Any, target: Any, weight: Any = None, reduction: Reduction = "mean") -> Tensor:
    """Binary cross-entropy of scores ``(N, C)`` or ``(C,)``, averaged over the classes.

    Args:
        target: 0 or 1 for each class, of the same shape.
        weight: of each class, ``(C,)``.

    Raises:
        ShapeError: two shapes, or a weight that does not broadcast.
        ArgumentError: an unknown ``reduction``.

    >>> import lucid
    >>> multilabel_soft_margin_loss(lucid.zeros(1, 3), lucid.tensor([[1.0, 0.0, 1.0]]))
    Tensor(0.6931472)
    """
    op = "multilabel_soft_margin_loss"
    x, t = _same_shape(op, input, target)
    loss = _weighted(op, -(t * logsigmoid(x) + (1.0 - t) * logsigmoid(-x)), weight)
    return reduced(op, loss.mean(-1), reduction)


@rounded_once
def hinge_embedding_loss(input: Any, target: Any, margin: float = 1.0, reduction: Reduction = "mean") -> Tensor:
    """``x`` where the target is 1, and what is missing to ``margin`` where it is -1.

    Raises:
        ShapeError: the shapes do not broadcast.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``margin`` is not a number.

    >>> import lucid
    >>> hinge_embedding_loss(lucid.tensor([0.5, 0.25]), lucid.tensor([1, -1]), reduction="none")
    Tensor([0.5, 0.75])
    """
    op = "hinge_embedding_loss"
    x, t = floating(as_tensor(input, op, "input")), as_tensor(target, op, "target")
    missing = clamp_min(float(number_of(op, "margin", margin)) - x, 0.0)
    return reduced(op, where(t != 1, missing, 0.0) + where(t != -1, x, 0.0), reduction)


@rounded_once
def cosine_embedding_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: Reduction = "mean"
) -> Tensor:
    """One minus the cosine where the target is 1, and what it exceeds ``margin`` by where it is -1.

    Args:
        input1, input2: vectors ``(N, D)`` or ``(D,)``.
        target: 1 or -1 for each pair, ``(N,)`` or ``()``.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``margin`` is not a number.

    >>> import lucid
    >>> cosine_embedding_loss(lucid.tensor([1.0, 0.0]), lucid.tensor([0.0, 2.0]), lucid.tensor(1))
    Tensor(1.0)
    """
    op = "cosine_embedding_loss"
    a, b = floating(as_tensor(input1, op, "input1")), floating(as_tensor(input2, op, "input2"))
    t = as_tensor(target, op, "target")
    if a.ndim != t.ndim + 1 or b.ndim != a.ndim:
        fail(
            ShapeError(
                f"input1 {a.shape}, input2 {b.shape} and target {t.shape} must be (N, D), (N, D) and (N,), "
                "or (D,), (D,) and ()",
                op=op,
            )
        )
    squares = ((a * a).sum(-1) + 1e-12) * ((b * b).sum(-1) + 1e-12)
    cosine = (a * b).sum(-1) / sqrt(squares)
    apart = clamp_min(cosine - float(number_of(op, "margin", margin)), 0.0)
    return reduced(op, where(t == 1, 1.0 - cosine, 0.0) + where(t == -1, apart, 0.0), reduction)


@rounded_once
def margin_ranking_loss(
    input1: Any, input2: Any, target: Any, margin: float = 0.0, reduction: Reduction = "mean"
) -> Tensor:
    """What is missing for ``input1`` to exceed ``input2`` by ``margin`` (target 1), or the other way round (-1).

    Raises:
        ShapeError: the shapes do not broadcast, or differ in their number of dimensions.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``margin`` is not a number.

    >>> import lucid
    >>> margin_ranking_loss(lucid.tensor([1.0]), lucid.tensor([3.0]), lucid.tensor([1]))
    Tensor(2.0)
    """
    op = "margin_ranking_loss"
    a, b = floating(as_tensor(input1, op, "input1")), floating(as_tensor(input2, op, "input2"))
    t = cast(as_tensor(target, op, "target"), a.dtype)
    if not a.ndim == b.ndim == t.ndim:
        fail(ShapeError(f"input1 {a.shape}, input2 {b.shape} and target {t.shape} must have as many dimensions", op=op))
    return reduced(op, clamp_min((b - a) * t + float(number_of(op, "margin", margin)), 0.0), reduction)


@rounded_once
def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    """How much less than ``margin`` the negative is farther from the anchor than the positive: Balntas et al. 2016.

    Args:
        anchor, positive, negative: vectors ``(N, D)`` or ``(D,)``.
        p, eps: as for ``pairwise_distance``.
        swap: measure the negative from whichever of the other two is nearer.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; numbers that are none, or a margin not positive.

    >>> import lucid
    >>> triplet_margin_loss(lucid.zeros(1, 2), lucid.zeros(1, 2), lucid.ones(1, 2) * 10)
    Tensor(0.0)
    """

    def distance(a: Tensor, b: Tensor) -> Tensor:
        return pairwise_distance(a, b, p, eps)

    return _triplet("triplet_margin_loss", (anchor, positive, negative), distance, margin, swap, reduction)


def triplet_margin_with_distance_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: Reduction = "mean",
) -> Tensor:
    """As ``triplet_margin_loss``, of any distance.

    Raises:
        ShapeError: the shapes do not fit.
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; a margin not positive or not a number.

    >>> import lucid
    >>> far = lambda a, b: (a - b).abs().sum(-1)
    >>> triplet_margin_with_distance_loss(lucid.zeros(1, 2), lucid.ones(1, 2), lucid.ones(1, 2), distance_function=far)
    Tensor(1.0)
    """
    distance = pairwise_distance if distance_function is None else distance_function
    op = "triplet_margin_with_distance_loss"
    return _triplet(op, (anchor, positive, negative), distance, margin, swap, reduction)


def _triplet(
    op: str,
    vectors: tuple[Any, Any, Any],
    distance: Callable[[Tensor, Tensor], Tensor],
    margin: float,
    swap: bool,
    reduction: str,
) -> Tensor:
    names = ("anchor", "positive", "negative")
    a, b, c = [floating(as_tensor(x, op, name)) for x, name in zip(vectors, names, strict=True)]
    if not a.ndim == b.ndim == c.ndim:
        fail(
            ShapeError(
                f"anchor {a.shape}, positive {b.shape} and negative {c.shape} must have as many dimensions", op=op
            )
        )
    least = float(number_of(op, "margin", margin))
    if not least > 0:
        fail(ArgumentError(f"margin={margin!r} must be positive", op=op))
    near, far = distance(a, b), distance(a, c)
    if swap:
        far = minimum(far, distance(b, c))
    return reduced(op, clamp_min(near - far + least, 0.0), reduction)
