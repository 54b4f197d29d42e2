"""The normalised generalisation gap of a model."""

from __future__ import annotations

from typing import Any

from torch import nn

from msam_lib.data.containers import MultimodalDataset
from msam_lib.results.sharpness import normalised_gap
from msam_lib.training.evaluate import evaluate


def generalization_gap(
    model: nn.Module, train: MultimodalDataset, test: MultimodalDataset, **options: Any
) -> dict[str, float]:
    """The normalised gap of the fused prediction (`"fused"`) and of each modality alone, in
    percent.

    Args:
        model: evaluated, not changed.
        train: training samples, without augmentation.
        test: samples never trained on.
        options: of `msam_lib.training.evaluate`, e.g. `method`.
    """
    accuracy = [
        {r.modality: r.value for r in evaluate(model, data, **options) if r.metric == "accuracy"}
        for data in (train, test)
    ]
    return {m: normalised_gap(a, accuracy[1][m]) for m, a in accuracy[0].items()}
