"""Evaluating the loss at θ + x d₁ + y d₂ for a whole grid."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from msam_lib._utils.progress import progress_bar
from msam_lib.data.containers import Batch
from msam_lib.diagnostics._batchnorm import fold, head, same_logits
from msam_lib.diagnostics._blocks import FUSION, Direction, all_blocks
from msam_lib.diagnostics._losses import finite, logits_of
from msam_lib.diagnostics._samples import Sampling, shares
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics.landscape._first_layers import FirstLayers
from msam_lib.diagnostics.landscape._reuse import ReusedFeatures
from msam_lib.diagnostics.landscape._scores import Score, mean_score, score
from msam_lib.diagnostics.landscape._weights import Mover
from msam_lib.models.multimodal import MultimodalModel

Directions = tuple[Direction, Direction]


class Grid:
    """A working copy of a model that can be put anywhere in a plane.

    Args:
        model: copied, never moved.
        batches: fixed data, on the model's device.
        directions: d₁ and d₂ (empty for a line), already checked.
        sampling: the mode and the loss; for a loss other than cross-entropy there is no accuracy.
        cache: reuse what a direction leaves unchanged.
        fast: fold batch normalisation and use the channels-last layout where it gives the same
            logits.
    """

    def __init__(
        self,
        model: nn.Module,
        batches: Sequence[Batch],
        directions: Directions,
        *,
        sampling: Sampling,
        cache: bool,
        fast: bool,
    ) -> None:
        self.loss, self.mode = sampling.loss, sampling.mode
        self.batches, self.shares = batches, shares(batches)
        self.model, self.directions, self.folded = copy.deepcopy(model), directions, False
        with session(self.model, mode=self.mode, parameters=()), torch.no_grad():
            at_origin = self._score_all()[0]
        # Far away the loss may overflow, but not at the model itself.
        finite(at_origin, " at the model itself")
        if fast and self.mode == "eval" and self.loss is None:
            self._fold(model)
        self.mover = Mover(self.model, self.directions)
        if fast and self.loss is None:
            with session(self.model, mode=self.mode, parameters=()):
                self.mover.first_layers = FirstLayers(self.model, self.directions, batches)
        self.reused: ReusedFeatures | None = None
        if cache and self.loss is None and isinstance(self.model, MultimodalModel):
            # Which encoders each direction moves decides what can be reused.
            homes = {n: b for b, names in all_blocks(model).items() for n in names}
            first, second = (_by_block(d, homes, self.model.modalities) for d in self.directions)
            self.reused = ReusedFeatures(self.model, batches, self.mover, (first, second))

    @property
    def cached(self) -> bool:
        """Whether features are reused."""
        return self.reused is not None

    def _fold(self, model: nn.Module) -> None:
        """Use a folded copy if it agrees with the unfolded one at two points of the plane."""
        trial = copy.deepcopy(model)
        # Enough to find the layers and to compare the two networks.
        few = head(self.batches[0])
        with session(trial, mode="eval", parameters=()), torch.no_grad():
            first, second = fold(trial, self.directions, few)
        cast(Any, trial).to(memory_format=torch.channels_last)  # missing in torch's annotations
        for p in trial.parameters():
            p.requires_grad_(False)
        # At the origin and at (1, 1), which tests the folded directions as well.
        logits = []
        for coefficient in (0.0, 1.0):
            for m, directions in ((self.model, self.directions), (trial, (first, second))):
                with session(m, mode="eval", parameters=()), torch.no_grad():
                    mover = Mover(m, directions)
                    mover.to(coefficient, coefficient)
                    logits.append(logits_of(m, few))
                    mover.to(0.0, 0.0)
            if not same_logits(*logits[-2:]):
                return
        self.model, self.directions, self.folded = trial, (first, second), True

    def run(
        self, xs: np.ndarray, ys: np.ndarray, *, progress: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Losses and accuracies (I, J)."""
        out = np.full((len(xs), len(ys), 2), np.nan)  # loss, accuracy
        with (
            session(self.model, mode=self.mode, parameters=()),
            torch.no_grad(),
            progress_bar(total=out.size // 2, show=progress, desc="landscape") as bar,
        ):
            if self.reused is not None:
                self.reused.prepare(ys)
            for i, x in enumerate(xs):
                if self.reused is not None:
                    out[i] = self.reused.row(x, ys)
                    bar.update(len(ys))
                    continue
                for j, y in enumerate(ys):
                    self.mover.to(x, y)
                    out[i, j] = self._score_all()
                    bar.update()
        return out[..., 0], out[..., 1]

    def _score_all(self) -> Score:
        """At the weights as they are."""
        if self.loss is not None:
            pairs = zip(self.shares, self.batches, strict=True)
            return sum(w * float(self.loss(self.model, b)) for w, b in pairs), float("nan")
        scores = [score(logits_of(self.model, b), b.targets) for b in self.batches]
        return mean_score(scores, self.shares)


def _by_block(
    direction: Direction, homes: dict[str, str], modalities: Sequence[str]
) -> dict[str, set[str]]:
    """{block: the parameters in it that the direction moves}."""
    out: dict[str, set[str]] = {}
    for name in direction:
        out.setdefault(homes.get(name) or _home(name, modalities), set()).add(name)
    return out


def _home(name: str, modalities: Sequence[str]) -> str:
    """The block of a buffer or a bias made by folding, from its name as `MultimodalModel` builds
    it.
    """
    top, _, rest = name.partition(".")
    modality = rest.partition(".")[0]
    return modality if top == "encoders" and modality in modalities else FUSION
