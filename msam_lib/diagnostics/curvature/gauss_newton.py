"""The Gauss–Newton trace: the positive part of the Hessian's, from first derivatives only."""

from __future__ import annotations

from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from msam_lib._utils.progress import progress_bar
from msam_lib.diagnostics._blocks import ALL, TOTAL, Block, all_blocks, label, select
from msam_lib.diagnostics._losses import finite, logits_of
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling, collect
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics._vectors import Layout, flat_gradient
from msam_lib.diagnostics.curvature.trace import TraceEstimate, estimate


def gauss_newton_traces(
    model: nn.Module,
    data: Data,
    block: Block = ALL,
    *,
    probes: int = 10,
    seed: int | None = None,
    sampling: Sampling = ALL_SAMPLES,
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
        model, data, block: as for `HessianOperator`.
        probes: backward passes per batch.
        seed: of the ε; None takes `sampling.seed`.
        sampling: as for `HessianOperator`, but without a loss: it is the fused cross-entropy.
        progress: show a progress bar in a terminal or notebook.

    Returns:
        {block: estimate}, and `"total"` for the whole of `block`; never negative.
    """
    sampling.must_keep("gauss_newton_traces", "loss")
    seed = sampling.seed if seed is None else seed
    parameters = select(model, block)
    layout = Layout(parameters)
    device = next(iter(parameters.values())).device
    masks = {b: m.to(device) for b, m in layout.segments(all_blocks(model)).items()}
    batches = collect(model, data, sampling)
    count = sum(len(b.targets) for b in batches)
    # One estimate per probe, summed over the batches.
    squares = {b: np.zeros(probes) for b in [*masks, TOTAL]}
    generator = torch.Generator().manual_seed(seed)
    chosen = list(parameters.values())
    with session(model, mode=sampling.mode, parameters=chosen):
        for batch in progress_bar(batches, show=progress and len(batches) > 1, desc="Gauss-Newton"):
            logits = logits_of(model, batch)
            finite(logits.detach().abs().max(), " (largest logit)")
            for k in range(probes):
                # Σ_n J_nᵀ L_n ε_n (p,), one backward pass from the logits.
                grads = torch.autograd.grad(
                    logits, chosen, _factor(logits, generator), retain_graph=True, allow_unused=True
                )
                square = flat_gradient(grads, chosen).square()
                # ‖Σ_n J_nᵀ L_n ε_n‖² / N, in all and by block.
                squares[TOTAL][k] += float(square.sum()) / count
                for b, mask in masks.items():
                    squares[b][k] += float(square[mask].sum()) / count
    sizes = {b: int(m.sum()) for b, m in masks.items()} | {TOTAL: layout.size}
    stated = partial(estimate, mode=sampling.mode, estimator="gauss-newton", seed=seed)
    out = {b: stated(b, s, parameters=sizes[b]) for b, s in squares.items()}
    # The total of one block alone carries that block's name.
    if block != ALL and len(masks) == 1:
        out[TOTAL] = stated(label(block), squares[TOTAL], parameters=layout.size)
    return out


def _factor(logits: Tensor, generator: torch.Generator) -> Tensor:
    """L ε for every sample (N, C): √p ∘ ε − p ⟨√p, ε⟩."""
    p = logits.detach().softmax(-1)  # (N, C)
    # Independent signs ε (N, C).
    signs = torch.empty(p.shape).bernoulli_(0.5, generator=generator).mul_(2).sub_(1).to(p)
    root = p.sqrt() * signs  # √p ∘ ε
    return root - p * root.sum(-1, keepdim=True)
