"""Layers that read the data itself: the data stay the same over a plane, so they are prepared once.

A convolution of few channels becomes one matrix product with the patches of the data; on images
with one channel, where a convolution is least efficient, that takes a third of its time. Every
other such layer is linear in its weights: (W + x D₁ + y D₂) * data = W * data + x (D₁ * data) + y
(D₂ * data). After three passes each further point costs a sum.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from msam_lib.data.containers import Batch
from msam_lib.diagnostics._losses import Direction, logits_of

MEMORY = 2**26  # numbers kept over all layers and batches: 256 MiB
PATCH = 32  # numbers in a patch up to which the product is the faster way

Point = tuple[float, float]


class FirstLayers:
    """Takes the place of the first layers' forward in a working copy, if the memory allows.

    Outputs lie in buffers that the next pass overwrites: `keep` what has to last longer.

    Args:
        model: a working copy at the plane's origin; its layers are given a new `forward`.
        directions: d₁ and d₂.
        batches: the fixed data; layers know it again by its address.
    """

    def __init__(
        self, model: nn.Module, directions: Sequence[Direction], batches: Sequence[Batch]
    ) -> None:
        self.known: dict[tuple[str, int], _Product | _Sum] = {}
        self.buffers: dict[tuple[str, torch.Size], Tensor] = {}
        self.at: dict[str, Point] = {}
        self.size = 0  # numbers kept
        seen, sizes = _readers(model, batches)
        moved = {n.rpartition(".")[0] for d in directions for n in d}
        for name in seen:
            # Three outputs, a row's and the buffer; patches take less.
            if name in moved and 5 * sizes[name] + self.size <= MEMORY:
                self.size += 5 * sizes[name]
                self._take(model.get_submodule(name), name, directions, seen[name])

    def to(self, x: float, y: float, names: Collection[str] | None = None) -> None:
        """The plane's coordinates for the layers of these parameters (all of them, by default)."""
        for layer in self.at:
            if names is None or f"{layer}.weight" in names or f"{layer}.bias" in names:
                self.at[layer] = (x, y)

    def keep(self, x: Tensor) -> Tensor:
        """x, or a copy of it where it lies in one of the buffers."""
        own = {b.untyped_storage().data_ptr() for b in self.buffers.values()}
        return x.clone() if x.untyped_storage().data_ptr() in own else x

    @torch.no_grad()
    def _take(
        self, module: nn.Module, name: str, directions: Sequence[Direction], inputs: list[Tensor]
    ) -> None:
        own = dict(module.named_parameters())
        weights: list[dict[str, Tensor] | None] = [{n: p.detach() for n, p in own.items()}]
        for d in directions:
            found = {n: d[f"{name}.{n}"] for n in own if f"{name}.{n}" in d}
            zero = {n: torch.zeros_like(p) for n, p in own.items()}
            weights.append(zero | found if found else None)
        for x in inputs:
            base = functional_call(module, weights[0], (x,))  # type: ignore[arg-type]
            if _by_patches(module, base):
                layer: _Product | _Sum = _Product(module, x, base)
            else:
                layer = _Sum(
                    base,
                    *[None if w is None else functional_call(module, w, (x,)) for w in weights[1:]],
                )
            self.known[name, x.data_ptr()] = layer
            self.buffers[name, base.shape] = torch.empty_like(base)
        self.at[name] = (0.0, 0.0)
        plain = module.forward

        def forward(x: Tensor) -> Tensor:
            layer = self.known.get((name, x.data_ptr()))
            # Any other input, such as a few samples of the first batch, goes the usual way.
            if layer is None or len(layer.shape) != x.dim() or layer.shape[0] != len(x):
                return plain(x)
            return layer(self.at[name], self.buffers[name, layer.shape])

        module.forward = forward  # type: ignore[method-assign]


class _Product:
    """A convolution of one batch with the weights that the layer has at the moment."""

    def __init__(self, layer: nn.Module, x: Tensor, like: Tensor) -> None:
        options = {k: getattr(layer, k) for k in ("dilation", "padding", "stride")}
        patches = F.unfold(x, layer.kernel_size, **options).transpose(1, 2)  # (N, L, K)
        if layer.bias is not None:
            patches = F.pad(patches, (0, 1), value=1.0)
        self.layer, self.shape = layer, like.shape
        self.patches = patches.reshape(-1, patches.shape[-1])

    def __call__(self, at: Point, out: Tensor) -> Tensor:
        w = self.layer.weight.flatten(1)
        if self.layer.bias is not None:
            w = torch.cat([w, self.layer.bias[:, None]], dim=1)
        n, c, height, width = self.shape
        flat = out.as_strided((n * height * width, c), (c, 1))
        torch.mm(self.patches, w.t().contiguous(), out=flat)
        return out


class _Sum:
    """The output for one batch as a sum of three, two of which move."""

    def __init__(self, base: Tensor, first: Tensor | None, second: Tensor | None) -> None:
        # In one layout: a sum of tensors that lie differently costs several times as much.
        self.base, self.shape = base, base.shape
        self.first, self.second = with_strides_of(base, first), with_strides_of(base, second)
        self.row: tuple[float, Tensor] | None = None

    def __call__(self, at: Point, out: Tensor) -> Tensor:
        x, y = at
        if self.first is None or self.second is None:
            only, coefficient = (self.second, y) if self.first is None else (self.first, x)
            return torch.add(self.base, only, alpha=coefficient, out=out)  # type: ignore[arg-type]
        if self.row is None or self.row[0] != x:
            self.row = (x, torch.add(self.base, self.first, alpha=x))
        return torch.add(self.row[1], self.second, alpha=y, out=out)


def _by_patches(layer: nn.Module, out: Tensor) -> bool:
    """Whether the product is possible, is the faster way, and takes less memory than the sum."""
    if type(layer) is not nn.Conv2d or layer.groups > 1 or layer.padding_mode != "zeros":
        return False
    if isinstance(layer.padding, str) or out.dim() != 4 or out.shape[1] < 2:
        return False
    numbers = layer.weight[0].numel() + 1
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
    seen: dict[str, list[Tensor]] = {}
    sizes: dict[str, int] = {}
    calls: dict[str, int] = {}
    address: set[int] = set()

    def watch(name: str) -> Callable[..., None]:
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
