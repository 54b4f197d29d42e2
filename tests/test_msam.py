"""M-SAM's own equations: its limits, its mixture, a quadratic, and the naive algorithm as
printed.
"""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from benchmarks.naive_msam import NaiveMSAM
from msam_lib.data import Batch
from msam_lib.methods import build_method
from msam_lib.models import Output, wrap
from tests.helpers import distance, make_batch, make_model, sgd, steps, two_cnns, weights

FUSIONS = ("late", "concat", "maxout", "gated")
over_settings = pytest.mark.parametrize(
    ("fusion", "m"), [(f, m) for f in FUSIONS for m in (2, 3)], ids=lambda v: str(v)
)


def gradient(model, batch, loss=None):
    """{name: gradient} of the fused loss, in training mode, without moving any statistic."""
    model = copy.deepcopy(model).train()
    torch.manual_seed(7)
    out = model(batch.inputs)
    (F.cross_entropy(out.logits, batch.targets) if loss is None else loss(out)).backward()
    return {
        k: torch.zeros_like(p) if p.grad is None else p.grad for k, p in model.named_parameters()
    }


def moved(model, eps):
    model = copy.deepcopy(model)
    with torch.no_grad():
        for k, p in model.named_parameters():
            p += eps.get(k, torch.zeros(()))
    return model


def scaled(grads, rho):
    norm = torch.sqrt(sum((g**2).sum() for g in grads.values()))
    return {k: rho * g / norm for k, g in grads.items()}


def applied(model, grads, lr=0.1):
    return moved(model, {k: -lr * g for k, g in grads.items()})


@over_settings
def test_all_the_weight_on_one_modality_is_sam(fusion, m):
    model, batches = make_model(fusion, m), [make_batch(m, seed=s) for s in (1, 2)]
    sam = steps(model, build_method("sam", rho=0.1), batches)
    assert distance(steps(model, build_method("msam", rho=0.1, mixing=1.0), batches), sam) < 1e-6


def test_a_useless_second_modality_gives_v_one_and_sam():
    model, batch = make_model("late", 2), make_batch(2, n=200)
    learnt = batch._replace(targets=(batch.inputs["x1"].mean((1, 2, 3)) > 0).long())
    trained = steps(model, build_method("joint"), [learnt] * 30)
    with torch.no_grad():
        for p in trained.fusion.heads["x2"].parameters():
            p.zero_()
    twin = copy.deepcopy(trained)
    logs = build_method("msam", rho=0.1).step(twin, learnt, sgd(twin))
    assert (logs["share/x1"], logs["share/x2"]) == (1.0, 0.0)
    assert distance(twin, steps(trained, build_method("sam", rho=0.1), [learnt])) == 0.0


@over_settings
def test_literal_is_the_mixture_of_two_gradients(fusion, m):
    model, batch, rho = make_model(fusion, m), make_batch(m, n=40), 0.2
    method = build_method("msam", rho=rho)
    twin = copy.deepcopy(model)
    torch.manual_seed(7)
    logs = method.step(twin, batch, sgd(twin, 0.1))
    v = max(float(logs[f"share/{k}"]) for k in model.modalities)
    g = gradient(model, batch)
    risen = gradient(moved(model, scaled(g, rho)), batch)
    mixed = {k: (1 - v) * g[k] + v * risen[k] for k in g}
    assert distance(twin, applied(model, mixed)) < 1e-6
    assert distance(twin, applied(model, g)) > 1e-6


@pytest.mark.parametrize("m", [2, 3])
@pytest.mark.parametrize("fusion", ["late", "maxout"])
def test_agrees_with_the_algorithm_written_naively(fusion, m):
    model = make_model(fusion, m, dropout=0.0)
    for (
        part
    ) in model.modules():  # batch statistics in both, so that the cached features are the same
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.track_running_stats = False
            part.running_mean = part.running_var = part.num_batches_tracked = None
    batches = [make_batch(m, n=40, seed=s) for s in (1, 2, 3)]
    if fusion == "late":
        model = _without_norm(model)
        naive = steps(model, NaiveMSAM(rho=0.1), batches)
        assert distance(steps(model, build_method("msam", rho=0.1), batches), naive) < 1e-6
    else:  # v differs (a batch of zeros has no variance); with v fixed the steps agree
        naive = NaiveMSAM(rho=0.1)
        naive.shares = lambda model, batch: torch.full((m,), 0.5)
        expected = steps(model, naive, batches)
        assert (
            distance(steps(model, build_method("msam", rho=0.1, mixing=0.5), batches), expected)
            < 1e-6
        )


def _without_norm(model):
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.modules.batchnorm._BatchNorm):
                setattr(parent, name, nn.Identity())
    return model


class Quadratic(nn.Module):
    """A loss 1/2 theta^T H theta dressed up as a model: two logits whose cross-entropy is not
    used.
    """

    def __init__(self, n=6):
        super().__init__()
        a = torch.randn(n, n, dtype=torch.float64)
        self.hessian = a @ a.T + torch.eye(n, dtype=torch.float64)
        self.theta = nn.Parameter(torch.randn(n, dtype=torch.float64))

    def forward(self, inputs):
        return Output(torch.stack([inputs["x1"], inputs["x2"]], dim=1) + 0 * self.theta.sum())

    def value(self):
        return 0.5 * self.theta @ self.hessian @ self.theta


@pytest.mark.parametrize("rho", [0.0, 0.3, 5.0])
def test_on_a_quadratic_it_is_sam_with_radius_rho_times_v(rho):
    net = Quadratic()
    model = wrap(net, ["x1", "x2"])
    x1 = torch.tensor([-1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    x2 = torch.tensor([1.0, -0.5, -0.5, -2.0], dtype=torch.float64)
    batch = Batch({"x1": x1, "x2": x2}, torch.ones(4, dtype=torch.long))  # Phi = 0, 3/4, 1/4, 3/4

    def step(method):
        twin = copy.deepcopy(model)
        method.loss = lambda output, batch: twin.module.value() + 0 * output.logits.sum()
        logs = method.step(twin, batch, sgd(twin))
        return twin.module.theta.detach(), logs

    theta, logs = step(build_method("msam", rho=rho))
    v = max(float(logs["share/x1"]), float(logs["share/x2"]))
    assert v == pytest.approx(5 / 6)
    sam, _ = step(build_method("sam", rho=rho * v))
    assert torch.allclose(theta, sam, atol=1e-6)  # the shares are single precision
    assert rho == 0 or not torch.allclose(theta, step(build_method("sam", rho=rho))[0], atol=1e-3)


def test_which_modality_is_dominant_does_not_change_the_literal_step():
    model, batch = two_cnns(), make_batch(1, n=30)
    batch = Batch({"x1": batch.inputs["x1"], "x2": torch.randn(30, 1, 6, 6)}, batch.targets)
    swapped = copy.deepcopy(model)
    for part in (swapped.encoders, swapped.fusion.heads):
        part["x1"], part["x2"] = part["x2"], part["x1"]
    a = steps(model, build_method("msam"), [batch])
    b = steps(
        swapped,
        build_method("msam"),
        [Batch(dict(zip(("x2", "x1"), batch.inputs.values(), strict=True)), batch.targets)],
    )
    for m, other in (("x1", "x2"), ("x2", "x1")):
        pairs = zip(a.encoders[m].parameters(), b.encoders[other].parameters(), strict=True)
        assert all(torch.allclose(p, q, atol=1e-6) for p, q in pairs)


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
    risen = gradient(moved(model, scaled(own, rho)), batch)
    expected = g | {k: (1 - v) * g[k] + v * risen[k] for k in own}
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
    plain, optimizer = build_method("msam"), sgd(model, 0.0)
    expected = None
    for seed in (1, 2, 3):
        logs = plain.step(copy.deepcopy(model), make_batch(n=40, seed=seed), sgd(model, 0.0))
        expected = (
            logs["share/x1"] if expected is None else 0.75 * expected + 0.25 * logs["share/x1"]
        )
        twin = copy.deepcopy(model)
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
