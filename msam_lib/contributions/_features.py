"""Features of present and of absent modalities, with as little encoding as possible."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from msam_lib.contributions._modes import couples_samples, hooked
from msam_lib.models.base import Inputs
from msam_lib.models.encoders import MLP
from msam_lib.models.fusions.additive import LateFusion
from msam_lib.models.multimodal import MultimodalModel

Features = dict[str, Tensor]


def present_and_absent(
    model: MultimodalModel, inputs: Inputs, given: Mapping[str, Tensor]
) -> tuple[Features, Features]:
    """{m: (N, D_m)} and {m: (1, D_m)}, by the encoders as they stand; `given` features are taken as
    they are.

    An encoder that has to run anyway reads the absent modality's replacement as one more sample.
    """
    # the answers to zeros are known without a pass
    if len(given) == len(model.modalities) and (zeros := answers_to_zeros(model)) is not None:
        return dict(given), dict(zip(model.modalities, zeros.unbind(), strict=True))
    present, absent = dict(given), {}
    for m in model.modalities:
        encoder, x, sample = model.encoders[m], inputs[m], model.baseline.get(m)
        sample = torch.zeros_like(x[:1]) if sample is None else sample.to(x.device)
        if m in given:
            absent[m] = encoder(sample)
        elif couples_samples(encoder):  # the replacement must not join the batch
            present[m], absent[m] = encoder(x), encoder(sample)
        else:
            both = encoder(torch.cat([x, sample]))
            present[m], absent[m] = both[:-1], both[-1:]
    return present, absent


def answers_to_zeros(model: MultimodalModel) -> Tensor | None:
    """Features (M, 1, D) of absent modalities, all at once, where every encoder is an `MLP`, all of
    one shape, and an absent input is zeros; None elsewhere.

    The first layer's answer to zeros is its bias, however many inputs it has.
    """
    encoders: list[Any] = list(model.encoders.children())
    if model.baseline or any(type(e) is not MLP or hooked(e) or hooked(e.net) for e in encoders):
        return None
    nets = [list(encoder.net) for encoder in encoders]
    sizes = [[getattr(x, "out_features", None) for x in net] for net in nets]
    # linear, ReLU, linear, ... and no hook that could answer differently
    plain = all(
        type(x) is (nn.ReLU if i % 2 else nn.Linear) and not hooked(x)
        for net in nets
        for i, x in enumerate(net)
    )
    if not plain or any(size != sizes[0] for size in sizes):
        return None
    each = list(zip(*(net[::2] for net in nets), strict=True))  # layer by layer
    # all encoders at once (M, 1, D), from the first layers' biases on
    h = torch.stack([layer.bias for layer in each[0]]).unsqueeze(1).relu_()
    for layers in each[1:]:
        h = _linear(layers, h).relu_()
    return h


def absent_terms(model: MultimodalModel, inputs: Inputs, given: Mapping[str, Tensor]) -> Tensor:
    """The terms (M, 1, C) of absent modalities in an additive fusion, all features being given."""
    fusion = model.fusion
    if type(fusion) is LateFusion and (zeros := answers_to_zeros(model)) is not None:
        heads = [fusion.heads[m] for m in fusion.modalities]
        if all(type(head) is nn.Linear and not hooked(head) for head in heads):
            return _linear(heads, zeros)
    _, absent = present_and_absent(model, inputs, given)
    return torch.stack(list(fusion.unimodal(absent).values()))


def _linear(layers: Sequence[Any], x: Tensor) -> Tensor:
    """M linear layers of one shape on (M, N, D)."""
    weight = torch.stack([layer.weight for layer in layers])
    bias = torch.stack([layer.bias for layer in layers])
    return torch.baddbmm(bias.unsqueeze(1), x, weight.transpose(1, 2))
