"""OGM-GE, MSLR, MSES and MILES beside their authors' steps by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F

from msam_lib.data import MultimodalDataset
from msam_lib.methods import build_method, mses
from tests.reference import Agreement
from tests.reference.hand import TOLERANCE, Hand, batch_of, our_adam, our_sgd, tiny

AGREEMENT = [
    Agreement(
        method="ogm_ge",
        source="Peng et al. 2022, Eq. 8-10; GeWu-Lab/OGM-GE_CVPR2022 (main.py)",
        compared="5 steps; with GE (noise drawn in the same order) and without, both variants; "
        "late, concat, MaxOut, gated; M = 2, 3",
        departures="the ratio to the mean of the others for M > 2; Shapley responses under fusions "
        "that are no sum, where the released code cuts slices out of the output layer",
    ),
    Agreement(
        method="mslr",
        source="Yao, Mihalcea 2022, dynamic; lihong2303/AGM_ICCV2023 (AVMNIST_main.py)",
        compared="8 epochs of 2 steps with measured accuracies; late, concat, MaxOut; M = 2, 3",
        departures="validation split instead of test; a rate of 0 sets gradients to None",
    ),
    Agreement(
        method="mses",
        source="Fujimori et al. 2020; lihong2303/AGM_ICCV2023 (AVMNIST_main.py)",
        compared="when each modality stops and which epoch's weights come back: 200 random curves; "
        "the smoothed losses measured; M = 2, 3",
        departures="only the modality that stops goes back, in the released code the whole model "
        "and the optimizer; gradients are None, not 0, afterwards",
    ),
    Agreement(
        method="miles",
        source="Guerra-Manzanares, Shamout 2025, Eq. 3-5, through a re-implementation",
        compared="5 epochs of 2 steps under SGD and Adam, a group of parameters per encoder; late, "
        "concat, MaxOut with heads; M = 2, 3",
        departures="validation split instead of test; M > 2: the others' logits summed, the mean "
        "of the others' rates, more than one modality may be slowed",
    ),
]
COUNTS = pytest.mark.parametrize("m", [2, 3])


def right(logits, targets):
    return float((logits.argmax(1) == targets).double().mean())


def splits(m):
    """A validation split of 60 samples, as the trainer hands it over."""
    held = batch_of(m, 60, seed=50)
    data = MultimodalDataset(held.inputs, held.targets)
    return held, SimpleNamespace(evaluation={"val": data})


def ogm_coefficients(own, y, alpha):
    """Eq. 8-10: the ratio of the summed probabilities of the right class."""
    s = {k: sum(F.softmax(z[i], 0)[y[i]] for i in range(len(y))) for k, z in own.items()}
    out = {}
    for k in s:
        others = [s[j] for j in s if j != k]
        rho = s[k] / (sum(others) / len(others))
        out[k] = 1 - torch.tanh(alpha * rho) if rho > 1 else torch.ones(())
    return out


@COUNTS
@pytest.mark.parametrize("ge", [False, True])
@pytest.mark.parametrize("variant", ["paper", "released"])
@pytest.mark.parametrize("fusion", ["late", "concat", "maxout", "gated"])
def test_ogm_ge(fusion, variant, ge, m):
    model = tiny(fusion, m)
    rule = build_method("ogm_ge", alpha=0.6, ge=ge, variant=variant)
    hand, optimizer, seen = Hand(model, fusion), our_sgd(model, 0.03), set()
    for seed in range(5):
        batch = batch_of(m, seed=seed)
        torch.manual_seed(seed)
        rule.step(model, batch, optimizer)
        torch.manual_seed(seed)
        h = hand.features(batch.inputs)
        logits = hand.fuse(h, training=True)
        with torch.no_grad():
            sums = fusion in ("late", "concat")
            own = hand.terms(h) if sums else hand.responses(h, logits)
        k = ogm_coefficients(own, batch.targets, 0.6)
        grads = hand.gradients(F.cross_entropy(logits, batch.targets))
        for name in hand.names:
            seen.add(bool(k[name] < 1))
            for at in hand.of(name, grads):
                g = grads[at]
                if variant == "released" and g.dim() != 4:
                    continue
                noise = torch.zeros_like(g).normal_(0, float(g.std()) + 1e-8) if ge else 0.0
                grads[at] = g * k[name] + noise
        hand.sgd(grads, lr=0.03)
    assert seen == {False, True}
    assert hand.gap(model) < TOLERANCE


@COUNTS
@pytest.mark.parametrize("fusion", ["late", "concat", "maxout"])
def test_mslr(fusion, m):
    held, loaders = splits(m)
    model, rates = tiny(fusion, m), {"x1": 1.3, "x2": 0.7}
    rule = build_method("mslr", rates=rates)
    hand, optimizer = Hand(model, fusion), our_sgd(model, 0.03)
    memory, ratio = {k: [] for k in hand.names}, dict.fromkeys(hand.names, 1.0)
    for epoch in range(8):
        model.train()
        for step in range(2):
            batch = batch_of(m, seed=2 * epoch + step)
            rule.step(model, batch, optimizer)
            logits = hand.fuse(hand.features(batch.inputs), training=True)
            grads = hand.gradients(F.cross_entropy(logits, batch.targets))
            for k in hand.names:
                for at in [
                    *hand.of(k, grads),
                    f"fusion.heads.{k}.weight",
                    f"fusion.heads.{k}.bias",
                ]:
                    if at in grads:
                        grads[at] = grads[at] * (rates.get(k, 1.0) * ratio[k])
            hand.sgd(grads, lr=0.03)
        rule.on_epoch_end(model, epoch + 1, loaders, None)
        for k, z in hand.read(held.inputs).items():
            now = right(z, held.targets)
            if len(memory[k]) == 5:  # then the ratio is to the five epochs before this one
                ratio[k] = now / (sum(memory[k]) / 5)
                memory[k].pop(0)
            memory[k].append(now)
    assert any(abs(r - 1) > 0.01 for r in ratio.values())
    assert hand.gap(model) < TOLERANCE


@COUNTS
def test_mses_decides_as_released(m, monkeypatch):
    """Bookkeeping of the released script; epochs count from 1."""
    model, patience = tiny("late", m), 2
    names = model.modalities
    for trial in range(200):
        g = torch.Generator().manual_seed(trial)
        curves = 1 / torch.arange(1, 16)[:, None] ** 0.5 + 0.3 * torch.rand(15, m, generator=g)
        rule = build_method("mses", patience=patience)
        least, best, before, stopped = {}, {}, {}, {}
        feed = iter(curves.tolist())
        measured = lambda *a: dict(zip(names, next(feed), strict=True))  # noqa: E731, B023
        monkeypatch.setattr(mses, "unimodal_losses", measured)
        for epoch in range(1, 16):
            with torch.no_grad():  # weights that say which epoch they are from
                for p in model.parameters():
                    p.fill_(epoch)
                for k in stopped:
                    for p in model.parameters_of(k):
                        p.fill_(stopped[k])
            rule.on_epoch_end(model, epoch, SimpleNamespace(evaluation={"val": None}), None)
            for k, raw in zip(names, curves[epoch - 1].tolist(), strict=True):
                smooth = raw if epoch == 1 else 0.6 * before[k] + 0.4 * raw
                before[k] = raw
                if epoch == 1 or least[k] > smooth:
                    least[k], best[k] = smooth, epoch
                if epoch - best[k] > patience and k not in stopped:
                    stopped[k] = best[k]
            assert set(rule.memory["stopped"]) == set(stopped), (trial, epoch)
            for k in names:
                expected = stopped.get(k, epoch)
                assert all(bool((p == expected).all()) for p in model.parameters_of(k))


@COUNTS
@pytest.mark.parametrize("fusion", ["late", "concat", "maxout", "sum"])
def test_mses_measures_the_loss_of_each_modality(fusion, m):
    held, loaders = splits(m)
    model, rule = tiny(fusion, m), build_method("mses", patience=9)
    hand = Hand(model, fusion)
    rule.on_epoch_end(model, 1, loaders, None)
    for k, z in hand.read(held.inputs).items():
        loss = -z.log_softmax(1)[range(60), held.targets].mean()
        assert rule.memory["best"][k] == pytest.approx(float(loss), abs=TOLERANCE)


@COUNTS
@pytest.mark.parametrize("adam", [False, True])
@pytest.mark.parametrize("fusion", ["late", "concat", "maxout"])
def test_miles(fusion, adam, m):
    held, loaders = splits(m)
    model = tiny(fusion, m, heads=fusion == "maxout")
    tau, mu, gamma = 0.15, 0.3, 0.7
    rule = build_method("miles", threshold=tau, factor=mu, gamma=gamma)
    hand, optimizer = Hand(model, fusion), (our_adam if adam else our_sgd)(model)
    rates, history = {}, []
    for epoch in range(5):
        model.train()
        for step in range(2):
            batch = batch_of(m, seed=2 * epoch + step)
            rule.step(model, batch, optimizer)
            h = hand.features(batch.inputs)
            loss = F.cross_entropy(hand.fuse(h, training=True), batch.targets)
            own = [F.cross_entropy(z, batch.targets) for z in hand.own(h).values()]
            grads = hand.gradients(loss + gamma * sum(own))  # Eq. 3
            (hand.adam if adam else hand.sgd)(grads, rates=rates)
        rule.on_epoch_end(model, epoch + 1, loaders, None)
        with torch.no_grad():
            h = hand.features(held.inputs)
            own, y = hand.own(h), held.targets
            whole = right(hand.fuse(h), y)
        u = {}
        for k in hand.names:  # Eq. 4
            rest = sum(z for j, z in own.items() if j != k)
            u[k] = (whole - right(rest, y)) / whole
        rates = {}
        for k in hand.names:  # Eq. 5 and Algorithm 1
            delta = u[k] - sum(u[j] for j in u if j != k) / (m - 1)
            if delta > tau and max(u.values()) >= 0:
                rates |= dict.fromkeys(hand.of(k, hand.p), mu)
        history.append(bool(rates))
    assert any(history[:-1])
    assert hand.gap(model) < TOLERANCE
