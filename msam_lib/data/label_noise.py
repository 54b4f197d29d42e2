"""Label noise: a share of the training labels replaced by wrong ones; validation and test labels
stay clean.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from msam_lib.data.containers import DataSplits, MultimodalDataset
from msam_lib.errors import MsamError
from msam_lib.tasks import Classification


def flip_labels(targets: Tensor, rate: float, n_classes: int, *, seed: int = 0) -> Tensor:
    """`targets` (N,) with exactly int(rate * N) of them replaced by a different class, drawn
    uniformly.

    This is symmetric noise that always changes the label: rate 0.2 leaves 80 % right, not 82 %.

    Args:
        targets: (N,) classes.
        rate: share in [0, 1].
        n_classes: C, at least 2.
        seed: of the choice of labels and of the wrong classes.

    Raises:
        MsamError: `rate` outside [0, 1], or fewer than two classes.
    """
    if not 0 <= rate <= 1:
        raise MsamError(f"label_noise={rate}; it is a share of the training labels, in [0, 1].")
    if n_classes < 2:
        raise MsamError(f"There is no different class to change to: n_classes={n_classes}.")
    generator = torch.Generator().manual_seed(seed)
    # The small term is for products such as 0.29 * 100, in floating point 28.999999999999996.
    number = int(rate * len(targets) + 1e-9)
    chosen = torch.randperm(len(targets), generator=generator)[:number]
    offset = torch.randint(1, n_classes, (number,), generator=generator)  # never 0: another class
    noisy = targets.clone()
    noisy[chosen] = (targets[chosen] + offset) % n_classes
    return noisy


def with_label_noise(splits: DataSplits, rate: float, *, seed: int = 0) -> DataSplits:
    """The data set with noisy training labels; rate and seed are added to the recipe, the number of
    changed labels to the provenance.

    Raises:
        MsamError: the data set is not a classification.
    """
    if not isinstance(splits.task, Classification):
        raise MsamError(
            f"label_noise={rate} changes classes; {splits.name!r} is {splits.task!r}. Leave it 0."
        )
    targets = flip_labels(splits.train.targets, rate, len(splits.classes), seed=seed)
    changed = int((targets != splits.train.targets).sum())
    train = MultimodalDataset(splits.train.inputs, targets)
    recipe = dict(splits.recipe) | {"label_noise": rate, "label_noise_seed": seed}
    fact = f" Label noise: {changed} of {len(targets)} training labels are wrong on purpose."
    return replace(splits, train=train, recipe=recipe, provenance=splits.provenance + fact)
