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
from torch import Tensor

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count
from msam_lib.contributions.coalitions import coalition_logits
from msam_lib.contributions.measure import phi_and_shares
from msam_lib.contributions.shapley import coalition_masks, shapley_from_values
from msam_lib.contributions.shares import accuracy_shares
from msam_lib.data.containers import MultimodalDataset
from msam_lib.data.loader import BatchLoader
from msam_lib.errors import NonFiniteLoss
from msam_lib.methods.base import Method
from msam_lib.models.base import Model
from msam_lib.models.checks import check_batch, check_outputs, explained
from msam_lib.models.contexts import evaluating
from msam_lib.tasks import CLASSIFICATION, Classification, Task

EXACT_MODALITIES = 6  # beyond, the 2^M coalitions are left to `shapley_contributions`


class Row(NamedTuple):
    """One measurement; modality is `"fused"` for the whole model."""

    modality: str
    metric: str
    value: float


@torch.no_grad()
def evaluate(
    model: Model,
    data: MultimodalDataset,
    *,
    method: Method | None = None,
    task: Task | None = None,
    batch_size: Count | None = None,
    per_class: bool = False,
) -> list[Row]:
    """The measurements of a model on a split.

    Args:
        model: a `MultimodalModel`, or any module through `wrap`.
        data: the split.
        method: its `predict` gives the fused logits; by default the model does.
        task: what is being learnt; the method's by default, and else classification.
        batch_size: samples at a time; None takes 500, or fewer where their inputs are large.
        per_class: measure contributions within each class, too, as metric
            `contribution/<class index>`. In a classification only.

    Returns:
        Rows of the fused model: `loss` and the task's metrics (`accuracy`, `macro_f1` and
        `calibration_error` of a classification, in [0, 1]); and of each modality: the task's
        headline metric (`accuracy`), `accuracy_head` (where it has logits), and up to
        `EXACT_MODALITIES` modalities `accuracy_shapley`, `phi` (its Shapley value of the task's
        value, the accuracy) and `contribution` (its share of these). For another task the headline
        metric's name stands in place of `accuracy`.

    Raises:
        MsamError: inputs and targets do not belong together or do not fit the model.
        NonFiniteLoss: the fused logits hold NaN or infinity.
    """
    check_arguments(evaluate, locals())
    task = task or (CLASSIFICATION if method is None else method.task)
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
            check_batch(model, batch, task)
            with explained(model, batch, task):
                output = model(batch.inputs)
            logits = output.logits
            check_outputs(batch.targets, logits.shape[-1], task)
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
    rows = [Row("fused", "loss", float(task.loss(logits, y)))]
    rows += [Row("fused", metric, value) for metric, value in task.metrics(logits, y).items()]
    alone = [1 << i for i in range(len(names))] if exact else range(len(names))
    for m, k in zip(names, alone, strict=True):
        rows.append(Row(m, task.headline, task.headline_of(stack[k], y)))
        if heads[0]:
            own = torch.cat([h[m] for h in heads])
            rows.append(Row(m, f"{task.headline}_head", task.headline_of(own, y)))
    if exact:
        rows += _shapley_rows(stack, y, names, task)
        if per_class and isinstance(task, Classification):
            rows += _class_rows(stack, y, names)
    return rows


def _shapley_rows(stack: Tensor, y: Tensor, names: tuple[str, ...], task: Task) -> list[Row]:
    """Shapley values of the task's value and of the logits, from the logits of all coalitions
    (2^M, N, C).
    """
    phi, share = phi_and_shares(stack, y, task=task)
    # AGM's definition: the modality's share of the logits, the empty coalition counting as 0.
    without_empty = stack.clone()
    without_empty[0] = 0
    response = shapley_from_values(without_empty)  # (M, N, C)
    rows = []
    for i, m in enumerate(names):
        rows.append(Row(m, f"{task.headline}_shapley", task.headline_of(response[i], y)))
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
