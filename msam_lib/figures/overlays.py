"""Convergence and dominance over epochs, a handful of methods overlaid."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.catalogue import FUSIONS
from msam_lib.figures.item import FigureItem
from msam_lib.labels import Comparison
from msam_lib.plots.overlay import overlaid_alt, overlaid_curves
from msam_lib.results.rows import fusion_rows, metric_rows, modalities_of

SHOWN = ("joint", "agm", "sam", "masam", "msam")


def shown(rows: pd.DataFrame) -> list[str]:
    """The labels of the handful that were run."""
    return [label for label in SHOWN if label in set(rows["label"])]


def convergence(where: Comparison) -> FigureItem:
    """The figure of accuracies over epochs of one comparison."""
    words = FUSIONS[where.fusion].words
    return FigureItem(
        name=f"methods_convergence_{where.fusion}_{where.dataset}",
        title=f"Accuracy over epochs on {where.dataset}, {words}",
        caption=f"Test accuracy over epochs, {where.dataset}, {words}, preset teach, every method "
        "with its tuned values: each modality while the others are absent, and the whole model. "
        "Mean and 95 % Student-t interval over seeds; panels have scales of their own and begin "
        "where the first sixth of the epochs ends. Above and below: the 95 % interval of the "
        "difference at the last epoch, paired by seed, excludes 0.",
        paper_reference=f"convergence curves, {FUSIONS[where.fusion].short} fusion",
        needs=f"methods_{where.dataset}",
        select=fusion_rows(where.fusion),
        draw=lambda rows: overlaid_curves(rows, shown(rows)),
        describe=lambda rows: overlaid_alt(rows, shown(rows)),
    )


def strongest(rows: pd.DataFrame) -> str:
    """The modality with the largest share of the accuracy under joint training, at the last
    epoch.
    """
    picked = metric_rows(rows[rows["label"] == "joint"], "contribution", "test")
    last = picked[picked["epoch"] == picked["epoch"].max()]
    means = last.groupby("modality")["value"].mean()
    return str(max(modalities_of(last), key=lambda m: means[m]))


def _dominance(rows: pd.DataFrame) -> Figure:
    return overlaid_curves(
        rows, shown(rows), metric="contribution", modalities=[strongest(rows)], equal=True
    )


def _dominance_alt(rows: pd.DataFrame) -> str:
    return overlaid_alt(rows, shown(rows), metric="contribution", modalities=[strongest(rows)])


ITEMS = (
    FigureItem(
        name="methods_dominance_late_avmnist",
        title="Dominance over epochs, tuned methods",
        caption="Share of the dominant modality in the test accuracy (Shapley values) over epochs, "
        "AV-MNIST, late fusion, preset teach, every method with its tuned values. Dashed: the "
        "equal share. Mean and 95 % Student-t interval over seeds. Above and below: the 95 % "
        "interval of the difference at the last epoch, paired by seed, excludes 0.",
        needs="methods_avmnist",
        select=fusion_rows("late"),
        draw=_dominance,
        describe=_dominance_alt,
    ),
    convergence(Comparison("avmnist", "late")),
    convergence(Comparison("avmnist", "maxout")),
    convergence(Comparison("avmnist_mini", "late")),
)
