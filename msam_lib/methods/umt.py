"""UMT: the encoders' features are drawn towards those of unimodal teachers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Count, Positive
from msam_lib.data.containers import Batch
from msam_lib.methods._teachers import Teachers
from msam_lib.methods.base import Method, Task
from msam_lib.models.base import Model, Output, summed
from msam_lib.tasks import KINDS


class UMT(Method):
    r"""Uni-modal teacher (Du et al., ICML 2023, arXiv 2305.01233, and 2021, arXiv 2106.11059).

    Every modality's encoder is first trained alone; with $t_m$ these teachers' features,

    $$\mathcal L = \mathrm{CE}(F(h), y)
    + \text{weight} \sum_m \operatorname{mean}\, (h_m - t_m)^2,$$

    the mean over samples and features, $t_m$ in evaluation mode.

    Changes: the loss. Requires: features, and epochs: the teachers are trained before the first
    one; a bare loop trains jointly unless `method.teachers.teach(...)` has been called. Source: the
    papers' abstracts and `UMT_trainer.py` of GeWu-Lab's BalanceBenchmark, whose weight is 10; code
    of the authors was not found. Teachers are copies of the encoders as they are at the start, with
    a linear head, trained with Adam for a fixed number of epochs; the benchmark loads the
    checkpoint of a whole unimodal run.

    Args:
        weight: of the distillation; 0 is joint training.
        teacher_epochs: of each teacher.
        teacher_lr: of the teachers' Adam.
    """

    tasks = KINDS
    reference = "Du et al., ICML 2023, arXiv 2305.01233"
    passes = "1 forward, 1 backward, 1 forward of the teachers; M unimodal trainings at the start"
    requires = frozenset({"features"})
    neutral: ClassVar = {"weight": 0.0}
    caveat = "weight from a benchmark's version; how the authors trained the teachers is not known"
    paper_options: ClassVar = {"BalanceBenchmark": {"weight": 10.0}}

    teachers: Teachers

    def __init__(
        self,
        weight: AtLeastZero = 10.0,
        teacher_epochs: Count = 20,
        teacher_lr: Positive = 3e-3,
    ) -> None:
        super().__init__()
        self.weight, self.teacher_epochs, self.teacher_lr = weight, teacher_epochs, teacher_lr

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        self.teachers = Teachers(model)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Train the teachers, once."""
        if self.weight:
            self.teachers.teach_once(loaders, self.teacher_epochs, self.teacher_lr, self.task)

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """Forward pass and loss, with the distance from the teachers' features."""
        output, loss = super().compute(model, batch)
        if not (self.weight and self.teachers.ready):
            return output, loss
        with self.autocast(batch):
            taught = self.teachers(batch.inputs)
        return output, loss + self.weight * distances(output.features, taught.features)


def distances(features: Mapping[str, Tensor], taught: Mapping[str, Tensor]) -> Tensor:
    """The mean squared distance of the features {m: (N, D_m)} from the teachers', summed over m."""
    return summed(F.mse_loss(single(h), single(taught[m])) for m, h in features.items())


def single(x: Tensor) -> Tensor:
    """In single precision, where it was less."""
    return x.to(torch.promote_types(x.dtype, torch.float32))
