"""LNLN: the fusion by hand, what is damaged, and the terms of its loss."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.models import build_fusion
from msam_lib.tasks import Regression
from tests.helpers import CLASSES, make_batch, make_model, sgd, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


def test_fusion_by_hand():
    torch.manual_seed(0)
    fusion = build_fusion("lnln", {"x1": 3, "x2": 4, "x3": 2}, CLASSES, leading="x2", hidden=5)
    h = {"x1": torch.randn(6, 3), "x2": torch.randn(6, 4), "x3": torch.randn(6, 2)}
    parts = fusion.parts(h)
    c = {m: fusion.project[m](x) for m, x in h.items()}
    others = [c["x1"], c["x3"]]
    proxy = fusion.proxy((others[0] + others[1]) / 2)
    w = torch.sigmoid(fusion.completeness(c["x2"]))
    d = w * c["x2"] + (1 - w) * proxy
    scores = torch.stack([(fusion.key(o) * fusion.query(d)).sum(1) for o in others], 1) / 5**0.5
    share = scores.softmax(1)
    hyper = d + share[:, :1] * others[0] + share[:, 1:] * others[1]
    assert torch.allclose(parts.logits, fusion.head(torch.cat([d, hyper], 1)), atol=1e-5)
    assert torch.allclose(parts.completeness, w[:, 0])
    assert {m: x.shape for m, x in parts.rebuilt.items()} == {m: x.shape for m, x in h.items()}
    assert torch.equal(fusion(h), parts.logits)


def test_the_stated_share_is_damaged():
    rule, model = build_method("lnln", missing=0.6), make_model("lnln")
    batch = make_batch(n=400)
    torch.manual_seed(0)
    inputs, rates = rule.damage(model, batch)
    gone = (inputs["x1"] == 0).float().flatten(1).mean(1)
    assert float((gone - rates["x1"]).mean().abs()) < 0.01
    assert 0.58 < float(rates["x1"].max()) <= 0.6
    assert not torch.equal(rates["x1"], rates["x2"])
    kept = inputs["x2"] != 0
    assert torch.equal(inputs["x2"][kept], batch.inputs["x2"][kept])


def test_the_released_rates_are_zero_for_half_of_the_samples():
    rule, model = build_method("lnln", variant="released"), make_model("lnln")
    _, rates = rule.damage(model, make_batch(n=4000))
    for rate in rates.values():
        assert float((rate == 0).float().mean()) == pytest.approx(0.5, abs=0.03)
        assert float(rate.max()) > 0.99
        assert float(rate[rate > 0].mean()) == pytest.approx(0.5, abs=0.03)
    assert not torch.equal(rates["x1"] == 0, rates["x2"] == 0)
    _, half = build_method("lnln", variant="released", missing=0.5).damage(model, make_batch(n=400))
    assert 0.45 < float(half["x1"].max()) <= 0.5
    _, ours = build_method("lnln").damage(model, make_batch(n=400))
    assert float(ours["x1"].min()) > 0 and 0.45 < float(ours["x1"].max()) <= 0.5


def test_terms_add_up_to_the_gradient():
    model, batch = make_model("lnln", dropout=0.0), make_batch()
    rule = build_method("lnln", missing=0.0, completeness=0.9, adversarial=0.8, reconstruction=0.1)
    net = make_model("lnln", dropout=0.0)
    before = weights(model)
    rule.step(model, batch, sgd(model, 0.1))
    parts = net.fusion.parts(net.encode(batch.inputs))
    whole = {m: x.detach() for m, x in net.encode(batch.inputs).items()}
    loss = F.cross_entropy(parts.logits, batch.targets)
    loss = loss + 0.9 * ((parts.completeness - 1) ** 2).mean()
    errors = [((parts.rebuilt[m] - whole[m]) ** 2).mean() for m in whole]
    loss = loss + 0.1 * sum(errors) / 2
    loss.backward(retain_graph=True)
    base = {k: torch.zeros_like(p) if p.grad is None else p.grad.clone()
            for k, p in net.named_parameters()}  # fmt: skip
    net.zero_grad()
    both = torch.cat([parts.leading, parts.proxy])
    both = (both - both.mean(1, keepdim=True)) / (both.var(1, False, keepdim=True) + 1e-5).sqrt()
    n = len(parts.leading)
    truth = torch.tensor([0] * n + [1] * n)
    F.cross_entropy(net.fusion.discriminator(both), truth).backward()
    for k, p in net.named_parameters():
        adversary = torch.zeros_like(p) if p.grad is None else p.grad
        sign = 1.0 if "discriminator" in k else -1.0  # the gradient is turned round before it
        expected = base[k] + 0.8 * sign * adversary
        assert torch.allclose((before[k] - weights(model)[k]) / 0.1, expected, atol=2e-5), k


def test_regression_learns_numbers():
    from msam_lib.data import Modality
    from msam_lib.models import build_model

    torch.manual_seed(0)
    specs = {"x1": Modality("vector", (4,)), "x2": Modality("vector", (3,))}
    model = build_model(specs, "lnln", classes=1, width=4)
    x = {m: torch.randn(128, *s.shape) for m, s in specs.items()}
    batch = make_batch(n=1)._replace(inputs=x, targets=x["x1"].sum(1) + x["x2"][:, 0])
    rule, optimizer = build_method("lnln", missing=0.1), sgd(model, 0.01, 0.9)
    rule.setup(model, Regression("l2"))
    losses = [float(rule.step(model, batch, optimizer)["loss"]) for _ in range(200)]
    assert losses[-1] < 0.3 * losses[0]
    assert losses[0] == pytest.approx(float(batch.targets.square().mean()), rel=0.5)


def test_a_run_repeats(tmp_path):
    base = Experiment(
        dataset="synthetic", method="lnln", fusion="lnln", epochs=3, width=2, data_options=SMALL
    )
    frame = run_experiment(base, tmp_path / "a").metrics()
    assert frame.equals(run_experiment(base, tmp_path / "b").metrics())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"missing": 1.5}, "missing=1.5"),
        ({"adversarial": -1.0}, "adversarial=-1.0"),
        ({"variant": "code"}, "Available: paper, released"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        build_method("lnln", **options)


def test_an_unknown_leading_modality_is_refused():
    with pytest.raises(MsamError, match="leading modality"):
        build_fusion("lnln", {"x1": 2, "x2": 2}, 3, leading="x9")
