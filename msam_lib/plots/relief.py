"""Shaded loss surfaces on one logarithmic scale, their contours on the floor (paper, Figure 1)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LightSource, LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from msam_lib.errors import MsamError
from msam_lib.plots.landscape import VIEWS
from msam_lib.plots.style import styled
from msam_lib.results.findings import flattest
from msam_lib.results.landscape import Landscape
from msam_lib.results.statistics import t_interval

WIDTH = 7.0  # inches: of a page without margins, as surfaces need room
CMAP = "viridis"
SUN = LightSource(azdeg=225, altdeg=50)
SHADE = 0.55  # how dark the shade is
LEVELS = 11  # contour lines on the floor
NAMES = {"all": "all weights"}  # of blocks; others are encoders


@styled
def relief(
    surfaces: Mapping[str, Mapping[str, Landscape]],
    rises: Mapping[str, pd.DataFrame],
    *,
    blocks: Sequence[str],
    views: Sequence[tuple[float, float]] = VIEWS,
) -> Figure:
    """One column per method, one row per block of weights and viewpoint: the loss surface with a
    light on it, its contours on the floor below.

    Height and colour are logarithmic and have the same limits in every panel, the lowest and the
    highest loss of all of them, so nothing is cut off. Titles say how far the loss rises, and which
    method's rises least.

    Args:
        surfaces: {method: {block: plane}}, all with the same coordinates.
        rises: {block: rise in nats, a row per seed, a column per method}, see
            `results.landscape.rises`.
        blocks: those drawn, `"all"` or encoders.
        views: (elevation, azimuth) in degrees.

    Raises:
        MsamError: nothing to draw, or a loss that is not above 0.
    """
    rows = [(block, view) for block in blocks for view in views]
    drawn = [s[block].loss for s in surfaces.values() for block in blocks if block in s]
    if not rows or not drawn:
        raise MsamError(f"No surface of {', '.join(blocks) or 'any block'} to draw.")
    low, high = (float(f([f(loss) for loss in drawn])) for f in (np.nanmin, np.nanmax))
    if not 0 < low < high < np.inf:
        raise MsamError(f"Losses from {low:g} to {high:g} have no logarithmic scale.")
    norm = LogNorm(low, high)
    side = WIDTH / len(surfaces)
    height = 0.92 * side * len(rows) + 0.25 * len(blocks)
    figure = Figure(figsize=(WIDTH + 0.8, height), layout="constrained")
    grid = figure.add_gridspec(len(rows), len(surfaces))
    for r, (block, view) in enumerate(rows):
        for k, (method, found) in enumerate(surfaces.items()):
            ax = figure.add_subplot(grid[r, k], projection="3d")
            _draw(ax, found[block], (low, high), view)
            if view == views[0]:
                ax.set_title(f"{method}: rise {_mean(rises[block][method])}", y=1.03)
            if k == 0 and len(blocks) > 1:
                ax.text2D(
                    -0.02,
                    0.5,
                    block_name(block),
                    transform=ax.transAxes,
                    rotation=90,
                    va="center",
                    ha="right",
                )
    said = [f"{block_name(block)}: {flattest(rises[block])}" for block in blocks]
    figure.suptitle("\n".join(said))
    bar = figure.colorbar(
        ScalarMappable(norm, CMAP),
        ax=figure.axes,
        label="training loss (nats)",
        shrink=0.6,
        pad=0.02,
    )
    bar.ax.yaxis.set_major_locator(FixedLocator(_ticks(low, high)))
    bar.ax.yaxis.set_minor_locator(NullLocator())
    bar.ax.yaxis.set_major_formatter("{x:g}")
    return figure


def block_name(block: str) -> str:
    """A block of weights in words."""
    return NAMES.get(block, f"encoder of {block}")


def _mean(values: pd.Series) -> str:
    """The mean over seeds with the half-width of its 95 % interval, where there are several."""
    found = t_interval(values.to_numpy())
    half = found.mean - found.low
    return f"{found.mean:.2f}" + (f" ± {half:.2f}" if np.isfinite(half) else "")


def _ticks(low: float, high: float) -> list[float]:
    """Numbers 1, 2 and 5 times powers of ten between two others, or powers alone, at most seven."""
    powers = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    every = [float(m * p) for p in powers for m in (1, 2, 5) if low <= m * p <= high]
    return every if len(every) <= 7 else [float(p) for p in powers if low <= p <= high]


def _draw(
    ax: Any, surface: Landscape, limits: tuple[float, float], view: tuple[float, float]
) -> None:
    """Draw one surface and its floor into three-dimensional axes, losses between the limits."""
    z = np.log10(surface.loss)  # (I, J)
    x, y = np.meshgrid(surface.x, np.asarray(surface.y), indexing="ij")
    low, high = np.log10(limits)
    colours = mpl.colormaps[CMAP](LogNorm(*limits)(surface.loss))[..., :3]  # (I, J, 3)
    # Slopes as they appear: the box is as high as 0.7 of its width.
    step = 0.7 * np.ptp(surface.x) / (high - low)
    dx = float(surface.x[1] - surface.x[0])
    # Light darkens and leaves the hue, so that colours can be read off the bar.
    lit = colours * (1 - SHADE * (1 - SUN.hillshade(z * step, dx=dx, dy=dx)))[..., None]
    floor = low - 0.35 * (high - low)
    levels = np.linspace(low, high, LEVELS)
    ax.contour(
        x, y, z, levels, zdir="z", offset=floor, cmap=CMAP, vmin=low, vmax=high, linewidths=0.8
    )
    # An image within vector files: as polygons it would take a megabyte.
    ax.plot_surface(
        x,
        y,
        z,
        facecolors=lit,
        shade=False,
        lw=0,
        antialiased=False,
        rasterized=True,
        rcount=len(x),
        ccount=len(y),
    )
    ax.view_init(*view)
    ends = float(surface.x[0]), 0.0, float(surface.x[-1])
    ticks = _ticks(*limits)
    ax.set(xticks=ends, yticks=ends, zlim=(floor, high))
    ax.set_zticks(np.log10(ticks), [f"{t:g}" for t in ticks])
    ax.tick_params(labelsize=6, pad=-3)
    ax.set_box_aspect((1, 1, 0.85), zoom=1.15)


def relief_alt(rises: Mapping[str, pd.DataFrame], blocks: Sequence[str]) -> str:
    """What `relief` shows, in words: how far the loss of each method rises."""
    parts = []
    for block in blocks:
        means = ", ".join(f"{name} {_mean(rises[block][name])}" for name in rises[block])
        parts.append(f"{block_name(block)}, rise in nats {means} ({flattest(rises[block])})")
    return "Shaded loss surfaces over planes of weights, on one scale. " + "; ".join(parts) + "."
