"""Unimodal training: each modality on its own. What a modality could do if no other were in its
way.
"""

from __future__ import annotations

from torch import Tensor

from msam_lib.data.containers import Batch
from msam_lib.errors import unknown_name
from msam_lib.methods.base import Method
from msam_lib.models.base import Output
from msam_lib.tasks import KINDS


class Unimodal(Method):
    r"""Each encoder with its own head, trained on its own loss:
    $\mathcal L = \sum_m \mathrm{CE}(z_m, y)$.

    With late fusion the modalities share no parameter, so one run trains $M$ independent unimodal
    models, and the fused prediction is their ensemble (logits summed). The accuracies of the heads
    are the reference to which a jointly trained encoder is compared.

    Changes: the loss. Requires: per-modality logits.

    Args:
        modality: train only this one; None trains all of them, each alone.
    """

    tasks = KINDS
    reference = "one model per modality; the reference in Peng et al., CVPR 2022, Fig. 1"
    requires = frozenset({"unimodal_logits"})

    def __init__(self, modality: str | None = None) -> None:
        super().__init__()
        self.modality = modality

    def loss(self, output: Output, batch: Batch) -> Tensor:
        if self.modality is not None and self.modality not in output.unimodal:
            raise unknown_name("modality", self.modality, output.unimodal)
        chosen = output.unimodal if self.modality is None else [self.modality]
        terms = [self.task.loss(output.unimodal[m].float(), batch.targets) for m in chosen]
        return sum(terms[1:], terms[0])
