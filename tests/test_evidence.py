"""The protocol from one command: search, final runs, frozen results; given again, it resumes."""

from __future__ import annotations

import json

import pandas as pd
import pytest

from msam_lib.cli.main import main
from msam_lib.experiments import search
from msam_lib.experiments.choices import store_choices
from msam_lib.experiments.comparison import SEEDS, experiment
from msam_lib.experiments.freeze import merging
from msam_lib.labels import Case, Comparison
from msam_lib.results.frozen import load
from msam_lib.results.gains import gains
from msam_lib.training import Trainer, list_runs

TOY = Comparison("synthetic", "late")


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """The command's arguments, and the folder that it wrote to."""
    place = tmp_path_factory.mktemp("evidence")
    command = "evidence synthetic --fusions late --methods joint sam --preset smoke".split()
    command += "--budget 3 --seeds 0 1 --jobs 1".split()
    command += [
        "--store",
        str(place / "runs"),
        "--choices",
        str(place / "tuned"),
        "--out",
        str(place),
    ]
    assert main(command) == 0
    return command, place


def test_search_and_final_runs_are_frozen(measured):
    _, place = measured
    choices = json.loads((place / "tuned" / "synthetic-late.json").read_text())
    assert set(choices) == {"joint", "sam"} and choices["sam"]["seconds"] >= 0
    assert {t["round"] for t in choices["joint"]["trials"]} >= {"coarse", "finer"}
    frame = load("methods_synthetic", place)
    assert set(frame["seed"]) == {0, 1} and set(frame["label"]) == {"joint", "sam"}
    final = {r.config["method"]: r.config for r in list_runs(place / "runs")}
    for label, choice in choices.items():
        assert final[label]["lr"] == choice["lr"]
        assert final[label]["method_options"] == choice["method_options"]


def test_no_seed_is_of_both_search_and_final_runs(measured):
    _, place = measured
    of_search = {r.config["seed"] for r in list_runs(place / "runs" / "tune")}
    assert of_search == set(search.SEEDS) and of_search.isdisjoint(SEEDS)


def test_the_gains_come_from_the_frozen_files(measured):
    _, place = measured
    table = gains(load("methods_synthetic", place), load("search", place), TOY)
    assert table["label"].tolist() == ["sam"] and table["n"].tolist() == [2]
    assert table["fused_half"].notna().all() and table["trials"].iloc[0] >= 3 + 4


def test_the_same_command_trains_nothing_again(measured, monkeypatch, capsys):
    command, place = measured
    before = (place / "tuned" / "synthetic-late.json").read_bytes()
    monkeypatch.setattr(Trainer, "fit", lambda *a, **k: pytest.fail("trained again"))
    assert main(command) == 0
    assert (place / "tuned" / "synthetic-late.json").read_bytes() == before
    assert capsys.readouterr().out.count("frozen:") == 4


def test_a_data_set_with_options_is_a_setting_of_its_own(tmp_path):
    setting = "synthetic@snr=(3,0.5)"
    command = f"evidence {setting} --fusions late --methods joint --preset smoke --jobs 1".split()
    command += "--budget 3 --seeds 0 --store".split()
    command += [str(tmp_path / "runs"), "--choices", str(tmp_path / "tuned")]
    command += ["--out", str(tmp_path)]
    assert main(command) == 0
    choices = json.loads((tmp_path / "tuned" / f"{setting}-late.json").read_text())
    (run,) = list_runs(tmp_path / "runs")
    # the preset's own options of the data stay beside the setting's
    assert run.config["data_options"]["n_train"] == 200
    assert tuple(run.config["data_options"]["snr"]) == (3, 0.5)
    assert run.config["lr"] == choices["joint"]["lr"]
    frame, search = load(f"methods_{setting}", tmp_path), load("search", tmp_path)
    assert set(frame["dataset"]) == set(search["dataset"]) == {setting}
    # it counts in no ranking of data sets
    assert not (tmp_path / "methods.csv.gz").exists()
    main(["comparison", "synthetic", *command[2:10], "--seeds", "0", "--out", str(tmp_path),
          "--store", str(tmp_path / "runs")])  # fmt: skip
    assert set(load("methods", tmp_path)["dataset"]) == {"synthetic"}


def test_a_setting_names_fields_of_the_experiment_too(tmp_path):
    setting = "avmnist_mini@encoder=small_cnn,width=3,epochs=7,lr=0.03,snr_db=-6,label_noise=0.4"
    found = experiment(Case("sam", {}), setting, "maxout", seed=4, folder=tmp_path)
    assert (found.encoder, found.width, found.epochs) == ("small_cnn", 3, 7)
    assert (found.lr, found.label_noise) == (0.03, 0.4)
    assert found.data_options == {"snr_db": -6}
    # what the preset says of the fusion stays; what the search chose goes before the setting
    assert found.fusion_options["hidden"] and found.seed == 4
    chosen = {"sam": {"lr": 0.7, "method_options": {"rho": 0.2}}}
    store_choices(tmp_path / f"{setting}-maxout.json", chosen, {})
    found = experiment(Case("sam", {}), setting, "maxout", folder=tmp_path)
    assert (found.lr, found.epochs, found.method_options) == (0.7, 7, {"rho": 0.2})
    # the seed of a setting is the data set's own
    seeded = experiment(Case("joint", {}), "avmnist_mini@seed=5", "late", seed=4)
    assert seeded.seed == 4 and seeded.data_options == {"seed": 5}


def test_a_setting_without_options_is_refused(capsys):
    assert main("evidence synthetic@ --fusions late --methods joint --preset smoke".split()) != 0
    assert "nothing after '@'" in capsys.readouterr().err


def test_a_setting_that_is_no_file_name_is_refused_before_any_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(search, "run_all", lambda *a, **k: pytest.fail("trained"))
    command = "evidence synthetic@kind=a/b --fusions late --methods joint --preset smoke --out"
    assert main([*command.split(), str(tmp_path)]) != 0
    assert "name='methods_synthetic@kind=a/b'" in capsys.readouterr().err


def test_further_methods_join_what_is_frozen(measured):
    command, place = measured
    before = load("methods_synthetic", place)
    k = command.index("sam")
    more = [*command[:k], "asam", *command[k + 1 :]]
    assert main(more) == 0
    after = load("methods_synthetic", place)
    assert set(after["label"]) == {"joint", "sam", "asam"}
    same = after[after["label"] != "asam"].reset_index(drop=True)
    pd.testing.assert_frame_equal(same, before)
    was, record = before.attrs["provenance"], after.attrs["provenance"]
    assert set(record["runs"]) == set(after["run"]) > set(was["runs"])
    methods = {s["method"] for s in record["settings"].values()}
    assert methods == {"joint", "sam", "asam"}
    # joint training was measured anew: what its earlier runs cost is no longer known
    assert record["training_seconds"] is None
    assert main([*more, "--replace"]) == 0
    assert set(load("methods_synthetic", place)["label"]) == {"joint", "asam"}
    assert main(command) == 0


def test_results_of_an_older_step_do_not_stay(measured, monkeypatch):
    command, place = measured
    monkeypatch.setattr(merging, "VERSION", 99)
    k = command.index("sam")
    assert main([*command[:k], *command[k + 1 :]]) == 0
    assert set(load("methods_synthetic", place)["label"]) == {"joint"}
    monkeypatch.undo()
    assert main(command) == 0
