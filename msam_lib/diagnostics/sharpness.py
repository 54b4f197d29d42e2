"""Sharpness round the weights: worst case along the gradient (SAM), scale-invariant (ASAM), and on
average.

All of them are differences of the loss, computed in float64 on a copy. Keskar's box is in
`keskar.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from msam_lib.diagnostics._blocks import all_blocks
from msam_lib.diagnostics._common import Block, Data, Loss
from msam_lib.diagnostics._flat import Surface, random_vector
from msam_lib.diagnostics.keskar import KeskarSharpness, keskar_sharpness
from msam_lib.diagnostics.trace import label
from msam_lib.errors import MsamError
from msam_lib.progress import progress_bar

__all__ = [
    "AscentSharpness",
    "AverageSharpness",
    "KeskarSharpness",
    "ascent_sharpness",
    "average_sharpness",
    "keskar_sharpness",
    "sharpness_table",
]


@dataclass(frozen=True)
class AscentSharpness:
    """max f(x + δ) − f(x) over a ball, by gradient ascent.

    Args:
        block: which weights may move.
        value: the largest rise found, in nats (never below `first_order`'s or 0).
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
    block: Block = "all",
    *,
    rho: float = 0.05,
    steps: int = 10,
    adaptive: bool = False,
    loss: Loss | None = None,
    samples: int | None = None,
    batch_size: int = 500,
    mode: str = "eval",
    seed: int = 0,
) -> AscentSharpness:
    """The sharpness that SAM lowers: max_{‖T⁻¹δ‖₂ ≤ ρ} f(x + δ) − f(x).

    T is the identity (Foret et al., ICLR 2021, Eq. 1), or with `adaptive` T = diag|x| (Kwon et al.,
    ICML 2021, Definition 2, with η = 0 and biases included), which no rescaling of the weights that
    leaves the network's function unchanged can alter. In v = T⁻¹δ it is a ball, and the ascent is
    projected gradient ascent: first step v = ρ Tg/‖Tg‖, so that for one step δ = ρ T²g/‖Tg‖.

    Args:
        model: not changed.
        data, block, loss, samples, batch_size, mode: as for `HessianOperator`.
        rho: radius in units of the weights, or, with `adaptive`, relative to them.
        steps: 1 is the first-order answer alone. Further steps are of length ρ, projected to the
            ball; the best point counts.
        adaptive: see above.
        seed: of the draw of `samples`.
    """
    if rho < 0 or steps < 1:
        raise MsamError(f"rho={rho}, steps={steps}; use rho >= 0 and at least one step.")
    shared = {
        "loss": loss,
        "samples": samples,
        "batch_size": batch_size,
        "mode": mode,
        "seed": seed,
    }
    surface = Surface(model, data, block, **shared)  # type: ignore[arg-type]
    scale = surface.origin.abs() if adaptive else torch.ones_like(surface.origin)
    _, g = surface.value_and_gradient(torch.zeros_like(surface.origin))
    v = rho * _unit(scale * g)
    best = first = surface.value(scale * v) - surface.base
    for _ in range(steps - 1):
        value, g = surface.value_and_gradient(scale * v)
        best = max(best, value - surface.base)
        v = v + rho * _unit(scale * g)
        v = v * min(1.0, rho / max(float(torch.linalg.vector_norm(v)), 1e-300))
    if steps > 1:
        best = max(best, surface.value(scale * v) - surface.base)
    return AscentSharpness(
        label(block), max(best, 0.0), first, rho, steps, adaptive, surface.base, mode
    )


def _unit(v: Tensor) -> Tensor:
    length = torch.linalg.vector_norm(v)
    return v / length if float(length) > 0 else v


@dataclass(frozen=True)
class AverageSharpness:
    """E[f(x + δ)] − f(x) with its standard error.

    Args:
        block: which weights move.
        value: the mean rise, in nats; it can be negative.
        std_error: of the mean.
        sigma: standard deviation of δ (relative to |x| if `adaptive`).
        draws: pairs ±δ.
        adaptive, mode, seed: as asked.
        loss: f(x).
        samples: the rise of each pair.
    """

    block: str
    value: float
    std_error: float
    sigma: float
    draws: int
    adaptive: bool
    loss: float
    mode: str
    seed: int
    samples: np.ndarray = field(repr=False, compare=False)


def average_sharpness(
    model: nn.Module,
    data: Data,
    block: Block = "all",
    *,
    sigma: float = 0.01,
    draws: int = 20,
    adaptive: bool = False,
    loss: Loss | None = None,
    samples: int | None = None,
    batch_size: int = 500,
    mode: str = "eval",
    seed: int = 0,
    progress: bool = True,
) -> AverageSharpness:
    """The mean rise of the loss under Gaussian noise: E f(x + δ) − f(x), δ ~ N(0, σ² T²), T = I or
    diag|x|.

    For small σ it is σ²/2 · tr(T H T) (Andriushchenko et al., ICML 2023, section 2). Each draw is
    used with both signs, (f(x + δ) + f(x − δ))/2 − f(x): the gradient's part, which has mean zero
    but a large variance, cancels exactly.

    Args:
        model: not changed.
        data, block, loss, samples, batch_size, mode: as for `HessianOperator`.
        sigma: of the noise.
        draws: pairs; at least 2 for a standard error.
        adaptive: noise relative to each weight's size.
        seed: of the noise.
        progress: show a bar where somebody watches.
    """
    if sigma < 0 or draws < 1:
        raise MsamError(f"sigma={sigma}, draws={draws}; use sigma >= 0 and at least one draw.")
    shared = {
        "loss": loss,
        "samples": samples,
        "batch_size": batch_size,
        "mode": mode,
        "seed": seed,
    }
    surface = Surface(model, data, block, **shared)  # type: ignore[arg-type]
    scale = sigma * (surface.origin.abs() if adaptive else torch.ones_like(surface.origin))
    rises = []
    for k in progress_bar(range(draws), show=progress, desc="average sharpness"):
        d = scale * random_vector(
            surface.layout.size, seed, k, like=surface.origin, kind="gaussian"
        )
        rises.append((surface.value(d) + surface.value(-d)) / 2 - surface.base)
    s = np.array(rises)
    error = float(s.std(ddof=1) / math.sqrt(draws)) if draws > 1 else math.nan
    return AverageSharpness(
        label(block), float(s.mean()), error, sigma, draws, adaptive, surface.base, mode, seed, s
    )


def sharpness_table(
    model: nn.Module,
    data: Data,
    blocks: Iterable[Block] | None = None,
    *,
    epsilon: float = 1e-3,
    rho: float = 0.05,
    adaptive_rho: float = 0.5,
    sigma: float = 0.01,
    draws: int = 20,
    progress: bool = True,
    **shared: Any,
) -> list[dict[str, object]]:
    """Every measure for every block: rows {block, measure, value, std_error, setting}.

    Args:
        model, data: as for `HessianOperator`; `shared` is loss, samples, batch_size, mode, seed.
        blocks: every block with parameters and "all", by default.
        epsilon: of `keskar`.
        rho: of `sam` (one step) and `sam_ascent` (ten).
        adaptive_rho: of `adaptive`.
        sigma, draws: of `average`.
        progress: show a bar where somebody watches.
    """
    if blocks is None:
        blocks = [*(b for b, names in all_blocks(model).items() if names), "all"]
    rows: list[dict[str, object]] = []
    for b in progress_bar(list(dict.fromkeys(blocks)), show=progress, desc="sharpness"):
        q = keskar_sharpness(model, data, b, epsilon=epsilon, progress=False, **shared)
        sam = ascent_sharpness(model, data, b, rho=rho, **shared)
        relative = ascent_sharpness(model, data, b, rho=adaptive_rho, adaptive=True, **shared)
        mean = average_sharpness(model, data, b, sigma=sigma, draws=draws, progress=False, **shared)
        found = [
            ("keskar", q.value, math.nan, f"epsilon={epsilon}, {q.convention}"),
            ("sam", sam.first_order, math.nan, f"rho={rho}"),
            ("sam_ascent", sam.value, math.nan, f"rho={rho}, {sam.steps} steps"),
            ("adaptive", relative.value, math.nan, f"rho={adaptive_rho}, {relative.steps} steps"),
            ("average", mean.value, mean.std_error, f"sigma={sigma}, {draws} pairs"),
        ]
        keys = ("measure", "value", "std_error", "setting")
        rows += [{"block": label(b)} | dict(zip(keys, f, strict=True)) for f in found]
    return rows
