"""Folding batch normalisation into the layer before it: in evaluation mode both are one affine map.

γ (Wx + b − μ)/σ + β = (sW) x + s(b − μ) + β with s = γ/σ. As long as a direction leaves γ, μ and σ
alone (as filter-normalised ones do), it folds just as well: W + x·d becomes sW + x·sd. So the whole
plane can be evaluated on the folded network.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm

from msam_lib.data.containers import Batch
from msam_lib.diagnostics._blocks import Direction
from msam_lib.diagnostics._losses import logits_of
from msam_lib.diagnostics._watching import AFFINE_LAYERS, watching

Pair = tuple[str, str]  # names of a layer and of the batch norm that reads it


def pairs_of(model: nn.Module, batch: Batch) -> list[Pair]:
    """Every layer whose output goes to a batch norm with running statistics, as seen in one forward
    pass.
    """
    maker: dict[int, str] = {}  # id of an output -> the layer it comes from
    layer_of: dict[str, str] = {}  # norm -> layer
    calls: dict[str, int] = {}
    alive: list[Tensor] = []  # keeps every output, so that no id is used twice

    def seen(name: str, module: nn.Module, x: Tensor, out: Tensor) -> None:
        calls[name] = calls.get(name, 0) + 1
        if isinstance(module, _BatchNorm):
            # The norm reads the very tensor that a layer returned.
            if id(x) in maker:
                layer_of[name] = maker[id(x)]
        elif out.dim() == 2 or not isinstance(module, nn.Linear):
            # After a linear layer with more axes, the norm is over another axis than its outputs.
            maker[id(out)] = name
        alive.append(out)

    with watching(model, (*AFFINE_LAYERS, _BatchNorm), seen), torch.no_grad():
        logits_of(model, batch)
    # A layer or norm that runs twice, or a layer that two norms read, is left as it is.
    single = [(layer, norm) for norm, layer in layer_of.items() if calls[norm] == calls[layer] == 1]
    used = [layer for layer, _ in single]
    # A norm without running statistics normalises by the batch in evaluation mode too.
    return [
        (layer, norm)
        for layer, norm in single
        if used.count(layer) == 1 and _norm(model, norm).running_mean is not None
    ]


def fold(model: nn.Module, directions: Sequence[Direction], batch: Batch) -> list[Direction]:
    """Fold every pair that the directions allow, in `model` itself; returns the directions for the
    folded model.

    The caller checks the result against the original: a layer whose output is also read elsewhere
    would not be the same network.
    """
    moved = {n for d in directions for n in d}
    out = [dict(d) for d in directions]
    for pair in pairs_of(model, batch):
        norm = pair[1]
        if moved & {f"{norm}.{n}" for n in ("weight", "running_mean", "running_var")}:
            continue  # the factor s would differ from point to point
        # Read before folding, which puts an identity in the norm's place.
        scale = _scale(_norm(model, norm)).detach()
        _fold_pair(model, pair)
        for d in out:
            _fold_direction(d, pair, scale)
    return out


class Folded:
    """A model in evaluation mode as a function of its own weights, with batch normalisation folded.

    The folded weights are computed from the model's in every call, so derivatives reach those: the
    same function, the same Hessian, but no normalisation of the activations, whose second
    derivative is expensive.
    """

    def __init__(self, model: nn.Module, batch: Batch) -> None:
        self.model = model
        self.module = copy.deepcopy(model).eval()
        self.pairs = pairs_of(self.module, batch)
        for pair in self.pairs:
            _fold_pair(self.module, pair)

    def __call__(self, inputs: Mapping[str, Tensor]) -> Any:
        # The model's own tensors, so that derivatives reach its weights.
        state = dict(self.model.named_parameters()) | dict(self.model.named_buffers())
        for layer, norm in self.pairs:
            weight, bias = state[f"{layer}.weight"], state.get(f"{layer}.bias")
            folded = _folded(weight, bias, _norm(self.model, norm))
            state[f"{layer}.weight"], state[f"{layer}.bias"] = folded
            # The folded network has no norm to give these to.
            state = {n: t for n, t in state.items() if not n.startswith(f"{norm}.")}
        return functional_call(self.module, state, (inputs,))

    def agrees(self, batch: Batch) -> bool:
        """Whether something is folded, and the logits are still the model's."""
        if not self.pairs:
            return False
        with torch.no_grad():
            return same_logits(logits_of(self.model, batch), logits_of(self, batch))


def same_logits(a: Tensor, b: Tensor) -> bool:
    """Equal to 1e-4 of the largest (and NaN only where the other is)."""
    scale = a.abs().max().clamp(min=1e-3)
    return torch.allclose(a / scale, b / scale, rtol=0, atol=1e-4, equal_nan=True)


def head(batch: Batch, n: int = 64) -> Batch:
    """The first samples, enough to compare two networks."""
    return Batch({m: x[:n] for m, x in batch.inputs.items()}, batch.targets[:n])


def _norm(model: nn.Module, name: str) -> _BatchNorm:
    return cast(_BatchNorm, model.get_submodule(name))


def _scale(norm: _BatchNorm) -> Tensor:
    """s = γ/σ, one factor per output channel."""
    s = torch.rsqrt(cast(Tensor, norm.running_var) + norm.eps)
    return s if norm.weight is None else s * norm.weight


def _folded(weight: Tensor, bias: Tensor | None, norm: _BatchNorm) -> tuple[Tensor, Tensor]:
    """Weight sW and bias s(b − μ) + β of the layer and the norm in one."""
    s, mean = _scale(norm), cast(Tensor, norm.running_mean)
    shift = s * (-mean if bias is None else bias - mean)  # s(b − μ)
    return weight * _rows(s, weight), shift if norm.bias is None else shift + norm.bias


@torch.no_grad()
def _fold_pair(model: nn.Module, pair: Pair) -> None:
    """Put the folded weights into the layer, and nothing in the place of the norm."""
    layer, norm = model.get_submodule(pair[0]), pair[1]
    weight = cast(Tensor, layer.weight)
    folded, bias = _folded(weight, cast(Tensor | None, layer.bias), _norm(model, norm))
    weight.copy_(folded)
    layer.bias = nn.Parameter(bias, requires_grad=False)
    parent, _, last = norm.rpartition(".")
    setattr(model.get_submodule(parent), last, nn.Identity())


def _fold_direction(d: Direction, pair: Pair, scale: Tensor) -> None:
    """The direction for the folded layer: weights and bias times s, plus the norm's own bias."""
    layer, norm = pair
    if f"{layer}.weight" in d:
        d[f"{layer}.weight"] = d[f"{layer}.weight"] * _rows(scale, d[f"{layer}.weight"])
    # s(b − μ) + β moves by s times the part of b, plus the part of β.
    bias, shift = d.pop(f"{layer}.bias", None), d.pop(f"{norm}.bias", None)
    parts = [] if bias is None else [scale * bias]
    parts += [] if shift is None else [shift]
    if parts:
        d[f"{layer}.bias"] = torch.stack(parts).sum(0)


def _rows(s: Tensor, like: Tensor) -> Tensor:
    """s as a factor of a weight tensor's first axis."""
    return s.view(-1, *[1] * (like.dim() - 1))
