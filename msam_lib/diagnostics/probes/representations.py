"""Probes of each modality: what its features know, where its gradients point, and how alike the
features are.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from msam_lib._utils.vectors import flat
from msam_lib.data.containers import Batch
from msam_lib.diagnostics._blocks import filled_blocks, select
from msam_lib.diagnostics._losses import Loss, finite, fused_loss, unimodal_loss
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling, collect, shares
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics._vectors import Layout, flat_gradient
from msam_lib.errors import MsamError
from msam_lib.models.base import Model


def features(
    model: Model, data: Data, *, sampling: Sampling = ALL_SAMPLES
) -> tuple[dict[str, Tensor], Tensor]:
    """Every modality's features {m: (N, D_m)} in evaluation mode, and the targets (N,)."""
    sampling.must_keep("features", "mode", "loss")
    batches = collect(model, data, sampling)
    with session(model, parameters=()), torch.no_grad():
        parts = [model.encode(b.inputs) for b in batches]
    out = {m: torch.cat([p[m] for p in parts]).cpu() for m in parts[0]}
    return out, torch.cat([b.targets for b in batches]).cpu()


def linear_probe(
    model: Model,
    train: Data,
    test: Data,
    *,
    regularisation: float = 1.0,
    sampling: Sampling = ALL_SAMPLES,
) -> dict[str, float]:
    """Test accuracy in [0, 1] of a logistic regression on each modality's frozen, standardised
    features.

    How much an encoder has learned, whatever the fusion makes of it (Peng et al., CVPR 2022,
    section 4).

    Args:
        model: a `MultimodalModel`; its encoders are used in evaluation mode.
        train, test: data sets.
        regularisation: scikit-learn's C, the inverse strength.
        sampling: which of the training samples; all of the test data are used.
    """
    # scikit-learn takes a second to import.
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = features(model, train, sampling=sampling)
    x2, y2 = features(model, test, sampling=Sampling(batch_size=sampling.batch_size))
    out = {}
    for m in x:
        # Scaling is fitted on the training features alone, as the classifier is.
        classifier = make_pipeline(
            StandardScaler(), LogisticRegression(C=regularisation, max_iter=1000, tol=1e-3)
        )
        classifier.fit(x[m].numpy(), y.numpy())
        out[m] = float(classifier.score(x2[m].numpy(), y2.numpy()))
    return out


@dataclass(frozen=True)
class Alignment:
    """How a modality's own loss and the fused loss agree inside its encoder.

    Args:
        cosine: of the two gradients, in [-1, 1]; NaN where one vanishes.
        fused_norm, own_norm: their lengths.
    """

    cosine: float
    fused_norm: float
    own_norm: float


def gradient_alignment(
    model: Model, data: Data, *, sampling: Sampling = ALL_SAMPLES
) -> dict[str, Alignment]:
    """cos(∇_{θ_m} L_fused, ∇_{θ_m} L_m) for every modality m with an encoder of its own (MASAM,
    ICLR 2026, γ_m).

    L_m is the cross-entropy of the modality's own logits, or, where the model has none, of the
    prediction with all other modalities absent. The encoder's gradients are taken as one vector,
    not averaged over its layers.
    """
    sampling.must_keep("gradient_alignment", "loss")
    batches = collect(model, data, sampling)
    out = {}
    for m in filled_blocks(model):
        # The fusion has no loss of its own to compare with.
        if m not in model.modalities:
            continue
        chosen = list(select(model, m).values())
        # ∇_{θ_m} L_fused and ∇_{θ_m} L_m (p_m,), on the same batches.
        fused, alone = (
            _gradient(model, batches, loss, chosen, sampling.mode)
            for loss in (fused_loss, unimodal_loss(m))
        )
        lengths = float(fused.norm()), float(alone.norm())
        cosine = (
            float(fused @ alone) / (lengths[0] * lengths[1]) if min(lengths) > 0 else float("nan")
        )
        out[m] = Alignment(cosine, *lengths)
    return out


def _gradient(
    model: Model, batches: Sequence[Batch], loss: Loss, chosen: Sequence[nn.Parameter], mode: str
) -> Tensor:
    """The gradient (p,) of the mean loss over all batches."""
    total = flat([torch.zeros_like(p) for p in chosen])  # (p,)
    with session(model, mode=mode, parameters=chosen):
        for w, b in zip(shares(batches), batches, strict=True):
            f = loss(model, b)
            finite(f.detach())
            total += w * flat_gradient(torch.autograd.grad(f, chosen, allow_unused=True), chosen)
    return total


def gradient_norms(
    model: Model, data: Data, *, sampling: Sampling = ALL_SAMPLES
) -> dict[str, float]:
    """‖∇_b L_fused‖₂ for every block b that has parameters."""
    sampling.must_keep("gradient_norms", "loss")
    batches = collect(model, data, sampling)
    chosen = select(model)
    g = _gradient(model, batches, fused_loss, list(chosen.values()), sampling.mode)
    # One gradient over all weights, read off block by block.
    masks = Layout(chosen).segments(filled_blocks(model))
    return {b: float(g[mask.to(g.device)].norm()) for b, mask in masks.items()}


def linear_cka(x: Tensor | np.ndarray, y: Tensor | np.ndarray) -> float:
    """Linear centred kernel alignment of two representations (N, D) and (N, E), in [0, 1].

    ‖Yᵀ X‖_F² / (‖Xᵀ X‖_F ‖Yᵀ Y‖_F), columns centred (Kornblith et al., ICML 2019, Eq. 4); NaN for a
    constant one.

    >>> x = torch.tensor([[0.0, 1], [1, 0], [2, 2]])
    >>> linear_cka(x, 3 * x.flip(1) + 1)
    1.0
    """
    a, b = (torch.as_tensor(t).double() for t in (x, y))
    if a.dim() != 2 or b.dim() != 2 or len(a) != len(b):
        raise MsamError(
            f"Shapes {tuple(a.shape)} and {tuple(b.shape)}; both need (N, features), the same N."
        )
    # Eq. 4, by D x E products instead of N x N Gram matrices.
    a, b = a - a.mean(0), b - b.mean(0)
    norms = (a.T @ a).norm() * (b.T @ b).norm()
    return float((b.T @ a).square().sum() / norms) if float(norms) > 0 else float("nan")


def feature_similarity(
    model: Model, data: Data, *, sampling: Sampling = ALL_SAMPLES
) -> dict[tuple[str, str], float]:
    """Linear CKA of every pair of modalities' features, {(m, k): value}."""
    x, _ = features(model, data, sampling=sampling)
    return {(m, k): linear_cka(x[m], x[k]) for m, k in itertools.combinations(x, 2)}
