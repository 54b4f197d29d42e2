"""Figures and tables of the comparison of all methods, drawn from its frozen results."""

from __future__ import annotations

import functools

import pandas as pd

from msam_lib.catalogue import DEFAULT_DATASET
from msam_lib.figures.item import FigureItem
from msam_lib.figures.tables import methods_table
from msam_lib.labels import Comparison
from msam_lib.plots import (
    Table,
    results_table,
    table_alt,
)
from msam_lib.plots.comparison import (
    accuracy_against,
    noise_curves,
)
from msam_lib.plots.front import front_alt
from msam_lib.results.comparison import against_imbalance, noise_summary
from msam_lib.results.rows import fusion_rows

FOCUS = ("Joint training", "SAM", "M-SAM", "MASAM", "Unimodal")
COMPARISONS = (
    Comparison(DEFAULT_DATASET, "late"),
    *(Comparison(d, "late") for d in ("avmnist", "signs", "mosi", "mfeat", "isl", "digits")),
    *(Comparison(d, "maxout") for d in (DEFAULT_DATASET, "avmnist", "digits")),
    Comparison(DEFAULT_DATASET, "concat"),
)
ABLATION = (
    "MASAM, its parts left out, and as released, late fusion, digits: test accuracy in "
    "percent, mean ± half-width of the 95 % interval over seeds."
)


def _describe_noise(frame: pd.DataFrame) -> str:
    """The accuracies at the largest share of wrong labels."""
    rows, names = noise_summary(frame)
    worst = rows[rows["noise"] == rows["noise"].max()]
    named = ", ".join(f"{names[r.label]} {r.mean:.0f} %" for r in worst.itertuples())
    return f"Accuracy falls with wrong labels; at {100 * worst['noise'].iloc[0]:.0f} %: {named}."


def _tested(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of the summary that the pictures read: test accuracies and costs."""
    return frame[frame["split"].isin(["test", "cost"])]


def _table(rows: pd.DataFrame, caption: str) -> Table:
    return results_table(rows, caption=caption)


ITEMS: tuple[FigureItem, ...] = (
    *(methods_table(where) for where in COMPARISONS),
    FigureItem(
        name="methods_accuracy_against_imbalance",
        title="Accuracy against imbalance",
        caption="Test accuracy against the share of the dominant modality in it (Shapley values), "
        "mean over seeds; balance is at 50 %.",
        needs="methods",
        select=_tested,
        draw=lambda f: accuracy_against(
            against_imbalance(f), xlabel="share of the dominant modality (%)", named=FOCUS
        ),
        describe=lambda f: front_alt(
            against_imbalance(f), "Accuracy against the share of the dominant modality", "{:.1f} %"
        ),
    ),
    FigureItem(
        name="label_noise_digits",
        title="Wrong training labels",
        caption="Test accuracy of some methods by the share of training labels replaced by a wrong "
        "one, late fusion, digits. Mean and 95 % interval over seeds.",
        needs="noise_digits",
        draw=lambda f: noise_curves(*noise_summary(f)),
        describe=_describe_noise,
    ),
    FigureItem(
        name="table_masam_ablation_digits",
        title="MASAM without its parts",
        caption=ABLATION,
        needs="ablation_digits",
        select=fusion_rows("late"),
        draw=functools.partial(_table, caption=ABLATION),
        describe=lambda rows: table_alt(_table(rows, "")),
    ),
)
