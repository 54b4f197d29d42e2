"""Loss landscapes: the surface from two sides and its contours, several methods on one scale."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from msam_lib.errors import MsamError, unknown_name
from msam_lib.plots.style import GREY, TEXT_WIDTH, styled
from msam_lib.results.landscape import Landscape

VIEWS = ((32.0, -58.0), (32.0, 32.0))  # elevation and azimuth in degrees
LABELS = {"loss": "loss (nats)", "accuracy": "accuracy (%)"}


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
        raise MsamError("This landscape has no accuracy (it was made with a loss of its own).")
    return 100 * landscape.accuracy


def shared_limits(
    landscapes: Mapping[str, Landscape], quantity: str = "loss", ceiling: float | None = None
) -> tuple[float, float]:
    """The lowest and highest number over all methods; with `ceiling`, at most that."""
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
    What lies above `ceiling` is cut off flat. A training path is drawn into the contours where
    there is one.

    Args:
        landscapes: {title: plane}.
        quantity: `"loss"` or `"accuracy"`.
        ceiling: of the drawn values; by default the highest there is.
        views: (elevation, azimuth) in degrees, one row of surfaces each.
        levels: contour lines.

    Raises:
        MsamError: nothing to draw, or a line among the planes.
    """
    if not landscapes:
        raise MsamError("No landscape to draw.")
    if any(s.y is None for s in landscapes.values()):
        raise MsamError("A line has no surface; draw it with `lines`.")
    low, high = shared_limits(landscapes, quantity, ceiling)
    count, rows = len(landscapes), len(views) + 1
    side = min(TEXT_WIDTH / count, 2.4)
    figure = Figure(figsize=(max(side * count, 2.6), side * rows * 0.8 + 0.6), layout="constrained")
    grid = figure.add_gridspec(rows, count)
    cmap, flat = "viridis" if quantity == "loss" else "viridis_r", None
    lines = np.linspace(low, high, levels + 1)
    for k, (title, s) in enumerate(landscapes.items()):
        z = np.clip(np.nan_to_num(values(s, quantity), nan=high, posinf=high), low, high)
        x, y = np.meshgrid(s.x, np.asarray(s.y), indexing="ij")
        for r, (elevation, azimuth) in enumerate(views):
            ax = figure.add_subplot(grid[r, k], projection="3d")
            ax.plot_surface(
                x,
                y,
                z,
                cmap=cmap,
                vmin=low,
                vmax=high,
                rcount=60,
                ccount=60,
                lw=0.15,
                edgecolor="#00000030",
                rasterized=True,  # hundreds of polygons would make a vector file of a megabyte
            )
            ax.view_init(elevation, azimuth)
            ax.set(zlim=(low, high), xticks=[-1, 0, 1], yticks=[-1, 0, 1])
            if np.abs(x).max() < 0.9 or np.abs(x).max() > 2:
                ax.set(xticks=[s.x[0], 0, s.x[-1]], yticks=[s.y[0], 0, s.y[-1]])
            ax.tick_params(labelsize=6, pad=-3)
            ax.zaxis.set_major_locator(_few())
            ax.set_box_aspect((1, 1, 0.8), zoom=1.3)
            if r == 0:
                ax.set_title(title)
        flat = figure.add_subplot(grid[-1, k], aspect="equal" if _square(s) else "auto")
        drawn = flat.contourf(
            x, y, z, levels=lines, cmap=cmap, extend="max" if ceiling else "neither"
        )
        flat.contour(x, y, z, levels=lines, colors="white", linewidths=0.3)
        flat.plot(0, 0, marker="+", color="white", ms=7, mew=1.2)
        if s.path is not None:
            flat.plot(*s.path.T, color="white", lw=1, marker="o", ms=2)
        flat.grid(False)
        flat.set_xlabel(_axis_name(s, "block"))
        if k == 0:
            flat.set_ylabel(_axis_name(s, "other"))
    figure.colorbar(
        drawn, ax=figure.axes, label=LABELS[quantity], shrink=0.5, pad=0.02, ticks=_few()
    )
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
        limits: of height and colour; `shared_limits` makes them the same for several methods. What
            lies outside is cut off flat.
        elevation, azimuth: of the viewpoint, in degrees.
        quantity: `"loss"` or `"accuracy"`.
        levels: contour lines.
        title: above both.
    """
    low, high = limits
    cmap = "viridis" if quantity == "loss" else "viridis_r"
    z = np.clip(np.nan_to_num(values(landscape, quantity), nan=high, posinf=high), low, high)
    x, y = np.meshgrid(landscape.x, np.asarray(landscape.y), indexing="ij")
    lines_at = np.linspace(low, high, levels + 1)
    figure = Figure(figsize=(TEXT_WIDTH, TEXT_WIDTH * 0.45), layout="constrained")
    ax = figure.add_subplot(1, 2, 1, projection="3d")
    ax.plot_surface(x, y, z, cmap=cmap, vmin=low, vmax=high, lw=0.15, edgecolor="#00000030")
    ax.view_init(elevation, azimuth)
    ax.set(zlim=limits)
    ax.tick_params(labelsize=6, pad=-3)
    for axis in (ax.xaxis, ax.yaxis, ax.zaxis):
        axis.set_major_locator(_few())
    ax.set_box_aspect((1, 1, 0.8), zoom=1.1)
    flat = figure.add_subplot(1, 2, 2, aspect="equal" if _square(landscape) else "auto")
    drawn = flat.contourf(x, y, z, levels=lines_at, cmap=cmap)
    flat.contour(x, y, z, levels=lines_at, colors="white", linewidths=0.3)
    flat.plot(0, 0, marker="+", color="white", ms=7, mew=1.2)
    flat.set(xlabel=_axis_name(landscape, "block"), ylabel=_axis_name(landscape, "other"))
    flat.grid(False)
    figure.colorbar(drawn, ax=flat, label=LABELS[quantity], shrink=0.85, ticks=_few())
    if title:
        figure.suptitle(title)
    return figure


def _few():
    from matplotlib.ticker import MaxNLocator

    return MaxNLocator(4)


def _square(s: Landscape) -> bool:
    return s.y is not None and np.isclose(np.ptp(s.x), np.ptp(s.y))


def _axis_name(s: Landscape, which: str) -> str:
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
    """Lines through the weights, one curve per entry, in one panel.

    Args:
        landscapes: {name: line}, as `line` and `interpolate` make them.
        quantity: `"loss"` or `"accuracy"`.
    """
    if not landscapes or any(s.y is not None for s in landscapes.values()):
        raise MsamError("`lines` draws lines; draw planes with `surfaces`.")
    figure = Figure(figsize=(TEXT_WIDTH * 0.65, TEXT_WIDTH * 0.42), layout="constrained")
    ax = figure.subplots()
    for style, (name, s) in zip(_styles(), landscapes.items(), strict=False):
        ax.plot(s.x, values(s, quantity), label=name, **style)
    for x in (
        (0, 1) if any(s.meta.get("kind") == "interpolation" for s in landscapes.values()) else (0,)
    ):
        ax.axvline(x, color=GREY, lw=0.7, zorder=0)
    ax.set(xlabel="position along the direction", ylabel=LABELS[quantity])
    ax.legend()
    return figure


def _styles():
    colors = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#8C5A00", "#222222"]
    return [{"color": c, "linestyle": dash} for dash in ("-", "--", ":") for c in colors]


def surfaces_alt(landscapes: Mapping[str, Landscape]) -> str:
    """What is to be seen, in words: how far each method's loss rises around its minimum."""
    parts = [
        f"{name}: loss {s.at_origin:.2f} in the centre, {s.rise():.2f} above it on average"
        for name, s in landscapes.items()
    ]
    return "Loss surfaces over a plane of weights, on one scale. " + "; ".join(parts) + "."
