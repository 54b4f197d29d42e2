"""The protocol from one command: search, final runs, frozen results; given again, it resumes."""

from __future__ import annotations

import json

import pytest

from msam_lib.cli.main import main
from msam_lib.experiments import search
from msam_lib.experiments.comparison import SEEDS
from msam_lib.labels import Comparison
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
