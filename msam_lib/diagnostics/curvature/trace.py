"""Traces of the Hessian, per block and in all, with their standard errors.

Hutchinson (1990): for z with independent ±1 entries, E[zᵀHz] = Σ_ij H_ij E[z_i z_j] = tr H, and
Var[zᵀHz] = 2 (‖H‖_F² − Σ_i H_ii²): a diagonal H is exact after one probe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import label
from msam_lib.diagnostics._losses import Block
from msam_lib.diagnostics._samples import Data
from msam_lib.diagnostics._vectors import random_vector
from msam_lib.diagnostics.curvature.hessian import HessianOperator
from msam_lib.errors import MsamError, unknown_name

ESTIMATORS = ("hutchinson", "hutch++")
SMALL_BLOCK = 0.05  # share of the parameters below which a block gets probes of its own
ROUND = 10  # probes between two looks at the standard error
VECTOR_MEMORY = 2**26  # numbers held at a time in probe vectors


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


def estimate(name: str, samples: Sequence[float] | np.ndarray, **fields: Any) -> TraceEstimate:
    """The mean of the samples and its standard error."""
    s = np.asarray(samples, dtype=float)
    error = float(s.std(ddof=1) / math.sqrt(len(s))) if len(s) > 1 else math.nan
    return TraceEstimate(name, float(s.mean()), error, len(s), samples=s, **fields)


def _quadratic_forms(
    operator: HessianOperator, vectors: Sequence[Tensor], masks: dict[str, Tensor] | None = None
) -> dict[str, np.ndarray]:
    """{block: z_mᵀ(Hz)_m for every z}, and `"total"`: numbers add up over batches, no vector is
    kept.
    """
    out = {b: np.zeros(len(vectors)) for b in [*(masks or {}), "total"]}
    sizes: dict[str, Tensor] = masks or {}
    for share, k, hz in operator.batch_products(vectors):
        terms = (vectors[k] * hz).double() if hz.device.type != "mps" else vectors[k] * hz
        out["total"][k] += share * float(terms.sum())
        for b, mask in sizes.items():
            out[b][k] += share * float(terms @ mask)
    return out


def _sample(
    operator: HessianOperator,
    masks: dict[str, Tensor] | None,
    *,
    probes: int,
    rtol: float | None,
    max_probes: int,
    seed: int,
    progress: bool,
    watched: str = "total",
) -> dict[str, np.ndarray]:
    """Probes in rounds, until their number (or, with `rtol`, the precision) is reached."""
    if probes < 1:
        raise MsamError(f"probes={probes}; at least 1 is needed, and 2 for a standard error.")
    limit = probes if rtol is None else max(max_probes, probes)
    pieces: list[dict[str, np.ndarray]] = []
    done = 0
    with operator.held(), progress_bar(total=limit, show=progress, desc="trace") as bar:
        while done < limit:
            wanted = probes - done if done < probes else limit - done
            # One batch keeps its graph anyway; several batches want many probes for each graph.
            count = ROUND if rtol is not None else (1 if len(operator.batches) == 1 else wanted)
            count = min(wanted, count, max(1, VECTOR_MEMORY // operator.layout.size))
            vectors = [
                random_vector(operator.layout.size, seed, done + i, like=operator.like)
                for i in range(count)
            ]
            pieces.append(_quadratic_forms(operator, vectors, masks))
            done += count
            bar.update(count)
            seen = np.concatenate([p[watched] for p in pieces])
            error = seen.std(ddof=1) / math.sqrt(done) if done > 1 else math.inf
            if rtol is not None and done >= min(probes, limit) and error <= rtol * abs(seen.mean()):
                break
    return {b: np.concatenate([p[b] for p in pieces]) for b in pieces[0]}


def hessian_trace(
    model: nn.Module,
    data: Data,
    block: Block = "all",
    *,
    probes: int = 30,
    rtol: float | None = None,
    max_probes: int = 1000,
    estimator: str = "hutchinson",
    seed: int = 0,
    progress: bool = True,
    **options: Any,
) -> TraceEstimate:
    """The trace of one block's Hessian.

    Args:
        model, data, block: as for `HessianOperator`, and `options` too (loss, samples, batch_size,
            mode, dtype).
        probes: number of products; with `rtol`, the least number.
        rtol: go on until the standard error is at most this share of the estimate, or `max_probes`
            are used.
        max_probes: see `rtol`.
        estimator: `"hutchinson"`, or `"hutch++"` (Meyer et al., SOSA 2021), which finds the large
            eigenvalues first and pays off from about 60 probes on; it takes a fixed number of
            probes.
        seed: of the probes.
        progress: show a bar where somebody watches.

    Returns:
        The estimate with its standard error. For Hutch++ the error is that of the remainder, from
        few samples.
    """
    if estimator not in ESTIMATORS:
        raise unknown_name("trace estimator", estimator, ESTIMATORS)
    operator = HessianOperator(model, data, block, seed=seed, **options)
    fields = {"parameters": operator.layout.size, "mode": operator.mode, "seed": seed}
    if estimator == "hutch++":
        if rtol is not None:
            raise MsamError(
                "rtol works with estimator='hutchinson'; 'hutch++' takes a fixed number of probes."
            )
        return _hutch_plus_plus(operator, label(block), probes, fields)
    found = _sample(
        operator,
        None,
        probes=probes,
        rtol=rtol,
        max_probes=max_probes,
        seed=seed,
        progress=progress,
    )
    return estimate(label(block), found["total"], estimator="hutchinson", **fields)


def _hutch_plus_plus(
    operator: HessianOperator, name: str, probes: int, fields: dict
) -> TraceEstimate:
    """Algorithm 1 of Meyer, Musco, Musco, Woodruff (SOSA 2021): exact on range(HS), Hutchinson on
    the rest.
    """
    p, third = operator.layout.size, probes // 3
    if third < 1:
        raise MsamError(
            f"probes={probes}; 'hutch++' needs at least 3 (a third each for three purposes)."
        )
    third = min(third, p)
    draw = [random_vector(p, fields["seed"], k, like=operator.like) for k in range(2 * third)]
    with operator.held():
        sketch = torch.stack(operator.products(draw[:third]), dim=1)  # (p, third)
        q = torch.linalg.qr(sketch).Q
        large = sum(float(x @ y) for x, y in zip(q.T, operator.products(list(q.T)), strict=True))
        rest = [g - q @ (q.T @ g) for g in draw[third:]]
        samples = [
            float(g @ hg) + large for g, hg in zip(rest, operator.products(rest), strict=True)
        ]
    found = estimate(name, samples, estimator="hutch++", **fields)
    return TraceEstimate(**{**found.__dict__, "probes": 3 * third})
