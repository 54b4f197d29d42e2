"""The Gauss–Newton trace: the positive part of the Hessian's, from first derivatives only."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import all_blocks, label, select
from msam_lib.diagnostics._losses import Block, finite, logits_of
from msam_lib.diagnostics._samples import Data, collect
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics._vectors import Layout, flatten
from msam_lib.diagnostics.curvature.trace import TraceEstimate, estimate


def gauss_newton_traces(
    model: nn.Module,
    data: Data,
    block: Block = "all",
    *,
    probes: int = 10,
    samples: int | None = None,
    batch_size: int = 500,
    mode: str = "eval",
    seed: int = 0,
    progress: bool = True,
) -> dict[str, TraceEstimate]:
    """Traces of the Gauss–Newton matrix of the fused cross-entropy, for every block inside `block`
    and the total.

    With logits z_n, their Jacobian J_n = ∂z_n/∂θ and Λ_n = diag(p_n) − p_n p_nᵀ, G = mean_n J_nᵀ
    Λ_n J_n. For softmax cross-entropy G is the Fisher information (Martens, JMLR 2020, section 9),
    and H − G vanishes where the samples are fitted. Λ = L Lᵀ with L = diag(√p) − p √pᵀ, so for
    independent ±1 vectors ε_n

        E ‖ Σ_n J_nᵀ L_n ε_n ‖² = Σ_n tr(J_nᵀ Λ_n J_n) = N tr G:

    one backward pass is one unbiased sample of all blocks' traces.

    Args:
        model, data, block, samples, batch_size, mode: as for `HessianOperator`.
        probes: backward passes per batch.
        seed: of the ε.
        progress: show a bar where somebody watches.

    Returns:
        {block: estimate}, and `"total"` for the whole of `block`; never negative.
    """
    parameters = select(model, block)
    layout = Layout(parameters)
    device = next(iter(parameters.values())).device
    masks = {b: m.to(device) for b, m in layout.segments(all_blocks(model)).items()}
    batches = collect(model, data, samples=samples, batch_size=batch_size, seed=seed)
    total = sum(len(b.targets) for b in batches)
    found = {b: np.zeros(probes) for b in [*masks, "total"]}
    generator = torch.Generator().manual_seed(seed)
    chosen = list(parameters.values())
    with session(model, mode=mode, parameters=chosen):
        for batch in progress_bar(batches, show=progress and len(batches) > 1, desc="Gauss-Newton"):
            logits = logits_of(model, batch)
            finite(logits.detach().abs().max(), " (largest logit)")
            for k in range(probes):
                grads = torch.autograd.grad(
                    logits, chosen, _factor(logits, generator), retain_graph=True, allow_unused=True
                )
                pairs = zip(grads, chosen, strict=True)
                square = flatten(
                    [torch.zeros_like(p) if g is None else g for g, p in pairs]
                ).square()
                found["total"][k] += float(square.sum()) / total
                for b, mask in masks.items():
                    found[b][k] += float(square[mask].sum()) / total
    sizes = {b: int(m.sum()) for b, m in masks.items()} | {"total": layout.size}
    fields = {"mode": mode, "estimator": "gauss-newton", "seed": seed}
    out = {b: estimate(b, s, parameters=sizes[b], **fields) for b, s in found.items()}
    if block != "all" and len(masks) == 1:
        out["total"] = estimate(label(block), found["total"], parameters=layout.size, **fields)
    return out


def _factor(logits: Tensor, generator: torch.Generator) -> Tensor:
    """L ε for every sample (N, C): √p ∘ ε − p ⟨√p, ε⟩."""
    p = logits.detach().softmax(-1)
    signs = torch.empty(p.shape).bernoulli_(0.5, generator=generator).mul_(2).sub_(1).to(p)
    root = p.sqrt() * signs
    return root - p * root.sum(-1, keepdim=True)
