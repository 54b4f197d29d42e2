"""MLA, ReconBoost and AUG beside their authors' updates, written out anew."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from msam_lib.methods import build_method
from tests.reference import Agreement
from tests.reference.plain import CLASSES, Plain, batches, sgd, small_model, true_class

AGREEMENT = [
    Agreement(
        "mla",
        "Zhang et al. 2024, section 3; Cecile-hi/Multimodal-Learning-with-Alternating-Unimodal-"
        "Adaptation main.py, utils.py",
        "weights of two epochs with the projection (P as the inverse of the accumulated outer "
        "products) and without; both gates",
        "The released projection never runs (variant='released'); its gate is one weight per "
        "test batch, here per sample.",
    ),
    Agreement(
        "reconboost",
        "Hua et al. 2024; huacong/ReconBoost train.py",
        "weights through both phases of every modality's turn, optimizer state emptied between",
        "Heads of their own instead of a shared one; the boosting rate is fixed; no pretrained "
        "encoders. The released agreement term has no gradient (variant='released').",
    ),
    Agreement(
        "aug",
        "njustkmg/NeurIPS25-AUG train_CREMAD.py, model/AudioVideo.py",
        "weights of encoders and classifiers, number of embeddings after every epoch",
        "For lam other than 1 every modality grows by the second one's rule; the classifiers have "
        "an SGD of their own without weight decay. The released embeddings are never trained "
        "(variant='released').",
    ),
]


class SharedHead(Plain):
    """MLA: one head for all, which is the first one's."""

    def __init__(self, model):
        super().__init__(model)
        self.heads = [k for k in self.w if k.startswith("fusion.heads.")]
        self.first = [k for k in self.heads if ".x1." in k]
        self.w = {k: v for k, v in self.w.items() if k not in self.heads or k in self.first}

    def head(self, h):
        return self.linear("fusion.heads.x1", h)


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("m", [2, 3])
def test_mla(m, variant):
    model = small_model("late", m)
    rule, optimizer, plain = build_method("mla", variant=variant), sgd(model), SharedHead(model)
    rule.setup(model)
    inverse = torch.eye(4, dtype=torch.float64)  # of P
    epochs = [batches(m, 3, seed=s) for s in (1, 2)]
    for epoch, part in enumerate(epochs):
        rule.on_epoch_start(model, epoch, SimpleNamespace(train=part))
        for number, batch in enumerate(part):
            rule.step(model, batch, optimizer)
            features = plain.encode(batch.inputs)
            for h in features.values():
                loss = F.cross_entropy(plain.head(h), batch.targets)
                grads = plain.grads(loss, retain_graph=True)
                if variant == "paper":
                    r = h.detach().double().mean(0)
                    a = 0.1 ** (1 + number / len(part))
                    inverse = inverse + torch.outer(r, r) / a  # (P - P r r^T P / (a + r^T P r))^-1
                    head = "fusion.heads.x1.weight"
                    grads[head] = (grads[head].double() @ inverse.inverse().T).float()
                plain.step(grads)
    assert plain.distance(model) < 1e-6
    heads = model.fusion.heads
    assert all(torch.equal(heads[k].weight, heads["x1"].weight) for k in heads)
    assert SharedHead(small_model("late", m)).distance(model) > 1e-2

    batch = epochs[0][0]
    own = torch.stack([plain.head(h) for h in plain.encode(batch.inputs).values()]).detach()
    entropy = -(own.softmax(-1) * own.softmax(-1).log()).sum(-1)
    weight = (entropy.max(0).values - entropy).exp()
    expected = (weight / weight.sum(0))[..., None] * own
    assert torch.allclose(rule.predict(model, batch), expected.sum(0), atol=1e-5)
    shares = dict(zip(model.modalities, (0.55, 0.45, 0.3), strict=False))
    fixed = build_method("mla", gate="fixed", weights=shares, variant=variant)
    expected = sum(w * z for w, z in zip(shares.values(), own, strict=True))
    assert torch.allclose(fixed.predict(model, batch), expected, atol=1e-5)


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("fusion", ["late", "concat"])
@pytest.mark.parametrize("m", [2, 3])
def test_reconboost(m, fusion, variant):
    model = small_model(fusion, m)
    w1, w2, agreement, rate = 5.0, 2.0, 0.7, 1.5
    rule = build_method(
        "reconboost", w1=w1, w2=w2, agreement=agreement, rate=rate, variant=variant, stage_epochs=2
    )
    optimizer, plain = sgd(model, 0.03), Plain(model, lr=0.03)
    rule.setup(model)
    names = list(model.modalities)
    for epoch in range(3 * (m + 1)):  # of every turn two epochs of boosting and a joint one
        turn, place = divmod(epoch, 3)
        k = names[turn % m]
        rule.on_epoch_start(model, epoch, None)
        if place in (0, 2):
            plain.velocity = {}
        for batch in batches(m, 1, seed=epoch):
            rule.step(model, batch, optimizer)
            z = plain.unimodal(plain.encode(batch.inputs))
            if place == 2:
                plain.step(plain.grads(F.cross_entropy(sum(z.values()), batch.targets)))
                continue
            hot = F.one_hot(batch.targets, CLASSES).float()
            log_q = z[k].log_softmax(1)
            others = rate * sum(z[o].detach() for o in names if o != k)
            boost = -w1 * (hot * log_q).mean(-1) + w2 * (hot * others.softmax(1) * log_q).mean(-1)
            before = z[names[(turn - 1) % m]].detach().softmax(1)
            q = z[k].softmax(1)
            gap = F.mse_loss(q.detach() if variant == "released" else q, before)
            plain.step(plain.grads((boost + agreement * gap).mean()))
    assert plain.distance(model) < 1e-6
    assert Plain(small_model(fusion, m)).distance(model) > 1e-2


@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("layers", [[0, 1], [2, 1, 0]])
def test_aug_step(layers, variant):
    m = len(layers)
    model = small_model("late", m)
    rule = build_method("aug", hidden=5, variant=variant, classifier_lr=0.05)
    rule.setup(model)
    rule.layers = torch.tensor(layers)
    optimizer, plain = sgd(model), Plain(model)
    own = Plain(rule, lr=0.05, decay=0.0)
    scores = [0.0] * m
    for batch in batches(m, 4):
        rule.step(model, batch, optimizer)
        y = F.one_hot(batch.targets, CLASSES).float()
        features = plain.encode(batch.inputs)
        for i, h in enumerate(features.values()):
            each = [
                own.linear("out", own.linear(f"embeddings.{i}.{j}", h).relu())
                for j in range(1 + layers[i])
            ]
            z = sum(each)
            loss = F.cross_entropy(z, y)
            if layers[i]:
                old, last = sum(each[:-1]), each[-1]
                rest = y * old.detach().softmax(1)
                loss = loss + F.cross_entropy(old, y) + F.cross_entropy(last, y)
                loss = loss - 0.5 * F.cross_entropy(last, rest)
            scores[i] += true_class(z.detach(), batch.targets).sum().item()
            grads = plain.grads(loss, retain_graph=True)
            classifier = own.grads(loss, retain_graph=True)
            if variant == "released":  # the optimizer has never heard of them
                first = ("out.", f"embeddings.{i}.0.")
                classifier = {k: g for k, g in classifier.items() if k.startswith(first)}
            plain.step(grads)
            own.step(classifier)
        detached = {k: h.detach() for k, h in features.items()}
        fused = sum(plain.unimodal(detached).values())
        plain.step(plain.grads(F.cross_entropy(fused, batch.targets)))
    assert plain.distance(model) < 1e-6 and own.distance(rule) < 1e-6
    assert rule.sums.tolist() == pytest.approx(scores, abs=1e-4)
    assert Plain(small_model("late", m)).distance(model) > 1e-2
    fresh = build_method("aug", hidden=5)
    fresh.setup(small_model("late", m))
    assert own.distance(fresh) > 1e-2


@pytest.mark.parametrize("total", [7, 10, 11, 40, 200])
def test_aug_growth(total):
    """Released: after epoch e (from 0), where (e + 1) % (epochs / 10) == 0 or e == 0."""
    g = torch.Generator().manual_seed(total)
    rule = build_method("aug")
    rule.setup(small_model("late", 2))
    rule.total_epochs = total
    check = int(total / 10) if total > 10 else 1
    counts, grown = [0, 0], []
    for epoch in range(total):
        rule.on_epoch_start(None, epoch, None)
        grown.append(rule.layers.tolist())
        assert grown[-1] == counts, epoch
        audio, visual = (1 + 0.05 * torch.randn(2, generator=g)).tolist()
        rule.sums = torch.tensor([audio, visual])
        if (epoch + 1) % check == 0 or epoch == 0:
            ratio = audio / visual
            if ratio > 1.0 + 0.01:
                counts[1] += 1
            elif ratio < 1.0 - 0.01:
                counts[0] += 1
    assert sum(grown[1]) == 1 and sum(grown[-1]) > 4
