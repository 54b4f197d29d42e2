"""Accuracy when modalities are missing or noisy."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from msam_lib.diagnostics._losses import logits_of
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling, collect
from msam_lib.diagnostics._session import session
from msam_lib.errors import MsamError
from msam_lib.models.base import Model


def missing_modality_curve(
    model: Model,
    data: Data,
    rates: Sequence[float] = (0.0, 0.25, 0.5, 0.75, 1.0),
    *,
    sampling: Sampling = ALL_SAMPLES,
) -> dict[str, np.ndarray]:
    """Expected accuracy when a modality is absent from a share r of the samples.

    {m: (R,)} where only m goes missing, and `"any"` where each modality does, independently. The
    absence is not drawn at random: with acc(S) the accuracy when S is present, the expectation is
    Σ_S r^|absent| (1 − r)^|present| acc(S).
    """
    sampling.must_keep("missing_modality_curve", "mode", "loss")
    r = np.asarray(rates, float)
    if ((r < 0) | (r > 1)).any():
        raise MsamError(f"rates={list(rates)}; each must be from 0 to 1.")
    batches = collect(model, data, sampling)
    total = sum(len(b.targets) for b in batches)
    accuracy: dict[tuple[bool, ...], float] = {}  # by which modalities are present
    with session(model, parameters=()), torch.no_grad():
        # acc(S) of every coalition S.
        for bits in itertools.product([False, True], repeat=len(model.modalities)):
            present = tuple(m for m, here in zip(model.modalities, bits, strict=True) if here)
            hits = (
                int((model(b.inputs, present=present).logits.argmax(-1) == b.targets).sum())
                for b in batches
            )
            accuracy[bits] = sum(hits) / total
    every = (True,) * len(model.modalities)
    out = {}
    for i, m in enumerate(model.modalities):
        # Where only m goes missing, two coalitions occur.
        without = (*every[:i], False, *every[i + 1 :])
        out[m] = (1 - r) * accuracy[every] + r * accuracy[without]
    # Σ_S r^|absent| (1 − r)^|present| acc(S).
    out["any"] = np.zeros_like(r)
    for bits, value in accuracy.items():
        out["any"] += value * (1 - r) ** sum(bits) * r ** (len(bits) - sum(bits))
    return out


def noisy_modality_curve(
    model: Model,
    data: Data,
    modality: str,
    levels: Sequence[float] = (0.0, 0.5, 1.0, 2.0, 4.0),
    *,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
) -> np.ndarray:
    """Fused accuracy (L,) with Gaussian noise on one modality's input.

    Args:
        model, data: evaluation mode, fixed samples.
        modality: whose (floating-point) input is disturbed.
        levels: standard deviations, in units of that of the input over all its entries.
        seed: of the noise; None takes `sampling.seed`. Every level scales the same noise, so the
            curve is smooth.
        sampling: which samples.
    """
    sampling.must_keep("noisy_modality_curve", "mode", "loss")
    model.known(modality)
    batches = collect(model, data, sampling)
    x = torch.cat([b.inputs[modality] for b in batches])
    if not x.is_floating_point():
        raise MsamError(
            f"The input of {modality!r} is {x.dtype}: Gaussian noise needs numbers, not symbols."
        )
    generator = torch.Generator().manual_seed(sampling.seed if seed is None else seed)
    # One draw for all levels, in units of the input's standard deviation.
    noise = (torch.randn(x.shape, generator=generator) * float(x.std())).to(x)
    pieces = noise.split([len(b.targets) for b in batches])
    out = np.zeros(len(levels))
    with session(model, parameters=()), torch.no_grad():
        for i, level in enumerate(levels):
            for b, extra in zip(batches, pieces, strict=True):
                noisy = b._replace(inputs=b.inputs | {modality: b.inputs[modality] + level * extra})
                out[i] += int((logits_of(model, noisy).argmax(-1) == b.targets).sum())
    return out / len(x)
