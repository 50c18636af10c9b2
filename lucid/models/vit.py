"""Vision Transformer: Dosovitskiy et al., arXiv:2010.11929."""

from __future__ import annotations

import math
from typing import Any

from lucid import nn
from lucid.errors import ArgumentError, ShapeError
from lucid.functions.arguments import fail
from lucid.functions.creation import empty, zeros
from lucid.functions.movement import concat
from lucid.nn import Parameter
from lucid.tensor import Tensor


class _Block(nn.Module):
    """Attention and two linear layers, each after a norm and beside a shortcut."""

    def __init__(self, width: int, heads: int, hidden: int, dropout: float, attention_dropout: float):
        super().__init__()
        self.ln_1 = nn.LayerNorm(width, eps=1e-6)
        self.self_attention = nn.MultiheadAttention(width, heads, dropout=attention_dropout, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.ln_2 = nn.LayerNorm(width, eps=1e-6)
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Dropout(dropout), nn.Linear(hidden, width), nn.Dropout(dropout)
        )
        for layer in (self.mlp[0], self.mlp[3]):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.normal_(layer.bias, std=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        y = self.ln_1(x)
        attended, _ = self.self_attention(y, y, y, need_weights=False)
        x = x + self.dropout(attended)
        result: Tensor = x + self.mlp(self.ln_2(x))
        return result


class _Encoder(nn.Module):
    """Blocks on a sequence whose places have learned values."""

    def __init__(self, places: int, depth: int, width: int, *block: Any, dropout: float):
        super().__init__()
        self.pos_embedding = Parameter(empty(1, places, width))
        nn.init.normal_(self.pos_embedding, std=0.02)
        self.dropout = nn.Dropout(dropout)
        self.layers = nn.Sequential({f"encoder_layer_{k}": _Block(width, *block) for k in range(depth)})
        self.ln = nn.LayerNorm(width, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.ln(self.layers(self.dropout(x + self.pos_embedding)))
        return result


class VisionTransformer(nn.Module):
    """A transformer encoder on the patches of an image ``(N, 3, image_size, image_size)``.

    Args:
        image_size: height and width of the images.
        patch_size: height and width of a patch, which divides it.
        num_layers: blocks.
        num_heads: of attention.
        hidden_dim: width of the sequence.
        mlp_dim: width between the two linear layers of a block.
        dropout, attention_dropout: probabilities.
        num_classes: outputs.

    Raises:
        ArgumentError, ArgumentTypeError: sizes that do not divide, or numbers out of range.
        ShapeError: when called, with images of another size.

    >>> import lucid
    >>> model = lucid.models.VisionTransformer(32, 8, 2, 4, 32, 64, num_classes=4)
    >>> model(lucid.zeros(1, 3, 32, 32)).shape
    (1, 4)
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        num_layers: int,
        num_heads: int,
        hidden_dim: int,
        mlp_dim: int,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        num_classes: int = 1000,
    ):
        super().__init__()
        if image_size % patch_size:
            rule = f"patch_size={patch_size} must divide image_size={image_size}"
            fail(ArgumentError(rule, op="VisionTransformer"))
        self.image_size = image_size
        self.class_token = Parameter(zeros(1, 1, hidden_dim))
        self.conv_proj = nn.Conv2d(3, hidden_dim, patch_size, patch_size)
        places = (image_size // patch_size) ** 2 + 1
        block = (num_heads, mlp_dim, dropout, attention_dropout)
        self.encoder = _Encoder(places, num_layers, hidden_dim, *block, dropout=dropout)
        self.heads = nn.Sequential({"head": nn.Linear(hidden_dim, num_classes)})
        nn.init.trunc_normal_(self.conv_proj.weight, std=math.sqrt(1 / (3 * patch_size**2)))
        assert self.conv_proj.bias is not None
        nn.init.zeros_(self.conv_proj.bias)
        nn.init.zeros_(self.heads[0].weight)
        nn.init.zeros_(self.heads[0].bias)

    def forward(self, x: Tensor) -> Tensor:
        if x.ndim != 4 or x.shape[2:] != (self.image_size, self.image_size):
            wanted = f"(N, 3, {self.image_size}, {self.image_size})"
            fail(ShapeError(f"x has shape {x.shape}, but it must be {wanted}", op="VisionTransformer"))
        patches = self.conv_proj(x).flatten(2).swapaxes(1, 2)
        sequence = concat([self.class_token.expand(x.shape[0], -1, -1), patches], 1)
        logits: Tensor = self.heads(self.encoder(sequence)[:, 0])
        return logits


def vit_tiny(**options: Any) -> VisionTransformer:
    """Vision Transformer for 32 x 32 pixels, in patches of 4: 2.9 million parameters.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vit_tiny, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VisionTransformer(32, 4, 6, 3, 192, 768, **options)


def vit_b_16(**options: Any) -> VisionTransformer:
    """Vision Transformer base, in patches of 16: 86.6 million parameters.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vit_b_16, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VisionTransformer(224, 16, 12, 12, 768, 3072, **options)


def vit_b_32(**options: Any) -> VisionTransformer:
    """Vision Transformer base, in patches of 32: 88.2 million parameters.

    >>> import lucid
    >>> model = lucid.nn.utils.skip_init(lucid.models.vit_b_32, num_classes=4)
    >>> sum(p.size for p in model.parameters()) > 10**5
    True
    """
    return VisionTransformer(224, 32, 12, 12, 768, 3072, **options)
