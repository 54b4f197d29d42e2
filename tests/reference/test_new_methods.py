"""Rules without a state of their own: the controls, DGL, ARL, OPM, MMCosine, AMCo."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from msam_lib.methods import build_method
from tests.reference import Agreement
from tests.reference.plain_models import Plain, batches, largest_difference, moved, network, sgd

AGREEMENT = [
    Agreement(
        "joint_unimodal",
        "fixed weights; with weight 1 the uniform baseline of Wei and Hu, ICML 2024",
        "5 steps, late and concat, M = 2 and 3",
    ),
    Agreement(
        "modality_dropout",
        "Neverova et al. 2016, per-sample Bernoulli of the inputs",
        "5 steps with the same random numbers, late and concat, M = 2 and 3",
        "one modality of every sample stays",
    ),
    Agreement(
        "dgl",
        "Wei et al., ICCV 2025; shicaiwei123/ICCV2025-GDL main_dgl.py, fusion_modules.py",
        "5 steps, late, concat and maxout, M = 2 and 3",
        "gradient clipping at norm 40 is left to clip_norm",
    ),
    Agreement(
        "arl",
        "Wei et al., ICCV 2025; shicaiwei123/ICCV2025-ARL main_arl_variance.py, backbone.py",
        "5 steps (2 of warm-up), late, concat and maxout, M = 2 and 3, both variants",
        "mean of the others and 0.6 / M for M = 3; coefficients act on the step that gave them",
    ),
    Agreement(
        "opm",
        "Wei et al., T-PAMI 2024; GeWu-Lab/BML_TPAMI2024 Classifier.py, main.py",
        "8 steps with the same random numbers, late and concat, M = 2 and 3",
        "mean of the others for M = 3",
    ),
    Agreement(
        "mmcosine",
        "Xu et al., ICASSP 2023; GeWu-Lab/MMCosine_ICASSP23 main_CD.py",
        "5 steps and predictions, late and concat, M = 2 and 3",
    ),
    Agreement(
        "amco",
        "two ports: GeWu-Lab/BalanceBenchmark AMCo_trainer.py, and an earlier ACMo_main.py",
        "9 steps over 3 epochs with the same random numbers, late and concat, M = 2 and 3",
        "masks act on the encoders' features; one new mask per modality and step",
    ),
]

every_sum = pytest.mark.parametrize("fusion", ["late", "concat"])
every_fusion = pytest.mark.parametrize("fusion", ["late", "concat", "maxout"])
every_m = pytest.mark.parametrize("m", [2, 3])
CE = F.cross_entropy


def compare(name, options, fusion, m, rule, *, epochs=(None,) * 5):
    """Step both; `rule(plain, batch, epoch)` gives the reference's gradients."""
    model, method = network(fusion, m), build_method(name, **options)
    start = copy.deepcopy(model)
    plain, optimizer = Plain(model, fusion, model.modalities), sgd(model)
    method.setup(model)
    before = None
    for i, (batch, epoch) in enumerate(zip(batches(m, len(epochs)), epochs, strict=True)):
        if epoch is not None and epoch != before:
            method.on_epoch_start(model, epoch, None)
        before = epoch
        torch.manual_seed(i)
        method.step(model, batch, optimizer)
        torch.manual_seed(i)
        plain.update(rule(plain, batch, epoch))
    assert largest_difference(plain, model) < 1e-6
    assert moved(plain, start) > 0.02
    return method, model


@every_sum
@every_m
def test_joint_training_with_unimodal_losses(fusion, m):
    def rule(net, batch, epoch):
        z = net.unimodal(net.features(batch.inputs))
        return net.grads(
            CE(sum(z.values()), batch.targets) + 0.7 * sum(CE(v, batch.targets) for v in z.values())
        )

    compare("joint_unimodal", {"weight": 0.7}, fusion, m, rule)


@every_sum
@every_m
def test_modality_dropout(fusion, m):
    gone = []

    def rule(net, batch, epoch):
        draws = torch.rand(len(batch.targets), m)
        x = {k: v.clone() for k, v in batch.inputs.items()}
        for i, row in enumerate(draws.tolist()):
            out = [k for k, u in enumerate(row) if u < 0.6]
            if len(out) == m:
                out.remove(row.index(max(row)))
                gone.append(i)
            for k in out:
                x[net.names[k]][i] = 0
        return net.grads(CE(net.logits(net.features(x)), batch.targets))

    compare("modality_dropout", {"probability": 0.6}, fusion, m, rule)
    assert gone  # samples that would have lost everything


@every_fusion
@every_m
def test_dgl(fusion, m):
    def rule(net, batch, epoch):
        h = net.features(batch.inputs)
        apart = net.grads(
            3.0 * sum(CE(u, batch.targets) for u in net.auxiliary(h).values()), retain=True
        )
        whole = net.grads(CE(net.logits({k: v.detach() for k, v in h.items()}), batch.targets))
        return {k: apart[k] if net.encoder(k) else whole[k] for k in net.p}

    compare("dgl", {"alpha": 3.0}, fusion, m, rule)


@pytest.mark.parametrize("variant", ["paper", "released"])
@every_fusion
@every_m
def test_arl(fusion, m, variant):
    seen = []

    def rule(net, batch, epoch):
        h = net.features(batch.inputs)
        u = net.auxiliary(h)
        gamma = 1.0 if epoch == 0 else 2.0
        loss = CE(net.logits(h), batch.targets)
        grads = net.grads(loss + gamma * sum(CE(v, batch.targets) for v in u.values()))
        if epoch == 0:
            return grads
        depends, entropy = [], []
        for v in u.values():
            p = v.detach().softmax(1)
            depends.append(v.detach().abs().mean(0).sum())
            entropy.append(-(p * p.log()).sum(1).mean())
        share = [max(float(e / sum(entropy)), 0.6 / m) for e in entropy]
        sure = [1 / e / sum(1 / s for s in share) for e in share]
        d = [float(v / sum(depends)) for v in depends]
        raised = [math.exp(20 * q * (1 - v) / (m - 1)) for q, v in zip(sure, d, strict=True)]
        kappa = {k: r / sum(raised) for k, r in zip(net.names, raised, strict=True)}
        seen.append(max(kappa.values()) - min(kappa.values()))
        if variant == "released":
            kappa = dict.fromkeys(net.names, 0.5)
        return {
            k: g if net.encoder(k) is None else g * (1 + kappa[net.encoder(k)])
            for k, g in grads.items()
        }

    options = {"gamma": 2.0, "temperature": 20.0, "warmup": 1, "variant": variant}
    compare("arl", options, fusion, m, rule, epochs=(0, 0, 1, 1, 1))
    assert max(seen) > 0.03


@every_sum
@every_m
def test_opm(fusion, m):
    done = []

    def rule(net, batch, epoch):
        h = net.features(batch.inputs)
        if epoch == 0:
            return net.grads(CE(net.logits(h), batch.targets))
        rows = range(len(batch.targets))
        score = [
            float(z.detach().softmax(1)[rows, batch.targets].sum())
            for z in net.unimodal(h).values()
        ]
        q = []
        for s in score:
            ratio = s / ((sum(score) - s) / (m - 1))
            raised = 0.4 * (1 + 0.5 * math.tanh(max(ratio - 1, 0)))
            q.append(min(max(raised, 0), 1) if ratio > 1 else 0.0)
        assert 0 < max(q) < 1
        modulated = float(torch.rand(())) < 0.6
        draws = torch.rand(m, len(batch.targets), 1)
        done.append(modulated)
        if modulated:
            sizes = [v.shape[1] for v in h.values()]
            theta = sum(s * p for s, p in zip(sizes, q, strict=True)) / sum(sizes)
            h = {k: v * (draws[i] >= q[i]) / (1 - theta) for i, (k, v) in enumerate(h.items())}
        return net.grads(CE(net.logits(h), batch.targets))

    options = {"q_base": 0.4, "lam": 0.5, "execute": 0.6, "warmup": 1}
    compare("opm", options, fusion, m, rule, epochs=(0, 1, 1, 1, 1, 1, 1, 1))
    assert set(done) == {True, False}


@every_sum
@every_m
def test_mmcosine(fusion, m):
    def cosines(net, batch):
        h, w = net.features(batch.inputs), net.class_weights()
        return 7.0 * sum(
            (h[k] / h[k].norm(dim=1, keepdim=True)) @ (w[k] / w[k].norm(dim=1, keepdim=True)).T
            for k in net.names
        )

    def rule(net, batch, epoch):
        return net.grads(CE(cosines(net, batch), batch.targets))

    method, model = compare("mmcosine", {"scale": 7.0}, fusion, m, rule)
    batch = batches(m, 1)[0]
    expected = cosines(Plain(model, fusion, model.modalities), batch)
    assert torch.allclose(method.predict(model, batch), expected, atol=1e-5)


@every_sum
@every_m
def test_amco(fusion, m):
    before: dict[str, object] = {"epoch": None, "names": []}
    masked = []

    def rule(net, batch, epoch):
        if epoch != before["epoch"]:
            before.update(epoch=epoch, names=[])
        part = math.sin(math.pi / 2 * min(1.0, sum(range(epoch + 1)) / 10 / 0.4))
        h = net.features(batch.inputs)
        for k in net.names if part else []:
            units = torch.ones(h[k].shape[1])
            units[torch.randperm(len(units))[: int(part * len(units))]] = 0
            if k in before["names"]:
                h[k] = h[k] * units * min(1 / (1 - part) if part < 1 else 10.0, 10.0)
                masked.append((epoch, k))
        z = net.unimodal(h)
        loss = CE(sum(z.values()), batch.targets)
        grads = net.grads(loss + 0.8 * sum(CE(v, batch.targets) for v in z.values()))
        p = torch.cat(list(z.values()), dim=1).softmax(1).unflatten(1, (m, -1)).sum(2).mean(0)
        before["names"] = [k for k, s in zip(net.names, p.tolist(), strict=True) if s > 0.3]
        return grads

    options = {"threshold": 0.3, "epsilon": 0.4, "weight": 0.8}
    compare("amco", options, fusion, m, rule, epochs=(0, 0, 0, 1, 1, 1, 2, 2, 2))
    assert {epoch for epoch, _ in masked} == {1, 2}
