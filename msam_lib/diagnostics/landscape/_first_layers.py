"""Layers that read the data itself: the data stay the same over a plane, so they are prepared once.

A convolution of few channels becomes one matrix product with the patches of the data; on images
with one channel, where a convolution is least efficient, that takes a third of its time. Every
other such layer is linear in its weights: (W + x D₁ + y D₂) * data = W * data + x (D₁ * data) + y
(D₂ * data). After three passes each further point costs a sum.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from msam_lib.data.containers import Batch
from msam_lib.diagnostics._blocks import Direction
from msam_lib.diagnostics._losses import logits_of
from msam_lib.diagnostics._watching import AFFINE_LAYERS, watching

MEMORY = 2**26  # numbers kept over all layers and batches: 256 MiB
PATCH = 32  # numbers in a patch up to which the product is the faster way

Point = tuple[float, float]


class FirstLayers:
    """Takes the place of the first layers' forward in a working copy, if the memory allows.

    Outputs lie in buffers that the next pass overwrites: `keep` what has to last longer.

    Args:
        model: a working copy at the plane's origin; its layers are given a new `forward`.
        directions: d₁ and d₂.
        batches: the fixed data; layers recognise it by its address in memory.
    """

    def __init__(
        self, model: nn.Module, directions: Sequence[Direction], batches: Sequence[Batch]
    ) -> None:
        self.known: dict[tuple[str, int], _Product | _Sum] = {}
        self.buffers: dict[tuple[str, torch.Size], Tensor] = {}
        self.at: dict[str, Point] = {}
        self.size = 0  # numbers kept
        inputs, sizes = _readers(model, batches)
        # Only layers that the plane moves are worth their memory.
        moved = {n.rpartition(".")[0] for d in directions for n in d}
        for name in inputs:
            # Three outputs, a row's and the buffer; patches take less.
            if name in moved and 5 * sizes[name] + self.size <= MEMORY:
                self.size += 5 * sizes[name]
                self._take(model.get_submodule(name), name, directions, inputs[name])

    def to(self, x: float, y: float, names: Collection[str] | None = None) -> None:
        """The plane's coordinates for the layers of these parameters (all of them, by default)."""
        for layer in self.at:
            if names is None or f"{layer}.weight" in names or f"{layer}.bias" in names:
                self.at[layer] = (x, y)

    def keep(self, x: Tensor) -> Tensor:
        """x, or a copy of it where it lies in one of the buffers."""
        buffers = {b.untyped_storage().data_ptr() for b in self.buffers.values()}
        return x.clone() if x.untyped_storage().data_ptr() in buffers else x

    @torch.no_grad()
    def _take(
        self, module: nn.Module, name: str, directions: Sequence[Direction], inputs: list[Tensor]
    ) -> None:
        """Prepare one layer for every batch, and put the prepared form in the place of its
        `forward`.
        """
        origin = {n: p.detach() for n, p in module.named_parameters()}
        steps: list[dict[str, Tensor] | None] = []  # the layer's part of d₁ and of d₂
        for d in directions:
            # A parameter that d leaves moves by zero; a layer that d leaves needs no pass.
            part = {n: d[f"{name}.{n}"] for n in origin if f"{name}.{n}" in d}
            zero = {n: torch.zeros_like(p) for n, p in origin.items()}
            steps.append(zero | part if part else None)
        for x in inputs:
            # W * data, and for a sum D₁ * data and D₂ * data as well.
            base = functional_call(module, origin, (x,))
            if _by_patches(module, base):
                layer: _Product | _Sum = _Product(module, x, base)
            else:
                first, second = (
                    None if w is None else functional_call(module, w, (x,)) for w in steps
                )
                layer = _Sum(base, first, second)
            self.known[name, x.data_ptr()] = layer
            self.buffers[name, base.shape] = torch.empty_like(base)
        self.at[name] = (0.0, 0.0)
        usual = module.forward

        def forward(x: Tensor) -> Tensor:
            layer = self.known.get((name, x.data_ptr()))
            # Any other input, such as a few samples of the first batch, is computed as usual.
            if layer is None or len(layer.shape) != x.dim() or layer.shape[0] != len(x):
                return usual(x)
            return layer(self.at[name], self.buffers[name, layer.shape])

        vars(module)["forward"] = forward  # of this layer alone, before that of its class


class _Product:
    """A convolution of one batch with the weights that the layer has at the moment."""

    def __init__(self, layer: nn.Conv2d, x: Tensor, like: Tensor) -> None:
        patches = F.unfold(
            x,
            layer.kernel_size,
            dilation=layer.dilation,
            padding=cast(tuple[int, ...], layer.padding),
            stride=layer.stride,
        ).transpose(1, 2)  # (N, L, K)
        # The bias becomes the weight of an entry that is 1 in every patch.
        if layer.bias is not None:
            patches = F.pad(patches, (0, 1), value=1.0)
        self.layer, self.shape = layer, like.shape
        self.patches = patches.reshape(-1, patches.shape[-1])  # (N * L, K)

    def __call__(self, at: Point, out: Tensor) -> Tensor:
        w = self.layer.weight.flatten(1)  # (C, K)
        if self.layer.bias is not None:
            w = torch.cat([w, self.layer.bias[:, None]], dim=1)
        n, c, height, width = self.shape
        # The channels-last buffer as a matrix, a row per output pixel: no copy.
        flat = out.as_strided((n * height * width, c), (c, 1))
        torch.mm(self.patches, w.t().contiguous(), out=flat)
        return out


class _Sum:
    """The output for one batch as a sum of three, two of which move."""

    def __init__(self, base: Tensor, first: Tensor | None, second: Tensor | None) -> None:
        # In one layout: a sum of tensors that lie differently costs several times as much.
        self.base, self.shape = base, base.shape
        self.first, self.second = with_strides_of(base, first), with_strides_of(base, second)
        self.row: tuple[float, Tensor] | None = None  # (x, base + x · first), kept while x stays

    def __call__(self, at: Point, out: Tensor) -> Tensor:
        x, y = at
        if self.first is None:
            return out.copy_(self.base) if self.second is None else self._add(self.second, y, out)
        if self.second is None:
            return self._add(self.first, x, out)
        # x changes least often, so base + x · first serves a whole row.
        if self.row is None or self.row[0] != x:
            self.row = (x, torch.add(self.base, self.first, alpha=x))
        return torch.add(self.row[1], self.second, alpha=y, out=out)

    def _add(self, only: Tensor, coefficient: float, out: Tensor) -> Tensor:
        return torch.add(self.base, only, alpha=coefficient, out=out)


def _by_patches(layer: nn.Module, out: Tensor) -> TypeGuard[nn.Conv2d]:
    """Whether the product is possible, is the faster way, and takes less memory than the sum."""
    if type(layer) is not nn.Conv2d or layer.groups > 1 or layer.padding_mode != "zeros":
        return False
    if isinstance(layer.padding, str) or out.dim() != 4 or out.shape[1] < 2:
        return False
    numbers = layer.weight[0].numel() + 1  # in a patch, with the 1 for the bias
    # The product writes channels-last outputs.
    flat = out.permute(0, 2, 3, 1).is_contiguous()
    return flat and numbers <= min(PATCH, 2 * out.shape[1])


def with_strides_of(like: Tensor, x: Tensor | None) -> Tensor | None:
    """x with the strides of `like` (of the same shape), so that sums walk through memory once."""
    if x is None or x.stride() == like.stride():
        return x
    return torch.empty_like(like, dtype=x.dtype, requires_grad=False).copy_(x.detach())


def _readers(
    model: nn.Module, batches: Sequence[Batch]
) -> tuple[dict[str, list[Tensor]], dict[str, int]]:
    """{layer: its input per batch} for linear layers that read the data and run once, and output
    sizes.
    """
    inputs: dict[str, list[Tensor]] = {}
    sizes: dict[str, int] = {}
    calls: dict[str, int] = {}
    addresses: set[int] = set()  # of the batch that is passed at the moment

    def seen(name: str, module: nn.Module, x: Tensor, out: Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1
        # It reads the data itself, not what another layer made of them.
        if x.data_ptr() in addresses:
            inputs.setdefault(name, []).append(x)
            sizes[name] = sizes.get(name, 0) + out.numel()

    with watching(model, AFFINE_LAYERS, seen), torch.no_grad():
        for batch in batches:
            addresses = {x.data_ptr() for x in batch.inputs.values()}
            logits_of(model, batch)
    # Layers that run once per batch, on the data each time.
    return {n: xs for n, xs in inputs.items() if calls[n] == len(xs) == len(batches)}, sizes
