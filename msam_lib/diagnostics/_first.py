"""Layers that read the data itself are linear in their weights, so a plane needs each only three
times.

(W + x D₁ + y D₂) * data = W * data + x (D₁ * data) + y (D₂ * data): after three convolutions every
further point costs a sum. On images with one channel the first layer is the least efficient one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from msam_lib.data.base import Batch
from msam_lib.diagnostics._common import Direction, logits_of

MEMORY = 2**26  # numbers kept over all layers and batches: 256 MiB

Parts = tuple[Tensor, Tensor | None, Tensor | None]


class FirstLayers:
    """Takes the place of the first layers' forward in a working copy, if the memory allows.

    Args:
        model: a working copy at the plane's origin; its layers are given a new `forward`.
        directions: d₁ and d₂.
        batches: the fixed data; layers know it again by its address.
    """

    def __init__(
        self, model: nn.Module, directions: Sequence[Direction], batches: Sequence[Batch]
    ) -> None:
        self.parts: dict[tuple[str, int], Parts] = {}
        self.rows: dict[tuple[str, int], tuple[float, Tensor]] = {}
        self.at: dict[str, tuple[float, float]] = {}
        seen, sizes = _readers(model, batches)
        moved = {n.rpartition(".")[0] for d in directions for n in d}
        for name in seen:
            if name in moved and 4 * (sizes[name] + self.size) <= MEMORY:
                self._take(model, name, directions, seen[name])

    @property
    def size(self) -> int:
        """Numbers in one set of outputs."""
        return sum(p[0].numel() for p in self.parts.values())

    def to(self, x: float, y: float, names: Collection[str] | None = None) -> None:
        """The plane's coordinates for the layers of these parameters (all of them, by default)."""
        for layer in self.at:
            if names is None or f"{layer}.weight" in names or f"{layer}.bias" in names:
                self.at[layer] = (x, y)

    @torch.no_grad()
    def _take(
        self, model: nn.Module, name: str, directions: Sequence[Direction], inputs: list[Tensor]
    ) -> None:
        module = model.get_submodule(name)
        own = dict(module.named_parameters())
        weights: list[dict[str, Tensor] | None] = [{n: p.detach() for n, p in own.items()}]
        for d in directions:
            found = {n: d[f"{name}.{n}"] for n in own if f"{name}.{n}" in d}
            zero = {n: torch.zeros_like(p) for n, p in own.items()}
            weights.append(zero | found if found else None)
        for x in inputs:
            made = [None if w is None else functional_call(module, w, (x,)) for w in weights]
            self.parts[name, x.data_ptr()] = (made[0], made[1], made[2])  # type: ignore[assignment]
        self.at[name] = (0.0, 0.0)
        plain = module.forward

        def forward(x: Tensor) -> Tensor:
            found = self.parts.get((name, x.data_ptr()))
            # Any other input, such as a few samples of the first batch, goes the usual way.
            return (
                plain(x) if found is None or len(found[0]) != len(x) else self._sum(name, x, found)
            )

        module.forward = forward  # type: ignore[method-assign]

    def _sum(self, name: str, data: Tensor, parts: Parts) -> Tensor:
        """A fresh tensor each time: the activation that follows may work in place."""
        base, first, second = parts
        x, y = self.at[name]
        if first is None or second is None:
            only, coefficient = (second, y) if first is None else (first, x)
            return torch.add(base, only, alpha=coefficient)  # type: ignore[arg-type]
        key = (name, data.data_ptr())
        row = self.rows.get(key)
        if row is None or row[0] != x:
            row = self.rows[key] = (x, torch.add(base, first, alpha=x))
        return torch.add(row[1], second, alpha=y)


def _readers(
    model: nn.Module, batches: Sequence[Batch]
) -> tuple[dict[str, list[Tensor]], dict[str, int]]:
    """{layer: its input per batch} for linear layers that read the data and run once, and output
    sizes.
    """
    seen: dict[str, list[Tensor]] = {}
    sizes: dict[str, int] = {}
    calls: dict[str, int] = {}
    address: set[int] = set()

    def watch(name: str):
        def hook(module: nn.Module, args: tuple, out: Tensor) -> None:
            calls[name] = calls.get(name, 0) + 1
            if args[0].data_ptr() in address:
                seen.setdefault(name, []).append(args[0])
                sizes[name] = sizes.get(name, 0) + out.numel()

        return hook

    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
    layers = [(n, m) for n, m in model.named_modules() if isinstance(m, kinds)]
    handles = [m.register_forward_hook(watch(n)) for n, m in layers]
    try:
        with torch.no_grad():
            for batch in batches:
                address = {x.data_ptr() for x in batch.inputs.values()}
                logits_of(model, batch)
    finally:
        for h in handles:
            h.remove()
    return {n: xs for n, xs in seen.items() if calls[n] == len(xs) == len(batches)}, sizes
