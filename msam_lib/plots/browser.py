"""Pictures of one method: its accuracies against joint training's; a run, epoch by epoch."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from msam_lib.errors import MsamError
from msam_lib.plots.series import DASHED, count_axis, legend
from msam_lib.plots.style import FUSED, GREY, TEXT_WIDTH, Look, palette, panels, styled

WEAK_AND_FUSED = {"weakest modality": Look("#B2182B", "D", 1.4, 4.5), "fused": FUSED}


@styled
def gains(rows: pd.DataFrame, *, limit: float | None = None) -> Figure:
    """Differences to joint training (points), a line per comparison: the fused accuracy, and that
    of the modality which is weakest alone under joint training (named beside the line).

    Args:
        rows: of `results.comparison.against_joint`.
        limit: half-width of the axis; from the data by default.

    Raises:
        MsamError: no rows.
    """
    if rows.empty:
        raise MsamError(
            "No comparison has this method beside joint training. Choose another method, or run "
            "`python -m msam_lib comparison`."
        )
    names = list(dict.fromkeys(rows["comparison"]))
    shown = pd.concat([_fused_and_weakest(rows[rows["comparison"] == n]) for n in names])
    figure = Figure(figsize=(TEXT_WIDTH, 0.32 * len(names) + 1.1), layout="constrained")
    ax = figure.subplots()
    ax.axvline(0, color=GREY, lw=0.9, ls=DASHED)
    # The two markers of a comparison stand a little above and below its line; NaN: no interval.
    for (what, look), shift in zip(WEAK_AND_FUSED.items(), (-0.15, 0.15), strict=True):
        means = shown[shown["what"] == what].set_index("comparison").reindex(names)
        error = np.nan_to_num([means["mean"] - means["low"], means["high"] - means["mean"]])
        y = np.arange(len(names)) + shift
        ax.errorbar(
            means["mean"],
            y,
            xerr=error,
            color=look.color,
            marker=look.marker,
            ls="none",
            label=what,
            ms=look.size,
            elinewidth=0.8,
        )
    # The ticks name the comparison and its weakest modality.
    weakest = shown[shown["what"] == "weakest modality"].set_index("comparison")["modality"]
    ticks = [f"{n} ({weakest[n]})" if n in weakest else n for n in names]
    ax.set_yticks(range(len(names)), ticks)
    ax.invert_yaxis()
    limit = limit or 1.05 * float(np.nanmax(np.abs(shown[["mean", "low", "high"]].to_numpy())))
    ax.set(xlabel="test accuracy minus joint training's (points)", xlim=(-limit, limit))
    ax.grid(visible=True, axis="x")
    ax.grid(visible=False, axis="y")
    legend(figure, WEAK_AND_FUSED)
    return figure


def _fused_and_weakest(rows: pd.DataFrame) -> pd.DataFrame:
    """The rows of the fused model and of the weakest modality, named in the column `what`."""
    fused = rows[rows["modality"] == "fused"].assign(what="fused")
    alone = rows[rows["modality"] != "fused"]
    joint = alone["accuracy"] - alone["mean"]  # joint training's accuracy: this method's less gain
    return pd.concat([alone.loc[[joint.idxmin()]].assign(what="weakest modality"), fused])


@styled
def epoch_view(accuracy: pd.DataFrame, shares: pd.DataFrame, epoch: int, title: str) -> Figure:
    """Accuracies over all epochs with one epoch marked, beside the contributions at that epoch.

    Args:
        accuracy: columns epoch, modality, mean (percent), of one method.
        shares: the same for contributions.
        epoch: which one to mark.
        title: of the whole picture.
    """
    figure, (left, right) = panels(2, columns=2, aspect=0.62)
    looks = palette(accuracy["modality"])
    # Left: all epochs, with a larger marker at the chosen one.
    for m, look in looks.items():
        curve = accuracy[accuracy["modality"] == m].sort_values("epoch")
        left.plot(curve["epoch"], curve["mean"], color=look.color, lw=look.width)
        now = curve[curve["epoch"] == epoch]
        style = {"color": look.color, "marker": look.marker, "mec": "white", "clip_on": False}
        left.plot(now["epoch"], now["mean"], ms=look.size + 3, zorder=5, **style)
    left.axvline(epoch, color=GREY, lw=0.9)
    left.set(ylim=(0, 100), xlabel="epoch", ylabel="test accuracy (%)", title=title)
    count_axis(left, int(accuracy["epoch"].max()))
    # Right: the shares at that epoch; they may be negative, and room is left for the numbers.
    now = shares[shares["epoch"] == epoch].set_index("modality")["mean"]
    order = [m for m in looks if m in now.index]
    bars = right.barh(order, [now[m] for m in order], color=[looks[m].color for m in order])
    right.bar_label(bars, [f"{now[m]:.0f} %" for m in order], padding=3, fontsize=8)
    right.axvline(100 / len(order), color=GREY, lw=0.9, ls=DASHED)
    right.set(xlim=(min(0.0, 1.1 * float(now.min())), 118), title="contribution (%)")
    right.set_xticks(range(0, 101, 25))
    right.invert_yaxis()
    right.grid(visible=False)
    legend(figure, looks)
    return figure


@styled
def two_modalities(
    runs: Mapping[str, pd.DataFrame], kinds: Mapping[str, str], names: Mapping[str, str]
) -> Figure:
    """Accuracy (%) over epochs of each modality alone and of the fused model, a panel per method.

    Args:
        runs: {method: columns epoch, modality, value (accuracy in [0, 1])}.
        kinds: {method: what it changes}; panels are grouped by it.
        names: {method: title of its panel}.
    """
    # Panels in the order in which the kinds come first.
    order = sorted(runs, key=lambda k: list(dict.fromkeys(kinds.values())).index(kinds[k]))
    figure, axes = panels(len(order), columns=5, aspect=1.0, sharex=True, sharey=True)
    looks = palette(next(iter(runs.values()))["modality"])
    for ax, method in zip(axes, order, strict=True):
        frame = runs[method]
        for m, look in looks.items():
            curve = frame[frame["modality"] == m].sort_values("epoch")
            ax.plot(curve["epoch"], 100 * curve["value"], color=look.color, lw=look.width - 0.2)
            end = curve.iloc[-1:]
            ax.plot(end["epoch"], 100 * end["value"], look.marker, color=look.color)
        title = textwrap.fill(names[method], 14)
        ax.set_title(f"{title}\n({kinds[method]})", fontsize=7)
        ax.set(ylim=(0, 100), yticks=(0, 50, 100))
    figure.supxlabel("epoch", fontsize=8)
    figure.supylabel("test accuracy (%)", fontsize=8)
    legend(figure, looks)
    return figure


@styled
def logged_curves(
    frame: pd.DataFrame, metric: str, names: Mapping[str, str], *, ylabel: str
) -> Figure:
    """What a method logged for each modality over epochs: a panel per label, thin lines for the
    seeds and a thick one for their mean.

    Args:
        frame: tidy rows with split `"step"`: means over the steps of an epoch.
        metric: what was logged, e.g. `"accord"`.
        names: {label: title of its panel}.
        ylabel: of the vertical axis.

    Raises:
        MsamError: nothing of that name was logged.
    """
    rows = frame[(frame["split"] == "step") & (frame["metric"] == metric)]
    if rows.empty:
        logged = sorted(frame.loc[frame["split"] == "step", "metric"].unique())
        raise MsamError(f"No {metric!r} among what was logged: {', '.join(logged)}.")
    figure, axes = panels(len(names), columns=3, aspect=0.75, sharex=True, sharey=True)
    looks = palette(rows["modality"])
    for ax, (label, title) in zip(axes, names.items(), strict=True):
        of_label = rows[rows["label"] == label]
        for m, look in looks.items():
            part = of_label[of_label["modality"] == m]
            values = part.pivot_table(index="epoch", columns="seed", values="value")
            # Thin lines for the seeds, a thick one with markers for their mean.
            ax.plot(values.index, values, color=look.color, lw=0.5, alpha=0.5)
            every = max(1, len(values) // 5)
            mean = values.mean(axis=1)
            ax.plot(mean, color=look.color, marker=look.marker, markevery=every, lw=look.width)
        ax.set(title=title, xlabel="epoch")
    axes[0].set_ylabel(ylabel)
    legend(figure, looks)
    return figure
