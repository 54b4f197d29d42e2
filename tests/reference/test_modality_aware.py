"""M-SAM in every reading, and MASAM: every step beside the equations in plain tensors."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import pytest
import torch
import torch.nn.functional as F

from tests.reference import Agreement
from tests.reference.small_network import compare, displaced, dot, norm, plain, plus, times

AGREEMENT = [
    Agreement(
        "msam",
        "Nowdeh et al. 2025, Algorithm 1 (no code was released)",
        "readings literal, encoder and unimodal_loss, and one-pass momentum; shares by fractions",
        "encoder, unimodal_loss and momentum are readings of ours",
    ),
    Agreement(
        "masam",
        "ICLR 2026 as reviewed; Orange2107/MASAM-Multimodal-Adaptive-SAM, 713f931",
        "both variants, late fusion, M = 2 and 3",
    ),
]
CASES = [(f, m) for f in ("late", "concat", "maxout") for m in (2, 3)]
cases = pytest.mark.parametrize(("fusion", "m"), CASES, ids=lambda v: str(v))


def shares_of(net, w, batch):
    """Shares by fractions, and the dominant modality: correct answers with the others zeroed."""
    m, n = len(net.names), len(batch.targets)
    counts = {}
    for present in itertools.product([False, True], repeat=m):
        here = dict(zip(net.names, present, strict=True))
        x = {k: batch.inputs[k] if here[k] else torch.zeros_like(batch.inputs[k]) for k in here}
        answers = net.logits(w, x, training=False).argmax(1)
        counts[frozenset(k for k in here if here[k])] = int((answers == batch.targets).sum())
    phi = {}
    for k in net.names:
        phi[k] = Fraction(0)
        for s in counts:
            if k not in s:
                weight = Fraction(
                    math.factorial(len(s)) * math.factorial(m - len(s) - 1), math.factorial(m)
                )
                phi[k] += weight * Fraction(counts[s | {k}] - counts[s], n)
    positive = {k: max(x, Fraction(0)) for k, x in phi.items()}
    total = sum(positive.values())
    v = {k: x / total if total else Fraction(1, m) for k, x in positive.items()}
    best = min(net.names, key=lambda k: (-v[k], -phi[k], k))
    return {k: float(x) for k, x in v.items()}, best


def msam(fusion, m, step, **options):
    """Both trainings, and the shares that the reference saw."""
    seen = []

    def shared(net, batch, number):
        g, v = step(net, batch, number)
        seen.append(max(v.values()))
        return g

    compare("msam", options, shared, fusion, m)
    assert any(1 / m + 0.02 < v < 0.98 for v in seen)


@cases
def test_msam_literal(fusion, m):
    def step(net, batch, number, rho=0.5):
        g = plain(net, batch)
        v, _ = shares_of(net, net.w, batch)
        share = max(v.values())
        there = displaced(net, batch, times(g, rho / norm(g)))
        return plus(times(there, share), g, 1 - share), v

    msam(fusion, m, step, rho=0.5)


@cases
def test_msam_encoder(fusion, m):
    def step(net, batch, number, rho=0.5):
        g = plain(net, batch)
        v, best = shares_of(net, net.w, batch)
        own = {k: g[k] for k in net.block(best)}
        there = displaced(net, batch, times(own, rho / norm(own)))
        return g | {k: v[best] * there[k] + (1 - v[best]) * g[k] for k in own}, v

    msam(fusion, m, step, rho=0.5, reading="encoder")


@cases
def test_msam_unimodal_loss(fusion, m):
    def own_loss(net, w, batch, k):
        features = net.features(w, batch.inputs)
        if net.fusion != "MaxoutFusion":
            return F.cross_entropy(net.own(w, features)[k], batch.targets)
        for other in net.names:  # absent: the answer to zeros, a constant
            if other != k:
                with torch.no_grad():
                    features[other] = net.encode(w, other, torch.zeros_like(batch.inputs[other]))
        net.seen = {}
        return F.cross_entropy(net.fuse(w, features), batch.targets)

    def step(net, batch, number, rho=0.5):
        net.advance(net.w, batch.inputs)
        v, best = shares_of(net, net.w, batch)
        strong = net.gradient(lambda w: v[best] * own_loss(net, w, batch, best))
        there = plus(net.w, strong, rho / norm(strong))
        g = net.gradient(lambda w: v[best] * own_loss(net, w, batch, best), there)
        for k in net.names:
            if k != best:
                other = net.gradient(lambda w, k=k: v[k] * own_loss(net, w, batch, k))
                g = plus(g, other)
        return g, v

    msam(fusion, m, step, rho=0.5, reading="unimodal_loss")


@cases
@pytest.mark.parametrize("reading", ["literal", "encoder"])
def test_msam_momentum(fusion, m, reading):
    kept = {}

    def step(net, batch, number, rho=0.5):
        eps = {}
        if kept:
            names = list(net.w) if reading == "literal" else net.block(kept["best"])
            moving = {k: net.momenta[k] for k in names}
            eps = times(moving, rho * max(kept["v"].values()) / norm(moving))
        g = displaced(net, batch, eps)
        net.advance(plus(net.w, eps), batch.inputs)
        kept["v"], kept["best"] = shares_of(net, plus(net.w, eps), batch)
        return g, kept["v"]

    msam(fusion, m, step, rho=0.5, reading=reading, ascent="momentum")


def masam_parts(net, batch, weight):
    """Gradients of the fused and of the own losses here, and the losses."""

    def own_loss(w, k):
        return F.cross_entropy(net.own(w, net.features(w, batch.inputs))[k], batch.targets)

    fused = net.gradient(lambda w: net.loss(w, batch))
    own = {k: net.gradient(lambda w, k=k: own_loss(w, k)) for k in net.names}
    losses = {k: own_loss(net.w, k) for k in net.names}
    total = fused
    for g in own.values():
        total = plus(total, g, weight)
    return fused, own, losses, total


def accord_of(net, fused, own, k, released):
    a, b = ({n: g[n] for n in net.block(k)} for g in (fused, own[k]))
    if not released:
        return dot(a, b) / norm(a) / norm(b)
    each = [(a[n] * b[n]).sum() / a[n].norm() / b[n].norm() for n in a]
    return torch.stack(each).mean()


def masam(released, aps=True, mdps=True):
    kept = {}

    def displacement(net, fused, own, k, gamma, rho):
        a, b = ({n: g[n] for n in net.block(k)} for g in (fused, own[k]))
        if not released:
            return times(a, rho * (gamma if mdps else 1.0) / norm(a))
        parts = {n: a[n] * max((a[n] * b[n]).sum() / (a[n] ** 2).sum(), 0.0) for n in a}
        parts = {n: a[n] if (a[n] * b[n]).sum() < 0 else parts[n] for n in a}
        last = list(a)[-1]
        cosine = (a[last] * b[last]).sum() / a[last].norm() / b[last].norm()
        return times(parts, rho * (cosine if cosine > 0 else 1.0) / norm(parts))

    def step(net, batch, number, rho=0.6, alpha=0.7, beta=0.8, weight=0.5):
        fused, own, losses, total = masam_parts(net, batch, weight)
        score, gamma = {}, {}
        for k in net.names:
            now = losses[k]
            before, mean = kept.get(k, (None, now))
            mean = now if before is None else beta * mean + (1 - beta) * now
            decay = 0.0 if before is None else max(0.0, float(before - mean))
            kept[k] = (now, mean)
            gamma[k] = accord_of(net, fused, own, k, released)
            score[k] = alpha * decay + (1 - alpha) * float(gamma[k])
        best = max(net.names, key=lambda k: score[k])
        chosen = [best] if aps else list(net.names)
        eps = {}
        for k in chosen:
            eps |= displacement(net, fused, own, k, gamma[k], rho)
        g = dict(total)
        if released:  # every encoder follows the total loss there

            def loss(w):
                own_logits = net.own(w, net.features(w, batch.inputs)).values()
                extra = torch.stack([F.cross_entropy(z, batch.targets) for z in own_logits])
                return net.loss(w, batch) + weight * extra.sum()

            there = net.gradient(loss, plus(net.w, eps))
            return g | {n: there[n] for k in net.names for n in net.block(k)}
        there = displaced(net, batch, eps)
        return g | {n: there[n] + weight * own[k][n] for k in chosen for n in net.block(k)}

    return step


MASAM = {"rho": 0.6, "alpha": 0.7, "beta": 0.8, "weight": 0.5}


@pytest.mark.parametrize("fusion", ["late", "concat"])
@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("ablation", [{}, {"aps": False}, {"mdps": False}], ids=str)
def test_masam(fusion, m, variant, ablation):
    if variant == "released" and "mdps" in ablation:
        pytest.skip("an ablation of the paper")
    step = masam(variant == "released", **ablation)
    compare("masam", MASAM | {"variant": variant} | ablation, step, fusion, m, steps=6)
