"""SAM and ASAM: descend with the gradient at the worst point of a small neighbourhood."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from torch import Tensor, nn

from msam_lib._utils.options import AtLeastZero
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import backward, forget, grads_of, trainable, with_gradient
from msam_lib.methods._perturbation import SecondPass, adaptive_ascent, ascent
from msam_lib.methods.base import Logs, Method
from msam_lib.models.base import Model
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer


class SAM(Method):
    r"""Sharpness-aware minimisation (Foret et al., ICLR 2021, arXiv 2010.01412, Algorithm 1).

    $\epsilon = \rho\, g / \lVert g \rVert_2$ with $g = \nabla \mathcal L(\theta)$; step with
    $\nabla \mathcal L(\theta + \epsilon)$.

    Changes: the point at which the gradient is taken. Requires: nothing. The second pass runs with
    the first pass' dropout masks and does not advance batch-norm statistics; weights come back bit
    for bit.

    Args:
        rho: radius of the neighbourhood, in the norm of all weights together; 0 is joint training.
    """

    tasks = KINDS
    reference = "Foret et al., ICLR 2021, arXiv 2010.01412"
    passes = "2 forward, 2 backward"
    neutral: ClassVar = {"rho": 0.0}

    def __init__(self, rho: AtLeastZero = 0.05) -> None:
        super().__init__()
        self.rho = rho

    def perturbation(self, parameters: list[nn.Parameter]) -> list[Tensor]:
        """eps for these parameters, from their gradients."""
        return ascent(grads_of(parameters), self.rho)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """Two passes, one optimizer step."""
        second = SecondPass(model, batch)  # before the first pass: keeps its random state
        _, loss = self.compute(model, batch)
        backward(loss, over=second.first)  # g, for eps alone
        parameters = with_gradient(trainable(model))
        eps = self.perturbation(parameters)
        forget(model)
        with second.at(parameters, eps):
            del eps  # memory for the second pass
            # the gradient at theta + eps is followed
            backward(self.compute(model, batch)[1], over=second.last)
        return {"loss": loss.detach()}


class ASAM(SAM):
    r"""Adaptive SAM (Kwon et al., ICML 2021, arXiv 2102.11600, Algorithm 1): scale-invariant
    sharpness.

    $\epsilon = \rho\, T^2 g / \lVert T g \rVert_2$ with $g = \nabla \mathcal L(\theta)$ and
    $T = \lvert\theta\rvert + \eta$, element-wise; step with $\nabla \mathcal L(\theta + \epsilon)$.

    Changes: the point at which the gradient is taken. Requires: nothing. $T$ is applied to every
    parameter here; the released code applies it to those with "weight" in their name and takes
    $T = 1$, SAM's step, for the others (biases). The paper's text does not settle it.

    Args:
        rho: radius in the rescaled norm; about ten times SAM's.
        eta: keeps $T$ away from zero.
    """

    tasks = KINDS
    reference = "Kwon et al., ICML 2021, arXiv 2102.11600"

    def __init__(self, rho: AtLeastZero = 0.5, eta: AtLeastZero = 0.01) -> None:
        super().__init__(rho)
        self.eta = eta

    def perturbation(self, parameters: list[nn.Parameter]) -> list[Tensor]:
        """eps for these parameters, from their values and gradients."""
        return adaptive_ascent(parameters, grads_of(parameters), self.rho, self.eta)
