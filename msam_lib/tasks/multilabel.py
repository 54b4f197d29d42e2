"""L labels per sample, each on or off (MIMIC's phenotypes; L = 1 is a binary task)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib.errors import MsamError
from msam_lib.tasks._ranking import Ranking
from msam_lib.tasks.base import Task, checked_outputs


class Multilabel(Task):
    """Each sample has a set of labels: binary cross-entropy, mean over labels and samples, and the
    macro average of the areas under the precision-recall curves, as in MASAM's tables of MIMIC.

    Targets are (N, L) floats 0 or 1, outputs (N, L) logits of one sigmoid each.

    Args:
        labels: L.
        prevalence: share of positives of each label in the training split. Where labels are rare,
            "all off" has nearly every single answer right and differences between coalitions
            vanish, so Phi weights the positives of a label by 1 / (2 p) and its negatives by
            1 / (2 (1 - p)), as balanced accuracy does. None takes p = 1/2, plain means.
    """

    kind: ClassVar = "multilabel"
    headline: ClassVar = "auprc"

    def __init__(self, labels: int, prevalence: Sequence[float] | None = None) -> None:
        self.outputs = self.labels = checked_outputs(labels, "labels")
        shares = [0.5] * labels if prevalence is None else [float(p) for p in prevalence]
        if len(shares) != labels or not all(0 < p < 1 for p in shares):
            raise MsamError(
                f"prevalence={prevalence}; one share between 0 and 1 (both excluded) is needed for "
                f"each of the {labels} labels. Leave out labels that never (or always) occur."
            )
        self.prevalence = tuple(shares)

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        truth = y.to(z).expand_as(z)
        return F.binary_cross_entropy_with_logits(z, truth, reduction="none").mean(-1)

    def score(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over the labels of the probability of the truth (MASAM's released score)."""
        return self._right(z.sigmoid(), y).mean(-1)

    def credit(self, z: Tensor, y: Tensor) -> Tensor:
        """Share of labels answered rightly at a probability of 1/2."""
        return self._right((z > 0).to(z), y).mean(-1)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """The balanced score: mean probability of the truth, positives and negatives of each label
        weighted by its prevalence. 1/2 for the answer 1/2 everywhere.
        """
        p = torch.tensor(self.prevalence, dtype=torch.float64, device=z.device)
        weight = torch.where(y > 0.5, 0.5 / p, 0.5 / (1 - p))
        return (self._right(z.double().sigmoid(), y) * weight).mean((-2, -1))

    @staticmethod
    def _right(on: Tensor, y: Tensor) -> Tensor:
        truth = y.to(on)
        return truth * on + (1 - truth) * (1 - on)

    def metrics(self, z: Tensor, y: Tensor) -> dict[str, float]:
        """`auprc` and `auroc` (macro means over the labels that have positives and negatives here),
        `labels_counted` (how many those are, of `labels`), `brier` and `label_accuracy`.
        """
        probability, truth = z.double().sigmoid().cpu(), y.double().cpu()
        ranking = Ranking(probability, truth)
        mixed = (truth.sum(0) > 0) & (truth.sum(0) < len(truth))
        return {
            "auprc": float(ranking.average_precision()[mixed].mean()),
            "auroc": float(ranking.roc_area()[mixed].mean()),
            "labels_counted": float(mixed.sum()),
            "labels": float(self.labels),
            "brier": float((probability - truth).square().mean()),
            "label_accuracy": float(self.credit(z, y).double().mean()),
        }

    def headline_of(self, z: Tensor, y: Tensor) -> float:
        probability, truth = z.double().sigmoid().cpu(), y.double().cpu()
        mixed = (truth.sum(0) > 0) & (truth.sum(0) < len(truth))
        return float(Ranking(probability, truth).average_precision()[mixed].mean())

    def constant(self, y: Tensor) -> Tensor:
        """The logarithmic odds of each label's share."""
        return torch.logit(y.double().mean(0))

    def expected(self) -> str:
        return f"floats (N, {self.labels}), 0 or 1 for each label"

    def suits(self, y: Tensor) -> bool:
        return y.dim() == 2 and y.shape[1] == self.labels and y.is_floating_point()
