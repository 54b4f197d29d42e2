"""Tables and printed results of tasks other than classification: metric, direction, unit, floor."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest

from msam_lib import results
from msam_lib.cli.main import main
from msam_lib.experiments.freeze.comparison import freeze_comparison
from msam_lib.experiments.freeze.search import freeze_search
from msam_lib.experiments.judging import judged_by, stored
from msam_lib.figures.paired import paired_table
from msam_lib.interactive.tables import table_explorer
from msam_lib.plots.curves import accuracy_curves, curves_alt
from msam_lib.plots.live import live_alt, live_picture
from msam_lib.plots.results_table import results_table, table_alt
from msam_lib.results.comparison import FUSED, WEAKEST, accuracies, against_joint, compared, scores
from msam_lib.results.floors import counted, floors
from msam_lib.results.frame import COLUMNS
from msam_lib.results.headline import HEADLINES, in_words

# {method: its metric for (fused, strong, weak)}; of an error the weak modality's is the largest
MAE = {"joint": (0.70, 0.80, 1.30), "sam": (0.65, 0.85, 1.25), "msam": (0.72, 0.75, 1.35)}
AUC = {"joint": (0.50, 0.40, 0.20), "sam": (0.55, 0.38, 0.21), "msam": (0.60, 0.41, 0.22)}
NO_SEARCH = pd.DataFrame(columns=["dataset", "fusion", "label", "lr"])


def made(dataset: str, metric: str, levels: dict, floor: float, seeds: int = 3) -> pd.DataFrame:
    """Runs of one reported epoch each; every seed shifts all methods alike."""
    rows = []
    for label, three in levels.items():
        for seed in range(seeds):
            same = dict.fromkeys(COLUMNS, "") | {"dataset": dataset, "fusion": "late"}
            same |= {"label": label, "method": label, "run": f"{dataset}{label}{seed}"}
            same |= {"seed": seed, "epoch": 1, "step": 1, "split": "test"}
            pairs = zip(("fused", "strong", "weak"), three, strict=True)
            values = [(m, metric, v + 0.01 * seed) for m, v in pairs]
            values.append(("fused", f"{metric}_floor", floor))
            if metric == "auprc":
                values += [("fused", "labels_counted", 24.0 - seed), ("fused", "labels", 25.0)]
            rows += [same | {"modality": m, "metric": k, "value": v} for m, k, v in values]
    return pd.DataFrame(rows)


ERRORS = made("opinions", "mae", MAE, 1.2345)
AREAS = made("wards", "auprc", AUC, 0.15)
BOTH = pd.concat([ERRORS, AREAS], ignore_index=True)


def test_a_table_of_errors_is_in_the_labels_unit_and_the_lowest_is_best():
    table = results_table(ERRORS)
    assert table.columns == ("strong, MAE", "weak, MAE", "fused, MAE")
    rows = {r.name: r for r in table.rows}
    assert rows["SAM"].cells[2].text == "0.660 ± 0.025"
    assert [rows[n].cells[2].rank for n in ("SAM", "Joint training", "M-SAM")] == [1, 2, 0]
    assert table.rows[0].name == "Floor (always the training median)"
    assert {c.text for c in table.rows[0].cells} == {"1.234"} and table.rows[0].reference
    assert "MAE" in table.caption and "unit of the labels (lower is better)" in table.caption
    assert "3 methods by 3 values: MAE" in table_alt(table)
    assert "fused, MAE SAM with 0.660" in table_alt(table)


def test_errors_that_differ_in_the_third_decimal_have_different_ranks():
    close = {"joint": (0.702, 1, 1), "sam": (0.701, 1, 1), "msam": (0.703, 1, 1)}
    rows = {r.name: r for r in results_table(made("opinions", "mae", close, 1.0)).rows}
    assert [rows[n].cells[2].rank for n in ("SAM", "Joint training", "M-SAM")] == [1, 2, 0]


def test_every_data_set_of_a_table_keeps_its_own_metric():
    table = results_table(BOTH)
    assert "opinions fused, MAE" in table.columns and "wards fused, AUPRC (%)" in table.columns
    rows = {r.name: dict(zip(table.columns, r.cells, strict=True)) for r in table.rows}
    assert rows["M-SAM"]["wards fused, AUPRC (%)"].rank == 1
    assert rows["M-SAM"]["opinions fused, MAE"].rank == 0
    floor = rows["Floor (always the training median, prevalence)"]
    assert [floor[f"{d} fused, {t}"].text for d, t in
            (("opinions", "MAE"), ("wards", "AUPRC (%)"))] == ["1.234", "15.0"]  # fmt: skip
    assert "over 22 to 24 of 25 labels" in " ".join(table.notes)


def test_runs_that_recorded_no_floor_have_none():
    old = AREAS[~AREAS["metric"].isin(["auprc_floor", "labels", "labels_counted"])]
    assert floors(old).empty and counted(old) == ""
    assert {r.name for r in results_table(old).rows} == {"Joint training", "SAM", "M-SAM"}


def test_differences_of_errors_have_the_sign_of_a_gain():
    gain = against_joint(ERRORS, "sam").set_index("modality")["mean"]
    assert gain["fused"] == pytest.approx(0.05) and gain["strong"] == pytest.approx(-0.05)
    table = paired_table(BOTH, NO_SEARCH)
    cells = {r.name: dict(zip(table.columns, r.cells, strict=True)) for r in table.rows}
    row = cells["SAM - Joint training"]
    assert row["opinions, late, MAE"].mean == pytest.approx(0.05)
    assert row["opinions, late, MAE"].text.startswith("0.050 ± ")
    assert row["wards, late, AUPRC (%)"].mean == pytest.approx(5)
    assert "MAE (mean absolute error) (in the unit" in table.caption
    assert "a positive difference says that A is better" in table.caption
    # the difference itself, in the metric's own direction
    found = results.paired_test(ERRORS, "sam", "joint")
    assert found.difference == pytest.approx(-0.05)


def test_the_weakest_modality_has_the_largest_error_and_ranks_count_errors_down():
    weakest = compared(BOTH, WEAKEST)
    assert weakest["opinions", "late"].loc["joint"].mean() == pytest.approx(1.31)
    assert weakest["wards", "late"].loc["joint"].mean() == pytest.approx(21)
    assert compared(BOTH, FUSED)["opinions", "late"].loc["sam"].mean() == pytest.approx(0.66)
    table = scores(BOTH)
    assert table.loc[("opinions", "late")].idxmax() == "sam"
    assert table.loc[("wards", "late")].idxmax() == "msam"
    assert accuracies(BOTH).loc[("opinions", "late", "joint")].tolist() == pytest.approx(
        [0.70, 0.71, 0.72]
    )


def test_values_in_words():
    assert HEADLINES["mae"].text(0.7) == "0.700" and HEADLINES["auprc"].text(0.7) == "70.0 %"
    assert HEADLINES["mae"].text(float("nan")) == "—"
    both = {"a": HEADLINES["mae"], "b": HEADLINES["accuracy"], "c": HEADLINES["mae"]}
    assert "(mean absolute error) of a, c in the unit" in in_words(both)
    assert "accuracy of b in percent (higher is better)" in in_words(both)


def test_curves_and_explorers_of_errors_are_in_the_labels_unit():
    both = pd.concat([ERRORS, ERRORS.assign(split="val")])
    later = pd.concat([both, both.assign(epoch=2, value=both["value"] + 0.2)])
    axes = accuracy_curves(later).axes
    lines = [line.get_ydata()[0] for line in axes[0].lines]
    assert sorted(lines) == pytest.approx([0.71, 0.81, 1.31])
    assert all(low == 0 and high < 2 for low, high in (ax.get_ylim() for ax in axes[:3]))
    assert "fused 0.910" in curves_alt(later) and "test mae over" in curves_alt(later)
    one = later[later["label"] == "sam"]
    assert "fused 0.850" in live_alt(one.query("seed == 0"))
    assert live_picture(one.query("seed == 0")).axes[1].get_title() == "test MAE"
    explorer = table_explorer({"opinions": later})
    text = explorer.alt("opinions, late", "fused", "SAM")
    assert "SAM 0.660, Joint training 0.710" in text and "SAM is number 1 of 3" in text
    assert "mae of weak" in explorer.alt("opinions, late", "weakest modality", "SAM")


# --- from the command line ------------------------------------------------------------------------

SMALL = ["n_train=120", "n_val=40", "n_test=40"]


def arguments(kind: str, tmp_path) -> list[str]:
    options = ["--data-options", f"task={kind}", *SMALL, "--preset", "smoke"]
    return ["--dataset", "synthetic", *options, "--store", str(tmp_path / "runs")]


@pytest.mark.parametrize(
    ("kind", "metric", "value", "floor"),
    [
        ("classification", "accuracy", r"\d+\.\d\d", "the commonest class"),
        ("multilabel", "auprc", r"\d+\.\d\d", "prevalence"),
        ("regression", "mae", r"[01]\.\d\d\d", "always the training median"),
    ],
)
def test_train_and_compare_print_the_metric_its_unit_and_the_floor(
    kind, metric, value, floor, tmp_path, capsys
):
    assert main(["train", *arguments(kind, tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(rf"fused +{metric} +{value}\n", out)
    assert re.search(rf"floor +{metric} .*\({floor}\)", out)
    assert HEADLINES[metric].unit in out and HEADLINES[metric].better in out
    assert ("Macro means are over 4 of 4 labels" in out) == (kind == "multilabel")
    assert main(["compare", "--methods", "joint", "--seeds", "0", *arguments(kind, tmp_path)]) == 0
    out = capsys.readouterr().out
    assert f"Floor ({floor})" in out and HEADLINES[metric].words in out


def test_a_search_over_errors_stores_prints_and_freezes_them(tmp_path, capsys):
    command = ["tune", "--methods", "joint", "--budget", "3", "--jobs", "1"]
    command += ["--seeds", "100", "--coarse"]
    assert main([*command, *arguments("regression", tmp_path), "--out", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    assert re.search(r"joint +mae +[01]\.\d\d\d +lr=", out) and "lower is better" in out
    choice = json.loads((tmp_path / "synthetic-late.json").read_text())["joint"]
    tried = [t["val_mae"] for t in choice["trials"]]
    assert choice["val_mae"] == min(tried) > 0 and judged_by(choice) == "mae"
    assert stored(-float("inf"), HEADLINES["mae"]) is None  # 0 would be the best of all errors
    freeze_search(tmp_path, tmp_path)
    frame = results.load("search", tmp_path)
    frame = frame[frame["split"] == "val"]
    assert set(frame["metric"]) == {"mae"} and sorted(frame["value"]) == sorted(tried)


def test_frozen_comparisons_keep_other_metrics_and_floors(tmp_path):
    from msam_lib.experiments.comparison import plan_rows
    from msam_lib.experiments.runner import run_all
    from msam_lib.labels import Case

    options = {"task": "multilabel", "n_train": 120, "n_val": 40, "n_test": 40}
    plan = plan_rows("synthetic", "late", [Case("joint", {})], folder=tmp_path, preset="smoke",
                     data_options=options, seeds=[0])  # fmt: skip
    run_all([e for row in plan for e in row.experiments], tmp_path, jobs=1)
    freeze_comparison(plan, "methods_x", tmp_path, tmp_path)
    table = results_table(results.load("methods_x", tmp_path), second="shapley")
    assert "x1 (shapley), AUPRC (%)" in table.columns
    assert table.rows[0].name == "Floor (prevalence)" and "labels" in table.notes[-1]
    assert all(c.text != "—" for row in table.rows for c in row.cells)
