"""Filter banks as Kaldi computes them, of sounds at any rate."""

from __future__ import annotations

import math

import numpy as np
import torch

WINDOW, SHIFT = 0.025, 0.01  # seconds
LOWEST = 20.0  # Hz
EMPHASIS = 0.97
FLOOR = float(np.finfo(np.float32).eps)


def fbank(wave: np.ndarray, rate: int, bands: int = 128) -> np.ndarray:
    """Logarithms of the power in mel bands (T, bands), windows of 25 ms every 10 ms.

    As Kaldi's `compute-fbank-feats` with Hanning windows and without dither: each window loses its
    mean, is emphasised (x_t - 0.97 x_(t-1)) and padded to a power of two; the bands are triangles
    equally spaced from 20 Hz to half the rate in mel = 1127 ln(1 + f / 700). A band that is so
    narrow that no frequency of the transform falls in it (128 bands at 16 kHz have some) stays at
    the floor, as in torchaudio.

    Args:
        wave: (S,); one shorter than a window gives no steps.
        rate: Hz.
        bands: number of bands.
    """
    size, shift = int(WINDOW * rate), int(SHIFT * rate)
    if len(wave) < size:
        return np.zeros((0, bands), np.float32)
    frames = torch.from_numpy(wave).float().unfold(0, size, shift)
    frames = frames - frames.mean(1, keepdim=True)
    before = torch.cat([frames[:, :1], frames[:, :-1]], dim=1)
    frames = (frames - EMPHASIS * before) * torch.hann_window(size, periodic=False)
    points = 2 ** math.ceil(math.log2(size))
    power = torch.fft.rfft(frames, points).abs().square()
    return (power @ _triangles(bands, points, rate)).clamp_min(FLOOR).log().numpy()


def _triangles(bands: int, points: int, rate: int) -> torch.Tensor:
    """(points // 2 + 1, bands) triangles in mel; the highest frequency belongs to none."""
    frequency = torch.arange(points // 2 + 1, dtype=torch.float64) * rate / points
    mel = 1127 * torch.log1p(frequency / 700)[:, None]
    low, high = (1127 * math.log1p(f / 700) for f in (LOWEST, rate / 2))
    edges = torch.linspace(low, high, bands + 2, dtype=torch.float64)
    rising = (mel - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - mel) / (edges[2:] - edges[1:-1])
    bank = torch.minimum(rising, falling).clamp_min(0)
    bank[-1] = 0
    return bank.float()
