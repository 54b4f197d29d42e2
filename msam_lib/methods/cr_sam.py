"""CR-SAM: SAM with a penalty on the curvature, by a third gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import torch

from msam_lib._utils.options import AtLeastZero
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import (
    backward,
    forget,
    grads_of,
    grads_or_zeros,
    trainable,
    with_gradient,
)
from msam_lib.methods._perturbation import SecondPass, ascent
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer


class CRSAM(Method):
    r"""Curvature-regularised SAM (Wu, Luo, Wunsch, AAAI 2024, arXiv 2312.13555).

    With $g_0 = \nabla \mathcal L(\theta)$, $\epsilon = \rho\, g_0 / \lVert g_0 \rVert$ and $g_+$,
    $g_-$ the gradients at $\theta + \epsilon$ and $\theta - \epsilon$, step with

    $$g_+ + \gamma\, (g_+ + g_- - 2 g_0) + \beta\, (g_+ - g_-):$$

    the second difference is the gradient of a finite-difference estimate of the curvature along
    $\epsilon$, the first difference that of the slope, as the regulariser
    $R = \log \operatorname{Tr} H - \log \lVert g \rVert$ asks.

    Changes: the point at which the gradient is taken, and the loss. Requires: nothing. The released
    code advances batch-norm statistics in two of its three passes; here they advance once.

    Args:
        rho: radius; 0 is joint training.
        gamma: weight of the curvature.
        beta: weight of the slope.
    """

    tasks = KINDS
    reference = "Wu et al., AAAI 2024, arXiv 2312.13555"
    passes = "3 forward, 3 backward"
    caveat = "the regulariser's printed form is quoted from memory; the update is the released one"
    neutral: ClassVar = {"rho": 0.0}
    paper_options: ClassVar = {"CIFAR (released)": {"rho": 0.1, "gamma": 0.1, "beta": 0.01}}

    def __init__(
        self,
        rho: AtLeastZero = 0.1,
        gamma: AtLeastZero = 0.1,
        beta: AtLeastZero = 0.01,
    ) -> None:
        super().__init__()
        self.rho, self.gamma, self.beta = rho, gamma, beta

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """Three passes, one optimizer step."""
        second = SecondPass(model, batch)
        _, loss = self.compute(model, batch)
        backward(loss, over=second.first)
        parameters = with_gradient(trainable(model))
        eps = ascent(grads_of(parameters), self.rho)
        second.settle()
        here = [g.clone() for g in grads_of(parameters)]  # g_0
        sides = []  # g_+ and g_-
        for sign in (1.0, -1.0):
            forget(model)
            moved = torch._foreach_mul(eps, sign)
            with second.at(parameters, moved):
                backward(self.compute(model, batch)[1])
            sides.append(grads_or_zeros(parameters))
        up, down = sides
        for p, g0, gu, gd in zip(parameters, here, up, down, strict=True):
            # second difference: gradient of the curvature; first: of the slope
            p.grad = gu + self.gamma * (gu + gd - 2 * g0) + self.beta * (gu - gd)
        return {"loss": loss.detach()}
