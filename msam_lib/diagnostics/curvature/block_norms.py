"""Norms of the Hessian's blocks: how strongly modalities interfere."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import all_blocks, filled_blocks
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
from msam_lib.diagnostics._vectors import random_vector
from msam_lib.diagnostics.curvature.hessian import HessianOperator


@dataclass(frozen=True)
class BlockNorms:
    """Frobenius norms of the Hessian's blocks, ‖H_ab‖_F.

    Args:
        blocks: names, in order.
        norms: (B, B), symmetric.
        std_errors: (B, B), of the norms.
        probes: vectors per block.
        mode: of batch normalisation.
        seed: of the vectors.
    """

    blocks: tuple[str, ...]
    norms: np.ndarray
    std_errors: np.ndarray
    probes: int
    mode: str
    seed: int

    def interference(self) -> np.ndarray:
        """‖H_ab‖ / √(‖H_aa‖ ‖H_bb‖), (B, B): 0 where two blocks do not interact."""
        root = np.sqrt(np.maximum(np.diag(self.norms), 1e-300))
        return self.norms / np.outer(root, root)


def block_norms(
    model: nn.Module,
    data: Data,
    blocks: Iterable[str] | None = None,
    *,
    probes: int = 10,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    dtype: torch.dtype | None = None,
    progress: bool = True,
) -> BlockNorms:
    """How much the modalities interfere: ‖H_ab‖_F for all pairs of blocks at once.

    For z with independent ±1 entries on block b and 0 elsewhere, E‖(Hz)_a‖² = ‖H_ab‖_F²: one
    product gives a whole column of blocks. H is symmetric, so the estimates of H_ab and H_ba are
    averaged.

    Args:
        model, data, sampling, dtype: as for `HessianOperator`.
        blocks: which; all that have parameters by default.
        probes: vectors per block, at least 2 for a standard error.
        seed: of the vectors; None takes `sampling.seed`.
        progress: show a progress bar in a terminal or notebook.
    """
    seed = sampling.seed if seed is None else seed
    names = tuple(filled_blocks(model) if blocks is None else blocks)
    operator = HessianOperator(model, data, names, sampling=sampling, dtype=dtype)
    # Where each block lies in the flat vector: booleans (p,).
    masks = {
        b: m.to(operator.like.device)
        for b, m in operator.layout.segments(all_blocks(model)).items()
        if b in names
    }
    squares = np.zeros((probes, len(names), len(names)))  # [probe, a, b]
    with operator.held():
        for k in progress_bar(range(probes), show=progress, desc="block norms"):
            # z confined to block b: E‖(Hz)_a‖² = ‖H_ab‖_F² for every a at once.
            z = random_vector(operator.layout.size, seed, k, like=operator.like)
            for j, hz in enumerate(operator.products([z * masks[b] for b in names])):
                squares[k, :, j] = [float(hz[masks[a]].double().square().sum()) for a in names]
    # H_ab and H_ba = H_abᵀ have the same norm, so both estimates count.
    for i, j in itertools.combinations(range(len(names)), 2):
        squares[:, i, j] = squares[:, j, i] = (squares[:, i, j] + squares[:, j, i]) / 2
    # The squares are averaged, not the norms: only those are unbiased.
    norms = np.sqrt(squares.mean(0))
    spread = squares.std(0, ddof=1) / np.sqrt(probes) if probes > 1 else np.full_like(norms, np.nan)
    errors = spread / np.maximum(2 * norms, 1e-300)  # d√s = ds / (2√s)
    return BlockNorms(names, norms, errors, probes, sampling.mode, seed)
