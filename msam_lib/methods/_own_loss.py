"""A modality's own loss, whatever the fusion."""

from __future__ import annotations

import torch
from torch import Tensor

from msam_lib._utils.precision import full
from msam_lib.data.containers import Batch
from msam_lib.models.base import Model, Output
from msam_lib.tasks import Task


def own_loss(model: Model, batch: Batch, output: Output, modality: str, task: Task) -> Tensor:
    """L(f(x_m), y): from the modality's own logits, else with all other modalities absent.

    Args:
        model, batch: of the step.
        output: of its forward pass, whose features are not computed again.
        modality: whose loss.
        task: of the method.
    """
    if modality in output.unimodal:
        logits = output.unimodal[modality]
    elif model.splittable:
        with torch.no_grad():
            gone = model.absent_features(batch.inputs)  # only the modality's encoder learns
        n = len(batch.targets)
        own = output.features[modality]
        features = {m: own if m == modality else gone[m].expand(n, -1) for m in model.modalities}
        logits = model.fuse(features).logits
    else:
        logits = model(batch.inputs, present=[modality]).logits
    return task.loss(full(logits), batch.targets)
