"""The additive fusions: late fusion and concatenation."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib.models.base import summed
from msam_lib.models.fusions.base import Features, Fusion, coalition_sums


class _Additive(Fusion):
    """Base class of fusions that sum logits over modalities; coalitions are one matrix product."""

    additive = True

    def forward(self, features: Features) -> Tensor:
        return summed(self.unimodal(features).values())

    def coalition_logits(
        self, features: Features, absent: Features, masks: Tensor, *, rows: int = 16_384
    ) -> Tensor:
        # The terms of the logits: (M, N, C) present, (M, 1, C) absent.
        here, gone = (torch.stack(list(self.unimodal(x).values())) for x in (features, absent))
        return coalition_sums(here, gone, masks)


class LateFusion(_Additive):
    """Late fusion: one linear head per modality, logits summed (the decision-level sum of the M-SAM
    paper).
    """

    def __init__(self, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(dims, classes)
        self.heads = nn.ModuleDict({m: nn.Linear(d, classes) for m, d in dims.items()})

    def unimodal(self, features: Features) -> dict[str, Tensor]:
        return {m: self.heads[m](features[m]) for m in self.modalities}


class ConcatFusion(_Additive):
    """Concatenated features and one linear layer.

    The same functions as late fusion, but with one bias: each modality's logits are those of its
    slice of the weight plus bias / M, as in OGM-GE (Peng et al., CVPR 2022, Eq. 5).
    """

    def __init__(self, dims: Mapping[str, int], classes: int) -> None:
        super().__init__(dims, classes)
        self.linear = nn.Linear(sum(dims.values()), classes)

    def forward(self, features: Features) -> Tensor:
        return self.linear(torch.cat([features[m] for m in self.modalities], dim=1))

    def unimodal(self, features: Features) -> dict[str, Tensor]:
        out, start = {}, 0
        for m, d in self.dims.items():
            # The columns that read this modality.
            weight = self.linear.weight[:, start : start + d]
            out[m] = F.linear(features[m], weight, self.linear.bias / len(self.dims))
            start += d
        return out
