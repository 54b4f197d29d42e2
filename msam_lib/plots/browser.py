"""One method at a time: its accuracies against joint training's; a run, epoch by epoch."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from msam_lib.errors import MsamError
from msam_lib.plots.series import DASHED, epoch_axis, legend
from msam_lib.plots.style import FUSED, GREY, TEXT_WIDTH, Look, palette, panels, styled

WEAK_AND_FUSED = {"weakest modality": Look("#B2182B", "D", 1.4, 4.5), "fused": FUSED}


@styled
def gains(rows: pd.DataFrame, *, limit: float | None = None) -> Figure:
    """Differences to joint training (points), a line per comparison: the fused accuracy, and that
    of the modality which is weakest alone under joint training (named beside the line).

    Args:
        rows: of `cards.against_joint`.
        limit: half-width of the axis; from the data by default.

    Raises:
        MsamError: no rows.
    """
    if rows.empty:
        raise MsamError("No comparison holds this method beside joint training.")
    names = list(dict.fromkeys(rows["comparison"]))
    shown = pd.concat([_fused_and_weakest(rows[rows["comparison"] == n]) for n in names])
    figure = Figure(figsize=(TEXT_WIDTH, 0.32 * len(names) + 1.1), layout="constrained")
    ax = figure.subplots()
    ax.axvline(0, color=GREY, lw=0.9, ls=DASHED)
    for (what, look), shift in zip(WEAK_AND_FUSED.items(), (-0.15, 0.15), strict=True):
        own = shown[shown["what"] == what].set_index("comparison").reindex(names)
        error = np.nan_to_num([own["mean"] - own["low"], own["high"] - own["mean"]])
        style = {"color": look.color, "marker": look.marker, "ls": "none", "label": what}
        y = np.arange(len(names)) + shift
        ax.errorbar(own["mean"], y, xerr=error, ms=look.size, elinewidth=0.8, **style)
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
    """Of one comparison's rows the fused one and the weakest modality's, told apart by `what`."""
    fused = rows[rows["modality"] == "fused"].assign(what="fused")
    alone = rows[rows["modality"] != "fused"]
    joint = alone["accuracy"] - alone["mean"]
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
    for m, look in looks.items():
        own = accuracy[accuracy["modality"] == m].sort_values("epoch")
        left.plot(own["epoch"], own["mean"], color=look.color, lw=look.width)
        now = own[own["epoch"] == epoch]
        style = {"color": look.color, "marker": look.marker, "mec": "white", "clip_on": False}
        left.plot(now["epoch"], now["mean"], ms=look.size + 3, zorder=5, **style)
    left.axvline(epoch, color=GREY, lw=0.9)
    left.set(ylim=(0, 100), xlabel="epoch", ylabel="test accuracy (%)", title=title)
    epoch_axis(left, int(accuracy["epoch"].max()))
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
    """Small multiples, one per method: each modality's own accuracy (%) over epochs, and the fused
    one.

    Args:
        runs: {method: columns epoch, modality, value (accuracy in [0, 1])}.
        kinds: {method: what it changes}; panels are grouped by it.
        names: {method: title of its panel}.
    """
    order = sorted(runs, key=lambda k: list(dict.fromkeys(kinds.values())).index(kinds[k]))
    figure, axes = panels(len(order), columns=5, aspect=1.0, sharex=True, sharey=True)
    looks = palette(next(iter(runs.values()))["modality"])
    for ax, method in zip(axes, order, strict=True):
        frame = runs[method]
        for m, look in looks.items():
            own = frame[frame["modality"] == m].sort_values("epoch")
            ax.plot(own["epoch"], 100 * own["value"], color=look.color, lw=look.width - 0.2)
            ax.plot(
                own["epoch"].iloc[-1:], 100 * own["value"].iloc[-1:], look.marker, color=look.color
            )
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
    """What a method logged for each modality, mean over the steps of each epoch; a panel per label,
    thin lines for the seeds.

    Args:
        frame: tidy rows with split `"step"`.
        metric: what was logged, e.g. `"accord"`.
        names: {label: title of its panel}.
        ylabel: of the vertical axis.

    Raises:
        MsamError: nothing of that name was logged.
    """
    rows = frame[(frame["split"] == "step") & (frame["metric"] == metric)]
    if rows.empty:
        there = sorted(frame.loc[frame["split"] == "step", "metric"].unique())
        raise MsamError(f"No {metric!r} among what was logged: {', '.join(there)}.")
    figure, axes = panels(len(names), columns=3, aspect=0.75, sharex=True, sharey=True)
    looks = palette(rows["modality"])
    for ax, (label, title) in zip(axes, names.items(), strict=True):
        own = rows[rows["label"] == label]
        for m, look in looks.items():
            part = own[own["modality"] == m].pivot_table(
                index="epoch", columns="seed", values="value"
            )
            ax.plot(part.index, part, color=look.color, lw=0.5, alpha=0.5)
            every = max(1, len(part) // 5)
            mean = part.mean(axis=1)
            ax.plot(mean, color=look.color, marker=look.marker, markevery=every, lw=look.width)
        ax.set(title=title, xlabel="epoch")
    axes[0].set_ylabel(ylabel)
    legend(figure, looks)
    return figure
