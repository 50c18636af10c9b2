"""Attention: Vaswani et al., "Attention is all you need", arXiv:1706.03762. Scores, softmax and products of values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from lucid.errors import ArgumentError, DTypeError, ShapeError
from lucid.functions.arguments import fail, int_of, number_of
from lucid.functions.arranging import repeat_interleave
from lucid.functions.comparison import where
from lucid.functions.creation import full, ones, zeros
from lucid.functions.diagonals import tril
from lucid.functions.linalg import matmul
from lucid.functions.movement import broadcast_to, concat, reshape
from lucid.functions.reductions import softmax
from lucid.ir.types import bool_, is_float
from lucid.nn.functional.arguments import one_dtype
from lucid.nn.functional.dropout import dropout
from lucid.nn.functional.linear import linear
from lucid.promotion import as_tensor, cast, rounded_once

if TYPE_CHECKING:
    from lucid.tensor import Tensor

__all__ = ["multi_head_attention_forward", "scaled_dot_product_attention"]


@rounded_once
def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    attn_mask: Any = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """``softmax(query @ key.T * scale + attn_mask) @ value``.

    Args:
        query: ``(..., L, E)``.
        key: ``(..., S, E)``.
        value: ``(..., S, F)``; leading dimensions broadcast.
        attn_mask: of a shape that broadcasts to ``(..., L, S)``: True where a query may look, or numbers to add. A
            query that may look nowhere gets zeros.
        dropout_p: the probability that a weight is left out.
        is_causal: whether query ``i`` looks at keys ``0 .. i`` alone; then without a mask.
        scale: ``1 / sqrt(E)`` if None.
        enable_gqa: whether the heads of ``key`` and ``value``, the third dimension from the end, each serve several
            heads of ``query``.

    Returns:
        ``(..., L, F)``.

    Raises:
        ShapeError, DTypeError: sizes or dtypes do not fit.
        ArgumentError, ArgumentTypeError: a mask and ``is_causal``, or a ``dropout_p`` outside 0 .. 1.

    >>> import lucid
    >>> x = lucid.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> scaled_dot_product_attention(x, x, x, is_causal=True)[0]
    Tensor([1.0, 0.0])
    """
    op = "scaled_dot_product_attention"
    q, k, v = as_tensor(query, op, "query"), as_tensor(key, op, "key"), as_tensor(value, op, "value")
    one_dtype(op, query=q, key=k, value=v)
    if min(q.ndim, k.ndim, v.ndim) < 2 or q.shape[-1] != k.shape[-1] or k.shape[-2] != v.shape[-2]:
        shapes = f"query {q.shape}, key {k.shape} and value {v.shape}"
        fail(ShapeError(f"{shapes} must be (..., L, E), (..., S, E) and (..., S, F)", op=op))
    if enable_gqa:
        k, v = _for_all_heads(op, q, k), _for_all_heads(op, q, v)
    factor = 1 / math.sqrt(max(q.shape[-1], 1)) if scale is None else float(number_of(op, "scale", scale))
    scores = matmul(q * factor, k.transpose(-2, -1))
    dead = None
    if is_causal:
        if attn_mask is not None:
            fail(ArgumentError("attn_mask must be None with is_causal=True", op=op))
        scores = where(tril(ones(q.shape[-2], k.shape[-2], dtype=bool_)), scores, float("-inf"))
    elif attn_mask is not None:
        scores = _masked(op, scores, as_tensor(attn_mask, op, "attn_mask"))
        # Their softmax would be NaN, in the gradient too.
        dead = (scores == float("-inf")).all(-1, keepdim=True)
        scores = where(dead, 0.0, scores)
    weights = softmax(scores, -1)
    if dead is not None:
        weights = where(dead, 0.0, weights)
    return matmul(dropout(weights, dropout_p), v)


def _for_all_heads(op: str, q: Tensor, x: Tensor) -> Tensor:
    if min(q.ndim, x.ndim) < 3 or x.shape[-3] == 0 or q.shape[-3] % x.shape[-3]:
        fail(ShapeError(f"heads of query {q.shape} must be a multiple of those of key and value {x.shape}", op=op))
    return repeat_interleave(x, q.shape[-3] // x.shape[-3], -3)


def _masked(op: str, scores: Tensor, mask: Tensor) -> Tensor:
    if mask.dtype.kind == "b":
        return where(mask, scores, float("-inf"))
    one_dtype(op, query=scores, attn_mask=mask)
    return scores + mask


class Attended(NamedTuple):
    """What attention gives, and the weights it gave each position, if asked for."""

    output: Tensor
    weights: Tensor | None


@rounded_once
def multi_head_attention_forward(
    query: Any,
    key: Any,
    value: Any,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Any,
    in_proj_bias: Any,
    bias_k: Any,
    bias_v: Any,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Any,
    out_proj_bias: Any,
    training: bool = True,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Any = None,
    k_proj_weight: Any = None,
    v_proj_weight: Any = None,
    *,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Attended:
    """Attention in ``num_heads`` parts of the features side by side: what ``nn.MultiheadAttention`` computes.

    Args:
        query: ``(L, N, E)``, or ``(L, E)`` of one sequence.
        key: ``(S, N, kdim)`` or ``(S, kdim)``.
        value: ``(S, N, vdim)`` or ``(S, vdim)``.
        embed_dim_to_check: E.
        num_heads: divides E.
        in_proj_weight: ``(3 * E, E)``: the maps of query, key and value, one below the other.
        in_proj_bias: ``(3 * E,)``, or None.
        bias_k, bias_v: ``(1, 1, E)`` each: one more position after the projected keys and values; or None.
        add_zero_attn: one more position, of zeros.
        dropout_p: the probability that a weight is left out, in training.
        out_proj_weight, out_proj_bias: ``(E, E)`` and ``(E,)`` or None: the map of the result.
        key_padding_mask: ``(N, S)`` or ``(S,)``: True where a position is not looked at, or numbers to add.
        need_weights: whether to return weights.
        attn_mask: ``(L, S)`` or ``(N * num_heads, L, S)``: True where a query must not look, or numbers to add.
        use_separate_proj_weight: use the next three instead of ``in_proj_weight``.
        q_proj_weight, k_proj_weight, v_proj_weight: ``(E, E)``, ``(E, kdim)`` and ``(E, vdim)``.
        average_attn_weights: give the mean of the heads' weights, ``(N, L, S)``, not ``(N, num_heads, L, S)``.
        is_causal: says that ``attn_mask`` is the causal one, which must be given nevertheless.

    Raises:
        ShapeError, DTypeError: sizes or dtypes do not fit.
        ArgumentError: ``is_causal`` without a mask.

    >>> import lucid
    >>> x, eye = lucid.ones(3, 2), lucid.eye(2)
    >>> y, weights = multi_head_attention_forward(
    ...     x, x, x, 2, 1, lucid.cat([eye, eye, eye]), None, None, None, False, 0.0, eye, None
    ... )
    >>> y.shape, weights.shape
    ((3, 2), (3, 3))
    """
    op = "multi_head_attention_forward"
    itself, shared = query is key and key is value, key is value
    q, k, v = as_tensor(query, op, "query"), as_tensor(key, op, "key"), as_tensor(value, op, "value")
    heads = int_of(op, "num_heads", num_heads)
    alone = _require_shapes(op, q, k, v, embed_dim_to_check, heads)
    if is_causal and attn_mask is None:
        fail(ArgumentError("is_causal=True says what attn_mask is: give the mask too", op=op))
    if alone:
        q, k, v = q.unsqueeze(1), k.unsqueeze(1), v.unsqueeze(1)
    length, batch, features = q.shape
    if use_separate_proj_weight:
        parts = (None,) * 3 if in_proj_bias is None else as_tensor(in_proj_bias, op, "in_proj_bias").chunk(3)
        maps = (q_proj_weight, k_proj_weight, v_proj_weight)
        q, k, v = (linear(x, w, b) for x, w, b in zip((q, k, v), maps, parts, strict=True))
    else:
        q, k, v = _projected(q, k, v, in_proj_weight, in_proj_bias, itself, shared)
    mask = _mask(op, attn_mask, key_padding_mask, q, k, heads, alone)
    extra = 0
    if bias_k is not None and bias_v is not None:
        k, v = (concat([x, broadcast_to(b, (1, batch, features))]) for x, b in ((k, bias_k), (v, bias_v)))
        extra += 1
    if add_zero_attn:
        nothing = zeros(1, batch, features, dtype=k.dtype)
        k, v = concat([k, nothing]), concat([v, nothing])
        extra += 1
    if mask is not None and extra:
        mask = concat([mask, zeros(*mask.shape[:-1], extra, dtype=mask.dtype)], -1)
    q, k, v = (_by_head(x, heads) for x in (q, k, v))
    left_out = dropout_p if training else 0.0
    weights = None
    if need_weights:
        scores = matmul(q * (1 / math.sqrt(features // heads)), k.transpose(-2, -1))
        weights = dropout(softmax(scores if mask is None else scores + mask, -1), left_out)
        found = matmul(weights, v)
        weights = weights.mean(1) if average_attn_weights else weights
        weights = weights.squeeze(0) if alone else weights
    else:
        found = scaled_dot_product_attention(q, k, v, mask, left_out)
    joined = reshape(found.permute(2, 0, 1, 3), (length, batch, features))
    output = linear(joined, out_proj_weight, out_proj_bias)
    return Attended(output.squeeze(1) if alone else output, weights)


def _require_shapes(op: str, q: Tensor, k: Tensor, v: Tensor, features: Any, heads: int) -> bool:
    """Whether the operands are one sequence each."""
    shapes = f"query {q.shape}, key {k.shape} and value {v.shape}"
    if q.ndim not in (2, 3) or not q.ndim == k.ndim == v.ndim:
        fail(ShapeError(f"{shapes} must all be (length, batch, features) or (length, features)", op=op))
    if k.shape[:-1] != v.shape[:-1] or q.shape[1:-1] != k.shape[1:-1]:
        fail(ShapeError(f"{shapes} differ in batch, or key and value in length", op=op))
    if q.shape[-1] != features:
        fail(ShapeError(f"query has shape {q.shape}, but its last size must be embed_dim={features}", op=op))
    if heads < 1 or features % heads:
        fail(ArgumentError(f"num_heads={heads} must divide embed_dim={features}", op=op))
    return q.ndim == 2


def _projected(
    q: Tensor, k: Tensor, v: Tensor, weight: Any, bias: Any, itself: bool, shared: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The three maps of ``in_proj_weight``, as few products as the operands need."""
    if itself:
        a, b, c = linear(q, weight, bias).chunk(3, -1)
        return a, b, c
    n = q.shape[-1]
    biases = (None, None) if bias is None else (bias[:n], bias[n:])
    if shared:
        b, c = linear(k, weight[n:], biases[1]).chunk(2, -1)
        return linear(q, weight[:n], biases[0]), b, c
    parts = (None,) * 3 if bias is None else bias.chunk(3)
    a, b, c = (linear(x, w, part) for x, w, part in zip((q, k, v), weight.chunk(3), parts, strict=True))
    return a, b, c


def _by_head(x: Tensor, heads: int) -> Tensor:
    """``(length, batch, features)`` to ``(batch, heads, length, features / heads)``."""
    length, batch, features = x.shape
    return reshape(x, (length, batch, heads, features // heads)).permute(1, 2, 0, 3)


def _mask(op: str, attn_mask: Any, padding: Any, q: Tensor, k: Tensor, heads: int, alone: bool) -> Tensor | None:
    """Both masks as numbers to add to scores ``(batch, heads, L, S)``."""
    (length, batch), size = q.shape[:2], k.shape[0]
    found = None
    if attn_mask is not None:
        found = _numbers(op, "attn_mask", attn_mask, q)
        if found.shape == (batch * heads, length, size) and found.ndim == 3:
            found = reshape(found, (batch, heads, length, size))
        elif found.shape != (length, size):
            wanted = f"{(length, size)} or {(batch * heads, length, size)}"
            fail(ShapeError(f"attn_mask has shape {found.shape}, but it must be {wanted}", op=op))
    if padding is not None:
        hidden = _numbers(op, "key_padding_mask", padding, q)
        per_key = (size,) if alone else (batch, size)
        if hidden.shape != per_key:
            fail(ShapeError(f"key_padding_mask has shape {hidden.shape}, but it must be {per_key}", op=op))
        hidden = reshape(hidden, (batch, 1, 1, size))
        found = hidden if found is None else found + hidden
    return found


def _numbers(op: str, name: str, mask: Any, like: Tensor) -> Tensor:
    given = as_tensor(mask, op, name)
    if given.dtype.kind == "b":
        return where(given, full((), float("-inf"), dtype=like.dtype), 0.0)
    if not is_float(given.dtype):
        fail(DTypeError(f"{name} has dtype {given.dtype.name}, but it must be bool or floating", op=op))
    return cast(given, like.dtype)
