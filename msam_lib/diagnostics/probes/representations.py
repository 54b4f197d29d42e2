"""Probes of each modality: what its features know, where its gradients point, what its absence
costs.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from msam_lib.data.containers import Batch
from msam_lib.diagnostics._blocks import all_blocks, select
from msam_lib.diagnostics._losses import finite, fused_loss, unimodal_loss
from msam_lib.diagnostics._samples import Data, collect, shares
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics._vectors import flatten
from msam_lib.errors import MsamError, unknown_name


def _check_modality(model: nn.Module, modality: str) -> None:
    if modality not in model.modalities:  # type: ignore[operator]
        raise unknown_name("modality", modality, model.modalities)  # type: ignore[arg-type]


def features(
    model: nn.Module,
    data: Data,
    *,
    samples: int | None = None,
    batch_size: int = 500,
    seed: int = 0,
) -> tuple[dict[str, Tensor], Tensor]:
    """Every modality's features {m: (N, D_m)} in evaluation mode, and the targets (N,)."""
    if not getattr(model, "splittable", False):
        raise MsamError(
            "This model has no encoders of its own to read features from; use a MultimodalModel."
        )
    batches = collect(model, data, samples=samples, batch_size=batch_size, seed=seed)
    with session(model, parameters=()), torch.no_grad():
        parts = [model.encode(b.inputs) for b in batches]
    out = {m: torch.cat([p[m] for p in parts]).cpu() for m in parts[0]}
    return out, torch.cat([b.targets for b in batches]).cpu()


def linear_probe(
    model: nn.Module,
    train: Data,
    test: Data,
    *,
    regularisation: float = 1.0,
    samples: int | None = None,
    batch_size: int = 500,
    seed: int = 0,
) -> dict[str, float]:
    """Test accuracy in [0, 1] of a logistic regression on each modality's frozen, standardised
    features.

    How much an encoder has learned, whatever the fusion makes of it (Peng et al., CVPR 2022,
    section 4).

    Args:
        model: a `MultimodalModel`; its encoders are used in evaluation mode.
        train, test: data sets.
        regularisation: scikit-learn's C, the inverse strength.
        samples: of the training data; None takes all.
        batch_size, seed: as everywhere.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = features(model, train, samples=samples, batch_size=batch_size, seed=seed)
    x2, y2 = features(model, test, batch_size=batch_size)
    out = {}
    for m in x:
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
    model: nn.Module,
    data: Data,
    *,
    samples: int | None = None,
    batch_size: int = 500,
    mode: str = "eval",
    seed: int = 0,
) -> dict[str, Alignment]:
    """cos(∇_{θ_m} L_fused, ∇_{θ_m} L_m) for every modality m with an encoder of its own (MASAM,
    ICLR 2026, γ_m).

    L_m is the cross-entropy of the modality's own logits, or, where the model has none, of the
    prediction with all other modalities absent. The encoder's gradients are taken as one vector,
    not averaged over its layers.
    """
    batches = collect(model, data, samples=samples, batch_size=batch_size, seed=seed)
    names = {m: ns for m, ns in all_blocks(model).items() if ns and m in model.modalities}  # type: ignore[operator]
    own = dict(model.named_parameters())
    out = {}
    for m, ns in names.items():
        select(model, m)
        chosen = [own[n] for n in ns]
        fused, alone = (
            _gradient(model, batches, loss, chosen, mode) for loss in (fused_loss, unimodal_loss(m))
        )
        lengths = float(fused.norm()), float(alone.norm())
        cosine = (
            float(fused @ alone) / (lengths[0] * lengths[1]) if min(lengths) > 0 else float("nan")
        )
        out[m] = Alignment(cosine, *lengths)
    return out


def _gradient(
    model: nn.Module, batches: Sequence[Batch], loss: Any, chosen: list, mode: str
) -> Tensor:
    total: Tensor | int = 0
    with session(model, mode=mode, parameters=chosen):
        for w, b in zip(shares(batches), batches, strict=True):
            f = loss(model, b)
            finite(f.detach())
            found = torch.autograd.grad(f, chosen, allow_unused=True)
            pairs = zip(found, chosen, strict=True)
            total = total + w * flatten([torch.zeros_like(p) if g is None else g for g, p in pairs])
    return total  # type: ignore[return-value]


def gradient_norms(
    model: nn.Module,
    data: Data,
    *,
    samples: int | None = None,
    batch_size: int = 500,
    mode: str = "eval",
    seed: int = 0,
) -> dict[str, float]:
    """‖∇_b L_fused‖₂ for every block b that has parameters."""
    batches = collect(model, data, samples=samples, batch_size=batch_size, seed=seed)
    chosen = select(model)
    g = _gradient(model, batches, fused_loss, list(chosen.values()), mode)
    parts = dict(zip(chosen, g.split([p.numel() for p in chosen.values()]), strict=True))
    blocks = {b: ns for b, ns in all_blocks(model).items() if ns}
    return {b: float(torch.cat([parts[n] for n in ns]).norm()) for b, ns in blocks.items()}


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
    a, b = a - a.mean(0), b - b.mean(0)
    norms = (a.T @ a).norm() * (b.T @ b).norm()
    return float((b.T @ a).square().sum() / norms) if float(norms) > 0 else float("nan")


def feature_similarity(
    model: nn.Module,
    data: Data,
    *,
    samples: int | None = None,
    batch_size: int = 500,
    seed: int = 0,
) -> dict[tuple[str, str], float]:
    """Linear CKA of every pair of modalities' features, {(m, k): value}."""
    x, _ = features(model, data, samples=samples, batch_size=batch_size, seed=seed)
    return {(m, k): linear_cka(x[m], x[k]) for m, k in itertools.combinations(x, 2)}


def unimodal_losses(model: nn.Module, data: Data, **options: Any) -> dict[str, float]:
    """Cross-entropy in nats of each modality's own prediction (see `unimodal_loss`), in evaluation
    mode.
    """
    batches = collect(model, data, **options)
    out = {}
    with session(model, parameters=()), torch.no_grad():
        for m in model.modalities:  # type: ignore[union-attr]
            loss = unimodal_loss(m)
            out[m] = sum(
                w * float(loss(model, b)) for w, b in zip(shares(batches), batches, strict=True)
            )
    return out
