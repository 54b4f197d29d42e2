"""Several tensors as one vector, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor


def flat(tensors: Iterable[Tensor]) -> Tensor:
    """All tensors as one vector, in order."""
    return torch.cat([t.reshape(-1) for t in tensors])


def unflat(vector: Tensor, like: Sequence[Tensor]) -> list[Tensor]:
    """A vector cut into tensors of these shapes."""
    sizes = [t.numel() for t in like]
    return [v.view_as(t) for v, t in zip(vector.split(sizes), like, strict=True)]
