"""Pictures of loss landscapes: surfaces from two sides, contours and lines, on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.contour import ContourSet
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from msam_lib.errors import MsamError, unknown_name
from msam_lib.plots import series
from msam_lib.plots._labels import ticks_within
from msam_lib.plots.style import GREY, TEXT_WIDTH, styled
from msam_lib.results.landscape import Landscape

Grids = tuple[np.ndarray, np.ndarray, np.ndarray]  # x, y, z, each (I, J)
VIEWS = ((32.0, -58.0), (32.0, 32.0))  # elevation and azimuth in degrees
LABELS = {"loss": "loss (nats)", "accuracy": "accuracy (%)"}
CMAPS = {"loss": "viridis", "accuracy": "viridis_r"}  # dark is good in both


def values(landscape: Landscape, quantity: str = "loss") -> np.ndarray:
    """The numbers that are drawn: loss in nats or accuracy in percent.

    Raises:
        MsamError: an unknown quantity, or one that the landscape does not have.
    """
    if quantity not in LABELS:
        raise unknown_name("quantity", quantity, LABELS)
    if quantity == "loss":
        return landscape.loss
    if landscape.accuracy is None:
        raise MsamError("This landscape has no accuracy: its loss was given. Draw quantity='loss'.")
    return 100 * landscape.accuracy


def shared_limits(
    landscapes: Mapping[str, Landscape], quantity: str = "loss", ceiling: float | None = None
) -> tuple[float, float]:
    """The lowest and highest finite value (nats or percent) over all methods, at most `ceiling`.

    Raises:
        MsamError: no value is finite.
    """
    every = np.concatenate([values(s, quantity).ravel() for s in landscapes.values()])
    every = every[np.isfinite(every)]
    if not every.size:
        raise MsamError("No finite value to draw: use a smaller span.")
    low, high = float(every.min()), float(every.max())
    if ceiling is not None:
        high = min(high, ceiling)
    return low, high if high > low else low + 1e-9


@styled
def surfaces(
    landscapes: Mapping[str, Landscape],
    *,
    quantity: str = "loss",
    ceiling: float | None = None,
    views: Sequence[tuple[float, float]] = VIEWS,
    levels: int = 12,
) -> Figure:
    """One column per method: the surface from two viewpoints, and its contours below (paper, Figure
    1).

    Colour and height have the same limits in every panel, so the columns can be compared by eye.
    Values above `ceiling` are drawn at it. A training path is drawn into the contours where there
    is one.

    Args:
        landscapes: {title: plane}.
        quantity: `"loss"` (nats) or `"accuracy"` (percent).
        ceiling: of the drawn values; by default the highest of them.
        views: (elevation, azimuth) in degrees, one row of surfaces each.
        levels: contour lines.

    Raises:
        MsamError: nothing to draw, or a line among the planes.
    """
    if not landscapes:
        raise MsamError("No landscape to draw; pass at least one, {title: plane}.")
    if any(s.y is None for s in landscapes.values()):
        raise MsamError("A line has no surface; draw it with `lines`.")
    low, high = shared_limits(landscapes, quantity, ceiling)
    count, rows = len(landscapes), len(views) + 1
    side = min(TEXT_WIDTH / count, 2.4)
    figure = Figure(figsize=(max(side * count, 2.6), side * rows * 0.8 + 0.6), layout="constrained")
    grid = figure.add_gridspec(rows, count)
    at = np.linspace(low, high, levels + 1)
    for k, (title, s) in enumerate(landscapes.items()):
        x, y, z = _cut(s, quantity, (low, high))
        for r, (elevation, azimuth) in enumerate(views):
            ax = figure.add_subplot(grid[r, k], projection="3d")
            # An image within vector files: as polygons it would take a megabyte.
            style = {"rcount": 60, "ccount": 60, "rasterized": True}
            _surface(ax, (x, y, z), (low, high), quantity, 1.3, **style)
            ax.view_init(elevation, azimuth)
            # The ticks of a plane of span 1 (or near it); those of others are at its borders.
            ax.set(xticks=[-1, 0, 1], yticks=[-1, 0, 1])
            if np.abs(x).max() < 0.9 or np.abs(x).max() > 2:
                ax.set(xticks=[x.min(), 0, x.max()], yticks=[y.min(), 0, y.max()])
            if r == 0:
                ax.set_title(title)
        ax = figure.add_subplot(grid[-1, k], aspect="equal" if _square(s) else "auto")
        drawn = _contours(ax, (x, y, z), at, quantity, "max" if ceiling else "neither")
        if s.path is not None:
            ax.plot(*s.path.T, color="white", lw=1, marker="o", ms=2)
        ax.set_xlabel(_axis_name(s, "block"))
        if k == 0:
            ax.set_ylabel(_axis_name(s, "other"))
    bar = figure.colorbar(drawn, ax=figure.axes, label=LABELS[quantity], shrink=0.5, pad=0.02)
    bar.set_ticks(ticks_within(low, high))
    return figure


@styled
def view(
    landscape: Landscape,
    *,
    limits: tuple[float, float],
    elevation: float = 32.0,
    azimuth: float = -58.0,
    quantity: str = "loss",
    levels: int = 12,
    title: str = "",
) -> Figure:
    """One plane: its surface from one viewpoint, and the contours beside it.

    Args:
        landscape: a plane.
        limits: of height and colour, in nats or percent; `shared_limits` makes them the same for
            several methods. Values outside are drawn at them.
        elevation, azimuth: of the viewpoint, in degrees.
        quantity: `"loss"` (nats) or `"accuracy"` (percent).
        levels: contour lines.
        title: above both.
    """
    low, high = limits
    x, y, z = _cut(landscape, quantity, limits)
    figure = Figure(figsize=(TEXT_WIDTH, TEXT_WIDTH * 0.45), layout="constrained")
    ax = figure.add_subplot(1, 2, 1, projection="3d")
    _surface(ax, (x, y, z), limits, quantity, 1.1)
    ax.view_init(elevation, azimuth)
    ax.xaxis.set_major_locator(MaxNLocator(4))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    flat = figure.add_subplot(1, 2, 2, aspect="equal" if _square(landscape) else "auto")
    drawn = _contours(flat, (x, y, z), np.linspace(low, high, levels + 1), quantity)
    flat.set(xlabel=_axis_name(landscape, "block"), ylabel=_axis_name(landscape, "other"))
    bar = figure.colorbar(drawn, ax=flat, label=LABELS[quantity], shrink=0.85)
    bar.set_ticks(ticks_within(low, high))
    if title:
        figure.suptitle(title)
    return figure


def _cut(s: Landscape, quantity: str, limits: tuple[float, float]) -> Grids:
    """Coordinates x, y (I, J) of a plane and its values (I, J), brought between the limits; a loss
    that is not finite counts as high.
    """
    low, high = limits
    z = np.clip(np.nan_to_num(values(s, quantity), nan=high, posinf=high), low, high)
    x, y = np.meshgrid(s.x, np.asarray(s.y), indexing="ij")
    return x, y, z


def _surface(
    ax: Any, xyz: Grids, limits: tuple[float, float], quantity: str, zoom: float, **options: Any
) -> None:
    """Draw a surface x, y, z (I, J) into three-dimensional axes."""
    low, high = limits
    style = {"cmap": CMAPS[quantity], "lw": 0.15, "edgecolor": "#00000030"} | options
    ax.plot_surface(*xyz, vmin=low, vmax=high, **style)
    ax.set(zlim=limits)
    ax.tick_params(labelsize=6, pad=-3)
    ax.zaxis.set_major_locator(MaxNLocator(4))
    ax.set_box_aspect((1, 1, 0.8), zoom=zoom)


def _contours(
    ax: Axes, xyz: Grids, levels: np.ndarray, quantity: str, extend: str = "neither"
) -> ContourSet:
    """Draw the contours of x, y, z (I, J), with a cross at the model itself."""
    drawn = ax.contourf(*xyz, levels=levels, cmap=CMAPS[quantity], extend=extend)
    ax.contour(*xyz, levels=levels, colors="white", linewidths=0.3)
    ax.plot(0, 0, marker="+", color="white", ms=7, mew=1.2)
    ax.grid(False)
    return drawn


def _square(s: Landscape) -> bool:
    """Whether both axes are equally long."""
    return s.y is not None and np.isclose(np.ptp(s.x), np.ptp(s.y))


def _axis_name(s: Landscape, which: str) -> str:
    """What moves along the first axis (`which` is `"block"`) or the second (`"other"`)."""
    kind, block = s.meta.get("kind"), s.meta.get(which, s.meta.get("block", ""))
    if kind == "eigen plane":
        return f"eigenvector {1 if which == 'block' else 2}"
    if kind == "trajectory":
        k = 0 if which == "block" else 1
        return f"component {k + 1} ({100 * s.meta['explained'][k]:.0f} %)"
    if block == "all":
        return f"direction {1 if which == 'block' else 2}"
    return f"direction in {block}" if block else ""


@styled
def lines(landscapes: Mapping[str, Landscape], *, quantity: str = "loss") -> Figure:
    """Loss or accuracy along lines through the weights, one curve per entry, in one panel.

    Args:
        landscapes: {name: line}, as `line` and `interpolate` make them.
        quantity: `"loss"` (nats) or `"accuracy"` (percent).

    Raises:
        MsamError: nothing to draw, or a plane among the lines.
    """
    if not landscapes or any(s.y is not None for s in landscapes.values()):
        raise MsamError("`lines` draws lines; draw planes with `surfaces`.")
    figure = Figure(figsize=(TEXT_WIDTH * 0.65, TEXT_WIDTH * 0.42), layout="constrained")
    ax = figure.subplots()
    for style, (name, s) in zip(series.dashed(), landscapes.items(), strict=False):
        every = max(1, len(s.x) // 8)
        ax.plot(s.x, values(s, quantity), label=name, ms=3, markevery=every, **style)
    # The model is at 0; where a line joins two models, the second one is at 1.
    joins = any(s.meta.get("kind") == "interpolation" for s in landscapes.values())
    for x in (0, 1) if joins else (0,):
        ax.axvline(x, color=GREY, lw=0.7, zorder=0)
    ax.set(xlabel="position along the direction", ylabel=LABELS[quantity])
    ax.legend()
    return figure


def surfaces_alt(landscapes: Mapping[str, Landscape]) -> str:
    """What `surfaces` shows, in words: how far each method's loss rises around its minimum."""
    parts = [
        f"{name}: loss {s.at_origin:.2f} in the centre, {s.rise():.2f} above it on average"
        for name, s in landscapes.items()
    ]
    return "Loss surfaces over a plane of weights, on one scale. " + "; ".join(parts) + "."
