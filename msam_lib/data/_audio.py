"""From audio to log-mel spectrograms: wav files, resampling, mixing noise, the mel filter bank.

Everything works on batches of equally long waves (N, S), so that tens of thousands of one-second
clips take one pass of batched Fourier transforms on a laptop. Frames are not padded: `1 + (S -
window) // hop` of them.
"""

from __future__ import annotations

import math
import wave
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from torch import Tensor

from msam_lib.errors import DatasetCorrupt


def read_wav(source: str | Path | BinaryIO, name: str | None = None) -> tuple[np.ndarray, int]:
    """A 16-bit PCM wav file as (float32 samples (S,) in [-1, 1), rate in Hz); channels are
    averaged.

    Args:
        source: a path or an open binary file.
        name: of the file in errors; the path by default.

    Raises:
        DatasetCorrupt: not a wav file, not 16 bit, or shorter than its header says.
    """
    name = name or str(source)
    try:
        opened = str(source) if isinstance(source, Path) else source
        handle = wave.open(opened, "rb")  # noqa: SIM115 - closed by the block below
    except (wave.Error, EOFError) as error:
        raise DatasetCorrupt(
            f"{name} is not a PCM wav file ({error}). Delete it and fetch it again."
        ) from error
    with handle:
        width, channels, rate = (
            handle.getsampwidth(),
            handle.getnchannels(),
            handle.getframerate(),
        )
        if width != 2:
            raise DatasetCorrupt(f"{name} has {8 * width} bits per sample; 16 are needed.")
        raw = handle.readframes(handle.getnframes())
        # A truncated file gives fewer frames than its header promises.
        if len(raw) != 2 * channels * handle.getnframes():
            raise DatasetCorrupt(
                f"{name} is truncated: its header promises {handle.getnframes()} frames, "
                f"{len(raw) // (2 * channels)} are there. Delete it and fetch it again."
            )
    samples = np.frombuffer(raw, "<i2").astype(np.float32) / 32768
    return samples.reshape(-1, channels).mean(axis=1), rate


def write_wav(path: str | Path, samples: np.ndarray, rate: int) -> None:
    """Write samples (S,) in [-1, 1) as a mono 16-bit wav file with `rate` in Hz."""
    with wave.open(str(path), "wb") as handle:
        handle.setnchannels(1)
        handle.setsampwidth(2)
        handle.setframerate(rate)
        handle.writeframes((np.clip(samples, -1, 0.9999) * 32768).astype("<i2").tobytes())


def mu_law(samples: np.ndarray) -> np.ndarray:
    """Samples in [-1, 1] as int8 codes of the same shape: round(127 ln(1 + 255 |x|) / ln 256) with
    the sign of x. The steps grow with the sample, so quiet speech keeps its quality.

    Reference: the continuous form of ITU-T G.711's mu-law, mu = 255.

    >>> mu_law(np.array([-1.0, 0.0, 0.1, 1.0]))
    array([-127,    0,   75,  127], dtype=int8)
    """
    codes = 127 * np.log1p(255 * np.abs(samples)) / math.log(256)
    return np.round(np.copysign(codes, samples)).astype(np.int8)


def from_mu_law(codes: np.ndarray) -> np.ndarray:
    """The float32 samples that `mu_law` turned into int8 codes, within half a step: 2.2 % of the
    full scale for the loudest, 0.009 % around zero.
    """
    steps = np.abs(np.arange(-128, 128)) / 127
    table = np.copysign((256**steps - 1) / 255, np.arange(-128, 128))
    return table.astype(np.float32)[codes.astype(np.int16) + 128]


def resample(samples: np.ndarray, rate: int, new_rate: int) -> np.ndarray:
    """The samples (S,) at another rate in Hz: (S * new_rate / rate,), with the anti-aliasing filter
    of `scipy.signal.resample_poly`.
    """
    if rate == new_rate:
        return samples
    from scipy.signal import resample_poly  # slow to import, and not always needed

    common = math.gcd(rate, new_rate)
    return resample_poly(samples, new_rate // common, rate // common).astype(np.float32)


def centre(samples: np.ndarray, length: int) -> np.ndarray:
    """The samples (S,) as (length,): the middle of a longer wave, a shorter one between zeros."""
    cut = max(0, len(samples) - length) // 2
    samples = samples[cut : cut + length]
    before = (length - len(samples)) // 2
    return np.pad(samples, (before, length - len(samples) - before))


def mix(signal: Tensor, noise: Tensor, snr_db: float, power: Tensor | None = None) -> Tensor:
    """The signals (N, S) with noise, scaled per wave so that snr_db = 10 log10(signal power / noise
    power).

    Args:
        signal, noise: (N, S).
        snr_db: decibels; `math.inf` adds nothing.
        power: (N,) mean power of each signal; by default over all S samples. A recording between
            zeros has the power of the recording, without the silence around it.
    """
    if math.isinf(snr_db):
        return signal
    power = signal.square().mean(1) if power is None else power
    target = power / 10 ** (snr_db / 10)
    actual = noise.square().mean(1).clamp_min(1e-12)
    return signal + noise * (target / actual).sqrt()[:, None]


def mel_filterbank(n_mels: int, n_fft: int, rate: int) -> Tensor:
    """(n_fft // 2 + 1, n_mels) triangles of height 1, equally spaced in mel = 2595 log10(1 + f /
    700).

    They reach from 0 Hz to rate / 2; neighbours overlap by half (O'Shaughnessy 1987; the HTK book,
    5.6).

    Args:
        n_mels: number of triangles.
        n_fft: length of the Fourier transform.
        rate: Hz.

    Raises:
        ValueError: a triangle falls between two frequency bins and would always give zero.
    """
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, n_mels + 2, dtype=torch.float64) / 2595) - 1)
    bins = torch.linspace(0, rate / 2, n_fft // 2 + 1, dtype=torch.float64)[:, None]
    low, mid, high = edges[:-2], edges[1:-1], edges[2:]
    bank = torch.minimum((bins - low) / (mid - low), (high - bins) / (high - mid)).clamp_min(0)
    if bool((bank.sum(0) == 0).any()):
        raise ValueError(
            f"n_mels={n_mels} is too many for n_fft={n_fft}: a filter is empty. Use fewer bands or "
            "a longer transform."
        )
    return bank.float()


def log_mel(
    waves: Tensor, rate: int, *, n_mels: int, window: int, hop: int, n_fft: int | None = None
) -> Tensor:
    """Log-mel spectrograms (N, n_mels, frames) of waves (N, S): natural logarithms of the power.

    Args:
        waves: (N, S).
        rate: Hz.
        n_mels: number of mel bands.
        window, hop: length and distance of the (Hann) windows in samples.
        n_fft: length of the (zero-padded) Fourier transform; `window` by default.
    """
    n_fft = n_fft or window
    frames = waves.unfold(1, window, hop) * torch.hann_window(window, periodic=True)  # (N, F, W)
    power = torch.fft.rfft(frames, n=n_fft).abs().square()  # (N, frames, bins)
    mel = power @ mel_filterbank(n_mels, n_fft, rate)
    return (mel + 1e-6).log().transpose(1, 2).contiguous()
