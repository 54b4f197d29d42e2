"""The picture of a search for learning rates: validation accuracy by learning rate."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from msam_lib.plots import series
from msam_lib.plots.style import GREY, panels, styled


def best_by_rate(trials: pd.DataFrame) -> pd.DataFrame:
    """The best validation accuracy over the values of the method's main option, of the trials with
    most seeds and as their mean: a row per learning rate, a column per method (NaN where that rate
    was not tried with so many).
    """
    rows = trials[trials["split"] == "val"]
    means = rows.groupby(["label", "lr", "run"])["value"].agg(["mean", "count"]).reset_index()
    whole = means[means["count"] == means.groupby("label")["count"].transform("max")]
    return whole.pivot_table(index="lr", columns="label", values="mean", aggfunc="max")


@styled
def search_curves(searches: Mapping[str, pd.DataFrame], names: Mapping[str, str]) -> Figure:
    """Validation accuracy (%) against the learning rate: a panel per search, a line per method.

    A dotted line marks the preset's rate, a large marker each method's best.

    Args:
        searches: {panel: trials}, with columns label, lr, value (accuracy in [0, 1]) and preset_lr.
        names: {label: name to show}, in this order.
    """
    figure, axes = panels(len(searches), columns=2, aspect=0.8, sharey=True)
    # {method: its line}, for one legend over all panels.
    lines = {}
    for ax, (title, trials) in zip(axes, searches.items(), strict=True):
        table = 100 * best_by_rate(trials)
        for k, label in enumerate(label for label in names if label in table):
            curve = table[label].dropna()
            look = series.cycled(k)
            style = {"ms": 3.5, "mec": "white", "mew": 0.4}
            (lines[names[label]],) = ax.plot(curve.index, curve, **style, **look)
            ax.plot(curve.idxmax(), curve.max(), ms=8, mec="black", mew=0.9, ls="", **look)
        ax.axvline(trials["preset_lr"].iloc[0], color=GREY, lw=0.9, ls=":")
        ax.set(title=title, xlabel="learning rate", xscale="log")
        ticks = [t for t in (0.005, 0.01, 0.02, 0.05) if table.index[0] <= t <= table.index[-1]]
        ax.set_xticks(ticks, [f"{t:g}" for t in ticks])
        ax.minorticks_off()
        ax.margins(y=0.1)
    axes[0].set_ylabel("validation accuracy (%)")
    figure.legend(
        list(lines.values()), list(lines), loc="outside upper center", ncols=min(3, len(lines))
    )
    return figure


def search_alt(searches: Mapping[str, pd.DataFrame], names: Mapping[str, str]) -> str:
    """What `search_curves` shows, in words: accuracy at the preset's rate and at the best one."""
    parts = []
    for title, trials in searches.items():
        table = 100 * best_by_rate(trials)
        at_preset = table.loc[trials["preset_lr"].iloc[0]]
        values = ", ".join(
            f"{names[k]} {at_preset[k]:.1f} and {table[k].max():.1f} % (at {table[k].idxmax():.2g})"
            for k in names
            if k in table
        )
        parts.append(f"{title}: {values}")
    return (
        "Validation accuracy against the learning rate; at the preset's rate and at the best one. "
        f"{'. '.join(parts)}."
    )
