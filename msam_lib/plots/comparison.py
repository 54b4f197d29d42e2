"""All methods at once: average ranks, accuracy against cost or imbalance, accuracy under noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from msam_lib.errors import MsamError
from msam_lib.plots import series
from msam_lib.plots._labels import label_points
from msam_lib.plots.front import pareto
from msam_lib.plots.style import GREY, TEXT_WIDTH, panels, styled

# What a method changes, with colour and marker.
KIND_STYLES: dict[str, tuple[str, str]] = {
    "nothing": ("#222222", "*"),
    "loss": ("#0072B2", "o"),
    "gradient": ("#D55E00", "s"),
    "schedule": ("#009E73", "^"),
    "landscape": ("#CC79A7", "D"),
    "data": ("#E69F00", "P"),
    "model": ("#56B4E9", "X"),
}


def groups(ranks: Sequence[float], critical_difference: float) -> list[tuple[int, int]]:
    """The largest runs of methods no two of which differ by the critical difference or more, as
    (first, last) place in the order of ranks; those of one method are left out.

    >>> groups([1, 2, 5, 9], 4.5)
    [(0, 2), (2, 3)]
    """
    sorted_ranks = np.sort(ranks)
    ends = np.searchsorted(sorted_ranks, sorted_ranks + critical_difference, side="left") - 1
    found: list[tuple[int, int]] = []
    for first, last in enumerate(map(int, ends)):
        if last > first and (not found or last > found[-1][1]):
            found.append((first, last))
    return found


@styled
def rank_diagram(
    names: Sequence[str], ranks: Sequence[float], critical_difference: float, blocks: int
) -> Figure:
    """Average rank of every method, best on top; a bar at the side joins methods that cannot be
    distinguished (Nemenyi test at 5 %; Demsar, JMLR 2006, Figure 1).

    Args:
        names, ranks: of the methods.
        critical_difference, blocks: see `statistics.average_ranks`.
    """
    order = np.argsort(ranks)
    figure = Figure(figsize=(TEXT_WIDTH, 0.19 * len(names) + 0.8), layout="constrained")
    bars = groups(ranks, critical_difference)
    ax, side = figure.subplots(1, 2, sharey=True, width_ratios=(5, 0.25 + 0.12 * len(bars)))
    y = np.arange(len(names))
    ax.hlines(y, 1, np.asarray(ranks)[order], color=GREY, lw=0.6)
    ax.plot(np.asarray(ranks)[order], y, "o", color="#222222", ms=4)
    ax.set_yticks(y, [names[i] for i in order])
    ax.invert_yaxis()
    ax.set(xlabel=f"average rank over {blocks} comparisons (1 is best)", xlim=(1, len(names)))
    for k, (first, last) in enumerate(bars):
        side.vlines(k, first - 0.25, last + 0.25, color="#222222", lw=2.5)
    side.set(xlim=(-1, max(1, len(bars))))
    side.axis("off")
    best = f"{names[order[0]]} ranks best ({np.min(ranks):.1f})"
    ax.set_title(
        f"{best}; bars join methods within the critical difference, {critical_difference:.1f}"
    )
    return figure


def rank_alt(names: Sequence[str], ranks: Sequence[float], critical_difference: float) -> str:
    """What `rank_diagram` shows, in words: the five best methods and the last one."""
    order = np.argsort(ranks)
    best = ", ".join(f"{names[i]} {ranks[i]:.1f}" for i in order[:5])
    return (
        f"Average ranks of {len(names)} methods. Best: {best}. Critical difference "
        f"{critical_difference:.1f}; last {names[order[-1]]} with {ranks[order[-1]]:.1f}."
    )


@styled
def accuracy_against(
    points: pd.DataFrame,
    *,
    xlabel: str,
    ylabel: str = "test accuracy (%)",
    front: str | None = None,
    named: Sequence[str] = (),
    log: bool = False,
) -> Figure:
    """One point per method: accuracy against cost, imbalance or another number. Colour and marker
    say what the method changes.

    Args:
        points: columns name, kind (see `KIND_STYLES`), x, y and, optionally, panel.
        xlabel, ylabel: what the axes are.
        front: `"left"` names the methods that no cheaper one beats (the Pareto front).
        named: further methods to name.
        log: a logarithmic horizontal axis.

    Raises:
        MsamError: nothing to draw.
    """
    if points.empty:
        raise MsamError("No methods to draw.")
    shown = points if "panel" in points else points.assign(panel="")
    groups = list(shown.groupby("panel", sort=False))
    figure, axes = panels(len(groups), columns=2, aspect=0.8)
    for ax, (title, part) in zip(axes, groups, strict=True):
        for kind, (color, marker) in KIND_STYLES.items():
            rows = part[part["kind"] == kind]
            size = 70 if marker == "*" else 24
            ax.scatter(
                rows["x"],
                rows["y"],
                color=color,
                marker=marker,
                s=size,
                lw=0.4,
                ec="white",
                label=kind,
                zorder=3 if marker == "*" else 2,  # what the others are compared with, on top
            )
        # Of all methods only those on the Pareto front and the named ones get a label.
        if log:
            ax.set_xscale("log")
        labelled = set(named) | (set(part.loc[pareto(part), "name"]) if front else set())
        label_points(ax, part[part["name"].isin(labelled)], part)
        ax.set_xlabel(xlabel)
        ax.set_title(title)
    axes[0].set_ylabel(ylabel)
    # One legend for all panels, without the kinds that no panel has.
    handles, labels = axes[0].get_legend_handles_labels()
    kinds = [k for k in KIND_STYLES if (shown["kind"] == k).any()]
    kept = [(h, k) for h, k in zip(handles, labels, strict=True) if k in kinds]
    figure.legend(
        [h for h, _ in kept], [k for _, k in kept], loc="outside upper center", ncols=len(kept)
    )
    return figure


@styled
def dot_chart(
    rows: pd.DataFrame, *, xlabel: str, marked: Sequence[str] = (), higher_is_better: bool = True
) -> Figure:
    """One line per method: mean and interval, the best on top.

    Args:
        rows: columns name, kind (see `KIND_STYLES`), mean, low, high (percent; NaN where unknown)
            and, optionally, paper: the number that a paper gives.
        xlabel: what was measured.
        marked: names to highlight.
        higher_is_better: whether the largest mean is on top.

    Raises:
        MsamError: nothing to draw.
    """
    if rows.empty:
        raise MsamError("No methods to draw.")
    ordered = rows.sort_values("mean", ascending=not higher_is_better).reset_index(drop=True)
    figure = Figure(figsize=(TEXT_WIDTH, 0.17 * len(ordered) + 0.9), layout="constrained")
    ax = figure.subplots()
    # One errorbar call per kind, so that each kind has one entry in the legend.
    for kind, (color, marker) in KIND_STYLES.items():
        part = ordered[ordered["kind"] == kind]
        if part.empty:
            continue
        error = np.vstack([part["mean"] - part["low"], part["high"] - part["mean"]])
        ax.errorbar(
            part["mean"],
            part.index,
            xerr=np.nan_to_num(error),
            color=color,
            marker=marker,
            ls="none",
            ms=4.5,
            label=kind,
            elinewidth=0.8,
        )
    if "paper" in ordered and ordered["paper"].notna().any():
        ax.plot(
            ordered["paper"],
            ordered.index,
            label="the paper's",
            marker="|",
            color=GREY,
            ls="none",
            ms=11,
            mew=2.2,
        )
    # A band behind the highlighted methods, and their names in bold.
    for place in ordered.index[ordered["name"].isin(marked)]:
        ax.axhspan(place - 0.5, place + 0.5, color="#F3E9B5", lw=0, zorder=0)
    ax.set_yticks(range(len(ordered)), ordered["name"])
    for tick, name in zip(ax.get_yticklabels(), ordered["name"], strict=True):
        tick.set(fontsize=7, fontweight="bold" if name in marked else "normal")
    ax.invert_yaxis()
    ax.set(xlabel=xlabel)
    figure.legend(loc="outside upper center", ncols=4)
    return figure


@styled
def noise_curves(
    summary: pd.DataFrame, names: Mapping[str, str], *, xlabel: str = "wrong training labels (%)"
) -> Figure:
    """Accuracy (%) over the share of wrong training labels, one line per method with its interval.

    Args:
        summary: columns label, noise (share), mean, low, high (in percent).
        names: {label: name to show}, in order.
        xlabel: what the noise is.
    """
    figure, (ax,) = panels(1)
    for k, (label, name) in enumerate(names.items()):
        rows = summary[summary["label"] == label].sort_values("noise")
        # The methods stand side by side, so that no interval hides another.
        x = 100 * rows["noise"] + 0.7 * (k - (len(names) - 1) / 2)
        error = np.nan_to_num([rows["mean"] - rows["low"], rows["high"] - rows["mean"]])
        ax.errorbar(
            x, rows["mean"], error, label=name, ms=4, elinewidth=0.7, lw=1, **series.cycled(k)
        )
    ax.set(xlabel=xlabel, ylabel="test accuracy (%)")
    ax.set_xticks(100 * np.sort(summary["noise"].unique()))
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure
