"""SAM and its relatives: every step beside the equations in plain tensors."""

from __future__ import annotations

import pytest
import torch

from msam_lib.methods import build_method
from tests.reference import Agreement
from tests.reference.small_network import (
    Network,
    compare,
    displaced,
    dot,
    model_and_batches,
    norm,
    plain,
    plus,
    times,
)

AGREEMENT = [
    Agreement(
        "sam",
        "Foret et al. 2021, Algorithm 1; davda54/sam, SamsungLabs/ASAM",
        "5 steps, late and MaxOut, M = 2 and 3, SGD with momentum and weight decay",
    ),
    Agreement(
        "asam",
        "Kwon et al. 2021, Algorithm 1; SamsungLabs/ASAM",
        "as sam, and with the released rule for biases written beside it",
        "T on every parameter; the released code takes T = 1 for biases",
    ),
    Agreement(
        "look_sam",
        "Liu et al. 2022, Algorithm 1; MarlonBecker/MSAM",
        "as sam, period 2",
        "norms over all weights together; no layer-wise scaling",
    ),
    Agreement(
        "momentum_sam",
        "Becker et al. 2024; MarlonBecker/MSAM",
        "as sam; and beside the released bookkeeping of displaced weights, without weight decay",
        "weight decay acts on the weights, in the released code on the displaced ones",
    ),
    Agreement(
        "cr_sam",
        "Wu et al. 2024; TrustAIoT/CR-SAM",
        "as sam",
        "batch-norm statistics advance once a step, not twice",
    ),
    Agreement(
        "x_sam",
        "huang5467/X-SAM, f69c21b",
        "both variants, 7 steps, period 2: two estimates of v, in evaluation mode",
        "v is turned to <g, v> >= 0 (not with variant='released'); the power method starts from "
        "the gradient, not from random numbers",
    ),
]
CASES = [(f, m) for f in ("late", "concat", "maxout") for m in (2, 3)]
cases = pytest.mark.parametrize(("fusion", "m"), CASES, ids=lambda v: str(v))


def sam_step(net, batch, number, rho=0.3):
    g = plain(net, batch)
    return displaced(net, batch, times(g, rho / norm(g)))


@cases
def test_sam(fusion, m):
    compare("sam", {"rho": 0.3}, sam_step, fusion, m)


@cases
@pytest.mark.parametrize("released", [False, True])
def test_asam(fusion, m, released):
    def step(net, batch, number, rho=0.7, eta=0.05):
        g = plain(net, batch)
        size = {k: x.abs() + eta for k, x in net.w.items()}
        if released:  # T = 1 for parameters without "weight" in their name
            size |= {k: torch.ones_like(x) for k, x in net.w.items() if "weight" not in k}
        scaled = {k: size[k] * g[k] for k in g}
        return displaced(net, batch, {k: rho * size[k] * scaled[k] / norm(scaled) for k in g})

    if released:
        with pytest.raises(AssertionError):
            compare("asam", {"rho": 0.7, "eta": 0.05}, step, fusion, m)
    else:
        compare("asam", {"rho": 0.7, "eta": 0.05}, step, fusion, m)


@cases
def test_look_sam(fusion, m):
    kept = {}

    def step(net, batch, number, rho=0.3, alpha=0.6):
        g = plain(net, batch)
        if number % 2:
            across = kept["across"]
            return plus(g, across, alpha * norm(g) / norm(across))
        g_s = displaced(net, batch, times(g, rho / norm(g)))
        kept["across"] = plus(g_s, g, -dot(g_s, g) / dot(g, g))
        return g_s

    compare("look_sam", {"rho": 0.3, "alpha": 0.6, "period": 2}, step, fusion, m)


@cases
@pytest.mark.parametrize(("sign", "factor"), [("minus", -1.0), ("plus", 1.0)])
def test_momentum_sam(fusion, m, sign, factor):
    def step(net, batch, number, rho=0.4):
        eps = times(net.momenta, factor * rho / norm(net.momenta)) if net.momenta else {}
        g = displaced(net, batch, eps)
        net.advance(plus(net.w, eps), batch.inputs)
        return g

    compare("momentum_sam", {"rho": 0.4, "sign": sign}, step, fusion, m)


def test_momentum_sam_beside_weights_that_stay_displaced():
    """The released bookkeeping: undo the displacement, SGD, displace again."""
    model, batches = model_and_batches("late", 2, 5)
    net, rho, lr = Network(model), 0.4, 0.1
    stored, buffer, inverse = dict(net.w), times(net.w, 0.0), 0.0
    for batch in batches:
        g = net.gradient(lambda w, batch=batch: net.loss(w, batch), stored)
        stored = plus(stored, buffer, rho * inverse)
        buffer = plus(times(buffer, 0.9), g)
        stored = plus(stored, buffer, -lr)
        inverse = 1 / norm(buffer)
        stored = plus(stored, buffer, -rho * inverse)
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
    method = build_method("momentum_sam", rho=rho)
    for batch in batches:
        method.step(model, batch, optimizer)
    back = plus(stored, buffer, rho * inverse)
    for k, p in model.named_parameters():
        assert float((p.detach() - back[k]).abs().max()) < 1e-10, k


@cases
def test_cr_sam(fusion, m):
    def step(net, batch, number, rho=0.3, gamma=0.4, beta=0.2):
        g = plain(net, batch)
        eps = times(g, rho / norm(g))
        up, down = displaced(net, batch, eps), displaced(net, batch, times(eps, -1.0))
        return {
            k: up[k] + gamma * (up[k] + down[k] - 2 * g[k]) + beta * (up[k] - down[k]) for k in g
        }

    compare("cr_sam", {"rho": 0.3, "gamma": 0.4, "beta": 0.2}, step, fusion, m)


@cases
@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("projection", ["normalised", "printed"])
def test_x_sam(fusion, m, variant, projection):
    kept = {}

    def step(net, batch, number, rho=0.3, alpha=0.4):
        if number and number % 2 == 0:

            def loss(w):
                return net.loss(w, batch, training=False)

            v = kept.get("v") or net.gradient(loss)
            for _ in range(3):
                v = net.hessian_times(loss, times(v, 1 / norm(v)))
            kept["v"] = times(v, 1 / norm(v))
        g = plain(net, batch)
        adv = displaced(net, batch, times(g, rho / norm(g)))
        if "v" not in kept:
            return adv
        v = kept["v"]
        if variant == "paper" and dot(g, v) < 0:
            v = times(v, -1.0)
        u = times(adv, 1 / norm(adv))
        inner = dot(u if projection == "normalised" else adv, v)
        return plus(u, v, -alpha * dot(adv, v).sign() * inner)

    options = {"rho": 0.3, "alpha": 0.4, "period": 2, "iterations": 3, "variant": variant}
    compare("x_sam", options | {"projection": projection}, step, fusion, m, steps=7)
