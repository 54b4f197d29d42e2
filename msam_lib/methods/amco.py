"""AMCo: features of a modality on which the model depends are masked; each modality has a loss."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Annotated, Any, ClassVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from msam_lib._utils.options import AtLeastZero, Positive, Range
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, Output, summed
from msam_lib.models.multimodal import split

LARGEST = 10.0  # of the factor that makes good for masked units


class AMCo(Method):
    r"""Adaptive mask co-optimisation (Zhou, Liang, Zheng, Xuan, Kumada, ICASSP 2023).

    The model depends on modality $m$ where, with the classes of all modalities competing in one
    softmax, $m$ has more than a share $\sigma$ of the probability:
    $\operatorname{mean}_i \sum_c \mathrm{softmax}([z_1, \dots, z_M])_{i,mc} > \sigma$. In the next
    step a random part $p_t$ of its features is zero, the rest is multiplied by
    $\min(1 / (1 - p_t), 10)$, and

    $$\mathcal L = \mathrm{CE}(F(h), y) + \text{weight} \sum_m \mathrm{CE}(z_m, y),$$
    $$p_t = \sin\Bigl( \frac{\pi}{2} \min(1, \ell_t / \varepsilon) \Bigr),$$

    $\ell_t = (0 + 1 + \dots + t) / 10$ in epoch $t$, counted from 0: with $\varepsilon = 0.3$
    nothing is masked in the first epoch, half in the second, everything from the third on.

    Changes: the data (features, in training). Requires: features and per-modality logits. Neither
    the paper's equations nor its authors' code were found. Masks, threshold, $p_t$ and losses are
    those of two ports, `AMCo_trainer.py` of GeWu-Lab's BalanceBenchmark and an earlier
    `ACMo_main.py`. They differ in where the mask acts: on the logits of classes in the former, on
    $U$ units of a layer behind the encoder in the latter. Here it acts on the encoder's features,
    which are those units. A new mask is drawn in each step, as in the former. A bare loop masks
    nothing.

    Args:
        threshold: $\sigma$; 1 masks nothing.
        epsilon: $\varepsilon$, how slowly the masked part grows.
        weight: of the unimodal losses.
    """

    reference = "Zhou et al., ICASSP 2023 (IEEE Xplore 10096641)"
    requires = frozenset({"features", "unimodal_logits"})
    neutral: ClassVar = {"threshold": 1.0, "weight": 0.0}
    caveat = "second hand, from two ports that differ; no equations and no code of the authors"
    tabled = False
    paper_options: ClassVar = {"BalanceBenchmark": {"threshold": 0.5, "epsilon": 0.3}}

    dependent: Tensor

    def __init__(
        self,
        threshold: Annotated[float, Range(most=1, above=0)] = 0.5,
        epsilon: Positive = 0.3,
        weight: AtLeastZero = 1.0,
    ) -> None:
        super().__init__()
        self.threshold, self.epsilon, self.weight = threshold, epsilon, weight
        self.memory = Memory(epoch=None)
        self.register_buffer("dependent", torch.zeros(0, dtype=torch.bool))

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        self.dependent = self._none(model)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Every epoch begins without a mask."""
        self.memory["epoch"] = epoch
        self.dependent = self._none(model)

    def _none(self, model: Model) -> Tensor:
        device = next(model.parameters()).device
        return torch.zeros(len(model.modalities), dtype=torch.bool, device=device)

    @property
    def masked_part(self) -> float:
        """p_t."""
        t = self.memory["epoch"]
        if t is None or self.threshold == 1:
            return 0.0
        # l_t = (0 + 1 + ... + t) / 10 = t (t + 1) / 20
        return math.sin(math.pi / 2 * min(1.0, t * (t + 1) / 20 / self.epsilon))

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """One pass of the encoders; the fusion on masked features."""
        p = self.masked_part
        if p == 0:
            return super().compute(model, batch)
        whole = split(model)
        with self.autocast(batch):
            features = whole.encode(batch.inputs)
            masked = {
                m: torch.where(depends, h * mask(h, p), h)
                for (m, h), depends in zip(features.items(), self.dependent, strict=True)
            }
            output = replace(whole.fuse(masked), features=features)
            return output, self.loss(output, batch)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        fused = super().loss(output, batch)
        if not self.weight:
            return fused
        return fused + self.weight * summed(self.unimodal_losses(output, batch))

    @torch.no_grad()
    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        self.dependent = shares(output.unimodal) > self.threshold  # masked in the next step

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """An ordinary step on masked features; logs the part that is masked of each modality."""
        part = self.masked_part
        if not self._ready:
            self.setup(model)
        dependent = self.dependent  # as this step masks; it will be measured anew
        logs = super().differentiate(model, batch, optimizer)
        named = zip(model.modalities, dependent, strict=True)
        return logs | {f"masked/{m}": part * d for m, d in named}


def mask(features: Tensor, part: float) -> Tensor:
    """A factor (D,) for features (N, D): zero for a random part of the units, else what makes good
    for them.
    """
    units = features.shape[1]
    out = features.new_full((units,), min(1 / max(1 - part, 1e-6), LARGEST))
    with world.together():
        order = torch.randperm(units, device=features.device)
    out[order[: int(part * units)]] = 0
    return out


def shares(unimodal: dict[str, Tensor]) -> Tensor:
    """Each modality's share (M,) of the probability where all classes of all modalities compete.

    >>> shares({"x1": torch.tensor([[0.0, 0.0]]), "x2": torch.log(torch.tensor([[3.0, 3.0]]))})
    tensor([0.2500, 0.7500])
    """
    z = torch.stack([v.float() for v in unimodal.values()], 1)  # (N, M, C)
    # one softmax over the M C classes, summed per modality
    return world.mean(z.flatten(1).softmax(1).view_as(z).sum(-1).mean(0))
