"""Weights moved along two directions, part by part."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn

from msam_lib.diagnostics._blocks import Direction
from msam_lib.diagnostics.landscape._first_layers import FirstLayers, with_strides_of


class Mover:
    """Puts the model's weights at θ + x d₁ + y d₂, without ever accumulating rounding errors.

    θ + x d₁ is kept as long as x stays, and everything lies in memory as the weights do: adding a
    direction in another layout (the weights of a folded copy are channels-last) costs several times
    as much.
    """

    def __init__(self, model: nn.Module, directions: Sequence[Direction]) -> None:
        state = dict(model.named_parameters()) | dict(model.named_buffers())
        self.first_layers: FirstLayers | None = None
        self.rows: dict[str, tuple[float, Tensor]] = {}
        first, second = directions
        # (weight, its value at the origin, its part of d₁, its part of d₂)
        self.parts = {
            n: (
                p,
                p.detach().clone(),
                with_strides_of(p, first.get(n)),
                with_strides_of(p, second.get(n)),
            )
            for n, p in state.items()
            if n in first or n in second
        }

    @torch.no_grad()
    def to(self, x: float, y: float, names: Collection[str] | None = None) -> None:
        """Move these parameters (all that the directions touch, by default)."""
        x, y = float(x), float(y)
        if self.first_layers is not None:
            self.first_layers.to(x, y, names)
        for name in self.parts if names is None else names:
            p, base, first, second = self.parts[name]
            # Always from the origin, never from the point before.
            if second is not None:
                start = base if first is None else self._row(name, x, base, first)
                torch.add(start, second, alpha=y, out=p.data)
            elif first is not None:
                torch.add(base, first, alpha=x, out=p.data)

    def _row(self, name: str, x: float, base: Tensor, first: Tensor) -> Tensor:
        # θ + x d₁, computed only where x has changed.
        row = self.rows.get(name)
        if row is None or row[0] != x:
            row = self.rows[name] = (x, torch.add(base, first, alpha=x))
        return row[1]
