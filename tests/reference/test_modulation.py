"""AGM, MMPareto and CGGM beside their authors' steps by hand."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from msam_lib.methods import build_method
from tests.reference import Agreement
from tests.reference.hand import TOLERANCE, Hand, batch_of, our_sgd, tiny

AGREEMENT = [
    Agreement(
        method="agm",
        source="Li et al. 2023, Eq. 1-9; lihong2303/AGM_ICCV2023 (AVMNIST_, CREMAD_main.py)",
        compared="5 steps; with and without the cap; late, concat, MaxOut, gated; M = 2, 3",
        departures="the first step is not modulated; no clipping by the output layer's gradient; "
        "coalitions reuse the features of the training pass",
    ),
    Agreement(
        method="mmpareto",
        source="Wei, Hu 2024, Alg. 1; GeWu-Lab/MMPareto_ICML2024 (MMPareto.py)",
        compared="5 steps; both variants; late, concat with heads (the authors' model), MaxOut "
        "with heads; M = 2, 3",
        departures="variant 'paper' stretches the encoder as a whole, the released code tensors",
    ),
    Agreement(
        method="cggm",
        source="Guo et al. 2024, Eq. 5-12; zrguo/CGGM (msatrain.py)",
        compared="8 steps with the classifiers' own Adam; late, concat, sum, gated; M = 2, 3",
        departures="B kept between 0 and a bound, 1 at the first step; the cosine is between "
        "gradients with respect to the features, in the released code between weights; the term "
        "enters the same step's loss, there the next one's; classifiers with one hidden layer",
    ),
]
COUNTS = pytest.mark.parametrize("m", [2, 3])


@COUNTS
@pytest.mark.parametrize("cap", [None, 0.02])
@pytest.mark.parametrize("fusion", ["late", "concat", "maxout", "gated"])
def test_agm(fusion, cap, m):
    model, alpha = tiny(fusion, m), 1.5
    rule = build_method("agm", alpha=alpha, cap=cap)
    hand, optimizer = Hand(model, fusion), our_sgd(model, 0.03)
    means, seen = dict.fromkeys(hand.names, 0.0), []
    for step in range(5):
        batch = batch_of(m, seed=step)
        rule.step(model, batch, optimizer)
        h = hand.features(batch.inputs)
        part = hand.responses(h, hand.fuse(h, training=True))
        s = {k: float(F.cross_entropy(z, batch.targets).detach()) for k, z in part.items()}

        def pace(scores):
            middle = sum(scores.values()) / m
            return {k: math.exp((middle - v) * m / (m - 1)) for k, v in scores.items()}

        r, tau = pace(s), pace(means)
        gap = {k: tau[k] - r[k] for k in s}
        gap = {k: v if cap is None else min(v, cap) for k, v in gap.items()}
        c = {k: math.exp(alpha * v) if step else 1.0 for k, v in gap.items()}
        means = {k: (means[k] * step + s[k]) / (step + 1) for k in s}
        seen += [v for v in c.values() if v != 1.0]
        # the loss of the logits, whose gradient is scaled on its way through each response
        full = sum(part.values()).detach().requires_grad_()
        slope = torch.autograd.grad(F.cross_entropy(full, batch.targets), full)[0]
        hand.sgd(hand.gradients(sum(c[k] * (part[k] * slope).sum() for k in s)), lr=0.03)
    assert min(seen) < 0.99 and max(seen) > 1.01
    assert hand.gap(model) < TOLERANCE


def dot(a, b):
    return sum(float((x * y).sum()) for x, y in zip(a, b, strict=True))


def size(tensors):
    return math.sqrt(dot(tensors, tensors))


def minimum_norm(a, b):
    """The released two-vector solver."""
    aa, ab, bb = dot(a, a), dot(a, b), dot(b, b)
    if ab >= aa:
        return 0.999
    if ab >= bb:
        return 0.001
    return -(ab - bb) / (aa + bb - 2 * ab)


@COUNTS
@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize(("fusion", "heads"), [("late", False), ("concat", True), ("maxout", True)])
def test_mmpareto(fusion, heads, variant, m):
    model, gamma = tiny(fusion, m, heads=heads), 1.3
    if heads:  # heads that contradict the fusion, so that gradients conflict
        with torch.no_grad():
            for head in model.heads.values():
                head.weight.copy_(-3 * head.weight)
    rule = build_method("mmpareto", gamma=gamma, variant=variant)
    hand, optimizer, seen = Hand(model, fusion), our_sgd(model, 0.03), set()
    for seed in range(5):
        batch = batch_of(m, seed=seed)
        rule.step(model, batch, optimizer)
        h = hand.features(batch.inputs)
        fused = F.cross_entropy(hand.fuse(h, training=True), batch.targets)
        own = {k: F.cross_entropy(z, batch.targets) for k, z in hand.own(h).items()}
        grads = hand.gradients(fused + sum(own.values()), retain_graph=True)
        of_fused = hand.gradients(fused, retain_graph=True)
        for k in hand.names:
            of_own, at = hand.gradients(own[k], retain_graph=True), hand.of(k, grads)
            a, b = [of_fused[i] for i in at], [of_own[i] for i in at]
            agree = dot(a, b) > 0
            seen.add(agree)
            w = 0.5 if agree else minimum_norm(a, b)
            new = [2 * w * x + 2 * (1 - w) * y for x, y in zip(a, b, strict=True)]
            whole = max(1.0, size([grads[i] for i in at]) / size(new))
            for i, g in zip(at, new, strict=True):
                each = max(1.0, size([grads[i]]) / size([g]))
                grads[i] = gamma * (whole if variant == "paper" else each) * g
        hand.sgd(grads, lr=0.03)
    assert True in seen and (fusion == "late" or False in seen)
    # A weight is a quotient of small differences, so that other kernels differ a little more.
    assert hand.gap(model) < 5 * TOLERANCE


def test_mmpareto_weighs_conflicting_gradients_without_bounds():
    # the released solver's bounds are for gradients that agree; 1 / (1 + 10^6) is below 0.001
    rule = build_method("mmpareto")
    for u, v in (([1.0, 0.0], [0.0, 1e-3]), ([1.0, 0.0], [-1e-3, 1e-3]), ([1e-3, 0.0], [0.0, 1.0])):
        a, b = [torch.tensor(u)], [torch.tensor(v)]
        w = minimum_norm(a, b)
        direction = 2 * (w * a[0] + (1 - w) * b[0])
        expected = direction / direction.norm() * max(size([a[0] + b[0]]), float(direction.norm()))
        assert torch.allclose(rule.integrate(a, b)[0][0], 1.5 * expected, atol=1e-3)


@COUNTS
@pytest.mark.parametrize("fusion", ["late", "concat", "sum", "gated"])
def test_cggm(fusion, m):
    model, scale, weight, bound = tiny(fusion, m), 1.3, 0.4, 1.7
    rule = build_method(
        "cggm", scale=scale, weight=weight, bound=bound, hidden=7, classifier_lr=0.03
    )
    rule.setup(model)
    small = {}  # the classifiers: two layers each, and their Adam
    for k, net in zip(model.modalities, rule.classifiers, strict=True):
        small[k] = [p.detach().clone().requires_grad_() for p in net.parameters()]
    moments = {k: [(torch.zeros_like(p), torch.zeros_like(p)) for p in small[k]] for k in small}
    hand, optimizer = Hand(model, fusion), our_sgd(model, 0.03)
    last, seen = None, set()
    for step in range(8):
        batch = batch_of(m, 40, seed=step)
        y = batch.targets
        rule.step(model, batch, optimizer)
        h = hand.features(batch.inputs)
        loss = F.cross_entropy(hand.fuse(h, training=True), y)
        pulls, now = {}, {}
        for k, (w1, b1, w2, b2) in small.items():
            x = h[k].detach().requires_grad_()
            z = F.linear(torch.relu(F.linear(x, w1, b1)), w2, b2)
            now[k] = int((z.argmax(1) == y).sum())
            pulls[k], *found = torch.autograd.grad(F.cross_entropy(z, y), [x, w1, b1, w2, b2])
            with torch.no_grad():
                for i, (p, g) in enumerate(zip(small[k], found, strict=True)):
                    a, b = moments[k][i]
                    a, b = 0.9 * a + 0.1 * g, 0.999 * b + 0.001 * g * g
                    moments[k][i] = a, b
                    mean, var = a / (1 - 0.9 ** (step + 1)), b / (1 - 0.999 ** (step + 1))
                    p -= 0.03 * mean / (var.sqrt() + 1e-8)
        balance = dict.fromkeys(now, 1.0)
        if last is not None and (total := sum(now[k] - last[k] for k in now)):
            gains = {k: now[k] - last[k] for k in now}  # in samples: the batch size cancels
            balance = {k: min(bound, max(0.0, (total - d) / total)) for k, d in gains.items()}
        last = now
        seen |= set(balance.values())
        directions = torch.autograd.grad(loss, [h[k] for k in now], create_graph=True)
        for k, g in zip(now, directions, strict=True):
            cosine = (g * pulls[k]).sum() / (g.norm() * pulls[k].norm())
            loss = loss + weight / m * (balance[k] - balance[k] * cosine)
        grads = hand.gradients(loss)
        for k in now:
            for at in hand.of(k, grads):
                grads[at] = grads[at] * scale * balance[k]
        hand.sgd(grads, lr=0.03)
    assert 0.0 in seen and any(v not in (0.0, 1.0) for v in seen)
    assert hand.gap(model) < TOLERANCE
