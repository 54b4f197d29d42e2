"""The mean rise of the loss under Gaussian noise."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import ALL, Block, label
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
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
        adaptive: whether δ is relative to |x|.
        loss: f(x).
        mode: of batch normalisation.
        seed: of the noise.
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
    block: Block = ALL,
    *,
    sigma: float = 0.01,
    draws: int = 20,
    adaptive: bool = False,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    progress: bool = True,
) -> AverageSharpness:
    """The mean rise of the loss under Gaussian noise: E f(x + δ) − f(x), δ ~ N(0, σ² T²), T = I or
    diag|x|.

    For small σ it is σ²/2 · tr(T H T) (Andriushchenko et al., ICML 2023, section 2). Each draw is
    used with both signs, (f(x + δ) + f(x − δ))/2 − f(x): the gradient's part, which has mean zero
    but a large variance, cancels exactly.

    Args:
        model: not changed.
        data, block, sampling: as for `HessianOperator`.
        sigma: of the noise.
        draws: pairs; at least 2 for a standard error.
        adaptive: noise relative to each weight's size.
        seed: of the noise; None takes `sampling.seed`.
        progress: show a progress bar in a terminal or notebook.
    """
    if sigma < 0 or draws < 1:
        raise MsamError(f"sigma={sigma}, draws={draws}; use sigma >= 0 and at least one draw.")
    seed = sampling.seed if seed is None else seed
    surface = DisplacedLoss(model, data, block, sampling=sampling)
    x = surface.origin
    scale = sigma * (x.abs() if adaptive else torch.ones_like(x))  # diagonal of σT, (p,)
    rises = []
    for k in progress_bar(range(draws), show=progress, desc="average sharpness"):
        d = scale * random_vector(surface.layout.size, seed, k, like=x, kind="gaussian")
        # The pair ±δ: the gradient's part cancels.
        rises.append((surface.value(d) + surface.value(-d)) / 2 - surface.base)
    s = np.array(rises)
    return AverageSharpness(
        block=label(block),
        value=float(s.mean()),
        std_error=float(s.std(ddof=1) / math.sqrt(draws)) if draws > 1 else math.nan,
        sigma=sigma,
        draws=draws,
        adaptive=adaptive,
        loss=surface.base,
        mode=sampling.mode,
        seed=seed,
        samples=s,
    )
