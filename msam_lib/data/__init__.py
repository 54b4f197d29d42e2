"""Data sets: `load_dataset("digits")` and the containers they come in.

Every data set is in the registry below; its module is imported when it is first asked for.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import NamedTuple

from msam_lib.data.base import Batch, BatchLoader, DataSplits, Modality, MultimodalDataset
from msam_lib.errors import unknown_name

__all__ = [
    "REGISTRY",
    "Batch",
    "BatchLoader",
    "DataSplits",
    "DatasetInfo",
    "Modality",
    "MultimodalDataset",
    "describe",
    "list_datasets",
    "load_dataset",
]


class DatasetInfo(NamedTuple):
    """Where a loader is and what to know before calling it; `options` names each option of the
    loader.
    """

    module: str
    function: str
    summary: str
    reference: str
    options: dict[str, str]


REGISTRY: dict[str, DatasetInfo] = {
    "digits": DatasetInfo(
        "msam_lib.data.digits",
        "load",
        "1,797 real 8x8 images of digits with synthesised speech and misspelled words; embedded",
        "images: UCI Optical Recognition of Handwritten Digits (CC BY 4.0), from scikit-learn; "
        "speech: made with eSpeak NG",
        {
            "visual_noise": "standard deviation of the pixel noise (0.35)",
            "audio_noise": "standard deviation of extra noise on the spectrogram (0)",
        },
    ),
    "avmnist": DatasetInfo(
        "msam_lib.data.avmnist",
        "load",
        "real MNIST images (75 % of the energy removed), real spoken digits in noise; downloaded",
        "MNIST (LeCun, Cortes, Burges), Free Spoken Digit Dataset (CC BY-SA 4.0), "
        "Speech Commands (CC BY 4.0)",
        {
            "snr_db": "signal-to-noise ratio of the audio in decibels (-12)",
            "size": "small: spectrograms 40x49; paper: 112x112 (small)",
            "split": "take: recordings kept apart; speaker: speakers kept apart (take)",
            "n_train": "training samples (55000)",
            "n_val": "validation samples (5000)",
            "n_test": "test samples (10000)",
        },
    ),
    "signs": DatasetInfo(
        "msam_lib.data.signs",
        "load",
        "tri-modal digits: real images, noisy real speech, real hand signs; downloaded",
        "as avmnist, and the Sign Language Digits Dataset (Mavi, Dikle; Apache-2.0)",
        {
            "components": "principal components kept of the hand signs; 0 keeps all (8)",
            "snr_db": "signal-to-noise ratio of the audio in decibels (-12)",
            "n_train": "training samples (20000)",
            "n_val": "validation samples (2000)",
            "n_test": "test samples (4000)",
        },
    ),
    "mosi": DatasetInfo(
        "msam_lib.data.mosi",
        "load",
        "real utterance features (text, audio, visual) of film reviews, 2 classes; downloaded",
        "CMU-MOSI (Zadeh et al. 2016), for research use; features of Poria et al. 2017",
        {"val_share": "share of the official test part's videos that validate (0.33)"},
    ),
    "mfeat": DatasetInfo(
        "msam_lib.data.mfeat",
        "load",
        "real numerals in six views (Fourier, pixels, moments, ...), 10 classes; downloaded",
        "UCI Multiple Features (Duin; CC BY 4.0)",
        {"n_train": "training samples (1300)", "n_val": "validation samples (300)"},
    ),
    "isl": DatasetInfo(
        "msam_lib.data.isl",
        "load",
        "real sign language letters by EMG and three motion sensors, 26 classes; downloaded",
        "doi:10.1016/j.dib.2020.106455, free for research and education",
        {"length": "pieces a recording is averaged in (25)"},
    ),
    "synthetic": DatasetInfo(
        "msam_lib.data.synthetic",
        "load",
        "Gaussian modalities with stated signal-to-noise ratio, redundancy and synergy; made up",
        "made here; the right answer about dominance is known",
        {
            "n_modalities": "number of modalities (2)",
            "snr": "signal-to-noise ratio of each modality ((2, 1))",
            "redundancy": "share of samples whose class every modality shows (1)",
            "synergy": "share of samples whose class only all modalities together show (0)",
            "n_classes": "number of classes (4)",
            "dim": "length of each vector (16)",
            "n_train": "training samples (2000)",
            "n_val": "validation samples (500)",
            "n_test": "test samples (1000)",
        },
    ),
}


def list_datasets() -> tuple[str, ...]:
    """Names of all data sets."""
    return tuple(REGISTRY)


def _find(name: str) -> tuple[DatasetInfo, Callable[..., DataSplits]]:
    if name not in REGISTRY:
        raise unknown_name("data set", name, REGISTRY)
    info = REGISTRY[name]
    return info, getattr(import_module(info.module), info.function)


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
    from msam_lib.data.noise import with_label_noise

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
