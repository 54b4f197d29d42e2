"""The losses that a diagnostic measures."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from msam_lib.data.containers import Batch
from msam_lib.errors import NonFiniteLoss
from msam_lib.models.base import Model

Loss = Callable[[Any, Batch], Tensor]  # (model, batch) -> the mean loss of the batch, a scalar


def logits_of(model: Callable[..., Any], batch: Batch) -> Tensor:
    """The fused logits (N, C) of a model that returns them alone or in an `Output`."""
    out = model(batch.inputs)
    return out if isinstance(out, Tensor) else out.logits


def fused_loss(model: Callable[..., Any], batch: Batch) -> Tensor:
    """Cross-entropy of the fused logits, in nats."""
    return F.cross_entropy(logits_of(model, batch), batch.targets)


def unimodal_loss(modality: str) -> Loss:
    """Cross-entropy of one modality's own logits, or, where it has none, with the other modalities
    absent.
    """

    def loss(model: Model, batch: Batch) -> Tensor:
        logits = model(batch.inputs).unimodal.get(modality)
        if logits is None:
            logits = model(batch.inputs, present=(modality,)).logits
        return F.cross_entropy(logits, batch.targets)

    return loss


def finite(loss: Tensor | float, where: str = "") -> None:
    """Raise `NonFiniteLoss` where a loss is NaN or infinite."""
    value = float(loss)
    if value != value or value in (float("inf"), float("-inf")):
        raise NonFiniteLoss(
            f"The loss is {value}{where}: there is no curvature or sharpness to measure. Look for "
            "NaN in the inputs or the weights; `evaluate(model, data)` shows the loss on a split."
        )
