"""The pictures of the gains: over the hardness of a modality, and before and after the search."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from msam_lib.plots.series import COLORS, cycled
from msam_lib.plots.style import GREY, panels, styled

APART = 0.12  # between the methods of a level, in levels


@styled
def dial_points(table: pd.DataFrame, *, title: str, xlabel: str, level: str = "{:g} dB") -> Figure:
    """Gains over joint training at every level, with intervals: a panel for the whole model and one
    for the weakest modality, a marker per method.

    Args:
        table: of `results.dial.dial`.
        title: of the picture; its finding.
        xlabel: what the levels are.
        level: one of them in words.
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
        ax.set(title=words, xlabel=xlabel, xlim=(-0.5, len(levels) - 0.5))
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
    """Test accuracy at one learning rate for all (hollow), and after each method's own search
    (filled): a panel per fusion, a row per method.

    Args:
        panels_of: {panel: (before, after)}, each with the methods' names as index and columns mean
            and half (percent; half-width of the 95 % interval).
        title: of the picture; its finding.
    """
    figure, axes = panels(len(panels_of), columns=2, aspect=0.75, sharey=True)
    for ax, (words, (before, after)) in zip(axes, panels_of.items(), strict=True):
        names = list(before.index)
        for k, name in enumerate(names):
            look = cycled(k)
            y = len(names) - 1 - k
            style = {"ms": 6, "capsize": 2, "elinewidth": 1.1, **look}
            ends = before["mean"][name], after["mean"][name]
            ax.plot(ends, [y, y], color=look["color"], lw=2.5, alpha=0.3, solid_capstyle="round")
            # the earlier one a little higher, so that intervals do not cover each other
            ax.errorbar(ends[0], y + 0.13, xerr=before["half"][name], mfc="white", **style)
            ax.errorbar(ends[1], y - 0.13, xerr=after["half"][name], mec="white", mew=0.5, **style)
        ax.set(title=words, xlabel="test accuracy (%)", ylim=(-0.6, len(names) - 0.4))
        ax.set_yticks(range(len(names)), names[::-1])
        ax.grid(visible=True, axis="x")
        ax.grid(visible=False, axis="y")
    same: dict[str, Any] = {"marker": "o", "color": COLORS[0], "ls": ""}
    figure.legend(
        handles=[
            Line2D([], [], mfc="white", label="one learning rate for all", **same),
            Line2D([], [], label="each method tuned alike", **same),
        ],
        loc="outside lower center",
        ncols=2,
    )
    figure.suptitle(title)
    return figure


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
