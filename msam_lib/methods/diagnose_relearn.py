"""Diagnosing and re-learning: an encoder that has memorised is moved back towards its start."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from msam_lib._utils.options import AtLeastZero, Count, WholeNumber
from msam_lib._utils.vectors import flat, unflat
from msam_lib.data.containers import MultimodalDataset
from msam_lib.data.loader import BatchLoader
from msam_lib.methods._state import Memory
from msam_lib.methods.base import Method, Task
from msam_lib.models.base import Model
from msam_lib.models.contexts import evaluating
from msam_lib.models.multimodal import split


class DiagnoseRelearn(Method):
    r"""Diagnosing and re-learning (Wei et al., ECCV 2024, arXiv 2407.09705).

    Training is joint. Every `period` epochs the features of each encoder are clustered (k-means
    into as many clusters as classes, features scaled to $[-1, 1]$), on the training and on the
    validation split; the difference of the two purities, $\mathrm{gap}_m$ (without its sign), is
    how much the encoder has memorised. Then

    $$\theta_m \leftarrow w_m \theta_m(0) + (1 - w_m)\, \theta_m,$$
    $$w_m = \tanh(\text{strength} \cdot \mathrm{gap}_m).$$

    Changes: the schedule. Requires: features, and epochs; a bare loop trains jointly. Batch-norm
    statistics stay as they are, as in the released code. That code clusters the whole training
    split, here a random subset of `samples`; leaves the number of k-means starts to scikit-learn
    (`n_init`: 10 before version 1.4, 1 since), here always 10; and re-learns after epochs 20 and 40
    counted from 0, which is one epoch later than here.

    Args:
        period: epochs between two diagnoses.
        times: of them, at most.
        strength: in $w_m$; 0 is joint training.
        samples: of the training split that are clustered, for time's sake.
    """

    reference = "Wei et al., ECCV 2024, arXiv 2407.09705"
    requires = frozenset({"features"})
    neutral: ClassVar = {"strength": 0.0}
    paper_options: ClassVar = {"CREMA-D": {"period": 20, "times": 3, "strength": 3.0}}

    def __init__(
        self,
        period: Count = 5,
        times: WholeNumber = 3,
        strength: AtLeastZero = 3.0,
        samples: Count = 2000,
    ) -> None:
        super().__init__()
        self.period, self.times, self.strength, self.samples = period, times, strength, samples
        self.memory = Memory(done=0)

    def setup(self, model: Model, task: Task | None = None) -> None:
        super().setup(model, task)
        for i, m in enumerate(model.modalities):
            start = flat(p.detach() for p in model.parameters_of(m)).clone()
            self.register_buffer(f"start_{i}", start)

    def on_epoch_start(self, model: Model, epoch: int, loaders: Any) -> None:
        """Diagnose and move the encoders, where it is time."""
        due = epoch > 0 and epoch % self.period == 0 and self.memory["done"] < self.times
        if not due or not self.strength:
            return
        data = loaders.train.dataset
        # k-means on a fixed random part, for time's sake
        if len(data) > self.samples:
            order = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))
            data = data.subset(order[: self.samples])
        classes = split(model).fusion.classes
        seen, unseen = (_features(model, d) for d in (data, loaders.evaluation["val"]))
        for i, m in enumerate(model.modalities):
            here = purity(seen[m], data.targets.numpy(), classes)
            there = purity(unseen[m], loaders.evaluation["val"].targets.numpy(), classes)
            # w_m = tanh(strength gap_m): what is memorised purifies training clusters only
            self._move(model, m, i, float(np.tanh(self.strength * abs(here - there))))
        self.memory["done"] += 1

    @torch.no_grad()
    def _move(self, model: Model, m: str, index: int, w: float) -> None:
        parameters = model.parameters_of(m)
        start: Tensor = getattr(self, f"start_{index}")
        for p, first in zip(parameters, unflat(start, parameters), strict=True):
            p.lerp_(first, w)  # the share w of the way back to theta_m(0)


def purity(features: np.ndarray, targets: np.ndarray, classes: int) -> float:
    """Share of samples that belong to the most frequent class of their cluster, in [0, 1].

    Args:
        features: (N, D); each column is scaled to [-1, 1].
        targets: (N,).
        classes: clusters.
    """
    from sklearn.cluster import KMeans

    low, high = features.min(0), features.max(0)
    scaled = 2 * (features - low) / np.where(high > low, high - low, 1) - 1
    clusters = KMeans(min(classes, len(features)), n_init=10, random_state=0).fit_predict(scaled)
    # rows: clusters, columns: classes
    table = np.zeros((classes, classes), dtype=int)
    np.add.at(table, (clusters, targets), 1)
    return float(table.max(1).sum() / len(targets))


@torch.no_grad()
def _features(model: Model, data: MultimodalDataset) -> dict[str, np.ndarray]:
    device = next(model.parameters()).device
    with evaluating(model):
        rows = [model.encode(b.to(device).inputs) for b in BatchLoader(data, None)]
    return {m: torch.cat([r[m].float().cpu() for r in rows]).numpy() for m in rows[0]}
