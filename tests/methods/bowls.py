"""A quadratic with a known gradient as a model, for methods whose update can be worked out."""

from __future__ import annotations

import torch

from msam_lib.data import Batch
from msam_lib.methods import build_method
from msam_lib.models import wrap

CURVATURES = (1.0, 4.0)
BATCH = Batch({"x": torch.zeros(1, 1)}, torch.zeros(1, dtype=torch.long))


class Bowl(torch.nn.Module):
    """Loss 0.5 sum h_i w_i^2 with h = (1, 4), from w = (1, 1): gradient (w_1, 4 w_2)."""

    def __init__(self) -> None:
        super().__init__()
        self.w = torch.nn.Parameter(torch.ones(2))
        self.calls = 0

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return 0.5 * (self.w**2 * torch.tensor(CURVATURES)).sum().view(1, 1)


def trained(name: str, steps: int, momentum: float = 0.0, lr: float = 0.1, **options) -> Bowl:
    """The bowl after some steps of a method with SGD; the loss is the output itself."""
    bowl = Bowl()
    model, rule = wrap(bowl, ["x"], call="args"), build_method(name, **options)
    rule.loss = lambda output, batch: output.logits.squeeze()
    optimizer = torch.optim.SGD(bowl.parameters(), lr=lr, momentum=momentum)
    for _ in range(steps):
        rule.step(model, BATCH, optimizer)
    return bowl
