"""Small multimodal networks and SGD in plain tensors, for the new methods' reference tests.

Nothing here calls the library's models: `Plain` reads the parameters of one by name and computes
its features, logits and updates with `torch.nn.functional`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from msam_lib.data import Batch
from msam_lib.models import MultimodalModel, build_fusion

CLASSES, LR, MOMENTUM, DECAY = 3, 0.05, 0.9, 0.02
INPUTS, FEATURES = {"x1": 5, "x2": 4, "x3": 6}, {"x1": 4, "x2": 3, "x3": 2}


def network(fusion: str, m: int, seed: int = 0) -> MultimodalModel:
    """Encoders linear, tanh, linear; features of unequal sizes."""
    torch.manual_seed(seed)
    names = list(INPUTS)[:m]
    dims = {k: FEATURES[k] for k in names}
    options = {"hidden": (6, 5), "dropout": 0.0} if fusion == "maxout" else {}
    encoders = {
        k: nn.Sequential(nn.Linear(INPUTS[k], 5), nn.Tanh(), nn.Linear(5, d))
        for k, d in dims.items()
    }
    return MultimodalModel(encoders, build_fusion(fusion, dims, CLASSES, **options))


def batches(m: int, count: int, n: int = 24) -> list[Batch]:
    """Random inputs; the first modality tells most of the classes, so that shares are unequal."""
    g = torch.Generator().manual_seed(7)
    out = []
    for _ in range(count):
        y = torch.randint(CLASSES, (n,), generator=g)
        x = {k: torch.randn(n, INPUTS[k], generator=g) for k in list(INPUTS)[:m]}
        x["x1"][:, :CLASSES] += 2 * F.one_hot(y, CLASSES)
        out.append(Batch(x, y))
    return out


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM, weight_decay=DECAY)


class Plain:
    """A copy of a network's parameters, its forward pass in pieces, and SGD by hand."""

    def __init__(self, model: nn.Module, fusion: str, names: tuple[str, ...]) -> None:
        self.fusion, self.names = fusion, names
        self.p = {k: v.detach().clone().requires_grad_() for k, v in model.named_parameters()}
        self.velocity: dict[str, Tensor] = {}

    def linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def features(self, inputs: dict[str, Tensor], prefix: str = "encoders.") -> dict[str, Tensor]:
        return {
            m: self.linear(torch.tanh(self.linear(inputs[m], f"{prefix}{m}.0")), f"{prefix}{m}.2")
            for m in self.names
        }

    def class_weights(self) -> dict[str, Tensor]:
        """Each modality's part of the last layer."""
        if self.fusion == "late":
            return {m: self.p[f"fusion.heads.{m}.weight"] for m in self.names}
        sizes = [FEATURES[m] for m in self.names]
        parts = self.p["fusion.linear.weight"].split(sizes, dim=1)
        return dict(zip(self.names, parts, strict=True))

    def unimodal(self, h: dict[str, Tensor]) -> dict[str, Tensor]:
        """Logits of each modality: its head, or its part of the weight and bias / M."""
        if self.fusion == "late":
            return {m: self.linear(h[m], f"fusion.heads.{m}") for m in self.names}
        bias = self.p["fusion.linear.bias"] / len(self.names)
        return {m: h[m] @ w.T + bias for m, w in self.class_weights().items()}

    def logits(self, h: dict[str, Tensor]) -> Tensor:
        if self.fusion != "maxout":
            return sum(self.unimodal(h).values())
        x = torch.cat([h[m] for m in self.names], dim=1)
        x = self.norm(x, "fusion.net.0", 1e-4)
        x = self.norm(self.widest(x, "fusion.net.1.linear"), "fusion.net.2")
        x = self.norm(self.widest(x, "fusion.net.4.linear"), "fusion.net.5")
        return self.linear(x, "fusion.net.7")

    def norm(self, x: Tensor, name: str, eps: float = 1e-5) -> Tensor:
        mean, var = x.mean(0), x.var(0, unbiased=False)
        return (x - mean) / (var + eps).sqrt() * self.p[f"{name}.weight"] + self.p[f"{name}.bias"]

    def widest(self, x: Tensor, name: str) -> Tensor:
        return self.linear(x, name).unflatten(1, (-1, 2)).max(dim=2).values

    def auxiliary(self, h: dict[str, Tensor]) -> dict[str, Tensor]:
        """The fusion on one modality, zeros for the others; with heads, the modality's own."""
        if self.fusion == "late":
            return self.unimodal(h)
        zeros = {m: torch.zeros_like(v) for m, v in h.items()}
        return {m: self.logits(zeros | {m: h[m]}) for m in self.names}

    def grads(self, loss: Tensor, retain: bool = False) -> dict[str, Tensor | None]:
        found = torch.autograd.grad(
            loss, list(self.p.values()), allow_unused=True, retain_graph=retain
        )
        return dict(zip(self.p, found, strict=True))

    def encoder(self, name: str) -> str | None:
        """Whose encoder a parameter belongs to."""
        return name.split(".")[1] if name.startswith("encoders.") else None

    @torch.no_grad()
    def update(self, grads: dict[str, Tensor | None]) -> None:
        """v <- 0.9 v + (g + decay w), w <- w - lr v; nothing where there is no gradient."""
        for k, g in grads.items():
            if g is None:
                continue
            g = g + DECAY * self.p[k]
            self.velocity[k] = MOMENTUM * self.velocity[k] + g if k in self.velocity else g
            self.p[k] -= LR * self.velocity[k]


def largest_difference(plain: Plain, model: nn.Module) -> float:
    other = dict(model.named_parameters())
    return max(float((v - other[k]).detach().abs().max()) for k, v in plain.p.items())


def moved(plain: Plain, model: nn.Module) -> float:
    """How far the reference has come from this (untrained) model."""
    return largest_difference(plain, model)
