"""MSLR and MILES: coefficients worked out by hand, and what they do to the gradients."""

from __future__ import annotations

import pytest
import torch

from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.methods._gradients import own_parameters
from msam_lib.methods.miles import utilisation
from msam_lib.training.history import History, Record
from tests.helpers import make_batch, make_model, sgd, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


def one_step(rule, model):
    before = weights(model)
    rule.step(model, make_batch(), sgd(model, 0.1))
    return {k: v - before[k] for k, v in weights(model).items()}


def test_mslr_follows_the_accuracy_by_hand():
    rule = build_method("mslr", rates={"x1": 2.0}, window=3)
    model = make_model()
    rule.setup(model)
    history = History()
    for epoch, value in enumerate([0.2, 0.4, 0.6]):
        assert rule.coefficient("x1") == 2.0  # not enough epochs yet
        rows = [("x1", value), ("x2", 0.5)]
        history.extend(Record(epoch, 0, "val", m, "accuracy_head", v) for m, v in rows)
        rule.on_epoch_end(model, epoch, None, history)
    assert rule.coefficient("x1") == pytest.approx(2.0 * 0.6 / 0.4)
    assert rule.coefficient("x2") == pytest.approx(1.0)
    history.extend([Record(3, 0, "val", "x1", "accuracy_head", 0.5)])
    rule.on_epoch_end(model, 3, None, history)
    assert rule.coefficient("x1") == pytest.approx(2.0 * 0.5 / 0.5)  # the mean of .4 .6 .5


@pytest.mark.parametrize(
    ("name", "options", "scale"),
    [("mslr", {"rates": {"x1": 0.25}}, 0.25), ("miles", {"factor": 0.5}, 0.5)],
)
def test_only_the_modalitys_own_weights_are_slowed(name, options, scale):
    rule = build_method(name, **options)
    model = make_model(dropout=0.0)
    rule.setup(model)
    if name == "miles":
        rule.memory["slowed"] = ["x1"]
    plain = one_step(build_method("joint"), make_model(dropout=0.0))
    slowed = one_step(rule, model)
    own = {id(p) for p in own_parameters(model, "x1")}
    names = {k for k, p in model.named_parameters() if id(p) in own}
    assert any("heads" in k for k in names) and any("encoders" in k for k in names)
    for k, v in slowed.items():
        factor = scale if k in names else 1.0
        assert torch.allclose(v, factor * plain[k], atol=1e-7), k


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
        ("mslr", {"rates": {"x1": -1.0}}, "rates\\['x1'\\]=-1.0"),
        ("mslr", {"window": 0}, "window=0"),
        ("miles", {"factor": 2.0}, "factor=2.0"),
        ("miles", {"threshold": -0.1}, "threshold=-0.1"),
    ],
)
def test_bad_options_are_refused(name, options, message):
    with pytest.raises(MsamError, match=message):
        build_method(name, **options)


def test_mslr_refuses_unknown_modalities():
    with pytest.raises(MsamError, match="Did you mean 'x1'"):
        build_method("mslr", rates={"x1a": 1.0}).setup(make_model())
