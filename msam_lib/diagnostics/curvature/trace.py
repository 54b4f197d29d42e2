"""Traces of the Hessian, per block and in all, with their standard errors.

Hutchinson (1990): for z with independent ±1 entries, E[zᵀHz] = Σ_ij H_ij E[z_i z_j] = tr H, and
Var[zᵀHz] = 2 (‖H‖_F² − Σ_i H_ii²): a diagonal H is exact after one probe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import nn

from msam_lib.diagnostics._blocks import ALL, TOTAL, Block, label
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
from msam_lib.diagnostics._vectors import random_vector
from msam_lib.diagnostics.curvature._probing import random_forms
from msam_lib.diagnostics.curvature.hessian import HessianOperator
from msam_lib.errors import MsamError, unknown_name

ESTIMATORS = ("hutchinson", "hutch++")


@dataclass(frozen=True)
class TraceEstimate:
    """An estimated trace.

    Args:
        block: which block, or `"total"`.
        value: the estimate, in units of the loss per squared weight.
        std_error: its standard error; NaN for a single probe.
        probes: products that went into it.
        samples: the single estimates, whose mean is `value` (for Hutch++ those of the remainder).
        parameters: size of the block; `value / parameters` is the mean eigenvalue.
        mode: of batch normalisation; the trace depends on it.
        estimator: `"hutchinson"`, `"split"` (one probe for all blocks), `"hutch++"` or
            `"gauss-newton"`.
        seed: of the probes.
    """

    block: str
    value: float
    std_error: float
    probes: int
    parameters: int
    mode: str
    estimator: str
    seed: int
    samples: np.ndarray = field(repr=False, compare=False)

    def __str__(self) -> str:
        return (
            f"tr H[{self.block}] = {self.value:.4g} ± {self.std_error:.2g} ({self.probes} "
            f"probes, {self.mode})"
        )


def estimate(
    block: str,
    samples: Sequence[float] | np.ndarray,
    *,
    parameters: int,
    mode: str,
    estimator: str,
    seed: int,
    probes: int | None = None,
) -> TraceEstimate:
    """The mean of the samples and its standard error; `probes` is their number by default."""
    s = np.asarray(samples, dtype=float)
    return TraceEstimate(
        block=block,
        value=float(s.mean()),
        std_error=float(s.std(ddof=1) / math.sqrt(len(s))) if len(s) > 1 else math.nan,
        probes=len(s) if probes is None else probes,
        parameters=parameters,
        mode=mode,
        estimator=estimator,
        seed=seed,
        samples=s,
    )


def hessian_trace(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    *,
    probes: int = 30,
    rtol: float | None = None,
    max_probes: int = 1000,
    estimator: str = "hutchinson",
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    dtype: torch.dtype | None = None,
    progress: bool = True,
) -> TraceEstimate:
    """The trace of one block's Hessian.

    Args:
        model, data, block, sampling, dtype: as for `HessianOperator`.
        probes: number of products; with `rtol`, the least number.
        rtol: continue until the standard error is at most this share of the estimate, or
            `max_probes` are used.
        max_probes: see `rtol`.
        estimator: `"hutchinson"`, or `"hutch++"` (Meyer et al., SOSA 2021), which finds the large
            eigenvalues first and pays off from about 60 probes on; it takes a fixed number of
            probes.
        seed: of the probes; None takes `sampling.seed`.
        progress: show a progress bar in a terminal or notebook.

    Returns:
        The estimate with its standard error. For Hutch++ the error is that of the remainder, from
        few samples.
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("trace estimator", estimator, ESTIMATORS)
    seed = sampling.seed if seed is None else seed
    operator = HessianOperator(model, data, block, sampling=sampling, dtype=dtype)
    if estimator == "hutch++":
        if rtol is not None:
            raise MsamError(
                "rtol works with estimator='hutchinson'; 'hutch++' takes a fixed number of probes."
            )
        samples, used = _hutch_plus_plus(operator, probes, seed)
    else:
        # The total alone; `block_traces` asks for single blocks.
        samples = random_forms(
            operator,
            {},
            probes=probes,
            rtol=rtol,
            max_probes=max_probes,
            seed=seed,
            progress=progress,
        )[TOTAL]
        used = len(samples)
    return estimate(
        label(block),
        samples,
        parameters=operator.layout.size,
        mode=sampling.mode,
        estimator=estimator,
        seed=seed,
        probes=used,
    )


def _hutch_plus_plus(operator: HessianOperator, probes: int, seed: int) -> tuple[np.ndarray, int]:
    """Algorithm 1 of Meyer, Musco, Musco, Woodruff (SOSA 2021): exact on range(HS), Hutchinson on
    the rest. Returns the single estimates, and the number of products.
    """
    # A third each: for the range of H, for QᵀHQ, for the remainder.
    p, third = operator.layout.size, probes // 3
    if third < 1:
        raise MsamError(
            f"probes={probes}; 'hutch++' needs at least 3 (a third each for three purposes)."
        )
    third = min(third, p)
    draw = [random_vector(p, seed, k, like=operator.like) for k in range(2 * third)]
    with operator.held():
        # Alg. 1, line 2: an orthonormal basis Q of the range of HS, with S the first third.
        sketch = torch.stack(operator.products(draw[:third]), dim=1)  # (p, third)
        q = torch.linalg.qr(sketch).Q  # (p, third)
        # Alg. 1, line 3: tr(QᵀHQ), plus Hutchinson's estimate on what Q does not span.
        large = sum(float(x @ y) for x, y in zip(q.T, operator.products(list(q.T)), strict=True))
        rest = [g - q @ (q.T @ g) for g in draw[third:]]  # (I − QQᵀ) g
        samples = [
            float(g @ hg) + large for g, hg in zip(rest, operator.products(rest), strict=True)
        ]
    return np.array(samples), 3 * third
