"""MSLR: a learning rate for every modality, following its validation accuracy."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import torch

from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError, unknown_name
from msam_lib.methods._gradients import own_parameters
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, Output

STRATEGIES = ("dynamic", "keep")


class MSLR(Method):
    """Modality-specific learning rates (Yao, Mihalcea, ACL Findings 2022).

    The gradients of modality m's encoder and head are multiplied by c_m r_m. Under `"dynamic"`, r_m
    is the validation accuracy of the modality's own head divided by its mean over the last `window`
    epochs (1 until so many are known); under `"keep"`, r_m = 1.

    Changes: the schedule. Requires: per-modality logits, and the trainer's history for `"dynamic"`
    (in a loop without epochs r_m = 1). Scaling gradients is scaling learning rates for SGD without
    weight decay, not for Adam. With fusion='concat' the heads are slices of one shared layer, and
    only the encoders are scaled.

    Args:
        rates: {modality: c_m}; 1 for those not named.
        strategy: `"dynamic"` or `"keep"`.
        window: epochs averaged.
    """

    reference = "Yao and Mihalcea, Findings of ACL 2022"
    requires = frozenset({"unimodal_logits"})
    neutral: ClassVar = {"strategy": "keep", "rates": None}
    caveat = "the paper's third strategy (smooth) is not described in our sources"
    paper_options: ClassVar = {
        "AV-MNIST (AGM's code)": {"rates": {"audio": 1.3, "visual": 0.7}},
        "CREMA-D (AGM's code)": {"rates": {"audio": 0.9, "visual": 1.1}},
        "UR-Funny (AGM's code)": {"rates": {"audio": 0.9, "visual": 1.4, "text": 0.7}},
    }

    def __init__(
        self,
        rates: Mapping[str, float] | None = None,
        strategy: str = "dynamic",
        window: int = 5,
    ) -> None:
        super().__init__()
        if strategy not in STRATEGIES:
            raise unknown_name("strategy", strategy, STRATEGIES)
        if window < 1:
            raise MsamError(f"window={window}; at least 1 epoch.")
        for m, rate in (rates or {}).items():
            if not rate >= 0:
                raise MsamError(f"rates[{m!r}]={rate}; a rate must be 0 or larger.")
        self.rates, self.strategy, self.window = rates, strategy, window
        self.memory = Memory(accuracies={})

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        for m in self.rates or {}:
            if m not in model.modalities:
                raise unknown_name("modality in rates:", m, model.modalities)

    def coefficient(self, modality: str) -> float:
        """c_m r_m, by which this modality's gradients are multiplied now."""
        own = (self.rates or {}).get(modality, 1.0)
        known = self.memory["accuracies"].get(modality, [])
        if self.strategy == "keep" or len(known) < self.window or sum(known) == 0:
            return own
        return own * known[-1] * len(known) / sum(known)

    def step(self, model: Model, batch: Batch, optimizer: Any) -> Logs:
        """An ordinary step with scaled gradients; logs the coefficients."""
        logs = super().step(model, batch, optimizer)
        names = model.modalities
        return logs | {f"coefficient/{m}": self.coefficient(m) for m in names}

    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        for m in model.modalities:
            scale = self.coefficient(m)
            grads = [p.grad for p in own_parameters(model, m) if p.grad is not None]
            if scale != 1.0 and grads:
                torch._foreach_mul_(grads, scale)

    def on_epoch_end(self, model: Model, epoch: int, loaders: Any, history: Any) -> None:
        """Remember the accuracies of the last epochs."""
        for m in model.modalities:
            value = history.last("accuracy_head", modality=m, split="val")
            if math.isfinite(value):
                known = self.memory["accuracies"].get(m, [])
                self.memory["accuracies"][m] = [*known, value][-self.window :]
