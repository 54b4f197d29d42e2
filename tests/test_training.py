"""The trainer: exact resuming, nothing lost, measurements against scikit-learn and closed forms."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score

from msam_lib.config import Experiment
from msam_lib.data import load_dataset
from msam_lib.errors import MsamError, NonFiniteLoss
from msam_lib.methods import build_method
from msam_lib.training import (
    History,
    Loaders,
    Record,
    Trainer,
    build_optimizer,
    build_schedule,
    calibration_error,
    evaluate,
    list_runs,
    macro_f1,
)
from tests.helpers import make_model

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
    whole = experiment.run(tmp_path / "whole")
    trainer = experiment.trainer(tmp_path / "killed")
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
    resumed = experiment.run(tmp_path / "killed")
    assert resumed.finished
    for name, tensor in whole.load("model.pt").items():
        assert torch.equal(tensor, resumed.load("model.pt")[name]), name
    same = [(r.path / "metrics.csv").read_bytes() for r in (whole, resumed)]
    assert same[0] == same[1]


def test_a_finished_run_is_returned_not_repeated(tmp_path):
    run = small().run(tmp_path)
    before = (run.path / "metrics.csv").stat().st_mtime_ns
    again = small().run(tmp_path)
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
    run = experiment.run(tmp_path)
    data = Experiment.from_dict(json.loads((run.path / "config.json").read_text())).load_data()
    rows = {(r.modality, r.metric): r.value for r in evaluate(run.model(), data.test)}
    kept = run.history()
    kept.keep_until(experiment.epochs)
    assert rows["fused", "accuracy"] == kept.last("accuracy")
    assert run.environment["commit"]


def test_nan_stops_with_advice_and_keeps_what_was_done(tmp_path):
    experiment = small(lr=1e30)
    with pytest.raises(
        NonFiniteLoss, match=r"epoch 1, step \d+.*Joint\(\).*Try a smaller learning"
    ):
        experiment.run(tmp_path)
    assert list_runs(tmp_path)[0].state == "started"


def test_interrupting_says_how_to_go_on(tmp_path, capsys):
    trainer = small().trainer(tmp_path)
    trainer.method.step = lambda *args: (_ for _ in ()).throw(KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(1)
    assert "goes on from there" in capsys.readouterr().out


def test_probes_are_called_when_they_ask_to_be():
    calls = []

    def probe(model, epoch, loaders):
        calls.append(epoch)
        return []

    probe.every = 2
    trainer = small().trainer()
    trainer.probes = [probe]
    trainer.fit(4)
    assert calls == [0, 2, 4]


@pytest.mark.parametrize("snr", [(1.0, 3.0), (3.0, 1.0)])
def test_the_dominant_modality_of_synthetic_data_is_found(snr):
    history = small(data_options=SMALL | {"snr": snr}, epochs=6, lr=0.1).trainer().fit(6)
    shares = [history.last("contribution", modality=m) for m in ("x1", "x2")]
    assert (shares[0] > shares[1]) == (snr[0] > snr[1])
    assert sum(shares) == pytest.approx(1)


def test_the_share_of_a_modality_rises_with_its_signal():
    shares = []
    for snr in (0.5, 1.5, 4.0):
        options = {"n_train": 400, "n_val": 50, "n_test": 400, "snr": (snr, 1.5)}
        history = small(data_options=options, epochs=6, lr=0.1).trainer().fit(6)
        shares.append(history.last("contribution", modality="x1"))
    assert shares == sorted(shares)
    assert shares[-1] - shares[0] > 0.2


@pytest.mark.parametrize("fusion", ["late", "maxout"])
@pytest.mark.parametrize("m", [2, 3])
def test_evaluate_agrees_with_direct_computation(fusion, m):
    data = load_dataset("synthetic", n_modalities=m, **SMALL)
    options = {"fusion_options": {"hidden": (8, 6)}} if fusion == "maxout" else {}
    model = small(fusion=fusion, **options).build_model(data).eval()
    rows = {(r.modality, r.metric): r.value for r in evaluate(model, data.test, per_class=True)}
    with torch.no_grad():
        batch = data.test[:]
        for name in model.modalities:
            masked = {k: x if k == name else torch.zeros_like(x) for k, x in batch.inputs.items()}
            hits = model(masked).logits.argmax(-1) == batch.targets
            assert rows[name, "accuracy"] == pytest.approx(hits.double().mean().item())
        if m == 2:  # AGM's response of the first modality: (F(12) - F(2) + F(1)) / 2
            f = {k: model(batch.inputs, present=k).logits for k in [("x1", "x2"), ("x1",), ("x2",)]}
            response = f["x1", "x2"] - f[("x2",)] + f[("x1",)]
            expected = (response.argmax(-1) == batch.targets).double().mean().item()
            assert rows["x1", "accuracy_shapley"] == pytest.approx(expected)
        phi = sum(rows[name, "phi"] for name in model.modalities)
        empty = (model(batch.inputs, present=[]).logits.argmax(-1) == batch.targets).double().mean()
        assert phi == pytest.approx(rows["fused", "accuracy"] - empty.item())


def test_macro_f1_agrees_with_scikit_learn():
    g = torch.Generator().manual_seed(0)
    y, p = torch.randint(4, (50,), generator=g), torch.randint(3, (50,), generator=g)
    assert macro_f1(p, y, 5) == pytest.approx(f1_score(y, p, average="macro"))


def test_calibration_error_by_hand():
    logits = torch.log(torch.tensor([[0.9, 0.1], [0.9, 0.1], [0.6, 0.4], [0.4, 0.6]]))
    y = torch.tensor([0, 1, 0, 1])
    # the bin of 0.9: accuracy 0.5, gap 0.4, half of the samples; that of 0.6: accuracy 1, gap 0.4
    assert calibration_error(logits, y) == pytest.approx(0.4, abs=1e-6)


def test_schedules_by_hand():
    def rates(name, **options):
        optimizer = build_optimizer(make_model().parameters(), lr=1.0)
        schedule = build_schedule(optimizer, name, steps=8, **options)
        out = []
        for _ in range(8):
            out.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step()
        return np.round(out, 6).tolist()

    assert rates("constant", warmup=3) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1]
    assert rates("step", period=3) == [1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01]
    cosine = rates("cosine")
    assert cosine[0] == 1
    assert cosine[4] == 0.5
    with pytest.raises(MsamError, match="period=0"):
        rates("step")


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
    history = small(method="msam", precision="bfloat16").trainer().fit(2)
    assert np.isfinite(history.last("loss"))


def test_loaders_measure_a_fixed_part_of_the_training_split():
    data = load_dataset("synthetic", **SMALL)
    loaders = Loaders.of(data, 16, train_part=30)
    assert len(loaders.evaluation["train"]) == 30
    assert "train" not in Loaders.of(data, train_part=0).evaluation


def test_a_loaded_data_set_is_enough_for_a_trainer():
    data = load_dataset("synthetic", **SMALL)
    model = small().build_model(data)
    optimizer = build_optimizer(model.parameters())
    history = Trainer(model, build_method("joint"), data, optimizer=optimizer).fit(1)
    assert {"step", "train", "val", "test"} == set(history.frame().split)
