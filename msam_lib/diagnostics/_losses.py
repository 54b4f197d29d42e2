"""The losses that a diagnostic looks at, and the names of its arguments' types."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib.data.containers import Batch
from msam_lib.errors import NonFiniteLoss

Loss = Callable[[nn.Module, Batch], Tensor]  # the mean loss of a batch, a scalar


Block = str | Sequence[str]


Direction = dict[str, Tensor]  # by parameter name; a name that is missing does not move


def logits_of(model: nn.Module, batch: Batch) -> Tensor:
    """The fused logits (N, C)."""
    out = model(batch.inputs)
    return out if isinstance(out, Tensor) else out.logits


def fused_loss(model: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy of the fused logits, in nats."""
    return F.cross_entropy(logits_of(model, batch), batch.targets)


def unimodal_loss(modality: str) -> Loss:
    """Cross-entropy of one modality's own logits, or, where it has none, with the other modalities
    absent.
    """

    def loss(model: nn.Module, batch: Batch) -> Tensor:
        own = model(batch.inputs).unimodal.get(modality)
        if own is None:
            own = model(batch.inputs, present=(modality,)).logits
        return F.cross_entropy(own, batch.targets)

    return loss


def finite(loss: Tensor | float, where: str = "") -> None:
    """Raise `NonFiniteLoss` where a loss is NaN or infinite."""
    value = float(loss)
    if value != value or value in (float("inf"), float("-inf")):
        raise NonFiniteLoss(
            f"The loss is {value}{where}: there is no curvature or sharpness to measure. "
            "Look for NaN in the "
            "inputs or the weights; `evaluate(model, data)` shows the loss on a split."
        )
