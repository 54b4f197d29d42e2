"""Latent Gaussian factors seen by every modality through noise: numbers and labels with a known
best answer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from msam_lib.data.containers import MultimodalDataset
from msam_lib.tasks import Multilabel, Regression, Task

LARGEST_PREVALENCE, SMALLEST_PREVALENCE = 0.4, 0.03  # the range of MIMIC's phenotypes


def prevalences(labels: int) -> list[float]:
    """Shares of positives of the labels, from 40 % down to 3 % in equal ratios."""
    steps = max(labels - 1, 1)
    ratio = (SMALLEST_PREVALENCE / LARGEST_PREVALENCE) ** (1 / steps)
    return [LARGEST_PREVALENCE * ratio**k for k in range(labels)]


def thresholds(labels: int) -> Tensor:
    """What a standard normal number exceeds with the labels' prevalence (L,)."""
    shares = torch.tensor(prevalences(labels), dtype=torch.float64)
    return -torch.special.ndtri(shares).float()


def latent_task(kind: str, labels: int) -> Task:
    """The task of these data sets; errors of the best constant set the scale of the score."""
    if kind == "multilabel":
        return Multilabel(labels, prevalences(labels))
    return Regression(scale=math.sqrt(2 / math.pi))  # E|s| of a standard normal s


def latent_samples(
    n: int,
    prototypes: Sequence[Tensor],
    snr: Sequence[float],
    kind: str,
    generator: torch.Generator,
) -> tuple[list[Tensor], Tensor]:
    """n samples x_m = snr_m sum_l s_l mu_(m,l) + noise (n, dim) of every modality, and targets.

    Args:
        n: samples.
        prototypes: mu (L, dim) of each modality, orthonormal rows.
        snr: of each modality.
        kind: `"regression"`: the target is s_1 (n,). `"multilabel"`: label l (n, L) is on where s_l
            exceeds its threshold.
        generator: of everything drawn.
    """
    labels, dim = prototypes[0].shape
    s = torch.randn(n, labels, generator=generator)
    inputs = [
        ratio * s @ mu + torch.randn(n, dim, generator=generator)
        for mu, ratio in zip(prototypes, snr, strict=True)
    ]
    return inputs, s[:, 0] if kind == "regression" else (s > thresholds(labels)).float()


def latent_split(
    n: int,
    prototypes: Sequence[Tensor],
    snr: Sequence[float],
    kind: str,
    generator: torch.Generator,
    kept: Sequence[tuple[str, int]],
) -> MultimodalDataset:
    """A split with the modalities `kept`, as (name, position)."""
    inputs, targets = latent_samples(n, prototypes, snr, kind, generator)
    return MultimodalDataset({m: inputs[i] for m, i in kept}, targets)


def bayes_error(snr: Sequence[float]) -> float:
    """Mean absolute error of the best regression that sees these modalities: the standard deviation
    of s given them is 1 / sqrt(1 + sum_m snr_m^2).

    >>> round(bayes_error([]), 4), round(bayes_error([2.0, 1.0]), 4)
    (0.7979, 0.3257)
    """
    return math.sqrt(2 / math.pi / (1 + sum(s**2 for s in snr)))
