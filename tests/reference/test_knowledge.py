"""MNL, InfoReg, diagnose & re-learn and sample valuation beside their authors' updates, written out
anew.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.cluster import KMeans

from msam_lib.data import BatchLoader
from msam_lib.methods import build_method
from msam_lib.methods.sample_valuation import valuation
from msam_lib.training import Loaders
from tests.reference import Agreement
from tests.reference.plain import CLASSES, Plain, batches, sgd, small_data, small_model, true_class

AGREEMENT = [
    Agreement(
        "mnl",
        "Gong et al. 2025; BaoquanGong/Multimodal-Negative-Learning train_latefusion.py",
        "weights, with late fusion and concatenation",
        "Of equals the released code lets the second modality guide, here none does.",
    ),
    Agreement(
        "inforeg",
        "Huang et al. 2025; GeWu-Lab/InfoReg_CVPR2025 main.py",
        "weights and windows of six epochs, with late fusion and concatenation",
        "Every encoder has its own window; the released code watches the first one's trace only.",
    ),
    Agreement(
        "diagnose_relearn",
        "Wei et al., ECCV 2024; GeWu-Lab/Diagnosing_Relearning_ECCV2024 ours.py",
        "purities, re-initialised weights, and the joint steps around them",
        "Ten k-means starts; at most `samples` training samples; one epoch earlier.",
    ),
    Agreement(
        "sample_valuation",
        "Wei et al., CVPR 2024; GeWu-Lab/Valuate-and-Enhance-Multimodal-Cooperation "
        "sample_level.py, datasets/dataloader.py",
        "phi of every sample, the copies, and the weights of an epoch with them",
        "Samples of the modality level are drawn without replacement.",
    ),
]

every_model = pytest.mark.parametrize(
    ("m", "fusion"), list(itertools.product([2, 3], ["late", "concat"]))
)


@every_model
def test_mnl(m, fusion):
    model = small_model(fusion, m)
    rule, optimizer, plain = build_method("mnl", lam=0.6, guidance=1.3), sgd(model), Plain(model)
    guided = 0
    for batch in batches(m, 4):
        rule.step(model, batch, optimizer)
        y = batch.targets
        z = list(plain.unimodal(plain.encode(batch.inputs)).values())
        fused = sum(z) / m
        loss = F.cross_entropy(fused, y) + sum(F.cross_entropy(x, y) for x in z)
        cells = []
        for i in range(len(y)):
            others = [c for c in range(CLASSES) if c != y[i]]
            rival = max(others, key=lambda c: fused[i, c].item())
            for a, b in itertools.permutations(range(m), 2):
                teacher = z[a][i].detach().softmax(0)
                student = z[b][i].softmax(0)
                ahead = z[a][i, y[i]] - z[a][i, rival] > z[b][i, y[i]] - z[b][i, rival]
                if ahead and teacher[y[i]] > student[y[i]]:
                    guided += 1
                    cells.append(-student[y[i]].log())
                    cells += [-0.6 * teacher[c] * student[c].log() for c in others]
        loss = loss + 1.3 * sum(cells) / (len(y) * CLASSES * (m - 1))
        plain.step(plain.grads(loss))
    assert guided > 10
    assert plain.distance(model) < 1e-6
    assert Plain(small_model(fusion, m)).distance(model) > 1e-2


@every_model
def test_inforeg(m, fusion):
    model = small_model(fusion, m)
    beta = {"x1": 0.95, "x2": 0.1, "x3": 0.4}
    rule = build_method("inforeg", beta=beta, threshold=0.22, weight=0.8)
    rule.setup(model)
    optimizer, plain = sgd(model), Plain(model)
    traces, open_ = {k: [0.0] * 10 for k in model.modalities}, []
    for epoch in range(6):
        rule.on_epoch_start(model, epoch, None)
        window = {}
        for k, t in traces.items():
            now, before = sum(t[-10:]) / 10, sum(t[-11:-1]) / 10
            window[k] = epoch == 0 or (now - before) / now > 0.22
        start = {k: v.detach().clone() for k, v in plain.w.items()}
        squares = dict.fromkeys(plain.w, 0.0)
        for batch in batches(m, 2, seed=epoch):
            rule.step(model, batch, optimizer)
            z = plain.unimodal(plain.encode(batch.inputs))
            own = sum(F.cross_entropy(x, batch.targets) for x in z.values())
            grads = plain.grads(F.cross_entropy(sum(z.values()), batch.targets) + 0.8 * own)
            score = {k: true_class(x, batch.targets).sum().item() for k, x in z.items()}
            for k in model.modalities:
                gap = score[k] - sum(s for o, s in score.items() if o != k) / (m - 1)
                for name in [n for n in grads if n.startswith(f"encoders.{k}.")]:
                    if gap > 0 and window[k]:
                        pull = beta[k] * math.exp(math.tanh(gap))
                        grads[name] = grads[name] + pull * (plain.w[name].detach() - start[name])
                    squares[name] = squares[name] + grads[name] ** 2
            plain.step(grads)
        for k in traces:
            weights = [n for n in squares if n.startswith(f"encoders.{k}.") and "weight" in n]
            traces[k].append(sum(float(squares[n].mean()) for n in weights))
        assert rule.trace.tolist() == pytest.approx([t[-1] for t in traces.values()], rel=1e-4)
        rule.on_epoch_end(model, epoch + 1, None, None)
        open_.append(tuple(window.values()))
    assert plain.distance(model) < 1e-6
    assert len(set(open_)) > 1, open_  # windows were open and shut
    assert Plain(small_model(fusion, m)).distance(model) > 1e-2


def majority(features: torch.Tensor, y: np.ndarray) -> float:
    low, high = features.min(0).values, features.max(0).values
    scaled = (-1 + 2 * (features - low) / (high - low)).numpy()
    clusters = KMeans(CLASSES, n_init=10, random_state=0).fit_predict(scaled)
    right = [max(Counter(y[clusters == c]).values()) for c in set(clusters)]
    return sum(right) / len(y)


@pytest.mark.parametrize("m", [2, 3])
def test_diagnose_relearn(m):
    model = small_model("late", m)
    rule = build_method("diagnose_relearn", period=2, times=1, strength=3.0)
    rule.setup(model)
    optimizer, plain, first = sgd(model), Plain(model), Plain(model)
    train, val = small_data(m, 40, 1), small_data(m, 30, 2)
    loaders = Loaders(BatchLoader(train, 20), {"val": val})
    pulled = []
    for epoch in range(5):
        rule.on_epoch_start(model, epoch, loaders)
        if epoch == 2:
            for k in model.modalities:
                purities = [
                    majority(plain.encode(d.inputs)[k].detach(), d.targets.numpy())
                    for d in (train, val)
                ]
                w = math.tanh(3.0 * abs(purities[0] - purities[1]))
                pulled.append(w)
                for name in [n for n in plain.w if n.startswith(f"encoders.{k}.")]:
                    mixed = w * first.w[name] + (1 - w) * plain.w[name]
                    plain.w[name] = mixed.detach().requires_grad_()
            assert plain.distance(model) < 1e-6
        for batch in loaders.train:
            rule.step(model, batch, optimizer)
            fused = sum(plain.unimodal(plain.encode(batch.inputs)).values())
            plain.step(plain.grads(F.cross_entropy(fused, batch.targets)))
    assert max(pulled) > 0.05 and len(set(pulled)) == m
    assert plain.distance(model) < 1e-6


def shapley_by_orders(names, value):
    """{m: mean over all orders of what m adds}."""
    out = dict.fromkeys(names, 0.0)
    orders = list(itertools.permutations(names))
    for order in orders:
        for i, k in enumerate(order):
            out[k] += (value(set(order[: i + 1])) - value(set(order[:i]))) / len(orders)
    return out


@every_model
def test_sample_valuation(m, fusion):
    model = small_model(fusion, m)
    with torch.no_grad():
        for k in model.modalities:  # so that a zero input leaves a feature that is far from zero
            model.encoders[k][2].bias += torch.tensor([1.0, -1.0, 0.5, 0.0])
    data, first = small_data(m, 50, 3), Plain(model)
    optimizer, plain = sgd(model), Plain(model)
    for batch in BatchLoader(data, 25):  # so that predictions are worth something
        build_method("joint").step(model, batch, optimizer)
        fused = sum(plain.unimodal(plain.encode(batch.inputs)).values())
        plain.step(plain.grads(F.cross_entropy(fused, batch.targets)))
    names = list(model.modalities)
    features = plain.encode(data.inputs)

    def logits(present, h):
        return sum(plain.unimodal({k: h[k] if k in present else 0 * h[k] for k in names}).values())

    right = {
        s: logits(s, features).argmax(1) == data.targets
        for size in range(m + 1)
        for s in map(frozenset, itertools.combinations(names, size))
    }
    phi = torch.zeros(m, len(data))
    for i in range(len(data)):
        each = shapley_by_orders(names, lambda s: len(s) * float(right[frozenset(s)][i]))  # noqa: B023
        phi[:, i] = torch.tensor([each[k] for k in names])
    if m == 2:  # as the authors write it
        both, a, v = (right[frozenset(s)].float() for s in (names, ["x1"], ["x2"]))
        assert torch.equal(phi, torch.stack([(a + 2 * both - v) / 2, (v + 2 * both - a) / 2]))
    assert torch.allclose(valuation(model, data), phi, atol=1e-6)
    assert not torch.allclose(valuation(model, data, zero="inputs"), phi, atol=0.1)

    copies = []  # (sample, the one modality that stays)
    for k, row in zip(names, phi, strict=True):
        for i, value in enumerate(row.tolist()):
            times = 1 if 0.4 < value < 0.999 else 2 if -0.1 < value <= 0.4 else 3
            copies += [(i, k)] * (times if value < 0.999 else 0)
    rule = build_method("sample_valuation", warmup=0)
    rule.setup(model)
    loaders = Loaders(BatchLoader(data, 16, shuffle=True), {})
    rule.on_epoch_start(model, 0, loaders)
    shown = Counter()
    for batch in loaders.train:
        rule.step(model, batch, optimizer)
        rows = [(i, None) if i < 50 else copies[i - 50] for i in batch.index.tolist()]
        shown.update(rows)
        sample = torch.tensor([i for i, _ in rows])
        assert torch.equal(batch.targets, data.targets[sample])
        h = plain.encode({k: x[sample] for k, x in data.inputs.items()})
        for i, (_, alone) in enumerate(rows):
            for k in names:
                if alone is not None and k != alone:
                    h[k] = h[k].index_fill(0, torch.tensor([i]), 0.0)
        plain.step(plain.grads(F.cross_entropy(logits(names, h), batch.targets)))
    assert shown == Counter([*((i, None) for i in range(50)), *copies]) and len(copies) > 10
    assert plain.distance(model) < 1e-6
    assert first.distance(model) > 1e-2
