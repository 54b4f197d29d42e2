"""AGM: the gradient through each modality's part of the logits is scaled by how it keeps pace."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Positive, WholeNumber
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError
from msam_lib.methods._gradients import backward
from msam_lib.methods._scores import mono_modal
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer

LARGEST = math.log(1e8)  # cross-entropy of a probability floored at 1e-8


class AGM(Method):
    r"""Adaptive gradient modulation (Li et al., ICCV 2023, arXiv 2308.07686).

    The fused logits $F$ are split into mono-modal responses $m_k$, the Shapley values of the logits
    of all coalitions (absent modalities zeroed, the empty one counted as 0), so that
    $\sum_k m_k = F$. The loss is $\mathrm{CE}(F, y)$, but the gradient through $m_k$ is multiplied
    by $c_k$:

    $$r_k = \exp\Bigl( (\bar s - s_k)\, \frac{M}{M - 1} \Bigr),$$
    $$c_k = \exp(\alpha\, (\tau_k - r_k)),$$

    $s_k$ the mean cross-entropy of $m_k$, $\bar s$ the mean of $s$ over the modalities, $\tau_k$
    the same as $r_k$ with the running means of $s$ over the steps so far.

    A modality ahead of its usual pace ($r_k > \tau_k$) is slowed.

    Changes: the gradient. Requires: features. Any $M$ by the one Shapley function (the released
    code writes $M = 2$ and 3 out) and any fusion. Encoders run once: the coalitions reuse the
    features of the training pass, and the fusion judges them in evaluation mode.

    The released code also modulates the very first step, against running means of 0 ($\tau_k = 1$);
    here it is that of joint training. Where an element of the output layer's gradient exceeds 1
    (UR-Funny: 5) in size it clips the norm of all gradients to 1 (5); here only `clip_norm` clips,
    in every step.

    Args:
        alpha: strength; 0 is joint training.
        window: (first, last) epoch of the modulation; a bare loop is always inside.
        cap: largest value of $\tau_k - r_k$; None does not cap, and $c_k$ is infinite in float32
            where $\alpha\, (\tau_k - r_k) > 88$, as when a modality far ahead suddenly falls
            behind.
    """

    tasks = KINDS
    reference = "Li et al., ICCV 2023, arXiv 2308.07686"
    passes = "1 forward, 1 backward, and $2^M - 2$ through the fusion"
    requires = frozenset({"features"})
    neutral: ClassVar = {"alpha": 0.0}
    caveat = (
        "the released code runs the encoders again in evaluation mode for every coalition; here "
        "coalitions reuse the features of the training pass. Its options are from issue threads"
    )
    paper_options: ClassVar = {
        "AV-MNIST": {"alpha": 2.5},
        "CREMA-D": {"alpha": 1.5, "cap": 10.0},
        "UR-Funny": {"alpha": 4.0, "cap": 7.0},
    }

    means: Tensor
    count: Tensor

    def __init__(
        self,
        alpha: AtLeastZero = 2.5,
        window: tuple[WholeNumber, WholeNumber] = (0, 1000),
        cap: Positive | None = None,
    ) -> None:
        super().__init__()
        if window[0] > window[1]:
            raise MsamError(f"window={window}; give (first, last epoch), for example (0, 20).")
        self.alpha, self.window, self.cap = alpha, tuple(window), cap
        self.memory = Memory(epoch=None)
        self.register_buffer("means", torch.zeros(0))
        self.register_buffer("count", torch.zeros(()))

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        device = next(model.parameters()).device
        self.means = torch.zeros(len(model.modalities), device=device)
        self.count = torch.zeros((), device=device)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Remember where we are."""
        self.memory["epoch"] = epoch

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """One pass: logits with the value of F and the gradient of sum_k c_k m_k."""
        with self.autocast(batch):
            output = model(batch.inputs)
            responses = mono_modal(model, output, batch.inputs, gradient=True)  # (M, N, C)
            c = self.coefficients(responses.detach().float(), batch.targets)
            scaled = (c[:, None, None] * responses).sum(0)
            # forward: F; backward: sum_k c_k m_k
            logits = output.logits.detach() + (scaled - scaled.detach())
            loss = self.loss(replace(output, logits=logits), batch)
        backward(loss)
        named = zip(model.modalities, c, strict=True)
        return {"loss": loss.detach()} | {f"coefficient/{m}": k for m, k in named}

    @torch.no_grad()
    def coefficients(self, responses: Tensor, targets: Tensor) -> Tensor:
        """c (M,) from responses (M, N, C); the running means are updated afterwards."""
        m = len(responses)
        scores = self.task.losses(responses, targets)  # (M, N)
        s = world.mean(scores.clamp(max=LARGEST).mean(1))  # s_k (M,)

        def ratio(x: Tensor) -> Tensor:
            return torch.exp((x.mean() - x) * m / max(m - 1, 1))

        gap = ratio(self.means) - ratio(s)  # tau_k - r_k: each modality against its own pace
        gap = gap if self.cap is None else gap.clamp(max=self.cap)
        epoch = self.memory["epoch"]
        inside = epoch is None or self.window[0] <= epoch <= self.window[1]
        # the first step has no pace to compare with: c = 1
        gap = torch.where(self.count > 0, gap, 0.0) if inside else torch.zeros_like(s)
        c = torch.exp(self.alpha * gap)
        self.means = (self.means * self.count + s) / (self.count + 1)  # of all steps so far
        self.count = self.count + 1
        return c
