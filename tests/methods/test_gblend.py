"""G-Blend: the weights by hand, the loss they give, and that estimating leaves no trace."""

from __future__ import annotations

import pytest
import torch

from msam_lib.data import load_dataset
from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.methods.gblend import SMALLEST_GROWTH, blend, losses
from msam_lib.models import build_model
from msam_lib.tasks import CLASSIFICATION
from msam_lib.training import Loaders
from tests.helpers import buffers, make_batch, make_model, sgd, weights

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


def test_weights_by_hand():
    # G / O^2: 0.4 / 0.04 = 10, 0.3 / 0.01 = 30, and 10 again
    found = blend({"x1": (0.4, 0.2), "x2": (0.3, -0.1), "fused": (0.1, 0.1)})
    assert found == pytest.approx({"x1": 0.2, "x2": 0.6, "fused": 0.2})
    assert blend({"x1": (-0.1, 0.2), "fused": (-0.2, 0.1)}) == {"x1": 0.5, "fused": 0.5}
    tiny = blend({"x1": (0.1, 0.0), "fused": (0.1, SMALLEST_GROWTH)})
    assert tiny["x1"] == pytest.approx(0.5)


def test_loss_is_the_weighted_sum():
    rule, model, batch = build_method("gblend"), make_model().eval(), make_batch()
    output = model(batch.inputs)
    each = losses(output, batch.targets, CLASSIFICATION)
    each = {k: float(v.detach()) for k, v in each.items()}
    assert float(rule.loss(output, batch)) == pytest.approx(sum(each.values()) / 3, abs=1e-5)
    rule.memory["weights"] = {"x1": 0.5, "x2": 0.0, "fused": 0.5}
    expected = 0.5 * each["x1"] + 0.5 * each["fused"]
    assert float(rule.loss(output, batch)) == pytest.approx(expected, abs=1e-5)


def test_an_estimate_leaves_model_and_random_numbers_alone():
    data = load_dataset("synthetic", snr=(3.0, 0.3), **SMALL)
    torch.manual_seed(0)
    model, rule = build_model(data, width=2), build_method("gblend", probe_epochs=2)
    rule.setup(model)
    whole = data.train[:64]
    build_method("joint").step(model, whole, sgd(model, 0.0))
    before, moving = weights(model), buffers(model)
    state = torch.get_rng_state()
    rule.on_epoch_start(model, 0, Loaders.of(data))
    assert rule.memory["weights"] == {}  # until the learning rate is known
    rule.step(model, whole, sgd(model, 0.0))
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(p, before[k]) for k, p in model.named_parameters())
    once = build_model(data, width=2)
    once.load_state_dict(model.state_dict())
    for k, b in once.named_buffers():
        b.copy_(moving[k])
    build_method("joint").step(once, whole, sgd(once, 0.0))
    assert all(torch.equal(b, buffers(once)[k]) for k, b in model.named_buffers())
    found = rule.memory["weights"]
    assert set(found) == {"x1", "x2", "fused"}
    assert sum(found.values()) == pytest.approx(1.0)
    rule.on_epoch_start(model, 1, Loaders.of(data))
    rule.step(model, whole, sgd(model, 0.0))
    assert rule.memory["weights"] == found  # not due


def test_an_estimate_draws_no_number_of_a_run_with_dropout():
    data, states = load_dataset("synthetic", **SMALL), []
    for due in (False, True):
        torch.manual_seed(0)
        model = build_model(data, "maxout", width=2, unimodal_heads=True, dropout=0.5)
        rule = build_method("gblend")
        rule.setup(model)
        if due:
            rule.on_epoch_start(model, 0, Loaders.of(data))
        rule.step(model, data.train[:16], sgd(model))
        assert bool(rule.memory["weights"]) == due
        states.append(torch.get_rng_state())
    assert torch.equal(*states)


def estimated(data, rate, **options):
    torch.manual_seed(0)
    model, rule = build_model(data, width=2), build_method("gblend", probe_epochs=2, **options)
    rule.setup(model)
    rule.on_epoch_start(model, 0, Loaders.of(data))
    rule.step(model, data.train[:8], sgd(model, rate))
    return rule.memory["weights"]


def test_copies_learn_at_the_optimizers_rate():
    data = load_dataset("synthetic", snr=(3.0, 0.3), **SMALL)
    slow, fast = estimated(data, 0.003), estimated(data, 0.1)
    assert slow == estimated(data, 0.1, lr=0.003)
    assert fast == estimated(data, 0.003, lr=0.1)
    assert abs(slow["x1"] - fast["x1"]) > 0.01


def test_copies_learn_at_every_parameters_own_rate():
    model, rule = make_model(), build_method("gblend")
    encoders = list(model.parameters_of("x1"))
    frozen = {id(p) for p in model.parameters_of("x2")}
    rest = list(model.fusion.parameters())
    groups = [{"params": encoders, "lr": 0.1}, {"params": rest, "lr": 0.2}]
    rates = rule._rates(model, torch.optim.SGD(groups, lr=0.3))
    known = {id(p): r for p, r in zip(model.parameters(), rates, strict=True)}
    assert {known[id(p)] for p in encoders} == {0.1}
    assert {known[id(p)] for p in rest} == {0.2}
    assert {known[i] for i in frozen} == {0.0}


def test_offline_estimates_once(tmp_path):
    base = Experiment(
        dataset="synthetic", method="gblend", epochs=4, width=2, data_options=SMALL,
        method_options={"estimate": "offline", "super_epoch": 2},
    )  # fmt: skip
    offline = run_experiment(base, tmp_path / "a").metrics()
    online = run_experiment(
        base.replace(method_options={"super_epoch": 2}), tmp_path / "a"
    ).metrics()
    early = offline["epoch"] <= 2
    assert offline[early].equals(online[early])
    assert not offline.equals(online)
    assert offline.equals(run_experiment(base, tmp_path / "b").metrics())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimate": "onlin"}, "Did you mean 'online'"),
        ({"super_epoch": 0}, "super_epoch=0"),
        ({"held_out": 1.0}, "held_out=1.0"),
        ({"lr": 0}, "lr=0"),
    ],
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        build_method("gblend", **options)
