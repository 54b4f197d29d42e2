"""From stored rows to tensors, a batch at a time: resized or randomly cropped images, and numbers.

A transform is called as `transform(raw, generators)` with raw rows (B, ...) of an array on disk and
returns float32 (B, ...). With generators, one per sample, it varies the samples at random, as in
training; with None it does not, as in evaluation. All randomness comes from the generators, so a
sample looks the same whichever batch, thread or resumed run reads it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib.errors import MsamError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
Generators = Sequence[np.random.Generator]


class Transform(Protocol):
    """What makes float32 tensors of stored rows."""

    def __call__(self, raw: Tensor, generators: Generators | None = None) -> Tensor: ...

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        """Shape of a sample, from the shape in which it is stored."""


@dataclass(frozen=True)
class Numbers:
    """Float32 of any stored numbers: `(x - mean) / std`, by default as they are.

    Args:
        mean, std: numbers, or arrays that broadcast to a sample's shape.
        limit: cut to ±limit; None cuts nothing.
    """

    mean: float | np.ndarray = 0.0
    std: float | np.ndarray = 1.0
    limit: float | None = None

    def __call__(self, raw: Tensor, generators: Generators | None = None) -> Tensor:
        x = raw.float()
        if np.any(np.asarray(self.mean) != 0) or np.any(np.asarray(self.std) != 1):
            mean = torch.as_tensor(self.mean, dtype=torch.float32)
            x = (x - mean) / torch.as_tensor(self.std, dtype=torch.float32)
        return x if self.limit is None else x.clamp(-self.limit, self.limit)

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return stored


AS_STORED = Numbers()


@dataclass(frozen=True)
class Images:
    """Float32 images (..., C, size, size) of stored bytes (..., C, H, W), normalised per channel.

    In evaluation an image is resized to (size, size), whatever its proportions; in training, where
    `augment` is set, a piece of 8 to 100 % of its area and of proportions 3:4 to 4:3 is cut out and
    resized (Szegedy et al., CVPR 2015, section 6), and every second image is mirrored. The frames
    of a sample are cut each for itself. Bilinear, with antialiasing.

    Args:
        size: pixels of a side.
        augment: whether training samples are cut and mirrored.
        mean, std: per channel, of values in [0, 1]; ImageNet's by default.

    >>> Images(8)(torch.zeros(2, 3, 12, 16, dtype=torch.uint8)).shape
    torch.Size([2, 3, 8, 8])
    """

    size: int = 224
    augment: bool = False
    mean: tuple[float, ...] = IMAGENET_MEAN
    std: tuple[float, ...] = IMAGENET_STD

    def __post_init__(self) -> None:
        if self.size < 1:
            raise MsamError(f"size={self.size}; an image needs at least 1 pixel a side.")

    def __call__(self, raw: Tensor, generators: Generators | None = None) -> Tensor:
        *lead, c, _, _ = raw.shape
        if generators is not None and self.augment:
            frames = raw.flatten(0, -4) if len(lead) > 1 else raw  # (B * T, C, H, W)
            every = frames.shape[0] // len(generators) if len(generators) else 1
            pieces = [self._piece(x, generators[i // every]) for i, x in enumerate(frames)]
            images = torch.stack(pieces)
        else:
            images = _resized(raw.reshape(-1, *raw.shape[-3:]), self.size)
        # (x / 255 - mean) / std as one product and one sum
        std = torch.tensor(self.std).view(-1, 1, 1)
        mean = torch.tensor(self.mean).view(-1, 1, 1)
        out = images.float().mul_(1 / (255 * std)).sub_(mean / std)
        return out.view(*lead, c, self.size, self.size)

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return (*stored[:-2], self.size, self.size)

    def _piece(self, x: Tensor, generator: np.random.Generator) -> Tensor:
        """A random piece of the image (C, H, W) as (C, size, size), mirrored or not."""
        top, left, height, width = crop_box(x.shape[-2], x.shape[-1], generator)
        piece = _resized(x[None, :, top : top + height, left : left + width], self.size)[0]
        return piece.flip(-1) if generator.random() < 0.5 else piece


def crop_box(height: int, width: int, generator: np.random.Generator) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a random piece with 8 to 100 % of the area and proportions 3:4
    to 4:3; where ten draws do not fit, the largest piece in the middle that does.

    Args:
        height, width: of the image in pixels.
        generator: of the draws.
    """
    for _ in range(10):
        area = height * width * generator.uniform(0.08, 1.0)
        ratio = math.exp(generator.uniform(math.log(3 / 4), math.log(4 / 3)))  # width / height
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top, left = generator.integers(height - h + 1), generator.integers(width - w + 1)
            return int(top), int(left), h, w
    w = min(width, round(height * 4 / 3))
    h = min(height, round(width * 4 / 3))
    return (height - h) // 2, (width - w) // 2, h, w


def _resized(x: Tensor, size: int) -> Tensor:
    """Byte images (B, C, H, W) as (B, C, size, size)."""
    if x.shape[-2:] == (size, size):
        return x
    return F.interpolate(x, (size, size), mode="bilinear", antialias=True)
