"""Transformer encoders of sequences of vectors and of characters."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from msam_lib.errors import MsamError
from msam_lib.models.encoders.base import Encoder


class _Transformer(Encoder):
    """A pre-norm Transformer encoder over (N, T, dim), read out by masked mean pooling."""

    def __init__(self, dim: int, depth: int, heads: int, dropout: float) -> None:
        super().__init__()
        if dim % heads:
            raise MsamError(f"heads={heads}; it must divide the size of the features, {dim}.")
        self.dim = dim
        layer = nn.TransformerEncoderLayer(
            dim, heads, 2 * dim, dropout, batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, depth, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(dim)

    def blocks(self) -> Sequence[nn.Module]:
        """The Transformer's layers."""
        return list(self.layers.layers)

    def top(self) -> Sequence[nn.Parameter]:
        """Those of the last normalisation."""
        return list(self.norm.parameters())

    def pooled(self, h: Tensor, padding: Tensor) -> Tensor:
        """(N, dim) of embedded steps (N, T, dim), without those that are padding (N, T)."""
        positions = _sinusoids(h.shape[1], h.shape[2]).to(h)
        # A sample without any token keeps all its (zero) positions: attention over nothing would be
        # NaN.
        padding = padding & ~padding.all(dim=1, keepdim=True)
        h = self.norm(self.layers(h + positions, src_key_padding_mask=padding))
        keep = (~padding).unsqueeze(-1).to(h)  # (N, T, 1)
        return (h * keep).sum(1) / keep.sum(1)


class TransformerEncoder(_Transformer):
    """Transformer over a sequence of vectors: (N, T, inputs) -> (N, dim); all-zero steps are
    padding.

    Vaswani et al., NeurIPS 2017, with the normalisation before each block. The M-SAM paper's
    setting for UR-Funny is dim 768, 4 heads, 8 layers.

    Args:
        inputs: size of the vectors.
        dim: size of the features.
        depth: number of layers.
        heads: attention heads.
        dropout: probability.
    """

    def __init__(
        self, inputs: int, dim: int = 64, *, depth: int = 2, heads: int = 4, dropout: float = 0.0
    ) -> None:
        super().__init__(dim, depth, heads, dropout)
        self.embed = nn.Linear(inputs, dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.pooled(self.embed(x), (x == 0).all(dim=-1))


class TokenEncoder(_Transformer):
    """Transformer over characters or words: (N, T) integers -> (N, dim).

    Integers may come as floats (a zeroed input keeps its type); they are rounded to the nearest
    symbol. Arguments as of `TransformerEncoder`, but `vocabulary`, the number of symbols, and
    `padding`, the one that is none.
    """

    def __init__(
        self,
        vocabulary: int,
        dim: int = 64,
        *,
        depth: int = 1,
        heads: int = 4,
        dropout: float = 0.0,
        padding: int = 0,
    ) -> None:
        super().__init__(dim, depth, heads, dropout)
        self.padding = padding
        self.embed = nn.Embedding(vocabulary, dim, padding_idx=padding)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.round().long() if x.is_floating_point() else x.long()
        return self.pooled(self.embed(tokens), tokens == self.padding)


def _sinusoids(steps: int, dim: int) -> Tensor:
    """Sinusoidal positions (T, dim), Vaswani et al. 2017, section 3.5."""
    rates = torch.exp(torch.arange(0, dim, 2) * (-math.log(10_000.0) / dim))  # 10000^(-2i / dim)
    angles = torch.arange(steps).unsqueeze(1) * rates  # (T, dim / 2)
    table = torch.zeros(steps, dim)
    table[:, 0::2], table[:, 1::2] = angles.sin(), angles.cos()[:, : dim // 2]
    return table
