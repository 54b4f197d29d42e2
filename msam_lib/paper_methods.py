"""Figures and tables of the comparison of all methods, drawn from its frozen results."""

from __future__ import annotations

import functools

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from msam_lib.paper_items import PaperItem
from msam_lib.paper_tables import methods_table
from msam_lib.plots import (
    Table,
    accuracy_curves,
    contribution_alt,
    contribution_curves,
    curves_alt,
    results_table,
    table_alt,
)
from msam_lib.plots.comparison import (
    accuracy_against,
    noise_curves,
    pareto,
    rank_alt,
    rank_diagram,
)
from msam_lib.plots.names import KINDS, display_names
from msam_lib.search_results import uneven
from msam_lib.selection import fusion_rows
from msam_lib.statistics import Ranks, average_ranks, t_factor

FOCUS = ("Joint training", "SAM", "M-SAM", "MASAM", "Unimodal")
REFERENCE = "unimodal"


def scores(frame: pd.DataFrame) -> pd.DataFrame:
    """Mean fused accuracy (%): a row per comparison, a column per method that is in all of them."""
    own = frame[(frame["metric"] == "accuracy") & (frame["modality"] == "fused")]
    own = own[own["label"] != REFERENCE]
    means = own.pivot_table(index=["dataset", "fusion"], columns="label", values="value")
    return 100 * means.dropna(axis=1)


def ranks(frame: pd.DataFrame) -> tuple[list[str], Ranks]:
    """Names of the methods in every comparison, and their average ranks."""
    table = scores(frame)
    names = display_names(table.columns)
    return [names[c] for c in table.columns], average_ranks(table.to_numpy())


def _ranks_drawn(frame: pd.DataFrame) -> Figure:
    names, found = ranks(frame)
    return rank_diagram(names, list(found.average), found.critical_difference, found.blocks)


def _ranks_told(frame: pd.DataFrame) -> str:
    names, found = ranks(frame)
    return rank_alt(names, list(found.average), found.critical_difference)


def against_cost(frame: pd.DataFrame) -> pd.DataFrame:
    """Points (cost of an epoch against joint training's, accuracy) of every method on AV-MNIST."""
    costs = frame[(frame["split"] == "cost") & (frame["metric"] == "epoch")]
    cost = costs.set_index(["fusion", "label"])["value"]
    own = _means(frame, "accuracy")
    own = own[own["dataset"] == "avmnist"]
    own["x"] = [
        cost.get((f, label), np.nan) for f, label in zip(own["fusion"], own["label"], strict=True)
    ]
    return own.dropna(subset="x")


def against_imbalance(frame: pd.DataFrame) -> pd.DataFrame:
    """Points (share of the dominant modality in %, accuracy) of every method, two modalities."""
    shares = frame[(frame["metric"] == "contribution") & (frame["split"] == "test")]
    keys = ["dataset", "fusion", "label"]
    mean = shares.groupby([*keys, "modality"])["value"].mean()
    largest = 100 * mean.groupby(level=keys).max()
    own = _means(frame, "accuracy")
    own = own[own["dataset"].isin(["avmnist", "digits"])]
    own = own.assign(x=[largest.get(tuple(k), np.nan) for k in own[keys].to_numpy()])
    return own.dropna(subset="x")


def _means(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Mean over seeds of the fused metric in percent as points: name, kind, y, panel."""
    own = frame[(frame["metric"] == metric) & (frame["modality"] == "fused")]
    own = own[own["split"] == "test"]
    means = own.groupby(["dataset", "fusion", "method", "label"])["value"].mean().reset_index()
    names = display_names(means["label"])
    return means.assign(
        name=means["label"].map(names),
        kind=means["method"].map(KINDS),
        y=100 * means["value"],
        panel=means["dataset"] + ", " + means["fusion"],
    )


def _front_told(points: pd.DataFrame, what: str) -> str:
    parts = []
    for panel, part in points.groupby("panel", sort=False):
        best = part[pareto(part)].sort_values("x")
        told = ", ".join(f"{r.name} ({r.x:.2g}, {r.y:.1f} %)" for r in best.itertuples(index=False))
        parts.append(f"{panel}: {told}")
    return f"Accuracy against {what}. Not beaten by one further left: {'; '.join(parts)}."


def noise_summary(frame: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, str]]:
    """Accuracy (%) by method and share of wrong labels with its interval, and the names."""
    from msam_lib.results import final

    ends = final(frame)
    own = ends[(ends["split"] == "test") & (ends["metric"] == "accuracy")]
    own = own[own["modality"] == "fused"]
    split = own["label"].str.rpartition("@")
    own = own.assign(label=split[0], noise=split[2].astype(float))
    group = own.groupby(["label", "noise"])["value"].agg(["mean", "std", "count"]).reset_index()
    half = t_factor(group["count"].to_numpy()) * group["std"]
    out = group.assign(
        mean=100 * group["mean"],
        low=100 * (group["mean"] - half),
        high=100 * (group["mean"] + half),
    )
    return out, display_names(out["label"].unique())


def _noise_told(frame: pd.DataFrame) -> str:
    rows, names = noise_summary(frame)
    worst = rows[rows["noise"] == rows["noise"].max()]
    told = ", ".join(f"{names[r.label]} {r.mean:.0f} %" for r in worst.itertuples())
    return f"Accuracy falls with wrong labels; at {100 * worst['noise'].iloc[0]:.0f} %: {told}."


def _whole(frame: pd.DataFrame) -> pd.DataFrame:
    return frame


def _tested(frame: pd.DataFrame) -> pd.DataFrame:
    """The summary, if it has accuracies."""
    return frame[frame["split"].isin(["test", "cost"])]


def _table(rows: pd.DataFrame, caption: str) -> Table:
    return results_table(rows, caption=caption)


ABLATION = (
    "MASAM, its parts left out, and as released, late fusion, embedded data: test accuracy in "
    "percent, mean ± half-width of the 95 % interval over seeds."
)

COMPARISONS = (
    *((d, "late") for d in ("avmnist", "signs", "mosi", "mfeat", "isl", "digits")),
    *((d, "maxout") for d in ("avmnist", "digits")),
)
OLDER = uneven(COMPARISONS)
SEARCHED = f" Uneven searches for learning rates: {'; '.join(OLDER)}." if OLDER else ""

ITEMS: tuple[PaperItem, ...] = (
    *(methods_table(d, fusion) for d, fusion in COMPARISONS),
    PaperItem(
        "methods_ranks", "Average ranks of all methods",
        "Rank of each method by mean test accuracy, averaged over data sets and fusions in which "
        "all of them ran; critical difference of the Nemenyi test at 5 % (Demsar 2006)." + SEARCHED,
        "", "methods", _tested, _ranks_drawn, _ranks_told,
    ),
    PaperItem(
        "methods_accuracy_against_cost", "Accuracy against cost",
        "Test accuracy on AV-MNIST (preset teach) against the time of a training epoch, with all "
        "that a method does between epochs, as a multiple of joint training's (small CNN, two "
        "modalities, one CPU thread). Named: methods that no cheaper one beats, and the focus of "
        "this collection.",
        "", "methods", _tested,
        lambda f: accuracy_against(
            against_cost(f), xlabel="time of an epoch (joint = 1)", front="left", named=FOCUS
        ),
        lambda f: _front_told(against_cost(f), "the time of an epoch"),
    ),
    PaperItem(
        "methods_accuracy_against_imbalance", "Accuracy against imbalance",
        "Test accuracy against the share of the dominant modality in it (Shapley values), mean "
        "over seeds; balance is at 50 %.",
        "", "methods", _tested,
        lambda f: accuracy_against(
            against_imbalance(f), xlabel="share of the dominant modality (%)", named=FOCUS
        ),
        lambda f: _front_told(against_imbalance(f), "the share of the dominant modality"),
    ),
    PaperItem(
        "methods_dominance_late_avmnist", "Dominance over epochs, every method",
        "Each modality's share of the test accuracy (Shapley values) over epochs, AV-MNIST, late "
        "fusion, preset teach. Dashed: the equal share. Mean and 95 % interval over seeds.",
        "", "methods_avmnist", fusion_rows("late"),
        contribution_curves, contribution_alt,
    ),
    PaperItem(
        "methods_convergence_late_avmnist", "Accuracy over epochs, every method",
        "Test accuracy over epochs, AV-MNIST, late fusion, preset teach: each modality while the "
        "other is absent, and the whole model. Mean and 95 % interval over seeds.",
        "convergence curves, late fusion", "methods_avmnist", fusion_rows("late"),
        accuracy_curves, curves_alt,
    ),
    PaperItem(
        "label_noise_digits", "Wrong training labels",
        "Test accuracy of some methods by the share of training labels replaced by a wrong one, "
        "late fusion, embedded data. Mean and 95 % interval over seeds.",
        "", "noise_digits", _whole, lambda f: noise_curves(*noise_summary(f)), _noise_told,
    ),
    PaperItem(
        "table_masam_ablation_digits", "MASAM without its parts", ABLATION, "",
        "ablation_digits", fusion_rows("late"),
        functools.partial(_table, caption=ABLATION), lambda rows: table_alt(_table(rows, "")),
    ),
)  # fmt: skip
