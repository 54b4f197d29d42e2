"""What several plots share: choosing rows, lines with bands, legends, words for numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from msam_lib.plots.style import Look

DASHED = (0, (4, 2))


def line(
    ax: Axes, part: pd.DataFrame, look: Look, *, name: str, bounds: tuple[float, float]
) -> None:
    """Mean over seeds in percent, by epoch, with its interval as a band inside the bounds.

    Args:
        part: rows of `summary(..., by=["epoch"])` of one modality.
    """
    part = part.sort_values("epoch")
    x, y = part["epoch"].to_numpy(), 100 * part["mean"].to_numpy()
    step = max(1, len(x) // 5)
    ax.plot(
        x,
        y,
        color=look.color,
        lw=look.width,
        marker=look.marker,
        ms=look.size,
        mec="white",
        mew=0.5,
        markevery=step,
        label=name,
        clip_on=False,  # markers at the first and last epoch are whole
    )
    low, high = 100 * part["low"].to_numpy(), 100 * part["high"].to_numpy()
    if np.isfinite(low).any():
        low, high = np.clip(low, *bounds), np.clip(high, *bounds)
        ax.fill_between(x, low, high, color=look.color, alpha=0.18, lw=0)


def epoch_axis(ax: Axes, last: int) -> None:
    """From epoch 0 to the last one, with whole numbers."""
    ax.set_xlim(0, last)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def legend(
    figure: Figure, looks: Mapping[str, Look], extra: Sequence[tuple[str, Line2D]] = ()
) -> None:
    """One legend for the whole figure, above the panels."""
    entries = [
        (name, Line2D([], [], color=k.color, marker=k.marker, lw=k.width, ms=k.size))
        for name, k in looks.items()
    ]
    entries += list(extra)
    figure.legend(
        [handle for _, handle in entries],
        [name for name, _ in entries],
        loc="outside upper center",
        ncols=min(5, len(entries)),
        handlelength=2.2,
        columnspacing=1.4,
    )


def percent(value: float) -> str:
    """A share as `"87 %"`."""
    return f"{100 * value:.0f} %"


def wrap(name: str, width: int = 12) -> str:
    """A title on two lines: the options below the method's name where it is long."""
    head, bracket, tail = name.partition(" (")
    return name if len(name) <= width or not bracket else f"{head}\n({tail}"
