"""`Loaders`: what a training reads."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from msam_lib.data.containers import DataSplits, MultimodalDataset
from msam_lib.data.loader import BatchLoader


@dataclass(frozen=True)
class Loaders:
    """What a training reads: batches to train on, and the splits measured after each epoch.

    Args:
        train: mini-batches, shuffled by epoch.
        evaluation: {split: data set}; `"train"` here is a fixed part of the training split.
    """

    train: BatchLoader
    evaluation: Mapping[str, MultimodalDataset]

    @classmethod
    def of(
        cls, data: DataSplits, batch_size: int = 64, *, seed: int = 0, train_part: int = 1000
    ) -> Loaders:
        """Loaders of a data set; `train_part` training samples are measured after each epoch (0:
        none).
        """
        train = BatchLoader(data.train, batch_size, shuffle=True, seed=seed, drop_last="single")
        splits = {"val": data.val, "test": data.test}
        if train_part:
            order = torch.randperm(len(data.train), generator=torch.Generator().manual_seed(0))
            splits = {"train": data.train.subset(order[:train_part].sort().values)} | splits
        return cls(train, splits)
