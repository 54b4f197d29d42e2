"""The worst case along the gradient: what SAM lowers, and its scale-invariant form (ASAM)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from msam_lib.diagnostics._blocks import ALL, Block, label
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
from msam_lib.diagnostics.sharpness._loss import DisplacedLoss
from msam_lib.errors import MsamError


@dataclass(frozen=True)
class AscentSharpness:
    """max f(x + δ) − f(x) over a ball, by gradient ascent.

    Args:
        block: which weights may move.
        value: the largest rise, in nats (never below `first_order`'s or 0).
        first_order: the rise after the single step that SAM takes.
        rho: radius.
        steps: of the ascent.
        adaptive: whether the ball is scaled by |x|.
        loss: f(x).
        mode: of batch normalisation.
    """

    block: str
    value: float
    first_order: float
    rho: float
    steps: int
    adaptive: bool
    loss: float
    mode: str


def ascent_sharpness(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    *,
    rho: float = 0.05,
    steps: int = 10,
    adaptive: bool = False,
    sampling: Sampling = ALL_SAMPLES,
) -> AscentSharpness:
    """The sharpness that SAM lowers: max_{‖T⁻¹δ‖₂ ≤ ρ} f(x + δ) − f(x).

    T is the identity (Foret et al., ICLR 2021, Eq. 1), or with `adaptive` T = diag|x| (Kwon et al.,
    ICML 2021, Definition 2, with η = 0 and biases included), which no rescaling of the weights that
    leaves the network's function unchanged can alter. In v = T⁻¹δ it is a ball, and the ascent is
    projected gradient ascent: first step v = ρ Tg/‖Tg‖, so that for one step δ = ρ T²g/‖Tg‖.

    Args:
        model: not changed.
        data, block, sampling: as for `HessianOperator`.
        rho: radius in units of the weights, or, with `adaptive`, relative to them.
        steps: 1 is the first-order answer alone. Further steps are of length ρ, projected to the
            ball; the best point counts.
        adaptive: see above.
    """
    if rho < 0 or steps < 1:
        raise MsamError(f"rho={rho}, steps={steps}; use rho >= 0 and at least one step.")
    surface = DisplacedLoss(model, data, block, sampling=sampling)
    # The diagonal of T (p,).
    scale = surface.origin.abs() if adaptive else torch.ones_like(surface.origin)
    _, g = surface.value_and_gradient(torch.zeros_like(surface.origin))
    # The gradient in v is Tg, since δ = Tv: the first step is ρ Tg / ‖Tg‖.
    v = rho * _unit(scale * g)
    best = first = surface.value(scale * v) - surface.base
    for _ in range(steps - 1):
        value, g = surface.value_and_gradient(scale * v)
        best = max(best, value - surface.base)
        # A step of length ρ along the gradient, then back onto the ball where it has left it.
        v = v + rho * _unit(scale * g)
        v = v * min(1.0, rho / max(float(torch.linalg.vector_norm(v)), 1e-300))
    # The loop measures before it moves; the last point is still to be measured.
    if steps > 1:
        best = max(best, surface.value(scale * v) - surface.base)
    return AscentSharpness(
        block=label(block),
        value=max(best, 0.0),
        first_order=first,
        rho=rho,
        steps=steps,
        adaptive=adaptive,
        loss=surface.base,
        mode=sampling.mode,
    )


def _unit(v: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(v)
    return v / length if float(length) > 0 else v
