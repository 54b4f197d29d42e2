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
from msam_lib._utils.options import Choice, Range
from msam_lib._utils.progress import progress_bar
from msam_lib._utils.settings import Decibels, Names, Seed
from msam_lib.data._audio import centre, log_mel, mix, read_wav, resample
from msam_lib.data._avmnist_sources import FSDD, MNIST, NOISE, SOURCES
from msam_lib.data._download import cached, fetch, read_members
from msam_lib.data._idx import read_idx
from msam_lib.data.containers import DataSplits, Modality, MultimodalDataset, choose_modalities
from msam_lib.errors import DatasetCorrupt

RATE = 8000  # Hz
VERSION = 1  # of the recipe: raised when the same options would give other tensors
Recipe = dict[str, Any]  # the options that determine the tensors
SIZES = {  # of the spectrograms, which get (mel bands, frames)
    "small": {"n_mels": 40, "window": 256, "hop": 160, "n_fft": 512},  # (40, 49)
    "paper": {"n_mels": 112, "window": 320, "hop": 69, "n_fft": 2048},  # (112, 112)
}
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
    snr_db: Decibels = -12.0,
    size: Annotated[str, Choice(SIZES)] = "small",
    split: Annotated[str, Choice(("take", "speaker"))] = "take",
    n_train: Annotated[int, Range(1, 55_000)] | None = None,
    n_val: Annotated[int, Range(1, 5_000)] | None = None,
    n_test: Annotated[int, Range(1, 10_000)] | None = None,
) -> DataSplits:
    """AV-MNIST: audio (1, 40, 49) or (1, 112, 112), visual (1, 28, 28), ten classes.

    Args:
        seed: draws pairs, noise and subsets.
        modalities: from "audio" and "visual", both by default.
        snr_db: signal-to-noise ratio of the audio in decibels; `inf` for clean speech.
        size: `"small"`, or `"paper"` for spectrograms of 112x112 (all of them take 3.5 GB).
        split: `"take"` shares no recording between splits, `"speaker"` no speaker.
        n_train, n_val, n_test: number of pairs, drawn at random; all 55,000 / 5,000 / 10,000 by
            default.

    Raises:
        MsamError: a value that is not allowed.
        DatasetMissing, DatasetCorrupt: see `msam_lib.data._download`.
    """
    check_arguments(load, locals())
    given = {"train": n_train, "val": n_val, "test": n_test}
    counts = {part: COUNTS[part] if n is None else n for part, n in given.items()}
    names = choose_modalities(modalities, ["audio", "visual"])
    recipe: Recipe = {"seed": seed, "snr_db": snr_db, "size": size, "split": split, **counts}
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
        **parts,
        modalities={m: kinds[m] for m in names},
        classes=tuple(str(d) for d in range(10)),
        provenance=(
            "Images: MNIST (real; LeCun, Cortes, Burges), 75 % of the energy removed by PCA. "
            "Speech: Free Spoken Digit Dataset 1.0.10 (real, CC BY-SA 4.0). Noise: Speech Commands "
            f"background noise (real, CC BY 4.0) at {snr_db} dB, a level chosen to match "
            "the paper's unimodal accuracies."
        ),
        recipe=recipe | {"modalities": names},
    )


def _cached(recipe: Recipe) -> dict[str, Tensor]:
    """The tensors of a recipe, made once; a hash of all that determines them names the file."""
    identity = {**recipe, "version": VERSION, "sources": {k: s.sha256 for k, s in SOURCES.items()}}
    text = json.dumps(identity, sort_keys=True)
    return cached(
        f"avmnist-{hashlib.sha256(text.encode()).hexdigest()[:16]}.pt",
        lambda: _make(recipe),
        read=lambda path: torch.load(path, weights_only=True),
        write=torch.save,
    )


def _make(recipe: Recipe) -> dict[str, Tensor]:
    """Tensors {<split>_<modality>, <split>_targets} of all splits."""
    rng = np.random.default_rng(recipe["seed"])
    images, labels = _images()
    recordings, noises = _recordings(), _noises()
    out: dict[str, Tensor] = {}
    fitted = images[: COUNTS["train"]]
    mean, kept = principal_components(fitted)
    start = 0
    for part, total in COUNTS.items():
        # A random subset of the split's images, projected on the principal components.
        chosen = start + np.sort(rng.permutation(total)[: recipe[part]])
        start += total
        flat = images[chosen]
        reduced = mean + (flat - mean) @ kept @ kept.T
        out[f"{part}_visual"] = torch.from_numpy(reduced.reshape(-1, 1, 28, 28).astype(np.float32))
        out[f"{part}_targets"] = torch.from_numpy(labels[chosen].astype(np.int64))
        # Recordings of the split, and their digits: pairs are drawn among these within a class.
        pool = [
            w for (speaker, take, _), w in recordings.items() if _in(part, speaker, take, recipe)
        ]
        digits = np.array(
            [d for (speaker, take, d) in recordings if _in(part, speaker, take, recipe)]
        )
        out[f"{part}_audio"] = _spectrograms(
            labels[chosen], pool, digits, [_piece(x, part) for x in noises], recipe, rng, part
        )
    audio = out["train_audio"]
    centre_, spread = audio.mean((0, 3), keepdim=True), audio.std((0, 3), keepdim=True)
    for part in COUNTS:  # standardised per mel band with the training split's statistics
        out[f"{part}_audio"] = (out[f"{part}_audio"] - centre_) / spread
    return out


def principal_components(x: np.ndarray, energy: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) of x (N, D) and the first principal directions (D, K), as many as are needed to
    hold the share `energy` of the variance.
    """
    mean = x.mean(0)
    covariance = np.cov(x, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    share = np.cumsum(values[::-1]) / values.sum()
    return mean, vectors[:, ::-1][:, : int(np.searchsorted(share, energy)) + 1]


def _images() -> tuple[np.ndarray, np.ndarray]:
    """All 70,000 MNIST images (N, 784) in [0, 1], training images first, and their labels (N,)."""
    files = {key: fetch(source) for key, source in MNIST.items()}
    pixels = [read_idx(files[f"{p}_images"], 3).reshape(-1, 784) for p in ("train", "test")]
    labels = [read_idx(files[f"{p}_labels"], 1) for p in ("train", "test")]
    for x, y in zip(pixels, labels, strict=True):
        if len(x) != len(y):
            raise DatasetCorrupt(f"MNIST has {len(x)} images and {len(y)} labels; fetch it again.")
    return np.concatenate(pixels).astype(np.float32) / 255, np.concatenate(labels)


def _recordings() -> dict[tuple[str, int, int], tuple[np.ndarray, float]]:
    """{(speaker, take, digit): (one second of sound, mean power of the recording)}."""
    out = {}
    for name, content in read_members(FSDD).items():
        if not name.endswith(".wav"):
            continue
        digit, speaker, take = name.rpartition("/")[2].removesuffix(".wav").split("_")
        wave, rate = read_wav(io.BytesIO(content), name)
        wave = resample(wave, rate, RATE)
        power = float(np.square(wave).mean())
        out[speaker, int(take), int(digit)] = (centre(wave, RATE), power)
    return out


def _noises() -> list[np.ndarray]:
    """The background noises as waves (S,), each of its own length."""
    waves = [read_wav(io.BytesIO(c), n) for n, c in read_members(NOISE).items()]
    return [resample(w, rate, RATE) for w, rate in waves]


def _in(part: str, speaker: str, take: int, recipe: Recipe) -> bool:
    """Whether a recording belongs to a split."""
    return take in TAKES[part] if recipe["split"] == "take" else speaker in SPEAKERS[part]


def _piece(noise: np.ndarray, part: str) -> np.ndarray:
    """The piece of a noise that belongs to a split."""
    a, b = NOISE_PARTS[part]
    return noise[int(a * len(noise)) : int(b * len(noise))]


def _spectrograms(
    labels: np.ndarray,
    pool: list[tuple[np.ndarray, float]],
    digits: np.ndarray,
    noises: list[np.ndarray],
    recipe: Recipe,
    rng: np.random.Generator,
    part: str,
) -> Tensor:
    """Spectrograms (N, 1, mels, frames): for each label (N,) a recording of its digit, with a piece
    of noise drawn for it.
    """
    # All random choices come first: recording, noise file, and place in the file.
    waves = np.stack([w for w, _ in pool])
    powers = np.array([p for _, p in pool], dtype=np.float32)
    where = [np.flatnonzero(digits == d) for d in range(10)]
    take = np.array([rng.choice(where[d]) for d in labels])
    sizes = np.array([len(x) - RATE for x in noises])
    file = rng.integers(len(noises), size=len(labels))
    offset = (rng.random(len(labels)) * sizes[file]).astype(int)
    out = []
    blocks = range(0, len(labels), 256)  # bounds the memory
    for start in progress_bar(blocks, desc=f"spectrograms, {part}"):
        these = slice(start, start + 256)
        noise = [noises[f][o : o + RATE] for f, o in zip(file[these], offset[these], strict=True)]
        signal = torch.from_numpy(waves[take[these]])
        power = torch.from_numpy(powers[take[these]])
        noisy = mix(signal, torch.from_numpy(np.stack(noise)), float(recipe["snr_db"]), power)
        out.append(log_mel(noisy, RATE, **SIZES[recipe["size"]])[:, None])
    return torch.cat(out)
