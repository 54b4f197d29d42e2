"""MILES: the learning rate of the dominating modality is lowered while it dominates."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from msam_lib.data.containers import Batch, BatchLoader
from msam_lib.errors import MsamError
from msam_lib.methods._gradients import own_parameters
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Method
from msam_lib.models.base import Model, Output
from msam_lib.models.contexts import evaluating


class MILES(Method):
    """Modality-informed learning-rate scheduler (Guerra-Manzanares, Shamout, IJCNN 2025).

    After each epoch, on the validation split, the conditional utilisation rate of a modality is
    u_m = (perf(all) - perf(all but m)) / perf(all). With d_m = u_m minus the mean of the others'
    (for two modalities the paper's u(A|B) - u(B|A)), every modality with d_m > threshold learns
    with `factor` times the learning rate in the next epoch; the others with the full one.

    perf is accuracy: of the fused logits for all, of the sum of the unimodal logits without m for
    the rest. A learning rate is lowered by scaling the gradients of the modality's encoder and
    head, which is the same for SGD without weight decay, and not for Adam.

    Changes: the schedule. Requires: per-modality logits. No code was found; threshold, factor and
    when a rate is restored are not known from our sources: here, as soon as d_m is back under the
    threshold. In a loop without epochs nothing is scaled.

    Args:
        threshold: of the difference d_m.
        factor: of the learning rate, 0 to 1; 1 is joint training.
    """

    reference = "Guerra-Manzanares and Shamout, IJCNN 2025"
    requires = frozenset({"unimodal_logits"})
    caveat = "formula second hand; threshold, factor and the rule for restoring are our choice"
    neutral: ClassVar = {"factor": 1.0}

    def __init__(self, threshold: float = 0.1, factor: float = 0.5) -> None:
        super().__init__()
        if not threshold >= 0:
            raise MsamError(f"threshold={threshold}; it must be 0 or larger.")
        if not 0 <= factor <= 1:
            raise MsamError(f"factor={factor}; between 0 and 1.")
        self.threshold, self.factor = threshold, factor
        self.memory = Memory(slowed=[])

    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        for m in self.memory["slowed"]:
            grads = [p.grad for p in own_parameters(model, m) if p.grad is not None]
            torch._foreach_mul_(grads, self.factor)

    def on_epoch_end(self, model: Model, epoch: int, loaders: Any, history: Any) -> None:
        """Measure who dominates."""
        u = utilisation(*_predictions(model, loaders.evaluation["val"]))
        others = {m: (sum(u.values()) - v) / (len(u) - 1) for m, v in u.items()}
        self.memory["slowed"] = [m for m in u if u[m] - others[m] > self.threshold]


def utilisation(fused: Tensor, unimodal: Mapping[str, Tensor], targets: Tensor) -> dict[str, float]:
    """u_m = (perf(all) - perf(all but m)) / perf(all) of logits (N, C); all 0 where perf(all) is
    0.
    """

    def accuracy(logits: Tensor) -> float:
        return float((logits.argmax(-1) == targets).double().mean())

    whole = accuracy(fused)
    total = sum(unimodal.values())
    if whole == 0:
        return dict.fromkeys(unimodal, 0.0)
    return {m: (whole - accuracy(total - z)) / whole for m, z in unimodal.items()}


@torch.no_grad()
def _predictions(model: Model, data: Any) -> tuple[Tensor, dict[str, Tensor], Tensor]:
    device = next(model.parameters()).device
    fused, own = [], []
    with evaluating(model):
        for batch in BatchLoader(data, 500):
            output = model(batch.to(device).inputs)
            fused.append(output.logits.float().cpu())
            own.append({m: z.float().cpu() for m, z in output.unimodal.items()})
    return torch.cat(fused), {m: torch.cat([o[m] for o in own]) for m in own[0]}, data.targets
