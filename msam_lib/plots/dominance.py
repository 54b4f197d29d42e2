"""Pictures of dominance: shares of the modalities over epochs, and per class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from msam_lib.errors import MsamError, unknown_name
from msam_lib.plots import series
from msam_lib.plots.style import GREY, figure_size, palette, panels, styled
from msam_lib.results.rows import (
    choose,
    metric_rows,
    modalities_of,
    one_epoch_per_run,
    seeds_in_words,
)
from msam_lib.results.summary import summary


@styled
def contribution_curves(
    frame: pd.DataFrame,
    *,
    labels: Sequence[str] | None = None,
    split: str = "test",
    titles: Mapping[str, str] | None = None,
    columns: int = 4,
) -> Figure:
    """Each modality's share of the accuracy (%, Shapley) over epochs, a panel per method; a dashed
    line marks the equal share 1/M.

    Args:
        frame: tidy rows of one data set and one fusion, all epochs.
        labels: methods to draw, in this order; all by default.
        split: where contributions were measured.
        titles: {label or method: name}.
        columns: panels side by side, at most.
    """
    shown = choose(frame, labels, titles)
    picked = metric_rows(frame[frame["label"].isin(shown)], "contribution", split)
    points = summary(picked, by=["epoch"])
    looks = palette(points["modality"])
    figure, axes = panels(len(shown), columns=columns, sharex=True, sharey=True)
    for ax, (label, name) in zip(axes, shown.items(), strict=True):
        ax.axhline(100 / len(looks), color=GREY, lw=0.9, ls=series.DASHED)
        curves = points[points["label"] == label]
        for m, look in looks.items():
            series.line(ax, curves[curves["modality"] == m], look, name=m, bounds=(0, 100))
        ax.set(title=series.wrap(name), ylim=(0, 100), yticks=range(0, 101, 25))
        series.count_axis(ax, points["epoch"].max())
    figure.supxlabel("epoch (0: before training)", fontsize=8)
    figure.supylabel(f"contribution, {split} split (%)", fontsize=8)
    equal = Line2D([], [], color=GREY, lw=0.9, ls=series.DASHED)
    series.legend(figure, looks, [(f"equal share, 1/{len(looks)}", equal)])
    return figure


def contribution_alt(
    frame: pd.DataFrame, *, split: str = "test", titles: Mapping[str, str] | None = None
) -> str:
    """What `contribution_curves` shows, in words, from the same rows."""
    shown = choose(frame, None, titles)
    picked = metric_rows(frame, "contribution", split)
    end = summary(picked[picked["epoch"] == picked["epoch"].max()])
    parts = []
    for label, name in shown.items():
        share = end[end["label"] == label].set_index("modality")["mean"]
        parts.append(f"{name}: {share.idxmax()} {series.percent(share.max())}")
    return (
        f"{len(shown)} panels of each modality's share of the {split} accuracy over "
        f"{int(picked['epoch'].max())} epochs, mean of {seeds_in_words(picked)}. The "
        f"largest share at the end, {'; '.join(parts)}."
    )


def class_shares(frame: pd.DataFrame, modality: str | None = None) -> tuple[str, pd.DataFrame]:
    """(modality, its mean share per label and class) at the reported epoch of each run.

    Args:
        frame: tidy rows with metrics `contribution/<class>`.
        modality: whose share; by default the one with the largest share overall.

    Returns:
        The modality, and shares in [0, 1], a row per label, a column per class.

    Raises:
        MsamError: no contributions by class, or an unknown modality.
    """
    rows = one_epoch_per_run(frame)
    rows = rows[rows["metric"].str.startswith("contribution/") & (rows["split"] == "test")]
    if rows.empty:
        raise MsamError("No rows contribution/<class> on the test split: nothing to draw.")
    if modality is None:
        modality = str(rows.groupby("modality")["value"].mean().idxmax())
    if modality not in set(rows["modality"]):
        raise unknown_name("modality", modality, rows["modality"].unique())
    class_rows = rows[rows["modality"] == modality]
    number = class_rows["metric"].str.removeprefix("contribution/").astype(int).rename("class")
    return modality, class_rows.groupby(["label", number])["value"].mean().unstack("class")


@styled
def class_heatmap(
    frame: pd.DataFrame,
    *,
    modality: str | None = None,
    labels: Sequence[str] | None = None,
    classes: Sequence[str] | None = None,
    titles: Mapping[str, str] | None = None,
) -> Figure:
    """The dominant modality's share (%) per method and class; white is the equal share 1/M.

    Args:
        frame: tidy rows of one data set and one fusion.
        modality: whose share; by default the one with the largest share overall.
        labels: rows, in this order; all by default.
        classes: names of the classes; their numbers by default.
        titles: {label or method: name}.
    """
    shown = choose(frame, labels, titles)
    modality, shares = class_shares(frame, modality)
    shares = shares.reindex(list(shown))
    ticks = [str(c) for c in shares.columns] if classes is None else list(classes)
    if len(ticks) != shares.shape[1]:
        raise MsamError(f"{len(ticks)} class names for {shares.shape[1]} classes; one each.")
    # Probes measure blocks that are no modality, such as the fusion's weights.
    shared = frame[frame["metric"].str.startswith("contribution/")]
    equal = 1 / len(modalities_of(shared))
    width, _ = figure_size()
    figure = Figure(figsize=(width, 0.95 + 0.27 * len(shown)), layout="constrained")
    ax = figure.subplots()
    norm = TwoSlopeNorm(100 * equal, 0, 100)  # the middle of the colours is the equal share
    image = ax.imshow(100 * shares, cmap="RdBu_r", norm=norm, aspect="auto")
    # The numbers are written white on dark cells, by the luminance of the cell (Rec. 601).
    for (i, j), value in np.ndenumerate(shares.to_numpy()):
        if np.isfinite(value):
            red, green, blue, _ = image.cmap(norm(100 * value))
            dark = 0.299 * red + 0.587 * green + 0.114 * blue < 0.5
            ink = "white" if dark else "#222222"
            ax.text(j, i, f"{100 * value:.0f}", ha="center", va="center", color=ink, size=7)
    ax.set_xticks(range(len(ticks)), ticks)
    ax.set_yticks(range(len(shown)), list(shown.values()))
    ax.set(xlabel="class", title=f"share of {modality} in the accuracy, by class (%)")
    ax.grid(False)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=ax, ticks=sorted({0.0, 100 * equal, 100.0}), pad=0.02)
    bar.ax.set_yticklabels(["0", f"{100 * equal:.0f} (equal)", "100"])
    bar.outline.set_visible(False)
    return figure


def class_heatmap_alt(frame: pd.DataFrame, *, titles: Mapping[str, str] | None = None) -> str:
    """What `class_heatmap` shows, in words, from the same rows."""
    shown = choose(frame, None, titles)
    modality, shares = class_shares(frame)
    parts = []
    for label, name in shown.items():
        row = shares.loc[label]
        parts.append(
            f"{name} from {series.percent(row.min())} (class {row.idxmin()}) to "
            f"{series.percent(row.max())} (class {row.idxmax()})"
        )
    return (
        f"Heat map of the share of {modality} in the accuracy, {len(shown)} methods by "
        f"{shares.shape[1]} classes, mean of {seeds_in_words(frame)}: "
        f"{'; '.join(parts)}."
    )
