"""Weights moved along two directions, part by part."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import nn

from msam_lib.diagnostics._common import Direction
from msam_lib.diagnostics._first import FirstLayers


class _Mover:
    """Puts the model's weights at θ + x d₁ + y d₂, without ever accumulating rounding errors."""

    def __init__(self, model: nn.Module, directions: Sequence[Direction]) -> None:
        own = dict(model.named_parameters()) | dict(model.named_buffers())
        self.first: FirstLayers | None = None
        first, second = directions
        touched = [n for n in own if n in first or n in second]
        self.parts = {
            n: (own[n], own[n].detach().clone(), first.get(n), second.get(n)) for n in touched
        }

    @torch.no_grad()
    def to(self, x: float, y: float, names: Collection[str] | None = None) -> None:
        """Move these parameters (all that the directions touch, by default)."""
        if self.first is not None:
            self.first.to(float(x), float(y), names)
        for name in self.parts if names is None else names:
            p, base, first, second = self.parts[name]
            start = base if first is None else base.add(first, alpha=float(x))
            if second is None:
                p.copy_(start)
            else:
                torch.add(start, second, alpha=float(y), out=p.data)
