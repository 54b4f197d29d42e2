"""One class of C per sample."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib.tasks.base import Task, at_targets, checked_outputs


class Classification(Task):
    """Each sample has one of C classes: cross-entropy, accuracy.

    Targets are (N,) class indices, outputs (N, C) logits.

    Args:
        classes: C; None leaves it to the network.
    """

    kind: ClassVar = "classification"
    headline: ClassVar = "accuracy"

    def __init__(self, classes: int | None = None) -> None:
        self.classes = classes
        self.outputs = 0 if classes is None else checked_outputs(classes, "classes")

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        if z.dim() == 2:
            return F.cross_entropy(z, y, reduction="none")
        return -at_targets(z.log_softmax(-1), y)

    def loss(self, z: Tensor, y: Tensor) -> Tensor:
        return F.cross_entropy(z, y) if z.dim() == 2 else self.losses(z, y).mean(-1)

    def score(self, z: Tensor, y: Tensor) -> Tensor:
        """The probability of the true class."""
        return at_targets(z.softmax(-1), y)

    def credit(self, z: Tensor, y: Tensor) -> Tensor:
        """1 where the most probable class is the true one; of equal logits the first is taken."""
        return (z.argmax(-1) == y).to(z.dtype)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """The accuracy, the Phi of M-SAM."""
        return (z.argmax(-1) == y).double().mean(-1)

    def metrics(self, z: Tensor, y: Tensor) -> dict[str, float]:
        """`accuracy`, `macro_f1` and `calibration_error`, in [0, 1]."""
        return {
            "accuracy": float(self.value(z, y)),
            "macro_f1": macro_f1(z.argmax(-1), y, z.shape[-1]),
            "calibration_error": calibration_error(z, y),
        }

    def headline_of(self, z: Tensor, y: Tensor) -> float:
        return float(self.value(z, y))

    def constant(self, y: Tensor) -> Tensor:
        """The logarithm of the classes' shares."""
        return torch.bincount(y, minlength=self.outputs).double().div(len(y)).log()

    def expected(self) -> str:
        most = "C - 1" if self.classes is None else self.classes - 1
        return f"class indices (N,) of type int64, 0 to {most}"

    def suits(self, y: Tensor) -> bool:
        return y.dim() == 1 and y.dtype == torch.int64

    def __repr__(self) -> str:
        return f"Classification({'' if self.classes is None else self.classes})"


CLASSIFICATION = Classification()  # into as many classes as the network has outputs


def macro_f1(predicted: Tensor, targets: Tensor, classes: int) -> float:
    """Unweighted mean over classes of the F1 score, in [0, 1]; classes that neither occur nor are
    predicted are left out.

    Args:
        predicted, targets: (N,) classes.
        classes: C.
    """
    # The confusion matrix (C, C); the F1 score of a class is 2 hits over its row and column sums.
    pairs = torch.bincount(targets * classes + predicted, minlength=classes**2).view(
        classes, classes
    )
    hit, total = pairs.diagonal().double(), (pairs.sum(0) + pairs.sum(1)).double()
    return float((2 * hit / total.clamp(min=1))[total > 0].mean())


def calibration_error(logits: Tensor, targets: Tensor, bins: int = 15) -> float:
    """Expected calibration error in [0, 1] over equal-width confidence bins (Guo et al., ICML 2017,
    Eq. 3).

    Args:
        logits: (N, C).
        targets: (N,) classes.
        bins: number of bins.
    """
    confidence, predicted = logits.softmax(-1).max(-1)
    right = (predicted == targets).double()
    # Eq. 3: |Σ (confidence − hit)| / N of a bin is its gap times its weight.
    which = (confidence * bins).long().clamp(max=bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64).index_add_(0, which, confidence.double() - right)
    return float(gap.abs().sum() / len(targets))
