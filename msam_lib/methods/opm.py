"""OPM: the feature of a dominant modality is dropped with a probability that follows its lead."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from msam_lib._utils.options import AtLeastZero, Share, WholeNumber
from msam_lib._utils.world import world
from msam_lib.contributions.shapley import coalition_masks, shapley_from_values
from msam_lib.data.containers import Batch
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model, Output
from msam_lib.models.contexts import evaluating
from msam_lib.models.multimodal import split
from msam_lib.tasks import KINDS


class OPM(Method):
    r"""On-the-fly prediction modulation (Wei, Hu, Du, Wen, T-PAMI 2024, arXiv 2410.11582).

    The companion of OGM in the feed-forward stage. With the scores $s_m$, the sum over the batch of
    $\mathrm{softmax}(z_m)[y]$, and $\rho_m$, the ratio of $s_m$ to the mean of the other
    modalities' scores,

    $$q_m = \operatorname{clip}(q_{\text{base}}\, (1 + \lambda \tanh(\rho_m - 1)), 0, 1)$$

    where $\rho_m > 1$, else 0. With probability `execute` a batch is modulated: the feature of
    modality $m$ is zeroed in each sample with probability $q_m$, and all features are divided by
    $1 - \vartheta$, $\vartheta$ the mean of the $q_m$ weighted by the features' sizes. The loss is
    that of the fused logits. The weakest modality has $\rho \le 1$ and always stays, so no sample
    loses everything.

    Changes: the data (features, in training). Requires: features. Source: the released
    Classifier.py (`calcu_q`, `Modality_drop`) and main.py. It has two modalities; the mean over the
    others is our generalisation, the same for $M = 2$, as in OGM-GE. $z_m$ are the modality's own
    logits where the fusion is a sum of them (with concatenation its slice of the weight and its
    bias divided by $M$, as there); the released code has no other fusion, where we take AGM's
    Shapley responses.

    Args:
        q_base: probability of a modality that is just ahead; 0 is joint training.
        lam: $\lambda$, how much it grows with the lead.
        execute: share of the batches that are modulated.
        warmup: epochs of joint training first; a bare loop is past them.
    """

    tasks = KINDS
    reference = "Wei et al., T-PAMI 2024, arXiv 2410.11582"
    requires = frozenset({"features"})
    neutral: ClassVar = {"q_base": 0.0}
    caveat = "two modalities in the paper; for more, the ratio to the mean of the others is ours"
    paper_options: ClassVar = {
        "Kinetics-Sounds (released)": {"q_base": 0.5, "lam": 0.5, "execute": 0.7, "warmup": 6}
    }

    def __init__(
        self,
        q_base: Share = 0.5,
        lam: AtLeastZero = 0.5,
        execute: Share = 0.7,
        warmup: WholeNumber = 6,
    ) -> None:
        super().__init__()
        self.q_base, self.lam, self.execute, self.warmup = q_base, lam, execute, warmup
        self.memory = Memory(epoch=None)
        self.probabilities: dict[str, Tensor] = {}  # of the last step, for the logs

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Remember where we are."""
        self.memory["epoch"] = epoch

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """One pass of the encoders; the fusion on the features that stay."""
        self.probabilities = {}
        epoch = self.memory["epoch"]
        if not self.q_base or (epoch is not None and epoch < self.warmup):
            return super().compute(model, batch)
        whole = split(model)
        with self.autocast(batch):
            features = whole.encode(batch.inputs)
            q = self.drop_probabilities(self._logits(model, features, batch), batch.targets)
            self.probabilities = dict(zip(features, q, strict=True))
            output = whole.fuse(self.thinned(features, q))
            return replace(output, features=features), self.loss(output, batch)

    @torch.no_grad()
    def _logits(self, model: Model, features: dict[str, Tensor], batch: Batch) -> Tensor:
        """The logits (M, N, C) that the modalities are scored by."""
        fusion = split(model).fusion
        if fusion.additive:
            return torch.stack(list(fusion.unimodal(features).values())).float()
        masks = coalition_masks(len(features)).to(batch.targets.device)
        with evaluating(model):
            absent = model.absent_features(batch.inputs)
            values = fusion.coalition_logits(features, absent, masks).float()  # (2^M, N, C)
        values[0] = 0  # as in AGM: nobody counts as 0, not as the bias
        return shapley_from_values(values)

    @torch.no_grad()
    def drop_probabilities(self, z: Tensor, targets: Tensor) -> Tensor:
        """q (M,) from logits (M, N, C)."""
        scores = world.sum(self.task.score(z, targets).sum(1))  # s_m (M,)
        others = (scores.sum() - scores) / max(len(scores) - 1, 1)
        lead = scores / others.clamp_min(torch.finfo(scores.dtype).tiny) - 1  # rho_m - 1
        q = (self.q_base * (1 + self.lam * torch.tanh(lead))).clamp(0, 1)
        return torch.where(lead > 0, q, torch.zeros_like(q))

    def thinned(self, features: dict[str, Tensor], q: Tensor) -> dict[str, Tensor]:
        """The features {m: (N, D_m)} with those of dominant modalities dropped."""
        if len(features) == 1:
            return features
        some = next(iter(features.values()))
        with world.together():
            modulated = torch.rand((), device=some.device) < self.execute  # one draw for the batch
        sizes = q.new_tensor([h.shape[1] for h in features.values()])
        # the mean part of the units that is dropped; the rest makes good for it
        theta = (sizes * q).sum() / sizes.sum()
        draws = world.rand(len(q), len(some), 1, device=some.device, rows=1)
        scale = (draws >= q[:, None, None]) / (1 - theta)  # (M, N, 1)
        scale = torch.where(modulated, scale, torch.ones_like(scale))
        return {m: h * k.to(h) for (m, h), k in zip(features.items(), scale, strict=True)}

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """An ordinary step on the features that stay; logs the probabilities of dropping."""
        logs = super().differentiate(model, batch, optimizer)
        return logs | {f"dropped/{m}": q for m, q in self.probabilities.items()}
