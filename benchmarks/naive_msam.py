"""M-SAM as Algorithm 1 is printed, with nothing reused: 2^M masked forward passes and three
backward passes.

The reference for the library's version, and a test of it: both must take the same step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from msam_lib.contributions.shapley import coalition_masks, shapley_from_values
from msam_lib.data import Batch
from msam_lib.methods.base import Logs, Method
from msam_lib.models import evaluating, frozen_statistics


class NaiveMSAM(Method):
    """Algorithm 1 line by line (late fusion or any other; no dropout)."""

    def __init__(self, rho: float = 0.05) -> None:
        super().__init__()
        self.rho = rho

    def shares(self, model: nn.Module, batch: Batch) -> Tensor:
        """v (M,) from the correct answers, counted, of all 2^M masked batches."""
        counts = []
        with evaluating(model), torch.no_grad():
            for mask in coalition_masks(len(model.modalities)):
                kept = {
                    m: x if mask[i] else torch.zeros_like(x)
                    for i, (m, x) in enumerate(batch.inputs.items())
                }
                counts.append((model(kept).logits.argmax(-1) == batch.targets).sum())
        phi = shapley_from_values(torch.stack(counts)).clamp(min=0)
        return phi / phi.sum() if phi.sum() > 0 else torch.full_like(phi, 1 / len(phi))

    def step(self, model: nn.Module, batch: Batch, optimizer: Optimizer) -> Logs:
        self.prepare(model, optimizer)
        v = self.shares(model, batch).max()
        _, loss = self.compute(model, batch)
        strong, weak = v * loss, (1 - v) * loss  # L_d and L_s
        parameters = list(model.parameters())
        ascent = torch.autograd.grad(strong, parameters, retain_graph=True)
        rest = torch.autograd.grad(weak, parameters)
        norm = torch.sqrt(sum((g**2).sum() for g in ascent))
        before = [p.detach().clone() for p in parameters]
        with torch.no_grad():
            for p, g in zip(parameters, ascent, strict=True):
                p.add_(self.rho * g / norm)
        with frozen_statistics(model):
            (v * self.compute(model, batch)[1]).backward()
        with torch.no_grad():
            for p, old, g in zip(parameters, before, rest, strict=True):
                p.copy_(old)
                p.grad.add_(g)
        optimizer.step()
        return {"loss": loss.detach()}
