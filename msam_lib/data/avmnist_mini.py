"""`avmnist_mini`: AV-MNIST in small, of real images, real voices and real noise. No download.

The recipe is that of `avmnist`, and so are the splits: 3,000 images of MNIST, 900 recordings of six
speakers and two minutes of background noise, each from the split of `avmnist` that it is in here.
No image, no recording and no piece of noise is in two splits. `tools/make_avmnist_mini.py` chose
them and wrote the files beside this one; the sound is stored in 8 bits (mu-law). Sources and
licences: `embedded/avmnist_mini/LICENCES.txt`.

Two options set how hard each modality is: `energy` for the images, `snr_db` for the speech.
`original` gives a sample as it was before, to be shown and played.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from msam_lib._utils.arguments import check_arguments
from msam_lib._utils.options import Count, Share
from msam_lib._utils.settings import Decibels, Names, Seed
from msam_lib.data._audio import from_mu_law
from msam_lib.data._avmnist_recipe import (
    RATE,
    Pool,
    check_levels,
    count_samples,
    draws,
    make_tensors,
    noisy_waves,
)
from msam_lib.data.avmnist import TAKES
from msam_lib.data.containers import DataSplits, Modality, MultimodalDataset, choose_modalities
from msam_lib.errors import MsamError, unknown_name

FOLDER = Path(__file__).parent / "embedded" / "avmnist_mini"
COUNTS = {"train": 1800, "val": 300, "test": 900}  # images, stored in this order
PAIRS = {**COUNTS, "train": 5400}  # samples: a training image is paired with three recordings
NOISE_SECONDS = {"train": 12, "val": 3, "test": 5}  # of each of the six, stored in this order
MODALITIES = {
    "audio": Modality("spectrogram", (1, 32, 32)),
    "visual": Modality("image", (1, 28, 28)),
}


class Original(NamedTuple):
    """A sample before it was degraded.

    Args:
        digit: 0 to 9.
        image: (28, 28) in [0, 1], with all of its energy.
        wave: the recording (S,) in [-1, 1], S samples at `rate`.
        noisy: one second (8000,) with the noise that the data set has it in; it may exceed 1.
        rate: Hz.
        speaker, take: who says it, and which of the speaker's recordings of the digit it is.
        number: of the image in MNIST, the 60,000 training images first.
    """

    digit: int
    image: np.ndarray
    wave: np.ndarray
    noisy: np.ndarray
    rate: int
    speaker: str
    take: int
    number: int


class _Stored(NamedTuple):
    """What the files hold: the pools of the splits, and facts on every image and recording."""

    pools: dict[str, Pool]
    waves: dict[str, list[np.ndarray]]  # the recordings of each pool, uncut
    speakers: dict[str, np.ndarray]
    takes: dict[str, np.ndarray]
    numbers: dict[str, np.ndarray]


@functools.cache
def _stored() -> _Stored:
    """The decoded files, read once in a process; nothing changes them."""
    files = {}
    for name in ("images", "speech", "noise"):
        with np.load(FOLDER / f"{name}.npz", allow_pickle=False) as file:
            files[name] = dict(file)
    images, speech, noise = files["images"], files["speech"], files["noise"]
    waves = np.split(from_mu_law(speech["codes"]), np.cumsum(speech["lengths"])[:-1])
    waves = [peak * wave for wave, peak in zip(waves, speech["peaks"], strict=True)]
    sound = from_mu_law(noise["codes"]) * noise["peaks"][:, None]  # (6, S)
    out = _Stored({}, {}, {}, {}, {})
    first, second = 0, 0  # of the split's images and noise
    for part, n in COUNTS.items():
        these = slice(first, first + n)
        rows = np.flatnonzero(np.isin(speech["takes"], TAKES[part]))
        piece = slice(second * RATE, (second + NOISE_SECONDS[part]) * RATE)
        first, second = first + n, second + NOISE_SECONDS[part]
        out.waves[part] = [waves[row] for row in rows]
        out.speakers[part], out.takes[part] = speech["speakers"][rows], speech["takes"][rows]
        out.numbers[part] = images["numbers"][these]
        out.pools[part] = Pool.of(
            images["pixels"][these].reshape(n, -1).astype(np.float32) / 255,
            images["labels"][these],
            out.waves[part],
            speech["digits"][rows],
            list(sound[:, piece]),
        )
    return out


@functools.lru_cache(maxsize=2)
def _tensors(
    n_train: int, n_val: int, n_test: int, *, seed: int, snr_db: float, energy: float
) -> dict[str, Tensor]:
    """The tensors of the last options, made once in a process; callers get copies."""
    counts = {"train": n_train, "val": n_val, "test": n_test}
    return make_tensors(
        _stored().pools, counts, seed=seed, snr_db=snr_db, energy=energy, size="mini"
    )


def load(
    *,
    seed: Seed = 0,
    modalities: Names | None = None,
    snr_db: Decibels | None = -12.0,
    energy: Share | None = 0.25,
    n_train: Count | None = None,
    n_val: Count | None = None,
    n_test: Count | None = None,
) -> DataSplits:
    """AV-MNIST in small: audio (1, 32, 32), visual (1, 28, 28), ten classes.

    Args:
        seed: draws pairs, places in the noise and subsets. `snr_db` and `energy` change none of
            these, so that a sample keeps its image, its recording and its piece of noise.
        modalities: from "audio" and "visual", both by default.
        snr_db: signal-to-noise ratio of the audio in decibels; None (or `inf`) for clean speech.
        energy: share of the images' variance that the kept principal components hold at least;
            None (or 1) for the images as they are.
        n_train, n_val, n_test: number of pairs, drawn at random; 5,400 / 300 / 900 by default, and
            at most. Up to 1,800 training pairs have different images; beyond, each image is paired
            with another recording in other noise up to three times.

    Raises:
        MsamError: a value that is not allowed.
    """
    check_arguments(load, locals())
    snr_db, energy = check_levels(snr_db, energy)
    counts = count_samples({"train": n_train, "val": n_val, "test": n_test}, PAIRS)
    names = choose_modalities(modalities, list(MODALITIES))
    options = {"seed": seed, "snr_db": snr_db, "energy": energy}
    tensors = _tensors(*counts.values(), **options)
    facts = json.loads((FOLDER / "provenance.json").read_text())
    parts = {
        p: MultimodalDataset(
            {m: tensors[f"{p}_{m}"].clone() for m in names}, tensors[f"{p}_targets"].clone()
        )
        for p in COUNTS
    }
    return DataSplits(
        name="avmnist_mini",
        train=parts["train"],
        val=parts["val"],
        test=parts["test"],
        modalities={m: MODALITIES[m] for m in names},
        classes=tuple(str(d) for d in range(10)),
        provenance=(
            f"Images: {facts['images']}, reduced by PCA to {100 * energy:g} % of their energy. "
            f"Speech: {facts['speech']}. Noise: {facts['noise']}, at {snr_db} dB. All are "
            "real. The default of -12 dB is a calibration: each modality alone then reaches about "
            "the accuracy that the paper has for it."
        ),
        recipe={**options, **counts, "sha256": facts["sha256"], "modalities": names},
    )


def original(data: DataSplits, split: str, index: int) -> Original:
    """The sample `index` of a split as it was before it was degraded.

    Args:
        data: as `load` returned it, whichever its options.
        split: train, val or test.
        index: of the sample in `getattr(data, split)`; its degraded image is
            `getattr(data, split).inputs["visual"][index, 0]`.

    Raises:
        MsamError: another data set, an unknown split, or an index outside it.

    >>> sample = original(load(n_train=1, n_val=1, n_test=10), "test", 3)
    >>> sample.image.shape, sample.noisy.shape, len(sample.wave) / sample.rate < 2.5
    ((28, 28), (8000,), True)
    """
    if data.name != "avmnist_mini":
        raise MsamError(f"{data.name!r} keeps no originals; load 'avmnist_mini'.")
    if split not in COUNTS:
        raise unknown_name("split", split, COUNTS)
    counts = {part: len(getattr(data, part)) for part in COUNTS}
    if not 0 <= index < counts[split]:
        raise MsamError(f"index={index}; the {split} split has samples 0 to {counts[split] - 1}.")
    stored = _stored()
    recipe: dict[str, Any] = dict(data.recipe)
    pool = stored.pools[split]
    draw = draws(stored.pools, counts, recipe["seed"])[split]
    image, recording = int(draw.image[index]), int(draw.recording[index])
    noisy = noisy_waves(pool, draw, recipe["snr_db"], slice(index, index + 1))
    return Original(
        digit=int(pool.labels[image]),
        image=pool.images[image].reshape(28, 28),
        wave=stored.waves[split][recording],
        noisy=noisy[0].numpy(),
        rate=RATE,
        speaker=str(stored.speakers[split][recording]),
        take=int(stored.takes[split][recording]),
        number=int(stored.numbers[split][image]),
    )
