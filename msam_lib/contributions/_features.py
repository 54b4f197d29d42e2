"""Features of present and of absent modalities, with as little encoding as possible."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib.contributions._modes import couples_samples, hooked
from msam_lib.models.base import Inputs
from msam_lib.models.encoders import MLP
from msam_lib.models.multimodal import MultimodalModel

Features = dict[str, Tensor]


def present_and_absent(
    model: MultimodalModel, inputs: Inputs, given: Mapping[str, Tensor]
) -> tuple[Features, Features]:
    """{m: (N, D_m)} and {m: (1, D_m)}, by the encoders as they stand; `given` features are taken as
    they are.

    An encoder that has to run anyway reads the absent modality's replacement as one more sample.
    """
    present, absent = dict(given), {}
    for m in model.modalities:
        encoder, x = model.encoders[m], inputs[m]
        sample = model.baseline.get(m)
        if m in given and sample is None and (layers := _layers(encoder)):
            absent[m] = _of_zeros(layers)
            continue
        sample = torch.zeros_like(x[:1]) if sample is None else sample.to(x.device)
        if m in given:
            absent[m] = encoder(sample)
        elif couples_samples(encoder):
            present[m], absent[m] = encoder(x), encoder(sample)
        else:
            both = encoder(torch.cat([x, sample]))
            present[m], absent[m] = both[:-1], both[-1:]
    return present, absent


def _layers(encoder: nn.Module) -> list[nn.Linear]:
    """The layers of an `MLP` as this library builds it; none of anything else."""
    if type(encoder) is not MLP:
        return []
    parts = list(encoder.net)
    if any(type(x) is not (nn.ReLU if i % 2 else nn.Linear) for i, x in enumerate(parts)):
        return []
    if any(hooked(x) for x in (encoder, encoder.net, *parts)):
        return []
    return [x for x in parts if isinstance(x, nn.Linear)]


def _of_zeros(layers: list[nn.Linear]) -> Tensor:
    """The answer (1, dim) of fully connected layers to a sample of zeros: the first layer's is its
    bias, however many inputs it has.
    """
    h = layers[0].bias.unsqueeze(0).relu()
    for layer in layers[1:]:
        h = F.linear(h, layer.weight, layer.bias).relu_()
    return h
