"""The command line, called as a user calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields

import pytest

from msam_lib.cli.main import main
from msam_lib.cli.options import field_help
from msam_lib.experiments.experiment import Experiment
from msam_lib.training import list_runs

SIZES = ["--data-options", "n_train=120", "n_val=40", "n_test=60"]
QUICK = ["--preset", "smoke", "--dataset", "synthetic", "--device", "cpu", *SIZES]


def test_list_methods_as_json(capsys):
    assert main(["list", "methods", "--json"]) == 0
    cards = {card["name"]: card for card in json.loads(capsys.readouterr().out)}
    assert set(cards) >= {"joint", "unimodal", "sam", "asam", "msam"}
    assert cards["unimodal"]["fusions"] == ["late", "concat"]
    assert cards["msam"]["options"]["rho"] == 0.05
    assert cards["msam"]["allowed"]["rho"] == "a number, 0 or larger"
    assert cards["msam"]["allowed"]["reading"] == "one of literal, encoder, unimodal_loss"
    for card in cards.values():
        assert card["title"]
        assert card["reference"]


@pytest.mark.parametrize("what", ["datasets", "fusions", "encoders", "presets", "figures"])
def test_lists_name_everything_once(what, capsys):
    assert main(["list", what, "--json"]) == 0
    names = [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert names
    assert len(set(names)) == len(names)
    assert main(["list", what]) == 0
    assert all(name in capsys.readouterr().out for name in names[:1])


def test_train_then_list_runs(tmp_path, capsys):
    store = ["--store", str(tmp_path)]
    assert main(["list", "runs", *store]) == 0
    assert "No runs yet" in capsys.readouterr().out
    assert main(["train", *QUICK, "--method", "msam", "--method-options", "rho=0.1", *store]) == 0
    out = capsys.readouterr().out
    assert "accuracy" in out
    assert list_runs(tmp_path)[0].config["method_options"] == {"rho": 0.1}
    assert main(["list", "runs", *store]) == 0
    assert "finished" in capsys.readouterr().out


def test_compare_prints_one_row_for_each_method(tmp_path, capsys):
    methods = ["joint", "sam:rho=0.1", "msam:reading=encoder,rho=0.1"]
    command = ["compare", *QUICK, "--methods", *methods, "--seeds", "0", "1"]
    assert main([*command, "--store", str(tmp_path)]) == 0
    table = capsys.readouterr().out
    assert table.count("\n| ") >= 3
    assert "±" in table
    assert len(list_runs(tmp_path)) == 6


def test_freeze_keeps_finished_runs(tmp_path, capsys):
    assert main(["freeze", "x", "--store", str(tmp_path)]) == 2
    assert "No finished run" in capsys.readouterr().err
    main(["train", *QUICK, "--store", str(tmp_path / "runs")])
    out = tmp_path / "frozen"
    assert main(["freeze", "x", "--store", str(tmp_path / "runs"), "--out", str(out)]) == 0
    assert (out / "x.csv.gz").exists()
    assert json.loads((out / "x.provenance.json").read_text())["seeds"] == [0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "--method", "msm"], "Did you mean 'msam'"),
        (["train", "--dataset", "digit"], "Did you mean 'digits'"),
        (["train", "--preset", "tech"], "Did you mean 'teach'"),
        (["train", "--method", "sam", "--method-options", "rho"], "is not OPTION=VALUE"),
        (["compare", "--methods", "joint", "sam:roh=1"], "Did you mean 'rho'"),
        (["train", "--device", "tpu"], "Use device='auto'"),
    ],
)
def test_mistakes_get_one_clear_line(arguments, message, tmp_path, capsys):
    assert main([*arguments, "--store", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


def test_every_field_of_an_experiment_is_explained():
    assert set(field_help()) == {f.name for f in fields(Experiment)}


def test_the_package_is_light_and_runs_as_a_module():
    code = "import sys, msam_lib; assert 'torch' not in sys.modules and 'pandas' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
    out = subprocess.run(
        [sys.executable, "-m", "msam_lib", "--help"], check=True, capture_output=True, text=True
    )
    assert "compare" in out.stdout
