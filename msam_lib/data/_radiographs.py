"""X-rays: rotated, shifted and scaled as a whole, and cut in the middle."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib.data.transforms import IMAGENET_MEAN, IMAGENET_STD, Generators
from msam_lib.errors import MsamError

MIDDLE = 224 / 256  # side of the part that is kept


@dataclass(frozen=True)
class Radiographs:
    """Float32 images (B, 3, size, size), normalised as ImageNet's, of stored grey bytes (B, 1, H,
    H): the middle, 7/8 of a side. In training, where `augment` is set, the image is first rotated
    by up to 45 degrees, shifted by up to 15 % of its side and scaled by 0.85 to 1.15, black
    outside.

    As in the code of MASAM; nothing is mirrored (MedFuse's code does).

    >>> Radiographs(8)(torch.zeros(2, 1, 12, 12, dtype=torch.uint8)).shape
    torch.Size([2, 3, 8, 8])
    """

    size: int = 224
    augment: bool = False

    def __post_init__(self) -> None:
        if self.size < 1:
            raise MsamError(f"size={self.size}; an image needs at least 1 pixel a side.")

    def __call__(self, raw: Tensor, generators: Generators | None = None) -> Tensor:
        if generators is not None and self.augment:
            maps = torch.stack([_map(g) for g in generators])
        else:
            maps = (torch.eye(2, 3) * MIDDLE).expand(len(raw), 2, 3)
        # The grid has the resolution of the stored image, so that nothing is aliased.
        side = max(1, round(raw.shape[-1] * MIDDLE))
        grid = F.affine_grid(maps.float(), [len(raw), 1, side, side], align_corners=False)
        grey = F.grid_sample(raw.float(), grid, align_corners=False)
        if side != self.size:
            grey = F.interpolate(grey, (self.size, self.size), mode="bilinear", antialias=True)
        std = torch.tensor(IMAGENET_STD).view(-1, 1, 1)
        mean = torch.tensor(IMAGENET_MEAN).view(-1, 1, 1)
        return grey / (255 * std) - mean / std

    def shape(self, stored: tuple[int, ...]) -> tuple[int, ...]:
        return (3, self.size, self.size)


def _map(generator: np.random.Generator) -> Tensor:
    """(2, 3): from places of the cut image, in [-1, 1], to places of the stored one."""
    angle = math.radians(generator.uniform(-45, 45))
    scale = generator.uniform(0.85, 1.15)
    x, y = generator.uniform(-0.3, 0.3, 2)  # the side is 2 long
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    turn = torch.tensor([[cos, sin], [-sin, cos]], dtype=torch.float32)
    shift = turn @ torch.tensor([[-x], [-y]], dtype=torch.float32)
    return torch.cat([MIDDLE * turn, shift], dim=1)
