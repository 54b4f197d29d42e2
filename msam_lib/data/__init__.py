"""Data sets: `load_dataset("digits")` and the containers they come in.

Every data set has a row in `msam_lib.catalogue`; its module is imported when it is first asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence

from msam_lib._utils.registry import Registry
from msam_lib.catalogue import DATASETS, DatasetRow
from msam_lib.data.containers import Batch, BatchLoader, DataSplits, Modality, MultimodalDataset
from msam_lib.data.label_noise import with_label_noise
from msam_lib.errors import unknown_name

__all__ = [
    "Batch",
    "BatchLoader",
    "DataSplits",
    "Modality",
    "MultimodalDataset",
    "describe",
    "list_datasets",
    "load_dataset",
]


LOADERS: Registry[Callable[..., DataSplits]] = Registry(DATASETS)


def list_datasets() -> tuple[str, ...]:
    """Names of all data sets."""
    return tuple(DATASETS)


def _find(name: str) -> tuple[DatasetRow, Callable[..., DataSplits]]:
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS)
    return DATASETS[name], LOADERS[name]


def describe(name: str) -> str:
    """What a data set is, where it comes from, and its options, as text to print."""
    info, _ = _find(name)
    lines = [f"{name}: {info.summary}", f"  source and licence: {info.reference}", "  options:"]
    common = {
        "seed": "of everything drawn at random when loading (0)",
        "label_noise": "share of the training labels replaced by a different class (0)",
        "modalities": "which, in which order",
    }
    lines += [f"    {option}: {meaning}" for option, meaning in (common | info.options).items()]
    return "\n".join(lines)


def load_dataset(
    name: str,
    *,
    seed: int = 0,
    label_noise: float = 0.0,
    modalities: Sequence[str] | None = None,
    **options: object,
) -> DataSplits:
    """A data set in three splits.

    Args:
        name: one of `list_datasets()`.
        seed: of everything drawn at random when loading; a data set is the same for the same seed
            and options. Keep it fixed while the seeds of the runs vary, so that all runs see the
            same data.
        label_noise: share of the training labels to replace by a different class; validation and
            test labels stay as they are.
        modalities: which ones, in which order; a data set's own choice by default.
        options: of this data set; `describe(name)` lists them.

    Raises:
        MsamError: an unknown name, option or modality, or a value that is not allowed.
        DatasetMissing: files that have to be downloaded are not there; the message says how to get
            them.
        DatasetCorrupt: a file is not what it should be.
    """
    _, loader = _find(name)
    known = [p for p in inspect.signature(loader).parameters if p not in ("seed", "modalities")]
    for option in options:
        if option not in known:
            raise unknown_name(
                f"option of data set {name!r}:",
                option,
                [*known, "seed", "label_noise", "modalities"],
            )
    splits = loader(seed=seed, modalities=modalities, **options)
    return with_label_noise(splits, label_noise, seed=seed) if label_noise else splits
