"""Sample-level valuation: samples of which a modality makes too little are shown again without the
others.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Choice, WholeNumber
from msam_lib._utils.world import world
from msam_lib.contributions.measure import coalition_logits
from msam_lib.contributions.shapley import coalition_masks, shapley_from_values
from msam_lib.data.containers import Batch, MultimodalDataset
from msam_lib.data.loader import BatchLoader, Copies
from msam_lib.methods.base import Method
from msam_lib.models.base import Inputs, Model, Output
from msam_lib.models.contexts import evaluating
from msam_lib.models.multimodal import split

LEVELS = ("sample", "modality")
ZEROS = ("features", "inputs")


class SampleValuation(Method):
    r"""Fine-grained valuation of modalities (Wei et al., CVPR 2024, arXiv 2309.06255).

    For every training sample, with the benefit $v(S) = \lvert S \rvert$ where the prediction from
    the modalities $S$ is right and 0 where it is wrong, the Shapley value $\phi_m$ is modality
    $m$'s part (1 is its fair share). After a warm-up every epoch is trained on more samples:
    `"sample"` adds copies with all *other* modalities zeroed, one where $0.4 < \phi_m < 1$, two
    where $-0.1 < \phi_m \le 0.4$, three below; `"modality"` adds, for the modality with the largest
    mean $\phi$ (over a random fifth), a share of all samples ($\tfrac{2}{3} \cdot \text{strength}$
    times its lead over the mean of the others), drawn at random, with that modality zeroed.

    Changes: the data. Requires: features (with `zero="inputs"` nothing), and epochs and the
    project's loader; a bare loop trains jointly. Zeroed is the *feature* of a modality, in the
    valuation and in training, as in the released code: its encoder still sees the sample, which
    advances its batch-norm statistics. `zero="inputs"` zeroes what the encoder sees instead. The
    released code writes out two modalities (for $M = 2$ this is the same), and draws the samples of
    `"modality"` with replacement, here without.

    Args:
        warmup: epochs of joint training first; None for ever.
        level: see above.
        strength: of `"modality"`, the paper's $\alpha$.
        zero: see above.
    """

    reference = "Wei et al., CVPR 2024, arXiv 2309.06255"
    requires = frozenset({"features"})
    passes = "1 forward, 1 backward, on up to 1 + 3 M times as many samples"
    neutral: ClassVar = {"warmup": None}
    paper_options: ClassVar = {"Kinetics-Sounds": {"warmup": 5}}

    def __init__(
        self,
        warmup: WholeNumber | None = 3,
        level: Annotated[str, Choice(LEVELS)] = "sample",
        strength: AtLeastZero = 1.0,
        zero: Annotated[str, Choice(ZEROS)] = "features",
    ) -> None:
        super().__init__()
        self.warmup, self.level, self.strength, self.zero = warmup, level, strength, zero
        self._copies: tuple[int, Copies] | None = None  # of this epoch, after so many samples

    def needs(self) -> frozenset[str]:
        """Features only where they are what is zeroed."""
        return self.requires if self.zero == "features" else frozenset()

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Choose this epoch's copies from the model as it is now."""
        loaders.train.copies = self._copies = None
        if self.warmup is None or epoch < self.warmup:
            return
        data, names = loaders.train.dataset, tuple(model.modalities)
        phi = world.from_first(valuation(model, data, zero=self.zero))
        if self.level == "sample":
            copies = copies_by_sample(phi, names)
        else:
            generator = torch.Generator().manual_seed(epoch)
            copies = self._by_modality(phi, names, generator)
        if len(copies.index) == 0:  # every modality makes enough of every sample
            return
        loaders.train.copies = copies._replace(zero=self.zero)
        if self.zero == "features":
            self._copies = len(data), copies

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """Forward pass and loss, without the features that a copy is to do without."""
        if self._copies is None or batch.index is None:
            return super().compute(model, batch)
        n, copies = self._copies
        keep, index = copies.keep.to(batch.index.device), batch.index
        # numbers from n on are copies; samples of the data set keep all modalities
        rows = keep[(index - n).clamp_min(0)] | (index < n)[:, None]  # (N, M)
        with self.autocast(batch):
            features = model.encode(batch.inputs)
            pairs = zip(features.items(), rows.T, strict=True)
            output = model.fuse({m: h * kept[:, None].to(h) for (m, h), kept in pairs})
            return output, self.loss(output, batch)

    def _by_modality(
        self, phi: Tensor, names: tuple[str, ...], generator: torch.Generator
    ) -> Copies:
        m, n = phi.shape
        part = torch.randperm(n, generator=generator)[: max(1, n // 5)]
        mean = phi[:, part].mean(1)
        best = int(mean.argmax())
        # a share of all samples, by its lead over the others, is shown without it
        lead = float(mean[best] - (mean.sum() - mean[best]) / (m - 1))
        count = min(n, int(2 / 3 * lead * self.strength * n))
        index = torch.randperm(n, generator=generator)[:count]
        keep = torch.ones(count, m, dtype=torch.bool)
        keep[:, best] = False  # the strongest is left out
        return Copies(index, keep, names)


def copies_by_sample(phi: Tensor, names: tuple[str, ...]) -> Copies:
    """The copies for values phi (M, N): which samples, and which modalities they keep."""
    # the smaller its part, the more copies
    fair = torch.where(phi > 0.4, 1, torch.where(phi > -0.1, 2, 3))
    count = torch.where(phi < 1 - 1e-6, fair, 0)  # (M, N)
    parts = [torch.arange(phi.shape[1]).repeat_interleave(c) for c in count]
    # a copy for modality m keeps m alone
    keep = torch.eye(len(phi), dtype=torch.bool).repeat_interleave(count.sum(1), dim=0)
    return Copies(torch.cat(parts), keep, names)


@torch.no_grad()
def valuation(model: Model, data: MultimodalDataset, *, zero: str = "features") -> Tensor:
    """phi (M, N) of every sample, on the CPU, with the features or inputs of absent modalities
    zeroed.
    """
    masks = coalition_masks(len(model.modalities))
    device = next(model.parameters()).device
    rows = []
    with evaluating(model):
        for batch in BatchLoader(data, None):
            batch = batch.to(device)
            logits = _logits(model, batch.inputs, masks, zero)  # (2^M, N, C)
            right = (logits.argmax(-1) == batch.targets).float()
            # benefit v(S) = |S| where S answers right, else 0
            rows.append(shapley_from_values(right * masks.sum(1).to(right)[:, None]).cpu())
    return torch.cat(rows, dim=1)


def _logits(model: Model, inputs: Inputs, masks: Tensor, zero: str) -> Tensor:
    if zero == "inputs":
        return coalition_logits(model, inputs, masks)
    features = split(model).encode(inputs)
    absent = {m: torch.zeros_like(h[:1]) for m, h in features.items()}
    masks = masks.to(next(iter(features.values())).device)
    return split(model).fusion.coalition_logits(features, absent, masks)
