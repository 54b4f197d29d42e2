"""MSLR: a learning rate for every modality, following its validation accuracy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from torch.optim import Optimizer

from msam_lib._utils.options import AtLeastZero, Choice, Count
from msam_lib.data.containers import Batch
from msam_lib.errors import unknown_name
from msam_lib.methods._gradients import grads_of, own_parameters
from msam_lib.methods._scores import Scores, modality_scores, on_split
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, Output
from msam_lib.tasks import KINDS

STRATEGIES = ("dynamic", "keep")


class MSLR(Method):
    """Modality-specific learning rates (Yao, Mihalcea, ACL Findings 2022), after AGM's code.

    The gradients of modality $m$'s encoder and head are multiplied by $c_m r_m$. Under `"dynamic"`,
    $r_m$ is the validation accuracy of the modality's own logits divided by its mean over the
    `window` epochs before (1 until so many are known); under `"keep"`, $r_m = 1$.

    A modality's own logits are the fusion's term where the logits are a sum over modalities, else
    the Shapley response of the logits, as in AGM's code. A rate of 0 stops the modality exactly:
    its gradients are None, so neither momentum nor weight decay moves it (AGM's code multiplies by
    0, which leaves both at work).

    Changes: the schedule. Requires: which parameters belong to which encoder, and epochs for
    `"dynamic"` (in a bare loop $r_m = 1$). Scaling gradients is scaling learning rates for SGD
    without weight decay, not for Adam. Under fusions without a head per modality only the encoders
    are scaled; so it is with concatenation, where the heads are slices of one shared layer.

    Args:
        rates: {modality: $c_m$}; 1 for those not named.
        strategy: `"dynamic"` or `"keep"`.
        window: epochs averaged.
    """

    tasks = KINDS
    reference = "Yao and Mihalcea, Findings of ACL 2022"
    requires = frozenset({"encoders"})
    neutral: ClassVar = {"strategy": "keep", "rates": None}
    caveat = "the paper's third strategy (smooth) is not described in our sources"
    paper_options: ClassVar = {
        "AV-MNIST (AGM's code)": {"rates": {"audio": 1.3, "visual": 0.7}},
        "CREMA-D (AGM's code)": {"rates": {"audio": 0.9, "visual": 1.1}},
        "UR-Funny (AGM's code)": {"rates": {"audio": 0.9, "visual": 1.4, "text": 0.7}},
    }

    def __init__(
        self,
        rates: Mapping[str, AtLeastZero] | None = None,
        strategy: Annotated[str, Choice(STRATEGIES)] = "dynamic",
        window: Count = 5,
    ) -> None:
        super().__init__()
        self.rates, self.strategy, self.window = rates, strategy, window
        self.memory = Memory(accuracies={})

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        for m in self.rates or {}:
            if m not in model.modalities:
                raise unknown_name("modality in rates:", m, model.modalities)

    def coefficient(self, modality: str) -> float:
        """c_m r_m, by which this modality's gradients are multiplied now."""
        rate = (self.rates or {}).get(modality, 1.0)
        # r_m: this epoch against the mean of the `window` before it
        *before, now = self.memory["accuracies"].get(modality, [0.0])
        if self.strategy == "keep" or len(before) < self.window or sum(before) == 0:
            return rate
        return rate * now * len(before) / sum(before)

    def scores(self, model: Model, output: Output, batch: Batch) -> Scores:
        """What each modality says on its own, {m: (N, C)}."""
        return modality_scores(model, output, batch.inputs)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """An ordinary step with scaled gradients; logs the coefficients."""
        logs = super().differentiate(model, batch, optimizer)
        names = model.modalities
        return logs | {f"coefficient/{m}": self.coefficient(m) for m in names}

    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        for m in model.modalities:
            scale = self.coefficient(m)
            parameters = own_parameters(model, m)
            if scale == 0.0:  # None, not 0: neither momentum nor weight decay moves it
                for p in parameters:
                    p.grad = None
            elif scale != 1.0 and (grads := grads_of(parameters)):
                torch._foreach_mul_(grads, scale)

    def on_epoch_end(self, model: Model, epoch: int, loaders: Any, history: Any) -> None:
        """Remember the accuracies of this epoch and of the `window` before it."""
        if self.strategy == "keep":
            return
        for m, value in unimodal_accuracies(model, loaders.evaluation["val"], self).items():
            known = self.memory["accuracies"].get(m, [])
            self.memory["accuracies"][m] = [*known, value][-self.window - 1 :]


def unimodal_accuracies(model: Model, data: Any, rule: MSLR) -> dict[str, float]:
    """{modality: accuracy of its own logits, `Task.credit`} on a split, in evaluation mode."""
    _, scores, targets = on_split(model, data, rule.scores)
    return {m: float(rule.task.credit(z, targets).double().mean()) for m, z in scores.items()}
