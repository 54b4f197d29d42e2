"""The pictures of the gains: over the hardness of a modality, and before and after the search."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from msam_lib.plots.series import cycled
from msam_lib.plots.style import GREY, panels, styled

APART = 0.12  # between the methods of a level, in levels


@styled
def dial_points(table: pd.DataFrame, *, title: str, level: str) -> Figure:
    """Gains over joint training at every level, with intervals: a panel for the whole model and one
    for the weakest modality, a marker per method.

    Args:
        table: of `results.dial.dial`.
        title: of the picture; its finding.
        level: what the levels are, with a place for the number, such as `"speech at {:g} dB"`.
    """
    figure, axes = panels(2, columns=2, aspect=0.85)
    levels = list(dict.fromkeys(table["level"]))
    names = list(dict.fromkeys(table["name"]))
    shares = table.drop_duplicates("level").set_index("level")
    said = [
        f"{level.format(v)}\n{shares['dominant'][v]} {shares['share'][v]:.0f} %" for v in levels
    ]
    for ax, (column, words) in zip(
        axes, (("fused", "whole model"), ("weakest", "weakest modality alone")), strict=True
    ):
        for k, name in enumerate(names):
            rows = table[table["name"] == name].set_index("level").loc[levels]
            x = np.arange(len(levels)) + APART * (k - (len(names) - 1) / 2)
            ax.errorbar(
                x,
                rows[column],
                rows[f"{column}_half"],
                label=name,
                ls="",
                ms=5,
                mec="white",
                mew=0.5,
                elinewidth=1.1,
                capsize=2,
                **cycled(k + 1),
            )
        ax.axhline(0, color=GREY, lw=0.9)
        ax.set(title=words, xlim=(-0.5, len(levels) - 0.5))
        ax.set_xticks(range(len(levels)), said)
    axes[0].set_ylabel("gain over joint training (points)")
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(names))
    figure.suptitle(title)
    return figure


def dial_alt(table: pd.DataFrame, level: str) -> str:
    """What `dial_points` shows, in words."""
    parts = []
    for value, rows in table.groupby("level"):
        gained = ", ".join(
            f"{r.name} {r.fused:+.1f} ± {r.fused_half:.1f} (weakest modality {r.weakest:+.1f} ± "
            f"{r.weakest_half:.1f})"
            for r in rows.itertuples(index=False)
        )
        first = rows.iloc[0]
        parts.append(
            f"{level.format(value)}, {first['dominant']} {first['share']:.0f} % of the accuracy: "
            f"{gained}"
        )
    return f"Gains over tuned joint training in points. {'. '.join(parts)}."


@styled
def before_and_after(
    panels_of: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]], *, title: str
) -> Figure:
    """Test accuracy at one learning rate for all, and after each method's own search: a panel per
    fusion, a line per method from left to right, names in the order of the values beside it.

    Args:
        panels_of: {panel: (before, after)}, each with the methods' names as index and columns mean
            and half (percent; half-width of the 95 % interval).
        title: of the picture; its finding.
    """
    figure, axes = panels(len(panels_of), columns=2, aspect=0.95)
    for ax, (words, (before, after)) in zip(axes, panels_of.items(), strict=True):
        for k, name in enumerate(before.index):
            look = cycled(k)
            for shift, table in ((0, before), (1, after)):
                ax.errorbar(
                    shift + 0.03 * (k - (len(before) - 1) / 2),
                    table["mean"][name],
                    table["half"][name],
                    ms=5,
                    mec="white",
                    mew=0.5,
                    capsize=2,
                    **look,
                )
            values = [before["mean"][name], after["mean"][name]]
            ax.plot([0.1, 0.9], values, color=look["color"], lw=1.2, alpha=0.8)
        _names(ax, before["mean"], -0.14, "right")
        _names(ax, after["mean"], 1.14, "left")
        ax.set(title=words, xlim=(-1.05, 2.05))
        ax.set_xticks([0, 1], ["one rate\nfor all", "each tuned\nalike"])
    axes[0].set_ylabel("test accuracy (%)")
    figure.suptitle(title)
    return figure


def _names(ax: Axes, means: pd.Series, x: float, side: str) -> None:
    """The methods' names at their values, moved apart where they would overlap."""
    low, high = ax.get_ylim()
    gap = 0.055 * (high - low)
    places = means.sort_values()
    heights = places.to_numpy().copy()
    for k in range(1, len(heights)):  # from below: each at least a gap above the last
        heights[k] = max(heights[k], heights[k - 1] + gap)
    heights -= (heights - places.to_numpy()).mean()  # as far below as above, on average
    order = list(means.index)
    for name, y in zip(places.index, heights, strict=True):
        color = cycled(order.index(name))["color"]
        ax.text(x, y, name, ha=side, va="center", color=color, fontsize="small")


def before_and_after_alt(
    panels_of: Mapping[str, tuple[pd.DataFrame, pd.DataFrame]],
) -> str:
    """What `before_and_after` shows, in words."""
    parts = []
    for words, tables in panels_of.items():
        said = [
            " > ".join(
                f"{name} {t['mean'][name]:.1f} ± {t['half'][name]:.1f}"
                for name in t["mean"].sort_values(ascending=False).index
            )
            for t in tables
        ]
        parts.append(f"{words}: at one learning rate {said[0]}; each tuned alike {said[1]}")
    return f"Test accuracy in percent, from best to worst. {'. '.join(parts)}."
