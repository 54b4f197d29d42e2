"""Attention that one modality guides over the places of another, and the same fusion in every
segment.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from msam_lib._utils.options import Count
from msam_lib.errors import MsamError
from msam_lib.models.base import Layout, summed
from msam_lib.models.encoders.recurrent import read, reader
from msam_lib.models.fusions.base import Features, Fusion, SegmentHead, coalition_sums


class GuidedFusion(Fusion):
    """Audio-guided visual attention and the classifier of every segment, as in AVE's network (Tian
    et al., ECCV 2018, arXiv 1803.08842; `att_Net` in `models.py`), for any modalities.

    A modality with places (encoder `PlaceEncoder`) has values x_j and keys b_j at every place j of
    a segment; those without (`KeyEncoder`) have one value and one key g_k. Attention over the
    places is guided by all the latter,

        alpha = softmax_j(w . tanh(b_j + sum_k g_k)),    x = sum_j alpha_j x_j,

    a bidirectional LSTM reads the x of all segments, and every segment is classified from
    everything joined: ReLU, linear layer, ReLU, linear layer.

    An absent modality has the keys of the input that replaces it. So without its guide, attention
    follows the map alone, the guide's term being that of silence; without the map, all places are
    equal, and so are the alpha_j = 1 / P. Coalitions are exact, for the fusion reads nothing else.

    The published network's parameters belong to: A, B and the linear maps of the map, its encoder;
    U, G and the audio's LSTM, the audio's encoder; w, the LSTM of what was attended to, and the
    classifier, which both modalities pass through, the fusion. A method that trains encoders on one
    modality alone (DGL) gives U and G nothing to learn.

    Two things differ. The equation is the paper's; the released code adds the audio's term to all
    units of one place instead of all places of one unit (both are 49). The maps before the LSTMs
    are those of PSP and AGM.

    Args:
        dims: size of the features of every segment and place together.
        classes: number of logits of all segments together.
        hidden: width of the classifier.
        layouts: {modality: `Layout`} of the encoders; one segment and one place, without keys,
            where there is none. Such features belong to every segment; of these alone, the fusion
            is its classifier.
        segments: how many answers there are: those of the layouts, or 1, for which the segments are
            averaged before the classifier.

    Raises:
        MsamError: layouts that do not belong together.
    """

    laid_out = True

    def __init__(
        self,
        dims: Mapping[str, int],
        classes: int,
        *,
        hidden: Count = 64,
        layouts: Mapping[str, Layout] | None = None,
        segments: int = 1,
    ) -> None:
        super().__init__(dims, classes)
        self.layouts = {m: (layouts or {}).get(m, Layout()) for m in dims}
        self.segments = segments  # S in the answers; in the features:
        self.steps = max(layout.segments for layout in self.layouts.values())
        self._check(segments)
        places = [m for m, layout in self.layouts.items() if layout.places > 1]
        values = {
            m: d // (layout.segments * layout.places) - layout.keys
            for (m, d), layout in zip(dims.items(), self.layouts.values(), strict=True)
        }
        self.weights = nn.ModuleDict(
            {m: nn.Linear(self.layouts[m].keys, 1, bias=False) for m in places}
        )
        self.readers = nn.ModuleDict({m: reader(values[m]) for m in places})
        for weight in self.weights.parameters():
            nn.init.xavier_uniform_(weight)
        joined = sum(2 * d if m in places else d for m, d in values.items())
        self.head = nn.Sequential(
            nn.ReLU(), nn.Linear(joined, hidden), nn.ReLU(), nn.Linear(hidden, classes // segments)
        )

    def _check(self, segments: int) -> None:
        every = self.layouts.values()
        lengths = {layout.segments for layout in every} - {1}
        keys = {layout.keys for layout in every if layout.keys or layout.places > 1}
        fits = lengths == {segments} if segments > 1 else len(lengths) <= 1
        if not fits or len(keys) > 1 or keys == {0}:
            raise MsamError(
                f"fusion 'guided': features of {self.layouts} cannot be joined for {segments} "
                "answers; they need as many segments or one, places need keys, and all as many. "
                "Use encoder='auto' or 'segments', which reads sequences (T, D) and maps (T, C, H, "
                "W) of one T."
            )

    def forward(self, features: Features) -> Tensor:
        values, keys = self._parts(features)
        alphas = self._attention(keys)
        chosen = []
        for m, x in values.items():
            if m in alphas:
                x = read(self.readers[m], (alphas[m].unsqueeze(-1) * x).sum(2))
            else:
                x = x.squeeze(2)
            chosen.append(x)
        h = torch.cat(chosen, dim=-1)  # (N, S, joined)
        h = h.mean(1, keepdim=True) if self.segments == 1 else h
        return self.head(h).flatten(1)

    def attention(self, features: Features) -> dict[str, Tensor]:
        """{m: (N, S, P)}: the weights of the places of every modality that has places."""
        return self._attention(self._parts(features)[1])

    def _attention(self, keys: Features) -> dict[str, Tensor]:
        guides = [k for m, k in keys.items() if m not in self.weights and k.shape[-1]]
        guide = summed(guides) if guides else 0.0  # (N, S, 1, keys)
        return {
            m: w(torch.tanh(keys[m] + guide)).squeeze(-1).softmax(-1)
            for m, w in self.weights.items()
        }

    def _parts(self, features: Features) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Values and keys {m: (N, S, P, ...)}."""
        values, keys = {}, {}
        for m in self.modalities:
            s, p, k = self.layouts[m]
            x = features[m].unflatten(1, (s, p, -1))
            x = x.expand(-1, self.steps, -1, -1)  # what has one part belongs to every segment
            values[m], keys[m] = x.split([x.shape[-1] - k, k], dim=-1)
        return values, keys

    def own_head(self, modality: str) -> nn.Module:
        s, p, _ = self.layouts[modality]
        if s == p == self.segments == 1:
            return super().own_head(modality)
        d = self.dims[modality] // (s * p)
        return SegmentHead(d, self.classes // self.segments, s, p, each=self.segments > 1)


class SegmentwiseFusion(Fusion):
    """One fusion in every segment: features {m: (N, S * D_m)} -> logits (N, S * C), those of the
    first segment first.

    Args:
        fusion: of the features of one segment.
        segments: S.
    """

    def __init__(self, fusion: Fusion, segments: int) -> None:
        dims = {m: segments * d for m, d in fusion.dims.items()}
        super().__init__(dims, segments * fusion.classes)
        self.one, self.segments, self.additive = fusion, segments, fusion.additive

    @property
    def inner(self) -> Fusion:
        return self.one

    def forward(self, features: Features) -> Tensor:
        return self._joined(self.one(self._each(features)))

    def unimodal(self, features: Features) -> dict[str, Tensor]:
        return {m: self._joined(z) for m, z in self.one.unimodal(self._each(features)).items()}

    def coalition_logits(
        self, features: Features, absent: Features, masks: Tensor, *, rows: int = 16_384
    ) -> Tensor:
        if not self.additive:
            return super().coalition_logits(features, absent, masks, rows=rows)
        here, gone = (torch.stack(list(self.unimodal(x).values())) for x in (features, absent))
        return coalition_sums(here, gone, masks)

    def own_head(self, modality: str) -> nn.Module:
        return SegmentHead(self.one.dims[modality], self.one.classes, self.segments)

    def _each(self, features: Features) -> dict[str, Tensor]:
        """{m: (N * S, D_m)}."""
        return {m: features[m].reshape(-1, d) for m, d in self.one.dims.items()}

    def _joined(self, z: Tensor) -> Tensor:
        return z.reshape(-1, self.classes)
