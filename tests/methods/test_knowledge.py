"""MNL, InfoReg and diagnose & re-learn: their quantities by hand, and bad options."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.methods.diagnose_relearn import purity
from msam_lib.methods.inforeg import relative_growth
from msam_lib.models import Output
from tests.helpers import make_batch, make_model, sgd, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


def test_mnl_guidance_by_hand():
    # one sample of class 0; x1 is surer and has the larger margin, so x1 guides x2
    rule = build_method("mnl", lam=0.5)
    z1, z2 = torch.tensor([[3.0, 1.0, 0.0]]), torch.tensor([[1.0, 0.0, 1.0]])
    own, fused, y = torch.stack([z1, z2]), (z1 + z2) / 2, torch.tensor([0])
    p, q = z1[0].softmax(0), z2[0].softmax(0)
    soft = [1.0, 0.5 * float(p[1]), 0.5 * float(p[2])]
    expected = -sum(s * math.log(float(x)) for s, x in zip(soft, q, strict=True)) / 3
    assert float(rule.guide(own, fused, y)) == pytest.approx(expected, abs=1e-5)
    flipped = rule.guide(own.flip(0), fused, y)
    assert float(flipped) == pytest.approx(expected, abs=1e-5)
    assert float(rule.guide(torch.stack([z1, z1]), z1, y)) == 0.0  # nobody knows better
    three = rule.guide(torch.stack([z1, z2, z2]), fused, y)
    assert float(three) == pytest.approx(2 * expected / 2, abs=1e-5)


def test_mnl_guide_gets_no_gradient():
    rule = build_method("mnl")
    own = torch.tensor([[[3.0, 1.0, 0.0]], [[1.0, 0.0, 1.0]]], requires_grad=True)
    rule.guide(own, own.detach().mean(0), torch.tensor([0])).backward()
    assert not own.grad[0].any() and own.grad[1].any()


def test_mnl_loss_is_the_sum():
    rule = build_method("mnl", guidance=0.0)
    z1, z2 = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 0.0]])
    batch = make_batch(n=1)._replace(targets=torch.tensor([0]))
    found = float(rule.loss(Output(z1 + z2, {}, {"x1": z1, "x2": z2}), batch))
    terms = [math.log(1 + math.exp(-0.5)), math.log(1 + math.exp(-1)), math.log(2)]
    assert found == pytest.approx(sum(terms), abs=1e-5)


def test_inforeg_growth_by_hand():
    assert relative_growth([[1.0, 2.0]]) == [1.0, 1.0]
    assert relative_growth([[1.0], [3.0]]) == pytest.approx([3 / 4])
    rows = [[1.0]] * 9 + [[2.0]]
    assert relative_growth(rows) == pytest.approx([2 / 11])  # a zero leaves the ten
    assert relative_growth([*rows, [11.0]]) == pytest.approx([(11 - 1) / 21])


def test_inforeg_pulls_the_better_encoder_back():
    model, batch = make_model(dropout=0.0), make_batch()
    rule = build_method("inforeg", beta=0.2, weight=0.0)
    rule.setup(model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)
    before = weights(model)
    gaps = rule.gaps(model(batch.inputs), batch.targets)
    plain = make_model(dropout=0.0)
    plain.load_state_dict(model.state_dict())
    build_method("joint").step(plain, batch, sgd(plain, 0.1))
    rule.step(model, batch, sgd(model, 0.1))
    now, joint = weights(model), weights(plain)
    for i, m in enumerate(("x1", "x2")):
        gap = float(gaps[i])
        strength = 0.2 * math.exp(math.tanh(gap)) if gap > 0 else 0.0
        for name in now:
            if name.startswith(f"encoders.{m}."):
                pulled = (joint[name] - now[name]) / 0.1
                assert torch.allclose(pulled, torch.full_like(pulled, strength * 0.1), atol=1e-4)
    assert torch.allclose(now["fusion.heads.x1.weight"], joint["fusion.heads.x1.weight"])
    assert all(torch.isfinite(v).all() for v in before.values())


def test_inforeg_closes_its_window():
    model, rule = make_model(), build_method("inforeg")
    rule.setup(model)
    for epoch in range(11):
        rule.trace = torch.tensor([1.0, 1.0 + epoch])
        rule.on_epoch_end(model, 1 + epoch, None, None)
        assert rule.memory["open"] == {"x1": epoch < 10, "x2": True}, epoch


def test_inforeg_traces_what_was_added_too():
    model, batch = make_model(dropout=0.0), make_batch()
    rule = build_method("inforeg", beta=5.0)
    rule.setup(model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(0.1)
    rule.step(model, batch, sgd(model, 0.0))
    for i, m in enumerate(("x1", "x2")):
        grads = [p.grad for p in model.parameters_of(m) if p.dim() > 1]
        expected = sum(float((g**2).mean()) for g in grads)
        assert float(rule.trace[i]) == pytest.approx(expected, rel=1e-5)


def test_purity_by_hand():
    # two tight clusters; in the first, 3 of 4 samples are of class 0
    features = np.array([[0.0], [0.01], [0.02], [0.03], [1.0], [1.01]])
    assert purity(features, np.array([0, 0, 0, 1, 1, 1]), 2) == pytest.approx(5 / 6)
    assert purity(features, np.array([0, 0, 0, 0, 1, 1]), 2) == 1.0


def test_relearning_moves_towards_the_start():
    model, rule = make_model(), build_method("diagnose_relearn")
    rule.setup(model)
    start = weights(model)
    with torch.no_grad():
        for p in model.parameters():
            p.add_(1.0)
    rule._move(model, "x2", 1, 0.25)
    for name, now in weights(model).items():
        shift = 0.75 if name.startswith("encoders.x2.") else 1.0
        assert torch.allclose(now, start[name] + shift, atol=1e-5), name


def test_relearning_happens_on_time(tmp_path):
    base = Experiment(
        dataset="synthetic", method="diagnose_relearn", epochs=5, width=2, data_options=SMALL,
        method_options={"period": 2, "times": 1},
    )  # fmt: skip
    run = run_experiment(base, tmp_path)
    state = torch.load(run.path / "checkpoint.pt", weights_only=True)["method"]
    assert state["memory._extra_state"]["done"] == 1
    joint = run_experiment(base.replace(method="joint", method_options={}), tmp_path).metrics()
    frame = run.metrics()
    same = [f[f["epoch"] <= 2].reset_index(drop=True) for f in (frame, joint)]
    assert same[0].equals(same[1]) and not frame.equals(joint)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mnl", {"lam": -1}, "lam=-1"),
        ("inforeg", {"beta": -1}, "beta=-1"),
        ("inforeg", {"weight": -1}, "weight=-1"),
        ("diagnose_relearn", {"period": 0}, "period=0"),
        ("diagnose_relearn", {"strength": -1}, "strength=-1"),
        ("sample_valuation", {"warmup": -1}, "warmup=-1"),
        ("sample_valuation", {"level": "samples"}, "Did you mean 'sample'"),
        ("sample_valuation", {"zero": "input"}, "Did you mean 'inputs'"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)
