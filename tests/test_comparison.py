"""Comparing all methods: which rows, frozen results, ranks, pictures, the command line."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from msam_lib import results
from msam_lib.cli.main import main
from msam_lib.errors import MsamError
from msam_lib.experiments import comparison
from msam_lib.experiments.cases import cases
from msam_lib.experiments.freeze.comparison import freeze_comparison, summarise
from msam_lib.experiments.freeze.search import freeze_search
from msam_lib.experiments.runner import run_all
from msam_lib.figures.costs import cost_table, describe_costs
from msam_lib.figures.registry import ITEMS
from msam_lib.labels import Case, Comparison
from msam_lib.plots.comparison import accuracy_against, pareto
from msam_lib.results.comparison import (
    accuracies,
    accuracy_rows,
    against_cost,
    against_imbalance,
    against_joint,
    noise_summary,
    ranks,
    scores,
)
from msam_lib.results.frame import reported_epoch
from msam_lib.results.statistics import average_ranks
from tests import fabricated

SMALL = {"n_train": 120, "n_val": 40, "n_test": 40}


@pytest.mark.parametrize(("m", "fusion"), [(2, "late"), (3, "late"), (2, "maxout")])
def test_rows_are_the_methods_that_apply(m, fusion):
    rows = {c.label for c in cases(m, fusion)}
    assert {"joint", "sam", "msam", "msam:reading=encoder", "agm"} <= rows
    assert "x_sam" in rows and "amco" not in rows
    assert ("mla" in rows, "unimodal" in rows) == (fusion == "late", fusion == "late")


@pytest.fixture(scope="module")
def frozen(tmp_path_factory):
    """Two comparisons of a few methods, frozen with their summary and made-up costs."""
    folder = tmp_path_factory.mktemp("frozen")
    store = folder / "runs"
    costs = [
        {"name": n, "against": "joint", "setting": "small_cnn, late, M=2", "quantity": q,
         "ratio": r}
        for n, r in (("joint", 1.0), ("sam", 2.0), ("msam", 2.1)) for q in ("step", "epoch")
    ]  # fmt: skip
    pd.DataFrame(costs).to_csv(folder / "costs.csv.gz", index=False)
    for name, snr in (("avmnist", (3.0, 1.0)), ("digits", (1.0, 2.0))):
        rows = [Case(method, {}) for method in ("joint", "sam", "msam", "unimodal")]
        options = {"data_options": SMALL | {"snr": snr}, "preset": "smoke", "seeds": (0, 1)}
        plan = comparison.plan_rows("synthetic", "late", rows, folder=folder, **options)
        run_all([e for row in plan for e in row.experiments], store, jobs=1)
        path = freeze_comparison(plan, f"methods_{name}", store, folder)
        frame = pd.read_csv(path, keep_default_na=False).assign(dataset=name)
        frame.to_csv(path, index=False)
    summarise(folder)
    freeze_search(folder)
    return folder


def test_frozen_rows_carry_the_rows_name(frozen):
    frame = results.load("methods_digits", frozen)
    assert set(frame["label"]) == {"joint", "sam", "msam", "unimodal"}
    found = accuracies(frame)
    assert found.shape == (4, 2) and found.to_numpy().min() >= 0


def test_items_are_drawn_from_the_summary(frozen):
    frames = {name: results.load(name, frozen) for name in ("methods", "search")}
    names, found = ranks(frames["methods"])
    assert sorted(names) == ["Joint training", "M-SAM", "SAM"] and found.blocks == 2
    item = ITEMS["methods_accuracy_against_imbalance"]
    assert isinstance(item.build(frames), Figure)
    assert len(item.alt(frames)) > 40
    gained = pd.DataFrame({"label": ["sam", "other"], "name": ["SAM", "Other"], "fused": [1.5, 2]})
    points = against_cost({Comparison("toy", "late"): gained}, frames["methods"])
    # by hand: SAM costs twice an epoch of joint training; what was not timed is left out
    assert points[["name", "x", "y", "panel"]].to_numpy().tolist() == [
        ["Joint training", 1.0, 0.0, "toy, late"], ["SAM", 2.0, 1.5, "toy, late"],
    ]  # fmt: skip


def test_a_table_shows_both_definitions(frozen):
    item = ITEMS["table_methods_late_digits"]
    table = item.build({name: results.load(name, frozen) for name in item.sources})
    assert table.columns == ("x1", "x2", "fused", "x1 (shapley)", "x2 (shapley)")
    assert table.rows[0].name == "Floor (the commonest class)"
    assert len(table.rows) == 5


def test_nothing_frozen_is_reported(tmp_path):
    with pytest.raises(MsamError, match="No comparison in"):
        summarise(tmp_path)
    plan = comparison.plan_rows("synthetic", "late", [Case("joint", {})], seeds=[0])
    with pytest.raises(MsamError, match="None of the 1 runs"):
        freeze_comparison(plan, "x", tmp_path, tmp_path)


def test_noise_and_ablation_plans(tmp_path):
    plan = comparison.noise_plan(seeds=[0], folder=tmp_path)
    assert {e.label_noise for row in plan for e in row.experiments} == set(comparison.NOISES)
    assert len(plan) == len(comparison.NOISY) * len(comparison.NOISES)
    plan = comparison.ablation_plan(seeds=[0], folder=tmp_path)
    rows = {row.label: row.experiments for row in plan}
    assert rows["masam:aps=False"][0].method_options["aps"] is False
    assert len({e.name for row in plan for e in row.experiments}) == len(plan)


def test_noise_is_summarised_by_row_and_share():
    rows = [
        {"dataset": "digits", "fusion": "late", "method": "sam", "label": f"sam@{noise}", "seed": s,
         "preset": "", "run": f"{noise}{s}", "epoch": 1, "step": 1, "split": split,
         "modality": "fused", "metric": "accuracy", "value": 0.9 - noise + 0.01 * s}
        for noise in (0.0, 0.4) for s in (0, 1, 2) for split in ("val", "test")
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    found, names = noise_summary(frame)
    assert names == {"sam": "SAM"}
    assert found["mean"].tolist() == pytest.approx([91.0, 51.0])
    half = 4.302653 * 1.0 / np.sqrt(3)
    assert (found["high"] - found["mean"]).tolist() == pytest.approx([half, half], rel=1e-4)
    assert isinstance(ITEMS["label_noise_digits"].build({"noise_digits": frame}), Figure)


def test_ranks_by_hand():
    # Demsar 2006, Table 5: q = 2.569 for 4 classifiers at 5 %
    of_methods = np.array([[4.0, 3, 2, 1], [4, 3, 1, 2], [4, 4, 2, 1]])
    found = average_ranks(of_methods)
    assert found.average.tolist() == pytest.approx([3.5 / 3, 5.5 / 3, 10 / 3, 11 / 3])
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / 18), abs=2e-3)
    with pytest.raises(MsamError, match="every method needs a score"):
        average_ranks(np.array([[1.0, np.nan, 2.0], [1, 2, 3]]))


def test_gains_and_shares_of_made_up_results():
    frame = reported_epoch(fabricated.results().assign(dataset="digits"))
    gains = against_joint(frame, "sam:rho=0.1")  # method number 2: two points above joint training
    assert set(gains["modality"]) == {"fused", "audio", "visual"}
    assert gains["mean"].tolist() == pytest.approx([2.0] * 3) and set(gains["seeds"]) == {3}
    fused = gains[gains["modality"] == "fused"].iloc[0]
    assert fused["accuracy"] == pytest.approx(100 * (0.1 + 0.4 + 0.02 + 0.02 + 0.2))
    points = against_imbalance(frame)
    assert points["x"].tolist() == pytest.approx([200 / 3] * len(fabricated.LABELS))


def test_accuracies_are_those_of_the_test_split():
    frame = fabricated.results()
    frame.loc[frame["split"] == "val", "value"] = 1.0
    assert set(accuracy_rows(frame)["split"]) == {"test"}
    assert float(accuracies(reported_epoch(frame)).max().max()) < 100


def test_pareto_by_hand():
    points = pd.DataFrame({"x": [1.0, 2.0, 2.0, 3.0], "y": [5.0, 6.0, 4.0, 6.0]})
    assert pareto(points).tolist() == [True, True, False, False]
    with pytest.raises(MsamError, match="No methods"):
        accuracy_against(points.assign(name="a", kind="loss")[:0], xlabel="x")


def test_comparison_and_tune_from_the_command_line(tmp_path, capsys):
    common = ["--store", str(tmp_path / "runs"), "--out", str(tmp_path), "--jobs", "1"]
    small = ["--data-options", *(f"{k}={v}" for k, v in SMALL.items())]
    arguments = ["tune", "--dataset", "synthetic", "--preset", "smoke", "--methods", "sam"]
    assert main([*arguments, "--budget", "3", *common, *small]) == 0
    assert "rho=0.05" in capsys.readouterr().out
    arguments = ["comparison", "synthetic", "--preset", "smoke", "--methods", "joint", "sam"]
    assert main([*arguments, "--fusions", "late", "--seeds", "0", *common]) == 0
    assert (tmp_path / "methods_synthetic.csv.gz").exists()
    assert (tmp_path / "methods.csv.gz").exists()


def test_the_table_of_costs_has_every_ratio(frozen):
    summary = results.load("methods", frozen)
    table = cost_table(summary[summary["split"] == "cost"])
    assert [r.name for r in table.rows] == ["Joint training", "SAM", "M-SAM"]
    sam = dict(zip(table.columns, table.rows[1].cells, strict=True))
    assert sam["late: epoch"].text == "2.00" and sam["early: epoch"].text == "—"
    assert "M-SAM 2.10" in describe_costs(summary[summary["split"] == "cost"])


def test_a_comparison_of_few_methods_does_not_decide_which_are_ranked():
    several = [f"m{k}" for k in range(8)]
    large = [fabricated.results(labels=several, fusion=f) for f in ("late", "maxout")]
    small = fabricated.results(labels=several[:5], fusion="concat")
    frame = pd.concat([*large, small])
    frame = frame[(frame["split"] == "test") & (frame["epoch"] == 2)]
    table = scores(frame)
    assert table.shape == (2, 8)
    # With three quarters of the methods it counts, and the others are not ranked.
    enough = fabricated.results(labels=several[:6], fusion="concat")
    enough = enough[(enough["split"] == "test") & (enough["epoch"] == 2)]
    assert scores(pd.concat([frame[frame["fusion"] != "concat"], enough])).shape == (3, 6)
