"""Tuning and comparing all methods: equal budgets, stored choices, frozen rows, ranks, pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from msam_lib import results
from msam_lib.cli.main import main
from msam_lib.errors import MsamError
from msam_lib.experiments import comparison
from msam_lib.experiments.experiment import Experiment
from msam_lib.experiments.search import FOLDER, SEARCH, trials, tune, tuned
from msam_lib.figures import comparison as paper_methods
from msam_lib.figures import registry as paper
from msam_lib.figures.costs import cost_table, describe_costs
from msam_lib.figures.search import describe_search
from msam_lib.labels import case_label
from msam_lib.methods import METHODS, build_method
from msam_lib.plots.comparison import accuracy_against, pareto
from msam_lib.results.statistics import average_ranks

ROOT = Path(__file__).resolve().parent.parent
SMALL = {"n_train": 120, "n_val": 40, "n_test": 40}
FAST = {"preset": "smoke", "data_options": SMALL}


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("budget", [3, 6, 9])
def test_every_method_gets_as_many_trials(name, budget):
    found = trials((name, {}), 0.1, budget)
    assert len(found) == budget == len({json.dumps(t, sort_keys=True) for t in found})
    for lr, options in found:
        assert 0 < lr <= 0.2
        build_method(name, **options)


def test_trials_by_hand():
    third = pytest.approx(0.1)
    assert trials(("sam", {}), 0.3, 3) == [
        (0.6, {"rho": 0.05}), (0.3, {"rho": 0.05}), (third, {"rho": 0.05})
    ]  # fmt: skip
    assert trials(("joint", {}), 0.3, 3) == [(0.6, {}), (0.3, {}), (third, {})]
    kept = trials(("msam", {"reading": "encoder"}), 0.1, 6)
    assert all(options["reading"] == "encoder" for _, options in kept)
    with pytest.raises(MsamError, match="budget=4"):
        trials(("sam", {}), 0.1, 4)


@pytest.mark.parametrize("name", METHODS)
def test_every_method_meets_the_same_learning_rates(name):
    rates = {rate for rate, _ in trials((name, {}), 0.1, 6)}
    assert {0.2, 0.1, 0.1 / 3} <= rates


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.json")), ids=lambda p: p.stem)
def test_stored_choices_are_the_best_trials_of_a_search_that_the_table_tells(path):
    dataset, _, fusion = path.stem.rpartition("-")
    choices = json.loads(path.read_text())
    told, notes = describe_search(dataset, fusion)
    for label, choice in choices.items():
        assert choice["val_accuracy"] == max(t["val_accuracy"] for t in choice["trials"]), label
        assert any(str(len(choice["trials"])) == word for word in told.split()), label
    preset = Experiment.preset("teach", dataset=dataset, fusion=fusion)
    met = {2 * preset.lr in {t["lr"] for t in c["trials"]} for c in choices.values()}
    assert (met == {True}) == (notes == [])
    caption = paper.ITEMS[f"table_methods_{fusion}_{dataset}"].caption
    drawn = (ROOT / "figures" / f"table_methods_{fusion}_{dataset}.md").read_text("utf-8")
    assert told in caption and told in drawn and all(n in drawn for n in notes)


def test_an_uneven_search_is_told(tmp_path):
    def choice(*rates):
        return {"trials": [{"lr": r, "val_accuracy": 0.5} for r in rates]}

    def stored(**choices):
        (tmp_path / "toy-late.json").write_text(json.dumps(choices))
        return describe_search("toy", "late", tmp_path)

    assert stored(joint=choice(0.2, 0.1), sam=choice(0.2, 0.1)) == ("2 trials for each method", [])
    told, (note,) = stored(joint=choice(0.2, 0.1), sam=choice(0.1, 0.05, 0.01))
    assert told == "2 to 3 trials for each method"
    assert "Joint training met learning rates up to 0.2, the other methods up to 0.1" in note
    assert describe_search("toy", "late", tmp_path / "none")[1] == []


def test_search_names_options_that_exist():
    for name, (option, values) in SEARCH.items():
        if name in METHODS:
            assert option in METHODS[name].options() and len(values) == 3


def test_tuning_takes_the_best_on_validation_and_is_used(tmp_path):
    case = ("sam", {})
    chosen = tune(
        "synthetic", "late", [case, ("joint", {})], budget=3, store=tmp_path / "runs",
        folder=tmp_path, jobs=1, **FAST,
    )  # fmt: skip
    best = max(t["val_accuracy"] for t in chosen["sam"]["trials"])
    assert chosen["sam"]["val_accuracy"] == best
    stored = tuned("synthetic", "late", tmp_path)
    assert stored["sam"]["budget"] == 3 and stored["sam"]["seeds"] == [100]
    assert tuned("synthetic", "maxout", tmp_path) == stored  # falls back to late fusion
    made = comparison.experiment(case, "synthetic", "late", preset="smoke", folder=tmp_path, seed=1)
    assert (made.lr, made.method_options) == (stored["sam"]["lr"], stored["sam"]["method_options"])
    assert made.seed == 1
    untuned = comparison.experiment(("asam", {}), "synthetic", "late", folder=tmp_path)
    assert untuned.method_options == {}


def test_a_trial_that_diverges_loses(tmp_path, capsys):
    found = tune(
        "synthetic", "late", [("joint", {})], budget=3, store=tmp_path / "runs",
        folder=tmp_path, jobs=1, clip_norm=0.0, weight_decay=1e30, **FAST,
    )  # fmt: skip
    assert found["joint"]["val_accuracy"] == 0.0
    assert "NonFiniteLoss" in capsys.readouterr().out


@pytest.mark.parametrize(("m", "fusion"), [(2, "late"), (3, "late"), (2, "maxout")])
def test_rows_are_the_methods_that_apply(m, fusion):
    rows = {case_label(c) for c in comparison.cases(m, fusion)}
    assert {"joint", "sam", "msam", "msam:reading=encoder", "agm"} <= rows
    assert "x_sam" not in rows
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
        rows = [("joint", {}), ("sam", {}), ("msam", {}), ("unimodal", {})]
        options = {"data_options": SMALL | {"snr": snr}, "preset": "smoke", "seeds": (0, 1)}
        plan = comparison.experiments("synthetic", "late", rows, folder=folder, **options)
        from msam_lib.experiments.run_all import run_all

        run_all([e for several in plan.values() for e in several], store, jobs=1)
        keyed = {f"late|{k}": v for k, v in plan.items()}
        path = comparison.freeze_comparison(keyed, f"methods_{name}", store, folder)
        frame = pd.read_csv(path, keep_default_na=False).assign(dataset=name)
        frame.to_csv(path, index=False)
    comparison.summarise(folder)
    return folder


def test_frozen_rows_carry_the_rows_name(frozen):
    frame = results.load("methods_digits", frozen)
    assert set(frame["label"]) == {"joint", "sam", "msam", "unimodal"}
    found = comparison.accuracies(frame)
    assert found.shape == (4, 2) and found.to_numpy().min() >= 0


def test_items_are_drawn_from_the_summary(frozen):
    frame = results.load("methods", frozen)
    names, found = paper_methods.ranks(frame)
    assert sorted(names) == ["Joint training", "M-SAM", "SAM"] and found.blocks == 2
    for name in ("methods_ranks", "methods_accuracy_against_cost",
                 "methods_accuracy_against_imbalance"):  # fmt: skip
        item = paper.ITEMS[name]
        assert isinstance(item.build(frame), Figure)
        assert len(item.alt(frame)) > 40
    cost = paper_methods.against_cost(frame)
    assert dict(zip(cost["name"], cost["x"], strict=True))["SAM"] == 2.0


def test_a_table_shows_both_definitions(frozen):
    table = paper.ITEMS["table_methods_late_digits"].build(results.load("methods_digits", frozen))
    assert table.columns == ("x1", "x2", "fused", "x1 (shapley)", "x2 (shapley)")
    assert len(table.rows) == 4


def test_nothing_frozen_is_told(tmp_path):
    with pytest.raises(MsamError, match="No comparison in"):
        comparison.summarise(tmp_path)
    plan = comparison.experiments("synthetic", "late", [("joint", {})], seeds=[0])
    with pytest.raises(MsamError, match="None of the 1 runs"):
        comparison.freeze_comparison(plan, "x", tmp_path, tmp_path)


def test_noise_and_ablation_plans(tmp_path):
    plan = comparison.noise_plan(seeds=[0], folder=tmp_path)
    assert {e.label_noise for several in plan.values() for e in several} == set(comparison.NOISES)
    assert len(plan) == len(comparison.NOISY) * len(comparison.NOISES)
    plan = comparison.ablation_plan(seeds=[0], folder=tmp_path)
    assert plan["ablation|masam:aps=False"][0].method_options["aps"] is False
    assert len({e.name for several in plan.values() for e in several}) == len(plan)


def test_noise_is_summarised_by_row_and_share():
    rows = [
        {"dataset": "digits", "fusion": "late", "method": "sam", "label": f"sam@{noise}", "seed": s,
         "preset": "", "run": f"{noise}{s}", "epoch": 1, "step": 1, "split": split,
         "modality": "fused", "metric": "accuracy", "value": 0.9 - noise + 0.01 * s}
        for noise in (0.0, 0.4) for s in (0, 1, 2) for split in ("val", "test")
    ]  # fmt: skip
    frame = pd.DataFrame(rows)
    found, names = paper_methods.noise_summary(frame)
    assert names == {"sam": "SAM"}
    assert found["mean"].tolist() == pytest.approx([91.0, 51.0])
    half = 4.302653 * 1.0 / np.sqrt(3)
    assert (found["high"] - found["mean"]).tolist() == pytest.approx([half, half], rel=1e-4)
    assert isinstance(paper.ITEMS["label_noise_digits"].build(frame), Figure)


def test_ranks_by_hand():
    # Demsar 2006, Table 5: q = 2.569 for 4 classifiers at 5 %
    scores = np.array([[4.0, 3, 2, 1], [4, 3, 1, 2], [4, 4, 2, 1]])
    found = average_ranks(scores)
    assert found.average.tolist() == pytest.approx([3.5 / 3, 5.5 / 3, 10 / 3, 11 / 3])
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(4 * 5 / 18), abs=2e-3)
    with pytest.raises(MsamError, match="every method needs a score"):
        average_ranks(np.array([[1.0, np.nan, 2.0], [1, 2, 3]]))


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
