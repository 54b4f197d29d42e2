"""Pictures of sharpness against the generalisation gap, and of the alignment of gradients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from msam_lib.errors import MsamError
from msam_lib.plots import series
from msam_lib.plots.curvature import trace_curves
from msam_lib.plots.style import GREY, palette, panels, styled
from msam_lib.results.sharpness import kendall_tau

NAMES = {
    "keskar": "Keskar's Q (%)",
    "sam": "SAM, one step (nats)",
    "sam_ascent": "SAM, ascent (nats)",
    "adaptive": "adaptive (nats)",
    "average": "average case (nats)",
    "hessian_trace": "Hessian trace",
}


@styled
def sharpness_against_gap(
    frame: pd.DataFrame,
    correlations: Mapping[str, Any] | None = None,
    *,
    measures: Sequence[str] | None = None,
    log: bool = True,
    columns: int = 3,
) -> Figure:
    """The gap (%) against each measure of sharpness: a panel per measure, a point per run and
    modality.

    Args:
        frame: columns `measure`, `value` (units in `NAMES`), `gap` (percent) and, optionally,
            `modality` (shown by colour and marker).
        correlations: {measure: result of `kendall_tau`}, written into the panels.
        measures: which, in this order.
        log: a logarithmic axis for the measures that are positive everywhere.
        columns: panels side by side, at most.

    Raises:
        MsamError: a column is missing, or nothing to draw.
    """
    missing = [c for c in ("measure", "value", "gap") if c not in frame]
    if missing:
        raise MsamError(f"The frame has columns {list(frame.columns)}; it also needs {missing}.")
    points = frame if "modality" in frame else frame.assign(modality="fused")
    chosen = list(measures or points["measure"].unique())
    looks = palette(points["modality"])
    figure, axes = panels(len(chosen), columns=columns, aspect=0.9, sharey=True)
    # A panel per measure: its runs, the axis, and the correlation over runs as title.
    for k, (ax, measure) in enumerate(zip(axes, chosen, strict=True)):
        rows = points[points["measure"] == measure]
        for m, look in looks.items():
            part = rows[rows["modality"] == m]
            style = {"color": look.color, "marker": look.marker, "s": 6 * look.size, "label": m}
            ax.scatter(part["value"], part["gap"], alpha=0.75, edgecolor="white", lw=0.4, **style)
        if log and len(rows) and (rows["value"] > 0).all():
            _log_axis(ax, rows["value"])
        ax.set_xlabel(NAMES.get(measure, measure))
        if k % columns == 0:
            ax.set_ylabel("normalised gap (%)")
        correlation = (correlations or {}).get(measure)
        if correlation is not None and np.isfinite(correlation.tau):
            text = f"τ = {correlation.tau:.2f} [{correlation.low:.2f}, {correlation.high:.2f}]"
            ax.set_title(text, color=GREY)
    if len(looks) > 1:
        series.legend(figure, looks)
    return figure


def _log_axis(ax: Axes, values: pd.Series) -> None:
    """Make the horizontal axis logarithmic, labelled at 1, 2 and 5 of every decade, or at 1 alone
    over several decades.
    """
    ax.set_xscale("log")
    wide = values.max() / values.min() > 30
    ax.xaxis.set_major_locator(LogLocator(subs=(1.0,) if wide else (1.0, 2.0, 5.0)))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter(NullFormatter())


@styled
def gap_by_method(rows: pd.DataFrame, names: Mapping[str, str]) -> Figure:
    """The gap (%) against one measure of sharpness, a point per run and a marker per method, with
    Kendall's tau.

    Args:
        rows: of one measure and one choice of weights: columns label, measure, value, gap.
        names: {label: name to show}, in order.

    Raises:
        MsamError: nothing to draw.
    """
    if rows.empty:
        raise MsamError("No rows to draw: choose a measure and weights that were measured.")
    figure, (ax,) = panels(1, aspect=0.55)
    colors = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#222222", GREY]
    for k, (label, name) in enumerate(names.items()):
        part = rows[rows["label"] == label]
        style = {"color": colors[k % 8], "marker": series.MARKERS[k % 8], "ms": 6, "mec": "white"}
        ax.plot(part["value"], part["gap"], ls="none", label=name, **style)
    if (rows["value"] > 0).all():
        _log_axis(ax, rows["value"])
    measure = str(rows["measure"].iloc[0])
    ax.set(xlabel=NAMES.get(measure, measure), ylabel="normalised gap (%)")
    # With two distinct values a correlation says nothing.
    if rows["value"].nunique() > 2:
        tau = kendall_tau(rows["value"].to_numpy(), rows["gap"].to_numpy())
        ax.set_title(f"τ = {tau.tau:.2f} [{tau.low:.2f}, {tau.high:.2f}], {tau.runs} runs")
    ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def sharpness_alt(frame: pd.DataFrame, correlations: Mapping[str, Any]) -> str:
    """What `sharpness_against_gap` shows, in words: the correlations."""
    runs = int(frame.groupby("measure").size().max())
    parts = [
        f"{NAMES.get(m, m)} τ = {c.tau:.2f} (95 % from {c.low:.2f} to {c.high:.2f})"
        for m, c in correlations.items()
    ]
    return f"Sharpness against the generalisation gap, {runs} points: " + "; ".join(parts) + "."


def alignment_curves(frame: pd.DataFrame, **options: Any) -> Figure:
    """Cosine between each modality's own gradient and the fused one over epochs; options as for
    `trace_curves`.

    Args:
        frame: tidy rows with metric `gradient_cosine` and split `probe`, as `AlignmentProbe`
            records them.
    """
    figure = trace_curves(
        frame, metric="gradient_cosine", ylabel="cosine of own and fused gradient", **options
    )
    for ax in figure.axes:
        ax.set_ylim(-1.05, 1.05)
    return figure
