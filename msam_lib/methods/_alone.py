"""The logits that a fusion gives for one modality alone, through the fusion's own parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from msam_lib.models.contexts import frozen_statistics
from msam_lib.models.fusions.additive import LateFusion
from msam_lib.models.fusions.base import Fusion


def alone(fusion: Fusion, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """{m: (N, C)}: the fusion's logits where every feature but modality m's is zero.

    With late fusion they come from the modality's own head, without the other heads' biases. These
    are the auxiliary outputs of DGL and ARL: in their released code `fc_x(x)` where logits are
    summed, `fc([x, 0])` where features are concatenated. Running statistics of batch normalisation
    do not advance: the training pass advances them once.
    """
    if isinstance(fusion.inner, LateFusion):
        return fusion.unimodal(features)
    zeros = {m: torch.zeros_like(h) for m, h in features.items()}
    with frozen_statistics(fusion):
        return {m: fusion(zeros | {m: h}) for m, h in features.items()}


@contextmanager
def constant(module: nn.Module) -> Iterator[None]:
    """Inside, the module's parameters are constants: what is computed there has a gradient for the
    module's inputs only.
    """
    trained = [p for p in module.parameters() if p.requires_grad]
    for p in trained:
        p.requires_grad_(False)
    try:
        yield
    finally:
        for p in trained:
            p.requires_grad_(True)
