"""M-SAM's other readings, one-pass ascent and smoothing, against steps worked out by hand."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F

from msam_lib.data import Batch
from msam_lib.methods import build_method
from tests.gradients import applied, gradient, moved, scaled
from tests.helpers import distance, make_batch, make_model, sgd, two_cnns, weights
from tests.test_msam import over_settings


@over_settings
@pytest.mark.parametrize("mixing", [None, 1.0])
@pytest.mark.parametrize("target", ["dominant", "weakest"])
def test_encoder_reading_moves_only_the_targets_gradient(fusion, m, mixing, target):
    model, batch, rho = make_model(fusion, m), make_batch(m, n=40), 0.5
    method = build_method("msam", reading="encoder", rho=rho, mixing=mixing, target=target)
    twin = copy.deepcopy(model)
    torch.manual_seed(7)
    logs = method.step(twin, batch, sgd(twin, 0.1))
    shares = {k: float(logs[f"share/{k}"]) for k in model.modalities}
    rank = dict(
        zip(model.modalities, method.dominance.phi.tolist(), strict=True)
    )  # separates equal shares
    chosen = (max if target == "dominant" else min)(shares, key=lambda k: (shares[k], rank[k]))
    v = max(shares.values()) if mixing is None else mixing
    g = gradient(model, batch)
    own = {k: x for k, x in g.items() if k.startswith(f"encoders.{chosen}.")}
    perturbed_grads = gradient(moved(model, scaled(own, rho)), batch)
    expected = g | {k: (1 - v) * g[k] + v * perturbed_grads[k] for k in own}
    assert distance(twin, applied(model, expected)) < 1e-6
    assert distance(twin, applied(model, g)) > 1e-6


@pytest.mark.parametrize("m", [2, 3])
def test_unimodal_loss_reading_with_late_fusion(m):
    model, batch, rho = make_model("late", m), make_batch(m, n=40), 0.5
    twin = copy.deepcopy(model)
    logs = build_method("msam", reading="unimodal_loss", rho=rho).step(twin, batch, sgd(twin, 0.1))
    v = {k: float(logs[f"share/{k}"]) for k in model.modalities}
    d = max(v, key=lambda k: v[k])

    def own(k):
        return lambda out: v[k] * F.cross_entropy(out.unimodal[k], batch.targets)

    strong = gradient(model, batch, own(d))
    g = gradient(moved(model, scaled(strong, rho)), batch, own(d))
    for k in model.modalities:
        if k != d:
            other = gradient(model, batch, own(k))
            g = {name: g[name] + other[name] for name in g}
    assert distance(twin, applied(model, g)) < 1e-6


def test_unimodal_loss_reading_without_own_logits_masks_the_inputs():
    model, batch = make_model("gated", 2), make_batch(2, n=40)
    method = build_method("msam", reading="unimodal_loss", rho=0.0)
    twin = copy.deepcopy(model)
    logs = method.step(twin, batch, sgd(twin, 0.1))
    expected = sum(
        float(logs[f"share/{k}"])
        * F.cross_entropy(model(batch.inputs, present=[k]).logits, batch.targets)
        for k in model.modalities
    )
    assert float(logs["loss"]) == pytest.approx(expected.item(), abs=1e-5)


def test_encoder_reading_runs_the_other_encoders_once():
    model, batch, calls = two_cnns(), make_batch(1, n=16), {"x1": 0, "x2": 0}
    batch = Batch({"x1": batch.inputs["x1"], "x2": torch.randn(16, 1, 6, 6)}, batch.targets)
    for k in calls:
        model.encoders[k].register_forward_hook(
            lambda mod, args, out, k=k: calls.__setitem__(k, calls[k] + (len(out) == 16))
        )
    logs = build_method("msam", reading="encoder").step(model, batch, sgd(model))
    chosen = max(calls, key=lambda k: (logs[f"share/{k}"], k == "x1"))
    assert calls == {k: 2 if k == chosen else 1 for k in calls}


def test_momentum_ascent_is_one_gradient_at_the_displaced_weights():
    model, rho = make_model("late", 2), 0.4
    method, optimizer = build_method("msam", ascent="momentum", rho=rho), sgd(model, 0.1, 0.9)
    first, second = make_batch(seed=1), make_batch(seed=2)
    logs = method.step(model, first, optimizer)
    v = max(float(logs["share/x1"]), float(logs["share/x2"]))
    momenta = {
        k: optimizer.state[p]["momentum_buffer"].clone() for k, p in model.named_parameters()
    }
    g = gradient(moved(model, scaled(momenta, rho * v)), second)
    expected = applied(model, {k: 0.9 * momenta[k] + g[k] for k in g})
    method.step(model, second, optimizer)
    assert distance(model, expected) < 1e-6


def test_smoothing_averages_the_shares_over_steps():
    model, method = make_model("late", 2), build_method("msam", smoothing=0.75)
    plain, twin = build_method("msam"), copy.deepcopy(model)
    optimizer = sgd(twin, 0.0)  # the weights stay
    expected = None
    for seed in (1, 2, 3):
        logs = plain.step(model, make_batch(n=40, seed=seed), sgd(model, 0.0))
        expected = (
            logs["share/x1"] if expected is None else 0.75 * expected + 0.25 * logs["share/x1"]
        )
        assert method.step(twin, make_batch(n=40, seed=seed), optimizer)[
            "share/x1"
        ] == pytest.approx(expected)


def test_gradients_are_forgotten_between_steps():
    model, batch = make_model("late", 2), make_batch(2)
    for p in model.parameters():
        p.grad = torch.full_like(p, 1e6)
    before = weights(model)
    build_method("msam").step(model, batch, sgd(model, 0.1))
    assert (
        max(float((p - before[k]).detach().abs().max()) for k, p in model.named_parameters()) < 10
    )
