"""X-SAM: SAM's gradient corrected along the sharpest direction of the Hessian."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from msam_lib._utils.options import AtLeastZero, Choice, Count, Range
from msam_lib._utils.vectors import flat, unflat
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods._gradients import (
    backward,
    forget,
    gradients,
    grads_of,
    grads_or_zeros,
    trainable,
    with_gradient,
)
from msam_lib.methods._perturbation import SecondPass, ascent
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, summed
from msam_lib.models.contexts import evaluating
from msam_lib.tasks import KINDS

if TYPE_CHECKING:
    from torch.optim import Optimizer

PROJECTIONS = ("normalised", "printed")
VARIANTS = ("paper", "released")


class XSAM(Method):
    r"""X-SAM (Duan, Chen, Guan, 2026, arXiv 2601.10251): step with

    $$u
    - \alpha\, \operatorname{sign}(\langle g_{\mathrm{adv}}, v \rangle)\, \langle u, v
    \rangle\, v,$$
    $$u = g_{\mathrm{adv}} / \lVert g_{\mathrm{adv}} \rVert,$$

    $g_{\mathrm{adv}} = \nabla \mathcal L(\theta + \rho\, g / \lVert g \rVert)$ and $v$ the leading
    eigenvector of the Hessian at $\theta$, by `iterations` of the power method on the current
    batch, the model in evaluation mode, from the $v$ before. $v$ is estimated every `period` steps,
    first at step `period` (counted from 0); until then a step is SAM's, with the gradient's own
    length. From then on steps have about unit length before the learning rate.

    An eigenvector has no sign of its own, but the term does change with it; $v$ is turned so that
    $\langle g, v \rangle \ge 0$, which makes the step well defined: its part along the sharp
    direction is reduced where it points as the gradient does. `variant="released"` does not turn
    it, as the released code: where $\langle u, v \rangle < 0$ its step along $v$ grows by the
    factor $1 + \alpha$.

    Changes: the point at which the gradient is taken, and the gradient. Requires: nothing.

    The released code (huang5467/X-SAM, f69c21b) starts the power method from random numbers, ours
    from the gradient. It counts steps anew in every epoch, as `variant="released"` does. Its script
    does not run as it stands (the X-SAM branch reads `freq` and `v`, which are set for another name
    only), and the README's `--sam x-sam` trains plain SGD.

    Args:
        rho: SAM's radius.
        alpha: strength of the correction, 0 to 2.
        period: steps between two estimates of $v$; the released default (its README has 3).
        iterations: of the power method, each one product with the batch's Hessian.
        projection: `"normalised"` projects $u$, as above; `"printed"` $g_{\mathrm{adv}}$ itself, as
            the equation is quoted elsewhere.
        normalise: divide by $\lVert g_{\mathrm{adv}} \rVert$; False leaves the gradient's length
            (then rho = alpha = 0 is joint training).
        variant: see above.
    """

    tasks = KINDS
    reference = "Duan et al., 2026, arXiv 2601.10251"
    graph_use = "second order"
    passes = (
        "2 forward, 2 backward; every `period` steps one more and `iterations` Hessian products"
    )
    caveat = "from the released code; the paper itself could not be read"
    neutral: ClassVar = {"rho": 0.0, "alpha": 0.0, "normalise": False}
    paper_options: ClassVar = {
        "CIFAR (released default)": {"rho": 0.05, "alpha": 0.2, "period": 5, "iterations": 5}
    }

    leading: Tensor

    def __init__(
        self,
        rho: AtLeastZero = 0.05,
        alpha: Annotated[float, Range(0, 2)] = 0.2,
        period: Count = 5,
        iterations: Count = 5,
        projection: Annotated[str, Choice(PROJECTIONS)] = "normalised",
        normalise: bool = True,
        variant: Annotated[str, Choice(VARIANTS)] = "paper",
    ) -> None:
        super().__init__()
        self.rho, self.alpha, self.period, self.iterations = rho, alpha, period, iterations
        self.projection, self.normalise, self.variant = projection, normalise, variant
        self.register_buffer("leading", torch.zeros(0))
        self.memory = Memory(count=0, known=False)

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        self.leading = torch.zeros_like(flat(trainable(model)))
        self.memory = Memory(count=0, known=False)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """The released code counts the steps of each epoch."""
        if self.variant == "released":
            self.memory["count"] = 0

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """Now and then the leading eigenvector; SAM's two passes; the correction."""
        # v first, at theta: the two passes below are SAM's
        if self.memory["count"] > 0 and self.memory["count"] % self.period == 0:
            if self.alpha > 0:
                self.leading = self._estimate(model, batch)
            self.memory["known"] = True
        self.memory["count"] += 1
        second = SecondPass(model, batch)
        _, loss = self.compute(model, batch)
        backward(loss, over=second.first)
        parameters = with_gradient(trainable(model))
        # <g, v>, for the sign of v
        along = world.mean(flat(grads_or_zeros(trainable(model))) @ self.leading)
        eps = ascent(grads_of(parameters), self.rho)
        forget(model)
        with second.at(parameters, eps):
            del eps
            backward(self.compute(model, batch)[1], over=second.last)
        # until v is known the step is SAM's
        alignment = self._correct(model, along) if self.memory["known"] else along
        return {"loss": loss.detach(), "alignment": alignment.detach()}

    def _correct(self, model: Model, along: Tensor) -> Tensor:
        """Put the corrected gradient into `.grad`; `along` is <g, v>. Returns <u, v>."""
        parameters = trainable(model)
        adv, v = flat(grads_or_zeros(parameters)), self.leading
        if self.variant == "paper":
            v = torch.where(along < 0, -v, v)  # now <g, v> >= 0
        unit = adv / adv.norm().clamp_min(torch.finfo(adv.dtype).tiny)  # u
        inner = (unit if self.projection == "normalised" else adv) @ v
        # u - alpha sign(<g_adv, v>) <u, v> v
        step = (unit if self.normalise else adv) - self.alpha * (adv @ v).sign() * inner * v
        for p, g in zip(parameters, unflat(step, parameters), strict=True):
            p.grad = g.clone()
        return unit @ v

    def _estimate(self, model: Model, batch: Batch) -> Tensor:
        """Power iteration with products of the batch's Hessian, in evaluation mode."""
        parameters = trainable(model)
        # the fast attention kernels have no second derivative
        with evaluating(model), sdpa_kernel(SDPBackend.MATH):
            _, loss = self.compute(model, batch)
            grads = gradients(loss, parameters, create_graph=True)
        v = self.leading
        if not self.memory["known"]:
            v = flat(grads).detach()  # first estimate: begin at the gradient
        tiny = torch.finfo(v.dtype).tiny
        for _ in range(self.iterations):
            v = v / v.norm().clamp_min(tiny)
            # the Hessian product H v, as the gradient of <grad L, v>
            inner = summed((g * u).sum() for g, u in zip(grads, unflat(v, grads), strict=True))
            v = flat(gradients(inner, parameters, retain_graph=True))
        return (v / v.norm().clamp_min(tiny)).detach()
