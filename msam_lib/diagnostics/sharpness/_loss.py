"""f(θ) on a working copy of the model, as a function of the displacement of one block."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from msam_lib.diagnostics._blocks import select
from msam_lib.diagnostics._losses import Block, Loss, finite, fused_loss
from msam_lib.diagnostics._samples import Data, collect, shares
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics._vectors import Layout, flatten


class DisplacedLoss:
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
