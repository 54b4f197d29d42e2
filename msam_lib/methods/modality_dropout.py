"""Modality dropout: modalities left out of training samples at random, a control of every table."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from msam_lib._utils.options import ShareBelowOne
from msam_lib._utils.world import world
from msam_lib.data.containers import Batch
from msam_lib.methods.base import Method
from msam_lib.models.base import Inputs, Model, Output
from msam_lib.tasks import KINDS


class ModalityDropout(Method):
    """Modality dropout (after ModDrop: Neverova, Wolf, Taylor, Nebout, T-PAMI 2016, arXiv
    1501.00102).

    In every step each modality of each sample is left out with the given probability, independently
    of all others: its input becomes zeros, as in every measurement without a modality. Where all of
    a sample's modalities would go, the one whose random number came nearest to staying stays. The
    loss is that of the fused logits.

    Changes: the data. Requires: nothing. ModDrop may leave out all modalities of a sample; here one
    always stays, as nothing can be learnt from none. Inputs are not scaled up to make good for the
    missing ones.

    Args:
        probability: of each modality of each sample; 0 is joint training.
    """

    tasks = KINDS
    reference = "a control, after Neverova et al., T-PAMI 2016, arXiv 1501.00102"
    neutral: ClassVar = {"probability": 0.0}

    def __init__(self, probability: ShareBelowOne = 0.3) -> None:
        super().__init__()
        self.probability = probability

    def compute(self, model: Model, batch: Batch) -> tuple[Output, Tensor]:
        """Forward pass and loss on inputs that are not all there."""
        if self.probability:
            batch = batch._replace(inputs=self.thinned(model, batch.inputs))
        return super().compute(model, batch)

    def thinned(self, model: Model, inputs: Inputs) -> dict[str, Tensor]:
        """The inputs {m: (N, ...)} with modalities left out."""
        first = inputs[model.modalities[0]]
        draws = world.rand(len(first), len(model.modalities), device=first.device)
        stays = kept(draws, self.probability)
        out = dict(inputs)
        for m, here in zip(model.modalities, stays.T, strict=True):
            x = inputs[m]
            row = here.view(-1, *[1] * (x.dim() - 1))
            out[m] = torch.where(row, x, model.replacement(m, x))
        return out


def kept(draws: Tensor, probability: float) -> Tensor:
    """Which modalities stay (N, M), from uniform random numbers (N, M): at least one of each
    sample.

    >>> kept(torch.tensor([[0.9, 0.1], [0.2, 0.1]]), 0.3)
    tensor([[ True, False],
            [ True, False]])
    """
    best = torch.nn.functional.one_hot(draws.argmax(1), draws.shape[1]).bool()  # always stays
    return (draws >= probability) | best
