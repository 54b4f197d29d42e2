"""The picture of gains in several settings: a row per setting, a marker per method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from msam_lib.plots.series import cycled
from msam_lib.plots.style import GREY, TEXT_WIDTH, styled

APART = 0.17  # between the methods of a setting, in rows
PANELS = {"fused": "whole model", "weakest": "weakest modality alone"}


@styled
def gains_by_setting(
    tables: Mapping[str, pd.DataFrame],
    labels: Sequence[str],
    names: Mapping[str, str],
    *,
    title: str,
) -> Figure:
    """Gains over joint training with intervals, of the whole model and of the weakest modality;
    filled where they are clear.

    Args:
        tables: {setting: rows of `results.gains.gains` by label, with columns clear_fused and
            clear_weakest}, top to bottom; a method that is missing was not run there.
        labels: the methods.
        names: {label: name}.
        title: of the picture; its finding.
    """
    figure = Figure(figsize=(TEXT_WIDTH, 0.44 * len(tables) + 1.2), layout="constrained")
    axes = figure.subplots(1, 2, sharey=True)
    for ax, (column, words) in zip(axes, PANELS.items(), strict=True):
        for k, label in enumerate(labels):
            for row, table in enumerate(tables.values()):
                if label in table.index:
                    y = row + APART * (k - (len(labels) - 1) / 2)
                    _mark(ax, table.loc[label], column, y, k)
        for row in range(1, len(tables)):
            ax.axhline(row - 0.5, color=GREY, lw=0.3)
        ax.axvline(0, color=GREY, lw=0.9)
        ax.set(title=words, xlabel="gain over joint training (points)")
        ax.grid(visible=False, axis="y")
    axes[0].set_yticks(range(len(tables)), list(tables))
    axes[0].set_ylim(len(tables) - 0.5, -0.5)
    handles = [Line2D([], [], ls="", ms=5, label=names[k], **cycled(i + 1))
               for i, k in enumerate(labels)]  # fmt: skip
    figure.legend(handles=handles, loc="outside lower center", ncols=len(labels))
    figure.suptitle(title)
    return figure


def _mark(ax: Any, row: pd.Series, column: str, y: float, k: int) -> None:
    """A gain with its interval; hollow where it is not clear."""
    look = cycled(k + 1)
    face = look["color"] if row[f"clear_{column}"] else "white"
    ax.errorbar(
        row[column], y, xerr=row[f"{column}_half"], ms=4.5, mfc=face, elinewidth=1.1, **look
    )


def gains_alt(
    tables: Mapping[str, pd.DataFrame], labels: Sequence[str], names: Mapping[str, str]
) -> str:
    """What `gains_by_setting` shows, in words."""
    parts = []
    for setting, table in tables.items():
        rows = table.loc[[k for k in labels if k in table.index]]
        said = ", ".join(
            f"{names[str(k)]} {row['fused']:+.1f} (weakest {row['weakest']:+.1f})"
            for k, row in rows.iterrows()
        )
        parts.append(f"{setting}: {said}")
    return f"Gains over tuned joint training in points. {'; '.join(parts)}."
