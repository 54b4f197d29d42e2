"""X-SAM: SAM's gradient corrected along the sharpest direction of the Hessian."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from msam_lib.data.containers import Batch
from msam_lib.errors import MsamError, unknown_name
from msam_lib.methods._gradients import backward, flat, gradients, grads_or_zeros, trainable, unflat
from msam_lib.methods._perturbation import SecondPass, ascent
from msam_lib.methods.base import Logs, Method, Task
from msam_lib.models.base import Model, summed

if TYPE_CHECKING:
    from torch.optim import Optimizer


class XSAM(Method):
    """X-SAM (Duan, Chen, Guan, 2026, arXiv 2601.10251): step with

        g_adv / ||g_adv|| - alpha sign(<g_adv, v>) <g_adv, v> v,

    g_adv = grad L(theta + rho g / ||g||) and v the leading eigenvector of the Hessian, estimated by
    power iteration every `period` steps.

    An eigenvector has no sign of its own, but the term does change with it; v is turned so that
    <g, v> >= 0, which makes the step well defined: the part of the step along the sharp direction
    is reduced where it points as the gradient does. Steps have about unit length before the
    learning rate.

    Changes: the point at which the gradient is taken, and the gradient. Requires: nothing.

    Args:
        rho: SAM's radius.
        alpha: strength of the correction, 0 to 2.
        period: steps between two estimates of v.
        iterations: of the power method, each one product with the batch's Hessian; it starts from
            the last v, at first from the gradient.
        projection: `"printed"` projects g_adv as in the equation, `"normalised"` g_adv / ||g_adv||.
        normalise: divide by ||g_adv||; False leaves the gradient's length (then rho = alpha = 0 is
            joint training).
    """

    reference = "Duan et al., 2026, arXiv 2601.10251"
    graph_use = "second order"
    passes = "2 forward, 2 backward; every `period` steps `iterations` Hessian products more"
    caveat = (
        "equation second hand; period, iterations, the sign of v and whether the projection uses "
        "the normalised gradient are not known: not in the tables"
    )
    tabled = False
    neutral: ClassVar = {"rho": 0.0, "alpha": 0.0, "normalise": False}

    leading: Tensor
    count: Tensor

    def __init__(
        self,
        rho: float = 0.05,
        alpha: float = 0.5,
        period: int = 10,
        iterations: int = 3,
        projection: str = "printed",
        normalise: bool = True,
    ) -> None:
        super().__init__()
        if not rho >= 0:
            raise MsamError(f"rho={rho}; the radius must be 0 or larger.")
        if not 0 <= alpha <= 2:
            raise MsamError(f"alpha={alpha}; the strength lies between 0 and 2.")
        if period < 1 or iterations < 1:
            raise MsamError(f"period={period}, iterations={iterations}; both must be at least 1.")
        if projection not in ("printed", "normalised"):
            raise unknown_name("projection", projection, ["printed", "normalised"])
        self.rho, self.alpha, self.period, self.iterations = rho, alpha, period, iterations
        self.projection, self.normalise = projection, normalise
        self.register_buffer("leading", torch.zeros(0))
        self.register_buffer("count", torch.zeros((), dtype=torch.long))

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        parameters = trainable(model)
        self.leading = torch.zeros(sum(p.numel() for p in parameters), device=parameters[0].device)
        self.count = torch.zeros((), dtype=torch.long)

    def differentiate(self, model: Model, batch: Batch, optimizer: Optimizer | None) -> Logs:
        """SAM's two passes; now and then the leading eigenvector."""
        parameters = trainable(model)
        due = self.alpha > 0 and int(self.count) % self.period == 0
        second = SecondPass(model, batch)
        # the fast attention kernels have no second derivative
        with sdpa_kernel(SDPBackend.MATH) if due else nullcontext():
            _, loss = self.compute(model, batch)
        grads = gradients(loss, parameters, create_graph=due)
        if due:
            self._estimate(grads, parameters)
            grads = [g.detach() for g in grads]
        self.count += 1
        eps = ascent(grads, self.rho)
        with second.at(parameters, eps):
            backward(self.compute(model, batch)[1])
        adv = flat(grads_or_zeros(parameters))
        v = self.leading
        v = torch.where(flat(grads) @ v < 0, -v, v)
        tiny = torch.finfo(adv.dtype).tiny
        unit = adv / adv.norm().clamp_min(tiny)
        along = (unit if self.projection == "normalised" else adv) @ v
        step = (unit if self.normalise else adv) - self.alpha * along.sign() * along * v
        for p, g in zip(parameters, unflat(step, parameters), strict=True):
            p.grad = g.clone()
        return {"loss": loss.detach(), "alignment": along.detach()}

    def _estimate(self, grads: list[Tensor], parameters: list[nn.Parameter]) -> None:
        """Power iteration with products of the batch's Hessian."""
        v = self.leading if bool(self.leading.any()) else flat(grads).detach()
        tiny = torch.finfo(v.dtype).tiny
        for _ in range(self.iterations):
            v = v / v.norm().clamp_min(tiny)
            inner = summed((g * u).sum() for g, u in zip(grads, unflat(v, grads), strict=True))
            v = flat(gradients(inner, parameters, retain_graph=True))
        self.leading = (v / v.norm().clamp_min(tiny)).detach()
