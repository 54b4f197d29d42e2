"""`avmnist`: real images of digits paired with real recordings of spoken digits, both made harder.

* visual: MNIST with 75 % of its energy (variance) removed, as in the paper: the first principal
  components that hold at least 25 % are kept (four of them), fitted on the training images only,
  reconstructed to 28x28 with the mean added.
* audio: Free Spoken Digit Dataset, one second at 8 kHz, with background noise of the Speech
  Commands data set at a stated signal-to-noise ratio relative to the recording's own power, as a
  log-mel spectrogram.
* pairs are drawn within a class, with a fresh piece of noise for every pair.

The splits share no image, no recording (takes or speakers) and no piece of noise. The default of
-12 dB is a *calibration*, not taken from the paper: simple classifiers then reach about the
accuracies of the paper's Table 1 on each modality (audio 0.40, visual 0.65). Other public recipes
differ.
"""

from __future__ import annotations

import hashlib
import io
import json
from typing import Annotated, Any

import numpy as np
import torch
from torch import Tensor

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Choice, Range, Share
from msam_lib._utils.settings import Decibels, Names, Seed
from msam_lib.data._audio import read_wav, resample
from msam_lib.data._avmnist_recipe import (
    RATE,
    SIZES,
    Pool,
    check_levels,
    count_samples,
    make_tensors,
)
from msam_lib.data._avmnist_sources import FSDD, MNIST, NOISE, SOURCES
from msam_lib.data._download import cached, fetch, read_members
from msam_lib.data._idx import read_idx
from msam_lib.data.containers import DataSplits, Modality, MultimodalDataset, choose_modalities
from msam_lib.errors import DatasetCorrupt

VERSION = 1  # of the recipe: raised when the same options would give other tensors
Recipe = dict[str, Any]  # the options that determine the tensors
COUNTS = {"train": 55_000, "val": 5_000, "test": 10_000}
TAKES = {"train": range(10, 50), "val": range(5, 10), "test": range(5)}  # 0-4: official test
SPEAKERS = {
    "train": ("george", "jackson", "lucas", "nicolas"),
    "val": ("theo",),
    "test": ("yweweler",),
}
NOISE_PARTS = {"train": (0.0, 0.7), "val": (0.7, 0.8), "test": (0.8, 1.0)}  # from, to, as shares


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    snr_db: Decibels | None = -12.0,
    energy: Share | None = 0.25,
    size: Annotated[str, Choice(SIZES)] = "small",
    split: Annotated[str, Choice(("take", "speaker"))] = "take",
    n_train: Annotated[int, Range(1, 55_000)] | None = None,
    n_val: Annotated[int, Range(1, 5_000)] | None = None,
    n_test: Annotated[int, Range(1, 10_000)] | None = None,
) -> DataSplits:
    """AV-MNIST: audio (1, 40, 49) by default, visual (1, 28, 28), ten classes.

    Args:
        seed: draws pairs, noise and subsets.
        modalities: from "audio" and "visual", both by default.
        snr_db: signal-to-noise ratio of the audio in decibels; None (or `inf`) for clean speech.
        energy: share of the images' variance that the kept principal components hold at least;
            None (or 1) for the images as they are.
        size: of the spectrograms: `"mini"` 32x32, `"small"` 40x49, or `"paper"` 112x112 (all of
            them take 3.5 GB).
        split: `"take"` shares no recording between splits, `"speaker"` no speaker.
        n_train, n_val, n_test: number of pairs, drawn at random; all 55,000 / 5,000 / 10,000 by
            default.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing, DatasetCorrupt: see `msam_lib.data._download`.
    """
    check_arguments(load, locals())
    snr_db, energy = check_levels(snr_db, energy)
    counts = count_samples({"train": n_train, "val": n_val, "test": n_test}, COUNTS)
    names = choose_modalities(modalities, ["audio", "visual"])
    recipe: Recipe = {"seed": seed, "snr_db": snr_db, "energy": energy, "size": size}
    recipe |= {"split": split, **counts}
    # All modalities are made and cached, whichever are returned.
    tensors = _cached(recipe)
    shape = tuple(tensors["train_audio"].shape[1:])
    kinds = {"audio": Modality("spectrogram", shape), "visual": Modality("image", (1, 28, 28))}
    parts = {
        p: MultimodalDataset({m: tensors[f"{p}_{m}"] for m in names}, tensors[f"{p}_targets"])
        for p in COUNTS
    }
    return DataSplits(
        name="avmnist",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: kinds[m] for m in names},
        classes=tuple(str(d) for d in range(10)),
        provenance=(
            "Images: MNIST (real; LeCun, Cortes, Burges), reduced by PCA to "
            f"{100 * energy:g} % of their energy. "
            "Speech: Free Spoken Digit Dataset 1.0.10 (real, CC BY-SA 4.0). Noise: Speech Commands "
            f"background noise (real, CC BY 4.0) at {snr_db} dB, a level chosen to match "
            "the paper's unimodal accuracies."
        ),
        recipe=recipe | {"modalities": names},
    )


def _cached(recipe: Recipe) -> dict[str, Tensor]:
    """The tensors of a recipe, made once; a hash of all that determines them names the file."""
    # Files from before `energy` was an option keep their names.
    identity = {k: v for k, v in recipe.items() if (k, v) != ("energy", 0.25)}
    identity |= {"version": VERSION, "sources": {k: s.sha256 for k, s in SOURCES.items()}}
    text = json.dumps(identity, sort_keys=True)
    return cached(
        f"avmnist-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt",
        lambda: _make(recipe),
        read=lambda path: torch.load(path, weights_only=True),
        write=torch.save,
    )


def _make(recipe: Recipe) -> dict[str, Tensor]:
    """Tensors {<split>_<modality>, <split>_targets} of all splits."""
    images, labels = read_images()
    recordings, noises = read_recordings(), read_noises()
    pools, start = {}, 0
    for part, total in COUNTS.items():
        these = slice(start, start + total)
        start += total
        # Recordings of the split, and their digits: pairs are drawn among these within a class.
        keys = [key for key in recordings if _in(part, key[0], key[1], recipe)]
        pools[part] = Pool.of(
            images[these],
            labels[these],
            [recordings[key] for key in keys],
            [digit for _, _, digit in keys],
            [noise_part(x, part) for x in noises],
        )
    options = {name: recipe[name] for name in ("seed", "snr_db", "energy", "size")}
    return make_tensors(pools, {part: recipe[part] for part in COUNTS}, **options)


def read_images() -> tuple[np.ndarray, np.ndarray]:
    """All 70,000 MNIST images (N, 784) in [0, 1], training images first, and their labels (N,)."""
    files = {key: fetch(source) for key, source in MNIST.items()}
    pixels = [read_idx(files[f"{p}_images"], 3).reshape(-1, 784) for p in ("train", "test")]
    labels = [read_idx(files[f"{p}_labels"], 1) for p in ("train", "test")]
    for x, y in zip(pixels, labels, strict=True):
        if len(x) != len(y):
            raise DatasetCorrupt(f"MNIST has {len(x)} images and {len(y)} labels; fetch it again.")
    return np.concatenate(pixels).astype(np.float32) / 255, np.concatenate(labels)


def read_recordings() -> dict[tuple[str, int, int], np.ndarray]:
    """{(speaker, take, digit): wave (S,) at 8 kHz} of all 3,000 recordings."""
    out = {}
    for name, content in read_members(FSDD).items():
        if not name.endswith(".wav"):
            continue
        digit, speaker, take = name.rpartition("/")[2].removesuffix(".wav").split("_")
        wave, rate = read_wav(io.BytesIO(content), name)
        out[speaker, int(take), int(digit)] = resample(wave, rate, RATE)
    return out


def read_noises() -> list[np.ndarray]:
    """The background noises as waves (S,) at 8 kHz, each of its own length."""
    waves = [read_wav(io.BytesIO(c), n) for n, c in read_members(NOISE).items()]
    return [resample(w, rate, RATE) for w, rate in waves]


def _in(part: str, speaker: str, take: int, recipe: Recipe) -> bool:
    """Whether a recording belongs to a split."""
    return take in TAKES[part] if recipe["split"] == "take" else speaker in SPEAKERS[part]


def noise_part(noise: np.ndarray, part: str) -> np.ndarray:
    """The piece of a noise that belongs to a split."""
    a, b = NOISE_PARTS[part]
    return noise[int(a * len(noise)) : int(b * len(noise))]
