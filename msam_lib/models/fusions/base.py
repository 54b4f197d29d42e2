"""`Fusion`: from the features of M modalities to logits, of all of them and of any coalition.

Every fusion takes `{modality: features (N, D_m)}` and returns logits (N, C). `coalition_logits`
evaluates many subsets of modalities without running the encoders again; exact contributions need
nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from typing import ClassVar

import torch
from torch import Tensor, nn

from msam_lib._utils.precision import full
from msam_lib.errors import MsamError

Features = Mapping[str, Tensor]


class Fusion(nn.Module):
    """Base class: a subclass defines `forward`, and `unimodal` where it has per-modality logits.

    Args:
        dims: feature size per modality, in the model's order.
        classes: number of logits C.
    """

    additive: bool = False  # logits are a sum of one term per modality
    laid_out: ClassVar[bool] = False  # reads the parts of features, see `Layout`

    def __init__(self, dims: Mapping[str, int], classes: int) -> None:
        super().__init__()
        # Modalities name blocks and sub-modules, so some names are taken.
        taken = nn.ModuleDict()
        for m in dims:
            if not m or "." in m or m == "fusion" or hasattr(taken, m):
                hint = f"{(m or 'x').replace('.', '_')}_1"
                raise MsamError(f"Modality name {m!r} can't be used in a model; try {hint!r}.")
        self.modalities, self.dims, self.classes = tuple(dims), dict(dims), classes

    @property
    def inner(self) -> Fusion:
        """The fusion whose class tells how features are joined, in every segment where they have
        some.
        """
        return self

    def forward(self, features: Features) -> Tensor:
        """Logits (N, C) of the features {m: (N, D_m)}."""
        raise NotImplementedError

    def unimodal(self, features: Features) -> dict[str, Tensor]:
        """Each modality's own logits {m: (N, C)}; empty where the fusion has none."""
        return {}

    def own_head(self, modality: str) -> nn.Module:
        """A new module from a modality's features to logits (N, C) of its own."""
        return nn.Linear(self.dims[modality], self.classes)

    def coalition_logits(
        self, features: Features, absent: Features, masks: Tensor, *, rows: int = 16_384
    ) -> Tensor:
        """Logits (K, N, C) of K coalitions; `masks` (K, M) is True where a modality is present.

        Args:
            features: {m: (N, D_m)} of the present modalities.
            absent: {m: (1, D_m)}, the feature of an absent modality's replacement input.
            masks: (K, M) booleans, columns in the order of `self.modalities`.
            rows: (coalition, sample) pairs that go through the fusion at a time; bounds the memory.
        """
        n = len(next(iter(features.values())))
        out = []
        for chunk in masks.split(max(1, rows // n)):
            # Each coalition is one more copy of the samples, with absent features replaced.
            stacked = {
                m: torch.where(chunk[:, i, None, None], features[m], absent[m]).flatten(0, 1)
                for i, m in enumerate(self.modalities)
            }  # {m: (k * N, D_m)}
            out.append(self(stacked).view(len(chunk), n, -1))
        return torch.cat(out)


class SegmentHead(nn.Module):
    """One linear layer for every segment: (N, segments * places * inputs) -> (N, segments *
    outputs), of the mean over the places; or (N, outputs), of the mean over the segments, too.
    """

    def __init__(
        self, inputs: int, outputs: int, segments: int, places: int = 1, *, each: bool = True
    ) -> None:
        super().__init__()
        self.parts, self.each = (segments, places, inputs), each
        self.linear = nn.Linear(inputs, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = x.unflatten(1, self.parts).mean(2)  # (N, S, D)
        return self.linear(x if self.each else x.mean(1)).flatten(1)


def coalition_sums(here: Tensor, gone: Tensor, masks: Tensor) -> Tensor:
    """Sums over the modalities (K, N, C) for K coalitions: of `here` (M, N, C) where a modality is
    present, and of `gone` (M, 1, C) where it is absent.

    One product of the masks (K, M) with all modalities at once, never in half precision.
    """
    here, gone = full(here), full(gone)
    # Σ_m gone_m + Σ_{m present} (here_m − gone_m).
    gains, kind = (here - gone).flatten(1), here.device.type
    with torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext():
        gain = masks.to(gains.dtype) @ gains
    return gain.view(len(masks), *here.shape[1:]) + gone.sum(0)
