"""Data sets: `load_dataset("digits")`, and the containers that they come in.

Every data set has a row in `msam_lib.catalogue`; its module is imported when it is first loaded.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

from msam_lib._utils.arguments import check_arguments, check_options, options_of
from msam_lib._utils.options import Share
from msam_lib._utils.registry import Registry
from msam_lib._utils.settings import Names, Seed
from msam_lib.catalogue import DATASETS, DatasetRow
from msam_lib.data.containers import Batch, DataSplits, Modality, MultimodalDataset
from msam_lib.data.label_noise import with_label_noise
from msam_lib.data.loader import BatchLoader
from msam_lib.data.prepared import Prepared
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
    "prepare_dataset",
]


LOADERS: Registry[Callable[..., DataSplits]] = Registry(DATASETS)


def list_datasets() -> tuple[str, ...]:
    """Names of all data sets."""
    return tuple(DATASETS)


def _find(name: str) -> tuple[DatasetRow, Callable[..., DataSplits]]:
    """The row and the loader of a data set."""
    if name not in DATASETS:
        raise unknown_name("data set", name, DATASETS)
    return DATASETS[name], LOADERS[name]


def describe(name: str) -> str:
    """Summary, source, licence and options of a data set as text.

    Raises:
        MsamError: an unknown name.
    """
    info, loader = _find(name)
    allowed = options_of(load_dataset) | options_of(loader)
    lines = [f"{name}: {info.summary}", f"  source and licence: {info.reference}", "  options:"]
    common = {
        "seed": "of everything drawn at random when loading (0)",
        "label_noise": "share of the training labels replaced by a different class (0)",
        "modalities": "which, in which order",
    }
    lines += [
        f"    {option}: {meaning}; {allowed[option]}"
        for option, meaning in (common | info.options).items()
    ]
    return "\n".join(lines)


def load_dataset(
    name: str,
    *,
    seed: Seed = 0,
    label_noise: Share = 0.0,
    modalities: Names | None = None,
    **options: object,
) -> DataSplits:
    """A data set in three splits.

    Args:
        name: one of `list_datasets()`.
        seed: of everything drawn at random when loading; the same seed and options give the same
            data. Keep it fixed while the seeds of the runs vary, so that all runs see the same
            data.
        label_noise: share in [0, 1] of the training labels to replace by a different class;
            validation and test labels are never changed.
        modalities: their names, in order; by default those that the data set chooses.
        **options: of this data set; `describe(name)` lists them.

    Raises:
        MsamError: an unknown name, option or modality, or a value that is not allowed.
        DatasetMissing: files that have to be downloaded are missing; the message says how to get
            them.
        DatasetCorrupt: a file has the wrong content.
    """
    check_arguments(load_dataset, locals())
    _, loader = _find(name)
    check_options(f"data set {name!r}", loader, options)
    splits = loader(seed=seed, modalities=modalities, **options)
    return with_label_noise(splits, label_noise, seed=seed) if label_noise else splits


def prepare_dataset(
    name: str,
    source: str | Path,
    cache: str | Path | None = None,
    *,
    jobs: int = 1,
    **options: object,
) -> Prepared:
    """Decode a data set's official distribution into a folder of the cache, where `load_dataset`
    finds it.

    Resumes where it was interrupted; a folder that is there is verified by its digests.

    Args:
        name: of a data set that is prepared: `cremad`, for example.
        source: the distribution's folder or file.
        cache: where to keep it; `$MSAM_CACHE`, or the user's cache folder, by default.
        jobs: threads that decode.
        **options: of the data set, those that determine what is kept.

    Raises:
        MsamError: an unknown name or option, or a data set that needs no preparation.
        DatasetMissing, DatasetCorrupt: naming the first source file that is missing or damaged.
    """
    row, _ = _find(name)
    known = [n for n, r in DATASETS.items() if r.prepare]
    if not row.prepare:
        raise unknown_name("data set that is prepared:", name, known)
    module, _, attribute = row.prepare.partition(":")
    preparer = getattr(import_module(module, "msam_lib"), attribute)
    allowed = [*inspect.signature(preparer).parameters][3:]  # after source, cache and jobs
    for option in options:
        if option not in allowed:
            raise unknown_name(f"option of preparing {name!r}:", option, allowed)
    return preparer(Path(source), None if cache is None else Path(cache), jobs=jobs, **options)
