"""A small model whose forward pass and optimizer steps are written out by hand on plain tensors."""

from __future__ import annotations

import itertools

import torch
import torch.nn.functional as F
from torch import nn

from msam_lib.data import Batch
from msam_lib.models import MultimodalModel, build_fusion

CLASSES, SIZE, WIDTH = 3, 5, 4
TOLERANCE = 1e-6


def tiny(fusion="late", m=2, *, heads=False, seed=0):
    """Encoders of a convolution and a linear layer; the inputs are pictures of 5 x 5."""
    torch.manual_seed(seed)
    names = [f"x{i + 1}" for i in range(m)]
    encoders = {}
    for k in names:
        layers = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Flatten(), nn.Linear(18, WIDTH)
        encoders[k] = nn.Sequential(*layers)
    options = {"hidden": (6, 5), "dropout": 0.0} if fusion == "maxout" else {}
    options |= {"hidden": 6} if fusion in ("sum", "gated") else {}
    joined = build_fusion(fusion, dict.fromkeys(names, WIDTH), CLASSES, **options)
    return MultimodalModel(encoders, joined, unimodal_heads=heads)


def batch_of(m=2, n=16, *, seed=0):
    """Random pictures that carry their class, more clearly in the first modality."""
    g = torch.Generator().manual_seed(100 + seed)
    y = torch.randint(CLASSES, (n,), generator=g)
    shapes = torch.randn(CLASSES, 1, SIZE, SIZE, generator=torch.Generator().manual_seed(5))
    inputs = {}
    for i in range(m):
        noise = torch.randn(n, 1, SIZE, SIZE, generator=g)
        inputs[f"x{i + 1}"] = shapes[y] * (1.5 - 0.6 * i) + noise
    return Batch(inputs, y)


class Hand:
    """The same function as a `tiny` model, from its parameters alone.

    Args:
        model: whose parameters and statistics are copied.
        fusion: its name.
    """

    def __init__(self, model, fusion):
        self.p = {k: v.detach().clone().requires_grad_() for k, v in model.named_parameters()}
        self.statistics = {k: v.detach().clone() for k, v in model.named_buffers()}
        self.names, self.fusion = tuple(model.modalities), fusion
        self.velocity, self.moments, self.count = {}, {}, 0

    def linear(self, x, name):
        return F.linear(x, self.p[f"{name}.weight"], self.p[f"{name}.bias"])

    def encode(self, m, x):
        at = f"encoders.{m}"
        h = F.conv2d(x, self.p[f"{at}.0.weight"], self.p[f"{at}.0.bias"])
        return self.linear(torch.relu(h).flatten(1), f"{at}.3")

    def features(self, x):
        return {m: self.encode(m, x[m]) for m in self.names}

    def terms(self, h):
        """Each modality's term of a sum: its head, or its slice of the one layer and its bias."""
        if self.fusion == "late":
            return {m: self.linear(h[m], f"fusion.heads.{m}") for m in self.names}
        w, b = self.p["fusion.linear.weight"], self.p["fusion.linear.bias"]
        parts = w.split(WIDTH, dim=1)
        return {m: h[m] @ v.T + b / len(h) for m, v in zip(self.names, parts, strict=True)}

    def own(self, h):
        """The per-modality logits that a unimodal loss trains: heads beside the fusion first."""
        if any(k.startswith("heads.") for k in self.p):
            return {m: self.linear(h[m], f"heads.{m}") for m in self.names}
        return self.terms(h)

    def fuse(self, h, training=False):
        if self.fusion in ("late", "concat"):
            return sum(self.terms(h).values())
        if self.fusion == "sum":
            z = sum(self.linear(h[m], f"fusion.project.{m}") for m in self.names)
            return self.linear(torch.relu(z), "fusion.out")
        x = torch.cat([h[m] for m in self.names], 1)
        if self.fusion == "gated":
            gates = {m: torch.sigmoid(self.linear(x, f"fusion.gates.{m}")) for m in self.names}
            z = {m: torch.tanh(self.linear(h[m], f"fusion.project.{m}")) for m in self.names}
            return self.linear(sum(gates[m] * z[m] for m in self.names), "fusion.out")
        for norm, layer in ((0, 1), (2, 4)):  # MaxOut: the larger of two linear maps
            x = self.norm(x, norm, training, 1e-4 if norm == 0 else 1e-5)
            x = self.linear(x, f"fusion.net.{layer}.linear")
            x = torch.maximum(x[:, 0::2], x[:, 1::2])
        return self.linear(self.norm(x, 5, training, 1e-5), "fusion.net.7")

    def norm(self, x, at, training, eps):
        at = f"fusion.net.{at}"
        mean, var = (self.statistics[f"{at}.running_{k}"] for k in ("mean", "var"))
        scale, shift = self.p[f"{at}.weight"], self.p[f"{at}.bias"]
        return F.batch_norm(x, mean, var, scale, shift, training, 0.1, eps)

    def responses(self, h, full):
        """{m: what m adds to the logits on joining, averaged over all orders}; nobody counts 0."""
        n = len(full)
        zeros = torch.zeros(1, 1, SIZE, SIZE)
        gone = {m: self.encode(m, zeros).expand(n, -1) for m in self.names}

        def play(present):
            if len(present) in (0, len(self.names)):
                return full if present else torch.zeros_like(full)
            return self.fuse({m: h[m] if m in present else gone[m] for m in self.names})

        orders = list(itertools.permutations(self.names))
        out = dict.fromkeys(self.names, 0.0)
        for order in orders:
            for i, m in enumerate(order):
                out[m] = out[m] + (play(order[: i + 1]) - play(order[:i])) / len(orders)
        return out

    def read(self, x, training=False):
        """What a modality says where no loss trains heads for it: its term, or its response."""
        with torch.no_grad():
            h = self.features(x)
            if self.fusion in ("late", "concat"):
                return self.terms(h)
            return self.responses(h, self.fuse(h, training))

    def gradients(self, loss, **options):
        """{name: gradient}, without the parameters on which the loss does not depend."""
        names = list(self.p)
        found = torch.autograd.grad(loss, [self.p[k] for k in names], allow_unused=True, **options)
        return {k: g for k, g in zip(names, found, strict=True) if g is not None}

    def of(self, m, grads):
        """The names of modality m's encoder among them."""
        return [k for k in grads if k.startswith(f"encoders.{m}.")]

    @torch.no_grad()
    def sgd(self, grads, lr=0.1, momentum=0.9, decay=0.01, rates=None):
        """v <- momentum v + (g + decay w);  w <- w - lr v, with a factor of lr by name."""
        for k, g in grads.items():
            g = g + decay * self.p[k]
            v = momentum * self.velocity[k] + g if k in self.velocity else g
            self.velocity[k] = v
            self.p[k] -= lr * (rates or {}).get(k, 1.0) * v

    @torch.no_grad()
    def adam(self, grads, lr=0.01, decay=0.01, eps=1e-3, rates=None):
        """Kingma, Ba 2015, Algorithm 1, with the decay in the gradient."""
        self.count += 1
        for k, g in grads.items():
            g = g + decay * self.p[k]
            a, b = self.moments.get(k, (torch.zeros_like(g), torch.zeros_like(g)))
            a, b = 0.9 * a + 0.1 * g, 0.999 * b + 0.001 * g * g
            self.moments[k] = a, b
            mean, var = a / (1 - 0.9**self.count), b / (1 - 0.999**self.count)
            self.p[k] -= lr * (rates or {}).get(k, 1.0) * mean / (var.sqrt() + eps)

    def gap(self, model):
        """Largest difference to a model's weights."""
        return max(float((p - self.p[k]).detach().abs().max()) for k, p in model.named_parameters())


def our_sgd(model, lr=0.1):
    return torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9, weight_decay=0.01)


def our_adam(model, lr=0.01):
    return torch.optim.Adam(model.parameters(), lr=lr, weight_decay=0.01, eps=1e-3)
