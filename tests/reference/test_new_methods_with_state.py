"""Rules that train something of their own: UMT, G2D (unimodal teachers), Greedy (gates)."""

from __future__ import annotations

import copy
import math
from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from msam_lib.data import BatchLoader, MultimodalDataset
from msam_lib.methods import build_method
from tests.reference import Agreement
from tests.reference.plain_models import (
    DECAY,
    LR,
    MOMENTUM,
    Plain,
    batches,
    largest_difference,
    moved,
    network,
    sgd,
)

AGREEMENT = [
    Agreement(
        "umt",
        "Du et al., ICML 2023; GeWu-Lab/BalanceBenchmark UMT_trainer.py",
        "5 steps towards given teachers, late and maxout, M = 2 and 3; the teachers' training",
        "teachers: copies of the encoders, a fixed number of epochs of Adam",
    ),
    Agreement(
        "g2d",
        "Rakib and Bagavathi, ICCV 2025; rAIson-Lab/G2D student.py, utils.py",
        "6 steps over the stages towards given teachers, late and maxout, M = 2 and 3",
        "teachers as for umt; stages given in epochs; every parameter of an encoder waits",
    ),
    Agreement(
        "greedy",
        "Wu et al., ICML 2022; nyukat/greedy_multimodal_learning balanced_mmtm.py, callbacks.py",
        "9 steps with regular and re-balancing ones, late and concat, M = 2 and 3; predictions",
        "one MMTM behind the encoders; every modality's own running average, in training only",
    ),
]

every_m = pytest.mark.parametrize("m", [2, 3])
CE = F.cross_entropy


def with_teachers(name, options, fusion, m):
    """A network, its method with teachers of random weights, and the reference of both."""
    model, method = network(fusion, m), build_method(name, **options)
    method.setup(model)
    torch.manual_seed(5)
    with torch.no_grad():
        for p in method.teachers.parameters():
            p.copy_(torch.randn_like(p) / 2)
    method.teachers.memory["ready"] = True
    taught = method.teachers
    weights = {}
    for k, encoder, head in zip(model.modalities, taught.encoders, taught.heads, strict=True):
        parts = {f"encoders.{k}": encoder, f"heads.{k}": head}
        for prefix, part in parts.items():
            weights |= {f"{prefix}.{n}": p.detach().clone() for n, p in part.named_parameters()}
    plain = Plain(model, fusion, model.modalities)
    teacher = copy.copy(plain)
    teacher.p = weights
    return model, method, plain, teacher


def run(model, method, plain, rule, epochs):
    optimizer, start = sgd(model), copy.deepcopy(model)
    for batch, epoch in zip(batches(len(plain.names), len(epochs)), epochs, strict=True):
        method.on_epoch_start(model, epoch, None)
        method.step(model, batch, optimizer)
        plain.update(rule(batch, epoch))
    assert largest_difference(plain, model) < 1e-6
    assert moved(plain, start) > 0.02


def apart(h, t):
    return sum(((h[k] - t[k]) ** 2).sum() / h[k].numel() for k in h)


@pytest.mark.parametrize("fusion", ["late", "maxout"])
@every_m
def test_umt(fusion, m):
    model, method, plain, teacher = with_teachers("umt", {"weight": 3.0}, fusion, m)

    def rule(batch, epoch):
        h, t = plain.features(batch.inputs), teacher.features(batch.inputs)
        return plain.grads(CE(plain.logits(h), batch.targets) + 3.0 * apart(h, t))

    run(model, method, plain, rule, epochs=range(5))


@pytest.mark.parametrize("fusion", ["late", "maxout"])
@every_m
def test_g2d(fusion, m):
    options = {"alpha": 0.7, "beta": 0.4, "temperature": 2.0, "stage_epochs": 2}
    model, method, plain, teacher = with_teachers("g2d", options, fusion, m)
    leaders = []

    def rule(batch, epoch):
        h, t = plain.features(batch.inputs), teacher.features(batch.inputs)
        z, told = plain.logits(h), {k: teacher.linear(t[k], f"heads.{k}") for k in t}
        loss = CE(z, batch.targets) + 0.7 * apart(h, t)
        for v in told.values():
            p, log_q = (v / 2).softmax(1), (z / 2).log_softmax(1)
            loss = loss + 0.4 * 4 * (p * (p.log() - log_q)).sum(1).mean()
        grads, stage = plain.grads(loss), epoch // 2
        if stage >= m - 1:
            return grads
        rows = range(len(batch.targets))
        rho = {k: float(v.softmax(1)[rows, batch.targets].mean()) for k, v in told.items()}
        leaders.append(sorted(rho, key=lambda k: rho[k])[stage])
        return {
            k: torch.zeros_like(g) if plain.encoder(k) not in (None, leaders[-1]) else g
            for k, g in grads.items()
        }

    run(model, method, plain, rule, epochs=range(6))
    assert len(leaders) == 2 * (m - 1)


def test_teachers_are_encoders_trained_alone_with_adam():
    model = network("late", 2)
    method = build_method("umt", teacher_epochs=2, teacher_lr=0.01)
    method.setup(model)
    whole = batches(2, 1, n=20)[0]
    data = MultimodalDataset(whole.inputs, whole.targets)
    plain = Plain(model, "late", model.modalities)
    state = torch.get_rng_state()
    loaders = SimpleNamespace(train=BatchLoader(data, 8, shuffle=True, seed=4))
    method.on_epoch_start(model, 0, loaders)
    assert torch.equal(state, torch.get_rng_state())
    order = BatchLoader(data, 8, shuffle=True, seed=0)
    for i, m in enumerate(model.modalities):
        w = {k: v for k, v in plain.p.items() if k.startswith(f"encoders.{m}.")}
        w["weight"] = torch.zeros(3, model.fusion.dims[m], requires_grad=True)
        w["bias"] = torch.zeros(3, requires_grad=True)
        first, second, t = dict.fromkeys(w, 0.0), dict.fromkeys(w, 0.0), 0
        for epoch in range(2):
            order.set_epoch(epoch)
            for batch in order:
                t += 1
                h = plain.features(batch.inputs)[m]
                loss = CE(F.linear(h, w["weight"], w["bias"]), batch.targets)
                for k, g in zip(w, torch.autograd.grad(loss, list(w.values())), strict=True):
                    first[k] = 0.9 * first[k] + 0.1 * g
                    second[k] = 0.999 * second[k] + 0.001 * g * g
                    root = (second[k] / (1 - 0.999**t)).sqrt() + 1e-8
                    with torch.no_grad():
                        w[k] -= 0.01 * first[k] / (1 - 0.9**t) / root
        found = dict(method.teachers.encoders[i].named_parameters(prefix=f"encoders.{m}"))
        found |= dict(method.teachers.heads[i].named_parameters())
        assert max(float((w[k] - found[k]).abs().max().detach()) for k in w) < 1e-5
    assert method.teachers.ready


@pytest.mark.parametrize("fusion", ["late", "concat"])
@every_m
def test_greedy(fusion, m):
    model = network(fusion, m)
    method = build_method("greedy", threshold=0.02, window=2, ratio=3.0, warmup=1)
    method.setup(model)
    plain, start = Plain(model, fusion, model.modalities), copy.deepcopy(model)
    gates = {k: v.detach().clone().requires_grad_() for k, v in method.gates.named_parameters()}
    hidden = int(2 * sum(model.fusion.dims.values()) / 3)
    assert gates["squeeze.weight"].shape[0] == hidden
    plain.p |= {f"gates.{k}": v for k, v in gates.items()}  # one SGD for all
    average = dict.fromkeys(plain.names, 0.0)
    mu = {k: [0.0, 0.0] for k in plain.names}
    steps = {"left": 0, "of": None, "seen": 0, "regular": 0, "apart": 0}

    def gated(h):
        squeezed = torch.relu(plain.linear(torch.cat(list(h.values()), 1), "gates.squeeze"))
        return {
            k: torch.sigmoid(plain.linear(squeezed, f"gates.excite.{i}")) for i, k in enumerate(h)
        }

    def squared(names, values):
        return sum(float((values[k] ** 2).sum().detach()) for k in names)

    def rule(batch, epoch):
        h = plain.features(batch.inputs)
        g = gated(h)
        n = steps["seen"]
        for k in h:
            average[k] = (g[k].detach().mean(0) + n * average[k]) / (n + 1)
        steps["seen"] += 1
        if steps["left"]:
            g[steps["of"]] = average[steps["of"]].expand_as(g[steps["of"]])
        loss = CE(plain.logits({k: h[k] * g[k] for k in h}), batch.targets)
        grads = plain.grads(loss)
        if steps["left"]:
            steps["left"] -= 1
            steps["apart"] += 1
            return grads
        steps["regular"] += 1
        for i, k in enumerate(plain.names):
            bypass = [p for p in plain.p if p.startswith(("gates.squeeze", f"gates.excite.{i}."))]
            own = (f"encoders.{k}.", f"fusion.heads.{k}.")
            for j, group in enumerate([bypass, [p for p in plain.p if p.startswith(own)]]):
                mu[k][j] += squared(group, grads) / squared(group, plain.p)
        speed = [math.log10(a / b) for a, b in mu.values()]
        lead = [s - (sum(speed) - s) / (m - 1) for s in speed]
        if epoch >= 1 and max(lead) > 0.02:
            steps.update(left=2, of=plain.names[lead.index(max(lead))])
        return grads

    optimizer = sgd(model)
    assert optimizer.defaults["lr"] == LR and MOMENTUM and DECAY
    epochs = (0, 0, 1, 1, 1, 1, 1, 1, 1)
    for batch, epoch in zip(batches(m, len(epochs)), epochs, strict=True):
        method.on_epoch_start(model, epoch, None)
        method.step(model, batch, optimizer)
        plain.update(rule(batch, epoch))
    assert steps["regular"] > 2 and steps["apart"] > 2
    sums = torch.tensor([mu[k] for k in plain.names]).T
    assert torch.allclose(method.speeds, sums, rtol=1e-4)
    probe = batches(m, 1)[0]
    h = plain.features(probe.inputs)
    z = plain.logits({k: v * g for (k, v), g in zip(h.items(), gated(h).values(), strict=True)})
    assert torch.allclose(method.predict(model, probe), z, atol=1e-5)
    found = dict(model.named_parameters())
    found |= {f"gates.{k}": v for k, v in method.gates.named_parameters()}
    assert max(float((v - found[k]).abs().max().detach()) for k, v in plain.p.items()) < 1e-6
    weights = {k: v for k, v in plain.p.items() if not k.startswith("gates.")}
    plain.p = weights
    assert moved(plain, start) > 0.02
