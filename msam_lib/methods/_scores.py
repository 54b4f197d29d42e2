"""What each modality says on its own, for methods that only read it and train no head for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor

from msam_lib.contributions.measure import coalition_logits
from msam_lib.contributions.shapley import coalition_masks, shapley_from_values
from msam_lib.data.containers import Batch, MultimodalDataset
from msam_lib.data.loader import BatchLoader
from msam_lib.models.base import Inputs, Model, Output
from msam_lib.models.contexts import evaluating
from msam_lib.models.multimodal import MultimodalModel, split

Scores = dict[str, Tensor]  # {modality: logits (N, C)}


def mono_modal(model: Model, output: Output, inputs: Inputs, *, gradient: bool = False) -> Tensor:
    """The modalities' Shapley responses (M, N, C) of the logits; their sum is the fused logits.

    With absent modalities replaced and the empty coalition counted as 0, as AGM (Li et al., ICCV
    2023) defines them: for two modalities m_1 = 1/2 [F(1, 2) - F(0, 2) + F(1, 0)]. The fused logits
    and, where the model can be split, the features are those of the forward pass that has been
    made; all other coalitions are judged in evaluation mode. Any other model makes one forward pass
    of 2^M - 2 masked copies of the batch.

    Args:
        model: any; for `gradient`, one that can be split.
        output: of the forward pass on `inputs`.
        inputs: {m: (N, ...)}.
        gradient: keep the graph, for a loss made of the responses.
    """
    m = len(model.modalities)
    masks = coalition_masks(m)[1:-1]  # neither none nor all
    logits = output.logits if gradient else output.logits.detach()
    with nullcontext() if gradient else torch.no_grad():
        if m == 1:
            return logits[None]
        if gradient:
            with evaluating(model):
                absent = model.absent_features(inputs)
                masks = masks.to(logits.device)
                part = split(model).fusion.coalition_logits(output.features, absent, masks)
        else:
            part = coalition_logits(model, inputs, masks, output.features or None)
        none = torch.zeros_like(logits)[None]  # the empty coalition counts as 0
        return shapley_from_values(torch.cat([none, part, logits[None]]))


@torch.no_grad()
def modality_scores(model: Model, output: Output, inputs: Inputs) -> Scores:
    """Each modality's logits {m: (N, C)}, without gradient, in float32 or finer.

    The fusion's own terms where its logits are a sum over modalities (late, concat): the fused loss
    trains them. Else the Shapley responses. Never those of heads beside the fusion, which the
    methods that use this do not train: they would stay as they were drawn.
    """
    if isinstance(model, MultimodalModel) and model.fusion.additive:
        # with heads beside the fusion, `output.unimodal` is theirs
        own = model.heads is None
        found = output.unimodal if own else model.fusion.unimodal(output.features)
    else:
        responses = mono_modal(model, output, inputs)
        found = dict(zip(model.modalities, responses, strict=True))
    return detached(found)


def detached(logits: Scores) -> Scores:
    """The same numbers without a graph, in float32 or finer."""
    return {
        m: z.detach().to(torch.promote_types(z.dtype, torch.float32)) for m, z in logits.items()
    }


class OnSplit(NamedTuple):
    """What a model says about a data set, on the processor.

    Args:
        fused: logits (N, C).
        scores: {modality: logits (N, C)}.
        targets: (N,).
    """

    fused: Tensor
    scores: Scores
    targets: Tensor


@torch.no_grad()
def on_split(
    model: Model, data: MultimodalDataset, read: Callable[[Model, Output, Batch], Scores]
) -> OnSplit:
    """Fused logits and what `read(model, output, batch)` gives on a split, in evaluation mode."""
    device = next(model.parameters()).device
    fused: list[Tensor] = []
    parts: list[Scores] = []
    with evaluating(model):
        for batch in BatchLoader(data, None):
            batch = batch.to(device)
            output = model(batch.inputs)
            fused.append(output.logits.cpu())
            parts.append({m: z.cpu() for m, z in read(model, output, batch).items()})
    scores = {m: torch.cat([p[m] for p in parts]) for m in parts[0]}
    return OnSplit(torch.cat(fused), scores, data.targets.cpu())


def accuracy(logits: Tensor, targets: Tensor) -> float:
    """Share of correct predictions of logits (N, C)."""
    return float((logits.argmax(-1) == targets).double().mean())
