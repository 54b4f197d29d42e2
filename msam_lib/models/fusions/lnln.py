"""LNLN's fusion: one modality leads; its gaps are filled from the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from msam_lib._utils.options import Count
from msam_lib.errors import unknown_name
from msam_lib.models.fusions.base import Features, Fusion


@dataclass
class Parts:
    """What the fusion computed on the way.

    Args:
        logits: (N, C).
        completeness: (N,), how complete the leading modality seems, in (0, 1).
        leading: (N, D), the leading modality's own feature.
        proxy: (N, D), what the others say in its place.
        corrected: (N, D), the mixture of the two.
        rebuilt: {m: (N, D_m)}, every modality's complete features as reconstructed.
    """

    logits: Tensor
    completeness: Tensor
    leading: Tensor
    proxy: Tensor
    corrected: Tensor
    rebuilt: dict[str, Tensor]


class LNLNFusion(Fusion):
    """Language-dominated noise-resistant fusion (Zhang, Wang, Yu, NeurIPS 2024).

    With the leading modality's feature h_l and a proxy p made of the others, the completeness
    w = sigmoid(c(h_l)) gives the corrected feature d = w h_l + (1 - w) p. A hyper-modality is
    drawn from the others by attention with d as the query, and both are classified. A
    reconstructor rebuilds every modality's features.

    Simplified against the paper: features are one vector per modality, so attention runs over
    modalities instead of time, and each block is one layer instead of a small Transformer. The
    reconstructor reads what is classified; the released one reads each modality's own damaged
    feature, and rebuilds it in the common space.

    Args:
        dims: feature size per modality.
        classes: number of logits C.
        leading: the modality that leads; the first one by default.
        hidden: size of the common space.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        leading: str | None = None,
        hidden: Count = 64,
    ) -> None:
        super().__init__(dims, classes)
        self.leading = next(iter(dims)) if leading is None else leading
        if self.leading not in dims:
            raise unknown_name("leading modality", leading, dims)
        self.project = nn.ModuleDict({m: nn.Linear(d, hidden) for m, d in dims.items()})
        # w = sigmoid(c(h_l)), and the proxy p from the other modalities.
        self.completeness = nn.Linear(hidden, 1)
        self.proxy = nn.Sequential(nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.query, self.key = nn.Linear(hidden, hidden), nn.Linear(hidden, hidden)
        self.head = nn.Sequential(
            nn.Linear(2 * hidden, hidden), nn.ReLU(), nn.Linear(hidden, classes)
        )
        self.rebuild = nn.ModuleDict({m: nn.Linear(2 * hidden, d) for m, d in dims.items()})
        # Tells the leading feature from the proxy in the adversarial loss.
        self.discriminator = nn.Sequential(
            nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, 2)
        )

    def forward(self, features: Features) -> Tensor:
        return self.parts(features).logits

    def parts(self, features: Features, *, reverse: bool = False) -> Parts:
        """Logits and everything that the training losses need.

        Args:
            features: {m: (N, D_m)}.
            reverse: reverse every gradient that reaches the proxy, as the released code does.
        """
        common = {m: self.project[m](features[m]) for m in self.modalities}  # (N, H)
        leading = common[self.leading]
        # A single modality has no others; zeros keep the shapes.
        rest = [h for m, h in common.items() if m != self.leading] or [torch.zeros_like(leading)]
        others = torch.stack(rest, 1)  # (N, M-1, H)
        # p: what the others say in the place of the leading modality.
        proxy = self.proxy(others.mean(1))
        proxy = reversed_gradient(proxy) if reverse else proxy
        w = torch.sigmoid(self.completeness(leading)).squeeze(1)  # (N,)
        # d = w h_l + (1 − w) p, (N, H).
        corrected = w[:, None] * leading + (1 - w)[:, None] * proxy
        # Attention over the other modalities, with d as the query.
        score = (self.key(others) @ self.query(corrected)[..., None]).squeeze(-1)  # (N, M-1)
        weights = (score / others.shape[-1] ** 0.5).softmax(1)
        hyper = corrected + (weights[..., None] * others).sum(1)  # (N, H)
        both = torch.cat([corrected, hyper], 1)  # (N, 2 H)
        rebuilt = {m: self.rebuild[m](both) for m in self.modalities}
        return Parts(self.head(both), w, leading, proxy, corrected, rebuilt)


def reversed_gradient(x: Tensor) -> Tensor:
    """x, whose gradient changes its sign on the way back (Ganin, Lempitsky, ICML 2015)."""
    out: Tensor = _Reversed.apply(x)
    return out


class _Reversed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return -grad
