"""A plane's rows from features, encoding each modality no more often than needed.

A modality's features depend on x only if d₁ moves its encoder, on y only if d₂ does. So an encoder
that neither moves is run once, one that d₁ alone moves once per x, and only one that both move at
every point. With an additive fusion that does not move, the features are reduced to logits at once,
and a whole row of the plane is one sum.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from msam_lib.data.containers import Batch
from msam_lib.diagnostics._blocks import FUSION
from msam_lib.diagnostics._samples import shares
from msam_lib.diagnostics.landscape._scores import Score, mean_score, score
from msam_lib.diagnostics.landscape._weights import Mover
from msam_lib.models.base import summed
from msam_lib.models.multimodal import MultimodalModel

Features = list[Tensor]  # of one modality, one tensor per batch


class ReusedFeatures:
    """Rows of a plane of a model that can be split.

    Args:
        model: the working copy.
        batches: fixed data.
        mover: moves the copy's weights.
        names: for d₁ and d₂, {block: the parameters that it moves}.
    """

    def __init__(
        self,
        model: MultimodalModel,
        batches: Sequence[Batch],
        mover: Mover,
        names: tuple[Mapping[str, set[str]], Mapping[str, set[str]]],
    ) -> None:
        self.model, self.batches, self.shares = model, batches, shares(batches)
        self.mover, self.names = mover, names
        # A row is a sum of logits where the fusion adds and stays.
        self.adds = model.fusion.additive and not any(FUSION in n for n in names)
        # Encoders that d₁ alone, d₂ alone, or both move.
        on_x, on_y = ({m for m in model.modalities if m in n} for n in names)
        self.only_x, self.only_y, self.both = on_x - on_y, on_y - on_x, on_x & on_y
        self.fixed: dict[str, Features] = {}
        self.along_y: dict[str, list[Features]] = {}

    def prepare(self, ys: np.ndarray) -> None:
        """Features of the encoders that stay, and, for each y, of those that y alone moves."""
        moving = self.only_x | self.only_y | self.both
        self.fixed = {m: self._encode(m) for m in self.model.modalities if m not in moving}
        self.along_y = {m: [self._encode_at(m, 0.0, y) for y in ys] for m in self._of(self.only_y)}

    def row(self, x: float, ys: np.ndarray) -> list[Score]:
        """Losses and accuracies at (x, y) for every y."""
        # What stays while y runs.
        here = self.fixed | {m: self._encode_at(m, x, 0.0) for m in self._of(self.only_x)}
        if self.adds and not self.both:
            return self._summed_row(here, len(ys))
        out = []
        for j, y in enumerate(ys):
            point = here | {m: features[j] for m, features in self.along_y.items()}
            point |= {m: self._encode_at(m, x, y) for m in self._of(self.both)}
            if not self.adds:
                self._move(FUSION, x, y)
            scores = []
            for b, batch in enumerate(self.batches):
                # At a point every modality's features of one batch meet.
                parts = {m: point[m][b] for m in self.model.modalities}
                logits = summed(parts.values()) if self.adds else self.model.fuse(parts).logits
                scores.append(score(logits, batch.targets))
            out.append(mean_score(scores, self.shares))
        return out

    def _summed_row(self, here: Mapping[str, Features], count: int) -> list[Score]:
        """All y at once: logits (J, N, C) are a sum over modalities."""
        total = torch.zeros(count, 2, dtype=torch.float64)  # loss and accuracy
        for b, batch in enumerate(self.batches):
            # In the model's order: the sum is the model's, bit by bit.
            terms = [
                here[m][b]
                if m in here
                else torch.stack([features[b] for features in self.along_y[m]])
                for m in self.model.modalities
            ]
            total += self.shares[b] * score(summed(terms), batch.targets).cpu().double()
        return [(float(a), float(c)) for a, c in total]

    def _of(self, some: set[str]) -> list[str]:
        """These modalities, in the model's order."""
        return [m for m in self.model.modalities if m in some]

    def _move(self, block: str, x: float, y: float) -> None:
        # Only this block's weights: the others' features are not computed here.
        names = set[str]().union(*(n.get(block, ()) for n in self.names))
        self.mover.to(x, y, names)

    def _encode_at(self, modality: str, x: float, y: float) -> Features:
        self._move(modality, x, y)
        return self._encode(modality)

    def _encode(self, modality: str) -> Features:
        """Features of every batch; logits already, where the fusion is a sum that does not move."""
        encoder, first = self.model.encoders[modality], self.mover.first_layers
        out = []
        for batch in self.batches:
            h = encoder(batch.inputs[modality])
            # Logits (N, C) take less memory than features, and a row only adds them.
            h = self._term(modality, h) if self.adds else h
            out.append(h if first is None else first.keep(h))
        return out

    def _term(self, modality: str, features: Tensor) -> Tensor:
        """This modality's logits (N, C)."""
        sizes = self.model.fusion.dims.items()
        # Each term of an additive fusion depends on its own features only.
        rest = {k: features.new_zeros(1, d) for k, d in sizes if k != modality}
        return self.model.fusion.unimodal(rest | {modality: features})[modality]
