"""Somebody adds a method, a data set, a fusion and a figure by rows of the catalogue and one module
of their own; everything works with them as with the library's.
"""

from __future__ import annotations

import importlib
import json
import sys

import pandas as pd
import pytest

from msam_lib import catalogue, results
from msam_lib.cli.main import main
from msam_lib.data import describe, list_datasets, load_dataset
from msam_lib.errors import MsamError
from msam_lib.experiments import comparison
from msam_lib.experiments.build import run_experiment, trained_model
from msam_lib.experiments.cases import cases
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.freeze.comparison import freeze_comparison
from msam_lib.experiments.measurements import collect
from msam_lib.experiments.runner import run_all
from msam_lib.experiments.search import tune
from msam_lib.experiments.trials import coarse
from msam_lib.figures.build import build
from msam_lib.labels import Case, Comparison, display_names
from msam_lib.methods import METHODS, build_method
from tests.helpers import distance, make_batch, make_model, steps

MODULE = '''
"""A method, a data set, a fusion and a figure of somebody's own."""

import torch
from matplotlib.figure import Figure
from msam_lib.data import DataSplits, Modality, MultimodalDataset
from msam_lib.figures.item import FigureItem
from msam_lib.methods import Method
from msam_lib.models import Fusion


class Scaled(Method):
    """The loss times a strength.

    Args:
        strength: the factor.
    """

    reference = "nobody, nowhere, 2026"
    neutral = {"strength": 1.0}

    def __init__(self, strength: float = 0.5) -> None:
        super().__init__()
        self.strength = strength

    def loss(self, output, batch):
        return self.strength * super().loss(output, batch)


def load(*, seed=0, modalities=None, n_train=480):
    g = torch.Generator().manual_seed(seed)

    def split(n):
        y = torch.arange(n) % 2
        shown = torch.randn(n, 3, generator=g) + 3 * y[:, None]
        return MultimodalDataset({"signal": shown, "noise": torch.randn(n, 4, generator=g)}, y)

    return DataSplits(
        name="pairs",
        train=split(n_train),
        val=split(100),
        test=split(100),
        modalities={"signal": Modality("vector", (3,)), "noise": Modality("vector", (4,))},
        classes=("no", "yes"),
        provenance="made up",
    )


class Largest(Fusion):
    """One linear map of each modality; the largest logit counts."""

    def __init__(self, dims, classes):
        super().__init__(dims, classes)
        self.maps = torch.nn.ModuleDict({m: torch.nn.Linear(d, classes) for m, d in dims.items()})

    def forward(self, features):
        return torch.stack([self.maps[m](features[m]) for m in self.modalities]).amax(0)


def bars(rows):
    figure = Figure()
    ends = rows.groupby("label")["value"].max()
    figure.subplots().barh(list(ends.index), ends.to_numpy())
    return figure


ITEM = FigureItem(
    name="best_accuracies",
    title="Best accuracies",
    caption="The best accuracy of each method.",
    needs="methods_pairs",
    draw=bars,
    describe=lambda rows: f"Bars of {rows['label'].nunique()} methods.",
)
'''
WHERE = {"dataset": "pairs", "fusion": "largest"}


@pytest.fixture
def toy(tmp_path, monkeypatch):
    """The module on the path, and its rows in the catalogue."""
    folder = tmp_path / "own"
    folder.mkdir()
    (folder / "toy_additions.py").write_text(MODULE)
    monkeypatch.syspath_prepend(folder)
    method = catalogue.MethodRow(
        "toy_additions:Scaled", "Scaled loss", "loss", "strength", (0.25, 0.5, 0.75)
    )
    dataset = catalogue.DatasetRow(
        "toy_additions:load", "a signal and noise", "made up", {"n_train": "samples (480)"}
    )
    fusion = catalogue.FusionRow("toy_additions:Largest", "largest logits", "largest")
    monkeypatch.setitem(catalogue.METHODS, "scaled", method)
    monkeypatch.setitem(catalogue.DATASETS, "pairs", dataset)
    monkeypatch.setitem(catalogue.FUSIONS, "largest", fusion)
    yield importlib.import_module("toy_additions")
    del sys.modules["toy_additions"]


def test_an_experiment_runs_with_all_three(toy, tmp_path):
    options = {"method": "scaled", "method_options": {"strength": 0.7}}
    experiment = Experiment.preset("smoke", **WHERE, **options)
    run = run_experiment(experiment, tmp_path, progress=False)
    model = trained_model(run)
    assert type(model.fusion) is toy.Largest and model.modalities == ("signal", "noise")
    frame = collect([run])
    assert set(frame["label"]) == {"scaled:strength=0.7"} and set(frame["dataset"]) == {"pairs"}
    ends = results.reported_epoch(frame)
    ends = ends[(ends["split"] == "test") & (ends["metric"] == "accuracy")]
    best = ends.set_index("modality")["value"]
    assert best["signal"] > best["noise"]


def test_the_rule_is_the_one_that_was_added(toy):
    model, batches = make_model(), [make_batch(seed=s) for s in (1, 2)]
    half = steps(model, build_method("scaled"), batches, lr=0.1)
    assert distance(half, steps(model, build_method("joint"), batches, lr=0.05)) < 1e-6
    assert distance(half, steps(model, build_method("joint"), batches, lr=0.1)) > 1e-4
    with pytest.raises(MsamError, match="Did you mean 'strength'"):
        build_method("scaled", strenght=1.0)


def test_names_and_words_are_those_of_the_rows(toy):
    assert list(METHODS)[-1] == "scaled" and METHODS["scaled"] is toy.Scaled
    assert display_names(["scaled:strength=0.7"]) == {
        "scaled:strength=0.7": "Scaled loss (strength=0.7)"
    }
    assert Comparison("pairs", "largest").name == "pairs, largest"
    assert "pairs" in list_datasets() and "n_train: samples (480)" in describe("pairs")
    assert len(load_dataset("pairs", n_train=10).train) == 10
    with pytest.raises(MsamError, match="Did you mean 'n_train'"):
        load_dataset("pairs", ntrain=10)


@pytest.mark.parametrize(
    ("what", "name", "title"),
    [("methods", "scaled", "Scaled loss"), ("datasets", "pairs", None),
     ("fusions", "largest", "largest logits")],
)  # fmt: skip
def test_the_command_line_lists_them(what, name, title, toy, capsys):
    assert main(["list", what, "--json"]) == 0
    row = next(r for r in json.loads(capsys.readouterr().out) if r["name"] == name)
    assert row.get("title") == title
    if what == "methods":
        assert row["changes"] == "loss" and row["options"] == {"strength": 0.5}
        assert row["reference"] == "nobody, nowhere, 2026" and "largest" in row["fusions"]
    assert main(["list", what]) == 0
    assert f"\n{name} " in capsys.readouterr().out


def test_the_search_varies_its_option(toy, tmp_path):
    assert coarse(Case("scaled", {}), 0.3, 6) == [
        (lr, {"strength": v}) for lr in (0.6, 0.3, pytest.approx(0.1)) for v in (0.5, 0.75)
    ]
    store, cases = tmp_path / "runs", [Case("joint", {}), Case("scaled", {})]
    found = tune(
        "pairs",
        "largest",
        cases,
        preset="smoke",
        budget=3,
        seeds=(1,),
        refine=False,
        store=store,
        folder=tmp_path,
        jobs=1,
    )
    assert len(found["scaled"]["trials"]) == 3 and found["scaled"]["val_accuracy"] > 0.5
    made = comparison.experiment(
        cases[1], "pairs", "largest", preset="smoke", seed=1, folder=tmp_path
    )
    assert made.lr == found["scaled"]["lr"] and made.method_options == {"strength": 0.5}


def test_it_is_a_row_of_the_comparison(toy):
    assert Case("scaled", {}) in cases(2, "largest")
    assert Case("unimodal", {}) not in cases(2, "largest")


def test_it_trains_from_the_command_line(toy, tmp_path, capsys):
    command = ["compare", "--preset", "smoke", "--dataset", "pairs", "--fusion", "largest"]
    command += ["--methods", "joint", "scaled:strength=0.7", "--seeds", "0"]
    assert main([*command, "--store", str(tmp_path)]) == 0
    assert "| Scaled loss (strength=0.7) |" in capsys.readouterr().out


def test_a_figure_is_drawn_from_what_was_frozen_and_becomes_stale(toy, tmp_path):
    rows = [Case("joint", {}), Case("scaled", {})]
    plan = comparison.plan_rows(
        "pairs", "largest", rows, seeds=[0, 1], preset="smoke", folder=tmp_path
    )
    store, out = tmp_path / "runs", tmp_path / "figures"
    run_all([e for row in plan for e in row.experiments], store, jobs=1, progress=False)
    freeze_comparison(plan, "methods_pairs", store, out / "data")
    items = {toy.ITEM.name: toy.ITEM}
    assert build(items, out=out) == ["best_accuracies"]
    assert build(items, out=out, check=True) == []
    entry = json.loads((out / "manifest.json").read_text())["best_accuracies"]
    assert entry["alt"] == "Bars of 2 methods." and list(entry["data"]) == ["methods_pairs"]
    assert entry["caption"] == "The best accuracy of each method. 2 seeds."
    assert all((out / file).stat().st_size > 100 for file in entry["files"])

    source = tmp_path / "own" / "toy_additions.py"
    source.write_text(MODULE + "# changed\n")
    assert build(items, out=out, check=True) == ["best_accuracies"]  # its own code
    source.write_text(MODULE)
    assert build(items, out=out, check=True) == []
    (out / "best_accuracies.svg").unlink()
    assert build(items, out=out, check=True) == ["best_accuracies"]  # a product
    assert build(items, out=out) == ["best_accuracies"]
    data = out / "data" / "methods_pairs.csv.gz"
    frame = pd.read_csv(data, keep_default_na=False)
    frame.assign(value=frame["value"] / 2).to_csv(data, index=False)
    assert build(items, out=out, check=True) == ["best_accuracies"]  # its data
