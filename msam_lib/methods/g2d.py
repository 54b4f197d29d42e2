"""G2D: unimodal teachers are distilled, and the weakest modality is trained first, alone."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Choice, Count, Positive, WholeNumber
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._state import Memory
from msam_lib.methods._teachers import Taught, Teachers
from msam_lib.methods.base import Method, Task
from msam_lib.methods.umt import distances, single
from msam_lib.models.base import Model, Output, summed

VARIANTS = ("paper", "released")


class G2D(Method):
    r"""Gradient-guided distillation (Rakib and Bagavathi, ICCV 2025, arXiv 2506.21514).

    With $t_m$ the features and $\ell_m$ the logits of unimodal teachers trained first,

    $$\mathcal L = \mathrm{CE}(F(h), y) + \alpha \sum_m \operatorname{mean}\, (h_m - t_m)^2
    + \beta \sum_m T^2\, \mathrm{KL}(\mathrm{softmax}(\ell_m / T) \,\Vert\,
    \mathrm{softmax}(F(h) / T)).$$

    Sequential modality prioritisation: the teachers' confidence
    $\rho_m = \operatorname{mean}_i \mathrm{softmax}(\ell_{m,i})[y_i]$ on the batch orders the
    modalities. In stage $j = 0, \dots, M - 2$, of `stage_epochs` each, only the encoder of the
    $(j+1)$-th weakest follows its gradient, all others' are zero; then all learn together. The
    fusion always learns.

    Changes: the loss. Requires: features, and epochs: the teachers are trained before the first
    one; a bare loop trains jointly unless `method.teachers.teach(...)` has been called. Source: the
    released student.py and utils.py ($M = 2$); the stages of more modalities from a summary of
    section 3. The released code zeroes the gradients of convolution kernels (4-D tensors) only:
    `variant="released"`; its late fusion averages the logits. Its stage is half of a run of 300
    epochs, and its teachers, from random weights of their own, are chosen by their best test
    accuracy: here a stage is given in epochs, and teachers are copies of the encoders as they are
    at the start, with a linear head, after a fixed number of epochs of Adam.

    Args:
        alpha: weight of the features.
        beta: weight of the logits.
        temperature: $T$.
        stage_epochs: length of a stage in which one modality leads; $M - 1$ of them have to fit in
            the run. 0 for none.
        teacher_epochs: of each teacher.
        teacher_lr: of the teachers' Adam.
        variant: `"paper"` for all parameters of the encoders, `"released"` for kernels.
    """

    reference = "Rakib and Bagavathi, ICCV 2025, arXiv 2506.21514"
    passes = "1 forward, 1 backward, 1 forward of the teachers; M unimodal trainings at the start"
    requires = frozenset({"features"})
    neutral: ClassVar = {"alpha": 0.0, "beta": 0.0, "stage_epochs": 0}
    caveat = "the length of a stage has to be chosen per data set; ours suits short runs"
    paper_options: ClassVar = {
        "CREMA-D (released)": {"stage_epochs": 151, "teacher_epochs": 300},
    }

    teachers: Teachers

    def __init__(
        self,
        alpha: AtLeastZero = 1.0,
        beta: AtLeastZero = 1.0,
        temperature: Positive = 1.0,
        stage_epochs: WholeNumber = 3,
        teacher_epochs: Count = 20,
        teacher_lr: Positive = 3e-3,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.alpha, self.beta, self.temperature = alpha, beta, temperature
        self.stage_epochs, self.variant = stage_epochs, variant
        self.teacher_epochs, self.teacher_lr = teacher_epochs, teacher_lr
        self.memory = Memory(epoch=None)
        self.confidence: Tensor | None = None  # rho (M,) of this step

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        self.teachers = Teachers(model)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Train the teachers, once, and remember where we are."""
        self.memory["epoch"] = epoch
        if self.alpha or self.beta or self.stage_epochs:
            self.teachers.teach_once(loaders, self.teacher_epochs, self.teacher_lr, self.task)

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """Forward pass and loss, with both distillations."""
        self.confidence = None
        output, loss = super().compute(model, batch)
        if not self.teachers.ready:
            return output, loss
        with self.autocast(batch):
            taught = self.teachers(batch.inputs)
        self.confidence = confidence(taught, batch.targets)
        if self.alpha:
            loss = loss + self.alpha * distances(output.features, taught.features)
        if self.beta:
            loss = loss + self.beta * divergence(output.logits, taught, self.temperature)
        return output, loss

    def modulate(self, model: Model, output: Output, batch: Batch) -> None:
        epoch = self.memory["epoch"]
        if self.confidence is None or epoch is None or not self.stage_epochs:
            return
        stage = epoch // self.stage_epochs
        names = model.modalities
        if stage >= len(names) - 1:  # all modalities learn together
            return
        leads = torch.arange(len(names), device=self.confidence.device)
        # only the (stage + 1)-th weakest encoder, by the teachers, learns
        kappa = leads == self.confidence.argsort(stable=True)[stage]
        for m, k in zip(names, kappa, strict=True):
            for p in model.parameters_of(m):
                if p.grad is not None and (self.variant == "paper" or p.dim() == 4):
                    p.grad.mul_(k)


def confidence(taught: Taught, targets: Tensor) -> Tensor:
    """rho (M,): the teachers' mean probability of the true class."""
    z = torch.stack([v.float() for v in taught.logits.values()])  # (M, N, C)
    return world.mean(z.softmax(-1)[:, torch.arange(len(targets)), targets].mean(1))


def divergence(logits: Tensor, taught: Taught, temperature: float) -> Tensor:
    """sum_m T^2 KL(teacher m || student) of the softened predictions, the mean over samples."""
    log_q = single(logits).div(temperature).log_softmax(1)  # the student, softened by T
    each = (
        F.kl_div(log_q, single(z).div(temperature).softmax(1), reduction="batchmean")
        for z in taught.logits.values()
    )
    return temperature**2 * summed(each)
