"""What the model answers when only some of the modalities are present, for many subsets at once."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext

import torch
from torch import Tensor

from msam_lib.contributions._features import absent_terms, present_and_absent
from msam_lib.contributions._modes import depends_on_mode
from msam_lib.models.base import Model, Output
from msam_lib.models.contexts import evaluating
from msam_lib.models.fusions.base import coalition_sums
from msam_lib.models.multimodal import MultimodalModel


@torch.no_grad()
def coalition_logits(
    model: Model,
    inputs: Mapping[str, Tensor],
    masks: Tensor,
    features: Mapping[str, Tensor] | None = None,
) -> Tensor:
    """Logits (K, N, C) of K coalitions, `masks` (K, M) True where a modality is present.

    A model that can be split encodes once (not at all where `features` of a forward pass are given)
    and sends the coalitions through the fusion only. Any other model gets masked copies of the
    batch, stacked in one forward pass; one sample stands for a batch with nothing present.

    Whatever is computed here is computed in evaluation mode: no batch-norm statistic moves, no
    dropout. Features that are given are taken as they are, so those of a pass in training mode
    bring its batch statistics and its dropout with them.
    """
    with evaluating(model):
        if isinstance(model, MultimodalModel):
            return _fused(model, inputs, masks, features or {})
        return _masked_copies(model, inputs, masks)


@torch.no_grad()
def logits_of_pass(
    model: Model,
    inputs: Mapping[str, Tensor],
    masks: Tensor,
    output: Output,
    *,
    encode: bool = True,
) -> Tensor:
    """`coalition_logits` where the output of a pass in training mode is at hand: what evaluation
    mode would compute in the same way is taken from there.

    That is all of it for a network without batch normalisation and dropout, and else the features
    of encoders without.

    Args:
        model, inputs, masks: see `coalition_logits`.
        output: of the pass, at the same weights.
        encode: False takes the features of every encoder from there.
    """
    steady = not depends_on_mode(model)
    if not isinstance(model, MultimodalModel):
        fused = output.logits if steady else None
        with nullcontext() if steady else evaluating(model):
            return _masked_copies(model, inputs, masks, fused)
    # all is known but the terms of absent modalities: one sample each
    if steady and model.fusion.additive and model.heads is None:
        gone = absent_terms(model, inputs, output.features)
        here = torch.stack(list(output.unimodal.values()))
        return coalition_sums(here, gone, masks.to(here.device))
    moody = [m for m in model.modalities if depends_on_mode(model.encoders[m])]
    again = moody if encode else []
    features = {m: x for m, x in output.features.items() if m not in again}
    with evaluating(model if moody else model.fusion):
        return _fused(model, inputs, masks, features)


def _fused(
    model: MultimodalModel, inputs: Mapping[str, Tensor], masks: Tensor, given: Mapping[str, Tensor]
) -> Tensor:
    """Of a model that can be split; `given` features need not be encoded."""
    present, absent = present_and_absent(model, inputs, given)
    masks = masks.to(next(iter(present.values())).device)
    return model.fusion.coalition_logits(present, absent, masks)


def _masked_copies(
    model: Model, inputs: Mapping[str, Tensor], masks: Tensor, fused: Tensor | None = None
) -> Tensor:
    """Of a model that cannot be split; `fused` are its logits with every modality, if known."""
    n = len(next(iter(inputs.values())))
    rows: list[list[bool]] = masks.tolist()
    mixed = [row for row in rows if any(row) and not (all(row) and fused is not None)]
    stacked = {}
    for i, m in enumerate(model.modalities):
        x = inputs[m]
        gone = model.replacement(m, x)
        # (K' N + 1, ...): the copies, then one sample with nothing present
        stacked[m] = torch.cat([*(x if row[i] else gone for row in mixed), gone[:1]])
    out = model(stacked).logits
    parts = iter(out[:-1].split(n))
    nothing = out[-1:].expand(n, -1)
    logits = []
    for row in rows:
        if all(row) and fused is not None:
            logits.append(fused.to(out))
        else:
            logits.append(next(parts) if any(row) else nothing)
    return torch.stack(logits)
