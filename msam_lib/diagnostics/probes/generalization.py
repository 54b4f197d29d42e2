"""The normalised generalisation gap of a model."""

from __future__ import annotations

from msam_lib.data.containers import MultimodalDataset
from msam_lib.methods.base import Method
from msam_lib.models.base import Model
from msam_lib.results.sharpness import normalised_gap
from msam_lib.training.evaluate import evaluate


def generalization_gap(
    model: Model,
    train: MultimodalDataset,
    test: MultimodalDataset,
    *,
    method: Method | None = None,
    batch_size: int | None = None,
) -> dict[str, float]:
    """The normalised gap of the fused prediction (`"fused"`) and of each modality alone, in
    percent.

    Args:
        model: evaluated, not changed.
        train: training samples, without augmentation.
        test: samples never trained on.
        method, batch_size: see `msam_lib.training.evaluate`.
    """
    accuracy = []
    for data in (train, test):
        rows = evaluate(model, data, method=method, batch_size=batch_size)
        accuracy.append({r.modality: r.value for r in rows if r.metric == "accuracy"})
    return {m: normalised_gap(a, accuracy[1][m]) for m, a in accuracy[0].items()}
