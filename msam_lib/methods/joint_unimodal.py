"""Joint training with a fixed loss on every modality's own logits: a control of every table."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from msam_lib._utils.options import AtLeastZero
from msam_lib.data.containers import Batch
from msam_lib.methods.base import Method
from msam_lib.models.base import Output, summed
from msam_lib.tasks import KINDS


class JointUnimodal(Method):
    r"""Joint training plus unimodal losses of fixed weight.

    $$\mathcal L = \mathrm{CE}(\text{fused}) + \text{weight} \sum_m \mathrm{CE}(z_m),$$

    $z_m$ modality $m$'s own logits. Many balancing methods add such losses and something else; this
    control has nothing else. With weight 1 it is the "uniform baseline" of MMPareto (Wei and Hu,
    ICML 2024), all losses summed.

    Changes: the loss. Requires: per-modality logits.

    Args:
        weight: of the unimodal losses; 0 is joint training.
    """

    tasks = KINDS
    reference = "a control; with weight 1, the uniform baseline of Wei and Hu, ICML 2024"
    requires = frozenset({"unimodal_logits"})
    neutral: ClassVar = {"weight": 0.0}

    def __init__(self, weight: AtLeastZero = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def loss(self, output: Output, batch: Batch) -> Tensor:
        fused = super().loss(output, batch)
        if not self.weight:
            return fused
        return fused + self.weight * summed(self.unimodal_losses(output, batch))
