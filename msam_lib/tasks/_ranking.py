"""Areas under curves of all labels at once: one sort of the matrix of scores."""

from __future__ import annotations

import torch
from torch import Tensor


class Ranking:
    """The samples of every label in falling order of their scores; equal scores are one threshold.

    Areas are NaN for a label without positives or without negatives, and for one with a NaN score.

    Args:
        scores: (N, L).
        truth: (N, L), 0 or 1.
    """

    def __init__(self, scores: Tensor, truth: Tensor) -> None:
        n, labels = scores.shape
        ranked, order = scores.sort(0, descending=True)
        self.positive = truth.double().gather(0, order)
        self.counts = torch.arange(1, n + 1, dtype=torch.float64)[:, None]  # ranked so far
        # Number of the first and of the last sample with the score of each, (N, L).
        differs = ranked[1:] != ranked[:-1]
        edge, numbers = torch.ones(1, labels, dtype=torch.bool), torch.arange(n)[:, None]
        starts = torch.where(torch.cat([edge, differs]), numbers, 0)
        ends = torch.where(torch.cat([differs, edge]), numbers, n)
        self.first = starts.cummax(0).values
        self.last = ends.flip(0).cummin(0).values.flip(0)
        self.hits = self.positive.cumsum(0)  # positives ranked so far
        self.total = self.positive.sum(0)  # (L,)
        known = (self.total > 0) & (self.total < n) & ~scores.isnan().any(0)
        self.unknown = torch.where(known, 0.0, torch.nan).double()

    def average_precision(self) -> Tensor:
        """(L,): sum over thresholds of (recall - recall before) * precision."""
        precision = (self.hits / self.counts).gather(0, self.last)
        return (self.positive * precision).sum(0) / self.total + self.unknown

    def roc_area(self) -> Tensor:
        """(L,): share of pairs of a positive and a negative in right order; ties count half."""
        misses = self.counts - self.hits  # negatives ranked so far
        before = (misses - (1 - self.positive)).gather(0, self.first)
        negatives = len(self.positive) - self.total
        behind = negatives - (before + misses.gather(0, self.last)) / 2
        return (self.positive * behind).sum(0) / (self.total * negatives) + self.unknown
