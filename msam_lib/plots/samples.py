"""Pictures of data: what the samples of each modality look like."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msam_lib.errors import MsamError

LETTERS = "·abcdefghijklmnopqrstuvwxyz"  # code 0 is padding


class Part(Protocol):
    """One split: inputs {m: (N, ...)} and targets (N, ...), as tensors."""

    modalities: tuple[str, ...]
    inputs: Mapping[str, Any]
    targets: Any

    def __len__(self) -> int: ...


class Kind(Protocol):
    """What a modality is; see `data.Modality`."""

    @property
    def kind(self) -> str: ...


class Original(Protocol):
    """A sample before it was degraded; see `data.avmnist_mini.Original`."""

    @property
    def digit(self) -> int: ...
    @property
    def image(self) -> np.ndarray: ...
    @property
    def wave(self) -> np.ndarray: ...
    @property
    def rate(self) -> int: ...


class Samples(Protocol):
    """A loaded data set; see `data.DataSplits`."""

    @property
    def classes(self) -> Sequence[str]: ...
    @property
    def modalities(self) -> Mapping[str, Kind]: ...


def sample_grid(data: Samples, *, n: int = 5, split: str = "train", first: int = 0) -> Figure:
    """Samples of a split as a grid: a column per sample with its class above, a row per modality.

    Args:
        data: a loaded data set.
        n: number of samples, at least 1; fewer are shown at the end of the split.
        split: train, val or test.
        first: index of the first sample.

    Raises:
        MsamError: there is no such split or sample.
    """
    part: Part | None = getattr(data, split, None)
    if part is None or not 0 <= first < len(part) or n < 1:
        raise MsamError(
            f"split={split!r}, first={first}, n={n}: there is no such sample. Use train, val or "
            "test, an index within that split, and n of at least 1."
        )
    n = min(n, len(part) - first)
    names = part.modalities
    figure, axes = plt.subplots(
        len(names), n, figsize=(1.25 * n, 1.35 * len(names)), squeeze=False, layout="constrained"
    )
    # Samples from left to right, modalities from top to bottom.
    for column in range(n):
        answer = title(data.classes, part.targets[first + column].numpy())
        axes[0, column].set_title(answer, fontsize=9)
        for row, m in enumerate(names):
            draw_sample(
                axes[row, column], part.inputs[m][first + column].numpy(), data.modalities[m]
            )
    for row, m in enumerate(names):
        axes[row, 0].set_ylabel(m)
    plt.close(figure)
    return figure


def title(classes: Sequence[str], target: np.ndarray) -> str:
    """What is to be learnt of a sample, in words: its class, those of its segments in the order of
    their first occurrence, the labels that are on, or its number.

    >>> title(["bell", "background"], np.array([1, 0, 0, 1]))
    'background, bell'
    """
    if target.dtype.kind != "f":
        return ", ".join(dict.fromkeys(classes[int(k)] for k in target.ravel()))
    if target.ndim == 0:
        return f"{target:.2g}"
    return ", ".join(name for name, on in zip(classes, target, strict=True) if on)


def degraded_grid(originals: Sequence[Original], inputs: Mapping[str, Any]) -> Figure:
    """Samples before they were degraded, above what a network gets: a column per sample.

    From top to bottom: the image; the image as it is learnt from; the recording, on one scale
    of time and each at its own height; the spectrogram of it in noise, that is learnt from.

    Args:
        originals: n samples, as `avmnist_mini.original` gives them.
        inputs: their "visual" (n, 1, H, W) and "audio" (n, 1, H, W).
    """
    n = len(originals)
    figure, axes = plt.subplots(
        4, n, figsize=(1.35 * n + 0.6, 5.0), squeeze=False, layout="constrained"
    )
    seconds = max(len(o.wave) / o.rate for o in originals)
    for column, o in enumerate(originals):
        axes[0, column].imshow(o.image, cmap="gray_r")
        axes[0, column].set_title(str(o.digit))
        axes[1, column].imshow(inputs["visual"][column, 0].numpy(), cmap="gray_r")
        time, height = np.arange(len(o.wave)) / o.rate, float(np.abs(o.wave).max())
        axes[2, column].plot(time, o.wave, color="#404040", lw=0.5)
        axes[2, column].set(xlim=(0, seconds), ylim=(-height, height))
        axes[3, column].imshow(inputs["audio"][column, 0].numpy(), cmap="magma", origin="lower")
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
    for row, words in enumerate(("image", "image,\ndegraded", "voice", "voice,\nin noise")):
        axes[row, 0].set_ylabel(words)
    plt.close(figure)
    return figure


def draw_sample(ax: Axes, x: np.ndarray, modality: Kind) -> None:
    """Draw one sample of one modality, without ticks.

    Args:
        x: the sample, shaped as `data.Modality` says for its kind.
        modality: gives the kind.
    """
    ax.set(xticks=[], yticks=[])
    if modality.kind == "video":
        x = x[0]  # its first frame
    if modality.kind in ("image", "video", "spectrogram"):
        grey = modality.kind != "spectrogram"
        ax.imshow(
            x.mean(0),
            cmap="gray_r" if grey else "magma",
            origin="upper" if grey else "lower",
            aspect="equal" if grey else "auto",
        )
    elif modality.kind == "characters":
        word = "".join(LETTERS[int(c)] if c < len(LETTERS) else "?" for c in x if c)
        ax.text(0.5, 0.5, word, ha="center", va="center", transform=ax.transAxes)
    elif modality.kind == "sequence":
        ax.imshow(x.T, aspect="auto", cmap="RdBu_r", origin="lower")
    else:
        ax.bar(np.arange(x.size), x.ravel(), color="#8C8C8C")
