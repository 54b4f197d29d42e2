"""MSES: the smoothed minimum by hand, the weights that come back, and that they stay."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from msam_lib.data import load_dataset
from msam_lib.errors import MsamError
from msam_lib.experiments.build import run_experiment
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method, mses
from msam_lib.methods._gradients import own_parameters
from msam_lib.models import build_model
from msam_lib.models.contexts import evaluating
from msam_lib.training.runs import Run
from msam_lib.training.trainer import Trainer
from tests.helpers import distance, make_batch, make_model, sgd

SMALL = {"n_train": 200, "n_val": 60, "n_test": 60}


Splits = SimpleNamespace(evaluation={"val": None})


@torch.no_grad()
def own_logits(model):
    with evaluating(model):
        return model(make_batch(seed=50).inputs).unimodal["x1"]


def test_the_smoothing_takes_the_raw_loss_of_the_epoch_before(monkeypatch):
    rule, model = build_method("mses", patience=5, smoothing=0.6), make_model()
    first = iter([1.0, 0.2, 0.9])
    monkeypatch.setattr(mses, "unimodal_losses", lambda *a: {"x1": next(first)})
    best = []
    for epoch in range(1, 4):
        rule.on_epoch_end(model, epoch, Splits, None)
        best.append(rule.memory["best"]["x1"])
    # 1.0; 0.6 * 1.0 + 0.4 * 0.2 = 0.68; 0.6 * 0.2 + 0.4 * 0.9 = 0.48
    assert best == pytest.approx([1.0, 0.68, 0.48])


def test_stops_restores_and_stays(monkeypatch):
    rule, model = build_method("mses", patience=1, smoothing=0.5), make_model()
    rule.setup(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=0.1)
    # smoothed losses of x1: 1.0, 0.75, 0.8, 0.95 -> best is epoch 2; epoch 3 may be without a new
    # minimum (patience), the second one, epoch 4, stops it
    rising = iter([1.0, 0.5, 1.1, 0.8])
    falling = iter([1.0, 0.9, 0.8, 0.7])
    monkeypatch.setattr(
        mses, "unimodal_losses", lambda *a: {"x1": next(rising), "x2": next(falling)}
    )
    kept, answers = [], []
    for epoch in range(1, 5):
        rule.step(model, make_batch(seed=epoch), optimizer)
        kept.append([p.detach().clone() for p in own_parameters(model, "x1")])
        answers.append(own_logits(model))
        assert rule.memory["stopped"] == []
        rule.on_epoch_end(model, epoch, Splits, None)
    assert rule.memory["stopped"] == ["x1"]
    now = own_parameters(model, "x1")
    assert all(torch.equal(a, b) for a, b in zip(now, kept[1], strict=True))
    assert torch.equal(own_logits(model), answers[1])  # weights and batch-norm statistics
    assert not torch.equal(answers[3], answers[1])
    other = [p.detach().clone() for p in own_parameters(model, "x2")]
    logs = rule.step(model, make_batch(seed=9), optimizer)
    assert (logs["stopped/x1"], logs["stopped/x2"]) == (1.0, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(now, kept[1], strict=True))
    moved = zip(own_parameters(model, "x2"), other, strict=True)
    assert not any(torch.equal(a, b) for a, b in moved)


def test_losses_are_those_of_the_heads():
    from msam_lib.data import MultimodalDataset

    model, batch = make_model(), make_batch(n=20)
    data = MultimodalDataset(batch.inputs, batch.targets)
    found = mses.unimodal_losses(model, data, build_method("mses"))
    model.eval()
    z = model(batch.inputs).unimodal["x2"]
    rows = z.log_softmax(1)[range(20), batch.targets]
    assert found["x2"] == pytest.approx(-float(rows.mean().detach()), abs=1e-5)


@pytest.mark.parametrize("at", [2, 4])
def test_an_interrupted_run_resumes_exactly(at, tmp_path):
    def trainer(run):
        data = load_dataset("synthetic", **SMALL)
        torch.manual_seed(0)
        model = build_model(data, "late", width=2)
        optimizer, rule = sgd(model, 0.3, 0.9), build_method("mses", patience=1, smoothing=0.0)
        out = Trainer(model, rule, data, optimizer=optimizer, run=run, progress=False)
        return out, rule

    whole, rule = trainer(None)
    whole.fit(6)
    assert rule.memory["stopped"]
    trainer(Run(tmp_path))[0].fit(at)
    again, resumed = trainer(Run(tmp_path))
    again.fit(6)
    assert distance(again.model, whole.model) == 0.0
    assert resumed.memory["stopped"] == rule.memory["stopped"]


def test_a_run_stops(tmp_path):
    base = Experiment(
        dataset="synthetic", method="mses", epochs=6, width=2, lr=0.3, data_options=SMALL,
        method_options={"patience": 1},
    )  # fmt: skip
    run = run_experiment(base, tmp_path / "a")
    state = torch.load(run.path / "checkpoint.pt", weights_only=True)["method"]
    assert state["memory._extra_state"]["stopped"]
    assert run.metrics().equals(run_experiment(base, tmp_path / "b").metrics())


@pytest.mark.parametrize(
    ("options", "message"), [({"patience": 0}, "patience=0"), ({"smoothing": 1.0}, "smoothing=1.0")]
)
def test_bad_options_are_refused(options, message):
    with pytest.raises(MsamError, match=message):
        build_method("mses", **options)


def test_other_optimizers_leave_a_stopped_modality_alone():
    rule, model = build_method("mses"), make_model()
    rule.setup(model)
    rule.memory["stopped"] = ["x1"]
    before = [p.detach().clone() for p in own_parameters(model, "x1")]
    for optimizer in (sgd(model, 0.1, 0.9), torch.optim.AdamW(model.parameters())):
        for _ in range(2):
            rule.step(model, make_batch(), optimizer)
    after = own_parameters(model, "x1")
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True))
