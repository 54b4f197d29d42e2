"""LFM: the modality gap closed by a divergence between the modalities' predictions."""

from __future__ import annotations

import itertools
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib._utils.options import Choice, Count, Positive, Range
from msam_lib._utils.vectors import flat
from msam_lib.data.containers import Batch
from msam_lib.data.loader import BatchLoader
from msam_lib.methods._gradients import gradients, trainable
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Method, Task
from msam_lib.models.base import Model, Output
from msam_lib.models.contexts import evaluating
from msam_lib.models.multimodal import split

WEIGHTS = ("schedule", "learned", "fixed")
VARIANTS = ("paper", "released")
LOW, HIGH = 0.05, 0.95  # of the weight of the divergence
FIRST = 0.795  # its weight at the beginning of the published runs
# (share of the run, weight): points of the released polynomial
SCHEDULE = ((0.0, FIRST), (0.1, 0.70), (0.5, 0.46), (1.0, 0.08))
PUBLISHED_EPOCHS = 200


class LFM(Method):
    r"""Dynamically learning the modality gap (Yang et al., NeurIPS 2024): contrast early, classify
    late.

    $$\mathcal L
    = 2\, \bigl( a_0\, \mathrm{CE}(\operatorname*{mean}_m z_m, y) + a_1\, \mathrm{JS}(p_1,
    \dots, p_M) \bigr),$$

    $p_m = \mathrm{softmax}\, z_m$, $a_0 = 1 - a_1$, with the Jensen-Shannon divergence
    $\mathrm{JS} = \operatorname{mean}_m \mathrm{KL}(p_m \,\Vert\, \text{mean of } p)$: for $M = 2$
    the paper's, for more its usual generalisation. $a_1$ falls during training.

    Changes: the loss. Requires: per-modality logits. Under a fusion that is not a sum the
    classification term is that of the fused logits. The released code has the arguments of the KL
    terms in the other order (`variant="released"`). In a bare loop $a_1$ stays at `start`.

    Args:
        weights: how $a_1$ moves. `"schedule"`: 0.795 at the beginning, 0.70 after a tenth of the
            run, 0.46 halfway, 0.08 at the end and straight lines between, times start / 0.795.
            These are points of the released polynomial of the epoch (written for 200 epochs, fitted
            to learned weights, in the code only), scaled to the run; it dips below 0 at 0.9 of the
            run, which is left out. `"learned"`: once per epoch a step of `weight_lr` down the
            gradient of the validation loss after one training step, to first order
            $-\langle \nabla \mathrm{CE}_{\text{val}}, \partial_{a_1} \nabla \mathcal L \rangle$;
            the released code takes the mean over the first tensor of a Hessian product instead, by
            which $a_1$ hardly moves. `"fixed"`: stays at `start`.
        start: $a_1$ at the beginning, 0.05 to 0.95 (the released learned way begins with 0.95).
        epochs: length of the run that the schedule is spread over; by default the Trainer's (200,
            as published, where no Trainer says it).
        weight_lr: step of the learned way, halved every 20 epochs; with 0.1 $a_1$ falls within ten
            epochs on `digits`.
        variant: see above.
    """

    reference = "Yang et al., NeurIPS 2024"
    requires = frozenset({"unimodal_logits"})
    caveat = "the schedule is the released code's, fitted to learned weights of one data set"
    paper_options: ClassVar = {
        "CREMA-D (released)": {"epochs": PUBLISHED_EPOCHS, "variant": "released"}
    }

    def __init__(
        self,
        weights: Annotated[str, Choice(WEIGHTS)] = "schedule",
        start: Annotated[float, Range(LOW, HIGH)] = FIRST,
        epochs: Count | None = None,
        weight_lr: Positive = 0.1,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.weights, self.start, self.epochs = weights, start, epochs
        self.weight_lr, self.variant = weight_lr, variant
        self.memory = Memory(gap_weight=start)
        self.additive = True

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        self.additive = split(model).fusion.additive

    def terms(self, output: Output, batch: Batch) -> tuple[Tensor, Tensor]:
        """Cross-entropy and divergence, before weighting."""
        # an additive fusion sums its terms; the paper takes their mean
        logits = output.logits / len(output.unimodal) if self.additive else output.logits
        own = torch.stack([z.float() for z in output.unimodal.values()])  # (M, N, C)
        return F.cross_entropy(logits.float(), batch.targets), self.divergence(own)

    def divergence(self, logits: Tensor) -> Tensor:
        """JS of the predictions of logits (M, N, C), mean over samples, in nats."""
        each = logits.log_softmax(-1)  # log p_m (M, N, C)
        middle = each.exp().mean(0).clamp_min(1e-12).log()  # (N, C)
        if self.variant == "paper":
            terms = each.exp() * (each - middle)  # KL(p_m || middle)
        else:
            terms = middle.exp() * (middle - each)  # KL(middle || p_m)
        return terms.sum(-1).mean()

    def loss(self, output: Output, batch: Batch) -> Tensor:
        a = self.memory["gap_weight"]
        classify, gap = self.terms(output, batch)
        return 2 * ((1 - a) * classify + a * gap)  # a_0 CE + a_1 JS, doubled

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """The weight of this epoch."""
        if self.weights == "schedule":
            total = self.epochs or self.total_epochs or PUBLISHED_EPOCHS
            self.memory["gap_weight"] = self.start / FIRST * scheduled(epoch / max(1, total - 1))
        elif self.weights == "learned":
            self._learn(model, epoch, loaders)

    def _learn(self, model: Model, epoch: int, loaders: Any) -> None:
        """One step on a_1; dropout and batch statistics are those of evaluation."""
        device = next(model.parameters()).device
        held = next(iter(BatchLoader(loaders.evaluation["val"], 64, shuffle=True, seed=epoch)))
        train = next(iter(BatchLoader(loaders.train.dataset, 64, shuffle=True, seed=epoch)))
        parameters = trainable(model)
        with evaluating(model), torch.enable_grad():
            held, train = held.to(device), train.to(device)
            # grad CE_val, of the classification term only
            outer = flat(gradients(self.terms(model(held.inputs), held)[0], parameters))
            classify, gap = self.terms(model(train.inputs), train)
            # d(grad L)/d a_1, as L is linear in a_1
            inner = flat(gradients(2 * (gap - classify), parameters))
        slope = -float(outer @ inner)  # of the validation loss, per unit of a_1 and of step size
        step = self.weight_lr * 0.5 ** (epoch // 20)
        new = self.memory["gap_weight"] - step * slope
        self.memory["gap_weight"] = min(HIGH, max(LOW, new))  # projected on its range


def scheduled(share: float) -> float:
    """The released schedule's weight of the divergence after this share of the run.

    >>> scheduled(0.0), round(scheduled(0.3), 3), scheduled(2.0)
    (0.795, 0.58, 0.08)
    """
    for (left, high), (right, low) in itertools.pairwise(SCHEDULE):
        if share <= right:
            return high + (share - left) / (right - left) * (low - high)
    return SCHEDULE[-1][1]
