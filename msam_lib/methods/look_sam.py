"""LookSAM: SAM's second pass every few steps, its direction reused in between."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Count
from msam_lib._utils.vectors import flat
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import (
    backward,
    forget,
    grads_of,
    grads_or_zeros,
    total_norm,
    trainable,
    with_gradient,
)
from msam_lib.methods._perturbation import SecondPass, ascent
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer


class LookSAM(Method):
    r"""LookSAM (Liu et al., CVPR 2022, arXiv 2203.02714, Algorithm 1): SAM at about the cost of
    plain training.

    Every `period` steps, with $g = \nabla \mathcal L(\theta)$ and
    $g_s = \nabla \mathcal L(\theta + \rho\, g / \lVert g \rVert)$: step with $g_s$, and keep its
    part across $g$,

    $$g_v = g_s - \frac{\langle g_s, g \rangle}{\lVert g \rVert^2}\, g.$$

    At all other steps, one pass, step with
    $g + \alpha\, (\lVert g \rVert / \lVert g_v \rVert)\, g_v$.

    Changes: the point at which the gradient is taken. Requires: nothing. Norms and inner products
    are over all weights together; the paper's layer-wise scaling (its Look-LayerSAM, for large
    batches) is left out.

    Args:
        rho: SAM's radius; 0 together with alpha = 0 is joint training.
        alpha: weight of the reused direction.
        period: steps from one second pass to the next; 1 is SAM.
    """

    tasks = KINDS
    reference = "Liu et al., CVPR 2022, arXiv 2203.02714"
    passes = "1 forward, 1 backward; 2 and 2 every `period` steps"
    neutral: ClassVar = {"rho": 0.0, "alpha": 0.0}
    paper_options: ClassVar = {"ImageNet (ViT)": {"alpha": 0.7, "period": 5}}

    across: Tensor

    def __init__(
        self, rho: AtLeastZero = 0.05, alpha: AtLeastZero = 0.7, period: Count = 5
    ) -> None:
        super().__init__()
        self.rho, self.alpha, self.period = rho, alpha, period
        self.register_buffer("across", torch.zeros(0))  # g_v, flat, one number per weight
        self.memory = Memory(count=0)

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        self.across = torch.zeros_like(flat(trainable(model)))
        self.memory = Memory(count=0)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """Two passes every `period` steps, one at the others."""
        second = SecondPass(model, batch)
        _, loss = self.compute(model, batch)
        look = self.memory["count"] % self.period == 0
        backward(loss, over=second.first if look else "ranks")
        if look:
            self._look(model, batch, second)
        elif self.alpha:
            self._reuse(model)
        self.memory["count"] += 1
        return {"loss": loss.detach()}

    def _look(self, model: Model, batch: Batch, second: SecondPass) -> None:
        """SAM's gradient takes the place of the plain one; its part across the plain one is
        kept.
        """
        parameters = with_gradient(trainable(model))
        eps = ascent(grads_of(parameters), self.rho)
        second.settle()
        before = flat(grads_or_zeros(trainable(model)))  # g
        forget(model)
        with second.at(parameters, eps):
            backward(self.compute(model, batch)[1])
        after = flat(grads_or_zeros(trainable(model)))  # g_s
        # g_s's component along g, in units of g
        along = (after @ before) / (before @ before).clamp_min(torch.finfo(before.dtype).tiny)
        self.across = after - along * before  # g_v

    def _reuse(self, model: Model) -> None:
        """g <- g + alpha (||g|| / ||g_v||) g_v."""
        parameters = trainable(model)
        grads = grads_of(parameters)
        size = torch.linalg.vector_norm(self.across)
        # g_v = 0 where g_s is parallel to g: nothing to add
        scale = torch.where(size > 0, self.alpha * total_norm(grads) / size, torch.zeros_like(size))
        start = 0
        for p in parameters:
            if p.grad is not None:
                part = self.across[start : start + p.numel()].view_as(p)
                p.grad.add_(scale * part)
            start += p.numel()  # g_v has a place for every weight, with or without a gradient
