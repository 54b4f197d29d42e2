"""What several plots share: lines with bands, axes of counts, legends, numbers as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from msam_lib.plots.style import GREY, Look

DASHED = (0, (4, 2))
# Of lines that are not modalities, such as methods: distinct in colour and in marker.
COLORS = ("#222222", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", GREY)
MARKERS = "os^Dv<>p"


def cycled(k: int) -> dict[str, Any]:
    """Colour and marker of the k-th method of a picture; they repeat after eight."""
    return {"color": COLORS[k % len(COLORS)], "marker": MARKERS[k % len(MARKERS)]}


def dashed() -> list[dict[str, Any]]:
    """Eighteen looks of lines; those of the same dash differ in colour and marker."""
    colors = (*COLORS[1:5], "#8C5A00", COLORS[0])
    pairs = [{"color": c, "marker": MARKERS[k]} for k, c in enumerate(colors)]
    return [pair | {"linestyle": dash} for dash in ("-", "--", ":") for pair in pairs]


def line(
    ax: Axes,
    part: pd.DataFrame,
    look: Look,
    *,
    name: str,
    bounds: tuple[float, float] = (-np.inf, np.inf),
    factor: float = 100,
    marks: int = 5,
    clip_on: bool = False,
) -> None:
    """Draw a mean over epochs as a line with its interval as a band.

    Args:
        part: columns epoch, mean, low, high (NaN where unknown) of one modality.
        look: of the modality.
        name: in the legend.
        bounds: the band is cut at these values, in the units drawn.
        factor: of the values drawn; 100 shows shares in percent.
        marks: about how many markers stand on the line.
        clip_on: cut markers at the panel's border.
    """
    part = part.sort_values("epoch")
    x, y = part["epoch"].to_numpy(), factor * part["mean"].to_numpy()
    ax.plot(
        x,
        y,
        color=look.color,
        lw=look.width,
        marker=look.marker,
        ms=look.size,
        mec="white",
        mew=0.5,
        markevery=max(1, len(x) // marks),
        label=name,
        clip_on=clip_on,
    )
    low, high = factor * part["low"].to_numpy(), factor * part["high"].to_numpy()
    if np.isfinite(low).any():
        low, high = np.clip(low, *bounds), np.clip(high, *bounds)
        ax.fill_between(x, low, high, color=look.color, alpha=0.18, lw=0)


def count_axis(ax: Axes, last: int) -> None:
    """Let the horizontal axis of epochs or steps run from 0 to `last`, with ticks at integers."""
    ax.set_xlim(0, last)
    ax.xaxis.set_major_locator(MaxNLocator(nbins=4, integer=True))


def legend(
    figure: Figure, looks: Mapping[str, Look], extra: Sequence[tuple[str, Line2D]] = ()
) -> None:
    """Draw one legend for the whole figure, above the panels.

    Args:
        looks: {name: look} of its entries.
        extra: (name, line) of further ones.
    """
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
    """A share in [0, 1] as `"87 %"`."""
    return f"{100 * value:.0f} %"


def wrap(name: str, width: int = 12) -> str:
    """A title, on two lines (options below the method's name) where it exceeds `width` letters."""
    head, bracket, tail = name.partition(" (")
    return name if len(name) <= width or not bracket else f"{head}\n({tail}"
