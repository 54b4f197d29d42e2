"""Accuracy when modalities are missing or noisy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from msam_lib.diagnostics._losses import logits_of
from msam_lib.diagnostics._samples import Data, collect
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics.probes.representations import _check_modality
from msam_lib.errors import MsamError


def missing_modality_curve(
    model: nn.Module,
    data: Data,
    rates: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    *,
    samples: int | None = None,
    batch_size: int = 500,
    seed: int = 0,
) -> dict[str, np.ndarray]:
    """Expected accuracy when a modality is absent from a share r of the samples.

    {m: (R,)} where only m goes missing, and `"any"` where each modality does, independently. No
    sampling: with acc(S) the accuracy when S is present, the expectation is Σ_S r^|absent| (1 −
    r)^|present| acc(S).
    """
    r = np.asarray(rates, float)
    if ((r < 0) | (r > 1)).any():
        raise MsamError(f"rates={list(rates)}; each must be from 0 to 1.")
    names = tuple(model.modalities)  # type: ignore[arg-type]
    batches = collect(model, data, samples=samples, batch_size=batch_size, seed=seed)
    total = sum(len(b.targets) for b in batches)
    accuracy = {}
    with session(model, parameters=()), torch.no_grad():
        for bits in itertools.product([False, True], repeat=len(names)):
            present = tuple(m for m, here in zip(names, bits, strict=True) if here)
            hits = (
                int((model(b.inputs, present=present).logits.argmax(-1) == b.targets).sum())
                for b in batches
            )
            accuracy[bits] = sum(hits) / total
    every = (True,) * len(names)
    out = {}
    for i, m in enumerate(names):
        without = (*every[:i], False, *every[i + 1 :])
        out[m] = (1 - r) * accuracy[every] + r * accuracy[without]
    out["any"] = sum(a * (1 - r) ** sum(b) * r ** (len(b) - sum(b)) for b, a in accuracy.items())  # type: ignore[assignment]
    return out


def noisy_modality_curve(
    model: nn.Module,
    data: Data,
    modality: str,
    levels: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 4.0),
    *,
    samples: int | None = None,
    batch_size: int = 500,
    seed: int = 0,
) -> np.ndarray:
    """Fused accuracy (L,) with Gaussian noise on one modality's input.

    Args:
        model, data: evaluation mode, fixed samples.
        modality: whose (floating-point) input is disturbed.
        levels: standard deviations, in units of that of the input over all its entries.
        samples, batch_size: as everywhere.
        seed: of the noise; every level scales the same noise, so the curve is smooth.
    """
    _check_modality(model, modality)
    batches = collect(model, data, samples=samples, batch_size=batch_size, seed=seed)
    x = torch.cat([b.inputs[modality] for b in batches])
    if not x.is_floating_point():
        raise MsamError(
            f"The input of {modality!r} is {x.dtype}: Gaussian noise needs numbers, not symbols."
        )
    generator = torch.Generator().manual_seed(seed)
    noise = (torch.randn(x.shape, generator=generator) * float(x.std())).to(x)
    pieces = noise.split([len(b.targets) for b in batches])
    out = np.zeros(len(levels))
    with session(model, parameters=()), torch.no_grad():
        for i, level in enumerate(levels):
            for b, extra in zip(batches, pieces, strict=True):
                moved = b._replace(inputs=b.inputs | {modality: b.inputs[modality] + level * extra})
                out[i] += int((logits_of(model, moved).argmax(-1) == b.targets).sum())
    return out / len(x)
