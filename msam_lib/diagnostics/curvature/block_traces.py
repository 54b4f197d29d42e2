"""Every block's Hessian trace and the total, from the same probes."""

from __future__ import annotations

from functools import partial

import torch
from torch import nn

from msam_lib.diagnostics._blocks import ALL, TOTAL
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling
from msam_lib.diagnostics.curvature._probing import random_forms
from msam_lib.diagnostics.curvature.hessian import HessianOperator
from msam_lib.diagnostics.curvature.trace import TraceEstimate, estimate, hessian_trace

SMALL_BLOCK = 0.05  # share of the parameters below which a block gets separate probes


def block_traces(
    model: nn.Module,
    data: Data,
    *,
    probes: int = 20,
    head_probes: int | None = None,
    rtol: float | None = None,
    max_probes: int = 200,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
    dtype: torch.dtype | None = None,
    progress: bool = True,
) -> dict[str, TraceEstimate]:
    """The traces of every block and the total from the same probes.

    One probe z over all weights, split by block: E[z_mᵀ(Hz)_m] = tr H_mm, because the entries of
    different blocks are independent; the sum over blocks is zᵀHz, the total's estimate. So all
    traces cost what the total costs, at a few percent more variance for a large block. In a small
    block (under 5 % of the weights, as a linear fusion head is) the noise of the others would
    dominate; it gets separate probes, which are cheap.

    Args:
        model, data, sampling, dtype: as for `HessianOperator`.
        probes: over all weights; with `rtol`, the least number.
        head_probes: for each small block; `4 * probes` by default.
        rtol, max_probes: continue until the total's standard error is at most this share of it.
        seed: of the probes; None takes `sampling.seed`.
        progress: show a progress bar in a terminal or notebook.

    Returns:
        {block: estimate} for every block that has parameters, and `"total"`.
    """
    seed = sampling.seed if seed is None else seed
    operator = HessianOperator(model, data, ALL, sampling=sampling, dtype=dtype)
    masks = operator.layout.segments(operator.blocks)
    # Large blocks share the probes; a small one would drown in the others' noise.
    sizes = {b: int(m.sum()) for b, m in masks.items()}
    small = [b for b, n in sizes.items() if n < SMALL_BLOCK * operator.layout.size]
    # Masks as numbers, so that z_mᵀ(Hz)_m is a dot product with z ∘ Hz.
    exact = torch.float32 if operator.like.device.type == "mps" else torch.float64
    weights = {b: m.to(operator.like.device, exact) for b, m in masks.items() if b not in small}
    forms = random_forms(
        operator,
        weights,
        probes=probes,
        rtol=rtol,
        max_probes=max_probes,
        seed=seed,
        progress=progress,
    )
    stated = partial(estimate, mode=sampling.mode, seed=seed)
    out = {}
    for b, n in sizes.items():
        if b in small:
            # Probes confined to this block.
            out[b] = hessian_trace(
                model,
                data,
                b,
                probes=head_probes or 4 * probes,
                seed=seed,
                sampling=sampling,
                dtype=dtype,
                progress=False,
            )
        else:
            out[b] = stated(b, forms[b], parameters=n, estimator="split")
    # zᵀHz of the same probes.
    size = operator.layout.size
    out[TOTAL] = stated(TOTAL, forms[TOTAL], parameters=size, estimator="hutchinson")
    return out
