"""What the steps of an epoch logged, as means, without a step waiting for an accelerator."""

from __future__ import annotations

import math
from collections import defaultdict

import torch
from torch import Tensor

from msam_lib.methods.base import Logs

EVERY = 50  # steps between two looks at an accelerator's numbers


class StepLogs:
    """Sums over the steps of an epoch. Reading a number from an accelerator makes the step wait
    until the device has caught up, so there the sums stay on the device and are looked at now and
    then.

    Args:
        device: of the model.
    """

    def __init__(self, device: torch.device) -> None:
        self.every = 1 if device.type == "cpu" else EVERY
        self.sums: dict[str, float | Tensor] = defaultdict(float)
        self.steps = 0

    def add(self, logs: Logs) -> None:
        """One more step."""
        self.steps += 1
        for key, value in logs.items():
            self.sums[key] += float(value) if self.every == 1 else value

    def bad_loss(self, *, last: bool = False) -> float | None:
        """The sum of the losses where it is due to be looked at (always, after the `last` step) and
        NaN or infinite.
        """
        if not last and self.steps % self.every:
            return None
        total = float(self.sums["loss"])
        return None if math.isfinite(total) else total

    def means(self) -> dict[str, float]:
        """{key: mean over the steps}."""
        return {key: float(value) / self.steps for key, value in self.sums.items()}
