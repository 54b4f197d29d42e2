"""Every block's Hessian trace and the total, from the same probes."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from msam_lib.diagnostics._losses import Loss
from msam_lib.diagnostics._samples import Data
from msam_lib.diagnostics.curvature.hessian import HessianOperator
from msam_lib.diagnostics.curvature.trace import (
    SMALL_BLOCK,
    TraceEstimate,
    _sample,
    estimate,
    hessian_trace,
)


def block_traces(
    model: nn.Module,
    data: Data,
    *,
    probes: int = 20,
    head_probes: int | None = None,
    rtol: float | None = None,
    max_probes: int = 200,
    seed: int = 0,
    progress: bool = True,
    loss: Loss | None = None,
    **options: Any,
) -> dict[str, TraceEstimate]:
    """The traces of every block and the total from the same probes.

    One probe z over all weights, split by block: E[z_mᵀ(Hz)_m] = tr H_mm, because the entries of
    different blocks are independent; the sum over blocks is zᵀHz, the total's estimate. So all
    traces cost what the total costs, at a few percent more variance for a large block. A small
    block (under 5 % of the weights, as a linear fusion head is) would drown in the others' noise;
    it gets cheap probes of its own.

    Args:
        model, data: as for `HessianOperator`, and `options` too.
        probes: over all weights; with `rtol`, the least number.
        head_probes: for each small block; `4 * probes` by default.
        rtol, max_probes: go on until the total's standard error is at most this share of it.
        seed: of the probes.
        progress: show a bar where somebody watches.
        loss: see `HessianOperator`.

    Returns:
        {block: estimate} for every block that has parameters, and `"total"`.
    """
    operator = HessianOperator(model, data, "all", seed=seed, loss=loss, **options)
    masks = operator.layout.segments(operator.blocks)
    sizes = {b: int(m.sum()) for b, m in masks.items()}
    small = [b for b, n in sizes.items() if n < SMALL_BLOCK * operator.layout.size]
    exact = torch.float32 if operator.like.device.type == "mps" else torch.float64
    weights = {b: m.to(operator.like.device, exact) for b, m in masks.items() if b not in small}
    how = {"rtol": rtol, "max_probes": max_probes, "seed": seed, "progress": progress}
    found = _sample(operator, weights, probes=probes, **how)  # type: ignore[arg-type]
    fields = {"mode": operator.mode, "seed": seed}
    out = {}
    for b, n in sizes.items():
        if b in small:
            out[b] = hessian_trace(
                model,
                data,
                b,
                probes=head_probes or 4 * probes,
                seed=seed,
                loss=loss,
                progress=False,
                **options,
            )
        else:
            out[b] = estimate(b, found[b], parameters=n, estimator="split", **fields)
    out["total"] = estimate(
        "total", found["total"], parameters=operator.layout.size, estimator="hutchinson", **fields
    )
    return out
