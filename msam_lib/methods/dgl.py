"""DGL: the encoders learn from unimodal losses only, the fusion from the fused loss only."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

from torch import Tensor

from msam_lib._utils.options import Positive
from msam_lib.data.containers import Batch
from msam_lib.methods._alone import alone, constant
from msam_lib.methods.base import Method
from msam_lib.models.base import Model, Output, summed
from msam_lib.models.multimodal import split
from msam_lib.tasks import KINDS


class DGL(Method):
    r"""Disentangled gradient learning (Wei, Luo, Luo, ICCV 2025, arXiv 2507.10213).

    With features $h_m$ of encoders $\theta_m$ and a fusion $\varphi$,

    $$\theta_m \text{ follows the gradient of } \alpha \sum_m \mathrm{CE}(u_m, y),$$
    $$\varphi \text{ that of } \mathrm{CE}(F(h), y):$$

    the fused loss does not reach the encoders ($h$ is detached there), the unimodal losses do not
    reach the fusion. $u_m$ are the fusion's logits for $h_m$ with all other features zero, through
    the same parameters $\varphi$.

    Changes: the gradient. Requires: features. Source: the abstract, and the released main_dgl.py
    and fusion_modules.py; equation numbers are not in our sources. With late fusion $u_m$ comes
    from the modality's own head, as there. The released gated and FiLM modules feed a modality to
    both of their inputs; the library's have $M$ inputs, so the others are zero as with
    concatenation. The released loop clips the norm of all gradients at 40 (`clip_norm`).

    Args:
        alpha: weight of the unimodal losses.
    """

    tasks = KINDS
    reference = "Wei et al., ICCV 2025, arXiv 2507.10213"
    passes = "1 forward, 1 backward, and M through the fusion"
    requires = frozenset({"features"})
    paper_options: ClassVar = {"CREMA-D (released)": {"alpha": 5.0}}

    def __init__(self, alpha: Positive = 4.0) -> None:
        super().__init__()
        self.alpha = alpha

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """One pass of the encoders; the fusion once on detached features, once per modality."""
        whole = split(model)
        with self.autocast(batch):
            features = whole.encode(batch.inputs)
            # phi: the fused loss ends at the features
            output = whole.fuse({m: h.detach() for m, h in features.items()})
            with constant(whole.fusion):  # theta: unimodal losses see a constant phi
                own = alone(whole.fusion, features)
            output = replace(output, features=features, unimodal=own)
            return output, self.loss(output, batch)

    def loss(self, output: Output, batch: Batch) -> Tensor:
        own = self.unimodal_losses(output, batch)
        return super().loss(output, batch) + self.alpha * summed(own)
