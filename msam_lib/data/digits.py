"""`digits`, the fastest real data set: an image of a digit, the digit spoken, and (on request)
misspelled. No download.

What is real and what is not: the 1,797 images (8x8) are scikit-learn's `load_digits`, written by 43
people (UCI Optical Recognition of Handwritten Digits). The speech is synthesised by espeak-ng and
the words are misspelled by a script, `tools/make_embedded_digits.py`; both are committed next to
this file and described in `embedded/provenance.json`. Within its class each image has one utterance
and one word of its own.

The splits share no image, no voice (accent and variant; a variant is in one split whatever the
accent) and no misspelled string: 1,197 / 200 / 400.

Noise keeps either modality from being sufficient alone: the speech has a background at 10 dB, the
images have Gaussian pixel noise (`visual_noise`). Other noise levels reverse the dominance.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import AtLeastZero
from msam_lib._utils.settings import Names, Seed
from msam_lib.data._audio import read_wav
from msam_lib.data.containers import DataSplits, Modality, MultimodalDataset, choose_modalities
from msam_lib.errors import MsamError

EMBEDDED = Path(__file__).parent / "embedded"
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
MODALITIES = {
    "audio": Modality("spectrogram", (1, 24, 24)),
    "visual": Modality("image", (1, 8, 8)),
    "text": Modality("characters", (12,), vocabulary=27),
}
ALPHABET = "_abcdefghijklmnopqrstuvwxyz"  # code 0 is padding


def table() -> list[dict[str, str]]:
    """A row per sample, in order: split, image (number in `load_digits`), digit, voice, word."""
    with gzip.open(EMBEDDED / "digits.csv.gz", "rt", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def sample_wav(digit: int) -> Path:
    """The path of a clean recording (8 kHz, mono, a training voice) of `digit`, 0 to 9.

    Raises:
        MsamError: another digit.
    """
    if digit not in range(10):
        raise MsamError(f"digit={digit!r}; there is one recording for each of 0 to 9.")
    return EMBEDDED / "wav" / f"{digit}_{NAMES[digit]}.wav"


def sample_wave(digit: int) -> tuple[np.ndarray, int]:
    """The samples of `sample_wav(digit)`, float32 (S,) in [-1, 1), and their rate, 8000 Hz."""
    return read_wav(sample_wav(digit))


def encode(word: str, length: int = 12) -> list[int]:
    """The codes of a word: letters a to z are 1 to 26, padded with 0 to `length`.

    >>> encode("abz", 4)
    [1, 2, 26, 0]
    """
    return [ALPHABET.index(c) for c in word[:length]] + [0] * (length - len(word))


def decode(codes: Sequence[int] | Tensor) -> str:
    """The string that `encode` turned into `codes`."""
    return "".join(ALPHABET[int(c)] for c in codes if int(c) > 0)


def _noisy(x: Tensor, std: float, seed: int) -> Tensor:
    """x with Gaussian noise; the noise of a sample depends on the seed and its position only."""
    return x + std * torch.randn(x.shape, generator=torch.Generator().manual_seed(seed))


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    visual_noise: AtLeastZero = 0.35,
    audio_noise: AtLeastZero = 0.0,
) -> DataSplits:
    """The digits in three fixed splits, 1,197 / 200 / 400.

    Args:
        seed: draws the noises below, once and for all: a sample looks the same in every epoch.
            Samples, pairs and splits never change.
        modalities: from "audio" (1, 24, 24), "visual" (1, 8, 8) and "text" (12,); the first two by
            default.
        visual_noise: standard deviation of Gaussian noise added to the pixels, which lie in [0, 1]
            before.
        audio_noise: standard deviation of Gaussian noise added to the standardised spectrogram, on
            top of the background that is already in the recordings.

    Raises:
        MsamError: unknown modality, or a negative noise.
    """
    from sklearn.datasets import load_digits  # takes a second to import

    names = choose_modalities(modalities, list(MODALITIES), ["audio", "visual"])
    check_arguments(load, locals())
    # One row per sample, in the order of the stored spectra; `number` is the image of each.
    rows = table()
    facts = json.loads((EMBEDDED / "provenance.json").read_text())
    number = torch.tensor([int(r["image"]) for r in rows])
    where = {
        s: [i for i, r in enumerate(rows) if r["split"] == s] for s in ("train", "val", "test")
    }

    inputs: dict[str, Tensor] = {}
    if "audio" in names:
        with np.load(EMBEDDED / "digits.npz", allow_pickle=False) as file:
            spectra = torch.from_numpy(file["audio"]).float()[:, None]  # (N, 1, 24, 24)
        # Standardised per mel band with the training split's statistics.
        train = spectra[where["train"]]
        mean, std = train.mean((0, 3), keepdim=True), train.std((0, 3), keepdim=True)
        inputs["audio"] = _noisy((spectra - mean) / std, audio_noise, seed)
    if "visual" in names:
        pixels = torch.from_numpy(load_digits().images).float()[number, None] / 16
        inputs["visual"] = _noisy(pixels, visual_noise, seed + 1)
    if "text" in names:
        inputs["text"] = torch.tensor([encode(r["word"]) for r in rows])
    everything = MultimodalDataset(
        {m: inputs[m] for m in names}, torch.tensor([int(r["digit"]) for r in rows])
    )
    return DataSplits(
        name="digits",
        train=everything.subset(where["train"]),
        val=everything.subset(where["val"]),
        test=everything.subset(where["test"]),
        modalities={m: MODALITIES[m] for m in names},
        classes=NAMES,
        provenance=(
            f"Images: {facts['images']}, real, with Gaussian pixel noise of standard deviation "
            f"{visual_noise}. Speech: {facts['speech']}, with a background at {facts['snr_db']} dB "
            f"({facts['noise']}). "
            f"Words: {facts['words']}, made by a script."
        ),
        recipe={
            "seed": seed,
            "modalities": names,
            "visual_noise": visual_noise,
            "audio_noise": audio_noise,
            "snr_db": facts["snr_db"],
            "sha256": facts["sha256"]["digits.npz"],
        },
    )
