"""Bad values on the command line: one clear line, status 2, nothing trained, no traceback."""

from __future__ import annotations

from dataclasses import fields

import pytest

from msam_lib.experiments.experiment import Experiment
from msam_lib.methods import METHODS
from tests.bad_inputs.expect import refused_by_the_command_line
from tests.bad_inputs.test_settings import DATA, FUSIONS

SMALL = ["--preset", "smoke", "--dataset", "synthetic", "--device", "cpu"]
NUMBERS = [f.name for f in fields(Experiment) if type(f.default) in (int, float)]
CHOICES = ["dataset", "fusion", "method", "optimizer", "schedule", "encoder", "absent", "precision"]
SETTINGS = [(n, v) for n in NUMBERS for v in ("abc", "nan", "-1")]
SETTINGS += [(n, "nonsense") for n in [*CHOICES, "device", "modalities"]]
SETTINGS += [
    *[("lr", "0"), ("lr", "inf"), ("momentum", "2"), ("momentum", "1"), ("epochs", "1.5")],
    *[("epochs", "0"), ("batch-size", "0"), ("width", "0"), ("label-noise", "7"), ("seed", "1e3")],
]
# An option for every method that has one: a text, and a number that no option takes.
FIRST = [(m, o, v) for m in METHODS for o in list(METHODS[m].options())[:1] for v in ("[]", "nan")]
FIRST += [(m, "nonsense", "1") for m in ("sam", "joint", "msam")]
FIRST += [("msam", "mixing", "7"), ("sam", "rho", "-1"), ("ogm_ge", "window", "(5,2)")]
FIRST += [("ogm_ge", "ge", "yes"), ("agm", "window", "(1,)"), ("masam", "aps", "1")]
FREE = [("unimodal", "modality", "nan")]
DATA_WORDS = [(d, o, v) for d, known in DATA.items() for o, values in known.items() for v in values]
SUM, TUNE = ["train", *SMALL, "--fusion", "sum"], ["tune", *SMALL, "--methods", "joint"]


def spelled(value) -> str:
    return str(value).replace(" ", "")


@pytest.mark.parametrize(("name", "value"), SETTINGS)
def test_a_setting(name, value, tmp_path, capsys):
    name = name.replace("_", "-")
    arguments = ["train", *SMALL, "--store", str(tmp_path), f"--{name}", value]
    refused_by_the_command_line(arguments, [value.split("e")[0]], capsys)


@pytest.mark.parametrize(("method", "option", "value"), [c for c in FIRST if c not in FREE])
def test_an_option_of_a_method(method, option, value, tmp_path, capsys):
    chosen = ["--method", method, "--method-options", f"{option}={value}"]
    arguments = ["train", *SMALL, *chosen, "--store", str(tmp_path)]
    refused_by_the_command_line(arguments, [option], capsys)
    several = ["compare", *SMALL, "--methods", "joint", f"{method}:{option}={value}"]
    refused_by_the_command_line([*several, "--store", str(tmp_path)], [option], capsys)


@pytest.mark.parametrize(("dataset", "option", "value"), DATA_WORDS)
def test_an_option_of_a_data_set(dataset, option, value, tmp_path, capsys):
    chosen = ["--dataset", dataset, "--data-options", f"{option}={spelled(value)}"]
    refused_by_the_command_line(
        ["train", *SMALL[:2], *chosen, "--device", "cpu", "--store", str(tmp_path)],
        [option, spelled(value) if not isinstance(value, list | tuple) else ""],
        capsys,
    )


@pytest.mark.parametrize(("fusion", "option", "value"), [f for f in FUSIONS if f[2] != "x9"])
def test_an_option_of_a_fusion(fusion, option, value, tmp_path, capsys):
    chosen = ["--fusion", fusion, "--fusion-options", f"{option}={spelled(value)}"]
    refused_by_the_command_line(
        ["train", *SMALL, *chosen, "--store", str(tmp_path)], [option, str(value)], capsys
    )


OTHERS = {
    "no command": ([], "COMMAND"),
    "unknown command": (["trian"], "trian"),
    "unknown option": (["train", "--rho", "1"], "--rho"),
    "unknown list": (["list", "method"], "method"),
    "not an option": (["train", *SMALL, "--method-options", "rho"], "OPTION=VALUE"),
    "heads of late fusion": (["train", *SMALL, "--unimodal-heads"], "unimodal_heads=True"),
    "no period": (["train", *SMALL, "--schedule", "step", "--period", "0"], "period=0"),
    "preset": (["train", "--preset", "tech"], "teach"),
    "heads missing": ([*SUM, "--method", "mmpareto"], "unimodal_heads"),
    "wrong fusion": (["compare", *SMALL, "--methods", "lnln"], "lnln"),
    "one modality": (["train", *SMALL, "--method", "reconboost", "--modalities", "x1"], "x1"),
    "modality twice": (["train", *SMALL, "--modalities", "x1", "x1"], "x1"),
    "no methods": (["compare", *SMALL], "--methods"),
    "jobs": (["compare", *SMALL, "--methods", "joint", "--jobs", "0"], "0"),
    "jobs in words": (["compare", *SMALL, "--methods", "joint", "--jobs", "two"], "two"),
    "seeds": (["compare", *SMALL, "--methods", "joint", "--seeds", "-1"], "-1"),
    "seeds in words": (["compare", *SMALL, "--methods", "joint", "--seeds", "one"], "one"),
    "format": (["compare", *SMALL, "--methods", "joint", "--format", "pdf"], "pdf"),
    "method of compare": (["compare", *SMALL, "--methods", "jiont"], "jiont"),
    "fusion of tune": (["tune", *SMALL, "--fusion", "lat"], "lat"),
    "fusion of tune, methods": (["tune", *SMALL, "--fusion", "lat", "--methods", "joint"], "lat"),
    "method of tune": (["tune", *SMALL, "--methods", "jiont"], "jiont"),
    "option of tune": (["tune", *SMALL, "--methods", "sam:rho=abc"], "rho"),
    "budget": (["tune", *SMALL, "--methods", "joint", "--budget", "4"], "budget=4"),
    "budget in words": (["tune", *SMALL, "--methods", "joint", "--budget", "x"], "x"),
    "setting of tune": (["tune", *SMALL, "--methods", "joint", "--epochs", "0"], "epochs=0"),
    "fusion option of tune": ([*TUNE, "--fusion-options", "a=1"], "'a'"),
    "fusion of comparison": (["comparison", "synthetic", "--fusions", "lat"], "lat"),
    "data of comparison": (["comparison", "syntetic"], "syntetic"),
    "method of comparison": (["comparison", "synthetic", "--methods", "jiont"], "jiont"),
    "option of comparison": (["comparison", "synthetic", "--methods", "sam:rho=abc"], "rho"),
    "preset of comparison": (["comparison", "synthetic", "--preset", "tech"], "tech"),
    "kind of comparison": (["comparison", "synthetic", "--what", "all"], "all"),
    "data of noise": (["comparison", "syntetic", "--what", "noise"], "syntetic"),
    "seeds of comparison": (["comparison", "synthetic", "--seeds", "-3"], "-3"),
    "run": (["diagnose", "no-such-run"], "no-such-run"),
    "samples": (["diagnose", "r", "--samples", "0"], "0"),
    "probes": (["diagnose", "r", "--probes", "1"], "1"),
    "steps": (["diagnose", "r", "--steps", "-2"], "-2"),
    "diagnostic": (["diagnose", "r", "--what", "hesian"], "hesian"),
    "figure": (["figures", "no-such-figure", "--frozen"], "no-such-figure"),
    "figures' preset": (["figures", "--preset", "tech"], "tech"),
    "figures' seeds": (["figures", "--seeds", "x"], "x"),
    "figures' jobs": (["figures", "--jobs", "0"], "0"),
}  # fmt: skip
STORED = ("train", "compare", "tune", "comparison", "figures")


@pytest.mark.parametrize("case", OTHERS)
def test_another_mistake(case, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, word = OTHERS[case]
    if arguments[:1] and arguments[0] in STORED:
        arguments = [*arguments, "--store", str(tmp_path / "runs")]
    refused_by_the_command_line(arguments, [word], capsys)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", [["train"], ["list", "runs"], ["freeze", "x"], ["figures"]])
@pytest.mark.parametrize("below", [False, True])
def test_a_store_that_is_a_file(command, below, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    store = tmp_path / "file" / "runs" if below else tmp_path / "file"
    refused_by_the_command_line([*command, "--store", str(store)], ["file", "folder"], capsys)
