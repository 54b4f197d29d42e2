"""Small models whose forward pass and optimizer are written out in plain tensors."""

from __future__ import annotations

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib.data import Batch, MultimodalDataset
from msam_lib.models import MultimodalModel, build_fusion

CLASSES, WIDTH = 3, 4
INPUTS = {"x1": 5, "x2": 4, "x3": 3}
LR, MOMENTUM, DECAY = 0.1, 0.9, 0.01


def small_model(fusion: str = "late", m: int = 2, *, seed: int = 0, **options) -> MultimodalModel:
    """One layer, tanh and another layer per modality, then the fusion."""
    torch.manual_seed(seed)
    names = list(INPUTS)[:m]
    encoders = {
        k: nn.Sequential(nn.Linear(INPUTS[k], 6), nn.Tanh(), nn.Linear(6, WIDTH)) for k in names
    }
    made = build_fusion(fusion, dict.fromkeys(names, WIDTH), CLASSES, **options)
    return MultimodalModel(encoders, made)


def batches(m: int, count: int, *, n: int = 9, seed: int = 1) -> list[Batch]:
    g = torch.Generator().manual_seed(seed)
    names = list(INPUTS)[:m]
    return [
        Batch(
            {k: 1.5 * torch.randn(n, INPUTS[k], generator=g) for k in names},
            torch.randint(CLASSES, (n,), generator=g),
        )
        for _ in range(count)
    ]


def small_data(m: int, n: int, seed: int) -> MultimodalDataset:
    g = torch.Generator().manual_seed(seed)
    y = torch.randint(CLASSES, (n,), generator=g)
    centres = torch.eye(CLASSES, 5)
    inputs = {
        k: (3 - i) * centres[y][:, : INPUTS[k]] + torch.randn(n, INPUTS[k], generator=g)
        for i, k in enumerate(list(INPUTS)[:m])
    }
    return MultimodalDataset(inputs, y)


def sgd(model: nn.Module, lr: float = LR) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=MOMENTUM, weight_decay=DECAY)


class Plain:
    """Parameters as plain tensors, and SGD with momentum and weight decay written out."""

    def __init__(
        self, module: nn.Module, *, lr: float = LR, momentum=MOMENTUM, decay=DECAY
    ) -> None:
        self.w = {k: p.detach().clone().requires_grad_() for k, p in module.named_parameters()}
        self.velocity: dict[str, Tensor] = {}
        self.lr, self.momentum, self.decay = lr, momentum, decay

    def linear(self, name: str, x: Tensor) -> Tensor:
        return F.linear(x, self.w[f"{name}.weight"], self.w[f"{name}.bias"])

    def encode(self, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        return {
            m: self.linear(f"encoders.{m}.2", self.linear(f"encoders.{m}.0", x).tanh())
            for m, x in inputs.items()
        }

    def unimodal(self, features: dict[str, Tensor]) -> dict[str, Tensor]:
        """Each modality's own logits, under late fusion or concatenation."""
        if "fusion.linear.weight" not in self.w:
            return {m: self.linear(f"fusion.heads.{m}", h) for m, h in features.items()}
        slices = self.w["fusion.linear.weight"].split(WIDTH, dim=1)
        bias = self.w["fusion.linear.bias"] / len(features)
        return {m: F.linear(h, s, bias) for (m, h), s in zip(features.items(), slices, strict=True)}

    def grads(self, loss: Tensor, **how) -> dict[str, Tensor]:
        """{name: gradient} of the parameters that the loss depends on."""
        found = torch.autograd.grad(loss, list(self.w.values()), allow_unused=True, **how)
        return {k: g for k, g in zip(self.w, found, strict=True) if g is not None}

    def step(self, grads: dict[str, Tensor]) -> None:
        """SGD on those parameters that have a gradient."""
        with torch.no_grad():
            for k, g in grads.items():
                g = g + self.decay * self.w[k]
                self.velocity[k] = self.momentum * self.velocity[k] + g if k in self.velocity else g
                self.w[k] -= self.lr * self.velocity[k]

    def distance(self, module: nn.Module, names: Iterable[str] | None = None) -> float:
        """Largest difference of the weights."""
        now = dict(module.named_parameters())
        return max(float((self.w[k] - now[k]).detach().abs().max()) for k in names or self.w)


def true_class(logits: Tensor, targets: Tensor) -> Tensor:
    """Probability (N,) of the true class."""
    return torch.stack([row.softmax(0)[y] for row, y in zip(logits, targets, strict=True)])
