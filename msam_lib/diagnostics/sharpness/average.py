"""The mean rise of the loss under Gaussian noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import label
from msam_lib.diagnostics._losses import Block, Loss
from msam_lib.diagnostics._samples import Data
from msam_lib.diagnostics._vectors import random_vector
from msam_lib.diagnostics.sharpness._loss import DisplacedLoss
from msam_lib.errors import MsamError


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
    surface = DisplacedLoss(model, data, block, **shared)  # type: ignore[arg-type]
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
