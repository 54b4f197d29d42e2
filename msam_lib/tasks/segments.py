"""One class of C for each of the S segments of a sample."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from msam_lib.errors import MsamError
from msam_lib.tasks.base import Task, at_targets, checked_outputs
from msam_lib.tasks.classification import Classification


class SegmentClassification(Task):
    """Each segment of a sample has one of C classes: cross-entropy, mean over the segments, and the
    accuracy over all segments, as of AVE (Tian et al., ECCV 2018; `supervised_main.py`).

    Targets are (N, S) class indices, outputs (N, S * C) logits, those of the first segment first.
    The released code takes `MultiLabelSoftMarginLoss` of probabilities instead of cross-entropy.

    Args:
        classes: C, the background among them.
        segments: S, 10 in AVE.

    >>> SegmentClassification(29, segments=10).outputs
    290
    """

    kind: ClassVar = "segments"
    headline: ClassVar = "accuracy"

    def __init__(self, classes: int, segments: int) -> None:
        self.classes = checked_outputs(classes, "classes")
        self.segments = checked_outputs(segments, "segments")
        self.outputs = self.classes * self.segments
        self._one = Classification(classes)

    def each(self, z: Tensor) -> Tensor:
        """The logits (..., N, S, C) of every segment.

        Raises:
            MsamError: the outputs have another number.
        """
        if z.shape[-1] != self.outputs:
            raise MsamError(
                f"outputs have shape {tuple(z.shape)}; {self!r} needs (N, {self.outputs}), "
                f"{self.classes} logits for each of {self.segments} segments."
            )
        return z.unflatten(-1, (self.segments, self.classes))

    def losses(self, z: Tensor, y: Tensor) -> Tensor:
        return -at_targets(self.each(z).log_softmax(-1), y).mean(-1)

    def score(self, z: Tensor, y: Tensor) -> Tensor:
        """Mean over the segments of the probability of the true class."""
        return at_targets(self.each(z).softmax(-1), y).mean(-1)

    def credit(self, z: Tensor, y: Tensor) -> Tensor:
        """Share of the segments answered rightly; of equal logits the first is taken."""
        return self._right(z, y).to(z.dtype).mean(-1)

    def value(self, z: Tensor, y: Tensor) -> Tensor:
        """The accuracy over all segments of all samples."""
        return self._right(z, y).double().mean((-2, -1))

    def _right(self, z: Tensor, y: Tensor) -> Tensor:
        return self.each(z).argmax(-1) == y

    def metrics(self, z: Tensor, y: Tensor) -> dict[str, float]:
        """Those of a classification of every segment for itself: `accuracy`, `macro_f1` and
        `calibration_error`, in [0, 1].
        """
        return self._one.metrics(self.each(z).flatten(-3, -2), y.flatten())

    def headline_of(self, z: Tensor, y: Tensor) -> float:
        return float(self.value(z, y))

    def constant(self, y: Tensor) -> Tensor:
        """The logarithm of the classes' shares among the first segments, the second ones, ..."""
        return torch.cat([self._one.constant(column) for column in y.unbind(1)])

    def expected(self) -> str:
        return f"class indices (N, {self.segments}) of type int64, 0 to {self.classes - 1}"

    def suits(self, y: Tensor) -> bool:
        return y.dim() == 2 and y.shape[1] == self.segments and y.dtype == torch.int64

    def __repr__(self) -> str:
        return f"SegmentClassification({self.classes}, segments={self.segments})"
