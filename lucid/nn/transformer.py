"""Transformers: Vaswani et al., arXiv:1706.03762; with norms first: Xiong et al., arXiv:2002.04745."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lucid.errors import ArgumentError, ArgumentTypeError, ShapeError
from lucid.functions.arguments import fail
from lucid.functions.creation import full
from lucid.functions.diagonals import triu
from lucid.nn import functional as F
from lucid.nn import init
from lucid.nn.arguments import flag, positive
from lucid.nn.attention import MultiheadAttention
from lucid.nn.containers import ModuleList
from lucid.nn.dropout import Dropout
from lucid.nn.linear import Linear
from lucid.nn.module import Module
from lucid.nn.normalization import LayerNorm
from lucid.nn.place import Place, placed
from lucid.tensor import Tensor

if TYPE_CHECKING:
    from typing_extensions import Unpack

Activation = str | Callable[[Tensor], Tensor]


def _activation(op: str, value: Any) -> Callable[[Tensor], Tensor]:
    if isinstance(value, str):
        if value not in ("relu", "gelu"):
            fail(ArgumentError(f"activation={value!r} must be 'relu', 'gelu' or a function", op=op))
        return F.relu if value == "relu" else F.gelu
    if not callable(value):
        fail(ArgumentTypeError(f"activation={value!r} must be 'relu', 'gelu' or a function", op=op))
    return value  # type: ignore[no-any-return]  # whatever it takes and gives


class _Layer(Module):
    """What layers of encoders and decoders share: attention to themselves, and the two linear maps at their end."""

    #: How many sublayers there are, each with a norm and a dropout of its own.
    sublayers: int

    def _build(
        self, d_model: int, nhead: int, dim_feedforward: int, dropout: float, activation: Activation, eps: float,
        batch_first: bool, norm_first: bool, bias: bool, place: Place,
    ) -> None:  # fmt: skip
        op = type(self).__name__
        made = placed(op, place)
        self.self_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **made)
        if self.sublayers == 3:
            self.multihead_attn = MultiheadAttention(d_model, nhead, dropout, bias, batch_first=batch_first, **made)
        self.linear1 = Linear(d_model, dim_feedforward, bias, **made)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias, **made)
        self.norm_first = flag(op, "norm_first", norm_first)
        for k in range(1, self.sublayers + 1):
            self.add_module(f"norm{k}", LayerNorm(d_model, eps, bias=bias, **made))
        for k in range(1, self.sublayers + 1):
            self.add_module(f"dropout{k}", Dropout(dropout))
        self.activation = _activation(op, activation)

    def _added(self, k: int, x: Tensor, sublayer: Callable[[Tensor], Tensor]) -> Tensor:
        """Sublayer ``k`` added to what it was given, and the norm before or after."""
        norm, left_out = getattr(self, f"norm{k}"), getattr(self, f"dropout{k}")
        if self.norm_first:
            return x + left_out(sublayer(norm(x)))  # type: ignore[no-any-return]  # a tensor
        return norm(x + left_out(sublayer(x)))  # type: ignore[no-any-return]  # a tensor

    def _forward_features(self, x: Tensor) -> Tensor:
        return self.linear2(self.dropout(self.activation(self.linear1(x))))  # type: ignore[no-any-return]  # a tensor


class TransformerEncoderLayer(_Layer):
    """Attention of a sequence to itself, then two linear maps, each added to its input and normalised.

    Args:
        d_model: features.
        nhead: heads, a divisor of ``d_model``.
        dim_feedforward: features between the linear maps.
        dropout: the probability that a value is left out, in training.
        activation: between the linear maps: 'relu', 'gelu' or a function.
        layer_norm_eps: added to the norms' variances.
        batch_first: whether sequences are ``(N, length, d_model)`` instead of ``(length, N, d_model)``.
        norm_first: whether norms come before the sublayers instead of after.
        bias: whether linear maps and norms have biases.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1 or do not divide; an unknown activation.
        ShapeError, DTypeError: when called, with sequences or masks that do not fit.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)(lucid.randn(3, 5, 8)).shape
    (3, 5, 8)
    """

    sublayers = 2

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        **place: Unpack[Place],
    ):
        super().__init__()
        options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        self._build(d_model, nhead, *options, place)

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        """The sequence, encoded; masks as in ``MultiheadAttention``."""

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, src_key_padding_mask, False, src_mask, is_causal=is_causal).output  # type: ignore[no-any-return]  # a tensor

        return self._added(2, self._added(1, src, attend), self._forward_features)


class TransformerDecoderLayer(_Layer):
    """Attention of a sequence to itself, then to ``memory``, then two linear maps, each added to its input and
    normalised.

    Args:
        d_model: features.
        nhead: heads, a divisor of ``d_model``.
        dim_feedforward: features between the linear maps.
        dropout: the probability that a value is left out, in training.
        activation: between the linear maps: 'relu', 'gelu' or a function.
        layer_norm_eps: added to the norms' variances.
        batch_first: whether sequences are ``(N, length, d_model)`` instead of ``(length, N, d_model)``.
        norm_first: whether norms come before the sublayers instead of after.
        bias: whether linear maps and norms have biases.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1 or do not divide; an unknown activation.
        ShapeError, DTypeError: when called, with sequences or masks that do not fit.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> nn.TransformerDecoderLayer(8, 2, 16)(lucid.randn(5, 3, 8), lucid.randn(7, 3, 8)).shape
    (5, 3, 8)
    """

    sublayers = 3

    def __init__(
        self,
        d_model: int,
        nhead: int,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        **place: Unpack[Place],
    ):
        super().__init__()
        options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        self._build(d_model, nhead, *options, place)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool = False,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The sequence ``tgt``, decoded; masks as in ``MultiheadAttention``."""

        def attend(x: Tensor) -> Tensor:
            return self.self_attn(x, x, x, tgt_key_padding_mask, False, tgt_mask, is_causal=tgt_is_causal).output  # type: ignore[no-any-return]  # a tensor

        def look_up(x: Tensor) -> Tensor:
            return self.multihead_attn(  # type: ignore[no-any-return]  # a tensor
                x, memory, memory, memory_key_padding_mask, False, memory_mask, is_causal=memory_is_causal
            ).output

        return self._added(3, self._added(2, self._added(1, tgt, attend), look_up), self._forward_features)


class _Stack(Module):
    """Copies of one layer in a row, and a norm at the end."""

    def _build(self, layer: Module, num_layers: int, norm: Module | None) -> None:
        op = type(self).__name__
        if not isinstance(layer, Module):
            fail(ArgumentTypeError(f"the layer must be a Module, not {type(layer).__name__}", op=op))
        self.num_layers = positive(op, "num_layers", num_layers)
        self.layers = ModuleList([copy.deepcopy(layer) for _ in range(self.num_layers)])
        self.add_module("norm", norm)

    def _normalised(self, x: Tensor) -> Tensor:
        return x if self.norm is None else self.norm(x)


class TransformerEncoder(_Stack):
    """``num_layers`` copies of an encoder layer in a row.

    Args:
        encoder_layer: what is copied, with its values.
        num_layers: how often.
        norm: a layer for the result, or None.
        enable_nested_tensor, mask_check: accepted, and change nothing.

    Raises:
        ArgumentError, ArgumentTypeError: not a module, or fewer than 1 layers.

    >>> import lucid
    >>> from lucid import nn
    >>> encoder = nn.TransformerEncoder(nn.TransformerEncoderLayer(8, 2, 16), 2)
    >>> encoder(lucid.randn(5, 3, 8)).shape
    (5, 3, 8)
    """

    def __init__(
        self,
        encoder_layer: Module,
        num_layers: int,
        norm: Module | None = None,
        enable_nested_tensor: bool = True,
        mask_check: bool = True,
    ):
        super().__init__()
        self._build(encoder_layer, num_layers, norm)

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        """The sequence through all layers; arguments as the layers'."""
        for layer in self.layers:
            src = layer(src, mask, src_key_padding_mask, bool(is_causal))
        return self._normalised(src)


class TransformerDecoder(_Stack):
    """``num_layers`` copies of a decoder layer in a row.

    Args:
        decoder_layer: what is copied, with its values.
        num_layers: how often.
        norm: a layer for the result, or None.

    Raises:
        ArgumentError, ArgumentTypeError: not a module, or fewer than 1 layers.

    >>> import lucid
    >>> from lucid import nn
    >>> decoder = nn.TransformerDecoder(nn.TransformerDecoderLayer(8, 2, 16), 2)
    >>> decoder(lucid.randn(5, 3, 8), lucid.randn(7, 3, 8)).shape
    (5, 3, 8)
    """

    def __init__(self, decoder_layer: Module, num_layers: int, norm: Module | None = None):
        super().__init__()
        self._build(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt: Tensor,
        memory: Tensor,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """The sequence through all layers, each looking at ``memory``; arguments as the layers'."""
        masks = (tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask)
        for layer in self.layers:
            tgt = layer(tgt, memory, *masks, bool(tgt_is_causal), memory_is_causal)
        return self._normalised(tgt)


class Transformer(Module):
    """An encoder, and a decoder that looks at what the encoder gives.

    Args:
        d_model: features.
        nhead: heads, a divisor of ``d_model``.
        num_encoder_layers, num_decoder_layers: layers of each.
        dim_feedforward: features between the linear maps of a layer.
        dropout: the probability that a value is left out, in training.
        activation: 'relu', 'gelu' or a function.
        custom_encoder, custom_decoder: modules to use instead.
        layer_norm_eps: added to the norms' variances.
        batch_first: whether sequences are ``(N, length, d_model)`` instead of ``(length, N, d_model)``.
        norm_first: whether norms come before the sublayers instead of after.
        bias: whether linear maps and norms have biases.
        device: None or the CPU.
        dtype: a floating one, for all that the layer holds; the default dtype unless given.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that are not ints of at least 1 or do not divide; an unknown activation.
        ShapeError, DTypeError: when called, with sequences or masks that do not fit.
        ArgumentError, DTypeError: another device; a ``dtype`` that is not floating.

    >>> import lucid
    >>> from lucid import nn
    >>> model = nn.Transformer(8, 2, 1, 1, 16)
    >>> model(lucid.randn(5, 3, 8), lucid.randn(4, 3, 8)).shape
    (4, 3, 8)
    """

    def __init__(
        self,
        d_model: int = 512,
        nhead: int = 8,
        num_encoder_layers: int = 6,
        num_decoder_layers: int = 6,
        dim_feedforward: int = 2048,
        dropout: float = 0.1,
        activation: Activation = "relu",
        custom_encoder: Module | None = None,
        custom_decoder: Module | None = None,
        layer_norm_eps: float = 1e-5,
        batch_first: bool = False,
        norm_first: bool = False,
        bias: bool = True,
        **place: Unpack[Place],
    ):
        super().__init__()
        options = (dim_feedforward, dropout, activation, layer_norm_eps, batch_first, norm_first, bias)
        made = placed("Transformer", place)
        self.encoder = custom_encoder or TransformerEncoder(
            TransformerEncoderLayer(d_model, nhead, *options, **made),
            num_encoder_layers,
            LayerNorm(d_model, layer_norm_eps, bias=bias, **made),
        )
        self.decoder = custom_decoder or TransformerDecoder(
            TransformerDecoderLayer(d_model, nhead, *options, **made),
            num_decoder_layers,
            LayerNorm(d_model, layer_norm_eps, bias=bias, **made),
        )
        self.d_model = d_model
        self.nhead = nhead
        self.batch_first = batch_first
        for p in self.parameters():
            if p.ndim > 1:
                init.xavier_uniform_(p)

    def forward(
        self,
        src: Tensor,
        tgt: Tensor,
        src_mask: Tensor | None = None,
        tgt_mask: Tensor | None = None,
        memory_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        tgt_key_padding_mask: Tensor | None = None,
        memory_key_padding_mask: Tensor | None = None,
        src_is_causal: bool | None = None,
        tgt_is_causal: bool | None = None,
        memory_is_causal: bool = False,
    ) -> Tensor:
        """``tgt`` decoded, looking at ``src`` encoded; masks as in ``MultiheadAttention``."""
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            shapes = f"src has shape {src.shape} and tgt {tgt.shape}"
            fail(ShapeError(f"{shapes}, but their last sizes must be d_model={self.d_model}", op="Transformer"))
        memory = self.encoder(src, src_mask, src_key_padding_mask, src_is_causal)
        return self.decoder(  # type: ignore[no-any-return]  # a tensor
            tgt, memory, tgt_mask, memory_mask, tgt_key_padding_mask, memory_key_padding_mask, tgt_is_causal,
            memory_is_causal,
        )  # fmt: skip

    @staticmethod
    def generate_square_subsequent_mask(sz: int, device: Any = None, dtype: object = None) -> Tensor:
        """A causal mask ``(sz, sz)`` to add: ``-inf`` above the diagonal, 0 elsewhere.

        >>> Transformer.generate_square_subsequent_mask(2)
        Tensor([[0.0, -inf],
                [0.0, 0.0]])
        """
        return triu(full((sz, sz), float("-inf"), dtype=dtype, device=device), 1)
