"""A small network in plain tensors: its forward pass, its gradients and SGD, from named weights."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from msam_lib.data import Batch, Modality
from msam_lib.methods import build_method
from msam_lib.models import build_model

CLASSES = 4
SIZES = {"x1": 5, "x2": 3, "x3": 6}
Weights = dict[str, Tensor]


def model_and_batches(fusion: str, m: int, steps: int, samples: int = 24):
    """A library model of MLPs in double precision, trained a little, and batches for more steps."""
    torch.manual_seed(0)
    specs = {k: Modality("vector", (size,)) for k, size in list(SIZES.items())[:m]}
    options = {"hidden": (7, 5), "dropout": 0.0} if fusion == "maxout" else {}
    model = build_model(specs, fusion, classes=CLASSES, width=3, **options).double()
    means = {k: torch.randn(CLASSES, *s.shape, dtype=torch.float64) for k, s in specs.items()}
    batches = []
    for _ in range(steps + 25):
        y = torch.randint(CLASSES, (samples,))
        noise = {k: torch.randn(samples, *s.shape, dtype=torch.float64) for k, s in specs.items()}
        batches.append(Batch({k: means[k][y] + noise[k] for k in specs}, y))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.2)
    for batch in batches[steps:]:
        optimizer.zero_grad()
        F.cross_entropy(model(batch.inputs).logits, batch.targets).backward()
        optimizer.step()
    return model, batches[:steps]


class Network:
    """The model's weights, copied, and what is needed to train them by hand.

    Args:
        model: a late, concat or maxout model of MLPs.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.names = tuple(model.modalities)
        self.fusion = type(model.fusion).__name__
        self.w: Weights = {k: p.detach().clone() for k, p in model.named_parameters()}
        self.statistics = {k: b.detach().clone() for k, b in model.named_buffers()}
        self.momenta: Weights = {}

    def encode(self, w: Weights, m: str, x: Tensor) -> Tensor:
        h = F.linear(x, w[f"encoders.{m}.net.0.weight"], w[f"encoders.{m}.net.0.bias"]).relu()
        return F.linear(h, w[f"encoders.{m}.net.2.weight"], w[f"encoders.{m}.net.2.bias"]).relu()

    def features(self, w: Weights, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {m: self.encode(w, m, inputs[m]) for m in self.names}

    def own(self, w: Weights, features: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Each modality's own logits, with late fusion and concatenation."""
        if self.fusion == "LateFusion":
            name = "fusion.heads"
            return {
                m: F.linear(h, w[f"{name}.{m}.weight"], w[f"{name}.{m}.bias"])
                for m, h in features.items()
            }
        out, start = {}, 0
        for m, h in features.items():
            part = w["fusion.linear.weight"][:, start : start + h.shape[1]]
            out[m] = h @ part.T + w["fusion.linear.bias"] / len(self.names)
            start += h.shape[1]
        return out

    def fuse(self, w: Weights, features: Mapping[str, Tensor], *, training: bool = True) -> Tensor:
        """Fused logits; batch norm (in MaxOut) by the batch, or by the running statistics."""
        if self.fusion != "MaxoutFusion":
            return torch.stack(list(self.own(w, features).values())).sum(0)
        h = torch.cat([features[m] for m in self.names], 1)
        for norm, maxout in (("0", "1"), ("2", "4"), ("5", None)):
            h = self._normalised(w, h, norm, training)
            if maxout is not None:
                name = f"fusion.net.{maxout}.linear"
                h = F.linear(h, w[f"{name}.weight"], w[f"{name}.bias"])
                h = torch.maximum(h[:, 0::2], h[:, 1::2])
        return F.linear(h, w["fusion.net.7.weight"], w["fusion.net.7.bias"])

    def _normalised(self, w: Weights, h: Tensor, which: str, training: bool) -> Tensor:
        name = f"fusion.net.{which}"
        mean, var = (self.statistics[f"{name}.running_{k}"] for k in ("mean", "var"))
        if training:
            mean, var = h.mean(0), h.var(0, unbiased=False)
            self.seen[name] = (mean.detach(), h.detach().var(0))
        eps = 1e-4 if which == "0" else 1e-5
        return (h - mean) / (var + eps).sqrt() * w[f"{name}.weight"] + w[f"{name}.bias"]

    seen: dict[str, tuple[Tensor, Tensor]]

    def logits(self, w: Weights, inputs: Mapping[str, Tensor], *, training: bool = True) -> Tensor:
        self.seen = {}
        return self.fuse(w, self.features(w, inputs), training=training)

    def advance(self, w: Weights, inputs: Mapping[str, Tensor]) -> None:
        """The running statistics follow this batch, at these weights."""
        self.logits(w, inputs)
        for name, (mean, var) in self.seen.items():
            for kind, now in (("mean", mean), ("var", var)):
                old = self.statistics[f"{name}.running_{kind}"]
                self.statistics[f"{name}.running_{kind}"] = 0.9 * old + 0.1 * now

    def loss(self, w: Weights, batch: Batch, *, training: bool = True) -> Tensor:
        return F.cross_entropy(self.logits(w, batch.inputs, training=training), batch.targets)

    def gradient(self, loss: Callable[[Weights], Tensor], at: Weights | None = None) -> Weights:
        """The gradient of a function of the weights, zeros where it does not depend on one."""
        w = {k: x.clone().requires_grad_() for k, x in (self.w if at is None else at).items()}
        found = torch.autograd.grad(loss(w), list(w.values()), allow_unused=True)
        pairs = zip(w.items(), found, strict=True)
        return {k: torch.zeros_like(x) if g is None else g for (k, x), g in pairs}

    def hessian_times(self, loss: Callable[[Weights], Tensor], v: Weights) -> Weights:
        """The product of the Hessian with a vector."""
        w = {k: x.clone().requires_grad_() for k, x in self.w.items()}
        first = torch.autograd.grad(loss(w), list(w.values()), create_graph=True)
        inner = torch.stack([(g * v[k]).sum() for g, k in zip(first, w, strict=True)]).sum()
        return dict(zip(w, torch.autograd.grad(inner, list(w.values())), strict=True))

    def sgd(self, g: Weights, *, lr: float = 0.1, momentum: float = 0.9, decay: float = 0.02):
        """One step of SGD with momentum and weight decay."""
        for k, x in self.w.items():
            step = g[k] + decay * x
            if k in self.momenta:
                step = momentum * self.momenta[k] + step
            self.momenta[k] = step
            self.w[k] = x - lr * step

    def block(self, m: str) -> list[str]:
        """Names of the weights of one encoder."""
        return [k for k in self.w if k.startswith(f"encoders.{m}.")]


def dot(a: Weights, b: Weights) -> Tensor:
    return torch.stack([(a[k] * b[k]).sum() for k in a]).sum()


def norm(a: Weights) -> Tensor:
    return dot(a, a).sqrt()


def plus(a: Weights, b: Weights, factor: float | Tensor = 1.0) -> Weights:
    """a + factor b; what b lacks stays."""
    return {k: x + factor * b[k] if k in b else x for k, x in a.items()}


def times(a: Weights, factor: float | Tensor) -> Weights:
    return {k: factor * x for k, x in a.items()}


def compare(name, options, step, fusion, m, *, steps=5, decay=0.02, tolerance=1e-10):
    """Steps of the library and of the reference from the same weights; returns both."""
    model, batches = model_and_batches(fusion, m, steps)
    net, method = Network(model), build_method(name, **options)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=decay)
    start = {k: x.clone() for k, x in net.w.items()}
    for number, batch in enumerate(batches):
        method.step(model.train(), batch, optimizer)
        net.sgd(step(net, batch, number), decay=decay)
        for k, p in model.named_parameters():
            assert float((p.detach() - net.w[k]).abs().max()) < tolerance, (number, k)
        for k, b in model.named_buffers():
            if "running" in k:
                assert float((b - net.statistics[k]).abs().max()) < tolerance, (number, k)
    assert float(norm(plus(net.w, start, -1.0))) > 0.1
    return model, net


def plain(net, batch):
    """The gradient here; the running statistics advance."""
    g = net.gradient(lambda w: net.loss(w, batch))
    net.advance(net.w, batch.inputs)
    return g


def displaced(net, batch, eps):
    return net.gradient(lambda w: net.loss(w, batch), plus(net.w, eps))
