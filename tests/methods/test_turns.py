"""ReconBoost and MLA: losses, projections and gates by hand, and whose turn it is."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from msam_lib.errors import MsamError, UnsupportedSetting
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.methods.mla import entropy_gate
from msam_lib.models import MultimodalModel, Output, build_fusion
from tests.helpers import CLASSES, make_batch, make_model, sgd, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


def test_reconboost_loss_by_hand():
    rule = build_method("reconboost", w1=5.0, w2=2.0, agreement=0.5, rate=2.0)
    z1, z2 = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.5, 0.0]])
    batch = make_batch(n=1)._replace(targets=torch.tensor([0]))
    out = Output(z1 + z2, {}, {"x1": z1, "x2": z2})
    q, other = 1 / (1 + math.exp(-1)), 1 / (1 + math.exp(-1.0))  # rate 2 times 0.5
    before = 1 / (1 + math.exp(-0.5))
    boost = -(5 - 2 * other) * math.log(q) / 2
    squares = ((q - before) ** 2 + (before - q) ** 2) / 2
    assert float(rule.loss(out, batch)) == pytest.approx(boost + 0.5 * squares, abs=1e-5)
    rule.memory["time"] = 1  # the joint phase of x1's turn
    assert float(rule.loss(out, batch)) == pytest.approx(math.log(1 + math.exp(-1.5)), abs=1e-5)
    rule.memory["time"] = 2  # x2's turn
    assert rule.turn(2) == (1, True)


def test_reconboost_moves_one_modality_at_a_time():
    model, rule = make_model("late", 3), build_method("reconboost", joint_epochs=0)
    rule.setup(model)
    rule.on_epoch_start(model, 1, None)  # x2's epoch
    before = weights(model)
    rule.step(model, make_batch(3), sgd(model, 0.1, 0.9))
    moved = {k for k, v in weights(model).items() if not torch.equal(v, before[k])}
    assert moved and all(".x2." in k for k in moved)


def test_reconboost_agreement_has_a_gradient_in_the_paper_only():
    batch = make_batch()
    found = {}
    for variant in ("paper", "released"):
        for agreement in (0.0, 3.0):
            model = make_model()
            rule = build_method("reconboost", agreement=agreement, variant=variant)
            rule.step(model, batch, sgd(model, 0.1))
            found[variant, agreement] = weights(model)["encoders.x1.net.0.weight"]
    assert not torch.equal(found["paper", 0.0], found["paper", 3.0])
    assert torch.equal(found["released", 0.0], found["released", 3.0])


def test_reconboost_phases_start_with_a_fresh_optimizer():
    model, rule = make_model(), build_method("reconboost")
    optimizer = sgd(model, 0.1, 0.9)
    rule.setup(model)
    for epoch in (0, 1):
        rule.on_epoch_start(model, epoch, None)
        for seed in (1, 2):
            rule.step(model, make_batch(seed=seed), optimizer)
    momentum = optimizer.state[next(model.parameters())]["momentum_buffer"].clone()
    rule.on_epoch_start(model, 2, None)  # x2's turn: x1 is not trained, its momentum is forgotten
    rule.step(model, make_batch(seed=3), optimizer)
    state = optimizer.state[next(model.parameters())].get("momentum_buffer")
    assert momentum.any() and (state is None or not torch.equal(state, momentum))


def test_mla_projection_by_hand():
    rule = build_method("mla")
    rule.setup(make_model())
    rule.projection = torch.eye(2)
    w = torch.nn.Parameter(torch.zeros(1, 2))
    w.grad = torch.tensor([[1.0, 1.0]])
    left = rule._project(w, torch.tensor([[3.0, 1.0], [1.0, -1.0]]))  # of mean (2, 0)
    # a = 0.1; P = I - diag(4, 0) / (0.1 + 4)
    assert rule.projection.tolist() == [[pytest.approx(1 - 4 / 4.1), 0.0], [0.0, 1.0]]
    assert w.grad.tolist()[0] == pytest.approx([1 - 4 / 4.1, 1.0])
    assert float(left) == pytest.approx(math.hypot(1 - 4 / 4.1, 1.0) / math.sqrt(2))
    rule.memory["batch"], rule.memory["batches"] = 5, 10  # a = 0.1^1.5
    rule.projection = torch.eye(2)
    rule._project(w, torch.tensor([[2.0, 0.0]]))
    assert float(rule.projection[0, 0]) == pytest.approx(1 - 4 / (0.1**1.5 + 4), abs=1e-6)


def test_mla_keeps_one_head_and_steps_in_turns():
    model, rule, batch = make_model(), build_method("mla"), make_batch()
    rule.setup(model)
    heads = model.fusion.heads
    start = weights(model)
    assert torch.equal(heads["x1"].weight, heads["x2"].weight)
    rule.step(model, batch, sgd(model, 0.1))
    assert torch.equal(heads["x1"].weight, heads["x2"].weight)
    # by hand: first x1 with the old head, then x2 with the new one
    net = make_model()
    net.load_state_dict(model.state_dict())
    with torch.no_grad():
        for k, p in net.named_parameters():
            p.copy_(start[k])
    w, b, p = start["fusion.heads.x1.weight"].clone(), start["fusion.heads.x1.bias"].clone(), None
    p = torch.eye(w.shape[1])
    net.train()
    features = net.encode(batch.inputs)
    for h in features.values():
        w, b = w.detach().requires_grad_(), b.detach().requires_grad_()
        F.cross_entropy(F.linear(h, w, b), batch.targets).backward(retain_graph=True)
        r = h.detach().mean(0)
        p = p - torch.outer(p @ r, p @ r) / (0.1 + r @ p @ r)
        w, b = (w - 0.1 * w.grad @ p).detach(), (b - 0.1 * b.grad).detach()
    assert torch.allclose(heads["x2"].weight, w, atol=1e-5)
    assert torch.allclose(heads["x2"].bias, b, atol=1e-5)


def test_mla_says_how_much_of_the_gradient_is_left():
    model, rule = make_model(), build_method("mla")
    optimizer = sgd(model, 0.05, 0.9)
    left = [
        float(rule.step(model, make_batch(seed=i % 4), optimizer)["projection_norm"])
        for i in range(40)
    ]
    assert 0 < left[-1] < 0.5 * left[0] < 0.5
    released = build_method("mla", variant="released")
    assert "projection_norm" not in released.step(model, make_batch(), optimizer)
    assert torch.equal(released.projection, torch.eye(len(released.projection)))


def test_mla_gate_by_hand():
    z = torch.tensor([[[0.0, 0.0]], [[math.log(9.0), 0.0]]])  # entropies log 2 and that of (.9, .1)
    h1, h2 = math.log(2), -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    w = entropy_gate(z)
    share = math.exp(h1 - h2) / (math.exp(h1 - h2) + 1)
    assert w[:, 0].tolist() == pytest.approx([1 - share, share], abs=1e-5)


def test_mla_predictions_do_not_depend_on_their_neighbours():
    model, batch = make_model().eval(), make_batch(n=8)
    for options in ({}, {"variant": "released"}, {"gate": "fixed", "weights": {"x1": 1.0}}):
        rule = build_method("mla", **options)
        rule.setup(model)
        whole = rule.predict(model, batch)
        part = batch._replace(inputs={m: x[:3] for m, x in batch.inputs.items()})
        assert torch.allclose(rule.predict(model, part), whole[:3], atol=1e-6)
    assert torch.allclose(whole, model(batch.inputs).unimodal["x1"])


def test_mla_refuses_unequal_features():
    class Last(torch.nn.Module):
        def __init__(self, dim):
            super().__init__()
            self.layer = torch.nn.Linear(5, dim)

        def forward(self, x):
            return self.layer(x)

    encoders = {"x1": Last(4), "x2": Last(6)}
    model = MultimodalModel(encoders, build_fusion("late", {"x1": 4, "x2": 6}, CLASSES))
    with pytest.raises(UnsupportedSetting, match="features need one size"):
        build_method("mla").setup(model)


@pytest.mark.parametrize("name", ["reconboost", "mla"])
def test_a_run_repeats_and_differs_from_joint(name, tmp_path):
    base = Experiment(dataset="synthetic", method=name, epochs=4, width=2, data_options=SMALL)
    frame = run_experiment(base, tmp_path / "a").metrics()
    assert frame.equals(run_experiment(base, tmp_path / "b").metrics())
    fused = frame[(frame.metric == "accuracy") & (frame.modality == "fused")]
    assert fused[fused.epoch == 4]["value"].mean() > fused[fused.epoch == 0]["value"].mean()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("reconboost", {"stage_epochs": 0}, "stage_epochs=0"),
        ("reconboost", {"w1": 1.0, "w2": 2.0}, "w1=1.0, w2=2.0"),
        ("reconboost", {"variant": "code"}, "Available: paper, released"),
        ("mla", {"gate": "entropi"}, "Did you mean 'entropy'"),
        ("mla", {"weights": {"x1": -1}}, "weights="),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)
