"""The recipe that `avmnist` and `avmnist_mini` share: from images, recordings and noises to
samples.

Every sample is an image, a recording of the same digit and a piece of noise of its own. All random
choices are made first (`draws`), and depend on the seed and the numbers of samples only: neither
the noise level nor the energy changes which recording a sample has.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from msam_lib._utils.progress import progress_bar
from msam_lib.data._audio import centre, log_mel, mix
from msam_lib.errors import MsamError

RATE = 8000  # Hz
SIZES: dict[str, dict[str, int]] = {  # of the spectrograms, which get (mel bands, frames)
    "mini": {"n_mels": 32, "window": 512, "hop": 241, "n_fft": 512},  # (32, 32)
    "small": {"n_mels": 40, "window": 256, "hop": 160, "n_fft": 512},  # (40, 49)
    "paper": {"n_mels": 112, "window": 320, "hop": 69, "n_fft": 2048},  # (112, 112)
}


@dataclass(frozen=True)
class Pool:
    """What the samples of one split are drawn from.

    Args:
        images: (N, 784) in [0, 1].
        labels: their digits (N,).
        waves: recordings (R, RATE), one second each.
        powers: mean power of each recording (R,), without the silence around it.
        digits: spoken in them (R,).
        noises: waves (S,), each of its own length above RATE.
    """

    images: np.ndarray
    labels: np.ndarray
    waves: np.ndarray
    powers: np.ndarray
    digits: np.ndarray
    noises: list[np.ndarray]

    @classmethod
    def of(
        cls,
        images: np.ndarray,
        labels: np.ndarray,
        recordings: Sequence[np.ndarray],
        digits: Sequence[int],
        noises: list[np.ndarray],
    ) -> Pool:
        """The pool of recordings (S,) of any length, which are centred in a second."""
        return cls(
            images,
            labels,
            np.stack([centre(wave, RATE) for wave in recordings]),
            np.array([float(np.square(wave).mean()) for wave in recordings], dtype=np.float32),
            np.array(digits),
            noises,
        )


@dataclass(frozen=True)
class Draw:
    """The choices for N samples, each (N,): rows of a pool, and where its piece of noise begins."""

    image: np.ndarray
    recording: np.ndarray
    noise: np.ndarray
    offset: np.ndarray


def count_samples(given: Mapping[str, int | None], totals: Mapping[str, int]) -> dict[str, int]:
    """Number of samples by split: those given, all of them for None.

    Raises:
        MsamError: a number below 1 or above the total.
    """
    counts = {part: totals[part] if n is None else n for part, n in given.items()}
    for part, n in counts.items():
        if not 1 <= n <= totals[part]:
            raise MsamError(f"n_{part}={n}; it must lie between 1 and {totals[part]}.")
    return counts


def check_levels(snr_db: float | None, energy: float | None) -> tuple[float, float]:
    """Both as numbers; None, which leaves a modality clean, is `inf` and 1.

    Raises:
        MsamError: a ratio that is not a number, or an energy outside (0, 1].
    """
    ratio, share = math.inf if snr_db is None else snr_db, 1.0 if energy is None else energy
    if math.isnan(ratio) or ratio == -math.inf:
        raise MsamError(f"snr_db={snr_db}; a number of decibels, or None (or inf) for no noise.")
    if not 0 < share <= 1:
        raise MsamError(f"energy={energy}; above 0 and at most 1, or None for the whole image.")
    return ratio, share


def draws(pools: Mapping[str, Pool], counts: Mapping[str, int], seed: int) -> dict[str, Draw]:
    """The samples of every split: a random subset of its images, in order, and for each image a
    recording of its digit, a noise and a place in it. Where there are more samples than images,
    every image is used equally often, give or take one.
    """
    rng = np.random.default_rng(seed)
    return {part: _draw(pool, counts[part], rng) for part, pool in pools.items()}


def _draw(pool: Pool, n: int, rng: np.random.Generator) -> Draw:
    """n samples of one split."""
    image = np.sort(np.resize(rng.permutation(len(pool.images)), n))
    where = [np.flatnonzero(pool.digits == d) for d in range(10)]
    recording = np.array([rng.choice(where[d]) for d in pool.labels[image]])
    room = np.array([len(x) - RATE for x in pool.noises])
    noise = rng.integers(len(pool.noises), size=n)
    return Draw(image, recording, noise, (rng.random(n) * room[noise]).astype(int))


def noisy_waves(pool: Pool, draw: Draw, snr_db: float, rows: Any = slice(None)) -> Tensor:
    """The recordings of the samples `rows` in their noise: (N, RATE)."""
    noise = [
        pool.noises[k][o : o + RATE]
        for k, o in zip(draw.noise[rows], draw.offset[rows], strict=True)
    ]
    recording = draw.recording[rows]
    return mix(
        torch.from_numpy(pool.waves[recording]),
        torch.from_numpy(np.stack(noise)),
        snr_db,
        torch.from_numpy(pool.powers[recording]),
    )


def principal_components(x: np.ndarray, energy: float = 0.25) -> tuple[np.ndarray, np.ndarray]:
    """Mean (D,) of x (N, D) and the first principal directions (D, K), as many as are needed to
    hold the share `energy` of the variance.
    """
    mean = x.mean(0)
    covariance = np.cov(x, rowvar=False)
    values, vectors = np.linalg.eigh(covariance)
    share = np.cumsum(values[::-1]) / values.sum()
    return mean, vectors[:, ::-1][:, : int(np.searchsorted(share, energy)) + 1]


def make_tensors(
    pools: Mapping[str, Pool],
    counts: Mapping[str, int],
    *,
    seed: int,
    snr_db: float,
    energy: float,
    size: str,
) -> dict[str, Tensor]:
    """Tensors {<split>_<modality>, <split>_targets} of all splits; "train" is one of them.

    The principal components are fitted on all training images, whatever their number of samples;
    an energy of 1 leaves the images as they are.
    """
    components = principal_components(pools["train"].images, energy) if energy < 1 else None
    out: dict[str, Tensor] = {}
    for part, draw in draws(pools, counts, seed).items():
        pool = pools[part]
        flat = pool.images[draw.image]
        if components:
            mean, kept = components
            flat = mean + (flat - mean) @ kept @ kept.T
        out[f"{part}_visual"] = torch.from_numpy(flat.reshape(-1, 1, 28, 28).astype(np.float32))
        out[f"{part}_targets"] = torch.from_numpy(pool.labels[draw.image].astype(np.int64))
        blocks = range(0, len(flat), 256)  # bounds the memory
        spectra = [
            log_mel(noisy_waves(pool, draw, snr_db, slice(b, b + 256)), RATE, **SIZES[size])
            for b in progress_bar(blocks, show=len(flat) > 4000, desc=f"spectrograms, {part}")
        ]
        out[f"{part}_audio"] = torch.cat(spectra)[:, None]
    audio = out["train_audio"]
    middle, spread = audio.mean((0, 3), keepdim=True), audio.std((0, 3), keepdim=True)
    for part in pools:  # standardised per mel band with the training split's statistics
        out[f"{part}_audio"] = (out[f"{part}_audio"] - middle) / spread
    return out
