"""f(θ) on a working copy of the model, as a function of the displacement of one block."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from msam_lib._utils.vectors import flat
from msam_lib.diagnostics._blocks import ALL, Block, select
from msam_lib.diagnostics._losses import finite, fused_loss
from msam_lib.diagnostics._samples import ALL_SAMPLES, Data, Sampling, collect, shares
from msam_lib.diagnostics._session import session
from msam_lib.diagnostics._vectors import Layout, flat_gradient


class DisplacedLoss:
    """f(θ) and its gradient on a working copy of the model, as functions of the displacement of one
    block.

    The caller's model is never moved. The copy is in float64 by default: in a flat minimum the loss
    changes by less than float32 resolves.

    Args:
        model, data, block, sampling: as for `HessianOperator`.
        dtype: precision of the copy.

    Raises:
        NonFiniteLoss: where f(θ) itself is not finite.
    """

    def __init__(
        self,
        model: nn.Module,
        data: Data,
        block: Block = ALL,
        *,
        sampling: Sampling = ALL_SAMPLES,
        dtype: torch.dtype = torch.float64,
    ) -> None:
        names = tuple(select(model, block))
        if next(model.parameters()).device.type == "mps":
            dtype = torch.float32  # MPS has no float64
        self.model = copy.deepcopy(model).to(dtype)
        # By name: a wrapped model recognises its blocks by identity, which a copy does not share.
        copied = dict(self.model.named_parameters())
        self.parameters = [copied[n] for n in names]
        self.layout = Layout({n: copied[n] for n in names})
        self.loss, self.mode, self.evaluations = sampling.loss or fused_loss, sampling.mode, 0
        self.batches = collect(self.model, data, sampling, dtype=dtype)
        self.shares = shares(self.batches)
        self.origin = flat([p.detach() for p in self.parameters])  # (p,)
        self.base = self.value(torch.zeros_like(self.origin))
        finite(self.base)

    def _move(self, displacement: Tensor) -> None:
        with torch.no_grad():
            # From the origin every time, so that no rounding errors add up.
            parts = self.layout.split(self.origin + displacement)
            for p, x in zip(self.parameters, parts, strict=True):
                p.copy_(x)

    def value(self, displacement: Tensor) -> float:
        """f(θ + displacement)."""
        self._move(displacement)
        self.evaluations += 1
        with session(self.model, mode=self.mode, parameters=()), torch.no_grad():
            # Batches weighted by their share: the mean over the samples.
            pairs = zip(self.shares, self.batches, strict=True)
            return sum(w * float(self.loss(self.model, b)) for w, b in pairs)

    def value_and_gradient(self, displacement: Tensor) -> tuple[float, Tensor]:
        """f(θ + displacement) and its gradient (p,)."""
        self._move(displacement)
        self.evaluations += 1
        value, total = 0.0, torch.zeros_like(self.origin)
        with session(self.model, mode=self.mode, parameters=self.parameters):
            for w, b in zip(self.shares, self.batches, strict=True):
                f = self.loss(self.model, b)
                grads = torch.autograd.grad(f, self.parameters, allow_unused=True)
                total += w * flat_gradient(grads, self.parameters)  # (p,)
                value += w * float(f.detach())
        return value, total
