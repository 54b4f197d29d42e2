"""Weights as one vector: the order of a block's parameters, random vectors, and f(θ) on a working
copy.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from msam_lib.diagnostics._blocks import select
from msam_lib.diagnostics._common import (
    Block,
    Data,
    Loss,
    collect,
    finite,
    fused_loss,
    session,
    shares,
)
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


def flatten(tensors: Sequence[Tensor]) -> Tensor:
    """One vector of all tensors, in order."""
    return torch.cat([t.reshape(-1) for t in tensors])


def random_vector(
    size: int, seed: int, index: int, *, like: Tensor, kind: str = "rademacher"
) -> Tensor:
    """Vector number `index` of the sequence that belongs to `seed`; the same on every device.

    Args:
        size: p.
        seed, index: each pair is a stream of its own, so adding probes leaves the earlier ones
            unchanged.
        like: for device and precision.
        kind: `"rademacher"` (±1) or `"gaussian"` (N(0, 1)).
    """
    generator = torch.Generator().manual_seed((seed * 1_000_003 + index) % 2**63)
    if kind == "gaussian":
        return torch.randn(size, generator=generator).to(like)
    return torch.empty(size).bernoulli_(0.5, generator=generator).mul_(2).sub_(1).to(like)


class Surface:
    """f(θ) and its gradient on a working copy of the model, as functions of the displacement of one
    block.

    The caller's model is never moved. The copy is in float64 by default: in a flat minimum the loss
    changes by less than a float32 can tell.

    Args:
        model, data, block, loss, samples, batch_size, mode, seed: as everywhere in this package.
        dtype: precision of the copy.

    Raises:
        NonFiniteLoss: where f(θ) itself is not finite.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        block: Block = "all",
        *,
        loss: Loss | None = None,
        samples: int | None = None,
        batch_size: int = 500,
        mode: str = "eval",
        dtype: torch.dtype = torch.float64,
        seed: int = 0,
    ) -> None:
        names = tuple(select(model, block))
        if next(model.parameters()).device.type == "mps":
            dtype = torch.float32  # the only one there is
        self.model = copy.deepcopy(model).to(dtype)
        own = dict(
            self.model.named_parameters()
        )  # by name: a wrapped model knows its blocks by identity
        self.parameters = [own[n] for n in names]
        self.layout = Layout({n: own[n] for n in names})
        self.loss, self.mode, self.evaluations = loss or fused_loss, mode, 0
        self.batches = collect(
            self.model, data, samples=samples, batch_size=batch_size, seed=seed, dtype=dtype
        )
        self.shares = shares(self.batches)
        self.origin = flatten([p.detach() for p in self.parameters])  # (p,)
        self.base = self.value(torch.zeros_like(self.origin))
        finite(self.base)

    def _move(self, displacement: Tensor) -> None:
        with torch.no_grad():
            for p, x in zip(
                self.parameters, self.layout.split(self.origin + displacement), strict=True
            ):
                p.copy_(x)

    def value(self, displacement: Tensor) -> float:
        """f(θ + displacement)."""
        self._move(displacement)
        self.evaluations += 1
        with session(self.model, mode=self.mode, parameters=()), torch.no_grad():
            return sum(
                w * float(self.loss(self.model, b))
                for w, b in zip(self.shares, self.batches, strict=True)
            )

    def value_and_gradient(self, displacement: Tensor) -> tuple[float, Tensor]:
        """f(θ + displacement) and its gradient (p,)."""
        self._move(displacement)
        self.evaluations += 1
        value, total = 0.0, torch.zeros_like(self.origin)
        with session(self.model, mode=self.mode, parameters=self.parameters):
            for w, b in zip(self.shares, self.batches, strict=True):
                f = self.loss(self.model, b)
                grads = torch.autograd.grad(f, self.parameters, allow_unused=True)
                pairs = zip(grads, self.parameters, strict=True)
                total += w * flatten([torch.zeros_like(p) if g is None else g for g, p in pairs])
                value += w * float(f.detach())
        return value, total
