"""Loss and accuracy of logits."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Score = tuple[float, float]  # mean loss, accuracy


def score(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy and accuracy over the last axis but one: (..., N, C) -> (..., 2)."""
    y = targets.expand(logits.shape[:-1])  # (..., N)
    likelihood = F.log_softmax(logits, dim=-1).gather(-1, y.unsqueeze(-1)).squeeze(-1)  # (..., N)
    right = (logits.argmax(-1) == y).to(likelihood)
    return torch.stack([-likelihood.mean(-1), right.mean(-1)], dim=-1)


def mean_score(scores: Sequence[Tensor], shares: Sequence[float]) -> Score:
    """The batches' scores (2,), each weighted by its share of the samples."""
    total = torch.zeros(2, dtype=torch.float64)
    for w, s in zip(shares, scores, strict=True):
        total += w * s.cpu().double()
    return float(total[0]), float(total[1])
