"""`evaluate`: all measurements of one model on one split that tables and curves need, from one pass
of the encoders.

Published tables define a modality's accuracy in several ways, so all are measured:

* `accuracy` of a modality (the definition of this project's tables, for every method and every
  fusion): the accuracy of the model's prediction when all other modalities are absent.
* `accuracy_shapley`: the accuracy of the modality's Shapley share of the *logits*, without the
  empty coalition (AGM, Li et al., ICCV 2023, Eq. 3), which the AGM code base reports for early
  fusion.
* `accuracy_head`: the accuracy of the modality's own logits, where there are any.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib.contributions.coalitions import coalition_logits
from msam_lib.contributions.shapley import coalition_masks, shapley_from_values
from msam_lib.contributions.shares import accuracy_shares
from msam_lib.data.containers import MultimodalDataset
from msam_lib.data.loader import BatchLoader
from msam_lib.errors import NonFiniteLoss
from msam_lib.methods.base import Method
from msam_lib.models.base import Model
from msam_lib.models.checks import check_batch, check_classes, explained
from msam_lib.models.contexts import evaluating

EXACT_MODALITIES = 6  # beyond, the 2^M coalitions are left to `shapley_contributions`


class Row(NamedTuple):
    """One measurement; modality is `"fused"` for the whole model."""

    modality: str
    metric: str
    value: float


def macro_f1(predicted: Tensor, targets: Tensor, classes: int) -> float:
    """Unweighted mean over classes of the F1 score, in [0, 1]; classes that neither occur nor are
    predicted are left out.

    Args:
        predicted, targets: (N,) classes.
        classes: C.
    """
    # The confusion matrix (C, C); the F1 score of a class is 2 hits over its row and column sums.
    pairs = torch.bincount(targets * classes + predicted, minlength=classes**2).view(
        classes, classes
    )
    hit, total = pairs.diagonal().double(), (pairs.sum(0) + pairs.sum(1)).double()
    return float((2 * hit / total.clamp(min=1))[total > 0].mean())


def calibration_error(logits: Tensor, targets: Tensor, bins: int = 15) -> float:
    """Expected calibration error in [0, 1] over equal-width confidence bins (Guo et al., ICML 2017,
    Eq. 3).

    Args:
        logits: (N, C).
        targets: (N,) classes.
        bins: number of bins.
    """
    confidence, predicted = logits.softmax(-1).max(-1)
    right = (predicted == targets).double()
    # Eq. 3: |Σ (confidence − hit)| / N of a bin is its gap times its weight.
    which = (confidence * bins).long().clamp(max=bins - 1)
    gap = torch.zeros(bins, dtype=torch.float64).index_add_(0, which, confidence.double() - right)
    return float(gap.abs().sum() / len(targets))


@torch.no_grad()
def evaluate(
    model: Model,
    data: MultimodalDataset,
    *,
    method: Method | None = None,
    batch_size: Count = 500,
    per_class: bool = False,
) -> list[Row]:
    """The measurements of a model on a split.

    Args:
        model: a `MultimodalModel`, or any module through `wrap`.
        data: the split.
        method: its `predict` gives the fused logits; by default the model does.
        batch_size: samples at a time.
        per_class: measure contributions within each class, too, as metric
            `contribution/<class index>`.

    Returns:
        Rows of the fused model: `loss` (nats), `accuracy`, `macro_f1` and `calibration_error` (in
        [0, 1]); and of each modality: `accuracy`, `accuracy_head` (where it has logits), and up to
        `EXACT_MODALITIES` modalities `accuracy_shapley`, `phi` (its Shapley value of the accuracy)
        and `contribution` (its share of these).

    Raises:
        MsamError: inputs and targets do not belong together or do not fit the model.
        NonFiniteLoss: the fused logits hold NaN or infinity.
    """
    check_arguments(evaluate, locals())
    check_batch(model, data)
    # All 2^M coalitions, or, where these are too many, each modality alone.
    names = tuple(model.modalities)
    exact = len(names) <= EXACT_MODALITIES
    masks = coalition_masks(len(names)) if exact else torch.eye(len(names), dtype=torch.bool)
    device = next(model.parameters()).device
    # Logits of every batch: fused, of all coalitions, and of the modalities' heads.
    fused, coalitions, heads = [], [], []
    with evaluating(model):
        for batch in BatchLoader(data, batch_size):
            batch = batch.to(device)
            with explained(model, batch):
                output = model(batch.inputs)
            logits = output.logits
            check_classes(batch.targets, logits.shape[-1])
            # Some methods do not predict by a plain forward pass.
            if method is not None and type(method).predict is not Method.predict:
                logits = method.predict(model, batch)
            fused.append(logits.float().cpu())
            features = output.features or None
            coalitions.append(coalition_logits(model, batch.inputs, masks, features).float().cpu())
            heads.append({m: z.float().cpu() for m, z in output.unimodal.items()})
    logits, stack = torch.cat(fused), torch.cat(coalitions, dim=1)  # (N, C), (K, N, C)
    if bad := int((~logits.isfinite()).any(-1).sum()):
        raise NonFiniteLoss(
            f"the model's outputs are NaN or infinite on {bad} of {len(data)} samples"
        )
    # Coalition k holds the modalities of its binary digits, so modality i alone is number 2^i.
    y = data.targets
    rows = _fused_rows(logits, y)
    alone = [1 << i for i in range(len(names))] if exact else range(len(names))
    for m, k in zip(names, alone, strict=True):
        rows.append(Row(m, "accuracy", _accuracy(stack[k], y)))
        if heads[0]:
            rows.append(Row(m, "accuracy_head", _accuracy(torch.cat([h[m] for h in heads]), y)))
    if exact:
        rows += _shapley_rows(stack, y, names)
        if per_class:
            rows += _class_rows(stack, y, names)
    return rows


def _accuracy(logits: Tensor, targets: Tensor) -> float:
    """Accuracy in [0, 1] of logits (N, C)."""
    return float((logits.argmax(-1) == targets).double().mean())


def _fused_rows(logits: Tensor, y: Tensor) -> list[Row]:
    """The measurements of the fused logits (N, C)."""
    return [
        Row("fused", "loss", float(F.cross_entropy(logits, y))),
        Row("fused", "accuracy", _accuracy(logits, y)),
        Row("fused", "macro_f1", macro_f1(logits.argmax(-1), y, logits.shape[-1])),
        Row("fused", "calibration_error", calibration_error(logits, y)),
    ]


def _shapley_rows(stack: Tensor, y: Tensor, names: tuple[str, ...]) -> list[Row]:
    """Shapley values of accuracy and logits, from the logits of all coalitions (2^M, N, C)."""
    # Hits of every coalition: the game whose value is the accuracy.
    counts = (stack.argmax(-1) == y).sum(-1)  # (2^M,)
    phi, share = accuracy_shares(counts, len(y))
    # AGM's definition: the modality's share of the logits, the empty coalition counting as 0.
    without_empty = stack.clone()
    without_empty[0] = 0
    response = shapley_from_values(without_empty)  # (M, N, C)
    rows = []
    for i, m in enumerate(names):
        rows.append(Row(m, "accuracy_shapley", _accuracy(response[i], y)))
        rows += [Row(m, "contribution", float(share[i])), Row(m, "phi", float(phi[i]))]
    return rows


def _class_rows(stack: Tensor, y: Tensor, names: tuple[str, ...]) -> list[Row]:
    """Contributions within each class, from the logits of all coalitions (2^M, N, C)."""
    right = stack.argmax(-1) == y  # (2^M, N)
    rows = []
    for c in range(stack.shape[-1]):
        own = y == c
        if size := int(own.sum()):
            _, share = accuracy_shares(right[:, own].sum(-1), size)
            rows += [Row(m, f"contribution/{c}", float(share[i])) for i, m in enumerate(names)]
    return rows
