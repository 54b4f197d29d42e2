"""MSLR and MILES: coefficients worked out by hand, and what they do to the steps."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from torch.optim.lr_scheduler import LambdaLR

from msam_lib.data import MultimodalDataset, load_dataset
from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method, miles, mslr
from msam_lib.methods._gradients import own_parameters
from msam_lib.methods.miles import utilisation
from msam_lib.models import build_model
from msam_lib.training import Run, Trainer
from tests.helpers import distance, make_batch, make_model, sgd, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}
Splits = SimpleNamespace(evaluation={"val": None})


def one_step(rule, model):
    before = weights(model)
    rule.step(model, make_batch(), sgd(model, 0.1))
    return {k: v - before[k] for k, v in weights(model).items()}


def test_mslr_compares_with_the_epochs_before_by_hand(monkeypatch):
    rule, model = build_method("mslr", rates={"x1": 2.0}, window=3), make_model()
    rule.setup(model)
    values = iter([0.2, 0.4, 0.6, 0.5, 0.9])
    measured = lambda *a: {"x1": next(values), "x2": 0.5}  # noqa: E731
    monkeypatch.setattr(mslr, "unimodal_accuracies", measured)
    for epoch in range(3):
        rule.on_epoch_end(model, epoch, Splits, None)
        assert rule.coefficient("x1") == 2.0  # not enough epochs before the present one
    rule.on_epoch_end(model, 3, Splits, None)
    assert rule.coefficient("x1") == pytest.approx(2.0 * 0.5 / 0.4)  # mean of .2 .4 .6
    assert rule.coefficient("x2") == pytest.approx(1.0)
    rule.on_epoch_end(model, 4, Splits, None)
    assert rule.coefficient("x1") == pytest.approx(2.0 * 0.9 / 0.5)  # mean of .4 .6 .5


def test_mslr_measures_the_accuracy_of_every_modality():
    model, batch = make_model(), make_batch(n=40)
    found = mslr.unimodal_accuracies(
        model, MultimodalDataset(batch.inputs, batch.targets), build_method("mslr")
    )
    own = model.eval()(batch.inputs).unimodal
    right = {m: float((z.argmax(1) == batch.targets).double().mean()) for m, z in own.items()}
    assert found == pytest.approx(right)


def test_only_the_modalitys_own_weights_are_slowed_by_mslr():
    model = make_model(dropout=0.0)
    plain = one_step(build_method("joint"), make_model(dropout=0.0))
    slowed = one_step(build_method("mslr", rates={"x1": 0.25}), model)
    own = {id(p) for p in own_parameters(model, "x1")}
    names = {k for k, p in model.named_parameters() if id(p) in own}
    assert any("heads" in k for k in names) and any("encoders" in k for k in names)
    for k, v in slowed.items():
        factor = 0.25 if k in names else 1.0
        assert torch.allclose(v, factor * plain[k], atol=1e-7), k


def test_miles_decides_by_hand():
    rule = build_method("miles", threshold=0.2)
    assert rule.dominating({"x1": 0.5, "x2": 0.2}) == ["x1"]
    assert rule.dominating({"x1": 0.1, "x2": -0.2}) == ["x1"]
    assert rule.dominating({"x1": -0.5, "x2": -0.1}) == []  # every one is negative: no action
    assert rule.dominating({"x1": 0.4, "x2": 0.3}) == []
    assert rule.dominating({"x1": 0.75, "x2": 0.5}) == ["x1"]
    assert rule.dominating({"x1": 0.7, "x2": 0.1, "x3": 0.1}) == ["x1"]  # .7 - .1
    assert rule.dominating({"x1": 0.6, "x2": 0.5, "x3": 0.1}) == ["x1"]  # .3, .15 and -.45


def test_miles_restores_the_rate(monkeypatch):
    rule, model = build_method("miles"), make_model()
    measured = iter([{"x1": 0.5, "x2": 0.0}, {"x1": 0.1, "x2": 0.0}, {"x1": -0.9, "x2": -0.1}])
    monkeypatch.setattr(miles, "on_split", lambda *a: ())
    monkeypatch.setattr(miles, "utilisation", lambda: next(measured))
    found = []
    for epoch in range(3):
        rule.on_epoch_end(model, epoch, Splits, None)
        found.append(rule.memory["slowed"])
    assert found == [["x1"], [], []]


OPTIMIZERS = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, weight_decay=0.1),
    "nesterov": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
    # a large eps: Adam makes whole steps of the rounding noise where a gradient is exactly 0
    "adam": lambda p, lr: torch.optim.Adam(p, lr=lr, weight_decay=0.1, eps=1e-3),
    "adamw": lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.1, eps=1e-3),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_miles_is_a_learning_rate_of_its_own_under_a_schedule(name):
    # against an optimizer with one group of parameters per rate, made so from the beginning
    make, halve = OPTIMIZERS[name], lambda step: 0.5**step
    model = make_model(m=3, dropout=0.0)
    other, joint = copy.deepcopy(model), build_method("miles", factor=1.0)
    rule = build_method("miles", factor=0.3)
    rule.memory["slowed"] = ["x2"]
    optimizer = make(model.parameters(), 0.05)
    slow = {id(p) for p in other.parameters_of("x2")}
    rest = [p for p in other.parameters() if id(p) not in slow]
    groups = make([{"params": rest}, {"params": other.parameters_of("x2"), "lr": 0.015}], 0.05)
    schedules = [LambdaLR(optimizer, halve), LambdaLR(groups, halve)]
    before = weights(model)
    for seed in range(4):
        rule.step(model, make_batch(m=3, seed=seed), optimizer)
        joint.step(other, make_batch(m=3, seed=seed), groups)
        for schedule in schedules:
            schedule.step()
    assert distance(model, other) < 1e-6
    assert all(not torch.equal(p, before[k]) for k, p in model.named_parameters())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_miles_with_factor_0_freezes_the_encoder_to_the_last_bit(name):
    model, rule = make_model(), build_method("miles", factor=0.0)
    rule.memory["slowed"] = ["x1"]
    optimizer, before = OPTIMIZERS[name](model.parameters(), 0.05), weights(model)
    for seed in range(3):
        rule.step(model, make_batch(seed=seed), optimizer)
    frozen = {k for k, p in model.named_parameters() if torch.equal(p, before[k])}
    assert frozen == {k for k in before if k.startswith("encoders.x1")}


@pytest.mark.parametrize("name", ["mslr", "miles"])
def test_an_interrupted_run_resumes_exactly_under_a_schedule(name, tmp_path):
    options = {"window": 1} if name == "mslr" else {"threshold": 0.0}

    def trainer(run):
        data = load_dataset("synthetic", **SMALL)
        torch.manual_seed(0)
        model, rule = build_model(data, "late", width=2), build_method(name, **options)
        optimizer = OPTIMIZERS["adamw"](model.parameters(), 0.01)
        steps = {"optimizer": optimizer, "scheduler": LambdaLR(optimizer, lambda i: 0.9**i)}
        return Trainer(model, rule, data, **steps, run=run, progress=False), rule

    whole, rule = trainer(None)
    whole.fit(4)
    trainer(Run(tmp_path))[0].fit(2)
    again, resumed = trainer(Run(tmp_path))
    again.fit(4)
    assert distance(again.model, whole.model) == 0.0
    assert resumed.memory.values == rule.memory.values
    assert any(rule.memory.values.values())


def test_utilisation_by_hand():
    # four samples of two classes; x1 alone is right on 3, x2 alone on 1, together on 3
    targets = torch.tensor([0, 0, 1, 1])
    good, bad = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 1.0])
    x1 = torch.stack([good, good, bad, good])
    x2 = torch.stack([bad / 2, bad / 2, bad / 2, good / 2])
    u = utilisation(x1 + x2, {"x1": x1, "x2": x2}, targets)
    right = {"x1": 3 / 4, "x2": 1 / 4, "both": 3 / 4}
    assert u["x1"] == pytest.approx((right["both"] - right["x2"]) / right["both"])
    assert u["x2"] == pytest.approx((right["both"] - right["x1"]) / right["both"])


@pytest.mark.parametrize("name", ["mslr", "miles"])
def test_epochs_make_a_difference_and_resume(name, tmp_path):
    options = {"window": 2} if name == "mslr" else {"threshold": 0.0}
    base = Experiment(
        dataset="synthetic", method=name, epochs=4, width=2, data_options=SMALL,
        method_options=options,
    )  # fmt: skip
    whole = run_experiment(base, tmp_path / "a").metrics()
    off = {"mslr": {"strategy": "keep"}, "miles": {"factor": 1.0}}[name]
    other = run_experiment(base.replace(method_options=off), tmp_path / "a").metrics()
    losses = [f[f["metric"] == "loss"]["value"].tolist() for f in (whole, other)]
    assert losses[0] != losses[1]  # one modality is better by construction, accuracies change
    again = run_experiment(base, tmp_path / "b").metrics()
    assert whole.equals(again)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("mslr", {"strategy": "kept"}, "Did you mean 'keep'"),
        ("mslr", {"rates": {"x1": -1.0}}, "rates={'x1': -1.0}"),
        ("mslr", {"window": 0}, "window=0"),
        ("miles", {"factor": 2.0}, "factor=2.0"),
        ("miles", {"threshold": -0.1}, "threshold=-0.1"),
        ("miles", {"gamma": -1.0}, "gamma=-1.0"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)


def test_mslr_refuses_unknown_modalities():
    with pytest.raises(MsamError, match="Did you mean 'x1'"):
        build_method("mslr", rates={"x1a": 1.0}).setup(make_model())
