"""MMCosine: logits are scaled cosines between a modality's feature and its class weights."""

from __future__ import annotations

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from msam_lib._utils.options import Positive
from msam_lib.data.containers import Batch
from msam_lib.errors import UnsupportedSetting
from msam_lib.methods.base import Method
from msam_lib.models.base import Model, Output, summed
from msam_lib.models.fusions.additive import ConcatFusion, LateFusion
from msam_lib.models.multimodal import split


class MMCosine(Method):
    r"""Multi-modal cosine loss (Xu, Feng, Zhang, Hu, ICASSP 2023, arXiv 2303.05338).

    $\mathcal L = \mathrm{CE}(\sum_m s \cos(W_m, h_m), y)$: the logit of class $c$ is

    $$s \sum_m \frac{\langle W_{mc}, h_m \rangle}{\lVert W_{mc} \rVert\, \lVert h_m \rVert},$$

    $W_m$ modality $m$'s part of the last layer, without a bias. No modality can dominate by the
    length of its features or weights. Predictions use the same logits.

    Changes: the loss. Requires: late fusion or concatenation (a last layer with a part for every
    modality). Source: the released `main_CD.py`. The layer's bias is not used and gets no gradient.
    The released code can add a contrastive term, with weight 0 by default: left out. Accuracies of
    single modalities are measured on the model's ordinary logits $W_m h_m + b$, like everybody's.

    Args:
        scale: $s$.
    """

    reference = "Xu et al., ICASSP 2023, arXiv 2303.05338"
    requires = frozenset({"features"})
    fusions = ("late", "concat")
    caveat = "accuracies of single modalities are of the ordinary logits, not of the cosines"
    paper_options: ClassVar = {"CREMA-D (released)": {"scale": 10.0}}

    def __init__(self, scale: Positive = 10.0) -> None:
        super().__init__()
        self.scale = scale

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """Features, and the loss of their cosines."""
        with self.autocast(batch):
            features = model.encode(batch.inputs)
            output = self.cosines(model, features)
            return output, self.loss(output, batch)

    def cosines(self, model: Model, features: dict[str, Tensor]) -> Output:
        """The output whose unimodal logits are s cos(W_m, h_m), the fused ones their sum."""
        own = {
            m: self.scale * F.linear(F.normalize(features[m], dim=1), F.normalize(w, dim=1))
            for m, w in _weights(model).items()
        }
        return Output(summed(own.values()), features, own)

    def predict(self, model: Model, batch: Batch) -> Tensor:
        """The sum of the modalities' scaled cosines (N, C)."""
        return self.cosines(model, model.encode(batch.inputs)).logits


def _weights(model: Model) -> dict[str, Tensor]:
    """{m: (C, D_m)}: each modality's part of the last layer; `fusions` leaves only these two."""
    fusion = split(model).fusion
    if isinstance(fusion, LateFusion):
        return {m: fusion.heads.get_parameter(f"{m}.weight") for m in fusion.modalities}
    if isinstance(fusion, ConcatFusion):
        # modality m's columns of the shared layer
        parts = fusion.linear.weight.split(list(fusion.dims.values()), dim=1)
        return dict(zip(fusion.dims, parts, strict=True))
    raise UnsupportedSetting(
        f"MMCosine needs fusion 'late' or 'concat'; this is {type(fusion).__name__}."
    )
