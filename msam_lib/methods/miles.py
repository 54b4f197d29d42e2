"""MILES: the learning rate of the dominating modality is lowered while it dominates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Share
from msam_lib.data.containers import Batch
from msam_lib.methods._scores import Scores, accuracy, detached, modality_scores, on_split
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model, Output, summed

if TYPE_CHECKING:
    from torch.optim import Optimizer


class MILES(Method):
    r"""Modality-informed learning-rate scheduler (Guerra-Manzanares, Shamout, IJCNN 2025, arXiv
    2510.17394).

    $\mathcal L = \mathrm{CE}(\text{fused}) + \gamma \sum_m \mathrm{CE}(z_m)$ (Eq. 3). After each
    epoch, on the validation split, the conditional utilisation rate of a modality is

    $$u_m
    = \frac{\mathrm{perf}(\text{all}) - \mathrm{perf}(\text{all but } m)}
    {\mathrm{perf}(\text{all})}$$

    (Eq. 4), $\mathrm{perf}$ the accuracy: of the fused logits for all, of the other modality's own
    logits for the rest. With $d_m = u_m$ minus the mean of the others' (Eq. 5), a modality with
    $d_m > \text{threshold}$ learns in the next epoch with `factor` times the learning rate, in its
    encoder only. All learn with the full rate again once no $d_m$ exceeds the threshold, and where
    every $u_m$ is negative.

    The paper has two modalities. For more, $\mathrm{perf}(\text{all but } m)$ is that of the sum of
    the others' logits, and $d_m$ takes the mean over the others; the same for $M = 2$.

    A learning rate is lowered by shortening the step that the optimizer has made:

    $$w \leftarrow w_{\text{before}}
    + \text{factor} \cdot (w_{\text{after}} - w_{\text{before}}).$$

    For every optimizer whose step is proportional to its learning rate (SGD with momentum and
    weight decay, Adam, AdamW, ...) this is the lower rate, to rounding. Scaled gradients would do
    nothing under Adam; parameter groups split by encoder would not be seen by a scheduler made
    before, nor fit a checkpoint of the optimizer.

    Changes: the loss and the schedule. Requires: per-modality logits for the loss (with gamma = 0
    the fusion's terms or Shapley responses are read instead), and which parameters belong to which
    encoder. In a loop without epochs every rate is the full one. Defaults and the rule for
    restoring are those of a re-implementation that cites Eq. 3 to 5 and Algorithm 1; it measures on
    the test split.

    Args:
        threshold: $\tau$, of the difference $d_m$.
        factor: $\mu$, of the learning rate, 0 to 1; with gamma = 0, 1 is joint training.
        gamma: weight of the unimodal losses.
    """

    reference = "Guerra-Manzanares and Shamout, IJCNN 2025, arXiv 2510.17394"
    requires = frozenset({"unimodal_logits", "encoders"})
    caveat = "formulas and defaults through a re-implementation that cites them; no official code"
    neutral: ClassVar = {"factor": 1.0, "gamma": 0.0}

    def __init__(
        self,
        threshold: AtLeastZero = 0.2,
        factor: Share = 0.5,
        gamma: AtLeastZero = 1.0,
    ) -> None:
        super().__init__()
        self.threshold, self.factor, self.gamma = threshold, factor, gamma
        self.memory = Memory(slowed=[])

    def needs(self) -> frozenset[str]:
        return self.requires if self.gamma else self.requires - {"unimodal_logits"}

    def loss(self, output: Output, batch: Batch) -> Tensor:
        fused = super().loss(output, batch)
        if not self.gamma:
            return fused
        own = output.unimodal.values()
        # Eq. 3
        return fused + self.gamma * summed(self.task.loss(z.float(), batch.targets) for z in own)

    def scores(self, model: Model, output: Output, batch: Batch) -> Scores:
        """What each modality says on its own, {m: (N, C)}: its logits, if the loss trains them."""
        if self.gamma:
            return detached(output.unimodal)
        return modality_scores(model, output, batch.inputs)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """An ordinary step, shorter for slowed encoders; logs the factors of the rates."""
        logs = super().differentiate(model, batch, optimizer)
        slowed = self.memory["slowed"]
        return logs | {
            f"coefficient/{m}": self.factor if m in slowed else 1.0 for m in model.modalities
        }

    def update(self, model: Model, optimizer: Optimizer) -> None:
        """The optimizer's step, of which the slowed encoders keep the part `factor`."""
        parameters: list[Tensor] = []
        for m in self.memory["slowed"]:
            parameters += model.parameters_of(m)
        kept = [p.detach().clone() for p in parameters]  # w_before
        super().update(model, optimizer)
        if not parameters:
            return
        with torch.no_grad():
            torch._foreach_lerp_(kept, parameters, self.factor)  # towards w_after by the factor
            torch._foreach_copy_(parameters, kept)

    def on_epoch_end(self, model: Model, epoch: int, loaders: Any, history: Any) -> None:
        """Measure who dominates."""
        self.memory["slowed"] = self.dominating(
            utilisation(*on_split(model, loaders.evaluation["val"], self.scores))
        )

    def dominating(self, u: Mapping[str, float]) -> list[str]:
        """The modalities to be slowed, from their utilisation rates."""
        if all(v < 0 for v in u.values()):
            return []
        # Eq. 5: d_m, the lead over the mean of the others
        total, others = sum(u.values()), max(len(u) - 1, 1)
        return [m for m, v in u.items() if v - (total - v) / others > self.threshold]


def utilisation(fused: Tensor, unimodal: Mapping[str, Tensor], targets: Tensor) -> dict[str, float]:
    """u_m = (perf(all) - perf(all but m)) / perf(all) of logits (N, C); all 0 where perf(all) is
    0.
    """
    whole, total = accuracy(fused, targets), summed(unimodal.values())
    if whole == 0:
        return dict.fromkeys(unimodal, 0.0)
    # Eq. 4; all but m: the sum of the others' own logits
    return {m: (whole - accuracy(total - z, targets)) / whole for m, z in unimodal.items()}
