"""Attention with learned projections."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lucid.errors import ArgumentError
from lucid.functions.arguments import fail
from lucid.functions.creation import empty, zeros
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, number, positive
from lucid.nn.functional.attention import Attended
from lucid.nn.linear import Linear
from lucid.nn.module import Module
from lucid.nn.parameter import Parameter
from lucid.nn.place import Place, placed
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack


class MultiheadAttention(Module):
    """Each position of ``query`` as a weighed mean of ``value``, in ``num_heads`` parts of the features side by side.

    Vaswani et al., arXiv:1706.03762.

    Args:
        embed_dim: E, features of the query and of the result.
        num_heads: divides ``embed_dim``.
        dropout: the probability that a weight is left out, in training.
        bias: whether the projections have biases.
        add_bias_kv: one more, learned, position after the projected keys and values.
        add_zero_attn: one more, of zeros.
        kdim: features of the key; ``embed_dim`` if None.
        vdim: features of the value; ``embed_dim`` if None.
        batch_first: whether sequences are ``(N, length, features)`` instead of ``(length, N, features)``.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Attributes:
        in_proj_weight: ``(3 * E, E)``; if ``kdim`` or ``vdim`` differ, ``q_proj_weight``, ``k_proj_weight`` and
            ``v_proj_weight`` instead. Xavier-uniform at first.
        in_proj_bias: ``(3 * E,)``, zeros at first, or None.
        bias_k, bias_v: ``(1, 1, E)``, or None.
        out_proj: the ``Linear`` map of the result.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1, or do not divide.
        ShapeError, DTypeError: when called, with operands or masks that do not fit.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> attention = nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = lucid.randn(3, 5, 8)
    >>> y, weights = attention(x, x, x)
    >>> y.shape, weights.shape
    ((3, 5, 8), (3, 5, 5))
    """

    in_proj_weight: Parameter | None
    q_proj_weight: Parameter | None
    k_proj_weight: Parameter | None
    v_proj_weight: Parameter | None
    in_proj_bias: Parameter | None
    bias_k: Parameter | None
    bias_v: Parameter | None
    out_proj: Linear

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        **place: Unpack[Place],
    ):
        super().__init__()
        op = "MultiheadAttention"
        n = self.embed_dim = positive(op, "embed_dim", embed_dim)
        self.num_heads = positive(op, "num_heads", num_heads)
        if n % self.num_heads:
            fail(ArgumentError(f"num_heads={num_heads} must divide embed_dim={embed_dim}", op=op))
        self.head_dim = n // self.num_heads
        self.dropout = number(op, "dropout", dropout, 0, 1)
        self.kdim = n if kdim is None else positive(op, "kdim", kdim)
        self.vdim = n if vdim is None else positive(op, "vdim", vdim)
        self.batch_first = flag(op, "batch_first", batch_first)
        self.add_zero_attn = flag(op, "add_zero_attn", add_zero_attn)
        made = placed(op, place)
        together = self.kdim == self.vdim == n
        self.register_parameter("in_proj_weight", Parameter(empty(3 * n, n, **made)) if together else None)
        for name, size in (("q", n), ("k", self.kdim), ("v", self.vdim)):
            self.register_parameter(f"{name}_proj_weight", None if together else Parameter(empty(n, size, **made)))
        self.register_parameter("in_proj_bias", Parameter(zeros(3 * n, **made)) if flag(op, "bias", bias) else None)
        self.out_proj = Linear(n, n, bias, **made)
        for name in ("bias_k", "bias_v"):
            extra = flag(op, "add_bias_kv", add_bias_kv)
            self.register_parameter(name, Parameter(empty(1, 1, n, **made)) if extra else None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw all projections again."""
        for weight in (self.in_proj_weight, self.q_proj_weight, self.k_proj_weight, self.v_proj_weight):
            if weight is not None:
                init.xavier_uniform_(weight)
        self.out_proj.reset_parameters()
        for bias in (self.in_proj_bias, self.out_proj.bias):
            if bias is not None:
                init.zeros_(bias)
        for extra in (self.bias_k, self.bias_v):
            if extra is not None:
                init.xavier_normal_(extra)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> Attended:
        """``(output, weights)``; arguments and results as ``F.multi_head_attention_forward`` documents them."""
        turned = self.batch_first and query.ndim == 3
        if turned:
            itself, shared = query is key and key is value, key is value
            query = query.transpose(0, 1)
            key = query if itself else key.transpose(0, 1)
            value = key if shared else value.transpose(0, 1)
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            self.training,
            key_padding_mask,
            need_weights,
            attn_mask,
            self.in_proj_weight is None,
            self.q_proj_weight,
            self.k_proj_weight,
            self.v_proj_weight,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
        )
        return Attended(output.transpose(0, 1) if turned else output, weights)

    def extra_repr(self) -> str:
        return f"embed_dim={self.embed_dim}, num_heads={self.num_heads}, dropout={self.dropout}"
