"""CGGM and PMR: balance, coefficients and loss terms worked out by hand."""

from __future__ import annotations

import copy
import math

import pytest
import torch
import torch.nn.functional as F

from msam_lib.data import load_dataset
from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.models import Output, build_model
from msam_lib.training import Loaders
from tests.helpers import make_batch, make_model, sgd, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


def test_cggm_balance_by_hand():
    rule = build_method("cggm", bound=5.0)
    rule.setup(make_model("late", 3))
    assert rule.balance(torch.tensor([0.5, 0.4, 0.3])).tolist() == [1.0, 1.0, 1.0]
    # gains 0.1, 0.2, 0.1; S = 0.4; B = 3/4, 1/2, 3/4
    found = rule.balance(torch.tensor([0.6, 0.6, 0.4]))
    assert found.tolist() == pytest.approx([0.75, 0.5, 0.75], abs=1e-5)
    # gains -0.1, 0.15, 0: S = 0.05; B = 3, -2, 1; the negative one is kept at 0
    found = rule.balance(torch.tensor([0.5, 0.75, 0.4]))
    assert found.tolist() == pytest.approx([3.0, 0.0, 1.0], abs=1e-3)
    assert rule.balance(torch.tensor([0.5, 0.75, 0.4])).tolist() == [1.0, 1.0, 1.0]  # S = 0


def test_cggm_scales_encoders_by_the_balance():
    batch, model = make_batch(), make_model(dropout=0.0)
    rule = build_method("cggm", scale=1.5, weight=0.0)
    rule.setup(model)
    rule.accuracies = torch.tensor([0.0, 0.1])
    before = weights(model)
    logs = rule.step(model, batch, sgd(model, 0.1))
    plain = make_model(dropout=0.0)
    build_method("joint").step(plain, batch, sgd(plain, 0.1))
    now, joint = weights(model), weights(plain)
    for name in now:
        m = name.split(".")[1] if name.startswith("encoders") else None
        k = float(logs[f"coefficient/{m}"]) if m else 1.0
        step, reference = before[name] - now[name], before[name] - joint[name]
        assert torch.allclose(step, k * reference, atol=1e-6), name


def test_cggm_direction_term_against_autograd():
    # with B = 1 the extra loss is mean(1 - cos); its gradient by differences of the loss
    batch, model = make_batch(), make_model("maxout", dropout=0.0)
    model.eval()  # batch statistics would move with the weights
    rule = build_method("cggm", scale=1.0, weight=1.0)
    rule.setup(model)
    twin = copy.deepcopy(rule)
    pull, _ = twin._classifiers(model(batch.inputs).features, batch)

    def total(net):
        output = net(batch.inputs)
        loss = F.cross_entropy(output.logits, batch.targets)
        features = list(output.features.values())
        found = torch.autograd.grad(loss, features, create_graph=True)
        cosines = [
            F.cosine_similarity(a.flatten(), b.flatten(), dim=0)
            for a, b in zip(found, pull, strict=True)
        ]
        return loss + (1 - torch.stack(cosines)).mean()

    net = copy.deepcopy(model)
    total(net).backward()
    before = weights(model)
    rule.step(model, batch, sgd(model, 0.1))
    for name, p in net.named_parameters():
        assert torch.allclose((before[name] - weights(model)[name]) / 0.1, p.grad, atol=2e-5), name


def test_cggm_classifiers_learn_and_touch_nothing_else():
    batch, model = make_batch(n=64), make_model()
    rule = build_method("cggm", weight=0.0, classifier_lr=0.01)
    rule.setup(model)
    features = {m: f.detach() for m, f in model(batch.inputs).features.items()}
    before = weights(model)
    _, first = rule._classifiers(features, batch)
    for _ in range(100):
        _, last = rule._classifiers(features, batch)
    assert bool((last > first + 0.1).all())
    assert all(torch.equal(v, before[k]) for k, v in weights(model).items())


def known_pmr(**options):
    rule = build_method("pmr", **options)
    rule.setup(make_model())
    rule.memory["known"] = True
    return rule


def test_pmr_coefficients_by_hand():
    rule = known_pmr()
    targets = torch.tensor([0])
    sims = [torch.tensor([[math.log(p), math.log(1 - p)]]) for p in (0.6, 0.3)]
    slow, fast = rule.coefficients(sims, targets)
    assert slow.tolist() == pytest.approx([0.0, 1.0])  # 0.6 / 0.3 - 1
    assert fast.tolist() == pytest.approx([1.0, 0.0])
    sims = [torch.tensor([[math.log(p), math.log(1 - p)]]) for p in (0.6, 0.5)]
    slow, fast = rule.coefficients(sims, targets)
    assert slow.tolist() == pytest.approx([0.0, 0.2], abs=1e-5)
    assert fast.tolist() == pytest.approx([0.2, 0.0], abs=1e-5)
    slow, _ = known_pmr(variant="released").coefficients(sims, targets)
    assert slow.tolist() == [0.0, 1.0]


def test_pmr_similarity_and_loss_by_hand():
    rule = known_pmr(alpha=0.5, entropy=0.0)
    rule.prototypes_0 = torch.tensor([[0.0, 0.0], [3.0, 4.0]])
    rule.prototypes_1 = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    h = {"x1": torch.tensor([[0.0, 0.0]]), "x2": torch.tensor([[0.0, 0.0]])}
    assert rule.similarity(0, h["x1"]).tolist()[0] == pytest.approx([0.0, -5.0], abs=1e-4)
    batch = make_batch(n=1)._replace(targets=torch.tensor([0]))
    logits = torch.tensor([[1.0, 0.0]])
    found = float(rule.loss(Output(logits, h, {}), batch))
    p1, p2 = 1 / (1 + math.exp(-5)), 0.5
    slow = min(1.0, p1 / p2 - 1)
    expected = math.log(1 + math.exp(-1)) + 0.5 * slow * -math.log(p2)
    assert found == pytest.approx(expected, abs=1e-4)
    early = known_pmr(alpha=0.5, entropy=2.0)
    early.prototypes_0, early.prototypes_1 = rule.prototypes_0, rule.prototypes_1
    h1 = -(p1 * math.log(p1) + (1 - p1) * math.log(1 - p1))
    fast = min(1.0, p1 / p2 - 1)
    assert float(early.loss(Output(logits, h, {}), batch)) == pytest.approx(
        expected - 2.0 * fast * h1, abs=1e-4
    )
    early.memory["epoch"] = 99
    assert float(early.loss(Output(logits, h, {}), batch)) == pytest.approx(expected, abs=1e-4)


def test_pmr_prototypes_are_class_means():
    data = load_dataset("synthetic", **SMALL)
    torch.manual_seed(0)
    model, rule = build_model(data, width=2), build_method("pmr", share=1.0, momentum=0.25)
    rule.setup(model)
    loaders = Loaders.of(data)
    rule.on_epoch_start(model, 0, loaders)
    features = model.eval().encode(data.train.inputs)["x2"].detach()
    means = torch.stack([features[data.train.targets == c].mean(0) for c in range(4)])
    assert torch.allclose(rule.prototypes_1, means, atol=1e-5)
    with torch.no_grad():
        for p in model.encoders["x2"].parameters():
            p.mul_(1.1)
    new = model.encode(data.train.inputs)["x2"].detach()
    fresh = torch.stack([new[data.train.targets == c].mean(0) for c in range(4)])
    rule.on_epoch_start(model, 1, loaders)
    assert torch.allclose(rule.prototypes_1, 0.25 * means + 0.75 * fresh, atol=1e-5)


@pytest.mark.parametrize("name", ["cggm", "pmr"])
def test_a_run_differs_from_joint_and_repeats(name, tmp_path):
    base = Experiment(dataset="synthetic", method=name, epochs=3, width=2, data_options=SMALL)
    frame = run_experiment(base, tmp_path / "a").metrics()
    assert frame.equals(run_experiment(base, tmp_path / "b").metrics())
    joint = run_experiment(base.replace(method="joint"), tmp_path / "a").metrics()
    pick = lambda f: f[(f.metric == "loss") & (f.split == "test")]["value"].tolist()  # noqa: E731
    assert pick(frame) != pick(joint)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("cggm", {"scale": 0}, "scale=0"),
        ("cggm", {"weight": -1}, "weight=-1"),
        ("pmr", {"alpha": -1}, "alpha=-1"),
        ("pmr", {"momentum": 1}, "momentum=1"),
        ("pmr", {"share": 0}, "share=0"),
        ("pmr", {"variant": "code"}, "Available: paper, released"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)
