"""Losses as modules: what a loss is called with, and which numbers it keeps.

Each is reduced to the mean of its elements unless ``reduction`` says 'sum' or 'none'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from lucid.errors import ArgumentError, ArgumentTypeError
from lucid.functions.arguments import fail, int_of
from lucid.nn import functional as F
from lucid.nn.arguments import flag, number
from lucid.nn.module import Module
from lucid.tensor import Tensor

_ANY = float("-inf")


class _Loss(Module):
    reductions: tuple[str, ...] = ("mean", "sum", "none")

    def __init__(self, reduction: str = "mean"):
        super().__init__()
        if reduction not in self.reductions:
            names = ", ".join(map(repr, self.reductions))
            fail(ArgumentError(f"reduction={reduction!r} must be one of {names}", op=type(self).__name__))
        self.reduction: F.Reduction = reduction  # type: ignore[assignment]  # checked above

    def extra_repr(self) -> str:
        return "" if self.reduction == "mean" else f"reduction={self.reduction!r}"


class _WeightedLoss(_Loss):
    """A loss with a weight that is part of its state."""

    weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: str = "mean"):
        super().__init__(reduction)
        self._keep("weight", weight)

    def _keep(self, name: str, weight: Tensor | None) -> None:
        if weight is not None and not isinstance(weight, Tensor):
            message = f"{name} must be a Tensor or None, not {type(weight).__name__}"
            fail(ArgumentTypeError(message, op=type(self).__name__))
        self.register_buffer(name, weight)


class L1Loss(_Loss):
    """The absolute difference of two tensors of one shape.

    Raises:
        ArgumentError: an unknown ``reduction``.
        ShapeError: when called, with two shapes.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.L1Loss()(lucid.tensor([1.0, 2.0]), lucid.tensor([1.0, 4.0]))
    Tensor(1.0)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.l1_loss(input, target, self.reduction)


class MSELoss(_Loss):
    """The squared difference of two tensors of one shape.

    Raises:
        ArgumentError: an unknown ``reduction``.
        ShapeError: when called, with two shapes.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MSELoss()(lucid.tensor([1.0, 2.0]), lucid.tensor([1.0, 4.0]))
    Tensor(2.0)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.mse_loss(input, target, self.reduction)


class SmoothL1Loss(_Loss):
    """The absolute difference less ``beta / 2``, and a parabola below ``beta``: Girshick, arXiv:1504.08083.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``beta`` negative or not a number.
        ShapeError: when called, with two shapes.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.SmoothL1Loss()(lucid.tensor([1.0]), lucid.tensor([4.0]))
    Tensor(2.5)
    """

    def __init__(self, reduction: F.Reduction = "mean", beta: float = 1.0):
        super().__init__(reduction)
        self.beta = number("SmoothL1Loss", "beta", beta, 0)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.smooth_l1_loss(input, target, self.reduction, self.beta)


class HuberLoss(_Loss):
    """Half the squared difference up to ``delta``, and a straight line beyond: Huber 1964.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``delta`` not positive or not a number.
        ShapeError: when called, with two shapes.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.HuberLoss()(lucid.tensor([1.0]), lucid.tensor([4.0]))
    Tensor(2.5)
    """

    def __init__(self, reduction: F.Reduction = "mean", delta: float = 1.0):
        super().__init__(reduction)
        self.delta = number("HuberLoss", "delta", delta, 0)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.huber_loss(input, target, self.reduction, self.delta)


class BCELoss(_WeightedLoss):
    """Binary cross-entropy of probabilities.

    Args:
        weight: broadcast to the input's shape.

    Raises:
        ArgumentError: an unknown ``reduction``; when called, an input outside 0 .. 1.
        ShapeError: when called, with two shapes.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.BCELoss()(lucid.tensor([0.5]), lucid.tensor([1.0]))
    Tensor(0.6931472)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy(input, target, self.weight, self.reduction)


class BCEWithLogitsLoss(_WeightedLoss):
    """Binary cross-entropy of scores, without overflow.

    Args:
        weight: broadcast to the input's shape.
        pos_weight: how much more positive targets count, broadcast to the input's shape.

    Raises:
        ArgumentError: an unknown ``reduction``.
        ShapeError: when called, with two shapes.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.BCEWithLogitsLoss()(lucid.tensor([0.0]), lucid.tensor([1.0]))
    Tensor(0.6931472)
    """

    pos_weight: Tensor | None

    def __init__(self, weight: Tensor | None = None, reduction: F.Reduction = "mean", pos_weight: Tensor | None = None):
        super().__init__(weight, reduction)
        self._keep("pos_weight", pos_weight)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(input, target, self.weight, self.reduction, self.pos_weight)


class NLLLoss(_WeightedLoss):
    """The negative of the target's log-probability: as ``CrossEntropyLoss``, of log-probabilities.

    Args:
        weight: of each class, ``(C,)``.
        ignore_index: targets of this value count nothing.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; numbers that are none, or out of range.
        ShapeError, DTypeError, IndexRangeError: when called, with scores and targets that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.NLLLoss()(lucid.tensor([[-1.0, -2.0]]), lucid.tensor([1]))
    Tensor(2.0)
    """

    def __init__(self, weight: Tensor | None = None, ignore_index: int = -100, reduction: F.Reduction = "mean"):
        super().__init__(weight, reduction)
        self.ignore_index = int_of("NLLLoss", "ignore_index", ignore_index)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.nll_loss(input, target, self.weight, reduction=self.reduction, ignore_index=self.ignore_index)


class CrossEntropyLoss(_WeightedLoss):
    """The negative log-likelihood of ``target`` under ``softmax(input)``.

    Args:
        weight: of each class, ``(C,)``.
        ignore_index: targets of this value count nothing.
        reduction: 'mean' (weighted, over targets that are not ignored), 'sum' or 'none'.
        label_smoothing: this much probability is spread evenly over all classes.

    Called with scores ``(N, C)``, ``(C,)`` or ``(N, C, ...)`` and with integer classes of that shape without C, or
    probabilities of that shape.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``, or ``label_smoothing`` outside 0 .. 1.
        ShapeError, DTypeError, IndexRangeError: when called, with scores and targets that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.CrossEntropyLoss()(lucid.zeros(2, 4), lucid.tensor([0, 3]))
    Tensor(1.3862944)
    """

    def __init__(
        self,
        weight: Tensor | None = None,
        ignore_index: int = -100,
        reduction: F.Reduction = "mean",
        label_smoothing: float = 0.0,
    ):
        super().__init__(weight, reduction)
        self.ignore_index = int_of("CrossEntropyLoss", "ignore_index", ignore_index)
        self.label_smoothing = number("CrossEntropyLoss", "label_smoothing", label_smoothing, 0, 1)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(
            input,
            target,
            self.weight,
            reduction=self.reduction,
            ignore_index=self.ignore_index,
            label_smoothing=self.label_smoothing,
        )


class KLDivLoss(_Loss):
    """Kullback and Leibler's divergence of log-probabilities from probabilities, element by element.

    Args:
        reduction: 'batchmean' is the divergence as it is defined, the sum over elements divided by the batch's size.
        log_target: the target holds log-probabilities too.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``log_target`` is not a bool.
        ShapeError: when called, with shapes that do not broadcast.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.KLDivLoss(reduction="batchmean")(lucid.tensor([[0.5, 0.5]]).log(), lucid.tensor([[0.5, 0.5]]))
    Tensor(0.0)
    """

    reductions = ("mean", "sum", "none", "batchmean")

    def __init__(self, reduction: Literal["mean", "sum", "none", "batchmean"] = "mean", log_target: bool = False):
        super().__init__(reduction)
        self.log_target = flag("KLDivLoss", "log_target", log_target)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.kl_div(input, target, self.reduction, self.log_target)


class PoissonNLLLoss(_Loss):
    """The negative log-likelihood of counts under Poisson's distribution; arguments as ``F.poisson_nll_loss``.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; arguments of the wrong kind.
        ShapeError: when called, with shapes that do not broadcast.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.PoissonNLLLoss()(lucid.tensor([0.0]), lucid.tensor([3.0]))
    Tensor(1.0)
    """

    def __init__(self, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: F.Reduction = "mean"):
        super().__init__(reduction)
        self.log_input = flag("PoissonNLLLoss", "log_input", log_input)
        self.full = flag("PoissonNLLLoss", "full", full)
        self.eps = number("PoissonNLLLoss", "eps", eps)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.poisson_nll_loss(input, target, self.log_input, self.full, self.eps, self.reduction)


class GaussianNLLLoss(_Loss):
    """The negative log-likelihood of targets under normal distributions; arguments as ``F.gaussian_nll_loss``.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; arguments of the wrong kind; a negative variance.
        ShapeError: when called, with shapes that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.GaussianNLLLoss()(lucid.tensor([1.0]), lucid.tensor([3.0]), lucid.tensor([1.0]))
    Tensor(2.0)
    """

    def __init__(self, *, full: bool = False, eps: float = 1e-6, reduction: F.Reduction = "mean"):
        super().__init__(reduction)
        self.full = flag("GaussianNLLLoss", "full", full)
        self.eps = number("GaussianNLLLoss", "eps", eps)

    def forward(self, input: Tensor, target: Tensor, var: Tensor) -> Tensor:
        return F.gaussian_nll_loss(input, target, var, self.full, self.eps, self.reduction)


class SoftMarginLoss(_Loss):
    """``log(1 + exp(-t * x))`` of scores and targets -1 or 1.

    Raises:
        ArgumentError: an unknown ``reduction``.
        ShapeError: when called, with two shapes.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.SoftMarginLoss()(lucid.tensor([0.0]), lucid.tensor([1.0]))
    Tensor(0.6931472)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.soft_margin_loss(input, target, self.reduction)


class MultiLabelSoftMarginLoss(_WeightedLoss):
    """Binary cross-entropy of scores ``(N, C)`` or ``(C,)``, averaged over the classes.

    Args:
        weight: of each class, ``(C,)``.

    Raises:
        ArgumentError: an unknown ``reduction``.
        ShapeError: when called, with two shapes.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MultiLabelSoftMarginLoss()(lucid.zeros(1, 3), lucid.tensor([[1.0, 0.0, 1.0]]))
    Tensor(0.6931472)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_soft_margin_loss(input, target, self.weight, self.reduction)


class MultiLabelMarginLoss(_Loss):
    """How much less than 1 the score of each target exceeds that of each class that is none.

    Called with scores ``(N, C)`` or ``(C,)``, and with the classes that are targets, then a -1, in the same shape.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; numbers that are none, or out of range.
        ShapeError, DTypeError, IndexRangeError: when called, with scores and targets that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MultiLabelMarginLoss()(lucid.tensor([0.1, 0.2, 0.4, 0.8]), lucid.tensor([3, 0, -1, 1]))
    Tensor(0.85)
    """

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multilabel_margin_loss(input, target, self.reduction)


class MultiMarginLoss(_WeightedLoss):
    """How much less than ``margin`` the target's score exceeds each other's, to the power ``p``.

    Args:
        p: 1 or 2.
        weight: of each class, ``(C,)``.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; numbers that are none, or out of range.
        ShapeError, DTypeError, IndexRangeError: when called, with scores and targets that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MultiMarginLoss()(lucid.tensor([[0.0, 1.0]]), lucid.tensor([0]))
    Tensor(1.0)
    """

    def __init__(self, p: int = 1, margin: float = 1.0, weight: Tensor | None = None, reduction: F.Reduction = "mean"):
        super().__init__(weight, reduction)
        self.p = int_of("MultiMarginLoss", "p", p)
        if self.p not in (1, 2):
            fail(ArgumentError(f"p={p!r} must be 1 or 2", op="MultiMarginLoss"))
        self.margin = number("MultiMarginLoss", "margin", margin, _ANY)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.multi_margin_loss(input, target, self.p, self.margin, self.weight, self.reduction)


class CTCLoss(_Loss):
    """The negative log-likelihood of sequences of classes, over all ways to spread them over the input's steps.

    Called with ``(log_probs, targets, input_lengths, target_lengths)``, as ``F.ctc_loss`` documents them.

    Args:
        blank: the class that stands for none.
        reduction: 'mean' (over the batch, of losses divided by their targets' lengths), 'sum' or 'none'.
        zero_infinity: give 0 instead of infinity where a target does not fit into its input.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``blank`` is not an int.
        ShapeError, DTypeError, ArgumentError: when called, with arguments that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> even = lucid.zeros(2, 1, 2).log_softmax(2)
    >>> round(nn.CTCLoss()(even, lucid.tensor([[1]]), [2], [1]).item(), 4)
    0.2877
    """

    def __init__(self, blank: int = 0, reduction: F.Reduction = "mean", zero_infinity: bool = False):
        super().__init__(reduction)
        self.blank = int_of("CTCLoss", "blank", blank)
        self.zero_infinity = flag("CTCLoss", "zero_infinity", zero_infinity)

    def forward(self, log_probs: Tensor, targets: Tensor, input_lengths: Any, target_lengths: Any) -> Tensor:
        return F.ctc_loss(
            log_probs, targets, input_lengths, target_lengths, self.blank, self.reduction, self.zero_infinity
        )


class HingeEmbeddingLoss(_Loss):
    """``x`` where the target is 1, and what is missing to ``margin`` where it is -1.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``margin`` is not a number.
        ShapeError: when called, with shapes that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.HingeEmbeddingLoss()(lucid.tensor([0.5, 0.25]), lucid.tensor([1, -1]))
    Tensor(0.625)
    """

    def __init__(self, margin: float = 1.0, reduction: F.Reduction = "mean"):
        super().__init__(reduction)
        self.margin = number("HingeEmbeddingLoss", "margin", margin, _ANY)

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return F.hinge_embedding_loss(input, target, self.margin, self.reduction)


class CosineEmbeddingLoss(_Loss):
    """One minus the cosine where the target is 1, and what it exceeds ``margin`` by where it is -1.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``margin`` is not a number.
        ShapeError: when called, with shapes that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.CosineEmbeddingLoss()(lucid.tensor([1.0, 0.0]), lucid.tensor([0.0, 2.0]), lucid.tensor(1))
    Tensor(1.0)
    """

    def __init__(self, margin: float = 0.0, reduction: F.Reduction = "mean"):
        super().__init__(reduction)
        self.margin = number("CosineEmbeddingLoss", "margin", margin, _ANY)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.cosine_embedding_loss(input1, input2, target, self.margin, self.reduction)


class MarginRankingLoss(_Loss):
    """What is missing for one input to exceed the other by ``margin``: the first (target 1) or the second (-1).

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; ``margin`` is not a number.
        ShapeError: when called, with shapes that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.MarginRankingLoss()(lucid.tensor([1.0]), lucid.tensor([3.0]), lucid.tensor([1]))
    Tensor(2.0)
    """

    def __init__(self, margin: float = 0.0, reduction: F.Reduction = "mean"):
        super().__init__(reduction)
        self.margin = number("MarginRankingLoss", "margin", margin, _ANY)

    def forward(self, input1: Tensor, input2: Tensor, target: Tensor) -> Tensor:
        return F.margin_ranking_loss(input1, input2, target, self.margin, self.reduction)


class TripletMarginLoss(_Loss):
    """How much less than ``margin`` the negative is farther from the anchor than the positive: Balntas et al. 2016.

    Args:
        p, eps: as for ``F.pairwise_distance``.
        swap: measure the negative from whichever of the other two is nearer.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; numbers that are none; a margin not above 0.
        ShapeError: when called, with shapes that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.TripletMarginLoss()(lucid.zeros(1, 2), lucid.zeros(1, 2), lucid.ones(1, 2) * 10)
    Tensor(0.0)
    """

    def __init__(
        self,
        margin: float = 1.0,
        p: float = 2.0,
        eps: float = 1e-6,
        swap: bool = False,
        reduction: F.Reduction = "mean",
    ):
        super().__init__(reduction)
        self.margin = number("TripletMarginLoss", "margin", margin)
        self.p = number("TripletMarginLoss", "p", p, _ANY)
        self.eps = number("TripletMarginLoss", "eps", eps)
        self.swap = flag("TripletMarginLoss", "swap", swap)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_loss(
            anchor, positive, negative, self.margin, self.p, self.eps, self.swap, self.reduction
        )


class TripletMarginWithDistanceLoss(_Loss):
    """As ``TripletMarginLoss``, of any distance of two tensors.

    Raises:
        ArgumentError, ArgumentTypeError: an unknown ``reduction``; a margin that is not positive.
        ShapeError: when called, with shapes that do not fit.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.TripletMarginWithDistanceLoss()(lucid.zeros(1, 2), lucid.zeros(1, 2), lucid.ones(1, 2) * 10)
    Tensor(0.0)
    """

    def __init__(
        self,
        *,
        distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
        margin: float = 1.0,
        swap: bool = False,
        reduction: F.Reduction = "mean",
    ):
        super().__init__(reduction)
        self.distance_function = distance_function
        self.margin = number("TripletMarginWithDistanceLoss", "margin", margin)
        self.swap = flag("TripletMarginWithDistanceLoss", "swap", swap)

    def forward(self, anchor: Tensor, positive: Tensor, negative: Tensor) -> Tensor:
        return F.triplet_margin_with_distance_loss(
            anchor,
            positive,
            negative,
            distance_function=self.distance_function,
            margin=self.margin,
            swap=self.swap,
            reduction=self.reduction,
        )
