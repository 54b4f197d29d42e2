"""Weights as one vector: the order of a block's parameters, gradients, and random vectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from msam_lib._utils.vectors import flat
from msam_lib.errors import MsamError


class Layout:
    """Where each parameter lies in the flat vector (p,) of a block."""

    def __init__(self, parameters: Mapping[str, Tensor]) -> None:
        self.names = tuple(parameters)
        self.shapes = [p.shape for p in parameters.values()]
        self.sizes = [p.numel() for p in parameters.values()]
        self.size = sum(self.sizes)

    def split(self, v: Tensor) -> list[Tensor]:
        """Views of v (p,), one per parameter, in its shape."""
        if v.shape != (self.size,):
            raise MsamError(
                f"A vector of shape {tuple(v.shape)} was given; this block needs ({self.size},)."
            )
        return [x.view(s) for x, s in zip(v.split(self.sizes), self.shapes, strict=True)]

    def named(self, v: Tensor) -> dict[str, Tensor]:
        """{parameter name: its part of v}, e.g. to use an eigenvector as a direction."""
        return dict(zip(self.names, self.split(v), strict=True))

    def segments(self, blocks: Mapping[str, Sequence[str]]) -> dict[str, Tensor]:
        """{block: boolean mask (p,)}, for the blocks that have parameters here."""
        out = {}
        for block, names in blocks.items():
            flags = [n in set(names) for n in self.names]
            if any(flags):
                out[block] = torch.repeat_interleave(torch.tensor(flags), torch.tensor(self.sizes))
        return out


def flat_gradient(gradients: Sequence[Tensor | None], parameters: Sequence[Tensor]) -> Tensor:
    """Gradients as one vector, zero for the parameters that the loss does not depend on."""
    pairs = zip(gradients, parameters, strict=True)
    return flat([torch.zeros_like(p) if g is None else g for g, p in pairs])


def random_vector(
    size: int, seed: int, index: int, *, like: Tensor, kind: str = "rademacher"
) -> Tensor:
    """Vector number `index` of the sequence that belongs to `seed`; the same on every device.

    Args:
        size: p.
        seed, index: each pair gives an independent stream, so adding probes leaves the earlier
            ones unchanged.
        like: for device and precision.
        kind: `"rademacher"` (±1) or `"gaussian"` (N(0, 1)).
    """
    # Drawn on the CPU: each kind of device has random numbers of its own.
    generator = torch.Generator().manual_seed((seed * 1_000_003 + index) % 2**63)
    if kind == "gaussian":
        return torch.randn(size, generator=generator).to(like)
    return torch.empty(size).bernoulli_(0.5, generator=generator).mul_(2).sub_(1).to(like)
