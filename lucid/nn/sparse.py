"""Tables of learned rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lucid.errors import ArgumentError, IndexRangeError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.functions.creation import empty
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, number, positive
from lucid.nn.functional.sparse import BagMode
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.nn.place import Place, placed
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack


class _Table(Module):
    """The learned rows themselves."""

    weight: Parameter

    def __init__(self, num_embeddings: int, embedding_dim: int, padding_idx: int | None, place: Place):
        super().__init__()
        op = type(self).__name__
        self.num_embeddings = positive(op, "num_embeddings", num_embeddings)
        self.embedding_dim = positive(op, "embedding_dim", embedding_dim)
        self.padding_idx = None
        if padding_idx is not None:
            row = int_of(op, "padding_idx", padding_idx)
            if not -num_embeddings <= row < num_embeddings:
                fail(IndexRangeError(f"padding_idx={row} is out of range for {num_embeddings} rows", op=op))
            self.padding_idx = row % num_embeddings
        self.weight = Parameter(empty(num_embeddings, embedding_dim, **placed(op, place)))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the table again."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            rows = self.weight.numpy().copy()
            rows[self.padding_idx] = 0
            self.weight.copy_(rows)

    def extra_repr(self) -> str:
        padding = "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        return f"{self.num_embeddings}, {self.embedding_dim}{padding}"


class Embedding(_Table):
    """The rows of a learned table that integers name: ``(...)`` to ``(..., embedding_dim)``.

    Args:
        num_embeddings: rows of the table.
        embedding_dim: length of a row.
        padding_idx: a row of zeros that is not learned.
        max_norm: the rows that are named are first scaled down to this norm, where they exceed it.
        norm_type: the ``ord`` of that norm.
        scale_grad_by_freq: whether a row's gradient is divided by how often it is named.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(num_embeddings, embedding_dim)``, normal draws at first.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints; ``max_norm`` negative or not a number.
        IndexRangeError: ``padding_idx``, or, when called, an integer names no row.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.Embedding(10, 3)(lucid.tensor([[1, 2], [4, 5]])).shape
    (2, 2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        max_norm: float | None = None,
        norm_type: float = 2.0,
        scale_grad_by_freq: bool = False,
        **place: Unpack[Place],
    ):
        super().__init__(num_embeddings, embedding_dim, padding_idx, place)
        self.max_norm = None if max_norm is None else number("Embedding", "max_norm", max_norm)
        self.norm_type = float(number_of("Embedding", "norm_type", norm_type))
        self.scale_grad_by_freq = flag("Embedding", "scale_grad_by_freq", scale_grad_by_freq)

    def forward(self, input: Tensor) -> Tensor:
        options = (self.max_norm, self.norm_type, self.scale_grad_by_freq)
        return F.embedding(input, self.weight, self.padding_idx, *options)


class EmbeddingBag(_Table):
    """Sums, means or maxima of bags of rows of a learned table: to ``(bags, embedding_dim)``.

    Args:
        num_embeddings: rows of the table.
        embedding_dim: length of a row.
        mode: 'mean', 'sum' or 'max'.
        include_last_offset: whether ``offsets`` ends with the end of the last bag.
        padding_idx: a row of zeros that is not learned, and does not count.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        weight: ``(num_embeddings, embedding_dim)``, normal draws at first.

    Raises:
        ArgumentError, ArgumentTypeError: sizes below 1, or not ints; an unknown ``mode``.
        IndexRangeError: ``padding_idx``, or, when called, an integer names no row.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.EmbeddingBag(10, 3)(lucid.tensor([1, 2, 4, 5]), lucid.tensor([0, 3])).shape
    (2, 3)
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        *,
        mode: BagMode = "mean",
        include_last_offset: bool = False,
        padding_idx: int | None = None,
        **place: Unpack[Place],
    ):
        super().__init__(num_embeddings, embedding_dim, padding_idx, place)
        if mode not in ("mean", "sum", "max"):
            fail(ArgumentError(f"mode={mode!r} must be 'mean', 'sum' or 'max'", op="EmbeddingBag"))
        self.mode: BagMode = mode
        self.include_last_offset = flag("EmbeddingBag", "include_last_offset", include_last_offset)

    def forward(self, input: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None) -> Tensor:
        return F.embedding_bag(
            input,
            self.weight,
            offsets,
            mode=self.mode,
            per_sample_weights=per_sample_weights,
            include_last_offset=self.include_last_offset,
            padding_idx=self.padding_idx,
        )

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, mode={self.mode!r}"
