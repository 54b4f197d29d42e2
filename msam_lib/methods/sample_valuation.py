"""Sample-level valuation: samples of which a modality makes too little are shown again without the
others.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from msam_lib.contributions.measure import coalition_logits
from msam_lib.contributions.shapley import coalition_masks, shapley_from_values
from msam_lib.data.containers import BatchLoader, Copies, MultimodalDataset
from msam_lib.errors import MsamError, unknown_name
from msam_lib.methods.base import Method
from msam_lib.models.base import Model
from msam_lib.models.contexts import evaluating

LEVELS = ("sample", "modality")


class SampleValuation(Method):
    """Fine-grained valuation of modalities (Wei et al., CVPR 2024, arXiv 2309.06255).

    For every training sample, with the benefit v(S) = |S| where the prediction from the modalities
    S is right and 0 where it is wrong, the Shapley value phi_m is modality m's part (1 is its fair
    share). After a warm-up every epoch is trained on more samples: `"sample"` adds copies with all
    *other* modalities zeroed, one where 0.4 < phi_m < 1, two where -0.1 < phi_m <= 0.4, three
    below; `"modality"` adds, for the modality with the largest mean phi (over a random fifth), a
    share 2/3 * strength * (its lead over the mean of the others) of all samples, drawn at random,
    with that modality zeroed.

    Changes: the data. Requires: nothing, but epochs and the project's loader; a bare loop trains
    jointly. The released code writes out two modalities; for M = 2 this is the same.

    Args:
        warmup: epochs of joint training first; None for ever.
        level: see above.
        strength: of `"modality"`, the paper's alpha.
    """

    reference = "Wei et al., CVPR 2024, arXiv 2309.06255"
    passes = "1 forward, 1 backward, on up to 1 + 3 M times as many samples"
    neutral: ClassVar = {"warmup": None}
    paper_options: ClassVar = {"Kinetics-Sounds": {"warmup": 5}}

    def __init__(
        self, warmup: int | None = 3, level: str = "sample", strength: float = 1.0
    ) -> None:
        super().__init__()
        if warmup is not None and warmup < 0:
            raise MsamError(f"warmup={warmup}; 0 or more epochs, or None.")
        if level not in LEVELS:
            raise unknown_name("level", level, LEVELS)
        if not strength >= 0:
            raise MsamError(f"strength={strength}; it must be 0 or larger.")
        self.warmup, self.level, self.strength = warmup, level, strength

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Choose this epoch's copies from the model as it is now."""
        loaders.train.copies = None
        if self.warmup is None or epoch < self.warmup:
            return
        phi = valuation(model, loaders.train.dataset)
        generator = torch.Generator().manual_seed(epoch)
        if self.level == "sample":
            loaders.train.copies = copies_by_sample(phi, tuple(model.modalities))
        else:
            loaders.train.copies = self._by_modality(phi, tuple(model.modalities), generator)

    def _by_modality(
        self, phi: Tensor, names: tuple[str, ...], generator: torch.Generator
    ) -> Copies:
        m, n = phi.shape
        part = torch.randperm(n, generator=generator)[: max(1, n // 5)]
        mean = phi[:, part].mean(1)
        best = int(mean.argmax())
        lead = float(mean[best] - (mean.sum() - mean[best]) / (m - 1))
        count = min(n, int(2 / 3 * lead * self.strength * n))
        index = torch.randperm(n, generator=generator)[:count]
        keep = torch.ones(count, m, dtype=torch.bool)
        keep[:, best] = False
        return Copies(index, keep, names)


def copies_by_sample(phi: Tensor, names: tuple[str, ...]) -> Copies:
    """The copies for values phi (M, N): which samples, and which modalities they keep."""
    fair = torch.where(phi > 0.4, 1, torch.where(phi > -0.1, 2, 3))
    count = torch.where(phi < 1 - 1e-6, fair, 0)  # (M, N)
    parts = [torch.arange(phi.shape[1]).repeat_interleave(c) for c in count]
    keep = torch.eye(len(phi), dtype=torch.bool).repeat_interleave(count.sum(1), dim=0)
    return Copies(torch.cat(parts), keep, names)


@torch.no_grad()
def valuation(model: Model, data: MultimodalDataset) -> Tensor:
    """phi (M, N) of every sample, on the CPU."""
    names = model.modalities
    masks = coalition_masks(len(names))
    device = next(model.parameters()).device
    rows = []
    with evaluating(model):
        for batch in BatchLoader(data, 500):
            batch = batch.to(device)
            features = model(batch.inputs).features or None
            logits = coalition_logits(model, batch.inputs, masks, features)  # (2^M, N, C)
            right = (logits.argmax(-1) == batch.targets).float()
            rows.append(shapley_from_values(right * masks.sum(1).to(right)[:, None]).cpu())
    return torch.cat(rows, dim=1)
