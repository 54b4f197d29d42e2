"""Fusions that mix the features before the logits: MaxOut, sum, gated, FiLM. None has per-modality
logits.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib._utils.options import Count, ShareBelowOne
from msam_lib.errors import unknown_name
from msam_lib.models.base import summed
from msam_lib.models.fusions.base import Features, Fusion, coalition_sums


class _Maxout(nn.Module):
    """Maxout layer (Goodfellow et al., ICML 2013): the maximum of `pieces` linear maps, unit by
    unit.
    """

    def __init__(self, inputs: int, outputs: int, pieces: int) -> None:
        super().__init__()
        self.pieces = pieces
        self.linear = nn.Linear(inputs, outputs * pieces)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(x).view(len(x), -1, self.pieces).amax(dim=2)  # (N, outputs)


class MaxoutFusion(Fusion):
    """Early fusion, "MAXOUT" in the paper's Table 2: concatenation, two Maxout layers, one linear
    layer.

    Batch normalisation before each Maxout layer and dropout between them follow the reference
    network of AGM (Li et al., ICCV 2023), which the M-SAM tables build on.

    Args:
        hidden: widths of the two Maxout layers; (2048, 1024) is the published size.
        pieces: linear maps per unit.
        dropout: between the layers.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        hidden: tuple[Count, Count] = (2048, 1024),
        pieces: Count = 2,
        dropout: ShareBelowOne = 0.3,
    ) -> None:
        super().__init__(dims, classes)
        a, b = hidden
        width = sum(dims.values())
        self.net = nn.Sequential(
            nn.BatchNorm1d(width, eps=1e-4),
            _Maxout(width, a, pieces),
            nn.BatchNorm1d(a),
            nn.Dropout(dropout),
            _Maxout(a, b, pieces),
            nn.BatchNorm1d(b),
            nn.Dropout(dropout),
            nn.Linear(b, classes),
        )

    def forward(self, features: Features) -> Tensor:
        return self.net(torch.cat([features[m] for m in self.modalities], dim=1))

    def coalition_logits(
        self, features: Features, absent: Features, masks: Tensor, *, rows: int = 16_384
    ) -> Tensor:
        """As in the base class, with less work: the first layer is linear, so its sums over present
        and absent modalities need one product for each modality, not one for each coalition.
        """
        # The first layer of a coalition: Σ_present W_m h_m + Σ_absent W_m a_m.
        norm, first, *rest = self.net
        # The shortcut needs a norm with fixed statistics, which acts on features singly.
        if self.training or type(first) is not _Maxout or getattr(norm, "running_mean", 0) is None:
            return super().coalition_logits(features, absent, masks, rows=rows)
        every = [torch.cat([x[m] for m in self.modalities], dim=1) for x in (features, absent)]
        x = norm(torch.cat(every))  # (N + 1, D), the last row with every modality absent
        sizes = [self.dims[m] for m in self.modalities]
        slices = zip(x.split(sizes, 1), first.linear.weight.split(sizes, 1), strict=True)
        terms = torch.stack([F.linear(a, w) for a, w in slices])  # (M, N + 1, units * pieces)
        here, gone = terms[:, :-1], terms[:, -1:]
        out = []
        # A few coalitions at a time, to bound the memory.
        for chunk in masks.split(max(1, rows // (len(x) - 1))):
            sums = coalition_sums(here, gone, chunk) + first.linear.bias  # (k, N, units * pieces)
            h = _largest(sums.flatten(0, 1), first.pieces)  # (k * N, units)
            for layer in rest:
                h = _largest(layer.linear(h), layer.pieces) if type(layer) is _Maxout else layer(h)
            out.append(h.view(len(chunk), -1, h.shape[-1]))  # (k, N, C)
        return torch.cat(out)


def _largest(x: Tensor, pieces: int) -> Tensor:
    """The largest of the pieces, unit by unit: (N, units * pieces) -> (N, units)."""
    return functools.reduce(torch.maximum, x.view(len(x), -1, pieces).unbind(-1))


class _Projected(Fusion):
    """Base class of fusions that first project every modality to one size `hidden`."""

    def __init__(self, dims: Mapping[str, int], classes: int, *, hidden: Count = 128) -> None:
        super().__init__(dims, classes)
        self.project = nn.ModuleDict({m: nn.Linear(d, hidden) for m, d in dims.items()})
        self.out = nn.Linear(hidden, classes)

    def projected(self, features: Features) -> dict[str, Tensor]:
        """The projected features {m: (N, hidden)}."""
        return {m: self.project[m](features[m]) for m in self.modalities}


class SumFusion(_Projected):
    """Sum of the projected features, ReLU, linear layer: z = W relu(sum_m P_m h_m) + b."""

    def forward(self, features: Features) -> Tensor:
        return self.out(torch.relu(summed(self.projected(features).values())))


class GatedFusion(_Projected):
    """Gated multimodal unit (Arevalo et al. 2017, arXiv 1702.01992, section 3.1), any number of
    modalities.

    h = sum_m sigmoid(G_m [h_1, ..., h_M]) * tanh(P_m h_m).
    """

    def __init__(self, dims: Mapping[str, int], classes: int, *, hidden: Count = 128) -> None:
        super().__init__(dims, classes, hidden=hidden)
        self.gates = nn.ModuleDict({m: nn.Linear(sum(dims.values()), hidden) for m in dims})

    def forward(self, features: Features) -> Tensor:
        every = torch.cat([features[m] for m in self.modalities], dim=1)  # (N, sum of D_m)
        terms = self.projected(features).items()
        return self.out(sum(torch.sigmoid(self.gates[m](every)) * torch.tanh(h) for m, h in terms))


class FiLMFusion(_Projected):
    """Feature-wise linear modulation (Perez et al., AAAI 2018), made symmetric for any number of
    modalities.

    h = sum_m [(1 + sum_{k != m} gamma_k(h_k)) * P_m h_m + sum_{k != m} beta_k(h_k)]: every modality
    is modulated by all the others. With `anchor`, the published one-sided form: only that modality
    is modulated and passed on.
    """

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        hidden: Count = 128,
        anchor: str | None = None,
    ) -> None:
        super().__init__(dims, classes, hidden=hidden)
        if anchor is not None and anchor not in dims:
            raise unknown_name("anchor modality", anchor, dims)
        self.anchor = anchor
        # γ_m and β_m in one layer.
        self.film = nn.ModuleDict({m: nn.Linear(d, 2 * hidden) for m, d in dims.items()})

    def forward(self, features: Features) -> Tensor:
        # The sums over k != m are those over all k less the term of m.
        film = {m: self.film[m](features[m]).chunk(2, dim=1) for m in self.modalities}
        gammas, betas = (summed(film[m][i] for m in self.modalities) for i in (0, 1))
        terms: list[Tensor] = []
        for m, x in self.projected(features).items():
            if self.anchor in (None, m):
                # (1 + Σ_{k≠m} γ_k) P_m h_m and Σ_{k≠m} β_k.
                terms += [(1 + gammas - film[m][0]) * x, betas - film[m][1]]
        return self.out(torch.relu(summed(terms)))
