"""The trainer: exact resuming, nothing lost, measurements against scikit-learn and closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from msam_lib.data import load_dataset
from msam_lib.errors import NonFiniteLoss
from msam_lib.experiments.build import (
    build_trainer,
    load_data,
    run_experiment,
    trained_model,
    untrained_model,
)
from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import build_method
from msam_lib.training import (
    History,
    Loaders,
    Record,
    Trainer,
    build_optimizer,
    evaluate,
    list_runs,
)

SMALL = {"n_train": 120, "n_val": 40, "n_test": 60}


def small(**changes):
    base = {"dataset": "synthetic", "epochs": 4, "width": 2, "device": "cpu"}
    base |= {"data_options": SMALL, "batch_size": 16}
    return Experiment(**(base | changes))


class Killed(BaseException):
    """What a kill looks like from inside: nothing may catch it."""


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"method": "msam", "method_options": {"smoothing": 0.9}},
        {
            "method": "msam",
            "method_options": {"ascent": "momentum"},
            "optimizer": "adamw",
            "lr": 0.01,
        },
        {
            "method": "sam",
            "fusion": "maxout",
            "fusion_options": {"hidden": (8, 6)},
            "schedule": "cosine",
            "warmup": 1,
        },
    ],
    ids=lambda c: "-".join(map(str, c.values())) or "joint",
)
@pytest.mark.parametrize("when", ["step", "measure", "checkpoint"])
def test_killed_and_resumed_equals_never_killed(changes, when, tmp_path, monkeypatch):
    experiment = small(**changes)
    whole = run_experiment(experiment, tmp_path / "whole")
    trainer = build_trainer(experiment, tmp_path / "killed")
    left = iter(range(19 if when == "step" else 2))

    def dying(inner):
        def call(*args, **kwargs):
            if next(left, None) is None:
                raise Killed
            return inner(*args, **kwargs)

        return call

    if when == "step":  # in the middle of the third epoch
        trainer.method.step = dying(trainer.method.step)
    elif when == "measure":  # rows half written
        monkeypatch.setattr(trainer.history, "extend", dying(trainer.history.extend))
    else:  # rows written, checkpoint not
        trainer.run.save = dying(trainer.run.save)
    with pytest.raises(Killed):
        trainer.fit(experiment.epochs)
    with (trainer.run.path / "metrics.csv").open("a") as file:
        file.write("3,6,test,fused,accur")  # a line the kill cut off
    assert not trainer.run.finished
    resumed = run_experiment(experiment, tmp_path / "killed")
    assert resumed.finished
    for name, tensor in whole.load("model.pt").items():
        assert torch.equal(tensor, resumed.load("model.pt")[name]), name
    same = [(r.path / "metrics.csv").read_bytes() for r in (whole, resumed)]
    assert same[0] == same[1]


def test_a_finished_run_is_returned_not_repeated(tmp_path):
    run = run_experiment(small(), tmp_path)
    before = (run.path / "metrics.csv").stat().st_mtime_ns
    again = run_experiment(small(), tmp_path)
    assert (again.path, (again.path / "metrics.csv").stat().st_mtime_ns) == (run.path, before)
    assert [r.state for r in list_runs(tmp_path)] == ["finished"]


def test_every_setting_changes_the_runs_name_but_the_device_does_not():
    names = {
        small(**c).name
        for c in [{}, {"lr": 0.1}, {"seed": 1}, {"method_options": {"rho": 1}}, {"epochs": 5}]
    }
    assert len(names) == 5
    assert small(device="auto").name == small().name


def test_a_run_gives_its_model_back(tmp_path):
    experiment = small()
    run = run_experiment(experiment, tmp_path)
    data = load_data(Experiment.from_dict(json.loads((run.path / "config.json").read_text())))
    rows = {(r.modality, r.metric): r.value for r in evaluate(trained_model(run), data.test)}
    kept = run.history()
    kept.keep_until(experiment.epochs)
    assert rows["fused", "accuracy"] == kept.last("accuracy")
    assert run.environment["commit"]


def test_nan_stops_with_advice_and_keeps_what_was_done(tmp_path):
    experiment = small(lr=1e30)
    with pytest.raises(
        NonFiniteLoss, match=r"epoch 1, step \d+.*Joint\(\).*Try a smaller learning"
    ):
        run_experiment(experiment, tmp_path)
    assert list_runs(tmp_path)[0].state == "started"


def test_nan_weights_after_an_epoch_are_reported_and_the_epoch_is_not_kept(tmp_path):
    trainer = build_trainer(small(), tmp_path)

    step = trainer.method.step

    def broken(model, batch, optimizer):
        logs = step(model, batch, optimizer)
        if trainer.epoch == 1:
            next(model.parameters()).data.fill_(float("nan"))
        return {"loss": logs["loss"].nan_to_num(1.0)}

    trainer.method.step = broken
    with pytest.raises(NonFiniteLoss, match=r"After epoch 2, on train: .*NaN.*up to epoch 1 is"):
        trainer.fit(3)
    assert trainer.run.metrics()["epoch"].max() == 1
    assert build_trainer(small(), tmp_path).fit(3).frame()["epoch"].max() == 3


def test_interrupting_says_how_to_resume(tmp_path, capsys):
    trainer = build_trainer(small(), tmp_path)
    trainer.method.step = lambda *args: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(1)
    assert "resumes from there" in capsys.readouterr().out


def test_probes_are_called_when_they_ask_to_be():
    calls = []

    def probe(model, epoch, loaders):
        calls.append(epoch)
        return []

    probe.every = 2
    trainer = build_trainer(small())
    trainer.probes = [probe]
    trainer.fit(4)
    assert calls == [0, 2, 4]


def test_history_survives_a_cut_line(tmp_path):
    history = History(tmp_path / "m.csv")
    rows = [Record(e, e * 10, "test", "fused", "accuracy", 0.1 * e + 1 / 3) for e in range(3)]
    history.extend(rows)
    with (tmp_path / "m.csv").open("a") as file:
        file.write("3,30,test,fused,accuracy,0.9")
    again = History(tmp_path / "m.csv")
    again.keep_until(1)
    assert again.records == rows[:2]
    assert (tmp_path / "m.csv").read_text().count("\n") == 3


def test_bfloat16_trains():
    history = build_trainer(small(method="msam", precision="bfloat16")).fit(2)
    assert np.isfinite(history.last("loss"))


def test_loaders_measure_a_fixed_part_of_the_training_split():
    data = load_dataset("synthetic", **SMALL)
    loaders = Loaders.of(data, 16, train_part=30)
    assert len(loaders.evaluation["train"]) == 30
    assert "train" not in Loaders.of(data, train_part=0).evaluation


def test_a_loaded_data_set_is_enough_for_a_trainer():
    data = load_dataset("synthetic", **SMALL)
    model = untrained_model(small(), data)
    optimizer = build_optimizer(model.parameters())
    history = Trainer(model, build_method("joint"), data, optimizer=optimizer).fit(1)
    assert {"step", "train", "val", "test"} == set(history.frame().split)
