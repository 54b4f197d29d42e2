"""Folding batch normalisation into the layer before it: in evaluation mode both are one affine map.

γ (Wx + b − μ)/σ + β = (sW) x + s(b − μ) + β with s = γ/σ. As long as a direction leaves γ, μ and σ
alone (as filter-normalised ones do), it folds just as well: W + x·d becomes sW + x·sd. So the whole
plane can be evaluated on the folded network.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from msam_lib.data.containers import Batch
from msam_lib.diagnostics._losses import Direction, logits_of


def pairs_of(model: nn.Module, batch: Batch) -> list[tuple[str, str]]:
    """(layer, batch norm) by name, where the norm's input is the layer's output, seen in one
    forward pass.
    """
    made: dict[int, str] = {}
    found: dict[str, str] = {}
    calls: dict[str, int] = {}
    alive: list[Tensor] = []  # keeps every output, so that no id is used twice

    def watch(name: str) -> Callable[..., None]:
        def hook(module: nn.Module, args: tuple, out: Tensor) -> None:
            calls[name] = calls.get(name, 0) + 1
            if isinstance(module, _BatchNorm):
                if id(args[0]) in made:
                    found[name] = made[id(args[0])]
            elif out.dim() == 2 or not isinstance(
                module, nn.Linear
            ):  # else the norm is over another axis
                made[id(out)] = name
            alive.append(out)

        return hook

    kinds = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, _BatchNorm)
    handles = [
        m.register_forward_hook(watch(n)) for n, m in model.named_modules() if isinstance(m, kinds)
    ]
    try:
        with torch.no_grad():
            logits_of(model, batch)
    finally:
        for h in handles:
            h.remove()
    once = [(layer, norm) for norm, layer in found.items() if calls[norm] == calls[layer] == 1]
    used = [layer for layer, _ in once]
    # A norm without running statistics normalises by the batch in evaluation mode too.
    return [
        (layer, norm)
        for layer, norm in once
        if used.count(layer) == 1 and model.get_submodule(norm).running_mean is not None
    ]


def fold(model: nn.Module, directions: Sequence[Direction], batch: Batch) -> list[Direction]:
    """Fold every pair that the directions allow, in `model` itself; returns the directions for the
    folded model.

    The caller checks the result against the original: a layer whose output is also read elsewhere
    would not be the same network.
    """
    moved = {n for d in directions for n in d}
    out = [dict(d) for d in directions]
    for layer_name, norm_name in pairs_of(model, batch):
        norm = model.get_submodule(norm_name)
        own = {f"{norm_name}.{n}" for n in ("weight", "running_mean", "running_var")}
        if own & moved:
            continue
        _fold_pair(model, layer_name, norm_name)
        for d in out:
            _fold_direction(d, layer_name, norm_name, norm)
    return out


class Folded:
    """A model in evaluation mode as a function of its own weights, with batch normalisation folded.

    The folded weights are computed from the model's in every call, so derivatives reach those: the
    same function, the same Hessian, but no normalisation on the activations, whose second
    derivative is dear.
    """

    def __init__(self, model: nn.Module, batch: Batch) -> None:
        self.model = model
        self.module = copy.deepcopy(model).eval()
        self.pairs = pairs_of(self.module, batch)
        for pair in self.pairs:
            _fold_pair(self.module, *pair)

    def __call__(self, inputs: Mapping[str, Tensor]) -> Any:
        state = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        for layer, norm_name in self.pairs:
            norm = self.model.get_submodule(norm_name)
            weight, bias = state[f"{layer}.weight"], state.get(f"{layer}.bias")
            s = torch.rsqrt(norm.running_var + norm.eps)  # type: ignore[operator, arg-type]
            s = s if norm.weight is None else s * norm.weight
            shift = -s * norm.running_mean if bias is None else s * (bias - norm.running_mean)
            state[f"{layer}.weight"] = weight * _rows(s, weight)
            state[f"{layer}.bias"] = shift if norm.bias is None else shift + norm.bias
            state = {n: t for n, t in state.items() if not n.startswith(f"{norm_name}.")}
        return functional_call(self.module, state, (inputs,))

    def agrees(self, batch: Batch) -> bool:
        """Whether there is something folded, and the logits are still the model's."""
        if not self.pairs:
            return False
        with torch.no_grad():
            return same_logits(logits_of(self.model, batch), logits_of(self, batch))  # type: ignore[arg-type]


def same_logits(a: Tensor, b: Tensor) -> bool:
    """Equal to 1e-4 of the largest (and NaN only where the other is)."""
    scale = a.abs().max().clamp(min=1e-3)
    return torch.allclose(a / scale, b / scale, rtol=0, atol=1e-4, equal_nan=True)


def head(batch: Batch, n: int = 64) -> Batch:
    """The first samples, to look at."""
    return Batch({m: x[:n] for m, x in batch.inputs.items()}, batch.targets[:n])


def _scale(norm: nn.Module) -> Tensor:
    s = torch.rsqrt(norm.running_var + norm.eps)  # type: ignore[operator, arg-type]
    return s if norm.weight is None else s * norm.weight.detach()


@torch.no_grad()
def _fold_pair(model: nn.Module, layer_name: str, norm_name: str) -> None:
    layer, norm = model.get_submodule(layer_name), model.get_submodule(norm_name)
    s = _scale(norm)
    bias = -norm.running_mean if layer.bias is None else layer.bias - norm.running_mean  # type: ignore[operator]
    bias = s * bias
    layer.weight.mul_(_rows(s, layer.weight))  # type: ignore[operator, union-attr, arg-type]
    layer.bias = nn.Parameter(bias if norm.bias is None else bias + norm.bias, requires_grad=False)
    parent, _, last = norm_name.rpartition(".")
    setattr(model.get_submodule(parent), last, nn.Identity())


def _fold_direction(d: Direction, layer_name: str, norm_name: str, norm: nn.Module) -> None:
    s = _scale(norm)
    if f"{layer_name}.weight" in d:
        d[f"{layer_name}.weight"] = d[f"{layer_name}.weight"] * _rows(s, d[f"{layer_name}.weight"])
    shift = d.pop(f"{norm_name}.bias", None)
    own = d.pop(f"{layer_name}.bias", None)
    if own is not None or shift is not None:
        parts = [t for t in (None if own is None else s * own, shift) if t is not None]
        d[f"{layer_name}.bias"] = torch.stack(parts).sum(0)


def _rows(s: Tensor, like: Tensor) -> Tensor:
    return s.view(-1, *[1] * (like.dim() - 1))
